//! Packets in pieces: what comes after the first piece belongs to its flow, and nothing waits for anything.

use std::collections::HashMap;

use portlabel::decode::{Decoder, Portless, Segment};
use portlabel::source::Frame;
use portlabel::units::{IpVersion, LinkType, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;

use crate::cases::Case;
use crate::program::run;

const SECOND: i64 = 1_000_000_000;
const UDP: u8 = 17;

/// A piece of a packet from host 1 to host 2.
#[derive(Clone, Copy, Debug)]
struct Piece<'a> {
    version: IpVersion,
    protocol: u8,
    id: u16,
    /// Where it begins, in units of eight bytes.
    offset: u16,
    more: bool,
    payload: &'a [u8],
}

impl Piece<'_> {
    fn bytes(&self) -> Vec<u8> {
        let Self { protocol, id, offset, more, payload, .. } = *self;
        let id = id.to_be_bytes();
        let len = |header: usize| u16::try_from(header + payload.len()).expect("a short packet").to_be_bytes();
        match self.version {
            IpVersion::V4 => {
                let place = (offset | u16::from(more) << 13).to_be_bytes();
                let header = [&[0x45, 0], &len(20)[..], &id, &place, &[64, protocol, 0, 0]].concat();
                [&header[..], &[10, 0, 0, 1, 10, 0, 0, 2], payload].concat()
            }
            IpVersion::V6 => {
                let place = (offset << 3 | u16::from(more)).to_be_bytes();
                let header = [&[0x60, 0, 0, 0], &len(8)[..], &[44, 64], &[0x20; 16], &[0x21; 16]].concat();
                [&header[..], &[protocol, 0], &place, &[0, 0], &id, payload].concat()
            }
        }
    }
}

const FIRST: Piece<'_> = Piece {
    version: IpVersion::V4,
    protocol: UDP,
    id: 7,
    offset: 0,
    more: true,
    payload: &[0xc3, 0x51, 0, 53, 0, 0, 0, 0],
};
const LATER: Piece<'_> = Piece { offset: 1, payload: &[0; 8], ..FIRST };

fn decoded(decoder: &mut Decoder, ts_nanos: i64, packet: &[u8]) -> Result<Segment, Portless> {
    let wire_len = u32::try_from(packet.len()).expect("a short packet");
    let ts = Timestamp::from_nanos(ts_nanos);
    decoder.decode(&Frame { ts, wire_len, link: LinkType::RAW, interface: 0, data: packet }).outcome
}

/// Of each packet the client's port and whether it is a later fragment.
fn outcomes(outer: bool, packets: &[Vec<u8>]) -> Vec<Result<(u16, bool), Portless>> {
    let mut decoder = Decoder::new(outer);
    let brief = |segment: Segment| (segment.src_port, segment.later_fragment);
    packets.iter().map(|packet| decoded(&mut decoder, 0, packet).map(brief)).collect()
}

#[test]
fn later_fragments_go_where_their_first_one_went() {
    use Portless::{FragmentOrphan, Icmp, Malformed, Truncated};
    let (first, later) = (Ok((50_001, false)), Ok((50_001, true)));
    let other = Piece { payload: &[0xc3, 0x52, 0, 53, 0, 0, 0, 0], ..FIRST };
    let tcp = Piece { protocol: 6, payload: &[0xc3, 0x51, 0, 80, 0, 0, 0, 1], ..FIRST };
    let ping = Piece { protocol: 1, payload: &[8, 0, 0, 0, 0, 0, 0, 0], ..FIRST };
    for version in [IpVersion::V4, IpVersion::V6] {
        let cases: [(&str, &[Piece<'_>], &[Result<(u16, bool), Portless>]); 11] = [
            ("in order", &[FIRST, LATER, Piece { offset: 2, more: false, ..LATER }], &[first, later, later]),
            ("before its first", &[LATER, FIRST, LATER], &[Err(FragmentOrphan), first, later]),
            ("of another packet", &[FIRST, Piece { id: 8, ..LATER }], &[first, Err(FragmentOrphan)]),
            ("identification used again", &[FIRST, other, LATER], &[first, Ok((50_002, false)), Ok((50_002, true))]),
            ("TCP, the flags in the second", &[tcp, Piece { protocol: 6, ..LATER }], &[first, later]),
            ("over the flags of TCP", &[tcp, Piece { protocol: 6, payload: &[2; 8], ..LATER }], &[first, later]),
            ("ICMP", &[ping, Piece { protocol: 1, ..LATER }], &[Err(Icmp), Err(Icmp)]),
            ("tiny", &[Piece { payload: &[0; 3], ..FIRST }, LATER], &[Err(Malformed); 2]),
            ("empty", &[Piece { payload: &[], ..FIRST }, LATER], &[Err(Malformed); 2]),
            (
                "the whole packet, later fragments too",
                &[Piece { more: false, ..FIRST }, LATER],
                &[first, Err(FragmentOrphan)],
            ),
            ("the last places there are", &[FIRST, Piece { offset: 0x1fff, ..LATER }], &[first, later]),
        ];
        for (name, pieces, want) in cases {
            let packets: Vec<_> = pieces.iter().map(|piece| Piece { version, ..*piece }.bytes()).collect();
            assert_eq!(outcomes(false, &packets), want, "{name}, {version:?}");
        }
        // what the snap length cut off is not known of the later ones either
        let [first, later] = [FIRST, LATER].map(|piece| Piece { version, ..piece }.bytes());
        assert_eq!(outcomes(false, &[first[..first.len() - 5].to_vec(), later]), [Err(Truncated); 2], "{version:?}");
    }
    let [ours, theirs] = [6, UDP].map(|protocol| Piece { protocol, ..LATER }.bytes());
    assert_eq!(outcomes(false, &[tcp.bytes(), ours, theirs]), [first, later, Err(FragmentOrphan)], "transports apart");
}

#[test]
fn carriers_in_pieces_are_what_they_carry() {
    let query = Piece { more: false, ..FIRST }.bytes();
    let in_gre = [&[0, 0, 8, 0][..], &query].concat();
    let carrier = Piece { protocol: 47, payload: &in_gre, ..FIRST };
    let packets = [carrier.bytes(), Piece { protocol: 47, ..LATER }.bytes()];
    assert_eq!(outcomes(false, &packets), [Ok((50_001, false)), Ok((50_001, true))]);
    assert_eq!(outcomes(true, &packets), [Ok((50_001, false)), Ok((50_001, true))], "GRE has no ports");

    let pieces = [FIRST, LATER].map(|piece| [&[0, 0, 8, 0][..], &piece.bytes()].concat());
    let packets = pieces.map(|payload| Piece { protocol: 47, more: false, payload: &payload, ..FIRST }.bytes());
    assert_eq!(outcomes(false, &packets), [Ok((50_001, false)), Ok((50_001, true))], "pieces in whole carriers");
}

#[test]
fn fragments_count_to_their_flow() {
    let capture = Case::named("fragments").capture;
    let capture = capture.to_str().expect("a name in UTF-8");
    let flows = run(&[capture, "-o", "flows", "-q"]).json_lines();
    let later: Vec<_> = flows.iter().filter(|flow| flow["later_fragments"]["packets"] != 0).collect();
    assert_eq!(later.len(), 2);
    for flow in later {
        assert_eq!(flow["service"], "domain");
        let [to, from, later] = ["to_server", "from_server", "later_fragments"].map(|key| &flow[key]["packets"]);
        assert!(to.as_u64() >= Some(1) && from.as_u64() > later.as_u64() && later == 1, "{flow}");
    }
}

#[test]
fn the_outer_header_is_labelled_on_request() {
    let capture = Case::named("vxlan").capture;
    let capture = capture.to_str().expect("a name in UTF-8");
    let flows = |options: &[&str]| run(&[&[capture, "-o", "flows", "-q"], options].concat()).json_lines();
    let tunnelled = |flow: &Value| flow["tunnels"] == 1;
    let carriers = |flow: &Value| flow["service"] == "vxlan";
    // ARP in a tunnel has no ports of its own: those of the carrier stand
    let [inner, outer] = [flows(&[]), flows(&["--outer"])];
    assert_eq!(inner.iter().filter(|flow| tunnelled(flow)).count(), 2, "DNS and Redis");
    assert_eq!(outer.iter().filter(|flow| tunnelled(flow)).count(), 0);
    let packets = |flows: &[Value], which: &dyn Fn(&Value) -> bool| -> u64 {
        let count = |flow: &Value| flow["to_server"]["packets"].as_u64().zip(flow["from_server"]["packets"].as_u64());
        flows.iter().filter(|flow| which(flow)).filter_map(count).map(|(to, from)| to + from).sum()
    };
    let in_tunnels = packets(&inner, &tunnelled) + packets(&inner, &carriers);
    assert_eq!((in_tunnels, packets(&outer, &carriers)), (14, 14));
}

/// Pieces of two packets and the time that passes before each, in any order, repeated, overlapping and missing.
fn any_pieces() -> impl Strategy<Value = Vec<(u16, u16, bool, u8, i64)>> {
    let gap = prop_oneof![8 => Just(SECOND / 10), 1 => Just(29 * SECOND), 1 => Just(31 * SECOND), 1 => Just(-SECOND)];
    vec((0..2_u16, 0..4_u16, any::<bool>(), select(vec![0_u8, 3, 4, 8]), gap), 0..60)
}

proptest! {
    #[test]
    fn any_pieces_are_put_to_the_last_first(pieces in any_pieces()) {
        let (mut now, mut firsts) = (0, HashMap::new());
        let mut decoders = [Decoder::default(), Decoder::default()];
        for (id, offset, more, len, gap) in pieces {
            now += gap;
            let payload = [&[0xc3, u8::try_from(id).expect("small"), 0, 53], &[0; 4][..]].concat();
            let payload = &payload[..usize::from(len)];
            let want = match (offset, more) {
                (0, _) => {
                    let outcome = if len < 4 { Err(Portless::Malformed) } else { Ok((0xc300 + id, false)) };
                    if more {
                        firsts.insert(id, (now, outcome));
                    }
                    outcome
                }
                _ => match firsts.get(&id) {
                    Some((first, outcome)) if (now - first).abs() <= 30 * SECOND => outcome.map(|(port, _)| (port, true)),
                    _ => Err(Portless::FragmentOrphan),
                },
            };
            for (decoder, version) in decoders.iter_mut().zip([IpVersion::V4, IpVersion::V6]) {
                let packet = Piece { version, id, offset, more, payload, ..FIRST }.bytes();
                let got = decoded(decoder, now, &packet).map(|segment| (segment.src_port, segment.later_fragment));
                prop_assert_eq!(got, want, "{:?}", version);
            }
        }
    }
}
