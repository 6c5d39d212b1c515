//! Geneve (RFC 8926).

use crate::decode::peel::{Payload, Step};
use crate::decode::{Portless, link};

/// Version (two bits), length of the options in words of four bytes (six bits), flags, the Ethernet type of what is
/// inside (section 3.4), network identifier, a reserved byte, the options.
pub(super) fn geneve(payload: Payload<'_>) -> Step<'_> {
    const OPTIONS_BITS: u8 = 0x3f;
    let (header, rest) = payload.split::<8>()?;
    if header[0] >> 6 != 0 {
        return Err(Portless::NotIp);
    }
    let options_len = usize::from(header[0] & OPTIONS_BITS) * 4;
    link::tagged(u16::from_be_bytes([header[2], header[3]]), rest.skip(options_len)?)
}

#[cfg(test)]
mod tests {
    use super::super::tests::ETHERNET;
    use super::*;
    use crate::decode::peel::testing::{IP, check};

    #[test]
    fn geneve_leads_to_ip() {
        check(&[
            ("IP", geneve, &[&[0, 0, 8, 0, 0, 0, 42, 0], &IP], None),
            ("Ethernet", geneve, &[&[0, 0, 0x65, 0x58, 0, 0, 42, 0], &ETHERNET, &IP], None),
            ("options", geneve, &[&[2, 0x40, 0x86, 0xdd, 0, 0, 42, 0], &[0; 8], &IP], None),
            ("another version", geneve, &[&[0x40, 0, 8, 0, 0, 0, 42, 0], &IP], Some(Portless::NotIp)),
            ("unknown", geneve, &[&[0, 0, 0x88, 0xcc, 0, 0, 42, 0], &IP], Some(Portless::NotIp)),
            ("cut in the options", geneve, &[&[1, 0, 8, 0, 0, 0, 42, 0], &[0; 3]], Some(Portless::Truncated)),
        ]);
    }
}
