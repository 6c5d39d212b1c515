//! The traffic that benchmarks are made of.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use portlabel::decode::Decoder;
use portlabel::engine::{Engine, EngineConfig};
use portlabel::flow::Limits;
use portlabel::output::{Channel, OnQuit, Settings};
use portlabel::run::{self, Bounds, Delivery, Intake, Saving};
use portlabel::services::Registry;
use portlabel::snapshot::{SourceInfo, SourceKind};
use portlabel::source::Files;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::program;

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
    let ran = program::run(&[path.to_str().expect("ASCII"), "-o", "json"]);
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

/// More workers than this machine may have processors: each does whatever there is to do, and what is written is the same.
#[test]
fn is_reported_alike_by_any_number_of_workers() {
    let folder = TempDir::new().expect("a folder");
    // they overlap in time, so that all are open together
    let inputs: Vec<PathBuf> = (0..3_u64)
        .map(|seed| {
            let plain = capture(&Traffic { seed, ..TRAFFIC });
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gzip.write_all(&plain).expect("memory is written");
            let packed = match seed {
                0 => plain,
                1 => gzip.finish().expect("memory is written"),
                _ => zstd::encode_all(&plain[..], 1).expect("memory is written"),
            };
            let path = folder.path().join(seed.to_string());
            fs::write(&path, packed).expect("it is ours");
            path
        })
        .collect();
    let outputs = |workers: usize| -> Vec<Vec<u8>> {
        let paths =
            ["json", "ndjson", "flows"].map(|format| (format, folder.path().join(format!("{workers}.{format}"))));
        let channels = paths.iter().map(|(format, path)| {
            let spec = format!("{format}={}", path.display()).parse().expect("an output");
            Channel::open(&spec, &Settings::default(), &(Arc::new(|| {}) as OnQuit)).expect("it is ours")
        });
        let mut delivery = Delivery::new(channels.collect(), None, true);
        let files = Files::open(&inputs, Arc::default());
        let names = files.names().into_iter().map(str::to_owned).collect();
        let source = SourceInfo { kind: SourceKind::File, names, host: None, filter: None };
        let limits = Limits { max_flows: 2_000, ..Limits::default() };
        let interval = Some(Duration::from_millis(100));
        let config = EngineConfig { limits, interval, flow_records: true, ..EngineConfig::default() };
        let engine = Engine::new(&config, source.into(), Registry::builtin());
        let intake = Intake::new(files, Decoder::new(false), engine.keyer(), None, Saving::Not, Bounds::default());
        let workers = NonZeroUsize::new(workers).expect("there are some");
        let outcome = run::run(intake, engine, &mut delivery, &AtomicBool::new(false), workers);
        assert_eq!(outcome.packets, 150_000);
        paths.iter().map(|(_, path)| fs::read(path).expect("it was written")).collect()
    };
    let alone = outputs(1);
    for workers in [2, 3, 4, 5, 11] {
        assert!(outputs(workers) == alone, "{workers} workers");
    }
}
