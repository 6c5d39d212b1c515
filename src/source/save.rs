//! Saves frames as a pcapng file (draft-ietf-opsawg-pcapng): one section, an interface block for each interface seen.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::{Frame, Interface};
use crate::units::Timestamp;

/// What is wrong with a file that is written.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// It cannot be created.
    #[error("{output}: cannot create: {source}")]
    Create {
        /// The file.
        output: String,
        /// What the system said.
        source: io::Error,
    },
    /// It cannot be written to: no space, most likely, or nobody reads the pipe.
    #[error("{output}: cannot write: {source}")]
    Write {
        /// The file.
        output: String,
        /// What the system said.
        source: io::Error,
    },
    /// It has no name any more: nobody can read what is written to it.
    #[error("{output}: it was removed, with the packets in it; no more are saved")]
    Removed {
        /// The file.
        output: String,
    },
}

impl SaveError {
    /// Nobody reads what is saved any more, which ends the saving, and is no failure.
    #[must_use]
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Write { source, .. } if source.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// A pcapng file that grows, or a row of them.
pub struct Save {
    output: String,
    writer: BufWriter<Box<dyn Target + Send>>,
    /// It can be removed: a temporary file on standard output never had a name.
    has_name: bool,
    /// When the next file begins; `None`: never.
    rotation: Option<Rotation>,
    /// What was written of each interface of the source.
    written: Vec<Written>,
    /// Interface blocks so far.
    blocks: u32,
    written_bytes: u64,
}

/// What is written to.
trait Target: Write {
    /// It is a file that nobody can read.
    fn is_removed(&self) -> bool;
}

impl Target for File {
    fn is_removed(&self) -> bool {
        self.metadata().is_ok_and(|found| found.is_file() && found.nlink() == 0)
    }
}

/// When one file ends and the next one begins.
#[derive(Clone, Debug)]
struct Rotation {
    /// The first file.
    path: PathBuf,
    /// No file is longer than this, in bytes, unless a single packet takes it.
    limit_bytes: u64,
    /// Files before this one.
    number: u64,
    /// Bytes of this file before its first packet.
    first_packet_at: u64,
}

impl Rotation {
    /// The name of the next file: the number stands before the extension, so that the files of a row sort and open alike.
    fn next_path(&self) -> PathBuf {
        self.path.with_file_name(name_in_row(&self.path, self.number + 1))
    }
}

/// The name of the file with this number in the row that begins with `first`.
fn name_in_row(first: &Path, number: u64) -> OsString {
    let mut name = first.file_stem().unwrap_or_default().to_owned();
    name.push(format!(".{number}"));
    if let Some(extension) = first.extension() {
        name.push(".");
        name.push(extension);
    }
    name
}

/// The interface blocks that stand for one interface of the source, by their number.
#[derive(Clone, Copy, Debug, Default)]
struct Written {
    /// For packets since the Unix epoch.
    since_epoch: Option<u32>,
    /// For packets before it: timestamps have no sign, only an interface has an offset.
    before_epoch: Option<u32>,
}

/// Bytes written at once.
const BLOCK_LEN: usize = 256 << 10;
/// Added to times before the Unix epoch, in seconds: enough for the range of [`Timestamp`].
const BEFORE_EPOCH_SECONDS: i64 = 9_223_372_037;
const NANOS_PER_SECOND: i128 = 1_000_000_000;

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const ENHANCED_PACKET: u32 = 6;
/// Bytes of a packet's block beside its data.
const PACKET_OVERHEAD: u64 = 32;
const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;

const USER_APPLICATION: u16 = 4;
const IF_NAME: u16 = 2;
const IF_TSRESOL: u16 = 9;
const IF_TSOFFSET: u16 = 14;

impl Save {
    /// Whether a file's name is one of those that files get which follow `first`.
    #[must_use]
    pub fn is_in_row(first: &Path, name: &Path) -> bool {
        let Some(name) = name.file_name() else { return false };
        let stem_len = first.file_stem().map_or(0, OsStr::len);
        let rest = name.as_bytes().get(stem_len + 1..).unwrap_or_default();
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let number = str::from_utf8(&rest[..digits]).ok().and_then(|digits| digits.parse().ok());
        number.is_some_and(|number| number > 0 && name_in_row(first, number) == name)
    }

    /// Creates the file, or takes standard output when `path` is `-`.
    ///
    /// With `limit_bytes`, files that would grow longer are followed by another: `day.pcapng`, `day.1.pcapng`,
    /// `day.2.pcapng`, and so on, each complete in itself.
    ///
    /// # Errors
    /// [`SaveError::Create`], or [`SaveError::Write`] when not even the header can be written.
    pub fn create(path: &Path, limit_bytes: Option<u64>) -> Result<Self, SaveError> {
        let mut this = Self::open(path)?;
        this.rotation = limit_bytes.map(|limit_bytes| Rotation {
            path: path.to_owned(),
            limit_bytes,
            number: 0,
            first_packet_at: u64::MAX,
        });
        Ok(this)
    }

    fn open(path: &Path) -> Result<Self, SaveError> {
        let (output, file) = if path.as_os_str() == "-" {
            ("standard output".to_owned(), io::stdout().as_fd().try_clone_to_owned().map(File::from))
        } else {
            (path.display().to_string(), File::create(path))
        };
        let file = file.map_err(|source| SaveError::Create { output: output.clone(), source })?;
        let has_name = !file.is_removed();
        Ok(Self { has_name, ..Self::new(output, Box::new(file))? })
    }

    fn new(output: String, writer: Box<dyn Target + Send>) -> Result<Self, SaveError> {
        let writer = BufWriter::with_capacity(BLOCK_LEN, writer);
        let mut this =
            Self { output, writer, has_name: false, rotation: None, written: Vec::new(), blocks: 0, written_bytes: 0 };
        let mut body = Vec::new();
        body.extend(BYTE_ORDER_MAGIC.to_le_bytes());
        body.extend([1, 0, 0, 0]); // version 1.0
        body.extend([0xff; 8]); // the length of the section is not known
        add_option(&mut body, USER_APPLICATION, concat!("portlabel ", env!("CARGO_PKG_VERSION")).as_bytes());
        body.extend([0; 4]);
        this.put(SECTION_HEADER, &[&body])?;
        Ok(this)
    }

    /// Adds a frame, which `interface` saw.
    ///
    /// # Errors
    /// [`SaveError::Write`]. As the file is written in large pieces, the error may be about frames before this one.
    pub fn write(&mut self, frame: &Frame<'_>, interface: &Interface) -> Result<(), SaveError> {
        if let Some(rotation) = &self.rotation
            && rotation.first_packet_at < self.written_bytes
            && self.written_bytes + (frame.data.len() as u64).next_multiple_of(4) + PACKET_OVERHEAD
                > rotation.limit_bytes
        {
            self.rotate()?;
        }
        let before_epoch = frame.ts < Timestamp::default();
        let id = self.interface_block(frame.interface, interface, before_epoch)?;
        let offset_nanos = if before_epoch { i128::from(BEFORE_EPOCH_SECONDS) * NANOS_PER_SECOND } else { 0 };
        // in range: from 0 to 2^63 + 10^9
        let ticks = u64::try_from(i128::from(frame.ts.as_nanos()) + offset_nanos).unwrap_or_default();
        let captured_len = u32::try_from(frame.data.len()).unwrap_or(u32::MAX);

        let mut head = [0; 20];
        let numbers = [id, high_half(ticks), low_half(ticks), captured_len, frame.wire_len];
        for (field, number) in head.chunks_exact_mut(4).zip(numbers) {
            field.copy_from_slice(&number.to_le_bytes());
        }
        if let Some(rotation) = &mut self.rotation {
            rotation.first_packet_at = rotation.first_packet_at.min(self.written_bytes);
        }
        self.put(ENHANCED_PACKET, &[&head, frame.data])
    }

    /// Ends this file and begins the next.
    fn rotate(&mut self) -> Result<(), SaveError> {
        self.flush()?;
        let Some(before) = self.rotation.take() else { return Ok(()) };
        *self = Self::open(&before.next_path())?;
        self.rotation = Some(Rotation { number: before.number + 1, first_packet_at: u64::MAX, ..before });
        Ok(())
    }

    /// Bytes of the present file so far.
    #[must_use]
    pub const fn written_bytes(&self) -> u64 {
        self.written_bytes
    }

    /// Writes what is still in memory.
    ///
    /// # Errors
    /// [`SaveError::Write`], or [`SaveError::Removed`].
    pub fn flush(&mut self) -> Result<(), SaveError> {
        self.writer.flush().map_err(|source| SaveError::Write { output: self.output.clone(), source })?;
        if self.has_name && self.writer.get_ref().is_removed() {
            return Err(SaveError::Removed { output: self.output.clone() });
        }
        Ok(())
    }

    /// Ends the file. Without it, nobody would hear of a disk that is full.
    ///
    /// # Errors
    /// [`SaveError::Write`], or [`SaveError::Removed`].
    pub fn finish(mut self) -> Result<(), SaveError> {
        self.flush()
    }

    /// The number of the block that describes an interface; it is written when it is needed first.
    fn interface_block(&mut self, at: u32, interface: &Interface, before_epoch: bool) -> Result<u32, SaveError> {
        let at = at as usize;
        if at >= self.written.len() {
            self.written.resize(at + 1, Written::default());
        }
        let written = self.written[at];
        if let Some(id) = if before_epoch { written.before_epoch } else { written.since_epoch } {
            return Ok(id);
        }
        let mut body = Vec::new();
        body.extend(interface.link.0.to_le_bytes());
        body.extend([0; 2]);
        body.extend(interface.snap_len.to_le_bytes());
        add_option(&mut body, IF_NAME, interface.name().as_bytes());
        add_option(&mut body, IF_TSRESOL, &[9]);
        if before_epoch {
            add_option(&mut body, IF_TSOFFSET, &(-BEFORE_EPOCH_SECONDS).to_le_bytes());
        }
        body.extend([0; 4]);
        self.put(INTERFACE_DESCRIPTION, &[&body])?;
        let id = self.blocks;
        self.blocks += 1;
        let slot = &mut self.written[at];
        *(if before_epoch { &mut slot.before_epoch } else { &mut slot.since_epoch }) = Some(id);
        Ok(id)
    }

    /// Writes a block whose body is made of `parts`, padded to 4 bytes.
    fn put(&mut self, kind: u32, parts: &[&[u8]]) -> Result<(), SaveError> {
        let body_len: usize = parts.iter().map(|part| part.len()).sum();
        let padded_len = body_len.next_multiple_of(4);
        let total_len = u32::try_from(padded_len + 12).unwrap_or(u32::MAX).to_le_bytes();
        let padding = &[0; 3][..padded_len - body_len];
        let mut write = || {
            self.writer.write_all(&kind.to_le_bytes())?;
            self.writer.write_all(&total_len)?;
            parts.iter().try_for_each(|part| self.writer.write_all(part))?;
            self.writer.write_all(padding)?;
            self.writer.write_all(&total_len)
        };
        write().map_err(|source| SaveError::Write { output: self.output.clone(), source })?;
        self.written_bytes += padded_len as u64 + 12;
        Ok(())
    }
}

/// Adds an option, cut to what its length can say and padded to 4 bytes.
fn add_option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    let len = u16::try_from(value.len()).unwrap_or(u16::MAX);
    body.extend(code.to_le_bytes());
    body.extend(len.to_le_bytes());
    body.extend(&value[..usize::from(len)]);
    body.resize(body.len().next_multiple_of(4), 0);
}

const fn high_half(ticks: u64) -> u32 {
    (ticks >> 32) as u32
}

#[expect(clippy::cast_possible_truncation, reason = "that is what it is for")]
const fn low_half(ticks: u64) -> u32 {
    ticks as u32
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::super::testing::{Owned, read};
    use super::*;
    use crate::units::LinkType;

    /// A file in memory that fails once it is full.
    #[derive(Clone)]
    struct Disk {
        bytes: Arc<Mutex<Vec<u8>>>,
        capacity: usize,
    }

    impl Write for Disk {
        fn write(&mut self, data: &[u8]) -> io::Result<usize> {
            let mut bytes = self.bytes.lock().expect("one thread");
            if bytes.len() + data.len() > self.capacity {
                return Err(io::ErrorKind::StorageFull.into());
            }
            bytes.extend(data);
            Ok(data.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Target for Disk {
        fn is_removed(&self) -> bool {
            false
        }
    }

    fn interfaces() -> [Interface; 3] {
        let interface = |input: &str, own_name: Option<&str>, link, snap_len| Interface {
            input: input.into(),
            own_name: own_name.map(Into::into),
            link: LinkType(link),
            snap_len,
        };
        [interface("x.pcap", None, 1, 0), interface("y", Some("eth0"), 101, 96), interface("z", None, 113, 262_144)]
    }

    fn save(frames: &[Owned], capacity: usize) -> Result<Vec<u8>, SaveError> {
        let disk = Disk { bytes: Arc::default(), capacity };
        let mut save = Save::new("out.pcapng".to_owned(), Box::new(disk.clone()))?;
        for (nanos, wire_len, link, interface, data) in frames {
            let ts = Timestamp::from_nanos(*nanos);
            let frame = Frame { ts, wire_len: *wire_len, link: LinkType(*link), interface: *interface, data };
            save.write(&frame, &interfaces()[*interface as usize])?;
        }
        let written_bytes = save.written_bytes();
        save.finish()?;
        let bytes = disk.bytes.lock().expect("one thread").clone();
        assert_eq!(bytes.len() as u64, written_bytes);
        Ok(bytes)
    }

    #[test]
    fn what_is_saved_is_read_back() {
        let frames: Vec<Owned> = vec![
            (5, 60, 101, 1, b"abc".to_vec()),
            (1_769_853_605_000_000_001, 1_514, 1, 0, vec![7; 1_500]),
            (-1, 9, 101, 1, b"abcd".to_vec()),
            (i64::MIN, 9, 101, 1, b"abcde".to_vec()),
            (i64::MAX, u32::MAX, 101, 1, vec![]),
            (0, 0, 1, 0, vec![]),
            (6, 60, 113, 2, b"a".to_vec()),
        ];
        let outcome = read(&save(&frames, usize::MAX).expect("room"));
        assert_eq!(outcome.fault, None);
        let without_interface =
            |frames: &[Owned]| frames.iter().map(|f| (f.0, f.1, f.2, f.4.clone())).collect::<Vec<_>>();
        assert_eq!(without_interface(&outcome.frames), without_interface(&frames));
        // in the order in which they were needed, with one more for the times before the epoch
        let described: Vec<_> = outcome.interfaces.iter().map(|i| (i.name(), i.link.0, i.snap_len)).collect();
        let want = [("a: y: eth0", 101, 96), ("a: x.pcap", 1, 0), ("a: y: eth0", 101, 96), ("a: z", 113, 262_144)];
        let want = want.map(|(name, link, snap_len)| (name.to_owned(), link, snap_len));
        assert_eq!(described, want);
    }

    #[test]
    fn no_frames_make_a_sound_file() {
        let outcome = read(&save(&[], usize::MAX).expect("room"));
        assert_eq!((outcome.frames.len(), outcome.fault), (0, None));
    }

    #[test]
    fn a_row_of_files_holds_what_one_would() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("day.pcapng");
        let limit_bytes = 2_000;
        let mut save = Save::create(&path, Some(limit_bytes)).expect("room");
        let frames: Vec<Owned> = (0..50)
            .map(|at: u8| (i64::from(at), 4_000, 1, 0, vec![at; if at == 9 { 3_000 } else { usize::from(at) * 7 }]))
            .collect();
        for (nanos, wire_len, link, interface, data) in &frames {
            let ts = Timestamp::from_nanos(*nanos);
            let frame = Frame { ts, wire_len: *wire_len, link: LinkType(*link), interface: *interface, data };
            save.write(&frame, &interfaces()[0]).expect("room");
        }
        save.finish().expect("room");
        let mut found = Vec::new();
        let mut files = 0;
        for number in 0.. {
            let name = if number == 0 { "day.pcapng".to_owned() } else { format!("day.{number}.pcapng") };
            let Ok(bytes) = std::fs::read(folder.path().join(&name)) else { break };
            let outcome = read(&bytes);
            assert_eq!(outcome.fault, None, "{name} is complete in itself");
            let alone = outcome.frames.len() == 1 && bytes.len() > 3_000;
            assert!(bytes.len() as u64 <= limit_bytes || alone, "{name}: {} bytes", bytes.len());
            found.extend(outcome.frames.into_iter().map(|frame| frame.4));
            files += 1;
        }
        assert!(files > 5);
        assert_eq!(found, frames.into_iter().map(|frame| frame.4).collect::<Vec<_>>());
        assert_eq!(std::fs::read_dir(folder.path()).expect("it is there").count(), files);
    }

    #[test]
    fn names_of_a_row_are_known() {
        let cases = [
            ("day.pcapng", "day.1.pcapng", true),
            ("day.pcapng", "day.12.pcapng", true),
            ("day.pcapng", "day.01.pcapng", false),
            ("day.pcapng", "day.0.pcapng", false),
            ("day.pcapng", "day.pcapng", false),
            ("day.pcapng", "day.1.pcap", false),
            ("day.pcapng", "night.1.pcapng", false),
            ("day.pcapng", "day.99999999999999999999.pcapng", false),
            ("day", "day.3", true),
            ("day", "day", false),
            ("day", "d", false),
        ];
        for (first, name, want) in cases {
            assert_eq!(Save::is_in_row(Path::new(first), Path::new(name)), want, "{first} {name}");
        }
    }

    #[test]
    fn a_full_disk_is_told() {
        let frames: Vec<Owned> = vec![(5, 60, 101, 1, vec![7; 60]); 10_000];
        for capacity in [0, 100, 300_000] {
            let error = save(&frames, capacity).expect_err("no room").to_string();
            assert!(error.starts_with("out.pcapng: cannot write: "), "{error}");
        }
        let missing = Save::create(Path::new("/nowhere/out.pcapng"), None).map(|_| ()).expect_err("no such folder");
        assert!(missing.to_string().starts_with("/nowhere/out.pcapng: cannot create: "), "{missing}");
    }
}
