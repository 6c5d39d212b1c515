//! Network service header (RFC 8300).

use super::next_protocol;
use crate::decode::Portless;
use crate::decode::peel::{Payload, Step};

/// Version (two bits), flags, time to live, length in words of four bytes (six bits), metadata type, next protocol.
pub(super) fn nsh(payload: Payload<'_>) -> Step<'_> {
    const LENGTH: usize = 1;
    const LENGTH_BITS: u8 = 0x3f;
    const NEXT_PROTOCOL: usize = 3;
    /// The base header and the service path header.
    const MIN_LEN: usize = 8;
    let (header, _) = payload.split::<MIN_LEN>()?;
    let len = usize::from(header[LENGTH] & LENGTH_BITS) * 4;
    if header[0] >> 6 != 0 || len < MIN_LEN {
        return Err(Portless::Malformed);
    }
    next_protocol(header[NEXT_PROTOCOL], payload.skip(len)?)
}

#[cfg(test)]
mod tests {
    use super::super::tests::ETHERNET;
    use super::*;
    use crate::decode::peel::testing::{IP, check};

    #[test]
    fn nsh_leads_to_ip() {
        let metadata = [7; 16];
        check(&[
            ("without metadata", nsh, &[&[0, 2, 2, 1, 0, 0, 1, 255], &IP], None),
            ("fixed metadata, Ethernet", nsh, &[&[0x0f, 0xc6, 1, 3, 0, 0, 1, 255], &metadata, &ETHERNET, &IP], None),
            ("nested", nsh, &[&[0, 2, 2, 4, 0, 0, 1, 255], &[0, 2, 2, 2, 0, 0, 2, 255], &IP], None),
            ("another version", nsh, &[&[0x40, 2, 2, 1, 0, 0, 1, 255], &IP], Some(Portless::Malformed)),
            ("too short", nsh, &[&[0, 1, 2, 1, 0, 0, 1, 255], &IP], Some(Portless::Malformed)),
            ("unknown", nsh, &[&[0, 2, 2, 9, 0, 0, 1, 255], &IP], Some(Portless::NotIp)),
            ("cut", nsh, &[&[0, 2, 2, 1, 0, 0, 1]], Some(Portless::Truncated)),
        ]);
    }
}
