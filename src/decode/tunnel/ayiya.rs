//! Anything in anything (draft-massar-v6ops-ayiya, section 3).

use crate::decode::Portless;
use crate::decode::network::protocol;
use crate::decode::peel::{Next, Payload, Step};

/// Identity length (four bits, as a power of two) and type, signature length (four bits, in words of four bytes) and hash
/// method, authentication and operation code, next header, epoch; identity, signature, and the packet.
pub(super) fn ayiya(payload: Payload<'_>) -> Step<'_> {
    const NEXT_HEADER: usize = 3;
    let (header, rest) = payload.split::<8>()?;
    let identity_len = 1_usize << (header[0] >> 4);
    let signature_len = usize::from(header[1] >> 4) * 4;
    match header[NEXT_HEADER] {
        protocol::IPV4 | protocol::IPV6 => Ok(Next::Ip(rest.skip(identity_len + signature_len)?)),
        _ => Err(Portless::NotIp),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::peel::testing::{IP, check};

    #[test]
    fn ayiya_leads_to_ip() {
        check(&[
            ("signed", ayiya, &[&[0x42, 0x52, 0x11, 41, 0, 0, 0, 1], &[7; 16 + 20], &IP], None),
            ("nothing inside", ayiya, &[&[0x42, 0x52, 0x11, 59, 0, 0, 0, 1], &[7; 36]], Some(Portless::NotIp)),
            ("cut in the identity", ayiya, &[&[0x42, 0x52, 0x11, 41, 0, 0, 0, 1], &[7; 35]], Some(Portless::Truncated)),
        ]);
    }
}
