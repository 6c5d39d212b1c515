//! Disks that are full or read-only, and files that may not grow.

use std::fs;

use super::{FORMATS, assert_reports, capture, limited, with_mounts};
use crate::live::{Datagrams, Folder, ONLY_DATAGRAMS, PROGRAM, assert_conserved, counters, watching};
use crate::netns::Wire;
use crate::program::{count, ran, run};

/// A disk without any room: files can be created on it, and not written.
const FULL: &str = r#"mount -t tmpfs -o size=64k none "$0" || exit 99
head -c 1M /dev/zero >"$0/filler" 2>/dev/null; exec "$@""#;
/// A disk with 64 KiB.
const SMALL: &str = r#"mount -t tmpfs -o size=64k none "$0" && exec "$@""#;
const READ_ONLY: &str = r#"mount -t tmpfs -o ro none "$0" && exec "$@""#;

const NO_SPACE: &str = "No space left on device (os error 28)";

#[test]
fn a_full_disk_is_told_by_every_output_and_costs_no_other() {
    let (office, folder) = (capture("office"), Folder::new());
    let there = folder.text("out");
    for format in FORMATS {
        let to_disk = format!("{format}={there}");
        let Some(mut command) = with_mounts(FULL, &folder, &[&office, "-o", &to_disk, "-o", "json"]) else { return };
        let ran = ran(&mut command);
        let what = if format == "prometheus" { "cannot replace it: " } else { "" };
        let told = format!("portlabel: {there}: {what}{NO_SPACE}\n");
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(1), told.as_str()), "{format}");
        assert_reports(&ran, 172);
    }
}

#[test]
fn a_disk_that_fills_up_ends_the_saving_of_a_capture_and_nothing_else() {
    let (office, folder) = (capture("office"), Folder::new());
    let there = folder.text("saved.pcapng");
    // four pages for 31 kB; the file that has no room is named
    for (rotate, named) in [(&[][..], "saved.pcapng"), (&["--rotate", "8K"], "saved.2.pcapng")] {
        let args = [&[office.as_str(), "-w", &there, "-o", "json"][..], rotate].concat();
        let Some(mut command) = with_mounts(&SMALL.replace("64k", "16k"), &folder, &args) else { return };
        let ran = ran(&mut command);
        let told = format!("portlabel: {}: cannot write: {NO_SPACE}\n", folder.text(named));
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(1), told.as_str()));
        assert_reports(&ran, 172);
    }
}

#[test]
fn a_full_disk_is_told_by_every_output_of_a_live_run() {
    let Some(wire) = Wire::new() else { return };
    let folder = Folder::new();
    let outputs = FORMATS.map(|format| format!("{format}={}", folder.text(format)));
    let mut command = wire.client.command("sh");
    command.args(["-c", FULL, &folder.text(""), PROGRAM, "-i", "eth0", "-Z", "root", "--interval", "100ms"]);
    command.args(outputs.iter().flat_map(|output| ["-o", output])).args(["-o", "json"]).args(ONLY_DATAGRAMS);
    let mut program = watching(&mut command);
    let datagrams = Datagrams::new(&wire, 0);
    datagrams.send(3, b"before");
    for format in ["ndjson", "csv", "prometheus"] {
        program.await_saying(&format!("{}: ", folder.text(format)));
    }
    datagrams.send(4, b"afterwards");
    let ended = program.interrupt();
    assert_eq!((ended.code, counters(&ended.stderr)), (Some(1), [7, 7, 0]), "{ended:?}");
    for format in FORMATS {
        let told: Vec<_> = ended.stderr.lines().filter(|line| line.contains(&folder.text(format))).collect();
        assert!(!told.is_empty() && told.iter().all(|line| line.contains(NO_SPACE)), "{format}: {ended:?}");
    }
    let report = ended.json();
    assert_conserved(&report);
    assert_eq!(count(&report, "/packets"), 7);
}

#[test]
fn a_live_row_of_files_ends_where_the_disk_does() {
    let Some(wire) = Wire::new() else { return };
    let folder = Folder::new();
    let mut command = wire.client.command("sh");
    let saved = folder.text("saved.pcapng");
    command.args(["-c", SMALL, &folder.text(""), PROGRAM, "-i", "eth0", "-o", "json", "-w", &saved]);
    let mut program = watching(command.args(["--rotate", "10K"]).args(ONLY_DATAGRAMS));
    let datagrams = Datagrams::new(&wire, 0);
    datagrams.send(300, &[7; 400]);
    program.await_saying(".pcapng: cannot ");
    datagrams.send(10, b"afterwards");
    let ended = program.interrupt();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.stderr.contains(&format!("{}.", folder.text("saved"))) && ended.stderr.contains(NO_SPACE),
        "{ended:?}"
    );
    assert_eq!(count(&ended.json(), "/packets"), 310);
}

#[test]
fn a_read_only_disk_is_told_before_anything_is_read() {
    let (office, folder) = (capture("office"), Folder::new());
    let there = folder.text("out");
    let cannot = |what: &str| format!("portlabel: {there}: {what}: Read-only file system (os error 30)\n");
    for format in FORMATS {
        let what = match format {
            "prometheus" => "cannot create a file beside it, to take its place at each snapshot",
            _ => "cannot open for writing",
        };
        let to_disk = format!("{format}={there}");
        let Some(mut command) = with_mounts(READ_ONLY, &folder, &[&office, "-o", &to_disk, "-o", "json"]) else {
            return;
        };
        let ran = ran(&mut command);
        assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr), (Some(1), "", cannot(what)), "{format}");
    }
    let Some(mut command) = with_mounts(READ_ONLY, &folder, &[&office, "-w", &there, "-o", "json"]) else { return };
    let ran = ran(&mut command);
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr), (Some(1), "", cannot("cannot create")));
}

#[test]
fn a_file_that_may_not_grow_is_as_a_full_disk() {
    let (office, folder) = (capture("office"), Folder::new());
    let there = folder.text("out");
    // the signal that comes with it would end the program
    let too_large = |what: &str| format!("portlabel: {there}: {what}File too large (os error 27)\n");
    for format in FORMATS {
        let ran = ran(&mut limited("--fsize=256", &[&office, "-o", &format!("{format}={there}"), "-o", "json"]));
        let what = if format == "prometheus" { "cannot replace it: " } else { "" };
        assert_eq!((ran.code, &ran.stderr), (Some(1), &too_large(what)), "{format}");
        assert_reports(&ran, 172);
        // what was to take the place of a file is not left beside it
        let _ = fs::remove_file(&there);
        assert_eq!(fs::read_dir(folder.path("")).expect("it is there").count(), 0, "{format}");
    }
    let ran = ran(&mut limited("--fsize=256", &[&office, "-w", &there, "-o", "json"]));
    assert_eq!((ran.code, &ran.stderr), (Some(1), &too_large("cannot write: ")));
    assert_reports(&ran, 172);
}

#[test]
fn what_is_no_file_is_written_to_or_told() {
    let (office, folder) = (capture("office"), Folder::new());
    let socket = folder.text("socket");
    let _bound = std::os::unix::net::UnixListener::bind(&socket).expect("room");
    let cases = [
        (folder.text(""), "Is a directory (os error 21)"),
        (socket, "No such device or address (os error 6)"),
        (folder.text("nowhere/x"), "No such file or directory (os error 2)"),
    ];
    for (path, says) in &cases {
        for format in FORMATS.into_iter().filter(|format| *format != "prometheus") {
            let ran = run(&[&office, "-o", &format!("{format}={path}")]);
            let told = format!("portlabel: {path}: cannot open for writing: {says}\n");
            assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr), (Some(1), "", told), "{format}");
        }
        let ran = run(&[&office, "-w", path, "-o", "json"]);
        let told = format!("portlabel: {path}: cannot create: {says}\n");
        assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr), (Some(1), "", told));
    }
}
