//! From the run to the thread that serves.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::snapshot::{ROWS_WAITING_MAX, Snapshot};

/// Snapshots that wait to be taken, unless they have too many rows; of more, the newest. They are cumulative: who misses one
/// loses detail and no count.
const MAX_WAITING: usize = 64;

/// Takes the snapshots of a run.
#[derive(Clone, Debug, Default)]
pub struct Feed(Arc<Mailbox>);

#[derive(Debug, Default)]
struct Mailbox {
    waiting: Mutex<Waiting>,
    news: Notify,
    /// There is room for another snapshot, or nobody to take it any more.
    room: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    snapshots: VecDeque<Arc<Snapshot>>,
    /// The server is to end.
    is_closed: bool,
    /// It has.
    is_gone: bool,
}

impl Waiting {
    /// There is no room for another.
    fn is_full(&self) -> bool {
        let rows: usize = self.snapshots.iter().map(|snapshot| snapshot.services.len()).sum();
        self.snapshots.len() >= MAX_WAITING || rows >= ROWS_WAITING_MAX
    }
}

/// What came through a [`Feed`].
#[derive(Debug)]
pub(super) enum News {
    Snapshot(Arc<Snapshot>),
    /// There will be nothing more, and nobody is to be served any more.
    Closed,
}

impl Feed {
    /// Passes a snapshot on. It returns at once, whatever the clients do: for what cannot wait.
    pub fn publish(&self, snapshot: &Arc<Snapshot>) {
        let mut waiting = self.waiting();
        while waiting.is_full() {
            waiting.snapshots.pop_front();
        }
        self.post(waiting, snapshot);
    }

    /// Passes a snapshot on, and waits for room where the server is behind: the intervals of a capture come much faster than
    /// their time passes, and the page draws all of them.
    pub fn publish_patiently(&self, snapshot: &Arc<Snapshot>) {
        let is_full = |waiting: &mut Waiting| waiting.is_full() && !waiting.is_gone;
        let waiting = self.0.room.wait_while(self.waiting(), is_full).unwrap_or_else(PoisonError::into_inner);
        self.post(waiting, snapshot);
    }

    fn post(&self, mut waiting: MutexGuard<'_, Waiting>, snapshot: &Arc<Snapshot>) {
        waiting.snapshots.push_back(Arc::clone(snapshot));
        drop(waiting);
        self.0.news.notify_one();
    }

    /// Ends the server, after what was published before.
    pub(super) fn close(&self) {
        self.waiting().is_closed = true;
        self.0.news.notify_one();
    }

    /// Nobody takes anything any more.
    pub(super) fn abandon(&self) {
        self.waiting().is_gone = true;
        self.0.room.notify_all();
    }

    /// Held by either side for no longer than it takes to move a pointer.
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the next thing that came. For one reader alone.
    pub(super) async fn next(&self) -> News {
        loop {
            {
                let mut waiting = self.waiting();
                if let Some(snapshot) = waiting.snapshots.pop_front() {
                    self.0.room.notify_one();
                    return News::Snapshot(snapshot);
                }
                if waiting.is_closed {
                    return News::Closed;
                }
            }
            self.0.news.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use futures_util::FutureExt as _;

    use super::super::super::sample;
    use super::*;

    fn numbered(sequence: u64) -> Arc<Snapshot> {
        Arc::new(Snapshot { sequence, ..sample::empty() })
    }

    fn taken(feed: &Feed) -> Vec<u64> {
        let next = || match feed.next().now_or_never()? {
            News::Snapshot(snapshot) => Some(snapshot.sequence),
            News::Closed => None,
        };
        std::iter::from_fn(next).collect()
    }

    #[test]
    fn what_cannot_wait_leaves_the_newest() {
        let feed = Feed::default();
        (1..=100).for_each(|sequence| feed.publish(&numbered(sequence)));
        assert_eq!(taken(&feed), (37..=100).collect::<Vec<_>>());
        assert!(feed.next().now_or_never().is_none());
        feed.publish(&numbered(101));
        feed.close();
        assert_eq!(taken(&feed), [101]);
        assert!(matches!(feed.next().now_or_never(), Some(News::Closed)));
    }

    #[test]
    fn rows_that_cannot_wait_have_a_limit_too() {
        let sample = sample::snapshot();
        let services: Vec<_> = sample.services.iter().cycle().take(ROWS_WAITING_MAX / 3).cloned().collect();
        let feed = Feed::default();
        for sequence in 1..=10 {
            feed.publish(&Arc::new(Snapshot { sequence, services: services.clone(), ..sample.clone() }));
        }
        assert_eq!(taken(&feed), (7..=10).collect::<Vec<_>>(), "the last goes over the limit");
    }

    #[test]
    fn what_can_wait_loses_nothing_and_does_not_wait_for_who_is_gone() {
        let feed = Feed::default();
        thread::scope(|scope| {
            scope.spawn(|| (1..=1_000).for_each(|sequence| feed.publish_patiently(&numbered(sequence))));
            let mut seen = Vec::new();
            while seen.len() < 1_000 {
                seen.extend(taken(&feed));
                thread::yield_now();
            }
            assert_eq!(seen, (1..=1_000).collect::<Vec<_>>());
        });
        feed.abandon();
        (1..=100).for_each(|sequence| feed.publish_patiently(&numbered(sequence)));
    }
}
