//! A live run: a thread for each interface captures and decodes, one counts, and the caller's writes.
//!
//! Interfaces are brought into the order of packet time before they are counted ([`Merge`]), so that a flow which takes one
//! way out and another back is seen as it was. Time goes on when nothing passes: each capturing thread says up to when it
//! has handed everything over, and the earliest of that is the time that the engine is told.
//!
//! Capturing waits for nobody but the counting thread, and that one for nobody at all: what its readers do not take in time
//! is left out, and counted.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{
    Receiver, RecvTimeoutError, Sender, SyncSender, TryRecvError, TrySendError, channel, sync_channel,
};
use std::thread;
use std::time::{Duration, Instant};

use super::batch::Batch;
use super::merge::Merge;
use super::writer::{LeftOut, untold};
use super::{
    BATCH_PACKETS, Bounds, Delivery, Intake, Notice, Outcome, PROGRESS_TICK, QUEUE, Saving, spawn,
    stop_when_nobody_reads,
};
use crate::decode::Decoder;
use crate::engine::{Engine, Event, RunEnd};
use crate::flow::Packet;
use crate::output::{Feed, print_line};
use crate::source::live::{Device, Losses, Together, now};
use crate::source::{Frame, Interface, LISTENERS_INTERVAL, ListenerSet, Listeners, Save, SaveError};
use crate::units::Timestamp;

/// Reports on their way: enough for readers that pause for a moment, as a disk does.
const REPORTS: usize = 64;

/// One capturing thread's device, and which of the source's names it has.
pub struct Lane {
    /// What is captured from.
    pub device: Device,
    /// The place of its interface among the names of the source; several devices may share one.
    pub interface: usize,
}

/// What a live run is made of.
pub struct LiveRun {
    /// At least one.
    pub lanes: Vec<Lane>,
    /// What reads the headers; each lane has one of its own.
    pub outer: bool,
    /// What counts.
    pub engine: Engine,
    /// Where the frames are saved.
    pub save: Option<LiveSave>,
    /// When it ends by itself.
    pub bounds: Bounds,
    /// What tells which sockets of this host listen.
    pub listeners: Option<Listeners>,
}

/// What comes from outside while it runs.
#[derive(Debug)]
pub struct Controls {
    /// Shared with the devices: the run ends in order once its `stop` is set.
    pub together: Arc<Together>,
    /// Somebody wants the counters on standard error; reset when they are printed.
    pub print_counters: Arc<AtomicBool>,
    /// Output files were moved away and are to be opened anew; reset when that is done.
    pub reopen: Arc<AtomicBool>,
}

/// Saves the frames of several interfaces to one file.
pub struct LiveSave {
    file: Save,
    /// Those that the file knows, by its number for them.
    interfaces: Vec<Interface>,
}

impl LiveSave {
    /// Creates the file, or a row of them that are no longer than `limit_bytes`; see [`Save::create`].
    ///
    /// # Errors
    /// It cannot be created.
    pub fn create(path: &Path, limit_bytes: Option<u64>) -> Result<Self, SaveError> {
        Save::create(path, limit_bytes).map(|file| Self { file, interfaces: Vec::new() })
    }

    fn write(&mut self, frame: &Frame<'_>, interface: &Interface) -> Result<(), SaveError> {
        let known = self.interfaces.iter().position(|known| known == interface);
        let at = known.unwrap_or_else(|| {
            self.interfaces.push(interface.clone());
            self.interfaces.len() - 1
        });
        let frame = Frame { interface: u32::try_from(at).unwrap_or(u32::MAX), ..*frame };
        self.file.write(&frame, interface)
    }

    fn flush(&mut self) -> Result<(), SaveError> {
        self.file.flush()
    }
}

/// To the counting thread.
enum Parcel {
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
struct Counters {
    captured: AtomicU64,
    received: AtomicU64,
    kernel: AtomicU64,
    interface: AtomicU64,
}

impl Counters {
    /// In tcpdump's words.
    fn lines(&self) -> Vec<String> {
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

/// Captures until it is told to stop, the bounds are reached, or no interface is left, and delivers what there is to say.
pub fn run_live(run: LiveRun, delivery: &mut Delivery, controls: &Controls) -> Outcome {
    let LiveRun { lanes, outer, mut engine, save, bounds, listeners } = run;
    let stop = &*controls.together.stop;
    let counters = Counters::default();
    delivery.expect_saving(save.is_some());
    delivery.start_apart();
    let deadline = bounds.duration.and_then(|duration| Instant::now().checked_add(duration));
    // what listens is known before the first packet
    let mut listening = listeners.map(Listening::new);
    if let Some(listeners) = Listening::read_when_due(&mut listening, delivery) {
        engine.set_listeners(listeners);
    }
    let (parcels, to_count) = sync_channel(QUEUE * lanes.len());
    let (reports, to_write) = sync_channel(REPORTS);
    // there are few, and none may be lost, or hold up whoever has it
    let (notices, news) = channel();
    let interfaces = lanes.iter().map(|lane| lane.interface).collect();
    thread::scope(|scope| {
        let mut recycle = Vec::new();
        for (number, lane) in lanes.into_iter().enumerate() {
            let (empty, to_fill) = sync_channel(QUEUE + 2);
            recycle.push(empty);
            let saving = if save.is_some() { Saving::Along } else { Saving::Not };
            let intake = Intake::new(lane.device, Decoder::new(outer), engine.keyer(), None, saving, Bounds::default());
            let (parcels, notices) = (parcels.clone(), notices.clone());
            spawn(scope, "capture", move || capture(number, intake, &parcels, &to_fill, &notices));
        }
        let counting = Counting {
            merge: Merge::new(recycle.len()),
            lanes: interfaces,
            save,
            packets_left: bounds.packets.unwrap_or(u64::MAX),
            recycle,
            due: Vec::with_capacity(BATCH_PACKETS),
            counters: &counters,
            together: &controls.together,
            after_end: 0,
            feed: delivery.take_feed(),
            reports,
            notices,
            left_out: LeftOut::default(),
        };
        spawn(scope, "count", move || counting.run(&mut engine, &to_count));
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            match to_write.recv_timeout(left.unwrap_or(PROGRESS_TICK).min(PROGRESS_TICK).max(Duration::from_millis(1)))
            {
                Ok(events) => delivery.events(events),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            for notice in news.try_iter() {
                delivery.notice(&notice);
            }
            if left.is_some_and(|left| left.is_zero()) {
                stop.store(true, Ordering::Relaxed);
            }
            if controls.reopen.swap(false, Ordering::Relaxed) {
                delivery.reopen();
            }
            if controls.print_counters.swap(false, Ordering::Relaxed) {
                counters.lines().iter().for_each(|line| delivery.line(line));
            }
            if let Some(listeners) = Listening::read_when_due(&mut listening, delivery) {
                // a counting thread that is too busy for it goes by what it knows until the next time
                drop(parcels.try_send(Parcel::Listeners(listeners)));
            }
            delivery.tick();
            stop_when_nobody_reads(delivery, stop);
        }
        for notice in news.try_iter() {
            delivery.notice(&notice);
        }
    });
    let outcome = delivery.finish();
    counters.lines().iter().for_each(|line| print_line(line));
    Outcome { none_left: controls.together.none_left(), ..outcome }
}

/// Reads again and again which sockets listen.
struct Listening {
    listeners: Listeners,
    due: Instant,
    /// It was said that some sockets are not known.
    told_cut: bool,
}

impl Listening {
    fn new(listeners: Listeners) -> Self {
        Self { listeners, due: Instant::now(), told_cut: false }
    }

    /// Which sockets listen, when it is time to look. Where that fails, it is told, and not tried again.
    fn read_when_due(this: &mut Option<Self>, delivery: &mut Delivery) -> Option<ListenerSet> {
        let listening = this.as_mut()?;
        let now = Instant::now();
        if now < listening.due {
            return None;
        }
        listening.due = now + LISTENERS_INTERVAL;
        match listening.listeners.read() {
            Ok(listeners) => {
                if listeners.cut_files() > 0 && !std::mem::replace(&mut listening.told_cut, true) {
                    delivery.notice(&Notice::ListenersCut);
                }
                Some(listeners)
            }
            Err(error) => {
                delivery.notice(&error.into());
                *this = None;
                None
            }
        }
    }
}

/// Captures from one device until it ends.
fn capture(
    lane: usize,
    mut intake: Intake<Device>,
    parcels: &SyncSender<Parcel>,
    to_fill: &Receiver<Batch>,
    notices: &Sender<Notice>,
) {
    // the device itself knows when to stop: it has something to hand over then
    let never = AtomicBool::new(false);
    // a send fails only when the other thread is gone, and then the scope ends with its panic
    loop {
        // losses go first: they belong to the interval that the packets may end
        let losses = intake.source_mut().losses();
        let mut batch = to_fill.try_recv().unwrap_or_default();
        let end = intake.fill(&mut batch, &never, &mut |notice| drop(notices.send(notice)));
        let device = intake.source_mut();
        if !batch.frames.is_empty() {
            batch.interface = device.interface().cloned();
        }
        let through = device.through();
        if parcels.send(Parcel::Captured { lane, losses, batch, through }).is_err() {
            return;
        }
        if end.is_some() {
            let losses = intake.source_mut().losses();
            drop(parcels.send(Parcel::End { lane, losses }));
            return;
        }
    }
}

/// The counting thread.
struct Counting<'r> {
    merge: Merge,
    /// Which interface each lane is of.
    lanes: Vec<usize>,
    save: Option<LiveSave>,
    packets_left: u64,
    recycle: Vec<SyncSender<Batch>>,
    /// Packets that are about to be counted.
    due: Vec<Packet>,
    counters: &'r Counters,
    together: &'r Together,
    /// Packets that came when the run had ended for another device.
    after_end: u64,
    /// Takes snapshots for the page, however slow the readers of the reports are.
    feed: Option<Feed>,
    reports: SyncSender<Vec<Event>>,
    notices: Sender<Notice>,
    left_out: LeftOut,
}

impl Counting<'_> {
    fn run(mut self, engine: &mut Engine, parcels: &Receiver<Parcel>) {
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
        let Self { merge, lanes, save, packets_left, recycle, due, counters, notices, after_end, .. } = self;
        // of several devices, each stops for itself: the run ends for all of them when it ends for the first
        let end = self.together.stopped().filter(|_| lanes.len() > 1).unwrap_or(Timestamp::MAX);
        let mut count = |due: &mut Vec<Packet>| {
            counters.captured.fetch_add(due.len() as u64, Ordering::Relaxed);
            engine.ingest(due);
            due.clear();
        };
        merge.drain(
            |batch, at| {
                if batch.packets[at].ts > end {
                    *after_end += 1;
                    return;
                }
                if *packets_left == 0 {
                    return; // the run ends with the last one that is wanted
                }
                *packets_left -= 1;
                due.push(batch.packets[at]);
                if let (Some(file), Some(frame), Some(interface)) = (&mut *save, batch.frames.get(at), &batch.interface)
                    && let Err(error) = file.write(&frame, interface)
                {
                    // saving ends, labelling goes on
                    drop(notices.send(Notice::Save(error)));
                    *save = None;
                }
                if due.len() == BATCH_PACKETS {
                    count(due);
                }
            },
            |lane, mut batch| {
                batch.clear();
                drop(recycle[lane].try_send(batch));
            },
        );
        count(due);
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
