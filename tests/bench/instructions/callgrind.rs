//! Instructions as callgrind counts them, by the source file that they were compiled from.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

/// Instructions by place: a source file of ours, a crate, or anything else. Those of the standard library count for what they
/// are compiled into.
pub type Counts = BTreeMap<String, u64>;

/// Places that have a smaller share of all instructions are one.
const MIN_SHARE: u64 = 200;

/// Runs a command under callgrind, which writes to the file `out`.
///
/// # Errors
/// What valgrind or the command say, and files that are not as they should be.
pub fn count(command: &Command, out: &Path) -> io::Result<Counts> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--quiet", "--tool=callgrind"]).arg(format!("--callgrind-out-file={}", out.display()));
    succeed(valgrind.arg(command.get_program()).args(command.get_args()))?;
    parse(&fs::read_to_string(out)?).ok_or_else(|| io::Error::other(format!("{}: not callgrind's", out.display())))
}

/// Runs a command; what it says is the error where it fails.
///
/// # Errors
/// That it could not be started, or failed.
pub fn succeed(command: &mut Command) -> io::Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let ran = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .output()
        .map_err(|error| io::Error::other(format!("{name}: {error}")))?;
    if ran.status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("{name}: {}: {}", ran.status, String::from_utf8_lossy(&ran.stderr).trim())))
}

/// Reads what is described in valgrind's manual as the callgrind format: lines of a position and the instructions there,
/// after lines that say which file they are in. A file's name is given once, and its number from then on.
fn parse(text: &str) -> Option<Counts> {
    let (mut counts, mut files) = (Counts::new(), HashMap::new());
    let mut place = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        match line.split_once('=') {
            // what follows a call is what it took inside, which is counted there
            Some(("calls", _)) => drop(lines.next()),
            Some((key @ ("fl" | "fi" | "fe" | "cfi" | "cfl"), file)) => {
                let (number, name) = file.split_once(' ').unwrap_or((file, ""));
                if !name.is_empty() {
                    files.insert(number, place_of(name));
                }
                let named = files.get(number)?;
                // of the standard library, what is inlined in a function counts for what stands before it
                if key == "fl" || (named != STANDARD && !key.starts_with('c')) {
                    place.clone_from(named);
                }
            }
            None if line.starts_with(|c: char| c.is_ascii_digit() || "+-*".contains(c)) => {
                let (_, instructions) = line.split_once(' ')?;
                *counts.entry(place.clone()).or_default() += instructions.parse::<u64>().ok()?;
            }
            // other facts about the run, and about functions and objects
            _ => {}
        }
    }
    let least = counts.values().sum::<u64>() / MIN_SHARE;
    let (mut large, small): (Counts, Counts) = counts.into_iter().partition(|(_, instructions)| *instructions >= least);
    *large.entry(OTHER.to_owned()).or_default() += small.values().sum::<u64>();
    Some(large)
}

const STANDARD: &str = "standard library";
const OTHER: &str = "anything else";

/// Where a source file belongs.
fn place_of(file: &str) -> String {
    let file = file.strip_prefix(concat!(env!("CARGO_MANIFEST_DIR"), "/")).unwrap_or(file);
    if file.starts_with("src/") {
        return file.to_owned();
    }
    if let Some((_, path)) = file.split_once("/registry/src/") {
        // registry, crate and version, and the rest
        let folder = path.split('/').nth(1).unwrap_or_default();
        return folder.rsplit_once('-').map_or(folder, |(name, _)| name).to_owned();
    }
    if file.contains("/library/") { STANDARD } else { OTHER }.to_owned()
}
