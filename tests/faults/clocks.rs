//! Packet time that jumps by decades.
//!
//! The system's clock cannot be set for one program alone, and setting it for the host is nothing that a test may do: what a
//! live run makes of it is tested in `engine`, by the times that it is told.

use std::fs;

use super::{FORMATS, SECOND, START, assert_in_order, datagram};
use crate::live::Folder;
use crate::program::{count, run};
use crate::records::{pcap_header, pcap_record};

/// A pcapng file of an interface whose times are whole seconds, and of packets at such times.
fn in_seconds(times: &[u64]) -> Vec<u8> {
    fn block(kind: u32, body: &[u8]) -> Vec<u8> {
        let total_len = u32::try_from(body.len() + 12).expect("a short block").to_le_bytes();
        [&kind.to_le_bytes()[..], &total_len, body, &total_len].concat()
    }
    let section = [&0x1a2b_3c4d_u32.to_le_bytes()[..], &[1, 0, 0, 0], &[0xff; 8]].concat();
    let resolution = [9, 0, 1, 0, 0, 0, 0, 0];
    let interface = [&[1, 0, 0, 0, 0, 0, 0, 0][..], &resolution].concat();
    let mut file = [block(0x0a0d_0d0a, &section), block(1, &interface)].concat();
    for time in times {
        let mut data = datagram(50_001);
        let len = u32::try_from(data.len()).expect("a short packet").to_le_bytes();
        data.resize(data.len().next_multiple_of(4), 0);
        let time = [(time >> 32).to_le_bytes(), (time & u64::from(u32::MAX)).to_le_bytes()];
        file.extend(block(6, &[&[0; 4], &time[0][..4], &time[1][..4], &len, &len, &data].concat()));
    }
    file
}

#[test]
fn times_that_cannot_be_told_are_told_once_a_file_and_lose_no_packet() {
    let folder = Folder::new();
    let start = START / SECOND;
    let beyond = [start, 1 << 63, start + 1, 100_000_000_000, start + 2];
    // section and interface take 28 and 28 bytes, and a packet its data and 32, rounded up
    let packet_len = (32 + datagram(50_001).len()).next_multiple_of(4);
    let told = |name: &str, offset: usize| {
        format!("portlabel: {name}: the packet at byte {offset} has a time before 1677 or after 2262")
    };
    let paths = ["beyond.pcapng", "first.pcapng", "sound.pcapng"].map(|name| folder.text(name));
    for (path, times) in paths.iter().zip([&beyond[..], &beyond[1..], &[start, start + 3]]) {
        fs::write(path, in_seconds(times)).expect("room");
    }
    let [path, first, sound] = &paths;
    for (files, packets, wants) in [
        (vec![path], 5, vec![told(path, 56 + packet_len)]),
        (vec![first], 4, vec![told(first, 56)]),
        (vec![sound], 2, vec![]),
        (vec![path, sound, first], 11, vec![told(first, 56), told(path, 56 + packet_len)]),
    ] {
        let args = [&files.iter().map(|file| file.as_str()).collect::<Vec<_>>()[..], &["-o", "json"]].concat();
        let ran = run(&args);
        assert_in_order(&ran);
        assert_eq!(ran.code, Some(if wants.is_empty() { 0 } else { 3 }), "{ran:?}");
        assert_eq!(count(&ran.json(), "/packets"), packets, "{ran:?}");
        let mut said: Vec<_> = ran.stderr.lines().collect();
        said.sort_unstable();
        assert_eq!(said.len(), wants.len(), "{}", ran.stderr);
        for want in wants {
            assert!(said.iter().any(|line| line.starts_with(&want)), "{want}: {}", ran.stderr);
        }
    }
}

/// A year of 365 days, in nanoseconds.
const YEAR: u64 = 365 * 86_400 * SECOND;

#[test]
fn jumps_by_decades_are_counted_and_fill_no_intervals() {
    let folder = Folder::new();
    let path = folder.path("capture.pcap");
    // where bursts of four packets within a second begin, and how many jumps that is
    let cases: [(&str, &[u64], u64); 4] = [
        ("forth", &[START, START + 50 * YEAR], 1),
        ("back", &[START, START - 50 * YEAR], 1),
        ("there and back", &[START, START + 30 * YEAR, START + SECOND, START - 50 * YEAR, START + 2 * SECOND], 4),
        ("for every burst", &[START, 0, START + SECOND, 1, START + 79 * YEAR, 2], 5),
    ];
    for (name, bursts, jumps) in cases {
        let mut file = pcap_header();
        for burst in bursts {
            for at in 0..4 {
                file.extend(pcap_record(burst + at * SECOND / 4, &datagram(50_001)));
            }
        }
        fs::write(&path, file).expect("room");
        let input = path.to_str().expect("ASCII");
        let ran = run(&[input, "-o", "ndjson", "--interval", "1s"]);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{name}");
        let lines = ran.json_lines();
        assert_eq!(lines.len(), bursts.len(), "{name}: a line a burst");
        for (line, packets) in lines.iter().zip((4..).step_by(4)) {
            assert_eq!(count(line, "/packets"), packets, "{name}");
            let interval = &line["interval"];
            assert_eq!(
                (
                    interval["complete"].as_bool(),
                    count(interval, "/late_packets"),
                    count(interval, "/skipped_snapshots")
                ),
                (Some(true), 0, 0),
                "{name}: {interval}"
            );
        }
        let last = lines.last().expect("a final one");
        assert_eq!((count(last, "/time_jumps"), count(last, "/flows/evicted")), (jumps, 0), "{name}");
        // of time that passed, no gap is longer than within a burst
        assert_eq!(count(last, "/services/0/gap_us/max"), 250_000, "{name}");

        // pictures neither: a capture of eighty years has as many columns as any
        for format in FORMATS {
            for interval in [&[][..], &["--interval", "1s"]] {
                let to = folder.path("output");
                let _ = fs::remove_file(&to);
                let output = format!("{format}={}", to.display());
                let ran = run(&[&[input, "-o", &output][..], interval].concat());
                assert_in_order(&ran);
                assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{name}: {format}");
                let bytes = fs::metadata(&to).expect("it was written").len();
                assert!(bytes < 1 << 20, "{name}: {format} has {bytes} bytes");
            }
        }
    }
}

#[test]
fn a_wrong_time_ends_no_flow_but_its_own() {
    let folder = Folder::new();
    let path = folder.path("capture.pcap");
    for wrong in [START + 50 * YEAR, START - 50 * YEAR] {
        let mut file = pcap_header();
        for at in 0..60 {
            file.extend(pcap_record(START + at * SECOND, &datagram(50_001)));
            if at % 10 == 5 {
                file.extend(pcap_record(wrong, &datagram(50_002)));
            }
        }
        fs::write(&path, file).expect("room");
        let flows = run(&[path.to_str().expect("ASCII"), "-o", "flows"]).json_lines();
        let found: Vec<_> = flows
            .iter()
            .map(|flow| (count(flow, "/client/port"), count(flow, "/to_server/packets"), flow["end"].as_str()))
            .collect();
        assert_eq!(found, [(50_001, 60, Some("final")), (50_002, 6, Some("final"))], "{wrong}");
    }
}
