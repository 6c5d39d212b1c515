//! Snapshots as comma-separated values in the long form: one line for each snapshot, service and transport.
//!
//! After `ts`, `service` and `transport` come the [`COLUMNS`]; before those of the row's interval stands what is told of the
//! interval as a whole, the same in each line of a snapshot. A value that JSON has as `null` is an
//! empty field, and so is the service of unlabelled traffic. Packets without ports have no line: they are in the other outputs.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::sync::Arc;

use super::log::Log;
use super::{Destination, Output, OutputError};
use crate::snapshot::{COLUMNS, Column, Interval, ServiceRow, Snapshot, Value};

/// `-o csv`.
#[derive(Debug)]
pub(super) struct Csv<W: Write> {
    out: csv::Writer<W>,
    /// The header is yet to be written.
    wants_header: bool,
    /// Tells when there is nothing in it any more, and the header is to be written again.
    was_emptied: fn(&W) -> bool,
}

/// Opens `-o csv`. The header goes to standard output and to a file that is empty; one that is not must have it.
///
/// # Errors
/// [`OutputError::Open`], and [`OutputError::OtherColumns`] when the file starts with another header.
pub(super) fn open(destination: &Destination) -> Result<Box<dyn Output + Send>, OutputError> {
    let first_line = match destination {
        Destination::Stdout => None,
        Destination::Path(path) => {
            first_line(path).map_err(|source| OutputError::Open { path: path.clone(), source })?
        }
    };
    if let (Destination::Path(path), Some(line)) = (destination, &first_line)
        && *line != header_line()
    {
        return Err(OutputError::OtherColumns { path: path.clone() });
    }
    Ok(Box::new(Csv::new(Log::open(destination)?, first_line.is_none(), Log::is_empty_file)))
}

/// The first line of a file, without its end; `None` when it is empty, new, or no regular file.
fn first_line(path: &Path) -> io::Result<Option<Vec<u8>>> {
    if !path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() > 0) {
        return Ok(None);
    }
    let mut line = Vec::new();
    BufReader::new(File::open(path)?).take(64 * 1024).read_until(b'\n', &mut line)?;
    Ok(Some(line.trim_ascii_end().to_vec()))
}

/// What is told of the interval as a whole.
const OF_INTERVAL: [(&str, fn(&Interval) -> Option<String>); 6] = [
    ("interval_start", |interval| Some(interval.start.to_string())),
    ("interval_end", |interval| Some(interval.end.to_string())),
    ("interval_complete", |interval| Some(interval.complete.to_string())),
    ("interval_drops", |interval| interval.drops.known().map(|drops| drops.to_string())),
    ("interval_late_packets", |interval| Some(interval.late_packets.to_string())),
    ("interval_skipped_snapshots", |interval| Some(interval.skipped_snapshots.to_string())),
];

/// The columns before [`OF_INTERVAL`], and those after it.
fn columns() -> (&'static [Column], &'static [Column]) {
    let of_interval = COLUMNS.iter().position(|column| column.name.starts_with("interval_")).unwrap_or(COLUMNS.len());
    COLUMNS.split_at(of_interval)
}

/// Names of all columns.
fn header() -> impl Iterator<Item = &'static str> {
    let (before, after) = columns();
    let names = |columns: &'static [Column]| columns.iter().map(|column| column.name);
    let of_interval = OF_INTERVAL.map(|(name, _)| name);
    ["ts", "service", "transport"].into_iter().chain(names(before)).chain(of_interval).chain(names(after))
}

fn header_line() -> Vec<u8> {
    header().collect::<Vec<_>>().join(",").into_bytes()
}

impl<W: Write> Csv<W> {
    fn new(out: W, wants_header: bool, was_emptied: fn(&W) -> bool) -> Self {
        Self { out: csv::Writer::from_writer(out), wants_header, was_emptied }
    }

    fn row(&mut self, ts: &str, of_interval: &[String], row: &ServiceRow) -> Result<(), csv::Error> {
        self.out.write_field(ts)?;
        self.out.write_field(as_text(row.service.as_deref().unwrap_or_default()).as_ref())?;
        self.out.write_field(row.transport.name())?;
        let (before, after) = columns();
        self.fields(before, row)?;
        of_interval.iter().try_for_each(|field| self.out.write_field(field))?;
        self.fields(after, row)?;
        self.out.write_record(None::<&[u8]>)
    }

    fn fields(&mut self, columns: &[Column], row: &ServiceRow) -> Result<(), csv::Error> {
        columns.iter().try_for_each(|column| {
            self.out.write_field(match (column.get)(row) {
                Value::Count(count) => count.to_string(),
                Value::Real(mean) => mean.to_string(),
                Value::Ports(ports) => ports.iter().map(|port| port.port.to_string()).collect::<Vec<_>>().join(" "),
                Value::Missing => String::new(),
            })
        })
    }

    fn rows(&mut self, snapshot: &Snapshot) -> Result<(), csv::Error> {
        if std::mem::take(&mut self.wants_header) || (self.was_emptied)(self.out.get_ref()) {
            self.out.write_record(header())?;
        }
        let ts = snapshot.ts.map(|ts| ts.to_string()).unwrap_or_default();
        let interval = snapshot.interval.as_ref();
        let of_interval = OF_INTERVAL.map(|(_, get)| interval.and_then(get).unwrap_or_default());
        snapshot.services.iter().try_for_each(|row| self.row(&ts, &of_interval, row))
    }
}

/// A name that no spreadsheet takes for a formula: names of users begin as they like, and a cell that begins like one would
/// be run. Such a name gets an apostrophe before it, which spreadsheets take as the mark of a text.
fn as_text(name: &str) -> Cow<'_, str> {
    // the full-width forms are normalised to the others on some systems
    if name.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']) {
        Cow::Owned(format!("'{name}"))
    } else {
        Cow::Borrowed(name)
    }
}

impl<W: Write> Output for Csv<W> {
    /// Flushes, so that whoever follows the output has every snapshot whole.
    fn snapshot(&mut self, snapshot: &Arc<Snapshot>) -> io::Result<()> {
        self.rows(snapshot).map_err(|error| match error.into_kind() {
            csv::ErrorKind::Io(error) => error,
            other => io::Error::other(format!("{other:?}")),
        })?;
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

    fn text(snapshots: &[Snapshot], wants_header: bool) -> String {
        let mut text = Vec::new();
        let mut output = Csv::new(&mut text, wants_header, |_| false);
        for snapshot in snapshots.iter().cloned().map(Arc::new) {
            output.snapshot(&snapshot).expect("memory takes everything");
        }
        output.finish().expect("memory takes everything");
        drop(output);
        String::from_utf8(text).expect("CSV is UTF-8 here")
    }

    #[test]
    fn each_row_is_a_line() {
        sample::assert_golden("snapshot.csv", &text(&[sample::snapshot()], true));
    }

    #[test]
    fn the_header_comes_once_and_every_snapshot_adds_its_rows() {
        let two = text(&[sample::snapshot(), sample::snapshot()], true);
        let bare = text(&[sample::snapshot()], false);
        assert_eq!(two, format!("{}\n{bare}{bare}", String::from_utf8_lossy(&header_line())));
        assert_eq!(text(&[sample::empty()], true).lines().count(), 1);
    }

    #[test]
    fn columns_are_the_keys_of_json() {
        let row = serde_json::to_value(&sample::snapshot().services[0]).expect("JSON");
        for column in COLUMNS.iter().filter(|column| !column.name.starts_with("evidence_")) {
            let found = flattened(&row, "", column.name);
            assert!(found, "{} is no key of a row", column.name);
        }
    }

    /// Whether the keys of `value` lead to `name`, joined by `_`. What is null here has the keys of the other summaries.
    fn flattened(value: &serde_json::Value, path: &str, name: &str) -> bool {
        let Some(object) = value.as_object() else { return path == name || value.is_null() };
        object.iter().any(|(key, inner)| {
            let path = if path.is_empty() { key.clone() } else { format!("{path}_{key}") };
            (name == path || name.starts_with(&format!("{path}_"))) && flattened(inner, &path, name)
        })
    }

    #[test]
    fn names_are_quoted_where_they_must_be() {
        let mut snapshot = sample::snapshot();
        snapshot.services.truncate(1);
        Arc::make_mut(&mut snapshot.services[0]).service = Some("a,\"b\"".into());
        assert!(text(&[snapshot], false).starts_with("2026-01-31T10:00:04.999999000Z,\"a,\"\"b\"\"\",tcp,12000,"));
    }

    #[test]
    fn no_name_is_a_formula() {
        for (name, want) in [("=1+1", "'=1+1"), ("@sum(a1)", "'@sum(a1)"), ("-x", "'-x"), ("+x", "'+x"), ("x=1", "x=1")]
        {
            let mut snapshot = sample::snapshot();
            snapshot.services.truncate(1);
            Arc::make_mut(&mut snapshot.services[0]).service = Some(name.into());
            let text = text(&[snapshot], false);
            assert_eq!(text.split(',').nth(1), Some(want));
        }
    }

    #[test]
    fn a_file_that_was_emptied_gets_its_header_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log.csv");
        let mut output = open(&Destination::Path(path.clone())).expect("it can be created");
        let snapshot = Arc::new(sample::snapshot());
        output.snapshot(&snapshot).expect("it can be written");
        let first = std::fs::read_to_string(&path).expect("it is there");
        // as logrotate does with `copytruncate`
        File::options().write(true).open(&path).and_then(|file| file.set_len(0)).expect("it can be cut");
        output.snapshot(&snapshot).expect("it can be written");
        assert_eq!(std::fs::read_to_string(&path).expect("it is there"), first);
        assert!(open(&Destination::Path(path)).is_ok(), "the next run goes on in it");
    }
}
