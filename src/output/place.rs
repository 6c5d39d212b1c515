//! Where outputs go, and which of these places are one: two outputs in one file would write into each other, and one in a
//! file that is read would overwrite it.
//!
//! Places are compared before anything is opened, and by what is there rather than by how it is called: links, mounts and
//! `/dev/fd` give one file many names.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, Stat, fstat, open, stat};
use rustix::io::Errno;

use super::{Spec, printable_path};

/// Where an output goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Standard output.
    Stdout,
    /// A file, or whatever else the path leads to.
    Path(PathBuf),
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdout => f.write_str("standard output"),
            Self::Path(path) => f.write_str(&printable_path(path)),
        }
    }
}

impl Destination {
    /// What a path of the command line means: `-` is standard output, and so is every name that the system has for it.
    #[must_use]
    pub fn named(path: &Path) -> Self {
        if path == Path::new("-") || is_standard_output(path) { Self::Stdout } else { Self::Path(path.to_owned()) }
    }

    /// Bytes that are no text would be shown to somebody.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        match self {
            Self::Stdout => io::stdout().is_terminal(),
            // only a device is opened to see: opening a pipe would tell its reader that somebody writes
            Self::Path(path) => {
                let how = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
                let is_device = stat(path).is_ok_and(|found| FileType::from_raw_mode(found.st_mode).is_char_device());
                is_device && open(path, how, Mode::empty()).is_ok_and(|device| device.is_terminal())
            }
        }
    }

    /// What is written to the one is written into the other.
    fn is_that_of(&self, other: &Self) -> bool {
        *self == Self::Stdout && *other == Self::Stdout
            || Place::of(self).is_some_and(|place| Place::of(other) == Some(place))
    }
}

/// Something with room for one output: a file, one that is yet to be created, or a pipe. Terminals, `/dev/null` and other
/// devices take any number.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    device: u64,
    inode: u64,
    /// What will be created in the folder that the numbers are of; `None`: they are of the place.
    new: Option<OsString>,
}

impl Place {
    fn of(destination: &Destination) -> Option<Self> {
        match destination {
            Destination::Stdout => Self::found(&fstat(io::stdout()).ok()?),
            Destination::Path(path) => Self::at(path),
        }
    }

    /// Where a path leads. `None` too where nothing can be opened or created, which whoever tries to is told.
    fn at(path: &Path) -> Option<Self> {
        match stat(path) {
            Ok(found) => Self::found(&found),
            Err(Errno::NOENT) => {
                let path = followed(path);
                let Stat { st_dev: device, st_ino: inode, .. } = stat(folder_of(&path)).ok()?;
                Some(Self { device, inode, new: Some(path.file_name()?.to_owned()) })
            }
            Err(_) => None,
        }
    }

    fn found(found: &Stat) -> Option<Self> {
        let file_type = FileType::from_raw_mode(found.st_mode);
        let takes_one = file_type.is_file() || file_type.is_fifo();
        takes_one.then_some(Self { device: found.st_dev, inode: found.st_ino, new: None })
    }
}

/// Links that are followed one after the other, as the kernel has it (`path_resolution(7)`).
const MAX_LINKS: u32 = 40;

/// What a link leads to, by a path from where the link's own path begins.
fn target(link: &Path) -> Option<PathBuf> {
    // a relative target is one of the link's folder, an absolute one replaces it
    Some(folder_of(link).join(fs::read_link(link).ok()?))
}

/// The path that a link leads to, whether anything is there or not.
pub(super) fn followed(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        let Some(target) = target(&path) else { break };
        path = target;
    }
    path.canonicalize().unwrap_or(path)
}

/// The folder that a path names something in.
pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."))
}

/// A path that means the standard output of whoever uses it, such as `/dev/stdout`, `/dev/fd/1`, or a link to one of them.
fn is_standard_output(path: &Path) -> bool {
    let own = |path: &Path| {
        let process = fs::canonicalize("/proc/self").ok()?;
        let folder = fs::canonicalize(folder_of(path)).ok()?;
        // threads have descriptors in common, and a folder each
        Some(path.ends_with("1") && folder.ends_with("fd") && folder.starts_with(process))
    };
    let links = std::iter::successors(Some(path.to_owned()), |path| target(path)).take(MAX_LINKS as usize);
    // where there is no /proc, the first name is the one that people use
    path == Path::new("/dev/stdout") || links.into_iter().any(|path| own(&path).unwrap_or(false))
}

/// What is wrong when two outputs, or an output and the packets that are saved, go to the same place.
#[must_use]
pub fn conflict(specs: &[Spec], save: Option<&Destination>) -> Option<String> {
    let two = specs.iter().enumerate().find_map(|(later, spec)| {
        let earlier = specs[..later].iter().find(|earlier| earlier.destination.is_that_of(&spec.destination))?;
        let (one, other, format) = (&earlier.destination, &spec.destination, spec.format);
        let place = if one == other { one.to_string() } else { format!("one place, {one} and {other}") };
        Some(format!(
            "two outputs go to {place}: {} and {format}; give one of them another path, as in '{format}=FILE'",
            earlier.format
        ))
    });
    two.or_else(|| {
        let save = save?;
        let Spec { format, destination } = specs.iter().find(|spec| spec.destination.is_that_of(save))?;
        Some(match (save, destination) {
            (Destination::Stdout, Destination::Stdout) => format!(
                "standard output cannot take both the packets and the {format}; name another place for it: -o {format}=FILE"
            ),
            _ => format!("the output {format} goes to {save} too; save to another file"),
        })
    })
}

/// What is wrong when an output, or saving, would overwrite a file that is to be read; `-` is standard input.
#[must_use]
pub fn overwrites_input(specs: &[Spec], save: Option<&Destination>, inputs: &[PathBuf]) -> Option<String> {
    let place = |input: &PathBuf| match input.to_str() {
        Some("-") => Place::found(&fstat(io::stdin()).ok()?),
        _ => Place::at(input),
    };
    let inputs: Vec<_> = inputs.iter().filter_map(place).filter(|input| input.new.is_none()).collect();
    let is_input = |destination: &Destination| Place::of(destination).is_some_and(|place| inputs.contains(&place));
    let output = specs.iter().find(|spec| is_input(&spec.destination));
    let output = output.map(|Spec { format, destination }| {
        format!("{destination} is an input; the output {format} would overwrite it")
    });
    output.or_else(|| {
        let save = save.filter(|save| is_input(save))?;
        Some(format!("{save} is an input; saving would overwrite it"))
    })
}

/// What is wrong when a file of the row that is saved to, which begins with `first`, would take the place of an input or an
/// output. `is_in_row` says whether a file has a name of the row.
#[must_use]
pub fn overwrites_by_row(
    first: &Path,
    is_in_row: impl Fn(&Path) -> bool,
    specs: &[Spec],
    inputs: &[PathBuf],
) -> Option<String> {
    let outputs = specs.iter().filter_map(|spec| match &spec.destination {
        Destination::Path(path) => Some(path),
        Destination::Stdout => None,
    });
    let mut others = inputs.iter().map(|path| (path, "an input")).chain(outputs.map(|path| (path, "an output")));
    others.find_map(|(path, what)| {
        let path = followed(path);
        let has_name = is_in_row(&path);
        let is_there = || Some(fs::canonicalize(folder_of(&path)).ok()? == fs::canonicalize(folder_of(first)).ok()?);
        let path = printable_path(&path);
        (has_name && is_there().unwrap_or(false))
            .then(|| format!("{path} is {what}; saving with --rotate would overwrite it"))
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use rustix::fs::{CWD, mkfifoat};

    use super::super::Format;
    use super::*;

    #[test]
    fn two_outputs_need_two_destinations() {
        let cases: [(&[&str], Option<&str>); 5] = [
            (&[], None),
            (&["table", "json=x"], None),
            (&["csv=y", "json=x", "flows=z"], None),
            (
                &["table", "json"],
                Some(
                    "two outputs go to standard output: table and json; give one of them another path, as in 'json=FILE'",
                ),
            ),
            (
                &["json=x", "csv=./x"],
                Some(
                    "two outputs go to one place, x and ./x: json and csv; give one of them another path, as in 'csv=FILE'",
                ),
            ),
        ];
        for (specs, want) in cases {
            let specs: Vec<Spec> = specs.iter().map(|spec| spec.parse().expect("a spec")).collect();
            assert_eq!(conflict(&specs, None).as_deref(), want, "{specs:?}");
        }
    }

    #[test]
    fn inputs_are_not_overwritten() {
        let dir = tempfile::tempdir().expect("a directory");
        let input = dir.path().join("a.pcap");
        fs::write(&input, "x").expect("a file");
        let spec = |path: &Path| Spec { format: Format::Json, destination: Destination::Path(path.to_owned()) };
        assert!(overwrites_input(&[spec(&dir.path().join("./a.pcap"))], None, std::slice::from_ref(&input)).is_some());
        assert_eq!(overwrites_input(&[spec(&dir.path().join("b.json"))], None, &[input]), None);
    }

    /// What one file is called when it is reached in other ways, and what is another place.
    #[test]
    fn a_place_is_one_whatever_it_is_called() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("real")).expect("room");
        symlink("real", at("linked")).expect("room");
        fs::write(at("file"), "x").expect("room");
        fs::hard_link(at("file"), at("same")).expect("room");
        symlink("file", at("link")).expect("room");
        symlink("real/new", at("to-new")).expect("room");
        mkfifoat(CWD, at("pipe"), Mode::RUSR | Mode::WUSR).expect("room");
        symlink("pipe", at("to-pipe")).expect("room");
        symlink("round", at("round")).expect("room");
        let cases = [
            ("file", "same", true),
            ("file", "link", true),
            ("file", "real/../file", true),
            ("real/new", "linked/new", true),
            ("real/new", "to-new", true),
            ("real/new", "real/newer", false),
            ("real/new", "new", false),
            ("pipe", "to-pipe", true),
            ("pipe", "file", false),
            // neither takes anything
            ("real", "linked", false),
            ("round", "round", false),
            ("nowhere/new", "nowhere/new", false),
        ];
        for (one, other, want) in cases {
            let [one, other] = [one, other].map(|name| Destination::named(&at(name)));
            assert_eq!(one.is_that_of(&other), want, "{one} and {other}");
        }
        for device in ["/dev/null", "/dev/full"] {
            let device = Destination::named(Path::new(device));
            assert!(!device.is_that_of(&device) && !device.is_terminal(), "{device}");
        }
    }

    #[test]
    fn standard_output_has_many_names() {
        let dir = tempfile::tempdir().expect("a directory");
        let link = dir.path().join("link");
        symlink("/dev/stdout", &link).expect("room");
        let own = format!("/proc/{}/fd/1", std::process::id());
        let names =
            ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "/proc/self/fd/../fd/1", "/proc/thread-self/fd/1"];
        for name in names.into_iter().map(Path::new).chain([Path::new(&own), &link]) {
            assert_eq!(Destination::named(name), Destination::Stdout, "{}", name.display());
        }
        let others = ["/dev/fd/11", "/dev/stderr", "/proc/1/fd/1", "1", "./-", "/dev/null", "", "/proc/self/fdinfo/1"];
        for name in others.map(Path::new) {
            assert_eq!(Destination::named(name), Destination::Path(name.to_owned()));
        }
    }
}
