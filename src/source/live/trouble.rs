//! What keeps an interface from being captured from, and what happens to one meanwhile.

use std::sync::Arc;

use crate::units::cut;

/// What keeps an interface from being captured from.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is none of that name.
    #[error("{name}: no such interface")]
    Unknown {
        /// The name.
        name: String,
    },
    /// It is not up.
    #[error("{name}: the interface is down; bring it up with: ip link set {name} up")]
    Down {
        /// The name.
        name: String,
    },
    /// Captures take a privilege that the process lacks.
    #[error("{name}: no permission to capture")]
    Permission {
        /// The name.
        name: String,
    },
    /// The expression makes no sense for this interface.
    #[error("{name}: filter expression {:?}: {message}", cut(.expression))]
    Filter {
        /// The interface.
        name: String,
        /// The expression.
        expression: String,
        /// What libpcap says.
        message: String,
    },
    /// Anything else.
    #[error("{name}: cannot capture: {message}")]
    Other {
        /// The interface.
        name: String,
        /// What libpcap or the system says.
        message: String,
    },
}

/// What happens to an interface while it is captured from.
#[derive(Debug, thiserror::Error)]
pub enum LiveTrouble {
    /// Somebody took it down.
    #[error("{name}: the interface is down; waiting for it to come up again")]
    Down {
        /// The interface.
        name: Arc<str>,
    },
    /// It is up after it was down.
    #[error("{name}: the interface is up again")]
    Up {
        /// The interface.
        name: Arc<str>,
    },
    /// It was removed.
    #[error("{name}: the interface is gone")]
    Gone {
        /// The interface.
        name: Arc<str>,
    },
    /// Somebody gave it another name.
    #[error("{name}: the interface is called {now} now; capturing goes on")]
    Renamed {
        /// The interface, as it was called.
        name: Arc<str>,
        /// What it is called.
        now: String,
    },
    /// One of its name was created after it was removed.
    #[error("{name}: the interface is there again; capturing goes on")]
    Back {
        /// The interface.
        name: Arc<str>,
    },
    /// One of its name was created, and cannot be captured from.
    #[error("{0}; it was created anew, and is lost for this run")]
    Lost(OpenError),
    /// Packets are longer than the interface could send.
    #[error(
        "{name}: packets longer than the MTU of {mtu} bytes: the kernel joins or splits them elsewhere (offloads), \
         so numbers and sizes of packets are the kernel's, not the wire's"
    )]
    Oversize {
        /// The interface.
        name: Arc<str>,
        /// Its MTU, in bytes.
        mtu: u32,
    },
    /// Promiscuous mode cannot be had.
    #[error("{name}: not in promiscuous mode: {message}")]
    NotPromiscuous {
        /// The interface.
        name: Arc<str>,
        /// What libpcap says.
        message: String,
    },
}
