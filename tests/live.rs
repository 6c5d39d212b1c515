//! Live capture, on wires that the tests make themselves.
//!
//! portlabel watches the client's end, where nothing listens. Where a live run is held against a file of its packets, it
//! does not look for listening sockets either: a client's has a moment before it is connected.

// Clocks and signals: intervals on a silent wire, and every way to end a run.
mod end;
// What the kernel could not hand over.
mod losses;
// `-Z`: a run that has given up its rights.
mod rights;
// `-w`: what is read back is what was counted.
mod saving;
// Programs that people run, and tcpdump on the same wire.
mod servers;
// Several threads on one interface, and packets that are not as the wire has them.
mod sharing;
// Interfaces: which there are, how they are opened, what happens to them.
mod sources;

use std::fs;
use std::io::{self, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use serde_json::Value;
use tempfile::TempDir;

use crate::netns::{Host, Wire, v4};
use crate::program::{PATIENCE, Ran, count, document, run};
use crate::running::Running;

/// The binary.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_portlabel");
/// The port of the service `discard` (RFC 863).
const DISCARD: u16 = 9;
/// Takes what [`Datagrams`] sends, and nothing else that passes the wire.
pub const ONLY_DATAGRAMS: [&str; 2] = ["-f", "udp dst port 9"];

/// The program on a host, with arguments, once it captures.
#[track_caller]
pub fn watch(host: &Host, args: &[&str]) -> Running {
    watching(host.command(PROGRAM).args(args))
}

/// The same with a command that has become the program.
#[track_caller]
pub fn watching(command: &mut Command) -> Running {
    let mut program = Running::start(command);
    // threads start when every interface is open
    program.await_thread("capture");
    program
}

/// What the program prints that does not get as far as capturing.
fn refused(host: &Host, args: &[&str]) -> Ran {
    Running::start(host.command(PROGRAM).args(args)).end()
}

/// A socket of the client, and one of the server that takes what it sends and never answers.
pub struct Datagrams {
    from: UdpSocket,
    _to: UdpSocket,
}

impl Datagrams {
    /// From the client to the server, on a link.
    pub fn new(wire: &Wire, link: u8) -> Self {
        let bind = |host: &Host, port| {
            let address = SocketAddr::new(v4(link, host), port);
            host.inside(|| UdpSocket::bind(address).expect("the address is the host's"))
        };
        let (from, to) = (bind(&wire.client, 0), bind(&wire.server, DISCARD));
        from.connect(to.local_addr().expect("bound")).expect("there is a way");
        Self { from, _to: to }
    }

    /// Sends a packet so many times.
    pub fn send(&self, packets: usize, payload: &[u8]) {
        for _ in 0..packets {
            self.from.send(payload).expect("a wire takes everything");
        }
    }
}

/// Opens connections to a port of the server, one after the other, on each of which it sends so many bytes. They are closed
/// when this is done.
fn converse(wire: &Wire, server: IpAddr, port: u16, connections: usize, bytes: usize) {
    let listener = wire.server.inside(|| TcpListener::bind((server, port)).expect("the address is the host's"));
    // nobody waits for it when the client fails
    let serving = thread::spawn(move || {
        for _ in 0..connections {
            listener.accept()?.0.write_all(&vec![7; bytes])?;
        }
        io::Result::Ok(())
    });
    wire.client.inside(|| {
        for _ in 0..connections {
            let mut stream = TcpStream::connect_timeout(&(server, port).into(), PATIENCE).expect("it listens");
            stream.set_read_timeout(Some(PATIENCE)).expect("it is not zero");
            let read = io::copy(&mut stream, &mut io::sink()).expect("it sends");
            assert_eq!(read, bytes as u64);
        }
    });
    serving.join().expect("it does not panic").expect("the client takes everything");
    wire.client.await_closed();
    wire.server.await_closed();
}

/// Captures and reports of one test, where every user can read.
pub struct Folder(TempDir);

impl Folder {
    pub fn new() -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
        Self(folder)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn text(&self, name: &str) -> String {
        text(&self.path(name))
    }
}

/// The program, where every user can run it.
pub fn copy_of_the_program(folder: &Folder) -> String {
    let copy = folder.text("portlabel");
    fs::copy(PROGRAM, &copy).expect("room");
    copy
}

fn text(path: &Path) -> String {
    path.to_str().expect("a path in ASCII").to_owned()
}

/// The report of a run that went well, and what there was to say beside it, which is not much.
#[track_caller]
fn report(ran: &Ran) -> Value {
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let report = ran.json();
    assert_conserved(&report);
    report
}

/// What the program says of a capture file.
#[track_caller]
fn report_of_file(path: &Path) -> Value {
    let ran = run(&["-r", &text(path), "-o", "json"]);
    assert_eq!(ran.stderr, "");
    report(&ran)
}

/// Every packet is in one row; flows have ended, and losses and totals are those of the kernel.
#[track_caller]
pub fn assert_conserved(report: &Value) {
    let sum =
        |rows: &str, of: &str| -> u64 { report[rows].as_array().expect("rows").iter().map(|row| count(row, of)).sum() };
    for of in ["packets", "wire_bytes"] {
        let pointer = format!("/{of}");
        assert_eq!(sum("services", &pointer) + sum("portless", &pointer), count(report, &pointer), "{of}");
    }
    assert_eq!(report["final"], true);
    assert_eq!(
        (count(report, "/flows/active"), sum("services", "/flows/started")),
        (0, count(report, "/flows/started"))
    );
}

/// The rows of services, without what is the interval's alone.
fn services(report: &Value) -> Vec<Value> {
    let mut rows = report["services"].as_array().expect("rows").clone();
    for row in &mut rows {
        row["interval"] = Value::Null;
    }
    rows
}

/// The row of a service.
#[track_caller]
fn service<'r>(report: &'r Value, name: &str, transport: &str) -> &'r Value {
    let rows = report["services"].as_array().expect("rows");
    let found = rows.iter().find(|row| row["service"] == name && row["transport"] == transport);
    found.unwrap_or_else(|| panic!("no {name}/{transport}: {report:#}"))
}

/// tcpdump's three lines on standard error: captured, received by the filter, dropped by the kernel.
#[track_caller]
pub fn counters(stderr: &str) -> [u64; 3] {
    ["captured", "received by filter", "dropped by kernel"].map(|what| {
        let line = stderr.lines().rev().find(|line| line.ends_with(what));
        let number = line.and_then(|line| line.split(' ').next()?.parse().ok());
        number.unwrap_or_else(|| panic!("no line '{what}': {stderr}"))
    })
}

/// What the program has printed so far, as JSON documents, one a line.
pub fn documents(program: &Running) -> Vec<Value> {
    let printed = program.stdout();
    printed.split_inclusive('\n').filter(|line| line.ends_with('\n')).map(document).collect()
}
