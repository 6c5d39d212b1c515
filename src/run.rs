//! A run: packets are read, followed and counted by some workers, and what there is to say is written by their caller.
//!
//! What is written does not depend on how many workers there are: batches keep their order, and nothing in the engine goes by
//! how packets are batched.

mod backlog;
mod batch;
mod delivery;
mod intake;
mod live;
mod merge;
mod pipeline;
mod writer;

use std::io;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use batch::Batch;
pub use delivery::{Delivery, Progress, Standing};
pub use intake::{Bounds, Intake, Saving};
pub use live::{Controls, Lane, LiveRun, LiveSave, run_live};
use pipeline::Pipeline;

pub use crate::output::say;

use crate::engine::{Engine, Event};
use crate::output::{print_line, printable};
use crate::source::live::LiveTrouble;
use crate::source::{FilterError, ListenersError, SaveError, Severity, Source, SourceError};
use crate::units::LinkType;

/// Packets in a batch: large enough that handing it over costs nothing a packet, small enough to stay in the cache.
const BATCH_PACKETS: usize = 1024;

/// Bytes of the frames that go along with a batch: where packets are long, it has fewer.
const BATCH_BYTES: usize = 1 << 20;

/// Reports on their way, and live also batches; whoever is ahead waits.
const QUEUE: usize = 8;

/// How long the caller's thread waits for something to write before it sees to the progress bar.
const PROGRESS_TICK: Duration = Duration::from_millis(50);

/// Something that users are told while the run goes on.
#[derive(Debug, thiserror::Error)]
pub enum Notice {
    /// An input cannot be read, or not to its end.
    #[error(transparent)]
    Input(#[from] SourceError),
    /// Something has happened to an interface.
    #[error(transparent)]
    Interface(#[from] LiveTrouble),
    /// It cannot be told any more which sockets listen.
    #[error("{0}; flows are named by the other rules from here on")]
    Listeners(#[from] ListenersError),
    /// There are more sockets than are read.
    #[error("this host has so many sockets or routes that some of those that listen are not known")]
    ListenersCut,
    /// A reader was too slow for a live capture.
    #[error("left out because their readers were too slow: {snapshots} snapshots, {flows} flow records")]
    LeftOut {
        /// Snapshots.
        snapshots: u64,
        /// Flow records.
        flows: u64,
    },
    /// The filter makes no sense for a link type.
    #[error("{0}; packets of this link type are left out")]
    Filter(#[from] FilterError),
    /// The packets read cannot be saved any more; labelling goes on.
    #[error(transparent)]
    Save(SaveError),
    /// Packets of a link type that is not known.
    #[error("link type {0} is not known: its packets are counted as unknown_link")]
    UnknownLink(LinkType),
}

/// What became of a run, for the exit code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Outcome {
    /// No input could be read.
    pub nothing_readable: bool,
    /// It was stopped from outside before everything was read.
    pub interrupted: bool,
    /// Packets that the final snapshot counts.
    pub packets: u64,
    /// An input was damaged, or could not be read at all, or not to its end.
    pub input_trouble: bool,
    /// An output failed.
    pub output_failed: bool,
    /// Nothing but packets of unknown link types was read.
    pub only_unknown_links: bool,
    /// Every interface is gone.
    pub none_left: bool,
}

/// Adds to what was said: a line, and below it what users may look at or type.
pub fn advise(line: &str, below: impl IntoIterator<Item = String>) {
    print_line(line);
    for line in below {
        print_line(&format!("  {}", printable(&line)));
    }
}

/// To the writing thread.
enum Report {
    Events(Vec<Event>),
    Notice(Notice),
}

/// Reads everything, and delivers what there is to say about it.
///
/// Reading ends early when `stop` is set; everything that was read by then is reported.
pub fn run<S: Source + Send>(
    intake: Intake<S>,
    engine: Engine,
    delivery: &mut Delivery,
    stop: &AtomicBool,
    workers: NonZeroUsize,
) -> Outcome
where
    Notice: From<S::Error>,
{
    delivery.expect_saving(intake.saves());
    delivery.start();
    let alone =
        if workers.get() == 1 { Some((intake, engine)) } else { run_together(intake, engine, delivery, stop, workers) };
    if let Some((intake, engine)) = alone {
        run_alone(intake, engine, delivery, stop);
    }
    // before outputs are completed: a screen may then wait for its user, whose end is no interruption any more
    let interrupted = stop.load(Ordering::Relaxed) && !delivery.nobody_reads();
    if interrupted {
        delivery.told("interrupted: the inputs were not read to their end");
    }
    let outcome = Outcome { interrupted, ..delivery.finish() };
    delivery.stay(stop);
    outcome
}

fn run_alone<S: Source>(mut intake: Intake<S>, mut engine: Engine, delivery: &mut Delivery, stop: &AtomicBool)
where
    Notice: From<S::Error>,
{
    let mut batch = Batch::default();
    loop {
        let end = intake.fill(&mut batch, stop, &mut |notice| delivery.notice(&notice));
        let mut packets = &batch.packets[..];
        while !packets.is_empty() {
            packets = &packets[engine.ingest_some(packets)..];
            delivery.events(engine.drain_events().collect());
        }
        batch.clear();
        if let Some(end) = end {
            let mut more = true;
            while more {
                more = engine.finish_some(end);
                delivery.events(engine.drain_events().collect());
            }
        }
        delivery.tick();
        if end.is_some() {
            return;
        }
        stop_when_nobody_reads(delivery, stop);
    }
}

/// Gives back what it takes when no worker can be started. With fewer of them than are wanted it only takes longer.
fn run_together<S: Source + Send>(
    intake: Intake<S>,
    engine: Engine,
    delivery: &mut Delivery,
    stop: &AtomicBool,
    workers: NonZeroUsize,
) -> Option<(Intake<S>, Engine)>
where
    Notice: From<S::Error>,
{
    let pipeline = Pipeline::new(intake, engine);
    let (reports, to_write) = sync_channel(QUEUE);
    let has_worker = thread::scope(|scope| {
        let mut started = 0;
        for worker in 0..workers.get().min(pipeline.max_workers()) {
            let (pipeline, reports) = (&pipeline, reports.clone());
            match spawn(scope, &format!("work-{worker}"), move || pipeline.work(worker, &reports, stop)) {
                Ok(()) => started += 1,
                Err(error) => {
                    delivery.message(&format!("cannot start a thread, so it takes longer: {error}"));
                    break;
                }
            }
        }
        drop(reports);
        loop {
            match to_write.recv_timeout(PROGRESS_TICK) {
                Ok(Report::Events(events)) => delivery.events(events),
                Ok(Report::Notice(notice)) => delivery.notice(&notice),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            delivery.tick();
            stop_when_nobody_reads(delivery, stop);
        }
        started > 0
    });
    if has_worker { None } else { pipeline.into_parts() }
}

/// Starts a thread whose name shows in top(1), perf(1) and panics.
///
/// # Errors
/// There can be no further thread: its user has too many, or memory is short.
fn spawn<'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    name: &str,
    work: impl FnOnce() + Send + 'scope,
) -> io::Result<()> {
    thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, work).map(drop)
}

/// `| head` has seen enough: the rest need not be read.
fn stop_when_nobody_reads(delivery: &Delivery, stop: &AtomicBool) {
    if delivery.nobody_reads() {
        stop.store(true, Ordering::Relaxed);
    }
}

impl Notice {
    /// It tells what is missing in the numbers.
    const fn is_of_inputs(&self) -> bool {
        !matches!(self, Self::Save(_) | Self::LeftOut { .. })
    }

    /// How bad it is for the exit code; `None` is a remark.
    fn severity(&self) -> Option<Severity> {
        match self {
            Self::Input(error) => Some(error.severity()),
            Self::Filter(_) => Some(Severity::Damaged),
            Self::Save(_)
            | Self::UnknownLink(_)
            | Self::Interface(_)
            | Self::Listeners(_)
            | Self::ListenersCut
            | Self::LeftOut { .. } => None,
        }
    }
}
