//! Automatic multicast tunnelling (RFC 7450).

use crate::decode::Portless;
use crate::decode::peel::{Next, Payload, Step};

/// Version and type, four bits each, of the messages that carry a packet (section 5.1).
mod message {
    pub const MEMBERSHIP_QUERY: u8 = 4;
    pub const MEMBERSHIP_UPDATE: u8 = 5;
    pub const MULTICAST_DATA: u8 = 6;
}

/// Multicast data has a reserved byte behind its type (section 5.1.6); queries and updates have a code of six bytes and a
/// nonce of four besides (sections 5.1.4 and 5.1.5).
pub(super) fn amt(payload: Payload<'_>) -> Step<'_> {
    const DATA_LEN: usize = 2;
    const MEMBERSHIP_LEN: usize = 12;
    let ([message], _) = payload.split()?;
    match *message {
        message::MULTICAST_DATA => Ok(Next::Ip(payload.skip(DATA_LEN)?)),
        message::MEMBERSHIP_QUERY | message::MEMBERSHIP_UPDATE => Ok(Next::Ip(payload.skip(MEMBERSHIP_LEN)?)),
        _ => Err(Portless::NotIp),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::peel::testing::{IP, check};

    #[test]
    fn amt_leads_to_ip() {
        check(&[
            ("data", amt, &[&[6, 0], &IP], None),
            ("query", amt, &[&[4, 0], &[7; 10], &IP], None),
            ("update", amt, &[&[5, 0], &[7; 10], &IP], None),
            ("discovery", amt, &[&[1, 0, 0, 0, 0, 0, 0, 9]], Some(Portless::NotIp)),
            ("another version", amt, &[&[0x16, 0], &IP], Some(Portless::NotIp)),
            ("cut", amt, &[&[6]], Some(Portless::Truncated)),
        ]);
    }
}
