//! Containers that claim more than there is: interfaces by the million, blocks and records of four gigabytes.

use std::fs;
use std::io::{self, Write};

use super::{MIB, Measured, assert_adds_up, count, measured, measured_alone, packet};
use crate::records::{pcap_header, pcap_record};

/// Interfaces that one file may describe.
const INTERFACES: u32 = 65_536;

const INTERFACE: u32 = 1;
const NAME_RESOLUTION: u32 = 4;
const ENHANCED_PACKET: u32 = 6;
const CUSTOM: u32 = 0x0bad;
/// Of any block.
const COMMENT: u16 = 1;
/// Of an interface.
const NAME: u16 = 2;

/// A little-endian block of pcapng.
fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let padding = vec![0; body.len().next_multiple_of(4) - body.len()];
    let len = u32::try_from(12 + body.len() + padding.len()).expect("a block").to_le_bytes();
    [&kind.to_le_bytes()[..], &len, body, &padding, &len].concat()
}

fn option(code: u16, value: &[u8]) -> Vec<u8> {
    let len = u16::try_from(value.len()).expect("an option");
    let mut option = [code.to_le_bytes(), len.to_le_bytes()].concat();
    option.extend(value);
    option.resize(option.len().next_multiple_of(4), 0);
    option
}

fn section() -> Vec<u8> {
    block(0x0a0d_0d0a, &[&[0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0][..], &[0xff; 8]].concat())
}

/// An interface with options, of Ethernet.
fn interface(options: &[u8]) -> Vec<u8> {
    block(INTERFACE, &[&[1, 0, 0, 0, 0, 0, 4, 0], options].concat())
}

/// A packet of 54 bytes, with options.
fn packet_block(id: u32, options: &[u8]) -> Vec<u8> {
    let frame = packet(0).owned().data;
    let len = u32::try_from(frame.len()).expect("a short frame");
    let head: Vec<u8> = [id, 0, 1, len, len].iter().flat_map(|word| word.to_le_bytes()).collect();
    let padding = vec![0; frame.len().next_multiple_of(4) - frame.len()];
    block(ENHANCED_PACKET, &[head, frame, padding, options.to_vec()].concat())
}

fn repeated(times: u32, bytes: &[u8], to: &mut dyn Write) -> io::Result<()> {
    (0..times).try_for_each(|_| to.write_all(bytes))
}

fn label(feed: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send) -> Measured {
    measured(&["-", "-o", "json"], feed)
}

/// What was read up to the damage is reported.
#[test]
fn a_million_interfaces_are_too_many() {
    let before = [section(), interface(&[]), packet_block(0, &[])].concat();
    // with the longest names that there can be, as far as the limit
    for (name_len, times) in [(0, 1_000_000), (65_535, INTERFACES)] {
        let one = interface(&option(NAME, &vec![b'x'; name_len]));
        let run = label(|to| {
            to.write_all(&before)?;
            repeated(times, &one, to)
        });
        run.assert_says(3, "more than 65536 interfaces are described");
        assert_eq!(count(&run.ran.json(), "/packets"), 1);
        // 100 bytes, and 255 of the name
        run.assert_takes_at_most(u64::from(INTERFACES) * 355 + 8 * MIB);
    }
}

#[test]
fn sections_by_the_hundred_thousand_take_no_memory() {
    let times = 200_000;
    let run = label(|to| {
        repeated(times, &section(), to)?;
        to.write_all(&[interface(&[]), packet_block(0, &[])].concat())
    });
    assert_eq!(count(&run.assert_sound().ran.json(), "/packets"), 1);
    run.assert_takes_at_most(2 * MIB);
    // those that describe an interface add up over the sections
    let one = [section(), interface(&[]), packet_block(0, &[])].concat();
    let run = label(|to| repeated(times, &one, to));
    run.assert_says(3, "more than 65536 interfaces are described");
    let packets = u64::from(INTERFACES);
    assert_adds_up(&run.ran.json(), packets, packets * 54);
    run.assert_takes_at_most(packets * 100 + 8 * MIB);
}

#[test]
fn what_is_passed_over_takes_no_memory() {
    let comment = option(COMMENT, &vec![b'x'; 60_000]);
    let names = [&[1, 0, 8, 0, 10, 0, 0, 1][..], b"abc\0", &[0; 4]].concat();
    let others: [(&str, u32, Vec<u8>); 4] = [
        ("names", 500_000, block(NAME_RESOLUTION, &names)),
        ("custom blocks", 500_000, block(CUSTOM, &[0; 4])),
        ("large custom blocks", 3, block(CUSTOM, &vec![0; 64 << 20])),
        ("comments of packets", 2_000, packet_block(0, &comment)),
    ];
    for (what, times, other) in others {
        let run = label(|to| {
            to.write_all(&[section(), interface(&comment)].concat())?;
            repeated(times, &other, to)?;
            to.write_all(&packet_block(0, &[]))
        });
        let of_others = if what == "comments of packets" { times } else { 0 };
        assert_adds_up(&run.assert_sound().ran.json(), u64::from(of_others) + 1, 54 * (u64::from(of_others) + 1));
        // a block is in memory as a whole
        run.assert_takes_at_most(other.len() as u64 + 4 * MIB);
    }
}

/// A length is believed as far as bytes come.
#[test]
fn lengths_that_are_not_true_cost_no_memory() {
    let sound = [section(), interface(&[]), packet_block(0, &[])].concat();
    let claims = |kind: u32, len: u32| [kind.to_le_bytes(), len.to_le_bytes()].concat();
    let pcap = [pcap_header(), pcap_record(1, &packet(0).owned().data)].concat();
    let record = |captured_len: u32| {
        [0, 0, captured_len, captured_len].iter().flat_map(|word: &u32| word.to_le_bytes()).collect::<Vec<u8>>()
    };
    let cases = [
        (&sound, claims(CUSTOM, 0xffff_fffc), 0, "claims 4294967292 bytes, at most 135266304 are read"),
        (&sound, claims(ENHANCED_PACKET, 0xffff_fffc), 0, "claims 4294967292 bytes, at most 135266304 are read"),
        (&sound, claims(INTERFACE, 135_266_304), 600_000, "claims 135266304 bytes, 600008 remain"),
        (&pcap, record(u32::MAX), 0, "claims 4294967295 captured bytes, packets of this link type have at most 262144"),
        (&pcap, record(262_144), 20_000, "claims 262144 captured bytes, 20000 remain"),
    ];
    for (sound, claim, more_len, says) in cases {
        let run = label(|to| {
            to.write_all(sound)?;
            to.write_all(&claim)?;
            to.write_all(&vec![0; more_len])
        });
        run.assert_says(3, says);
        assert_eq!(count(&run.ran.json(), "/packets"), 1);
        run.assert_takes_at_most(2 * MIB);
    }
}

/// What one file may have, a folder of them has many times.
#[test]
fn long_names_of_interfaces_are_cut_in_every_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let name = option(NAME, &vec![b'x'; 60_000]);
    let file = [section(), interface(&name).repeat(1_000), packet_block(0, &[])].concat();
    fs::write(folder.path().join("0.pcapng"), &file).expect("room");
    for number in 1..20 {
        fs::hard_link(folder.path().join("0.pcapng"), folder.path().join(format!("{number}.pcapng"))).expect("a link");
    }
    let path = folder.path().to_str().expect("a name in ASCII");
    let run = measured_alone(&[path, "-o", "json"]);
    assert_eq!(count(&run.assert_sound().ran.json(), "/packets"), 20);
    run.assert_takes_at_most(20 * 1_000 * 355 + 20 * 512 * 1_024 + 4 * MIB);
}
