//! Each stage of the packet path alone, and the whole, on fixtures: nanoseconds and packets a second.
//!
//! `cargo bench --bench stages`. Fixtures are small and stay in the cache: what this shows is the work, not the waiting
//! for memory; for that see `ratio`.

use std::hint::black_box;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use divan::Bencher;
use divan::counter::ItemsCount;
use portlabel::decode::{Decoder, Handshake, Observation, Segment};
use portlabel::engine::{Engine, EngineConfig, Event, RunEnd};
use portlabel::flow::{Keyer, Packet};
use portlabel::services::{Labeller, Registry};
use portlabel::snapshot::{Snapshot, SourceInfo, SourceKind};
use portlabel::source::{Files, Frame, Pause, Source as _};
use portlabel::units::{AddressWords, IpVersion, Timestamp, Transport};

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

fn config() -> EngineConfig {
    EngineConfig::default()
}

fn engine() -> Engine {
    let source = SourceInfo { kind: SourceKind::File, names: Vec::new(), host: None, filter: None };
    Engine::new(&config(), source.into(), Registry::builtin())
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

/// Whose hash the flows of an attacker collide under.
#[derive(Clone, Copy, Debug)]
enum Chosen {
    /// Nobody's: they were not chosen.
    Not,
    /// That of another run, whose key became known.
    ForAnotherRun,
    /// That of this run.
    ForThisRun,
}

impl Chosen {
    const ALL: [Self; 3] = [Self::Not, Self::ForAnotherRun, Self::ForThisRun];

    /// Two packets of each of 8,192 UDP flows, whose tags are equal in the lower 12 bits under the key that they were chosen
    /// for: all searches for them begin at one place.
    fn packets(self, engine: &Engine) -> Vec<Packet> {
        let keyer = engine.keyer();
        let known = match self {
            Self::ForThisRun => keyer.clone(),
            Self::Not | Self::ForAnotherRun => Keyer::default(),
        };
        let observation = |number: u32| {
            let segment = Segment {
                src_addr: AddressWords::v4(number.to_be_bytes()),
                dst_addr: AddressWords::v4([10, 0, 0, 2]),
                src_port: 50_000,
                dst_port: 7777,
                ip_version: IpVersion::V4,
                transport: Transport::Udp,
                handshake: Handshake::None,
                tcp_flags: 0,
                to_group: false,
                later_fragment: false,
                tunnels: 0,
            };
            Observation { ts: Timestamp::from_nanos(number.into()), wire_len: 60, outcome: Ok(segment) }
        };
        let collides = |observed: &Observation| match self {
            Self::Not => true,
            Self::ForAnotherRun | Self::ForThisRun => known.packet(observed).tag().trailing_zeros() >= 12,
        };
        let chosen: Vec<_> = (0..).map(observation).filter(collides).take(8192).collect();
        chosen.iter().chain(&chosen).map(|observed| keyer.packet(observed)).collect()
    }
}

/// Flows that somebody has chosen so that they would collide.
#[divan::bench(args = Chosen::ALL, sample_count = 10, sample_size = 1)]
fn colliding_flows(bencher: Bencher, chosen: Chosen) {
    let prepared = || {
        let engine = engine();
        let packets = chosen.packets(&engine);
        (engine, packets)
    };
    bencher
        .counter(ItemsCount::new(2 * 8192_usize))
        .with_inputs(prepared)
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
            let ends = labeller.prepare(segment);
            black_box(labeller.label(segment, ends));
        }
    });
}

/// What passes in each second of [`snapshot_of_many_rows`].
#[derive(Clone, Copy, Debug)]
enum Wire {
    /// Each port once: thousands of services, and a row with tens of thousands of ports that have no name.
    Scan,
    /// Thousands of services with some packets each.
    Many,
    /// So many packets in each of hundreds that all have their histograms.
    Busy,
}

impl Wire {
    const ALL: [Self; 3] = [Self::Scan, Self::Many, Self::Busy];

    /// The packets of the second that begins at `start`.
    fn second(self, start: Timestamp, keyer: &Keyer) -> Vec<Packet> {
        let (ports, rounds) = match self {
            Self::Scan => (1..=u16::MAX, 1),
            Self::Many => (1..=4999, 4),
            Self::Busy => (1..=512, 100),
        };
        let packet = |round: u16, dst_port: u16| {
            let segment = Segment {
                src_addr: AddressWords::v4([10, 0, 0, 1]),
                dst_addr: AddressWords::v4([10, 0, 0, 2]),
                src_port: 50_000 + round % 7,
                dst_port,
                ip_version: IpVersion::V4,
                transport: Transport::Tcp,
                handshake: Handshake::Open,
                tcp_flags: 2,
                to_group: false,
                later_fragment: false,
                tunnels: 0,
            };
            let ts =
                start.saturating_add(Duration::from_nanos(u64::from(round) * 5_000_000 + u64::from(dst_port) * 10));
            keyer.packet(&Observation { ts, wire_len: 60 + u32::from(dst_port ^ round) % 1400, outcome: Ok(segment) })
        };
        (0..rounds)
            .flat_map(|round| ports.clone().map(move |port| (round, port)))
            .map(|(round, port)| packet(round, port))
            .collect()
    }
}

/// A snapshot of thousands of rows, all of which changed, during which nothing is counted: to be under 5 ms.
#[divan::bench(args = Wire::ALL, sample_count = 20, sample_size = 1)]
fn snapshot_of_many_rows(bencher: Bencher, wire: Wire) {
    let config = EngineConfig { interval: Some(Duration::from_secs(1)), shapes: true, ..config() };
    let prepared = || {
        let source = SourceInfo { kind: SourceKind::Live, names: Vec::new(), host: None, filter: None };
        let mut engine = Engine::new(&config, source.into(), Registry::builtin());
        let second = |at: i64| Timestamp::from_nanos(at * 1_000_000_000);
        for at in 0..2 {
            engine.tick(second(at));
            engine.ingest(&wire.second(second(at), &engine.keyer()));
        }
        drop(engine.drain_events());
        (engine, second(2))
    };
    bencher.with_inputs(prepared).bench_local_refs(|(engine, end)| engine.tick(*end));
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
