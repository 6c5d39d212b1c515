//! One input, whatever its compression and container: both are told from its first bytes.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::compressed::{self, Bytes};
use super::error::{Codec, Damage, Fault, Position};
use super::foreign;
use super::input::{Input, Pause};
use super::packed::Packed;
use super::pcap::{FILE_HEADER_LEN, Magic, Pcap};
use super::pcapng::{PcapNg, SECTION_HEADER};
use super::record::{Found, Step};
use super::skippable::{Behind, Skipping, is_skippable};
use super::snoop::{self, Snoop};
use super::stream::{Fill, Stream};
use super::{Frame, Interface};
use crate::units::{LinkType, Timestamp};

/// An input that is being read.
pub(super) struct Reader {
    /// As the user named it.
    name: Arc<str>,
    block_len: usize,
    stage: Stage,
    /// Void without a container.
    found: Box<Found>,
}

/// What an input is, as far as that is known.
enum Stage {
    /// A pcap file.
    Pcap(Box<Pcap>),
    /// A pcapng file.
    PcapNg(Box<PcapNg>),
    /// A snoop file.
    Snoop(Box<Snoop>),
    /// Nobody knows, or cares any more.
    Unknown(Unknown),
}

/// How much is known of an input whose container is not.
enum Unknown {
    /// Nothing: its first bytes, as far as they came.
    Opened { input: Input, first: Vec<u8> },
    /// It is zstd or lz4.
    Skipping(Box<Skipping>),
    /// Its compression.
    Unpacked(Box<Stream>),
    /// It is not read any more.
    Closed,
}

impl Reader {
    /// A reader of `input`, in blocks of `block_len` bytes. Nothing is read yet.
    pub fn new(name: String, input: Input, block_len: usize) -> Self {
        let stage = Stage::Unknown(Unknown::Opened { input, first: Vec::new() });
        Self { name: name.into(), block_len, stage, found: Box::new(Found::NONE) }
    }

    /// Whether it turned out to be a capture.
    pub const fn is_capture(&self) -> bool {
        matches!(self.stage, Stage::Pcap(_) | Stage::PcapNg(_) | Stage::Snoop(_))
    }

    /// Goes to the next packet; interfaces that are described on the way are added to `interfaces`.
    ///
    /// # Errors
    /// It is no capture, or cannot be read on. There is nothing more to read after that.
    #[inline(always)]
    pub fn advance(&mut self, interfaces: &mut Vec<Interface>) -> Result<Step, Fault> {
        if self.found.advance() { Ok(Step::Packet) } else { self.find(interfaces) }
    }

    /// Finds the next packets, and goes to the first of them.
    #[inline(never)]
    fn find(&mut self, interfaces: &mut Vec<Interface>) -> Result<Step, Fault> {
        loop {
            match &mut self.stage {
                Stage::Pcap(pcap) => return pcap.find(&mut self.found),
                Stage::PcapNg(pcapng) => return pcapng.find(&mut self.found, interfaces),
                Stage::Snoop(snoop) => return snoop.find(&mut self.found),
                Stage::Unknown(Unknown::Closed) => return Ok(Step::End),
                Stage::Unknown(_) => {
                    if let Some(step) = self.recognise(interfaces)? {
                        return Ok(step);
                    }
                }
            }
        }
    }

    /// The interface of a capture that has one, without a name.
    fn interface(&self, link: LinkType, snap_len: u32) -> Interface {
        Interface { input: Arc::clone(&self.name), own_name: None, link, snap_len }
    }

    /// When the packet at which it stands was captured.
    #[inline(always)]
    pub fn ts(&self) -> Timestamp {
        self.found.current().ts
    }

    /// The packet at which it stands.
    pub fn frame(&self) -> Frame<'_> {
        let record = self.found.current();
        record.frame(self.stream().map_or(&[], |stream| stream.slice(record.data)))
    }

    /// Passes on the packet at which it stands, and those after it that are in memory, as far as they are due, until `take`
    /// breaks off. Then it stands at the last one that was passed on.
    #[inline(always)]
    pub fn pass_on(
        &mut self,
        is_due: impl Fn(Timestamp) -> bool,
        mut take: impl FnMut(&Frame<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let Some(stream) = self.stream() else { return ControlFlow::Continue(()) };
        let mut passed: usize = 0;
        let mut flow = ControlFlow::Continue(());
        for record in self.found.rest() {
            if flow.is_break() || passed > 0 && !is_due(record.ts) {
                break;
            }
            flow = take(&record.frame(stream.slice(record.data)));
            passed += 1;
        }
        self.found.skip(passed.saturating_sub(1));
        flow
    }

    /// The bytes that packets refer to.
    #[inline(always)]
    fn stream(&self) -> Option<&Stream> {
        match &self.stage {
            Stage::Pcap(pcap) => Some(pcap.stream()),
            Stage::PcapNg(pcapng) => Some(pcapng.stream()),
            Stage::Snoop(snoop) => Some(snoop.stream()),
            Stage::Unknown(_) => None,
        }
    }

    /// Takes one step towards knowing what the input is; tells what to say when that has to wait.
    #[cold]
    fn recognise(&mut self, interfaces: &mut Vec<Interface>) -> Result<Option<Step>, Fault> {
        match std::mem::replace(&mut self.stage, Stage::Unknown(Unknown::Closed)) {
            Stage::Unknown(Unknown::Opened { mut input, mut first }) => {
                if let Some(step) = read_magic(&mut input, &mut first)? {
                    self.stage = Stage::Unknown(Unknown::Opened { input, first });
                    return Ok(Some(step));
                }
                let magic = first.first_chunk().copied().unwrap_or_default();
                if is_skippable(magic) {
                    let skipping = Skipping::new(Packed::new(first, input));
                    self.stage = Stage::Unknown(Unknown::Skipping(Box::new(skipping)));
                } else if let Some(codec) = compressed::recognise(magic) {
                    self.unpack(codec, Packed::new(first, input))?;
                } else {
                    let share = input.shared().room.share();
                    let stream = Stream::new(Bytes::plain(input, self.block_len), &first, self.block_len, share);
                    self.stage = Stage::Unknown(Unknown::Unpacked(Box::new(stream)));
                }
                Ok(None)
            }
            Stage::Unknown(Unknown::Skipping(mut skipping)) => match skipping.go_on()? {
                Behind::Data(codec) => self.unpack(codec, skipping.into_packed()).map(|()| None),
                Behind::Wait(Pause::Stopped) => Ok(Some(Step::End)),
                Behind::Wait(Pause::Idle) => {
                    self.stage = Stage::Unknown(Unknown::Skipping(skipping));
                    Ok(Some(Step::Idle))
                }
            },
            Stage::Unknown(Unknown::Unpacked(stream)) => self.recognise_container(stream, interfaces),
            other => {
                self.stage = other;
                Ok(None)
            }
        }
    }

    /// Has what is packed decompressed from here on.
    fn unpack(&mut self, codec: Codec, packed: Packed) -> Result<(), Fault> {
        let share = packed.input().shared().room.share();
        let at = Position { offset: packed.used_len(), decompressed: None };
        let bytes = Bytes::decompress(codec, packed, self.block_len).map_err(|source| Fault::Read { at, source })?;
        let stream = Stream::new(bytes, &[], self.block_len, share);
        self.stage = Stage::Unknown(Unknown::Unpacked(Box::new(stream)));
        Ok(())
    }

    fn recognise_container(
        &mut self,
        mut stream: Box<Stream>,
        interfaces: &mut Vec<Interface>,
    ) -> Result<Option<Step>, Fault> {
        match stream.fill(4)? {
            Fill::Ready | Fill::End(1..) => {}
            Fill::End(0) => return Err(Fault::Empty),
            Fill::Stopped => return Ok(Some(Step::End)),
            Fill::Idle => {
                self.stage = Stage::Unknown(Unknown::Unpacked(stream));
                return Ok(Some(Step::Idle));
            }
        }
        let start = stream.unread().first_chunk::<4>().copied().unwrap_or_default();
        if u32::from_be_bytes(start) == SECTION_HEADER {
            self.stage = Stage::PcapNg(Box::new(PcapNg::new(*stream, Arc::clone(&self.name))));
            return Ok(None);
        }
        if snoop::MAGIC.starts_with(&start) {
            return self.recognise_snoop(stream, interfaces);
        }
        let Some(magic) = Magic::recognise(start) else { return refuse(&mut stream) };
        match stream.fill(FILE_HEADER_LEN)? {
            Fill::Stopped => Ok(Some(Step::End)),
            Fill::Idle => {
                self.stage = Stage::Unknown(Unknown::Unpacked(stream));
                Ok(Some(Step::Idle))
            }
            Fill::Ready => {
                let (pcap, header) = Pcap::open(*stream, magic, next_interface(interfaces))?;
                interfaces.push(self.interface(header.link, header.snap_len));
                self.stage = Stage::Pcap(Box::new(pcap));
                Ok(None)
            }
            Fill::End(left) => Err(cut_header(&stream, FILE_HEADER_LEN, left)),
        }
    }

    /// Takes what begins as a snoop file does for one, if its whole magic number is there.
    fn recognise_snoop(
        &mut self,
        mut stream: Box<Stream>,
        interfaces: &mut Vec<Interface>,
    ) -> Result<Option<Step>, Fault> {
        let fill = stream.fill(snoop::START_LEN)?;
        let first = stream.unread();
        let magic_len = first.len().min(snoop::MAGIC.len());
        let may_be_snoop = snoop::MAGIC.starts_with(&first[..magic_len]);
        match fill {
            Fill::Stopped => Ok(Some(Step::End)),
            Fill::Idle if may_be_snoop => {
                self.stage = Stage::Unknown(Unknown::Unpacked(stream));
                Ok(Some(Step::Idle))
            }
            _ if !first.starts_with(&snoop::MAGIC) => refuse(&mut stream),
            Fill::End(left) if first.len() < snoop::FILE_HEADER_LEN => {
                Err(cut_header(&stream, snoop::FILE_HEADER_LEN, left))
            }
            _ => {
                let (snoop, link) = Snoop::open(*stream, next_interface(interfaces))?;
                // the format does not say how much of a packet was captured at most
                interfaces.push(self.interface(link, 0));
                self.stage = Stage::Snoop(Box::new(snoop));
                Ok(None)
            }
        }
    }
}

/// The index of the interface that is described next.
fn next_interface(interfaces: &[Interface]) -> u32 {
    u32::try_from(interfaces.len()).unwrap_or(u32::MAX)
}

/// What to say of a file that ends within its header of `header_len` bytes.
fn cut_header(stream: &Stream, header_len: usize, left: u64) -> Fault {
    Fault::Damaged { at: stream.position(), damage: Damage::CutFileHeader { needed: header_len as u64, left } }
}

/// Says what it is that is no capture.
fn refuse(stream: &mut Stream) -> Result<Option<Step>, Fault> {
    match stream.fill(foreign::LOOK_LEN)? {
        Fill::Stopped => Ok(Some(Step::End)),
        // what came so far has to do: nobody waits for more of what is no capture
        _ => Err(Fault::NotACapture(foreign::identify(stream.unread()))),
    }
}

/// Reads the magic number that tells how the input is compressed, or as much of it as there is.
fn read_magic(input: &mut Input, first: &mut Vec<u8>) -> Result<Option<Step>, Fault> {
    while first.len() < compressed::MAGIC_LEN {
        let mut rest = [0; compressed::MAGIC_LEN];
        match input.read(&mut rest[first.len()..]) {
            Ok(0) => break,
            Ok(read_len) => {
                let from = first.len();
                first.extend_from_slice(&rest[from..from + read_len]);
            }
            Err(error) => {
                let at = Position { offset: first.len() as u64, decompressed: None };
                return error.into_pause(at).map(|pause| match pause {
                    Pause::Idle => Some(Step::Idle),
                    Pause::Stopped => Some(Step::End),
                });
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::record::ByteOrder::{Big, Little};
    use super::super::testing::{
        Chopped, interface, packet, pcap_file, pcap_header, pcap_record, read, read_from, section, snoop_file,
    };

    /// Sound captures of all containers and byte orders.
    fn captures() -> Vec<Vec<u8>> {
        let mut nanoseconds = pcap_header(Big, 0xa1b2_3c4d, (2, 4));
        nanoseconds.extend(pcap_record(Big, 1, 5, &[9; 200]));
        let blocks = |order| {
            let second = if order == Big { 1_i64.to_be_bytes() } else { 1_i64.to_le_bytes() };
            let name: &[(u16, &[u8])] = &[(2, b"eth0"), (9, &[0x8a]), (14, &second)];
            [
                section(order),
                interface(order, 1, 0, name),
                packet(order, 0, 5, &[1; 33]),
                section(order),
                interface(order, 1, 0, &[]),
                packet(order, 0, 1 << 40, b"abc"),
            ]
            .concat()
        };
        vec![pcap_file(&[1, 2, 3]), nanoseconds, blocks(Little), blocks(Big), snoop_file(&[1, 2, 3])]
    }

    #[test]
    fn short_reads_and_stalls_change_nothing() {
        for (at, file) in captures().iter().enumerate() {
            let want = read(file);
            assert_eq!(want.fault, None, "{at}");
            for (chunk_len, idles) in [(1, false), (1, true), (3, true), (17, false), (64, true)] {
                assert_eq!(read_from(Chopped::new(file, chunk_len, idles)), want, "{at} {chunk_len} {idles}");
            }
        }
    }

    #[test]
    fn every_prefix_gives_a_prefix_of_the_frames() {
        for file in captures() {
            let want = read(&file);
            for len in 0..file.len() {
                let outcome = read(&file[..len]);
                assert!(want.frames.starts_with(&outcome.frames), "{len}");
            }
        }
    }

    #[test]
    fn what_is_no_capture_is_named() {
        let cases: [(&[u8], &str); 4] = [
            (b"\x7fELF and so on", "no capture (pcap, pcapng or snoop): it is an ELF program or library"),
            (b"a", "no capture (pcap, pcapng or snoop): it is text: \"a\""),
            (b"\xa1\xb2\xc3", "no capture (pcap, pcapng or snoop): first bytes: a1 b2 c3"),
            (b"\x1f\x8b", "no capture (pcap, pcapng or snoop): first bytes: 1f 8b"),
        ];
        for (file, want) in cases {
            assert_eq!(read(file).fault.as_deref(), Some(want));
        }
    }

    proptest! {
        #[test]
        fn random_bytes_are_read_to_their_end(bytes in proptest::collection::vec(any::<u8>(), 0..600), which in 0..6_usize) {
            // behind a sound beginning, most of the time
            let mut file = captures().get(which).map_or(Vec::new(), |file| file[..file.len().min(60)].to_vec());
            file.extend(&bytes);
            let outcome = read(&file);
            let captured_len: usize = outcome.frames.iter().map(|frame| frame.4.len()).sum();
            prop_assert!(captured_len <= file.len());
        }

        #[test]
        fn mutated_captures_are_read_to_their_end(
            which in 0..5_usize,
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
            chunk_len in 1..80_usize,
        ) {
            let mut file = captures()[which].clone();
            for (at, byte) in changes {
                let at = at.index(file.len());
                file[at] = byte;
            }
            let outcome = read(&file);
            let captured_len: usize = outcome.frames.iter().map(|frame| frame.4.len()).sum();
            prop_assert!(captured_len <= file.len());
            prop_assert!(outcome.frames.iter().all(|frame| frame.4.len() <= frame.1 as usize));
            let chopped = read_from(Chopped::new(&file, chunk_len, true));
            // what is no capture is told by as much of it as came
            if outcome.fault.as_ref().is_some_and(|fault| fault.starts_with("no capture")) {
                prop_assert!(chopped.fault.is_some_and(|fault| fault.starts_with("no capture")));
            } else {
                prop_assert_eq!(chopped, outcome);
            }
        }
    }
}
