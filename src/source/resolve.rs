//! From what the user named to a list of inputs: a folder stands for the captures directly in it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::error::SourceError;
use super::foreign::Foreign;

/// Where the bytes of an input come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// A regular file, which can be opened twice, with its size in bytes.
    File { path: PathBuf, size: u64 },
    /// A FIFO or a device, which can be read only once.
    Stream(PathBuf),
    /// Standard input.
    Standard,
}

impl Origin {
    /// Where it is; standard input is nowhere.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::File { path, .. } | Self::Stream(path) => Some(path),
            Self::Standard => None,
        }
    }

    /// Bytes on disk; 0 where nobody knows before the end.
    pub const fn size(&self) -> u64 {
        match self {
            Self::File { size, .. } => *size,
            Self::Stream(_) | Self::Standard => 0,
        }
    }
}

/// One input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    /// As the user named it; a file of a folder has the folder's name before its own.
    pub name: String,
    /// Where its bytes come from.
    pub origin: Origin,
    /// The folder, by its place in what the user named, of which the file is one.
    pub folder: Option<usize>,
}

/// The most files of a folder; a report of more inputs could not be read back.
const FILES_MAX: usize = 1_000_000;

/// What standard input is called in messages.
pub(super) const STANDARD_INPUT: &str = "standard input";

/// The inputs that the arguments `paths` name, in their order, those of a folder by name, and what cannot be opened.
pub(super) fn resolve(paths: &[PathBuf]) -> (Vec<Named>, Vec<SourceError>) {
    let (mut inputs, mut errors) = (Vec::new(), Vec::new());
    for (place, path) in paths.iter().enumerate() {
        if let Err(error) = add(place, path, &mut inputs, &mut errors) {
            errors.push(error);
        }
    }
    (inputs, errors)
}

fn add(place: usize, path: &Path, inputs: &mut Vec<Named>, errors: &mut Vec<SourceError>) -> Result<(), SourceError> {
    if path.as_os_str() == "-" {
        if inputs.iter().any(|input| input.origin == Origin::Standard) {
            return Err(open_error(STANDARD_INPUT, io::Error::other("it is named twice, and can be read only once")));
        }
        inputs.push(Named { name: "-".to_owned(), origin: Origin::Standard, folder: None });
        return Ok(());
    }
    let name = path.display().to_string();
    let metadata = fs::metadata(path).map_err(|source| open_error(&name, source))?;
    if metadata.is_dir() {
        return add_folder(place, path, inputs, errors);
    }
    let path = path.to_owned();
    let origin = if metadata.is_file() { Origin::File { path, size: metadata.len() } } else { Origin::Stream(path) };
    inputs.push(Named { name, origin, folder: None });
    Ok(())
}

fn add_folder(
    place: usize,
    folder: &Path,
    inputs: &mut Vec<Named>,
    errors: &mut Vec<SourceError>,
) -> Result<(), SourceError> {
    let name = folder.display().to_string();
    let paths = fs::read_dir(folder).and_then(|entries| {
        entries.take(FILES_MAX + 1).map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()
    });
    let mut paths = paths.map_err(|source| open_error(&name, source))?;
    if inputs.len() + paths.len() > FILES_MAX {
        let problem = format!("with its files there are more than {FILES_MAX} inputs; name some of them");
        return Err(open_error(&name, io::Error::other(problem)));
    }
    paths.sort();
    let before = inputs.len();
    for path in paths {
        let name = path.display().to_string();
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(metadata) if metadata.is_file() => {
                let origin = Origin::File { path, size: metadata.len() };
                inputs.push(Named { name, origin, folder: Some(place) });
            }
            // opening a FIFO that nobody meant would wait for ever
            Ok(_) => errors.push(SourceError::Skipped { input: name, found: Foreign::Known("it is no regular file") }),
            Err(source) => errors.push(open_error(&name, source)),
        }
    }
    if inputs.len() == before { Err(SourceError::NoCaptures { folder: name }) } else { Ok(()) }
}

pub(super) fn open_error(input: &str, source: io::Error) -> SourceError {
    SourceError::Open { input: input.to_owned(), source }
}
