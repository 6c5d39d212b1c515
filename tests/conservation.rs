//! The counting law and its relatives, for any packets: hand-made ones whose flows recur, among garbage.

use std::sync::Arc;
use std::time::Duration;

use portlabel::decode::Decoder;
use portlabel::engine::EngineConfig;
use portlabel::flow::Limits;
use portlabel::snapshot::Snapshot;
use portlabel::units::{Timestamp, Transport};
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::frames::{End, GROUP, Kind, Owned, Packet, counted_len, events};
use crate::laws::{
    assert_adds_up, assert_intervals_add_up, by_records, by_rows, fallen, final_snapshot, key, live_events, snapshots,
};

const SECOND: i64 = 1_000_000_000;
/// 2026-01-31T10:00:00Z, in nanoseconds.
const START: i64 = 1_769_853_600 * SECOND;

fn any_end() -> impl Strategy<Value = End> {
    // few, so that flows recur: named system, registered and dynamic ports, and nameless ones
    (1..=GROUP, select(vec![53_u16, 80, 443, 5432, 4, 40_001, 50_001, 51_820, 60_000]))
}

fn any_kind() -> impl Strategy<Value = Kind> {
    select(vec![Kind::Open, Kind::Accept, Kind::Data, Kind::Data, Kind::Data, Kind::Fin, Kind::Reset])
}

/// Time that passes from one packet to the next: usually little, sometimes minutes, sometimes backwards, rarely a jump.
fn any_gap() -> impl Strategy<Value = i64> {
    prop_oneof![
        12 => 0..2 * SECOND,
        3 => 60 * SECOND..400 * SECOND,
        2 => -5 * SECOND..0,
        1 => select(vec![-7_200 * SECOND, 7_200 * SECOND]),
    ]
}

fn any_packet() -> impl Strategy<Value = Packet> {
    let shape = (any::<bool>(), 0..3_u8, 0..11_u8, select(&Transport::ALL[..]));
    (shape, any_end(), any_end(), any_kind(), 0..40_u16, any_gap()).prop_map(
        |((is_v6, tags, extensions, transport), src, dst, kind, payload_len, ts_nanos)| Packet {
            ts_nanos,
            is_v6,
            tags,
            extensions,
            transport,
            src,
            dst,
            kind,
            payload_len,
            wire_len: 0,
        },
    )
}

/// A frame, its time still the gap to the one before: whole, cut, of another link type, or garbage.
fn any_frame() -> impl Strategy<Value = Owned> {
    let garbage = (any::<u16>(), proptest::collection::vec(any::<u8>(), 0..80), 0..5_000_u32, any_gap());
    prop_oneof![
        12 => any_packet().prop_map(|packet| packet.owned()),
        2 => (any_packet(), any::<Index>()).prop_map(|(packet, at)| {
            let mut frame = packet.owned();
            frame.data.truncate(at.index(frame.data.len()));
            frame
        }),
        1 => (any_packet(), 1_500..70_000_u32).prop_map(|(packet, wire_len)| Packet { wire_len, ..packet }.owned()),
        2 => garbage.prop_map(|(link, data, more, ts_nanos)| {
            let wire_len = u32::try_from(data.len()).expect("few bytes") + more;
            Owned { ts_nanos, wire_len, link: [0, 1, 101, 113, 276, link][usize::from(link % 6)], data }
        }),
    ]
}

fn any_frames() -> impl Strategy<Value = Vec<Owned>> {
    proptest::collection::vec(any_frame(), 0..300).prop_map(|mut frames| {
        let mut now = START;
        for frame in &mut frames {
            now += frame.ts_nanos;
            frame.ts_nanos = now;
        }
        frames
    })
}

/// Packets of which none opens or accepts a connection, and none goes to a group.
fn any_quiet_packets() -> impl Strategy<Value = Vec<Packet>> {
    proptest::collection::vec(any_packet(), 0..200).prop_map(|mut packets| {
        let mut now = START;
        for packet in &mut packets {
            now += packet.ts_nanos;
            packet.ts_nanos = now;
            packet.kind = if matches!(packet.kind, Kind::Open | Kind::Accept) { Kind::Data } else { packet.kind };
            for end in [&mut packet.src, &mut packet.dst] {
                end.0 = if end.0 == GROUP { 1 } else { end.0 };
            }
        }
        packets
    })
}

fn config(limits: Limits, interval: Option<Duration>) -> EngineConfig {
    EngineConfig { limits, interval, flow_records: true, shapes: true, ..EngineConfig::default() }
}

fn any_config() -> impl Strategy<Value = EngineConfig> {
    let idle = || prop_oneof![Just(None), (1..400_u64).prop_map(|s| Some(Duration::from_secs(s)))];
    let interval = prop_oneof![
        Just(None),
        select(vec![1, 7, 1_000, 60_000, 3_600_000_u64]).prop_map(|millis| Some(Duration::from_millis(millis)))
    ];
    let max_flows = prop_oneof![1..10_usize, Just(1_000_000)];
    (idle(), idle(), idle(), max_flows, interval).prop_map(|(tcp_idle, other_idle, active, max_flows, interval)| {
        config(Limits { tcp_idle, other_idle, active, max_flows }, interval)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn every_packet_is_counted_once(frames in any_frames(), config in any_config()) {
        let events = events(&frames, &config, 64);
        for snapshot in snapshots(&events) {
            assert_adds_up(&snapshot);
            prop_assert!(snapshot.flows.active <= config.limits.max_flows as u64);
        }
        let last = final_snapshot(&events);
        prop_assert_eq!(last.packets, frames.len() as u64);
        prop_assert_eq!(last.wire_bytes, frames.iter().map(|frame| u64::from(counted_len(&frame.frame()))).sum::<u64>());
        prop_assert_eq!(last.first_ts.map(Timestamp::as_nanos), frames.iter().map(|frame| frame.ts_nanos).min());
        prop_assert_eq!(last.last_ts.map(Timestamp::as_nanos), frames.iter().map(|frame| frame.ts_nanos).max());
        let mut decoder = Decoder::default();
        let with_ports = frames.iter().filter(|frame| decoder.decode(&frame.frame()).outcome.is_ok()).count() as u64;
        prop_assert_eq!(last.services.iter().map(|row| row.packets).sum::<u64>(), with_ports);
        // eviction, idle and active timeouts cut flows up, and lose nothing
        prop_assert_eq!(by_records(&events), by_rows(&last));
    }

    #[test]
    fn counters_never_fall_and_intervals_add_up(frames in any_frames(), config in any_config()) {
        let interval = config.interval.unwrap_or(Duration::from_secs(1));
        let events = events(&frames, &EngineConfig { interval: Some(interval), ..config }, 64);
        let snapshots = snapshots(&events);
        for (at, snapshot) in snapshots.iter().enumerate() {
            prop_assert_eq!(snapshot.sequence, at as u64 + 1);
        }
        for pair in snapshots.windows(2) {
            prop_assert_eq!(fallen(&pair[0], &pair[1]), [""; 0]);
        }
        if !frames.is_empty() {
            assert_intervals_add_up(&snapshots, interval);
        }
        // only what is older than something before it can be late
        let earlier = |at: usize| frames[..at].iter().any(|before| before.ts_nanos > frames[at].ts_nanos);
        let out_of_order = (0..frames.len()).filter(|at| earlier(*at)).count() as u64;
        let late = |snapshot: &Arc<Snapshot>| snapshot.interval.as_ref().map_or(0, |interval| interval.late_packets);
        prop_assert!(snapshots.iter().map(late).sum::<u64>() <= out_of_order);
    }

    #[test]
    fn live_intervals_add_up_however_short_they_are(
        frames in any_frames(),
        config in any_config(),
        micros in select(vec![1, 700, 1_000_000, 7_000_000, 60_000_000]),
    ) {
        let step = Duration::from_micros(micros);
        // each may have as many snapshots before it as there are for a silence
        let frames: Vec<_> = frames.iter().take(80).map(Owned::frame).collect();
        let events = live_events(&frames, &EngineConfig { interval: Some(step), ..config }, 16);
        let snapshots = snapshots(&events);
        for pair in snapshots.windows(2) {
            prop_assert_eq!(fallen(&pair[0], &pair[1]), [""; 0]);
        }
        if !frames.is_empty() {
            assert_intervals_add_up(&snapshots, step);
        }
        let last = final_snapshot(&events);
        assert_adds_up(&last);
        prop_assert_eq!(last.packets, frames.len() as u64);
        prop_assert_eq!(by_records(&events), by_rows(&last));
    }

    #[test]
    fn batches_change_nothing(frames in any_frames(), config in any_config()) {
        let want = events(&frames, &config, 1);
        for batch_len in [7, 64, 1024] {
            prop_assert_eq!(&events(&frames, &config, batch_len), &want, "{} at a time", batch_len);
        }
    }

    #[test]
    fn reversed_packets_give_the_same_services(packets in any_quiet_packets()) {
        let config = config(Limits::default(), None);
        let snapshot_of = |packets: &[Packet]| {
            let frames: Vec<_> = packets.iter().map(Packet::owned).collect();
            final_snapshot(&events(&frames, &config, 64))
        };
        let there = snapshot_of(&packets);
        let back = snapshot_of(&packets.iter().map(Packet::reversed).collect::<Vec<_>>());
        prop_assert_eq!(there.services.len(), back.services.len());
        for (there, back) in there.services.iter().zip(&back.services) {
            prop_assert_eq!(key(there), key(back));
            prop_assert_eq!([there.packets, there.wire_bytes], [back.packets, back.wire_bytes]);
            prop_assert_eq!((&there.ports, there.other_ports), (&back.ports, back.other_ports));
            prop_assert_eq!(&there.evidence, &back.evidence);
            prop_assert_eq!(there.flows.started, back.flows.started);
            prop_assert_eq!([&there.packet_size_bytes, &there.gap_us], [&back.packet_size_bytes, &back.gap_us]);
            // equal ports do not tell the ends apart: the first sender is the client, both ways
            if there.named_by("same_port").flows == 0 {
                prop_assert_eq!((there.to_server, there.from_server), (back.from_server, back.to_server));
            }
        }
    }

    #[test]
    fn both_ip_versions_give_one_report(packets in proptest::collection::vec(any_packet(), 0..200), config in any_config()) {
        let report = |is_v6: bool| {
            let mut now = START;
            let frames: Vec<_> = packets
                .iter()
                .map(|packet| {
                    now += packet.ts_nanos;
                    // the headers differ in length
                    Packet { is_v6, ts_nanos: now, wire_len: 100 + u32::from(packet.payload_len), ..packet.clone() }.owned()
                })
                .collect();
            final_snapshot(&events(&frames, &config, 64))
        };
        prop_assert_eq!(report(false), report(true));
    }
}
