//! Sockets that listen in this network namespace, from `/proc/net`, and the addresses that they listen at.
//!
//! Files are opened once and rewound for each reading: that takes no privilege, and goes on when the process may open
//! nothing any more. They stay those of the network namespace that the process was started in.
//!
//! SCTP and DCCP are not read: their listeners are told by the openings of their connections, and
//! `/proc/net/sctp/eps` is there only after the kernel's module was loaded, which may be later than this.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use foldhash::quality::RandomState;

use crate::units::{AddressWords, IpVersion, Transport};

/// How long a reading stays good. A flow that starts between a socket's opening and the next reading is named by the other
/// rules, and TCP's by its handshake anyway.
pub const LISTENERS_INTERVAL: Duration = Duration::from_secs(5);

/// What is read of a file, at most: some 100,000 sockets, or routes. What comes after that is left out.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// The tables of sockets.
const TABLES: [(&str, Transport, IpVersion); 6] = [
    ("/proc/net/tcp", Transport::Tcp, IpVersion::V4),
    ("/proc/net/tcp6", Transport::Tcp, IpVersion::V6),
    ("/proc/net/udp", Transport::Udp, IpVersion::V4),
    ("/proc/net/udp6", Transport::Udp, IpVersion::V6),
    ("/proc/net/udplite", Transport::UdpLite, IpVersion::V4),
    ("/proc/net/udplite6", Transport::UdpLite, IpVersion::V6),
];
/// All routes; those of type LOCAL are to this host. It knows what a list of interfaces does not: all of 127.0.0.0/8, and
/// whole networks that are routed to the host itself.
const IPV4_ROUTES: &str = "/proc/net/fib_trie";
/// The addresses of interfaces.
const IPV6_ADDRESSES: &str = "/proc/net/if_inet6";
/// The ports that the kernel gives to sockets that ask for any.
const CLIENT_PORTS: &str = "/proc/sys/net/ipv4/ip_local_port_range";
/// Those of them that it does not.
const RESERVED_PORTS: &str = "/proc/sys/net/ipv4/ip_local_reserved_ports";

/// State of a TCP socket that listens (`TCP_LISTEN` of the kernel's `tcp_states.h`).
const LISTENS: &str = "0A";
/// State of a UDP socket that is not connected (`TCP_CLOSE` there).
const UNCONNECTED: &str = "07";

/// Why the listening sockets of this host cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum ListenersError {
    /// Nothing there lists sockets: another system than Linux, or `/proc` is not mounted.
    #[error("{} and its like are not there", TABLES[0].0)]
    NoTables,
    /// A file cannot be read.
    #[error("{file}: cannot read: {source}")]
    Read {
        /// The file.
        file: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A row is none that is known of this file.
    #[error("{file}: row {row} is not as expected: {text:?}")]
    Row {
        /// The file.
        file: &'static str,
        /// Which row, from 1.
        row: usize,
        /// What it says.
        text: String,
    },
}

/// Reads which sockets listen.
#[derive(Debug)]
pub struct Listeners {
    tables: Vec<(ProcFile, Transport, IpVersion)>,
    ipv4_routes: Option<ProcFile>,
    ipv6_addresses: Option<ProcFile>,
    client_ports: ClientPorts,
}

impl Listeners {
    /// Opens what is there of the files: a host without IPv6 lacks some.
    ///
    /// # Errors
    /// [`ListenersError`]: a file that is there cannot be opened, or none is there.
    pub fn open() -> Result<Self, ListenersError> {
        let mut tables = Vec::new();
        for (file, transport, version) in TABLES {
            tables.extend(ProcFile::open(file)?.map(|file| (file, transport, version)));
        }
        if tables.is_empty() {
            return Err(ListenersError::NoTables);
        }
        Ok(Self {
            tables,
            ipv4_routes: ProcFile::open(IPV4_ROUTES)?,
            ipv6_addresses: ProcFile::open(IPV6_ADDRESSES)?,
            client_ports: ClientPorts::read()?,
        })
    }

    /// Which sockets listen now.
    ///
    /// # Errors
    /// [`ListenersError`]: a file cannot be read, or says what is not understood.
    pub fn read(&mut self) -> Result<ListenerSet, ListenersError> {
        let mut set = ListenerSet::default();
        for (file, transport, version) in &mut self.tables {
            set.cut_files += u64::from(file.rows(1, |row| {
                let Some(socket) = Row::parse(row, *version) else { return Parsed::Wrong };
                match transport {
                    // those that listen come first (the kernel's document `proc_net_tcp`), before what may be a million
                    // connections
                    Transport::Tcp if socket.state != LISTENS => return Parsed::Enough,
                    Transport::Tcp => {}
                    _ if socket.is_udp_server(&self.client_ports) => {}
                    _ => return Parsed::Next,
                }
                set.add(*transport, *version, socket.local_addr, socket.local_port);
                Parsed::Next
            })?);
        }
        if let Some(file) = &mut self.ipv4_routes {
            let mut destination = None;
            set.cut_files += u64::from(file.rows(0, |row| set.add_ipv4_route(row, &mut destination))?);
        }
        if let Some(file) = &mut self.ipv6_addresses {
            set.cut_files += u64::from(file.rows(0, |row| set.add_ipv6_address(row))?);
        }
        Ok(set)
    }
}

/// The sockets that listen at one time, by address, port and transport.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListenerSet {
    /// Where they listen; the unspecified address stands for every address of this host.
    sockets: HashSet<(Transport, IpVersion, AddressWords, u16), RandomState>,
    /// The addresses of this host.
    own_addresses: HashSet<(IpVersion, AddressWords), RandomState>,
    /// Networks all of whose addresses are this host's: first address and mask.
    own_networks: Vec<(u32, u32)>,
    cut_files: u64,
}

impl ListenerSet {
    /// A socket of this host listens there.
    #[must_use]
    pub fn listens(&self, transport: Transport, version: IpVersion, addr: AddressWords, port: u16) -> bool {
        // nobody is at the unspecified address, which many send from before they have one (RFC 1122, section 3.2.1.3)
        addr != AddressWords::default()
            && (self.sockets.contains(&(transport, version, addr, port))
                || self.sockets.contains(&(transport, version, AddressWords::default(), port))
                    && self.is_own(version, addr))
    }

    /// No socket listens.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sockets.is_empty()
    }

    /// How many of the files were too long to be read to their end: on a host with more than 100,000 UDP sockets or routes,
    /// some that listen are not known.
    #[must_use]
    pub const fn cut_files(&self) -> u64 {
        self.cut_files
    }

    /// Sockets that listen at one address each.
    #[cfg(test)]
    pub(crate) fn of(sockets: impl IntoIterator<Item = (Transport, IpVersion, AddressWords, u16)>) -> Self {
        Self { sockets: sockets.into_iter().collect(), ..Self::default() }
    }

    fn is_own(&self, version: IpVersion, addr: AddressWords) -> bool {
        let is_in_network = || match addr.to_ip(version) {
            IpAddr::V4(addr) => self.own_networks.iter().any(|(first, mask)| u32::from(addr) & mask == *first),
            IpAddr::V6(_) => false,
        };
        self.own_addresses.contains(&(version, addr)) || is_in_network()
    }

    /// Adds a socket. One of IPv6 that is bound to no address takes IPv4 too, unless its program said that it shall not,
    /// which the kernel does not show: then nothing serves that port in IPv4, so that nothing is named wrongly.
    fn add(&mut self, transport: Transport, version: IpVersion, addr: AddressWords, port: u16) {
        let mapped = match addr.to_ip(version) {
            IpAddr::V6(addr) => addr.to_ipv4_mapped(),
            IpAddr::V4(_) => None,
        };
        let (version, addr) = mapped.map_or((version, addr), |addr| (IpVersion::V4, AddressWords::v4(addr.octets())));
        self.sockets.insert((transport, version, addr, port));
        if addr == AddressWords::default() {
            self.sockets.insert((transport, IpVersion::V4, addr, port));
        }
    }

    /// Reads a line of the trie: `|-- 10.0.0.5` is a destination, and `/32 host LOCAL` below says what leads there. The
    /// others are inner nodes, and names of tables.
    fn add_ipv4_route(&mut self, row: &str, destination: &mut Option<Ipv4Addr>) -> Parsed {
        let row = row.trim_start();
        if let Some(addr) = row.strip_prefix("|-- ") {
            *destination = addr.trim_end().parse().ok();
            return if destination.is_some() { Parsed::Next } else { Parsed::Wrong };
        }
        let mut words = row.split_ascii_whitespace();
        let Some(prefix_len) = words.next().and_then(|word| word.strip_prefix('/')) else { return Parsed::Next };
        if words.nth(1) != Some("LOCAL") {
            return Parsed::Next;
        }
        let prefix_len = prefix_len.parse().ok().filter(|len| *len <= u32::BITS);
        let (Some(first), Some(prefix_len)) = (*destination, prefix_len) else { return Parsed::Wrong };
        if prefix_len == u32::BITS {
            self.own_addresses.insert((IpVersion::V4, AddressWords::v4(first.octets())));
        } else {
            let mask = !(u32::MAX.checked_shr(prefix_len).unwrap_or(0));
            let network = (u32::from(first) & mask, mask);
            if !self.own_networks.contains(&network) {
                self.own_networks.push(network);
            }
        }
        Parsed::Next
    }

    /// Reads a line that begins with an address of 32 hexadecimal digits.
    fn add_ipv6_address(&mut self, row: &str) -> Parsed {
        let digits = row.split_ascii_whitespace().next().filter(|digits| digits.len() == 32);
        let Some(addr) = digits.and_then(|digits| u128::from_str_radix(digits, 16).ok()) else { return Parsed::Wrong };
        self.own_addresses.insert((IpVersion::V6, AddressWords::v6(addr.to_be_bytes())));
        Parsed::Next
    }
}

/// What is read of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Row<'r> {
    local_addr: AddressWords,
    local_port: u16,
    has_peer: bool,
    state: &'r str,
}

impl<'r> Row<'r> {
    /// Reads `sl local_address rem_address st …`: addresses as words of 32 bits in the memory of this host, in hexadecimal
    /// digits, and ports.
    fn parse(row: &'r str, version: IpVersion) -> Option<Self> {
        let mut words = row.split_ascii_whitespace().skip(1);
        let (local_addr, local_port) = endpoint(words.next()?, version)?;
        let (peer_addr, peer_port) = endpoint(words.next()?, version)?;
        let has_peer = peer_port != 0 || peer_addr != AddressWords::default();
        Some(Self { local_addr, local_port, has_peer, state: words.next()? })
    }

    /// UDP has no sockets that listen, only such that take packets from anybody; a client that asks many servers from one
    /// socket has one too, but on a port that the kernel chose for it.
    fn is_udp_server(&self, client_ports: &ClientPorts) -> bool {
        self.state == UNCONNECTED && !self.has_peer && !client_ports.contains(self.local_port)
    }
}

fn endpoint(text: &str, version: IpVersion) -> Option<(AddressWords, u16)> {
    let (addr, port) = text.split_once(':')?;
    let word = |at: usize| u32::from_str_radix(addr.get(8 * at..8 * (at + 1))?, 16).ok().map(u32::to_ne_bytes);
    let addr = match version {
        IpVersion::V4 if addr.len() == 8 => AddressWords::v4(word(0)?),
        IpVersion::V6 if addr.len() == 32 => {
            let mut bytes = [0; 16];
            for (at, part) in bytes.chunks_exact_mut(4).enumerate() {
                part.copy_from_slice(&word(at)?);
            }
            AddressWords::v6(bytes)
        }
        _ => return None,
    };
    Some((addr, u16::from_str_radix(port, 16).ok()?))
}

/// The ports that the kernel gives to clients.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ClientPorts {
    first: u16,
    last: u16,
    /// Ranges, first and last, that it does not give: who uses them has chosen them.
    reserved: Vec<(u16, u16)>,
}

impl ClientPorts {
    fn read() -> Result<Self, ListenersError> {
        let text = |file: &'static str| match std::fs::read_to_string(file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(ListenersError::Read { file, source }),
            Ok(text) => Ok(Some(text)),
        };
        // the kernel's own ranges where it does not say: they are hidden from some containers
        let range = text(CLIENT_PORTS)?.unwrap_or_else(|| "32768 60999".to_owned());
        let reserved = text(RESERVED_PORTS)?.unwrap_or_default();
        let wrong = |file, text: &str| ListenersError::Row { file, row: 1, text: text.to_owned() };
        let (first, last) = Self::range(&range).ok_or_else(|| wrong(CLIENT_PORTS, &range))?;
        let reserved = Self::ranges(&reserved).ok_or_else(|| wrong(RESERVED_PORTS, &reserved))?;
        Ok(Self { first, last, reserved })
    }

    /// `32768 60999`.
    fn range(text: &str) -> Option<(u16, u16)> {
        let mut ports = text.split_ascii_whitespace().map(str::parse);
        Some((ports.next()?.ok()?, ports.next()?.ok()?))
    }

    /// `8080,9148-9150`, or nothing.
    fn ranges(text: &str) -> Option<Vec<(u16, u16)>> {
        let ranges = text.trim().split(',').filter(|range| !range.is_empty());
        ranges
            .map(|range| {
                let (first, last) = range.split_once('-').unwrap_or((range, range));
                Some((first.parse().ok()?, last.parse().ok()?))
            })
            .collect()
    }

    fn contains(&self, port: u16) -> bool {
        let is_in = |first, last| (first..=last).contains(&port);
        is_in(self.first, self.last) && !self.reserved.iter().any(|(first, last)| is_in(*first, *last))
    }
}

/// What became of a row.
enum Parsed {
    /// It was read: on with the next one.
    Next,
    /// Nothing that comes after it counts.
    Enough,
    /// It is not understood.
    Wrong,
}

/// A file of `/proc` that the kernel writes anew each time it is read from its beginning.
#[derive(Debug)]
struct ProcFile {
    name: &'static str,
    file: File,
}

impl ProcFile {
    /// Opens a file; `None` when it is not there.
    fn open(name: &'static str) -> Result<Option<Self>, ListenersError> {
        match File::open(name) {
            Ok(file) => Ok(Some(Self { name, file })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(ListenersError::Read { file: name, source }),
        }
    }

    /// Passes its rows on, those after the `header_rows`, until one is enough. Whether it was cut at [`FILE_BYTES_MAX`].
    fn rows(&mut self, header_rows: usize, mut take: impl FnMut(&str) -> Parsed) -> Result<bool, ListenersError> {
        let file = self.name;
        let failed = |source| ListenersError::Read { file, source };
        self.file.rewind().map_err(failed)?;
        let mut reader = BufReader::new((&self.file).take(FILE_BYTES_MAX));
        let mut text = String::new();
        for row in 1.. {
            text.clear();
            reader.read_line(&mut text).map_err(failed)?;
            if !text.ends_with('\n') {
                // the end, or where it is cut
                return Ok(reader.get_ref().limit() == 0);
            }
            if row > header_rows {
                match take(&text) {
                    Parsed::Next => {}
                    Parsed::Enough => break,
                    Parsed::Wrong => return Err(ListenersError::Row { file, row, text: text.trim_end().to_owned() }),
                }
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(text: &str) -> AddressWords {
        AddressWords::v4(text.parse::<Ipv4Addr>().expect("an address").octets())
    }

    fn v6(text: &str) -> AddressWords {
        AddressWords::v6(text.parse::<std::net::Ipv6Addr>().expect("an address").octets())
    }

    /// Words of 32 bits as this host has them in memory, in hexadecimal digits.
    fn digits(text: &str) -> String {
        let bytes = match text.parse::<IpAddr>().expect("an address") {
            IpAddr::V4(addr) => addr.octets().to_vec(),
            IpAddr::V6(addr) => addr.octets().to_vec(),
        };
        let words = bytes.chunks(4).map(|word| u32::from_ne_bytes(word.try_into().expect("four")));
        words.map(|word| format!("{word:08X}")).collect::<Vec<_>>().concat()
    }

    #[test]
    fn rows_of_sockets() {
        let ports = ClientPorts { first: 32_768, last: 60_999, reserved: vec![(40_000, 40_001)] };
        let rest = "00000000:00000000 00:00000000 00000000     0        0 1066 1 00000000dd9e1d66 100 0 0 10 0";
        #[rustfmt::skip]
        let cases = [
            // name, version, local end, remote end, state, what is read, a UDP server
            ("a listener", IpVersion::V4, ("127.0.0.1", 22), ("0.0.0.0", 0), "0A", (v4("127.0.0.1"), 22, false), false),
            ("a UDP server", IpVersion::V4, ("10.0.0.5", 53), ("0.0.0.0", 0), "07", (v4("10.0.0.5"), 53, false), true),
            ("of IPv6", IpVersion::V6, ("fe80::1", 547), ("::", 0), "07", (v6("fe80::1"), 547, false), true),
            ("a UDP client", IpVersion::V4, ("10.0.0.5", 40_002), ("0.0.0.0", 0), "07", (v4("10.0.0.5"), 40_002, false), false),
            ("on a reserved port", IpVersion::V4, ("0.0.0.0", 40_001), ("0.0.0.0", 0), "07", (v4("0.0.0.0"), 40_001, false), true),
            ("above the clients'", IpVersion::V4, ("0.0.0.0", 61_000), ("0.0.0.0", 0), "07", (v4("0.0.0.0"), 61_000, false), true),
            ("connected UDP", IpVersion::V4, ("10.0.0.5", 53), ("10.0.0.9", 53), "01", (v4("10.0.0.5"), 53, true), false),
            ("with a peer", IpVersion::V4, ("10.0.0.5", 53), ("10.0.0.9", 0), "07", (v4("10.0.0.5"), 53, true), false),
        ];
        for (name, version, local, peer, state, (local_addr, local_port, has_peer), is_udp_server) in cases {
            let end = |(addr, port)| format!("{}:{port:04X}", digits(addr));
            let row = format!("   0: {} {} {state} {rest}\n", end(local), end(peer));
            let got = Row::parse(&row, version);
            assert_eq!(got, Some(Row { local_addr, local_port, has_peer, state }), "{name}");
            assert_eq!(got.expect("a row").is_udp_server(&ports), is_udp_server, "{name}");
        }
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn a_row_as_the_kernel_writes_it() {
        let row = "   0: 0100007F:07E8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1066 1 0";
        let want = Row { local_addr: v4("127.0.0.1"), local_port: 2024, has_peer: false, state: "0A" };
        assert_eq!(Row::parse(row, IpVersion::V4), Some(want));
        let row = "   1: B80D01200000000000000000010A0000:0035 00000000000000000000000000000000:0000 07 0:0";
        let want = Row { local_addr: v6("2001:db8::a01"), local_port: 53, has_peer: false, state: "07" };
        assert_eq!(Row::parse(row, IpVersion::V6), Some(want));
    }

    #[test]
    fn other_rows_are_told() {
        let rows = ["", "0:", "0: 0100007F:0016", "0: 0100007F 0:0 0A", "0: 0100007G:0016 00000000:0000 0A"];
        for row in rows.into_iter().chain(["0: 0100007F:10016 00000000:0000 0A", "0: é100007F:0016 00000000:0000 0A"])
        {
            assert_eq!(Row::parse(row, IpVersion::V4), None, "{row}");
        }
        let zeros = "0".repeat(32);
        assert_eq!(Row::parse(&format!("0: {zeros}:0016 00000000:0000 0A"), IpVersion::V6), None);
        assert_eq!(Row::parse(&format!("0: {zeros}:0016 {zeros}:0000 0A"), IpVersion::V4), None);
    }

    #[test]
    fn client_ports() {
        assert_eq!(ClientPorts::range("32768\t60999\n"), Some((32_768, 60_999)));
        assert_eq!(ClientPorts::range("32768\n"), None);
        assert_eq!(ClientPorts::ranges("\n"), Some(vec![]));
        assert_eq!(ClientPorts::ranges("8080,9148-9150\n"), Some(vec![(8080, 8080), (9148, 9150)]));
        assert_eq!(ClientPorts::ranges("8080,x\n"), None);
    }

    /// A host at 10.0.0.5 and fe80::1, with the sockets given.
    fn host(sockets: &[(Transport, &str, u16)]) -> ListenerSet {
        let mut set = ListenerSet::default();
        let trie = "\
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 10.0.0.0/24 2 0 2
        |-- 10.0.0.0
           /24 link UNICAST
        |-- 10.0.0.5
           /32 host LOCAL
        |-- 10.0.0.255
           /32 link BROADCAST
Local:
        +-- 127.0.0.0/31 1 0 0
           |-- 127.0.0.0
              /8 host LOCAL
           |-- 127.0.0.1
              /32 host LOCAL
";
        let mut destination = None;
        assert!(trie.lines().all(|row| matches!(set.add_ipv4_route(row, &mut destination), Parsed::Next)));
        let row = "fe800000000000000000000000000001 04 40 20 80     eth0\n";
        assert!(matches!(set.add_ipv6_address(row), Parsed::Next));
        for (transport, addr, port) in sockets {
            match addr.parse().expect("an address") {
                IpAddr::V4(addr) => set.add(*transport, IpVersion::V4, AddressWords::v4(addr.octets()), *port),
                IpAddr::V6(addr) => set.add(*transport, IpVersion::V6, AddressWords::v6(addr.octets()), *port),
            }
        }
        set
    }

    #[test]
    fn listeners_have_an_address_or_all_of_the_hosts() {
        use Transport::{Tcp, Udp};
        let set = host(&[
            (Tcp, "10.0.0.5", 22),
            (Tcp, "0.0.0.0", 80),
            (Tcp, "::", 443),
            (Tcp, "fe80::1", 8080),
            (Tcp, "::ffff:10.0.0.5", 9000),
            (Udp, "0.0.0.0", 53),
        ]);
        let cases = [
            ("its address", Tcp, "10.0.0.5", 22, true),
            ("another one", Tcp, "127.0.0.1", 22, false),
            ("another port", Tcp, "10.0.0.5", 23, false),
            ("another transport", Udp, "10.0.0.5", 22, false),
            ("all addresses", Tcp, "10.0.0.5", 80, true),
            ("all of the loopback", Tcp, "127.0.0.53", 80, true),
            ("not that of another host", Tcp, "10.0.0.9", 80, false),
            ("nor a broadcast address", Tcp, "10.0.0.255", 80, false),
            ("nor none", Tcp, "0.0.0.0", 80, false),
            ("nor IPv6", Tcp, "fe80::1", 80, false),
            ("all of both versions", Tcp, "10.0.0.5", 443, true),
            ("the other version", Tcp, "fe80::1", 443, true),
            ("not that of another host's", Tcp, "fe80::2", 443, false),
            ("an address of IPv6", Tcp, "fe80::1", 8080, true),
            ("IPv4 in IPv6", Tcp, "10.0.0.5", 9000, true),
            ("not in IPv6", Tcp, "fe80::1", 9000, false),
            ("UDP", Udp, "127.0.0.1", 53, true),
            ("not TCP", Tcp, "127.0.0.1", 53, false),
        ];
        for (name, transport, addr, port, want) in cases {
            let got = match addr.parse().expect("an address") {
                IpAddr::V4(addr) => set.listens(transport, IpVersion::V4, AddressWords::v4(addr.octets()), port),
                IpAddr::V6(addr) => set.listens(transport, IpVersion::V6, AddressWords::v6(addr.octets()), port),
            };
            assert_eq!(got, want, "{name}");
        }
        assert!(!set.is_empty() && ListenerSet::default().is_empty());
    }

    #[test]
    fn routes_that_are_not_understood_are_told() {
        for (rows, wrong) in [
            (&["|-- 10.0.0.256"][..], true),
            (&["/32 host LOCAL"], true),
            (&["|-- 10.0.0.5", "/33 host LOCAL"], true),
            (&["|-- 10.0.0.5", "/32 host LOCAL tos=16"], false),
            (&["|-- 10.0.0.5", "/0 host LOCAL"], false),
            (&["Id 200:"], false),
        ] {
            let (mut set, mut destination) = (ListenerSet::default(), None);
            let got = rows.iter().any(|row| matches!(set.add_ipv4_route(row, &mut destination), Parsed::Wrong));
            assert_eq!(got, wrong, "{rows:?}");
        }
        for row in ["", "fe80", "fe80000000000000000000000000000g 04", "+e800000000000000000000000000001 04"] {
            let outcome = ListenerSet::default().add_ipv6_address(row);
            assert_eq!(matches!(outcome, Parsed::Wrong), !row.starts_with('+'), "{row}");
        }
    }

    #[test]
    fn a_file_is_read_anew_each_time_and_to_its_bound() {
        use std::io::Write as _;
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(b"header\none\ntwo\n").expect("room");
        let mut file = ProcFile { name: "it", file };
        for _ in 0..2 {
            let mut rows = Vec::new();
            let cut = file.rows(1, |row| {
                rows.push(row.to_owned());
                Parsed::Next
            });
            assert_eq!((rows.concat().as_str(), cut.expect("read")), ("one\ntwo\n", false));
        }
        let mut count = 0;
        let cut = file.rows(0, |_| {
            count += 1;
            Parsed::Enough
        });
        assert_eq!((count, cut.expect("read")), (1, false));
        let wrong = file.rows(1, |_| Parsed::Wrong).expect_err("not understood");
        assert_eq!(wrong.to_string(), "it: row 2 is not as expected: \"one\"");

        file.file.write_all(&vec![b'\n'; usize::try_from(FILE_BYTES_MAX).expect("fits")]).expect("room");
        assert!(file.rows(0, |_| Parsed::Next).expect("read"), "it is cut");
    }
}
