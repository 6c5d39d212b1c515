//! `portlabel FILE…`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use rustix::fs::{Access, access};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use signal_hook::consts::SIGHUP;

use super::StartError;
use crate::cli::Config;
use crate::decode::Decoder;
use crate::engine::{Engine, EngineConfig};
use crate::output::Format;
use crate::run::{self, Bounds, Delivery, Intake, Outcome, Progress, Saving, Threads};
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
    raise_open_files();
    let plan = super::plan(config)?;
    // folders are looked through before anything is created in them: a report among the captures is none of them
    let files = Files::open(inputs, Arc::clone(&stop));
    let names: Vec<_> = files.names().into_iter().map(str::to_owned).collect();
    let captures: Vec<_> = files.paths().map(PathBuf::from).collect();
    super::keep_inputs(config, captures.iter().cloned())?;
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
    let mut delivery = Delivery::new(outputs, progress, config.quiet).served_by(server);
    let engine_config = EngineConfig { interval: interval(config, total_bytes), ..config.engine.clone() };
    let engine = Engine::new(engine_config, source.into(), registry);
    let bounds = Bounds { packets: config.count, duration: config.duration };
    let intake = Intake::new(files, Decoder::new(config.engine.outer), engine.keyer(), filter, saving, bounds);
    let threads = match thread::available_parallelism() {
        Ok(cores) if cores.get() > 1 => Threads::Three,
        _ => Threads::One,
    };
    let hangup_ends = !super::is_ignored(SIGHUP);
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
    super::end_on_signals(config, &stop, hangup_ends)?;
    Ok(run::run(intake, engine, &mut delivery, &stop, threads))
}

/// The interval of small captures in a report, which are short as a rule: its chart merges intervals where there are many.
const FINE_INTERVAL: Duration = Duration::from_millis(100);

/// Captures are small up to this size together, in bytes: so few packets make few snapshots, however long they took.
const SMALL_BYTES: u64 = 16 << 20;

/// How often a snapshot is taken. For a report alone, it is finer than for a screen, whose rates are those of a second.
fn interval(config: &Config, total_bytes: u64) -> Option<Duration> {
    let has_screen = config.listen.is_some() || config.outputs.iter().any(|spec| spec.format == Format::Tui);
    let is_fine = config.intervals_for_pictures && !has_screen && (1..=SMALL_BYTES).contains(&total_bytes);
    config.engine.interval.map(|interval| if is_fine { FINE_INTERVAL } else { interval })
}

/// As many open files as the system allows: captures that overlap in time are open together. Where it does not help, the
/// inputs that cannot be opened are named.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}
