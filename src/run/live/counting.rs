//! Counts what the devices of a live run have captured, and passes on what there is to say.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TryRecvError, TrySendError};

use super::super::batch::Batch;
use super::super::merge::Merge;
use super::super::writer::{LeftOut, untold};
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
    /// Takes snapshots for the page, however slow the readers of the reports are.
    pub(super) feed: Option<Feed>,
    pub(super) reports: SyncSender<Vec<Event>>,
    pub(super) notices: Sender<Notice>,
    pub(super) left_out: LeftOut,
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
            self.report(engine);
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
            self.report(engine);
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
        let LeftOut { snapshots, flows } = self.left_out;
        if snapshots + flows > 0 {
            self.notice(Notice::LeftOut { snapshots, flows });
        }
        // the last words wait for whoever reads them
        drop(self.reports.send(self.published(engine)));
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
            engine.tick(now);
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
        let Self { merge, lanes, save, packets_left, recycle, due, counters, together, notices, after_end, .. } = self;
        // of several devices, each stops for itself: the run ends for all of them when it ends for the first
        let end = together.stopped().filter(|_| lanes.len() > 1).unwrap_or(Timestamp::MAX);
        let mut count = |packets: &[Packet]| {
            counters.captured.fetch_add(packets.len() as u64, Ordering::Relaxed);
            engine.ingest(packets);
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

    /// What the engine has to say, of which the page has been told.
    fn published(&self, engine: &mut Engine) -> Vec<Event> {
        let events: Vec<_> = engine.drain_events().collect();
        for event in &events {
            if let (Event::Snapshot(snapshot), Some(feed)) = (event, &self.feed) {
                feed.publish(snapshot);
            }
        }
        events
    }

    /// Passes on what the engine has to say, unless its readers are too slow.
    fn report(&mut self, engine: &mut Engine) {
        let events = self.published(engine);
        if events.is_empty() {
            return;
        }
        if let Err(TrySendError::Full(events)) = self.reports.try_send(events) {
            self.left_out.add(&events);
            engine.count_skipped(untold(&events));
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
