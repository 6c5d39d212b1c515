//! Laws that hold for whatever an engine says, and the parts of it that they need. Tests and fuzz targets hold them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use portlabel::decode::Decoder;
use portlabel::engine::{Engine, EngineConfig, Event, RunEnd};
use portlabel::services::Registry;
use portlabel::snapshot::{
    COLUMNS, ColumnKind, EvidenceCounts, PortTraffic, PortlessRow, ServiceRow, Snapshot, SourceInfo, SourceKind,
    Summary, Value,
};
use portlabel::source::Frame;
use portlabel::units::{Timestamp, Transport};

/// What an engine has to say about frames that come `batch_len` at a time.
pub fn events(frames: &[Frame<'_>], config: &EngineConfig, batch_len: usize) -> Vec<Event> {
    let source = SourceInfo { kind: SourceKind::File, names: vec![], host: None, filter: None };
    let mut engine = Engine::new(config, source.into(), Registry::builtin());
    let (mut decoder, keyer, mut events) = (Decoder::default(), engine.keyer(), Vec::new());
    for batch in frames.chunks(batch_len) {
        let packets: Vec<_> = batch.iter().map(|frame| keyer.packet(&decoder.decode(frame))).collect();
        engine.ingest(&packets);
        events.extend(engine.drain_events());
    }
    engine.finish(RunEnd::Complete);
    events.extend(engine.drain_events());
    events
}

/// What an engine has to say about frames of a live run that come `batch_len` at a time, after each of which it is told that
/// time has passed.
pub fn live_events(frames: &[Frame<'_>], config: &EngineConfig, batch_len: usize) -> Vec<Event> {
    let names = vec!["eth0".to_owned()];
    let source = SourceInfo { kind: SourceKind::Live, names, host: None, filter: None };
    let mut engine = Engine::new(config, source.into(), Registry::builtin());
    let (mut decoder, keyer, mut events) = (Decoder::default(), engine.keyer(), Vec::new());
    let mut hear = |engine: &mut Engine| {
        let before = events.len();
        events.extend(engine.drain_events());
        let at_once = snapshots(&events[before..]).len();
        assert!(at_once <= 17, "{at_once} snapshots at once");
    };
    if let Some(first) = frames.first() {
        engine.begin(first.ts);
    }
    for batch in frames.chunks(batch_len) {
        let packets: Vec<_> = batch.iter().map(|frame| keyer.packet(&decoder.decode(frame))).collect();
        let mut left = &packets[..];
        while !left.is_empty() {
            left = &left[engine.ingest_some(left)..];
            hear(&mut engine);
        }
        let now = batch.iter().map(|frame| frame.ts).max().unwrap_or(Timestamp::MIN);
        while engine.tick_some(now) {
            hear(&mut engine);
        }
        hear(&mut engine);
    }
    engine.finish(RunEnd::Stopped);
    hear(&mut engine);
    events
}

/// The snapshots among events.
pub fn snapshots(events: &[Event]) -> Vec<Arc<Snapshot>> {
    let snapshot = |event: &Event| match event {
        Event::Snapshot(snapshot) => Some(Arc::clone(snapshot)),
        Event::Flow(_) => None,
    };
    events.iter().filter_map(snapshot).collect()
}

/// The last of the snapshots among events, which alone is final.
pub fn final_snapshot(events: &[Event]) -> Snapshot {
    let snapshots = snapshots(events);
    let (last, earlier) = snapshots.split_last().expect("a final snapshot");
    assert!(last.is_final && earlier.iter().all(|snapshot| !snapshot.is_final));
    Snapshot::clone(last)
}

/// Everything in a snapshot that must add up.
pub fn assert_adds_up(snapshot: &Snapshot) {
    let services = |get: fn(&ServiceRow) -> u64| snapshot.services.iter().map(|row| get(row)).sum::<u64>();
    let portless = |get: fn(&PortlessRow) -> u64| snapshot.portless.iter().map(get).sum::<u64>();
    assert_eq!(services(|row| row.packets) + portless(|row| row.packets), snapshot.packets);
    assert_eq!(services(|row| row.wire_bytes) + portless(|row| row.wire_bytes), snapshot.wire_bytes);
    let flows = &snapshot.flows;
    assert_eq!(
        [services(|r| r.flows.started), services(|r| r.flows.active), services(|r| r.flows.ended)],
        [flows.started, flows.active, flows.ended]
    );
    assert_eq!([services(|r| r.flows.evicted), services(|r| r.flows.unanswered)], [flows.evicted, flows.unanswered]);
    for row in &snapshot.services {
        assert_row_adds_up(row, snapshot.is_final);
    }
}

fn assert_row_adds_up(row: &ServiceRow, is_final: bool) {
    let total = [row.packets, row.wire_bytes];
    let (to, from) = (row.to_server, row.from_server);
    assert_eq!([to.packets + from.packets, to.wire_bytes + from.wire_bytes], total, "directions: {row:?}");

    let port = |get: fn(&PortTraffic) -> u64| row.ports.iter().map(get).sum::<u64>();
    let listed = [port(|p| p.packets) + row.other_ports.packets, port(|p| p.wire_bytes) + row.other_ports.wire_bytes];
    assert_eq!(listed, total, "ports: {row:?}");
    assert!(row.ports.len() <= 8 && (row.other_ports.ports == 0 || row.ports.len() == 8), "ports: {row:?}");

    let rule = |get: fn(&EvidenceCounts) -> u64| row.evidence.iter().map(|(_, counts)| get(counts)).sum::<u64>();
    assert_eq!([rule(|e| e.packets), rule(|e| e.wire_bytes)], total, "evidence: {row:?}");
    assert_eq!(rule(|e| e.flows), row.flows.started, "evidence: {row:?}");

    let flows = &row.flows;
    assert_eq!(flows.started, flows.active + flows.ended, "flows: {row:?}");
    assert!(flows.evicted <= flows.ended && flows.unanswered <= flows.ended, "flows: {row:?}");
    assert!(!is_final || flows.active == 0, "flows: {row:?}");

    assert!(row.later_fragments.packets <= row.packets, "{row:?}");
    let sizes = row.packet_size_bytes.as_ref().map(|sizes| [sizes.count, sizes.sum]);
    assert_eq!(sizes, Some(total), "packet sizes: {row:?}");
    let durations = row.flow_duration_us.as_ref().map_or(0, |durations| durations.count);
    assert_eq!(durations, flows.ended, "durations: {row:?}");
    for summary in summaries(row).into_iter().flatten() {
        assert_is_ordered(summary);
    }
}

fn summaries(row: &ServiceRow) -> [Option<&Summary>; 4] {
    [&row.packet_size_bytes, &row.gap_us, &row.flow_duration_us, &row.handshake_rtt_us].map(Option::as_ref)
}

fn assert_is_ordered(summary: &Summary) {
    let quantiles = [Some(summary.min), summary.p50, summary.p90, summary.p99, Some(summary.max)];
    assert!(quantiles.iter().flatten().is_sorted(), "{summary:?}");
    assert!(summary.count > 0 && summary.sum >= summary.max, "{summary:?}");
    assert!((summary.min..=summary.max).contains(&(summary.sum / summary.count)), "{summary:?}");
    if let Some(shape) = &summary.shape {
        assert_eq!(shape.steps().map(|(_, count)| count).sum::<u64>(), summary.count, "{summary:?}");
        let first = shape.steps().next().map(|(smallest, _)| smallest);
        assert!(first.is_some_and(|first| first <= summary.min), "{summary:?}");
    }
}

/// The intervals of snapshots are multiples of their step, and their parts of each row add up to the last one's.
pub fn assert_intervals_add_up(snapshots: &[Arc<Snapshot>], step: Duration) {
    let step = i64::try_from(step.as_nanos()).expect("not centuries");
    let mut sums: BTreeMap<_, [u64; 4]> = BTreeMap::new();
    for snapshot in snapshots {
        let open = snapshot.interval.as_ref().expect("an interval");
        let is_at_the_end_of_time = open.start == Timestamp::MIN || open.end == Timestamp::MAX;
        assert!(is_at_the_end_of_time || open.start.as_nanos().rem_euclid(step) == 0, "{open:?}");
        let len = i128::from(open.end.as_nanos()) - i128::from(open.start.as_nanos());
        let is_a_step =
            if snapshot.source.kind == SourceKind::File { len == step.into() } else { len % i128::from(step) == 0 };
        assert!(is_at_the_end_of_time || len > 0 && is_a_step, "{open:?}");
        for row in &snapshot.services {
            let part = row.interval.as_ref().expect("an interval");
            let sizes = part.packet_size_bytes.as_ref().map_or(0, |sizes| sizes.count);
            let parts = [part.packets, part.wire_bytes, part.flows_started, sizes];
            sums.entry(key(row)).or_default().iter_mut().zip(parts).for_each(|(sum, part)| *sum += part);
        }
    }
    let last = snapshots.last().expect("a final snapshot");
    let of_row = |row: &Arc<ServiceRow>| (key(row), [row.packets, row.wire_bytes, row.flows.started, row.packets]);
    assert_eq!(sums, last.services.iter().map(of_row).collect());
}

/// What flow records say of each service: the sum of what they counted.
pub fn by_records(events: &[Event]) -> BTreeMap<(Option<String>, Transport), [u64; 4]> {
    let mut sums = BTreeMap::new();
    for event in events {
        if let Event::Flow(record) = event {
            let sum: &mut [u64; 4] =
                sums.entry((record.service.as_deref().map(str::to_owned), record.transport)).or_default();
            let parts = [
                record.to_server.packets,
                record.to_server.wire_bytes,
                record.from_server.packets,
                record.from_server.wire_bytes,
            ];
            sum.iter_mut().zip(parts).for_each(|(sum, part)| *sum += part);
        }
    }
    sums
}

/// The same of the rows of a snapshot.
pub fn by_rows(snapshot: &Snapshot) -> BTreeMap<(Option<String>, Transport), [u64; 4]> {
    let parts = |row: &ServiceRow| {
        let (to, from) = (row.to_server, row.from_server);
        [to.packets, to.wire_bytes, from.packets, from.wire_bytes]
    };
    snapshot.services.iter().map(|row| (key(row), parts(row))).collect()
}

/// What a row is called.
pub fn key(row: &ServiceRow) -> (Option<String>, Transport) {
    (row.service.as_deref().map(str::to_owned), row.transport)
}

/// The counters that are smaller in the later of two snapshots.
pub fn fallen(earlier: &Snapshot, later: &Snapshot) -> Vec<String> {
    let totals = |s: &Snapshot| {
        let flows = s.flows;
        [s.packets, s.wire_bytes, s.time_jumps, flows.started, flows.ended, flows.evicted, flows.unanswered]
    };
    let mut fallen = Vec::new();
    if totals(earlier).into_iter().zip(totals(later)).any(|(before, now)| now < before) {
        fallen.push(format!("totals from {:?} to {:?}", totals(earlier), totals(later)));
    }
    for before in &earlier.services {
        let same = |row: &&Arc<ServiceRow>| (&row.service, row.transport) == (&before.service, before.transport);
        let Some(now) = later.services.iter().find(same) else {
            fallen.push(format!("{:?} is gone", key(before)));
            continue;
        };
        for column in COLUMNS.iter().filter(|column| column.kind == ColumnKind::Counter) {
            let (Value::Count(before), Value::Count(now)) = ((column.get)(before), (column.get)(now)) else { continue };
            if now < before {
                fallen.push(format!("{} from {before} to {now}", column.name));
            }
        }
    }
    for before in &earlier.portless {
        let now = later.portless.iter().find(|now| now.reason == before.reason);
        if now.is_none_or(|now| now.packets < before.packets || now.wire_bytes < before.wire_bytes) {
            fallen.push(format!("from {before:?} to {now:?}"));
        }
    }
    fallen
}
