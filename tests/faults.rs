//! What goes wrong around a run, made to happen: each time there is a message, the exit code of the README, an end, and the
//! report of what was counted.
//!
//! Disks are small ones that a test mounts for one program alone, limits are the kernel's. What is about one output or one
//! interface alone stands with its subject (`cli`, `live`, `metrics`, `screen`, `web`).

// Packet time that jumps.
mod clocks;
// Disks that are full or read-only, and files that may not grow.
mod disk;
// Files that are removed, moved, cut or grow while they are read or written; readers that go away.
mod files;
// Descriptors, threads, and standard streams that are not there.
mod limits;
// Programs that are stopped and go on.
mod signals;

use std::path::Path;
use std::process::Command;

use portlabel::units::Transport;
use rustix::process::geteuid;
use serde_json::Value;

use crate::cases::{Case, skipped};
use crate::frames::{Kind, Packet};
use crate::live::{Folder, PROGRAM};
use crate::program::{Ran, at, count, document};
use crate::records::{pcap_header, pcap_record};

/// Formats that go to a file.
const FORMATS: [&str; 7] = ["table", "json", "ndjson", "csv", "prometheus", "flows", "html"];
const SECOND: u64 = 1_000_000_000;
/// 2026-01-31T10:00:00Z, in nanoseconds.
const START: u64 = 1_769_853_600 * SECOND;

/// The capture of a case.
fn capture(case: &str) -> String {
    Case::named(case).capture.to_str().expect("a path in ASCII").to_owned()
}

/// The program behind a script, which has a name space of mounts for itself and ends in `exec "$@"`; `$0` is the folder that
/// it may mount something on. `None`, and a word, where only root could.
fn with_mounts(script: &str, folder: &Folder, args: &[&str]) -> Option<Command> {
    if !geteuid().is_root() {
        skipped("mounts take root: no disk is full or read-only");
        return None;
    }
    let mut command = at("unshare");
    command.args(["--mount", "sh", "-c", script, &folder.text(""), PROGRAM]).args(args);
    Some(command)
}

/// The program under one of the kernel's limits, as prlimit(1) calls it.
fn limited(limit: &str, args: &[&str]) -> Command {
    let mut command = at("prlimit");
    command.arg(limit).arg(PROGRAM).args(args);
    command
}

/// The report on standard output has every packet that there was.
#[track_caller]
fn assert_reports(ran: &Ran, packets: u64) {
    assert_eq!(count(&ran.json(), "/packets"), packets, "{ran:?}");
}

/// No run may end in a panic, or by a signal.
#[track_caller]
fn assert_in_order(ran: &Ran) {
    assert!(matches!(ran.code, Some(0..=3)) && !ran.stderr.contains("panicked"), "{ran:?}");
}

/// The documents of a log, which has whole lines alone.
#[track_caller]
fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(text.is_empty() || text.ends_with('\n'), "{text}");
    text.lines().map(document).collect()
}

/// A frame of 60 bytes: a UDP datagram from a port to port 53.
fn datagram(from: u16) -> Vec<u8> {
    let packet = Packet {
        ts_nanos: 0,
        is_v6: false,
        tags: 0,
        extensions: 0,
        transport: Transport::Udp,
        src: (1, from),
        dst: (2, 53),
        kind: Kind::Data,
        payload_len: 18,
        wire_len: 0,
    };
    packet.owned().data
}

/// Bytes of a record of such a frame.
const RECORD_LEN: usize = 16 + 60;

/// A capture of so many datagrams, one every 100 ms.
pub fn datagrams(packets: u64) -> Vec<u8> {
    let frame = datagram(50_001);
    (0..packets).fold(pcap_header(), |mut file, at| {
        file.extend(pcap_record(START + at * SECOND / 10, &frame));
        file
    })
}
