//! A live output on a thread of its own, so that a reader or a disk that is slow holds up neither another output nor the
//! answer to signals.
//!
//! What its reader does not take in time is left out of this output alone; the next snapshot there says how many came
//! before it. The same goes for what a file cannot take, because its disk is full: as soon as it can, writing goes on.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::thread::{Builder, JoinHandle};

use super::backlog::{Backlog, Place};
use crate::engine::Event;
use crate::output::{Channel, Output, OutputError};
use crate::snapshot::Snapshot;

/// Batches of events on their way: enough for readers that pause for a moment, as a disk does.
const BATCHES: usize = 64;

/// Events that belong together; every writer has the same.
pub(super) type Events = Arc<Vec<Event>>;

enum Job {
    Write(Events, Place),
    Told(String),
    Reopen,
}

/// The sending end.
pub(super) struct Writer {
    name: String,
    is_log_file: bool,
    /// `None` once nothing comes any more.
    jobs: Option<SyncSender<Job>>,
    backlog: Backlog,
    said: Receiver<String>,
    thread: JoinHandle<Written>,
    left_out: LeftOut,
    /// Snapshots that were left out since the last one that was not.
    skipped: u64,
    /// The last events, while there is no room for them.
    last: Option<Events>,
    /// Files were moved away, while there is no room to say so.
    reopens: bool,
}

/// Reports that nobody took.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LeftOut {
    pub(super) snapshots: u64,
    pub(super) flows: u64,
}

impl LeftOut {
    /// What it is, if it is anything.
    fn told(self) -> Option<String> {
        let counts = [(self.snapshots, "snapshots"), (self.flows, "flow records")];
        let counts = counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
        Some(counts.collect::<Vec<_>>().join(" and ")).filter(|told| !told.is_empty())
    }

    pub(super) fn add(&mut self, events: &[Event]) {
        self.snapshots += snapshots(events).count() as u64;
        self.flows += events.iter().filter(|event| matches!(event, Event::Flow(_))).count() as u64;
    }
}

/// How many snapshots the next one has to tell of, when these are left out.
pub(super) fn untold(events: &[Event]) -> u64 {
    let told = |snapshot: &Arc<Snapshot>| snapshot.interval.as_ref().map_or(0, |interval| interval.skipped_snapshots);
    snapshots(events).map(|snapshot| 1 + told(snapshot)).sum()
}

/// How writing went.
#[derive(Debug)]
pub(super) struct Written {
    /// Why it ended, if not because everything was written.
    pub(super) end: io::Result<()>,
    /// Something is missing because it could not be written.
    pub(super) has_gaps: bool,
}

impl Writer {
    /// Starts the thread, which writes until [`Writer::finish`] is called or writing fails.
    ///
    /// # Errors
    /// There can be no further thread.
    pub(super) fn start(output: Channel) -> io::Result<Self> {
        let (jobs, to_write) = sync_channel(BATCHES);
        let (says, said) = channel();
        let (name, is_log_file) = (output.to_string(), output.is_log_file());
        let thread = Builder::new().name("write".to_owned()).spawn(move || write(output, &to_write, &says))?;
        Ok(Self {
            name,
            is_log_file,
            jobs: Some(jobs),
            backlog: Backlog::default(),
            said,
            thread,
            left_out: LeftOut::default(),
            skipped: 0,
            last: None,
            reopens: false,
        })
    }

    /// Passes events on, unless there is no room; the last ones of a run wait for it.
    pub(super) fn send(&mut self, events: &Events) {
        let told = telling(events, self.skipped);
        if self.backlog.place(&told).is_some_and(|place| self.place(Job::Write(Arc::clone(&told), place))) {
            if snapshots(events).next().is_some() {
                self.skipped = 0;
            }
            return;
        }
        if snapshots(events).any(|snapshot| snapshot.is_final) {
            self.last = Some(told);
            return;
        }
        self.left_out.add(events);
        self.skipped += untold(events);
    }

    /// Whether there was room for a job. Nobody misses one that comes after writing has failed.
    fn place(&self, job: Job) -> bool {
        let placed = self.jobs.as_ref().map(|jobs| jobs.try_send(job));
        !matches!(placed, Some(Err(TrySendError::Full(_))))
    }

    /// Passes on what was told of the inputs, unless there is no room: standard error has it.
    pub(super) fn told(&self, text: &str) {
        self.place(Job::Told(text.to_owned()));
    }

    /// Has the file opened anew, if it is one that may have been moved away.
    pub(super) fn reopen(&mut self) {
        self.reopens |= self.is_log_file;
        self.tick();
    }

    /// Does what there was no room for.
    pub(super) fn tick(&mut self) {
        if self.reopens {
            self.reopens = !self.place(Job::Reopen);
        }
    }

    /// What users are to be told.
    pub(super) fn said(&self) -> impl Iterator<Item = String> + '_ {
        self.said.try_iter()
    }

    /// Writing has failed.
    pub(super) fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Nothing more comes: the thread completes the output, unless the last events still wait for room.
    pub(super) fn close(&mut self) {
        if self.last.is_none() {
            self.jobs = None;
        }
    }

    /// Waits until everything is written. What there is to be told of it, and how it went.
    pub(super) fn finish(self) -> (Vec<String>, Written) {
        if let (Some(events), Some(jobs)) = (self.last, &self.jobs) {
            // fails when the thread has ended, and it tells why
            let place = self.backlog.place_for_all(&events);
            drop(jobs.send(Job::Write(events, place)));
        }
        drop(self.jobs);
        let written = self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let mut said: Vec<_> = self.said.iter().collect();
        if let Some(told) = self.left_out.told() {
            said.push(format!("{}: {told} left out, because the reader was too slow", self.name));
        }
        (said, written)
    }
}

/// Passes an event to an output.
pub(super) fn deliver(output: &mut dyn Output, event: &Event) -> io::Result<()> {
    match event {
        Event::Snapshot(snapshot) => output.snapshot(snapshot),
        Event::Flow(record) => output.flow(record),
    }
}

pub(super) fn snapshots(events: &[Event]) -> impl Iterator<Item = &Arc<Snapshot>> {
    events.iter().filter_map(|event| match event {
        Event::Snapshot(snapshot) => Some(snapshot),
        Event::Flow(_) => None,
    })
}

/// The events, of which the first snapshot tells that some were skipped before it.
fn telling(events: &Events, skipped: u64) -> Events {
    if skipped == 0 || snapshots(events).next().is_none() {
        return Arc::clone(events);
    }
    let mut events = Vec::clone(events);
    let first = events.iter_mut().find_map(|event| match event {
        Event::Snapshot(snapshot) => Arc::make_mut(snapshot).interval.as_mut(),
        Event::Flow(_) => None,
    });
    if let Some(interval) = first {
        interval.skipped_snapshots += skipped;
    }
    Arc::new(events)
}

/// What the thread does.
fn write(channel: Channel, jobs: &Receiver<Job>, says: &Sender<String>) -> Written {
    let mut pen = Pen { channel, says, fails: false, missing: LeftOut::default(), untold: 0, has_gaps: false };
    let mut end = jobs.iter().try_for_each(|job| pen.take(job));
    if end.is_ok() {
        end = pen.channel.output().finish();
        pen.has_gaps |= pen.untold > 0 || pen.missing.flows > 0;
    }
    Written { end, has_gaps: pen.has_gaps }
}

/// The writing end.
struct Pen<'s> {
    channel: Channel,
    says: &'s Sender<String>,
    /// Writing has failed, and is tried again with each job.
    fails: bool,
    /// What has come since then.
    missing: LeftOut,
    /// Snapshots of that, and of those that they would have told of.
    untold: u64,
    has_gaps: bool,
}

impl Pen<'_> {
    fn take(&mut self, job: Job) -> io::Result<()> {
        match job {
            Job::Write(events, _) if !self.has_file() => {
                self.miss(&events);
                Ok(())
            }
            Job::Write(events, _) if self.fails && self.channel.output().retry().is_err() => {
                self.miss(&events);
                Ok(())
            }
            Job::Write(events, _place) => self.write(&events),
            Job::Told(text) => {
                self.channel.output().told(&text);
                Ok(())
            }
            Job::Reopen => {
                self.reopen();
                Ok(())
            }
        }
    }

    fn write(&mut self, events: &Events) -> io::Result<()> {
        let events = telling(events, self.untold);
        for (at, event) in events.iter().enumerate() {
            let delivered = deliver(self.channel.output(), event);
            if matches!(event, Event::Snapshot(_)) {
                // the output has it, and writes it as soon as it can
                self.untold = 0;
            }
            if let Err(error) = delivered {
                if !self.channel.may_recover() {
                    return Err(error);
                }
                self.miss(&events[at + 1..]);
                if !std::mem::replace(&mut self.fails, true) {
                    self.say(format!("{error}; trying again with each report"));
                }
                return Ok(());
            }
        }
        if std::mem::take(&mut self.fails) {
            let missing = std::mem::take(&mut self.missing);
            self.has_gaps |= missing.told().is_some();
            let told = missing.told().map_or_else(String::new, |told| format!("; {told} are missing"));
            self.say(format!("{}: is written again{told}", self.channel));
        }
        Ok(())
    }

    /// A file that was removed has been followed by a new one, or there was no need for that.
    fn has_file(&mut self) -> bool {
        match self.channel.keep_file() {
            Ok(told) => {
                if let Some(text) = told {
                    self.say(text);
                }
                true
            }
            Err(error) => {
                if !std::mem::replace(&mut self.fails, true) {
                    self.say(format!("{error}, in place of the one that was removed; trying again with each report"));
                }
                false
            }
        }
    }

    fn miss(&mut self, events: &[Event]) {
        self.missing.add(events);
        self.untold += untold(events);
    }

    fn reopen(&mut self) {
        match self.channel.reopen() {
            Ok(()) => {}
            Err(OutputError::Finish(error)) => {
                self.say(format!("{error}; the end of the file that was moved away is lost"));
            }
            // nothing is lost by that
            Err(error) => self.say(format!("{error}; going on in the file that was open")),
        }
    }

    /// Whoever would be told is gone only when the run is.
    fn say(&self, text: String) {
        drop(self.says.send(text));
    }
}
