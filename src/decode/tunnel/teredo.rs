//! Teredo (RFC 4380).

use crate::decode::Portless;
use crate::decode::peel::{Next, Payload, Step};

/// An authentication header and an origin indication, each only sometimes (section 5.1.1), then IPv6.
pub(super) fn teredo(payload: Payload<'_>) -> Step<'_> {
    const AUTHENTICATION: [u8; 2] = [0, 1];
    const ORIGIN: [u8; 2] = [0, 0];
    /// Indicator, port and address.
    const ORIGIN_LEN: usize = 8;
    /// Nonce and confirmation, behind identifier and authentication value.
    const NONCE_LEN: usize = 9;
    let mut rest = payload;
    if rest.bytes.starts_with(&AUTHENTICATION) {
        let ([_, _, identifier_len, value_len], behind) = rest.split()?;
        rest = behind.skip(usize::from(*identifier_len) + usize::from(*value_len) + NONCE_LEN)?;
    }
    if rest.bytes.starts_with(&ORIGIN) {
        rest = rest.skip(ORIGIN_LEN)?;
    }
    match rest.bytes.first().ok_or(Portless::Truncated)? >> 4 {
        6 => Ok(Next::Ip(rest)),
        _ => Err(Portless::NotIp),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::peel::testing::check;

    #[test]
    fn teredo_leads_to_ip() {
        let ip = [0x60, 0];
        let authentication = [&[0, 1, 2, 3, 9, 9, 7, 7, 7][..], &[5; 9]].concat();
        let origin = [0, 0, 0xaf, 0xc8, 0xf5, 0xff, 0xff, 0xfe];
        check(&[
            ("plain", teredo, &[&ip], None),
            ("with an origin", teredo, &[&origin, &ip], None),
            ("with authentication", teredo, &[&authentication, &ip], None),
            ("with both", teredo, &[&authentication, &origin, &ip], None),
            ("IPv4", teredo, &[&[0x45, 0]], Some(Portless::NotIp)),
            ("nothing", teredo, &[], Some(Portless::Truncated)),
        ]);
    }
}
