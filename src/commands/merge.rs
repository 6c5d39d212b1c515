//! `portlabel merge REPORT…`: one report out of several.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use super::reports;
use crate::cli;
use crate::output::{self, OnQuit, OutputError};
use crate::report::{Merge, MergeError, Report, ReportError};
use crate::run;
use crate::snapshot::Snapshot;
use crate::units::cut;

/// What keeps reports from being added up.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Report(#[from] ReportError),
    #[error(transparent)]
    Merge(#[from] MergeError),
    #[error(transparent)]
    Output(#[from] OutputError),
    #[error(transparent)]
    Write(#[from] std::io::Error),
}

/// Adds up the reports of the command line. Nothing is written before all of them are read.
#[must_use]
pub fn merge(config: &cli::Merge) -> ExitCode {
    match sum(config).and_then(|snapshot| write(&Arc::new(snapshot), config)) {
        Ok(()) => ExitCode::SUCCESS,
        // `| head` has seen enough
        Err(Trouble::Write(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(trouble) => {
            run::say(&trouble);
            ExitCode::FAILURE
        }
    }
}

/// Reads the reports one after the other: there is never more than one beside the sum.
fn sum(config: &cli::Merge) -> Result<Snapshot, Trouble> {
    let [first, others @ ..] = config.reports.as_slice() else { unreachable!("the command line has at least one") };
    let mut sum = Merge::new(read(first, config)?)?;
    for path in others {
        sum.add(read(path, config)?)?;
    }
    if !config.quiet {
        sum.overlaps().iter().for_each(|overlap| run::say(overlap));
    }
    Ok(sum.snapshot())
}

fn read(path: &Path, config: &cli::Merge) -> Result<Report, ReportError> {
    let report = reports::read(path)?;
    if report.version != env!("CARGO_PKG_VERSION") && !config.quiet {
        let (name, version) = (&report.name, cut(&report.version));
        run::say(&format_args!("{name}: written by version {version}, which may name some ports differently"));
    }
    Ok(report)
}

fn write(snapshot: &Arc<Snapshot>, config: &cli::Merge) -> Result<(), Trouble> {
    let on_quit: OnQuit = Arc::new(|| ());
    let open = |spec| output::open(spec, &config.settings, &on_quit);
    let outputs: Vec<_> = config.outputs.iter().map(open).collect::<Result<_, _>>()?;
    for mut output in outputs {
        output.start()?;
        output.snapshot(snapshot)?;
        output.finish()?;
    }
    Ok(())
}
