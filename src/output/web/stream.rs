//! The stream of snapshots: server-sent events (HTML, section 9.2), which browsers open again by themselves.
//!
//! Each stream takes the latest snapshot whenever its client has taken what came before: a client that is slow gets fewer
//! of them, and holds nothing up. Snapshots are cumulative, so it misses no count.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::stream::unfold;
use tokio::sync::watch;
use tokio::time::timeout;

use super::site::Now;

/// Streams at a time.
pub(super) const MAX_STREAMS: usize = 64;

/// A stream on which nothing comes says this often that it is there: proxies close what is silent for a minute.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Browsers wait 2 s before they connect again.
const FIRST: &str = "retry: 2000\n\n";
const ALIVE: &str = ":\n\n";
const END: &str = "event: end\ndata: {}\n\n";

/// How many streams are open.
#[derive(Debug, Default)]
pub(super) struct Streams(AtomicUsize);

/// One of the streams that may be open.
#[derive(Debug)]
pub(super) struct Place(Arc<Streams>);

impl Streams {
    /// Room for one more stream, as long as there is.
    pub(super) fn place(self: &Arc<Self>) -> Option<Place> {
        let taken =
            self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |open| (open < MAX_STREAMS).then_some(open + 1));
        taken.is_ok().then(|| Place(Arc::clone(self)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The body of a stream: the latest snapshot at once, each one that follows, and `end` after the last.
pub(super) fn body(now: watch::Receiver<Now>, place: Place) -> Body {
    let reader = Reader { now, stage: Stage::Begin, _place: place };
    Body::from_stream(unfold(reader, |mut reader| async move {
        let event = reader.next().await?;
        Some((Ok::<_, Infallible>(event), reader))
    }))
}

struct Reader {
    now: watch::Receiver<Now>,
    stage: Stage,
    _place: Place,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing was sent.
    Begin,
    /// What there is now was not sent yet.
    News,
    /// It was.
    Wait,
    /// There is nothing left to send but the end.
    End,
    Closed,
}

impl Reader {
    /// What is sent next; `None` closes the stream.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            match self.stage {
                Stage::Begin => {
                    self.stage = Stage::News;
                    return Some(Bytes::from_static(FIRST.as_bytes()));
                }
                Stage::News => {
                    let Now { edition, is_over } = self.now.borrow_and_update().clone();
                    self.stage = if is_over { Stage::End } else { Stage::Wait };
                    if let Some(edition) = edition {
                        return Some(edition.event());
                    }
                }
                Stage::Wait => match timeout(KEEP_ALIVE, self.now.changed()).await {
                    Ok(Ok(())) => self.stage = Stage::News,
                    Ok(Err(_)) => self.stage = Stage::End,
                    Err(_) => return Some(Bytes::from_static(ALIVE.as_bytes())),
                },
                Stage::End => {
                    self.stage = Stage::Closed;
                    return Some(Bytes::from_static(END.as_bytes()));
                }
                Stage::Closed => return None,
            }
        }
    }
}
