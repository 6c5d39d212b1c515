//! A live output on a thread of its own, so that a reader or a disk that is slow holds up neither another output nor the
//! answer to signals.
//!
//! What its reader does not take in time is left out of this output alone; the next snapshot there says how many came
//! before it.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::thread::{Builder, JoinHandle};

use crate::engine::Event;
use crate::output::{Channel, Output};
use crate::snapshot::Snapshot;

/// Batches of events on their way: enough for readers that pause for a moment, as a disk does.
const BATCHES: usize = 64;

/// Events that belong together; every writer has the same.
pub(super) type Events = Arc<Vec<Event>>;

enum Job {
    Write(Events),
    Told(String),
    Reopen,
}

/// The sending end.
pub(super) struct Writer {
    name: String,
    is_log_file: bool,
    /// `None` once nothing comes any more.
    jobs: Option<SyncSender<Job>>,
    said: Receiver<String>,
    thread: JoinHandle<io::Result<()>>,
    left_out: LeftOut,
    /// Snapshots that were left out since the last one that was not.
    skipped: u64,
    /// The last events, while there is no room for them.
    last: Option<Events>,
    /// Files were moved away, while there is no room to say so.
    reopens: bool,
}

/// What a reader did not take in time.
#[derive(Clone, Copy, Debug, Default)]
struct LeftOut {
    snapshots: u64,
    flows: u64,
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
        if self.place(Job::Write(Arc::clone(&told))) {
            if snapshots(events).next().is_some() {
                self.skipped = 0;
            }
            return;
        }
        if snapshots(events).any(|snapshot| snapshot.is_final) {
            self.last = Some(told);
            return;
        }
        for snapshot in snapshots(events) {
            self.left_out.snapshots += 1;
            self.skipped += 1 + snapshot.interval.as_ref().map_or(0, |interval| interval.skipped_snapshots);
        }
        self.left_out.flows += events.iter().filter(|event| matches!(event, Event::Flow(_))).count() as u64;
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

    /// Waits until everything is written. What there is to be told of it.
    ///
    /// # Errors
    /// Those of writing.
    pub(super) fn finish(self) -> (Vec<String>, io::Result<()>) {
        if let (Some(events), Some(jobs)) = (self.last, &self.jobs) {
            // fails when the thread has ended, and it tells why
            drop(jobs.send(Job::Write(events)));
        }
        drop(self.jobs);
        let written = self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let mut said: Vec<_> = self.said.iter().collect();
        let LeftOut { snapshots, flows } = self.left_out;
        let counts = [(snapshots, "snapshots"), (flows, "flow records")];
        let counts: Vec<_> =
            counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
        if !counts.is_empty() {
            said.push(format!("{}: {} left out, because the reader was too slow", self.name, counts.join(" and ")));
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

fn snapshots(events: &[Event]) -> impl Iterator<Item = &Arc<Snapshot>> {
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
fn write(mut channel: Channel, jobs: &Receiver<Job>, says: &Sender<String>) -> io::Result<()> {
    for job in jobs {
        match job {
            Job::Write(events) => events.iter().try_for_each(|event| deliver(channel.output(), event))?,
            Job::Told(text) => channel.output().told(&text),
            Job::Reopen => {
                if let Err(error) = channel.reopen() {
                    // nothing is lost by that
                    drop(says.send(format!("{error}; going on in the file that was open")));
                }
            }
        }
    }
    channel.output().finish()
}
