//! JSON as the program writes it, whatever the document.
//!
//! What a terminal would obey instead of show (see [`is_printable`]) is written as an escape in strings, though JSON asks for
//! that below U+0020 alone: people look at JSON too, and names in it come from outside. A reader gets the same text.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter, Serializer};

use super::human::is_printable;

/// Writes a value as JSON, in one line that has no end.
///
/// # Errors
/// It cannot be written.
pub fn write_json(out: impl Write, value: &(impl Serialize + ?Sized)) -> io::Result<()> {
    Ok(value.serialize(&mut Serializer::with_formatter(out, Shown(CompactFormatter)))?)
}

/// Writes a value as JSON, indented, and without an end of the last line.
///
/// # Errors
/// It cannot be written.
pub fn write_indented_json(out: impl Write, value: &(impl Serialize + ?Sized)) -> io::Result<()> {
    Ok(value.serialize(&mut Serializer::with_formatter(out, Shown(PrettyFormatter::new())))?)
}

/// The form of another formatter, with strings as they are here.
struct Shown<F>(F);

/// Methods that are those of the other formatter.
macro_rules! form {
    ($($name:ident($($is_first:ident)?)),*) => {
        $(
            #[inline]
            fn $name<W: ?Sized + Write>(&mut self, writer: &mut W $(, $is_first: bool)?) -> io::Result<()> {
                self.0.$name(writer $(, $is_first)?)
            }
        )*
    };
}

impl<F: Formatter> Formatter for Shown<F> {
    form!(begin_array(), end_array(), begin_array_value(is_first), end_array_value());
    form!(begin_object(), end_object(), begin_object_key(is_first), end_object_key());
    form!(begin_object_value(), end_object_value());

    #[inline]
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        if is_plain(fragment) {
            writer.write_all(fragment.as_bytes())
        } else {
            write_escaped(writer, fragment, |c| !is_printable(c))
        }
    }
}

/// There is nothing but ASCII without U+007F. Every key is looked at, so that is done in words, of which the last two overlap.
#[inline]
fn is_plain(fragment: &str) -> bool {
    const TOPS: u64 = 0x8080_8080_8080_8080;
    const ONES: u64 = 0x0101_0101_0101_0101;
    // one more than 0x7f has the top bit
    let is_plain = |word: u64| (word | word.wrapping_add(ONES)) & TOPS == 0;
    let bytes = fragment.as_bytes();
    if let Some(last) = bytes.last_chunk() {
        let mut words = bytes.as_chunks().0.iter();
        return is_plain(u64::from_le_bytes(*last)) && words.all(|word| is_plain(u64::from_le_bytes(*word)));
    }
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let [first, last] = [first, last].map(|half| u64::from(u32::from_le_bytes(*half)));
        return is_plain(first << 32 | last);
    }
    bytes.iter().all(|byte| *byte < 0x7f)
}

/// Writes a part of a string that JSON takes as it is, with the characters that are not to be in the text as escapes.
#[cold]
pub(super) fn write_escaped(
    writer: &mut (impl Write + ?Sized),
    fragment: &str,
    is_escaped: impl Fn(char) -> bool,
) -> io::Result<()> {
    for piece in fragment.split_inclusive(&is_escaped) {
        let last = piece.chars().next_back().filter(|c| is_escaped(*c));
        writer.write_all(&piece.as_bytes()[..piece.len() - last.map_or(0, char::len_utf8)])?;
        // beyond U+FFFF there are two of them (RFC 8259, section 7)
        for unit in last.iter().flat_map(|c| c.encode_utf16(&mut [0; 2]).to_vec()) {
            write!(writer, "\\u{unit:04x}")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    type Texts = BTreeMap<String, Vec<String>>;

    fn written(value: &Texts) -> [String; 2] {
        let (mut compact, mut indented) = (Vec::new(), Vec::new());
        write_json(&mut compact, value).expect("memory takes everything");
        write_indented_json(&mut indented, value).expect("memory takes everything");
        [compact, indented].map(|text| String::from_utf8(text).expect("JSON is UTF-8"))
    }

    fn texts(text: &str) -> Texts {
        BTreeMap::from([(text.to_owned(), vec![text.to_owned(), String::new()]), (String::new(), Vec::new())])
    }

    #[test]
    fn terminals_get_no_orders_from_strings() {
        for c in (0..=0x0010_ffff).filter_map(char::from_u32).filter(|c| !is_printable(*c)) {
            let name = format!("a\"{c}ä{c}{c}語.pcap{c}");
            for text in written(&texts(&name)) {
                assert!(text.chars().all(|c| is_printable(c) || c == '\n'), "{c:?}: {text:?}");
                assert_eq!(serde_json::from_str::<Texts>(&text).expect("JSON"), texts(&name));
            }
        }
        let [compact, _] =
            written(&BTreeMap::from([("\u{9b}2J\u{202e}\u{e0041}\u{7f}é\u{1b}".to_owned(), Vec::new())]));
        assert_eq!(compact, r#"{"\u009b2J\u202e\udb40\udc41\u007fé\u001b":[]}"#);
    }

    #[test]
    fn what_is_plain_is_seen_wherever_it_is() {
        for len in 0..40 {
            let plain = " ~z".repeat(14)[..len].to_owned();
            assert!(is_plain(&plain));
            for (at, odd) in (0..len).flat_map(|at| ["\u{7f}", "\u{80}", "\u{ff}", "語"].map(|odd| (at, odd))) {
                let mut text = plain.clone();
                text.insert_str(at, odd);
                assert!(!is_plain(&text), "{text:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn plain_text_is_written_as_serde_json_does(text in "[ -~ä-ÿ語]{0,40}") {
            let [compact, indented] = written(&texts(&text));
            prop_assert_eq!(compact, serde_json::to_string(&texts(&text)).expect("strings"));
            prop_assert_eq!(indented, serde_json::to_string_pretty(&texts(&text)).expect("strings"));
        }
    }
}
