//! Outputs that are to see no intervals.
//!
//! A picture of a capture (`html`, `tui`, the page of `--listen`) takes intervals that nobody asked for. The other outputs
//! of that run are what they are without the picture: one snapshot, of the whole run.

use std::io;
use std::sync::Arc;

use super::Output;
use crate::snapshot::{FlowRecord, ServiceRow, Snapshot};

/// An output that gets the final snapshot alone, without its interval.
pub(super) struct Whole {
    inner: Box<dyn Output + Send>,
}

impl Whole {
    pub(super) fn new(inner: Box<dyn Output + Send>) -> Self {
        Self { inner }
    }
}

impl Output for Whole {
    fn start(&mut self) -> io::Result<()> {
        self.inner.start()
    }

    fn snapshot(&mut self, snapshot: &Arc<Snapshot>) -> io::Result<()> {
        if !snapshot.is_final {
            return Ok(());
        }
        // the first and only one
        self.inner.snapshot(&Arc::new(Snapshot { sequence: 1, ..without_intervals(snapshot) }))
    }

    fn message(&mut self, text: &str) -> bool {
        self.inner.message(text)
    }

    fn flow(&mut self, record: &FlowRecord) -> io::Result<()> {
        self.inner.flow(record)
    }

    fn finish(&mut self) -> io::Result<()> {
        self.inner.finish()
    }
}

/// The same snapshot of a run that takes no intervals.
pub(super) fn without_intervals(snapshot: &Snapshot) -> Snapshot {
    let row = |row: &Arc<ServiceRow>| Arc::new(ServiceRow { interval: None, ..row.as_ref().clone() });
    Snapshot { interval: None, services: snapshot.services.iter().map(row).collect(), ..snapshot.clone() }
}
