//! Histograms as text: what one report writes, so that another run can add it to its own.
//!
//! The form is HdrHistogram's V2, compressed with zlib (RFC 1950), in base64 (RFC 4648, section 4), as the other
//! implementations of HdrHistogram read it. Equal histograms are equal texts.

use std::io::Read as _;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::ZlibDecoder;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{DeserializeError, Deserializer, Serializer as _, V2DeflateSerializer};

use super::buckets::{self, BUCKETS, SIGNIFICANT_DIGITS};

/// A bucket by its place in [`buckets`], and how many values are in it.
pub(super) type Bucket = (u16, u64);

/// What begins a histogram that is compressed, and one that is not.
const COMPRESSED: [u8; 4] = 0x1c84_9314_u32.to_be_bytes();
const PLAIN: [u8; 4] = 0x1c84_9313_u32.to_be_bytes();
/// Bytes before the counters: cookie, their length, offset, digits, lowest and highest value, ratio.
const HEADER_LEN: usize = 40;
/// The longest that a histogram of ours can be: nine bytes a bucket.
const PLAIN_LEN_MAX: usize = HEADER_LEN + 9 * BUCKETS;
/// The longest text: zlib adds little to what it cannot compress, and base64 a third.
const TEXT_LEN_MAX: usize = 2 * PLAIN_LEN_MAX;

/// What is wrong with the text of a histogram.
#[derive(Debug, thiserror::Error)]
pub enum HdrError {
    /// No histogram of two digits is as long.
    #[error("a histogram cannot have {len} characters: {TEXT_LEN_MAX} at most")]
    TooLong {
        /// Its length.
        len: usize,
    },
    /// It is not base64.
    #[error("not base64: {0}")]
    Base64(#[from] base64::DecodeError),
    /// It does not begin as a compressed histogram does, outside or inside.
    #[error("not a compressed HdrHistogram of version 2")]
    NotHdr,
    /// What was compressed cannot be read.
    #[error("cannot be inflated: {0}")]
    Inflate(std::io::Error),
    /// It inflates to more than a histogram of two digits can have.
    #[error("inflates to more than {PLAIN_LEN_MAX} bytes")]
    Bomb,
    /// Its buckets are not those of this program.
    #[error("has {digits} significant digits from {lowest} up, not {SIGNIFICANT_DIGITS} from 1 up")]
    OtherBuckets {
        /// Its significant digits.
        digits: u32,
        /// Its lowest value that can be told from zero.
        lowest: u64,
    },
    /// Its counters end early, are too many, or are none.
    #[error("its counters are damaged")]
    Damaged,
    /// The same, as the crate tells it.
    #[error("its counters are damaged: {0}")]
    Read(DeserializeError),
}

/// The text of a histogram; `None` when a counter is larger than the format has room for (2^63 - 1).
///
/// `max` is the largest value there is, which no value that is given exceeds.
pub(super) fn encode(values: impl Iterator<Item = (u64, u64)>, max: u64) -> Option<Arc<str>> {
    // the range is part of the text: it follows from the values, and not from how a histogram came to have them
    let mut histogram = Histogram::<u64>::new_with_bounds(1, max.max(2), SIGNIFICANT_DIGITS).ok()?;
    for (value, count) in values {
        histogram.record_n(value.min(max), count).ok()?;
    }
    let mut bytes = Vec::new();
    V2DeflateSerializer::new().serialize(&histogram, &mut bytes).ok()?;
    Some(STANDARD.encode(bytes).into())
}

/// The buckets of a histogram that are not empty, in order. Whatever the text claims, this takes no more memory than the
/// largest histogram of ours.
///
/// # Errors
/// See [`HdrError`].
pub(super) fn decode(text: &str) -> Result<Vec<Bucket>, HdrError> {
    if text.len() > TEXT_LEN_MAX {
        return Err(HdrError::TooLong { len: text.len() });
    }
    let plain = inflate(&STANDARD.decode(text)?)?;
    check_header(&plain)?;
    let histogram: Histogram<u64> = Deserializer::new().deserialize(&mut plain.as_slice()).map_err(HdrError::Read)?;
    let counted = histogram.iter_recorded();
    let bucket = |value: u64| u16::try_from(buckets::index(value)).unwrap_or(u16::MAX);
    Ok(counted.map(|at| (bucket(at.value_iterated_to()), at.count_since_last_iteration())).collect())
}

/// The plain form within a compressed one.
fn inflate(compressed: &[u8]) -> Result<Vec<u8>, HdrError> {
    let rest = compressed.strip_prefix(&COMPRESSED).ok_or(HdrError::NotHdr)?;
    let (len, deflated) = rest.split_first_chunk::<4>().ok_or(HdrError::NotHdr)?;
    if usize::try_from(u32::from_be_bytes(*len)) != Ok(deflated.len()) {
        return Err(HdrError::Damaged);
    }
    let mut plain = Vec::new();
    ZlibDecoder::new(deflated).take(PLAIN_LEN_MAX as u64 + 1).read_to_end(&mut plain).map_err(HdrError::Inflate)?;
    if plain.len() > PLAIN_LEN_MAX { Err(HdrError::Bomb) } else { Ok(plain) }
}

/// Nothing in the header makes the crate take memory that the text did not.
fn check_header(plain: &[u8]) -> Result<(), HdrError> {
    let (header, counters) = plain.split_first_chunk::<HEADER_LEN>().ok_or(HdrError::NotHdr)?;
    let word = |at: usize| header[at..].first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
    let (digits, lowest) = (word(12), u64::from(word(16)) << 32 | u64::from(word(20)));
    if !header.starts_with(&PLAIN) {
        return Err(HdrError::NotHdr);
    }
    if (digits, lowest) != (SIGNIFICANT_DIGITS.into(), 1) {
        return Err(HdrError::OtherBuckets { digits, lowest });
    }
    // the crate negates runs of empty buckets, and a run of 2^63, which nine such bytes stand for, has no negative
    let endless_run = counters.windows(9).any(|bytes| bytes == [0xff; 9]);
    if usize::try_from(word(4)) != Ok(counters.len()) || endless_run { Err(HdrError::Damaged) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::ZlibEncoder;
    use proptest::prelude::*;

    use super::*;

    fn text(plain: &[u8]) -> String {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(plain).expect("memory takes everything");
        let deflated = encoder.finish().expect("memory takes everything");
        let len = u32::try_from(deflated.len()).expect("short").to_be_bytes();
        STANDARD.encode([&COMPRESSED[..], &len, &deflated].concat())
    }

    fn plain(digits: u32, lowest: u64, highest: u64, counters: &[u8]) -> Vec<u8> {
        let len = u32::try_from(counters.len()).expect("short");
        let mut plain = PLAIN.to_vec();
        plain.extend([len, 0, digits].map(u32::to_be_bytes).concat());
        plain.extend([lowest, highest].map(u64::to_be_bytes).concat());
        plain.extend(1.0_f64.to_be_bytes());
        plain.extend(counters);
        plain
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(values in prop::collection::vec((0..64_u32).prop_flat_map(|bits| 0..=u64::MAX >> bits), 1..100)) {
            let max = values.iter().copied().max().expect("values");
            let text = encode(values.iter().map(|value| (*value, 1)), max).expect("small counts");
            let mut want = std::collections::BTreeMap::new();
            for value in &values {
                *want.entry(u16::try_from(buckets::index(*value)).expect("few buckets")).or_default() += 1;
            }
            prop_assert_eq!(decode(&text).expect("ours"), Vec::from_iter(want));
        }

        #[test]
        fn any_counters_are_read_or_refused(highest in any::<u64>(), counters in prop::collection::vec(any::<u8>(), 0..200)) {
            drop(decode(&text(&plain(2, 1, highest, &counters))));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[A-Za-z0-9+/]{0,200}") {
            drop(decode(&text));
        }
    }

    #[test]
    fn what_would_do_harm_is_refused() {
        let zeros = vec![0; 64 << 20];
        let cases = [
            ("what is not base64", "????".to_owned(), "not base64: "),
            ("nothing", String::new(), "not a compressed HdrHistogram"),
            ("something else", STANDARD.encode("something else"), "not a compressed HdrHistogram"),
            ("too long a text", "A".repeat(TEXT_LEN_MAX + 1), "a histogram cannot have 133713 characters"),
            ("a bomb", text(&zeros), "inflates to more than 66856 bytes"),
            ("a cut one", text(&plain(2, 1, 1000, &[2])[..30]), "not a compressed HdrHistogram"),
            ("five digits", text(&plain(5, 1, u64::MAX, &[2])), "has 5 significant digits from 1 up, not 2 from 1 up"),
            ("coarse values", text(&plain(2, 1024, 1 << 60, &[2])), "has 2 significant digits from 1024 up"),
            ("no range", text(&plain(2, 1, 1, &[2])), "its counters are damaged: "),
            ("counters that end early", text(&plain(2, 1, 1000, &[0x80])), "its counters are damaged: "),
            ("too many counters", text(&plain(2, 1, 255, &[2; 1000])), "its counters are damaged: "),
            ("the longest run", text(&plain(2, 1, 1000, &[0xff; 9])), "its counters are damaged"),
            ("a length that is not its own", text(&[&plain(2, 1, 1000, &[2])[..], &[2]].concat()), "its counters"),
        ];
        for (name, text, want) in cases {
            let error = decode(&text).expect_err(name).to_string();
            assert!(error.starts_with(want), "{name}: {error}");
        }
    }
}
