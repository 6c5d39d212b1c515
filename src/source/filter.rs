//! Filter expressions, as `pcap-filter(7)` describes them, compiled by libpcap and run here.

use pcap::{Capture, Linktype};

use super::Frame;
use super::bpf::{Instruction, Program};
use crate::units::LinkType;

/// What is wrong with a filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// The expression is wrong for every kind of packet: wrong usage.
    #[error("filter expression {expression:?}: {message}")]
    Expression {
        /// What the user wrote.
        expression: String,
        /// What libpcap says.
        message: String,
    },
    /// The expression cannot be asked of packets of this link type.
    #[error("filter expression {expression:?} does not apply to packets of link type {link}: {message}")]
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
    /// The program for the link type seen last is the first.
    programs: Vec<(LinkType, Program)>,
}

/// What an expression is tried on before any packet was seen: one of them understands whatever makes sense at all.
const COMMON: [LinkType; 7] = [
    LinkType::ETHERNET,
    LinkType::RAW,
    LinkType::LINUX_SLL,
    LinkType::LINUX_SLL2,
    LinkType(105), // IEEE 802.11
    LinkType(127), // IEEE 802.11 with a radiotap header
    LinkType(117), // pflog
];

impl Filter {
    /// The filter that `expression` describes.
    ///
    /// # Errors
    /// [`FilterError::Expression`] when it makes sense for no link type; the message is the one for Ethernet.
    pub fn new(expression: &str) -> Result<Self, FilterError> {
        let mut this = Self { expression: expression.to_owned(), programs: Vec::new() };
        let mut first_message = None;
        for link in COMMON {
            match this.compile(link) {
                Ok(program) => {
                    this.programs.push((link, program));
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
        if let Some((link, program)) = self.programs.first()
            && *link == frame.link
        {
            return Ok(program.accepts(frame.data, frame.wire_len));
        }
        self.bring_to_front(frame.link)?;
        Ok(self.programs.first().is_some_and(|(_, program)| program.accepts(frame.data, frame.wire_len)))
    }

    #[cold]
    fn bring_to_front(&mut self, link: LinkType) -> Result<(), FilterError> {
        let known = self.programs.iter().position(|(known, _)| *known == link);
        let at = known.unwrap_or(self.programs.len());
        if known.is_none() {
            let refuse = |message| FilterError::LinkType { expression: self.expression.clone(), link, message };
            self.programs.push((link, self.compile(link).map_err(refuse)?));
        }
        self.programs.swap(0, at);
        Ok(())
    }

    /// Compiles the expression for a link type, or tells what libpcap says to it.
    fn compile(&self, link: LinkType) -> Result<Program, String> {
        let program = Capture::dead(Linktype(data_link_type(link)))
            .and_then(|capture| capture.compile(&self.expression, true))
            .map_err(|error| match error {
                pcap::Error::PcapError(message) => message,
                other => other.to_string(),
            })?;
        let instructions = program.get_instructions().iter();
        instructions
            .map(|instruction| {
                let text = instruction.to_string();
                Instruction::from_text(&text).ok_or_else(|| format!("no BPF instruction: {text}"))
            })
            .collect::<Result<_, _>>()
            .map(Program::new)
    }
}

/// The `DLT_` number of this system's libpcap for the `LINKTYPE_` number of a file (`pcap-common.c`): where systems
/// disagree on the former, the latter is a number of its own.
fn data_link_type(link: LinkType) -> i32 {
    match link.0 {
        100 => 11, // LLC-encapsulated ATM
        101 => 12, // raw IP
        102 => 15, // BSD/OS SLIP
        103 => 16, // BSD/OS PPP
        106 => 19, // classical IP over ATM, as Linux has it
        same => same.into(),
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
    fn every_link_type_gets_its_own_program() {
        let mut filter = Filter::new("udp port 53").expect("a sound expression");
        let (ip, raw_atm) = (&DNS[14..], [&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &DNS[14..]].concat());
        let loopback = [&[2, 0, 0, 0], ip].concat();
        for _ in 0..2 {
            for (link, data) in [(1, DNS), (101, ip), (228, ip), (100, &raw_atm), (0, &loopback), (1, ip), (12, ip)] {
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

        assert!(Filter::new("wlan type mgt").is_ok(), "it makes sense for 802.11 only");
        assert!(Filter::new("a\0b").is_err());
    }
}
