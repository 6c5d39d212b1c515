//! Programs that go on until they are told to stop.

use std::fmt::Display;
use std::io::Read;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::program::{PATIENCE, Ran};

/// How often something that is waited for is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// Waits until there is what `look` looks for. Nobody tells when that is so, so it is looked at again and again.
#[track_caller]
pub fn until<T>(what: &dyn Display, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        thread::sleep(LOOK);
    }
}

/// A program that runs; it is killed when nobody waits for its end.
pub struct Running {
    command: String,
    child: Child,
    stdout: Collected,
    stderr: Collected,
}

/// What came through a pipe so far.
struct Collected {
    text: Arc<Mutex<String>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Collected {
    fn from(pipe: Option<impl Read + Send + 'static>) -> Self {
        let text = Arc::new(Mutex::new(String::new()));
        let thread = pipe.map(|mut pipe| {
            let text = Arc::clone(&text);
            thread::spawn(move || {
                let mut piece = vec![0; 64 << 10];
                while let Ok(len @ 1..) = pipe.read(&mut piece) {
                    text.lock().expect("nobody panics").push_str(&String::from_utf8_lossy(&piece[..len]));
                }
            })
        });
        Self { text, thread }
    }

    fn now(&self) -> String {
        self.text.lock().expect("nobody panics").clone()
    }

    /// What came until the pipe was closed.
    fn whole(&mut self, what: &str) -> String {
        if let Some(thread) = self.thread.take() {
            until(&format!("{what} closes its pipes"), || thread.is_finished().then_some(()));
        }
        self.now()
    }
}

impl Running {
    /// Starts a program; what it prints is collected.
    pub fn start(command: &mut Command) -> Self {
        Self::start_into(command, Stdio::piped())
    }

    /// Starts a program whose standard output is the test's own affair.
    pub fn start_into(command: &mut Command, stdout: impl Into<Stdio>) -> Self {
        let child = command.stdout(stdout).stderr(Stdio::piped()).spawn();
        let mut child = child.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        // the test's end of a pipe is not the program's
        command.stdout(Stdio::null());
        let (stdout, stderr) = (Collected::from(child.stdout.take()), Collected::from(child.stderr.take()));
        Self { command: format!("{command:?}"), child, stdout, stderr }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed on standard output so far.
    pub fn stdout(&self) -> String {
        self.stdout.now()
    }

    /// What it has printed on standard error so far.
    pub fn stderr(&self) -> String {
        self.stderr.now()
    }

    /// Its standard input, which was to be a pipe.
    pub fn take_input(&mut self) -> ChildStdin {
        self.child.stdin.take().expect("a pipe")
    }

    /// Waits until `look` finds what it looks for; the program must not end before.
    #[track_caller]
    pub fn await_state<T>(&mut self, what: &str, mut look: impl FnMut(&Self) -> Option<T>) -> T {
        until(&format!("{what}: {}", self.command), || {
            let found = look(self);
            if found.is_none()
                && let Some(status) = self.child.try_wait().expect("it is ours")
            {
                panic!("{what}: {} ended before, {status}: {}", self.command, self.stderr.whole(what));
            }
            found
        })
    }

    /// Waits until standard error has a text.
    #[track_caller]
    pub fn await_saying(&mut self, text: &str) {
        self.await_state(&format!("says {text:?}"), |this| this.stderr.now().contains(text).then_some(()));
    }

    /// Waits until one of its threads has a name.
    #[track_caller]
    pub fn await_thread(&mut self, name: &str) {
        self.await_state(&format!("has a thread {name:?}"), |this| (this.threads(name) > 0).then_some(()));
    }

    /// How many of its threads have a name.
    pub fn threads(&self, name: &str) -> usize {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.id())).into_iter().flatten();
        let named = |task: &std::fs::DirEntry| {
            std::fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm.trim() == name)
        };
        tasks.filter_map(Result::ok).filter(named).count()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.id()).ok().and_then(Pid::from_raw).expect("a process");
        kill_process(id, signal).expect("it is ours");
    }

    /// Waits for its end.
    #[track_caller]
    pub fn end(mut self) -> Ran {
        let command = self.command.clone();
        let status = until(&format!("{command} ends"), || self.child.try_wait().expect("it is ours"));
        Ran { code: status.code(), stdout: self.stdout.whole(&command), stderr: self.stderr.whole(&command) }
    }

    /// Ends it as Ctrl-C does.
    #[track_caller]
    pub fn interrupt(self) -> Ran {
        self.signal(Signal::INT);
        self.end()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // it may have ended
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
