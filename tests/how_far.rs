//! SIGUSR1 asks a run over captures how far it is, and the run goes on.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::{CWD, Mode, mkfifoat};
use rustix::process::Signal;
use serde_json::Value;

use crate::cases::Case;
use crate::faults::datagrams;
use crate::live::documents;
use crate::program::{at, count, has, portlabel, portlabel_on_one_processor};
use crate::running::{Running, until};

fn fifo(folder: &Path) -> PathBuf {
    let path = folder.join("fifo");
    mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).expect("a FIFO");
    path
}

/// Asks, again and again, until the answer is that one.
fn await_answer(program: &mut Running, answer: &str) {
    program.await_state(&format!("says {answer:?}"), |program| {
        program.signal(Signal::USR1);
        program.stderr().contains(answer).then_some(())
    });
}

#[test]
fn a_run_that_waits_for_its_input_says_how_far_it_is_and_goes_on() {
    let office = Case::named("office").bytes();
    let (first, rest) = office.split_at(office.len() / 2);
    let folder = tempfile::tempdir().expect("a folder");
    let fifo = fifo(folder.path());
    for is_pipe in [true, false] {
        for mut command in [portlabel(), portlabel_on_one_processor()] {
            let input = if is_pipe { Path::new("-") } else { &fifo };
            command.args(["-o", "json"]).arg(input);
            let mut program = Running::start(command.stdin(Stdio::piped()));
            // it is not heard before
            program.await_thread("signals");
            await_answer(&mut program, "0 packets read\n0 bytes read\n");
            let mut writer: Box<dyn std::io::Write> = if is_pipe {
                Box::new(program.take_input())
            } else {
                Box::new(File::options().write(true).open(&fifo).expect("it is read"))
            };
            writer.write_all(first).expect("it is read");
            await_answer(&mut program, &format!(" packets read\n{} bytes read\n", first.len()));
            writer.write_all(rest).expect("it is read");
            await_answer(&mut program, &format!("172 packets read\n{} bytes read\n", office.len()));
            drop(writer);
            let ran = program.end();
            assert_eq!((ran.code, &ran.json()["packets"]), (Some(0), &172.into()));
            // and nothing else
            assert!(ran.stderr.lines().all(|line| line.ends_with(" read")), "{}", ran.stderr);
        }
    }
}

#[test]
fn who_asks_is_told_how_far_a_capture_is_and_it_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let fifo = fifo(folder.path());
    let file = datagrams(100);
    let (before, after) = file.split_at(file.len() / 2);
    let (half, whole) = (before.len(), file.len());
    for served in [&[][..], &["-Z", "root", "--listen", "127.0.0.1:0"]] {
        let mut command = portlabel();
        command.arg(&fifo).args(["-o", "ndjson", "--interval", "1s"]).args(served);
        let mut program = Running::start(&mut command);
        let mut writer = File::options().write(true).open(&fifo).expect("a FIFO");
        writer.write_all(before).expect("it reads");
        program.await_state("reports", |program| documents(program).get(3).map(|_| ()));
        program.signal(Signal::USR1);
        // the record that was cut in two is read by then, and no packet yet
        program.await_saying(&format!("49 packets read\n{half} bytes read\n"));
        writer.write_all(after).expect("it reads");
        drop(writer);
        let ended = if served.is_empty() {
            program.end()
        } else {
            let is_final = |line: &Value| line["final"] == true;
            program.await_state("has read it", |program| documents(program).iter().any(is_final).then_some(()));
            program.signal(Signal::USR1);
            program.await_saying(&format!("100 packets read\n{whole} bytes read\n"));
            program.interrupt()
        };
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(count(ended.json_lines().last().expect("a final one"), "/packets"), 100);
    }
}

/// On a terminal, and with a file whose length is known beside a FIFO whose is not, there is a progress bar meanwhile.
#[test]
fn the_progress_bar_does_not_break_the_answer() {
    if !has("script", "there is no terminal for a progress bar") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (fifo, pid) = (fifo(folder.path()), folder.path().join("pid"));
    let line = format!(
        "echo $$ > {}; exec {} -o json={} {} {}",
        pid.display(),
        env!("CARGO_BIN_EXE_portlabel"),
        folder.path().join("report").display(),
        Case::named("office").capture.display(),
        fifo.display()
    );
    let mut program = Running::start(at("script").args(["-qefc", &line, "/dev/null"]).env("SHELL", "/bin/sh"));
    let mut writer = File::options().write(true).open(&fifo).expect("it is read");
    writer.write_all(&Case::named("office").bytes()).expect("it is read");
    program.await_state("shows a bar", |program| program.stdout().contains("% ").then_some(()));
    let pid = until(&"a process", || fs::read_to_string(&pid).ok().filter(|pid| pid.ends_with('\n')));
    program.await_state("says how far", |program| {
        assert!(Command::new("kill").args(["-USR1", pid.trim()]).status().expect("kill runs").success());
        program.stdout().contains("344 packets read").then_some(())
    });
    drop(writer);
    let ran = program.end();
    assert_eq!(ran.code, Some(0));
    assert!(ran.stdout.contains("\r\u{1b}[2K344 packets read\r\n"), "{:?}", ran.stdout);
    // nobody knows how many there are in all
    let bytes = 2 * Case::named("office").bytes().len();
    assert!(ran.stdout.contains(&format!("\r\u{1b}[2K{bytes} bytes read\r\n")), "{:?}", ran.stdout);
}
