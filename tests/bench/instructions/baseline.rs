//! The committed counts, and how others compare with them.

use std::cmp::Reverse;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::Path;
use std::process::Command;

use crate::callgrind::Counts;

/// How much more a job may take.
const TOLERATED: f64 = 0.05;

/// How many places are told that take more.
const TOLD: usize = 10;

/// What counts depend on beside the program.
#[derive(Debug, PartialEq, Eq)]
pub struct Tools {
    /// The compiler, and what it compiles for.
    rustc: String,
    valgrind: String,
}

impl Tools {
    /// # Errors
    /// One of them is missing.
    pub fn installed() -> io::Result<Self> {
        let said = |program: &str, argument: &str| {
            let output = Command::new(program).arg(argument).output();
            let output = output.map_err(|error| io::Error::other(format!("{program}: {error}")))?;
            io::Result::Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        };
        let rustc = said("rustc", "-vV")?;
        let lines = rustc.lines().enumerate();
        let named =
            lines.filter_map(|(number, line)| if number == 0 { Some(line) } else { line.strip_prefix("host: ") });
        Ok(Self { rustc: named.collect::<Vec<_>>().join(" "), valgrind: said("valgrind", "--version")? })
    }
}

impl fmt::Display for Tools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} and {}", self.rustc, self.valgrind)
    }
}

/// Instructions of each job by place, and what counted them.
pub struct Baseline {
    pub tools: Tools,
    pub jobs: Vec<(String, Counts)>,
}

impl Baseline {
    /// # Errors
    /// The file cannot be read, or is not as [`Self::write`] leaves it.
    pub fn read(path: &Path) -> io::Result<Self> {
        let text =
            fs::read_to_string(path).map_err(|error| io::Error::other(format!("{}: {error}", path.display())))?;
        Self::parse(&text).ok_or_else(|| io::Error::other(format!("{}: not a baseline", path.display())))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines().filter(|line| !line.starts_with('#'));
        let mut tool = |name| Some(lines.next()?.strip_prefix(name)?.trim_start().to_owned());
        let tools = Tools { rustc: tool("compiler")?, valgrind: tool("valgrind")? };
        let mut jobs: Vec<(String, Counts)> = Vec::new();
        for line in lines {
            let [job, place, instructions] = line.split('\t').collect::<Vec<_>>().try_into().ok()?;
            if jobs.last().is_none_or(|(last, _)| last != job) {
                jobs.push((job.to_owned(), Counts::new()));
            }
            let (_, counts) = jobs.last_mut()?;
            counts.insert(place.to_owned(), instructions.parse().ok()?);
        }
        Some(Self { tools, jobs })
    }

    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let mut out = BufWriter::new(File::create(path)?);
        writeln!(
            out,
            "# Instructions of each job by source file, crate or library. Written by: make bench-check UPDATE=1"
        )?;
        writeln!(out, "compiler\t{}\nvalgrind\t{}", self.tools.rustc, self.tools.valgrind)?;
        for (job, counts) in &self.jobs {
            for (place, instructions) in counts {
                writeln!(out, "{job}\t{place}\t{instructions}")?;
            }
        }
        out.flush()
    }

    /// Prints how jobs compare, and of those that take too much where the most came from. Returns whether there are none.
    pub fn compare(&self, jobs: &[(String, Counts)]) -> bool {
        let mut is_kept = true;
        println!("{:20} {:>15} {:>15} {:>8}", "instructions", "baseline", "now", "change");
        for (job, counts) in jobs {
            let Some((_, before)) = self.jobs.iter().find(|(name, _)| name == job) else {
                println!("{job}: not in the baseline; UPDATE=1 adds it");
                is_kept = false;
                continue;
            };
            let (was, is) = (before.values().sum::<u64>(), counts.values().sum::<u64>());
            let change = as_f64(is) / as_f64(was) - 1.0;
            println!("{job:20} {was:15} {is:15} {:+7.1} %", change * 100.0);
            if change > TOLERATED {
                is_kept = false;
                tell(before, counts);
            }
        }
        if !is_kept {
            println!(
                "More than {:.0} % above the baseline. If it has to be: make bench-check UPDATE=1",
                TOLERATED * 100.0
            );
        }
        is_kept
    }
}

/// Prints the places that take more than they did, most first.
fn tell(before: &Counts, now: &Counts) {
    let least = now.values().sum::<u64>() / 1000;
    let mut grown: Vec<_> = now
        .iter()
        .map(|(place, &is)| (place, before.get(place).copied().unwrap_or_default(), is))
        .filter(|(_, was, is)| is.saturating_sub(*was) > least)
        .collect();
    grown.sort_by_key(|(_, was, is)| Reverse(is - was));
    for (place, was, is) in grown.into_iter().take(TOLD) {
        println!("  {place:40} {was:12} {is:12} {:+12}", is - was);
    }
}

/// As near as a ratio needs it.
#[expect(clippy::cast_precision_loss, reason = "instructions of seconds are below 2^53")]
fn as_f64(instructions: u64) -> f64 {
    instructions as f64
}
