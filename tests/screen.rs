//! `-o tui` in a real terminal, which tmux is: what it shows, what keys do, and that the terminal is given back.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Instant;

use portlabel::output::{Destination, Format, OnQuit, Settings, Spec, open};
use portlabel::snapshot::{Drops, FlowCounts, SNAPSHOT_SCHEMA, Snapshot, SourceInfo, SourceKind};
use tempfile::TempDir;

use crate::program::{PATIENCE, at, has};
use crate::running::Running;

/// A terminal with a shell in it, of 80 columns and 24 lines.
struct Terminal {
    folder: TempDir,
}

impl Terminal {
    fn open() -> Option<Self> {
        if !has("tmux", "the screen is not looked at in a terminal") {
            return None;
        }
        let terminal = Self { folder: tempfile::tempdir().expect("a folder") };
        terminal.tmux(&[
            "new-session",
            "-d",
            "-x",
            "80",
            "-y",
            "24",
            "env -u NO_COLOR RUST_BACKTRACE=0 PS1='> ' ENV= dash -i",
        ]);
        terminal.until("a prompt", |screen| screen.contains('>'));
        terminal.line(&format!("stty -g > {}", terminal.path("before").display()));
        terminal.until_file("before");
        terminal.line("clear");
        Some(terminal)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn tmux(&self, args: &[&str]) -> String {
        let socket = self.path("socket");
        let mut command = Command::new("tmux");
        command
            .args(["-u", "-f", "/dev/null", "-S"])
            .arg(socket)
            .args(args)
            .env("LC_ALL", "C.UTF-8")
            .env_remove("TMUX");
        let ran = command.output().expect("tmux runs");
        assert!(ran.status.success(), "{args:?}: {}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8_lossy(&ran.stdout).into_owned()
    }

    /// Presses keys by their names.
    fn keys(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    /// Types a line.
    fn line(&self, text: &str) {
        self.tmux(&["send-keys", "-l", text]);
        self.keys(&["Enter"]);
    }

    fn shown(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// Waits until the terminal shows something.
    fn until(&self, what: &str, is_there: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let shown = self.shown();
            if is_there(&shown) {
                return shown;
            }
            assert!(Instant::now() < deadline, "no {what}:\n{shown}");
        }
    }

    fn until_text(&self, text: &str) -> String {
        self.until(text, |shown| shown.contains(text))
    }

    /// Waits until a file has a whole line.
    fn until_file(&self, name: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let text = fs::read_to_string(self.path(name)).unwrap_or_default();
            if text.ends_with('\n') {
                return text;
            }
            // asking the terminal takes a moment, in which others work
            let shown = self.shown();
            assert!(Instant::now() < deadline, "{name} is not written:\n{shown}");
        }
    }

    /// Runs a program, which leaves its process id in `pid` and its exit code in `code`.
    fn run(&self, program: &str) {
        let (pid, code) = (self.path("pid"), self.path("code"));
        self.line(&format!("sh -c 'echo $$ > {}; exec {program}'; echo $? > {}", pid.display(), code.display()));
    }

    /// Runs portlabel on an input that does not end while it is held open, until the screen shows it.
    fn run_with_endless_input(&self, args: &str) -> File {
        let fifo = self.path("fifo");
        assert!(Command::new("mkfifo").arg(&fifo).status().expect("mkfifo runs").success());
        self.run(&portlabel(&format!("{args} {}", fifo.display())));
        let mut input = File::options().write(true).open(&fifo).expect("it is read");
        input.write_all(&fs::read(office()).expect("a capture")).expect("it is read");
        self.until_text("https :443");
        assert!(self.is_taken());
        input
    }

    fn signal(&self, signal: &str) {
        let pid = self.until_file("pid");
        let sent = Command::new("kill").args([signal, pid.trim()]).status().expect("kill runs");
        assert!(sent.success(), "{signal}");
    }

    /// The other screen is shown, and no cursor.
    fn is_taken(&self) -> bool {
        self.tmux(&["display-message", "-p", "#{alternate_on} #{cursor_flag}"]).trim() == "1 0"
    }

    /// Waits for the program's end, and holds the terminal against what it was before. Returns the exit code and what is
    /// shown.
    fn after(&self) -> (i32, String) {
        let code = self.until_file("code").trim().parse().expect("a number");
        self.assert_given_back("after");
        (code, self.shown())
    }

    fn assert_given_back(&self, file: &str) {
        self.line(&format!("stty -g > {}", self.path(file).display()));
        assert_eq!(self.until_file(file), self.until_file("before"), "the terminal's settings");
        let flags = self.tmux(&["display-message", "-p", "#{alternate_on} #{cursor_flag} #{mouse_any_flag}"]);
        assert_eq!(flags.trim(), "0 1 0", "the shell's screen, a cursor, no mouse");
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // it may have ended already
        let _ = Command::new("tmux").arg("-S").arg(self.path("socket")).arg("kill-server").output();
    }
}

fn portlabel(args: &str) -> String {
    format!("{} {args}", env!("CARGO_BIN_EXE_portlabel"))
}

fn office() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/office/capture.pcapng")
}

#[test]
fn keys_and_sizes_are_taken_and_the_table_stays() {
    let Some(terminal) = Terminal::open() else { return };
    terminal.run(&portlabel(&format!("-o tui {}", office().display())));
    let list = terminal.until_text("all read");
    for text in ["https :443", "172 packets", "not counted in files", "LAST MINUTE", "q quit"] {
        assert!(list.contains(text), "{text}\n{list}");
    }
    assert!(terminal.is_taken());

    terminal.keys(&["Down", "Enter"]);
    let one = terminal.until_text("SERVER PORTS");
    assert!(one.contains("https :443  tcp"), "{one}");
    terminal.tmux(&["resize-window", "-x", "200", "-y", "60"]);
    terminal.until_text("FLOW DURATION");
    terminal.keys(&["Escape"]);
    terminal.until("the list again, with all columns", |shown| shown.contains("EVIDENCE") && shown.contains("› https"));
    terminal.tmux(&["resize-window", "-x", "80", "-y", "24"]);
    terminal.until("fewer columns", |shown| shown.contains("ACTIVE") && !shown.contains("EVIDENCE"));
    terminal.keys(&["/", "d", "o", "m"]);
    terminal.until("one service", |shown| shown.contains("domain :53") && !shown.contains("https :443"));
    terminal.keys(&["Escape"]);
    terminal.until_text("https :443");
    terminal.keys(&["n"]);
    terminal.until("numbers", |shown| shown.contains("udp/53") && shown.contains("tcp/443"));
    terminal.keys(&["?"]);
    terminal.until_text("once more, Ctrl-C ends the program");

    terminal.keys(&["q"]);
    let (code, shown) = terminal.after();
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("164 of services + 8 without ports = 172 packets"), "{shown}");
}

#[test]
fn a_screen_says_how_far_reading_is_also_when_it_stays() {
    let Some(terminal) = Terminal::open() else { return };
    let _input = terminal.run_with_endless_input("-o tui");
    terminal.signal("-USR1");
    terminal.until_text("bytes read");
    terminal.keys(&["q"]);
    let (code, shown) = terminal.after();
    assert_eq!(code, 3, "{shown}");
    assert!(shown.contains("bytes read\n"), "{shown}");

    let Some(terminal) = Terminal::open() else { return };
    terminal.run(&portlabel(&format!("-o tui {}", office().display())));
    terminal.until_text("all read");
    terminal.signal("-USR1");
    let len = fs::metadata(office()).expect("it is there").len();
    terminal.until_text(&format!("{len} of {len} bytes read"));
    terminal.keys(&["q"]);
    let (code, shown) = terminal.after();
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("bytes read\n"), "{shown}");
}

#[test]
fn whatever_size_a_terminal_says_it_has_is_drawn() {
    let Some(terminal) = Terminal::open() else { return };
    terminal.line(&format!("tty > {}", terminal.path("tty").display()));
    let tty = terminal.until_file("tty");
    let say = |columns: &str, lines: &str| {
        let stty = Command::new("stty").args(["-F", tty.trim(), "cols", columns, "rows", lines]).status();
        assert!(stty.expect("stty runs").success(), "{columns} {lines}");
    };
    say("65535", "65535");
    terminal.run(&portlabel(&format!("-o tui {}", office().display())));
    terminal.until_text("https :443");
    assert!(terminal.is_taken());
    // in a window of 80 columns and 24 lines, any other picture looks otherwise; who says nothing is taken for such a one
    let is_whole = |shown: &str| shown.contains("https :443") && shown.contains("q quit") && shown.contains("all read");
    for columns_lines in [("65535", "65535"), ("1", "65535"), ("65535", "1"), ("1", "1")] {
        for sane in [("0", "0"), ("80", "24")] {
            say(sane.0, sane.1);
            terminal.until(&format!("picture of {sane:?}"), is_whole);
            say(columns_lines.0, columns_lines.1);
            terminal.until(&format!("picture of {columns_lines:?}"), |shown| !is_whole(shown));
        }
    }
    say("80", "24");
    terminal.until("picture of the window", is_whole);
    terminal.keys(&["q"]);
    let (code, shown) = terminal.after();
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("164 of services + 8 without ports = 172 packets"), "{shown}");
}

#[test]
fn a_signal_ends_the_run_in_order() {
    let Some(terminal) = Terminal::open() else { return };
    let _input = terminal.run_with_endless_input("-o tui");
    terminal.signal("-TERM");
    let (code, shown) = terminal.after();
    assert_eq!(code, 3, "{shown}");
    assert!(shown.contains("interrupted: the report covers"), "{shown}");
}

#[test]
fn a_window_that_is_closed_ends_the_run_in_order() {
    let Some(terminal) = Terminal::open() else { return };
    let report = terminal.path("report");
    let _input = terminal.run_with_endless_input(&format!("-o tui -o json={}", report.display()));
    let process = PathBuf::from("/proc").join(terminal.until_file("pid").trim());
    terminal.tmux(&["kill-server"]);
    let deadline = Instant::now() + PATIENCE;
    while process.exists() {
        assert!(Instant::now() < deadline, "it goes on");
        thread::yield_now();
    }
    let report = crate::program::document(&fs::read_to_string(report).expect("it is written"));
    assert_eq!((&report["final"], &report["packets"]), (&true.into(), &172.into()));
}

#[test]
fn the_shell_can_have_the_terminal_in_between() {
    let Some(terminal) = Terminal::open() else { return };
    terminal.run(&portlabel(&format!("-o tui {}", office().display())));
    terminal.until_text("https :443");
    for (round, stop) in ["C-z", "-TSTP"].into_iter().enumerate() {
        if stop.starts_with('-') {
            terminal.signal(stop);
        } else {
            terminal.keys(&[stop]);
        }
        terminal.until("the shell", |shown| shown.contains("Stopped") && !shown.contains("q quit"));
        terminal.assert_given_back(&format!("stopped-{round}"));
        terminal.line("clear; fg");
        terminal.until("the screen again", |shown| shown.contains("https :443") && shown.contains("q quit"));
        assert!(terminal.is_taken());
        terminal.keys(&["?"]);
        terminal.until_text("end the run");
        terminal.keys(&["?"]);
        terminal.until("no help", |shown| !shown.contains("end the run"));
    }
    // a stop that nobody is told of leaves the terminal as it is, and the shell may change that
    terminal.signal("-STOP");
    terminal.until_text("Stopped");
    terminal.tmux(&["send-keys", "-l", "stty sane; clear; fg"]);
    terminal.keys(&["C-j"]);
    terminal.until_text("https :443");
    terminal.keys(&["?"]);
    terminal.until_text("end the run");
    terminal.keys(&["C-c"]);
    terminal.until_text("164 of services");
    terminal.assert_given_back("after");
}

/// Where the cursor is, a slow line tells too late, and script(1) never: nothing here depends on it.
#[test]
fn a_terminal_that_answers_nothing_is_drawn_anew() {
    if !has("script", "there is no terminal that says nothing") {
        return;
    }
    let mut command = at("script");
    command.args(["-qec", &portlabel(&format!("-o tui {}", office().display())), "/dev/null"]);
    let mut program = Running::start(command.env("SHELL", "/bin/sh").env("TERM", "xterm").stdin(Stdio::piped()));
    let mut keys = program.take_input();
    program.await_state("draws", |program| program.stdout().contains("https").then_some(()));
    for key in [b"\x0c", b"?", b"\x0c", b"?"] {
        let drawn_len = program.stdout().len();
        keys.write_all(key).expect("it reads");
        program.await_state("draws anew", |program| (program.stdout().len() > drawn_len + 100).then_some(()));
    }
    keys.write_all(b"q").expect("it reads");
    let ended = program.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("164 of services"), "{}", ended.stdout);
}

#[test]
fn the_second_request_ends_the_program_at_once() {
    for (first, second, code) in [("-TERM", "-INT", 130), ("C-c", "C-c", 130), ("q", "-TERM", 143)] {
        let Some(terminal) = Terminal::open() else { return };
        terminal.run(&this_program("goes_on"));
        terminal.until_text("a message");
        let request = |request: &str| {
            if request.starts_with('-') { terminal.signal(request) } else { terminal.keys(&[request]) }
        };
        request(first);
        terminal.until_text("ENDING");
        request(second);
        assert_eq!(terminal.after().0, code, "{first} {second}");
    }
}

#[test]
fn signals_that_end_the_program_give_the_terminal_back() {
    for (signal, code) in [("-QUIT", 131), ("-USR2", 140), ("-ALRM", 142), ("-ABRT", 134)] {
        let Some(terminal) = Terminal::open() else { return };
        terminal.run(&format!("sh -c \"ulimit -c 0; exec {}\"", portlabel(&format!("-o tui {}", office().display()))));
        terminal.until_text("https :443");
        assert!(terminal.is_taken());
        terminal.signal(signal);
        assert_eq!(terminal.after().0, code, "{signal}");
    }
}

#[test]
fn a_panic_is_printed_on_the_terminal_as_it_was() {
    let Some(terminal) = Terminal::open() else { return };
    terminal.run(&this_program("panics"));
    terminal.until_text("a message");
    assert!(terminal.is_taken());
    terminal.keys(&["q"]);
    let (code, shown) = terminal.after();
    assert_eq!(code, 101, "{shown}");
    for text in ["thread 'counts' (", ") panicked at", "portlabel: a message"] {
        assert!(shown.contains(text), "{text}\n{shown}");
    }
}

#[test]
fn without_a_terminal_there_is_no_screen() {
    let ran = crate::program::run(&["-o", "tui", office().to_str().expect("UTF-8")]);
    assert_eq!(ran.code, Some(1));
    let want =
        "portlabel: tui: standard output is no terminal that a screen can be drawn on; take 'table' or 'ndjson'\n";
    assert_eq!((ran.stderr.as_str(), ran.stdout.as_str()), (want, ""));
}

/// The command line of one of the programs below, which are tests only so that they are in this binary.
fn this_program(name: &str) -> String {
    let binary = std::env::current_exe().expect("it runs");
    format!("{} --exact screen::{name} --ignored --nocapture", binary.display())
}

/// A screen with a snapshot and a message on it, and what is called when its user wants the end.
fn screen(on_quit: &OnQuit) -> Box<dyn portlabel::output::Output + Send> {
    let spec = Spec { format: Format::Tui, destination: Destination::Stdout };
    let mut output = open(&spec, &Settings::default(), on_quit).expect("a terminal");
    output.start().expect("a terminal");
    let source = SourceInfo { kind: SourceKind::Live, names: vec!["eth0".into()], host: None, filter: None };
    let snapshot = Snapshot {
        schema: SNAPSHOT_SCHEMA,
        version: "0",
        sequence: 1,
        is_final: false,
        source: source.into(),
        settings: std::sync::Arc::default(),
        ts: None,
        first_ts: None,
        last_ts: None,
        packets: 0,
        wire_bytes: 0,
        time_jumps: 0,
        drops: Drops::default(),
        flows: FlowCounts::default(),
        learned_forgotten: 0,
        histograms_refused: 0,
        interval: None,
        services: Vec::new(),
        portless: Vec::new(),
    };
    output.snapshot(&Arc::new(snapshot)).expect("it never waits");
    assert!(output.message("a message"));
    output
}

#[test]
#[ignore = "a program for the_second_request_ends_the_program_at_once"]
fn goes_on() {
    let on_quit: OnQuit = Arc::new(|| ());
    let _output = screen(&on_quit);
    let (_sender, receiver) = channel::<()>();
    receiver.recv_timeout(PATIENCE).expect_err("it is ended from outside");
}

#[test]
#[ignore = "a program for a_panic_is_printed_on_the_terminal_as_it_was"]
fn panics() {
    let (sender, receiver) = channel();
    let sender = std::sync::Mutex::new(sender);
    let on_quit: OnQuit =
        Arc::new(move || sender.lock().expect("nobody panics with it").send(()).expect("it is awaited"));
    let _output = screen(&on_quit);
    receiver.recv_timeout(PATIENCE).expect("q is pressed");
    let counts = thread::Builder::new().name("counts".to_owned()).spawn(|| panic!("as it should")).expect("a thread");
    counts.join().expect("it does not");
}
