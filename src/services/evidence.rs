//! The rule that named a flow: what a user asks first about a label.

/// Which rule decided a label, in the order in which they are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Evidence {
    /// A user file names one of the two ports.
    Override,
    /// The opening of a connection says who serves.
    Handshake,
    /// One end is a listening socket of this host.
    Listener,
    /// One end is a multicast or broadcast address: it serves.
    Multicast,
    /// One end was seen to serve before.
    Learned,
    /// Both ports are equal.
    SamePort,
    /// A reviewed pair of ports, such as 67 and 68.
    Pair,
    /// One port only is in the strong set.
    Strong,
    /// A named port below 1024.
    System,
    /// A named port from 1024 to 32767.
    Registered,
    /// A named port from 32768 up while the other is from 49152 up.
    Ephemeral,
    /// No rule found a name.
    None,
}

impl Evidence {
    /// Every kind, in the order in which the rules are tried; `Evidence as usize` is the place in it.
    pub const ALL: [Self; 12] = [
        Self::Override,
        Self::Handshake,
        Self::Listener,
        Self::Multicast,
        Self::Learned,
        Self::SamePort,
        Self::Pair,
        Self::Strong,
        Self::System,
        Self::Registered,
        Self::Ephemeral,
        Self::None,
    ];

    /// The name in outputs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Override => "override",
            Self::Handshake => "handshake",
            Self::Listener => "listener",
            Self::Multicast => "multicast",
            Self::Learned => "learned",
            Self::SamePort => "same_port",
            Self::Pair => "pair",
            Self::Strong => "strong",
            Self::System => "system",
            Self::Registered => "registered",
            Self::Ephemeral => "ephemeral",
            Self::None => "none",
        }
    }
}

impl serde::Serialize for Evidence {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
