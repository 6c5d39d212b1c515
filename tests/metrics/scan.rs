//! A scan of every port: names by the thousand, of which the series stay bounded and nothing falls.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use portlabel::units::Transport;

use super::{faults, samples, total};
use crate::frames::{Kind, Packet};
use crate::program::{has, portlabel};
use crate::records::{pcap_header, pcap_record};
use crate::running::{Running, until};

/// Services that may have series of their own.
const MAX_SERVICES: usize = 20;
/// Time from one port to the next, in nanoseconds.
const STEP: i64 = 100_000;

/// The frames of a scan of some ports, as records of a pcap file, from `start` steps of time on. Each port takes one or two
/// packets.
pub fn records(ports: &[u16], start: i64, has_answers: bool) -> Vec<u8> {
    let mut records = Vec::new();
    for (step, &port) in (start..).zip(ports) {
        let syn = Packet {
            ts_nanos: step * STEP,
            is_v6: false,
            tags: 0,
            extensions: 0,
            transport: Transport::Tcp,
            src: (1, 40_000),
            dst: (2, port),
            kind: Kind::Open,
            payload_len: 0,
            wire_len: 0,
        };
        let answer = Packet { ts_nanos: syn.ts_nanos + STEP / 2, kind: Kind::Reset, ..syn.reversed() };
        for packet in [syn, answer].iter().take(if has_answers { 2 } else { 1 }) {
            let frame = packet.owned();
            let nanos = u64::try_from(frame.ts_nanos).expect("after 1970");
            records.extend(pcap_record(nanos, &frame.data));
        }
    }
    records
}

/// Reads the file, if it is another one than that of `before`.
fn newer(path: &Path, before: &str) -> Option<String> {
    fs::read_to_string(path).ok().filter(|text| text != before)
}

/// The texts that the file of metrics had while every port was scanned.
fn scan(has_answers: bool) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("portlabel.prom");
    let (to_program, mut packets) = std::io::pipe().expect("the system has pipes");
    let mut command = portlabel();
    command.args(["-", "--interval", "100ms", "--metrics-services", &MAX_SERVICES.to_string()]);
    command.arg("-o").arg(format!("prometheus={}", path.display())).stdin(to_program);
    let program = Running::start(&mut command);
    drop(command);
    packets.write_all(&pcap_header()).expect("it reads");
    let mut texts = vec![String::new()];
    let ports: Vec<u16> = (1..=u16::MAX).collect();
    for ports in ports.chunks(4_096) {
        packets.write_all(&records(ports, ports[0].into(), has_answers)).expect("it reads");
        let before = texts.last().expect("there is one");
        texts.push(until(&"a snapshot that tells more", || newer(&path, before)));
    }
    drop(packets);
    let ended = program.end();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    texts.push(fs::read_to_string(&path).expect("is there"));
    texts.split_off(1)
}

#[test]
fn a_scan_of_all_ports_has_few_series_and_lets_nothing_fall() {
    for has_answers in [false, true] {
        let texts = scan(has_answers);
        assert!(texts.len() > 16, "{} texts", texts.len());
        let mut before = samples("");
        for text in &texts {
            let now = samples(text);
            for (name, value) in before.iter().filter(|(name, _)| !name.contains("_active{")) {
                assert!(now.get(name) >= Some(value), "{name} falls from {value} to {:?}", now.get(name));
            }
            assert!(now.len() < MAX_SERVICES * 57 + 200, "{} series", now.len());
            let read = now["portlabel_read_packets_total"];
            assert!((total(&now, "portlabel_packets_total") - read).abs() < 0.5);
            before = now;
        }
        let packets = if has_answers { 2 * 65_535 } else { 65_535 };
        assert!((before["portlabel_read_packets_total"] - f64::from(packets)).abs() < 0.5);
        let own = |name: &&&str| {
            name.starts_with("portlabel_flows_active{")
                && !name.contains("service=\"other\"")
                && !name.contains("service=\"unlabelled\"")
        };
        let own = before.keys().filter(own).count();
        assert_eq!(own, if has_answers { MAX_SERVICES } else { 0 });
        if has("promtool", "metrics are not checked by Prometheus") {
            assert_eq!(faults(texts.last().expect("there is one")), "");
        }
    }
}
