//! IP payload compression (RFC 3173): what is behind its header is deflated, ports and all.
//!
//! Ends agree on the index that names the algorithm, so it tells little; DEFLATE (RFC 2394) is the one in use, and what was
//! compressed by another does not inflate to a header that makes sense.

use flate2::{Decompress, FlushDecompress, Status};

use super::network::Datagram;

/// Next header, flags, index (RFC 3173, section 3.1).
const HEADER_LEN: usize = 4;

/// How much is inflated, in bytes: headers to the ports, through any tunnel that was compressed.
const INFLATED_LEN: usize = 2048;

/// Inflates the beginning of packets, one at a time.
#[derive(Debug)]
pub(super) struct Inflater {
    state: Decompress,
    inflated: Vec<u8>,
}

impl Default for Inflater {
    fn default() -> Self {
        Self { state: Decompress::new(false), inflated: vec![0; INFLATED_LEN] }
    }
}

impl Inflater {
    /// The datagram that was compressed into `datagram`; `None` when it does not inflate.
    pub fn inflate<'a>(&'a mut self, datagram: &Datagram<'_>) -> Option<Datagram<'a>> {
        let (header, compressed) = datagram.payload.split_first_chunk::<HEADER_LEN>()?;
        self.state.reset(false);
        // what is damaged behind the beginning does not matter
        let status = self.state.decompress(compressed, &mut self.inflated, FlushDecompress::Sync);
        let len = usize::try_from(self.state.total_out()).ok()?;
        let payload = self.inflated.get(..len).filter(|payload| !payload.is_empty())?;
        let cut = !matches!(status, Ok(Status::StreamEnd));
        Some(Datagram { protocol: header[0], payload, cut, ..*datagram })
    }
}

#[cfg(test)]
mod tests {
    use flate2::{Compress, Compression, FlushCompress};

    use super::*;
    use crate::units::{AddressWords, IpVersion};

    fn compressed(next_header: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![next_header, 0, 0, 2];
        bytes.reserve(payload.len() + 64);
        let status =
            Compress::new(Compression::default(), false).compress_vec(payload, &mut bytes, FlushCompress::Finish);
        assert!(matches!(status, Ok(Status::StreamEnd)), "{status:?}");
        bytes
    }

    fn datagram(payload: &[u8]) -> Datagram<'_> {
        Datagram {
            version: IpVersion::V6,
            src: AddressWords::default(),
            dst: AddressWords::default(),
            to_group: false,
            protocol: 108,
            payload,
            cut: false,
            is_first_fragment: false,
        }
    }

    #[test]
    fn what_was_deflated_is_inflated() {
        let segment = [0xc3, 0x51, 0, 80, 1, 2, 3, 4, 5, 6, 7, 8, 0x50, 2, 0, 0, 0, 0, 0, 0];
        let long = segment.repeat(1000);
        let (whole, much) = (compressed(6, &segment), compressed(6, &long));
        let mut inflater = Inflater::default();
        let cases: [(&str, &[u8], Option<(&[u8], bool)>); 6] = [
            ("whole", &whole, Some((&segment, false))),
            ("more than is needed", &much, Some((&long[..INFLATED_LEN], true))),
            ("cut within the header", &whole[..3], None),
            ("nothing behind the header", &whole[..4], None),
            ("not deflated", &[6, 0, 0, 2, 0xff, 0xff, 0xff, 0xff], None),
            ("whole, again", &whole, Some((&segment, false))),
        ];
        for (name, payload, want) in cases {
            let got = inflater.inflate(&datagram(payload));
            assert_eq!(got.as_ref().map(|inner| (inner.payload, inner.cut)), want, "{name}");
            assert!(got.is_none_or(|inner| inner.protocol == 6), "{name}");
        }
        let cut =
            inflater.inflate(&datagram(&whole[..whole.len() - 8])).map(|inner| (inner.cut, inner.payload.to_vec()));
        assert!(cut.is_none_or(|(cut, payload)| cut && segment.starts_with(&payload)));
    }
}
