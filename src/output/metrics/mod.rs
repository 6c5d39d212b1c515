//! Metrics for Prometheus: what the file of `-o prometheus` and the page's `/metrics` say, from one state.
//!
//! [`Metrics`] takes every snapshot (`series`), states it as families that belong to no format (`families`), and those
//! are encoded on demand, in either form, by a crate each (`exposition`): the forms cannot disagree.
//!
//! Three things hold whatever the traffic. No counter and no bucket ever falls. What is said of services adds up to the
//! snapshot's totals. And there are no more series than `--metrics-services` allows.

mod exposition;
mod families;
mod series;
#[cfg(test)]
mod tests;

use crate::snapshot::Snapshot;
pub(super) use exposition::Exposition;
use families::Family;
use series::Series;

/// How many services have series of their own, unless users say otherwise.
pub const DEFAULT_METRICS_SERVICES: u32 = 200;

/// What metrics are made of: as much as the snapshots so far have said.
#[derive(Debug)]
pub(super) struct Metrics {
    /// What is told service by service.
    series: Series,
    /// What is told of the whole run, as of the last snapshot.
    whole: Vec<Family>,
}

impl Metrics {
    /// Before any snapshot. At most `max_services` rows of snapshots, each a service on a transport, get series of their own.
    pub(super) fn new(max_services: usize) -> Self {
        Self { series: Series::new(max_services), whole: families::of_program() }
    }

    /// Takes a snapshot, which is later than those before it and of the same run. It needs the shapes of summaries
    /// ([`Summary::shape`](crate::snapshot::Summary::shape)): values without one are in no bucket but the last.
    pub(super) fn update(&mut self, snapshot: &Snapshot) {
        self.series.update(snapshot.services.iter().map(AsRef::as_ref));
        self.whole = families::of_program();
        self.whole.extend(families::of_run(snapshot));
    }

    /// The text of all families that have a value.
    pub(super) fn encode(&self, form: Exposition) -> String {
        let mut families = self.whole.clone();
        families.extend(families::of_services(&self.series));
        families.retain(Family::has_samples);
        form.encode(families)
    }
}
