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
        if snapshot.interval.is_none() && snapshot.sequence == 1 {
            return self.inner.snapshot(snapshot);
        }
        // the first and only one
        self.inner.snapshot(&Arc::new(Snapshot { sequence: 1, ..without_intervals(snapshot) }))
    }

    fn message(&mut self, text: &str) -> bool {
        self.inner.message(text)
    }

    fn told(&mut self, text: &str) {
        self.inner.told(text);
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

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    /// Keeps what it gets.
    struct Kept(Arc<std::sync::Mutex<Vec<Arc<Snapshot>>>>);

    impl Output for Kept {
        fn snapshot(&mut self, snapshot: &Arc<Snapshot>) -> io::Result<()> {
            self.0.lock().expect("nobody panics").push(Arc::clone(snapshot));
            Ok(())
        }

        fn finish(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn only_the_whole_run_comes_through() {
        let kept = Arc::default();
        let mut whole = Whole::new(Box::new(Kept(Arc::clone(&kept))));
        let last = Arc::new(sample::snapshot());
        whole.snapshot(&Arc::new(Snapshot { is_final: false, ..sample::snapshot() })).expect("is taken");
        whole.snapshot(&last).expect("is taken");
        let kept = kept.lock().expect("nobody panics");
        let [only] = kept.as_slice() else { panic!("{} snapshots", kept.len()) };
        assert_eq!((only.sequence, only.packets, only.services.len()), (1, last.packets, last.services.len()));
        assert!(only.interval.is_none() && only.services.iter().all(|row| row.interval.is_none()));
    }
}
