//! The snapshot as JSON, `portlabel.snapshot/1`: the derived form of [`Snapshot`] and nothing else.
//!
//! `json` is one document, indented, of the final snapshot. `ndjson` is one line for every snapshot.

use std::io::{self, Write};

use super::Output;
use crate::snapshot::Snapshot;

/// The JSON Schema of a snapshot, as this version writes it.
pub const SNAPSHOT_JSON_SCHEMA: &str = include_str!("../../data/schema/snapshot.schema.json");

/// `-o json`.
#[derive(Debug)]
pub(super) struct Json<W> {
    out: W,
}

impl<W: Write> Json<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out }
    }
}

impl<W: Write> Output for Json<W> {
    fn snapshot(&mut self, snapshot: &Snapshot) -> io::Result<()> {
        if snapshot.is_final {
            serde_json::to_writer_pretty(&mut self.out, snapshot)?;
            self.out.write_all(b"\n")?;
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// `-o ndjson`.
#[derive(Debug)]
pub(super) struct Ndjson<W> {
    out: W,
}

impl<W: Write> Ndjson<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out }
    }
}

impl<W: Write> Output for Ndjson<W> {
    /// Flushes, so that whoever follows the output has every snapshot whole.
    fn snapshot(&mut self, snapshot: &Snapshot) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, snapshot)?;
        self.out.write_all(b"\n")?;
        self.out.flush()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
