//! Reports that were written before: read, held against themselves, and added up.
//!
//! A report is a snapshot as `-o json` or `-o ndjson` wrote it. It comes from somewhere, perhaps from somebody else: nothing
//! in it is believed, no list in it is read further than a run could have written it, and none of it is printed at length.

mod check;
mod difference;
mod merge;
mod overlap;
mod row;

use std::cell::Cell;
use std::io::{self, BufReader, Read};
use std::rc::Rc;

use serde::Deserialize;
use serde_json::value::RawValue;

pub use check::Fault;
pub use difference::Difference;
pub use merge::{Merge, MergeError};
pub use overlap::Overlap;

use crate::snapshot::{SNAPSHOT_SCHEMA, Snapshot};
use crate::units::cut;

/// The longest document that is read: hundreds of times a report of thousands of services with their histograms.
const DOCUMENT_LEN_MAX: u64 = 256 << 20;

/// What some editors and shells put before a text in UTF-8; it is no part of the document (RFC 8259, section 8.1).
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The last snapshot of a file.
#[derive(Clone, Debug)]
pub struct Report {
    /// What the file is called in messages.
    pub name: String,
    /// Version of the program that wrote it.
    pub version: String,
    /// The snapshot, whose counts add up.
    pub snapshot: Snapshot,
}

/// What can be wrong with a file that should be a report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// It cannot be read.
    #[error("{name}: cannot read: {source}")]
    Read {
        /// The file.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// There is nothing in it.
    #[error("{name}: is empty; a report is what -o json or -o ndjson writes")]
    Empty {
        /// The file.
        name: String,
    },
    /// It is not JSON, or ends within a document.
    #[error("{name}: {}not JSON: {}", nth(*.document), cut(&.source.to_string()))]
    NotJson {
        /// The file.
        name: String,
        /// Which document of the file, from 1.
        document: u64,
        /// What, and where in the file.
        source: serde_json::Error,
    },
    /// A document is not a snapshot of this schema.
    #[error("{name}: {}{}; a report is {SNAPSHOT_SCHEMA}, as -o json and -o ndjson write it", nth(*.document), named(.schema.as_deref()))]
    OtherSchema {
        /// The file.
        name: String,
        /// Which document of the file, from 1.
        document: u64,
        /// The schema that it names.
        schema: Option<String>,
    },
    /// It names the schema, and does not follow it.
    #[error("{name}: {}not as {SNAPSHOT_SCHEMA} has it: {}", nth(*.document), cut(&.source.to_string()))]
    Content {
        /// The file.
        name: String,
        /// Which document of the file, from 1.
        document: u64,
        /// What, and where in the document.
        source: serde_json::Error,
    },
    /// Its counts contradict each other.
    #[error("{name}: {fault}; no run of portlabel wrote this")]
    Contradiction {
        /// The file.
        name: String,
        /// Where, and what.
        fault: Fault,
    },
}

/// Where in a file of several documents.
fn nth(document: u64) -> String {
    if document > 1 { format!("document {document}: ") } else { String::new() }
}

/// What a document calls itself.
fn named(schema: Option<&str>) -> String {
    schema.map_or_else(|| "names no schema".to_owned(), |schema| format!("is of the schema '{}'", cut(schema)))
}

/// What every document of ours begins with.
#[derive(Deserialize)]
struct Envelope {
    schema: String,
    version: String,
}

impl Report {
    /// Reads the last snapshot of `input`: the one of `-o json`, or the last line of `-o ndjson`. Every document has to be
    /// whole. A byte order mark before the first is skipped.
    ///
    /// # Errors
    /// See [`ReportError`].
    pub fn read(name: &str, input: impl Read) -> Result<Self, ReportError> {
        let name = || name.to_owned();
        let left = Rc::new(Cell::new(DOCUMENT_LEN_MAX));
        let mut input = BufReader::with_capacity(64 << 10, input);
        let mut beginning = Vec::new();
        let read = input.by_ref().take(BYTE_ORDER_MARK.len() as u64).read_to_end(&mut beginning);
        read.map_err(|source| ReportError::Read { name: name(), source })?;
        let beginning = beginning.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&beginning);
        let input = Limited { input: beginning.chain(input), left: Rc::clone(&left) };
        let (mut last, mut document) = (None, 0);
        for text in serde_json::Deserializer::from_reader(input).into_iter::<Box<RawValue>>() {
            document += 1;
            last = Some(text.map_err(|source| {
                if source.is_io() {
                    ReportError::Read { name: name(), source: source.into() }
                } else {
                    ReportError::NotJson { name: name(), document, source }
                }
            })?);
            left.set(DOCUMENT_LEN_MAX);
        }
        let text = last.ok_or_else(|| ReportError::Empty { name: name() })?;
        let envelope: Option<Envelope> = serde_json::from_str(text.get()).ok();
        let version = match envelope {
            Some(Envelope { schema, version }) if schema == SNAPSHOT_SCHEMA => version,
            other => {
                let schema = other.map(|envelope| envelope.schema);
                return Err(ReportError::OtherSchema { name: name(), document, schema });
            }
        };
        let snapshot: Snapshot = serde_json::from_str(text.get()).map_err(|source| ReportError::Content {
            name: name(),
            document,
            source,
        })?;
        check::check(&snapshot).map_err(|fault| ReportError::Contradiction { name: name(), fault })?;
        Ok(Self { name: name(), version, snapshot })
    }
}

/// Ends in an error where a document does not end in time.
struct Limited<R> {
    input: R,
    left: Rc<Cell<u64>>,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.input.read(buffer)?;
        let left = self.left.get().checked_sub(len as u64);
        self.left.set(left.ok_or_else(|| {
            io::Error::new(io::ErrorKind::FileTooLarge, "a document has more than 256 MiB; no report is as long")
        })?);
        Ok(len)
    }
}
