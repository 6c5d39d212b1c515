//! Two reports, number by number: `portlabel.diff/1`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use crate::report::Report;
use crate::snapshot::{Drops, FlowCounts, ServiceRow, Snapshot, SourceInfo, Summary};
use crate::units::{Timestamp, Transport};

/// A change by less than this is none: it would be printed as 0.0 %.
const STILL_PERCENT: f64 = 0.05;
/// A percentile has shifted when it has moved by more than this. Each of the two is within 1 %.
const SHIFT_PERCENT: f64 = 5.0;
/// And when at least so many values lie beyond it in both reports: with fewer, which value happens to have that rank is
/// chance.
const BEYOND_MIN: u64 = 50;

/// What is different. The order of keys is that of the document.
#[derive(Debug, Serialize)]
pub(super) struct Comparison<'r> {
    schema: &'static str,
    pub(super) basis: Basis,
    pub(super) before: Side<'r>,
    pub(super) after: Side<'r>,
    pub(super) wire_bytes_change_percent: Option<f64>,
    pub(super) packets_change_percent: Option<f64>,
    pub(super) services: Vec<Change<Name<'r>>>,
    pub(super) unchanged_services: u64,
    pub(super) portless: Vec<Change<Reason>>,
    pub(super) unchanged_reasons: u64,
    pub(super) fail_over_percent: Option<f64>,
    pub(super) failed_services: u64,
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Basis {
    /// What came in a second, on average from the first packet to the last.
    Rate,
    /// What came in all.
    Total,
}

/// One report as a whole.
#[derive(Debug, Serialize)]
pub(super) struct Side<'r> {
    #[serde(skip)]
    pub(super) name: &'r str,
    pub(super) source: &'r SourceInfo,
    first_ts: Option<Timestamp>,
    last_ts: Option<Timestamp>,
    pub(super) span_us: u64,
    pub(super) packets: u64,
    pub(super) wire_bytes: u64,
    flows: FlowCounts,
    pub(super) drops: &'r Drops,
}

/// A service, or a reason, that differs.
#[derive(Debug, Serialize)]
pub(super) struct Change<N> {
    #[serde(flatten)]
    pub(super) name: N,
    pub(super) status: Status,
    pub(super) before: Option<Volume>,
    pub(super) after: Option<Volume>,
    pub(super) wire_bytes_change_percent: Option<f64>,
    pub(super) packets_change_percent: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) percentiles: Option<Vec<Shift>>,
}

/// What a row of services is called.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Name<'r> {
    pub(super) service: Option<&'r str>,
    pub(super) transport: Transport,
}

/// What a row of packets without ports is called.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Reason {
    pub(super) reason: &'static str,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    /// It is in the later report alone.
    New,
    /// It is in the earlier report alone.
    Gone,
    /// It is in both.
    Moved,
}

/// How much there was of it. Shares are of all bytes of the report.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Volume {
    pub(super) packets: u64,
    pub(super) wire_bytes: u64,
    pub(super) wire_bytes_share_percent: f64,
}

/// A percentile that has shifted, in the unit that ends the key of its quantity.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Shift {
    pub(super) quantity: &'static str,
    pub(super) percentile: u8,
    pub(super) before: u64,
    pub(super) after: u64,
    pub(super) change_percent: Option<f64>,
}

impl<'r> Comparison<'r> {
    /// Compares by rates where both reports have a time span, unless totals are asked for.
    pub(super) fn new(before: &'r Report, after: &'r Report, totals: bool, fail_over_percent: Option<f64>) -> Self {
        let (before, after) = (Side::of(before), Side::of(after));
        let by_rate = !totals && before.1.span_us > 0 && after.1.span_us > 0;
        let basis = if by_rate { Basis::Rate } else { Basis::Total };
        let scale = Scale {
            before_us: if by_rate { before.1.span_us } else { 1 },
            after_us: if by_rate { after.1.span_us } else { 1 },
        };
        let ((old, before), (new, after)) = (before, after);
        let (services, unchanged_services) = services(old, new, scale);
        let (portless, unchanged_reasons) = portless(old, new, scale);
        let failed = |change: &&Change<_>| fail_over_percent.is_some_and(|over| change.is_over(over));
        Self {
            schema: "portlabel.diff/1",
            basis,
            wire_bytes_change_percent: scale.change_percent(before.wire_bytes, after.wire_bytes),
            packets_change_percent: scale.change_percent(before.packets, after.packets),
            before,
            after,
            failed_services: services.iter().filter(failed).count() as u64,
            services,
            unchanged_services,
            portless,
            unchanged_reasons,
            fail_over_percent,
        }
    }

    /// A service has moved by more than is allowed.
    pub(super) fn is_failed(&self) -> bool {
        self.failed_services > 0
    }
}

impl<'r> Side<'r> {
    fn of(report: &'r Report) -> (&'r Snapshot, Self) {
        let Report { name, snapshot, .. } = report;
        let span = snapshot.first_ts.zip(snapshot.last_ts).map_or(0, |(first, last)| last.nanos_since(first));
        let side = Self {
            name,
            source: &snapshot.source,
            first_ts: snapshot.first_ts,
            last_ts: snapshot.last_ts,
            span_us: span / 1000,
            packets: snapshot.packets,
            wire_bytes: snapshot.wire_bytes,
            flows: snapshot.flows,
            drops: &snapshot.drops,
        };
        (snapshot, side)
    }
}

impl<N> Change<N> {
    /// Its bytes have changed by more percent than that. What is new has changed by more than any number, and what is gone by
    /// 100.
    pub(super) fn is_over(&self, percent: f64) -> bool {
        self.wire_bytes_change_percent.map_or(self.status == Status::New, |change| change.abs() > percent)
    }
}

/// What amounts are divided by before they are compared.
#[derive(Clone, Copy, Debug)]
struct Scale {
    before_us: u64,
    after_us: u64,
}

impl Scale {
    /// By how much `after` is more than `before`, in percent; `None` when there was nothing before.
    #[expect(clippy::cast_precision_loss, reason = "a percentage is a real number")]
    fn change_percent(self, before: u64, after: u64) -> Option<f64> {
        let (was, is) = (before as f64 * self.after_us as f64, after as f64 * self.before_us as f64);
        match (before, after) {
            (0, 0) => Some(0.0),
            (0, _) => None,
            _ => Some((is - was) / was * 100.0),
        }
    }

    /// How far a volume is from another, to order changes by: bytes, or bytes a microsecond.
    #[expect(clippy::cast_precision_loss, reason = "an order needs no more")]
    fn distance(self, before: Option<Volume>, after: Option<Volume>) -> f64 {
        let bytes = |volume: Option<Volume>, us: u64| volume.map_or(0.0, |volume| volume.wire_bytes as f64 / us as f64);
        (bytes(after, self.after_us) - bytes(before, self.before_us)).abs()
    }

    /// The row, or `None` if nothing of it has changed.
    fn change<N>(
        self,
        name: N,
        before: Option<Volume>,
        after: Option<Volume>,
        percentiles: Option<Vec<Shift>>,
    ) -> Option<Change<N>> {
        let status = match (before, after) {
            (None, Some(_)) => Status::New,
            (Some(_), None) => Status::Gone,
            _ => Status::Moved,
        };
        let change =
            |of: fn(&Volume) -> u64| self.change_percent(before.as_ref().map_or(0, of), after.as_ref().map_or(0, of));
        let (bytes, packets) = (change(|volume| volume.wire_bytes), change(|volume| volume.packets));
        let is_still = |change: Option<f64>| change.is_some_and(|change| change.abs() < STILL_PERCENT);
        let is_same = status == Status::Moved
            && is_still(bytes)
            && is_still(packets)
            && percentiles.as_ref().is_none_or(Vec::is_empty);
        (!is_same).then_some(Change {
            name,
            status,
            before,
            after,
            wire_bytes_change_percent: bytes,
            packets_change_percent: packets,
            percentiles,
        })
    }
}

/// Whatever is in either report, by its name.
fn paired<K: Ord, R>(
    before: impl Iterator<Item = (K, R)>,
    after: impl Iterator<Item = (K, R)>,
) -> Vec<(K, [Option<R>; 2])> {
    let mut pairs: BTreeMap<K, [Option<R>; 2]> = BTreeMap::new();
    let empty = || [None, None];
    before.for_each(|(key, row)| pairs.entry(key).or_insert_with(empty)[0] = Some(row));
    after.for_each(|(key, row)| pairs.entry(key).or_insert_with(empty)[1] = Some(row));
    pairs.into_iter().collect()
}

/// The services that differ, those first whose bytes do most, and how many do not.
fn services<'r>(before: &'r Snapshot, after: &'r Snapshot, scale: Scale) -> (Vec<Change<Name<'r>>>, u64) {
    let rows = |snapshot: &'r Snapshot| {
        snapshot.services.iter().map(|row: &'r Arc<ServiceRow>| ((row.service.as_deref(), row.transport), &**row))
    };
    let pairs = paired(rows(before), rows(after));
    let count = pairs.len();
    let changed = pairs.into_iter().filter_map(|((service, transport), [old, new])| {
        let volume = |row: Option<&ServiceRow>, whole| row.map(|row| Volume::of(row.packets, row.wire_bytes, whole));
        let shifts = old.zip(new).map_or_else(Vec::new, |(old, new)| shifts(old, new));
        let (old, new) = (volume(old, before), volume(new, after));
        scale.change(Name { service, transport }, old, new, Some(shifts))
    });
    sorted(changed.collect(), count, scale)
}

/// The same for packets without ports.
fn portless(before: &Snapshot, after: &Snapshot, scale: Scale) -> (Vec<Change<Reason>>, u64) {
    let pairs = paired(before.portless.iter().map(|r| (r.reason, r)), after.portless.iter().map(|r| (r.reason, r)));
    let count = pairs.len();
    let changed = pairs.into_iter().filter_map(|(reason, [old, new])| {
        let old = old.map(|row| Volume::of(row.packets, row.wire_bytes, before));
        let new = new.map(|row| Volume::of(row.packets, row.wire_bytes, after));
        scale.change(Reason { reason }, old, new, None)
    });
    sorted(changed.collect(), count, scale)
}

fn sorted<N>(mut changes: Vec<Change<N>>, count: usize, scale: Scale) -> (Vec<Change<N>>, u64) {
    changes.sort_by(|a, b| scale.distance(b.before, b.after).total_cmp(&scale.distance(a.before, a.after)));
    let unchanged = (count - changes.len()) as u64;
    (changes, unchanged)
}

impl Volume {
    #[expect(clippy::cast_precision_loss, reason = "a percentage is a real number")]
    fn of(packets: u64, wire_bytes: u64, whole: &Snapshot) -> Self {
        let share = if whole.wire_bytes == 0 { 0.0 } else { wire_bytes as f64 / whole.wire_bytes as f64 * 100.0 };
        Self { packets, wire_bytes, wire_bytes_share_percent: share }
    }
}

/// The percentiles of a service that have shifted.
fn shifts(before: &ServiceRow, after: &ServiceRow) -> Vec<Shift> {
    let pairs = before.summaries().into_iter().zip(after.summaries());
    let pairs = pairs.filter_map(|((quantity, old), (_, new))| Some((quantity, old?, new?)));
    pairs.flat_map(|(quantity, old, new)| shifts_of(quantity, old, new)).collect()
}

fn shifts_of(quantity: &'static str, old: &Summary, new: &Summary) -> impl Iterator<Item = Shift> {
    let count = old.count.min(new.count);
    let percentiles = [(50_u8, old.p50, new.p50), (90, old.p90, new.p90), (99, old.p99, new.p99)];
    percentiles.into_iter().filter_map(move |(percentile, before, after)| {
        let (before, after) = before.zip(after)?;
        let beyond = u128::from(count) * u128::from(100 - percentile) / 100;
        let change_percent = Scale { before_us: 1, after_us: 1 }.change_percent(before, after);
        let has_moved = change_percent.is_none_or(|change| change.abs() > SHIFT_PERCENT);
        let shift = Shift { quantity, percentile, before, after, change_percent };
        (beyond >= BEYOND_MIN.into() && has_moved).then_some(shift)
    })
}
