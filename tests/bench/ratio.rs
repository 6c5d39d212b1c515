//! The whole program against libpcap's empty loop, on large synthetic captures: wall time as a ratio, medians of runs in
//! turn, so that what else the machine does weighs on both.
//!
//! `PORTLABEL_BENCH=FOLDER cargo bench --bench ratio`, where the folder has `gen.c` (makes a capture) and `empty_loop.c`
//! (reads one with `pcap_next_ex` and counts). Captures are made once, under `target/bench`; they take 1.5 GB.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// Runs of each program; the median counts.
const RUNS: usize = 7;

/// A capture: what it shows, and what `gen` makes it of (packets, active flows, snap length, seed).
const CAPTURES: [(&str, [&str; 4]); 2] = [
    ("headers.pcap: 10 M packets of 96 bytes, 300 k flows", ["10000000", "20000", "96", "1"]),
    ("churn.pcap: 5 M packets, 0.6 flows a packet", ["5000000", "5000000", "96", "3"]),
];

fn main() -> ExitCode {
    let Some(sources) = std::env::var_os("PORTLABEL_BENCH").map(PathBuf::from) else {
        eprintln!("SKIPPED: PORTLABEL_BENCH names no folder with gen.c and empty_loop.c");
        return ExitCode::SUCCESS;
    };
    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench");
    std::fs::create_dir_all(&made).expect("target/ is ours");
    let generator = compile(&sources.join("gen.c"), &made, "-lm");
    let empty_loop = compile(&sources.join("empty_loop.c"), &made, "-lpcap");
    println!("{:55} {:>10} {:>10} {:>6}", "", "empty loop", "portlabel", "ratio");
    for (title, arguments) in CAPTURES {
        let capture = made.join(title.split(':').next().unwrap_or(title));
        if !capture.exists() {
            run(Command::new(&generator).args(arguments).arg(&capture));
        }
        let (mut empty, mut ours) = (Vec::new(), Vec::new());
        for _ in 0..RUNS {
            empty.push(run(Command::new(&empty_loop).arg(&capture)));
            let program = env!("CARGO_BIN_EXE_portlabel");
            ours.push(run(Command::new(program).arg(&capture).args(["-o", "json=/dev/null", "-q"])));
        }
        let (empty, ours) = (median(empty), median(ours));
        let ratio = ours.as_secs_f64() / empty.as_secs_f64();
        println!("{title:55} {:8.3} s {:8.3} s {ratio:6.2}", empty.as_secs_f64(), ours.as_secs_f64());
    }
    ExitCode::SUCCESS
}

/// Builds one of the C programs.
fn compile(source: &Path, folder: &Path, library: &str) -> PathBuf {
    let program = folder.join(source.file_stem().expect("it has a name"));
    run(Command::new("cc").args(["-O2", "-o"]).arg(&program).arg(source).arg(library));
    program
}

/// How long a command takes; a benchmark of one that fails is worth nothing.
fn run(command: &mut Command) -> Duration {
    let started = Instant::now();
    let status = command.stdout(Stdio::null()).status();
    let took = started.elapsed();
    assert!(status.as_ref().is_ok_and(std::process::ExitStatus::success), "{command:?}: {status:?}");
    took
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
