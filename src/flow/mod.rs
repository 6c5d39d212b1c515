//! Flows: what belongs together between two endpoints, from its first packet to its end.

mod clock;
mod index;
mod key;
mod packet;
mod queue;
mod slab;
mod table;
mod tcp;

pub use clock::PacketClock;
pub use key::{FlowKey, Side};
pub use packet::{Header, Keyer, Packet};
pub use slab::Slot;
pub use table::{Counted, FlowTable, Limits, Opening, Turn};
pub use tcp::{Closing, HandshakeClock, TcpState};

use crate::snapshot::{FlowEnd, Traffic};
use crate::units::{Endpoint, Timestamp};

/// One flow, in two cache lines: what finding it and telling its state takes is in the first, the counters are in the
/// second.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub struct Flow {
    key: FlowKey,
    /// Monotone time of its last packet, see [`PacketClock`].
    seen_age: u64,
    /// Largest packet time.
    pub last_ts: Timestamp,
    /// Where the statistics of its label are kept.
    pub cell: u32,
    tcp: TcpState,
    /// TCP flags that occurred since the record began, as bits of the header.
    pub tcp_flags: u8,
    server: Side,

    /// What went to the server since the record began.
    pub to_server: Traffic,
    /// What came from the server since then.
    pub from_server: Traffic,
    /// Smallest packet time.
    pub first_ts: Timestamp,
    /// When the record that is being kept began: the first packet, or the last time that the active timeout cut it.
    pub record_first_ts: Timestamp,
    handshake: HandshakeClock,
    /// Which flow of the run this is, counted from 0 and modulo 2^32: its place in the order of first packets.
    number: u32,
    /// A packet came from the server.
    pub answered: bool,
    /// Tunnel headers around its first packet.
    pub tunnels: u8,
    /// Its first packet was the client's, and opened a connection.
    has_opened: bool,
}

const _: () = assert!(size_of::<Flow>() == 128, "a flow is two cache lines");

impl Flow {
    /// The flow's identity.
    #[must_use]
    pub fn key(&self) -> &FlowKey {
        &self.key
    }

    /// The end that asks.
    #[must_use]
    pub fn client(&self) -> Endpoint {
        self.key.endpoint(self.server.other())
    }

    /// The end that serves.
    #[must_use]
    pub fn server(&self) -> Endpoint {
        self.key.endpoint(self.server)
    }

    /// Microseconds from the SYN to the client's first ACK; `None` when it cannot be told.
    #[must_use]
    pub fn handshake_rtt_us(&self) -> Option<u64> {
        self.tcp.is_timed().then(|| self.handshake.rtt_us())
    }

    /// Microseconds from the first packet to the last.
    #[must_use]
    pub fn duration_us(&self) -> u64 {
        self.last_ts.nanos_since(self.first_ts) / 1000
    }

    /// What to call the end of a flow that is taken out for `why`: a connection that was closed or reset has ended by
    /// itself, however much later it is taken out, unless that was to make room.
    #[must_use]
    pub fn end(&self, why: FlowEnd) -> FlowEnd {
        match (why, self.tcp.closing()) {
            (FlowEnd::Idle | FlowEnd::Final, Closing::Closed) => FlowEnd::Closed,
            (FlowEnd::Idle | FlowEnd::Final, Closing::Reset) => FlowEnd::Reset,
            _ => why,
        }
    }
}
