//! Where outputs go: two of them never into one file or pipe, whatever it is called, and none into an input.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::cases::Case;
use crate::program::{Ran, at, count, document, ran};

/// Runs a line of shell in a folder, where `$portlabel` is the program and `$dns` a capture.
fn shell(folder: &Path, line: &str) -> Ran {
    let mut command = at("sh");
    command.args(["-c", line]).current_dir(folder);
    command.env("portlabel", env!("CARGO_BIN_EXE_portlabel")).env("dns", Case::named("dns").capture);
    ran(&mut command)
}

#[test]
fn two_outputs_do_not_share_a_place_whatever_it_is_called() {
    const TWO: &str = "two outputs go to ";
    const SAVE: &str = "save to another file";
    const BOTH: &str = "standard output cannot take both the packets and the table";
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("real")).expect("room");
    symlink("real", folder.path().join("linked")).expect("room");
    symlink("/dev/stdout", folder.path().join("out")).expect("room");
    symlink("real/later", folder.path().join("later")).expect("room");
    let cases = [
        // standard output by its other names
        ("$portlabel $dns -o json=/proc/self/fd/1 -o csv", TWO),
        ("$portlabel $dns -o json=/dev/fd/1 -o csv=/dev/stdout", TWO),
        ("exec $portlabel $dns -o json=/proc/$$/fd/1 -o csv", TWO),
        ("$portlabel $dns -o json=out -o csv", TWO),
        ("$portlabel $dns -w /proc/self/fd/1 -o table", BOTH),
        ("exec $portlabel $dns -w /proc/$$/fd/1", BOTH),
        ("$portlabel $dns -w /dev/fd/1 --rotate 1M -o json=a", "standard output is one file: --rotate needs another"),
        // where standard output goes
        ("$portlabel $dns -o json=a -o csv > a", TWO),
        ("$portlabel $dns -o json=real/a -o csv > linked/a", TWO),
        ("$portlabel $dns -w a -o csv > a", SAVE),
        ("$portlabel $dns -w - -o csv=a > a", SAVE),
        ("$portlabel $dns -o json=/dev/fd/3 -o csv 3>&1 | cat; exit 2", TWO),
        ("$portlabel $dns -o json=/dev/stderr -o csv > a 2>&1; code=$?; cat a >&2; exit $code", TWO),
        ("$portlabel merge report -o json=a -o csv > a", TWO),
        // files that are yet to be created
        ("$portlabel $dns -o json=real/new -o csv=linked/new", TWO),
        ("$portlabel $dns -o json=real/later -o csv=later", TWO),
        ("$portlabel $dns -w real/new -o csv=linked/../linked/new", SAVE),
        ("$portlabel $dns -w later -o csv=real/later", SAVE),
        // pipes
        ("mkfifo pipe; $portlabel $dns -o json=pipe -o csv=real/../pipe", TWO),
        ("$portlabel $dns -w pipe -o csv=pipe", SAVE),
        // and inputs
        ("cp $dns copy; $portlabel copy -o table >> copy", "standard output is an input; the output table would"),
        ("cp $dns copy; $portlabel copy -w - -o json=b >> copy", "standard output is an input; saving would"),
        ("cp $dns copy; $portlabel - -o json=copy < copy", "copy is an input; the output json would"),
        (
            "cp $dns day.2.pcap; $portlabel day.2.pcap -w day.pcap --rotate 1K",
            "day.2.pcap is an input; saving with --rotate",
        ),
        (
            "$portlabel $dns -w real/day --rotate 1K -o json=linked/day.7",
            "linked/day.7 is an output; saving with --rotate",
        ),
    ];
    for (line, says) in cases {
        let ran = shell(folder.path(), line);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{line}: {ran:?}");
        assert_eq!(ran.stderr.matches(says).count(), 1, "{line}: {ran:?}");
        let written =
            fs::metadata(folder.path().join("a")).is_ok_and(|found| found.len() > 0) && !line.contains("2>&1;");
        assert!(!written && !folder.path().join("real/new").exists(), "{line}");
    }
    let copy = fs::read(folder.path().join("copy")).expect("it is there");
    assert_eq!(copy, fs::read(Case::named("dns").capture).expect("it is there"));
}

#[test]
fn places_that_are_apart_stay_so() {
    let folder = tempfile::tempdir().expect("a folder");
    for line in [
        "$portlabel $dns -o json=/dev/null -o csv=/dev/null -w /dev/null",
        "$portlabel $dns -o json=a -o csv=b > c",
        "$portlabel $dns -o json=a -o csv 2> b",
        "$portlabel $dns -o json=/dev/fd/3 -o csv=/dev/fd/4 -w - 3> a 4> b > c",
        "mkfifo one two; cat one > a & cat two > b & $portlabel $dns -o json=one -o csv=two; code=$?; wait; exit $code",
    ] {
        let ran = shell(folder.path(), line);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{line}");
    }
    let json = fs::read_to_string(folder.path().join("a")).expect("it is written");
    assert_eq!(count(&document(&json), "/packets"), 32);
    assert!(fs::read_to_string(folder.path().join("b")).expect("it is written").starts_with("ts,service,"));
}
