//! The whole engine on a stream of frames, under the laws of counting: any frames, at any times, under any limits.
//!
//! An input is [`Settings`] of four bytes, and frames, each behind a [`Header`] of three.

#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use portlabel::decode::Decoder;
use portlabel::engine::{Engine, EngineConfig, Event, RunEnd};
use portlabel::flow::Limits;
use portlabel::report::{Merge, Report};
use portlabel::services::Registry;
use portlabel::snapshot::{Snapshot, SourceInfo, SourceKind};
use portlabel::source::Frame;
use portlabel::units::{LinkType, Timestamp};
use shared::laws::{assert_adds_up, by_records, by_rows, fallen, final_snapshot, snapshots};
use shared::streams::{LINKS, STEPS_NANOS, seeds};

/// 2026-01-31T10:00:00Z, in nanoseconds.
const START_NANOS: i64 = 1_769_853_600_000_000_000;

/// A frame of the stream; its bytes are in the input.
#[derive(Clone, Copy)]
struct Placed<'i> {
    ts_nanos: i64,
    link: LinkType,
    wire_len: u32,
    data: &'i [u8],
}

impl Placed<'_> {
    fn frame(&self) -> Frame<'_> {
        let Self { ts_nanos, link, wire_len, data } = *self;
        Frame { ts: Timestamp::from_nanos(ts_nanos), wire_len, link, interface: 0, data }
    }
}

/// What the first bytes ask for: timeouts, most flows at a time, and intervals.
fn settings([tcp, other, max_flows, interval]: [u8; 4]) -> EngineConfig {
    let seconds = |code: u8| (code > 0).then(|| Duration::from_secs(u64::from(code) * 2));
    let limits = Limits {
        tcp_idle: seconds(tcp),
        other_idle: seconds(other),
        active: seconds(tcp ^ other),
        max_flows: usize::from(max_flows) + 1,
    };
    let interval = match interval & 7 {
        0 => None,
        power => Some(Duration::from_millis(10_u64.pow(u32::from(power) - 1))),
    };
    // now and then: to pack them takes longer than everything else
    let histograms = max_flows % 8 == 7;
    EngineConfig { limits, interval, flow_records: true, shapes: true, histograms, ..EngineConfig::default() }
}

/// The frames that follow; the last one may be cut.
fn frames(mut input: &[u8]) -> Vec<Placed<'_>> {
    let (mut frames, mut ts_nanos) = (Vec::new(), START_NANOS);
    while let Some(([step, link, len], rest)) = input.split_first_chunk() {
        let (data, rest) = rest.split_at(usize::from(*len).min(rest.len()));
        input = rest;
        // outside of what can be told, time stands still
        ts_nanos = ts_nanos.saturating_add(STEPS_NANOS[usize::from(step & 15)]);
        let more = u32::from(step >> 4).pow(5);
        let wire_len = u32::try_from(data.len()).expect("a byte's worth") + more;
        frames.push(Placed { ts_nanos, link: LinkType(LINKS[usize::from(*link) % LINKS.len()]), wire_len, data });
    }
    frames
}

/// What an engine has to say of frames that come `batch_len` at a time.
fn events(frames: &[Placed<'_>], config: &EngineConfig, batch_len: usize) -> Vec<Event> {
    let source = SourceInfo { kind: SourceKind::File, names: vec![], host: None, filter: None };
    let mut engine = Engine::new(config, source.into(), Registry::builtin());
    let (mut decoder, keyer, mut events) = (Decoder::default(), engine.keyer(), Vec::new());
    for batch in frames.chunks(batch_len) {
        let packets: Vec<_> = batch.iter().map(|frame| keyer.packet(&decoder.decode(&frame.frame()))).collect();
        engine.ingest(&packets);
        events.extend(engine.drain_events());
    }
    engine.finish(RunEnd::Complete);
    events.extend(engine.drain_events());
    events
}

/// What is written is a report that adds up, and its own sum where it has its histograms.
fn assert_can_be_read(snapshot: &Snapshot, has_histograms: bool) {
    let written = |snapshot: &Snapshot| serde_json::to_vec(snapshot).expect("JSON");
    let read = |written: &[u8]| Report::read("written", written).expect("a report");
    // reading leaves out intervals, which no sum has
    let read = {
        let (once, twice) = (read(&written(snapshot)), read(&written(&read(&written(snapshot)).snapshot)));
        assert_eq!(once.snapshot, twice.snapshot);
        once
    };
    if has_histograms {
        let sum = Merge::new(read).expect("a report can be added up").snapshot();
        assert_eq!((sum.packets, sum.wire_bytes), (snapshot.packets, snapshot.wire_bytes));
    }
}

fuzz_target!(init: seeds(), |input: &[u8]| {
    let Some((bytes, rest)) = input.split_first_chunk() else { return };
    let (config, frames) = (settings(*bytes), frames(rest));
    let events = events(&frames, &config, 64);
    let all = snapshots(&events);
    for snapshot in &all {
        if !config.histograms {
            assert_adds_up(snapshot);
        }
        assert!(snapshot.flows.active <= config.limits.max_flows as u64, "more flows than there may be");
    }
    for pair in all.windows(2) {
        assert_eq!(fallen(&pair[0], &pair[1]), [""; 0]);
    }
    assert!(all.len() <= 2 * frames.len() + 1, "{} snapshots of {} frames", all.len(), frames.len());
    let last = final_snapshot(&events);
    assert_eq!(last.packets, frames.len() as u64);
    assert_eq!(last.first_ts.map(Timestamp::as_nanos), frames.iter().map(|frame| frame.ts_nanos).min());
    assert_eq!(last.last_ts.map(Timestamp::as_nanos), frames.iter().map(|frame| frame.ts_nanos).max());
    assert_eq!(by_records(&events), by_rows(&last));
    assert_eq!(self::events(&frames, &config, 1), events, "batches change something");
    assert_can_be_read(&last, config.histograms);
});
