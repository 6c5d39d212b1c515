//! Frames: any bytes under any link type.
//!
//! An input is the link type (two bytes, least significant first, see [`link`]) and the frame.

#![no_main]

use std::net::IpAddr;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use portlabel::decode::{Decoder, Handshake, Observation, Portless};
use portlabel::source::Frame;
use portlabel::units::{IpVersion, LinkType, Timestamp, Transport};
use shared::captures::seeds;

/// What the decoder says of a frame that is the first it sees.
fn observe(frame: &Frame<'_>) -> Observation {
    Decoder::default().decode(frame)
}

/// Link types that the decoder knows.
static KNOWN: LazyLock<Vec<LinkType>> = LazyLock::new(|| {
    let is_known = |link: &LinkType| observe(&frame(*link, 0, &[])).outcome != Err(Portless::UnknownLink);
    (0..=u16::MAX).map(LinkType).filter(is_known).collect()
});

/// The link type that a number stands for: below 320 and above 32,767 itself, between them one that is known.
fn link(number: u16) -> LinkType {
    match number {
        320..0x8000 => KNOWN[usize::from(number) % KNOWN.len()],
        _ => LinkType(number),
    }
}

fn frame(link: LinkType, wire_len: u32, data: &[u8]) -> Frame<'_> {
    Frame { ts: Timestamp::from_nanos(7), wire_len, link, interface: 0, data }
}

fuzz_target!(init: seeds("decode"), |input: &[u8]| {
    let Some((number, data)) = input.split_first_chunk() else { return };
    let number = u16::from_le_bytes(*number);
    // the upper half of the number makes for lengths beyond what is believed
    let wire_len = u32::from(number) << 16 | u32::try_from(data.len()).expect("a short input");
    let frame = frame(link(number), wire_len, data);
    let observation = observe(&frame);
    assert_eq!(observation, observe(&frame), "decoding depends on more than the frame");
    assert_eq!(observation.ts, frame.ts);
    // a few link types have up to four bytes that were not on the wire
    let believed = wire_len.min(2_147_483_647);
    assert!((believed.saturating_sub(4)..=believed).contains(&observation.wire_len));
    let outer = Decoder::new(true).decode(&frame);
    assert_eq!((outer.ts, outer.wire_len), (observation.ts, observation.wire_len));
    if let (Ok(carrier), Ok(inner)) = (outer.outcome, observation.outcome) {
        assert!(carrier.tunnels <= inner.tunnels, "the carrier is within what it carries: {outer:?}");
    }
    // it may be its own later fragment
    let mut decoder = Decoder::default();
    for data in [data, &data[..data.len() / 2], data] {
        assert_eq!(decoder.decode(&Frame { data, ..frame }).ts, frame.ts);
    }
    match observation.outcome {
        Ok(segment) => {
            let is_v4 = segment.ip_version == IpVersion::V4;
            assert!([segment.src(), segment.dst()].iter().all(|end| matches!(end.addr, IpAddr::V4(_)) == is_v4));
            assert!(segment.transport == Transport::Tcp || segment.tcp_flags == 0, "flags without TCP");
            assert!(segment.transport.has_handshake() || segment.handshake == Handshake::None, "no handshake to have");
            assert!(!segment.later_fragment, "nothing to know its ports from");
            assert!(data.len() >= 24, "ports take an IP header and four bytes");
        }
        Err(reason) => assert_eq!(Portless::ALL[reason as usize], reason),
    }
});
