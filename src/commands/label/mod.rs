//! `portlabel FILE…` and `portlabel -i NAME`: the services of captures, and of what passes interfaces.

mod captures;
mod live;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::process::geteuid;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::{flag, low_level};

use super::names;
use crate::cli::{Config, Input};
use crate::output::{
    self, Channel, Destination, Echoes, Format, ListenError, OnQuit, OutputError, Server, Settings, Spec,
};
use crate::privileges::{Applied, Plan, PrivilegeError};
use crate::run::{self, Delivery, Outcome};
use crate::source::live::OpenError;
use crate::source::{FilterError, Save, SaveError};

/// Labels what the command line names, and says how that went.
#[must_use]
pub fn label(config: &Config) -> ExitCode {
    let registry = match names::registry(&config.naming) {
        Ok(registry) => registry,
        Err(wrong) => {
            wrong.say();
            return ExitCode::from(2);
        }
    };
    let labelled = match &config.input {
        Input::Captures(inputs) => captures::label(config, inputs, registry),
        Input::Live(input) => live::label(config, input, registry),
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
            run::say(&error);
            if let StartError::Interface(error) = &error {
                live::advise(error);
            }
            ExitCode::from(if error.is_wrong_usage() { 2 } else { 1 })
        }
    }
}

/// What keeps a run from starting.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error("cannot listen for signals: {0}")]
    Signals(std::io::Error),
    #[error(transparent)]
    Filter(#[from] FilterError),
    #[error(transparent)]
    Output(#[from] OutputError),
    #[error(transparent)]
    Save(#[from] SaveError),
    #[error(transparent)]
    Privileges(#[from] PrivilegeError),
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error("{0}")]
    OverwritesInput(String),
    #[error(transparent)]
    Interface(#[from] OpenError),
}

impl StartError {
    /// What was typed makes no sense, as with a wrong flag.
    const fn is_wrong_usage(&self) -> bool {
        matches!(
            self,
            Self::Filter(_)
                | Self::OverwritesInput(_)
                | Self::Listen(ListenError::Token(_))
                | Self::Interface(OpenError::Filter { .. })
        )
    }
}

/// The files that a run writes.
fn written(config: &Config) -> impl Iterator<Item = &Path> {
    let outputs = config.outputs.iter().filter_map(|spec| match &spec.destination {
        Destination::Path(path) => Some(path.as_path()),
        Destination::Stdout => None,
    });
    outputs.chain(config.save.as_deref())
}

/// Opens outputs, which may set `stop`.
fn open_outputs(specs: &[Spec], config: &Config, stop: &Arc<AtomicBool>) -> Result<Vec<Channel>, OutputError> {
    let stop = Arc::clone(stop);
    let on_quit: OnQuit = Arc::new(move || stop.store(true, Ordering::Relaxed));
    let settings = Settings {
        table: config.table,
        metrics_services: config.metrics_services,
        intervals_for_pictures: config.intervals_for_pictures,
    };
    specs.iter().map(|spec| Channel::open(spec, &settings, &on_quit)).collect()
}

/// Takes connections for the page, where there is to be one.
fn bind(config: &Config) -> Result<Option<Server>, ListenError> {
    config.listen.as_ref().map(|listen| Server::bind(listen, config.metrics_services)).transpose()
}

/// Who serves a page that others may reach, and is not told to be somebody else.
const SERVES: &str = "nobody";

/// What is to be given up once everything is open: where the user asks for it, and by root who serves a page. As with
/// tcpdump, root gives nothing up to become root.
fn plan(config: &Config) -> Result<Option<Plan>, PrivilegeError> {
    let user = match config.user.as_deref() {
        Some("root") if geteuid().is_root() => None,
        None if geteuid().is_root() && config.listen.is_some() => Some(SERVES),
        user => user,
    };
    user.map(|user| Plan::new(user, written(config))).transpose()
}

/// Tells which rights were given up.
fn tell(applied: &Applied, config: &Config) {
    if config.verbose {
        run::say(applied);
    }
    // whoever has not named the user does not know that there is another one
    if config.verbose || config.user.is_none() && !config.quiet {
        for folder in applied.unwritable() {
            let folder = folder.display();
            let user = config.user.as_deref().unwrap_or(SERVES);
            run::say(&format_args!(
                "{folder}: user {user} can create no files there, so no output can be opened anew; -Z names another user"
            ));
        }
    }
}

/// Nothing that is read is written to, and nothing that is written by something else.
fn keep_inputs(config: &Config, captures: impl Iterator<Item = PathBuf>) -> Result<(), StartError> {
    let inputs: Vec<_> = captures.chain(config.naming.services.iter().cloned()).collect();
    let save = config.save.as_deref().map(Destination::named);
    let by_row = || {
        let first = config.save.as_deref().filter(|_| config.rotate_bytes.is_some())?;
        output::overwrites_by_row(first, |name| Save::is_in_row(first, name), &config.outputs, &inputs)
    };
    let overwrites = output::overwrites_input(&config.outputs, save.as_ref(), &inputs).or_else(by_row);
    overwrites.map_or(Ok(()), |conflict| Err(StartError::OverwritesInput(conflict)))
}

/// From here on, SIGINT and SIGTERM set `stop`, and a second one ends the program at once, as it would without us. A screen
/// sees to that itself, because it has to give the terminal back before. SIGHUP does what `hangup` says; of files that were
/// moved away, it tells `delivery`.
///
/// To be called when everything is open and the rights are given up: until then there is nothing to report, and signals
/// have their default effect. This starts a thread.
fn hear_signals(
    config: &Config,
    stop: &Arc<AtomicBool>,
    hangup: Hangup,
    mut delivery: Delivery,
) -> Result<Delivery, StartError> {
    if hangup == Hangup::Reopens {
        let moved = Arc::new(AtomicBool::new(false));
        flag::register(SIGHUP, Arc::clone(&moved)).map_err(StartError::Signals)?;
        delivery = delivery.reopening(moved);
    }
    if config.outputs.iter().any(|spec| spec.format == Format::Tui) {
        return Ok(delivery);
    }
    let mut handled = vec![SIGINT, SIGTERM];
    if hangup == Hangup::Ends {
        handled.push(SIGHUP);
    }
    let mut signals = Signals::new(handled).map_err(StartError::Signals)?;
    let stop = Arc::clone(stop);
    let hear = move || {
        let mut echoes = Echoes::default();
        let mut is_asked = false;
        for signal in signals.forever() {
            stop.store(true, Ordering::Relaxed);
            // a terminal that goes may come with a request, and is none itself
            if signal != SIGHUP && !echoes.is_echo(signal) && std::mem::replace(&mut is_asked, true) {
                low_level::exit(128 + signal);
            }
        }
    };
    // for as long as the program runs: the second signal may come when everything else hangs
    thread::Builder::new().name("signals".to_owned()).spawn(hear).map_err(StartError::Signals)?;
    Ok(delivery)
}

/// What SIGHUP does to a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hangup {
    /// Files that are added to were moved away: they are opened anew.
    Reopens,
    /// There are none: it ends in order.
    Ends,
    /// Neither: it was ignored from the start (nohup(1)).
    Nothing,
}

impl Hangup {
    /// To be asked before the rights are given up, as [`is_ignored`].
    fn of(config: &Config) -> Self {
        if config.outputs.iter().any(|spec| spec.format.is_log() && spec.destination != Destination::Stdout) {
            Self::Reopens
        } else if is_ignored(SIGHUP) {
            Self::Nothing
        } else {
            Self::Ends
        }
    }
}

/// The program was started with a signal ignored (`SigIgn` of proc(5)). To be asked before the rights are given up: the file
/// that tells cannot be opened afterwards.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    ignored.is_some_and(|ignored| ignored >> (signal - 1) & 1 == 1)
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
