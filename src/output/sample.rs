//! One literal snapshot and a few literal flows, which the tests of all formats read, and the texts in `golden/` that
//! come of them.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use crate::snapshot::{
    Drops, EvidenceCounts, FLOW_SCHEMA, FlowCounts, FlowEnd, FlowRecord, Hdr, Interval, OtherPorts, PortTraffic,
    PortlessRow, RowInterval, SNAPSHOT_SCHEMA, ServiceRow, Settings, Snapshot, SourceInfo, SourceKind, Summary,
    TcpFlags, Traffic,
};
use crate::units::{Endpoint, Timestamp, Transport};

const START: i64 = 1_769_853_600_000_000_000; // 2026-01-31T10:00:00Z

/// Compares a whole text with `golden/NAME`. `UPDATE_GOLDEN=1` writes it instead, for review.
pub(super) fn assert_golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/output/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, text).expect("golden/ can be written");
    }
    let want = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, want, "{} differs; UPDATE_GOLDEN=1 rewrites it", path.display());
}

/// A final snapshot with an interval: named, unlabelled and portless traffic, one port and many, summaries with all
/// values, without quantiles, and none. It adds up.
#[expect(clippy::too_many_lines, reason = "a literal")]
pub(crate) fn snapshot() -> Snapshot {
    let rtt = Summary {
        count: 90,
        sum: 145_800,
        min: 180,
        mean: 1_620.0,
        p50: Some(1_200),
        p90: Some(3_400),
        p99: Some(20_100),
        max: 20_100,
        hdr: Hdr::LeftOut,
        shape: None,
    };
    let mut https = row(
        "https",
        Transport::Tcp,
        (12_000, 9_876_000),
        (5_000, 876_000),
        &[(443, 11_500, 9_500_000), (8443, 500, 376_000)],
    );
    https.flows = FlowCounts { started: 100, active: 0, ended: 100, evicted: 0, unanswered: 2 };
    https.evidence = vec![
        ("handshake", EvidenceCounts { flows: 95, packets: 11_900, wire_bytes: 9_600_000 }),
        ("system", EvidenceCounts { flows: 5, packets: 100, wire_bytes: 276_000 }),
    ];
    https.packet_size_bytes = Some(Summary {
        count: 12_000,
        sum: 9_876_000,
        min: 60,
        mean: 823.0,
        p50: Some(1_430),
        p90: Some(1_514),
        p99: Some(1_514),
        max: 1_514,
        hdr: Hdr::LeftOut,
        shape: None,
    });
    https.flow_duration_us = Some(Summary {
        count: 100,
        sum: 250_000_000,
        min: 0,
        mean: 2_500_000.0,
        p50: Some(2_400_000),
        p90: Some(4_000_000),
        p99: Some(4_900_000),
        max: 4_999_999,
        hdr: Hdr::LeftOut,
        shape: None,
    });
    https.handshake_rtt_us = Some(rtt.clone());
    https.interval = Some(RowInterval {
        packets: 7,
        wire_bytes: 4_321,
        flows_started: 1,
        packet_size_bytes: Some(Summary {
            count: 7,
            sum: 4_321,
            min: 60,
            mean: 617.285_714_285_714_3,
            p50: Some(66),
            p90: Some(1_514),
            p99: Some(1_514),
            max: 1_514,
            hdr: Hdr::LeftOut,
            shape: None,
        }),
        gap_us: None,
        flow_duration_us: None,
        handshake_rtt_us: Some(Summary {
            count: 1,
            sum: 180,
            min: 180,
            mean: 180.0,
            p50: Some(180),
            p90: Some(180),
            p99: Some(180),
            max: 180,
            hdr: Hdr::LeftOut,
            shape: None,
        }),
    });

    let mut alt =
        row("http-alt", Transport::Tcp, (300, 120_000), (150, 20_000), &[(8080, 200, 80_000), (591, 40, 20_000)]);
    alt.other_ports = OtherPorts { ports: 1, packets: 60, wire_bytes: 20_000 };
    alt.evidence = vec![("handshake", EvidenceCounts { flows: 3, packets: 300, wire_bytes: 120_000 })];
    alt.flows = FlowCounts { started: 3, active: 0, ended: 3, evicted: 0, unanswered: 0 };
    alt.handshake_rtt_us = Some(Summary { p50: None, p90: None, p99: None, ..rtt });

    let mut dns = row("domain", Transport::Udp, (420, 52_500), (210, 16_800), &[(53, 420, 52_500)]);
    dns.evidence = vec![
        ("learned", EvidenceCounts { flows: 200, packets: 400, wire_bytes: 50_000 }),
        ("strong", EvidenceCounts { flows: 10, packets: 20, wire_bytes: 2_500 }),
    ];
    dns.flows = FlowCounts { started: 210, active: 0, ended: 210, evicted: 1, unanswered: 0 };
    dns.later_fragments = Traffic { packets: 4, wire_bytes: 2_000 };
    dns.gap_us = Some(Summary {
        count: 210,
        sum: 4_200_000,
        min: 150,
        mean: 20_000.0,
        p50: Some(18_000),
        p90: Some(40_000),
        p99: Some(90_000),
        max: 95_000,
        hdr: Hdr::LeftOut,
        shape: None,
    });

    let mut unlabelled = row("", Transport::Udp, (20, 4_000), (20, 4_000), &[(50_123, 12, 3_000), (60_001, 8, 1_000)]);
    unlabelled.other_ports = OtherPorts { ports: 0, packets: 0, wire_bytes: 0 };
    unlabelled.evidence = vec![("none", EvidenceCounts { flows: 7, packets: 20, wire_bytes: 4_000 })];
    unlabelled.flows = FlowCounts { started: 7, active: 0, ended: 7, evicted: 0, unanswered: 7 };

    let mut dns_tcp = row("domain", Transport::Tcp, (2, 148), (2, 148), &[(53, 2, 148)]);
    dns_tcp.evidence = vec![("handshake", EvidenceCounts { flows: 2, packets: 2, wire_bytes: 148 })];
    dns_tcp.flows = FlowCounts { started: 2, active: 0, ended: 2, evicted: 0, unanswered: 2 };

    Snapshot {
        schema: SNAPSHOT_SCHEMA,
        version: "0.1.0",
        sequence: 5,
        is_final: true,
        source: Arc::new(SourceInfo {
            kind: SourceKind::File,
            names: vec!["day.pcapng".to_owned(), "we\x1b[31mird.pcap".to_owned()],
            host: None,
            filter: None,
        }),
        settings: Arc::new(Settings {
            tcp_idle_timeout_us: Some(300_000_000),
            other_idle_timeout_us: Some(120_000_000),
            max_flows: 1_000_000,
            ..Settings::default()
        }),
        ts: Some(Timestamp::from_nanos(START + 4_999_999_000)),
        first_ts: Some(Timestamp::from_nanos(START + 1)),
        last_ts: Some(Timestamp::from_nanos(START + 4_999_999_000)),
        packets: 12_754,
        wire_bytes: 10_053_448,
        time_jumps: 0,
        drops: Drops::default(),
        flows: FlowCounts { started: 322, active: 0, ended: 322, evicted: 1, unanswered: 11 },
        learned_forgotten: 0,
        histograms_refused: 1,
        interval: Some(Interval {
            start: Timestamp::from_nanos(START + 4_000_000_000),
            end: Timestamp::from_nanos(START + 5_000_000_000),
            drops: Drops::default(),
            complete: true,
            late_packets: 0,
            skipped_snapshots: 0,
        }),
        services: [https, alt, dns, unlabelled, dns_tcp].map(Arc::new).into(),
        portless: vec![
            PortlessRow { reason: "icmp", packets: 8, wire_bytes: 680 },
            PortlessRow { reason: "arp", packets: 4, wire_bytes: 120 },
        ],
    }
}

/// A snapshot of a run that read nothing.
pub(super) fn empty() -> Snapshot {
    Snapshot {
        sequence: 1,
        source: Arc::new(SourceInfo {
            kind: SourceKind::File,
            names: vec!["-".to_owned()],
            host: None,
            filter: Some("tcp port 1".to_owned()),
        }),
        ts: None,
        first_ts: None,
        last_ts: None,
        packets: 0,
        wire_bytes: 0,
        flows: FlowCounts::default(),
        learned_forgotten: 0,
        histograms_refused: 0,
        interval: None,
        services: Vec::new(),
        portless: Vec::new(),
        ..snapshot()
    }
}

/// A row without flows, evidence and summaries; an empty name is unlabelled. Its interval is quiet.
fn row(
    name: &str,
    transport: Transport,
    (packets, wire_bytes): (u64, u64),
    to_server: (u64, u64),
    ports: &[(u16, u64, u64)],
) -> ServiceRow {
    ServiceRow {
        service: (!name.is_empty()).then(|| name.into()),
        transport,
        packets,
        wire_bytes,
        to_server: Traffic { packets: to_server.0, wire_bytes: to_server.1 },
        from_server: Traffic { packets: packets - to_server.0, wire_bytes: wire_bytes - to_server.1 },
        later_fragments: Traffic::default(),
        ports: ports.iter().map(|&(port, packets, wire_bytes)| PortTraffic { port, packets, wire_bytes }).collect(),
        other_ports: OtherPorts::default(),
        flows: FlowCounts::default(),
        evidence: Vec::new(),
        packet_size_bytes: None,
        gap_us: None,
        flow_duration_us: None,
        handshake_rtt_us: None,
        interval: Some(RowInterval {
            packets: 0,
            wire_bytes: 0,
            flows_started: 0,
            packet_size_bytes: None,
            gap_us: None,
            flow_duration_us: None,
            handshake_rtt_us: None,
        }),
    }
}

/// A TCP flow with everything known, and a UDP flow over IPv6 with everything `null` that can be.
pub(super) fn flows() -> [FlowRecord; 2] {
    let end = |addr: &str, port| Endpoint { addr: addr.parse().expect("an address"), port };
    [
        FlowRecord {
            schema: FLOW_SCHEMA,
            transport: Transport::Tcp,
            client: end("10.0.0.5", 51_812),
            server: end("10.0.0.9", 443),
            service: Some("https".into()),
            port: 443,
            evidence: "handshake",
            first_ts: Timestamp::from_nanos(START + 1),
            last_ts: Timestamp::from_nanos(START + 5_000_000_000),
            to_server: Traffic { packets: 5, wire_bytes: 900 },
            from_server: Traffic { packets: 5, wire_bytes: 2_400 },
            later_fragments: Traffic::default(),
            tunnels: 0,
            tcp_flags: Some(TcpFlags(0x1b)),
            handshake_rtt_us: Some(180),
            end: FlowEnd::Closed,
        },
        FlowRecord {
            schema: FLOW_SCHEMA,
            transport: Transport::Udp,
            client: end("2001:db8::5", 60_001),
            server: end("2001:db8::9", 50_123),
            service: None,
            port: 50_123,
            evidence: "none",
            first_ts: Timestamp::from_nanos(START),
            last_ts: Timestamp::from_nanos(START),
            to_server: Traffic { packets: 1, wire_bytes: 1_300 },
            from_server: Traffic::default(),
            later_fragments: Traffic { packets: 1, wire_bytes: 300 },
            tunnels: 1,
            tcp_flags: None,
            handshake_rtt_us: None,
            end: FlowEnd::Final,
        },
    ]
}
