//! Port → service name: flat tables of 65,536 entries, one a transport, and the ladder of rules that picks the port.

pub mod catalog;
mod decide;
pub mod evidence;
mod learned;
#[cfg_attr(not(test), expect(dead_code, reason = "half of it is the build script's only"))]
mod parse;
mod tables;
pub mod user;

use std::collections::HashMap;

use sha2::{Digest as _, Sha256};

pub use decide::{Explanation, Step};
pub use evidence::Evidence;
pub use learned::{Past, Standing};
pub use parse::RESERVED;
pub use tables::Layer;

use learned::{Fingerprint, Learned};
use tables::{PortTable, Reviewed};

use crate::decode::{Handshake, Segment, tcp_flag};
use crate::source::ListenerSet;
use crate::units::{ServiceId, Transport};

/// Which end of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The sender.
    Src,
    /// The receiver.
    Dst,
}

impl End {
    /// The other end.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Src => Self::Dst,
            Self::Dst => Self::Src,
        }
    }
}

/// What a flow is called, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    /// The name; `None` is unlabelled traffic.
    pub service: Option<ServiceId>,
    /// Which end of the segment serves; its port is the one that the label stands for.
    pub server: End,
    /// The first rule that decided.
    pub evidence: Evidence,
}

/// Names of ports. The tables are part of the program: a registry of them costs nothing to make.
#[derive(Debug)]
pub struct Registry {
    /// As [`table_of`] tells.
    tables: [PortTable; 4],
    /// Names that are not built in; the id of the first is [`tables::BUILT_IN`].
    own_names: Vec<Box<str>>,
    prefers_iana: bool,
}

/// A user's files hold more names than there are ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than {max} names that are not built in; leave some out")]
pub struct TooManyNames {
    /// How many there may be.
    pub max: usize,
}

impl Registry {
    /// The names that are built in.
    #[must_use]
    pub const fn builtin() -> Self {
        Self {
            tables: [tables::TCP, tables::UDP, tables::SCTP, tables::DCCP],
            own_names: Vec::new(),
            prefers_iana: false,
        }
    }

    /// The built-in names below those of a user: where entries speak of one port, the last one counts. With `iana_names`
    /// IANA's name goes before the one in use, wherever it has one.
    ///
    /// # Errors
    /// The entries that count have more names than there are ids.
    pub fn new<'t>(
        entries: impl DoubleEndedIterator<Item = &'t user::Entry<'t>>,
        iana_names: bool,
    ) -> Result<Self, TooManyNames> {
        let mut registry = Self::builtin();
        let mut entries = entries.rev().peekable();
        if entries.peek().is_some() {
            let mut ids: HashMap<&str, ServiceId> = tables::names().collect();
            // from the last to the first: so a name that is nowhere shown takes no id
            for entry in entries {
                let table = registry.table_mut(entry.transport);
                if table.user_names_all(&entry.ports()) {
                    continue;
                }
                let id = match ids.get(entry.name) {
                    Some(&id) => id,
                    None => {
                        let index = tables::BUILT_IN + registry.own_names.len();
                        let max = ServiceId::COUNT - tables::BUILT_IN;
                        let id = ServiceId::from_index(index).ok_or(TooManyNames { max })?;
                        registry.own_names.push(entry.name.into());
                        ids.insert(entry.name, id);
                        id
                    }
                };
                registry.table_mut(entry.transport).name_unnamed(entry.ports(), id);
            }
        }
        if iana_names {
            registry.tables.iter_mut().for_each(PortTable::prefer_iana);
            registry.prefers_iana = true;
        }
        Ok(registry)
    }

    /// What a port is called: the name in use, else IANA's, else the one of the list that the project started from.
    #[must_use]
    pub const fn service(&self, transport: Transport, port: u16) -> Option<ServiceId> {
        self.table(transport).get(port)
    }

    /// The name of a service: 1 to 15 ASCII characters, or to 63 when it is a user's; empty for an id that another
    /// registry gave.
    #[must_use]
    pub fn name(&self, service: ServiceId) -> &str {
        match service.index().checked_sub(tables::BUILT_IN) {
            None => tables::name(service),
            Some(own) => self.own_names.get(own).map_or("", |name| name),
        }
    }

    /// The layer that names a port; `None` without a name.
    #[must_use]
    pub fn layer(&self, transport: Transport, port: u16) -> Option<Layer> {
        self.table(transport).layer(port)
    }

    /// A user's file names this port.
    #[must_use]
    pub fn user_names(&self, transport: Transport, port: u16) -> bool {
        self.table(transport).user_names(port)
    }

    /// IANA's names go before those in use.
    #[must_use]
    pub fn prefers_iana(&self) -> bool {
        self.prefers_iana
    }

    /// SHA-256 of the names that users' files give to ports, in hexadecimal digits; `None` if they give none. Each of them is
    /// a line `transport port name`, in the order of transports and ports: files that say the same have the same one.
    #[must_use]
    pub fn user_names_sha256(&self) -> Option<String> {
        let (mut digest, mut is_empty) = (Sha256::new(), true);
        for transport in [Transport::Tcp, Transport::Udp, Transport::Sctp, Transport::Dccp] {
            let named = (0..=u16::MAX).filter(|port| self.user_names(transport, *port));
            for (port, service) in named.filter_map(|port| Some((port, self.service(transport, port)?))) {
                digest.update(format!("{transport} {port} {}\n", self.name(service)));
                is_empty = false;
            }
        }
        let in_hex = |hex: String, byte: &u8| format!("{hex}{byte:02x}");
        (!is_empty).then(|| digest.finalize().iter().fold(String::new(), in_hex))
    }

    /// What IANA calls a port; `None` where it has no name, whatever [`Registry::service`] says.
    #[must_use]
    pub fn iana(&self, transport: Transport, port: u16) -> Option<ServiceId> {
        self.table(transport).iana(port)
    }

    /// What each rule says of the flow that starts with `segment` when nothing was seen before, in the order of the rules.
    #[must_use]
    pub fn explain(&self, segment: &Segment) -> Explanation {
        decide::explain(self, segment)
    }

    /// The name of this port is a strong sign of a server: `data/strong.tsv`, and the overlay's renames and additions.
    #[must_use]
    pub fn is_strong(&self, transport: Transport, port: u16) -> bool {
        reviewed(transport).is_strong(port)
    }

    #[inline(always)]
    const fn table(&self, transport: Transport) -> &PortTable {
        &self.tables[table_of(transport)]
    }

    const fn table_mut(&mut self, transport: Transport) -> &mut PortTable {
        &mut self.tables[table_of(transport)]
    }
}

/// Which table names the ports of a transport: those of UDP-Lite are defined as UDP's (RFC 3828, section 3.1). A look in a
/// table, because nobody can guess the transport of the next flow.
#[inline(always)]
const fn table_of(transport: Transport) -> usize {
    const TABLES: [u8; Transport::ALL.len()] = {
        let mut tables = [0; Transport::ALL.len()];
        tables[Transport::Udp as usize] = 1;
        tables[Transport::UdpLite as usize] = 1;
        tables[Transport::Sctp as usize] = 2;
        tables[Transport::Dccp as usize] = 3;
        tables
    };
    TABLES[transport as usize] as usize
}

/// What people have looked at of a transport's ports.
#[inline(always)]
fn reviewed(transport: Transport) -> &'static Reviewed {
    static REVIEWED: [&Reviewed; 4] =
        [&tables::TCP_REVIEWED, &tables::UDP_REVIEWED, &tables::SCTP_REVIEWED, &tables::DCCP_REVIEWED];
    REVIEWED[table_of(transport)]
}

/// Source and destination of a segment that starts a flow or accepts a connection, ready to be looked up, as far as what is
/// known of them matters.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ends([Fingerprint; 2]);

/// Labels flows, and learns from what it sees.
#[derive(Debug)]
pub struct Labeller {
    registry: Registry,
    learned: Learned,
    listeners: ListenerSet,
}

impl Labeller {
    /// A labeller that has seen nothing yet.
    #[must_use]
    pub fn new(registry: Registry) -> Self {
        Self { registry, learned: Learned::default(), listeners: ListenerSet::default() }
    }

    /// The names.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Takes note of the sockets that listen on this host, in place of those that were known before. None do until then.
    pub fn set_listeners(&mut self, listeners: ListenerSet) {
        self.listeners = listeners;
    }

    /// Asks for the memory that [`Labeller::label`] or [`Labeller::accepted`] will need, ahead of it, and makes ready what they
    /// take beside the segment.
    #[must_use]
    #[inline(always)]
    pub fn prepare(&self, segment: &Segment) -> Ends {
        let ready = |end| {
            let endpoint = self.learned.fingerprint(segment, end);
            self.learned.prefetch(endpoint);
            endpoint
        };
        // a SYN and a group address tell who serves by themselves, and teach nothing
        Ends(match segment.handshake {
            Handshake::None if !segment.to_group => [ready(End::Src), ready(End::Dst)],
            Handshake::None | Handshake::Open => Default::default(),
            Handshake::Accept => [ready(End::Src), Fingerprint::default()],
        })
    }

    /// The label of a flow that begins by opening a connection to `dst_port`, as [`Labeller::label`] tells it, if that is all
    /// that it depends on: the port has a name, and users have named none.
    #[must_use]
    #[inline(always)]
    pub fn label_of_opened(&self, transport: Transport, dst_port: u16) -> Option<Label> {
        let service = self.registry.table(transport).built_in_name(dst_port)?;
        Some(Label { service: Some(service), server: End::Dst, evidence: Evidence::Handshake })
    }

    /// The label of the flow that starts with `segment`, for which `ends` was prepared.
    pub fn label(&mut self, segment: &Segment, Ends(ends): Ends) -> Label {
        if segment.handshake != Handshake::None || segment.to_group {
            // it tells who serves by itself, and teaches nothing: nobody may be there
            return decide::label(&self.registry, segment, Default::default(), self.listens(segment));
        }
        let mut ends = [self.learned.end(ends[0], segment.dst_port), self.learned.end(ends[1], segment.src_port)];
        let pasts = ends.each_mut().map(|end| self.learned.recall(end));
        let label = decide::label(&self.registry, segment, pasts, self.listens(segment));
        if segment.tcp_flags & tcp_flag::RST != 0 {
            return label; // nobody serves there: it may be the answer to an opening that was not captured
        }
        self.learned.met(ends[label.server as usize]);
        // the client of a port that people or the kernel vouch for is nobody's server; else either end may turn out to be one
        let is_sure = matches!(
            label.evidence,
            Evidence::Listener | Evidence::Learned | Evidence::Pair | Evidence::Strong | Evidence::System
        );
        if !is_sure {
            self.learned.met(ends[label.server.other() as usize]);
        }
        label
    }

    /// A socket of this host listens at source and destination. The opening of a connection is not looked up: what its rule
    /// leaves to the others, that of listeners does too.
    fn listens(&self, segment: &Segment) -> [bool; 2] {
        if self.listeners.is_empty() || segment.handshake != Handshake::None {
            return [false; 2];
        }
        let &Segment { transport, ip_version, .. } = segment;
        [(segment.src_addr, segment.src_port), (segment.dst_addr, segment.dst_port)]
            .map(|(addr, port)| self.listeners.listens(transport, ip_version, addr, port))
    }

    /// Takes note that the sender of the segment that `ends` was prepared for accepts the connection that the other end has
    /// opened.
    pub fn accepted(&mut self, Ends([server, _]): Ends) {
        self.learned.accepted(server);
    }

    /// How many endpoints that were seen to serve were forgotten to make room.
    #[must_use]
    pub fn forgotten(&self) -> u64 {
        self.learned.forgotten()
    }
}

#[cfg(test)]
mod tests {
    use super::parse::{self, Row};
    use super::*;
    use crate::decode::Handshake;
    use crate::units::{AddressWords, IpVersion};

    const SERVICES: &str = include_str!("../../data/services.tsv");
    const OVERLAY: &str = include_str!("../../data/overlay.tsv");
    const SEED: &str = include_str!("../../data/seed.tsv");

    /// The label of a flow of which nothing was known before.
    pub(super) fn first_label(registry: &Registry, segment: &Segment) -> Label {
        decide::label(registry, segment, [Past::default(); 2], [false; 2])
    }

    /// A packet between two ports, without any hint about who serves.
    pub(super) fn segment(transport: Transport, src_port: u16, dst_port: u16) -> Segment {
        Segment {
            src_addr: AddressWords::v4([10, 0, 0, 5]),
            dst_addr: AddressWords::v4([10, 0, 0, 9]),
            src_port,
            dst_port,
            ip_version: IpVersion::V4,
            transport,
            handshake: Handshake::None,
            tcp_flags: 0,
            to_group: false,
            later_fragment: false,
            tunnels: 0,
        }
    }

    /// Every port of a row, on each of its transports.
    fn keys<const N: usize>(row: &Row<'_, N>) -> impl Iterator<Item = (Transport, u16)> {
        row.keys().map(|(word, port)| {
            let transport = Transport::ALL.into_iter().find(|transport| transport.name() == word);
            (transport.expect("a transport of the program"), port)
        })
    }

    fn name(registry: &Registry, transport: Transport, port: u16) -> Option<&str> {
        registry.service(transport, port).map(|id| registry.name(id))
    }

    #[test]
    fn ports_have_the_names_in_use() {
        use Transport::{Dccp, Sctp, Tcp, Udp, UdpLite};
        let cases = [
            (Tcp, 0, None, None),
            (Tcp, 2, None, None),
            (Tcp, 80, Some("http"), Some(Layer::Iana)),
            (Tcp, 443, Some("https"), Some(Layer::Iana)),
            (Udp, 443, Some("quic"), Some(Layer::Overlay)),
            (UdpLite, 443, Some("quic"), Some(Layer::Overlay)),
            (Sctp, 443, Some("https"), Some(Layer::Iana)),
            (Dccp, 443, None, None),
            (Sctp, 9, Some("discard"), Some(Layer::Iana)),
            (Dccp, 9, Some("discard"), Some(Layer::Iana)),
            (Tcp, 42, Some("nameserver"), Some(Layer::Iana)),
            (Tcp, 512, Some("exec"), Some(Layer::Iana)),
            (Udp, 512, Some("biff"), Some(Layer::Iana)),
            (Tcp, 445, Some("smb"), Some(Layer::Overlay)),
            (Udp, 445, Some("microsoft-ds"), Some(Layer::Iana)),
            (Tcp, 831, Some("netconf-beep"), Some(Layer::List)),
            (Tcp, 6667, Some("irc"), Some(Layer::Overlay)),
            (Udp, 6667, None, None),
            (Tcp, 5999, Some("cvsup"), Some(Layer::Iana)),
            (Tcp, 6000, Some("x11"), Some(Layer::Iana)),
            (Tcp, 6063, Some("x11"), Some(Layer::Iana)),
            (Tcp, 4200, Some("vrml-multi-use"), Some(Layer::Iana)),
            (Tcp, 4222, Some("nats"), Some(Layer::Overlay)),
            (Tcp, 3000, Some("dev-http"), Some(Layer::Overlay)),
            (Tcp, 8200, Some("trivnet1"), Some(Layer::Iana)),
            (Tcp, 25_565, Some("minecraft"), Some(Layer::Overlay)),
            (Udp, 60_001, None, None),
            (Tcp, 49_151, None, None),
            (Udp, 65_535, None, None),
        ];
        let registry = Registry::builtin();
        for (transport, port, want, layer) in cases {
            assert_eq!(name(&registry, transport, port), want, "{port}/{transport}");
            assert_eq!(registry.layer(transport, port), layer, "{port}/{transport}");
        }
    }

    /// The short way says what the rules say.
    #[test]
    fn who_is_opened_a_connection_to_serves() {
        let user = with(&["own 443/tcp\nown 60000/tcp\n"], false);
        for (registry, is_told) in [(Registry::builtin(), true), (with(&[], true), false), (user, false)] {
            let labeller = Labeller::new(registry);
            assert_eq!(labeller.label_of_opened(Transport::Tcp, 22).is_some(), is_told);
            for transport in Transport::ALL {
                for (src_port, dst_port) in (0..=u16::MAX).flat_map(|port| [(50_001, port), (20, port), (port, 443)]) {
                    let opening = Segment { handshake: Handshake::Open, ..segment(transport, src_port, dst_port) };
                    if let Some(label) = labeller.label_of_opened(transport, dst_port) {
                        assert_eq!(
                            label,
                            first_label(&labeller.registry, &opening),
                            "{src_port} {dst_port}/{transport}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn every_row_of_iana_is_there_and_nothing_else() {
        let registry = Registry::builtin();
        let rows = parse::rows(SERVICES, &parse::SERVICES).unwrap();
        let mut named = 0;
        for row in &rows {
            for (transport, port) in keys(row) {
                let got = registry.iana(transport, port).map(|id| registry.name(id));
                assert_eq!(got, Some(row.cells[2]), "line {}: {port}/{transport}", row.line);
                named += 1;
            }
        }
        let all = [Transport::Tcp, Transport::Udp, Transport::Sctp, Transport::Dccp].into_iter();
        let found = all.flat_map(|transport| (0..=u16::MAX).map(move |port| (transport, port)));
        assert_eq!(found.filter(|&(transport, port)| registry.iana(transport, port).is_some()).count(), named);
    }

    #[test]
    fn an_overlay_row_shows_what_it_says() {
        let registry = Registry::builtin();
        for row in parse::rows(OVERLAY, &parse::OVERLAY).unwrap() {
            let [_, _, registered, _, action, shown, _, _] = row.cells;
            for (transport, port) in keys(&row) {
                let place = format!("line {}: {port}/{transport}", row.line);
                let (name, iana) = (name(&registry, transport, port), registry.iana(transport, port));
                let layer = registry.layer(transport, port);
                match action {
                    "note" => assert_eq!(registry.service(transport, port), iana, "{place}"),
                    "add" => assert_eq!((name, iana, layer), (Some(shown), None, Some(Layer::Overlay)), "{place}"),
                    _ => {
                        assert_eq!(name, Some(row.name_of(shown, port).unwrap()), "{place}");
                        let iana = iana.map(|id| registry.name(id));
                        assert_eq!(iana, Some(row.name_of(registered, port).unwrap()), "{place}");
                        let own = if name == iana { Layer::Iana } else { Layer::Overlay };
                        assert_eq!(layer, Some(own), "{place}");
                    }
                }
            }
        }
    }

    #[test]
    fn every_row_of_the_list_names_a_packet() {
        let registry = Registry::builtin();
        let services = parse::rows(SERVICES, &parse::SERVICES).unwrap();
        let overlay = parse::rows(OVERLAY, &parse::OVERLAY).unwrap();
        let list = parse::rows(SEED, &parse::SEED).unwrap();
        assert_eq!(list.len(), 210);
        for row in &list {
            for (transport, port) in keys(row) {
                let place = format!("line {}: {port}/{transport}", row.line);
                let there = first_label(&registry, &segment(transport, 50_001, port));
                let back = first_label(&registry, &segment(transport, port, 50_001));
                assert_eq!((there.server, back.server, there.service), (End::Dst, End::Src, back.service), "{place}");
                let got = there.service.map(|id| registry.name(id)).unwrap_or_default();

                // The list's own name, unless the overlay has another in use or IANA puts another first or says another.
                let listed = row.name_of(row.cells[2], port).unwrap();
                let in_use = overlay.iter().find(|row| keys(row).any(|key| key == (transport, port)));
                let registered = services.iter().find(|row| keys(row).any(|key| key == (transport, port)));
                let aliases = registered.map_or("", |row| row.cells[3]);
                let first = if row.cells[4] == "no" || aliases.split(',').any(|alias| alias == listed) {
                    registered.map_or("", |row| row.cells[2])
                } else {
                    listed
                };
                let want = in_use.map_or(first, |row| row.name_of(row.cells[5], port).unwrap());
                assert_eq!(got, want, "{place}");
                let layer = registry.layer(transport, port);
                assert_eq!(layer == Some(Layer::List), registered.is_none() && in_use.is_none(), "{place}");
            }
        }
    }

    #[test]
    fn reviewed_ports_are_those_of_the_tables() {
        const STRONG: &str = include_str!("../../data/strong.tsv");
        const PAIRS: &str = include_str!("../../data/pairs.tsv");
        let registry = Registry::builtin();
        let services = parse::rows(SERVICES, &parse::SERVICES).unwrap();
        let overlay = parse::rows(OVERLAY, &parse::OVERLAY).unwrap();
        let iana = parse::iana(&services).unwrap();
        let in_use = parse::overlay(&overlay, &iana).unwrap();
        let strong = parse::strong(&parse::rows(STRONG, &parse::STRONG).unwrap(), &overlay, &iana).unwrap();
        let vague = parse::vague(&services);
        let pairs = parse::pairs(&parse::rows(PAIRS, &parse::PAIRS).unwrap(), &iana).unwrap();
        assert!(strong.len() > 100 && vague.len() > 300 && pairs.len() > 5);
        for transport in [Transport::Tcp, Transport::Udp, Transport::Sctp, Transport::Dccp] {
            let reviewed = reviewed(transport);
            for port in 0..=u16::MAX {
                let key = (transport.name(), port);
                assert_eq!(registry.is_strong(transport, port), strong.contains(&key), "{port}/{transport}");
                let is_vague = vague.contains(&key) && in_use.get(key).is_none();
                assert_eq!(reviewed.is_vague(port), is_vague, "{port}/{transport}");
                assert!(registry.service(transport, port).is_some() || !strong.contains(&key), "{port}/{transport}");
            }
            for ((_, server), client) in pairs.iter().filter(|((word, _), _)| *word == transport.name()) {
                assert!(
                    reviewed.is_pair(*server, *client) && !reviewed.is_pair(*client, *server),
                    "{server}, {client}"
                );
            }
        }
    }

    #[test]
    fn listeners_are_those_of_the_last_reading() {
        let middle = segment(Transport::Tcp, 50_001, 8080);
        let listens_at = |port| ListenerSet::of([(Transport::Tcp, middle.ip_version, middle.src_addr, port)]);
        let mut labeller = Labeller::new(Registry::builtin());
        let mut label = |listeners, segment: &Segment| {
            labeller.set_listeners(listeners);
            let Label { server, evidence, .. } = labeller.label(segment, labeller.prepare(segment));
            (server, evidence)
        };
        let elsewhere = Segment { src_addr: AddressWords::v4([10, 0, 0, 6]), ..middle };
        let open = Segment { handshake: Handshake::Open, ..middle };
        assert_eq!(label(ListenerSet::default(), &elsewhere), (End::Dst, Evidence::Registered));
        assert_eq!(label(listens_at(50_001), &middle), (End::Src, Evidence::Listener));
        assert_eq!(label(listens_at(50_001), &elsewhere), (End::Dst, Evidence::Registered));
        assert_eq!(label(listens_at(50_001), &open), (End::Dst, Evidence::Handshake));
        assert_eq!(label(listens_at(50_002), &middle), (End::Dst, Evidence::Registered));
    }

    #[test]
    fn a_foreign_id_has_no_name() {
        let last = (0..).map_while(ServiceId::from_index).last().unwrap();
        assert_eq!(Registry::builtin().name(last), "");
    }

    /// A registry with a user's files.
    pub(super) fn with(files: &[&str], iana_names: bool) -> Registry {
        let names: Vec<_> = files.iter().map(|file| user::parse(file.as_bytes()).unwrap()).collect();
        Registry::new(names.iter().flat_map(|names| &names.entries), iana_names).unwrap()
    }

    #[test]
    fn users_names_go_before_all_others() {
        use Transport::{Dccp, Sctp, Tcp, Udp, UdpLite};
        let user = [
            "own 443/tcp\nhttps 8443/tcp\nearly 7/tcp\nrange 6000-6010/tcp\nHTTPS 99/sctp\nrtp 5004/udp\nx 65535/dccp",
            "late 7/tcp early\nmine 6005/tcp\nzero 0/tcp",
        ];
        let cases = [
            // transport, port, name and layer with the user's files, the same with IANA's names too
            (Tcp, 443, Some(("own", Layer::User)), Some(("own", Layer::User))),
            (Udp, 443, Some(("quic", Layer::Overlay)), Some(("https", Layer::Iana))),
            (UdpLite, 443, Some(("quic", Layer::Overlay)), Some(("https", Layer::Iana))),
            (Tcp, 8443, Some(("https", Layer::User)), Some(("https", Layer::User))),
            (Tcp, 7, Some(("late", Layer::User)), Some(("late", Layer::User))),
            (Udp, 7, Some(("echo", Layer::Iana)), Some(("echo", Layer::Iana))),
            (Tcp, 0, Some(("zero", Layer::User)), Some(("zero", Layer::User))),
            (Tcp, 5999, Some(("cvsup", Layer::Iana)), Some(("cvsup", Layer::Iana))),
            (Tcp, 6000, Some(("range", Layer::User)), Some(("range", Layer::User))),
            (Tcp, 6005, Some(("mine", Layer::User)), Some(("mine", Layer::User))),
            (Tcp, 6010, Some(("range", Layer::User)), Some(("range", Layer::User))),
            (Tcp, 6011, Some(("x11", Layer::Iana)), Some(("x11", Layer::Iana))),
            (Sctp, 99, Some(("HTTPS", Layer::User)), Some(("HTTPS", Layer::User))),
            (Udp, 5004, Some(("rtp", Layer::User)), Some(("rtp", Layer::User))),
            (UdpLite, 5004, Some(("rtp", Layer::User)), Some(("rtp", Layer::User))),
            (Dccp, 65_535, Some(("x", Layer::User)), Some(("x", Layer::User))),
            (Tcp, 3389, Some(("rdp", Layer::Overlay)), Some(("ms-wbt-server", Layer::Iana))),
            (Tcp, 3000, Some(("dev-http", Layer::Overlay)), Some(("hbci", Layer::Iana))),
            (Tcp, 25_565, Some(("minecraft", Layer::Overlay)), Some(("minecraft", Layer::Overlay))),
            (Tcp, 831, Some(("netconf-beep", Layer::List)), Some(("netconf-beep", Layer::List))),
            (Tcp, 4, None, None),
        ];
        let (registry, iana_too) = (with(&user, false), with(&user, true));
        for (transport, port, want, want_iana) in cases {
            for (registry, want) in [(&registry, want), (&iana_too, want_iana)] {
                let got = name(registry, transport, port).zip(registry.layer(transport, port));
                assert_eq!(got, want, "{port}/{transport}");
                let by_user = want.is_some_and(|(_, layer)| layer == Layer::User);
                assert_eq!(registry.user_names(transport, port), by_user, "{port}/{transport}");
                assert!(!Registry::builtin().user_names(transport, port));
                let iana = registry.iana(transport, port).map(|id| registry.name(id));
                let built_in = Registry::builtin();
                assert_eq!(iana, built_in.iana(transport, port).map(|id| built_in.name(id)), "{port}/{transport}");
            }
        }
        let ids = [(Tcp, 8443), (Sctp, 443)].map(|(transport, port)| registry.service(transport, port));
        assert_eq!(ids[0], ids[1], "a name that is built in is the same service");
    }

    #[test]
    fn a_name_is_hidden_when_all_its_ports_have_later_ones() {
        let later = "b 64-127/tcp\nb 130/tcp\nb 200-400/tcp\nb 65472-65535/tcp\n";
        for (first, last, hidden) in [
            (64, 127, true),
            (63, 127, false),
            (64, 128, false),
            (65, 126, true),
            (64, 64, true),
            (127, 127, true),
            (130, 130, true),
            (129, 130, false),
            (130, 131, false),
            (200, 400, true),
            (199, 400, false),
            (200, 401, false),
            (250, 390, true),
            (65_472, 65_535, true),
            (65_535, 65_535, true),
            (65_471, 65_535, false),
            (0, 65_535, false),
        ] {
            let registry = with(&[&format!("a {first}-{last}/tcp\n{later}")], false);
            assert_eq!(registry.own_names.len(), if hidden { 1 } else { 2 }, "{first}-{last}");
        }
    }

    #[test]
    fn without_anything_to_change_a_registry_is_the_built_in_one() {
        let (empty, built_in) = (with(&["# nothing\n"], false), Registry::builtin());
        let iana_only = with(&[], true);
        for transport in Transport::ALL {
            for port in 0..=u16::MAX {
                assert_eq!(empty.service(transport, port), built_in.service(transport, port));
                let (iana, shown) = (built_in.iana(transport, port), built_in.service(transport, port));
                assert_eq!(iana_only.service(transport, port), iana.or(shown), "{port}/{transport}");
            }
        }
    }

    #[test]
    fn more_names_than_ids_are_an_error() {
        let lines = |count| (0..count).map(|at| format!("n{at} {at}/tcp\n")).collect::<Vec<_>>().concat();
        let free = ServiceId::COUNT - tables::BUILT_IN;
        let new = |text: &str| {
            let names = user::parse(text.as_bytes()).unwrap();
            Registry::new(names.entries.iter(), false).map(|registry| registry.own_names.len())
        };
        assert_eq!(new(&lines(free)), Ok(free));
        assert_eq!(new(&lines(free + 1)), Err(TooManyNames { max: free }));
        // names that no port shows any more need none
        assert_eq!(new(&"a 1/tcp\nb 1/tcp\n".repeat(40_000)), Ok(1));
        assert_eq!(new(&(lines(free + 1) + "all 0-65535/tcp\n")), Ok(1));
        assert_eq!(TooManyNames { max: 7 }.to_string(), "more than 7 names that are not built in; leave some out",);
    }
}
