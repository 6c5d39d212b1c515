//! Decompression bombs: gigabytes from a few kilobytes, members without end, windows that nobody has.

use std::fs;
use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use lz4_flex::frame::FrameEncoder;

use super::{Copies, MIB, assert_adds_up, count, measured, measured_alone, packet, portless};
use crate::records::{pcap_header, pcap_record};

/// How captures may be compressed.
const CODECS: [(&str, fn(&[u8]) -> Vec<u8>); 3] = [("gzip", gzip), ("zstd", zstd), ("lz4", lz4)];

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("room");
    encoder.finish().expect("room")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).expect("room")
}

fn lz4(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = FrameEncoder::new(Vec::new());
    encoder.write_all(bytes).expect("room");
    encoder.finish().expect("room")
}

/// What an input takes that is read and decompressed ahead: 16 blocks of 256 KiB; what lz4 decompresses with, which takes most;
/// and packets on their way.
const READ_AHEAD_BYTES: u64 = (4 + 10 + 2) * MIB;

/// Members of zeros, one after the other.
fn members(first: &[u8], member: &[u8], count: u64, to: &mut dyn Write) -> io::Result<()> {
    to.write_all(first)?;
    (0..count).try_for_each(|_| to.write_all(member))
}

/// Four gigabytes of nothing are no capture, and nobody has to decompress them to know.
#[test]
fn zeros_are_no_capture() {
    for (codec, compress) in CODECS {
        let member = compress(&vec![0; 4 << 20]);
        let run = measured(&["-", "-o", "json"], |to| members(&[], &member, 1_024, to));
        run.assert_says(1, "standard input: no capture (pcap, pcapng or snoop): first bytes: 00 00 00 00 00 00 00 00");
        run.assert_takes_at_most(READ_AHEAD_BYTES);
        let twice = compress(&gzip(&vec![0; 4 << 20]));
        let run = measured(&["-", "-o", "json"], |to| to.write_all(&twice));
        run.assert_says(1, "it is gzip data inside compressed data");
        run.assert_takes_at_most(READ_AHEAD_BYTES);
        assert!(run.ran.stdout.is_empty(), "{codec}");
    }
}

/// Behind the header of a pcap file, zeros are packets of no bytes, 16 of them each.
#[test]
fn zeros_behind_a_header_are_empty_packets() {
    for (codec, compress) in CODECS {
        let (first, member, times) = (compress(&pcap_header()), compress(&vec![0; 4 << 20]), 4);
        let run = measured(&["-", "-o", "json"], |to| members(&first, &member, times, to));
        let report = run.assert_sound().ran.json();
        let packets = times * (4 << 20) / 16;
        assert_adds_up(&report, packets, 0);
        assert_eq!(portless(&report, "truncated"), packets, "{codec}");
        run.assert_takes_at_most(READ_AHEAD_BYTES);
    }
}

/// One packet, as often as fits into some hundred megabytes.
#[test]
fn a_packet_that_is_repeated_takes_no_memory() {
    let mut packet = packet(0);
    packet.payload_len = 1_400;
    let record = packet.owned_record();
    for (codec, compress) in CODECS {
        let (first, member, times) = (compress(&pcap_header()), compress(&record.repeat(2_000)), 50);
        let run = measured(&["-", "-o", "json"], |to| members(&first, &member, times, to));
        let report = run.assert_sound().ran.json();
        let packets = times * 2_000;
        assert_adds_up(&report, packets, packets * Copies::of(&packet).wire_len());
        assert!(member.len() * 20 < record.len() * 2_000, "{codec}");
        run.assert_takes_at_most(READ_AHEAD_BYTES);
    }
}

/// Members and frames of nothing, and frames to skip: a hundred thousand before the capture, and as many behind it.
#[test]
fn empty_members_are_passed_over() {
    let capture = [pcap_header(), pcap_record(1, &packet(0).owned().data)].concat();
    let skippable = [0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4].to_vec();
    let mut empties = CODECS.map(|(codec, compress)| (codec, compress, compress(&[]))).to_vec();
    empties.push(("zstd", zstd, skippable.clone()));
    for (codec, compress, empty) in empties {
        let run = measured(&["-", "-o", "json"], |to| {
            // which codec it is, the first bytes tell
            to.write_all(&compress(&[]))?;
            members(&[], &empty, 100_000, to)?;
            members(&compress(&capture), &empty, 100_000, to)
        });
        assert_eq!(count(&run.assert_sound().ran.json(), "/packets"), 1, "{codec}");
        run.assert_takes_at_most(READ_AHEAD_BYTES);
    }
}

/// Frames to skip before the first with data, which tells the codec: many of them, and one that is long.
#[test]
fn what_is_skipped_before_the_codec_is_known_takes_no_memory() {
    let capture = [pcap_header(), pcap_record(1, &packet(0).owned().data)].concat();
    let (short, long_len) = ([0x5f, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4], 256_u32 << 20);
    let long = [&[0x50, 0x2a, 0x4d, 0x18], &long_len.to_le_bytes()[..]].concat();
    for (codec, compress) in &CODECS[1..] {
        let run = measured(&["-", "-o", "json"], |to| {
            members(&[], &short, 100_000, to)?;
            members(&long, &vec![0; 1 << 20], 256, to)?;
            to.write_all(&compress(&capture))
        });
        assert_eq!(count(&run.assert_sound().ran.json(), "/packets"), 1, "{codec}");
        run.assert_takes_at_most(READ_AHEAD_BYTES);
    }
}

/// A zstd frame of a window's size, with the capture as it is.
fn with_window(log: u8, capture: &[u8]) -> Vec<u8> {
    let len = u32::try_from(capture.len()).expect("a short capture");
    // the header: no content size, a window; then one block, raw and the last
    let block = (len << 3 | 1).to_le_bytes();
    [&[0x28, 0xb5, 0x2f, 0xfd, 0, (log - 10) << 3], &block[..3], capture].concat()
}

/// Captures that overlap in time are open together, and each may look back on 128 MiB: there is a gigabyte for all of them.
#[test]
fn windows_of_captures_that_are_open_together_have_an_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let capture = [pcap_header(), packet(0).owned_record(), packet(1_000_000_000).owned_record()].concat();
    for number in 0..12 {
        fs::write(folder.path().join(format!("{number:02}.pcap.zst")), with_window(27, &capture)).expect("room");
    }
    let run = measured_alone(&[folder.path().to_str().expect("a name in ASCII"), "-o", "json"]);
    assert_eq!((run.ran.code, count(&run.ran.json(), "/packets")), (Some(3), 8 * 2));
    let refused: Vec<_> = run.ran.stderr.lines().collect();
    assert_eq!(refused.len(), 4, "{refused:?}");
    for line in refused {
        assert!(line.contains("it takes 134217728 bytes of memory") && line.ends_with("read it by itself"), "{line}");
    }
    // memory is asked for, and used as far as there is something to look back on
    run.assert_takes_at_most(12 * MIB);
}

/// `zstd --long=31` asks for 2 GiB. More than 128 MiB takes an option of zstd's own, too, to decompress.
#[test]
fn windows_are_no_larger_than_any_level_makes_them() {
    let capture = [pcap_header(), pcap_record(1, &packet(0).owned().data)].concat();
    for log in [10, 27] {
        let run = measured(&["-", "-o", "json"], |to| to.write_all(&with_window(log, &capture)));
        assert_eq!(count(&run.assert_sound().ran.json(), "/packets"), 1);
    }
    for log in [28, 31, 41] {
        let run = measured(&["-", "-o", "json"], |to| to.write_all(&with_window(log, &capture)));
        run.assert_says(
            3,
            "standard input: damaged zstd data at byte 4 of the compressed file: Frame requires too much memory",
        );
        run.assert_takes_at_most(2 * MIB);
    }
}
