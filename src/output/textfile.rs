//! `-o prometheus`: the metrics in a file, for node_exporter's textfile collector, or on standard output.
//!
//! The file is replaced as a whole at each snapshot: whoever reads it sees one snapshot or the next, and never a half.
//! Standard output gets the final snapshot alone.

use std::fs::{self, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::NamedTempFile;

use super::metrics::{Exposition, Metrics};
use super::sink::Sink;
use super::{Destination, Output, OutputError, printable_path};
use crate::snapshot::Snapshot;

/// `-o prometheus`.
#[derive(Debug)]
pub(super) struct Textfile {
    metrics: Metrics,
    target: Target,
}

#[derive(Debug)]
enum Target {
    Stdout(Sink),
    File(PathBuf),
}

/// Opens `-o prometheus`, with series of their own for at most `max_services` services.
///
/// # Errors
/// [`OutputError`]: the path leads to something that is no file, or nothing can be created beside it.
pub(super) fn open(destination: &Destination, max_services: usize) -> Result<Textfile, OutputError> {
    let target = match destination {
        Destination::Stdout => Target::Stdout(Sink::replace(destination)?),
        Destination::Path(path) => {
            if let Some(kind) = fs::metadata(path).ok().filter(|found| !found.is_file()) {
                let what = if kind.is_dir() { "a folder" } else { "a device or a pipe" };
                return Err(OutputError::NotReplaceable { path: path.clone(), what });
            }
            // a link is followed: what it leads to is what is replaced
            let path = path.canonicalize().unwrap_or_else(|_| path.clone());
            temporary(&path).map_err(|source| OutputError::Beside { path: path.clone(), source })?;
            Target::File(path)
        }
    };
    Ok(Textfile { metrics: Metrics::new(max_services), target })
}

impl Output for Textfile {
    /// Files are created as whoever the run has become.
    fn start(&mut self) -> io::Result<()> {
        match &self.target {
            Target::Stdout(_) => Ok(()),
            Target::File(path) => temporary(path).map(drop).map_err(|error| named(path, &error)),
        }
    }

    fn snapshot(&mut self, snapshot: &Arc<Snapshot>) -> io::Result<()> {
        self.metrics.update(snapshot);
        match &mut self.target {
            Target::Stdout(sink) if snapshot.is_final => {
                sink.write_all(self.metrics.encode(Exposition::Prometheus).as_bytes())
            }
            Target::Stdout(_) => Ok(()),
            Target::File(path) => {
                replace(path, &self.metrics.encode(Exposition::Prometheus)).map_err(|error| named(path, &error))
            }
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        match &mut self.target {
            Target::Stdout(sink) => sink.flush(),
            Target::File(_) => Ok(()),
        }
    }
}

/// Puts a file with this text in the place of another.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let mut file = temporary(path)?;
    file.write_all(text.as_bytes())?;
    file.persist(path)?;
    Ok(())
}

/// A new file beside another, with a name that no collector takes and no other run has, and with the mode of any output.
/// It goes when it is dropped.
fn temporary(path: &Path) -> io::Result<NamedTempFile> {
    let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    // the umask is taken away from the mode
    builder.prefix(".portlabel-").suffix(".tmp").permissions(Permissions::from_mode(0o666)).tempfile_in(folder)
}

/// The error with the file before it, and of the same kind.
fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: cannot replace it: {error}", printable_path(path)))
}
