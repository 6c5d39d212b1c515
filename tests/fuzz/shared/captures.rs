//! Inputs that are capture files: reading them, and what to begin with.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, Write as _};
use std::ops::ControlFlow;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use libfuzzer_sys::Corpus;
use lz4_flex::frame::FrameEncoder;
use portlabel::source::{Fault, Frame, Interface, Next, Pause, Source as _, SourceError};
use rustix::fs::{MemfdFlags, memfd_create};

use super::{FRAMES_MAX, all_captures, frames, open, write_seeds};

/// What an input begins as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A container, see `portlabel::source`.
    Pcap,
    /// A container.
    PcapNg,
    /// A container, RFC 1761.
    Snoop,
    /// A compression, RFC 1952.
    Gzip,
    /// A compression, RFC 8878.
    Zstd,
    /// A compression, the LZ4 frame format.
    Lz4,
}

impl Format {
    /// Every format, with the name of its target.
    const ALL: [(Self, &str); 6] = [
        (Self::Pcap, "pcap"),
        (Self::PcapNg, "pcapng"),
        (Self::Snoop, "snoop"),
        (Self::Gzip, "gzip"),
        (Self::Zstd, "zstd"),
        (Self::Lz4, "lz4"),
    ];

    /// Whether `input` begins as files of this format do. Others are another target's.
    fn begins(self, input: &[u8]) -> bool {
        match self {
            Self::Pcap => PCAP_MAGICS.iter().any(|magic| input.starts_with(magic)),
            Self::PcapNg => input.starts_with(&[0x0a, 0x0d, 0x0d, 0x0a]),
            Self::Snoop => input.starts_with(b"snoop\0\0\0"),
            Self::Gzip => input.len() > 3 && input.starts_with(&[0x1f, 0x8b, 0x08]),
            Self::Zstd => {
                input.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) || matches!(input, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
            }
            Self::Lz4 => input.starts_with(&[0x04, 0x22, 0x4d, 0x18]),
        }
    }

    /// The most bytes of capture that one byte of a file can stand for.
    const fn expansion(self) -> u64 {
        match self {
            Self::Pcap | Self::PcapNg | Self::Snoop => 1,
            // two bits for 258 bytes (RFC 1951, section 3.2.5)
            Self::Gzip => 1_032,
            // a block of 4 bytes for 128 KiB of one byte (RFC 8878, section 3.1.1.2)
            Self::Zstd => 32_768,
            // a byte lengthens a match by at most 255
            Self::Lz4 => 256,
        }
    }

    /// The capture in this format; `None`: a container other than the one it is in.
    fn pack(self, capture: &[u8]) -> io::Result<Option<Vec<u8>>> {
        Ok(Some(match self {
            Self::Pcap | Self::PcapNg | Self::Snoop if self.begins(capture) => capture.to_vec(),
            Self::Pcap | Self::PcapNg => return Ok(None),
            // few captures are in it, so the bytes of others make a packet: version 2, Ethernet, and a record
            Self::Snoop => {
                let data = &capture[..capture.len().min(64)];
                let len = u32::try_from(data.len()).map_err(io::Error::other)?;
                let words = [2, 4, len, len, 24 + len, 0, 1, 0];
                [b"snoop\0\0\0", words.map(u32::to_be_bytes).as_flattened(), data].concat()
            }
            Self::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
                encoder.write_all(capture)?;
                encoder.finish()?
            }
            Self::Zstd => zstd::encode_all(capture, 3)?,
            Self::Lz4 => {
                let mut encoder = FrameEncoder::new(Vec::new());
                encoder.write_all(capture)?;
                encoder.finish()?
            }
        }))
    }
}

/// How pcap files begin: with microseconds, with nanoseconds, with longer record headers, each in both byte orders.
const PCAP_MAGICS: [[u8; 4]; 6] = [
    [0xa1, 0xb2, 0xc3, 0xd4],
    [0xd4, 0xc3, 0xb2, 0xa1],
    [0xa1, 0xb2, 0x3c, 0x4d],
    [0x4d, 0x3c, 0xb2, 0xa1],
    [0xa1, 0xb2, 0xcd, 0x34],
    [0x34, 0xcd, 0xb2, 0xa1],
];

/// The least that a packet takes in a container, in bytes: a record header of pcap, a simple packet block of pcapng.
const RECORD_LEN: u64 = 16;

/// Reads `input` to its end as portlabel does, in both ways, and holds what comes to what is promised of it.
///
/// # Panics
/// A promise is broken.
#[must_use]
pub fn read(input: &[u8], format: Format) -> Corpus {
    if !format.begins(input) {
        return Corpus::Reject;
    }
    let path = file(input);
    let (one_by_one, streamed) = (Outcome::one_by_one(&path), Outcome::streamed(&path));
    assert_eq!(one_by_one, streamed, "the two ways to read differ");
    let longest = input.len() as u64 * format.expansion();
    assert!(one_by_one.captured_bytes + RECORD_LEN * one_by_one.frames <= longest, "{one_by_one:?} of {longest} bytes");
    Corpus::Keep
}

/// A file in memory that holds `input`, until the next call.
fn file(input: &[u8]) -> PathBuf {
    static FILE: LazyLock<File> = LazyLock::new(|| {
        // leaves nothing behind, however the process ends
        memfd_create("input", MemfdFlags::CLOEXEC).expect("memory").into()
    });
    FILE.set_len(0).and_then(|()| FILE.write_all_at(input, 0)).expect("memory");
    PathBuf::from(format!("/proc/self/fd/{}", FILE.as_raw_fd()))
}

/// What came of reading a file.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    frames: u64,
    captured_bytes: u64,
    /// All that is known of the frames, in their order.
    digest: u64,
    /// What was said of times that cannot be told, after which reading goes on.
    remark: Option<String>,
    /// The message that ended it.
    error: Option<String>,
}

impl Outcome {
    fn one_by_one(path: &Path) -> Self {
        let (mut outcome, mut files) = (Self::default(), open(path));
        loop {
            let error = match files.next_packet() {
                Ok(Next::Frame(frame)) => {
                    outcome.add(&frame);
                    continue;
                }
                Ok(Next::Idle) => panic!("a file has its bytes at once"),
                Ok(Next::End) => return outcome,
                Err(error) => error,
            };
            outcome.end(&error);
        }
    }

    fn streamed(path: &Path) -> Self {
        let (mut outcome, mut files) = (Self::default(), open(path));
        loop {
            let result = files.read(&mut |frame, interfaces: &[Interface]| {
                let interface = &interfaces[usize::try_from(frame.interface).expect("a small number")];
                assert_eq!(frame.link, interface.link);
                outcome.add(frame);
                ControlFlow::Continue(())
            });
            match result {
                Ok(Pause::End) => break,
                Ok(pause) => panic!("{pause:?} from a file"),
                Err(error) => outcome.end(&error),
            }
        }
        assert!(files.is_readable() || outcome.frames == 0);
        outcome
    }

    fn add(&mut self, frame: &Frame<'_>) {
        let Frame { ts, wire_len, link, interface, data } = *frame;
        assert!(self.error.is_none(), "a frame behind the damage");
        assert!(data.len() as u64 <= u64::from(wire_len), "{} bytes of {wire_len} were captured", data.len());
        self.frames += 1;
        self.captured_bytes += data.len() as u64;
        let mut hasher = DefaultHasher::new();
        (self.digest, ts.as_nanos(), wire_len, link.0, interface, data).hash(&mut hasher);
        self.digest = hasher.finish();
    }

    fn end(&mut self, error: &SourceError) {
        let message = error.to_string();
        assert!(message.len() < 500 && !message.contains(char::is_control), "{message:?}");
        let is_remark = matches!(error, SourceError::Input { fault: Fault::Time { .. }, .. });
        let said = if is_remark { &mut self.remark } else { &mut self.error };
        assert_eq!(said.replace(message), None, "the same is said twice of one file");
    }
}

/// Longer captures are cut to this before they become inputs, in bytes.
const SEED_LEN: usize = 4 << 10;

/// Writes the inputs to begin with for a target: out of the captures of `fixtures/`, and of `PORTLABEL_CORPUS` where there is
/// one.
///
/// # Panics
/// They cannot be read or written.
pub fn seeds(target: &str) {
    let format = Format::ALL.iter().find(|(_, name)| *name == target).map(|(format, _)| *format);
    write_seeds(|| {
        let mut seeds = Vec::new();
        for path in all_captures() {
            match format {
                None => seeds.extend(some_frames(&path)),
                Some(format) => {
                    let mut capture = fs::read(&path).expect("it is there");
                    capture.truncate(SEED_LEN);
                    seeds.extend(format.pack(&capture).expect("memory"));
                }
            }
        }
        seeds
    });
}

/// Some frames of a capture, each behind its link type.
fn some_frames(path: &Path) -> Vec<Vec<u8>> {
    let frames = frames(path, usize::MAX);
    let step = frames.len() / FRAMES_MAX + 1;
    frames.into_iter().step_by(step).map(|(link, data)| [&link.0.to_le_bytes(), &data[..]].concat()).collect()
}
