//! Flow records as JSON, `portlabel.flow/1`: one line for each flow, when it ends.

use std::io::{self, Write};
use std::sync::Arc;

use super::Output;
use crate::snapshot::{FlowRecord, Snapshot};

/// The JSON Schema of a flow record, as this version writes it.
pub const FLOW_JSON_SCHEMA: &str = include_str!("../../data/schema/flow.schema.json");

/// `-o flows`.
#[derive(Debug)]
pub(super) struct Flows<W> {
    out: W,
    /// Bytes of records since they were written out.
    held_bytes: usize,
}

/// Records are written out in pieces of about this size, in bytes.
const PIECE_BYTES: usize = 64 * 1024;

impl<W: Write> Flows<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out, held_bytes: 0 }
    }
}

impl<W: Write> Output for Flows<W> {
    /// Writes nothing of the snapshot; what was held back goes out with it.
    fn snapshot(&mut self, _snapshot: &Arc<Snapshot>) -> io::Result<()> {
        self.out.flush()
    }

    fn flow(&mut self, record: &FlowRecord) -> io::Result<()> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        self.out.write_all(&line)?;
        self.held_bytes += line.len();
        if self.held_bytes < PIECE_BYTES {
            return Ok(());
        }
        self.held_bytes = 0;
        self.out.flush()
    }

    fn retry(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    fn text() -> String {
        let mut text = Vec::new();
        let mut output = Flows::new(&mut text);
        for record in &sample::flows() {
            output.flow(record).expect("memory takes everything");
        }
        output.snapshot(&Arc::new(sample::snapshot())).expect("memory takes everything");
        output.finish().expect("memory takes everything");
        String::from_utf8(text).expect("JSON is UTF-8")
    }

    #[test]
    fn each_flow_is_a_line() {
        let want = concat!(
            r#"{"schema":"portlabel.flow/1","transport":"tcp","client":{"addr":"10.0.0.5","port":51812},"server":{"addr":"10.0.0.9","port":443},"#,
            r#""service":"https","port":443,"evidence":"handshake","first_ts":"2026-01-31T10:00:00.000000001Z","last_ts":"2026-01-31T10:00:05.000000000Z","#,
            r#""to_server":{"packets":5,"wire_bytes":900},"from_server":{"packets":5,"wire_bytes":2400},"later_fragments":{"packets":0,"wire_bytes":0},"#,
            r#""tunnels":0,"tcp_flags":"SAPF","handshake_rtt_us":180,"end":"closed"}"#,
            "\n",
            r#"{"schema":"portlabel.flow/1","transport":"udp","client":{"addr":"2001:db8::5","port":60001},"server":{"addr":"2001:db8::9","port":50123},"#,
            r#""service":null,"port":50123,"evidence":"none","first_ts":"2026-01-31T10:00:00.000000000Z","last_ts":"2026-01-31T10:00:00.000000000Z","#,
            r#""to_server":{"packets":1,"wire_bytes":1300},"from_server":{"packets":0,"wire_bytes":0},"later_fragments":{"packets":1,"wire_bytes":300},"#,
            r#""tunnels":1,"tcp_flags":null,"handshake_rtt_us":null,"end":"final"}"#,
            "\n",
        );
        assert_eq!(text(), want);
    }

    #[test]
    fn flows_follow_the_schema() {
        let schema = serde_json::from_str(FLOW_JSON_SCHEMA).expect("the schema is JSON");
        let validator = jsonschema::validator_for(&schema).expect("the schema is a schema");
        for line in text().lines() {
            let mut record: serde_json::Value = serde_json::from_str(line).expect("JSON");
            let faults: Vec<_> = validator.iter_errors(&record).map(|error| error.to_string()).collect();
            assert_eq!(faults, [""; 0], "{line}");
            record["tcp_flags"] = "AS".into();
            assert!(!validator.is_valid(&record), "flags have an order");
        }
    }
}
