//! A snapshot as clients get it: made into text once, and shared by all of them.

use std::io::Write as _;
use std::sync::{Arc, OnceLock};

use axum::body::Bytes;

use super::super::document::write_json;
use crate::snapshot::Snapshot;

/// A snapshot, and its text once somebody has asked for it.
#[derive(Debug)]
pub(super) struct Edition {
    pub(super) snapshot: Arc<Snapshot>,
    event: OnceLock<Event>,
}

/// A server-sent event (HTML, section 9.2), and where the document is in it.
#[derive(Debug)]
struct Event {
    text: Bytes,
    document: Bytes,
}

impl Edition {
    pub(super) fn new(snapshot: Arc<Snapshot>) -> Self {
        Self { snapshot, event: OnceLock::new() }
    }

    /// The document, `portlabel.snapshot/1`, and a line feed.
    pub(super) fn document(&self) -> Bytes {
        self.made().document.clone()
    }

    /// The event `snapshot` of the stream.
    pub(super) fn event(&self) -> Bytes {
        self.made().text.clone()
    }

    fn made(&self) -> &Event {
        self.event.get_or_init(|| {
            let mut text = format!("event: snapshot\nid: {}\ndata: ", self.snapshot.sequence).into_bytes();
            let start = text.len();
            // memory takes everything, and JSON without indentation has no line feed that would end the event
            drop(write_json(&mut text, &self.snapshot));
            let _ = text.write_all(b"\n\n");
            let text = Bytes::from(text);
            let document = text.slice(start..text.len() - 1);
            Event { text, document }
        })
    }
}
