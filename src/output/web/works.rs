//! What is made of snapshots beside their own text: metrics and charts, on demand, and once for all who ask.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Bytes;

use super::super::metrics::{Exposition, Metrics};
use super::super::page::{ChartQuery, History, chart};
use crate::snapshot::Snapshot;

/// Charts that are kept, and that are drawn in a [`PERIOD`]: drawing is the most that a request can ask for, and there are
/// thousands of different ones.
const MAX_CHARTS: usize = 64;
const PERIOD: Duration = Duration::from_secs(1);

/// What there is to make metrics and charts of, and what was made since the last snapshot.
#[derive(Debug)]
pub(super) struct Works {
    metrics: Metrics,
    /// By content type.
    expositions: HashMap<&'static str, Bytes>,
    history: History,
    latest: Option<Arc<Snapshot>>,
    charts: HashMap<ChartQuery, Option<Bytes>>,
    /// When the period has begun, and what was drawn in it.
    since: Instant,
    drawn: usize,
}

/// What became of a chart that was asked for.
pub(super) enum Chart {
    Svg(Bytes),
    /// There are no values, or no such service.
    Nothing,
    /// Too many others were drawn just now.
    Later,
}

impl Works {
    pub(super) fn new(metrics_services: usize) -> Self {
        Self {
            metrics: Metrics::new(metrics_services),
            expositions: HashMap::new(),
            history: History::default(),
            latest: None,
            charts: HashMap::new(),
            since: Instant::now(),
            drawn: 0,
        }
    }

    /// Takes a snapshot, later than those before it.
    pub(super) fn update(&mut self, snapshot: &Arc<Snapshot>) {
        self.metrics.update(snapshot);
        self.expositions.clear();
        self.history.update(snapshot);
        self.latest = Some(Arc::clone(snapshot));
        self.charts.clear();
    }

    /// The metrics in one form.
    pub(super) fn exposition(&mut self, form: Exposition) -> Bytes {
        let Self { metrics, expositions, .. } = self;
        expositions.entry(form.content_type()).or_insert_with(|| metrics.encode(form).into()).clone()
    }

    /// A chart of what there is now.
    pub(super) fn chart(&mut self, query: ChartQuery) -> Chart {
        let Some(latest) = &self.latest else { return Chart::Nothing };
        if let Some(kept) = self.charts.get(&query) {
            return kept.clone().map_or(Chart::Nothing, Chart::Svg);
        }
        if self.since.elapsed() >= PERIOD {
            (self.since, self.drawn) = (Instant::now(), 0);
        }
        if self.drawn == MAX_CHARTS {
            return Chart::Later;
        }
        self.drawn += 1;
        if self.charts.len() == MAX_CHARTS {
            self.charts.clear();
        }
        let drawn = chart(&self.history, latest, &query).map(Bytes::from);
        self.charts.insert(query, drawn.clone());
        drawn.map_or(Chart::Nothing, Chart::Svg)
    }
}
