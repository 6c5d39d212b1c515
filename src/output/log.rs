//! Where records are added one after the other: a file, a pipe, standard output.
//!
//! A record is handed over whole, in one request where the system takes it in one. What could not be written, because a disk
//! was full, is kept, and goes on where it ended when there is room again: no record is cut in the middle of a log.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::{Destination, OutputError, say};

/// Memory that is kept for the next record, in bytes.
const KEPT_BYTES: usize = 1 << 20;

/// An open log. [`Write::write`] takes everything and [`Write::flush`] writes it.
#[derive(Debug)]
pub(super) struct Log {
    destination: Destination,
    file: File,
    /// What is still to be written.
    pending: Vec<u8>,
}

impl Log {
    /// Opens a destination, to add to what is there. Where that ends in the middle of a line, as when a program was killed,
    /// the next one begins a line of its own.
    ///
    /// # Errors
    /// [`OutputError::Open`].
    pub(super) fn open(destination: &Destination) -> Result<Self, OutputError> {
        let (file, pending) = match destination {
            Destination::Stdout => {
                let stdout = io::stdout().as_fd().try_clone_to_owned();
                (File::from(stdout.map_err(OutputError::Stdout)?), Vec::new())
            }
            Destination::Path(path) => {
                let file = OpenOptions::new().append(true).create(true).open(path);
                let file = file.map_err(|source| OutputError::Open { path: path.clone(), source })?;
                let is_cut = ends_within_a_line(path, &file);
                if is_cut {
                    say(&format_args!("{destination}: its last line is not whole; going on in a new one"));
                }
                (file, if is_cut { vec![b'\n'] } else { Vec::new() })
            }
        };
        Ok(Self { destination: destination.clone(), file, pending })
    }

    /// It is a file with nothing in it: new, or emptied meanwhile, as logrotate's `copytruncate` does.
    pub(super) fn is_empty_file(&self) -> bool {
        self.file.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() == 0)
    }
}

/// A file that cannot be read, or is no file, is taken for whole.
fn ends_within_a_line(path: &Path, file: &File) -> bool {
    let found = file.metadata().ok().filter(fs::Metadata::is_file);
    let Some(last) = found.and_then(|file| file.len().checked_sub(1)) else {
        return false;
    };
    let mut byte = [b'\n'];
    File::open(path).and_then(|file| file.read_exact_at(&mut byte, last)).is_ok() && byte != [b'\n']
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.pending.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.pending.extend_from_slice(bytes);
        Ok(())
    }

    /// Errors name the destination, and keep their kind.
    fn flush(&mut self) -> io::Result<()> {
        let mut written = 0;
        let flushed = loop {
            if written == self.pending.len() {
                break Ok(());
            }
            match self.file.write(&self.pending[written..]) {
                Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                Ok(len) => written += len,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        self.pending.drain(..written);
        self.pending.shrink_to(KEPT_BYTES);
        flushed.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", self.destination)))
    }
}
