//! A user's own names, in the syntax of /etc/services: text in; entries, or the lines that are wrong, out.
//!
//! ```text
//! name  port/protocol  [alias ...]  # comment
//! ```
//!
//! A port may be a range, `6000-6063/tcp`. Nothing is taken for granted of the text but that a line ends with a line feed:
//! comments may be in any encoding. What names which port in the end, the [`Registry`](super::Registry) decides.

use std::fmt;
use std::ops::RangeInclusive;

use super::parse::{Fault, RESERVED};
use crate::units::Transport;

/// Longest name or alias, in characters. Four times what IANA allows (RFC 6335, section 5.1), and no more: tables have to
/// show it.
const NAME_MAX: usize = 63;
/// Lines of all files that may name ports: four times as many as there are ports of transports.
pub const ENTRIES_MAX: usize = 1_000_000;
/// Faults of a file that are told one by one; a file that is no list of services has one in each line.
const FAULTS_MAX: usize = 10;
/// Characters of the text that a message quotes.
const QUOTED_MAX: usize = 40;

/// A line that names ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'t> {
    /// The name that flows get.
    pub name: &'t str,
    /// Its ports.
    pub first: u16,
    /// The last of them; the same for a single one.
    pub last: u16,
    /// Their transport, never UDP-Lite, which takes the names of UDP.
    pub transport: Transport,
    /// Other names as written, parted by white space; see [`Entry::aliases`].
    aliases: &'t str,
    /// What stands behind the `#`, without space around it, in whatever encoding.
    pub comment: &'t [u8],
    /// Line of the file, counted from 1.
    pub line: usize,
}

impl<'t> Entry<'t> {
    /// Other names, which lookups find and no flow gets.
    pub fn aliases(&self) -> impl Iterator<Item = &'t str> + use<'t> {
        self.aliases.split_ascii_whitespace()
    }

    /// The ports.
    #[must_use]
    pub const fn ports(&self) -> RangeInclusive<u16> {
        self.first..=self.last
    }

    /// The entry speaks of this port.
    #[must_use]
    pub const fn covers(&self, transport: Transport, port: u16) -> bool {
        self.transport as u8 == transport as u8 && self.first <= port && port <= self.last
    }
}

/// What a file says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Names<'t> {
    /// Its entries, in the order of their lines.
    pub entries: Vec<Entry<'t>>,
    /// Lines for AppleTalk (`ddp`), which has no ports of the internet; Debian's own file has some.
    pub appletalk: usize,
}

/// What is wrong with a file: the first faults, and how many there are beside them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// The first ones, in the order of their lines; at least one.
    pub first: Vec<Fault>,
    /// The rest.
    pub more: usize,
}

impl Faults {
    fn push(&mut self, fault: Fault) {
        if self.first.len() < FAULTS_MAX {
            self.first.push(fault);
        } else {
            self.more += 1;
        }
    }
}

/// Reads the names in a file.
///
/// # Errors
/// Every line that is wrong, and what to do about it; the first ten of them in words.
pub fn parse(file: &[u8]) -> Result<Names<'_>, Faults> {
    let (mut names, mut faults) = (Names::default(), Faults::default());
    if file.starts_with(&[0xff, 0xfe]) || file.starts_with(&[0xfe, 0xff]) {
        faults.push(Fault::new(1, "the file is in UTF-16; save it as UTF-8"));
        return Err(faults);
    }
    let text = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file);
    for (line, text) in (1..).zip(text.split(|&byte| byte == b'\n')) {
        match entry(line, text) {
            Ok(Line::Entry(_)) if names.entries.len() == ENTRIES_MAX => {
                faults
                    .push(Fault::new(line, format!("more than {ENTRIES_MAX} lines name ports; there are not as many")));
                return Err(faults);
            }
            Ok(Line::Entry(entry)) => names.entries.push(entry),
            Ok(Line::AppleTalk) => names.appletalk += 1,
            Ok(Line::Blank) => {}
            Err(what) => faults.push(Fault::new(line, what)),
        }
    }
    if faults.first.is_empty() { Ok(names) } else { Err(faults) }
}

/// A line that is right.
enum Line<'t> {
    Entry(Entry<'t>),
    AppleTalk,
    Blank,
}

fn entry(line: usize, text: &[u8]) -> Result<Line<'_>, String> {
    let (fields, comment) = match text.iter().position(|&byte| byte == b'#') {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, &text[..0]),
    };
    // only the end of a line may have one, as DOS wrote it
    let fields = fields.strip_suffix(b"\r").unwrap_or(fields);
    if fields.contains(&b'\r') {
        return Err("a carriage return is no end of a line here; end lines with a line feed".to_owned());
    }
    let Some((name, rest)) = field(fields) else { return Ok(Line::Blank) };
    check(name, "name")?;
    let Some((port, rest)) = field(rest) else {
        return Err(format!("\"{}\" has no port; a line is: name port/protocol [alias ...]", quoted(name)));
    };
    let Some(slash) = port.iter().position(|&byte| byte == b'/') else {
        let port = quoted(port);
        return Err(format!("\"{port}\" has no protocol; write {port}/tcp or {port}/udp"));
    };
    let (ports, protocol) = (&port[..slash], &port[slash + 1..]);
    let (first, last) = self::ports(&String::from_utf8_lossy(ports)).map_err(|fault| fault.to_string())?.into_inner();
    let transport = match &protocol.to_ascii_lowercase()[..] {
        b"tcp" => Transport::Tcp,
        b"udp" => Transport::Udp,
        b"sctp" => Transport::Sctp,
        b"dccp" => Transport::Dccp,
        b"ddp" => return Ok(Line::AppleTalk),
        b"udplite" | b"udp-lite" => {
            let ports = quoted(ports);
            return Err(format!("UDP-Lite takes the names of udp (RFC 3828, section 3.1); write {ports}/udp"));
        }
        _ => {
            let protocol = quoted(protocol);
            return Err(format!("\"{protocol}\" is no protocol with ports; one of: tcp, udp, sctp, dccp"));
        }
    };
    let name = as_text(name);
    if RESERVED.iter().any(|word| word.eq_ignore_ascii_case(name)) {
        return Err(format!("the name \"{name}\" is reserved for rows without one name; choose another"));
    }
    let mut others = rest;
    while let Some((alias, behind)) = field(others) {
        check(alias, "alias")?;
        others = behind;
    }
    let (aliases, comment) = (as_text(rest), comment.trim_ascii());
    Ok(Line::Entry(Entry { name, first, last, transport, aliases, comment, line }))
}

/// The first field, and what stands behind it.
fn field(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = text.trim_ascii_start();
    let end = text.iter().position(u8::is_ascii_whitespace).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// Text of which every byte was looked at: it is ASCII.
fn as_text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap_or_default()
}

fn check(name: &[u8], what: &str) -> Result<(), String> {
    if !name.iter().all(u8::is_ascii_graphic) {
        let name = quoted(name);
        Err(format!("the {what} \"{name}\" holds something else than visible ASCII characters; spell it without"))
    } else if name.len() > NAME_MAX {
        Err(format!("the {what} \"{}\" is longer than {NAME_MAX} characters; shorten it", quoted(name)))
    } else {
        Ok(())
    }
}

/// What a message shows of a field.
fn quoted(field: &[u8]) -> String {
    let text = String::from_utf8_lossy(field);
    match text.char_indices().nth(QUOTED_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.into_owned(),
    }
}

/// What is wrong with ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortsError {
    /// It is no number from 0 to 65535.
    NoPort(String),
    /// The range goes down.
    Reversed(u16, u16),
}

impl fmt::Display for PortsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPort(text) => write!(f, "\"{text}\" is no port; ports go from 0 to 65535"),
            Self::Reversed(first, last) => write!(f, "the range {first}-{last} is reversed; write {last}-{first}"),
        }
    }
}

/// A port such as `80`, or a range such as `6000-6063`, both ends in it, as people write them.
///
/// # Errors
/// [`PortsError`]: it is neither.
pub fn ports(text: &str) -> Result<RangeInclusive<u16>, PortsError> {
    let port = |text: &str| match text.parse() {
        Ok(port) if text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(port),
        _ => Err(PortsError::NoPort(quoted(text.as_bytes()))),
    };
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => (port(first)?, port(last)?),
        None => (port(text)?, port(text)?),
    };
    if first > last { Err(PortsError::Reversed(first, last)) } else { Ok(first..=last) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Entries in short: name, ports, transport, aliases, comment, line.
    fn short(names: &Names<'_>) -> Vec<String> {
        let entry = |entry: &Entry<'_>| {
            let (first, last, transport, line) = (entry.first, entry.last, entry.transport, entry.line);
            let aliases = entry.aliases().collect::<Vec<_>>().join(",");
            let comment = String::from_utf8_lossy(entry.comment).into_owned();
            format!("{line}: {} {first}-{last}/{transport} [{aliases}] {comment}", entry.name)
        };
        names.entries.iter().map(entry).collect()
    }

    #[test]
    fn lines_name_ports() {
        let cases: [(&str, &[u8], &[&str]); 16] = [
            ("nothing", b"", &[]),
            ("blank lines and comments", b"\n \t \n# ssh 22/tcp\n   # more\n#\n", &[]),
            ("a line", b"ssh 22/tcp", &["1: ssh 22-22/tcp [] "]),
            (
                "tabs, aliases, a comment",
                b"\thttp\t\t80/tcp  www\tweb # the web ",
                &["1: http 80-80/tcp [www,web] the web"],
            ),
            ("a comment that touches", b"a 1/udp b#c#d", &["1: a 1-1/udp [b] c#d"]),
            ("CRLF", b"a 1/tcp x\r\n\r\nb 2/tcp\r\n", &["1: a 1-1/tcp [x] ", "3: b 2-2/tcp [] "]),
            ("a byte order mark", b"\xef\xbb\xbfa 1/tcp\n", &["1: a 1-1/tcp [] "]),
            ("a byte order mark and a comment", b"\xef\xbb\xbf# services\na 1/tcp", &["2: a 1-1/tcp [] "]),
            ("a range", b"x11 6000-6063/tcp", &["1: x11 6000-6063/tcp [] "]),
            ("a range of one", b"x11 6000-6000/tcp", &["1: x11 6000-6000/tcp [] "]),
            ("every port", b"all 0-65535/udp", &["1: all 0-65535/udp [] "]),
            (
                "every transport",
                b"a 1/TCP\na 1/Udp\na 1/sctp\na 1/dccp",
                &["1: a 1-1/tcp [] ", "2: a 1-1/udp [] ", "3: a 1-1/sctp [] ", "4: a 1-1/dccp [] "],
            ),
            ("a comment in Latin-1", b"a 1/tcp # caf\xe9", &["1: a 1-1/tcp [] caf\u{fffd}"]),
            ("a comment with control characters", b"a 1/tcp #\x1b[31m\0", &["1: a 1-1/tcp [] \u{1b}[31m\0"]),
            ("characters of a name", b"sql*net! 1/tcp \"q\"", &["1: sql*net! 1-1/tcp [\"q\"] "]),
            ("an alias may be a reserved word", b"a 1/tcp other", &["1: a 1-1/tcp [other] "]),
        ];
        for (name, file, want) in cases {
            assert_eq!(parse(file).as_ref().map(short), Ok(want.iter().map(ToString::to_string).collect()), "{name}");
        }
    }

    #[test]
    fn names_have_63_characters_at_most() {
        let (long, too_long) = ("n".repeat(63), "n".repeat(64));
        assert!(parse(format!("{long} 1/tcp {long}").as_bytes()).is_ok());
        for line in [format!("{too_long} 1/tcp"), format!("a 1/tcp {too_long}")] {
            let faults = parse(line.as_bytes()).expect_err("too long");
            assert!(
                faults.first[0].what.ends_with("… is longer than 63 characters; shorten it".trim_start_matches('…')),
                "{faults:?}"
            );
        }
    }

    #[test]
    fn what_is_wrong_is_told_by_its_line() {
        let cases: [(&[u8], &str); 17] = [
            (b"ssh", "\"ssh\" has no port; a line is: name port/protocol [alias ...]"),
            (b"ssh # 22/tcp", "\"ssh\" has no port; a line is: name port/protocol [alias ...]"),
            (b"ssh 22", "\"22\" has no protocol; write 22/tcp or 22/udp"),
            (b"ssh tcp/22", "\"tcp\" is no port; ports go from 0 to 65535"),
            (b"ssh /tcp", "\"\" is no port; ports go from 0 to 65535"),
            (b"ssh +22/tcp", "\"+22\" is no port; ports go from 0 to 65535"),
            (b"ssh 65536/tcp", "\"65536\" is no port; ports go from 0 to 65535"),
            (b"ssh 22-/tcp", "\"\" is no port; ports go from 0 to 65535"),
            (b"ssh 22-20/tcp", "the range 22-20 is reversed; write 20-22"),
            (b"ssh 22/", "\"\" is no protocol with ports; one of: tcp, udp, sctp, dccp"),
            (b"ssh 22/tcpp", "\"tcpp\" is no protocol with ports; one of: tcp, udp, sctp, dccp"),
            (b"rtp 5004/udplite", "UDP-Lite takes the names of udp (RFC 3828, section 3.1); write 5004/udp"),
            (b"rtp 5004-5005/UDP-Lite", "UDP-Lite takes the names of udp (RFC 3828, section 3.1); write 5004-5005/udp"),
            (b"Other 1/tcp", "the name \"Other\" is reserved for rows without one name; choose another"),
            (b"UNLABELLED 1/tcp", "the name \"UNLABELLED\" is reserved for rows without one name; choose another"),
            (
                b"caf\xe9 1/tcp",
                "the name \"caf\u{fffd}\" holds something else than visible ASCII characters; spell it without",
            ),
            (
                b"a 1/tcp \x07",
                "the alias \"\u{7}\" holds something else than visible ASCII characters; spell it without",
            ),
        ];
        for (line, want) in cases {
            let file = [b"good 1/tcp\n\n", line, b"\ngood 2/tcp\n"].concat();
            let faults = Faults { first: vec![Fault::new(3, want)], more: 0 };
            assert_eq!(parse(&file), Err(faults), "{}", String::from_utf8_lossy(line));
        }
        let utf_16: Vec<u8> = "\u{feff}ssh 22/tcp\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let faults = parse(&utf_16).expect_err("not ASCII");
        assert_eq!(faults.first, [Fault::new(1, "the file is in UTF-16; save it as UTF-8")]);
    }

    #[test]
    fn ten_faults_are_told_and_the_rest_counted() {
        for (count, more) in [(1, 0), (10, 0), (11, 1), (500, 490)] {
            let faults = parse("ssh\n".repeat(count).as_bytes()).expect_err("no ports");
            assert_eq!((faults.first.len(), faults.more), (count.min(10), more));
            assert!(faults.first.iter().zip(1..).all(|(fault, line)| fault.line == line));
        }
    }

    #[test]
    fn appletalk_is_left_out() {
        let names = parse(b"rtmp 1/ddp # Routing\nnbp\t2/DDP\na 3/tcp\n").expect("right");
        assert_eq!((short(&names), names.appletalk), (vec!["3: a 3-3/tcp [] ".to_owned()], 2));
    }

    proptest! {
        #[test]
        fn any_bytes_are_entries_or_faults(file: Vec<u8>) {
            let _ = parse(&file);
        }

        #[test]
        fn any_lines_are_entries_or_faults(
            lines in proptest::collection::vec("[a-z#\t ]{0,5}[ \t][0-9-]{0,6}/?(tcp|udp|ddp|x)?( [a-z]{1,3}){0,2}\r?", 0..30),
        ) {
            let text = lines.join("\n");
            match parse(text.as_bytes()) {
                Ok(names) => {
                    let written = lines.iter().filter(|line| !line.split('#').next().unwrap_or_default().trim().is_empty());
                    prop_assert_eq!(names.entries.len() + names.appletalk, written.count());
                    prop_assert!(names.entries.iter().all(|entry| entry.first <= entry.last && !entry.name.is_empty()));
                }
                Err(faults) => prop_assert!(!faults.first.is_empty() && faults.first.len() + faults.more <= lines.len()),
            }
        }
    }
}
