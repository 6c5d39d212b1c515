//! What is handed from stage to stage.

use crate::engine::Trail;
use crate::flow::Packet;
use crate::source::{Frame, Interface};
use crate::units::{LinkType, Timestamp};

/// Packets, and where they are to be saved the frames that they came from.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Packets in the order in which they were captured.
    pub(super) packets: Vec<Packet>,
    /// What became of them, once that is known.
    pub(super) trail: Trail,
    /// The frame of each packet, or nothing.
    pub(super) frames: Frames,
    /// What the frames are of.
    pub(super) interface: Option<Interface>,
}

impl Batch {
    /// Makes room for the next packets.
    pub(super) fn clear(&mut self) {
        self.packets.clear();
        self.frames.clear();
        self.interface = None;
    }
}

/// Copies of frames, one after the other.
#[derive(Debug, Default)]
pub(super) struct Frames {
    bytes: Vec<u8>,
    kept: Vec<Kept>,
}

/// A frame, without its bytes.
#[derive(Clone, Copy, Debug)]
struct Kept {
    ts: Timestamp,
    wire_len: u32,
    link: LinkType,
    interface: u32,
    /// Where its bytes end; they begin where those of the frame before it end.
    end: usize,
}

impl Frames {
    /// Keeps a frame.
    pub(super) fn push(&mut self, frame: &Frame<'_>) {
        self.bytes.extend_from_slice(frame.data);
        let &Frame { ts, wire_len, link, interface, .. } = frame;
        self.kept.push(Kept { ts, wire_len, link, interface, end: self.bytes.len() });
    }

    /// The frame of a packet, by its place in the batch.
    pub(super) fn get(&self, at: usize) -> Option<Frame<'_>> {
        let &Kept { ts, wire_len, link, interface, end } = self.kept.get(at)?;
        let start = at.checked_sub(1).map_or(0, |before| self.kept[before].end);
        Some(Frame { ts, wire_len, link, interface, data: &self.bytes[start..end] })
    }

    /// Bytes of the frames.
    #[inline]
    pub(super) fn len_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// There are none.
    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.kept.clear();
    }
}
