//! Frames to be passed over, which zstd (RFC 8878, section 3.1.2) and lz4 share: a file that begins with some is told by what
//! follows them.

use super::compressed::{MAGIC_LEN, recognise};
use super::error::{Codec, Damage, Fault, Position};
use super::foreign::Foreign;
use super::input::Pause;
use super::packed::Packed;

/// A frame to be passed over begins with `magic`, as files of pzstd do.
pub(super) const fn is_skippable(magic: [u8; MAGIC_LEN]) -> bool {
    matches!(magic, [0x50..=0x5f, 0x2a, 0x4d, 0x18])
}

/// Length of the header of a skippable frame: its magic number, and how long it is beside the header.
pub(super) const HEADER_LEN: usize = 8;

/// How many bytes follow the header of a skippable frame, if `bytes` begin with one.
pub(super) fn skippable_len(bytes: &[u8]) -> Option<u32> {
    let &[m, a, g, i, rest @ ..] = bytes.first_chunk::<HEADER_LEN>()?;
    is_skippable([m, a, g, i]).then(|| u32::from_le_bytes(rest))
}

/// An input that begins with skippable frames, on the way past them.
pub(super) struct Skipping {
    packed: Packed,
    /// Where the frame begins that is passed over, and how long it is beside its header.
    frame: (u64, u32),
    /// Bytes of it that are still to come.
    left: u64,
}

/// What is behind skippable frames.
pub(super) enum Behind {
    /// A frame with data.
    Data(Codec),
    /// Nobody knows yet.
    Wait(Pause),
}

impl Skipping {
    /// An input whose unused bytes begin with such a frame.
    pub fn new(packed: Packed) -> Self {
        Self { packed, frame: (0, 0), left: 0 }
    }

    /// Goes on to the first frame with data; to be asked again after a pause.
    ///
    /// # Errors
    /// There is none, or the file ends before.
    pub fn go_on(&mut self) -> Result<Behind, Fault> {
        loop {
            let passed = self.packed.pass_over(&mut self.left).and_then(|()| {
                let wanted_len = if self.left > 0 { 0 } else { HEADER_LEN };
                self.packed.at_least(wanted_len).map(drop)
            });
            let at = Position { offset: self.packed.used_len(), decompressed: None };
            if let Err(error) = passed {
                return error.into_pause(at).map(Behind::Wait);
            }
            if self.left > 0 {
                let (offset, claimed) = self.frame;
                let damage = Damage::CutSkippable { claimed, left: u64::from(claimed) - self.left };
                return Err(Fault::Damaged { at: Position { offset, ..at }, damage });
            }
            let unused = self.packed.in_memory();
            if let Some(len) = skippable_len(unused) {
                self.frame = (at.offset, len);
                self.left = u64::from(len);
                self.packed.use_up(HEADER_LEN);
                continue;
            }
            return match unused.first_chunk().copied() {
                Some(magic) if is_skippable(magic) => {
                    let (needed, left) = (HEADER_LEN as u64, unused.len() as u64);
                    Err(Fault::Damaged { at, damage: Damage::CutSkippableHeader { needed, left } })
                }
                magic => match magic.and_then(recognise) {
                    Some(codec @ (Codec::Zstd | Codec::Lz4)) => Ok(Behind::Data(codec)),
                    _ if unused.is_empty() => Err(Fault::NotACapture(Foreign::Known(
                        "it has nothing but skippable frames, as zstd and lz4 files may have them",
                    ))),
                    _ => Err(Fault::NotACapture(Foreign::Known(
                        "it begins with a skippable frame, and no zstd or lz4 data follow",
                    ))),
                },
            };
        }
    }

    /// What is not passed over.
    pub fn into_packed(self) -> Packed {
        self.packed
    }
}
