//! Inputs that are streams of frames.

use std::path::Path;

use portlabel::units::LinkType;

use super::{FRAMES_MAX, all_captures, frames, write_seeds};

/// What the number before a frame's link type stands for.
pub const LINKS: [u16; 16] = [1, 101, 113, 276, 0, 105, 127, 12, 9, 104, 107, 120, 228, 229, 147, 65_535];

const SECOND_NANOS: i64 = 1_000_000_000;
const YEAR_NANOS: i64 = 365 * 24 * 3600 * SECOND_NANOS;

/// What the number before a frame's time stands for: how much later it is than the one before.
pub const STEPS_NANOS: [i64; 16] = [
    0,
    1,
    1_000,
    1_000_000,
    SECOND_NANOS / 2,
    SECOND_NANOS,
    31 * SECOND_NANOS,
    61 * SECOND_NANOS,
    121 * SECOND_NANOS,
    301 * SECOND_NANOS,
    -1_000_000,
    -SECOND_NANOS,
    -2 * 3600 * SECOND_NANOS,
    2 * 3600 * SECOND_NANOS,
    50 * YEAR_NANOS,
    -50 * YEAR_NANOS,
];

/// Writes the inputs to begin with: settings, and the first frames of each capture, whose times differ by little and by much.
///
/// # Panics
/// They cannot be read or written.
pub fn seeds() {
    write_seeds(|| all_captures().iter().enumerate().filter_map(|(number, path)| stream(number, path)).collect());
}

/// The stream of a capture's first frames; `None` when it has none of a link type that there is a number for.
fn stream(number: usize, capture: &Path) -> Option<Vec<u8>> {
    let mut stream = vec![30, 20, [255, 1, 0][number % 3], [0, 3, 5, 12][number / 3 % 4]];
    for (at, (LinkType(link), data)) in frames(capture, FRAMES_MAX).into_iter().enumerate() {
        let link = LINKS.iter().position(|known| *known == link)?;
        let data = &data[..data.len().min(255)];
        let step = [3, 5, 2, 10, 6, 4, 7, 13][(at + number) % 8];
        stream.extend([step, u8::try_from(link).ok()?, u8::try_from(data.len()).ok()?]);
        stream.extend(data);
    }
    (stream.len() > 4).then_some(stream)
}
