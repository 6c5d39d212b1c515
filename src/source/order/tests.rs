//! What several inputs make together: real files in a folder of their own.

use std::fs;
use std::path::Path;

use super::*;
use crate::source::record::ByteOrder::Little;
use crate::source::testing::{helped, interface, packet, pcap_file, section};

/// What came of reading: the seconds of packets with the name of their interface, and the errors.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    packets: Vec<(i64, String)>,
    errors: Vec<(Severity, String)>,
}

fn run(files: &mut Files) -> Told {
    let mut told = Told::default();
    loop {
        let (seconds, interface) = match files.next_packet() {
            Ok(Next::Frame(frame)) => (frame.ts.as_nanos() / 1_000_000_000, frame.interface as usize),
            Ok(Next::Idle) => continue,
            Ok(Next::End) => return told,
            Err(error) => {
                told.errors.push((error.severity(), error.to_string()));
                continue;
            }
        };
        told.packets.push((seconds, files.interfaces()[interface].name()));
    }
}

fn open(paths: &[&Path]) -> Files {
    Files::open(&paths.iter().map(|path| path.to_path_buf()).collect::<Vec<_>>(), Arc::default())
}

/// Seconds and the last letter of the name, as in `1a 2b`.
fn brief(told: &Told) -> String {
    let letter = |name: &str| name.chars().last().unwrap_or(' ');
    told.packets.iter().map(|(at, name)| format!("{at}{}", letter(name))).collect::<Vec<_>>().join(" ")
}

#[test]
fn inputs_are_merged_by_time() {
    let cases: [(&str, &[&[u32]], &str); 8] = [
        ("one after the other, named in any order", &[&[5, 6], &[1, 2], &[3, 4]], "1b 2b 3c 4c 5a 6a"),
        ("overlapping", &[&[1, 4, 7], &[2, 5, 8], &[3, 6, 9]], "1a 2b 3c 4a 5b 6c 7a 8b 9c"),
        ("ties go to the first", &[&[1, 2], &[1, 2], &[1, 3]], "1a 1b 1c 2a 2b 3c"),
        ("one around another", &[&[1, 9], &[3, 4]], "1a 3b 4b 9a"),
        ("steps backwards stay where they are", &[&[5, 1, 6], &[4, 5]], "4b 5a 1a 5b 6a"),
        ("one without packets", &[&[], &[1]], "1b"),
        ("a single one, backwards", &[&[3, 2, 1]], "3a 2a 1a"),
        ("none with packets", &[&[], &[]], ""),
    ];
    for (name, inputs, want) in cases {
        let folder = tempfile::tempdir().expect("a folder");
        let paths: Vec<_> = ["a", "b", "c"].iter().map(|letter| folder.path().join(letter)).collect();
        for (path, seconds) in paths.iter().zip(inputs) {
            fs::write(path, pcap_file(seconds)).expect("room");
        }
        let mut files = open(&paths.iter().take(inputs.len()).map(PathBuf::as_path).collect::<Vec<_>>());
        let told = run(&mut files);
        assert_eq!(brief(&told), want, "{name}");
        assert_eq!(told.errors, [], "{name}");
        assert_eq!(files.readable(), inputs.len(), "{name}");
        assert_eq!(files.progress().load(Ordering::Relaxed), files.total_bytes() - empty_bytes(inputs), "{name}");
    }
}

/// Bytes of the captures without packets, which are looked at, but not read again.
fn empty_bytes(inputs: &[&[u32]]) -> u64 {
    if inputs.len() == 1 { 0 } else { inputs.iter().filter(|seconds| seconds.is_empty()).count() as u64 * 24 }
}

#[test]
fn compressed_inputs_are_merged_by_time_however_many_are_read_ahead() {
    let folder = tempfile::tempdir().expect("a folder");
    let paths: Vec<_> = ["a", "b", "c", "d"].iter().map(|letter| folder.path().join(letter)).collect();
    for (first, path) in (0..).zip(&paths) {
        let seconds: Vec<u32> = (0..20_000).map(|at| at * 4 + first).collect();
        fs::write(path, zstd::encode_all(&pcap_file(&seconds)[..], 1).expect("memory")).expect("room");
    }
    for ahead in [0, 1, 2, 4] {
        let mut files = Files::open(&paths, Arc::default());
        files.shared.read_ahead = ReadAhead::of(ahead);
        files.shared.read_ahead.allow();
        let read_ahead = files.read_ahead();
        let mut expected = (0..80_000_i64).map(|second| second * 1_000_000_000);
        let pause = helped(&read_ahead, || {
            files.read(&mut |frame, _| {
                assert_eq!(Some(frame.ts.as_nanos()), expected.next());
                ControlFlow::Continue(())
            })
        });
        assert_eq!(pause.expect("sound files"), Pause::End);
        assert_eq!(expected.next(), None, "{ahead}");
    }
}

#[test]
fn a_folder_is_the_captures_directly_in_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("deeper")).expect("room");
    fs::write(at("deeper/d"), pcap_file(&[1])).expect("room");
    fs::write(at("b"), pcap_file(&[2])).expect("room");
    fs::write(at("a"), pcap_file(&[2, 3])).expect("room");
    fs::write(at("notes.txt"), "what we saw\n").expect("room");
    rustix::fs::mkfifoat(rustix::fs::CWD, at("fifo"), rustix::fs::Mode::RUSR).expect("a FIFO");
    let mut files = open(&[folder.path()]);
    let told = run(&mut files);
    assert_eq!(brief(&told), "2a 2b 3a");
    let base = folder.path().display();
    assert_eq!(
        told.errors,
        [
            (Severity::Skipped, format!("{base}/fifo: skipped, no capture: it is no regular file")),
            (Severity::Skipped, format!("{base}/notes.txt: skipped, no capture: it is text: \"what we saw\\n\"")),
        ]
    );
    assert_eq!(files.names(), [format!("{base}/a"), format!("{base}/b")]);
    assert_eq!(files.total_bytes(), 24 + 2 * 19 + 24 + 19);
}

#[test]
fn what_cannot_be_read_is_told_and_the_rest_is_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    fs::write(at("a"), pcap_file(&[1, 2])).expect("room");
    fs::write(at("cut"), &pcap_file(&[1, 2])[..60]).expect("room");
    fs::write(at("empty"), "").expect("room");
    fs::write(at("text"), "<html>").expect("room");
    fs::create_dir(at("nothing")).expect("room");
    fs::create_dir(at("notes")).expect("room");
    fs::write(at("notes/n"), "n").expect("room");
    let paths = ["a", "cut", "empty", "text", "gone", "nothing", "notes"].map(at);
    let mut files = open(&paths.iter().map(PathBuf::as_path).collect::<Vec<_>>());
    let told = run(&mut files);
    assert_eq!(brief(&told), "1a 1t 2a");
    let base = folder.path().display();
    let want = [
        (Severity::Unreadable, format!("{base}/gone: cannot open: No such file or directory (os error 2)")),
        (Severity::Unreadable, format!("{base}/nothing: no capture directly in this folder")),
        (Severity::Damaged, format!("{base}/empty: 0 bytes, no capture header")),
        (Severity::Unreadable, format!("{base}/text: no capture (pcap, pcapng or snoop): it is XML or HTML")),
        (Severity::Skipped, format!("{base}/notes/n: skipped, no capture: it is text: \"n\"")),
        (Severity::Unreadable, format!("{base}/notes: no capture directly in this folder")),
        (Severity::Damaged, format!("{base}/cut: damaged at byte 43: record 2 claims 3 captured bytes, 1 remain")),
    ];
    assert_eq!(told.errors, want);
    assert_eq!(files.readable(), 3);
    assert_eq!(files.names(), ["a", "cut", "empty"].map(|name| format!("{base}/{name}")));
}

#[test]
fn nothing_readable_is_known() {
    let folder = tempfile::tempdir().expect("a folder");
    for (content, readable) in [("text", 0), ("", 1)] {
        let path = folder.path().join("x");
        fs::write(&path, content).expect("room");
        let mut files = open(&[&path]);
        assert_eq!(run(&mut files).errors.len(), 1, "{content:?}");
        assert_eq!(files.readable(), readable, "{content:?}");
    }
}

#[test]
fn interfaces_of_all_inputs_are_one_list() {
    let folder = tempfile::tempdir().expect("a folder");
    let capture = |ticks: u64, names: [&[u8]; 2]| {
        let mut file = section(Little);
        for (id, name) in (0..).zip(names) {
            file.extend(interface(Little, 1, 0, &[(2, name)]));
            file.extend(packet(Little, id, ticks * 1_000_000, b"abc"));
        }
        file
    };
    let paths = [folder.path().join("a"), folder.path().join("b")];
    fs::write(&paths[0], capture(2, [b"v", b"w"])).expect("room");
    fs::write(&paths[1], capture(1, [b"x", b"y"])).expect("room");
    let mut files = open(&[&paths[0], &paths[1]]);
    assert_eq!(brief(&run(&mut files)), "1x 1y 2v 2w");
    assert_eq!(files.interfaces().len(), 4);
}

#[test]
fn a_fifo_is_merged_with_a_file() {
    use std::io::Write as _;
    let folder = tempfile::tempdir().expect("a folder");
    let (file, fifo) = (folder.path().join("a"), folder.path().join("f"));
    fs::write(&file, pcap_file(&[1, 3])).expect("room");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, mode).expect("a FIFO");
    let mut files = open(&[&file, &fifo]);
    assert!(matches!(files.next_packet(), Ok(Next::Idle)), "nobody knows what comes first");
    let mut writer = fs::File::options().write(true).open(&fifo).expect("a reader");
    writer.write_all(&pcap_file(&[2, 4])).expect("room in the pipe");
    drop(writer);
    assert_eq!(brief(&run(&mut files)), "1a 2f 3a 4f");
}

#[test]
fn a_stop_ends_in_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a");
    fs::write(&path, pcap_file(&(0..100_000).collect::<Vec<_>>())).expect("room");
    let stop = Arc::new(AtomicBool::new(false));
    let mut files = Files::open(&[path], Arc::clone(&stop));
    assert!(matches!(files.next_packet(), Ok(Next::Frame(_))));
    stop.store(true, Ordering::Relaxed);
    let told = run(&mut files);
    assert_eq!(told.errors, []);
    assert!(told.packets.len() < 20_000, "{} packets after the stop", told.packets.len());
}
