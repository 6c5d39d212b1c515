use super::tracker::SILENT_SNAPSHOTS;
use super::*;
use crate::decode::Handshake;
use crate::decode::{Observation, Portless, Segment};
use crate::snapshot::{Drops, FlowEnd, SourceInfo, SourceKind, TcpFlags};
use crate::units::Transport;
use crate::units::{AddressWords, IpVersion};

const SECOND: i64 = 1_000_000_000;
const SYN: u8 = 0x02;
const SYN_ACK: u8 = 0x12;
const ACK: u8 = 0x10;
const FIN_ACK: u8 = 0x11;
const RST: u8 = 0x04;

fn engine(limits: Limits, interval: Option<Duration>) -> Engine {
    let source = SourceInfo { kind: SourceKind::File, names: vec![], host: None, filter: None };
    Engine::new(
        &EngineConfig { limits, interval, flow_records: true, shapes: true, ..EngineConfig::default() },
        source.into(),
        Registry::builtin(),
    )
}

/// A packet between client 10.0.0.1 and server 10.0.0.2, port 80; `client` tells flows apart.
fn tcp(nanos: i64, client: u16, from_client: bool, flags: u8) -> Observation {
    packet(nanos, Transport::Tcp, client, from_client, flags)
}

fn packet(nanos: i64, transport: Transport, client: u16, from_client: bool, tcp_flags: u8) -> Observation {
    let client_port = 50_000 + client;
    let (client, server) = (AddressWords::v4([10, 0, 0, 1]), AddressWords::v4([10, 0, 0, 2]));
    let (src, dst) =
        if from_client { ((client, client_port), (server, 80)) } else { ((server, 80), (client, client_port)) };
    let handshake = match tcp_flags {
        SYN => Handshake::Open,
        SYN_ACK => Handshake::Accept,
        _ => Handshake::None,
    };
    let segment = Segment {
        src_addr: src.0,
        dst_addr: dst.0,
        src_port: src.1,
        dst_port: dst.1,
        ip_version: IpVersion::V4,
        transport,
        handshake,
        tcp_flags,
        to_group: false,
        later_fragment: false,
        tunnels: 0,
    };
    Observation { ts: Timestamp::from_nanos(nanos), wire_len: 100, outcome: Ok(segment) }
}

fn run(engine: &mut Engine, packets: &[Observation]) -> (Vec<FlowRecord>, Vec<Arc<Snapshot>>) {
    let keyer = engine.keyer();
    let packets: Vec<_> = packets.iter().map(|packet| keyer.packet(packet)).collect();
    engine.ingest(&packets);
    engine.finish(RunEnd::Complete);
    let (mut flows, mut snapshots) = (Vec::new(), Vec::new());
    for event in engine.drain_events() {
        match event {
            Event::Flow(record) => flows.push(*record),
            Event::Snapshot(snapshot) => snapshots.push(snapshot),
        }
    }
    (flows, snapshots)
}

#[test]
fn flows_end_for_a_reason() {
    use FlowEnd::{Active, Closed, Evicted, Final, Idle, Reopened, Reset};
    let minute = 60 * SECOND;
    let close = [
        tcp(0, 1, true, SYN),
        tcp(1, 1, false, SYN_ACK),
        tcp(2000, 1, true, ACK),
        tcp(3000, 1, true, FIN_ACK),
        tcp(4000, 1, false, FIN_ACK),
    ];
    let with = |more: &[Observation]| [&close[..], more].concat();
    let udp_of = |nanos, client| packet(nanos, Transport::Udp, client, true, 0);
    let udp = |nanos| udp_of(nanos, 1);
    let limits = Limits { max_flows: 2, active: Some(Duration::from_secs(10)), ..Limits::default() };
    let cases = [
        ("open at the end", close[..3].to_vec(), vec![(Final, 3)]),
        ("closed", close.to_vec(), vec![(Closed, 5)]),
        ("late packets of a closed flow", with(&[tcp(SECOND, 1, true, ACK)]), vec![(Closed, 6)]),
        ("reopened", with(&[tcp(SECOND, 1, true, SYN)]), vec![(Reopened, 5), (Final, 1)]),
        ("repeated SYN", vec![close[0], tcp(SECOND, 1, true, SYN)], vec![(Final, 2)]),
        ("reset", vec![close[0], tcp(1, 1, false, RST)], vec![(Reset, 2)]),
        ("idle", vec![close[0], tcp(5 * minute + 1, 1, true, ACK)], vec![(Idle, 1), (Final, 1)]),
        ("idle, noticed by another flow", with(&[udp(5 * minute + 4001)]), vec![(Closed, 5), (Final, 1)]),
        ("UDP idles sooner", vec![udp(0), udp(2 * minute + 1)], vec![(Idle, 1), (Final, 1)]),
        ("not idle yet", vec![udp(0), udp(2 * minute)], vec![(Active, 1), (Final, 1)]),
        (
            "evicted: the least recently seen",
            vec![tcp(0, 1, true, ACK), tcp(1, 2, true, ACK), tcp(2, 1, true, ACK), tcp(3, 3, true, ACK)],
            vec![(Evicted, 1), (Final, 2), (Final, 1)],
        ),
        (
            "evicted when no flow of the other transports is left",
            vec![tcp(0, 1, true, ACK), udp_of(6 * minute, 1), udp_of(6 * minute, 2), udp_of(6 * minute + 1, 3)],
            vec![(Idle, 1), (Evicted, 1), (Final, 1), (Final, 1)],
        ),
        (
            "cut by the active timeout",
            vec![tcp(0, 1, true, ACK), tcp(9 * SECOND, 1, true, ACK), tcp(10 * SECOND, 1, true, ACK)],
            vec![(Active, 2), (Final, 1)],
        ),
    ];
    for (name, packets, want) in cases {
        let (flows, snapshots) = run(&mut engine(limits, None), &packets);
        let got: Vec<_> =
            flows.iter().map(|flow| (flow.end, flow.to_server.packets + flow.from_server.packets)).collect();
        assert_eq!(got, want, "{name}");
        let [last] = &snapshots[..] else { panic!("{name}: one snapshot") };
        let counts = last.flows;
        assert_eq!((counts.active, counts.started), (0, counts.ended), "{name}");
        assert_eq!(last.packets, packets.len() as u64, "{name}");
    }
}

#[test]
fn a_silent_flow_is_over_even_after_a_jump() {
    let packets = [tcp(0, 1, true, ACK), tcp(48 * 3600 * SECOND, 1, true, ACK)];
    let (flows, snapshots) = run(&mut engine(Limits::default(), None), &packets);
    assert_eq!(flows.iter().map(|flow| flow.end).collect::<Vec<_>>(), [FlowEnd::Idle, FlowEnd::Final]);
    assert_eq!(snapshots[0].time_jumps, 1);
}

#[test]
fn one_bad_timestamp_does_not_age_the_others() {
    let day = 24 * 3600 * SECOND;
    let packets = [
        tcp(0, 1, true, ACK),
        packet(400 * day, Transport::Udp, 9, true, 0),
        tcp(SECOND, 1, true, ACK),
        tcp(2 * SECOND, 1, true, ACK),
    ];
    let (flows, snapshots) = run(&mut engine(Limits::default(), None), &packets);
    assert_eq!(flows.iter().map(|flow| flow.to_server.packets).collect::<Vec<_>>(), [3, 1]);
    assert_eq!(snapshots[0].time_jumps, 2);
}

#[test]
fn the_round_trip_is_the_clients() {
    let packets = [tcp(0, 1, true, SYN), tcp(30_000, 1, false, SYN_ACK), tcp(180_999, 1, true, ACK)];
    let (flows, snapshots) = run(&mut engine(Limits::default(), None), &packets);
    assert_eq!(flows[0].handshake_rtt_us, Some(180));
    let row = &snapshots[0].services[0];
    assert_eq!(row.handshake_rtt_us.as_ref().map(|rtt| (rtt.count, rtt.sum)), Some((1, 180)));
    assert_eq!(row.gap_us.as_ref().map(|gap| (gap.count, gap.sum)), Some((2, 30 + 150)));
    assert_eq!(flows[0].tcp_flags, Some(TcpFlags(SYN | ACK)));
}

#[test]
fn intervals_are_aligned_and_add_up() {
    let step = Duration::from_secs(1);
    let packets = [
        tcp(5 * SECOND + 1, 1, true, ACK),
        tcp(6 * SECOND - 1, 1, false, ACK),
        // nothing in [6, 8): no snapshot for it
        tcp(8 * SECOND, 1, true, ACK),
        tcp(7 * SECOND, 2, true, ACK),
        tcp(9 * SECOND, 1, true, ACK),
    ];
    let (_, snapshots) = run(&mut engine(Limits::default(), Some(step)), &packets);
    let seen: Vec<_> = snapshots
        .iter()
        .map(|s| {
            let interval = s.interval.as_ref().expect("asked for");
            let row = s.services[0].interval.as_ref().expect("asked for");
            (
                interval.start.as_nanos() / SECOND,
                interval.end.as_nanos() / SECOND,
                interval.late_packets,
                s.packets,
                row.packets,
                row.flows_started,
                s.is_final,
            )
        })
        .collect();
    assert_eq!(seen, [(5, 6, 0, 2, 2, 1, false), (8, 9, 1, 4, 2, 1, false), (9, 10, 0, 5, 1, 0, true)]);
    let last_ts: Vec<_> = snapshots.iter().filter_map(|s| Some(s.last_ts?.as_nanos())).collect();
    assert_eq!(last_ts, [6 * SECOND - 1, 8 * SECOND, 9 * SECOND], "of what was counted, not of what comes next");
    let whole = run(&mut engine(Limits::default(), None), &packets).1;
    let (mut with, without) = (snapshots[2].services.clone(), &whole[0].services);
    for row in with.iter_mut().map(Arc::make_mut) {
        row.interval = None;
    }
    assert_eq!(&with, without, "totals are the same with intervals and without");
}

#[test]
fn intervals_get_longer_with_the_capture() {
    let config = EngineConfig {
        interval: Some(Duration::from_secs(1)),
        max_intervals: Some(4),
        flow_records: true,
        ..EngineConfig::default()
    };
    let packets: Vec<_> = (1..40).map(|second| tcp(second * SECOND, 1, true, ACK)).collect();
    let source = SourceInfo { kind: SourceKind::File, names: Vec::new(), host: None, filter: None };
    let mut engine = Engine::new(&config, source.into(), Registry::builtin());
    let (_, snapshots) = run(&mut engine, &packets);
    let bounds: Vec<_> = bounds(&snapshots).into_iter().map(|(start, end, ..)| (start, end)).collect();
    let lengths: Vec<_> = bounds.iter().map(|(start, end)| end - start).collect();
    assert_eq!(lengths, [1, 1, 1, 1, 1, 2, 2, 2, 4, 4, 4, 8, 8]);
    assert!(bounds.windows(2).all(|pair| pair[0].1 == pair[1].0), "each begins where the one before ends: {bounds:?}");
    let came = snapshots.iter().map(|s| s.services[0].interval.as_ref().expect("asked for").packets);
    assert_eq!(came.sum::<u64>(), 39);
}

#[test]
fn a_row_that_did_not_change_is_shared_and_has_a_silent_interval() {
    let mut engine = engine(Limits::default(), Some(Duration::from_secs(1)));
    let packets = [
        packet(0, Transport::Udp, 1, true, 0),
        tcp(1, 2, true, ACK),
        tcp(SECOND, 2, false, ACK),
        tcp(2 * SECOND, 2, true, ACK),
        tcp(3 * SECOND, 2, true, ACK),
        // the flow over UDP ends: its row changes though no packet of it came
        tcp(200 * SECOND, 2, true, ACK),
    ];
    let (_, snapshots) = run(&mut engine, &packets);
    let rows: Vec<_> = snapshots
        .iter()
        .map(|s| s.services.iter().find(|row| row.transport == Transport::Udp).expect("it was seen"))
        .collect();
    let came: Vec<_> = rows.iter().map(|row| row.interval.as_ref().map(|interval| interval.packets)).collect();
    assert_eq!(came, [Some(1), Some(0), Some(0), Some(0), Some(0)]);
    let shared: Vec<_> = rows.windows(2).map(|pair| Arc::ptr_eq(pair[0], pair[1])).collect();
    assert_eq!(shared, [false, true, true, false]);
    assert_eq!(rows.iter().map(|row| row.flows.ended).collect::<Vec<_>>(), [0, 0, 0, 0, 1]);
}

#[test]
fn servers_are_learned_from_what_they_answer() {
    let cases = [
        ("nothing before", vec![], "strong"),
        ("an opening alone", vec![tcp(0, 1, true, SYN)], "strong"),
        ("refused", vec![tcp(0, 1, true, SYN), tcp(1, 1, false, RST)], "strong"),
        ("an answer out of nowhere", vec![tcp(0, 1, false, SYN_ACK), tcp(1, 1, false, SYN_ACK)], "strong"),
        ("an answered opening", vec![tcp(0, 1, true, SYN), tcp(1, 1, false, SYN_ACK)], "learned"),
        ("refusals alone", vec![tcp(0, 1, false, RST), tcp(1, 2, false, RST), tcp(2, 3, false, RST)], "strong"),
        ("two flows", vec![tcp(0, 1, true, ACK), tcp(1, 2, false, ACK)], "strong"),
        ("three flows", vec![tcp(0, 1, true, ACK), tcp(1, 2, false, ACK), tcp(2, 3, true, ACK)], "learned"),
        (
            "many openings without an answer",
            vec![tcp(0, 1, true, SYN), tcp(1, 2, true, SYN), tcp(2, 3, true, SYN), tcp(3, 4, true, SYN)],
            "strong",
        ),
    ];
    for (name, before, want) in cases {
        for from_client in [true, false] {
            let packets = [&before[..], &[tcp(SECOND, 9, from_client, ACK)]].concat();
            let (flows, _) = run(&mut engine(Limits::default(), None), &packets);
            let last = flows.last().expect("a flow");
            assert_eq!((last.evidence, last.port), (want, 80), "{name}");
        }
    }
}

#[test]
fn a_jump_is_counted_with_the_packet_that_jumps() {
    let day = 24 * 3600 * SECOND;
    let packets = [tcp(0, 1, true, ACK), tcp(day, 2, true, ACK), tcp(1, 1, true, ACK)];
    let (_, snapshots) = run(&mut engine(Limits::default(), Some(Duration::from_mins(1))), &packets);
    let seen: Vec<_> = snapshots.iter().map(|s| (s.packets, s.time_jumps, s.last_ts)).collect();
    let (zero, day) = (Some(Timestamp::from_nanos(0)), Some(Timestamp::from_nanos(day)));
    assert_eq!(seen, [(1, 0, zero), (2, 1, day), (3, 2, day)]);
}

#[test]
fn the_end_of_time_is_one_interval() {
    let packets = [tcp(i64::MAX, 1, true, ACK), tcp(i64::MAX, 1, true, ACK), tcp(i64::MAX, 2, true, ACK)];
    let (_, snapshots) = run(&mut engine(Limits::default(), Some(Duration::from_secs(1))), &packets);
    assert_eq!(snapshots.iter().map(|s| s.packets).collect::<Vec<_>>(), [3]);
}

#[test]
fn a_cut_record_begins_anew() {
    let limits = Limits { active: Some(Duration::from_secs(10)), ..Limits::default() };
    let packets =
        [tcp(0, 1, true, SYN), tcp(1000, 1, false, SYN_ACK), tcp(2000, 1, true, ACK), tcp(10 * SECOND, 1, true, ACK)];
    let (flows, snapshots) = run(&mut engine(limits, None), &packets);
    let seen: Vec<_> = flows
        .iter()
        .map(|f| (f.end, f.first_ts.as_nanos(), f.last_ts.as_nanos(), f.tcp_flags, f.handshake_rtt_us))
        .collect();
    let cut = (FlowEnd::Active, 0, 2000, Some(TcpFlags(SYN | ACK)), Some(2));
    assert_eq!(seen, [cut, (FlowEnd::Final, 10 * SECOND, 10 * SECOND, Some(TcpFlags(ACK)), None)]);
    assert_eq!(snapshots[0].services[0].gap_us.as_ref().map(|gap| gap.count), Some(3));
}

#[test]
fn a_flow_that_idles_within_an_interval_ends_in_it() {
    let packets = [tcp(0, 1, true, ACK), tcp(290 * SECOND, 2, true, ACK), tcp(310 * SECOND, 3, true, ACK)];
    let (_, snapshots) = run(&mut engine(Limits::default(), Some(Duration::from_secs(305))), &packets);
    assert_eq!(snapshots.iter().map(|s| s.flows.ended).collect::<Vec<_>>(), [1, 3]);
}

/// What there is to say is taken in pieces, and is the same as if it were said at once.
#[test]
fn flows_that_idle_together_end_in_pieces() {
    let flows = 15_000_u16;
    let opening = (0..flows).map(|client| tcp(i64::from(client), client, true, ACK));
    let later = [200, 500, 501].map(|second| tcp(second * SECOND, flows, true, ACK));
    let packets: Vec<_> = opening.chain(later).collect();
    let limits = Limits { tcp_idle: Some(Duration::from_secs(100)), ..Limits::default() };
    // they end in the first interval, which the packet after it closes, or without intervals before that packet
    for interval in [Some(Duration::from_secs(150)), None] {
        let mut pieces = engine(limits, interval);
        let (keyer, mut said, mut most) = (pieces.keyer(), Vec::new(), 0);
        let packets_to_count: Vec<_> = packets.iter().map(|packet| keyer.packet(packet)).collect();
        let mut rest = &packets_to_count[..];
        while !rest.is_empty() {
            rest = &rest[pieces.ingest_some(rest)..];
            let before = said.len();
            said.extend(pieces.drain_events());
            most = most.max(said.len() - before);
        }
        while pieces.finish_some(RunEnd::Complete) {}
        said.extend(pieces.drain_events());
        assert!(most < 5_000, "{most} events at once");

        let (records, snapshots) = run(&mut engine(limits, interval), &packets);
        let ended: Vec<_> = snapshots.iter().map(|snapshot| snapshot.flows.ended).collect();
        let all = u64::from(flows);
        assert_eq!(ended, if interval.is_some() { vec![all, all, all + 2] } else { vec![all + 2] });
        assert_eq!(records.iter().filter(|record| record.end == FlowEnd::Idle).count() as u64, all + 1);
        let (mut in_pieces, mut at_once) = (Vec::new(), records.into_iter());
        for event in said {
            match event {
                Event::Flow(record) => assert_eq!(Some(*record), at_once.next()),
                Event::Snapshot(snapshot) => in_pieces.push(snapshot),
            }
        }
        assert_eq!((in_pieces, at_once.next()), (snapshots, None));
    }
}

#[test]
fn portless_packets_are_counted_too() {
    let arp = |nanos| Observation { ts: Timestamp::from_nanos(nanos), wire_len: 42, outcome: Err(Portless::Arp) };
    let (_, snapshots) = run(&mut engine(Limits::default(), None), &[arp(5), tcp(6, 1, true, SYN), arp(4)]);
    let last = &snapshots[0];
    assert_eq!((last.packets, last.wire_bytes), (3, 184));
    assert_eq!((last.first_ts, last.last_ts), (Some(Timestamp::from_nanos(4)), Some(Timestamp::from_nanos(6))));
    let rows: Vec<_> = last.portless.iter().map(|row| (row.reason, row.packets, row.wire_bytes)).collect();
    assert_eq!(rows, [("arp", 2, 84)]);
    assert_eq!(last.services[0].flows.unanswered, 1);
}

fn live_engine(step: Duration) -> Engine {
    let names = vec!["eth0".to_owned(), "eth1".to_owned()];
    let source = SourceInfo { kind: SourceKind::Live, names, host: Some("h".to_owned()), filter: None };
    let config = EngineConfig { interval: Some(step), flow_records: true, ..EngineConfig::default() };
    Engine::new(&config, source.into(), Registry::builtin())
}

fn snapshots(engine: &mut Engine) -> Vec<Arc<Snapshot>> {
    let snapshots = engine.drain_events().filter_map(|event| match event {
        Event::Snapshot(snapshot) => Some(snapshot),
        Event::Flow(_) => None,
    });
    snapshots.collect()
}

fn bounds(snapshots: &[Arc<Snapshot>]) -> Vec<(i64, i64, bool, u64)> {
    let interval = |snapshot: &Arc<Snapshot>| {
        let interval = snapshot.interval.clone().expect("asked for");
        let (start, end) = (interval.start.as_nanos() / SECOND, interval.end.as_nanos() / SECOND);
        (start, end, interval.complete, snapshot.packets)
    };
    snapshots.iter().map(interval).collect()
}

#[test]
fn live_intervals_tick_without_packets() {
    let mut engine = live_engine(Duration::from_secs(1));
    engine.begin(Timestamp::from_nanos(5 * SECOND + 1));
    engine.tick(Timestamp::from_nanos(5 * SECOND - 100));
    assert_eq!(snapshots(&mut engine), [], "what is settled is a little behind");
    engine.tick(Timestamp::from_nanos(6 * SECOND));
    assert_eq!(bounds(&snapshots(&mut engine)), [(5, 6, false, 0)], "the capture began within the first one");
    engine.tick(Timestamp::from_nanos(8 * SECOND + 1));
    assert_eq!(bounds(&snapshots(&mut engine)), [(6, 7, true, 0), (7, 8, true, 0)]);
    let packet = engine.keyer().packet(&tcp(10 * SECOND, 1, true, ACK));
    engine.ingest(&[packet]);
    assert_eq!(bounds(&snapshots(&mut engine)), [(8, 9, true, 0), (9, 10, true, 0)]);
    engine.tick(Timestamp::from_nanos(11 * SECOND + 5));
    engine.finish(RunEnd::Stopped);
    let last = snapshots(&mut engine);
    assert_eq!(bounds(&last), [(10, 11, true, 1), (11, 12, false, 1)]);
    assert_eq!(last[1].ts, Some(Timestamp::from_nanos(11 * SECOND + 5)), "though the last packet was before it");
}

#[test]
fn flows_end_when_time_passes_without_packets() {
    let mut engine = live_engine(Duration::from_mins(1));
    let packet = engine.keyer().packet(&packet(0, Transport::Udp, 1, true, 0));
    engine.ingest(&[packet]);
    engine.tick(Timestamp::from_nanos(119 * SECOND));
    engine.tick(Timestamp::from_nanos(121 * SECOND));
    engine.tick(Timestamp::from_nanos(180 * SECOND));
    let ended: Vec<_> = snapshots(&mut engine).iter().map(|snapshot| snapshot.flows.ended).collect();
    assert_eq!(ended, [0, 0, 1], "two minutes after its last packet");
}

#[test]
fn losses_belong_to_the_open_interval_and_add_up() {
    let mut engine = live_engine(Duration::from_secs(1));
    let lost = |kernel, interface| Losses { received: 0, kernel, interface };
    engine.begin(Timestamp::from_nanos(0));
    engine.count_losses(0, &lost(3, Some(0)));
    engine.tick(Timestamp::from_nanos(SECOND));
    engine.count_losses(0, &lost(0, Some(2)));
    engine.count_losses(1, &lost(4, None));
    engine.tick(Timestamp::from_nanos(2 * SECOND));
    engine.tick(Timestamp::from_nanos(3 * SECOND));
    engine.count_losses(1, &Losses::NONE);
    engine.count_losses(7, &lost(100, Some(100)));
    engine.finish(RunEnd::Stopped);
    let seen: Vec<_> = snapshots(&mut engine)
        .iter()
        .map(|snapshot| {
            let interval = snapshot.interval.clone().expect("asked for");
            let of = |drops: &Drops| (drops.kernel, drops.interface);
            (of(&interval.drops), of(&snapshot.drops), interval.complete)
        })
        .collect();
    let want = [
        ((Some(3), Some(0)), (Some(3), Some(0)), false),
        ((Some(4), Some(2)), (Some(7), Some(2)), false),
        ((Some(0), Some(0)), (Some(7), Some(2)), true),
        ((Some(0), Some(0)), (Some(7), Some(2)), false),
    ];
    assert_eq!(seen, want);
}

#[test]
fn every_interface_has_its_losses() {
    let mut engine = live_engine(Duration::from_secs(1));
    engine.count_losses(0, &Losses { received: 9, kernel: 3, interface: Some(1) });
    engine.count_losses(1, &Losses { received: 9, kernel: 0, interface: None });
    engine.finish(RunEnd::Complete);
    let drops = &snapshots(&mut engine)[0].drops;
    let named = drops.interfaces.as_ref().expect("a live capture tells");
    let of = |name: &str| named.get(name).map(|drops| (drops.kernel, drops.interface));
    assert_eq!((of("eth0"), of("eth1")), (Some((Some(3), Some(1))), Some((Some(0), None))));
}

#[test]
fn a_wall_clock_that_is_set_starts_anew() {
    for (name, to) in [("back a little", 40), ("back a day", 100 - 86_400), ("forth a day", 100 + 86_400)] {
        let mut engine = live_engine(Duration::from_secs(1));
        engine.begin(Timestamp::from_nanos(100 * SECOND));
        let keyer = engine.keyer();
        engine.ingest(&[keyer.packet(&tcp(100 * SECOND + 5, 1, true, ACK))]);
        engine.tick(Timestamp::from_nanos(to * SECOND));
        engine.ingest(&[keyer.packet(&tcp(to * SECOND + 5, 1, true, ACK))]);
        engine.tick(Timestamp::from_nanos((to + 1) * SECOND));
        let seen = snapshots(&mut engine);
        assert_eq!(bounds(&seen), [(100, 101, false, 1), (to, to + 1, true, 2)], "{name}");
        assert_eq!(seen[1].time_jumps, 1, "{name}");
    }
}

#[test]
fn a_machine_that_slept_reports_no_flood_of_silence() {
    let mut engine = live_engine(Duration::from_secs(1));
    engine.begin(Timestamp::from_nanos(0));
    let (mut seen, mut more) = (Vec::new(), true);
    while more {
        more = engine.tick_some(Timestamp::from_nanos(1000 * SECOND));
        let now = snapshots(&mut engine);
        assert!(now.len() <= 16, "{} snapshots at once", now.len());
        seen.extend(now);
    }
    let skipped = seen.iter().map(|snapshot| snapshot.interval.clone().expect("asked for").skipped_snapshots);
    assert_eq!(skipped.collect::<Vec<_>>()[..3], [0, 999 - SILENT_SNAPSHOTS, 0]);
    let reported = bounds(&seen);
    assert_eq!(reported.len() as u64, 1 + SILENT_SNAPSHOTS);
    assert_eq!((reported[0], reported[1], reported[60]), ((0, 1, false, 0), (940, 941, true, 0), (999, 1000, true, 0)));
    engine.tick(Timestamp::from_nanos(1001 * SECOND));
    assert_eq!(bounds(&snapshots(&mut engine)), [(1000, 1001, true, 0)]);
}

/// Intervals that are too short for what a snapshot takes would have counting do nothing else.
#[test]
fn live_intervals_are_as_long_as_their_snapshots_take() {
    let mut engine = live_engine(Duration::from_micros(300));
    let packet = |micros: i64| tcp(micros * 1000, u16::try_from(micros).expect("few"), true, ACK);
    engine.begin(Timestamp::from_nanos(0));
    let keyer = engine.keyer();
    let packets: Vec<_> = (0..5000).map(packet).map(|packet| keyer.packet(&packet)).collect();
    engine.ingest(&packets);
    engine.finish(RunEnd::Stopped);
    let intervals: Vec<_> = snapshots(&mut engine)
        .iter()
        .map(|snapshot| {
            let interval = snapshot.interval.clone().expect("asked for");
            let packets: u64 = snapshot.services.iter().filter_map(|row| Some(row.interval.as_ref()?.packets)).sum();
            (interval.start.as_nanos() / 1000, interval.end.as_nanos() / 1000, packets)
        })
        .collect();
    // a hundred rows' time for what every snapshot takes, and one row after the first packets
    assert_eq!(
        intervals,
        [(0, 1200, 1200), (1200, 2400, 1200), (2400, 3600, 1200), (3600, 4800, 1200), (4800, 6000, 200)]
    );
}

#[test]
fn snapshots_that_nobody_took_are_told_by_the_next() {
    let mut engine = live_engine(Duration::from_secs(1));
    engine.begin(Timestamp::from_nanos(0));
    engine.count_skipped(4);
    engine.tick(Timestamp::from_nanos(2 * SECOND));
    let skipped = |snapshot: &Arc<Snapshot>| snapshot.interval.as_ref().map(|interval| interval.skipped_snapshots);
    assert_eq!(snapshots(&mut engine).iter().map(skipped).collect::<Vec<_>>(), [Some(4), Some(0)]);
}

#[test]
fn nothing_read_is_still_a_report() {
    let (flows, snapshots) = run(&mut engine(Limits::default(), Some(Duration::from_secs(1))), &[]);
    assert!(flows.is_empty() && snapshots.len() == 1);
    assert_eq!((snapshots[0].ts, snapshots[0].packets, snapshots[0].is_final), (None, 0, true));
}

/// Who gets the last histograms is decided by the order of packets and ends of flows, however many are counted together.
#[test]
fn the_last_histograms_go_to_who_comes_first() {
    let registry = Registry::builtin();
    let ports: Vec<u16> = (1..=8000).filter(|port| registry.service(Transport::Tcp, *port).is_some()).collect();
    assert!(ports.len() > 3000, "more rows than there are histograms, where each asks for two");
    // one flow a port and round; each ends when the table is full, a hundred packets later
    let flows = (0..34).flat_map(|round| ports.iter().map(move |port| (round, *port)));
    let packets: Vec<_> = (0..)
        .zip(flows)
        .map(|(nanos, (round, port))| {
            let mut opening = packet(nanos, Transport::Tcp, round, true, SYN);
            opening.outcome = opening.outcome.map(|segment| Segment { dst_port: port, ..segment });
            opening
        })
        .collect();
    let snapshots = |at_once: usize, interval| {
        let source = SourceInfo { kind: SourceKind::File, names: vec![], host: None, filter: None };
        let limits = Limits { max_flows: 100, ..Limits::default() };
        let config = EngineConfig { limits, interval, ..EngineConfig::default() };
        let mut engine = Engine::new(&config, source.into(), Registry::builtin());
        let keyer = engine.keyer();
        for some in packets.chunks(at_once) {
            engine.ingest(&some.iter().map(|packet| keyer.packet(packet)).collect::<Vec<_>>());
        }
        engine.finish(RunEnd::Complete);
        engine.drain_events().collect::<Vec<_>>()
    };
    for interval in [None, Some(Duration::from_micros(60))] {
        let want = snapshots(1, interval);
        let Some(Event::Snapshot(last)) = want.last() else { panic!("a last one") };
        assert!(last.histograms_refused > 0);
        assert_eq!(want.len() > 1, interval.is_some());
        for at_once in [17, 512, packets.len()] {
            assert!(snapshots(at_once, interval) == want, "{at_once} {interval:?}");
        }
    }
}
