//! Where an output goes that replaces what is there: buffered, and with errors that say where.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::{Destination, OutputError};

/// A buffered destination.
#[derive(Debug)]
pub(super) struct Sink {
    destination: Destination,
    writer: BufWriter<Target>,
}

#[derive(Debug)]
enum Target {
    Stdout(io::Stdout),
    File {
        path: PathBuf,
        file: File,
        /// Nothing was written yet: until something is, what is there stays.
        is_untouched: bool,
    },
}

impl Sink {
    /// Opens a destination and replaces what is there, as soon as there is something to write.
    ///
    /// # Errors
    /// [`OutputError::Open`].
    pub(super) fn replace(destination: &Destination) -> Result<Self, OutputError> {
        let target = match destination {
            Destination::Stdout => Target::Stdout(io::stdout()),
            Destination::Path(path) => {
                let file = opened(path).map_err(|source| OutputError::Open { path: path.clone(), source })?;
                Target::File { path: path.clone(), file, is_untouched: true }
            }
        };
        Ok(Self { destination: destination.clone(), writer: BufWriter::with_capacity(64 * 1024, target) })
    }

    /// The error with the destination before it, and of the same kind.
    fn named(&self, error: &io::Error) -> io::Error {
        io::Error::new(error.kind(), format!("{}: {error}", self.destination))
    }
}

/// Opens a file as it is, creating it where there is none.
fn opened(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(false).open(path)
}

/// The path still leads to this file.
fn leads_to(path: &Path, file: &File) -> io::Result<bool> {
    let open = file.metadata()?;
    Ok(fs::metadata(path).is_ok_and(|there| (there.dev(), there.ino()) == (open.dev(), open.ino())))
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes).map_err(|error| self.named(&error))
    }

    // documents come in pieces of a few bytes, millions of them
    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.writer.write_all(bytes).map_err(|error| self.named(&error))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush().map_err(|error| self.named(&error))
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(stdout) => stdout.write(bytes),
            Self::File { path, file, is_untouched } => {
                // a device or a pipe has nothing to replace, and cannot be cut
                if std::mem::take(is_untouched) && file.metadata()?.is_file() {
                    // what was moved away meanwhile is to stay as it is, and what was removed is no place to write to
                    if !leads_to(path, file)? {
                        *file = opened(path)?;
                    }
                    file.set_len(0)?;
                }
                file.write(bytes)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(stdout) => stdout.flush(),
            Self::File { file, .. } => file.flush(),
        }
    }
}
