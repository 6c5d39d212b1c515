//! `portlabel FILE…`: the services of captures.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use super::names;
use crate::cli::Config;
use crate::decode::Decoder;
use crate::engine::Engine;
use crate::output::{self, Format, OnQuit, OutputError};
use crate::run::{self, Bounds, Delivery, Intake, Outcome, Progress, Threads};
use crate::services::Registry;
use crate::snapshot::{SourceInfo, SourceKind};
use crate::source::{Files, Filter, Save, SaveError};

/// Labels the captures that the command line names, and says how that went.
#[must_use]
pub fn label(config: &Config) -> ExitCode {
    // a filter that cannot be understood is wrong usage, as a wrong flag is
    let filter = match config.filter.as_deref().map(Filter::new).transpose() {
        Ok(filter) => filter,
        Err(error) => return failure(2, &error),
    };
    let registry = match names::registry(&config.naming) {
        Ok(registry) => registry,
        Err(wrong) => {
            wrong.say();
            return ExitCode::from(2);
        }
    };
    match label_captures(config, filter, registry) {
        Ok(outcome) => {
            if outcome.interrupted {
                let packets = outcome.packets;
                run::say(&format_args!("interrupted: the report covers the {packets} packets read until then"));
            }
            exit_code(outcome)
        }
        Err(error @ StartError::OverwritesInput(_)) => failure(2, &error),
        Err(error) => failure(1, &error),
    }
}

/// What keeps a run from starting.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error("cannot listen for signals: {0}")]
    Signals(std::io::Error),
    #[error(transparent)]
    Output(#[from] OutputError),
    #[error(transparent)]
    Save(#[from] SaveError),
    #[error("{0}")]
    OverwritesInput(String),
}

fn label_captures(config: &Config, filter: Option<Filter>, registry: Registry) -> Result<Outcome, StartError> {
    let has_screen = config.outputs.iter().any(|spec| spec.format == Format::Tui);
    let stop = stop_flag(has_screen).map_err(StartError::Signals)?;
    raise_open_files();
    // folders are looked through before anything is created in them: a report among the captures is none of them
    let files = Files::open(&config.inputs, Arc::clone(&stop));
    let names: Vec<_> = files.names().into_iter().map(str::to_owned).collect();
    let inputs: Vec<_> = files.paths().map(PathBuf::from).chain(config.naming.services.iter().cloned()).collect();
    let overwrites = output::overwrites_input(&config.outputs, &inputs).or_else(|| {
        let save = config.save.as_deref().filter(|save| output::is_one_of(save, &inputs))?;
        Some(format!("{} is an input; saving would overwrite it", save.display()))
    });
    if let Some(conflict) = overwrites {
        return Err(StartError::OverwritesInput(conflict));
    }
    // and outputs are opened before packets are read: a path that cannot be written is told at once. Not when there is
    // nothing to write: what was there before stays.
    let (specs, save) = if names.is_empty() { (&[][..], None) } else { (&config.outputs[..], config.save.as_deref()) };
    let on_quit: OnQuit = {
        let stop = Arc::clone(&stop);
        Arc::new(move || stop.store(true, Ordering::Relaxed))
    };
    let outputs = specs.iter().map(|spec| output::open(spec, &config.table, &on_quit)).collect::<Result<_, _>>()?;
    let save = save.map(Save::create).transpose()?;
    let source = SourceInfo { kind: SourceKind::File, names, host: None, filter: config.filter.clone() };
    let total_bytes = files.total_bytes();
    let progress = (config.progress && total_bytes > 0).then(|| Progress::new(files.progress(), total_bytes));
    let mut delivery = Delivery::new(outputs, progress, config.quiet);
    let engine = Engine::new(config.engine.clone(), source.into(), registry);
    let bounds = Bounds { packets: config.count, duration: config.duration };
    let intake = Intake::new(files, Decoder::new(config.outer), engine.keyer(), filter, save, bounds);
    let threads = match thread::available_parallelism() {
        Ok(cores) if cores.get() > 1 => Threads::Three,
        _ => Threads::One,
    };
    Ok(run::run(intake, engine, &mut delivery, &stop, threads))
}

/// A flag that the first SIGINT or SIGTERM sets; the second one ends the program at once, as it would without us. A
/// screen ends it itself, because it has to give the terminal back before.
fn stop_flag(has_screen: bool) -> std::io::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // in this order: the first one finds the flag unset, and sets it
        if !has_screen {
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&stop))?;
        }
        flag::register(signal, Arc::clone(&stop))?;
    }
    Ok(stop)
}

/// As many open files as the system allows: captures that overlap in time are open together. Where it does not help, the
/// inputs that cannot be opened are named.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

fn failure(code: u8, message: &dyn std::fmt::Display) -> ExitCode {
    run::say(message);
    ExitCode::from(code)
}

/// The exit codes of the README.
fn exit_code(outcome: Outcome) -> ExitCode {
    if outcome.output_failed || outcome.nothing_readable {
        return ExitCode::from(1);
    }
    if outcome.input_trouble || outcome.interrupted || outcome.only_unknown_links {
        return ExitCode::from(3);
    }
    ExitCode::SUCCESS
}
