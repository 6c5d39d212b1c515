//! How much waits for a reader of a live run, in rows of snapshots: their number alone does not bound what they take.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::writer::snapshots;
use crate::engine::Event;
use crate::snapshot::ROWS_WAITING_MAX;

/// What waits for one reader.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    rows: Arc<AtomicUsize>,
}

/// A place among what waits, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    all_rows: Arc<AtomicUsize>,
    rows: usize,
}

impl Backlog {
    /// A place for events, unless their snapshots are too many. Where no others wait, they never are.
    pub(super) fn place(&self, events: &[Event]) -> Option<Place> {
        let waiting = self.rows.load(Ordering::Relaxed);
        let place = self.place_for_all(events);
        (waiting == 0 || place.rows == 0 || waiting + place.rows <= ROWS_WAITING_MAX).then_some(place)
    }

    /// A place, however many they are: for whoever waits until they are taken.
    pub(super) fn place_for_all(&self, events: &[Event]) -> Place {
        let rows = snapshots(events).map(|snapshot| snapshot.services.len()).sum();
        self.rows.fetch_add(rows, Ordering::Relaxed);
        Place { all_rows: Arc::clone(&self.rows), rows }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.all_rows.fetch_sub(self.rows, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::sample;
    use crate::snapshot::Snapshot;

    fn snapshot(rows: usize) -> Vec<Event> {
        let sample = sample::snapshot();
        let services = sample.services.iter().cycle().take(rows).cloned().collect();
        vec![Event::Snapshot(Arc::new(Snapshot { services, ..sample }))]
    }

    #[test]
    fn rows_wait_up_to_a_limit_and_one_snapshot_always_may() {
        let backlog = Backlog::default();
        let large = backlog.place(&snapshot(ROWS_WAITING_MAX + 1)).expect("nothing else waits");
        assert!(backlog.place(&snapshot(1)).is_none());
        assert!(backlog.place(&[]).is_some(), "there is nothing of that to be too much");
        drop(large);
        let half = backlog.place(&snapshot(ROWS_WAITING_MAX / 2)).expect("nothing waits");
        let other = backlog.place(&snapshot(ROWS_WAITING_MAX / 2)).expect("there is as much left");
        assert!(backlog.place(&snapshot(1)).is_none());
        drop((half, other, backlog.place_for_all(&snapshot(1))));
        assert_eq!(backlog.rows.load(Ordering::Relaxed), 0);
    }
}
