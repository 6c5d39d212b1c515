//! The whole program beside an empty loop over libpcap, beside what unpacks, and beside other programs: wall and CPU time as
//! ratios, and the memory at its peak, of runs in turn. `make bench` prints the table of all.
//!
//! While working, `cargo bench --bench ratio -- headers churn --against OLD` measures some rows, and another build in turn
//! with this one. Captures are made once and take 10 GB, of which the page cache has to hold those of one group: 4 GB.
//! Where `PORTLABEL_BENCH` names a folder with `gen.c` and `empty_loop.c`, these make the captures and read them.

mod captures;
mod lineup;
mod machine;
mod measure;
mod plan;
mod table;
#[path = "../traffic.rs"]
mod traffic;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use lineup::Bench;
use machine::Ticks;
use plan::GROUPS;

/// Portlabel beside others
#[derive(Parser)]
struct Args {
    /// Rows or groups of rows to measure; all unless some are named
    #[arg(value_parser = known)]
    rows: Vec<String>,
    /// How often each program runs
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
    /// Another build of portlabel that takes its turn; repeatable
    #[arg(long, value_name = "PATH")]
    against: Vec<PathBuf>,
    /// Writes a capture to standard output instead
    #[arg(long, hide = true)]
    make: Option<String>,
    /// What cargo says to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let done = match &args.make {
        Some(name) => captures::write(name),
        None => bench(args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn bench(args: Args) -> io::Result<()> {
    let yardstick = std::env::var_os("PORTLABEL_BENCH").map(PathBuf::from);
    let bench = Bench::prepare(yardstick.as_deref(), args.against, args.runs.into())?;
    let is_chosen = |name: &str| args.rows.is_empty() || args.rows.iter().any(|row| row == name);
    let started = Ticks::now();
    let measured: Vec<_> = GROUPS.iter().flat_map(|group| bench.group(group, is_chosen)).collect();
    println!("{}; medians of {} runs in turn.", machine::described(), args.runs);
    if let (Some(started), Some(ended)) = (started, Ticks::now()) {
        let others = ended.others_since(&started);
        println!("Meanwhile others used {}.{:02} of these cores.", others / 100, others % 100);
    }
    println!("portlabel {}; × is of the first row above that has 1.00.\n", plan::REPORT.join(" "));
    println!("{}", table::table(&measured));
    Ok(())
}

/// A row or a group of rows by name.
fn known(name: &str) -> Result<String, String> {
    let mut names: Vec<_> =
        GROUPS.iter().flat_map(|group| [group.name].into_iter().chain(group.rows.iter().map(|row| row.name))).collect();
    names.dedup();
    if names.contains(&name) { Ok(name.to_owned()) } else { Err(format!("there are {}", names.join(", "))) }
}
