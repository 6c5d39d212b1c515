//! `portlabel diff BEFORE AFTER`: what came, went and moved between two reports.

mod compare;
mod page;

use std::io::{self, Write as _};
use std::process::ExitCode;

use super::{is_printed, reports};
use crate::cli::Diff;
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
    let comparison = Comparison::new(&before, &after, config.totals, config.fail_over_percent);
    let mut out = io::stdout().lock();
    let written = if config.json {
        serde_json::to_writer_pretty(&mut out, &comparison).map_err(io::Error::from).and_then(|()| writeln!(out))
    } else {
        out.write_all(page::render(&comparison, config.color, config.width).as_bytes())
    };
    let printed = is_printed(written.and_then(|()| out.flush()));
    if printed && !comparison.is_failed() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn both(config: &Diff) -> Result<(Report, Report), ReportError> {
    Ok((reports::read(&config.before)?, reports::read(&config.after)?))
}
