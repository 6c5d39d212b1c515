//! The traffic that benchmarks are made of.

use std::collections::BTreeMap;
use std::fs;

use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::program::run;

#[path = "bench/traffic.rs"]
mod traffic;

use traffic::Traffic;

const TRAFFIC: Traffic =
    Traffic { packets: 50_000, active_flows: 1_000, flow_packets: None, snap_len: 96, seed: 7, mean_gap_ns: 100_000 };

fn capture(traffic: &Traffic) -> Vec<u8> {
    let mut bytes = Vec::new();
    traffic.write(&mut bytes).expect("memory is written");
    bytes
}

/// The baseline of `make bench-check` was counted on these bytes: whoever changes them counts it anew.
#[test]
fn is_the_same_everywhere() {
    let digest = Sha256::digest(capture(&TRAFFIC));
    let start = digest.first_chunk().map(|bytes| u64::from_be_bytes(*bytes));
    assert_eq!(start, Some(0x57cb_d2e1_bc06_f3dd), "{digest:02x?}");
}

#[test]
fn is_what_it_is_asked_for() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("synthetic.pcap");
    fs::write(&path, capture(&TRAFFIC)).expect("it is ours");
    let ran = run(&[path.to_str().expect("ASCII"), "-o", "json"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    let report = ran.json();
    assert_eq!(report["packets"], 50_000);
    // nothing is malformed, cut too short, or without a label that has one
    let portless: Vec<_> = report["portless"].as_array().expect("a list").iter().map(|row| &row["reason"]).collect();
    assert_eq!(portless, ["icmp"]);
    let services: BTreeMap<_, _> = report["services"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|row| ((row["service"].as_str(), row["transport"].as_str()), row["flows"]["started"].as_u64()))
        .collect();
    let flows = report["flows"]["started"].as_u64().expect("a number");
    assert!((1_500..3_000).contains(&flows), "{flows} flows of 50,000 packets");
    for (service, transport, percent) in [("https", "tcp", 34), ("domain", "udp", 22), ("quic", "udp", 10)] {
        let share = services[&(Some(service), Some(transport))].expect("a number") * 100 / flows;
        assert!((percent - 4..=percent + 4).contains(&share), "{share} % of the flows are {service}: {services:?}");
    }
}
