//! `portlabel FILE…`.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use rustix::fs::{Access, access};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use signal_hook::consts::SIGUSR1;
use signal_hook::flag;

use super::{Hangup, StartError};
use crate::cli::Config;
use crate::decode::Decoder;
use crate::engine::{Engine, EngineConfig};
use crate::output::Format;
use crate::run::{self, Bounds, Delivery, Intake, Outcome, Progress, Saving, Standing};
use crate::services::Registry;
use crate::snapshot::{SourceInfo, SourceKind};
use crate::source::{Files, Filter, Save};

/// Where the system looks for names of ports, protocols, networks and hosts when a filter has some.
const NAMES_IN_FILTERS: [&str; 5] =
    ["/etc/services", "/etc/protocols", "/etc/networks", "/etc/hosts", "/etc/nsswitch.conf"];

/// Labels captures.
pub(super) fn label(config: &Config, inputs: &[PathBuf], registry: Registry) -> Result<Outcome, StartError> {
    let filter = config.filter.as_deref().map(Filter::new).transpose()?;
    let stop = Arc::new(AtomicBool::new(false));
    // before a pipe is opened, which may take until its writer comes
    let asked = Arc::new(AtomicBool::new(false));
    flag::register(SIGUSR1, Arc::clone(&asked)).map_err(StartError::Signals)?;
    raise_open_files();
    let plan = super::plan(config)?;
    // folders are looked through before anything is created in them: a report among the captures is none of them
    let files = Files::open(inputs, Arc::clone(&stop));
    let names: Vec<_> = files.names().into_iter().map(str::to_owned).collect();
    let captures: Vec<_> = files.paths().map(PathBuf::from).collect();
    let standard_input = inputs.iter().filter(|input| input.as_os_str() == "-");
    super::keep_inputs(config, captures.iter().chain(standard_input).cloned())?;
    // and outputs are opened before packets are read: a path that cannot be written is told at once. Not when there is
    // nothing to write: what was there before stays.
    let (specs, save) = if names.is_empty() { (&[][..], None) } else { (&config.outputs[..], config.save.as_deref()) };
    let outputs = super::open_outputs(specs, config, &stop)?;
    let server = super::bind(config)?;
    let saving = match save.map(|path| Save::create(path, config.rotate_bytes)).transpose()? {
        Some(save) => Saving::To(Box::new(save)),
        None => Saving::Not,
    };
    let source = SourceInfo { kind: SourceKind::File, names, host: None, filter: config.filter.clone() };
    let total_bytes = files.total_bytes();
    let progress = (config.progress && total_bytes > 0).then(|| Progress::new(files.progress(), total_bytes));
    let read_bytes = files.progress();
    let total_bytes = if files.are_regular() { total_bytes } else { 0 };
    let engine = Engine::new(&engine_config(config), source.into(), registry);
    let bounds = Bounds { packets: config.count, duration: config.duration };
    let intake = Intake::new(files, Decoder::new(config.engine.outer), engine.keyer(), filter, saving, bounds);
    let standing = Standing { asked, packets: intake.counter(), read_bytes, total_bytes };
    let delivery = Delivery::new(outputs, progress, config.quiet).served_by(server).telling(standing);
    let workers = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let hangup = Hangup::of(config);
    if let Some(mut plan) = plan {
        // captures are opened one after the other, and a filter is compiled for each link type that comes along
        plan.keep_reading(captures.iter().map(PathBuf::as_path));
        if config.filter.is_some() {
            plan.keep_reading(NAMES_IN_FILTERS.map(Path::new));
        }
        super::tell(&plan.apply()?, config);
        let is_refused = |path: &PathBuf| access(path.as_path(), Access::READ_OK) == Err(Errno::ACCESS);
        // a single one is open by now
        if config.user.is_none() && captures.len() > 1 && captures.iter().any(is_refused) {
            run::say(&format_args!("captures are read as user {}: -Z names another one, or root", super::SERVES));
        }
    }
    let mut delivery = super::hear_signals(config, &stop, hangup, delivery)?;
    Ok(run::run(intake, engine, &mut delivery, &stop, workers))
}

/// The interval at which a report begins; it grows with the capture.
const FINE_INTERVAL: Duration = Duration::from_millis(100);

/// How many intervals a picture of a capture has at most, about: its chart has no more columns.
const MAX_INTERVALS: u32 = 512;

/// What the engine does. For a report, intervals that nobody asked for are as many as it can show. What is looked at while
/// it is read (a capture may come through a pipe, as it is made) has intervals that stay what they are.
fn engine_config(config: &Config) -> EngineConfig {
    let is_watched = config.listen.is_some() || config.outputs.iter().any(|spec| spec.format == Format::Tui);
    if !config.intervals_for_pictures || config.engine.interval.is_none() || is_watched {
        return config.engine.clone();
    }
    EngineConfig { interval: Some(FINE_INTERVAL), max_intervals: Some(MAX_INTERVALS), ..config.engine.clone() }
}

/// As many open files as the system allows: captures that overlap in time are open together. Where it does not help, the
/// inputs that cannot be opened are named.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}
