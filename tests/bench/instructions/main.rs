//! How many instructions the program takes for some captures, held against the committed `baseline.tsv`: a slow-down shows
//! without a clock. `make bench-check`; `make bench-check UPDATE=1` writes the baseline anew.
//!
//! Counted is the program on one processor, where one thread does everything in turn, so that no waiting is counted. What is
//! left of chance is the keys of hash tables, which are another in each run: less than 0.1 %. Another compiler or valgrind
//! counts otherwise, so then nothing is compared.

mod baseline;
mod callgrind;
#[path = "../traffic.rs"]
mod traffic;

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::Parser;
use rustix::thread::{CpuSet, sched_setaffinity};
use tempfile::TempDir;

use baseline::{Baseline, Tools};
use callgrind::Counts;
use traffic::Traffic;

/// Instructions of the program against the baseline
#[derive(Parser)]
struct Args {
    /// Writes the baseline anew
    #[arg(long)]
    update: bool,
    /// What cargo says to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

/// A capture, and the options that it is read with.
struct Job {
    name: &'static str,
    traffic: Traffic,
    is_pcapng: bool,
    options: &'static [&'static str],
}

const fn traffic(packets: u64, active_flows: u32, snap_len: u32, mean_gap_ns: u32) -> Traffic {
    Traffic { packets, active_flows, flow_packets: None, snap_len, seed: 1, mean_gap_ns }
}

/// What a packet costs, flows that fall idle, new flows and evictions, records of flows, and the other container.
const JOBS: [Job; 5] = [
    Job { name: "headers", traffic: traffic(500_000, 5_000, 96, 1_500), is_pcapng: false, options: &[] },
    Job { name: "slow", traffic: traffic(300_000, 5_000, 96, 10_000_000), is_pcapng: false, options: &[] },
    Job {
        name: "churn",
        traffic: traffic(300_000, 300_000, 96, 1_500),
        is_pcapng: false,
        options: &["--max-flows", "20000"],
    },
    Job { name: "flows", traffic: traffic(50_000, 50_000, 96, 1_500), is_pcapng: false, options: &["-o", "flows"] },
    Job { name: "pcapng", traffic: traffic(200_000, 2_000, 65_535, 1_500), is_pcapng: true, options: &[] },
];

fn main() -> ExitCode {
    let args = Args::parse();
    match check(args.update) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench-check: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether no job takes more than it may.
fn check(update: bool) -> io::Result<bool> {
    let baseline = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/instructions/baseline.tsv");
    let tools = Tools::installed()?;
    if update {
        let jobs = count_all()?;
        Baseline { tools, jobs }.write(&baseline)?;
        println!("Written: {}", baseline.display());
        return Ok(true);
    }
    let before = Baseline::read(&baseline)?;
    if before.tools != tools {
        println!("SKIPPED: the baseline is of {}; here is {tools}", before.tools);
        return Ok(true);
    }
    Ok(before.compare(&count_all()?))
}

/// The instructions of each job.
fn count_all() -> io::Result<Vec<(String, Counts)>> {
    let mut first = CpuSet::new();
    first.set(0);
    // programs that are started from here inherit it
    sched_setaffinity(None, &first)?;
    let folder = TempDir::new()?;
    JOBS.iter().map(|job| Ok((job.name.to_owned(), count(job, folder.path())?))).collect()
}

fn count(job: &Job, folder: &Path) -> io::Result<Counts> {
    eprintln!("counting {} ...", job.name);
    let pcap = folder.join(format!("{}.pcap", job.name));
    let mut out = BufWriter::new(File::create(&pcap)?);
    job.traffic.write(&mut out)?;
    out.flush()?;
    let capture = if job.is_pcapng { pcapng(&pcap)? } else { pcap };
    let mut command = Command::new(env!("CARGO_BIN_EXE_portlabel"));
    command.arg(capture).args(["-o", "json=/dev/null", "-q"]).args(job.options);
    callgrind::count(&command, &folder.join("callgrind.out"))
}

/// The same as pcapng.
fn pcapng(pcap: &Path) -> io::Result<PathBuf> {
    let converted = pcap.with_extension("pcapng");
    callgrind::succeed(Command::new("editcap").args(["-F", "pcapng"]).arg(pcap).arg(&converted))?;
    Ok(converted)
}
