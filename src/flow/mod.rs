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
pub use queue::Queued;
pub use slab::Slot;
pub use table::{FlowTable, Limits, Passed, Turn};
pub use tcp::{Closing, HandshakeClock, TcpState};

use crate::snapshot::{FlowEnd, Traffic};
use crate::units::Timestamp;

/// What each packet touches of a flow, in one cache line; the rest is in its [`Times`] and its [`Draft`].
///
/// Which end serves is not known here: what depends on it is kept for both ends.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub struct Flow {
    key: FlowKey,
    /// Monotone time of its last packet, see [`PacketClock`], in nanoseconds.
    seen_age_nanos: u64,
    /// Largest packet time; since the record began, where it was cut.
    pub last_ts: Timestamp,
    /// Which flow of the run this is, counted from 0 and modulo 2^32: its place in the order of first packets.
    number: u32,
    tcp: TcpState,
    /// TCP flags that occurred since the record began, as bits of the header.
    pub tcp_flags: u8,
    ends: Ends,
}

/// What only few packets touch of a flow: the first, those that come late, and those of handshakes.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Smallest packet time.
    first_ts: Timestamp,
    handshake: HandshakeClock,
}

/// What a record of a flow takes beside that; only where flows are reported, or cut.
#[derive(Clone, Copy, Debug)]
pub struct Draft {
    /// What each end sent since the record began, as [`Side`] counts them; only where flows are reported.
    sent: [Traffic; 2],
    /// When the record began: the first packet, or the last time that the active timeout cut it.
    pub first_ts: Timestamp,
    /// Tunnel headers around the flow's first packet.
    pub tunnels: u8,
}

const _: () = assert!(size_of::<Flow>() == 64, "a flow is a cache line");
const _: () = assert!(size_of::<Times>() == 16, "those of a flow are within a cache line");

/// Who of a flow's ends has sent something, in one byte: a bit for each, one for the end that sent the first packet, and one
/// when there were more packets than that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ends(u8);

impl Ends {
    const LOW: u8 = 1;
    const HIGH: u8 = 2;
    const FIRST_IS_HIGH: u8 = 4;
    const SENT_AGAIN: u8 = 8;

    #[inline(always)]
    const fn bit(sender: Side) -> u8 {
        match sender {
            Side::Low => Self::LOW,
            Side::High => Self::HIGH,
        }
    }

    /// Only `sender` has.
    const fn one(sender: Side) -> Self {
        Self(Self::bit(sender) | if matches!(sender, Side::High) { Self::FIRST_IS_HIGH } else { 0 })
    }

    /// The end that sent the first packet.
    const fn first(self) -> Side {
        if self.0 & Self::FIRST_IS_HIGH == 0 { Side::Low } else { Side::High }
    }

    /// Both have.
    const fn are_both(self) -> bool {
        self.0 & (Self::LOW | Self::HIGH) == Self::LOW | Self::HIGH
    }

    /// There were packets after the first.
    const fn sent_again(self) -> bool {
        self.0 & Self::SENT_AGAIN != 0
    }

    /// Takes note that `sender` has, after the first packet.
    #[inline(always)]
    const fn add(&mut self, sender: Side) {
        self.0 |= Self::bit(sender) | Self::SENT_AGAIN;
    }
}

impl Flow {
    /// What stands where there is no flow.
    const NOBODY: Self = Self {
        key: FlowKey::NOTHING,
        seen_age_nanos: 0,
        last_ts: Timestamp::MIN,
        number: 0,
        tcp: TcpState::NEW,
        tcp_flags: 0,
        ends: Ends(0),
    };

    /// The flow's identity.
    #[must_use]
    pub fn key(&self) -> &FlowKey {
        &self.key
    }

    /// Packets came from both ends.
    #[must_use]
    pub fn is_two_way(&self) -> bool {
        self.ends.are_both()
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

impl Times {
    /// Of the flow whose first packet was at `ts`.
    #[inline(always)]
    const fn of_first(ts: Timestamp) -> Self {
        Self { first_ts: ts, handshake: HandshakeClock::start(ts) }
    }

    /// Microseconds from the SYN to the first ACK of the end that sent it, which is the end that sent the first packet;
    /// `None` when it cannot be told. `flow` is the one whose times these are.
    #[must_use]
    pub fn handshake_rtt_us(&self, flow: &Flow) -> Option<u64> {
        flow.tcp.is_timed().then(|| self.handshake.rtt_us())
    }

    /// Microseconds from the first packet of `flow`, whose times these are, to the last.
    #[must_use]
    pub fn duration_us(&self, flow: &Flow) -> u64 {
        flow.last_ts.nanos_since(self.first_ts) / 1000
    }
}

impl Draft {
    /// Of the flow whose first packet was at `ts`, within so many tunnels.
    const fn of_first(ts: Timestamp, tunnels: u8) -> Self {
        Self { sent: [Traffic { packets: 0, wire_bytes: 0 }; 2], first_ts: ts, tunnels }
    }

    /// What one end sent since the record began.
    #[must_use]
    pub fn sent(&self, side: Side) -> Traffic {
        self.sent[side as usize]
    }
}
