//! Captures built by hand, and readers that make life hard for what reads them.

use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::ahead::{Errand, Need, ReadAhead};
use super::input::{Input, Shared};
use super::reader::Reader;
use super::record::{ByteOrder, Step};
use super::{Frame, Interface};

/// A frame that outlives its buffer: time in nanoseconds, wire length, link type, interface, captured bytes.
pub(super) type Owned = (i64, u32, u16, u32, Vec<u8>);

pub(super) fn owned(frame: &Frame<'_>) -> Owned {
    (frame.ts.as_nanos(), frame.wire_len, frame.link.0, frame.interface, frame.data.to_vec())
}

/// What came of reading an input.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    pub frames: Vec<Owned>,
    pub interfaces: Vec<Interface>,
    /// The message of the fault that ended it.
    pub fault: Option<String>,
}

/// Bytes that come `chunk_len` at a time; with `idles`, every other read has nothing.
pub(super) struct Chopped {
    bytes: Vec<u8>,
    at: usize,
    chunk_len: usize,
    idles: bool,
    turn: bool,
}

impl Chopped {
    pub fn new(bytes: &[u8], chunk_len: usize, idles: bool) -> Self {
        Self { bytes: bytes.to_vec(), at: 0, chunk_len, idles, turn: false }
    }
}

impl Read for Chopped {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.turn = !self.turn;
        if self.idles && self.turn {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let read_len = buffer.len().min(self.chunk_len).min(self.bytes.len() - self.at);
        buffer[..read_len].copy_from_slice(&self.bytes[self.at..self.at + read_len]);
        self.at += read_len;
        Ok(read_len)
    }
}

/// Reads `bytes` as one input called `a`.
pub(super) fn read(bytes: &[u8]) -> Outcome {
    read_from(Chopped::new(bytes, usize::MAX, false))
}

/// Reads what `reader` gives as one input called `a`, in small blocks.
pub(super) fn read_from(reader: impl Read + Send + 'static) -> Outcome {
    read_with(reader, Shared::default())
}

/// As [`read_from`], decompressed ahead where the input is long enough.
pub(super) fn read_ahead(reader: impl Read + Send + 'static) -> Outcome {
    let read_ahead = ReadAhead::of(1);
    read_ahead.allow();
    let shared = Shared { read_ahead: read_ahead.clone(), ..Shared::default() };
    helped(&read_ahead, || read_with(reader, shared))
}

/// Does `work` while another thread does what there is to be done ahead.
pub(super) fn helped<T>(read_ahead: &ReadAhead, work: impl FnOnce() -> T) -> T {
    struct SetAtEnd<'f>(&'f AtomicBool);
    impl Drop for SetAtEnd<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                read_ahead.take(Need::Some).map_or_else(thread::yield_now, Errand::run);
            }
        });
        let _at_end = SetAtEnd(&is_over);
        work()
    })
}

fn read_with(reader: impl Read + Send + 'static, shared: Shared) -> Outcome {
    let mut reader = Reader::new("a".to_owned(), Input::new(Box::new(reader), shared), 64);
    let mut outcome = Outcome::default();
    loop {
        match reader.advance(&mut outcome.interfaces) {
            Ok(Step::Packet) => outcome.frames.push(owned(&reader.frame())),
            Ok(Step::Idle) => {}
            Ok(Step::End) => return outcome,
            Err(fault) => {
                outcome.fault = Some(fault.to_string());
                return outcome;
            }
        }
    }
}

/// Numbers in a byte order, one after the other.
pub(super) fn words(order: ByteOrder, words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| order.bytes(*word)).collect()
}

pub(super) fn halves(order: ByteOrder, halves: &[u16]) -> Vec<u8> {
    halves.iter().flat_map(|half| order.half_bytes(*half)).collect()
}

/// The header of a pcap file of link type 1.
pub(super) fn pcap_header(order: ByteOrder, magic: u32, version: (u16, u16)) -> Vec<u8> {
    let mut header = words(order, &[magic]);
    header.extend(halves(order, &[version.0, version.1]));
    header.extend(words(order, &[0, 0, 65_535, 1]));
    header
}

/// A record of a pcap file, whose wire is 100 bytes longer than `data`.
pub(super) fn pcap_record(order: ByteOrder, seconds: u32, fraction: u32, data: &[u8]) -> Vec<u8> {
    let len = u32::try_from(data.len()).expect("a short packet");
    let mut record = words(order, &[seconds, fraction, len, len + 100]);
    record.extend(data);
    record
}

/// A little-endian pcap file with a packet of three bytes at each of these seconds.
pub(super) fn pcap_file(seconds: &[u32]) -> Vec<u8> {
    let mut file = pcap_header(ByteOrder::Little, 0xa1b2_c3d4, (2, 4));
    for second in seconds {
        file.extend(pcap_record(ByteOrder::Little, *second, 0, &[1, 2, 3]));
    }
    file
}

/// The header of a snoop file.
pub(super) fn snoop_header(version: u32, datalink: u32) -> Vec<u8> {
    [b"snoop\0\0\0".to_vec(), words(ByteOrder::Big, &[version, datalink])].concat()
}

/// A record of a snoop file, padded to a multiple of four bytes, whose wire is 100 bytes longer than `data`.
pub(super) fn snoop_record(seconds: u32, micros: u32, data: &[u8]) -> Vec<u8> {
    let len = u32::try_from(data.len()).expect("a short packet");
    let record_len = (24 + len).next_multiple_of(4);
    let mut record = words(ByteOrder::Big, &[len + 100, len, record_len, 0, seconds, micros]);
    record.extend(data);
    record.resize(record.len().next_multiple_of(4), 0);
    record
}

/// A snoop file of Ethernet with a packet of three bytes at each of these seconds.
pub(super) fn snoop_file(seconds: &[u32]) -> Vec<u8> {
    let mut file = snoop_header(2, 4);
    for second in seconds {
        file.extend(snoop_record(*second, 0, &[1, 2, 3]));
    }
    file
}

/// A block of a pcapng file.
pub(super) fn block(order: ByteOrder, kind: u32, body: &[u8]) -> Vec<u8> {
    let mut padded = body.to_vec();
    padded.resize(body.len().next_multiple_of(4), 0);
    let total_len = u32::try_from(padded.len() + 12).expect("a short block");
    let mut block = words(order, &[kind, total_len]);
    block.extend(padded);
    block.extend(words(order, &[total_len]));
    block
}

pub(super) fn section(order: ByteOrder) -> Vec<u8> {
    let mut body = words(order, &[0x1a2b_3c4d]);
    body.extend(halves(order, &[1, 0]));
    body.extend([0xff; 8]);
    block(order, 0x0a0d_0d0a, &body)
}

/// An interface block with these options, given as code and value.
pub(super) fn interface(order: ByteOrder, link: u16, snap_len: u32, options: &[(u16, &[u8])]) -> Vec<u8> {
    let mut body = halves(order, &[link, 0]);
    body.extend(words(order, &[snap_len]));
    for (code, value) in options {
        body.extend(halves(order, &[*code, u16::try_from(value.len()).expect("a short option")]));
        body.extend(*value);
        body.resize(body.len().next_multiple_of(4), 0);
    }
    block(order, 1, &body)
}

/// An enhanced packet block, whose wire is 100 bytes longer than `data`.
pub(super) fn packet(order: ByteOrder, interface: u32, ticks: u64, data: &[u8]) -> Vec<u8> {
    let len = u32::try_from(data.len()).expect("a short packet");
    let (high, low) = (u32::try_from(ticks >> 32).expect("half"), u32::try_from(ticks & 0xffff_ffff).expect("half"));
    let mut body = words(order, &[interface, high, low, len, len + 100]);
    body.extend(data);
    block(order, 6, &body)
}
