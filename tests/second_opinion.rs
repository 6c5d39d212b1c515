//! Our container readers against two others: what tshark printed for each capture of the corpus (`oracle.tsv`), and the
//! `pcap-parser` crate, packet by packet.
//!
//! `PORTLABEL_CORPUS` names the corpus; without it these tests say so and pass.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pcap_parser::{Block, PcapBlockOwned, PcapError, create_reader};
use portlabel::source::{Files, Next};

use crate::cases::corpus;

/// What two readers can disagree on.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Packet {
    ts_nanos: i64,
    wire_len: u32,
    data: Vec<u8>,
}

/// What our readers make of a file, and what is wrong with it.
fn read(path: &Path) -> (Vec<Packet>, Option<String>) {
    let mut files = Files::open(&[path.to_owned()], Arc::default());
    let (mut packets, mut fault) = (Vec::new(), None);
    loop {
        match files.next_packet() {
            Ok(Next::Frame(frame)) => packets.push(Packet {
                ts_nanos: frame.ts.as_nanos(),
                wire_len: frame.wire_len,
                data: frame.data.to_vec(),
            }),
            Ok(Next::Idle) => panic!("{} is a file", path.display()),
            Ok(Next::End) => return (packets, fault),
            Err(error) => fault = Some(error.to_string()),
        }
    }
}

/// The rows of the oracle, each as the value of every column.
fn oracle(corpus: &Path) -> Vec<HashMap<String, String>> {
    let table = fs::read_to_string(corpus.join("oracle.tsv")).expect("the corpus has its oracle");
    let mut lines = table.lines();
    let columns: Vec<&str> = lines.next().expect("a header").split('\t').collect();
    let row = |line: &str| columns.iter().map(ToString::to_string).zip(line.split('\t').map(str::to_owned)).collect();
    lines.map(row).collect()
}

/// Files on which we differ from tshark's numbers, and why.
const KNOWN: &[(&str, &str)] = &[
    ("tcpdump/atm-heapoverflow.pcap", "tshark takes the 4 bytes of SunATM's pseudo-header off"),
    (
        "tcpdump/rsvp-rsvp_obj_print-oobr.pcap",
        "47 bytes captured of 0 on the wire: tshark prints both, we cut to the wire",
    ),
    ("libpcap/pcap-invalid-version-1.pcap", "version 1.4: libpcap and tshark refuse it too"),
    ("libpcap/pcapng-invalid-vers-1.pcapng", "version 0.1: libpcap and tshark refuse it too"),
    ("libpcap/shb-option-too-long.pcapng", "the lengths of its section header differ: tshark refuses it too"),
    (
        "pcapplusplus/clusterfuzz-testcase-minimized-FuzzTarget-5421416466481152",
        "a fraction of 4,280 seconds, which overflows what tshark prints",
    ),
    (
        "pcapplusplus/clusterfuzz-testcase-minimized-FuzzTarget-6604968558198784",
        "a fraction of 538 seconds, which overflows what tshark prints",
    ),
    ("pcapplusplus/crash-pcapng-epb-unbounded-length", "a packet longer than its block: tshark refuses it too"),
    ("nfstream/h323-overflow.pcap", "it is a CSV file"),
];

/// Files on which we differ from `pcap-parser`, and why.
const KNOWN_OF_CRATE: &[(&str, &str)] =
    &[("libpcap/pcapng-invalid-vers-1.pcapng", "version 0.1, which the crate does not look at")];

#[test]
fn packets_are_those_that_tshark_counts() {
    let Some(corpus) = corpus("there is nothing to compare with") else { return };
    let rows = oracle(&corpus);
    let (mut agreeing, mut wrong) = (0, Vec::new());
    for row in &rows {
        let (packets, fault) = read(&corpus.join("files").join(&row["file"]));
        let differences = differences(row, &packets);
        let known = KNOWN.iter().find(|(file, _)| *file == row["file"]);
        match (differences.is_empty(), known) {
            (true, None) => agreeing += 1,
            (false, Some((file, reason))) => eprintln!("known: {file}: {reason}"),
            (true, Some((file, _))) => wrong.push(format!("{file} agrees now: it is no exception any more")),
            (false, None) => wrong.push(format!("{}: {} ({fault:?})", row["file"], differences.join(", "))),
        }
    }
    eprintln!("{agreeing} of {} files agree with the oracle", rows.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Every number of an oracle's row that is not that of `packets`.
fn differences(row: &HashMap<String, String>, packets: &[Packet]) -> Vec<String> {
    // tshark counts custom blocks as frames, and refuses some link types and options that say nothing of the container
    let by_tshark = row["oracle_quality"] != "none" && row["packets"] == row["capinfos_packets"];
    let count = packets.len() as u64;
    let sum = |len: fn(&Packet) -> u64| packets.iter().map(len).sum::<u64>();
    let times = || packets.iter().map(|packet| packet.ts_nanos);
    let steps_back = packets.windows(2).filter(|pair| pair[1].ts_nanos < pair[0].ts_nanos).count() as u64;
    let signed = |number: Option<i64>| number.map_or(String::new(), |number| number.to_string());
    let mut checks = vec![("records_in_container", count.to_string())];
    if by_tshark {
        checks = vec![
            ("packets", count.to_string()),
            ("cap_bytes", sum(|packet| packet.data.len() as u64).to_string()),
            // tshark keeps lengths in 31 bits
            ("wire_bytes", sum(|packet| packet.wire_len.min(i32::MAX as u32).into()).to_string()),
            ("min_ts_ns", signed(times().min())),
            ("max_ts_ns", signed(times().max())),
            ("out_of_order_ts", steps_back.to_string()),
        ];
    }
    let wrong = checks.into_iter().filter(|(column, ours)| row[*column] != *ours);
    wrong.map(|(column, ours)| format!("{column} {} there, {ours} here", row[column])).collect()
}

/// What the `pcap-parser` crate makes of a file, or why it cannot be asked.
fn parsed(path: &Path) -> Result<(Vec<Packet>, Option<String>), String> {
    let file = fs::File::open(path).map_err(|error| error.to_string())?;
    let mut reader = create_reader(1 << 20, file).map_err(|error| format!("it does not open it: {error:?}"))?;
    let mut seen = Parsed::default();
    loop {
        match reader.next() {
            Ok((offset, block)) => {
                seen.add(&block)?;
                reader.consume(offset);
            }
            Err(PcapError::Eof) => return Ok((seen.packets, None)),
            Err(PcapError::Incomplete(_)) => {
                if reader.refill().is_err() || reader.reader_exhausted() && reader.data().len() < 4 {
                    return Ok((seen.packets, Some("cut".to_owned())));
                }
            }
            Err(error) => return Ok((seen.packets, Some(format!("{error:?}")))),
        }
    }
}

/// The packets so far, and what their times depend on.
#[derive(Default)]
struct Parsed {
    packets: Vec<Packet>,
    /// Nanoseconds a unit of a legacy file's fraction stands for.
    fraction_nanos: i64,
    /// Nanoseconds a unit of each interface's timestamps stands for, seconds to add, and the snap length.
    interfaces: Vec<(i64, i64, u32)>,
}

impl Parsed {
    fn add(&mut self, block: &PcapBlockOwned<'_>) -> Result<(), String> {
        match block {
            PcapBlockOwned::LegacyHeader(header) => {
                if (header.version_major, header.version_minor) < (2, 4) {
                    return Err("it does not know that old versions have the lengths swapped".to_owned());
                }
                self.fraction_nanos = if header.is_nanosecond_precision() { 1 } else { 1_000 };
            }
            PcapBlockOwned::Legacy(record) => {
                let ts_nanos =
                    i64::from(record.ts_sec) * 1_000_000_000 + i64::from(record.ts_usec) * self.fraction_nanos;
                self.push(ts_nanos, record.origlen, record.caplen, record.data)?;
            }
            PcapBlockOwned::NG(Block::SectionHeader(_)) => self.interfaces.clear(),
            PcapBlockOwned::NG(Block::InterfaceDescription(interface)) => {
                if interface.if_tsresol > 9 {
                    return Err("it knows no timestamps of base 2 or beyond nanoseconds".to_owned());
                }
                if interface.if_tsoffset != 0 {
                    return Err("it misreads if_tsoffset in big-endian sections".to_owned());
                }
                let unit_nanos = 10_i64.pow(9 - u32::from(interface.if_tsresol));
                self.interfaces.push((unit_nanos, interface.if_tsoffset, interface.snaplen));
            }
            PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => {
                let (unit_nanos, offset, _) = self.interfaces.get(packet.if_id as usize).copied().unwrap_or_default();
                let ticks = (i64::from(packet.ts_high) << 32) | i64::from(packet.ts_low);
                let ts_nanos = ticks * unit_nanos + offset * 1_000_000_000;
                self.push(ts_nanos, packet.origlen, packet.caplen, packet.data)?;
            }
            PcapBlockOwned::NG(Block::SimplePacket(packet)) => {
                let snap_len = self.interfaces.first().map_or(0, |interface| interface.2);
                let captured_len = if snap_len == 0 { packet.origlen } else { packet.origlen.min(snap_len) };
                let ts_nanos = self.packets.last().map_or(0, |before| before.ts_nanos);
                self.push(ts_nanos, packet.origlen, captured_len, packet.data)?;
            }
            PcapBlockOwned::NG(Block::Unknown(block)) if block.block_type == 2 || block.block_type == 2 << 24 => {
                return Err("it knows no obsolete packet block".to_owned());
            }
            PcapBlockOwned::NG(_) => {}
        }
        Ok(())
    }

    fn push(&mut self, ts_nanos: i64, wire_len: u32, captured_len: u32, data: &[u8]) -> Result<(), String> {
        let data = data.get(..captured_len.min(wire_len) as usize).ok_or("its data is shorter than it says")?.to_vec();
        self.packets.push(Packet { ts_nanos, wire_len, data });
        Ok(())
    }
}

/// Every file below `folder`.
fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the corpus can be listed") {
        let path = entry.expect("the corpus can be listed").path();
        if path.is_dir() { files_below(&path, found) } else { found.push(path) }
    }
}

#[test]
fn packets_are_those_of_the_pcap_parser_crate() {
    let Some(corpus) = corpus("there is nothing to compare with") else { return };
    let mut paths = Vec::new();
    files_below(&corpus.join("files"), &mut paths);
    paths.sort();
    let (mut agreeing, mut skipped, mut wrong) = (0, 0, Vec::new());
    for path in &paths {
        let theirs = match parsed(path) {
            Ok(theirs) => theirs,
            Err(reason) => {
                eprintln!("SKIPPED {}: {reason}", path.display());
                skipped += 1;
                continue;
            }
        };
        let ours = read(path);
        let known = KNOWN_OF_CRATE.iter().find(|(file, _)| path.ends_with(file));
        if let Some((file, reason)) = known {
            assert_ne!(ours.0, theirs.0, "{file} agrees now: it is no exception any more");
            eprintln!("known: {file}: {reason}");
            continue;
        }
        if ours.0 == theirs.0 {
            agreeing += 1;
            continue;
        }
        let first = ours.0.iter().zip(&theirs.0).position(|(ours, theirs)| ours != theirs);
        wrong.push(format!(
            "{}: {} packets here ({:?}), {} there ({:?}), the first that differs: {first:?}",
            path.display(),
            ours.0.len(),
            ours.1,
            theirs.0.len(),
            theirs.1,
        ));
    }
    eprintln!("{agreeing} of {} files agree with pcap-parser, {skipped} cannot be compared", paths.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
