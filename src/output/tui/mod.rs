//! A screen on the terminal while the run goes on.
//!
//! The run hands over snapshots and messages and never waits for the terminal: what it has to say lies in a [`Mailbox`]
//! until the thread that draws fetches it. That thread alone has the [`App`], which is everything that is shown. Two more
//! wait for keys and for signals. All of them are idle between events; the picture is drawn once a second at least, for
//! the time that passes.
//!
//! When it closes, what was said is printed on standard error, and the table of the final snapshot on standard output, so
//! that the terminal keeps what was seen.

mod app;
mod draw;
mod history;
mod list;
mod one;
mod rows;
mod terminal;
mod view;

use std::any::Any;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufWriter};
use std::mem::ManuallyDrop;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{self, KeyEvent};
use ratatui::crossterm::queue;
use ratatui::crossterm::style::force_color_output;
use ratatui::crossterm::terminal::{BeginSynchronizedUpdate, EndSynchronizedUpdate, size};
use ratatui::layout::Rect;
use ratatui::{Terminal, TerminalOptions, Viewport};
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::process::{Signal, getppid, getsid, kill_current_process_group};
use signal_hook::consts::{
    SIGABRT, SIGALRM, SIGCONT, SIGHUP, SIGINT, SIGPROF, SIGQUIT, SIGTERM, SIGTRAP, SIGTSTP, SIGUSR2, SIGVTALRM,
    SIGWINCH, SIGXCPU, SIGXFSZ,
};
use signal_hook::iterator::Signals;
use signal_hook::low_level;

use super::signals::Echoes;
use super::sink::Sink;
use super::table::{Options, Table};
use super::{Destination, OnQuit, Output, OutputError, say};
use crate::snapshot::{Snapshot, SourceKind};
use app::{Action, App};
use history::{SLOTS, Tick, Ticker};
use terminal::Screen;

/// The picture is drawn this often at least.
const CLOCK: Duration = Duration::from_secs(1);

/// How long to wait for the rest of what a key sends.
const KEY_PATIENCE: Duration = Duration::from_millis(20);

/// Messages that are kept until they can be printed; of more, the newest.
const MAX_MESSAGES: usize = 1_000;

/// A screen can be opened: standard output is a terminal on which text can be placed.
#[must_use]
pub fn is_possible() -> bool {
    terminal::is_possible()
}

/// Opens the screen, without touching the terminal yet: see [`Output::start`]. What may need privileges is done here.
///
/// # Errors
/// [`OutputError::NoTerminal`], [`OutputError::Terminal`].
pub(super) fn open(options: &Options, on_quit: OnQuit) -> Result<Tui, OutputError> {
    if !is_possible() {
        return Err(OutputError::NoTerminal);
    }
    let keys = terminal::keys().map_err(OutputError::Terminal)?;
    event::poll(Duration::ZERO).map_err(OutputError::Terminal)?; // opens what it reads keys from
    Ok(Tui::new(options, on_quit, Some(keys)))
}

/// `-o tui`.
pub(super) struct Tui {
    options: Options,
    on_quit: OnQuit,
    keys: Option<OwnedFd>,
    screen: Arc<Screen>,
    /// The user, or a signal, has asked for the end of the run.
    ending: Arc<AtomicBool>,
    mailbox: Arc<Mutex<Mailbox>>,
    running: Option<Running>,
    ticker: Ticker,
    last: Option<Arc<Snapshot>>,
    messages: VecDeque<String>,
    messages_left_out: u64,
}

/// The threads.
struct Running {
    events: Sender<Event>,
    draws: JoinHandle<io::Result<()>>,
    /// Wakes the thread that waits for keys, which then ends.
    no_more_keys: Arc<OwnedFd>,
}

/// What the run has left for the thread that draws: the newest snapshot, and all that the graphs need of those before.
#[derive(Debug, Default)]
struct Mailbox {
    snapshot: Option<Arc<Snapshot>>,
    ticks: VecDeque<Arc<Tick>>,
    messages: VecDeque<String>,
}

/// What the thread that draws waits for.
#[derive(Clone, Copy, Debug)]
enum Event {
    Key(KeyEvent),
    /// There is something in the mailbox.
    News,
    /// The terminal has another size.
    Resized,
    /// SIGINT or SIGTERM: the run is ending.
    Ending,
    /// SIGTSTP: back to the shell.
    Suspended,
    /// SIGCONT: the shell may have had the terminal.
    Continued,
    /// The run is over.
    Close,
}

impl Output for Tui {
    fn start(&mut self) -> io::Result<()> {
        let Some(keys) = self.keys.take() else { return Ok(()) };
        if self.options.color {
            force_color_output(true); // whether colours are wanted is decided
        }
        let signals = Signals::new([&ANSWERED[..], &FATAL[..]].concat())?;
        self.screen.close_on_panic();
        self.screen.enter()?;
        let (backend, area) = (CrosstermBackend::new(BufWriter::new(terminal::picture()?)), terminal::area()?);
        let terminal = Terminal::with_options(backend, TerminalOptions { viewport: Viewport::Fixed(area) })?;
        let (events, received) = channel();
        let no_more_keys = Arc::new(eventfd(0, EventfdFlags::CLOEXEC)?);
        let draws = {
            let drawer = Drawer {
                terminal: ManuallyDrop::new(terminal),
                area,
                app: App::new(&self.options),
                screen: Arc::clone(&self.screen),
                mailbox: Arc::clone(&self.mailbox),
                ending: Arc::clone(&self.ending),
                on_quit: Arc::clone(&self.on_quit),
                opened: Instant::now(),
            };
            spawn("draw", move || drawer.run(&received))?
        };
        let (to_drawer, end) = (events.clone(), Arc::clone(&no_more_keys));
        spawn("keys", move || read_keys(&keys, &end, &to_drawer))?;
        let hearing = Hearing {
            screen: Arc::clone(&self.screen),
            ending: Arc::clone(&self.ending),
            on_quit: Arc::clone(&self.on_quit),
            events: events.clone(),
        };
        // for as long as the program runs: a second Ctrl-C ends it at once, also when the screen is closed
        spawn("signals", move || hearing.run(signals))?;
        self.running = Some(Running { events, draws, no_more_keys });
        Ok(())
    }

    fn snapshot(&mut self, snapshot: &Arc<Snapshot>) -> io::Result<()> {
        let tick = self.ticker.tick(snapshot).map(Arc::new);
        self.last = Some(Arc::clone(snapshot));
        self.post(|mailbox| {
            mailbox.snapshot = Some(Arc::clone(snapshot));
            if mailbox.ticks.len() == usize::from(SLOTS) {
                mailbox.ticks.pop_front();
            }
            mailbox.ticks.extend(tick);
        });
        if self.running.as_ref().is_some_and(|running| running.draws.is_finished()) { self.close() } else { Ok(()) }
    }

    fn message(&mut self, text: &str) -> bool {
        if self.running.is_none() {
            return false;
        }
        self.post(|mailbox| {
            if mailbox.messages.len() == MAX_MESSAGES {
                mailbox.messages.pop_front();
            }
            mailbox.messages.push_back(text.to_owned());
        });
        if self.messages.len() == MAX_MESSAGES {
            self.messages.pop_front();
            self.messages_left_out += 1;
        }
        self.messages.push_back(text.to_owned());
        true
    }

    fn is_looked_at(&self) -> bool {
        self.stays() && self.running.as_ref().is_some_and(|running| !running.draws.is_finished())
    }

    /// Closes the screen and prints the table. A capture that was read to its end stays on the screen until its user has
    /// seen enough.
    fn finish(&mut self) -> io::Result<()> {
        if self.stays()
            && let Some(running) = self.running.take()
        {
            self.end(running)?;
        }
        self.close()?;
        let Some(last) = self.last.take() else { return Ok(()) };
        let width = size().ok().map(|(columns, _)| usize::from(columns)).filter(|width| *width > 0);
        let options = Options { width: width.or(self.options.width), ..self.options };
        let sink = Sink::replace(&Destination::Stdout).map_err(io::Error::other)?;
        let mut table = Table::new(sink, options);
        table.snapshot(&last)?;
        table.finish()
    }
}

impl Tui {
    fn new(options: &Options, on_quit: OnQuit, keys: Option<OwnedFd>) -> Self {
        Self {
            options: *options,
            on_quit,
            keys,
            screen: Arc::default(),
            ending: Arc::default(),
            mailbox: Arc::default(),
            running: None,
            ticker: Ticker::default(),
            last: None,
            messages: VecDeque::new(),
            messages_left_out: 0,
        }
    }

    /// It shows a capture until its user has seen enough.
    fn stays(&self) -> bool {
        self.last.as_ref().is_some_and(|last| last.source.kind == SourceKind::File)
            && !self.ending.load(Ordering::Relaxed)
    }

    /// Leaves something in the mailbox, and says so if it was empty.
    fn post(&self, leave: impl FnOnce(&mut Mailbox)) {
        let mut mailbox = self.mailbox.lock().unwrap_or_else(PoisonError::into_inner);
        let was_empty = mailbox.snapshot.is_none() && mailbox.messages.is_empty();
        leave(&mut mailbox);
        if was_empty && let Some(running) = &self.running {
            // it fails when the thread is gone, which the next snapshot is told
            let _ = running.events.send(Event::News);
        }
    }

    /// Ends the threads, gives the terminal back, and prints the messages.
    fn close(&mut self) -> io::Result<()> {
        let drawn = match self.running.take() {
            Some(running) => {
                let _ = running.events.send(Event::Close);
                self.end(running)
            }
            None => Ok(()),
        };
        self.give_back();
        drawn
    }

    /// Waits for the end of the thread that draws.
    fn end(&self, running: Running) -> io::Result<()> {
        let drawn = running.draws.join();
        // it fails when the counter is full, which it is not
        let _ = rustix::io::write(&*running.no_more_keys, &1u64.to_ne_bytes());
        self.screen.close();
        match drawn {
            Ok(Err(error)) if !terminal::is_there() => {
                // the window was closed: as when the reader of a pipe goes away
                Err(io::Error::new(io::ErrorKind::BrokenPipe, error))
            }
            Ok(drawn) => drawn,
            Err(panic) => resume(panic),
        }
    }

    fn give_back(&mut self) {
        self.screen.close();
        if self.messages_left_out > 0 {
            say(&format_args!("{} earlier messages are left out", std::mem::take(&mut self.messages_left_out)));
        }
        for message in self.messages.drain(..) {
            say(&message);
        }
    }
}

/// Goes on with the panic of a thread, whose message was printed; not while there is one already.
fn resume(panic: Box<dyn Any + Send>) -> io::Result<()> {
    if thread::panicking() { Ok(()) } else { std::panic::resume_unwind(panic) }
}

impl Drop for Tui {
    fn drop(&mut self) {
        // without it being finished: the run has failed, and says why
        drop(self.close());
    }
}

fn spawn<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> io::Result<JoinHandle<T>> {
    thread::Builder::new().name(name.to_owned()).spawn(work)
}

/// The thread that draws.
struct Drawer {
    /// Never dropped: it would see to the cursor, which is the [`Screen`]'s to do, and panic where neither the terminal nor
    /// standard error can be written to any more.
    terminal: ManuallyDrop<Terminal<CrosstermBackend<BufWriter<File>>>>,
    /// What is drawn on.
    area: Rect,
    app: App,
    screen: Arc<Screen>,
    mailbox: Arc<Mutex<Mailbox>>,
    ending: Arc<AtomicBool>,
    on_quit: OnQuit,
    opened: Instant,
}

/// Whether the screen stays.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    GoOn,
    End,
}

impl Drawer {
    fn run(mut self, events: &Receiver<Event>) -> io::Result<()> {
        self.draw()?;
        loop {
            match events.recv_timeout(CLOCK) {
                Ok(event) => {
                    // all that has come by now is one picture
                    for event in std::iter::once(event).chain(events.try_iter()) {
                        if self.take(event)? == Then::End {
                            return Ok(());
                        }
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            self.draw()?;
        }
    }

    fn take(&mut self, event: Event) -> io::Result<Then> {
        match event {
            Event::Key(key) => match self.app.key(key, self.opened.elapsed()) {
                Action::Draw => {}
                Action::Redraw => self.clear()?,
                Action::Interrupt if self.ending.load(Ordering::Relaxed) => end_at_once(&self.screen, SIGINT),
                Action::Quit | Action::Interrupt => self.quit(),
                // what the terminal does where Ctrl-Z is no key: all programs of the pipeline stop
                Action::Suspend => kill_current_process_group(Signal::TSTP)?,
            },
            Event::News => self.fetch(),
            Event::Resized => {}
            Event::Ending => self.app.ending = true,
            Event::Suspended => self.suspend()?,
            Event::Continued => self.enter_again()?,
            Event::Close => return Ok(Then::End),
        }
        // whichever came first, the end of the input or the user's word
        Ok(if self.app.ending && self.app.is_complete() { Then::End } else { Then::GoOn })
    }

    /// Asks for the end of the run, if everything was read that of the screen alone.
    fn quit(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        self.app.ending = true;
        if !self.app.is_complete() {
            (self.on_quit)();
        }
    }

    /// Takes what is in the mailbox.
    fn fetch(&mut self) {
        let Mailbox { snapshot, ticks, messages } =
            std::mem::take(&mut *self.mailbox.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(snapshot) = snapshot {
            self.app.news(snapshot, ticks, self.opened.elapsed());
        }
        for message in messages {
            self.app.message(message);
        }
    }

    /// Stops the program, and goes on when it is continued. Not where no shell could continue it.
    fn suspend(&mut self) -> io::Result<()> {
        let has_shell = getsid(getppid()).is_ok_and(|session| getsid(None) == Ok(session));
        if !has_shell {
            self.app.message("there is no shell to go back to".to_owned());
            return Ok(());
        }
        self.screen.leave();
        low_level::emulate_default_handler(SIGTSTP)?;
        self.enter_again()
    }

    fn enter_again(&mut self) -> io::Result<()> {
        self.screen.leave();
        self.screen.enter()?;
        self.clear()
    }

    /// Begins the picture anew. Not as the library does, which asks the terminal where its cursor is, and waits for an answer
    /// that a slow line or a busy terminal does not give in time.
    fn clear(&mut self) -> io::Result<()> {
        self.terminal.resize(self.area)
    }

    fn draw(&mut self) -> io::Result<()> {
        let (terminal, app, now) = (&mut self.terminal, &mut self.app, self.opened.elapsed());
        let drawn_area = &mut self.area;
        self.screen.draw(|| {
            queue!(terminal.backend_mut(), BeginSynchronizedUpdate)?;
            let area = terminal::area()?;
            if area != *drawn_area {
                terminal.resize(area)?;
                *drawn_area = area;
            }
            terminal.draw(|frame| view::draw(app, now, frame.area(), frame.buffer_mut()))?;
            // it was the last one: the next picture begins with another
            queue!(terminal.backend_mut(), EndSynchronizedUpdate)?;
            io::Write::flush(terminal.backend_mut())
        })
    }
}

/// Gives the terminal back and ends the program, as a second signal does.
fn end_at_once(screen: &Screen, signal: i32) -> ! {
    screen.close();
    low_level::exit(128 + signal)
}

/// Signals that the screen, or the run, has an answer to.
const ANSWERED: [i32; 6] = [SIGINT, SIGTERM, SIGHUP, SIGTSTP, SIGCONT, SIGWINCH];
/// Signals that end the program, once the terminal is given back.
const FATAL: [i32; 9] = [SIGQUIT, SIGABRT, SIGALRM, SIGVTALRM, SIGPROF, SIGUSR2, SIGXCPU, SIGXFSZ, SIGTRAP];

/// The thread that hears signals.
struct Hearing {
    screen: Arc<Screen>,
    ending: Arc<AtomicBool>,
    on_quit: OnQuit,
    events: Sender<Event>,
}

impl Hearing {
    fn run(&self, mut signals: Signals) {
        let mut echoes = Echoes::default();
        for signal in signals.forever() {
            let event = match signal {
                SIGINT | SIGTERM if echoes.is_echo(signal) => continue,
                // the window was closed; otherwise the signal means something else, which is not for the screen
                SIGHUP if terminal::is_there() => continue,
                SIGINT | SIGTERM | SIGHUP => {
                    self.end(signal);
                    Event::Ending
                }
                _ if FATAL.contains(&signal) => {
                    self.screen.close();
                    // it does not come back
                    drop(low_level::emulate_default_handler(signal));
                    return;
                }
                SIGTSTP => Event::Suspended,
                SIGCONT => Event::Continued,
                SIGWINCH => Event::Resized,
                _ => continue,
            };
            // it fails when the screen is closed
            let _ = self.events.send(event);
        }
    }

    /// Ends the run, or when it is ending already the program.
    fn end(&self, signal: i32) {
        if self.ending.swap(true, Ordering::Relaxed) {
            end_at_once(&self.screen, signal);
        }
        (self.on_quit)();
    }
}

/// The thread that waits for keys. It asks for them only when there are some: a terminal that was closed would be asked
/// without end.
fn read_keys(keys: &OwnedFd, end: &OwnedFd, events: &Sender<Event>) {
    loop {
        let mut ready = [PollFd::new(keys, PollFlags::IN), PollFd::new(end, PollFlags::IN)];
        match poll(&mut ready, None) {
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => return,
            Ok(_) => {}
        }
        let gone = PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL;
        if !ready[1].revents().is_empty() || ready[0].revents().intersects(gone) {
            return;
        }
        while event::poll(KEY_PATIENCE).unwrap_or(false) {
            match event::read() {
                Ok(event::Event::Key(key)) if events.send(Event::Key(key)).is_err() => return,
                Ok(_) => {} // sizes come by signal
                Err(_) => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;
    use crate::units::Timestamp;

    #[test]
    fn the_mailbox_keeps_the_newest_snapshot_and_a_minute_of_intervals() {
        let mut tui = Tui::new(&Options::default(), Arc::new(|| ()), None);
        let mut snapshot = sample::snapshot();
        for second in 0..100i64 {
            snapshot.sequence += 1;
            snapshot.packets += 1;
            if let Some(interval) = &mut snapshot.interval {
                interval.start = Timestamp::from_nanos(second * 1_000_000_000);
                interval.end = Timestamp::from_nanos((second + 1) * 1_000_000_000);
            }
            tui.snapshot(&Arc::new(snapshot.clone())).expect("it never waits");
        }
        let mailbox = std::mem::take(&mut *tui.mailbox.lock().expect("nobody else has it"));
        assert_eq!(mailbox.snapshot.map(|newest| newest.sequence), Some(snapshot.sequence));
        assert_eq!(mailbox.ticks.len(), usize::from(SLOTS));
        assert!(mailbox.ticks.iter().all(|tick| tick.total.packets == 1), "none is told twice");
        assert!(!tui.message("text"), "without a screen, others print it");
        tui.last = None;
    }
}
