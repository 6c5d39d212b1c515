//! Clocks and signals: intervals on a silent wire, and every way to end a run.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _, pipe};
use std::path::Path;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rustix::io::ioctl_fionread;
use rustix::pipe::fcntl_setpipe_size;
use rustix::process::Signal;
use serde_json::Value;

use super::{
    Datagrams, Folder, ONLY_DATAGRAMS, PROGRAM, assert_conserved, count, counters, documents, report, watch, watching,
};
use crate::netns::Wire;
use crate::program::{Ran, document};
use crate::running::{Running, until};

/// How soon a run ends that was told to.
const AT_ONCE: Duration = Duration::from_millis(500);
/// A machine that is busy with something else may be late; one that is late as often as this has no such excuse.
const ATTEMPTS: usize = 3;

/// What a run that lasts a moment is watched with: nothing passes unless the test sends it.
const SILENT: [&str; 4] = ["-i", "eth0", ONLY_DATAGRAMS[0], ONLY_DATAGRAMS[1]];

fn args<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&SILENT, more].concat()
}

fn instant(value: &Value) -> Timestamp {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{value} is no time"))
}

#[test]
fn intervals_tick_on_a_silent_wire() {
    let Some(wire) = Wire::new() else { return };
    let late = (0..ATTEMPTS).map(|_| ticks_late(&wire)).find(Option::is_none);
    assert!(late.is_some(), "in none of {ATTEMPTS} attempts did every interval come within a second of its end");
}

/// Whether an interval came late.
fn ticks_late(wire: &Wire) -> Option<Duration> {
    let mut program = watch(&wire.client, &args(&["-o", "ndjson"]));
    let mut intervals = Vec::new();
    let mut late = None;
    for number in 0..4 {
        let what = format!("prints interval {number}");
        let line = program.await_state(&what, |program| documents(program).into_iter().nth(number));
        let seen = Timestamp::now();
        let [start, end] = ["start", "end"].map(|edge| instant(&line["interval"][edge]));
        assert!(seen >= end, "before it is over: {line:#}");
        late = late
            .max(Duration::try_from(seen.duration_since(end)).ok().filter(|after| *after >= Duration::from_secs(1)));
        assert_eq!((count(&line, "/packets"), count(&line, "/interval/skipped_snapshots")), (0, 0));
        assert_eq!((line["final"].as_bool(), line["interval"]["complete"].as_bool()), (Some(false), Some(number > 0)));
        intervals.push((start, end));
    }
    for (start, end) in &intervals {
        assert_eq!((start.subsec_nanosecond(), end.as_second() - start.as_second()), (0, 1), "{intervals:?}");
    }
    assert!(intervals.windows(2).all(|pair| pair[0].1 == pair[1].0), "none is left out: {intervals:?}");
    let ended = program.interrupt();
    assert_eq!((ended.code, last(&ended)["final"].as_bool()), (Some(0), Some(true)));
    late
}

/// The final snapshot of a run that prints several.
fn last(ran: &Ran) -> Value {
    ran.json_lines().pop().unwrap_or_else(|| panic!("it prints nothing: {ran:?}"))
}

#[test]
fn the_first_signal_ends_a_silent_run_at_once() {
    let Some(wire) = Wire::new() else { return };
    for signal in [Signal::INT, Signal::TERM] {
        let took = (0..ATTEMPTS).map(|_| {
            let program = watch(&wire.client, &args(&["-o", "json"]));
            let begun = Instant::now();
            program.signal(signal);
            let ended = program.end();
            let took = begun.elapsed();
            assert_eq!(count(&report(&ended), "/packets"), 0);
            assert_eq!(
                ended.stderr, "0 packets captured\n0 packets received by filter\n0 packets dropped by kernel\n",
                "{signal:?}"
            );
            took
        });
        let took: Vec<_> = took.collect();
        assert!(took.iter().any(|took| *took <= AT_ONCE), "{signal:?}: {took:?}");
    }
}

#[test]
fn the_second_signal_ends_a_run_that_cannot_end() {
    let Some(wire) = Wire::new() else { return };
    // a pipe that is full: whoever writes to it waits for ever
    let (reader, mut writer) = pipe().expect("a pipe");
    let page = [b'\n'; 4096];
    rustix::pipe::fcntl_setpipe_size(&writer, page.len()).expect("a size");
    writer.write_all(&page).expect("it takes as much");
    let mut command = wire.client.command(PROGRAM);
    let mut program = Running::start_into(command.args(args(&["-o", "json"])), writer);
    program.await_thread("capture");
    program.signal(Signal::INT);
    program.await_state("takes the first signal", |program| (program.threads("capture") == 0).then_some(()));
    program.signal(Signal::INT);
    let ended = program.end();
    assert_eq!(ended.code, Some(130), "{ended:?}");
    drop(reader);
}

#[test]
fn a_reader_that_pauses_holds_up_nothing_else() {
    let Some(wire) = Wire::new() else { return };
    let folder = Folder::new();
    let (log, moved) = (folder.path("log.ndjson"), folder.path("log.1.ndjson"));
    let to_log = format!("ndjson={}", log.display());
    let (reader, writer) = pipe().expect("a pipe");
    rustix::pipe::fcntl_setpipe_size(&writer, 4096).expect("a size");
    let mut command = wire.client.command(PROGRAM);
    let args = args(&["-o", "ndjson", "-o", &to_log, "--interval", "20ms"]);
    let mut program = Running::start_into(command.args(args), writer);
    let lines = |path: &Path| fs::read_to_string(path).unwrap_or_default().lines().count();
    // more than the pipe and the queue before it hold
    program.await_state("goes on with the log", |_| (lines(&log) > 400).then_some(()));
    program.signal(Signal::USR1);
    program.await_saying("0 packets captured\n");
    fs::rename(&log, &moved).expect("it is there");
    program.signal(Signal::HUP);
    program.await_state("opens the log anew", |_| (lines(&log) > 3).then_some(()));
    let datagrams = Datagrams::new(&wire, 0);
    datagrams.send(9, b"counted");
    program.await_state("counts", |_| fs::read_to_string(&log).ok()?.contains("\"packets\":9,").then_some(()));
    // the reader goes on, and misses what is told to be missing
    let (mut next, mut skipped) = (1, 0);
    let mut lines = BufReader::new(reader).lines().map(|line| document(&line.expect("a line")));
    let mut read = |line: &Value| {
        skipped += count(line, "/interval/skipped_snapshots");
        assert_eq!(count(line, "/sequence"), next + count(line, "/interval/skipped_snapshots"), "{line:#}");
        next = count(line, "/sequence") + 1;
        count(line, "/packets")
    };
    let caught_up = lines.by_ref().find(|line| read(line) == 9).is_some();
    assert!(caught_up, "the run ends before it prints what came");
    program.signal(Signal::INT);
    let last = lines.inspect(|line| assert_eq!(read(line), 9)).last().expect("a final snapshot");
    let ended = program.end();
    assert_eq!((ended.code, last["final"].as_bool()), (Some(0), Some(true)), "{ended:?}");
    assert!(skipped > 0, "there was room for everything");
    let told = format!("ndjson to standard output: {skipped} snapshots left out, because the reader was too slow\n");
    assert!(ended.stderr.contains(&told), "{told}{ended:?}");
    let whole: Vec<_> = [&moved, &log]
        .into_iter()
        .flat_map(|path| fs::read_to_string(path).expect("it is there").lines().map(document).collect::<Vec<_>>())
        .collect();
    let sequence: Vec<_> = whole.iter().map(|line| count(line, "/sequence")).collect();
    assert!(sequence.iter().zip(1..).all(|(found, want)| *found == want), "the log lacks nothing: {sequence:?}");
}

#[test]
fn counters_are_printed_when_asked_for() {
    let Some(wire) = Wire::new() else { return };
    let mut program = watch(&wire.client, &args(&["-o", "ndjson"]));
    let datagrams = Datagrams::new(&wire, 0);
    datagrams.send(2, b"two");
    program.await_state("counts", |program| documents(program).into_iter().find(|line| line["packets"] == 2));
    program.signal(Signal::USR1);
    program.await_saying("2 packets captured\n2 packets received by filter\n0 packets dropped by kernel\n");
    datagrams.send(3, b"three");
    let ended = program.interrupt();
    assert_eq!((ended.code, count(&last(&ended), "/packets")), (Some(0), 5));
    assert_eq!(counters(&ended.stderr), [5, 5, 0]);
    assert_eq!(ended.stderr.lines().count(), 6, "{ended:?}");
}

#[test]
fn a_number_of_packets_ends_a_run() {
    let Some(wire) = Wire::new() else { return };
    let program = watch(&wire.client, &args(&["-o", "json", "-c", "5"]));
    Datagrams::new(&wire, 0).send(20, b"more than are wanted");
    let ended = program.end();
    let report = report(&ended);
    assert_eq!((count(&report, "/packets"), counters(&ended.stderr)[0]), (5, 5));
}

#[test]
fn a_duration_ends_a_run() {
    let Some(wire) = Wire::new() else { return };
    let begun = Instant::now();
    let program = watch(&wire.client, &args(&["-o", "json", "-a", "1s"]));
    Datagrams::new(&wire, 0).send(7, b"in time");
    let ended = program.end();
    assert!(begun.elapsed() >= Duration::from_secs(1));
    assert_eq!(count(&report(&ended), "/packets"), 7);
}

#[test]
fn a_run_that_nobody_reads_ends() {
    let Some(wire) = Wire::new() else { return };
    let (reader, writer) = pipe().expect("a pipe");
    let mut command = wire.client.command(PROGRAM);
    let program = Running::start_into(command.args(args(&["-o", "ndjson", "--interval", "100ms"])), writer);
    let mut line = String::new();
    let mut reader = BufReader::new(reader);
    reader.read_line(&mut line).expect("a line");
    document(&line);
    drop(reader);
    let ended = program.end();
    assert_eq!((ended.code, counters(&ended.stderr)), (Some(0), [0, 0, 0]));
}

/// What a run waits for is told, and everything else of it: whoever ends it then with a second signal loses nothing else.
#[test]
fn a_reader_that_takes_nothing_is_named_at_the_end() {
    let Some(wire) = Wire::new() else { return };
    let (reader, writer) = pipe().expect("a pipe");
    // less than two lines
    fcntl_setpipe_size(&writer, 4096).expect("a pipe");
    let mut command = wire.client.command(PROGRAM);
    let mut program = Running::start_into(command.args(args(&["-o", "ndjson", "--interval", "10ms"])), writer);
    program.await_thread("capture");
    Datagrams::new(&wire, 0).send(4, b"four");
    until(&"something was written", || (ioctl_fionread(&reader).expect("a pipe") > 0).then_some(()));
    program.signal(Signal::INT);
    program.await_saying(
        "ndjson to standard output: waiting for its reader to take the rest; a second signal ends at once",
    );
    program.await_saying("packets dropped by kernel");
    assert_eq!(counters(&program.stderr()), [4, 4, 0]);
    let mut rest = String::new();
    BufReader::new(reader).read_to_string(&mut rest).expect("text");
    let ended = program.end();
    assert_eq!((ended.code, counters(&ended.stderr)), (Some(0), [4, 4, 0]), "{ended:?}");
    assert_eq!(ended.stderr.matches("dropped by kernel").count(), 1, "{}", ended.stderr);
    assert_conserved(&document(rest.lines().last().expect("a final one")));
}

#[test]
fn what_the_kernel_holds_at_the_end_is_counted() {
    let Some(wire) = Wire::new() else { return };
    let mut command = wire.client.command(PROGRAM);
    let program = watching(command.args(args(&["-o", "json"])));
    let datagrams = Datagrams::new(&wire, 0);
    datagrams.send(5000, b"just in time");
    let ended = program.interrupt();
    let report = report(&ended);
    assert_conserved(&report);
    assert_eq!((count(&report, "/packets"), counters(&ended.stderr)), (5000, [5000, 5000, 0]));
}

#[test]
fn two_signals_at_once_are_one_request() {
    let Some(wire) = Wire::new() else { return };
    for signal in [Signal::INT, Signal::TERM] {
        let program = watch(&wire.client, &args(&["-o", "json"]));
        Datagrams::new(&wire, 0).send(3, b"three");
        // as timeout(1) does: to the program, and to its group
        program.signal(signal);
        program.signal(signal);
        assert_eq!(count(&report(&program.end()), "/packets"), 3, "{signal:?}");
    }
}

#[test]
fn a_terminal_that_goes_ends_a_run_in_order() {
    let Some(wire) = Wire::new() else { return };
    let program = watch(&wire.client, &args(&["-o", "json"]));
    Datagrams::new(&wire, 0).send(3, b"three");
    program.signal(Signal::HUP);
    assert_eq!(count(&report(&program.end()), "/packets"), 3);
    // with a request beside it, as systemd may send both
    for (first, second) in [(Signal::TERM, Signal::HUP), (Signal::HUP, Signal::TERM)] {
        let program = watch(&wire.client, &args(&["-o", "json"]));
        program.signal(first);
        program.signal(second);
        report(&program.end());
    }
    // unless somebody wants it to go on
    for rights in [&[][..], &["-Z", "nobody"]] {
        let mut command = wire.client.command("nohup");
        let mut program = super::watching(command.arg(PROGRAM).args(args(&["-o", "json"])).args(rights));
        program.signal(Signal::HUP);
        Datagrams::new(&wire, 0).send(3, b"three");
        program.signal(Signal::USR1);
        program.await_saying("captured\n");
        assert_eq!(count(&report(&program.interrupt()), "/packets"), 3, "{rights:?}");
    }
}
