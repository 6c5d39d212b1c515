//! A window that slides over the bytes of an input: records are read where they lie in it.

use std::io;

use super::compressed::Bytes;
use super::error::{Fault, Position};
use super::input::{Pause, ReadError};
use super::room::Share;

/// Bytes read at once when an input is the only one: more than a packet, and little enough to stay in the cache.
pub(super) const BLOCK_LEN: usize = 256 << 10;

/// The unread bytes of an input, as far as they are in memory.
pub(super) struct Stream {
    bytes: Bytes,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Bytes of the input before the unread ones.
    offset: u64,
    ended: bool,
    /// For a buffer that is longer than a block.
    share: Share,
}

/// What [`Stream::fill`] could do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fill {
    /// The bytes are there.
    Ready,
    /// They are not, but may come: try again later.
    Idle,
    /// The input ends before them: so many are left.
    End(u64),
    /// Somebody asked to stop.
    Stopped,
}

/// A stretch of the buffer. It stays valid until the next [`Stream::fill`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    start: usize,
    end: usize,
}

impl Stream {
    /// A window over `first` and then `bytes` that reads `block_len` bytes at once. What is longer takes memory of `share`.
    pub fn new(bytes: Bytes, first: &[u8], block_len: usize, share: Share) -> Self {
        let mut buffer = vec![0; block_len.max(first.len())];
        buffer[..first.len()].copy_from_slice(first);
        Self { bytes, buffer, start: 0, end: first.len(), offset: 0, ended: false, share }
    }

    /// The unread bytes that are in memory.
    #[inline(always)]
    pub fn unread(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// The bytes of a span.
    #[inline(always)]
    pub fn slice(&self, span: Span) -> &[u8] {
        &self.buffer[span.start..span.end]
    }

    /// `len` unread bytes, `skipped` bytes from here; cut to what is in memory.
    #[inline(always)]
    pub fn span(&self, skipped: usize, len: usize) -> Span {
        let start = (self.start + skipped).min(self.end);
        Span { start, end: start + len.min(self.end - start) }
    }

    /// Goes on by `len` bytes that are in memory.
    #[inline(always)]
    pub fn consume(&mut self, len: usize) {
        let len = len.min(self.end - self.start);
        self.start += len;
        self.offset += len as u64;
    }

    /// Where the unread bytes begin.
    pub fn position(&self) -> Position {
        Position { offset: self.offset, decompressed: self.bytes.codec() }
    }

    /// Reads on until `needed` unread bytes are in memory, one after the other. Spans are void after that.
    ///
    /// # Errors
    /// The system cannot read on, or the compressed data are damaged; what was read before stays unread here.
    #[cold]
    pub fn fill(&mut self, needed: usize) -> Result<Fill, Fault> {
        loop {
            let unread_len = self.end - self.start;
            if unread_len >= needed {
                return Ok(Fill::Ready);
            }
            if self.ended {
                return Ok(Fill::End(unread_len as u64));
            }
            match self.read_on(needed) {
                Ok(()) => self.ended = self.end - self.start == unread_len,
                Err(error) => {
                    return error.into_pause(self.end_position()).map(|pause| match pause {
                        Pause::Idle => Fill::Idle,
                        Pause::Stopped => Fill::Stopped,
                    });
                }
            }
        }
    }

    /// Reads some of the bytes that are missing of `needed`; nothing is the end.
    fn read_on(&mut self, needed: usize) -> Result<(), ReadError> {
        if let Bytes::Ahead(ahead) = &mut self.bytes
            && let Some(unread) = ahead.exchange(&mut self.buffer, self.start..self.end)?
        {
            (self.start, self.end) = (unread.start, unread.end);
            return Ok(());
        }
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.end == self.buffer.len() {
            // doubled as bytes come, so that a length that is not true does not cost memory
            let longer_len = needed.min(self.buffer.len() * 2);
            self.share.grow_to(longer_len as u64).map_err(|no_room| ReadError::System(io::Error::other(no_room)))?;
            self.buffer.resize(longer_len, 0);
        }
        self.end += self.bytes.read(&mut self.buffer[self.end..])?;
        Ok(())
    }

    /// How far the input was read.
    fn end_position(&self) -> Position {
        let unread_len = (self.end - self.start) as u64;
        Position { offset: self.offset + unread_len, decompressed: self.bytes.codec() }
    }
}

impl Span {
    /// No bytes.
    pub const EMPTY: Self = Self { start: 0, end: 0 };
}
