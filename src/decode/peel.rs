//! Headers, one off after the other: the shape that link types and tunnels share.
//!
//! Each header has a function that takes it off and says what comes next ([`Header`]). Which function reads what is in
//! tables, by the number that the header before gives. So a link type or a tunnel is a row and a function.

use super::fragments::Met;
use super::ipcomp::Inflater;
use super::network::{Datagram, protocol};
use super::{Portless, link, network, transport, tunnel};
use crate::units::LinkType;

/// Headers that are taken off, a stack of tags or labels counting as one, and IP within a tunnel as one more. Real packets
/// have fewer than ten; what was made to be nested without end is not followed to it.
const MAX_HEADERS: usize = 128;

/// What is left of a frame: from the first byte of a header to the end of what was captured (link-layer padding
/// included).
#[derive(Clone, Copy, Debug)]
pub(super) struct Payload<'a> {
    pub bytes: &'a [u8],
    /// The frame was sent to everybody on the link: an IP address that looks like a host's is a subnet's broadcast.
    pub link_broadcast: bool,
}

impl<'a> Payload<'a> {
    /// Bytes that no link header says to be a broadcast.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, link_broadcast: false }
    }

    /// A header of `N` bytes, and what is behind it.
    ///
    /// # Errors
    /// [`Portless::Truncated`] when fewer are left.
    #[inline(always)]
    pub fn split<const N: usize>(self) -> Result<(&'a [u8; N], Self), Portless> {
        let (header, bytes) = self.bytes.split_first_chunk::<N>().ok_or(Portless::Truncated)?;
        Ok((header, Self { bytes, ..self }))
    }

    /// What is behind `len` bytes.
    ///
    /// # Errors
    /// [`Portless::Truncated`] when fewer are left.
    pub fn skip(self, len: usize) -> Result<Self, Portless> {
        let bytes = self.bytes.get(len..).ok_or(Portless::Truncated)?;
        Ok(Self { bytes, ..self })
    }

    /// Two bytes in network order at an offset, without taking anything off.
    ///
    /// # Errors
    /// [`Portless::Truncated`] when they were not captured.
    pub fn be16(self, offset: usize) -> Result<u16, Portless> {
        let bytes = self.bytes.get(offset..).and_then(|bytes| bytes.first_chunk()).ok_or(Portless::Truncated)?;
        Ok(u16::from_be_bytes(*bytes))
    }

    /// As [`Payload::be16`], in the order of USB and Bluetooth.
    pub fn le16(self, offset: usize) -> Result<u16, Portless> {
        self.be16(offset).map(u16::swap_bytes)
    }

    /// Four bytes of that order, as a number of bytes.
    pub fn le32(self, offset: usize) -> Result<usize, Portless> {
        let bytes = self.bytes.get(offset..).and_then(|bytes| bytes.first_chunk()).ok_or(Portless::Truncated)?;
        Ok(usize::try_from(u32::from_le_bytes(*bytes)).unwrap_or(usize::MAX))
    }
}

/// What comes behind a header.
#[derive(Clone, Copy)]
pub(super) enum Next<'a> {
    /// An IP header.
    Ip(Payload<'a>),
    /// Another header, and the function that reads it.
    Header(Header, Payload<'a>),
}

/// What a header leads to, or why it does not lead to IP.
pub(super) type Step<'a> = Result<Next<'a>, Portless>;

/// Takes a header off.
pub(super) type Header = for<'a> fn(Payload<'a>) -> Step<'a>;

/// The header that is none: IP follows at once.
#[expect(clippy::unnecessary_wraps, reason = "it is a `Header`")]
pub(super) fn ip(payload: Payload<'_>) -> Step<'_> {
    Ok(Next::Ip(payload))
}

/// The IP packet of a frame whose ports are the frame's.
#[derive(Clone, Copy)]
pub(super) struct Peeled<'a> {
    pub datagram: Datagram<'a>,
    /// IP headers that were taken off before its own.
    pub tunnels: u8,
}

/// Takes headers off a frame until the packet shows whose ports are the frame's: the last IP header decides. Where a
/// tunnel has none inside, that is the carrier. With `outer` the first IP header with ports decides. Fragments on the way, behind whose
/// headers only a part of the packet is, go to `met`. What is compressed is read through `inflater`.
///
/// It ends on any bytes: the number of headers is limited.
///
/// # Errors
/// Why there is no such packet.
#[cold]
#[inline(never)]
pub(super) fn peel<'a>(
    link: LinkType,
    frame: &'a [u8],
    outer: bool,
    met: &mut Met,
    inflater: &'a mut Option<Box<Inflater>>,
) -> Result<Peeled<'a>, Portless> {
    let mut next = link::first(link, Payload::new(frame))?;
    let mut inflater = Some(inflater);
    let mut carrier = None;
    let mut tunnels = 0;
    for _ in 0..MAX_HEADERS {
        let step = match next {
            Next::Header(header, payload) => header(payload),
            Next::Ip(payload) => match network::datagram(payload) {
                Ok(mut datagram) => {
                    if datagram.is_first_fragment {
                        met.firsts.extend(network::fragment_key(payload));
                    }
                    // once: nobody compresses twice, and there is one place for what comes out
                    if datagram.protocol == protocol::COMPRESSION
                        && let Some(inflater) = inflater.take()
                    {
                        datagram = inflater.get_or_insert_default().inflate(&datagram).unwrap_or(datagram);
                    }
                    let packet = Peeled { datagram, tunnels };
                    let Some(inside) = tunnel::inside(&datagram) else { return Ok(packet) };
                    let has_ports = transport::segment(&datagram, tunnels).is_ok();
                    if outer && has_ports {
                        return Ok(packet);
                    }
                    carrier = Some((packet, has_ports));
                    tunnels += 1;
                    Ok(inside)
                }
                // its ports cannot be read, but it decides
                Err(reason) if network::has_addresses(payload.bytes, reason) => {
                    met.later = network::fragment_key(payload).filter(|_| reason == Portless::FragmentOrphan);
                    return Err(reason);
                }
                Err(reason) => Err(reason),
            },
        };
        next = match (step, carrier) {
            (Ok(next), _) => next,
            (Err(_), Some((packet, true))) | (Err(Portless::NotIp | Portless::Arp), Some((packet, false))) => {
                return Ok(packet);
            }
            // the carrier is all there, and ends before what it announces: an acknowledgment of PPTP, a keepalive
            (Err(Portless::Truncated), Some((packet, false))) if !packet.datagram.cut => return Ok(packet),
            (Err(reason), _) => return Err(reason),
        };
    }
    Err(Portless::TooDeep)
}

const _: () = assert!(MAX_HEADERS < 256, "tunnels are counted in a byte");

#[cfg(test)]
pub(super) mod testing {
    use super::*;

    /// What headers are to lead to in tests: the first bytes of an IP header, which no header function looks further
    /// into than its version.
    pub const IP: [u8; 2] = [0x45, 0];

    /// Takes headers off up to the first IP header.
    pub fn follow(header: Header, bytes: &[u8]) -> Result<Payload<'_>, Portless> {
        let mut step = header(Payload::new(bytes));
        for _ in 0..MAX_HEADERS {
            match step? {
                Next::Ip(payload) => return Ok(payload),
                Next::Header(header, payload) => step = header(payload),
            }
        }
        Err(Portless::TooDeep)
    }

    /// One row of a table: a name, the header, the parts of its bytes, and the reason where it does not lead to IP.
    /// What leads to IP leads to the last part.
    pub type Row<'a> = (&'a str, Header, &'a [&'a [u8]], Option<Portless>);

    /// Holds rows to what they say; what leads to IP leads nowhere when it is cut before.
    pub fn check(rows: &[Row<'_>]) {
        for (name, header, parts, reason) in rows {
            let bytes = parts.concat();
            let got = follow(*header, &bytes);
            if let Some(reason) = reason {
                assert_eq!(got.map(|rest| rest.bytes.len()).unwrap_err(), *reason, "{name}");
                continue;
            }
            let want = parts.last().expect("what it leads to");
            let got = got.unwrap_or_else(|reason| panic!("{name}: {reason:?}"));
            assert_eq!(got.bytes, *want, "{name}");
            for len in 0..bytes.len() - want.len() {
                assert!(follow(*header, &bytes[..len]).is_err(), "{name}, cut at {len}");
            }
        }
    }
}
