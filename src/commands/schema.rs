//! `portlabel schema DOCUMENT`: the JSON Schemas.

use std::io::{self, Write as _};
use std::process::ExitCode;

use super::{DIFF_JSON_SCHEMA, EXPLAIN_JSON_SCHEMA, LOOKUP_JSON_SCHEMA, is_printed};
use crate::cli::Document;
use crate::output::{FLOW_JSON_SCHEMA, SNAPSHOT_JSON_SCHEMA};

/// Prints the schema of a document, as this version writes it.
#[must_use]
pub fn schema(document: Document) -> ExitCode {
    let schema = match document {
        Document::Snapshot => SNAPSHOT_JSON_SCHEMA,
        Document::Flow => FLOW_JSON_SCHEMA,
        Document::Lookup => LOOKUP_JSON_SCHEMA,
        Document::Explain => EXPLAIN_JSON_SCHEMA,
        Document::Diff => DIFF_JSON_SCHEMA,
    };
    let mut out = io::stdout().lock();
    let printed = out.write_all(schema.as_bytes()).and_then(|()| out.flush());
    if is_printed(printed) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
