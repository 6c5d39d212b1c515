//! LZ4 frames. Their decoder reads by itself, so it is told to wait where the others pause.

use std::io::{self, Read};

use lz4_flex::frame::FrameDecoder;

use super::error::Codec;
use super::input::ReadError;
use super::packed::{CUT, Packed};
use super::skippable::{self, skippable_len};

/// An lz4 file: frames one after the other, skippable ones among them.
pub(super) struct Lz4 {
    decoder: FrameDecoder<Lz4Input>,
    in_frame: bool,
}

impl Lz4 {
    pub fn new(packed: Packed) -> Self {
        Self { decoder: FrameDecoder::new(Lz4Input { packed, ended: false, failure: None }), in_frame: false }
    }

    /// The compressed bytes.
    pub fn packed(&self) -> &Packed {
        &self.decoder.get_ref().packed
    }

    pub fn read(&mut self, out: &mut [u8]) -> Result<usize, ReadError> {
        loop {
            if !self.in_frame && !self.next_frame()? {
                return Ok(0);
            }
            let result = self.decoder.read(out);
            let input = self.decoder.get_mut();
            if let Some(failure) = input.failure.take() {
                return Err(failure);
            }
            match result {
                // the decoder takes an end between two blocks for the end of the frame
                Ok(0) | Err(_) if input.ended => return Err(input.packed.damage(Codec::Lz4, CUT)),
                Ok(0) => self.in_frame = false,
                Ok(made_len) => return Ok(made_len),
                Err(error) => return Err(input.packed.damage(Codec::Lz4, error.to_string())),
            }
        }
    }

    /// Goes to the next frame with data; false at the end of the file.
    fn next_frame(&mut self) -> Result<bool, ReadError> {
        let packed = &mut self.decoder.get_mut().packed;
        loop {
            let unused = packed.begin_with(skippable::HEADER_LEN)?;
            if unused.is_empty() {
                return Ok(false);
            }
            let Some(len) = skippable_len(unused) else {
                self.in_frame = true;
                return Ok(true);
            };
            packed.use_up(skippable::HEADER_LEN);
            packed.skip(u64::from(len))?;
        }
    }
}

/// What the lz4 decoder reads from. It keeps the reason for a failure, which [`io::Error`] would blur.
struct Lz4Input {
    packed: Packed,
    ended: bool,
    failure: Option<ReadError>,
}

impl Read for Lz4Input {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self.packed.unused_patiently() {
            Ok(unused) => {
                let read_len = unused.len().min(out.len());
                out[..read_len].copy_from_slice(&unused[..read_len]);
                self.packed.use_up(read_len);
                self.ended |= read_len == 0 && !out.is_empty();
                Ok(read_len)
            }
            Err(failure) => {
                self.failure = Some(failure);
                // no kind that makes the caller try again
                Err(io::ErrorKind::Other.into())
            }
        }
    }
}
