//! Decompression by what the first bytes say, never by the name of a file.
//!
//! Every decompressor here is fed in pieces that let it hand out all that comes before a damage.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use flate2::{Decompress, FlushDecompress, Status};
use zstd::stream::raw::{Decoder, InBuffer, Operation as _, OutBuffer};

use super::ahead::Ahead;
use super::error::Codec;
use super::input::{Input, ReadError, Shared};
use super::lz4::Lz4;
use super::packed::{CUT, Packed};
use super::room::Share;

/// Bytes from which [`recognise`] tells a codec.
pub(super) const MAGIC_LEN: usize = 4;

/// How an input is compressed whose first bytes are `magic`; `None`: not at all, or in no way that is read here.
pub(super) const fn recognise(magic: [u8; MAGIC_LEN]) -> Option<Codec> {
    match magic {
        [0x1f, 0x8b, 0x08, _] => Some(Codec::Gzip),
        [0x28, 0xb5, 0x2f, 0xfd] => Some(Codec::Zstd),
        [0x04, 0x22, 0x4d, 0x18] => Some(Codec::Lz4),
        _ => None,
    }
}

/// The bytes of an input, decompressed where they are compressed.
pub(super) enum Bytes {
    /// Read, and decompressed, by whoever wants them.
    Here(Box<Here>),
    /// Ahead, on a thread of their own.
    Ahead(Ahead),
}

/// What decompresses on the thread that reads, and what it takes to do so on another.
pub(super) struct Here {
    unpacker: Unpacker,
    /// Bytes made so far.
    made_len: usize,
    /// Bytes in a block that is made ahead.
    block_len: usize,
    shared: Shared,
    abandoned: Arc<AtomicBool>,
}

/// Bytes after which an input goes on ahead: what is shorter gains nothing by it.
pub(super) const HERE_LEN: usize = 256 << 10;

impl Bytes {
    /// The bytes of `input` as they are; who reads them ahead takes `block_len` at once.
    pub fn plain(input: Input, block_len: usize) -> Self {
        let (shared, abandoned, unpacker) = (input.shared().clone(), input.abandoned(), Unpacker::Plain(input));
        Self::Here(Box::new(Here { unpacker, made_len: 0, block_len, shared, abandoned }))
    }

    /// Decompresses `packed`; who does so ahead makes `block_len` bytes at once.
    ///
    /// # Errors
    /// There is no memory for a decompressor.
    pub fn decompress(codec: Codec, packed: Packed, block_len: usize) -> io::Result<Self> {
        let (shared, abandoned) = (packed.input().shared().clone(), packed.input().abandoned());
        let unpacker = Unpacker::new(codec, packed)?;
        Ok(Self::Here(Box::new(Here { unpacker, made_len: 0, block_len, shared, abandoned })))
    }

    /// How they were compressed.
    pub fn codec(&self) -> Option<Codec> {
        match self {
            Self::Here(here) => here.unpacker.codec(),
            Self::Ahead(ahead) => ahead.codec(),
        }
    }

    /// Reads a block into `buffer`, which is not empty; no bytes is the end.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ReadError> {
        if matches!(self, Self::Here(here) if here.made_len >= HERE_LEN && here.unpacker.gains_ahead()) {
            self.go_ahead();
        }
        match self {
            Self::Here(here) => {
                let made_len = here.unpacker.read(buffer)?;
                here.made_len += made_len;
                Ok(made_len)
            }
            Self::Ahead(ahead) => ahead.read(buffer),
        }
    }

    /// Goes on ahead, if one more input may.
    #[cold]
    fn go_ahead(&mut self) {
        let Self::Here(here) = self else { return };
        let Here { unpacker, block_len, shared, abandoned, .. } = &**here;
        let Some(ahead) = Ahead::new(unpacker.codec(), *block_len, shared, Arc::clone(abandoned)) else { return };
        let before = std::mem::replace(self, Self::Ahead(ahead));
        if let (Self::Here(here), Self::Ahead(ahead)) = (before, self) {
            ahead.begin(here.unpacker);
        }
    }
}

/// What makes the bytes, and what it is fed with.
pub(super) enum Unpacker {
    /// Nothing: the bytes are as they are.
    Plain(Input),
    /// RFC 1952, any number of members.
    Gzip(Box<Gzip>),
    /// RFC 8878, any number of frames.
    Zstd(Box<Zstd>),
    /// LZ4 frame format, any number of frames.
    Lz4(Box<Lz4>),
}

impl Unpacker {
    fn new(codec: Codec, packed: Packed) -> io::Result<Self> {
        Ok(match codec {
            Codec::Gzip => Self::Gzip(Box::new(Gzip::new(packed))),
            Codec::Zstd => Self::Zstd(Box::new(Zstd::new(packed)?)),
            Codec::Lz4 => Self::Lz4(Box::new(Lz4::new(packed))),
        })
    }

    const fn codec(&self) -> Option<Codec> {
        match self {
            Self::Plain(_) => None,
            Self::Gzip(_) => Some(Codec::Gzip),
            Self::Zstd(_) => Some(Codec::Zstd),
            Self::Lz4(_) => Some(Codec::Lz4),
        }
    }

    /// Decompresses into `buffer`, which is not empty; no bytes is the end.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ReadError> {
        match self {
            Self::Plain(input) => input.read(buffer),
            Self::Gzip(gzip) => gzip.read(buffer),
            Self::Zstd(zstd) => zstd.read(buffer),
            Self::Lz4(lz4) => lz4.read(buffer),
        }
    }

    /// There is something to do ahead: what is plain in a pipe was read already by who wrote it.
    fn gains_ahead(&self) -> bool {
        !matches!(self, Self::Plain(input) if !input.is_file())
    }

    /// All that was read is used: the next bytes are those of a file or a pipe, and may have to be waited for.
    pub fn must_read(&self) -> bool {
        let packed = match self {
            Self::Plain(_) => return true,
            Self::Gzip(gzip) => &gzip.packed,
            Self::Zstd(zstd) => &zstd.packed,
            Self::Lz4(lz4) => lz4.packed(),
        };
        packed.in_memory().is_empty()
    }
}

/// A gzip file: members one after the other, zeros as padding after the last.
pub(super) struct Gzip {
    packed: Packed,
    inflate: Decompress,
    in_member: bool,
    members: u64,
    /// The decoder may hold bytes that found no room.
    holds_output: bool,
    /// Found while bytes before it were still to be handed out.
    failure: Option<ReadError>,
}

impl Gzip {
    /// The largest window, and with it the only one that reads every file: 2^15 bytes.
    const WINDOW_BITS: u8 = 15;

    fn new(packed: Packed) -> Self {
        let inflate = Decompress::new_gzip(Self::WINDOW_BITS);
        Self { packed, inflate, in_member: false, members: 0, holds_output: false, failure: None }
    }

    fn read(&mut self, out: &mut [u8]) -> Result<usize, ReadError> {
        loop {
            if let Some(failure) = self.failure.take() {
                return Err(failure);
            }
            let unused = if self.holds_output { self.packed.in_memory() } else { self.packed.unused()? };
            if unused.is_empty() && !self.holds_output {
                return if self.in_member { Err(self.packed.damage(Codec::Gzip, CUT)) } else { Ok(0) };
            }
            if !self.in_member {
                if self.members > 0 && unused.first() == Some(&0) {
                    self.packed.use_up(1);
                    continue;
                }
                if self.members > 0 {
                    self.inflate = Decompress::new_gzip(Self::WINDOW_BITS);
                }
                self.in_member = true;
                self.members += 1;
            }
            let (in_before, out_before) = (self.inflate.total_in(), self.inflate.total_out());
            let status = self.inflate.decompress(unused, out, FlushDecompress::None);
            let used_len = len_of(self.inflate.total_in() - in_before);
            let made_len = len_of(self.inflate.total_out() - out_before);
            let stuck = !unused.is_empty() && used_len == 0 && made_len == 0;
            self.holds_output = made_len == out.len();
            self.packed.use_up(used_len);
            match status {
                Ok(Status::StreamEnd) => (self.in_member, self.holds_output) = (false, false),
                Ok(_) if stuck => self.failure = Some(self.packed.damage(Codec::Gzip, "it makes no progress")),
                Ok(_) => {}
                Err(error) => self.failure = Some(self.packed.damage(Codec::Gzip, error.to_string())),
            }
            if made_len > 0 {
                return Ok(made_len);
            }
        }
    }
}

/// A difference of two counters of bytes in memory.
fn len_of(difference: u64) -> usize {
    usize::try_from(difference).unwrap_or(usize::MAX)
}

/// How far back a zstd frame may refer, by its header (RFC 8878, section 3.1.1.1). `None`: it is no frame with data, or cut.
fn window_len(header: &[u8]) -> Option<u64> {
    let (&[0x28, 0xb5, 0x2f, 0xfd, descriptor], rest) = header.split_first_chunk::<5>()? else { return None };
    let is_single_segment = descriptor & 0x20 != 0;
    if !is_single_segment {
        let &window = rest.first()?;
        let base = 1_u64 << (10 + (window >> 3));
        return Some(base + base / 8 * u64::from(window & 7));
    }
    // as far as the frame is long
    let dictionary_id_len = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let content_len = [1, 2, 4, 8][usize::from(descriptor >> 6)];
    let content = rest.get(dictionary_id_len..)?.get(..content_len)?;
    let number = content.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte));
    Some(if content_len == 2 { number + 256 } else { number })
}

/// A zstd file: frames one after the other, skippable ones among them.
pub(super) struct Zstd {
    packed: Packed,
    decoder: Decoder<'static>,
    /// What the decoder wants next, in bytes; 0 between frames.
    wanted_len: usize,
    /// The decoder may hold bytes that found no room.
    holds_output: bool,
    /// For a window that is longer than usual.
    share: Share,
}

impl Zstd {
    /// The header of a block (RFC 8878, section 3.1.1.2), which the decoder wants along with the block before.
    const BLOCK_HEADER_LEN: usize = 3;
    /// What a frame begins with, at the least.
    const FRAME_START_LEN: usize = 5;
    /// The longest header of a frame (RFC 8878, section 3.1.1.1), with its magic number.
    const HEADER_LEN_MAX: usize = 18;
    /// Windows are no longer, unless `zstd --long` or `--ultra` was asked for.
    const USUAL_WINDOW_LEN: u64 = 8 << 20;

    fn new(packed: Packed) -> io::Result<Self> {
        let share = packed.input().shared().room.share();
        Ok(Self { packed, decoder: Decoder::new()?, wanted_len: 0, holds_output: false, share })
    }

    /// Takes the memory for the window of the frame that begins here.
    fn make_room(&mut self) -> Result<(), ReadError> {
        // of a pipe, what came so far has to do: the rest may not come before long
        let is_whole = self.packed.in_memory().len() >= Self::HEADER_LEN_MAX || !self.packed.input().is_file();
        let header = if is_whole { self.packed.in_memory() } else { self.packed.begin_with(Self::HEADER_LEN_MAX)? };
        let window_len = window_len(header).unwrap_or(0);
        // the decoder refuses what is longer than any
        if (Self::USUAL_WINDOW_LEN + 1..=1 << 27).contains(&window_len) {
            let made = self.share.grow_to(window_len);
            made.map_err(|no_room| self.packed.damage(Codec::Zstd, no_room.to_string()))?;
        }
        Ok(())
    }

    fn read(&mut self, out: &mut [u8]) -> Result<usize, ReadError> {
        loop {
            // One block a call, and its successor's header in the next: what a call made is lost when it fails.
            let piece_len = match self.wanted_len {
                0 => Self::FRAME_START_LEN,
                wanted_len if wanted_len > Self::BLOCK_HEADER_LEN => wanted_len - Self::BLOCK_HEADER_LEN,
                wanted_len => wanted_len,
            };
            if !self.holds_output && !self.packed.unused()?.is_empty() && self.wanted_len == 0 {
                self.make_room()?;
            }
            let piece = if self.holds_output { &[] } else { self.packed.in_memory() };
            if piece.is_empty() && !self.holds_output {
                return if self.wanted_len > 0 { Err(self.packed.damage(Codec::Zstd, CUT)) } else { Ok(0) };
            }
            let mut input = InBuffer::around(&piece[..piece.len().min(piece_len)]);
            let mut output = OutBuffer::around(&mut *out);
            let result = self.decoder.run(&mut input, &mut output);
            let (used_len, made_len) = (input.pos(), output.pos());
            match result {
                Ok(wanted_len) => self.wanted_len = wanted_len,
                Err(error) => return Err(self.packed.damage(Codec::Zstd, error.to_string())),
            }
            self.packed.use_up(used_len);
            self.holds_output = made_len == out.len();
            if made_len > 0 {
                return Ok(made_len);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use lz4_flex::frame::{BlockSize, FrameEncoder, FrameInfo};
    use proptest::prelude::*;

    use super::super::testing::{Chopped, Outcome, pcap_file, read_ahead, read_from};
    use super::*;

    /// Reads `bytes` as they come, and once more decompressed ahead, which makes no difference.
    fn read(bytes: &[u8]) -> Outcome {
        let whole = || Chopped::new(bytes, usize::MAX, false);
        let (here, ahead) = (read_from(whole()), read_ahead(whole()));
        assert_eq!((&ahead.fault, &ahead.interfaces), (&here.fault, &here.interfaces));
        // without the debug text of thousands of packets
        assert!(ahead.frames == here.frames, "{} and {} frames", ahead.frames.len(), here.frames.len());
        here
    }

    /// Compresses as the command line tools do.
    fn pack(codec: Codec, plain: &[u8]) -> Vec<u8> {
        match codec {
            Codec::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
                encoder.write_all(plain).and_then(|()| encoder.finish()).expect("memory")
            }
            Codec::Zstd => zstd::encode_all(plain, 3).expect("memory"),
            Codec::Lz4 => {
                let blocks = FrameInfo::new().block_size(BlockSize::Max64KB);
                let mut encoder = FrameEncoder::with_frame_info(blocks, Vec::new());
                encoder.write_all(plain).expect("memory");
                encoder.finish().expect("memory")
            }
        }
    }

    #[test]
    fn windows_are_told_from_headers() {
        const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
        let header = |rest: &[u8]| [&MAGIC[..], rest].concat();
        let cases: [(&str, Vec<u8>, Option<u64>); 9] = [
            ("a window", header(&[0, 17 << 3]), Some(1 << 27)),
            ("and some eighths of it", header(&[0, 17 << 3 | 3]), Some((1 << 27) + 3 * (1 << 24))),
            ("one segment of a byte's length", header(&[0x20, 9]), Some(9)),
            ("of two bytes', from 256 on", header(&[0x60, 1, 1]), Some(513)),
            ("of eight, behind a dictionary's number", header(&[0xe1, 7, 0, 0, 0, 8, 0, 0, 0, 0]), Some(8 << 24)),
            ("cut", header(&[0]), None),
            ("cut in its length", header(&[0x60, 1]), None),
            ("a frame to skip", vec![0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 0], None),
            ("zstd's own", zstd::encode_all(&[1, 2, 3][..], 3).expect("memory"), Some(3)),
        ];
        for (name, header, want) in cases {
            assert_eq!(window_len(&header), want, "{name}");
        }
    }

    const CODECS: [Codec; 3] = [Codec::Gzip, Codec::Zstd, Codec::Lz4];

    /// Packets that do not compress to nothing: 20,000 records of 19 bytes, more than are read before a thread is started.
    fn long_file() -> Vec<u8> {
        pcap_file(&(0..20_000_u32).map(|i| i.wrapping_mul(2_654_435_761)).collect::<Vec<_>>())
    }

    #[test]
    fn frames_are_those_of_the_plain_file() {
        let plain = long_file();
        let want = read(&plain);
        assert_eq!(want.frames.len(), 20_000);
        for codec in CODECS {
            let packed = pack(codec, &plain);
            assert!(packed.len() < plain.len(), "{codec}");
            assert_eq!(read(&packed), want, "{codec}");
            for (chunk_len, idles) in [(1, false), (7, true), (4_096, true)] {
                let chopped = || Chopped::new(&packed, chunk_len, idles);
                assert_eq!(read_from(chopped()), want, "{codec} {chunk_len} {idles}");
                assert_eq!(read_ahead(chopped()), want, "{codec} {chunk_len} {idles}, ahead");
            }
        }
    }

    #[test]
    fn several_members_or_frames_are_one_file() {
        let plain = long_file();
        let want = read(&plain);
        let skippable = skippable(10, 3, b"abc");
        for codec in CODECS {
            let (one, two) = plain.split_at(1_234);
            let mut packed = [pack(codec, one), pack(codec, &[]), pack(codec, two)].concat();
            assert_eq!(read(&packed), want, "{codec}");
            if codec == Codec::Gzip {
                packed.extend([0; 700]); // padding, as on tapes
                assert_eq!(read(&packed), want, "{codec} padded");
            } else {
                let packed = [pack(codec, one), skippable.clone(), pack(codec, two), skippable.clone()].concat();
                assert_eq!(read(&packed), want, "{codec} with skippable frames");
                assert_eq!(read_from(Chopped::new(&packed, 1, true)), want, "{codec} with skippable frames, in pieces");
            }
        }
    }

    /// A skippable frame that claims `claimed` bytes and has those of `data`.
    fn skippable(variant: u8, claimed: u32, data: &[u8]) -> Vec<u8> {
        [&[0x50 | variant, 0x2a, 0x4d, 0x18][..], &claimed.to_le_bytes(), data].concat()
    }

    #[test]
    fn what_is_behind_skippable_frames_tells_the_codec() {
        let (plain, long) = (pcap_file(&[1, 2, 3]), vec![7; 300_000]);
        let want = read(&plain);
        let prelude = [skippable(0, 4, b"abcd"), skippable(15, 0, b""), skippable(7, 300_000, &long)].concat();
        for codec in [Codec::Zstd, Codec::Lz4] {
            // one frame first is as pzstd writes it
            for prelude in [&prelude[..12], &prelude] {
                let file = [prelude, &pack(codec, &plain), prelude].concat();
                assert_eq!(read(&file), want, "{codec}");
                assert_eq!(read_from(Chopped::new(&file, 5, true)), want, "{codec}, in pieces");
            }
            let mut damaged = [&prelude[..], &pack(codec, &plain)].concat();
            damaged.truncate(damaged.len() - 30);
            let fault = format!("damaged {codec} data at byte {} of the compressed file: {CUT}", damaged.len());
            assert_eq!(read(&damaged).fault, Some(fault));
        }
    }

    #[test]
    fn skippable_frames_alone_are_no_capture() {
        let nothing = "it has nothing but skippable frames, as zstd and lz4 files may have them";
        let other = "it begins with a skippable frame, and no zstd or lz4 data follow";
        let cases = [
            (skippable(0, 3, b"abc"), format!("no capture (pcap, pcapng or snoop): {nothing}")),
            (skippable(0, 3, b"abc").repeat(1_000), format!("no capture (pcap, pcapng or snoop): {nothing}")),
            (
                [skippable(0, 3, b"abc"), pcap_file(&[1])].concat(),
                format!("no capture (pcap, pcapng or snoop): {other}"),
            ),
            (
                [skippable(0, 3, b"abc"), pack(Codec::Gzip, &pcap_file(&[1]))].concat(),
                format!("no capture (pcap, pcapng or snoop): {other}"),
            ),
            ([skippable(0, 3, b"abc"), vec![0x28]].concat(), format!("no capture (pcap, pcapng or snoop): {other}")),
            (
                [skippable(0, 3, b"abc"), skippable(1, u32::MAX, b"abc")].concat(),
                "damaged at byte 11: a skippable frame claims 4294967295 bytes, 3 remain".to_owned(),
            ),
            (
                [skippable(0, 3, b"abc"), skippable(1, 3, b"")[..7].to_vec()].concat(),
                "damaged at byte 11: the header of a skippable frame takes 8 bytes, 7 remain".to_owned(),
            ),
            (
                skippable(0, 0, b"")[..5].to_vec(),
                "damaged at byte 0: the header of a skippable frame takes 8 bytes, 5 remain".to_owned(),
            ),
        ];
        for (file, want) in cases {
            let want = (Vec::new(), Some(want));
            let (whole, pieces) = (read(&file), read_from(Chopped::new(&file, 1, true)));
            assert_eq!((whole.frames, whole.fault), want);
            assert_eq!((pieces.frames, pieces.fault), want, "in pieces");
        }
    }

    #[test]
    fn all_before_a_cut_is_delivered() {
        let plain = long_file();
        let want = read(&plain);
        for codec in CODECS {
            let packed = pack(codec, &plain);
            for cut_len in [packed.len() / 2, packed.len() - 1] {
                let outcome = read(&packed[..cut_len]);
                let fault = format!("damaged {codec} data at byte {cut_len} of the compressed file: {CUT}");
                assert_eq!(outcome.fault, Some(fault), "{codec} {cut_len}");
                let frames = &outcome.frames;
                assert!(frames.len() > 5_000 && want.frames.starts_with(frames), "{codec} {}", frames.len());
            }
        }
    }

    #[test]
    fn all_before_a_damage_is_delivered() {
        let plain = long_file();
        let want = read(&plain);
        for codec in CODECS {
            let mut packed = [pack(codec, &plain), pack(codec, &plain)].concat();
            let second = packed.len() / 2;
            packed[second..second + 12].fill(0xff);
            let outcome = read(&packed);
            assert_eq!(outcome.frames, want.frames, "{codec}");
            let fault = outcome.fault.unwrap_or_default();
            let start = format!("damaged {codec} data at byte ");
            let offset: usize =
                fault.strip_prefix(&start).and_then(|rest| rest.split(' ').next()?.parse().ok()).unwrap_or(0);
            assert!((second..=second + 12).contains(&offset), "{codec}: {fault}, damage from {second} on");
        }
    }

    #[test]
    fn nothing_inside_is_an_empty_capture() {
        for codec in CODECS {
            assert_eq!(read(&pack(codec, b"")).fault.as_deref(), Some("0 bytes, no capture header"), "{codec}");
            let twice = read(&pack(codec, &pack(Codec::Gzip, &long_file())));
            let fault = "no capture (pcap, pcapng or snoop): it is gzip data inside compressed data";
            assert_eq!(twice.fault.as_deref(), Some(fault), "{codec}");
        }
    }

    #[test]
    fn a_cut_trailer_costs_no_packet() {
        let plain = long_file();
        for codec in [Codec::Gzip, Codec::Lz4] {
            let packed = pack(codec, &plain);
            for cut_len in 1..=4 {
                let outcome = read(&packed[..packed.len() - cut_len]);
                assert_eq!(outcome.frames.len(), 20_000, "{codec} {cut_len}");
                assert!(outcome.fault.is_some(), "{codec} {cut_len}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn damage_is_told_alike_from_another_thread(
            which in 0..3_usize,
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        ) {
            let mut packed = pack(CODECS[which], &long_file());
            for (at, byte) in changes {
                let at = at.index(packed.len());
                packed[at] = byte;
            }
            read(&packed);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn mutated_data_are_read_to_their_end(
            which in 0..3_usize,
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
            cut in any::<prop::sample::Index>(),
        ) {
            let plain = pcap_file(&(0..5_000_u32).map(|i| i.wrapping_mul(2_654_435_761)).collect::<Vec<_>>());
            let mut packed = pack(CODECS[which], &plain);
            for (at, byte) in changes {
                // half of them where the headers are
                let range = if byte.is_multiple_of(2) { packed.len() } else { packed.len().min(64) };
                let at = at.index(range);
                packed[at] = byte;
            }
            packed.truncate(packed.len() - cut.index(packed.len()) / 8);
            let whole = read(&packed);
            prop_assert!(whole.frames.iter().all(|frame| frame.4.len() <= frame.1 as usize));
            let chopped = read_from(Chopped::new(&packed, 4_096, false));
            prop_assert_eq!(&chopped.fault, &whole.fault);
            // without the debug text of 5,000 packets
            let first = chopped.frames.iter().zip(&whole.frames).position(|(a, b)| a != b);
            prop_assert_eq!((chopped.frames.len(), first), (whole.frames.len(), None));
        }
    }
}
