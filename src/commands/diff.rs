//! `portlabel diff BEFORE AFTER`: what came, went and moved between two reports.

mod compare;
mod page;

use std::io::{self, Write as _};
use std::process::ExitCode;

use super::{is_printed, reports};
use crate::cli::Diff;
use crate::output::write_indented_json;
use crate::report::{Difference, Report, ReportError};
use crate::run;

use compare::Comparison;

/// The JSON Schema of what `diff --json` prints, as this version writes it.
pub const DIFF_JSON_SCHEMA: &str = include_str!("../../data/schema/diff.schema.json");

/// Compares two reports, on standard output.
#[must_use]
pub fn diff(config: &Diff) -> ExitCode {
    let (before, after) = match both(config) {
        Ok(reports) => reports,
        Err(error) => {
            run::say(&error);
            return ExitCode::FAILURE;
        }
    };
    if !config.quiet {
        for report in [&before, &after].into_iter().filter(|report| !report.snapshot.is_final) {
            let name = &report.name;
            run::say(&format_args!("{name}: is not final: the run that writes it goes on, or was cut off"));
        }
        let (old, new) = (&before.snapshot, &after.snapshot);
        for difference in Difference::all([&old.source, &new.source], [&old.settings, &new.settings]) {
            run::say(&format_args!("what differs may be due to how the reports were made: {difference}"));
        }
    }
    let mut out = io::stdout().lock();
    let compared = compare(&before, &after, config).and_then(|compared| {
        out.write_all(compared.text.as_bytes())?;
        out.flush().map(|()| compared.is_failed)
    });
    let is_failed = compared.as_ref().is_ok_and(|is_failed| *is_failed);
    let is_printed = is_printed(compared.map(drop));
    if is_printed && !is_failed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What came of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared {
    /// What is printed.
    pub text: String,
    /// A service has moved by more than is allowed.
    pub is_failed: bool,
}

/// Compares two reports that were read, which need not be of the files that `config` names.
///
/// # Errors
/// The comparison cannot be written as JSON, which nothing that is in a report brings about.
pub fn compare(before: &Report, after: &Report, config: &Diff) -> io::Result<Compared> {
    let comparison = Comparison::new(before, after, config.totals, config.fail_over_percent);
    let text = if config.json {
        let mut json = Vec::new();
        write_indented_json(&mut json, &comparison)?;
        json.push(b'\n');
        String::from_utf8(json).map_err(io::Error::other)?
    } else {
        page::render(&comparison, config.color, config.width)
    };
    Ok(Compared { text, is_failed: comparison.is_failed() })
}

fn both(config: &Diff) -> Result<(Report, Report), ReportError> {
    Ok((reports::read(&config.before)?, reports::read(&config.after)?))
}
