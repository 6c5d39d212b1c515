//! Programs that are stopped (SIGSTOP) and go on (SIGCONT).

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rustix::fs::{CWD, Mode, mkfifoat};
use rustix::process::Signal;
use serde_json::Value;

use super::datagrams;
use crate::live::{Datagrams, Folder, ONLY_DATAGRAMS, assert_conserved, counters, documents, watch};
use crate::netns::Wire;
use crate::program::{count, document, portlabel};
use crate::running::{Running, until};

/// Stops a program, for so long.
fn stop_for(program: &mut Running, time: Duration, act: impl FnOnce()) {
    program.signal(Signal::STOP);
    let begun = Instant::now();
    program.await_state("stands still", |program| {
        let status = std::fs::read_to_string(format!("/proc/{}/status", program.id())).unwrap_or_default();
        status.contains("State:\tT").then_some(())
    });
    act();
    until(&"time passes", || (begun.elapsed() >= time).then_some(()));
    program.signal(Signal::CONT);
}

fn edge(line: &Value, name: &str) -> Timestamp {
    line["interval"][name].as_str().and_then(|text| text.parse().ok()).expect("a time")
}

#[test]
fn a_live_run_that_was_stopped_tells_of_its_silence_in_short() {
    let Some(wire) = Wire::new() else { return };
    let args = ["-i", "eth0", "-o", "ndjson", "--interval", "10ms", ONLY_DATAGRAMS[0], ONLY_DATAGRAMS[1]];
    let mut program = watch(&wire.client, &args);
    let datagrams = Datagrams::new(&wire, 0);
    datagrams.send(3, b"before");
    program.await_state("counts", |program| documents(program).iter().any(|line| line["packets"] == 3).then_some(()));
    // two hundred intervals, of which no more than sixty are reported one by one
    stop_for(&mut program, Duration::from_secs(2), || datagrams.send(5, b"meanwhile"));
    let skips = |line: &Value| count(line, "/interval/skipped_snapshots") > 0;
    let at = program.await_state("tells what it left out", |program| documents(program).iter().position(skips));
    datagrams.send(2, b"after");
    program.await_state("goes on", |program| documents(program).get(at + 20).map(|_| ()));
    let ended = program.interrupt();
    assert_eq!((ended.code, counters(&ended.stderr)), (Some(0), [10, 10, 0]), "{ended:?}");
    let lines = ended.json_lines();
    for pair in lines.windows(2) {
        let [before, line] = pair else { unreachable!("two of them") };
        // snapshots that a busy machine left out on their way have numbers; those that were never taken have none
        let skipped = count(line, "/interval/skipped_snapshots");
        let since = edge(line, "start").duration_since(edge(before, "end"));
        let silent = Duration::try_from(since).expect("no interval is from before another").as_millis() / 10;
        assert_eq!(u128::from(skipped), silent, "{before:#} {line:#}");
    }
    let left_out: u64 = lines.iter().map(|line| count(line, "/interval/skipped_snapshots")).sum();
    assert!(left_out >= 100, "{left_out}");
    let last = lines.last().expect("a final one");
    assert_conserved(last);
    assert_eq!((count(last, "/packets"), count(last, "/time_jumps")), (10, 0));
}

#[test]
fn a_capture_whose_reader_was_stopped_is_read_whole_and_served() {
    let folder = Folder::new();
    let fifo = folder.path("fifo");
    mkfifoat(CWD, &fifo, Mode::RUSR | Mode::WUSR).expect("a FIFO");
    for served in [&[][..], &["-Z", "root", "--listen", "127.0.0.1:0"]] {
        let mut command = portlabel();
        command.arg(&fifo).args(["-o", "ndjson", "--interval", "1s"]).args(served);
        let mut program = Running::start(&mut command);
        let mut writer = File::options().write(true).open(&fifo).expect("a FIFO");
        let file = datagrams(100);
        let (before, meanwhile) = file.split_at(3_000);
        writer.write_all(before).expect("it reads");
        program.await_state("reports", |program| documents(program).first().map(|_| ()));
        stop_for(&mut program, Duration::from_millis(300), || {
            writer.write_all(meanwhile).expect("less than a pipe holds");
        });
        drop(writer);
        let is_final = |line: &Value| line["final"] == true;
        let ended = if served.is_empty() {
            program.end()
        } else {
            program.await_state("has read it", |program| documents(program).iter().any(is_final).then_some(()));
            program.interrupt()
        };
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let lines = ended.json_lines();
        let packets: Vec<_> = lines.iter().map(|line| count(line, "/packets")).collect();
        assert_eq!(packets, (1..=10).map(|second| second * 10).collect::<Vec<_>>());
        assert!(lines.iter().all(|line| line["interval"]["complete"] == true));
    }
}

#[test]
fn a_log_that_was_moved_away_is_followed_by_another_while_a_capture_is_read() {
    let folder = Folder::new();
    let (fifo, log, moved) = (folder.path("fifo"), folder.path("log"), folder.path("moved"));
    mkfifoat(CWD, &fifo, Mode::RUSR | Mode::WUSR).expect("a FIFO");
    let mut command = portlabel();
    command.arg(&fifo).args(["-o", &format!("ndjson={}", log.display()), "--interval", "1s"]);
    let mut program = Running::start(&mut command);
    let mut writer = File::options().write(true).open(&fifo).expect("a FIFO");
    let file = datagrams(100);
    let (before, after) = file.split_at(file.len() / 2);
    writer.write_all(before).expect("it reads");
    let lines = |path: &Path| std::fs::read_to_string(path).unwrap_or_default().lines().count();
    program.await_state("reports", |_| (lines(&log) > 3).then_some(()));
    std::fs::rename(&log, &moved).expect("it is there");
    program.signal(Signal::HUP);
    program.await_state("begins another", |_| log.exists().then_some(()));
    writer.write_all(after).expect("it reads");
    drop(writer);
    let ended = program.end();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert_eq!(lines(&moved) + lines(&log), 10, "no line is lost");
    let last = std::fs::read_to_string(&log).expect("it is there");
    assert_eq!(count(&document(last.lines().last().expect("a final one")), "/packets"), 100);
}
