//! `-Z`: what a live run needs goes on after it has given up its rights, and what it does not need is gone.

use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use serde_json::Value;

use super::{
    DISCARD, Datagrams, Folder, ONLY_DATAGRAMS, PROGRAM, assert_conserved, count, report_of_file, text, watch, watching,
};
use crate::netns::{Wire, v4};
use crate::program::document;
use crate::running::{Running, until};

/// The user and group ids of Debian's `nobody`.
const NOBODY: u32 = 65_534;

/// A folder that belongs to nobody.
fn folder_of_nobody() -> Folder {
    let folder = Folder::new();
    chown(folder.path(""), Some(NOBODY), Some(NOBODY)).expect("root can");
    folder
}

/// What a file holds, as JSON documents, one a line.
fn lines(path: &Path) -> Vec<Value> {
    fs::read_to_string(path).unwrap_or_default().lines().map(document).collect()
}

#[test]
fn logs_and_saved_files_follow_each_other_without_rights() {
    let Some(wire) = Wire::new() else { return };
    let folder = folder_of_nobody();
    let (log, moved) = (folder.path("log"), folder.path("log.1"));
    let to_log = format!("ndjson={}", text(&log));
    let saved = folder.path("saved.pcapng");
    let outputs = ["-Z", "nobody", "-v", "-o", &to_log, "-w", &text(&saved), "--rotate", "2K", "--interval", "100ms"];
    let mut program = watch(&wire.client, &[&["-i", "eth0"], &ONLY_DATAGRAMS[..], &outputs].concat());
    program.await_saying("portlabel: user nobody (65534:65534), no capabilities, no_new_privs");
    let status = fs::read_to_string(format!("/proc/{}/status", program.id())).expect("it runs");
    for line in ["Uid:\t65534\t65534\t65534\t65534\n", "CapEff:\t0000000000000000\n", "NoNewPrivs:\t1\n"] {
        assert!(status.contains(line), "{status}");
    }

    let datagrams = Datagrams::new(&wire, 0);
    datagrams.send(30, &[7; 100]);
    let seen = |path: &Path, packets: u64| lines(path).iter().any(|line| count(line, "/packets") == packets);
    until(&"the packets are in the log", || seen(&log, 30).then_some(()));
    fs::rename(&log, &moved).expect("root can");
    program.signal(Signal::HUP);
    until(&"there is a new log", || log.exists().then_some(()));
    datagrams.send(10, &[7; 100]);
    until(&"the packets are in the new log", || seen(&log, 40).then_some(()));
    let ended = program.interrupt();
    assert_eq!(ended.code, Some(0), "{ended:?}");

    let all = [lines(&moved), lines(&log)].concat();
    let sequence: Vec<_> = all.iter().map(|line| count(line, "/sequence")).collect();
    assert_eq!(sequence, (1..=all.len() as u64).collect::<Vec<_>>(), "no snapshot is lost between the two");
    let last = all.last().expect("there is one");
    assert_conserved(last);
    assert_eq!(fs::metadata(&log).expect("it is there").uid(), NOBODY);

    // a row of files, which hold what was counted
    let row: Vec<PathBuf> = (0..100)
        .map(|number| if number == 0 { saved.clone() } else { folder.path(&format!("saved.{number}.pcapng")) })
        .take_while(|path| path.exists())
        .collect();
    assert!(row.len() > 2, "{row:?}");
    assert!(row.iter().all(|path| fs::metadata(path).is_ok_and(|found| found.len() <= 2 << 10)));
    let packets: u64 = row.iter().map(|path| count(&report_of_file(path), "/packets")).sum();
    assert_eq!(packets, 40);
}

#[test]
fn sockets_that_begin_to_listen_are_seen_without_rights() {
    let Some(wire) = Wire::new() else { return };
    let mut program = watch(&wire.client, &["-i", "eth0", "-Z", "nobody", "-o", "ndjson", "-f", "udp port 9"]);
    let to = wire.client.inside(|| UdpSocket::bind((v4(0, &wire.client), DISCARD)).expect("the address is free"));
    let ask = || {
        // each time another flow
        let from = wire.server.inside(|| UdpSocket::bind((v4(0, &wire.server), 0)).expect("a port is free"));
        from.send_to(b"?", to.local_addr().expect("bound")).expect("there is a way");
    };
    let named_by_it = |line: &Value| line.pointer("/services/0/evidence/listener").is_some();
    program.await_state("labels by what listens", |program| {
        ask();
        super::documents(program).iter().any(named_by_it).then_some(())
    });
    assert_eq!(program.interrupt().code, Some(0));
}

#[test]
fn an_interface_that_is_created_anew_is_lost_without_rights() {
    let Some(wire) = Wire::new() else { return };
    let args = ["-i", "eth0", "-i", "lo", "-Z", "nobody", "-o", "json"];
    let mut program = watch(&wire.client, &[&args[..], &ONLY_DATAGRAMS].concat());
    Datagrams::new(&wire, 0).send(3, b"before");
    wire.client.ip(&["link", "del", "eth0"]);
    program.await_saying("portlabel: eth0: the interface is gone\n");
    wire.join("eth0", 0);
    program.await_saying("portlabel: eth0: no permission to capture; it was created anew, and is lost for this run\n");
    let ended = program.interrupt();
    assert_eq!((ended.code, count(&ended.json(), "/packets")), (Some(0), 3), "{ended:?}");
}

/// systemd does not run where the tests do: a filter of socket(2) stands in for the line of the unit.
#[test]
fn the_address_families_of_the_unit_are_enough() {
    let Some(wire) = Wire::new() else { return };
    let unit = include_str!("../../data/systemd/portlabel@.service");
    let line = unit.lines().find_map(|line| line.strip_prefix("RestrictAddressFamilies="));
    let families = line.expect("the unit restricts them");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/live/families.py");
    let restricted = |families: &str, args: &[&str]| {
        let mut command = wire.client.command("python3");
        command.args([script, families, "--", PROGRAM]).args(args);
        command
    };
    for interface in ["eth0", "any"] {
        let args = [&["-i", interface, "-o", "json"], &ONLY_DATAGRAMS[..]].concat();
        let program = watching(&mut restricted(families, &args));
        Datagrams::new(&wire, 0).send(3, b"three");
        assert_eq!(count(&super::report(&program.interrupt()), "/packets"), 3, "{interface}");
    }
    // the filter does what it says
    let refused = Running::start(&mut restricted("AF_NETLINK", &["-i", "eth0"])).end();
    assert_eq!(refused.code, Some(1), "{refused:?}");
}
