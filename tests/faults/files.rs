//! Files that are removed, moved, cut or grow while they are read or written; readers that go away.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, PipeReader, Write as _, pipe};
use std::path::Path;
use std::process::Stdio;

use rustix::fs::{CWD, Mode, mkfifoat};

use super::{FORMATS, RECORD_LEN, assert_reports, capture, datagrams, lines};
use crate::live::{Datagrams, Folder, ONLY_DATAGRAMS, PROGRAM, counters, documents, watch, watching};
use crate::netns::Wire;
use crate::program::{Ran, at, count, document, end_of, portlabel, ran, run_with_input};
use crate::running::{Running, until};

/// Outputs in a folder, as the command line has them.
fn outputs(folder: &Folder, formats: &[&str]) -> Vec<String> {
    formats.iter().flat_map(|format| ["-o".to_owned(), format!("{format}={}", folder.text(format))]).collect()
}

/// The arguments of a live run that reports each tenth of a second, to files and on standard output.
fn live_args(outputs: &[String]) -> Vec<&str> {
    let args = ["-i", "eth0", "-Z", "root", "--interval", "100ms", "-o", "ndjson"];
    args.into_iter().chain(outputs.iter().map(String::as_str)).chain(ONLY_DATAGRAMS).collect()
}

/// Waits until a live run has reported so many packets on standard output, and a log has them too.
#[track_caller]
fn await_packets(program: &mut Running, packets: u64, log: &Path) {
    let has = |line: &serde_json::Value| count(line, "/packets") == packets;
    program.await_state("counts", |program| documents(program).iter().any(has).then_some(()));
    let needle = format!("\"packets\":{packets},");
    until(&"the log has them", || fs::read_to_string(log).is_ok_and(|text| text.contains(&needle)).then_some(()));
}

#[test]
fn outputs_that_are_removed_are_there_in_the_end() {
    let Some(wire) = Wire::new() else { return };
    let folder = Folder::new();
    let saved = folder.text("saved.pcapng");
    let outputs = [outputs(&folder, &FORMATS), vec!["-w".to_owned(), saved.clone()]].concat();
    let mut program = watch(&wire.client, &live_args(&outputs));
    let datagrams = Datagrams::new(&wire, 0);
    datagrams.send(3, b"before");
    await_packets(&mut program, 3, &folder.path("ndjson"));
    for format in FORMATS {
        // each is written by a thread of its own
        until(&format!("{format} is there and removed"), || fs::remove_file(folder.path(format)).ok());
    }
    fs::remove_file(&saved).expect("it is there");
    let logs = ["ndjson", "csv", "flows"];
    for format in logs {
        let told =
            format!("portlabel: {format} to {}: the file was removed; going on in a new one\n", folder.text(format));
        program.await_saying(&told);
    }
    program.await_saying(&format!("portlabel: {saved}: it was removed, with the packets in it; no more are saved\n"));
    datagrams.send(4, b"after");
    await_packets(&mut program, 7, &folder.path("ndjson"));
    let ended = program.interrupt();
    // what was saved is not there
    assert_eq!((ended.code, counters(&ended.stderr)), (Some(1), [7, 7, 0]), "{ended:?}");
    assert_eq!(ended.stderr.matches("removed").count(), logs.len() + 1, "{ended:?}");
    let read = |format: &str| fs::read_to_string(folder.path(format)).expect("it is there again");
    assert_eq!(count(&document(&read("json")), "/packets"), 7);
    assert_eq!(lines(&folder.path("ndjson")).last().map(|line| count(line, "/packets")), Some(7));
    assert_eq!(lines(&folder.path("flows")).len(), 1, "flows end with the run");
    assert!(read("csv").starts_with("ts,service,transport,") && read("csv").lines().count() > 1);
    assert!(read("prometheus").contains("portlabel_read_packets_total 7\n"));
    assert!(read("table").contains("7 packets") && read("html").contains("\"packets\":7,"));
}

#[test]
fn outputs_that_are_moved_away_are_told_apart_from_those_that_are_removed() {
    let Some(wire) = Wire::new() else { return };
    let folder = Folder::new();
    fs::write(folder.path("json"), "yesterday's report").expect("room");
    let outputs = outputs(&folder, &["ndjson", "json", "table"]);
    let mut program = watch(&wire.client, &live_args(&outputs));
    let datagrams = Datagrams::new(&wire, 0);
    datagrams.send(3, b"before");
    await_packets(&mut program, 3, &folder.path("ndjson"));
    for format in ["ndjson", "json"] {
        fs::rename(folder.path(format), folder.path(&format!("{format}.1"))).expect("it is there");
    }
    // and a file that somebody else has put in place of another
    fs::write(folder.path("other"), "something else, which is longer than any table of one row ".repeat(100))
        .expect("room");
    fs::rename(folder.path("other"), folder.path("table")).expect("room");
    datagrams.send(4, b"after");
    await_packets(&mut program, 7, &folder.path("ndjson.1"));
    let ended = program.interrupt();
    assert_eq!((ended.code, ended.stderr.lines().count()), (Some(0), 3), "there is nothing to tell: {ended:?}");
    // a log goes on where it is until SIGHUP; what replaces a file replaces the one that has the name
    assert!(!folder.path("ndjson").exists());
    let sequence: Vec<_> = lines(&folder.path("ndjson.1")).iter().map(|line| count(line, "/sequence")).collect();
    assert!(sequence.iter().zip(1..).all(|(found, want)| *found == want), "{sequence:?}");
    assert_eq!(fs::read_to_string(folder.path("json.1")).expect("it was moved"), "yesterday's report");
    assert_eq!(count(&document(&fs::read_to_string(folder.path("json")).expect("it is new")), "/packets"), 7);
    let table = fs::read_to_string(folder.path("table")).expect("it is there");
    assert!(table.contains("7 packets") && !table.contains("something else"), "{table}");
}

#[test]
fn a_folder_that_goes_is_told_and_written_to_when_it_is_there_again() {
    let Some(wire) = Wire::new() else { return };
    for comes_again in [true, false] {
        let folder = Folder::new();
        let formats = if comes_again { &["ndjson", "csv", "flows", "prometheus"][..] } else { &FORMATS };
        let outputs = outputs(&folder, formats);
        let mut program = watch(&wire.client, &live_args(&outputs));
        Datagrams::new(&wire, 0).send(3, b"before");
        await_packets(&mut program, 3, &folder.path("ndjson"));
        // files are created in it meanwhile
        until(&"the folder is removed", || fs::remove_dir_all(folder.path("")).ok());
        for format in ["ndjson", "csv", "flows"] {
            program.await_saying(&format!(
                "portlabel: {}: cannot open for writing: No such file or directory (os error 2), \
                 in place of the one that was removed; trying again with each report\n",
                folder.text(format)
            ));
        }
        program.await_saying(&format!("{}: cannot replace it: No such file or directory", folder.text("prometheus")));
        if comes_again {
            fs::create_dir(folder.path("")).expect("room");
            for format in formats {
                program.await_saying(&format!("{format} to {}: is written again", folder.text(format)));
            }
            await_packets(&mut program, 3, &folder.path("ndjson"));
        }
        Datagrams::new(&wire, 0).send(4, b"after");
        let ended = program.interrupt();
        assert_eq!((ended.code, counters(&ended.stderr)), (Some(1), [7, 7, 0]), "{ended:?}");
        let last = ended.json_lines().pop().expect("a final snapshot");
        assert_eq!(count(&last, "/packets"), 7);
        if !comes_again {
            for format in ["json", "table", "html"] {
                let told = format!("portlabel: {}: No such file or directory (os error 2)\n", folder.text(format));
                assert!(ended.stderr.contains(&told), "{format}: {ended:?}");
            }
            continue;
        }
        // what is missing is told where it is missing
        let skipped = count(&lines(&folder.path("ndjson"))[0], "/interval/skipped_snapshots");
        assert!(skipped > 0, "{ended:?}");
        assert!(ended.stderr.contains(&format!(" is written again; {skipped} snapshots are missing\n")), "{ended:?}");
        assert!(fs::read_to_string(folder.path("csv")).expect("new").starts_with("ts,service,transport,"));
    }
}

#[test]
fn a_log_that_is_removed_while_a_capture_is_read_goes_on_in_a_new_one() {
    let folder = Folder::new();
    let fifo = folder.path("fifo");
    mkfifoat(CWD, &fifo, Mode::RUSR | Mode::WUSR).expect("a FIFO");
    for folder_goes in [false, true] {
        let there = Folder::new();
        let outputs = outputs(&there, &["ndjson", "json"]);
        let mut command = portlabel();
        command.arg(&fifo).args(["--interval", "1s", "-o", "csv"]).args(&outputs);
        let program = Running::start(&mut command);
        let mut writer = File::options().write(true).open(&fifo).expect("a FIFO");
        let file = datagrams(40);
        let half = file.len() / 2;
        writer.write_all(&file[..half]).expect("it reads");
        until(&"an interval is written", || fs::metadata(there.path("ndjson")).ok().filter(|found| found.len() > 0));
        if folder_goes {
            fs::remove_dir_all(there.path("")).expect("it is there");
        } else {
            for format in ["ndjson", "json"] {
                fs::remove_file(there.path(format)).expect("it is there");
            }
        }
        writer.write_all(&file[half..]).expect("it reads");
        drop(writer);
        let ended = program.end();
        assert!(ended.stdout.contains(",domain,udp,40,"), "the other output is whole: {ended:?}");
        let log = there.text("ndjson");
        if folder_goes {
            let cannot = "No such file or directory (os error 2)";
            let told = format!(
                "portlabel: {log}: cannot open for writing: {cannot}, in place of the one that was removed\n\
                 portlabel: {}: {cannot}\n",
                there.text("json")
            );
            assert_eq!((ended.code, ended.stderr), (Some(1), told));
            continue;
        }
        let told = format!("portlabel: ndjson to {log}: the file was removed; going on in a new one\n");
        assert_eq!((ended.code, ended.stderr), (Some(0), told));
        assert_eq!(lines(&there.path("ndjson")).last().map(|line| count(line, "/packets")), Some(40));
        assert_eq!(count(&document(&fs::read_to_string(there.path("json")).expect("written")), "/packets"), 40);
    }
}

/// The program as it reads captures of which it has read a part: its reader has had a line, and takes no more until it is
/// told to, so that the reading stands still.
fn held_up(captures: &[&Path]) -> (Running, BufReader<PipeReader>) {
    let (reader, writer) = pipe().expect("a pipe");
    rustix::pipe::fcntl_setpipe_size(&writer, 4096).expect("a size");
    let mut command = portlabel();
    command.args(captures).args(["-o", "ndjson", "--interval", "10s"]);
    let program = Running::start_into(&mut command, writer);
    let mut reader = BufReader::with_capacity(1, reader);
    let mut line = String::new();
    reader.read_line(&mut line).expect("a line");
    assert_eq!(count(&document(&line), "/packets"), 100);
    (program, reader)
}

/// Lets it read the rest. The packets that the last snapshot counts, and how the program ended.
fn let_go(program: Running, reader: BufReader<PipeReader>) -> (u64, Ran) {
    let last = BufReader::new(reader).lines().map(|line| line.expect("text")).last().expect("more lines");
    (count(&document(&last), "/packets"), program.end())
}

/// Packets of a capture that is far longer than what is read ahead of a reader that stands still: 17 MB.
const MANY: u64 = 230_000;

#[test]
fn a_capture_that_changes_while_it_is_read_is_read_as_far_as_it_goes() {
    let folder = Folder::new();
    let path = folder.path("capture.pcap");
    let file = datagrams(MANY);

    fs::write(&path, &file).expect("room");
    let (program, reader) = held_up(&[&path]);
    let mut appended = File::options().append(true).open(&path).expect("it is ours");
    appended.write_all(&datagrams(5)[24..]).expect("room");
    let (packets, ended) = let_go(program, reader);
    assert_eq!((packets, ended.code, ended.stderr.as_str()), (MANY + 5, Some(0), ""), "it grows");

    let kept = MANY - 10;
    fs::write(&path, &file).expect("room");
    let (program, reader) = held_up(&[&path]);
    let cut = 24 + kept * RECORD_LEN as u64 + 30;
    File::options().write(true).open(&path).and_then(|file| file.set_len(cut)).expect("it is ours");
    let (packets, ended) = let_go(program, reader);
    let told = format!(
        "portlabel: {}: damaged at byte {}: record {} claims 60 captured bytes, 14 remain\n",
        path.display(),
        cut - 30,
        kept + 1
    );
    assert_eq!((packets, ended.code, ended.stderr), (kept, Some(3), told), "it is cut");

    fs::write(&path, &file).expect("room");
    let (program, reader) = held_up(&[&path]);
    fs::write(folder.path("other"), "no capture").expect("room");
    fs::rename(folder.path("other"), &path).expect("room");
    let (packets, ended) = let_go(program, reader);
    assert_eq!((packets, ended.code, ended.stderr.as_str()), (MANY, Some(0), ""), "another takes its name");
}

#[test]
fn captures_that_go_or_change_before_their_turn_are_told() {
    let folder = Folder::new();
    let [first, second] = ["first.pcap", "second.pcap"].map(|name| folder.path(name));
    fs::write(&first, datagrams(MANY)).expect("room");
    // later than all of the first
    let mut later = datagrams(3);
    for at in 0..3 {
        let second = &mut later[24 + at * RECORD_LEN..][..4];
        second.copy_from_slice(&2_000_000_000_u32.to_le_bytes());
    }
    let cases: [(&str, fn(&Path), &str, i32); 3] = [
        (
            "removed",
            |path| fs::remove_file(path).expect("it is there"),
            "cannot open: No such file or directory (os error 2)",
            3,
        ),
        ("emptied", |path| fs::write(path, "").expect("room"), "0 bytes, no capture header", 3),
        ("replaced", |path| fs::write(path, "no capture").expect("room"), "no capture (pcap, pcapng or snoop): ", 3),
    ];
    for (name, change, says, code) in cases {
        fs::write(&second, &later).expect("room");
        let (program, reader) = held_up(&[&first, &second]);
        change(&second);
        let (packets, ended) = let_go(program, reader);
        let told = format!("portlabel: {}: {says}", second.display());
        assert_eq!((packets, ended.code), (MANY, Some(code)), "{name}: {ended:?}");
        assert!(ended.stderr.starts_with(&told) && ended.stderr.lines().count() == 1, "{name}: {ended:?}");
    }
}

#[test]
fn a_pipe_that_is_closed_within_a_record_is_damaged_there() {
    let file = datagrams(10);
    for (lacks, says) in [
        (1, "damaged at byte 708: record 10 claims 60 captured bytes, 59 remain"),
        (70, "damaged at byte 708: the header of record 10 takes 16 bytes, 6 remain"),
        (RECORD_LEN * 10 + 20, "damaged at byte 0: the file header takes 24 bytes, 4 remain"),
    ] {
        let ran = run_with_input(&["-", "-o", "json"], &file[..file.len() - lacks], 100);
        assert_eq!(ran.code, Some(3), "{ran:?}");
        assert!(ran.stderr.starts_with(&format!("portlabel: standard input: {says}")), "{ran:?}");
        assert_reports(&ran, if lacks < RECORD_LEN { 9 } else { 0 });
    }
}

#[test]
fn readers_that_go_away_are_no_failure_and_cost_no_other_output() {
    let (office, folder) = (capture("office"), Folder::new());
    let side = format!("json={}", folder.text("side"));
    for format in FORMATS {
        for others in [&[][..], &["-o", &side]] {
            let mut command = portlabel();
            command.args([&office, "-o", format, "--interval", "1s"]).args(others);
            let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
            drop(child.stdout.take());
            let ended = end_of(child);
            assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{format} {others:?}");
        }
        let report = fs::read_to_string(folder.path("side")).expect("it was written");
        assert_eq!(count(&document(&report), "/packets"), 172, "{format}");
        fs::remove_file(folder.path("side")).expect("it is there");
    }
}

#[test]
fn readers_of_a_live_run_that_go_away_cost_no_other_output() {
    let Some(wire) = Wire::new() else { return };
    let folder = Folder::new();
    for format in FORMATS {
        let log = folder.path(format);
        let to_log = format!("ndjson={}", log.display());
        let (reader, writer) = pipe().expect("a pipe");
        let mut command = wire.client.command(PROGRAM);
        command.args(["-i", "eth0", "-o", format, "-o", &to_log, "--interval", "100ms"]).args(ONLY_DATAGRAMS);
        let mut program = Running::start_into(&mut command, writer);
        program.await_thread("capture");
        drop(reader);
        Datagrams::new(&wire, 0).send(3, b"three");
        let needle = "\"packets\":3,";
        program.await_state("goes on", |_| fs::read_to_string(&log).ok()?.contains(needle).then_some(()));
        let ended = program.interrupt();
        assert_eq!((ended.code, counters(&ended.stderr)), (Some(0), [3, 3, 0]), "{format}: {ended:?}");
        assert_eq!(ended.stderr.lines().count(), 3, "{format}: {ended:?}");
        assert_eq!(lines(&log).last().map(|line| count(line, "/packets")), Some(3), "{format}");
    }
}

#[test]
fn a_pipe_that_nobody_reads_is_waited_for_before_anything_is_read() {
    let folder = Folder::new();
    let fifo = folder.path("fifo");
    mkfifoat(CWD, &fifo, Mode::RUSR | Mode::WUSR).expect("a FIFO");
    // whoever runs the tests in the background of a script has them ignore SIGINT, and so what they start
    let mut command = at("env");
    command.args(["--default-signal=INT", PROGRAM]);
    command.args([&capture("office"), "-o", &format!("json={}", fifo.display())]);
    let program = Running::start(&mut command);
    let report = fs::read_to_string(&fifo).expect("it is written");
    assert_eq!(count(&document(&report), "/packets"), 172);
    assert_eq!(program.end().code, Some(0));
    // and whoever does not want to wait ends it
    let mut program = Running::start(&mut command);
    program.await_state("waits", |program| {
        // captures are opened before outputs
        let open = fs::read_dir(format!("/proc/{}/fd", program.id())).into_iter().flatten().filter_map(Result::ok);
        let mut open = open.filter_map(|file| fs::read_link(file.path()).ok());
        open.any(|path| path.ends_with("office/capture.pcapng")).then_some(())
    });
    assert_eq!(program.interrupt().code, None, "a signal has its default effect");
}

#[test]
fn a_terminal_that_is_gone_costs_no_report() {
    let Some(wire) = Wire::new() else { return };
    let folder = Folder::new();
    let to_json = format!("json={}", folder.text("json"));
    // standard output and standard error of a terminal whose other end is closed: every write fails
    let script = "import os, sys\nmaster, slave = os.openpty()\nos.dup2(slave, 1)\nos.dup2(slave, 2)\nos.close(slave)\n\
                  os.close(master)\nos.execv(sys.argv[1], sys.argv[1:])";
    let mut command = wire.client.command("python3");
    command.args(["-c", script, PROGRAM, "-i", "eth0", "-o", "ndjson", "-o", &to_json, "--interval", "100ms"]);
    let program = watching(command.args(ONLY_DATAGRAMS));
    Datagrams::new(&wire, 0).send(3, b"three");
    let ended = program.interrupt();
    assert_eq!(ended.code, Some(1), "standard output cannot be written");
    let report = fs::read_to_string(folder.path("json")).expect("it was written");
    assert_eq!(count(&document(&report), "/packets"), 3);
}

#[test]
fn standard_streams_that_are_closed_are_taken_for_nothing() {
    let (office, folder) = (capture("office"), Folder::new());
    let report = folder.text("json");
    let to_json = format!("json={report}");
    // files that are opened must not get their places
    for (closed, code) in [("<&-", 0), (">&-", 0), ("2>&-", 0), ("<&- >&- 2>&-", 0)] {
        let script = format!("exec \"$@\" {closed}");
        let mut command = std::process::Command::new("sh");
        command.args(["-c", &script, "sh", PROGRAM, &office, "/nowhere", "-o", &to_json, "-o", "table"]);
        let ended = ran(&mut command);
        assert_eq!(ended.code, Some(code + 3), "{closed}: {ended:?}");
        assert_eq!(count(&document(&fs::read_to_string(&report).expect("written")), "/packets"), 172, "{closed}");
        assert_eq!(ended.stderr.contains("/nowhere: cannot open"), !closed.contains('2'), "{closed}: {ended:?}");
        assert_eq!(
            ended.stdout.contains("172 packets"),
            !closed.contains(" >") && closed != ">&-",
            "{closed}: {ended:?}"
        );
    }
    let ended = ran(std::process::Command::new("sh").args(["-c", "exec \"$@\" <&-", "sh", PROGRAM, "-"]));
    let told = "portlabel: standard input: 0 bytes, no capture header\n";
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(3), told), "{ended:?}");
}
