//! The families of metrics, in no format yet. This is the list that the README's table repeats.

use std::collections::BTreeMap;

use super::super::human::printable;
use super::series::{Buckets, DURATION_LIMITS_US, RTT_LIMITS_US, SIZE_LIMITS_BYTES, Series, Tally};
use crate::snapshot::{EvidenceCounts, InterfaceDrops, PortlessRow, Snapshot};

/// A family: samples with the same name and meaning.
#[derive(Clone, Debug)]
pub(super) struct Family {
    /// Its name, without the `_total` that samples of counters have.
    pub(super) name: &'static str,
    /// What it means, as a sentence.
    pub(super) help: &'static str,
    pub(super) samples: Samples,
}

/// The samples of a family, by its type.
#[derive(Clone, Debug)]
pub(super) enum Samples {
    /// They never fall.
    Counter(Vec<Sample<u64>>),
    /// They rise and fall.
    Gauge(Vec<Sample<f64>>),
    /// Distributions.
    Histogram(Vec<Sample<Histogram>>),
}

/// A value, and what it is of.
#[derive(Clone, Debug)]
pub(super) struct Sample<T> {
    pub(super) labels: Vec<(&'static str, String)>,
    pub(super) value: T,
}

/// A distribution in the unit of its family.
#[derive(Clone, Debug)]
pub(super) struct Histogram {
    /// Number of values.
    pub(super) count: u64,
    /// Their sum.
    pub(super) sum: f64,
    /// Upper limits (`le`), and the values up to each that are above the one before.
    pub(super) buckets: Vec<(f64, u64)>,
}

impl Family {
    const fn counter(name: &'static str, help: &'static str, samples: Vec<Sample<u64>>) -> Self {
        Self { name, help, samples: Samples::Counter(samples) }
    }

    const fn gauge(name: &'static str, help: &'static str, samples: Vec<Sample<f64>>) -> Self {
        Self { name, help, samples: Samples::Gauge(samples) }
    }

    /// There is something to say. A family without samples is left out: neither form has a place for it.
    pub(super) fn has_samples(&self) -> bool {
        match &self.samples {
            Samples::Counter(samples) => !samples.is_empty(),
            Samples::Gauge(samples) => !samples.is_empty(),
            Samples::Histogram(samples) => !samples.is_empty(),
        }
    }
}

impl<T> Sample<T> {
    fn bare(value: T) -> Self {
        Self { labels: Vec::new(), value }
    }

    fn labelled(name: &'static str, label: &str, value: T) -> Self {
        Self { labels: vec![(name, label.to_owned())], value }
    }
}

/// What there is to say before any snapshot.
pub(super) fn of_program() -> Vec<Family> {
    vec![Family::gauge(
        "portlabel_build_info",
        "Always 1; the label is the version of the program.",
        vec![Sample::labelled("version", env!("CARGO_PKG_VERSION"), 1.0)],
    )]
}

/// What is told of a run as a whole.
pub(super) fn of_run(snapshot: &Snapshot) -> Vec<Family> {
    let timestamp = snapshot.ts.map(|ts| Sample::bare(seconds_since_epoch(ts.as_nanos())));
    let portless = |value: fn(&PortlessRow) -> u64| {
        snapshot.portless.iter().map(|row| Sample::labelled("reason", row.reason, value(row))).collect()
    };
    let drops = |value: fn(&InterfaceDrops) -> Option<u64>| {
        // people look at metrics too, and the text has no escapes for what a terminal would obey: names that are alike
        // without it are one series
        let mut lost: BTreeMap<String, u64> = BTreeMap::new();
        for (name, drops) in snapshot.drops.interfaces.iter().flatten() {
            if let Some(packets) = value(drops) {
                let sum = lost.entry(printable(name)).or_default();
                *sum = sum.saturating_add(packets);
            }
        }
        lost.iter().map(|(name, packets)| Sample::labelled("interface", name, *packets)).collect()
    };
    let evidence = evidence(snapshot);
    let named = |value: fn(&EvidenceCounts) -> u64| {
        let samples = evidence.iter().map(|((rule, transport), counts)| Sample {
            labels: vec![("evidence", (*rule).to_owned()), ("transport", (*transport).to_owned())],
            value: value(counts),
        });
        samples.collect()
    };
    let bare = |value| vec![Sample::bare(value)];
    vec![
        Family::gauge(
            "portlabel_snapshot_timestamp_seconds",
            "Packet time up to which everything is counted, in seconds since the Unix epoch.",
            timestamp.into_iter().collect(),
        ),
        Family::counter("portlabel_read_packets", "Packets read, after the filter.", bare(snapshot.packets)),
        Family::counter("portlabel_read_bytes", "Bytes on the wire of packets read.", bare(snapshot.wire_bytes)),
        Family::counter(
            "portlabel_portless_packets",
            "Packets that have no ports, by reason.",
            portless(|row| row.packets),
        ),
        Family::counter(
            "portlabel_portless_bytes",
            "Bytes on the wire of packets that have no ports, by reason.",
            portless(|row| row.wire_bytes),
        ),
        Family::counter("portlabel_evidence_flows", "Flows by the rule that named them.", named(|counts| counts.flows)),
        Family::counter(
            "portlabel_evidence_packets",
            "Packets by the rule that named their flow.",
            named(|counts| counts.packets),
        ),
        Family::counter(
            "portlabel_evidence_bytes",
            "Bytes on the wire by the rule that named their flow.",
            named(|counts| counts.wire_bytes),
        ),
        Family::counter(
            "portlabel_kernel_drops",
            "Packets that the kernel dropped because the buffer was full.",
            drops(|drops| drops.kernel),
        ),
        Family::counter(
            "portlabel_interface_drops",
            "Packets that the interface or its driver dropped.",
            drops(|drops| drops.interface),
        ),
        Family::counter(
            "portlabel_time_jumps",
            "How often packet time jumped by more than an hour.",
            bare(snapshot.time_jumps),
        ),
        Family::counter(
            "portlabel_learned_forgotten",
            "Endpoints that the rule learned forgot to make room.",
            bare(snapshot.learned_forgotten),
        ),
        Family::counter(
            "portlabel_histograms_refused",
            "How often a distribution had to do without buckets because the memory for them was used up.",
            bare(snapshot.histograms_refused),
        ),
    ]
}

/// What each rule named, by its name and transport.
fn evidence(snapshot: &Snapshot) -> BTreeMap<(&'static str, &'static str), EvidenceCounts> {
    let mut sums: BTreeMap<_, EvidenceCounts> = BTreeMap::new();
    for row in &snapshot.services {
        for (rule, counts) in &row.evidence {
            let sum = sums.entry((*rule, row.transport.name())).or_default();
            sum.flows += counts.flows;
            sum.packets += counts.packets;
            sum.wire_bytes += counts.wire_bytes;
        }
    }
    sums
}

/// What is told service by service.
pub(super) fn of_services(series: &Series) -> Vec<Family> {
    let flows = |value: fn(&Tally) -> u64| by_service(series, |tally| Some(value(tally)));
    let active = by_service(series, |tally| Some(real(tally.flows.active)));
    vec![
        Family::counter(
            "portlabel_packets",
            "Packets by service and direction.",
            by_direction(series, |tally| (tally.to_server.packets, tally.from_server.packets)),
        ),
        Family::counter(
            "portlabel_bytes",
            "Bytes on the wire by service and direction.",
            by_direction(series, |tally| (tally.to_server.wire_bytes, tally.from_server.wire_bytes)),
        ),
        Family::counter("portlabel_flows_started", "Flows seen.", flows(|tally| tally.flows.started)),
        Family::counter("portlabel_flows_ended", "Flows that ended.", flows(|tally| tally.flows.ended)),
        Family::counter(
            "portlabel_flows_evicted",
            "Flows that ended early because the table of flows was full.",
            flows(|tally| tally.flows.evicted),
        ),
        Family::counter(
            "portlabel_flows_unanswered",
            "Flows that ended without a packet from the server.",
            flows(|tally| tally.flows.unanswered),
        ),
        Family::gauge("portlabel_flows_active", "Flows that are open.", active),
        Family {
            name: "portlabel_packet_size_bytes",
            help: "Bytes on the wire, packet by packet.",
            samples: Samples::Histogram(by_service(series, |tally| {
                // half a byte above the last whole one
                histogram(&tally.packet_size_bytes, &SIZE_LIMITS_BYTES, real, |limit| real(limit) - 0.5)
            })),
        },
        Family {
            name: "portlabel_handshake_rtt_seconds",
            help: "Time from a TCP SYN to the client's first ACK.",
            samples: Samples::Histogram(by_service(series, |tally| {
                histogram(&tally.handshake_rtt_us, &RTT_LIMITS_US, seconds, seconds)
            })),
        },
        Family {
            name: "portlabel_flow_duration_seconds",
            help: "Time from the first packet of a flow to its last, for flows that ended.",
            samples: Samples::Histogram(by_service(series, |tally| {
                histogram(&tally.flow_duration_us, &DURATION_LIMITS_US, seconds, seconds)
            })),
        },
    ]
}

/// A sample for each series that has a value.
fn by_service<T>(series: &Series, value: impl Fn(&Tally) -> Option<T>) -> Vec<Sample<T>> {
    let samples = series.iter().filter_map(|(owner, transport, tally)| {
        let labels = vec![("service", owner.label().to_owned()), ("transport", transport.name().to_owned())];
        Some(Sample { labels, value: value(tally)? })
    });
    samples.collect()
}

/// Two samples for each series: to the server, and from it.
fn by_direction(series: &Series, values: impl Fn(&Tally) -> (u64, u64)) -> Vec<Sample<u64>> {
    let both = by_service(series, |tally| Some(values(tally))).into_iter().flat_map(|Sample { labels, value }| {
        [("to_server", value.0), ("from_server", value.1)].map(|(direction, value)| {
            let mut labels = labels.clone();
            labels.push(("direction", direction.to_owned()));
            Sample { labels, value }
        })
    });
    both.collect()
}

/// A distribution in the unit of its family; `None` without values.
fn histogram<const N: usize>(
    buckets: &Buckets<N>,
    limits: &[u64; N],
    sum: fn(u64) -> f64,
    le: fn(u64) -> f64,
) -> Option<Histogram> {
    (buckets.count > 0).then(|| Histogram {
        count: buckets.count,
        sum: sum(buckets.sum),
        buckets: limits.iter().zip(buckets.within).map(|(limit, within)| (le(*limit), within)).collect(),
    })
}

/// Whole numbers are exact up to 2^53; Prometheus has no others.
#[expect(clippy::cast_precision_loss, reason = "see above")]
pub(super) fn real(number: u64) -> f64 {
    number as f64
}

fn seconds(microseconds: u64) -> f64 {
    real(microseconds) / 1e6
}

#[expect(clippy::cast_precision_loss, reason = "within a microsecond")]
fn seconds_since_epoch(nanoseconds: i64) -> f64 {
    nanoseconds as f64 / 1e9
}
