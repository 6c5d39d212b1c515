//! The compressed bytes of an input, in blocks, and how far a decompressor has used them.

use super::error::Codec;
use super::input::{Input, ReadError};

/// Compressed bytes read at once.
const BLOCK_LEN: usize = 128 << 10;

/// What is wrong with compressed data that end too soon.
pub(super) const CUT: &str = "the file ends within it";

/// Compressed bytes and how far they are used.
pub(super) struct Packed {
    input: Input,
    block: Vec<u8>,
    start: usize,
    end: usize,
    /// Bytes of the compressed file before the block.
    offset: u64,
}

impl Packed {
    /// The compressed bytes of `input`, of which `first` was read already.
    pub fn new(first: Vec<u8>, input: Input) -> Self {
        let end = first.len();
        let mut block = first;
        block.resize(end.max(BLOCK_LEN), 0);
        Self { input, block, start: 0, end, offset: 0 }
    }

    /// What is there to decompress. Reads on when everything was used; empty is the end.
    pub fn unused(&mut self) -> Result<&[u8], ReadError> {
        if self.start == self.end {
            let read_len = self.input.read(&mut self.block)?;
            self.offset += self.end as u64;
            (self.start, self.end) = (0, read_len);
        }
        Ok(self.in_memory())
    }

    /// What it is read from.
    pub const fn input(&self) -> &Input {
        &self.input
    }

    /// What is there to decompress without reading on.
    pub fn in_memory(&self) -> &[u8] {
        &self.block[self.start..self.end]
    }

    /// Compressed bytes before those that are not used.
    pub const fn used_len(&self) -> u64 {
        self.offset + self.start as u64
    }

    /// Goes on by bytes that were decompressed.
    pub fn use_up(&mut self, used_len: usize) {
        self.start = (self.start + used_len).min(self.end);
    }

    /// What to say of damage where the bytes stand that are not used.
    pub fn damage(&self, codec: Codec, problem: impl Into<String>) -> ReadError {
        ReadError::Decompress { codec, offset: self.used_len(), problem: problem.into() }
    }

    /// As [`Packed::unused`], for a decoder that cannot be interrupted: waits until there is something, or the stop.
    pub fn unused_patiently(&mut self) -> Result<&[u8], ReadError> {
        patiently(|| self.unused().map(drop))?;
        Ok(self.in_memory())
    }

    /// At least `wanted_len` bytes to decompress, fewer only where the file ends.
    pub fn at_least(&mut self, wanted_len: usize) -> Result<&[u8], ReadError> {
        if self.in_memory().len() < wanted_len {
            self.block.copy_within(self.start..self.end, 0);
            self.offset += self.start as u64;
            (self.start, self.end) = (0, self.end - self.start);
        }
        while self.in_memory().len() < wanted_len {
            match self.input.read(&mut self.block[self.end..])? {
                0 => break,
                read_len => self.end += read_len,
            }
        }
        Ok(self.in_memory())
    }

    /// As [`Packed::at_least`], but waits for the bytes.
    pub fn begin_with(&mut self, wanted_len: usize) -> Result<&[u8], ReadError> {
        patiently(|| self.at_least(wanted_len).map(drop))?;
        Ok(self.in_memory())
    }

    /// Passes over as many of `left` bytes as there are before the file ends; they are nothing to decompress.
    pub fn pass_over(&mut self, left: &mut u64) -> Result<(), ReadError> {
        while *left > 0 {
            let unused_len = self.unused()?.len();
            if unused_len == 0 {
                break;
            }
            let used_len = unused_len.min(usize::try_from(*left).unwrap_or(usize::MAX));
            self.use_up(used_len);
            *left -= used_len as u64;
        }
        Ok(())
    }

    /// As [`Packed::pass_over`], but waits for all of the bytes.
    pub fn skip(&mut self, skipped_len: u64) -> Result<(), ReadError> {
        let mut left = skipped_len;
        patiently(|| self.pass_over(&mut left))?;
        if left > 0 { Err(self.damage(Codec::Lz4, CUT)) } else { Ok(()) }
    }
}

/// Tries again for as long as there is nothing just now.
fn patiently(mut read: impl FnMut() -> Result<(), ReadError>) -> Result<(), ReadError> {
    loop {
        match read() {
            Err(ReadError::Idle) => {}
            done => return done,
        }
    }
}
