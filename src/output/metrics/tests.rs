//! The promises of metrics, held against random runs, and both forms of the text against each other.
#![expect(clippy::float_cmp, reason = "counts are whole numbers")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::super::sample;
use super::series::{DURATION_LIMITS_US, RTT_LIMITS_US, SIZE_LIMITS_BYTES};
use super::{Exposition, Metrics};
use crate::snapshot::{
    Drops, EvidenceCounts, FlowCounts, Hdr, InterfaceDrops, ServiceRow, Shape, Snapshot, Summary, Traffic,
};
use crate::units::Transport;

/// A sample of a text: its name and its labels.
type Name = (String, BTreeMap<String, String>);

/// The samples of a text, by name and labels. The numbers of `le` are in one form.
fn samples(text: &str) -> BTreeMap<Name, f64> {
    let mut found = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').expect("a value");
        let (name, inside) = name.split_once('{').unwrap_or((name, "}"));
        let mut rest = inside.strip_suffix('}').expect("an end");
        let mut labels = BTreeMap::new();
        while let Some((label, behind)) = rest.split_once("=\"") {
            let (value, behind) = unescaped(behind);
            let label = label.trim_start_matches(',').to_owned();
            let le = value.parse().ok().filter(|_| label == "le");
            labels.insert(label, le.map_or(value, |le: f64| le.to_string()));
            rest = behind;
        }
        let value = value.parse().expect("a number");
        assert_eq!(found.insert((name.to_owned(), labels), value), None, "twice: {line}");
    }
    found
}

/// The value of a label up to its closing quote, and what is behind that.
fn unescaped(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &text[at + 1..]),
            '\\' => match chars.next().expect("something escaped").1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            _ => value.push(c),
        }
    }
    panic!("no closing quote: {text}");
}

/// The text of a state in both forms, which say the same.
fn text_of(metrics: &Metrics) -> String {
    let (plain, open) = (metrics.encode(Exposition::Prometheus), metrics.encode(Exposition::OpenMetrics));
    assert!(open.ends_with("\n# EOF\n"));
    assert_eq!(samples(&plain), samples(&open));
    plain
}

fn after(snapshots: &[Snapshot], max_services: usize) -> Metrics {
    let mut metrics = Metrics::new(max_services);
    for snapshot in snapshots {
        metrics.update(snapshot);
    }
    metrics
}

/// The snapshot of all formats' tests, with the shapes that its numbers allow, and drops.
fn sample_with_shapes() -> Snapshot {
    let mut snapshot = sample::snapshot();
    let https = Arc::make_mut(&mut snapshot.services[0]);
    let sizes = Shape::of([(60, 4_000), (127, 1_000), (128, 600), (1_430, 400), (1_514, 6_000)].into_iter());
    https.packet_size_bytes.as_mut().expect("is there").shape = sizes;
    let round_trips = Shape::of([(180, 10), (1_024, 70), (20_100, 10)].into_iter());
    https.handshake_rtt_us.as_mut().expect("is there").shape = round_trips;
    snapshot.drops = Drops {
        kernel: Some(12),
        interface: None,
        interfaces: Some(BTreeMap::from([
            ("eth0".to_owned(), InterfaceDrops { kernel: Some(12), interface: Some(0) }),
            ("eth1".to_owned(), InterfaceDrops { kernel: Some(0), interface: None }),
        ])),
    };
    snapshot
}

#[test]
fn texts_are_as_reviewed() {
    let metrics = after(&[sample_with_shapes()], 200);
    sample::assert_golden("metrics.prom", &text_of(&metrics));
    sample::assert_golden("metrics.openmetrics", &metrics.encode(Exposition::OpenMetrics));
}

#[test]
fn there_is_something_to_say_before_any_snapshot() {
    let text = text_of(&Metrics::new(200));
    let want = concat!("portlabel_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1");
    assert_eq!(text.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>(), [want]);
    text_of(&after(&[sample::empty()], 200));
}

#[test]
fn names_of_users_are_escaped() {
    let name = "a\"b\\c\nd}e,f=\"g\\n";
    let mut snapshot = sample::snapshot();
    Arc::make_mut(&mut snapshot.services[0]).service = Some(name.into());
    let found = samples(&text_of(&after(&[snapshot], 200)));
    let has_it = |((_, labels), _): (&Name, _)| labels.get("service").is_some_and(|found| found == name);
    assert_eq!(found.iter().filter(|sample| has_it(*sample)).count(), 2 + 2 + 5 + 12 + 20 + 16);
}

#[test]
fn open_metrics_go_to_those_who_ask_for_them() {
    let open = [
        "application/openmetrics-text",
        "Application/OpenMetrics-Text; Version=1.0.0",
        "application/openmetrics-text;version=\"1.0.0\",*/*;q=0.1",
        // Prometheus 2 and 3
        "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
    ];
    let plain = [
        "",
        "*/*",
        "text/plain;version=0.0.4",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        "application/openmetrics-text;version=0.0.1",
        "application/openmetrics-text;version=2.0.0",
        "application/openmetrics-text;q=0",
        "application/openmetrics-text;q=x",
        "application/openmetrics-text;q=NaN",
        "application/openmetrics-text;q=0.5,text/plain",
        ";=,;q=;;,=",
    ];
    for accept in open {
        assert_eq!(Exposition::accepted(accept), Exposition::OpenMetrics, "{accept}");
    }
    for accept in plain {
        assert_eq!(Exposition::accepted(accept), Exposition::Prometheus, "{accept}");
    }
}

#[test]
fn limits_are_where_steps_begin() {
    for limit in [&SIZE_LIMITS_BYTES[..], &RTT_LIMITS_US, &DURATION_LIMITS_US].concat() {
        let first = |value| Shape::of([(value, 1)].into_iter()).and_then(|shape| shape.steps().next());
        assert_eq!(first(limit), Some((limit, 1)));
        assert!(first(limit - 1) < first(limit));
    }
}

#[test]
fn limits_are_written_alike_by_everyone() {
    let metrics = after(&[sample_with_shapes()], 200);
    let limits = |form| -> BTreeSet<String> {
        let text = metrics.encode(form);
        let limits = text.split("le=\"").skip(1).map(|behind| behind.split('"').next().expect("a quote").to_owned());
        limits.collect()
    };
    let found = limits(Exposition::Prometheus);
    assert_eq!(found, limits(Exposition::OpenMetrics));
    assert_eq!(found.len(), 9 + 17 + 13 - 7 + 1, "seven limits are of round trips and of durations; one is infinite");
    for limit in found.iter().filter(|limit| *limit != "+Inf") {
        let number: f64 = limit.parse().expect("a number");
        // a whole one has a point in some programs and none in others; a small one has an exponent in some
        assert!(number.fract() != 0.0 && (1e-4..1e15).contains(&number), "{limit}");
    }
}

/// What happens in a run of a few services.
#[derive(Clone, Debug)]
enum Happening {
    /// A packet of the row at `row`.
    Packet { row: usize, from_server: bool, len: u64 },
    /// A flow of a row that begins.
    Start { row: usize },
    /// A flow of a row that ends, if one is open; its round trip and duration.
    End { row: usize, rtt_us: u64, duration_us: u64 },
    /// A snapshot.
    Snapshot,
}

fn any_happening() -> impl Strategy<Value = Happening> {
    let row = 0..ROWS.len();
    let time = || (0..40_u32).prop_flat_map(|bits| 0..=(1_u64 << bits));
    prop_oneof![
        6 => (row.clone(), any::<bool>(), 14..70_000_u64)
            .prop_map(|(row, from_server, len)| Happening::Packet { row, from_server, len }),
        2 => row.clone().prop_map(|row| Happening::Start { row }),
        2 => (row, time(), time()).prop_map(|(row, rtt_us, duration_us)| Happening::End { row, rtt_us, duration_us }),
        1 => Just(Happening::Snapshot),
    ]
}

/// The rows of random runs: services on one transport and on two, and unlabelled ones.
const ROWS: [(Option<&str>, Transport); 8] = [
    (Some("a"), Transport::Tcp),
    (Some("a"), Transport::Udp),
    (Some("b"), Transport::Tcp),
    (Some("c"), Transport::Tcp),
    (Some("d"), Transport::Sctp),
    (Some("e"), Transport::Tcp),
    (None, Transport::Tcp),
    (None, Transport::Udp),
];

/// With more values than these a row has no shape any more, in runs where memory is used up.
const FEW: usize = 4;

#[derive(Clone, Debug, Default)]
struct Row {
    to_server: Traffic,
    from_server: Traffic,
    flows: FlowCounts,
    sizes_bytes: Vec<u64>,
    rtts_us: Vec<u64>,
    durations_us: Vec<u64>,
}

/// A run as it happens.
#[derive(Debug)]
struct Run {
    rows: [Row; ROWS.len()],
    has_memory: bool,
}

impl Run {
    fn happen(&mut self, happening: &Happening) {
        match *happening {
            Happening::Packet { row, from_server, len } => {
                let row = &mut self.rows[row];
                let direction = if from_server { &mut row.from_server } else { &mut row.to_server };
                *direction += Traffic { packets: 1, wire_bytes: len };
                row.sizes_bytes.push(len);
            }
            Happening::Start { row } => {
                self.rows[row].flows += FlowCounts { started: 1, active: 1, ..FlowCounts::default() };
            }
            Happening::End { row, rtt_us, duration_us } if self.rows[row].flows.active > 0 => {
                let row = &mut self.rows[row];
                row.flows.active -= 1;
                let unanswered = rtt_us % 2;
                row.flows += FlowCounts { ended: 1, evicted: duration_us % 2, unanswered, ..FlowCounts::default() };
                row.rtts_us.push(rtt_us);
                row.durations_us.push(duration_us);
            }
            Happening::End { .. } | Happening::Snapshot => {}
        }
    }

    fn summary(&self, values: &[u64]) -> Option<Summary> {
        let has_shape = self.has_memory || values.len() <= FEW;
        let shape = if has_shape { Shape::of(values.iter().map(|value| (*value, 1))) } else { None };
        let (min, max) = (*values.iter().min()?, *values.iter().max()?);
        let (count, sum) = (values.len() as u64, values.iter().sum());
        Some(Summary { count, sum, min, mean: 0.0, p50: None, p90: None, p99: None, max, shape, hdr: Hdr::default() })
    }

    fn snapshot(&self) -> Snapshot {
        let occurred = ROWS.iter().zip(&self.rows).filter(|(_, row)| !row.sizes_bytes.is_empty());
        let template = &sample::snapshot().services[0];
        let services: Vec<_> = occurred
            .map(|((service, transport), row)| {
                let mut all = row.to_server;
                all += row.from_server;
                let Traffic { packets, wire_bytes } = all;
                Arc::new(ServiceRow {
                    service: service.map(Arc::from),
                    transport: *transport,
                    packets,
                    wire_bytes,
                    to_server: row.to_server,
                    from_server: row.from_server,
                    flows: row.flows,
                    evidence: vec![("system", EvidenceCounts { flows: row.flows.started, packets, wire_bytes })],
                    packet_size_bytes: self.summary(&row.sizes_bytes),
                    handshake_rtt_us: self.summary(&row.rtts_us),
                    flow_duration_us: self.summary(&row.durations_us),
                    ..template.as_ref().clone()
                })
            })
            .collect();
        let packets = services.iter().map(|row| row.packets).sum();
        let wire_bytes = services.iter().map(|row| row.wire_bytes).sum();
        Snapshot { packets, wire_bytes, services, portless: Vec::new(), ..sample::snapshot() }
    }

    /// How many values of all rows are at most `limit`.
    fn up_to(&self, values: fn(&Row) -> &[u64], limit: f64) -> f64 {
        let values = self.rows.iter().filter(|row| !row.sizes_bytes.is_empty()).flat_map(values);
        real(values.filter(|value| real(**value) <= limit).count() as u64)
    }
}

fn real(number: u64) -> f64 {
    super::families::real(number)
}

/// The sum of a family's samples, as far as their labels are `like` these.
fn total(samples: &BTreeMap<Name, f64>, name: &str, like: &[(&str, &str)]) -> f64 {
    let is_like = |labels: &BTreeMap<String, String>| {
        like.iter().all(|(label, value)| labels.get(*label).is_some_and(|found| found == value))
    };
    samples
        .iter()
        .filter(|((found, labels), _)| found == name && is_like(labels))
        .fold(0.0, |sum, (_, value)| sum + value)
}

/// The families whose values may fall.
const GAUGES: [&str; 2] = ["portlabel_flows_active", "portlabel_snapshot_timestamp_seconds"];

proptest! {
    // each has many snapshots, of hundreds of samples
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_falls_and_everything_adds_up(
        happenings in prop::collection::vec(any_happening(), 1..200),
        max_services in 0..6_usize,
        has_memory in any::<bool>(),
    ) {
        let mut run = Run { rows: Default::default(), has_memory };
        let mut metrics = Metrics::new(max_services);
        let mut before: BTreeMap<Name, f64> = BTreeMap::new();
        for happening in happenings.iter().chain([&Happening::Snapshot]) {
            run.happen(happening);
            if !matches!(happening, Happening::Snapshot) {
                continue;
            }
            let snapshot = run.snapshot();
            metrics.update(&snapshot);
            let now = samples(&metrics.encode(Exposition::Prometheus));

            for (name, value) in before.iter().filter(|((name, _), _)| !GAUGES.contains(&name.as_str())) {
                let found = now.get(name).copied();
                prop_assert!(found.is_some_and(|found| found >= *value), "{name:?} falls from {value} to {found:?}");
            }

            let total = |name: &str, like: &[(&str, &str)]| total(&now, name, like);
            let sum = |value: fn(&ServiceRow) -> u64| real(snapshot.services.iter().map(|row| value(row)).sum());
            prop_assert_eq!(total("portlabel_packets_total", &[]), real(snapshot.packets));
            prop_assert_eq!(total("portlabel_bytes_total", &[]), real(snapshot.wire_bytes));
            prop_assert_eq!(total("portlabel_packets_total", &[("direction", "to_server")]), sum(|row| row.to_server.packets));
            prop_assert_eq!(total("portlabel_bytes_total", &[("direction", "from_server")]), sum(|row| row.from_server.wire_bytes));
            prop_assert_eq!(total("portlabel_flows_started_total", &[]), sum(|row| row.flows.started));
            prop_assert_eq!(total("portlabel_flows_ended_total", &[]), sum(|row| row.flows.ended));
            prop_assert_eq!(total("portlabel_flows_evicted_total", &[]), sum(|row| row.flows.evicted));
            prop_assert_eq!(total("portlabel_flows_unanswered_total", &[]), sum(|row| row.flows.unanswered));
            prop_assert_eq!(total("portlabel_flows_active", &[]), sum(|row| row.flows.active));
            prop_assert_eq!(total("portlabel_evidence_packets_total", &[]), real(snapshot.packets));

            let distributions: [(&str, fn(&Row) -> &[u64], &[u64], f64); 3] = [
                ("portlabel_packet_size_bytes", |row| &row.sizes_bytes, &SIZE_LIMITS_BYTES, 1.0),
                ("portlabel_handshake_rtt_seconds", |row| &row.rtts_us, &RTT_LIMITS_US, 1e6),
                ("portlabel_flow_duration_seconds", |row| &row.durations_us, &DURATION_LIMITS_US, 1e6),
            ];
            for (name, values, limits, per_unit) in distributions {
                let count = run.up_to(values, f64::INFINITY);
                prop_assert_eq!(total(&format!("{name}_count"), &[]), count);
                prop_assert_eq!(total(&format!("{name}_bucket"), &[("le", "inf")]), count);
                let counts = now.iter().filter(|((found, _), _)| *found == format!("{name}_count"));
                for ((_, labels), count) in counts {
                    let of_series = |(found, of): &&Name| {
                        *found == format!("{name}_bucket") && labels.iter().all(|(label, value)| of.get(label) == Some(value))
                    };
                    prop_assert!(now.keys().filter(of_series).all(|bucket| now[bucket] <= *count), "{name} {labels:?}");
                }
                for limit in limits {
                    let below = real(*limit) - 0.5;
                    let le = if per_unit > 1.0 { real(*limit) / per_unit } else { below };
                    let bucket = total(&format!("{name}_bucket"), &[("le", &le.to_string())]);
                    let exact = run.up_to(values, below);
                    prop_assert!(bucket <= exact && (bucket == exact || !has_memory), "{name} {le}: {bucket} of {exact}");
                }
            }

            let own: BTreeSet<_> = now
                .keys()
                .filter(|(name, labels)| name == "portlabel_packets_total" && !["other", "unlabelled"].contains(&labels["service"].as_str()))
                .map(|(_, labels)| (labels["service"].clone(), labels["transport"].clone()))
                .collect();
            let answered = snapshot.services.iter().filter(|row| row.service.is_some() && row.from_server.packets > 0);
            prop_assert_eq!(own.len(), answered.count().min(max_services));
            before = now;
        }
        text_of(&metrics);
    }
}

#[test]
fn what_was_told_under_other_stays_there() {
    let first = sample::snapshot();
    let mut second = first.clone();
    // domain over TCP gets its first answer
    let row =
        Arc::make_mut(second.services.iter_mut().rev().find(|row| row.from_server.packets == 0).expect("is there"));
    assert_eq!((row.service.as_deref(), row.transport), (Some("domain"), Transport::Tcp));
    row.from_server = Traffic { packets: 3, wire_bytes: 300 };
    row.to_server += Traffic { packets: 1, wire_bytes: 74 };
    (row.packets, row.wire_bytes) = (6, 522);
    row.flows.active = 1;
    let mut metrics = after(&[first], 200);
    let other = [("service", "other"), ("transport", "tcp")];
    let own = [("service", "domain"), ("transport", "tcp")];
    let packets = |metrics: &Metrics, like: &[_]| total(&samples(&text_of(metrics)), "portlabel_packets_total", like);
    assert_eq!((packets(&metrics, &other), packets(&metrics, &own)), (2.0, 0.0));
    metrics.update(&second);
    assert_eq!((packets(&metrics, &other), packets(&metrics, &own)), (2.0, 4.0));
    let active = |like: &[_]| total(&samples(&text_of(&metrics)), "portlabel_flows_active", like);
    assert_eq!((active(&other), active(&own)), (0.0, 1.0));
}

#[test]
fn series_are_bounded_whatever_the_traffic() {
    const MAX_SERVICES: usize = 20;
    let mut run = Run { rows: Default::default(), has_memory: true };
    for happening in [
        Happening::Packet { row: 0, from_server: true, len: 100 },
        Happening::Start { row: 0 },
        Happening::End { row: 0, rtt_us: 1, duration_us: 1 },
    ] {
        run.happen(&happening);
    }
    let mut snapshot = run.snapshot();
    let row = snapshot.services[0].clone();
    snapshot.services = (0..12_000 * Transport::ALL.len())
        .map(|at| {
            let service = if at < 5 { None } else { Some(format!("service-{}", at / 5).into()) };
            Arc::new(ServiceRow { service, transport: Transport::ALL[at % 5], ..row.as_ref().clone() })
        })
        .collect();
    let found = samples(&text_of(&after(&[snapshot], MAX_SERVICES)));
    let of_services = found.keys().filter(|(_, labels)| labels.contains_key("service")).count();
    // their own, `other` and `unlabelled` on each transport; what the README says of each
    assert_eq!(of_services, (MAX_SERVICES + 2 * Transport::ALL.len()) * 57);
    assert!(found.len() - of_services < 250, "{}", found.len() - of_services);
}
