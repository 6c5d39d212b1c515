//! The stages of reading captures: bytes are read and decompressed, packets decoded, followed to their flows, and counted.
//!
//! No stage has a thread of its own. There are as many workers as processors, as far as they may find something to do at the
//! same time, and each does whatever there is: so all processors are busy whichever stage takes longest. Stages hand each other
//! whole batches, and empty ones back. What is written does not depend on how many workers there are: each stage takes its
//! batches in order. Bytes are read ahead by who has nothing better to do, and else by the stage that wants them.

use std::collections::VecDeque;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::SyncSender;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::batch::Batch;
use super::intake::Intake;
use super::{Notice, Report};
use crate::engine::{Engine, Event, Ledger, RunEnd, Tracker};
use crate::flow::Packet;
use crate::source::{Errand, Need, ReadAhead, Source};

/// Batches on their way from one stage to the next; whoever is ahead does something else.
const QUEUE: usize = 6;

/// What the workers share.
pub(super) struct Pipeline<S> {
    state: Mutex<State<S>>,
    /// Something has changed for those that wait.
    changed: Condvar,
}

/// Stages that nobody is at work on, and what is between them.
struct State<S> {
    ahead: ReadAhead,
    read: Option<Box<Apart<Intake<S>>>>,
    track: Option<Box<Apart<Tracker>>>,
    count: Option<Box<Apart<Ledger>>>,
    to_track: VecDeque<Batch>,
    to_count: VecDeque<Batch>,
    empty: Vec<Batch>,
    /// How the reading ended, once it has.
    read_end: Option<RunEnd>,
    /// Nothing more will come from the stage before.
    tracked_all: bool,
    /// Everything is counted; or a worker has failed, and nobody is to wait for it.
    is_over: bool,
    waiting: usize,
}

/// A stage, in cache lines of its own: what one worker writes to one stage would otherwise hold up another at the next. Two
/// lines, because processors fetch them in pairs.
#[repr(align(128))]
struct Apart<T>(T);

impl<T> Apart<T> {
    fn boxed(stage: T) -> Box<Self> {
        Box::new(Self(stage))
    }
}

/// Something to do, with all that it takes.
enum Job<S> {
    Ahead(Errand),
    Read(Box<Apart<Intake<S>>>, Batch),
    Track(Box<Apart<Tracker>>, Batch),
    /// Everything is tracked: flows are to end.
    Finish(Box<Apart<Tracker>>, Batch, RunEnd),
    Count(Box<Apart<Ledger>>, Batch),
}

/// The stages in the order in which a worker would do them: those that are next to each other in the cache.
#[derive(Clone, Copy, Debug)]
enum Stage {
    Ahead(Need),
    Read,
    Track,
    Count,
}

/// What workers do first, second and so on: those who follow, count and decode, and all others.
const PREFERENCES: [[Stage; 5]; 4] = [
    [Stage::Track, Stage::Count, Stage::Read, SOON, LATER],
    [SOON, Stage::Read, Stage::Count, Stage::Track, LATER],
    [Stage::Count, SOON, Stage::Read, Stage::Track, LATER],
    [LATER, Stage::Read, Stage::Track, Stage::Count, LATER],
];
const SOON: Stage = Stage::Ahead(Need::Soon);
const LATER: Stage = Stage::Ahead(Need::Some);

impl<S: Source> Pipeline<S>
where
    Notice: From<S::Error>,
{
    /// Nothing is read yet.
    pub(super) fn new(intake: Intake<S>, engine: Engine) -> Self {
        let (tracker, ledger) = engine.into_halves();
        let ahead = intake.read_ahead();
        ahead.allow();
        let state = State {
            ahead,
            read: Some(Apart::boxed(intake)),
            track: Some(Apart::boxed(tracker)),
            count: Some(Apart::boxed(ledger)),
            to_track: VecDeque::new(),
            to_count: VecDeque::new(),
            empty: Vec::new(),
            read_end: None,
            tracked_all: false,
            is_over: false,
            waiting: 0,
        };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// What it was made of, when nobody has begun with it.
    pub(super) fn into_parts(self) -> Option<(Intake<S>, Engine)> {
        let State { read, track, count, .. } = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        Some((read?.0, Engine::from_halves(track?.0, count?.0)))
    }

    /// How many workers can do something at a time.
    pub(super) fn max_workers(&self) -> usize {
        3 + self.lock().ahead.limit()
    }

    /// Does what there is to do, until everything is done. What there is to say goes to `reports`, in order.
    pub(super) fn work(&self, worker: usize, reports: &SyncSender<Report>, stop: &AtomicBool) {
        let _alarm = Alarm(self);
        let preferences = &PREFERENCES[worker.min(PREFERENCES.len() - 1)];
        let mut state = self.lock();
        while !state.is_over {
            let Some(job) = preferences.iter().find_map(|stage| state.take(*stage)) else {
                state.waiting += 1;
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.waiting -= 1;
                continue;
            };
            // who waits is woken when nothing is locked any more, and only if there is something to do
            let wakes = state.waiting > 0 && preferences.iter().any(|stage| state.has(*stage));
            drop(state);
            if wakes {
                self.changed.notify_one();
            }
            let done = job.run(reports, stop);
            state = self.lock();
            state.put(done);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<S>> {
        // nothing that panics is done while it is locked
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the work of all when one fails, so that nobody waits for it; its panic then ends the run.
struct Alarm<'p, S: Source>(&'p Pipeline<S>)
where
    Notice: From<S::Error>;

impl<S: Source> Drop for Alarm<'_, S>
where
    Notice: From<S::Error>,
{
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.lock().is_over = true;
        }
        self.0.changed.notify_all();
    }
}

impl<S> State<S> {
    /// There is something to do of a stage, nobody is at work on it, and there is room for what comes of it.
    fn has(&self, stage: Stage) -> bool {
        match stage {
            Stage::Ahead(need) => self.ahead.has_work(need),
            Stage::Read => self.read.is_some() && self.read_end.is_none() && self.to_track.len() < QUEUE,
            Stage::Track => {
                let has_input = !self.to_track.is_empty() || self.read_end.is_some() && !self.tracked_all;
                self.track.is_some() && has_input && self.to_count.len() < QUEUE
            }
            Stage::Count => self.count.is_some() && !self.to_count.is_empty(),
        }
    }

    /// Takes out what there is to do of a stage, if there is anything.
    fn take(&mut self, stage: Stage) -> Option<Job<S>> {
        if !self.has(stage) {
            return None;
        }
        match stage {
            Stage::Ahead(need) => self.ahead.take(need).map(Job::Ahead),
            Stage::Read => Some(Job::Read(self.read.take()?, self.empty.pop().unwrap_or_default())),
            Stage::Track => {
                let tracker = self.track.take()?;
                match (self.to_track.pop_front(), self.read_end) {
                    (Some(batch), _) => Some(Job::Track(tracker, batch)),
                    (None, end) => Some(Job::Finish(tracker, self.empty.pop().unwrap_or_default(), end?)),
                }
            }
            Stage::Count => Some(Job::Count(self.count.take()?, self.to_count.pop_front()?)),
        }
    }

    /// Puts back what a job took.
    fn put(&mut self, done: Done<S>) {
        match done {
            Done::Ahead => {}
            Done::Read(intake, batch, end) => {
                self.read = Some(intake);
                self.read_end = end;
                self.to_track.push_back(batch);
            }
            Done::Tracked(tracker, batch, left) => {
                self.track = Some(tracker);
                self.to_count.push_back(batch);
                match left {
                    Left::Nothing => self.tracked_all = true,
                    Left::More => {}
                    Left::Packets(packets) => {
                        let batch = self.empty.pop().unwrap_or_default();
                        self.to_track.push_front(Batch { packets, ..batch });
                    }
                }
            }
            Done::Counted(ledger, batch, is_taken) => {
                self.count = Some(ledger);
                self.empty.push(batch);
                // whoever takes the reports is gone only when the run has failed
                self.is_over |= !is_taken || self.tracked_all && self.to_count.is_empty();
            }
        }
    }
}

/// What is left to follow.
enum Left {
    /// Nothing, for ever.
    Nothing,
    /// What is to come.
    More,
    /// Packets of the same batch, and what is to come.
    Packets(Vec<Packet>),
}

/// What came of a job.
enum Done<S> {
    Ahead,
    Read(Box<Apart<Intake<S>>>, Batch, Option<RunEnd>),
    /// With what is left to follow.
    Tracked(Box<Apart<Tracker>>, Batch, Left),
    /// What there is to say was taken, or not.
    Counted(Box<Apart<Ledger>>, Batch, bool),
}

impl<S: Source> Job<S>
where
    Notice: From<S::Error>,
{
    fn run(self, reports: &SyncSender<Report>, stop: &AtomicBool) -> Done<S> {
        match self {
            Self::Ahead(errand) => {
                errand.run();
                Done::Ahead
            }
            Self::Read(mut intake, mut batch) => {
                let end = intake.0.fill(&mut batch, stop, &mut |notice| drop(reports.send(Report::Notice(notice))));
                Done::Read(intake, batch, end)
            }
            Self::Track(mut tracker, mut batch) => {
                let followed = tracker.0.follow(&batch.packets, &mut batch.trail);
                let left = if followed < batch.packets.len() {
                    Left::Packets(batch.packets.split_off(followed))
                } else {
                    Left::More
                };
                Done::Tracked(tracker, batch, left)
            }
            Self::Finish(mut tracker, mut batch, end) => {
                let more = tracker.0.finish(end, &mut batch.trail);
                Done::Tracked(tracker, batch, if more { Left::More } else { Left::Nothing })
            }
            Self::Count(mut ledger, mut batch) => {
                ledger.0.count(&batch.packets, &mut batch.trail);
                batch.clear();
                let events: Vec<Event> = ledger.0.drain_events().collect();
                let is_taken = events.is_empty() || reports.send(Report::Events(events)).is_ok();
                Done::Counted(ledger, batch, is_taken)
            }
        }
    }
}
