//! From the run to the thread that serves.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::snapshot::Snapshot;

/// Snapshots that wait to be taken; of more, the newest. They are cumulative: who misses one loses detail and no count.
const MAX_WAITING: usize = 64;

/// Takes the snapshots of a run, and never keeps it waiting.
#[derive(Clone, Debug, Default)]
pub struct Feed(Arc<Mailbox>);

#[derive(Debug, Default)]
struct Mailbox {
    waiting: Mutex<Waiting>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    snapshots: VecDeque<Arc<Snapshot>>,
    /// The server is to end.
    is_closed: bool,
}

/// What came through a [`Feed`].
#[derive(Debug)]
pub(super) enum News {
    Snapshot(Arc<Snapshot>),
    /// There will be nothing more, and nobody is to be served any more.
    Closed,
}

impl Feed {
    /// Passes a snapshot on. It returns at once, whatever the clients do.
    pub fn publish(&self, snapshot: &Arc<Snapshot>) {
        self.post(|waiting| {
            if waiting.snapshots.len() == MAX_WAITING {
                waiting.snapshots.pop_front();
            }
            waiting.snapshots.push_back(Arc::clone(snapshot));
        });
    }

    /// Ends the server, after what was published before.
    pub(super) fn close(&self) {
        self.post(|waiting| waiting.is_closed = true);
    }

    fn post(&self, leave: impl FnOnce(&mut Waiting)) {
        // held by either side for no longer than it takes to move a pointer
        leave(&mut self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        self.0.news.notify_one();
    }

    /// Waits for the next thing that came. For one reader alone.
    pub(super) async fn next(&self) -> News {
        loop {
            {
                let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(snapshot) = waiting.snapshots.pop_front() {
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
