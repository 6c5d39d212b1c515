//! Everything that grows, driven to its limit: memory stays under what the README's table "What grows, and how far" states,
//! and totals stay true.
//!
//! The program is the real one, and what it reads is made while it reads it. Memory is what a run took at most, beyond one of
//! a single packet.

mod bombs;
mod containers;
mod floods;
mod fragments;
mod lists;
mod live;
mod scans;

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::{ChildStdin, Stdio};
use std::sync::LazyLock;
use std::thread;

use portlabel::report::Report;
use portlabel::units::Transport;
use serde_json::Value;

use crate::frames::{Kind, Packet};
use crate::laws;
use crate::program::{Ran, at, count, end_of};
use crate::records::{pcap_header, pcap_record};

const MIB: u64 = 1 << 20;

/// What a run came to, and the most memory that it took, in bytes.
struct Measured {
    ran: Ran,
    peak_bytes: u64,
}

/// Runs the program, and writes its standard input by `feed`, which may be cut short: the program may have seen enough.
fn measured<S: AsRef<std::ffi::OsStr>>(
    args: &[S],
    feed: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send,
) -> Measured {
    let peak = tempfile::NamedTempFile::new().expect("room");
    let program = Path::new(env!("CARGO_BIN_EXE_portlabel"));
    let launcher = program.with_file_name("examples").join("measured");
    let mut command = at(&launcher);
    command.arg(peak.path()).arg(program).args(args);
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.unwrap_or_else(|error| panic!("{}: {error}; cargo test builds it", launcher.display()));
    let stdin = child.stdin.take().expect("a pipe");
    let ran = thread::scope(|scope| {
        scope.spawn(move || fed(stdin, feed));
        end_of(child)
    });
    let peak = std::fs::read_to_string(peak.path()).expect("it was written");
    Measured { peak_bytes: peak.parse().unwrap_or_else(|error| panic!("{error}: {peak:?}, {ran:?}")), ran }
}

fn fed(stdin: ChildStdin, feed: impl FnOnce(&mut dyn Write) -> io::Result<()>) {
    let mut stdin = BufWriter::with_capacity(64 << 10, stdin);
    match feed(&mut stdin).and_then(|()| stdin.flush()) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => drop(stdin.into_parts()),
        Err(error) => panic!("{error}"),
    }
}

/// Runs the program on inputs that it is told of, with nothing on its standard input.
fn measured_alone<S: AsRef<std::ffi::OsStr>>(args: &[S]) -> Measured {
    measured(args, |_| Ok(()))
}

/// Memory of a run of a single packet, in bytes.
static IDLE_BYTES: LazyLock<u64> = LazyLock::new(|| {
    let one = measured(&["-", "-o", "json"], |to| to.write_all(&[pcap_header(), packet(0).owned_record()].concat()));
    assert_eq!((one.ran.code, one.ran.json()["packets"].as_u64()), (Some(0), Some(1)));
    one.peak_bytes
});

impl Measured {
    /// The run took no more than so many bytes beyond one of a single packet.
    #[track_caller]
    fn assert_takes_at_most(&self, bytes: u64) -> &Self {
        let taken = self.peak_bytes.saturating_sub(*IDLE_BYTES);
        assert!(taken <= bytes, "it took {taken} bytes, {} of them MiB, of {bytes}", taken / MIB);
        self
    }

    /// It ended well, and said nothing.
    #[track_caller]
    fn assert_sound(&self) -> &Self {
        assert_eq!((self.ran.code, self.ran.stderr.as_str()), (Some(0), ""));
        self
    }

    /// It ended with a code, and said something of one input.
    #[track_caller]
    fn assert_says(&self, code: i32, text: &str) -> &Self {
        let Ran { stderr, .. } = &self.ran;
        assert_eq!((self.ran.code, stderr.lines().count()), (Some(code), 1), "{stderr}");
        assert!(stderr.contains(text), "no {text:?} in {stderr}");
        self
    }
}

fn rows<'r>(report: &'r Value, key: &str) -> impl Iterator<Item = &'r Value> {
    report[key].as_array().expect("rows").iter()
}

/// What was counted for a reason why packets have no ports.
fn portless(report: &Value, reason: &str) -> u64 {
    rows(report, "portless").filter(|row| row["reason"] == reason).map(|row| count(row, "/packets")).sum()
}

/// Packets and bytes that were sent are those of services and of what has no ports; and within rows everything adds up.
#[track_caller]
fn assert_adds_up(report: &Value, packets: u64, wire_bytes: u64) {
    assert_eq!([count(report, "/packets"), count(report, "/wire_bytes")], [packets, wire_bytes]);
    let read = Report::read("the report", report.to_string().as_bytes()).expect("a report");
    assert!(read.snapshot.is_final);
    laws::assert_adds_up(&read.snapshot);
}

/// A packet from a client to a server's port 443, at a time.
fn packet(ts_nanos: i64) -> Packet {
    Packet {
        ts_nanos,
        is_v6: false,
        tags: 0,
        extensions: 0,
        transport: Transport::Tcp,
        src: (1, 40_000),
        dst: (2, 443),
        kind: Kind::Open,
        payload_len: 0,
        wire_len: 0,
    }
}

impl Packet {
    /// As a record of a pcap file.
    fn owned_record(&self) -> Vec<u8> {
        pcap_record(u64::try_from(self.ts_nanos).expect("after 1970"), &self.owned().data)
    }
}

/// The record of a packet, of which parts are changed from one copy to the next: making each anew takes a hundred times as long.
struct Copies(Vec<u8>);

impl Copies {
    /// Places in the record of an IPv4 packet without tags and options.
    const SECONDS: usize = 0;
    const NANOS: usize = 4;
    const IDENTIFICATION: usize = 16 + 14 + 4;
    const FRAGMENT: usize = 16 + 14 + 6;
    const SRC: usize = 16 + 14 + 12;
    const DST: usize = 16 + 14 + 16;
    const DST_PORT: usize = 16 + 14 + 22;

    fn of(packet: &Packet) -> Self {
        assert!(!packet.is_v6 && packet.tags == 0 && packet.extensions == 0);
        Self(packet.owned_record())
    }

    /// Bytes on the wire.
    fn wire_len(&self) -> u64 {
        self.0.len() as u64 - 16
    }

    fn set<const N: usize>(&mut self, at: usize, bytes: [u8; N]) -> &mut Self {
        self.0[at..at + N].copy_from_slice(&bytes);
        self
    }

    /// Sets the time, in nanoseconds.
    fn at(&mut self, nanos: u64) -> &mut Self {
        let [seconds, rest] =
            [nanos / 1_000_000_000, nanos % 1_000_000_000].map(|part| u32::try_from(part).expect("before 2106"));
        self.set(Self::SECONDS, seconds.to_le_bytes()).set(Self::NANOS, rest.to_le_bytes())
    }

    fn write(&self, to: &mut dyn Write) -> io::Result<()> {
        to.write_all(&self.0)
    }
}

/// The address with this number among those of 16 million hosts, of which no two neighbours are near each other.
fn host(number: u64) -> [u8; 4] {
    let [.., high, middle, low] = number.wrapping_mul(0x9e_3779).to_be_bytes();
    [11, high, middle, low]
}
