//! Bytes that want to do harm: the decoder returns for any, and a file that is cut or corrupt is reported as far as it
//! goes.

use std::collections::HashSet;
use std::fs::{self, File};
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::io::Write as _;
use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use portlabel::engine::EngineConfig;
use portlabel::source::{Fault, Files, Frame, Next, Severity, SourceError};
use portlabel::units::{LinkType, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::cases::{Case, corpus, corpus_captures};
use crate::frames::{Owned, counted_len, decode, events};
use crate::laws::snapshots;
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
    let config = EngineConfig::default();
    let snapshots = snapshots(&events(frames, &config, 1024));
    let [snapshot] = &snapshots[..] else { panic!("{} snapshots", snapshots.len()) };
    let services = snapshot.services.iter().map(|row| [row.packets, row.wire_bytes]);
    let portless = snapshot.portless.iter().map(|row| [row.packets, row.wire_bytes]);
    let sum = services.chain(portless).fold([0, 0], |sum, row| [sum[0] + row[0], sum[1] + row[1]]);
    assert_eq!(sum, [frames.len() as u64, frames.iter().map(|frame| u64::from(counted_len(&frame.frame()))).sum()]);
}

/// The frames of the fixtures and of the corpus, where there is one; none twice.
fn all_frames() -> Vec<Owned> {
    let corpus = corpus("only the fixtures' frames are damaged");
    let mut frames = Vec::new();
    for case in Case::all() {
        let (found, errors) = read(&case.capture);
        assert!(errors.is_empty() && !found.is_empty(), "{}: {errors:?}", case.name);
        frames.extend(found);
    }
    frames.extend(corpus.iter().flat_map(|corpus| corpus_captures(corpus)).flat_map(|capture| read(&capture).0));
    let mut seen = HashSet::new();
    frames.retain(|frame| seen.insert((frame.link, frame.data.clone())));
    frames
}

/// Runs `check` on all items, shared out among threads.
fn on_every<T: Sync>(items: &[T], check: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, NonZero::get) {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    check(item);
                }
            });
        }
    });
}

#[test]
fn every_prefix_of_every_frame_decodes() {
    let frames = all_frames();
    on_every(&frames, |frame| {
        let whole = decode(&frame.frame()).outcome;
        for len in 0..=frame.data.len() {
            let prefix = Frame { data: &frame.data[..len], ..frame.frame() };
            let observation = decode(&prefix);
            assert_eq!(observation.wire_len, counted_len(&prefix));
            // ports do not change with what is cut off behind them; what is cut in a tunnel is its carrier's
            match (observation.outcome, whole) {
                (Ok(cut), Ok(whole)) if cut.tunnels == whole.tunnels => {
                    assert_eq!((cut.src(), cut.dst()), (whole.src(), whole.dst()), "{len} bytes of {frame:02x?}");
                }
                (Ok(cut), Ok(whole)) => assert!(cut.tunnels < whole.tunnels, "{len} bytes of {frame:02x?}"),
                _ => {}
            }
        }
    });
}

/// Flips each bit of the first 100 bytes of every frame, and some together; and has frames be of other link types.
#[test]
fn every_frame_with_flipped_bits_decodes() {
    let frames: Vec<_> = all_frames().into_iter().enumerate().collect();
    on_every(&frames, |(number, frame)| {
        let decodes = |link: LinkType, data: &[u8]| {
            let changed = Frame { link, data, ..frame.frame() };
            assert_eq!(decode(&changed).wire_len, counted_len(&changed));
        };
        let (link, mut data) = (LinkType(frame.link), frame.data.clone());
        let flip = |data: &mut [u8], bit: usize| data[bit / 8] ^= 1 << (bit % 8);
        let bits = 8 * data.len().min(100);
        for bit in 0..bits {
            flip(&mut data, bit);
            decodes(link, &data);
            flip(&mut data, bit);
        }
        if bits > 0 {
            // one more each time, the same in every run
            let random = BuildHasherDefault::<DefaultHasher>::default();
            for flips in 0..16_u64 {
                let bit = random.hash_one((number, flips)) % bits as u64;
                flip(&mut data, usize::try_from(bit).expect("within a frame"));
                decodes(link, &data);
            }
        }
        // frames of one capture are much alike and take turns
        links().skip(number % 4).step_by(4).for_each(|link| decodes(link, &frame.data));
    });
}

/// Every number that a link type can have, over nothing, over IP, and over bytes that claim the longest of everything.
#[test]
fn every_link_type_decodes() {
    let ip = [&[0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0][..], &[10; 8], &[0, 53, 0, 53, 0, 8, 0, 0]].concat();
    for link in (0..=u16::MAX).map(LinkType) {
        for data in [&[][..], &ip, &[0; 64], &[0xff; 64]] {
            let frame = Frame { ts: Timestamp::from_nanos(0), wire_len: u32::MAX, link, interface: 0, data };
            assert_eq!(decode(&frame).wire_len, counted_len(&frame), "{link}");
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

proptest! {
    #[test]
    fn random_bytes_decode(data in vec(any::<u8>(), 0..200), wire_len: u32, other: u16) {
        for link in links().chain([LinkType(other)]) {
            let frame = Owned { ts_nanos: 0, wire_len, link: link.0, data: data.clone() };
            prop_assert_eq!(decode(&frame.frame()).wire_len, counted_len(&frame.frame()));
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
        // that a time cannot be told ends nothing
        let is_of_time = |error: &&SourceError| matches!(error, SourceError::Input { fault: Fault::Time { .. }, .. });
        let of_time = errors.iter().filter(is_of_time).count();
        prop_assert!(of_time <= 1 && errors.len() - of_time <= 1, "{:?}", errors);
        let captured_len: usize = frames.iter().map(|frame| frame.data.len()).sum();
        prop_assert!(captured_len <= bytes.len());
        assert_law(&frames);
    }
}
