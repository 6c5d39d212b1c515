//! `portlabel -D`: the interfaces of this host.

use std::io::Write as _;
use std::process::ExitCode;

use crate::output::printable;
use crate::run;
use crate::source::live::HostInterface;

/// Prints the interfaces that `-i` takes, one a line: name, addresses, state and description.
#[must_use]
pub fn list_interfaces() -> ExitCode {
    let interfaces = match HostInterface::list() {
        Ok(interfaces) => interfaces,
        Err(error) => {
            run::say(&error);
            return ExitCode::FAILURE;
        }
    };
    let name_width = interfaces.iter().map(|interface| interface.name.len()).max().unwrap_or(0);
    let mut out = std::io::stdout().lock();
    let printed = interfaces.iter().try_for_each(|interface| {
        let line = printable(&interface.to_string());
        let (name, rest) = line.split_once("  ").unwrap_or((&line, ""));
        writeln!(out, "{name:name_width$}  {rest}")
    });
    if super::is_printed(printed) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
