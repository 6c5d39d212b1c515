//! What all this runs on, and who else does.

use std::fs;
use std::thread;

/// Processors, memory and kernel.
pub fn described() -> String {
    let field = |file: &str, key: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let value = text.lines().find(|line| line.starts_with(key)).and_then(|line| line.split_once(':'));
        value.map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    let kernel = rustix::system::uname();
    format!(
        "{} cores of {}, memory {}, {} {}",
        cores(),
        field("/proc/cpuinfo", "model name"),
        field("/proc/meminfo", "MemTotal"),
        kernel.sysname().to_string_lossy(),
        kernel.release().to_string_lossy()
    )
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// CPU time until now, in the kernel's ticks.
#[derive(Clone, Copy)]
pub struct Ticks {
    /// That there was, on all processors.
    all: u64,
    idle: u64,
    /// This process's, and that of those it has waited for.
    own: u64,
}

impl Ticks {
    /// Nothing where the kernel does not tell (proc_stat(5), proc_pid_stat(5)).
    pub fn now() -> Option<Self> {
        let numbers = |text: &str, skipped: usize, taken: usize| {
            let words = text.split_ascii_whitespace().skip(skipped).take(taken);
            words.map(|word| word.parse().ok()).collect::<Option<Vec<u64>>>()
        };
        // user, nice, system, idle, waiting for disks, interrupts (2), stolen; what guests take is in the first
        let system = numbers(fs::read_to_string("/proc/stat").ok()?.lines().next()?, 1, 8)?;
        // user, system, and both of children, after the program's name and eleven other fields
        let process = fs::read_to_string("/proc/self/stat").ok()?;
        let own = numbers(process.rsplit_once(')')?.1, 11, 4)?;
        let &[_, _, _, idle, waiting, ..] = system.as_slice() else { return None };
        Some(Self { all: system.iter().sum(), idle: idle + waiting, own: own.iter().sum() })
    }

    /// How many hundredths of a processor others have used since `earlier`.
    pub fn others_since(&self, earlier: &Self) -> u64 {
        let all = self.all - earlier.all;
        let others = all.saturating_sub(self.idle - earlier.idle + self.own - earlier.own);
        others * 100 * cores() as u64 / all.max(1)
    }
}
