//! The bytes of one input as they are on disk or in a pipe, before anything is made of them.

use std::fs::File;
use std::io::{self, Read, Seek as _};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::ahead::ReadAhead;
use super::error::{Codec, Fault, Position};
use super::room::Room;

/// How long a read waits for a pipe before it says that there is nothing.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// Why a read gave no bytes.
#[derive(Debug)]
pub(super) enum ReadError {
    /// Nothing there just now; the same read may be tried again.
    Idle,
    /// Somebody asked to stop.
    Stopped,
    /// The system refused.
    System(io::Error),
    /// The bytes are there, but they do not decompress.
    Decompress {
        /// How they are compressed.
        codec: Codec,
        /// Compressed bytes up to the damage.
        offset: u64,
        /// What the decompressor said.
        problem: String,
    },
}

/// Why a read gave no bytes although nothing is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pause {
    /// Nothing there just now.
    Idle,
    /// Somebody asked to stop.
    Stopped,
}

impl ReadError {
    /// Tells what is wrong from what is not; `at` is how far the input was read.
    pub fn into_pause(self, at: Position) -> Result<Pause, Fault> {
        match self {
            Self::Idle => Ok(Pause::Idle),
            Self::Stopped => Ok(Pause::Stopped),
            Self::System(source) => Err(Fault::Read { at, source }),
            Self::Decompress { codec, offset, problem } => Err(Fault::Decompress { codec, offset, problem }),
        }
    }
}

/// What all inputs of a run share with whoever started it.
#[derive(Clone, Debug, Default)]
pub(super) struct Shared {
    /// Set from outside: read no further.
    pub stop: Arc<AtomicBool>,
    /// Bytes read from disk or pipe so far, compressed ones where a file is compressed.
    pub progress: Arc<AtomicU64>,
    /// The inputs that are read ahead.
    pub read_ahead: ReadAhead,
    /// Memory for what is longer than usual.
    pub room: Room,
}

/// The bytes of one input, in blocks.
pub(super) struct Input {
    reader: Box<dyn Read + Send>,
    is_file: bool,
    shared: Shared,
    abandoned: Arc<AtomicBool>,
}

impl Input {
    /// An input that reads from `reader`, which says [`io::ErrorKind::WouldBlock`] when it has nothing just now.
    pub fn new(reader: Box<dyn Read + Send>, shared: Shared) -> Self {
        Self { reader, is_file: false, shared, abandoned: Arc::default() }
    }

    /// It is a regular file, of which all bytes are there.
    pub const fn is_file(&self) -> bool {
        self.is_file
    }

    /// What it shares with the other inputs.
    pub const fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Set by whoever has handed the input to another thread, and wants no more of it: the stop of this input alone.
    pub fn abandoned(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.abandoned)
    }

    /// Opens a file, or a FIFO without waiting for its other end: reading waits for that.
    pub fn open(path: &Path, shared: Shared) -> io::Result<Self> {
        use std::os::unix::fs::FileTypeExt as _;
        let file_type = std::fs::metadata(path)?.file_type();
        if !file_type.is_fifo() {
            return Self::from_file(File::open(path)?, shared);
        }
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Self::from_file(File::from(rustix::fs::open(path, flags, Mode::empty())?), shared)
    }

    /// Standard input, from where it stands.
    pub fn standard(shared: Shared) -> io::Result<Self> {
        Self::from_file(File::from(io::stdin().as_fd().try_clone_to_owned()?), shared)
    }

    /// The bytes of an open file, of whatever kind.
    pub fn from_file(file: File, shared: Shared) -> io::Result<Self> {
        let found = file.metadata()?;
        let is_file = found.is_file();
        let reader: Box<dyn Read + Send> =
            if is_file { Box::new(Regular::new(file, found.len())?) } else { Box::new(Patient(file)) };
        Ok(Self { is_file, ..Self::new(reader, shared) })
    }

    /// Reads a block into `buffer`; no bytes is the end.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ReadError> {
        loop {
            if self.shared.stop.load(Ordering::Relaxed) || self.abandoned.load(Ordering::Relaxed) {
                return Err(ReadError::Stopped);
            }
            match self.reader.read(buffer) {
                Ok(read_len) => {
                    self.shared.progress.fetch_add(read_len as u64, Ordering::Relaxed);
                    return Ok(read_len);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(ReadError::Idle),
                Err(error) => return Err(ReadError::System(error)),
            }
        }
    }
}

/// A regular file. One that becomes shorter while it is read may end between two packets, where nothing else tells.
struct Regular {
    file: File,
    /// How long it was.
    opened_len: u64,
    /// How far it was read.
    at: u64,
}

impl Regular {
    fn new(mut file: File, opened_len: u64) -> io::Result<Self> {
        Ok(Self { opened_len, at: file.stream_position()?, file })
    }
}

impl Read for Regular {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read_len = self.file.read(buffer)?;
        self.at += read_len as u64;
        if read_len == 0 && !buffer.is_empty() {
            let len = self.file.metadata()?.len();
            // files of /proc have no length at all
            if len < self.at && len < self.opened_len {
                return Err(io::Error::other(format!("the file has become shorter, it has {len} bytes now")));
            }
        }
        Ok(read_len)
    }
}

/// A pipe, a FIFO or a terminal: a read that waits for at most [`PATIENCE`].
struct Patient(File);

impl Read for Patient {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // a closed other end counts as ready: the read then says that this is the end
        let ready = match poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&PATIENCE)) {
            // whoever waits has to see what the signal is about
            Err(Errno::INTR) => 0,
            ready => ready?,
        };
        if ready == 0 { Err(io::ErrorKind::WouldBlock.into()) } else { self.0.read(buffer) }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::fs::FileExt as _;

    use super::*;

    #[test]
    fn a_pipe_idles_delivers_and_ends() {
        let (reader, mut writer) = io::pipe().expect("a pipe");
        let file = File::from(std::os::fd::OwnedFd::from(reader));
        let shared = Shared::default();
        let mut input = Input::from_file(file, shared.clone()).expect("its type");
        let mut buffer = [0; 16];
        assert!(matches!(input.read(&mut buffer), Err(ReadError::Idle)));
        writer.write_all(b"abc").expect("a reader");
        assert!(matches!(input.read(&mut buffer), Ok(3)));
        assert_eq!(shared.progress.load(Ordering::Relaxed), 3);
        drop(writer);
        assert!(matches!(input.read(&mut buffer), Ok(0)));
        shared.stop.store(true, Ordering::Relaxed);
        assert!(matches!(input.read(&mut buffer), Err(ReadError::Stopped)));
    }

    #[test]
    fn a_file_that_becomes_shorter_says_so() {
        let file = tempfile::tempfile().expect("room");
        file.write_all_at(&[7; 100], 0).expect("room");
        let mut buffer = [0; 80];
        let mut input = Input::from_file(file.try_clone().expect("descriptors"), Shared::default()).expect("its type");
        assert!(matches!(input.read(&mut buffer), Ok(80)));
        file.set_len(90).expect("it is ours");
        assert!(matches!(input.read(&mut buffer), Ok(10)), "what is read of it is all there");
        assert!(matches!(input.read(&mut buffer), Ok(0)));
        file.set_len(50).expect("it is ours");
        let Err(ReadError::System(error)) = input.read(&mut buffer) else { panic!("it is shorter than what was read") };
        assert_eq!(error.to_string(), "the file has become shorter, it has 50 bytes now");
        let mut status = Input::open(Path::new("/proc/self/status"), Shared::default()).expect("/proc");
        while matches!(status.read(&mut buffer), Ok(1..)) {}
        assert!(matches!(status.read(&mut buffer), Ok(0)));
    }

    #[test]
    fn a_fifo_without_a_writer_idles() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("fifo");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, Mode::RUSR | Mode::WUSR).expect("a FIFO");
        let mut input = Input::open(&path, Shared::default()).expect("it is there");
        let mut buffer = [0; 16];
        assert!(matches!(input.read(&mut buffer), Err(ReadError::Idle)));
        let mut writer = File::options().write(true).open(&path).expect("a reader waits");
        writer.write_all(b"abc").expect("a reader");
        assert!(matches!(input.read(&mut buffer), Ok(3)));
        drop(writer);
        assert!(matches!(input.read(&mut buffer), Ok(0)));
    }
}
