//! Counts what the devices of a live run have captured, and passes on what there is to say.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TryRecvError, TrySendError};

use super::super::backlog::{Backlog, Place};
use super::super::batch::Batch;
use super::super::merge::Merge;
use super::super::writer::{LeftOut, snapshots, untold};
use super::super::{BATCH_PACKETS, Notice};
use super::{Capture, LiveSave};
use crate::engine::{Engine, Event, RunEnd};
use crate::flow::Packet;
use crate::output::Feed;
use crate::source::live::{Losses, Together, now};
use crate::source::{ListenerSet, SaveError};
use crate::units::Timestamp;

/// So many packets of one device, one after the other, are counted where they are; fewer are brought together first.
const MANY: usize = 64;

/// What is to be counted.
pub(super) enum Parcel {
    /// What a device has captured.
    Captured {
        lane: usize,
        /// What was lost before the packets.
        losses: Losses,
        batch: Batch,
        /// Nothing from before this is still to come.
        through: Option<Timestamp>,
    },
    /// A device has ended.
    End {
        lane: usize,
        /// What was lost since its last packets.
        losses: Losses,
    },
    /// The sockets that listen now.
    Listeners(ListenerSet),
}

/// What tcpdump prints at the end.
#[derive(Debug, Default)]
pub(super) struct Counters {
    captured: AtomicU64,
    received: AtomicU64,
    kernel: AtomicU64,
    interface: AtomicU64,
}

impl Counters {
    /// In tcpdump's words.
    pub(super) fn lines(&self) -> Vec<String> {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (captured, kernel, interface) = (get(&self.captured), get(&self.kernel), get(&self.interface));
        // the kernel was asked a while ago, and has received at least what was captured since
        let received = get(&self.received).max(captured + kernel);
        let mut counts = vec![(captured, "captured"), (received, "received by filter"), (kernel, "dropped by kernel")];
        if interface > 0 {
            counts.push((interface, "dropped by interface"));
        }
        let line = |(packets, what): (u64, &str)| match packets {
            1 => format!("1 packet {what}"),
            _ => format!("{packets} packets {what}"),
        };
        counts.into_iter().map(line).collect()
    }
}

/// Counts packets, and has what that takes.
pub(super) struct Counting<'r> {
    pub(super) merge: Merge,
    /// Which interface each lane is of.
    pub(super) lanes: Vec<usize>,
    pub(super) save: Option<LiveSave>,
    pub(super) packets_left: u64,
    /// Takes the batches of each lane that are used up.
    pub(super) recycle: Vec<SyncSender<Batch>>,
    /// Packets of several lanes that are about to be counted.
    pub(super) due: Vec<Packet>,
    pub(super) counters: &'r Counters,
    pub(super) together: &'r Together,
    /// Packets that came when the run had ended for another device.
    pub(super) after_end: u64,
    pub(super) reporting: Reporting,
    pub(super) notices: Sender<Notice>,
}

/// What is reported, and its place among what waits for its readers.
pub(super) type Report = (Vec<Event>, Place);

/// Passes on what the engine has to say.
pub(super) struct Reporting {
    reports: SyncSender<Report>,
    backlog: Backlog,
    /// Takes snapshots for the page, however slow the readers of the reports are.
    feed: Option<Feed>,
    /// What was not passed on yet.
    events: Vec<Event>,
    left_out: LeftOut,
}

impl Reporting {
    pub(super) fn new(reports: SyncSender<Report>, feed: Option<Feed>) -> Self {
        Self { reports, backlog: Backlog::default(), feed, events: Vec::new(), left_out: LeftOut::default() }
    }

    /// Takes what the engine has to say. Snapshots go on at once: after a while in which nobody counted there come many.
    fn hear(&mut self, engine: &mut Engine) {
        if self.take(engine) {
            self.report(engine);
        }
    }

    /// Takes what the engine has to say, of which the page is told. Whether there is a snapshot among it.
    fn take(&mut self, engine: &mut Engine) -> bool {
        let heard = self.events.len();
        self.events.extend(engine.drain_events());
        let mut has_snapshot = false;
        for snapshot in snapshots(&self.events[heard..]) {
            has_snapshot = true;
            if let Some(feed) = &self.feed {
                feed.publish(snapshot);
            }
        }
        has_snapshot
    }

    /// Passes everything on, unless its readers are too slow.
    fn report(&mut self, engine: &mut Engine) {
        if self.events.is_empty() {
            return;
        }
        let events = std::mem::take(&mut self.events);
        let refused = match self.backlog.place(&events) {
            Some(place) => match self.reports.try_send((events, place)) {
                Err(TrySendError::Full((events, _))) => Some(events),
                // nobody misses what is left of a run that has failed
                Ok(()) | Err(TrySendError::Disconnected(_)) => None,
            },
            None => Some(events),
        };
        if let Some(events) = refused {
            self.left_out.add(&events);
            engine.count_skipped(untold(&events));
        }
    }

    /// Passes on the last words, which wait for whoever reads them.
    fn finish(mut self, engine: &mut Engine) {
        self.take(engine);
        let place = self.backlog.place_for_all(&self.events);
        drop(self.reports.send((self.events, place)));
    }
}

impl Counting<'_> {
    /// Counts what several threads capture, until all have ended.
    pub(super) fn run(mut self, engine: &mut Engine, parcels: &Receiver<Parcel>) {
        engine.begin(now());
        while !self.merge.has_ended() {
            let parcel = match parcels.try_recv() {
                Err(TryRecvError::Empty) => {
                    // whoever reads what is saved while it grows gets it when there is time
                    self.saved(LiveSave::flush);
                    parcels.recv().ok()
                }
                parcel => parcel.ok(),
            };
            let Some(parcel) = parcel else { break };
            self.take(engine, parcel);
            self.reporting.report(engine);
        }
        self.finish(engine);
    }

    /// Captures from the only device that there is, and counts.
    pub(super) fn run_alone(mut self, engine: &mut Engine, listeners: &Receiver<Parcel>, capture: Capture) {
        engine.begin(now());
        capture.run(|parcel| {
            let has_time = matches!(&parcel, Parcel::Captured { batch, .. } if batch.packets.len() < BATCH_PACKETS);
            self.take(engine, parcel);
            for parcel in listeners.try_iter() {
                self.take(engine, parcel);
            }
            self.reporting.report(engine);
            if has_time {
                self.saved(LiveSave::flush);
            }
            true
        });
        self.finish(engine);
    }

    fn finish(mut self, engine: &mut Engine) {
        self.saved(LiveSave::flush);
        let received = &self.counters.received;
        received.store(received.load(Ordering::Relaxed).saturating_sub(self.after_end), Ordering::Relaxed);
        engine.finish(RunEnd::Stopped);
        let LeftOut { snapshots, flows } = self.reporting.left_out;
        if snapshots + flows > 0 {
            self.notice(Notice::LeftOut { snapshots, flows });
        }
        self.reporting.finish(engine);
    }

    fn take(&mut self, engine: &mut Engine, parcel: Parcel) {
        match parcel {
            Parcel::Captured { lane, losses, batch, through } => {
                self.count_losses(engine, lane, &losses);
                self.merge.push(lane, batch, through);
            }
            Parcel::End { lane, losses } => {
                self.count_losses(engine, lane, &losses);
                self.merge.end(lane);
            }
            Parcel::Listeners(listeners) => engine.set_listeners(listeners),
        }
        self.count_due(engine);
        if let Some(now) = self.merge.through() {
            while engine.tick_some(now) {
                self.reporting.hear(engine);
            }
            self.reporting.hear(engine);
        }
    }

    fn count_losses(&self, engine: &mut Engine, lane: usize, losses: &Losses) {
        engine.count_losses(self.lanes[lane], losses);
        for (counter, count) in [
            (&self.counters.received, losses.received),
            (&self.counters.kernel, losses.kernel),
            (&self.counters.interface, losses.interface.unwrap_or(0)),
        ] {
            counter.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// Counts and saves the packets that are due.
    fn count_due(&mut self, engine: &mut Engine) {
        let Self { merge, lanes, save, packets_left, recycle, due, counters, together, after_end, reporting, notices } =
            self;
        // of several devices, each stops for itself: the run ends for all of them when it ends for the first
        let end = together.stopped().filter(|_| lanes.len() > 1).unwrap_or(Timestamp::MAX);
        let mut count = |mut packets: &[Packet]| {
            counters.captured.fetch_add(packets.len() as u64, Ordering::Relaxed);
            while !packets.is_empty() {
                packets = &packets[engine.ingest_some(packets)..];
                reporting.hear(engine);
            }
        };
        let take = |batch: &Batch, mut run: Range<usize>| {
            if batch.packets[run.start].ts > end {
                *after_end += run.len() as u64;
                return;
            }
            // the run ends with the last one that is wanted
            run.end = run.end.min(run.start.saturating_add(usize::try_from(*packets_left).unwrap_or(usize::MAX)));
            *packets_left -= run.len() as u64;
            if let (Some(file), Some(interface)) = (&mut *save, &batch.interface) {
                let mut frames = run.clone().filter_map(|at| batch.frames.get(at));
                if let Err(error) = frames.try_for_each(|frame| file.write(&frame, interface)) {
                    // saving ends, labelling goes on
                    drop(notices.send(Notice::Save(error)));
                    *save = None;
                }
            }
            let packets = &batch.packets[run];
            if packets.len() < MANY {
                due.extend_from_slice(packets);
                if due.len() < BATCH_PACKETS {
                    return;
                }
                count(due);
                due.clear();
            } else {
                count(due);
                due.clear();
                count(packets);
            }
        };
        merge.drain(end, take, |lane, mut batch| {
            batch.clear();
            drop(recycle[lane].try_send(batch));
        });
        count(due);
        due.clear();
        if self.packets_left == 0 {
            self.together.stop.store(true, Ordering::Relaxed);
        }
    }

    /// Does something with the file that is saved. One that fails is closed, and labelling goes on.
    fn saved(&mut self, act: impl FnOnce(&mut LiveSave) -> Result<(), SaveError>) {
        if let Some(file) = &mut self.save
            && let Err(error) = act(file)
        {
            self.save = None;
            self.notice(Notice::Save(error));
        }
    }

    fn notice(&self, notice: Notice) {
        drop(self.notices.send(notice));
    }
}
