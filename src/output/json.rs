//! The snapshot as JSON, `portlabel.snapshot/1`: the derived form of [`Snapshot`] and nothing else.
//!
//! `json` is one document, indented, of the final snapshot. `ndjson` is one line for every snapshot.

use std::io::{self, Write};
use std::sync::Arc;

use super::Output;
use super::document::{write_indented_json, write_json};
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
    fn snapshot(&mut self, snapshot: &Arc<Snapshot>) -> io::Result<()> {
        if snapshot.is_final {
            write_indented_json(&mut self.out, snapshot)?;
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
    fn snapshot(&mut self, snapshot: &Arc<Snapshot>) -> io::Result<()> {
        write_json(&mut self.out, snapshot)?;
        self.out.write_all(b"\n")?;
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
    use serde_json::Value;

    use super::super::sample;
    use super::*;

    fn written(snapshots: &[Snapshot], output: impl Fn(&mut Vec<u8>, &[Snapshot]) -> io::Result<()>) -> String {
        let mut text = Vec::new();
        output(&mut text, snapshots).expect("memory takes everything");
        String::from_utf8(text).expect("JSON is UTF-8")
    }

    fn json(snapshots: &[Snapshot]) -> String {
        written(snapshots, |out, snapshots| {
            let mut output = Json::new(out);
            let mut snapshots = snapshots.iter().cloned().map(Arc::new);
            snapshots.try_for_each(|snapshot| output.snapshot(&snapshot)).and_then(|()| output.finish())
        })
    }

    fn ndjson(snapshots: &[Snapshot]) -> String {
        written(snapshots, |out, snapshots| {
            let mut output = Ndjson::new(out);
            let mut snapshots = snapshots.iter().cloned().map(Arc::new);
            snapshots.try_for_each(|snapshot| output.snapshot(&snapshot)).and_then(|()| output.finish())
        })
    }

    /// What the schema has against a document.
    fn faults(document: &Value) -> Vec<String> {
        let schema = serde_json::from_str(SNAPSHOT_JSON_SCHEMA).expect("the schema is JSON");
        let validator = jsonschema::validator_for(&schema).expect("the schema is a schema");
        validator.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path())).collect()
    }

    fn parsed(text: &str) -> Value {
        serde_json::from_str(text).expect("JSON")
    }

    #[test]
    fn json_is_the_final_snapshot_indented() {
        let mut snapshot = sample::snapshot();
        snapshot.services.truncate(1);
        let earlier = Snapshot { is_final: false, ..snapshot.clone() };
        sample::assert_golden("snapshot.json", &json(&[earlier, snapshot]));
    }

    #[test]
    fn ndjson_is_every_snapshot_in_a_line() {
        let earlier = Snapshot { is_final: false, sequence: 4, ..sample::snapshot() };
        let text = ndjson(&[earlier, sample::snapshot()]);
        let lines: Vec<_> = text.lines().map(parsed).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!((&lines[0]["sequence"], &lines[0]["final"]), (&Value::from(4), &Value::from(false)));
        assert_eq!(lines[1], parsed(&json(&[sample::snapshot()])));
        assert!(
            text.starts_with(
                r#"{"schema":"portlabel.snapshot/1","version":"0.1.0","sequence":4,"final":false,"source":"#
            )
        );
    }

    #[test]
    fn documents_follow_the_schema() {
        let mut plain = sample::snapshot();
        plain.interval = None;
        for row in plain.services.iter_mut().map(Arc::make_mut) {
            row.interval = None;
        }
        for (name, snapshot) in [("interval", sample::snapshot()), ("no interval", plain), ("empty", sample::empty())] {
            assert_eq!(faults(&parsed(&json(&[snapshot]))), [""; 0], "{name}");
        }
    }

    #[test]
    fn the_schema_is_strict() {
        let good = parsed(&json(&[sample::snapshot()]));
        let cases: [(&str, &str, Value); 9] = [
            ("an unknown key", "/services/0/speed", 1.into()),
            ("a negative count", "/packets", (-1).into()),
            ("a fraction", "/wire_bytes", 0.5.into()),
            ("a time without nanoseconds", "/ts", "2026-01-31T10:00:05Z".into()),
            ("a transport in capitals", "/services/0/transport", "TCP".into()),
            ("a rule that is none", "/services/0/evidence/luck", good["services"][0]["evidence"]["system"].clone()),
            ("a port too large", "/services/0/ports/0/port", 65_536.into()),
            ("a row without its interval", "/services/0/interval", Value::Null),
            ("rows with an interval, and none", "/interval", Value::Null),
        ];
        for (name, pointer, value) in cases {
            let mut bad = good.clone();
            let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
            let parent = bad.pointer_mut(parent).and_then(Value::as_object_mut).expect("an object");
            parent.insert(key.to_owned(), value);
            assert_ne!(faults(&bad), [""; 0], "{name}");
        }
        for (pointer, key) in
            [("", "portless"), ("/services/0", "gap_us"), ("/services/0/flows", "evicted"), ("/drops", "kernel")]
        {
            let mut bad = good.clone();
            bad.pointer_mut(pointer).and_then(Value::as_object_mut).expect("an object").remove(key);
            assert_ne!(faults(&bad), [""; 0], "without {pointer}/{key}");
        }
    }
}
