//! Synthetic traffic: a capture that is the same, byte for byte, wherever it is made.
//!
//! It has what the cost of labelling depends on: a mix of services, few long flows and many short ones, new flows where old
//! ones end, IPv6, large frames and small ones, and packets of many flows in turn. Floating point numbers are multiplied
//! and their roots are taken, which IEEE 754 rounds the same everywhere; logarithms and powers it does not.

#![expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "lengths, ports and seconds fit")]

use std::f64::consts::LN_2;
use std::io::{self, Write};

/// What a capture is made of.
#[derive(Clone, Copy, Debug)]
pub struct Traffic {
    pub packets: u64,
    /// Flows that are open at a time. A few of them have most of the packets.
    pub active_flows: u32,
    /// Packets of each flow; `None`: as many as its service has, which differs much.
    pub flow_packets: Option<u32>,
    /// How many bytes of a frame are captured.
    pub snap_len: u32,
    pub seed: u64,
    /// Mean time between two packets.
    pub mean_gap_ns: u32,
}

/// The time before the first packet: 2024-01-01T00:00:00Z.
const START_NS: u64 = 1_704_067_200_000_000_000;

impl Traffic {
    /// Writes the capture: pcap in nanoseconds, Ethernet.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        // the magic of nanoseconds, version 2.4, time zone and accuracy (unused), snap length, link type
        for word in [0xa1b2_3c4d, 4 << 16 | 2, 0, 0, self.snap_len, 1] {
            out.write_all(&u32::to_le_bytes(word))?;
        }
        let mut random = Random(self.seed);
        let mut frame = Frame::new(&mut random);
        let mut flows: Vec<Option<Flow>> = (0..self.active_flows).map(|_| None).collect();
        let mut ts_ns = START_NS;
        for _ in 0..self.packets {
            let skewed = random.unit() * random.unit();
            let slot = &mut flows[(skewed * f64::from(self.active_flows)) as usize];
            let flow = slot.get_or_insert_with(|| {
                let flow = Flow::start(&mut random);
                Flow { packets_left: self.flow_packets.unwrap_or(flow.packets_left), ..flow }
            });
            let segment = flow.next(&mut random);
            if flow.packets_left == 0 {
                *slot = None;
            }
            let wire_len = frame.put(&segment);
            let captured_len = wire_len.min(self.snap_len);
            ts_ns += 1 + (random.exponential() * f64::from(self.mean_gap_ns)) as u64;
            for word in [(ts_ns / 1_000_000_000) as u32, (ts_ns % 1_000_000_000) as u32, captured_len, wire_len] {
                out.write_all(&word.to_le_bytes())?;
            }
            out.write_all(&frame.bytes[..captured_len as usize])?;
        }
        Ok(())
    }
}

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;

/// What flows are: the server's port (none: any), the protocol, how many of 1,000 or so new flows, the packets of a usual
/// one, and whether the server sends large frames.
const SERVICES: [(Option<u16>, u8, u32, u32, bool); 31] = [
    (Some(443), TCP, 340, 40, true),
    (Some(53), UDP, 220, 2, false),
    (Some(443), UDP, 100, 60, true),
    (Some(80), TCP, 70, 15, true),
    (Some(123), UDP, 20, 2, false),
    (Some(8080), TCP, 20, 20, true),
    (Some(22), TCP, 15, 300, false),
    (Some(161), UDP, 15, 6, false),
    (Some(5353), UDP, 15, 3, false),
    (Some(6379), TCP, 15, 80, false),
    (Some(25), TCP, 10, 25, true),
    (Some(445), TCP, 10, 100, true),
    (Some(514), UDP, 10, 10, false),
    (Some(993), TCP, 10, 40, true),
    (Some(1900), UDP, 10, 4, false),
    (Some(3306), TCP, 10, 60, false),
    (Some(5432), TCP, 10, 60, false),
    (Some(6881), TCP, 10, 50, true),
    (Some(1883), TCP, 7, 30, false),
    (Some(3478), UDP, 7, 5, false),
    (Some(5060), UDP, 7, 8, false),
    (Some(389), TCP, 5, 20, false),
    (Some(3389), TCP, 5, 400, true),
    (Some(9092), TCP, 5, 200, true),
    (Some(27017), TCP, 5, 50, true),
    (Some(51820), UDP, 5, 300, true),
    (Some(502), TCP, 2, 20, false),
    (Some(47808), UDP, 2, 5, false),
    (None, TCP, 20, 20, true),
    (None, UDP, 20, 10, false),
    (None, ICMP, 15, 2, false),
];

/// A host: the last four bytes of its address.
type Host = u32;

/// Clients are in 10.0.0.0/16, most of it, and servers in 198.18.0.0/16 (RFC 2544), most flows at few of them.
const CLIENTS: (Host, f64) = (0x0a00_0000, 60_000.0);
const SERVERS: (Host, f64) = (0xc612_0000, 40_000.0);

struct Flow {
    client: (Host, u16),
    server: (Host, u16),
    /// Bytes that either end has sent, SYN and FIN included, from where its sequence numbers start.
    sent: [u32; 2],
    protocol: u8,
    is_v6: bool,
    server_sends_large: bool,
    packets: u32,
    packets_left: u32,
}

/// One packet of a flow.
struct Segment {
    from: (Host, u16),
    to: (Host, u16),
    protocol: u8,
    is_v6: bool,
    is_request: bool,
    tcp_flags: u8,
    seq: u32,
    ack: u32,
    payload_len: u32,
}

const FIN: u8 = 1;
const SYN: u8 = 2;
const ACK: u8 = 16;

impl Flow {
    fn start(random: &mut Random) -> Self {
        let mut choice = random.below(SERVICES.iter().map(|&(_, _, share, ..)| share).sum());
        let chosen = SERVICES.iter().find(|&&(_, _, share, ..)| match choice.checked_sub(share) {
            Some(rest) => {
                choice = rest;
                false
            }
            None => true,
        });
        let &(port, protocol, _, usual_packets, server_sends_large) = chosen.expect("it is below the sum");
        let server_port = port.unwrap_or_else(|| 1024 + random.below(64_000) as u16);
        let skewed = random.unit() * random.unit() * random.unit();
        // Pareto's distribution: most flows are shorter than usual ones, and few a thousand times as long
        let root = |value: f64, times: u32| (0..times).fold(value, |value, _| value.sqrt());
        let unit = 1.0 - random.unit();
        let length = 1.0 / (root(unit, 1) * root(unit, 3) * root(unit, 4));
        Self {
            client: (CLIENTS.0 + (random.unit() * CLIENTS.1) as u32, 32_768 + random.below(28_232) as u16),
            server: (SERVERS.0 + (skewed * SERVERS.1) as u32, server_port),
            sent: [random.next() as u32, random.next() as u32],
            protocol,
            is_v6: random.below(5) == 0,
            server_sends_large,
            packets: 0,
            packets_left: 1 + ((f64::from(usual_packets) * 0.4 * length) as u32).min(200_000),
        }
    }

    /// The next packet: of TCP a handshake, data and acknowledgements, and a FIN; of others requests and answers.
    fn next(&mut self, random: &mut Random) -> Segment {
        let number = self.packets;
        self.packets += 1;
        self.packets_left -= 1;
        let is_request = match number {
            0 => true,
            1 => false,
            2 if self.protocol == TCP => true,
            _ => random.below(100) < 45,
        };
        let is_large = self.server_sends_large && !is_request;
        let tcp_flags = match number {
            0 => SYN,
            1 => SYN | ACK,
            _ if self.packets_left == 0 => FIN | ACK,
            _ => ACK,
        };
        let payload_len = match self.protocol {
            TCP if number < 3 || self.packets_left == 0 => 0,
            TCP if is_large => {
                if random.below(5) > 0 {
                    1448
                } else {
                    random.below(1448)
                }
            }
            TCP => random.below(2) * random.below(400),
            _ if is_large => 1200,
            _ => 20 + random.below(200),
        };
        let [sender, receiver] = if is_request { [0, 1] } else { [1, 0] };
        let (seq, ack) = (self.sent[sender], self.sent[receiver]);
        self.sent[sender] = seq.wrapping_add(payload_len + u32::from(tcp_flags != ACK));
        let (from, to) = if is_request { (self.client, self.server) } else { (self.server, self.client) };
        let &mut Self { protocol, is_v6, .. } = self;
        Segment { from, to, protocol, is_v6, is_request, tcp_flags, seq, ack, payload_len }
    }
}

/// Room for the longest frame.
const MAX_FRAME_LEN: usize = 2048;

/// The shortest frame of Ethernet, without its checksum.
const MIN_FRAME_LEN: usize = 60;

/// A frame's bytes. The payload is the same noise in each; checksums other than IPv4's are zero, as where the interface
/// computes them.
struct Frame {
    bytes: [u8; MAX_FRAME_LEN],
    headers_len: usize,
}

impl Frame {
    fn new(random: &mut Random) -> Self {
        Self { bytes: std::array::from_fn(|_| random.next() as u8), headers_len: 0 }
    }

    /// Makes this the frame of a packet, and returns its length on the wire.
    fn put(&mut self, segment: &Segment) -> u32 {
        self.headers_len = 0;
        let stations = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]];
        let [to, from] = if segment.is_request { stations } else { [stations[1], stations[0]] };
        self.header(&to);
        self.header(&from);
        let transport_len = if segment.protocol == TCP { 20 } else { 8 } + segment.payload_len;
        if segment.is_v6 {
            self.ipv6(segment, transport_len);
        } else {
            self.ipv4(segment, transport_len);
        }
        match segment.protocol {
            TCP => self.tcp(segment),
            UDP => self.udp(segment, transport_len),
            _ => self.echo(segment),
        }
        (self.headers_len + segment.payload_len as usize).max(MIN_FRAME_LEN) as u32
    }

    /// Adds bytes to the headers.
    fn header(&mut self, bytes: &[u8]) {
        self.bytes[self.headers_len..][..bytes.len()].copy_from_slice(bytes);
        self.headers_len += bytes.len();
    }

    /// RFC 791, section 3.1: no options, not to be fragmented.
    fn ipv4(&mut self, segment: &Segment, transport_len: u32) {
        let mut header = [0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, segment.protocol, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        header[2..4].copy_from_slice(&(20 + transport_len as u16).to_be_bytes());
        header[12..16].copy_from_slice(&segment.from.0.to_be_bytes());
        header[16..].copy_from_slice(&segment.to.0.to_be_bytes());
        let sum: u32 = header.chunks_exact(2).map(|word| u32::from(word[0]) << 8 | u32::from(word[1])).sum();
        let folded = (sum & 0xffff) + (sum >> 16);
        let folded = (folded & 0xffff) + (folded >> 16);
        header[10..12].copy_from_slice(&(!folded as u16).to_be_bytes());
        self.header(&0x0800_u16.to_be_bytes());
        self.header(&header);
    }

    /// RFC 8200, section 3. Addresses are those of RFC 3849, for documentation.
    fn ipv6(&mut self, segment: &Segment, transport_len: u32) {
        let next_header = if segment.protocol == ICMP { ICMPV6 } else { segment.protocol };
        self.header(&0x86dd_u16.to_be_bytes());
        self.header(&[0x60, 0, 0, 0]);
        self.header(&(transport_len as u16).to_be_bytes());
        self.header(&[next_header, 64]);
        for host in [segment.from.0, segment.to.0] {
            self.header(&[0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0]);
            self.header(&host.to_be_bytes());
        }
    }

    /// RFC 9293, section 3.1: no options.
    fn tcp(&mut self, segment: &Segment) {
        self.ports(segment);
        self.header(&segment.seq.to_be_bytes());
        self.header(&segment.ack.to_be_bytes());
        self.header(&[0x50, segment.tcp_flags, 0xff, 0xff, 0, 0, 0, 0]);
    }

    /// RFC 768.
    fn udp(&mut self, segment: &Segment, transport_len: u32) {
        self.ports(segment);
        self.header(&(transport_len as u16).to_be_bytes());
        self.header(&[0, 0]);
    }

    /// An echo, or its reply: RFC 792 and RFC 4443, section 4.
    fn echo(&mut self, segment: &Segment) {
        let kind = match (segment.is_v6, segment.is_request) {
            (false, true) => 8,
            (false, false) => 0,
            (true, true) => 128,
            (true, false) => 129,
        };
        self.header(&[kind, 0, 0, 0, 0, 0, 0, 0]);
    }

    fn ports(&mut self, segment: &Segment) {
        self.header(&segment.from.1.to_be_bytes());
        self.header(&segment.to.1.to_be_bytes());
    }
}

/// SplitMix64 (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to below 1.
    fn unit(&mut self) -> f64 {
        f64::from((self.next() >> 32) as u32) / 4_294_967_296.0
    }

    /// A number below `limit`.
    fn below(&mut self, limit: u32) -> u32 {
        (((self.next() >> 32) * u64::from(limit)) >> 32) as u32
    }

    /// About exponential, with a mean of about 1: how often a coin falls on one side, and something between.
    fn exponential(&mut self) -> f64 {
        LN_2 * (f64::from(self.next().leading_zeros()) + 1.0 - self.unit())
    }
}
