//! The writing end of a run: outputs, messages and the progress bar, none of which may disturb another.

use std::io::{self, IsTerminal as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::writer::{Writer, Written, deliver};
use super::{Notice, Outcome, PROGRESS_TICK};
use crate::engine::Event;
use crate::output::{Channel, Feed, Output, Server, print_line};
use crate::snapshot::Snapshot;
use crate::source::Severity;
use crate::units::Timestamp;

/// A run that takes less time than this shows no progress bar.
const PROGRESS_AFTER: Duration = Duration::from_millis(100);

/// Everything that a run writes to.
pub struct Delivery {
    /// Those that are written to by the caller, who waits for them.
    outputs: Vec<Channel>,
    /// Those that nobody waits for.
    writers: Vec<Writer>,
    had_outputs: bool,
    server: Option<Server>,
    /// What takes snapshots for the server, unless somebody else has taken that over.
    feed: Option<Feed>,
    /// The packets read are saved too.
    saving: bool,
    progress: Option<Progress>,
    standing: Option<Standing>,
    /// Files that are added to were moved away; reset when they are opened anew.
    moved: Option<Arc<AtomicBool>>,
    /// What is printed when everything is written.
    last_lines: Vec<String>,
    outcome: Outcome,
    dropped: Dropped,
    /// Remarks that change nothing about the result are left out.
    quiet: bool,
}

/// So long the run waits for readers of its outputs at the end before it says so.
const READERS_PATIENCE: Duration = Duration::from_secs(1);
/// How often it looks whether they have everything.
const WRITERS_TICK: Duration = Duration::from_millis(2);

/// How far reading has come, for a bar on the terminal.
#[derive(Debug)]
pub struct Progress {
    read_bytes: Arc<AtomicU64>,
    total_bytes: u64,
    started: Instant,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// The progress of reading `total_bytes`, of which `read_bytes` says how many were read.
    #[must_use]
    pub fn new(read_bytes: Arc<AtomicU64>, total_bytes: u64) -> Self {
        Self { read_bytes, total_bytes, started: Instant::now(), bar: None }
    }

    fn tick(&mut self) {
        if self.bar.is_none() && self.started.elapsed() >= PROGRESS_AFTER {
            // the bar gets what the numbers leave; a narrow terminal gets the percentage alone
            let columns = rustix::termios::tcgetwinsize(io::stderr()).map_or(80, |size| usize::from(size.ws_col));
            let template = match columns.saturating_sub(50) {
                0..10 => "{percent:>3} % read".to_owned(),
                bar_len => format!(
                    "{{percent:>3}} % {{bar:{}}} {{decimal_bytes}} of {{decimal_total_bytes}}, {{eta}} left",
                    bar_len.min(40)
                ),
            };
            let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
            self.bar = Some(ProgressBar::new(self.total_bytes).with_style(style));
        }
        if let Some(bar) = &self.bar {
            bar.set_position(self.read_bytes.load(Ordering::Relaxed));
        }
    }

    fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

/// How far reading has come, for whoever asks.
#[derive(Debug)]
pub struct Standing {
    /// Somebody has asked; reset when it is told.
    pub asked: Arc<AtomicBool>,
    /// Packets read so far.
    pub packets: Arc<AtomicU64>,
    /// Bytes read so far, compressed ones where they are.
    pub read_bytes: Arc<AtomicU64>,
    /// Bytes of all files; 0 where there are pipes too, whose nobody knows.
    pub total_bytes: u64,
}

impl Standing {
    /// In the form of tcpdump's counters.
    fn lines(&self) -> [String; 2] {
        let packets = match self.packets.load(Ordering::Relaxed) {
            1 => "1 packet read".to_owned(),
            packets => format!("{packets} packets read"),
        };
        let read = self.read_bytes.load(Ordering::Relaxed);
        let of_all = if self.total_bytes > 0 { format!(" of {}", self.total_bytes) } else { String::new() };
        [packets, format!("{read}{of_all} bytes read")]
    }
}

/// Users hear of packets that were dropped at once, and then no more often than this.
const DROPS_EVERY: Duration = Duration::from_secs(10);

/// Packets that were dropped since users heard of it.
#[derive(Debug, Default)]
struct Dropped {
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    kernel: u64,
    interface: u64,
    told: Option<Instant>,
}

impl Dropped {
    /// Adds those of the interval that ends with a snapshot. What there is to tell, if it is time for that.
    fn add(&mut self, snapshot: &Snapshot) -> Option<String> {
        let interval = snapshot.interval.as_ref()?;
        if interval.drops.known().unwrap_or(0) > 0 {
            self.since.get_or_insert(interval.start);
            self.until = Some(interval.end);
            self.kernel += interval.drops.kernel.unwrap_or(0);
            self.interface += interval.drops.interface.unwrap_or(0);
        }
        let (since, until) = (self.since?, self.until?);
        if !snapshot.is_final && self.told.is_some_and(|told| told.elapsed() < DROPS_EVERY) {
            return None;
        }
        let text = format!(
            "packets were dropped from {since} to {until}: {} by the kernel, {} by the interface",
            self.kernel, self.interface
        );
        *self = Self { told: Some(Instant::now()), ..Self::default() };
        Some(text)
    }
}

impl Delivery {
    /// Writes to `outputs`, which are open.
    #[must_use]
    pub fn new(outputs: Vec<Channel>, progress: Option<Progress>, quiet: bool) -> Self {
        Self {
            had_outputs: !outputs.is_empty(),
            server: None,
            feed: None,
            saving: false,
            outputs,
            writers: Vec::new(),
            progress,
            standing: None,
            moved: None,
            last_lines: Vec::new(),
            outcome: Outcome { nothing_readable: true, ..Outcome::default() },
            dropped: Dropped::default(),
            quiet,
        }
    }

    /// Serves what is reported too.
    #[must_use]
    pub fn served_by(self, server: Option<Server>) -> Self {
        Self { feed: server.as_ref().map(Server::feed), server, ..self }
    }

    /// Tells how far reading has come, when somebody asks.
    #[must_use]
    pub fn telling(self, standing: Standing) -> Self {
        Self { standing: Some(standing), ..self }
    }

    /// Opens the files that are added to anew, when `moved` says that they were moved away.
    #[must_use]
    pub fn reopening(self, moved: Arc<AtomicBool>) -> Self {
        Self { moved: Some(moved), ..self }
    }

    /// Lets somebody else pass snapshots to the server, without the outputs in between.
    pub(super) fn take_feed(&mut self) -> Option<Feed> {
        self.feed.take()
    }

    /// Says whether packets are saved, which is a reason to go on when every reader of the reports has gone away.
    pub(super) fn expect_saving(&mut self, saving: bool) {
        self.saving = saving;
    }

    /// Starts the outputs.
    pub(super) fn start(&mut self) {
        self.each_output(|output| output.start());
        let Some(server) = &mut self.server else { return };
        let told = match server.start() {
            Ok(()) => {
                let remark = server.remark().map(str::to_owned);
                remark.into_iter().chain([format!("listening on {}", server.url())]).collect()
            }
            Err(error) => {
                self.server = None;
                self.outcome.output_failed = true;
                vec![format!("the page cannot be served: {error}")]
            }
        };
        for text in told {
            self.message(&text);
        }
    }

    /// Starts the outputs, each but the screen on a thread of its own: whoever is too slow for what passes misses some of it.
    pub(super) fn start_apart(&mut self) {
        self.start();
        let (screens, others) = std::mem::take(&mut self.outputs).into_iter().partition(Channel::is_screen);
        self.outputs = screens;
        for output in others {
            let name = output.to_string();
            match Writer::start(output) {
                Ok(writer) => self.writers.push(writer),
                Err(error) => self.failed(&format!("{name}: cannot start a thread: {error}")),
            }
        }
    }

    /// Opens anew the files that are added to: they may have been moved away.
    fn reopen(&mut self) {
        self.writers.iter_mut().for_each(Writer::reopen);
        let logs = self.outputs.iter_mut().filter(|channel| channel.is_log_file());
        for text in logs.filter_map(Channel::follow).collect::<Vec<_>>() {
            self.message(&text);
        }
    }

    /// Tells users something that came up while reading.
    pub fn notice(&mut self, notice: &Notice) {
        if let Notice::Save(error) = notice {
            self.saving = false;
            if error.is_broken_pipe() {
                return;
            }
            self.outcome.output_failed = true;
        }
        let severity = notice.severity();
        self.outcome.input_trouble |= matches!(severity, Some(Severity::Unreadable | Severity::Damaged));
        if !(self.quiet && severity == Some(Severity::Skipped)) {
            let text = notice.to_string();
            self.message(&text);
            if notice.is_of_inputs() {
                self.told(&text);
            }
        }
    }

    /// Passes on what was told of the inputs to those who keep it with the numbers.
    pub(super) fn told(&mut self, text: &str) {
        self.outputs.iter_mut().for_each(|channel| channel.output().told(text));
        self.writers.iter_mut().for_each(|writer| writer.told(text));
        if let Some(server) = &self.server {
            server.told(text);
        }
    }

    /// Prints a line as it is, on standard error or by an output that has the terminal.
    pub(super) fn line(&mut self, text: &str) {
        if !self.shows(text) {
            self.beside_bar(|| print_line(text));
        }
    }

    /// An output has the terminal, and shows the text.
    fn shows(&mut self, text: &str) -> bool {
        self.outputs.iter_mut().any(|channel| channel.output().message(text))
    }

    /// Tells users something: by an output that has the terminal, else on standard error.
    pub(super) fn message(&mut self, text: &str) {
        if !self.shows(text) {
            self.beside_bar(|| super::say(&text));
        }
    }

    /// Prints on standard error, where there may be a progress bar.
    fn beside_bar(&self, print: impl FnOnce()) {
        match self.progress.as_ref().and_then(|progress| progress.bar.as_ref()) {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    /// Tells how far reading has come, if somebody has asked.
    fn answer(&mut self) {
        let asked = self.standing.as_ref().filter(|standing| standing.asked.swap(false, Ordering::Relaxed));
        for line in asked.map(Standing::lines).into_iter().flatten() {
            self.line(&line);
        }
    }

    /// Passes events to the outputs.
    pub(super) fn events(&mut self, events: Vec<Event>) {
        if !events.is_empty() {
            self.keep_files();
        }
        for event in &events {
            if let Event::Snapshot(snapshot) = event
                && let Some(text) = self.dropped.add(snapshot)
            {
                self.message(&text);
            }
            if let (Event::Snapshot(snapshot), Some(feed)) = (event, &self.feed) {
                feed.publish_patiently(snapshot);
            }
            if let Event::Snapshot(snapshot) = event
                && snapshot.is_final
            {
                self.outcome.nothing_readable = false;
                self.outcome.packets = snapshot.packets;
                let unknown = snapshot.portless.iter().find(|row| row.reason == "unknown_link");
                self.outcome.only_unknown_links = unknown.is_some_and(|row| row.packets == snapshot.packets);
                if let Some(progress) = &mut self.progress {
                    progress.clear();
                }
            }
            self.each_output(|output| deliver(output, event));
        }
        let events = Arc::new(events);
        self.writers.iter_mut().for_each(|writer| writer.send(&events));
    }

    /// Has logs go on in new files where theirs were removed. One that cannot is closed.
    fn keep_files(&mut self) {
        let (mut told, mut failures) = (Vec::new(), Vec::new());
        self.outputs.retain_mut(|channel| match channel.keep_file() {
            Ok(text) => {
                told.extend(text);
                true
            }
            Err(error) => {
                failures.push(format!("{error}, in place of the one that was removed"));
                false
            }
        });
        for text in told {
            self.message(&text);
        }
        for text in failures {
            self.failed(&text);
        }
    }

    /// Moves the progress bar, answers who asks, and sees to the writers.
    pub(super) fn tick(&mut self) {
        self.writers.iter_mut().for_each(Writer::tick);
        let said: Vec<_> = self.writers.iter().flat_map(Writer::said).collect();
        for text in said {
            self.message(&text);
        }
        let (ended, writers) = std::mem::take(&mut self.writers).into_iter().partition(Writer::has_ended);
        self.writers = writers;
        self.finish_writers(ended);
        self.answer();
        if self.moved.as_ref().is_some_and(|moved| moved.swap(false, Ordering::Relaxed)) {
            self.reopen();
        }
        if let Some(progress) = &mut self.progress {
            progress.tick();
        }
    }

    /// There were readers, and all have gone away.
    pub(super) fn nobody_reads(&self) -> bool {
        self.had_outputs && self.outputs.is_empty() && self.writers.is_empty() && self.server.is_none() && !self.saving
    }

    /// Serves what was read until its user has seen enough, and sets `stop`. Not when there is nothing to see.
    pub(super) fn stay(&mut self, stop: &AtomicBool) {
        let Some(server) = &self.server else { return };
        if self.outcome.nothing_readable || stop.load(Ordering::Relaxed) {
            return;
        }
        if io::stderr().is_terminal() {
            super::say(&format_args!("everything is read; {} stays until Ctrl-C", server.url()));
        }
        while !stop.load(Ordering::Relaxed) {
            thread::park_timeout(PROGRESS_TICK);
            self.answer();
        }
    }

    /// As [`Delivery::finish`], and prints lines when everything is written, or as soon as that takes long.
    pub(super) fn finish_with(&mut self, last_lines: Vec<String>) -> Outcome {
        self.last_lines = last_lines;
        self.finish()
    }

    /// Completes the outputs, and says what became of the run as far as it was seen here.
    pub(super) fn finish(&mut self) -> Outcome {
        if let Some(mut progress) = self.progress.take() {
            progress.clear();
        }
        // a screen may wait for its user, and nothing else for the screen
        self.each_of(|channel| !channel.is_screen(), |output| output.finish());
        while self.outputs.iter_mut().any(|channel| channel.output().is_looked_at()) {
            thread::park_timeout(PROGRESS_TICK);
            self.answer();
        }
        self.each_of(Channel::is_screen, |output| output.finish());
        let writers = std::mem::take(&mut self.writers);
        self.finish_writers(writers);
        self.say_last_lines();
        self.outcome
    }

    /// Completes outputs that have threads of their own, however long their readers take. Where that is long, it is told what
    /// the run waits for: whoever is tired of it ends it at once, and knows the rest.
    fn finish_writers(&mut self, mut writers: Vec<Writer>) {
        let (begun, mut told) = (Instant::now(), false);
        loop {
            // none has to wait for another's reader
            let is_open = |writer: &mut Writer| (!writer.has_closed()).then(|| writer.name().to_owned());
            let open: Vec<_> = writers.iter_mut().filter_map(is_open).collect();
            if open.is_empty() {
                break;
            }
            if begun.elapsed() >= READERS_PATIENCE && !std::mem::replace(&mut told, true) {
                for name in open {
                    self.message(&format!(
                        "{name}: waiting for its reader to take the rest; a second signal ends at once"
                    ));
                }
                self.say_last_lines();
            }
            thread::park_timeout(WRITERS_TICK);
        }
        for writer in writers {
            let (said, Written { end, has_gaps }) = writer.finish();
            for text in said {
                self.message(&text);
            }
            self.outcome.output_failed |= has_gaps;
            if let Err(error) = end {
                self.failed_to_write(&error);
            }
        }
    }

    /// Prints the lines that are the last of a run, unless they were printed.
    fn say_last_lines(&mut self) {
        for line in std::mem::take(&mut self.last_lines) {
            self.line(&line);
        }
    }

    /// Does something with each output. One that fails is closed and does not disturb the others; a reader that went
    /// away is no failure.
    fn each_output(&mut self, act: impl FnMut(&mut dyn Output) -> io::Result<()>) {
        self.each_of(|_| true, act);
    }

    /// As [`Delivery::each_output`], with some of them.
    fn each_of(&mut self, which: impl Fn(&Channel) -> bool, mut act: impl FnMut(&mut dyn Output) -> io::Result<()>) {
        let mut failures = Vec::new();
        self.outputs.retain_mut(|channel| {
            !which(channel) || act(channel.output()).map_err(|error| failures.push(error)).is_ok()
        });
        for failure in failures {
            self.failed_to_write(&failure);
        }
    }

    fn failed_to_write(&mut self, error: &io::Error) {
        if error.kind() != io::ErrorKind::BrokenPipe {
            self.failed(&error.to_string());
        }
    }

    /// Something that users asked for is not done.
    pub(super) fn failed(&mut self, text: &str) {
        self.outcome.output_failed = true;
        self.message(text);
    }
}
