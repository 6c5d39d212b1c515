//! Headers of the host's own: BSD loopback, packet filter log, IPsec, Solaris, serial line IP. They name an address family,
//! or nothing.

use crate::decode::Portless;
use crate::decode::peel::{Next, Payload, Step};

/// Whether an address family is one of IP. `AF_INET` is 2 everywhere; `AF_INET6` is 10 on Linux, 24 on `NetBSD` and
/// `OpenBSD`, 26 on Solaris, 28 on `FreeBSD`, 30 on macOS.
const fn is_ip(family: u32) -> bool {
    matches!(family, 2 | 10 | 24 | 26 | 28 | 30)
}

/// An address family in either byte order: families are small numbers, so the order shows.
fn in_either_order(bytes: [u8; 4]) -> u32 {
    let family = u32::from_le_bytes(bytes);
    if family > 0xffff { family.swap_bytes() } else { family }
}

fn by_family(family: u32, rest: Payload<'_>) -> Step<'_> {
    if is_ip(family) { Ok(Next::Ip(rest)) } else { Err(Portless::NotIp) }
}

/// `LINKTYPE_NULL`, `LINKTYPE_LOOP`: the family, in the byte order of the host that captured or in network order.
pub(super) fn family(payload: Payload<'_>) -> Step<'_> {
    let (header, rest) = payload.split()?;
    by_family(in_either_order(*header), rest)
}

/// `LINKTYPE_ENC`: family, security parameter index, flags.
pub(super) fn ipsec(payload: Payload<'_>) -> Step<'_> {
    let ([a, b, c, d, ..], rest) = payload.split::<12>()?;
    by_family(in_either_order([*a, *b, *c, *d]), rest)
}

/// `LINKTYPE_PFLOG`: the length of the header, padded to a multiple of four, and the family.
pub(super) fn filter_log(payload: Payload<'_>) -> Step<'_> {
    let ([len, family, _, _], _) = payload.split()?;
    by_family(u32::from(*family), payload.skip(usize::from(*len).next_multiple_of(4))?)
}

/// `LINKTYPE_PFSYNC`: states of a packet filter, no packets.
pub(super) fn filter_sync(_: Payload<'_>) -> Step<'_> {
    Err(Portless::NotIp)
}

/// `LINKTYPE_IPNET` of Solaris: version, family, and 22 bytes of zones and interfaces.
pub(super) fn solaris(payload: Payload<'_>) -> Step<'_> {
    let (header, rest) = payload.split::<24>()?;
    by_family(u32::from(header[1]), rest)
}

/// `LINKTYPE_SLIP`: direction, and the compressed header if there was one, which libpcap has undone.
pub(super) fn serial_line(payload: Payload<'_>) -> Step<'_> {
    let (_, rest) = payload.split::<16>()?;
    Ok(Next::Ip(rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::peel::testing::{IP, check};

    #[test]
    fn families_lead_to_ip() {
        let not_ip = Some(Portless::NotIp);
        check(&[
            ("little endian", family, &[&[2, 0, 0, 0], &IP], None),
            ("big endian", family, &[&[0, 0, 0, 30], &IP], None),
            ("network order", family, &[&[0, 0, 0, 24], &IP], None),
            ("OSI", family, &[&[7, 0, 0, 0], &IP], not_ip),
            ("cut", family, &[&[2, 0, 0]], Some(Portless::Truncated)),
            ("IPsec", ipsec, &[&[2, 0, 0, 0], &[0; 8], &IP], None),
            ("filter log", filter_log, &[&[61, 2, 0, 0], &[0; 60], &IP], None),
            ("filter log, OSI", filter_log, &[&[61, 7, 0, 0], &[0; 60], &IP], not_ip),
            ("filter states", filter_sync, &[&[5, 0, 0, 0], &IP], not_ip),
            ("Solaris", solaris, &[&[1, 26], &[0; 22], &IP], None),
            ("serial line", serial_line, &[&[0; 16], &IP], None),
        ]);
    }
}
