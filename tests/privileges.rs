//! `-Z`: what a process can still do that has given up its rights. Real ones, so this takes root.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::cases::skipped;
use crate::program::{PATIENCE, end_of, portlabel, ran};
use crate::records::pcap_file;

/// The user and the group that own nothing, by their numbers on every Linux.
const NOBODY: u32 = 65_534;

/// Only root can give up rights; a word when this is not root.
pub fn is_root(without_it: &str) -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        skipped(&format!("this is not root: {without_it}"));
    }
    is_root
}

/// A folder that anybody may enter and write in.
fn open_folder() -> TempDir {
    let folder = TempDir::new().expect("a folder");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).expect("it is ours");
    folder
}

/// A capture of one packet that is none of IP.
fn capture() -> Vec<u8> {
    pcap_file(&[(1, &[0; 60][..])])
}

fn text(path: &Path) -> &str {
    path.to_str().expect("ASCII")
}

#[test]
fn a_confined_process_can_do_what_a_run_does_and_nothing_else() {
    if !is_root("what a confined process can do is not tried") {
        return;
    }
    try_everything(&[], "no capabilities, no_new_privs, ", "CapBnd: 0000000000000000");
}

/// As `setcap cap_net_raw=ep` and systemd's unit start it.
#[test]
fn a_process_with_one_capability_gives_that_up() {
    if !is_root("a process with one capability cannot be started") {
        return;
    }
    let rights = "setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps +net_raw --ambient-caps +net_raw --";
    let rights: Vec<_> = rights.split(' ').collect();
    try_everything(&rights, "no capabilities (the bounding set is as it was), no_new_privs, ", "CapBnd: ");
}

/// Starts a process by way of `launcher` that becomes nobody, and looks at what it says that it can do.
fn try_everything(launcher: &[&str], gave_up: &str, bounding_set: &str) {
    let folder = open_folder();
    // elsewhere is where anybody may write: what is refused there is not refused by the modes of files
    let elsewhere = open_folder();
    let built = Path::new(env!("CARGO_BIN_EXE_portlabel")).with_file_name("examples").join("confined");
    // to where nobody can start it
    let confined = elsewhere.path().join("confined");
    let copied = fs::copy(&built, &confined);
    copied.unwrap_or_else(|error| panic!("{}: {error}; cargo test builds it", built.display()));
    let mut command = Command::new("unshare");
    command.args(["--net", "sh", "-c", "ip link set lo up && exec \"$0\" \"$@\""]).args(launcher).arg(confined);
    let ran = ran(command.arg("nobody").arg(folder.path()).env("TMPDIR", elsewhere.path()));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{}", ran.stdout);

    let mut lines = ran.stdout.lines().map(|line| line.split_once(": ").expect("a name and an outcome"));
    let (_, applied) = lines.next().expect("what was applied");
    let whole = folder.path().canonicalize().expect("its path");
    let want = format!("user nobody ({NOBODY}:{NOBODY}), {gave_up}Landlock ABI ");
    assert!(applied.starts_with(&want), "{applied}");
    assert!(
        applied.contains(&format!(": writes only in {}, to /dev/null; seccomp: no ", whole.display())),
        "{applied}"
    );

    let (_, state) = lines.next().expect("what the kernel says");
    let none = "0000000000000000";
    for want in [
        &format!("Uid: {NOBODY} {NOBODY} {NOBODY} {NOBODY}, Gid: {NOBODY} {NOBODY} {NOBODY} {NOBODY}, Groups: "),
        &format!(", CapInh: {none}, CapPrm: {none}, CapEff: {none}, {bounding_set}"),
        &format!(", CapAmb: {none}, NoNewPrivs: 1, Seccomp: 2"),
    ] {
        assert!(state.contains(want), "no {want:?} in {state}");
    }

    let allowed = [
        "go on writing",
        "create beside it",
        "add to it",
        "replace by it",
        "read it",
        "remove it",
        "write to a device",
        "read an input",
        "see who listens",
        "start a thread",
        "take memory",
        "accept",
        "write to a connection",
        "not wait for more to write",
        "capture it",
        "ask for drops",
        "read drops",
        "make way for others",
    ];
    let (can, cannot): (Vec<_>, Vec<_>) = lines.partition(|(name, _)| allowed.contains(name));
    assert_eq!(can, allowed.map(|name| (name, "ok")), "{}", ran.stdout);
    assert_eq!(cannot.len(), 24, "{}", ran.stdout);
    for (name, outcome) in cannot {
        let is_refused = outcome.ends_with("(os error 1)") || outcome.ends_with("(os error 13)");
        assert!(is_refused, "{name}: {outcome}");
    }
    assert_eq!(fs::read(folder.path().join("out.json")).expect("it is there"), b"{}\n");
    assert_eq!(fs::read_dir(elsewhere.path()).expect("a folder").count(), 2, "the program and the input");
}

#[test]
fn a_run_gives_up_its_rights_in_every_thread() {
    if !is_root("a run does not become another user") {
        return;
    }
    let folder = open_folder();
    let report = folder.path().join("report.json");
    let mut command = portlabel();
    command.args(["-Z", "nobody", "-v", "-", "-o"]).arg(format!("json={}", text(&report)));
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    // it waits for its input, and a filter of system calls is the last thing that it takes on
    let threads = PathBuf::from(format!("/proc/{}/task", child.id()));
    let deadline = Instant::now() + PATIENCE;
    let statuses = loop {
        let statuses: Vec<_> = fs::read_dir(&threads)
            .expect("it runs")
            .filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("status")).ok())
            .collect();
        let is_confined = |status: &String| status.contains("\nSeccomp:\t2\n");
        if !statuses.is_empty() && statuses.iter().all(is_confined) {
            break statuses;
        }
        assert!(Instant::now() < deadline, "{statuses:?}");
        thread::park_timeout(Duration::from_millis(1));
    };
    for status in statuses {
        let none = "0000000000000000";
        for want in [
            format!("\nUid:\t{NOBODY}\t{NOBODY}\t{NOBODY}\t{NOBODY}\n"),
            format!("\nGid:\t{NOBODY}\t{NOBODY}\t{NOBODY}\t{NOBODY}\n"),
            format!("\nGroups:\t{NOBODY} \n"),
            format!("\nCapInh:\t{none}\nCapPrm:\t{none}\nCapEff:\t{none}\nCapBnd:\t{none}\nCapAmb:\t{none}\n"),
            "\nNoNewPrivs:\t1\n".to_owned(),
        ] {
            assert!(status.contains(&want), "no {want:?} in {status}");
        }
    }
    child.stdin.take().expect("a pipe").write_all(&capture()).expect("it reads");
    let ran = end_of(child);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""), "{}", ran.stderr);
    assert!(ran.stderr.starts_with("portlabel: user nobody (65534:65534), no capabilities, "), "{}", ran.stderr);
    assert!(fs::read_to_string(&report).expect("a report").contains("\"packets\": 1,"));
}

#[test]
fn captures_are_read_with_the_rights_of_the_user() {
    if !is_root("a run does not become another user") {
        return;
    }
    let folder = open_folder();
    let (ours, roots) = (folder.path().join("ours.pcap"), folder.path().join("roots.pcap"));
    for (path, mode) in [(&ours, 0o644), (&roots, 0o600)] {
        fs::write(path, capture()).expect("room");
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
    }
    let ran_with = |args: &[&str]| ran(portlabel().args(["-Z", "nobody", "-o", "json"]).args(args));
    // a filter asks for the names of ports when it is compiled, for a link type at its first packet
    let ran = ran_with(&[text(&ours), "-f", "not tcp port https"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert_eq!(ran.json()["packets"], 1);
    let ran = ran_with(&[text(folder.path())]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(ran.stderr.contains("roots.pcap: ") && ran.stderr.contains("ermission denied"), "{}", ran.stderr);
    assert_eq!(ran.json()["packets"], 1);
}

/// What was opened with all rights is read, and decompressed, by other threads after they are given up.
#[test]
fn a_compressed_capture_is_read_ahead_with_the_rights_of_the_user() {
    if !is_root("a run does not become another user") {
        return;
    }
    let block = |kind: u32, body: &[u8]| {
        let len = u32::try_from(body.len() + 12).expect("a short block").to_le_bytes();
        [&kind.to_le_bytes()[..], &len, body, &len].concat()
    };
    let section = block(0x0a0d_0d0a, &[&0x1a2b_3c4d_u32.to_le_bytes()[..], &[1, 0, 0, 0], &[0xff; 8]].concat());
    let interface = block(1, &[1, 0, 0, 0, 0, 0, 0, 0]);
    let nobody_knows = block(0x0bad, &vec![7; 1 << 20]);
    let packet = block(6, &[&[0; 12][..], &[60, 0, 0, 0, 60, 0, 0, 0], &[0; 60]].concat());
    // it is opened and read up to its first packet with all rights, which is past where reading ahead begins
    let capture = [&section, &interface, &nobody_knows, &packet, &nobody_knows, &packet].map(|part| &part[..]).concat();
    let folder = open_folder();
    let path = folder.path().join("late.pcapng.zst");
    fs::write(&path, zstd::encode_all(&capture[..], 3).expect("memory")).expect("room");
    let ran = ran(portlabel().args(["-Z", "nobody", "-o", "json", text(&path)]));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert_eq!(ran.json()["packets"], 2);
}

#[test]
fn who_cannot_become_a_user_says_so_and_reads_nothing() {
    let folder = open_folder();
    let (input, report) = (folder.path().join("a.pcap"), folder.path().join("report.json"));
    fs::write(&input, capture()).expect("room");
    let program = folder.path().join("portlabel");
    fs::copy(env!("CARGO_BIN_EXE_portlabel"), &program).expect("room");
    let args = |command: &mut Command, user: &str| {
        command.args(["-Z", user]).arg(&input).arg("-o").arg(format!("json={}", text(&report)));
    };
    let mut command = portlabel();
    args(&mut command, "no-such-user");
    let unknown = ran(&mut command);
    assert_eq!((unknown.code, unknown.stderr.as_str()), (Some(1), "portlabel: there is no user \"no-such-user\"\n"));
    assert!(!report.exists(), "no output is opened");

    if !is_root("the program is not run as others") {
        return;
    }
    let as_nobody = |user| {
        let mut command = Command::new(&program);
        args(&mut command, user);
        ran(command.uid(NOBODY).gid(NOBODY).stdin(Stdio::null()))
    };
    let other = as_nobody("root");
    let message = "portlabel: only root can become user \"root\": start it as root, or leave -Z out\n";
    assert_eq!((other.code, other.stderr.as_str()), (Some(1), message));
    assert!(!report.exists(), "no output is opened");
    let same = as_nobody("nobody");
    assert_eq!((same.code, same.stderr.as_str()), (Some(0), ""), "who is that user already gives up the rest");
    assert!(report.exists());
}
