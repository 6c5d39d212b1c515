//! Protocol independent multicast (RFC 7761), whose register messages carry the packets of a source.

use crate::decode::Portless;
use crate::decode::peel::{Next, Payload, Step};

/// Version and type (four bits each), a reserved byte, checksum (section 4.9); in a register message a word of flags, then
/// the packet (section 4.9.3).
pub(super) fn register(payload: Payload<'_>) -> Step<'_> {
    const VERSION_2_REGISTER: u8 = 0x21;
    let (header, rest) = payload.split::<8>()?;
    if header[0] == VERSION_2_REGISTER { Ok(Next::Ip(rest)) } else { Err(Portless::NotIp) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::peel::testing::{IP, check};

    #[test]
    fn registers_lead_to_ip() {
        check(&[
            ("register", register, &[&[0x21, 0, 0, 0, 0, 0, 0, 0], &IP], None),
            ("hello", register, &[&[0x20, 0, 0, 0, 0, 1, 0, 2], &IP], Some(Portless::NotIp)),
            ("cut", register, &[&[0x21, 0, 0, 0, 0, 0, 0]], Some(Portless::Truncated)),
        ]);
    }
}
