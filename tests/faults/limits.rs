//! Descriptors and threads that run out.

use std::fs;
use std::process::Command;
use std::thread::available_parallelism;

use rustix::process::geteuid;

use super::{assert_in_order, assert_reports, capture, limited};
use crate::cases::skipped;
use crate::live::{Folder, PROGRAM, assert_conserved, copy_of_the_program};
use crate::netns::Wire;
use crate::program::{Ran, at, count, has, ran};

/// From where the program itself can be loaded, to where a run has all that it takes.
const DESCRIPTORS: std::ops::Range<u32> = 4..28;
const TOO_MANY: &str = "Too many open files";
const NO_THREAD: &str = "Resource temporarily unavailable (os error 11)";

/// Whether a run that lacked something did what it was to do; it told what it lacked, and what it reports is whole.
#[track_caller]
fn has_done(ran: &Ran, lacks: &str) -> bool {
    assert_in_order(ran);
    if ran.code != Some(0) {
        assert!(ran.stderr.contains(lacks), "{ran:?}");
    }
    if !ran.stdout.is_empty() {
        assert_conserved(&ran.json());
    }
    ran.code == Some(0)
}

#[test]
fn a_run_without_descriptors_is_told() {
    let (office, folder) = (capture("office"), Folder::new());
    for number in 0..30 {
        fs::copy(&office, folder.path(&format!("{number}.pcapng"))).expect("room");
    }
    let all = folder.text("");
    let mut done = [0, 0];
    for descriptors in DESCRIPTORS {
        let limit = format!("--nofile={descriptors}");
        let one = ran(&mut limited(&limit, &[&office, "-o", "json"]));
        if has_done(&one, TOO_MANY) {
            assert_reports(&one, 172);
            done[0] += 1;
        }
        // captures that overlap are open together: those that cannot be opened are named, and the others reported
        let many = ran(&mut limited(&limit, &[&all, "-o", "json"]));
        assert!(!has_done(&many, TOO_MANY), "{descriptors}: {many:?}");
        if many.code == Some(3) {
            let unread = many.stderr.matches(": cannot open: Too many open files (os error 24)\n").count() as u64;
            assert_reports(&many, (30 - unread) * 172);
            done[1] += 1;
        }
    }
    assert!(done.iter().all(|done| (5..24).contains(done)), "some have enough, and some have not: {done:?}");
}

#[test]
fn a_live_run_without_descriptors_is_told() {
    let Some(wire) = Wire::new() else { return };
    let (mut done, mut served) = (0, 0);
    for descriptors in DESCRIPTORS {
        let run = |more: &[&str]| {
            let mut command = wire.client.command("prlimit");
            command.args([&format!("--nofile={descriptors}"), PROGRAM, "-i", "eth0", "-a", "1ms", "-o", "json"]);
            ran(command.args(more))
        };
        done += u32::from(has_done(&run(&[]), TOO_MANY));
        let listening = run(&["-Z", "root", "--listen", "127.0.0.1:0"]);
        served += u32::from(has_done(&listening, TOO_MANY));
        if listening.stderr.contains("the page cannot be served: ") {
            // the report is there all the same
            assert_eq!(listening.code, Some(1), "{listening:?}");
            assert_eq!(count(&listening.json(), "/flows/active"), 0);
        }
    }
    assert!((5..24).contains(&done) && (1..=done).contains(&served), "{done} {served}");
}

/// Has setpriv(1) start a program as a user of which no other test has a process: how many there may be is counted by user.
fn as_user(mut setpriv: Command, uid: u32, processes: u32, program: &str) -> Command {
    setpriv.args([format!("--reuid={uid}"), format!("--regid={uid}"), "--clear-groups".to_owned()]);
    setpriv.args(["prlimit", &format!("--nproc={processes}"), program]);
    setpriv
}

#[test]
fn a_capture_takes_the_threads_that_there_can_be() {
    if !geteuid().is_root() {
        return skipped("other users take root: no run lacks threads");
    }
    let folder = Folder::new();
    let (program, input) = (copy_of_the_program(&folder), folder.text("capture.pcapng"));
    fs::copy(capture("office"), &input).expect("room");
    let want = ran(as_user(at("setpriv"), 54_321, 100, &program).args([&input, "-o", "json"]));
    assert_eq!((want.code, want.stderr.as_str()), (Some(0), ""));
    let (mut failed, mut slower) = (0, 0);
    for processes in 0..6 {
        let ran = ran(as_user(at("setpriv"), 54_321, processes, &program).args([&input, "-o", "json"]));
        if has_done(&ran, NO_THREAD) {
            assert_eq!(ran.stdout, want.stdout, "{processes}");
            slower +=
                u32::from(ran.stderr == format!("portlabel: cannot start a thread, so it takes longer: {NO_THREAD}\n"));
        } else {
            assert_eq!(ran.stderr, format!("portlabel: cannot listen for signals: {NO_THREAD}\n"));
            failed += 1;
        }
    }
    assert!(
        failed > 0 && (slower > 0 || available_parallelism().is_ok_and(|cores| cores.get() == 1)),
        "{failed} {slower}"
    );
}

#[test]
fn a_live_run_that_lacks_a_thread_has_failed() {
    if !has("setcap", "no live run lacks threads") {
        return;
    }
    let Some(wire) = Wire::new() else { return };
    wire.join("eth1", 1);
    let folder = Folder::new();
    let program = copy_of_the_program(&folder);
    assert_eq!(ran(Command::new("setcap").args(["cap_net_raw=ep", &program])).code, Some(0));
    // signals, capture and count, or three of capture and one of count, and that of the output
    for (interfaces, threads) in [(&["-i", "eth0"][..], 4), (&["-i", "eth0", "-i", "eth1", "--fanout", "2"], 8)] {
        let mut failed = 0;
        for processes in 0..10 {
            let mut command = as_user(wire.client.command("setpriv"), 54_322, processes, &program);
            command.args(interfaces).args(["-a", "1ms", "-o", "json"]);
            if !has_done(&ran(&mut command), NO_THREAD) {
                failed += 1;
            }
        }
        assert!((1..=threads).contains(&failed), "{interfaces:?}: {failed}");
    }
}
