//! One request to end that comes as two signals.

use std::time::{Duration, Instant};

/// Signals of one kind that come within so much time are one request: timeout(1) sends its signal to a program and then to
/// the program's group, which it is in. Nobody presses Ctrl-C twice as fast.
const ONE_REQUEST: Duration = Duration::from_millis(100);

/// Tells the second signal of a request from the next request.
#[derive(Debug, Default)]
pub struct Echoes {
    last: Option<(i32, Instant)>,
}

impl Echoes {
    /// The signal belongs to the request that the one before it made.
    pub fn is_echo(&mut self, signal: i32) -> bool {
        let now = Instant::now();
        let is_echo = self.last.is_some_and(|(last, at)| last == signal && now.duration_since(at) < ONE_REQUEST);
        if !is_echo {
            self.last = Some((signal, now));
        }
        is_echo
    }
}
