//! `portlabel FILE…` and `portlabel -i NAME`: the services of captures, and of what passes interfaces.

use std::path::{Path, PathBuf};
use std::process::{self, ExitCode};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};
use signal_hook::flag;

use super::names;
use crate::cli::{Config, Input, LiveInput};
use crate::decode::Decoder;
use crate::engine::Engine;
use crate::output::{self, OutputError};
use crate::run::{
    self, Bounds, Controls, Delivery, Intake, Lane, LiveRun, LiveSave, Outcome, Progress, Saving, Threads,
};
use crate::services::Registry;
use crate::snapshot::{SourceInfo, SourceKind};
use crate::source::live::{ANY, Device, HostInterface, LiveOptions, OpenError, Together};
use crate::source::{Files, Filter, Save, SaveError};

/// Labels what the command line names, and says how that went.
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
    let labelled = match &config.input {
        Input::Captures(inputs) => label_captures(config, inputs, filter, registry),
        Input::Live(live) => label_live(config, live, registry),
    };
    match labelled {
        Ok(outcome) => {
            if outcome.interrupted {
                let packets = outcome.packets;
                run::say(&format_args!("interrupted: the report covers the {packets} packets read until then"));
            }
            exit_code(outcome)
        }
        Err(error) => {
            let wrong_usage =
                matches!(error, StartError::OverwritesInput(_) | StartError::Interface(OpenError::Filter { .. }));
            let code = failure(if wrong_usage { 2 } else { 1 }, &error);
            if let StartError::Interface(error) = &error {
                advise(error);
            }
            code
        }
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
    #[error(transparent)]
    Interface(#[from] OpenError),
}

fn label_captures(
    config: &Config,
    inputs: &[PathBuf],
    filter: Option<Filter>,
    registry: Registry,
) -> Result<Outcome, StartError> {
    let stop = stop_flag().map_err(StartError::Signals)?;
    raise_open_files();
    // folders are looked through before anything is created in them: a report among the captures is none of them
    let files = Files::open(inputs, Arc::clone(&stop));
    let names: Vec<_> = files.names().into_iter().map(str::to_owned).collect();
    keep_inputs(config, files.paths().map(PathBuf::from))?;
    // and outputs are opened before packets are read: a path that cannot be written is told at once. Not when there is
    // nothing to write: what was there before stays.
    let (specs, save) = if names.is_empty() { (&[][..], None) } else { (&config.outputs[..], config.save.as_deref()) };
    let outputs = specs.iter().map(|spec| output::open(spec, &config.table)).collect::<Result<_, _>>()?;
    let saving = match save.map(Save::create).transpose()? {
        Some(save) => Saving::To(Box::new(save)),
        None => Saving::Not,
    };
    let source = SourceInfo { kind: SourceKind::File, names, host: None, filter: config.filter.clone() };
    let total_bytes = files.total_bytes();
    let progress = (config.progress && total_bytes > 0).then(|| Progress::new(files.progress(), total_bytes));
    let mut delivery = Delivery::new(outputs, progress, config.quiet);
    let engine = Engine::new(config.engine.clone(), source.into(), registry);
    let bounds = Bounds { packets: config.count, duration: config.duration };
    let intake = Intake::new(files, Decoder::new(config.outer), engine.keyer(), filter, saving, bounds);
    let threads = match thread::available_parallelism() {
        Ok(cores) if cores.get() > 1 => Threads::Three,
        _ => Threads::One,
    };
    Ok(run::run(intake, engine, &mut delivery, &stop, threads))
}

fn label_live(config: &Config, live: &LiveInput, registry: Registry) -> Result<Outcome, StartError> {
    let stop = stop_flag().map_err(StartError::Signals)?;
    let print_counters = Arc::new(AtomicBool::new(false));
    flag::register(SIGUSR1, Arc::clone(&print_counters)).map_err(StartError::Signals)?;
    let together = Arc::new(Together::new(stop));
    // interfaces first: without them there is nothing to write, and what was there before stays
    let lanes = open_lanes(config, live, &together)?;
    keep_inputs(config, std::iter::empty())?;
    let outputs = config.outputs.iter().map(|spec| output::open(spec, &config.table)).collect::<Result<_, _>>()?;
    let save = config.save.as_deref().map(LiveSave::create).transpose()?;
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let names = live.interfaces.clone();
    let source = SourceInfo { kind: SourceKind::Live, names, host: Some(host), filter: config.filter.clone() };
    let mut delivery = Delivery::new(outputs, None, config.quiet);
    for remark in double_counting(&live.interfaces) {
        run::say(&remark);
    }
    let engine = Engine::new(config.engine.clone(), source.into(), registry);
    let bounds = Bounds { packets: config.count, duration: config.duration };
    let run = LiveRun { lanes, outer: config.outer, engine, save, bounds };
    Ok(run::run_live(run, &mut delivery, &Controls { together, print_counters }))
}

/// Opens each interface as often as it is shared.
fn open_lanes(config: &Config, live: &LiveInput, together: &Arc<Together>) -> Result<Vec<Lane>, StartError> {
    let options = LiveOptions {
        filter: config.filter.clone(),
        snap_len: live.snap_len,
        buffer_bytes: live.buffer_bytes,
        promiscuous: live.promiscuous,
        loss_period: config.engine.interval.unwrap_or(LONGEST_LOSS_PERIOD).min(LONGEST_LOSS_PERIOD),
    };
    let mut lanes = Vec::new();
    for (interface, name) in live.interfaces.iter().enumerate() {
        // one group an interface; other programs choose theirs by their process too
        let group = u16::try_from(process::id() as usize % 0xff00 + interface).unwrap_or(u16::MAX);
        let devices = if live.fanout > 1 {
            Device::open_shared(name, &options, together, group, live.fanout)?
        } else {
            vec![Device::open(name, options.clone(), Arc::clone(together))?]
        };
        lanes.extend(devices.into_iter().map(|device| Lane { device, interface }));
    }
    Ok(lanes)
}

/// What was lost is asked for at least so often, or the kernel's counters of 32 bits could turn over unseen.
const LONGEST_LOSS_PERIOD: Duration = Duration::from_mins(1);

/// Prints what to do about an interface that cannot be opened.
fn advise(error: &OpenError) {
    match error {
        OpenError::Unknown { .. } => {
            // where they cannot be told, there is nothing to add
            let interfaces = HostInterface::list().unwrap_or_default();
            run::advise("these can be watched:", interfaces.iter().map(ToString::to_string));
        }
        OpenError::Permission { .. } => {
            let program = std::env::current_exe().unwrap_or_else(|_| "portlabel".into());
            let program = shell_word(&program.to_string_lossy());
            let words = std::env::args_os().skip(1).map(|word| shell_word(&word.to_string_lossy()));
            let sudo: Vec<_> = ["sudo".to_owned(), program.clone()].into_iter().chain(words).collect();
            let lines = [format!("sudo setcap cap_net_raw=ep {program}"), sudo.join(" ")];
            run::advise("give this program the permission, once for all, or run it as root:", lines);
        }
        _ => {}
    }
}

/// A word as a shell takes it.
fn shell_word(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./,:=@%+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// What users must know of packets that pass several of the interfaces.
fn double_counting(interfaces: &[String]) -> Vec<String> {
    let mut remarks = Vec::new();
    if interfaces.iter().any(|name| name == ANY) {
        remarks.push(format!(
            "{ANY}: a packet that passes several interfaces (a bridge and its ports, a tunnel and its carrier) is counted at each"
        ));
    }
    for bridge in interfaces {
        let is_port = |name: &&String| Path::new("/sys/class/net").join(bridge).join("brif").join(name).exists();
        let ports: Vec<_> = interfaces.iter().filter(is_port).map(String::as_str).collect();
        if !ports.is_empty() {
            remarks.push(format!(
                "{bridge}: a packet that passes this bridge is counted there and at {}",
                ports.join(", ")
            ));
        }
    }
    remarks
}

/// Nothing that is read is written to.
fn keep_inputs(config: &Config, captures: impl Iterator<Item = PathBuf>) -> Result<(), StartError> {
    let inputs: Vec<_> = captures.chain(config.naming.services.iter().cloned()).collect();
    let overwrites = output::overwrites_input(&config.outputs, &inputs).or_else(|| {
        let save = config.save.as_deref().filter(|save| output::is_one_of(save, &inputs))?;
        Some(format!("{} is an input; saving would overwrite it", save.display()))
    });
    overwrites.map_or(Ok(()), |conflict| Err(StartError::OverwritesInput(conflict)))
}

/// A flag that the first SIGINT or SIGTERM sets; the second one ends the program at once, as it would without us.
fn stop_flag() -> std::io::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // in this order: the first one finds the flag unset, and sets it
        flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&stop))?;
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
    if outcome.output_failed || outcome.nothing_readable || outcome.none_left {
        return ExitCode::from(1);
    }
    if outcome.input_trouble || outcome.interrupted || outcome.only_unknown_links {
        return ExitCode::from(3);
    }
    ExitCode::SUCCESS
}
