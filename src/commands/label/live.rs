//! `portlabel -i NAME`.

use std::path::Path;
use std::process;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use signal_hook::consts::SIGUSR1;
use signal_hook::flag;

use super::{Hangup, StartError};
use crate::cli::{Config, LiveInput};
use crate::engine::{Engine, EngineConfig};
use crate::run::{self, Bounds, Controls, Delivery, Lane, LiveRun, LiveSave, Outcome};
use crate::services::Registry;
use crate::snapshot::{SourceInfo, SourceKind};
use crate::source::Listeners;
use crate::source::live::{ANY, Device, HostInterface, LiveOptions, OpenError, Together};

/// Labels what passes interfaces.
pub(super) fn label(config: &Config, input: &LiveInput, registry: Registry) -> Result<Outcome, StartError> {
    let plan = super::plan(config)?;
    let together = Arc::new(Together::default());
    // interfaces first: without them there is nothing to write, and what was there before stays
    let lanes = open_lanes(config, input, &together)?;
    super::keep_inputs(config, std::iter::empty())?;
    let outputs = super::open_outputs(&config.outputs, config, &together.stop)?;
    let server = super::bind(config)?;
    let save = config.save.as_deref().map(|path| LiveSave::create(path, config.rotate_bytes)).transpose()?;
    let listeners = if config.engine.listeners { open_listeners() } else { None };
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let names = input.interfaces.clone();
    let source = SourceInfo { kind: SourceKind::Live, names, host: Some(host), filter: config.filter.clone() };
    let delivery = Delivery::new(outputs, None, config.quiet).served_by(server);
    for remark in double_counting(&input.interfaces) {
        run::say(&remark);
    }
    let engine =
        Engine::new(&EngineConfig { listeners: listeners.is_some(), ..config.engine.clone() }, source.into(), registry);
    let bounds = Bounds { packets: config.count, duration: config.duration };
    let hangup = Hangup::of(config);
    if let Some(plan) = plan {
        super::tell(&plan.apply()?, config);
    }
    let print_counters = Arc::new(AtomicBool::new(false));
    flag::register(SIGUSR1, Arc::clone(&print_counters)).map_err(StartError::Signals)?;
    let mut delivery = super::hear_signals(config, &together.stop, hangup, delivery)?;
    let run = LiveRun { lanes, outer: config.engine.outer, engine, save, bounds, listeners };
    Ok(run::run_live(run, &mut delivery, &Controls { together, print_counters }))
}

/// What tells which sockets listen. Without it, the other rules name flows.
fn open_listeners() -> Option<Listeners> {
    Listeners::open().map_err(|error| run::say(&error)).ok()
}

/// Opens each interface as often as it is shared.
fn open_lanes(config: &Config, input: &LiveInput, together: &Arc<Together>) -> Result<Vec<Lane>, StartError> {
    let options = LiveOptions {
        filter: config.filter.clone(),
        snap_len: input.snap_len,
        buffer_bytes: input.buffer_bytes,
        promiscuous: input.promiscuous,
        loss_period: config.engine.interval.unwrap_or(LOSS_PERIODS.1).clamp(LOSS_PERIODS.0, LOSS_PERIODS.1),
    };
    let mut lanes = Vec::new();
    for (interface, name) in input.interfaces.iter().enumerate() {
        // one group an interface; other programs choose theirs by their process too
        let group = u16::try_from(process::id() as usize % 0xff00 + interface).unwrap_or(u16::MAX);
        let devices = if input.fanout > 1 {
            Device::open_shared(name, &options, together, group, input.fanout)?
        } else {
            vec![Device::open(name, options.clone(), Arc::clone(together))?]
        };
        lanes.extend(devices.into_iter().map(|device| Lane { device, interface }));
    }
    Ok(lanes)
}

/// What was lost is asked for as often as there are snapshots, but no more often than the first, because it takes calls to the
/// kernel, and at least as often as the second, or its counters of 32 bits could turn over unseen.
const LOSS_PERIODS: (Duration, Duration) = (Duration::from_millis(10), Duration::from_mins(1));

/// Prints what to do about an interface that cannot be opened.
pub(super) fn advise(error: &OpenError) {
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
