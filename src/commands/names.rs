//! The registry that the command line asks for: a user's files are read, and told what is wrong with them.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use crate::cli::Naming;
use crate::run;
use crate::services::catalog::UserFile;
use crate::services::{Registry, user};

/// Largest file that is read: a hundred times the largest /etc/services, and not what `/dev/zero` holds.
const SIZE_MAX: u64 = 64 << 20;

/// What is wrong with the files, a message each; it is wrong usage.
#[derive(Debug)]
pub(super) struct Wrong(Vec<String>);

impl Wrong {
    /// Tells it.
    pub(super) fn say(&self) {
        self.0.iter().for_each(|message| run::say(message));
    }
}

/// A user's file as it was read.
#[derive(Debug)]
pub(super) struct Text {
    path: String,
    bytes: Vec<u8>,
}

/// What the file says.
#[derive(Debug)]
pub(super) struct Parsed<'t> {
    path: &'t str,
    names: user::Names<'t>,
}

impl Parsed<'_> {
    pub(super) fn file(&self) -> UserFile<'_> {
        UserFile { path: self.path, entries: &self.names.entries }
    }
}

/// The registry alone, when the files themselves are of no more use.
pub(super) fn registry(naming: &Naming) -> Result<Registry, Wrong> {
    if naming.services.is_empty() && !naming.iana_names {
        return Ok(Registry::builtin());
    }
    let texts = texts(naming)?;
    build(&parsed(&texts, naming)?, naming)
}

/// Reads the files.
pub(super) fn texts(naming: &Naming) -> Result<Vec<Text>, Wrong> {
    let mut left = SIZE_MAX;
    let all = naming.services.iter().map(|path| {
        let bytes = read(path, left);
        let bytes = bytes.map_err(|error| vec![format!("{}: cannot read the names: {error}", path.display())])?;
        left -= bytes.len() as u64;
        Ok(Text { path: path.display().to_string(), bytes })
    });
    sorted_out(all)
}

/// Reads a file that has no more than `left` bytes.
fn read(path: &Path, left: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(left + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > left {
        let which = if left < SIZE_MAX { "all files of names together have" } else { "it has" };
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("{which} more than 64 MiB")));
    }
    Ok(bytes)
}

/// Takes them apart.
pub(super) fn parsed<'t>(texts: &'t [Text], naming: &Naming) -> Result<Vec<Parsed<'t>>, Wrong> {
    let mut entries = 0;
    let all = texts.iter().map(|Text { path, bytes }| {
        let names = user::parse(bytes).map_err(|faults| {
            let mut messages: Vec<_> = faults.first.iter().map(|fault| format!("{path}:{fault}")).collect();
            if faults.more > 0 {
                messages.push(format!("{path}: and {} more", faults.more));
            }
            messages
        })?;
        if entries + names.entries.len() > user::ENTRIES_MAX {
            let max = user::ENTRIES_MAX;
            return Err(vec![format!("{path}: with it, more than {max} lines name ports; there are not as many")]);
        }
        entries += names.entries.len();
        Ok(Parsed { path, names })
    });
    let all = sorted_out(all)?;
    for Parsed { path, names } in all.iter().filter(|parsed| parsed.names.appletalk > 0 && !naming.quiet) {
        let lines = if names.appletalk == 1 { "line is" } else { "lines are" };
        run::say(&format_args!("{path}: {} {lines} left out: ddp is AppleTalk, not IP", names.appletalk));
    }
    Ok(all)
}

/// Puts them over the built-in names.
pub(super) fn build(files: &[Parsed<'_>], naming: &Naming) -> Result<Registry, Wrong> {
    let entries = files.iter().flat_map(|file| &file.names.entries);
    Registry::new(entries, naming.iana_names).map_err(|error| Wrong(vec![format!("--services: {error}")]))
}

/// All of them, or everything that is wrong with any.
fn sorted_out<T>(all: impl Iterator<Item = Result<T, Vec<String>>>) -> Result<Vec<T>, Wrong> {
    let (mut right, mut wrong) = (Vec::new(), Vec::new());
    for one in all {
        match one {
            Ok(one) => right.push(one),
            Err(messages) => wrong.extend(messages),
        }
    }
    if wrong.is_empty() { Ok(right) } else { Err(Wrong(wrong)) }
}
