//! Files that `-w` writes, read back by ourselves and counted by capinfos.
//!
//! `PORTLABEL_CORPUS` names the corpus; without it this test says so and passes, without capinfos it says that too.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use portlabel::source::{Files, Next, Save};

use crate::cases::{corpus, skipped};

/// Time, wire length, link type and captured bytes.
type Packet = (i64, u32, u16, Vec<u8>);

/// The packets of a file, and those that are saved to `copy` on the way.
fn read(path: &Path, mut copy: Option<&mut Save>) -> Vec<Packet> {
    let mut files = Files::open(&[path.to_owned()], Arc::default());
    let mut packets = Vec::new();
    let mut interfaces = Vec::new();
    loop {
        let (ts, wire_len, link, interface, data) = match files.next_packet() {
            Ok(Next::Frame(frame)) => (frame.ts, frame.wire_len, frame.link, frame.interface, frame.data.to_vec()),
            Ok(Next::End) => return packets,
            // damage ends the file, as it did when its packets were counted
            Ok(Next::Idle) | Err(_) => continue,
        };
        if interface as usize >= interfaces.len() {
            interfaces = files.interfaces().to_vec();
        }
        if let Some(copy) = &mut copy {
            let frame = portlabel::source::Frame { ts, wire_len, link, interface, data: &data };
            copy.write(&frame, &interfaces[interface as usize]).expect("room");
        }
        packets.push((ts.as_nanos(), wire_len, link.0, data));
    }
}

#[test]
fn saved_files_hold_the_same_packets() {
    let Some(corpus) = corpus("there is nothing to save") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let table = std::fs::read_to_string(corpus.join("oracle.tsv")).expect("the corpus has its oracle");
    let mut saved = Vec::new();
    for (at, row) in table.lines().skip(1).enumerate() {
        let file = row.split('\t').next().unwrap_or_default();
        let path = folder.path().join(format!("{at}.pcapng"));
        let mut save = Save::create(&path, None).expect("room");
        let want = read(&corpus.join("files").join(file), Some(&mut save));
        save.finish().expect("room");
        assert_eq!(read(&path, None), want, "{file}");
        saved.push((file, path, want.len()));
    }

    let mut capinfos = Command::new("capinfos");
    capinfos.args(["-T", "-M", "-r", "-c"]).args(saved.iter().map(|(_, path, _)| path));
    let Ok(output) = capinfos.output() else {
        skipped("there is no capinfos to count what was saved");
        return;
    };
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let count = |path: &Path| {
        let row = table.lines().find(|row| row.split('\t').next().is_some_and(|name| Path::new(name) == path));
        row.and_then(|row| row.split('\t').nth(1)).map(str::to_owned)
    };
    let (mut agreeing, mut wrong) = (0, Vec::new());
    for (file, path, packets) in &saved {
        match count(path) {
            Some(count) if count == packets.to_string() => agreeing += 1,
            count => wrong.push(format!("{file}: {packets} saved, {count:?} counted")),
        }
    }
    eprintln!("{agreeing} of {} saved files hold what capinfos counts", saved.len());
    assert!(wrong.is_empty(), "{}\n{errors}", wrong.join("\n"));
}
