//! What a file is that is no capture, so that the message helps.

use std::fmt;

/// What an input is instead of a capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// A format that its first bytes give away.
    Known(&'static str),
    /// Text: how it begins.
    Text(String),
    /// None of these: its first bytes, at most eight.
    Bytes(Vec<u8>),
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(what) => f.write_str(what),
            Self::Text(beginning) => write!(f, "it is text: {beginning:?}"),
            Self::Bytes(first) => {
                f.write_str("first bytes:")?;
                first.iter().try_for_each(|byte| write!(f, " {byte:02x}"))
            }
        }
    }
}

/// How many bytes [`identify`] looks at.
pub(super) const LOOK_LEN: usize = 512;

/// How much of a text is quoted, in characters.
const QUOTED_CHARS: usize = 24;

/// Formats that people take for captures: where the magic number stands, the number, what it is.
const MAGICS: &[(usize, &[u8], &str)] = &[
    (0, b"\x1f\x8b\x08", "it is gzip data inside compressed data"),
    (0, b"\x28\xb5\x2f\xfd", "it is zstd data inside compressed data"),
    (0, b"\x04\x22\x4d\x18", "it is lz4 data inside compressed data"),
    (0, b"\x02\x21\x4c\x18", "it is an lz4 file of the legacy format; compress it with a current lz4"),
    (0, b"\xfd7zXZ\0", "it is an xz file; decompress it first"),
    (0, b"BZh", "it is a bzip2 file; decompress it first"),
    (0, b"PK\x03\x04", "it is a zip archive; unpack it first"),
    (0, b"7z\xbc\xaf\x27\x1c", "it is a 7z archive; unpack it first"),
    (0, b"Rar!", "it is a rar archive; unpack it first"),
    (257, b"ustar", "it is a tar archive; unpack it first"),
    (0, b"btsnoop\0", "it is a btsnoop file"),
    (0, b"GMBU", "it is a Microsoft Network Monitor 2 file"),
    (0, b"RTSS", "it is a Microsoft Network Monitor 1 file"),
    (0, b"XCP\0", "it is a NetXRay or Sniffer file"),
    (0, b"TRSNIFF data", "it is a Sniffer file"),
    (0, b"iptrace ", "it is an iptrace file"),
    (0, b"\x7fver", "it is an EtherPeek file"),
    (0, b"\x7fELF", "it is an ELF program or library"),
    (0, b"MZ", "it is a Windows program"),
    (0, b"%PDF", "it is a PDF document"),
    (0, b"SQLite format 3\0", "it is an SQLite database"),
    (0, b"PAR1", "it is a Parquet file"),
    (0, b"\x89PNG", "it is a PNG image"),
    (0, b"\xff\xd8\xff", "it is a JPEG image"),
];

/// What a file is that begins with `first` (at most [`LOOK_LEN`] bytes count) and is no capture.
pub(super) fn identify(first: &[u8]) -> Foreign {
    let first = &first[..first.len().min(LOOK_LEN)];
    let magic = MAGICS.iter().find(|(at, magic, _)| first.get(*at..).is_some_and(|rest| rest.starts_with(magic)));
    if let Some((_, _, what)) = magic {
        return Foreign::Known(what);
    }
    match printable(first) {
        Some(text) if is_json(text) => Foreign::Known("it is JSON"),
        Some(text) if text.trim_start().starts_with('<') => Foreign::Known("it is XML or HTML"),
        Some(text) => Foreign::Text(text.chars().take(QUOTED_CHARS).collect()),
        None => Foreign::Bytes(first.iter().copied().take(8).collect()),
    }
}

/// Whether a text begins as JSON does, and not as an INI file with its `[section]`.
fn is_json(text: &str) -> bool {
    let text = text.trim_start();
    let elements = text.strip_prefix('[').map(str::trim_start);
    text.starts_with('{')
        || elements.is_some_and(|rest| {
            rest.starts_with(['{', '[', '"', ']', '-']) || rest.starts_with(|c: char| c.is_ascii_digit())
        })
}

/// The text that `first` is, if it is one. Its last character may be cut.
fn printable(first: &[u8]) -> Option<&str> {
    let text = match std::str::from_utf8(first) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => std::str::from_utf8(first.get(..error.valid_up_to())?).ok()?,
        Err(_) => return None,
    };
    let is_text = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    (!text.is_empty() && text.chars().all(is_text)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_it_is_instead() {
        let mut tar = vec![0; 512];
        tar[257..262].copy_from_slice(b"ustar");
        let cases: [(&[u8], &str); 12] = [
            (b"\x7fELF\x02\x01\x01", "it is an ELF program or library"),
            (b"btsnoop\0\0\0\0\x01", "it is a btsnoop file"),
            (&tar, "it is a tar archive; unpack it first"),
            (b" {\"a\": 1}\n", "it is JSON"),
            (b"[ {\"a\": 1} ]", "it is JSON"),
            (b"[user]\n", "it is text: \"[user]\\n\""),
            (b"<!doctype html>", "it is XML or HTML"),
            (b"id,bytes\n1,2\n", "it is text: \"id,bytes\\n1,2\\n\""),
            ("Zeit: 12 µ".as_bytes().split_last().map_or(&[], |(_, cut)| cut), "it is text: \"Zeit: 12 \""),
            (b"\x1f\x2e\0\x01\x02\x03\x04\x05\x06", "first bytes: 1f 2e 00 01 02 03 04 05"),
            (b"\x00", "first bytes: 00"),
            (b"", "first bytes:"),
        ];
        for (first, want) in cases {
            assert_eq!(identify(first).to_string(), want, "{first:02x?}");
        }
    }
}
