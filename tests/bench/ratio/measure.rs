//! What a program takes, from its start to its end or to its first output.

use std::io::{self, ErrorKind, Read as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use wait4::Wait4 as _;

/// What one run took, or the median of several.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    pub wall: Duration,
    /// User and system, of all threads and of the processes that it waited for.
    pub cpu: Duration,
    pub peak_bytes: u64,
}

/// When the clock is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    End,
    FirstOutput,
}

/// Runs all of the programs, and all of them again, so that what else the machine does weighs on each; every other time from
/// the last to the first. Where one cannot run, or fails, the reason is in its place.
pub fn in_turn(
    commands: impl Iterator<Item = Result<Command, String>>,
    until: Until,
    runs: usize,
) -> Vec<Result<Cost, String>> {
    let mut turns: Vec<_> = commands.map(|command| command.map(|command| (command, Vec::new()))).collect();
    for _ in 0..runs {
        for turn in &mut turns {
            if let Ok((command, costs)) = turn {
                match once(command, until) {
                    Ok(cost) => costs.push(cost),
                    Err(error) => {
                        eprintln!("{command:?}: {error}");
                        *turn = Err(error.to_string());
                    }
                }
            }
        }
        turns.reverse();
    }
    if runs % 2 == 1 {
        turns.reverse();
    }
    turns.into_iter().map(|turn| turn.map(|(_, costs)| medians(&costs))).collect()
}

fn once(command: &mut Command, until: Until) -> io::Result<Cost> {
    let stdout = if until == Until::End { Stdio::null() } else { Stdio::piped() };
    let started = Instant::now();
    let child = command.stdin(Stdio::null()).stdout(stdout).stderr(Stdio::null()).spawn();
    let mut child = child.map_err(|error| match error.kind() {
        ErrorKind::NotFound => io::Error::other("not installed"),
        _ => error,
    })?;
    let first_output = child.stdout.take().map(|mut pipe| {
        pipe.read_exact(&mut [0])?;
        let wall = started.elapsed();
        io::copy(&mut pipe, &mut io::sink())?;
        io::Result::Ok(wall)
    });
    let ended = child.wait4()?;
    let wall = first_output.transpose()?.unwrap_or_else(|| started.elapsed());
    if !ended.status.success() {
        return Err(io::Error::other(ended.status.to_string()));
    }
    let used = ended.rusage;
    Ok(Cost { wall, cpu: used.utime + used.stime, peak_bytes: used.maxrss })
}

/// Medians; of memory the most.
fn medians(costs: &[Cost]) -> Cost {
    let median = |of: fn(&Cost) -> Duration| {
        let mut durations: Vec<_> = costs.iter().map(of).collect();
        durations.sort_unstable();
        durations[durations.len() / 2]
    };
    let peak_bytes = costs.iter().map(|cost| cost.peak_bytes).max().unwrap_or_default();
    Cost { wall: median(|cost| cost.wall), cpu: median(|cost| cost.cpu), peak_bytes }
}
