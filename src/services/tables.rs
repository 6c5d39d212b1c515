//! The built-in names: the tables of `data/`, which the build script turns into arrays.

use crate::units::ServiceId;

/// Ports of a transport.
const PORTS: usize = 1 << 16;

/// Where the name of a port comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// The reviewed names in use, `data/overlay.tsv`.
    Overlay,
    /// The port registry of IANA, `data/services.tsv`.
    Iana,
    /// The list that the project started from, `data/seed.tsv`: only where IANA has no name.
    List,
}

/// What each port is called, by its number.
type Ids = [Option<ServiceId>; PORTS];

/// The names of one transport's ports. The array stands apart from the rest, which holds an address: so it is a
/// read-only part of the file that nothing has to touch at start.
#[derive(Clone, Copy, Debug)]
pub(super) struct PortTable {
    ids: &'static Ids,
    /// Ports whose name is not IANA's, in ascending order.
    exceptions: &'static [Exception],
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
    /// The name of a port: one load without a bounds check, as a `u16` cannot miss 65,536 entries.
    pub(super) const fn get(&self, port: u16) -> Option<ServiceId> {
        self.ids[port as usize]
    }

    /// The layer that names a port; `None` without a name.
    pub(super) fn layer(&self, port: u16) -> Option<Layer> {
        self.get(port).map(|_| self.exception(port).map_or(Layer::Iana, |exception| exception.layer))
    }

    /// The name of a port in IANA's own spelling.
    pub(super) fn iana(&self, port: u16) -> Option<ServiceId> {
        self.exception(port).map_or_else(|| self.get(port), |exception| exception.iana)
    }

    fn exception(&self, port: u16) -> Option<&Exception> {
        let place = self.exceptions.binary_search_by_key(&port, |exception| exception.port).ok()?;
        self.exceptions.get(place)
    }
}

/// What people have looked at of a transport's ports, for the ladder: each list in ascending order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reviewed {
    /// The name is a strong sign of a server: `data/strong.tsv`, and the overlay's renames and additions.
    strong: &'static [u16],
    /// IANA names the port, but no transport.
    vague: &'static [u16],
    /// Ports of server and client that belong together: `data/pairs.tsv`.
    pairs: &'static [(u16, u16)],
}

impl Reviewed {
    pub(super) fn is_strong(&self, port: u16) -> bool {
        self.strong.binary_search(&port).is_ok()
    }

    pub(super) fn is_vague(&self, port: u16) -> bool {
        self.vague.binary_search(&port).is_ok()
    }

    /// The two ports are a pair, the first of them the server's.
    pub(super) fn is_pair(&self, server: u16, client: u16) -> bool {
        self.pairs.binary_search(&(server, client)).is_ok()
    }
}

/// The name of a built-in service; empty for an id that no built-in table gave.
pub(super) fn name(service: ServiceId) -> &'static str {
    let start = |index: usize| STARTS.get(index).map(|&start| usize::from(start));
    let Some(first) = start(service.index()) else { return "" };
    NAMES.get(first..start(service.index() + 1).unwrap_or(NAMES.len())).unwrap_or_default()
}

include!(concat!(env!("OUT_DIR"), "/tables.rs"));
