//! The whole engine on a stream of frames, under the laws of counting: any frames, at any times, under any limits.
//!
//! An input is [`settings`] of four bytes, and frames, each behind three of its own.

#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use portlabel::engine::EngineConfig;
use portlabel::flow::Limits;
use portlabel::report::{Merge, Report};
use portlabel::snapshot::Snapshot;
use portlabel::source::Frame;
use portlabel::units::{LinkType, Timestamp};
use shared::laws::{
    assert_adds_up, assert_intervals_add_up, by_records, by_rows, events, fallen, final_snapshot, live_events,
    snapshots,
};
use shared::streams::{LINKS, STEPS_NANOS, seeds};

/// 2026-01-31T10:00:00Z, in nanoseconds.
const START_NANOS: i64 = 1_769_853_600_000_000_000;

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
fn frames(mut input: &[u8]) -> Vec<Frame<'_>> {
    let (mut frames, mut ts_nanos) = (Vec::new(), START_NANOS);
    while let Some(([step, link, len], rest)) = input.split_first_chunk() {
        let (data, rest) = rest.split_at(usize::from(*len).min(rest.len()));
        input = rest;
        // outside of what can be told, time stands still
        ts_nanos = ts_nanos.saturating_add(STEPS_NANOS[usize::from(step & 15)]);
        let more = u32::from(step >> 4).pow(5);
        let wire_len = u32::try_from(data.len()).expect("a byte's worth") + more;
        let (ts, link) = (Timestamp::from_nanos(ts_nanos), LinkType(LINKS[usize::from(*link) % LINKS.len()]));
        frames.push(Frame { ts, wire_len, link, interface: 0, data });
    }
    frames
}

/// What is written is a report that adds up, and its own sum where it has its histograms.
fn assert_can_be_read(snapshot: &Snapshot, has_histograms: bool) {
    let written = |snapshot: &Snapshot| serde_json::to_vec(snapshot).expect("JSON");
    let read = |written: &[u8]| Report::read("written", written).expect("a report");
    // reading leaves out intervals, which no sum has
    let once = read(&written(snapshot));
    assert_eq!(read(&written(&once.snapshot)).snapshot, once.snapshot);
    if has_histograms {
        let sum = Merge::new(once).expect("a report can be added up").snapshot();
        assert_eq!((sum.packets, sum.wire_bytes), (snapshot.packets, snapshot.wire_bytes));
    }
}

fuzz_target!(init: seeds(), |input: &[u8]| {
    let Some((bytes, rest)) = input.split_first_chunk() else { return };
    let (config, frames) = (settings(*bytes), frames(rest));
    let is_live = bytes[3] & 8 != 0;
    let said = if is_live { live_events(&frames, &config, 4) } else { events(&frames, &config, 64) };
    let all = snapshots(&said);
    for snapshot in &all {
        if !config.histograms {
            assert_adds_up(snapshot);
        }
        assert!(snapshot.flows.active <= config.limits.max_flows as u64, "more flows than there may be");
    }
    for pair in all.windows(2) {
        assert_eq!(fallen(&pair[0], &pair[1]), [""; 0]);
    }
    // live, a silence before each, and a tick after it
    let most = if is_live { 2 * 62 * frames.len() + 1 } else { 2 * frames.len() + 1 };
    assert!(all.len() <= most, "{} snapshots of {} frames", all.len(), frames.len());
    if let Some(step) = config.interval.filter(|_| !frames.is_empty()) {
        assert_intervals_add_up(&all, step);
    }
    let last = final_snapshot(&said);
    assert_eq!(last.packets, frames.len() as u64);
    assert_eq!(last.first_ts, frames.iter().map(|frame| frame.ts).min());
    assert_eq!(last.last_ts, frames.iter().map(|frame| frame.ts).max());
    assert_eq!(by_records(&said), by_rows(&last));
    if !is_live {
        assert_eq!(events(&frames, &config, 1), said, "batches change something");
    }
    assert_can_be_read(&last, config.histograms);
});
