//! Filter expressions, as `pcap-filter(7)` describes them, compiled by libpcap and run here.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;

use pcap::{BpfInstruction, BpfProgram, Capture};
use rustix::fs::{MemfdFlags, memfd_create};

use super::Frame;
use super::bpf::{Instruction, Program};
use super::record::ByteOrder;
use crate::units::{LinkType, cut};

/// What is wrong with a filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// The expression is wrong for every kind of packet: wrong usage.
    #[error("filter expression {:?}: {message}", cut(.expression))]
    Expression {
        /// What the user wrote.
        expression: String,
        /// What libpcap says.
        message: String,
    },
    /// The expression cannot be asked of packets of this link type.
    #[error("filter expression {:?} does not apply to packets of link type {link}: {message}", cut(.expression))]
    LinkType {
        /// What the user wrote.
        expression: String,
        /// The link type of a packet.
        link: LinkType,
        /// What libpcap says.
        message: String,
    },
}

/// A filter for packets of any link type; it is compiled for each when the first packet of it comes.
#[derive(Debug)]
pub struct Filter {
    expression: String,
    /// The program that was run last is the first.
    programs: Vec<(Dialect, Program)>,
}

/// What an expression is tried on before any packet was seen: one of them understands whatever makes sense at all.
const COMMON: [LinkType; 7] = [
    LinkType::ETHERNET,
    LinkType::RAW,
    LinkType::LINUX_SLL,
    LinkType::LINUX_SLL2,
    LinkType::IEEE802_11,
    LinkType::IEEE802_11_RADIOTAP,
    LinkType::PFLOG,
];

impl Filter {
    /// The filter that `expression` describes.
    ///
    /// # Errors
    /// [`FilterError::Expression`] when it makes sense for no link type; the message is the one for Ethernet.
    pub fn new(expression: &str) -> Result<Self, FilterError> {
        let mut this = Self { expression: expression.to_owned(), programs: Vec::new() };
        let mut first_message = None;
        for dialect in COMMON.map(Dialect::of) {
            match this.compile(dialect) {
                Ok(program) => {
                    this.programs.push((dialect, program));
                    return Ok(this);
                }
                Err(message) => first_message = first_message.or(Some(message)),
            }
        }
        Err(FilterError::Expression { expression: this.expression, message: first_message.unwrap_or_default() })
    }

    /// Whether `frame` is to be counted. `len`, `greater` and `less` ask for its length on the wire; a test of bytes
    /// that were not captured fails.
    ///
    /// # Errors
    /// [`FilterError::LinkType`] when the expression makes no sense for the frame's link type.
    #[inline]
    pub fn matches(&mut self, frame: &Frame<'_>) -> Result<bool, FilterError> {
        let dialect = Dialect::of_frame(frame);
        if self.programs.first().is_none_or(|(first, _)| *first != dialect) {
            self.bring_to_front(dialect)?;
        }
        Ok(self.programs.first().is_some_and(|(_, program)| program.accepts(frame.data, frame.wire_len)))
    }

    #[cold]
    fn bring_to_front(&mut self, dialect: Dialect) -> Result<(), FilterError> {
        let known = self.programs.iter().position(|(known, _)| *known == dialect);
        let at = known.unwrap_or(self.programs.len());
        if known.is_none() {
            let (expression, link) = (self.expression.clone(), dialect.link);
            let program =
                self.compile(dialect).map_err(|message| FilterError::LinkType { expression, link, message })?;
            self.programs.push((dialect, program));
        }
        self.programs.swap(0, at);
        Ok(())
    }

    /// Compiles the expression for a dialect, or tells what libpcap says to it.
    fn compile(&self, dialect: Dialect) -> Result<Program, String> {
        let savefile = dialect.empty_savefile().map_err(|error| format!("no memory for a file: {error}"))?;
        // libpcap opens a file by its name; this one has none but that of its descriptor
        let program = Capture::from_file(format!("/proc/self/fd/{}", savefile.as_raw_fd()))
            .and_then(|capture| capture.compile(&self.expression, true))
            .map_err(|error| match error {
                pcap::Error::PcapError(message) => message,
                other => other.to_string(),
            })?;
        instructions(&program).map(Program::new)
    }
}

/// The instructions of a program of libpcap's, or one that is none.
pub(super) fn instructions(program: &BpfProgram) -> Result<Vec<Instruction>, String> {
    let read = |instruction: &BpfInstruction| {
        let text = instruction.to_string();
        Instruction::from_text(&text).ok_or_else(|| format!("no BPF instruction: {text}"))
    };
    program.get_instructions().iter().map(read).collect()
}

/// What a program depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Dialect {
    link: LinkType,
    order: ByteOrder,
}

impl Dialect {
    const fn of(link: LinkType) -> Self {
        Self { link, order: ByteOrder::Little }
    }

    /// What a frame asks for. The address family that BSD loopback begins with is in the byte order of the host that
    /// captured it, and below 256: one of its ends is zero.
    #[inline]
    fn of_frame(frame: &Frame<'_>) -> Self {
        let order = match (frame.link, frame.data) {
            (LinkType::NULL, [0, ..]) => ByteOrder::Big,
            _ => ByteOrder::Little,
        };
        Self { link: frame.link, order }
    }

    /// A pcap file without packets, in memory. For a file, libpcap takes the address families of every system and
    /// refuses what only a live capture knows; for a handle without one it would take this host's, and accept both.
    fn empty_savefile(self) -> io::Result<File> {
        let words = [0xa1b2_c3d4, 0, 0, 0, 262_144, u32::from(self.link.0)];
        let mut header: Vec<u8> = words.iter().flat_map(|word| self.order.bytes(*word)).collect();
        header.splice(4..8, [2_u16, 4].iter().flat_map(|half| self.order.half_bytes(*half)));
        let mut file = File::from(memfd_create("portlabel-filter", MemfdFlags::CLOEXEC)?);
        file.write_all(&header)?;
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Timestamp;

    /// An Ethernet frame with an IPv4 header and the ports of a UDP datagram from port 53 to 40000.
    const DNS: &[u8] = &[
        2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00, // Ethernet
        0x45, 0, 0, 60, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, // IPv4
        0, 53, 0x9c, 0x40, // ports
    ];

    fn frame(link: u16, wire_len: u32, data: &[u8]) -> Frame<'_> {
        Frame { ts: Timestamp::default(), wire_len, link: LinkType(link), interface: 0, data }
    }

    #[test]
    fn expressions_are_run_over_what_was_captured() {
        let cases = [
            ("", true),
            ("udp port 53", true),
            ("udp src port 53 and dst port 40000", true),
            ("tcp", false),
            ("host 10.0.0.2", true),
            ("not net 10.0.0.0/8", false),
            ("udp[0:2] = 53", true),
            ("udp[8] = 0", false), // not captured
            ("len = 1400", true),
            ("greater 1400", true),
            ("greater 1401", false),
            ("less 100", false),
            ("ether host 02:00:00:00:00:01", true),
            ("ip6 protochain 17", false),
        ];
        for (expression, want) in cases {
            let mut filter = Filter::new(expression).expect(expression);
            let ethernet = filter.matches(&frame(1, 1_400, DNS));
            assert_eq!(ethernet, Ok(want), "{expression}");
        }
    }

    #[test]
    fn loopback_frames_have_the_address_family_of_any_system() {
        let mut filter = Filter::new("ip6").expect("a sound expression");
        for family in [24, 28, 30] {
            for header in [[family, 0, 0, 0], [0, 0, 0, family]] {
                let data = [&header[..], &[0x60; 40]].concat();
                assert_eq!(filter.matches(&frame(0, 44, &data)), Ok(true), "{header:?}");
            }
        }
        assert_eq!(filter.matches(&frame(0, 44, &[2, 0, 0, 0, 0x45])), Ok(false));
    }

    #[test]
    fn every_link_type_gets_its_own_program() {
        let mut filter = Filter::new("udp port 53").expect("a sound expression");
        let (ip, raw_atm) = (&DNS[14..], [&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &DNS[14..]].concat());
        let (loopback, swapped) = ([&[2, 0, 0, 0], ip].concat(), [&[0, 0, 0, 2], ip].concat());
        let cases = [(1, DNS), (101, ip), (228, ip), (100, &raw_atm), (0, &loopback), (0, &swapped), (1, ip), (12, ip)];
        for _ in 0..2 {
            for (link, data) in cases {
                let want = !(link == 1 && data == ip);
                assert_eq!(filter.matches(&frame(link, 60, data)), Ok(want), "{link}");
            }
        }
    }

    #[test]
    fn errors_carry_what_libpcap_says() {
        let wrong = Filter::new("prot 53").map(|_| ()).expect_err("a word that is none");
        assert!(wrong.to_string().starts_with("filter expression \"prot 53\": "), "{wrong}");
        assert!(wrong.to_string().contains("syntax error") || wrong.to_string().contains("unknown"), "{wrong}");

        let mut ether = Filter::new("ether host 02:00:00:00:00:01").expect("sound for Ethernet");
        let error = ether.matches(&frame(101, 60, &DNS[14..])).expect_err("raw IP has no such addresses");
        let start = "filter expression \"ether host 02:00:00:00:00:01\" does not apply to packets of link type 101: ";
        assert!(error.to_string().starts_with(start), "{error}");

        let mut live = Filter::new("inbound").expect("sound for cooked captures");
        let error = live.matches(&frame(1, 60, DNS)).expect_err("a file of Ethernet frames does not say");
        assert!(error.to_string().contains("link type 1: "), "{error}");

        assert!(Filter::new("wlan type mgt").is_ok(), "it makes sense for 802.11 only");
        assert!(Filter::new("a\0b").is_err());
    }
}
