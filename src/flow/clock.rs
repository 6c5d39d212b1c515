//! Packet time, the only clock: nothing here knows what time it is outside the capture.

use crate::units::Timestamp;

/// A step of packet time by more than this, an hour, either way, is a jump and not the passing of time.
const JUMP_NANOS: u64 = 3_600_000_000_000;

/// The time of a capture, which is the largest packet time seen, and the age of everything in it.
///
/// Age is what idle timeouts and eviction go by. It grows with the clock and never falls, and a jump leaves it alone:
/// one packet with a bad timestamp would otherwise end every flow, or keep them all for ever.
#[derive(Clone, Debug, Default)]
pub struct PacketClock {
    now: Option<Timestamp>,
    age_nanos: u64,
    jumps: u64,
    /// For how long from now on nothing depends on the time, see [`PacketClock::be_quiet_for`].
    quiet_nanos: u64,
}

impl PacketClock {
    /// Nothing that depends on the time is due before so many nanoseconds have passed, unless the clock moves in another way
    /// than [`PacketClock::passes_quietly`] until then.
    pub fn be_quiet_for(&mut self, nanos: u64) {
        // to the end of time at most, where times begin anew for who only subtracts
        self.quiet_nanos = self.now.map_or(0, |now| nanos.min(JUMP_NANOS).min(Timestamp::MAX.nanos_since(now)));
    }

    /// Moves the clock to a packet's time, if that comes before anything is due; as most do.
    #[inline(always)]
    pub fn passes_quietly(&mut self, ts: Timestamp) -> bool {
        let now = self.now.unwrap_or_default();
        // what is late comes out far beyond any limit
        #[expect(clippy::cast_sign_loss, reason = "that is what makes it so")]
        let step_nanos = ts.as_nanos().wrapping_sub(now.as_nanos()) as u64;
        let passes = step_nanos < self.quiet_nanos;
        if passes {
            self.now = Some(ts);
            self.age_nanos += step_nanos;
            self.quiet_nanos -= step_nanos;
        }
        passes
    }

    /// Moves the clock to a packet's time, unless it is a little late.
    pub fn advance(&mut self, ts: Timestamp) {
        self.quiet_nanos = 0;
        if self.is_jump(ts) {
            self.jumps += 1;
            self.now = Some(ts);
            return;
        }
        self.age_nanos += self.nanos_until(ts);
        self.now = Some(self.now.map_or(ts, |now| now.max(ts)));
    }

    /// Sets the clock to a time that is known to be right, though packets were stamped with later ones: that is a jump too.
    pub fn set_back(&mut self, now: Timestamp) {
        self.jumps += 1;
        self.now = Some(now);
        self.quiet_nanos = 0;
    }

    /// A packet at `ts` makes the clock jump.
    #[must_use]
    pub fn is_jump(&self, ts: Timestamp) -> bool {
        self.now.is_some_and(|now| ts.nanos_since(now).max(now.nanos_since(ts)) > JUMP_NANOS)
    }

    /// How far the clock is from `ts`, in nanoseconds; 0 when it is there, or has not begun.
    #[must_use]
    pub fn nanos_until(&self, ts: Timestamp) -> u64 {
        self.now.map_or(0, |now| ts.nanos_since(now))
    }

    /// The clock; `None` before the first packet.
    #[must_use]
    pub fn now(&self) -> Option<Timestamp> {
        self.now
    }

    /// Nanoseconds that have passed since the first packet, jumps left out.
    #[must_use]
    pub fn age_nanos(&self) -> u64 {
        self.age_nanos
    }

    /// How often packet time jumped.
    #[must_use]
    pub fn jumps(&self) -> u64 {
        self.jumps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn age_grows_with_time_and_not_with_jumps() {
        let hour = 3_600_000_000_000;
        let cases: [(&str, &[i64], u64, u64, i64); 7] = [
            ("one packet", &[5], 0, 0, 5),
            ("in order", &[5, 6, 9], 4, 0, 9),
            ("a late packet", &[5, 9, 6, 10], 5, 0, 10),
            ("exactly an hour", &[0, hour], 3_600_000_000_000, 0, hour),
            ("a bad timestamp and back", &[0, 10, 900 * hour, 11, 12], 11, 2, 12),
            ("a day of silence", &[0, 24 * hour, 24 * hour + 1], 1, 1, 24 * hour + 1),
            ("the ends of time", &[i64::MIN, i64::MAX, i64::MIN], 0, 2, i64::MIN),
        ];
        for (name, packets, age, jumps, now) in cases {
            let mut clock = PacketClock::default();
            for nanos in packets {
                clock.advance(Timestamp::from_nanos(*nanos));
            }
            let got = (clock.age_nanos(), clock.jumps(), clock.now().map(Timestamp::as_nanos));
            assert_eq!(got, (age, jumps, Some(now)), "{name}");
        }
    }
}
