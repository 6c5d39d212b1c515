//! What readers see: one file a format, all from the same snapshot.
//!
//! An output is named on the command line as `FORMAT[=PATH]`, parsed into a [`Spec`] and opened by [`open`] before
//! anything is read, so that a bad path is told at once. It then gets every snapshot and every flow record of the run;
//! each format takes what is its own.

mod csv;
mod document;
mod flows;
pub mod human;
mod json;
mod log;
mod metrics;
mod page;
mod place;
#[cfg(test)]
pub(crate) mod sample;
mod signals;
mod sink;
mod table;
mod textfile;
mod ticks;
mod told;
mod tui;
mod web;
mod whole;

use std::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, fstat};

use crate::snapshot::{FlowRecord, Snapshot};
use crate::units::cut_to;
use log::Log;
use sink::Sink;

pub use document::{write_indented_json, write_json};
pub use flows::FLOW_JSON_SCHEMA;
pub use human::printable;
pub use json::SNAPSHOT_JSON_SCHEMA;
pub use metrics::DEFAULT_METRICS_SERVICES;
pub use place::{Destination, conflict, overwrites_by_row, overwrites_input};
pub use signals::Echoes;
pub use table::{Options, SortKey, UnknownSortKey};
pub use tui::is_possible as screen_is_possible;
pub use web::{Feed, Listen, ListenAddr, ListenError, NoListenAddr, Server, TokenError};

/// Something that a run reports to.
///
/// Errors of writing name the destination and keep their [`io::ErrorKind`]: a reader that went away is
/// [`io::ErrorKind::BrokenPipe`], which is a quiet end and no failure.
pub trait Output {
    /// Called once, when everything that a run needs is open and before anything is read. An output that needs threads or
    /// takes over the terminal does so here: privileges are dropped by then, and nothing can keep the run from starting.
    ///
    /// # Errors
    /// The destination cannot be written.
    fn start(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Takes a snapshot: that of each interval, and in any case the final one.
    ///
    /// # Errors
    /// The destination cannot be written.
    fn snapshot(&mut self, snapshot: &Arc<Snapshot>) -> io::Result<()>;

    /// Writes what an earlier call could not, so that writing may go on after an error. Outputs that keep nothing for that
    /// begin again by themselves.
    ///
    /// # Errors
    /// The destination cannot be written, still.
    fn retry(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Takes what users are to be told, if it has the terminal: whatever else was printed there would be in its way. It
    /// shows the text, and prints it on standard error when it has given the terminal back. The others say `false`.
    fn message(&mut self, _text: &str) -> bool {
        false
    }

    /// Takes what users were told of the inputs: damage, what could not be read, that reading was interrupted. Outputs that
    /// are passed on alone keep it; the others leave it to standard error.
    fn told(&mut self, _text: &str) {}

    /// Its user looks at what is complete, and has not seen enough: it is finished when that is over.
    fn is_looked_at(&self) -> bool {
        false
    }

    /// Takes the record of a flow that ended. Most formats have no use for it; see [`Format::wants_flows`].
    ///
    /// # Errors
    /// The destination cannot be written.
    fn flow(&mut self, _record: &FlowRecord) -> io::Result<()> {
        Ok(())
    }

    /// Writes out whatever is still held back. Nothing comes after it.
    ///
    /// # Errors
    /// The destination cannot be written.
    fn finish(&mut self) -> io::Result<()>;
}

/// A form of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Aligned text for people: the final snapshot.
    Table,
    /// One JSON document: the final snapshot.
    Json,
    /// One JSON document a line: every snapshot.
    Ndjson,
    /// Comma-separated values, one line a service: every snapshot.
    Csv,
    /// Metrics as Prometheus reads them from a file: every snapshot, each in place of the one before.
    Prometheus,
    /// One JSON document a line: every flow, when it ends.
    Flows,
    /// A page for browsers with everything in it: the final snapshot, and charts.
    Html,
    /// A screen on the terminal while the run goes on, and the table at the end.
    Tui,
}

impl Format {
    /// Every format, in the order in which help lists them.
    pub const ALL: [Self; 8] =
        [Self::Table, Self::Json, Self::Ndjson, Self::Csv, Self::Prometheus, Self::Flows, Self::Html, Self::Tui];

    /// The name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
            Self::Prometheus => "prometheus",
            Self::Flows => "flows",
            Self::Html => "html",
            Self::Tui => "tui",
        }
    }

    /// It takes flow records; a run without such an output need not make any.
    #[must_use]
    pub const fn wants_flows(self) -> bool {
        matches!(self, Self::Flows)
    }

    /// It adds to a file, which may be moved away and opened anew.
    #[must_use]
    pub const fn is_log(self) -> bool {
        matches!(self, Self::Ndjson | Self::Csv | Self::Flows)
    }

    /// It shows what happened when; a run with such an output takes a snapshot each interval.
    #[must_use]
    pub const fn draws_time(self) -> bool {
        matches!(self, Self::Html | Self::Tui)
    }

    /// It shows distributions; a run without such an output need not report their shapes.
    #[must_use]
    pub const fn wants_shapes(self) -> bool {
        matches!(self, Self::Prometheus | Self::Html | Self::Tui)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// An output as the command line names it: `FORMAT[=PATH]`, where the path `-` is standard output, and so is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Its form.
    pub format: Format,
    /// Where it goes.
    pub destination: Destination,
}

impl FromStr for Spec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let (name, path) = match text.split_once('=') {
            Some((name, path)) => (name, Some(path)),
            None => (text, None),
        };
        let format = Format::ALL
            .into_iter()
            .find(|format| format.name() == name)
            .ok_or_else(|| SpecError::UnknownFormat { given: name.to_owned() })?;
        let destination = match path {
            None => Destination::Stdout,
            Some(path) => Destination::named(Path::new(path)),
        };
        match path {
            Some(_) if format == Format::Tui && destination != Destination::Stdout => Err(SpecError::PathOfScreen),
            Some("") => Err(SpecError::NoPath { format }),
            _ => Ok(Self { format, destination }),
        }
    }
}

/// What can be wrong with a [`Spec`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// No format has this name.
    #[error("'{given}' is no format; FORMAT[=PATH] with one of: {}", list(Format::ALL.map(Format::name)))]
    UnknownFormat {
        /// What was given.
        given: String,
    },
    /// The equals sign is the last character.
    #[error("'{format}=' lacks the path; '{format}=-' or '{format}' alone is standard output")]
    NoPath {
        /// The format that was given.
        format: Format,
    },
    /// `tui` with a path.
    #[error("'tui' is a screen on the terminal and takes no path; 'table=FILE' has what it leaves behind")]
    PathOfScreen,
}

/// What can go wrong with opening an output.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The destination cannot be opened for writing.
    #[error("{}: cannot open for writing: {source}", printable_path(.path))]
    Open {
        /// Where the output should go.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What was still to be written cannot be.
    #[error(transparent)]
    Finish(io::Error),
    /// Standard output cannot be written.
    #[error("cannot write to standard output: {0}")]
    Stdout(io::Error),
    /// A CSV file is there, and its first line is not the header that this version writes.
    #[error("{}: does not begin with the columns that this version writes; move it away to start a new file", printable_path(.path))]
    OtherColumns {
        /// The file.
        path: PathBuf,
    },
    /// What takes the place of a file would take that of something else.
    #[error("{}: is {what}; the metrics take the place of a file at each snapshot, so name a file", printable_path(.path))]
    NotReplaceable {
        /// Where the output should go.
        path: PathBuf,
        /// What is there.
        what: &'static str,
    },
    /// What is to take the place of a file cannot be created.
    #[error("{}: cannot create a file beside it, to take its place at each snapshot: {source}", printable_path(.path))]
    Beside {
        /// Where the output should go.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Standard output is no terminal, or one that cannot place text.
    #[error("tui: standard output is no terminal that a screen can be drawn on; take 'table' or 'ndjson'")]
    NoTerminal,
    /// Signals, keys or the terminal cannot be listened to.
    #[error("tui: cannot use the terminal: {0}")]
    Terminal(io::Error),
}

/// What users chose for outputs, beside what they are and where they go.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How the table looks.
    pub table: Options,
    /// How many services have metrics of their own.
    pub metrics_services: usize,
    /// The run takes intervals for pictures alone (see [`Format::draws_time`]): nobody asked for them.
    pub intervals_for_pictures: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            table: Options::default(),
            metrics_services: DEFAULT_METRICS_SERVICES as usize,
            intervals_for_pictures: false,
        }
    }
}

/// How an output ends the run, when its user asks for that.
pub type OnQuit = Arc<dyn Fn() + Send + Sync>;

/// Opens an output. `table`, `json`, `prometheus` and `html` replace what is in a file, the others add to it; the table is
/// coloured and fitted to a width only on standard output. `on_quit` is for outputs that take keys.
///
/// # Errors
/// [`OutputError`]: the destination cannot be opened, it is a CSV file of another version, or no terminal for `tui`.
pub fn open(spec: &Spec, settings: &Settings, on_quit: &OnQuit) -> Result<Box<dyn Output + Send>, OutputError> {
    let destination = &spec.destination;
    let options = &settings.table;
    let output: Box<dyn Output + Send> = match spec.format {
        Format::Table => {
            let plain = Options { color: false, width: None, ..*options };
            let options = if *destination == Destination::Stdout { *options } else { plain };
            Box::new(table::Table::new(Sink::replace(destination)?, options))
        }
        Format::Json => Box::new(json::Json::new(Sink::replace(destination)?)),
        Format::Ndjson => Box::new(json::Ndjson::new(Log::open(destination)?)),
        Format::Csv => csv::open(destination)?,
        Format::Prometheus => Box::new(textfile::open(destination, settings.metrics_services)?),
        Format::Flows => Box::new(flows::Flows::new(Log::open(destination)?)),
        Format::Html => Box::new(page::Report::new(Sink::replace(destination)?)),
        Format::Tui => Box::new(tui::open(options, Arc::clone(on_quit))?),
    };
    let needs_intervals = spec.format.draws_time() || !settings.intervals_for_pictures;
    Ok(if needs_intervals { output } else { Box::new(whole::Whole::new(output)) })
}

/// An open output, and how it was opened.
pub struct Channel {
    spec: Spec,
    settings: Settings,
    on_quit: OnQuit,
    output: Box<dyn Output + Send>,
    /// The file that a log is in, to see whether somebody removes it.
    file: Option<OwnedFd>,
}

/// The file of a log, if it has a name that can be removed.
fn named_file(spec: &Spec) -> Option<OwnedFd> {
    let Destination::Path(path) = &spec.destination else { return None };
    let file = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    file.ok().filter(|file| spec.format.is_log() && !is_removed(file))
}

/// It has no name any more: nobody will read what is written there.
fn is_removed(file: &OwnedFd) -> bool {
    fstat(file).is_ok_and(|found| found.st_nlink == 0)
}

impl Channel {
    /// See [`open`].
    ///
    /// # Errors
    /// Those of [`open`].
    pub fn open(spec: &Spec, settings: &Settings, on_quit: &OnQuit) -> Result<Self, OutputError> {
        let output = open(spec, settings, on_quit)?;
        let file = named_file(spec);
        Ok(Self { spec: spec.clone(), settings: *settings, on_quit: Arc::clone(on_quit), output, file })
    }

    /// Goes on in a new file where that of a log was removed, because what is written there is lost. What to say of it; `None`
    /// where there was no need.
    ///
    /// # Errors
    /// Those of [`open`].
    pub fn keep_file(&mut self) -> Result<Option<String>, OutputError> {
        if !self.file.as_ref().is_some_and(is_removed) {
            return Ok(None);
        }
        match self.reopen() {
            // what could not be written to the file that was removed went with it
            Ok(()) | Err(OutputError::Finish(_)) => {
                Ok(Some(format!("{self}: the file was removed; going on in a new one")))
            }
            Err(error) => Err(error),
        }
    }

    /// Opens the file of a log anew, which may have been moved away. What to say of it, unless it went well.
    pub fn follow(&mut self) -> Option<String> {
        match self.reopen() {
            Ok(()) => None,
            Err(OutputError::Finish(error)) => {
                Some(format!("{error}; the end of the file that was moved away is lost"))
            }
            // nothing is lost by that
            Err(error) => Some(format!("{error}; going on in the file that was open")),
        }
    }

    /// What is written to.
    pub fn output(&mut self) -> &mut (dyn Output + Send) {
        self.output.as_mut()
    }

    /// It has the terminal.
    #[must_use]
    pub fn is_screen(&self) -> bool {
        self.spec.format == Format::Tui
    }

    /// It is a log in a file, which may have been moved away.
    #[must_use]
    pub fn is_log_file(&self) -> bool {
        self.spec.format.is_log() && self.spec.destination != Destination::Stdout
    }

    /// What could not be written may be written later: a disk has room again, a file its folder. A pipe has neither.
    #[must_use]
    pub fn may_recover(&self) -> bool {
        match &self.spec.destination {
            Destination::Stdout => false,
            Destination::Path(path) => {
                let is_kept = self.spec.format.is_log() || self.spec.format == Format::Prometheus;
                is_kept && fs::metadata(path).map_or(true, |found| found.is_file())
            }
        }
    }

    /// Goes on in the file that has the name now, creating it where it was moved away. Where that is not possible, it goes on
    /// in the one that was open.
    ///
    /// # Errors
    /// Those of [`open`].
    pub fn reopen(&mut self) -> Result<(), OutputError> {
        let anew = open(&self.spec, &self.settings, &self.on_quit)?;
        self.file = named_file(&self.spec);
        let mut before = std::mem::replace(&mut self.output, anew);
        before.finish().map_err(OutputError::Finish)
    }
}

/// The format, and where it goes.
impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.spec.format, self.spec.destination)
    }
}

/// Tells users something, on standard error. A closed standard error is no reason to stop. Names of files may hold
/// what a terminal would obey: it is shown instead. What is longer than any of ours, because of what users typed, is cut.
pub fn say(message: &dyn fmt::Display) {
    // two of the longest paths fit
    let message = printable(&cut_to(&message.to_string(), 12 << 10, 4 << 10));
    drop(writeln!(io::stderr(), "portlabel: {message}"));
}

/// Prints a line on standard error as it is.
pub fn print_line(line: &str) {
    drop(writeln!(io::stderr(), "{line}"));
}

/// Names as a sentence lists them.
fn list<const N: usize>(names: [&str; N]) -> String {
    names.join(", ")
}

/// A path for a message, with whatever a terminal would obey made visible.
fn printable_path(path: &Path) -> String {
    human::printable(&path.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Those that write to what is at a path; `prometheus` takes its place.
    const FILE_FORMATS: [Format; 6] =
        [Format::Table, Format::Json, Format::Ndjson, Format::Csv, Format::Flows, Format::Html];

    fn open(spec: &Spec) -> Result<Box<dyn Output + Send>, OutputError> {
        super::open(spec, &Settings::default(), &(Arc::new(|| ()) as OnQuit))
    }

    #[test]
    fn specs_are_a_format_and_a_path() {
        let path = |path: &str| Destination::Path(PathBuf::from(path));
        let cases = [
            ("table", Ok((Format::Table, Destination::Stdout))),
            ("json=-", Ok((Format::Json, Destination::Stdout))),
            ("csv=/dev/stdout", Ok((Format::Csv, Destination::Stdout))),
            ("ndjson=a=b.json", Ok((Format::Ndjson, path("a=b.json")))),
            ("flows=/tmp/f", Ok((Format::Flows, path("/tmp/f")))),
            ("tui", Ok((Format::Tui, Destination::Stdout))),
            ("tui=-", Ok((Format::Tui, Destination::Stdout))),
            ("json=", Err("'json=' lacks the path; 'json=-' or 'json' alone is standard output")),
            (
                "tui=x",
                Err("'tui' is a screen on the terminal and takes no path; 'table=FILE' has what it leaves behind"),
            ),
            (
                "xml=x",
                Err(
                    "'xml' is no format; FORMAT[=PATH] with one of: table, json, ndjson, csv, prometheus, flows, html, tui",
                ),
            ),
            (
                "",
                Err(
                    "'' is no format; FORMAT[=PATH] with one of: table, json, ndjson, csv, prometheus, flows, html, tui",
                ),
            ),
        ];
        for (text, want) in cases {
            let want = want.map(|(format, destination)| Spec { format, destination }).map_err(str::to_owned);
            assert_eq!(text.parse::<Spec>().map_err(|e| e.to_string()), want, "{text}");
        }
    }

    #[test]
    fn a_bad_path_is_told_at_once() {
        for format in FILE_FORMATS {
            let spec = Spec { format, destination: Destination::Path("/nowhere/x".into()) };
            let message = open(&spec).err().map(|error| error.to_string());
            let want = "/nowhere/x: cannot open for writing: No such file or directory (os error 2)";
            assert_eq!(message.as_deref(), Some(want), "{format}");
        }
    }

    #[test]
    fn errors_of_writing_keep_their_kind_and_say_where() {
        for format in FILE_FORMATS {
            let spec = Spec { format, destination: Destination::Path("/dev/full".into()) };
            let mut output = open(&spec).expect("opens");
            let written = output
                .flow(&sample::flows()[0])
                .and_then(|()| output.snapshot(&Arc::new(sample::snapshot())))
                .and_then(|()| output.finish());
            let error = written.expect_err("is full");
            assert_eq!(error.kind(), io::ErrorKind::StorageFull, "{format}");
            assert_eq!(error.to_string(), "/dev/full: No space left on device (os error 28)", "{format}");
        }
    }

    #[test]
    fn logs_grow_and_reports_are_replaced() {
        let dir = tempfile::tempdir().expect("a directory");
        let sample = Arc::new(sample::snapshot());
        let cases = [(Format::Table, 1), (Format::Json, 1), (Format::Ndjson, 2), (Format::Csv, 2), (Format::Flows, 2)];
        for (format, times) in cases {
            let path = dir.path().join(format.name());
            let run = || {
                let spec = Spec { format, destination: Destination::Path(path.clone()) };
                let mut output = open(&spec).expect("opens");
                output.flow(&sample::flows()[0]).expect("takes a flow");
                output.snapshot(&sample).expect("takes a snapshot");
                output.finish().expect("finishes");
                fs::read_to_string(&path).expect("was written")
            };
            let header = usize::from(format == Format::Csv);
            let (once, twice) = (run().lines().count() - header, run().lines().count() - header);
            assert_eq!(twice, once * times, "{format}");
        }
    }

    #[test]
    fn logs_that_were_moved_away_are_begun_anew() {
        let dir = tempfile::tempdir().expect("a directory");
        let sample = Arc::new(sample::snapshot());
        for (format, lines) in [(Format::Ndjson, 1), (Format::Csv, 1 + sample.services.len()), (Format::Flows, 1)] {
            let (path, moved) = (dir.path().join(format.name()), dir.path().join(format!("{format}.1")));
            let spec = Spec { format, destination: Destination::Path(path.clone()) };
            let nothing: OnQuit = Arc::new(|| ());
            let mut channel = Channel::open(&spec, &Settings::default(), &nothing).expect("opens");
            assert!(channel.is_log_file());
            let write = |channel: &mut Channel| {
                channel.output().flow(&sample::flows()[0]).expect("takes a flow");
                channel.output().snapshot(&sample).expect("takes a snapshot");
            };
            write(&mut channel);
            fs::rename(&path, &moved).expect("can be moved");
            channel.reopen().expect("can be created");
            write(&mut channel);
            // it is still there: the log goes on
            channel.reopen().expect("can be opened");
            write(&mut channel);
            fs::rename(dir.path(), dir.path().with_extension("gone")).expect("can be moved");
            assert!(matches!(channel.reopen(), Err(OutputError::Open { .. })), "there is no such folder");
            fs::rename(dir.path().with_extension("gone"), dir.path()).expect("can be moved");
            write(&mut channel);
            channel.output().finish().expect("finishes");
            let count = |path: &Path| fs::read_to_string(path).expect("was written").lines().count();
            let header = usize::from(format == Format::Csv);
            assert_eq!((count(&moved), count(&path)), (lines, 3 * (lines - header) + header), "{format}");
        }
    }

    #[test]
    fn csv_of_other_columns_is_left_alone() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("old.csv");
        fs::write(&path, "ts,service\n").expect("a file");
        let spec = Spec { format: Format::Csv, destination: Destination::Path(path.clone()) };
        assert!(matches!(open(&spec), Err(OutputError::OtherColumns { .. })));
        assert_eq!(fs::read_to_string(&path).expect("is there"), "ts,service\n");
    }
}
