//! Reports that the command line names.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::report::{Report, ReportError};

/// Reads a report; `-` is standard input.
pub(super) fn read(path: &Path) -> Result<Report, ReportError> {
    if path.as_os_str() == "-" {
        return Report::read("standard input", io::stdin().lock());
    }
    let name = path.display().to_string();
    match open(path) {
        Ok(file) => Report::read(&name, file),
        Err(source) => Err(ReportError::Read { name, source }),
    }
}

fn open(path: &Path) -> io::Result<impl Read + use<>> {
    let file = File::open(path)?;
    // opening a folder succeeds, and reading it fails in words that help nobody
    if file.metadata()?.is_dir() { Err(io::ErrorKind::IsADirectory.into()) } else { Ok(file) }
}
