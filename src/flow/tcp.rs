//! What a TCP flow remembers of its connection: the opening, for the round trip, and the close.
//!
//! Which end serves is not known here. An opening is timed when a SYN is the flow's first packet, and then the end that sent
//! the first packet is the client; for the close it is enough to tell the two ends apart.

use crate::decode::tcp_flag::{ACK, FIN, RST, SYN};
use crate::units::Timestamp;

/// The state of a connection, in two bytes. Other transports never leave the first state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpState {
    opening: Opening,
    closing: Closing,
}

/// How far the handshake has come, as far as its round trip can be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
enum Opening {
    /// No SYN was seen first, or one was repeated: no round trip.
    #[default]
    Untimed,
    /// The client's first ACK was seen: the time is known.
    Timed,
    /// One SYN was seen.
    Syn,
    /// One SYN, then one SYN ACK.
    SynAck,
}

/// How a connection came to its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Closing {
    /// It goes on.
    #[default]
    Open,
    /// The end that sent the first packet sent FIN, the other did not yet.
    FirstFin,
    /// The other end sent FIN, that one did not yet.
    OtherFin,
    /// Both sent FIN.
    Closed,
    /// One sent RST before that.
    Reset,
}

impl Closing {
    /// What the flags of one more packet make of it.
    fn after(self, flags: u8, from_first: bool) -> Self {
        match (self, flags & FIN != 0, from_first) {
            (Self::Closed | Self::Reset, ..) => self,
            _ if flags & RST != 0 => Self::Reset,
            (Self::Open, true, true) => Self::FirstFin,
            (Self::Open, true, false) => Self::OtherFin,
            (Self::FirstFin, true, false) | (Self::OtherFin, true, true) => Self::Closed,
            _ => self,
        }
    }
}

impl TcpState {
    /// Of a flow without packets.
    pub const NEW: Self = Self { opening: Opening::Untimed, closing: Closing::Open };

    /// The state after a flow's first packet. Only a SYN starts the clock of the round trip.
    #[must_use]
    pub fn first(flags: u8) -> Self {
        let opening = if flags & (SYN | ACK | RST | FIN) == SYN { Opening::Syn } else { Opening::Untimed };
        Self { opening, closing: Closing::Open.after(flags, true) }
    }

    /// Takes note of a later packet's flags; `from_first`: by the end that sent the flow's first packet. True when this is
    /// the client's first ACK after a SYN that was not repeated, nor its SYN ACK: the moment that ends the handshake's round
    /// trip (RFC 9293, figure 6).
    pub fn observe(&mut self, flags: u8, from_first: bool) -> bool {
        if flags & (FIN | RST) != 0 {
            self.closing = self.closing.after(flags, from_first);
        }
        if self.is_settled() {
            return false;
        }
        self.opening = match (flags & (SYN | ACK | RST), from_first) {
            (ACK, true) => Opening::Timed,
            (flags, false) if flags == SYN | ACK && self.opening == Opening::Syn => Opening::SynAck,
            (0 | ACK, _) => self.opening,
            // a SYN or SYN ACK again: nobody can tell which of them was answered
            _ => Opening::Untimed,
        };
        self.opening == Opening::Timed
    }

    /// The opening is over, or was not seen: a packet without SYN, FIN and RST is nothing to take note of.
    #[must_use]
    #[inline(always)]
    pub fn is_settled(self) -> bool {
        matches!(self.opening, Opening::Untimed | Opening::Timed)
    }

    /// How the connection has ended, if it has.
    #[must_use]
    pub fn closing(self) -> Closing {
        self.closing
    }

    /// A SYN opens a new connection between these ends, rather than being a repeated one.
    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(self.closing, Closing::Closed | Closing::Reset)
    }

    /// The round trip of the handshake is known.
    #[must_use]
    pub fn is_timed(self) -> bool {
        self.opening == Opening::Timed
    }

    /// Forgets the round trip: the capture steps backwards in time between SYN and ACK.
    pub fn forget_opening(&mut self) {
        self.opening = Opening::Untimed;
    }
}

/// One word that is the time of the SYN until the round trip is known, and the round trip from then on.
/// Which of the two it is, [`TcpState::is_timed`] says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HandshakeClock(i64);

impl HandshakeClock {
    /// Started by a SYN at `ts`.
    #[must_use]
    pub const fn start(ts: Timestamp) -> Self {
        Self(ts.as_nanos())
    }

    /// Stops at `ts`, and returns the microseconds since the SYN; `None` when `ts` is before it.
    pub fn stop(&mut self, ts: Timestamp) -> Option<u64> {
        let syn = Timestamp::from_nanos(self.0);
        let rtt_us = (ts >= syn).then(|| ts.nanos_since(syn) / 1000)?;
        self.0 = i64::try_from(rtt_us).unwrap_or(i64::MAX);
        Some(rtt_us)
    }

    /// Microseconds from the SYN to the client's first ACK, once stopped.
    #[must_use]
    pub fn rtt_us(self) -> u64 {
        self.0.unsigned_abs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_round_trip_needs_one_syn_and_one_syn_ack() {
        let (client, server) = (true, false);
        let cases: [(&str, &[(u8, bool)], bool); 9] = [
            ("handshake", &[(SYN | ACK, server), (ACK, client)], true),
            ("client's half only", &[(ACK, client)], true),
            ("first ACK carries data", &[(SYN | ACK, server), (ACK | 8, client)], true),
            ("SYN repeated", &[(SYN, client), (SYN | ACK, server), (ACK, client)], false),
            ("SYN ACK repeated", &[(SYN | ACK, server), (SYN | ACK, server), (ACK, client)], false),
            ("refused", &[(RST | ACK, server), (ACK, client)], false),
            ("given up", &[(SYN | ACK, server), (RST, client)], false),
            ("challenge ACK first", &[(ACK, server), (SYN | ACK, server), (ACK, client)], true),
            ("never answered", &[], false),
        ];
        for (name, segments, want) in cases {
            let mut state = TcpState::first(SYN);
            let timed = segments.iter().filter(|(flags, from_client)| state.observe(*flags, *from_client)).count();
            assert_eq!((timed == 1, state.is_timed()), (want, want), "{name}");
        }
        let mut midstream = TcpState::first(ACK);
        assert!(!midstream.observe(SYN | ACK, server) && !midstream.observe(ACK, client), "no SYN was seen");
    }

    #[test]
    fn both_fins_close_and_one_rst_resets() {
        let (client, server) = (true, false);
        let cases: [(&str, &[(u8, bool)], Closing); 7] = [
            ("open", &[(ACK, client)], Closing::Open),
            ("half", &[(FIN | ACK, client), (FIN | ACK, client)], Closing::FirstFin),
            ("other half", &[(FIN | ACK, server)], Closing::OtherFin),
            ("closed by the client", &[(FIN | ACK, client), (FIN | ACK, server), (ACK, client)], Closing::Closed),
            ("closed by the server", &[(FIN | ACK, server), (FIN | ACK, client)], Closing::Closed),
            ("reset", &[(FIN | ACK, client), (RST, server), (FIN | ACK, server)], Closing::Reset),
            ("RST after the close", &[(FIN | ACK, client), (FIN | ACK, server), (RST, client)], Closing::Closed),
        ];
        for (name, segments, want) in cases {
            let mut state = TcpState::default();
            for (flags, from_client) in segments {
                state.observe(*flags, *from_client);
            }
            assert_eq!(state.closing(), want, "{name}");
            assert_eq!(state.is_over(), matches!(want, Closing::Closed | Closing::Reset), "{name}");
        }
    }
}
