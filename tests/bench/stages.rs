//! Each stage of the packet path alone, and the whole, on fixtures: nanoseconds and packets a second.
//!
//! `cargo bench --bench stages`. Fixtures are small and stay in the cache: what this shows is the work, not the waiting
//! for memory; for that see `ratio`.

use std::hint::black_box;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use divan::Bencher;
use divan::counter::ItemsCount;
use portlabel::decode::Decoder;
use portlabel::engine::{Engine, EngineConfig, Event, RunEnd};
use portlabel::flow::Packet;
use portlabel::services::{Labeller, Registry};
use portlabel::snapshot::{Snapshot, SourceInfo, SourceKind};
use portlabel::source::{Files, Frame, Pause, Source as _};

/// A mix, many short flows, large frames cut short, and link types that change from packet to packet.
const FIXTURES: [&str; 4] = ["office", "scan", "snaplen", "mixed-links"];

fn main() {
    divan::main();
}

fn capture(fixture: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(fixture);
    let files = ["capture.pcap", "capture.pcapng"].map(|name| folder.join(name));
    files.into_iter().find(|path| path.exists()).unwrap_or_else(|| panic!("{}: no capture", folder.display()))
}

/// Passes each frame of a fixture on; returns how many there are.
fn walk(fixture: &str, mut take: impl FnMut(&Frame<'_>)) -> u64 {
    let mut files = Files::open(&[capture(fixture)], Arc::default());
    let mut packets = 0;
    let read = files.read(&mut |frame, _| {
        packets += 1;
        take(frame);
        ControlFlow::Continue(())
    });
    assert!(matches!(read, Ok(Pause::End)) && packets > 0, "{fixture}: {read:?}");
    packets
}

/// The packets of a fixture, as an engine takes them.
fn packets(fixture: &str, engine: &Engine) -> Vec<Packet> {
    let (mut packets, mut decoder, keyer) = (Vec::new(), Decoder::default(), engine.keyer());
    walk(fixture, |frame| packets.push(keyer.packet(&decoder.decode(frame))));
    packets
}

fn engine() -> Engine {
    let source = SourceInfo { kind: SourceKind::File, names: Vec::new(), host: None, filter: None };
    let config = EngineConfig::default();
    Engine::new(config, source.into(), Registry::builtin())
}

fn snapshot(fixture: &str) -> Arc<Snapshot> {
    let mut engine = engine();
    engine.ingest(&packets(fixture, &engine));
    engine.finish(RunEnd::Complete);
    let snapshot = engine.drain_events().find_map(|event| match event {
        Event::Snapshot(snapshot) => Some(snapshot),
        Event::Flow(_) => None,
    });
    snapshot.expect("a final snapshot")
}

/// Opening the file and walking its records.
#[divan::bench(args = FIXTURES)]
fn source(bencher: Bencher, fixture: &str) {
    let packets = walk(fixture, |_| ());
    bencher.counter(ItemsCount::new(packets)).bench(|| {
        walk(fixture, |frame| {
            black_box(frame.ts);
        })
    });
}

/// Link, network and transport headers of every frame.
#[divan::bench(name = "decode", args = FIXTURES)]
fn decode_frames(bencher: Bencher, fixture: &str) {
    let (mut frames, mut decoder) = (Vec::new(), Decoder::default());
    walk(fixture, |frame| frames.push((frame.ts, frame.wire_len, frame.link, frame.data.to_vec())));
    bencher.counter(ItemsCount::new(frames.len())).bench_local(|| {
        for (ts, wire_len, link, data) in &frames {
            let frame = Frame { ts: *ts, wire_len: *wire_len, link: *link, interface: 0, data };
            black_box(decoder.decode(&frame));
        }
    });
}

/// Flows, labels and statistics of every packet, in an engine that has seen nothing yet.
#[divan::bench(args = FIXTURES)]
fn ingest(bencher: Bencher, fixture: &str) {
    bencher
        .counter(ItemsCount::new(walk(fixture, |_| ())))
        .with_inputs(|| {
            let engine = engine();
            let packets = packets(fixture, &engine);
            (engine, packets)
        })
        .bench_local_refs(|(engine, packets)| engine.ingest(packets));
}

/// The label of every packet, as if each were a flow's first.
#[divan::bench(args = FIXTURES)]
fn label(bencher: Bencher, fixture: &str) {
    let labeller = || Labeller::new(Registry::builtin());
    let (mut segments, mut decoder) = (Vec::new(), Decoder::default());
    walk(fixture, |frame| segments.extend(decoder.decode(frame).outcome));
    bencher.counter(ItemsCount::new(segments.len())).with_inputs(labeller).bench_local_refs(|labeller| {
        for segment in &segments {
            black_box(labeller.label(segment));
        }
    });
}

/// The final snapshot as JSON.
#[divan::bench(args = FIXTURES)]
fn json(bencher: Bencher, fixture: &str) {
    let snapshot = snapshot(fixture);
    bencher.bench(|| serde_json::to_vec(snapshot.as_ref()));
}

/// Everything, from opening the file to the snapshot.
#[divan::bench(args = FIXTURES)]
fn whole(bencher: Bencher, fixture: &str) {
    let packets = walk(fixture, |_| ());
    bencher.counter(ItemsCount::new(packets)).bench(|| snapshot(fixture));
}
