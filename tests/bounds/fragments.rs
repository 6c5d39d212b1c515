//! Floods of fragments: first ones that are never completed, later ones without a first; and packets in packets without end.

use std::io::{self, Write};

use portlabel::units::Transport;

use super::{Copies, MIB, assert_adds_up, count, host, measured, packet, portless};
use crate::frames::{Kind, Packet};
use crate::records::{pcap_header, pcap_record};

/// First fragments that are remembered.
const REMEMBERED: u64 = 8_192;

const FIRST: [u8; 2] = [0x20, 0];
const LATER: [u8; 2] = [0x00, 1];

/// A fragment of each of some packets, of as many hosts.
fn fragments(copies: &mut Copies, which: [u8; 2], numbers: std::ops::Range<u64>, to: &mut dyn Write) -> io::Result<()> {
    copies.set(Copies::FRAGMENT, which);
    for number in numbers {
        let identification = u16::try_from(number % 65_536).expect("16 bits").to_be_bytes();
        copies.set(Copies::IDENTIFICATION, identification).set(Copies::SRC, host(number)).write(to)?;
    }
    Ok(())
}

#[test]
fn fragments_that_are_forgotten_leave_orphans() {
    let (packets, without_first) = (100_000, 100_000);
    let datagram = Packet { transport: Transport::Udp, kind: Kind::Data, dst: (2, 53), payload_len: 8, ..packet(0) };
    let run = measured(&["-", "-o", "json", "--max-flows", "1000"], |to| {
        to.write_all(&pcap_header())?;
        let mut copies = Copies::of(&datagram);
        fragments(&mut copies, FIRST, 0..packets, to)?;
        fragments(&mut copies, LATER, 0..packets, to)?;
        fragments(&mut copies, LATER, packets..packets + without_first, to)
    });
    let report = run.assert_sound().ran.json();
    let sent = 2 * packets + without_first;
    assert_adds_up(&report, sent, sent * Copies::of(&datagram).wire_len());
    assert_eq!(count(&report, "/services/0/later_fragments/packets"), REMEMBERED);
    assert_eq!(portless(&report, "fragment_orphan"), packets - REMEMBERED + without_first);
    // 5 MB, 2 MB of endpoints, and the flows
    run.assert_takes_at_most(5_000_000 + 2_000_000 + 1_000 * 110 + 2 * MIB);
}

/// Packets in a thousand packets each: as long as an IP packet can be, and none is followed to its end.
#[test]
fn tunnels_without_end_are_too_deep() {
    let (frames, depth) = (1_000, 1_000);
    let mut data = [&[2; 12][..], &[0x08, 0x00]].concat();
    for left in (1..=depth).rev() {
        let len = u16::try_from(20 * left + 8).expect("a packet").to_be_bytes();
        let protocol = if left == 1 { 17 } else { 4 };
        data.extend([0x45, 0, len[0], len[1], 0, 1, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    }
    data.extend([0x9c, 0x40, 0, 53, 0, 8, 0, 0]);
    let record = pcap_record(1, &data);
    let run = measured(&["-", "-o", "json"], |to| {
        to.write_all(&pcap_header())?;
        (0..frames).try_for_each(|_| to.write_all(&record))
    });
    let report = run.assert_sound().ran.json();
    assert_adds_up(&report, frames, frames * data.len() as u64);
    assert_eq!(portless(&report, "too_deep"), frames);
    run.assert_takes_at_most(2 * MIB);
}
