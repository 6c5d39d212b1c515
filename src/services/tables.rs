//! What each port is called: the tables of `data/`, which the build script turns into arrays, and what a user changes.

use std::ops::RangeInclusive;

use crate::units::ServiceId;

/// Ports of a transport.
const PORTS: usize = 1 << 16;

/// Where the name of a port comes from, in the order in which they are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// A user's own file, `--services`.
    User,
    /// The reviewed names in use, `data/overlay.tsv`.
    Overlay,
    /// The port registry of IANA, `data/services.tsv`.
    Iana,
    /// The list that the project started from, `data/seed.tsv`: only where IANA has no name.
    List,
}

impl Layer {
    /// Every layer, in the order in which they are asked.
    pub const ALL: [Self; 4] = [Self::User, Self::Overlay, Self::Iana, Self::List];

    /// The name in outputs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Overlay => "overlay",
            Self::Iana => "iana",
            Self::List => "list",
        }
    }
}

impl serde::Serialize for Layer {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// What each port is called, by its number.
type Ids = [Option<ServiceId>; PORTS];

/// The names of one transport's ports. The array stands apart from the rest, which holds an address: so it is a
/// read-only part of the file that nothing has to touch at start.
#[derive(Debug)]
pub(super) struct PortTable {
    built_in: &'static Ids,
    /// Ports whose built-in name is not IANA's, in ascending order.
    exceptions: &'static [Exception],
    /// What stands instead of the built-in names.
    own: Option<Box<Own>>,
}

/// What a user asked for.
#[derive(Debug)]
struct Own {
    ids: Ids,
    /// Ports that the user names, a bit each.
    named: Ports,
    /// IANA's names stand before those of the overlay.
    iana_first: bool,
}

/// A port whose name is not IANA's.
#[derive(Debug)]
struct Exception {
    port: u16,
    layer: Layer,
    /// IANA's name, which the other one hides.
    iana: Option<ServiceId>,
}

impl Exception {
    const fn of(port: u16, layer: Layer, iana: Option<usize>) -> Self {
        let iana = match iana {
            Some(index) => ServiceId::from_index(index),
            None => None,
        };
        Self { port, layer, iana }
    }
}

/// The array of runs of ports (first, last, index of the name).
const fn ids(runs: &[(u16, u16, usize)]) -> Ids {
    #[expect(clippy::large_stack_arrays, reason = "only the compiler evaluates it")]
    let mut ids = [None; PORTS];
    let mut run = 0;
    while run < runs.len() {
        let (first, last, index) = runs[run];
        let mut port = first as usize;
        while port <= last as usize {
            ids[port] = ServiceId::from_index(index);
            port += 1;
        }
        run += 1;
    }
    ids
}

impl PortTable {
    const fn built_in(ids: &'static Ids, exceptions: &'static [Exception]) -> Self {
        Self { built_in: ids, exceptions, own: None }
    }

    /// The name of a port: one load without a bounds check, as a `u16` cannot miss 65,536 entries.
    pub(super) const fn get(&self, port: u16) -> Option<ServiceId> {
        match &self.own {
            None => self.built_in[port as usize],
            Some(own) => own.ids[port as usize],
        }
    }

    /// The name of a port that is built in, as long as nobody has asked for other ones.
    #[inline(always)]
    pub(super) fn built_in_name(&self, port: u16) -> Option<ServiceId> {
        if self.own.is_none() { self.built_in[usize::from(port)] } else { None }
    }

    /// The user named each of these ports.
    pub(super) fn user_names_all(&self, ports: &RangeInclusive<u16>) -> bool {
        self.own.as_ref().is_some_and(|own| own.names_all(ports))
    }

    /// Gives a name to those ports that the user did not name yet.
    pub(super) fn name_unnamed(&mut self, ports: RangeInclusive<u16>, service: ServiceId) {
        let own = self.own();
        for port in ports {
            if !own.names(port) {
                own.ids[usize::from(port)] = Some(service);
                own.named[usize::from(port / 64)] |= 1 << (port % 64);
            }
        }
    }

    /// Puts IANA's names before those of the overlay; what the user named stays.
    pub(super) fn prefer_iana(&mut self) {
        let exceptions = self.exceptions;
        let own = self.own();
        own.iana_first = true;
        for exception in exceptions {
            if exception.iana.is_some() && !own.names(exception.port) {
                own.ids[usize::from(exception.port)] = exception.iana;
            }
        }
    }

    fn own(&mut self) -> &mut Own {
        self.own.get_or_insert_with(|| Box::new(Own { ids: *self.built_in, named: [0; PORTS / 64], iana_first: false }))
    }

    /// A user's file names the port.
    pub(super) fn user_names(&self, port: u16) -> bool {
        self.own.as_ref().is_some_and(|own| own.names(port))
    }

    /// The layer that names a port; `None` without a name.
    pub(super) fn layer(&self, port: u16) -> Option<Layer> {
        if self.user_names(port) {
            return Some(Layer::User);
        }
        let iana_first = self.own.as_ref().is_some_and(|own| own.iana_first);
        self.get(port).map(|_| match self.exception(port) {
            Some(exception) if !(iana_first && exception.iana.is_some()) => exception.layer,
            _ => Layer::Iana,
        })
    }

    /// The name of a port in IANA's own spelling.
    pub(super) fn iana(&self, port: u16) -> Option<ServiceId> {
        self.exception(port).map_or_else(|| self.built_in[usize::from(port)], |exception| exception.iana)
    }

    fn exception(&self, port: u16) -> Option<&Exception> {
        let place = self.exceptions.binary_search_by_key(&port, |exception| exception.port).ok()?;
        self.exceptions.get(place)
    }
}

/// A set of ports, a bit each: one load tells.
type Ports = [u64; PORTS / 64];

/// The set of the ports of a list.
const fn set(ports: &[u16]) -> Ports {
    let mut set = [0; PORTS / 64];
    let mut at = 0;
    while at < ports.len() {
        set[ports[at] as usize / 64] |= 1 << (ports[at] % 64);
        at += 1;
    }
    set
}

const fn set_of_pairs(pairs: &[(u16, u16)]) -> Ports {
    let mut set = [0; PORTS / 64];
    let mut at = 0;
    while at < pairs.len() {
        let (server, client) = pairs[at];
        set[server as usize / 64] |= 1 << (server % 64);
        set[client as usize / 64] |= 1 << (client % 64);
        at += 1;
    }
    set
}

const fn holds(set: &Ports, port: u16) -> bool {
    set[port as usize / 64] & 1 << (port % 64) != 0
}

/// What people have looked at of a transport's ports, for the ladder.
#[derive(Debug)]
pub(super) struct Reviewed {
    /// The name is a strong sign of a server: `data/strong.tsv`, and the overlay's renames and additions.
    strong: Ports,
    /// People have looked at the name: the rows of `data/overlay.tsv`.
    known: Ports,
    /// IANA names the port, but no transport.
    vague: Ports,
    /// Ports of server and client that belong together, in ascending order: `data/pairs.tsv`.
    pairs: &'static [(u16, u16)],
    /// The ports that are in one of them.
    paired: Ports,
}

impl Reviewed {
    const fn new(strong: &[u16], known: &[u16], vague: &[u16], pairs: &'static [(u16, u16)]) -> Self {
        Self { strong: set(strong), known: set(known), vague: set(vague), pairs, paired: set_of_pairs(pairs) }
    }

    pub(super) const fn is_strong(&self, port: u16) -> bool {
        holds(&self.strong, port)
    }

    pub(super) const fn is_known(&self, port: u16) -> bool {
        holds(&self.known, port)
    }

    pub(super) const fn is_vague(&self, port: u16) -> bool {
        holds(&self.vague, port)
    }

    /// The two ports are a pair, the first of them the server's.
    pub(super) fn is_pair(&self, server: u16, client: u16) -> bool {
        // few ports are in any
        holds(&self.paired, server)
            && holds(&self.paired, client)
            && self.pairs.binary_search(&(server, client)).is_ok()
    }
}

impl Own {
    /// 64 ports at a time: a file may hold a great many ranges that are hidden by later ones.
    fn names_all(&self, ports: &RangeInclusive<u16>) -> bool {
        let (first, last) = (usize::from(*ports.start()), usize::from(*ports.end()));
        let (from, to) = (first / 64, last / 64);
        (from..=to).zip(&self.named[from..=to]).all(|(at, named)| {
            let below = if at == from { !(u64::MAX << (first % 64)) } else { 0 };
            let above = if at == to { (u64::MAX << (last % 64)) << 1 } else { 0 };
            named | below | above == u64::MAX
        })
    }

    const fn names(&self, port: u16) -> bool {
        holds(&self.named, port)
    }
}

/// The name of a built-in service; empty for an id that no built-in table gave.
pub(super) fn name(service: ServiceId) -> &'static str {
    let start = |index: usize| STARTS.get(index).map(|&start| usize::from(start));
    let Some(first) = start(service.index()) else { return "" };
    NAMES.get(first..start(service.index() + 1).unwrap_or(NAMES.len())).unwrap_or_default()
}

/// Built-in names, each with its id.
pub(super) fn names() -> impl Iterator<Item = (&'static str, ServiceId)> {
    (0..STARTS.len()).filter_map(ServiceId::from_index).map(|service| (name(service), service))
}

/// How many names are built in: ids from here on are free.
pub(super) const BUILT_IN: usize = STARTS.len();

include!(concat!(env!("OUT_DIR"), "/tables.rs"));
