//! The stream of snapshots: server-sent events (HTML, section 9.2), which browsers open again by themselves.
//!
//! Each stream takes the latest snapshot whenever its client has taken what came before: a client that is slow gets fewer
//! of them, and holds nothing up. Snapshots are cumulative, so it misses no count.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::stream::unfold;
use tokio::sync::watch;
use tokio::time::timeout;

use super::super::document::write_json;
use super::super::told::Told;
use super::guests::StreamPlace;
use super::site::Now;

/// A stream on which nothing comes says this often that it is there: proxies close what is silent for a minute.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Browsers wait 2 s before they connect again.
const FIRST: &str = "retry: 2000\n\n";
const ALIVE: &str = ":\n\n";
const TOLD: &str = "event: told\ndata: ";
const END: &str = "event: end\ndata: {}\n\n";

/// The body of a stream: the latest snapshot at once, each one that follows, and `end` after the last.
/// What was told of the inputs comes behind the snapshot after which it is known.
pub(super) fn body(now: watch::Receiver<Now>, place: StreamPlace) -> Body {
    let reader = Reader { now, told: None, stage: Stage::Begin, _place: place };
    Body::from_stream(unfold(reader, |mut reader| async move {
        let event = reader.next().await?;
        Some((Ok::<_, Infallible>(event), reader))
    }))
}

/// What was told of the inputs, as JSON without line feeds.
fn told_event(told: &Told) -> Vec<u8> {
    let mut text = TOLD.as_bytes().to_vec();
    // memory takes everything
    drop(write_json(&mut text, told));
    text.extend_from_slice(b"\n\n");
    text
}

struct Reader {
    now: watch::Receiver<Now>,
    /// What the client knows of what was told of the inputs.
    told: Option<Arc<Told>>,
    stage: Stage,
    _place: StreamPlace,
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
                    let Now { edition, told, is_over } = self.now.borrow_and_update().clone();
                    self.stage = if is_over { Stage::End } else { Stage::Wait };
                    if let Some(edition) = edition {
                        let is_known = self.told.as_ref().is_some_and(|known| Arc::ptr_eq(known, &told));
                        if told.is_empty() || is_known {
                            return Some(edition.event());
                        }
                        let events = [&edition.event(), told_event(&told).as_slice()].concat();
                        self.told = Some(told);
                        return Some(events.into());
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
