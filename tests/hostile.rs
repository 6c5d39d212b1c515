//! Bytes that want to do harm: the decoder returns for any, and a file that is cut or corrupt is reported as far as it
//! goes.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use portlabel::engine::EngineConfig;
use portlabel::flow::Limits;
use portlabel::source::{Files, Next, Severity, SourceError};
use portlabel::units::LinkType;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::cases::{Case, corpus, corpus_captures};
use crate::frames::{Owned, decode, events, snapshots};
use crate::records::{as_snoop_file, records};

/// Every link type of the registry, known or not, some that may come to it, and those of snoop files alone.
fn links() -> impl Iterator<Item = LinkType> {
    (0..320).map(LinkType).chain([LinkType::SURVEYOR_WIFI, LinkType::SNOOP_IPOIB])
}

/// The files of every fixture, and one of them as a snoop file: name and bytes.
fn files() -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = Case::all().into_iter().map(|case| (case.name.clone(), case.bytes())).collect();
    files.push(("ssh as a snoop file".to_owned(), as_snoop_file(&Case::named("ssh").bytes())));
    files
}

/// The frames of a capture, and what was wrong with it.
fn read(path: &Path) -> (Vec<Owned>, Vec<SourceError>) {
    let mut files = Files::open(&[path.to_owned()], Arc::default());
    let (mut frames, mut errors) = (Vec::new(), Vec::new());
    loop {
        match files.next_packet() {
            Ok(Next::Frame(frame)) => frames.push(Owned {
                ts_nanos: frame.ts.as_nanos(),
                wire_len: frame.wire_len,
                link: frame.link.0,
                data: frame.data.to_vec(),
            }),
            Ok(Next::Idle) => panic!("{} is a file", path.display()),
            Ok(Next::End) => return (frames, errors),
            Err(error) => errors.push(error),
        }
    }
}

/// Counts frames, and holds the law to them.
fn assert_law(frames: &[Owned]) {
    let config = EngineConfig { limits: Limits::default(), interval: None, flow_records: false };
    let snapshots = snapshots(&events(frames, &config, 1024));
    let [snapshot] = &snapshots[..] else { panic!("{} snapshots", snapshots.len()) };
    let services = snapshot.services.iter().map(|row| [row.packets, row.wire_bytes]);
    let portless = snapshot.portless.iter().map(|row| [row.packets, row.wire_bytes]);
    let sum = services.chain(portless).fold([0, 0], |sum, row| [sum[0] + row[0], sum[1] + row[1]]);
    assert_eq!(sum, [frames.len() as u64, frames.iter().map(|frame| u64::from(counted_len(frame.wire_len))).sum()]);
}

#[test]
fn every_prefix_of_every_fixtures_frames_decodes() {
    for case in Case::all() {
        let (frames, errors) = read(&case.capture);
        assert!(errors.is_empty() && !frames.is_empty(), "{}: {errors:?}", case.name);
        for frame in &frames {
            // beyond the headers every prefix is like the next one
            for len in 0..=frame.data.len().min(200) {
                let prefix = Owned { data: frame.data[..len].to_vec(), ..frame.clone() };
                let observation = decode(&prefix.frame());
                assert_eq!(observation.wire_len, counted_len(frame.wire_len));
                // ports do not change with what is cut off behind them; what is cut in a tunnel is its carrier's
                let whole = decode(&frame.frame()).outcome;
                match (observation.outcome, whole) {
                    (Ok(cut), Ok(whole)) if cut.tunnels == whole.tunnels => {
                        assert_eq!((cut.src(), cut.dst()), (whole.src(), whole.dst()), "{}: {len}", case.name);
                    }
                    (Ok(cut), Ok(whole)) => assert!(cut.tunnels < whole.tunnels, "{}: {len}", case.name),
                    _ => {}
                }
            }
        }
    }
}

/// Of every capture of the corpus: each prefix of a frame, a flip of each bit of its headers, and the frame under every
/// link type.
#[test]
fn damaged_frames_of_the_corpus_decode() {
    let Some(corpus) = corpus("only the fixtures' frames are damaged") else { return };
    for capture in corpus_captures(&corpus) {
        let (frames, _) = read(&capture);
        // few of each: they are much alike
        for frame in frames.iter().step_by(frames.len() / 16 + 1) {
            let decodes = |link: u16, data: &[u8]| {
                let changed = Owned { link, data: data.to_vec(), ..frame.clone() };
                assert_eq!(decode(&changed.frame()).wire_len, counted_len(frame.wire_len));
            };
            for len in 0..=frame.data.len().min(250) {
                decodes(frame.link, &frame.data[..len]);
            }
            let mut flipped = frame.data.clone();
            for bit in 0..8 * flipped.len().min(150) {
                flipped[bit / 8] ^= 1 << (bit % 8);
                decodes(frame.link, &flipped);
                flipped[bit / 8] ^= 1 << (bit % 8);
            }
            for link in links() {
                decodes(link.0, &frame.data);
            }
        }
    }
}

/// Cuts a copy of every file, from its end on: `step` bytes shorter each time.
#[test]
fn cut_captures_are_reported_up_to_the_cut() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, bytes) in files() {
        let path = folder.path().join("capture");
        fs::write(&path, &bytes).expect("room");
        let file = File::options().write(true).open(&path).expect("it is there");
        let mut lens: Vec<_> = (0..=bytes.len()).rev().step_by(bytes.len() / 150 + 1).collect();
        // the ends of records, where nothing is damaged, and around them
        let ends = records(&bytes).ends;
        lens.extend(ends.iter().step_by(ends.len() / 8 + 1).flat_map(|end| [end + 1, *end, end - 1]));
        lens.extend(0..40);
        lens.retain(|len| *len <= bytes.len());
        lens.sort_unstable_by(|a, b| b.cmp(a));
        for len in lens {
            file.set_len(len as u64).expect("a file can be cut");
            let (frames, errors) = read(&path);
            let want = records(&bytes[..len]);
            let got: Vec<_> = frames.iter().map(|frame| frame.wire_len).collect();
            assert_eq!(got, want.wire_lens, "{name} cut at {len}");
            // within the first bytes nobody can tell what it is
            let magic_len = if bytes.starts_with(b"snoop") { 8 } else { 4 };
            let severity = match len {
                0 => Some(Severity::Damaged),
                _ if len < magic_len => Some(Severity::Unreadable),
                _ if want.is_whole => None,
                _ => Some(Severity::Damaged),
            };
            assert_eq!(errors.first().map(SourceError::severity), severity, "{name} cut at {len}: {errors:?}");
            assert!(errors.len() <= 1, "{name} cut at {len}: {errors:?}");
            assert_law(&frames);
        }
    }
}

/// What counts of a length on the wire: no packet is longer than 2 GiB, whatever a damaged capture claims.
fn counted_len(wire_len: u32) -> u32 {
    wire_len.min(2_147_483_647)
}

proptest! {
    #[test]
    fn random_bytes_decode(data in vec(any::<u8>(), 0..200), wire_len: u32, other: u16) {
        for link in links().chain([LinkType(other)]) {
            let frame = Owned { ts_nanos: 0, wire_len, link: link.0, data: data.clone() };
            prop_assert_eq!(decode(&frame.frame()).wire_len, counted_len(wire_len));
        }
    }

    /// Random bytes behind a sound beginning get further.
    #[test]
    fn random_bytes_behind_headers_decode(
        link in (0..320_u16).prop_map(LinkType),
        ether_type in select(vec![[0x08, 0x00], [0x86, 0xdd], [0x81, 0x00], [0x88, 0xa8], [0x88, 0x47], [0x88, 0x64]]),
        version in select(vec![0x45_u8, 0x4f, 0x46, 0x60, 0x6f]),
        data in vec(any::<u8>(), 0..120),
    ) {
        let mut header = match link {
            LinkType::ETHERNET => [&[2; 12], &ether_type[..]].concat(),
            LinkType::NULL | LinkType::LOOP => vec![2, 0, 0, 0],
            LinkType::LINUX_SLL => [&[0; 14], &ether_type[..]].concat(),
            LinkType::LINUX_SLL2 => [&ether_type, &[0; 18][..]].concat(),
            _ => vec![],
        };
        header.push(version);
        header.extend(data);
        let wire_len = u32::try_from(header.len()).expect("few bytes");
        assert_law(&[Owned { ts_nanos: 0, wire_len, link: link.0, data: header }]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn flipped_bits_in_frames_decode(flips in vec((any::<Index>(), 0..8_u8), 1..12), which: Index) {
        let cases = Case::all();
        let (mut frames, _) = read(&cases[which.index(cases.len())].capture);
        for frame in &mut frames {
            for (at, bit) in &flips {
                // most of them into the headers
                let len = if bit % 2 == 0 { frame.data.len() } else { frame.data.len().min(60) };
                frame.data[at.index(len)] ^= 1 << bit;
            }
        }
        assert_law(&frames);
    }

    #[test]
    fn flipped_bytes_in_files_are_survived(
        changes in vec((any::<Index>(), any::<u8>(), any::<bool>()), 1..12),
        cut: Option<Index>,
        which: Index,
    ) {
        let mut files = files();
        let (_, mut bytes) = files.swap_remove(which.index(files.len()));
        for (at, byte, near_the_beginning) in &changes {
            let len = if *near_the_beginning { bytes.len().min(300) } else { bytes.len() };
            bytes[at.index(len)] = *byte;
        }
        bytes.truncate(cut.map_or(bytes.len(), |cut| cut.index(bytes.len())));
        let mut file = tempfile::NamedTempFile::new().expect("room");
        file.write_all(&bytes).expect("room");
        let (frames, errors) = read(file.path());
        prop_assert!(errors.len() <= 1, "{:?}", errors);
        let captured_len: usize = frames.iter().map(|frame| frame.data.len()).sum();
        prop_assert!(captured_len <= bytes.len());
        assert_law(&frames);
    }
}
