//! Numbers and names as people read them: decimal units (1 kB is 1000 bytes), one decimal place, exact counts.

/// Bytes: `999 B`, `1.0 kB`, `15.3 MB`.
#[must_use]
pub fn bytes(bytes: u64) -> String {
    scaled(bytes.into(), &["B", "kB", "MB", "GB", "TB", "PB", "EB"])
}

/// A count, exact, in groups of three digits: `1,234,567`.
#[must_use]
pub fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number and what it counts, in the singular where it is one: `1 packet`, `2 packets`.
#[must_use]
pub fn counted(number: u64, what: &str) -> String {
    format!("{} {what}{}", count(number), if number == 1 { "" } else { "s" })
}

/// The average rate of bytes over nanoseconds, in bits a second: `12.3 Mb/s`. `None` over no time.
#[must_use]
pub fn bit_rate(bytes: u64, nanos: u64) -> Option<String> {
    let bits = u128::from(bytes) * 8 * 1_000_000_000;
    Some(scaled(rounded(bits, nanos)?, &["b/s", "kb/s", "Mb/s", "Gb/s", "Tb/s", "Pb/s"]))
}

/// The average rate of packets over nanoseconds: `0.5 packets/s`, `12.3 k packets/s`. `None` over no time.
pub(super) fn packet_rate(packets: u64, nanos: u64) -> Option<String> {
    let packets = u128::from(packets) * 1_000_000_000;
    let tenths = rounded(packets * 10, nanos)?;
    if tenths < 100 {
        return Some(format!("{}.{} packets/s", tenths / 10, tenths % 10));
    }
    Some(scaled(rounded(packets, nanos)?, &["packets/s", "k packets/s", "M packets/s", "G packets/s"]))
}

/// The average rate over nanoseconds, each second, for a column whose title has the unit: `0`, `0.5`, `870`, `12.3 k`.
/// `None` over no time.
pub(super) fn bare_rate(amount: u64, nanos: u64) -> Option<String> {
    let amount = u128::from(amount) * 1_000_000_000;
    Some(match rounded(amount * 10, nanos)? {
        0 if amount == 0 => "0".to_owned(),
        0 => "<0.1".to_owned(),
        tenths @ 1..100 => format!("{}.{}", tenths / 10, tenths % 10),
        _ => scaled(rounded(amount, nanos)?, &PREFIXES).trim_end().to_owned(),
    })
}

/// A count in at most seven characters, exact below a million: `999,999`, `1.0 M`.
pub(super) fn short(count: u64) -> String {
    if count < 1_000_000 { self::count(count) } else { scaled(count.into(), &PREFIXES) }
}

/// Nothing, and what stands for each factor of a thousand.
const PREFIXES: [&str; 7] = ["", "k", "M", "G", "T", "P", "E"];

/// A time in microseconds: `180 µs`, `1.2 ms`, `3.4 s`, `2m05s`, `3h02m`, `5d04h`.
#[must_use]
pub fn micros(micros: u64) -> String {
    let seconds = micros.saturating_add(500_000) / 1_000_000;
    match seconds {
        0..60 => scaled(micros.into(), &["µs", "ms", "s"]),
        60..3_600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h{:02}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// A share in percent: `82.1%`. It is 0 or 100 only when that is exact: `<0.1%`, `>99.9%`.
#[must_use]
pub fn share(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "–".to_owned();
    }
    match rounded(u128::from(part) * 1_000, whole).unwrap_or_default() {
        0 if part > 0 => "<0.1%".to_owned(),
        1_000 if part < whole => ">99.9%".to_owned(),
        tenths => format!("{}.{}%", tenths / 10, tenths % 10),
    }
}

/// Text that came from outside, with whatever a terminal would obey instead of show (control characters, changes of
/// direction, invisible ones) written as an escape.
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut shown, c| {
        if is_printable(c) {
            shown.push(c);
        } else {
            shown.extend(c.escape_default());
        }
        shown
    })
}

/// A terminal shows the character, wherever it came from, and does not obey it.
pub(super) fn is_printable(c: char) -> bool {
    let hidden = matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    !(hidden || c.is_control())
}

/// A quotient, rounded to the nearest; `None` when it divides by nothing.
fn rounded(dividend: u128, divisor: u64) -> Option<u128> {
    let divisor = u128::from(divisor);
    (dividend + divisor / 2).checked_div(divisor)
}

/// A value with the largest unit of which it has one, each a thousand of the one before.
fn scaled(value: u128, units: &[&str]) -> String {
    let mut factor = 1;
    for (at, unit) in units.iter().enumerate() {
        let last = at + 1 == units.len();
        if at == 0 && (value < 1_000 || last) {
            return format!("{value} {unit}");
        }
        let tenths = (value * 10 + factor / 2) / factor;
        if at > 0 && (tenths < 10_000 || last) {
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
        factor *= 1_000;
    }
    value.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_have_room_for_any_number() {
        let second = 1_000_000_000;
        let cases = [
            (0, "0", "0"),
            (7, "7.0", "7"),
            (870, "870", "870"),
            (999_999, "1.0 M", "999,999"),
            (1_000_000, "1.0 M", "1.0 M"),
            (999_949_999, "999.9 M", "999.9 M"),
            (u64::MAX, "18.4 E", "18.4 E"),
        ];
        for (amount, rate, count) in cases {
            assert_eq!(bare_rate(amount, second).as_deref(), Some(rate), "{amount}");
            assert_eq!(short(amount), count, "{amount}");
        }
        assert_eq!(bare_rate(1, 100 * second).as_deref(), Some("<0.1"));
        assert_eq!(bare_rate(1, 0), None);
    }

    #[test]
    fn bytes_have_decimal_units() {
        let cases = [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (1_049, "1.0 kB"),
            (1_050, "1.1 kB"),
            (15_300_000, "15.3 MB"),
            (999_949, "999.9 kB"),
            (999_950, "1.0 MB"),
            (1_000_000_000_000, "1.0 TB"),
            (u64::MAX, "18.4 EB"),
        ];
        for (value, want) in cases {
            assert_eq!(bytes(value), want, "{value}");
        }
    }

    #[test]
    fn counts_are_exact() {
        for (value, want) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(count(value), want);
        }
        assert_eq!(count(u64::MAX), "18,446,744,073,709,551,615");
        assert_eq!((counted(1, "packet"), counted(2, "packet")), ("1 packet".to_owned(), "2 packets".to_owned()));
    }

    #[test]
    fn rates_are_averages() {
        let cases = [
            (1, 1_000_000_000, Some("8 b/s")),
            (1_540_000, 1_000_000_000, Some("12.3 Mb/s")),
            (1_250_000_000, 100_000_000, Some("100.0 Gb/s")),
            (1, 0, None),
        ];
        for (value, nanos, want) in cases {
            assert_eq!(bit_rate(value, nanos).as_deref(), want, "{value} in {nanos}");
        }
        assert!(bit_rate(u64::MAX, 1).is_some(), "nothing overflows");
        assert_eq!(packet_rate(5, 2_000_000_000).as_deref(), Some("2.5 packets/s"));
        assert_eq!(packet_rate(20, 2_000_000_000).as_deref(), Some("10 packets/s"));
        assert_eq!(packet_rate(24_680, 1_000_000_000).as_deref(), Some("24.7 k packets/s"));
    }

    #[test]
    fn times_have_the_unit_that_suits() {
        let cases = [
            (0, "0 µs"),
            (180, "180 µs"),
            (999, "999 µs"),
            (1_200, "1.2 ms"),
            (999_950, "1.0 s"),
            (3_400_000, "3.4 s"),
            (59_499_999, "59.5 s"),
            (59_999_999, "1m00s"),
            (125_000_000, "2m05s"),
            (10_920_000_000, "3h02m"),
            (446_400_000_000, "5d04h"),
            (u64::MAX, "213503982d08h"),
        ];
        for (value, want) in cases {
            assert_eq!(micros(value), want, "{value}");
        }
    }

    #[test]
    fn shares_are_whole_only_when_exact() {
        let cases = [
            (0, 10, "0.0%"),
            (10, 10, "100.0%"),
            (821, 1_000, "82.1%"),
            (1, 1_000_000, "<0.1%"),
            (999_999, 1_000_000, ">99.9%"),
            (0, 0, "–"),
            (u64::MAX, u64::MAX, "100.0%"),
        ];
        for (part, whole, want) in cases {
            assert_eq!(share(part, whole), want, "{part} of {whole}");
        }
    }

    #[test]
    fn terminals_get_no_orders_from_names() {
        let cases = [
            ("a b\\\"ä́語.pcap", "a b\\\"ä́語.pcap"),
            ("\x1b[31mred\r\n", "\\u{1b}[31mred\\r\\n"),
            ("\u{9b}2J\u{202e}pcap.exe\u{200b}", "\\u{9b}2J\\u{202e}pcap.exe\\u{200b}"),
        ];
        for (text, want) in cases {
            assert_eq!(printable(text), want);
        }
    }
}
