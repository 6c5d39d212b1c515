//! The terminal, borrowed: whatever happens, it is given back as it was.
//!
//! A [`Screen`] is shared by everybody who may have to give it back: the thread that draws, the one that hears signals,
//! the hook that runs on a panic of any thread, and the run when it ends.

use std::fs::File;
use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::queue;
use ratatui::crossterm::style::{Attribute, SetAttribute};
use ratatui::crossterm::terminal::{
    EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode, size,
};
use ratatui::layout::Rect;

/// How long giving the terminal back waits for a picture that is being written. A terminal that takes no more (Ctrl-S,
/// a line that hangs) must not keep the program from ending.
const DRAWING_PATIENCE: Duration = Duration::from_millis(200);

/// The largest picture, in columns and lines: more than anybody has, and some 50 MB of memory.
const LARGEST: (u16, u16) = (1_024, 512);
/// What a terminal has that does not say, as a serial line.
const USUAL: (u16, u16) = (80, 24);

/// The terminal as a screen.
#[derive(Debug, Default)]
pub(super) struct Screen {
    state: Mutex<State>,
    drawn: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The terminal is ours.
    entered: bool,
    /// It never will be again.
    closed: bool,
    /// A picture is being written to it.
    drawing: bool,
}

impl Screen {
    /// Takes the terminal: keys one by one, another screen than the shell's, no cursor. Nothing once it was closed.
    ///
    /// # Errors
    /// The terminal cannot be set or written to.
    pub(super) fn enter(&self) -> io::Result<()> {
        let mut state = self.state();
        if state.closed || state.entered {
            return Ok(());
        }
        enable_raw_mode()?;
        state.entered = true;
        let mut codes = Vec::new();
        queue!(codes, EnterAlternateScreen, Hide)?;
        write(&codes)
    }

    /// Gives the terminal back until it is entered again.
    pub(super) fn leave(&self) {
        let state = self.state();
        let waiting = self.drawn.wait_timeout_while(state, DRAWING_PATIENCE, |state| state.drawing);
        let (mut state, _) = waiting.unwrap_or_else(PoisonError::into_inner);
        if !std::mem::take(&mut state.entered) {
            return;
        }
        // nobody is left to hear of a terminal that cannot be written to or set
        if !state.drawing {
            let mut codes = Vec::new();
            let queued =
                queue!(codes, EndSynchronizedUpdate, SetAttribute(Attribute::Reset), LeaveAlternateScreen, Show);
            drop(queued.and_then(|()| write(&codes)));
        }
        drop(disable_raw_mode());
    }

    /// Gives the terminal back for good.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.leave();
    }

    /// Writes a picture, if the terminal is ours.
    pub(super) fn draw(&self, picture: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        {
            let mut state = self.state();
            if !state.entered || state.closed {
                return Ok(());
            }
            state.drawing = true;
        }
        let drawn = picture();
        self.state().drawing = false;
        self.drawn.notify_all();
        drawn
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // whoever panicked did so between two changes, each of which is one assignment
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the terminal back before the message of a panic is printed, of whichever thread. The hook stays when the
    /// screen is closed, and does nothing then.
    pub(super) fn close_on_panic(self: &Arc<Self>) {
        let (screen, previous) = (Arc::clone(self), std::panic::take_hook());
        std::panic::set_hook(Box::new(move |panic| {
            screen.close();
            previous(panic);
        }));
    }
}

/// Standard output is a terminal on which text can be placed.
pub(super) fn is_possible() -> bool {
    let places_text = std::env::var_os("TERM").is_some_and(|name| !name.is_empty() && name != "dumb");
    io::stdout().is_terminal() && places_text
}

/// The terminal is still there: nobody has closed the window or hung up.
pub(super) fn is_there() -> bool {
    rustix::termios::tcgetattr(io::stdout()).is_ok()
}

/// What is drawn on: the terminal, as far as a picture goes. Its size is what somebody told the kernel, up to 65,535 columns
/// and lines.
///
/// # Errors
/// The terminal does not tell its size.
pub(super) fn area() -> io::Result<Rect> {
    size().map(picture_of)
}

/// The picture for a terminal that says it has so many columns and lines.
fn picture_of((columns, lines): (u16, u16)) -> Rect {
    let (columns, lines) = if columns == 0 || lines == 0 { USUAL } else { (columns, lines) };
    Rect::new(0, 0, columns.min(LARGEST.0), lines.min(LARGEST.1))
}

/// Where keys come from: standard input, or the controlling terminal where that is something else.
///
/// # Errors
/// There is no controlling terminal.
pub(super) fn keys() -> io::Result<OwnedFd> {
    let stdin = io::stdin();
    if stdin.is_terminal() { stdin.as_fd().try_clone_to_owned() } else { File::open("/dev/tty").map(OwnedFd::from) }
}

/// Standard output, without the lock and the buffer of [`io::Stdout`]: whoever holds these may be stuck.
///
/// # Errors
/// No more files can be opened.
pub(super) fn picture() -> io::Result<File> {
    io::stdout().as_fd().try_clone_to_owned().map(File::from)
}

fn write(codes: &[u8]) -> io::Result<()> {
    picture()?.write_all(codes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_have_a_sane_size() {
        let cases = [
            ((0, 0), (80, 24)),
            ((0, 65_535), (80, 24)),
            ((1, 1), (1, 1)),
            ((200, 60), (200, 60)),
            ((1, 65_535), (1, 512)),
            ((65_535, 65_535), (1_024, 512)),
        ];
        for (said, (columns, lines)) in cases {
            assert_eq!(picture_of(said), Rect::new(0, 0, columns, lines), "{said:?}");
        }
    }
}
