//! Captures that the page is to show, and portlabel reading them while it serves the page.

use std::io::Write as _;
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};

use portlabel::units::Transport;

use crate::frames::{Kind, Packet};
use crate::program::portlabel;
use crate::records::{pcap_header, pcap_record};
use crate::running::Running;

/// 2026-01-31T10:00:00Z.
const START_NANOS: i64 = 1_769_853_600_000_000_000;

/// A packet of `wire_len` bytes to a server's port, some milliseconds after the start.
pub fn packet(millis: i64, transport: Transport, port: u16, wire_len: u32) -> Packet {
    Packet {
        ts_nanos: START_NANOS + millis * 1_000_000,
        is_v6: false,
        tags: 0,
        extensions: 0,
        transport,
        src: (1, 50_000),
        dst: (2, port),
        kind: Kind::Data,
        payload_len: 10,
        wire_len,
    }
}

/// The records of packets.
pub fn records(packets: impl IntoIterator<Item = Packet>) -> Vec<u8> {
    let record = |packet: Packet| {
        let owned = packet.owned();
        // the header of a record has the captured length twice: that on the wire is the second
        let mut record = pcap_record(owned.ts_nanos.unsigned_abs(), &owned.data);
        record[12..16].copy_from_slice(&owned.wire_len.to_le_bytes());
        record
    };
    packets.into_iter().flat_map(record).collect()
}

/// Half a minute with a few services, opened by handshakes and answered.
pub fn some_services() -> Vec<u8> {
    let mut capture = pcap_header();
    let services = [(443, 1200), (22, 300), (80, 700), (25, 90), (5432, 160)];
    for second in 0..30 {
        for (at, (port, wire_len)) in (0..).zip(services) {
            let sent =
                Packet { src: (1, 40_000 + port), ..packet(second * 1000 + at * 7, Transport::Tcp, port, wire_len) };
            let open = Packet { kind: Kind::Open, wire_len: 74, ..sent.clone() };
            let accept = Packet { kind: Kind::Accept, ts_nanos: open.ts_nanos + 30_000, ..open.reversed() };
            let ack = Packet { ts_nanos: open.ts_nanos + 75_000, wire_len: 66, ..sent.clone() };
            let answer = Packet { ts_nanos: open.ts_nanos + 2_000_000, wire_len: wire_len + 97, ..sent.reversed() };
            if second == at {
                capture.extend(records([open, accept, ack]));
            }
            if second > at {
                capture.extend(records((0..=second % 7).flat_map(|_| [sent.clone(), answer.clone()])));
            }
        }
        capture.extend(records([packet(second * 1000 + 500, Transport::Udp, 53, 80)]));
    }
    capture
}

/// portlabel, which reads what it is given and serves the page.
pub struct Served {
    program: Running,
    input: ChildStdin,
    pub url: String,
}

impl Served {
    /// Starts it on a port of its own choice, or on that of one that has ended.
    pub fn start(port: u16) -> Self {
        let mut command: Command = portlabel();
        command.args(["-", "-q", "-o", "json=/dev/null", "--listen", &format!("127.0.0.1:{port}")]);
        let mut program = Running::start(command.stdin(Stdio::piped()));
        let input = program.take_input();
        let url = program.await_state("says where it listens", |program| {
            let said = program.stderr();
            let url = said.split_once("listening on ")?.1.split_whitespace().next()?.to_owned();
            Some(url)
        });
        let mut served = Self { program, input, url };
        served.write(&pcap_header());
        served
    }

    pub fn port(&self) -> u16 {
        self.url.trim_end_matches('/').rsplit_once(':').and_then(|(_, port)| port.parse().ok()).expect("a port")
    }

    /// Gives it packets.
    pub fn write(&mut self, records: &[u8]) {
        self.input.write_all(records).and_then(|()| self.input.flush()).expect("it reads");
    }

    /// A second of traffic, numbered from 0; its snapshot comes with the next one.
    pub fn second(&mut self, number: i64) {
        let at = number * 1000;
        let packets = [(443, 1000 + 13 * (number % 5)), (22, 400), (80, 200)];
        let packets =
            packets.map(|(port, len)| packet(at, Transport::Tcp, port, u32::try_from(len).expect("a length")));
        self.write(&records(packets));
    }

    /// Ends the capture, which ends the run.
    pub fn end(self) -> Running {
        drop(self.input);
        self.program
    }

    /// Ends it at once, as a crash does.
    pub fn kill(self) {
        drop(self.program);
    }
}

/// Writes a capture, and its report and JSON.
pub fn report(folder: &Path, capture: &[u8], more: &[&str]) -> (std::path::PathBuf, serde_json::Value) {
    let (path, html, json) = (folder.join("a.pcap"), folder.join("report.html"), folder.join("report.json"));
    std::fs::write(&path, capture).expect("a file");
    let outputs = [format!("html={}", html.display()), format!("json={}", json.display())];
    let mut command = portlabel();
    command.arg(&path).args(["-o", &outputs[0], "-o", &outputs[1]]).args(more);
    let ran = crate::program::ran(&mut command);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    let json = std::fs::read_to_string(json).expect("was written");
    (html, serde_json::from_str(&json).expect("JSON"))
}
