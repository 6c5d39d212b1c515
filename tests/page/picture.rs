//! The picture of the README, which shows a busy office.

use portlabel::units::Transport;

use super::browser::{Browser, Screen};
use super::traffic::{packet, records, report};
use crate::frames::{Kind, Packet};
use crate::records::pcap_header;

/// Ports, bytes of an answer, how often one comes in a second at the most, and in how many seconds that is once.
const SERVICES: [(Transport, u16, u32, f64, f64); 6] = [
    (Transport::Tcp, 443, 1_400, 60.0, 97.0),
    (Transport::Udp, 443, 1_250, 34.0, 61.0),
    (Transport::Tcp, 2049, 1_440, 30.0, 43.0),
    (Transport::Tcp, 22, 500, 30.0, 31.0),
    (Transport::Tcp, 5432, 700, 22.0, 23.0),
    (Transport::Udp, 53, 140, 20.0, 17.0),
];

/// Four minutes of requests and answers, in waves.
fn office() -> Vec<u8> {
    let mut packets = Vec::new();
    for (at, (transport, port, bytes, most, period)) in (0_i64..).zip(SERVICES) {
        for tenth in 0..2_400_i32 {
            let wave = (f64::from(tenth) / 10.0 / period * std::f64::consts::TAU).sin() * 0.5 + 0.5;
            let jitter = f64::from((tenth * 7_919 + i32::from(port)) % 13) / 26.0;
            #[expect(clippy::cast_possible_truncation, reason = "a few packets")]
            let count = ((0.25 + 0.75 * wave) * most / 10.0 + jitter).round() as i64;
            for number in 0..count {
                let client = 40_000 + port % 9_000 + u16::try_from(number % 5).expect("few");
                let asked = packet(i64::from(tenth) * 100 + number * 3 + at, transport, port, 90 + bytes / 20);
                let asked = Packet { src: (1, client), ..asked };
                let answer = Packet { ts_nanos: asked.ts_nanos + 900_000, wire_len: bytes, ..asked.reversed() };
                if tenth == 0 && transport == Transport::Tcp {
                    let open = Packet {
                        kind: Kind::Open,
                        ts_nanos: asked.ts_nanos - 240_000 * (2 + at),
                        wire_len: 74,
                        ..asked.clone()
                    };
                    let accept =
                        Packet { kind: Kind::Accept, ts_nanos: open.ts_nanos + 120_000 * (1 + at), ..open.reversed() };
                    packets.extend([open, accept]);
                }
                packets.extend([asked, answer]);
            }
        }
    }
    packets.sort_by_key(|packet| packet.ts_nanos);
    let mut capture = pcap_header();
    capture.extend(records(packets));
    capture
}

#[test]
fn the_readme_has_a_picture() {
    if std::env::var_os("PORTLABEL_PICTURES").is_none() {
        return;
    }
    let Some(browser) = Browser::start(Screen { width: 1000, height: 800, dark: false }) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let (path, _) = report(folder.path(), &office(), &["--interval", "1s"]);
    browser.open_file(&path);
    browser.until_text("#state-text", "report");
    let script = "[...document.querySelectorAll('#portless-card, .legend, footer')].forEach((e) => e.remove())";
    browser.run(script);
    browser.run("throughput.select(150)");
    browser.picture("page");
}
