//! Flow records as JSON, `portlabel.flow/1`: one line for each flow, when it ends.

use std::io::{self, Write};

use super::Output;
use crate::snapshot::{FlowRecord, Snapshot};

/// The JSON Schema of a flow record, as this version writes it.
pub const FLOW_JSON_SCHEMA: &str = include_str!("../../data/schema/flow.schema.json");

/// `-o flows`.
#[derive(Debug)]
pub(super) struct Flows<W> {
    out: W,
}

impl<W: Write> Flows<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out }
    }
}

impl<W: Write> Output for Flows<W> {
    /// Writes nothing of the snapshot; what was held back goes out with it.
    fn snapshot(&mut self, _snapshot: &Snapshot) -> io::Result<()> {
        self.out.flush()
    }

    fn flow(&mut self, record: &FlowRecord) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, record)?;
        self.out.write_all(b"\n")
    }

    fn finish(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
