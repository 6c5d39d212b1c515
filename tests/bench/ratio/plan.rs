//! What is measured, beside what, and what it is to come to.

use crate::captures::{ACTIVE, CHURN, Capture, FULL, Form, HEADERS, PEERS, SLOW, SLOW_PEERS, TEN};
use crate::measure::Until;

/// Rows that run in turn, and what their times are ratios to.
pub struct Group {
    pub name: &'static str,
    pub base: Base,
    pub until: Until,
    pub rows: &'static [Row],
}

/// What only reads the first row's capture.
#[derive(Clone, Copy, Debug)]
pub enum Base {
    /// `empty_loop`: libpcap, and nothing else.
    EmptyLoop,
    /// What unpacks it, to nowhere.
    Unpack(&'static str),
}

/// One program on one capture.
pub struct Row {
    pub name: &'static str,
    pub capture: &'static Capture,
    pub form: Form,
    pub program: Program,
    pub aims: &'static [Aim],
}

#[derive(Clone, Copy, Debug)]
pub enum Program {
    /// Ours, with options.
    Portlabel(&'static [&'static str]),
    /// Another, in its ordinary use, with `CAPTURE` among its arguments and perhaps a `FOLDER` to write to.
    Peer(&'static [&'static str]),
}

/// What a row is to take at most.
#[derive(Clone, Copy, Debug)]
pub enum Aim {
    /// Of the base's wall time.
    Wall(f64),
    /// Of the base's CPU time.
    Cpu(f64),
    /// Of the wall time of another row of the group.
    Beside(&'static str, f64),
    PeakMib(u64),
    WallMillis(u64),
}

impl Aim {
    /// The row that this is held against.
    pub fn beside(&self) -> Option<&'static str> {
        if let Self::Beside(name, _) = self { Some(name) } else { None }
    }
}

const fn ours(
    name: &'static str,
    capture: &'static Capture,
    form: Form,
    options: &'static [&'static str],
    aims: &'static [Aim],
) -> Row {
    Row { name, capture, form, program: Program::Portlabel(options), aims }
}

const fn peer(name: &'static str, capture: &'static Capture, command: &'static [&'static str]) -> Row {
    Row { name, capture, form: Form::Pcap, program: Program::Peer(command), aims: &[] }
}

/// What portlabel is asked for. Standard output, where `-o flows` goes, is nowhere too.
pub const REPORT: &[&str] = &["-o", "json=/dev/null", "-q"];

/// 160 bytes for each of the million flows of `--max-flows`, and 96 MiB.
const CHURN_MIB: u64 = 160_000_000 / (1 << 20) + 96;

pub static GROUPS: [Group; 9] = [
    Group {
        name: "packets",
        base: Base::EmptyLoop,
        until: Until::End,
        rows: &[
            ours("headers", &HEADERS, Form::Pcap, REPORT, &[Aim::Wall(0.8), Aim::Cpu(1.6), Aim::PeakMib(128)]),
            ours("slow", &SLOW, Form::Pcap, REPORT, &[Aim::Beside("headers", 1.2)]),
            ours(
                "flows",
                &HEADERS,
                Form::Pcap,
                &["-o", "json=/dev/null", "-q", "-o", "flows"],
                &[Aim::Beside("headers", 1.5)],
            ),
        ],
    },
    Group {
        name: "bytes",
        base: Base::EmptyLoop,
        until: Until::End,
        rows: &[
            ours("full", &FULL, Form::Pcap, REPORT, &[Aim::Wall(0.8)]),
            ours("pcapng", &FULL, Form::Pcapng, REPORT, &[Aim::Beside("full", 1.1)]),
        ],
    },
    Group {
        name: "gzip",
        base: Base::Unpack("zcat"),
        until: Until::End,
        rows: &[ours("gzip", &FULL, Form::Gzip, REPORT, &[Aim::Wall(1.1)])],
    },
    Group {
        name: "zstd",
        base: Base::Unpack("zstdcat"),
        until: Until::End,
        rows: &[ours("zstd", &FULL, Form::Zstd, REPORT, &[Aim::Wall(1.1)])],
    },
    Group {
        name: "new-flows",
        base: Base::EmptyLoop,
        until: Until::End,
        rows: &[
            ours("churn", &CHURN, Form::Pcap, REPORT, &[Aim::Wall(2.0), Aim::PeakMib(CHURN_MIB)]),
            ours(
                "evicting",
                &CHURN,
                Form::Pcap,
                &["-o", "json=/dev/null", "-q", "--max-flows", "100000"],
                &[Aim::PeakMib(96)],
            ),
        ],
    },
    Group {
        name: "active",
        base: Base::EmptyLoop,
        until: Until::End,
        rows: &[
            ours("active-1k", &ACTIVE[0], Form::Pcap, REPORT, &[]),
            ours("active-10k", &ACTIVE[1], Form::Pcap, REPORT, &[Aim::Beside("active-1k", 1.5)]),
            ours("active-100k", &ACTIVE[2], Form::Pcap, REPORT, &[Aim::Beside("active-1k", 1.5)]),
            ours("active-1m", &ACTIVE[3], Form::Pcap, REPORT, &[Aim::Beside("active-1k", 1.5)]),
        ],
    },
    Group {
        name: "start",
        base: Base::EmptyLoop,
        until: Until::FirstOutput,
        rows: &[ours("start", &TEN, Form::Pcap, &[], &[Aim::WallMillis(10)])],
    },
    Group {
        name: "peers",
        base: Base::EmptyLoop,
        until: Until::End,
        rows: &[
            ours("beside-peers", &PEERS, Form::Pcap, REPORT, &[]),
            peer("capinfos", &PEERS, &["capinfos", "-c", "CAPTURE"]),
            peer("tcpdump", &PEERS, &["tcpdump", "-r", "CAPTURE", "-w", "/dev/null"]),
            peer("softflowd", &PEERS, &["softflowd", "-r", "CAPTURE"]),
            peer("argus", &PEERS, &["argus", "-r", "CAPTURE", "-w", "/dev/null"]),
            peer("nfpcapd", &PEERS, &["nfpcapd", "-r", "CAPTURE", "-w", "FOLDER"]),
            peer("ndpiReader", &PEERS, &["ndpiReader", "-q", "-i", "CAPTURE"]),
        ],
    },
    Group {
        name: "slow-peers",
        base: Base::EmptyLoop,
        until: Until::End,
        rows: &[
            ours("beside-slow-peers", &SLOW_PEERS, Form::Pcap, REPORT, &[]),
            peer("tshark", &SLOW_PEERS, &["tshark", "-n", "-q", "-z", "conv,tcp", "-z", "conv,udp", "-r", "CAPTURE"]),
        ],
    },
];
