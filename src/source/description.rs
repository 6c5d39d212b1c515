//! What one unit of a pcapng timestamp is worth.

use super::record::ByteOrder;
use crate::units::{LinkType, Timestamp};

/// What one unit of a timestamp is worth (option `if_tsresol`, draft-ietf-opsawg-pcapng, section 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    /// So many nanoseconds.
    Nanos(u64),
    /// One nanosecond divided by this.
    NanosPer(u64),
    /// Less than can make up a nanosecond in 64 bits.
    Nothing,
    /// 2 to the minus this of a second.
    SecondShifted(u8),
}

/// How the timestamps of an interface become times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clock {
    unit: Unit,
    /// Nanoseconds to add (option `if_tsoffset`, which is in seconds).
    offset_nanos: i128,
}

impl Clock {
    /// Microseconds since the Unix epoch: what holds when an interface says nothing else.
    pub const MICROSECONDS: Self = Self { unit: Unit::Nanos(1_000), offset_nanos: 0 };

    /// Sets the resolution. The highest bit of `if_tsresol` tells the base, 2 or 10; the rest is the negative exponent.
    pub fn set_resolution(&mut self, if_tsresol: u8) {
        let exponent = u32::from(if_tsresol & 0x7f);
        self.unit = match (if_tsresol & 0x80 != 0, exponent) {
            (true, _) => Unit::SecondShifted(if_tsresol & 0x7f),
            (false, 0..=9) => Unit::Nanos(10_u64.pow(9 - exponent)),
            (false, _) => 10_u64.checked_pow(exponent - 9).map_or(Unit::Nothing, Unit::NanosPer),
        };
    }

    /// Sets what is added to every timestamp, in seconds.
    pub fn set_offset(&mut self, if_tsoffset_seconds: i64) {
        self.offset_nanos = i128::from(if_tsoffset_seconds) * 1_000_000_000;
    }

    /// The time that `ticks` units stand for; parts of a nanosecond are dropped.
    ///
    /// # Errors
    /// The time cannot be told: the nearest that can.
    #[inline]
    pub fn time(&self, ticks: u64) -> Result<Timestamp, Timestamp> {
        // nearly every clock: in 64 bits where the result has no more
        if let (Unit::Nanos(nanos), 0) = (self.unit, self.offset_nanos)
            && let Some(Ok(nanos)) = ticks.checked_mul(nanos).map(i64::try_from)
        {
            return Ok(Timestamp::from_nanos(nanos));
        }
        // 2^64 units of a second are 2^94 ns, so nothing here overflows 128 bits
        let nanos = match self.unit {
            Unit::Nanos(nanos) => i128::from(ticks) * i128::from(nanos),
            Unit::NanosPer(divisor) => i128::from(ticks / divisor),
            Unit::Nothing => 0,
            Unit::SecondShifted(bits) => (i128::from(ticks) * 1_000_000_000) >> bits,
        };
        let nanos = nanos + self.offset_nanos;
        match i64::try_from(nanos) {
            Ok(nanos) => Ok(Timestamp::from_nanos(nanos)),
            Err(_) => Err(if nanos < 0 { Timestamp::MIN } else { Timestamp::MAX }),
        }
    }
}

/// An interface description block (draft-ietf-opsawg-pcapng, section 4.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Description {
    /// Link type of its packets.
    pub link: LinkType,
    /// Longest captured length, in bytes; 0 when there is no limit.
    pub snap_len: u32,
    /// How its timestamps become times.
    pub clock: Clock,
    /// Option `if_name`, as much of it as is kept.
    pub name: Option<Box<str>>,
}

impl Description {
    const END: u16 = 0;
    const NAME: u16 = 2;
    const TIME_RESOLUTION: u16 = 9;
    const TIME_OFFSET: u16 = 14;

    /// Bytes of a name that are kept; Linux takes 15, Windows some 50.
    const NAME_LEN_MAX: usize = 255;

    /// Reads the body of a block: what lies between its type and length and its trailing length.
    ///
    /// Options that do not fit are left out, along with all that follow: no packet depends on them.
    pub fn parse(order: ByteOrder, body: &[u8]) -> Self {
        let mut this = Self {
            link: LinkType(order.u16_at(body, 0)),
            snap_len: order.u32_at(body, 4),
            clock: Clock::MICROSECONDS,
            name: None,
        };
        let mut rest = body.get(8..).unwrap_or_default();
        while let Some((&[a, b, c, d], after)) = rest.split_first_chunk::<4>() {
            let (code, len) = (order.u16([a, b]), usize::from(order.u16([c, d])));
            let Some(value) = after.get(..len) else { break };
            match (code, value) {
                (Self::END, _) => break,
                (Self::NAME, name) => {
                    let kept = &name[..name.len().min(Self::NAME_LEN_MAX)];
                    this.name = Some(String::from_utf8_lossy(kept).trim_end_matches('\0').into());
                }
                (Self::TIME_RESOLUTION, &[resolution]) => this.clock.set_resolution(resolution),
                (Self::TIME_OFFSET, seconds) => {
                    if let Ok(seconds) = seconds.try_into() {
                        this.clock.set_offset(order.i64(seconds));
                    }
                }
                _ => {}
            }
            rest = after.get(len.next_multiple_of(4)..).unwrap_or_default();
        }
        this.name = this.name.filter(|name| !name.is_empty());
        this
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_of_every_resolution() {
        let cases: [(&str, u8, i64, u64, i64); 16] = [
            ("seconds", 0, 0, 3, 3_000_000_000),
            ("milliseconds", 3, 0, 3, 3_000_000),
            ("microseconds", 6, 0, 1_445_156_939_131_847, 1_445_156_939_131_847_000),
            ("nanoseconds", 9, 0, 1_445_156_939_131_847_001, 1_445_156_939_131_847_001),
            ("picoseconds, rounded down", 12, 0, 1_999, 1),
            ("10^-28 s", 28, 0, u64::MAX, 1),
            ("10^-29 s", 29, 0, u64::MAX, 0),
            ("10^-127 s", 127, 0, u64::MAX, 0),
            ("2^0 s", 0x80, 0, 7, 7_000_000_000),
            ("2^-10 s", 0x8a, 0, 1_536, 1_500_000_000),
            ("2^-32 s, as NTP", 0xa0, 0, 0x0000_0001_8000_0000, 1_500_000_000),
            ("2^-64 s", 0xc0, 0, 1 << 63, 500_000_000),
            ("2^-127 s", 0xff, 0, u64::MAX, 0),
            ("an offset", 6, 10, 1, 10_000_001_000),
            ("a negative offset", 9, -1, 5, -999_999_995),
            ("the last", 9, 0, 9_223_372_036_854_775_807, i64::MAX),
        ];
        for (name, resolution, offset, ticks, want) in cases {
            let mut clock = Clock::MICROSECONDS;
            clock.set_resolution(resolution);
            clock.set_offset(offset);
            assert_eq!(clock.time(ticks), Ok(Timestamp::from_nanos(want)), "{name}");
        }
    }

    #[test]
    fn times_out_of_range_get_the_nearest() {
        let cases = [
            ("a nanosecond too late", 9, 0, 1 << 63, Timestamp::MAX),
            ("microseconds of the year 586,000", 6, 0, u64::MAX, Timestamp::MAX),
            ("seconds", 0, 0, 10_000_000_000, Timestamp::MAX),
            ("2^0 s", 0x80, 0, u64::MAX, Timestamp::MAX),
            ("an offset into the past", 0, i64::MIN, 0, Timestamp::MIN),
        ];
        for (name, resolution, offset, ticks, want) in cases {
            let mut clock = Clock::MICROSECONDS;
            clock.set_resolution(resolution);
            clock.set_offset(offset);
            assert_eq!(clock.time(ticks), Err(want), "{name}");
        }
    }

    #[test]
    fn options_are_read_as_far_as_they_go() {
        let fixed = [1, 0, 0, 0, 0, 1, 0, 0];
        let name = [2, 0, 4, 0, b'e', b't', b'h', b'0'];
        let resolution = [9, 0, 1, 0, 9, 0, 0, 0];
        let end = [0, 0, 0, 0];
        let too_long = [9, 0, 200, 0, 9, 0, 0, 0];
        let cases: [(&str, Vec<u8>, Option<&str>, i64); 5] = [
            ("none", fixed.to_vec(), None, 1_000),
            ("name and resolution", [&fixed[..], &name, &resolution, &end].concat(), Some("eth0"), 1),
            ("nothing after the end", [&fixed[..], &end, &name].concat(), None, 1_000),
            ("one that does not fit", [&fixed[..], &name, &too_long].concat(), Some("eth0"), 1_000),
            ("cut", [&fixed[..], &name, &resolution[..3]].concat(), Some("eth0"), 1_000),
        ];
        for (case, body, name, nanos) in cases {
            let description = Description::parse(ByteOrder::Little, &body);
            assert_eq!((description.link, description.snap_len), (LinkType::ETHERNET, 256), "{case}");
            assert_eq!(description.name.as_deref(), name, "{case}");
            assert_eq!(description.clock.time(1), Ok(Timestamp::from_nanos(nanos)), "{case}");
        }
    }
}
