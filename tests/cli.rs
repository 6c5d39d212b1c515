//! The binary as users meet it: arguments, inputs of every kind, streams, signals, exit codes, messages.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;

use rustix::fs::{CWD, Mode, mkfifoat};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::cases::Case;
use crate::program::{
    PATIENCE, Ran, count, document, end_of, has, on_terminal_with, portlabel, ran, run, run_with_input,
};
use crate::records::{as_snoop_file, pcap_header, pcap_record, records};

const SECOND: u64 = 1_000_000_000;
/// 2026-01-31T10:00:00Z, in nanoseconds.
const START: u64 = 1_769_853_600 * SECOND;

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in ASCII")
}

fn capture(case: &str) -> String {
    text(&Case::named(case).capture).to_owned()
}

/// The report on arguments, which must go well.
fn report(args: &[&str]) -> Value {
    let ran = run(&[args, &["-o", "json"]].concat());
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{args:?}");
    ran.json()
}

/// The report without what the inputs are called.
fn nameless(mut report: Value) -> Value {
    report["source"]["names"] = Value::Null;
    report
}

/// Exit code, and what must be in standard error, for arguments that print no result.
#[track_caller]
fn assert_refused(args: &[&str], code: i32, says: &str) {
    let ran = run(args);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(code), ""), "{args:?}: {ran:?}");
    assert!(ran.stderr.contains(says), "{args:?}: {ran:?}");
    assert_eq!(ran.stderr.matches(says).count(), 1, "said twice: {ran:?}");
}

#[test]
fn wrong_usage_is_told() {
    let folder = folder();
    let (dns, x) = (capture("dns"), folder.path().join("x"));
    let (to_x, to_dns) = (format!("json={}", x.display()), format!("json={dns}"));
    let save_to_x = ["-w", text(&x), "-o", &to_x, &dns];
    let copy = folder.path().join("dns.pcap");
    fs::copy(&dns, &copy).expect("room");
    let to_copy = format!("json={}", copy.display());
    let cases: [(&[&str], &str); 14] = [
        (
            &[],
            "error: nothing to read: name an interface to watch, a capture file, a folder of captures, or '-' for standard input",
        ),
        (&["--no-such-flag", &dns], "unexpected argument '--no-such-flag'"),
        (&["-", "-"], "'-' is named twice: standard input can be read once"),
        (&[&dns, "-o", "xml"], "'xml' is no format"),
        (&[&dns, "-o", "json", "-o", "table"], "two outputs go to standard output: json and table"),
        (&[&dns, "-o", &to_dns], "is an input; the output json would overwrite it"),
        (&[&dns, "-w", &dns], "is an input; saving would overwrite it"),
        (&[text(folder.path()), "-w", text(&copy)], "is an input; saving would overwrite it"),
        (&[&dns, "-w", "-"], "standard output cannot take both the packets and the table"),
        (&save_to_x, "the output json goes to"),
        (&[&dns, "--interval", "0"], "an interval cannot be 0"),
        (&[&dns, "--idle-timeout", "5"], "expected a number with a unit"),
        (&[&dns, "-f", "tcp prt 80"], "filter expression \"tcp prt 80\": can't parse filter expression: syntax error"),
        (&[text(folder.path()), "-o", &to_copy], "is an input; the output json would overwrite it"),
    ];
    for (args, says) in cases {
        assert_refused(args, 2, says);
    }
    assert!(!x.exists());
    assert_eq!(fs::read(&dns).expect("it is there"), fs::read(&copy).expect("it is there"));
}

#[test]
fn help_is_no_failure() {
    for (arg, says) in [("--help", "Exit codes: 0 done"), ("-h", "Usage: portlabel"), ("--version", "portlabel 0.")] {
        let ran = run(&[arg]);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
        assert!(ran.stdout.contains(says), "{ran:?}");
    }
}

#[test]
fn what_cannot_be_read_is_told() {
    let folder = folder();
    let (notes, empty) = (folder.path().join("notes.pcap"), folder.path().join("empty.pcap"));
    fs::write(&notes, "dear diary\n").expect("room");
    fs::write(&empty, "").expect("room");
    let only_notes = folder.path().join("only-notes");
    fs::create_dir(&only_notes).expect("room");
    fs::write(only_notes.join("a.txt"), "dear diary\n").expect("room");

    assert_refused(&["/nowhere.pcap"], 1, "portlabel: /nowhere.pcap: cannot open: No such file or directory");
    assert_refused(&[text(&notes)], 1, "notes.pcap: no capture (pcap, pcapng or snoop): it is text: \"dear diary\\n\"");
    assert_refused(&["/nowhere.pcap", text(&notes)], 1, "/nowhere.pcap: cannot open");
    assert_refused(&[text(&only_notes)], 1, "only-notes: no capture directly in this folder");
    // an empty file is damaged: whatever wrote it did not get as far as the header
    let ran = run(&[text(&empty), "-o", "json"]);
    assert_eq!(ran.code, Some(3));
    assert_eq!(ran.stderr, format!("portlabel: {}: 0 bytes, no capture header\n", empty.display()));
    assert_eq!(count(&ran.json(), "/packets"), 0);
}

#[test]
fn the_other_inputs_are_read() {
    let (dns, http) = (capture("dns"), capture("http"));
    let ran = run(&[&dns, "/nowhere.pcap", &http, "-o", "json"]);
    assert_eq!(ran.code, Some(3));
    assert_eq!(ran.stderr, "portlabel: /nowhere.pcap: cannot open: No such file or directory (os error 2)\n");
    assert_eq!(nameless(ran.json()), nameless(report(&[&dns, &http])));
    assert_eq!(count(&ran.json(), "/packets"), 32 + 31);
}

#[test]
fn a_folder_means_the_captures_in_it() {
    let folder = folder();
    for case in [Case::named("dns"), Case::named("http")] {
        fs::copy(&case.capture, folder.path().join(format!("{}-{}", case.name, case.file_name()))).expect("room");
    }
    fs::write(folder.path().join("notes.txt"), "dear diary\n").expect("room");
    fs::create_dir(folder.path().join("deeper")).expect("room");
    fs::copy(capture("ssh"), folder.path().join("deeper/ssh.pcap")).expect("room");

    let ran = run(&[text(folder.path()), "-o", "json"]);
    assert_eq!(ran.code, Some(0));
    let notes = folder.path().join("notes.txt");
    assert_eq!(
        ran.stderr,
        format!("portlabel: {}: skipped, no capture: it is text: \"dear diary\\n\"\n", notes.display())
    );
    let names = ["dns-capture.pcap", "http-capture.pcapng"].map(|name| folder.path().join(name));
    assert_eq!(ran.json()["source"]["names"], Value::from(names.each_ref().map(|name| text(name)).to_vec()));
    assert_eq!(nameless(ran.json()), nameless(report(&[&capture("dns"), &capture("http")])));
    let quiet = run(&[text(folder.path()), "-o", "json", "-q"]);
    assert_eq!((quiet.code, quiet.stderr.as_str(), quiet.stdout), (Some(0), "", ran.stdout));
}

#[test]
fn what_is_written_into_a_folder_that_is_read_is_not_read() {
    let folder = folder();
    fs::copy(capture("dns"), folder.path().join("dns.pcap")).expect("room");
    let [json, flows] = ["json", "flows"].map(|format| format!("{format}={}/{format}", folder.path().display()));
    let saved = folder.path().join("saved");
    let ran = run(&[text(folder.path()), "-o", &json, "-o", &flows, "-w", text(&saved)]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    let report = fs::read_to_string(folder.path().join("json")).expect("written");
    assert_eq!(count(&document(&report), "/packets"), 32);
    // the next time the report is there
    fs::remove_file(&saved).expect("it is there");
    let ran = run(&[text(folder.path()), "-o", &json]);
    assert_eq!(ran.code, Some(0));
    assert_eq!(ran.stderr.matches(": skipped, no capture: ").count(), 2, "{}", ran.stderr);
}

#[test]
fn a_cut_capture_is_reported_up_to_the_cut() {
    let folder = folder();
    for (name, says) in [
        ("dns", "damaged at byte 2398: record 26 claims 1274 captured bytes, 586 remain"),
        ("http", "damaged at byte 1516: a block of type 0x00000006 claims 1548 bytes, 1484 remain"),
    ] {
        let case = Case::named(name);
        let bytes = &case.bytes()[..3_000];
        let path = folder.path().join(case.file_name());
        fs::write(&path, bytes).expect("room");
        let ran = run(&[text(&path), "-o", "json"]);
        let told = format!("portlabel: {}: {says}\n", path.display());
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(3), told.as_str()), "{name}");
        let report = ran.json();
        let want = records(bytes);
        assert!(!want.is_whole && says.contains(&format!("at byte {}: ", want.ends.last().expect("packets"))));
        assert_eq!([count(&report, "/packets"), count(&report, "/wire_bytes")], [want.packets(), want.wire_bytes()]);
    }
}

#[test]
fn a_snoop_file_is_read_as_its_packets_in_a_pcap_file() {
    let folder = folder();
    let path = folder.path().join("capture.snoop");
    for name in ["ssh", "snaplen"] {
        let case = Case::named(name);
        let snoop = as_snoop_file(&case.bytes());
        fs::write(&path, &snoop).expect("room");
        let want = nameless(report(&[text(&case.capture)]));
        assert_eq!(nameless(report(&[text(&path)])), want, "{name}");
        let piped = run_with_input(&["-", "-o", "json"], &snoop, 1_000);
        assert_eq!((piped.code, nameless(piped.json())), (Some(0), want.clone()), "{name}");
        let packed = folder.path().join("capture.snoop.zst");
        fs::write(&packed, zstd::encode_all(&snoop[..], 3).expect("memory")).expect("room");
        let saved = folder.path().join("saved.pcapng");
        assert_eq!(nameless(report(&[text(&packed), "-w", text(&saved)])), want, "{name}");
        assert_eq!(nameless(report(&[text(&saved)])), want, "{name}");
    }
}

#[test]
fn a_datalink_type_of_a_snoop_file_that_is_not_known_is_named() {
    let folder = folder();
    let (path, saved) = (folder.path().join("hdlc.snoop"), folder.path().join("saved.pcapng"));
    let mut snoop = as_snoop_file(&Case::named("ssh").bytes());
    snoop[15] = 5;
    fs::write(&path, snoop).expect("room");
    let told = "portlabel: link type 65285 (5 of snoop files) is not known: its packets are counted as unknown_link\n";
    for args in [&[text(&path), "-w", text(&saved)][..], &[text(&saved)]] {
        let ran = run(&[args, &["-o", "json"]].concat());
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(3), told), "{args:?}");
        assert_eq!(ran.json()["portless"][0]["reason"], "unknown_link", "{args:?}");
    }
}

#[test]
fn a_short_snap_length_loses_nothing_but_bytes() {
    let report = report(&[&capture("snaplen")]);
    assert_eq!([count(&report, "/packets"), count(&report, "/wire_bytes")], [270, 4_212_422]);
    assert_eq!(report["services"][0]["service"], "http");
    assert_eq!(count(&report, "/services/0/wire_bytes"), 4_212_338);
}

/// Frames without end, one every 100 ms of packet time, until nobody reads them.
fn write_without_end(pipe: &mut impl std::io::Write) {
    drop(pipe.write_all(&pcap_header()));
    for at in 0.. {
        if pipe.write_all(&pcap_record(START + at * SECOND / 10, &udp_frame())).is_err() {
            return;
        }
    }
}

/// A frame of 60 bytes: a UDP datagram to port 53.
fn udp_frame() -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00];
    frame.extend([0x45, 0, 0, 32, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    frame.extend([0xc3, 0x51, 0, 53, 0, 12, 0, 0, 1, 2, 3, 4]);
    frame.resize(60, 0);
    frame
}

/// The program, reading captures without end from standard input; its first line of output, and the rest of it.
fn endless(args: &[&str]) -> (Child, String, BufReader<std::process::ChildStdout>) {
    let mut command = portlabel();
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    // ends when the program does
    thread::spawn(move || write_without_end(&mut stdin));
    let (line, stdout) = first_line(&mut child);
    (child, line, stdout)
}

/// The first line of a child's standard output, and the rest of it.
fn first_line(child: &mut Child) -> (String, BufReader<std::process::ChildStdout>) {
    let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut line = String::new();
        let outcome = stdout.read_line(&mut line);
        drop(sender.send(outcome.map(|_| (line, stdout))));
    });
    match receiver.recv_timeout(PATIENCE) {
        Ok(Ok(first)) => first,
        other => {
            child.kill().expect("it is ours");
            panic!("it prints no line: {other:?}");
        }
    }
}

#[test]
fn head_is_no_failure() {
    // an input without end: it ends because nobody reads
    let (child, line, stdout) = endless(&["-", "-o", "ndjson", "--interval", "1s"]);
    assert!(line.starts_with("{\"schema\":\"portlabel.snapshot/1\""), "{line}");
    drop(stdout);
    let ended = end_of(child);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));

    // a reader that is gone before anything is printed
    let mut command = portlabel();
    command.arg(capture("scan")).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    drop(child.stdout.take());
    let ended = end_of(child);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
}

fn signal(child: &Child, signal: Signal) {
    let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a process");
    kill_process(id, signal).expect("it runs");
}

/// The rest of what a program prints, which begins with a whole line, and the last line of it.
fn last_line(mut stdout: BufReader<std::process::ChildStdout>) -> Value {
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).expect("text");
    document(rest.lines().last().expect("a line"))
}

/// What a user is told who ends a run before everything was read.
fn interrupted_after(packets: u64) -> String {
    format!("portlabel: interrupted: the report covers the {packets} packets read until then\n")
}

#[test]
fn an_interrupted_run_reports_what_was_read() {
    for how in [Signal::INT, Signal::TERM] {
        let (child, _, stdout) = endless(&["-", "-o", "ndjson", "--interval", "1s"]);
        signal(&child, how);
        let reading = thread::spawn(move || last_line(stdout));
        let ended = end_of(child);
        let last = reading.join().expect("a last line");
        assert_eq!((ended.code, ended.stderr), (Some(3), interrupted_after(count(&last, "/packets"))));
        assert_eq!((&last["final"], &last["interval"]["complete"]), (&true.into(), &false.into()));
        let packets = count(&last, "/packets");
        assert!(packets > 10, "{packets} packets in more than one second");
        assert_eq!([count(&last, "/services/0/packets"), count(&last, "/wire_bytes")], [packets, packets * 60]);
    }
}

#[test]
fn a_fifo_that_stalls_is_reported_and_can_be_interrupted() {
    let folder = folder();
    let path = folder.path().join("fifo");
    mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).expect("a FIFO");
    let mut command = portlabel();
    command.arg(&path).args(["-o", "ndjson", "--interval", "1s"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    // waits until it reads
    let mut writer = File::options().write(true).open(&path).expect("a FIFO");
    let packets: Vec<u8> = [0, 1, 2].iter().flat_map(|at| pcap_record(START + at * SECOND, &udp_frame())).collect();
    // and the beginning of a fourth record; all of it at once, as it is less than PIPE_BUF
    writer.write_all(&[pcap_header(), packets, vec![1, 2, 3]].concat()).expect("it reads");
    // the end of the first second shows although nothing more comes
    let (line, stdout) = first_line(&mut child);
    let first = document(&line);
    assert_eq!((count(&first, "/packets"), &first["final"]), (1, &false.into()));
    signal(&child, Signal::INT);
    let reading = thread::spawn(move || last_line(stdout));
    let ended = end_of(child);
    let last = reading.join().expect("a last line");
    assert_eq!((ended.code, ended.stderr), (Some(3), interrupted_after(3)));
    assert_eq!((count(&last, "/packets"), &last["final"]), (3, &true.into()));
    drop(writer);
}

#[test]
fn an_interrupted_wait_is_a_report_of_nothing() {
    let folder = folder();
    let path = folder.path().join("fifo");
    mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).expect("a FIFO");
    let mut command = portlabel();
    command.arg(&path).args(["-o", "json"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("the program starts");
    // waits until it reads
    let writer = File::options().write(true).open(&path).expect("a FIFO");
    signal(&child, Signal::INT);
    let ended = end_of(child);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(3), interrupted_after(0).as_str()));
    assert_eq!((count(&ended.json(), "/packets"), &ended.json()["final"]), (0, &true.into()));
    drop(writer);
}

#[test]
fn a_pipe_gives_the_report_of_the_file() {
    for name in ["dns", "http"] {
        let case = Case::named(name);
        let want = nameless(report(&[text(&case.capture)]));
        for piece_len in [1, 7, 4_000, usize::MAX] {
            let bytes = case.bytes();
            let ran = run_with_input(&["-", "-o", "json"], &bytes, piece_len.min(bytes.len()));
            assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{name} in pieces of {piece_len}");
            assert_eq!(ran.json()["source"]["names"], Value::from(vec!["-"]));
            assert_eq!(nameless(ran.json()), want, "{name} in pieces of {piece_len}");
        }
    }
    // beside a file
    let (dns, http) = (capture("dns"), Case::named("http"));
    let ran = run_with_input(&[&dns, "-", "-o", "json"], &http.bytes(), 1_000);
    assert_eq!(ran.code, Some(0));
    assert_eq!(nameless(ran.json()), nameless(report(&[&dns, text(&http.capture)])));
    // and what is no capture there
    let ran = run_with_input(&["-"], b"dear diary\n", 100);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
    assert!(ran.stderr.starts_with("portlabel: standard input: no capture"), "{ran:?}");
}

#[test]
fn a_fifo_gives_the_report_of_the_file() {
    let folder = folder();
    let path = folder.path().join("fifo");
    mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).expect("a FIFO");
    let case = Case::named("dns");
    let bytes = case.bytes();
    let fifo = path.clone();
    let writing = thread::spawn(move || {
        File::options().write(true).open(fifo).and_then(|mut writer| writer.write_all(&bytes)).expect("it reads");
    });
    let got = report(&[text(&path)]);
    writing.join().expect("all of it");
    assert_eq!(nameless(got), nameless(report(&[text(&case.capture)])));
}

#[test]
fn compressed_captures_give_the_report_of_the_plain_one() {
    let folder = folder();
    let case = Case::named("office");
    let bytes = case.bytes();
    let want = nameless(report(&[text(&case.capture)]));
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory")
    };
    let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 3).expect("memory");
    let lz4 = |bytes: &[u8]| {
        let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
        encoder.write_all(bytes).expect("memory");
        encoder.finish().expect("memory")
    };
    // two members are one file (RFC 1952, section 2.2), and so are two frames
    let (front, back) = bytes.split_at(10_000);
    let files = [
        ("gzip", gzip(&bytes)),
        ("zstd", zstd(&bytes)),
        ("lz4", lz4(&bytes)),
        ("gzip in two", [gzip(front), gzip(back)].concat()),
        ("zstd in two", [zstd(front), zstd(back)].concat()),
        ("lz4 in two", [lz4(front), lz4(back)].concat()),
    ];
    for (name, file) in files {
        // the name tells nothing
        let path = folder.path().join("capture");
        fs::write(&path, &file).expect("room");
        assert_eq!(nameless(report(&[text(&path)])), want, "{name}");
        let piped = run_with_input(&["-", "-o", "json"], &file, 10);
        assert_eq!((piped.code, nameless(piped.json())), (Some(0), want.clone()), "{name} from a pipe");

        let damaged = &file[..file.len() / 2];
        fs::write(&path, damaged).expect("room");
        let ran = run(&[text(&path), "-o", "json"]);
        assert_eq!(ran.code, Some(3), "{name}: {ran:?}");
        assert!(ran.stderr.contains("at byte "), "{name}: {}", ran.stderr);
        assert!(count(&ran.json(), "/packets") < count(&want, "/packets"), "{name}");
    }
}

#[test]
fn tools_compress_as_crates_do() {
    let case = Case::named("office");
    let want = nameless(report(&[text(&case.capture)]));
    for tool in ["gzip", "zstd", "lz4"] {
        if !has(tool, "its files are not read") {
            continue;
        }
        let packed = Command::new(tool).arg("-c").arg(&case.capture).output().expect("it is there");
        assert!(packed.status.success(), "{packed:?}");
        let ran = run_with_input(&["-", "-o", "json"], &packed.stdout, 5_000);
        assert_eq!((ran.code, nameless(ran.json())), (Some(0), want.clone()), "{tool}");
    }
}

#[test]
fn a_filter_counts_what_tcpdump_counts() {
    if !has("tcpdump", "filters are not compared") {
        return;
    }
    for (name, filter) in [
        ("office", "tcp port 443"),
        ("office", "ip6 or icmp"),
        ("vlan", "vlan and udp"),
        ("cooked", "tcp"),
        ("scan", "tcp[tcpflags] & (tcp-syn|tcp-ack) == (tcp-syn|tcp-ack)"),
        ("snaplen", "greater 60000"),
        ("dns", "port 1"),
    ] {
        let capture = capture(name);
        let counted = Command::new("tcpdump").args(["-n", "-r", &capture, filter]).stderr(Stdio::null()).output();
        let counted = String::from_utf8(counted.expect("it is there").stdout).expect("text");
        let want = counted.lines().filter(|line| !line.starts_with([' ', '\t'])).count() as u64;
        let report = report(&[&capture, "-f", filter]);
        assert_eq!(
            (count(&report, "/packets"), &report["source"]["filter"]),
            (want, &filter.into()),
            "{name} {filter}"
        );
    }
}

#[test]
fn a_filter_comes_from_a_file_too() {
    let folder = folder();
    let path = folder.path().join("filter");
    fs::write(&path, "# the web\ntcp port 443\n  or tcp port 80\n").expect("room");
    let office = capture("office");
    let [from_file, from_line] = [["-F", text(&path)], ["-f", "tcp port 443   or tcp port 80"]]
        .map(|filter| report(&[&filter[..], &[&office]].concat()));
    assert_eq!(from_file["services"], from_line["services"]);
    assert_eq!(count(&from_file, "/packets"), 55);
}

#[test]
fn bounds_end_the_run() {
    let dns = capture("dns");
    assert_eq!(count(&report(&[&dns, "-c", "5"]), "/packets"), 5);
    assert_eq!(count(&report(&[&dns, "-c", "5", "-f", "udp"]), "/packets"), 5);
    assert_eq!(count(&report(&[&dns, "-c", "1000"]), "/packets"), 32);
    let all = report(&[&dns, "-a", "1h"]);
    assert_eq!(all, report(&[&dns]));
    // the first packets of the idle fixture are five minutes before the last
    let idle = capture("idle");
    let (part, all) = (report(&[&idle, "-a", "200s"]), report(&[&idle]));
    assert_eq!(part["first_ts"], all["first_ts"]);
    assert!(part["last_ts"].as_str() < all["last_ts"].as_str() && count(&part, "/packets") < count(&all, "/packets"));
}

#[test]
fn saved_packets_give_the_same_services() {
    let folder = folder();
    for case in Case::all() {
        let path = folder.path().join(&case.name);
        let capture = text(&case.capture);
        let want = report(&[capture, "-w", text(&path)]);
        assert_eq!(nameless(want.clone()), nameless(report(&[capture])), "{}", case.name);
        assert_eq!(nameless(report(&[text(&path)])), nameless(want), "{}", case.name);
        assert_eq!(
            records(&fs::read(&path).expect("saved")).wire_lens,
            records(&case.bytes()).wire_lens,
            "{}",
            case.name
        );
    }
    // what was filtered and bounded
    let path = folder.path().join("filtered");
    let filtered = report(&[&capture("office"), "-f", "tcp", "-c", "20", "-w", text(&path)]);
    assert_eq!(filtered["services"], report(&[text(&path)])["services"]);
    if has("tshark", "saved files are not read by others") {
        let read = Command::new("tshark").args(["-n", "-r", text(&path), "-T", "fields", "-e", "frame.len"]).output();
        let read = String::from_utf8(read.expect("it is there").stdout).expect("text");
        let lens: Vec<u64> = read.lines().map(|len| len.parse().expect("a length")).collect();
        assert_eq!((lens.len(), lens.iter().sum::<u64>()), (20, count(&filtered, "/wire_bytes")));
    }
}

#[test]
fn what_cannot_be_saved_is_told_and_labelled_all_the_same() {
    let dns = capture("dns");
    assert_refused(&[&dns, "-w", "/nowhere/x"], 1, "portlabel: /nowhere/x: cannot create: No such file or directory");
    let ran = run(&[&dns, "-w", "/dev/full", "-o", "json"]);
    assert_eq!(ran.code, Some(1));
    assert_eq!(ran.stderr, "portlabel: /dev/full: cannot write: No space left on device (os error 28)\n");
    assert_eq!(nameless(ran.json()), nameless(report(&[&dns])));
}

#[test]
fn a_destination_that_cannot_be_opened_is_told_before_anything_is_read() {
    // nothing ever comes from the pipe: whoever read first would wait for ever
    let mut command = portlabel();
    command.args(["-", "-o", "json=/nowhere/x"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let stdin = child.stdin.take();
    let ended = end_of(child);
    drop(stdin);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    assert_eq!(
        ended.stderr,
        "portlabel: /nowhere/x: cannot open for writing: No such file or directory (os error 2)\n"
    );
}

#[test]
fn a_line_that_was_cut_costs_no_other() {
    let (dns, folder) = (capture("dns"), folder());
    let log = folder.path().join("log");
    for (format, header) in [("ndjson", 0), ("csv", 1), ("flows", 0)] {
        let add = || run(&[&dns, "-o", &format!("{format}={}", text(&log))]);
        drop(fs::remove_file(&log));
        assert_eq!(add().stderr, "");
        let first = fs::read_to_string(&log).expect("it is there");
        // as after kill -9
        fs::write(&log, &first[..first.len() - 20]).expect("it can be");
        let again = add();
        let told = format!("portlabel: {}: its last line is not whole; going on in a new one\n", text(&log));
        assert_eq!((again.code, again.stderr), (Some(0), told), "{format}");
        let records: String = first.split_inclusive('\n').skip(header).collect();
        let both = fs::read_to_string(&log).expect("it is there");
        assert_eq!(both, format!("{}\n{records}", &first[..first.len() - 20]), "{format}");
    }
}

#[test]
fn a_full_disk_is_told() {
    let dns = capture("dns");
    let full = || File::options().write(true).open("/dev/full").expect("Linux has it");
    for format in ["table", "json", "ndjson", "csv", "flows"] {
        let ran = run(&[&dns, "-o", &format!("{format}=/dev/full")]);
        assert_eq!(ran.code, Some(1), "{format}: {ran:?}");
        assert_eq!(ran.stderr, "portlabel: /dev/full: No space left on device (os error 28)\n", "{format}");
        let child = portlabel().args([&dns, "-o", format]).stdout(full()).stderr(Stdio::piped()).spawn();
        let ended = end_of(child.expect("the program starts"));
        assert_eq!(ended.code, Some(1), "{format}: {ended:?}");
        assert_eq!(ended.stderr, "portlabel: standard output: No space left on device (os error 28)\n", "{format}");
    }
    // metrics take the place of a file, and go to no device
    for format in ["html", "prometheus"] {
        let child = portlabel().args([&dns, "-o", format]).stdout(full()).stderr(Stdio::piped()).spawn();
        let ended = end_of(child.expect("the program starts"));
        assert_eq!(ended.code, Some(1), "{format}: {ended:?}");
        assert_eq!(ended.stderr, "portlabel: standard output: No space left on device (os error 28)\n", "{format}");
    }
    // the other output is whole
    let ran = run(&[&dns, "-o", "csv=/dev/full", "-o", "json"]);
    assert_eq!((ran.code, count(&ran.json(), "/packets")), (Some(1), 32));
}

#[test]
fn several_outputs_say_the_same() {
    let folder = folder();
    let paths = ["json", "ndjson", "csv", "flows"].map(|format| (format, folder.path().join(format)));
    let dns = capture("dns");
    let mut command = portlabel();
    command.args([&dns, "-o", "table"]);
    for (format, path) in &paths {
        command.arg("-o").arg(format!("{format}={}", path.display()));
    }
    let ran = ran(&mut command);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert_eq!(ran.stdout, run(&[&dns]).stdout);
    for (format, path) in &paths {
        assert_eq!(fs::read_to_string(path).expect("written"), run(&[&dns, "-o", format]).stdout, "{format}");
    }
}

#[test]
fn intervals_are_lines_that_add_up() {
    for name in ["idle", "ntp", "mixed-links"] {
        let capture = capture(name);
        let all = report(&[&capture]);
        let lines = run(&[&capture, "-o", "ndjson", "--interval", "1s"]).json_lines();
        let last = lines.last().expect("a final snapshot");
        for key in ["packets", "wire_bytes", "portless", "flows", "ts", "first_ts"] {
            assert_eq!(last[key], all[key], "{name}: {key}");
        }
        assert_eq!(lines.iter().filter(|line| line["final"] == true).count(), 1);
        assert_eq!(&report(&[&capture, "--interval", "1s"]), last, "{name}: json is the last one alone");
        let of_intervals: u64 = lines
            .iter()
            .flat_map(|line| line["services"].as_array().expect("rows"))
            .map(|row| count(row, "/interval/packets"))
            .sum();
        let labelled: u64 = all["services"].as_array().expect("rows").iter().map(|row| count(row, "/packets")).sum();
        assert_eq!(of_intervals, labelled, "{name}");

        let csv = run(&[&capture, "-o", "csv", "--interval", "1s"]).stdout;
        let mut rows = csv.lines();
        let header = rows.next().expect("a header");
        assert!(
            header.starts_with("ts,service,transport,packets,wire_bytes,")
                && header.ends_with(",interval_packets,interval_wire_bytes")
        );
        let columns = header.split(',').count();
        let rows: Vec<Vec<_>> = rows.map(|row| row.split(',').collect()).collect();
        assert!(rows.iter().all(|row| row.len() == columns), "{name}");
        assert_eq!(rows.len(), lines.iter().map(|line| line["services"].as_array().map_or(0, Vec::len)).sum::<usize>());
        let of_csv: u64 = rows.iter().map(|row| row[columns - 2].parse::<u64>().expect("a count")).sum();
        assert_eq!(of_csv, labelled, "{name}");
    }
}

#[test]
fn colours_are_for_terminals() {
    let dns = capture("dns");
    let coloured = |ran: &Ran| ran.stdout.contains('\u{1b}');
    assert!(!coloured(&run(&[&dns])) && !coloured(&run(&[&dns, "--color", "never"])));
    assert!(coloured(&run(&[&dns, "--color", "always"])));
    assert!(coloured(&ran(portlabel().env("NO_COLOR", "1").args([&dns, "--color", "always"]))));
    let on_terminal = |args: &[&str], variables: &[(&str, &str)]| {
        on_terminal_with(&[&[&*dns], args].concat(), variables).map(|ran| coloured(&ran))
    };
    let Some(is_coloured) = on_terminal(&[], &[]) else { return };
    assert!(is_coloured && on_terminal(&[], &[("NO_COLOR", "")]) == Some(true));
    assert_eq!(on_terminal(&[], &[("NO_COLOR", "1")]), Some(false));
    assert_eq!(on_terminal(&["--color", "never"], &[]), Some(false));
}

/// The records of a pcap file, dealt in turn to `count` files; each keeps the header.
fn dealt(file: &[u8], count: usize) -> Vec<Vec<u8>> {
    let mut files = vec![file[..24].to_vec(); count];
    let mut start = 24;
    for (at, end) in records(file).ends.into_iter().enumerate() {
        files[at % count].extend(&file[start..end]);
        start = end;
    }
    files
}

#[test]
fn files_that_overlap_are_merged_by_time() {
    let folder = folder();
    let mut merged_cases = 0;
    for case in Case::all().into_iter().filter(|case| case.file_name() == "capture.pcap") {
        let bytes = case.bytes();
        for count in [2, 5, 40] {
            if records(&bytes).packets() < count {
                continue; // a file without a packet has no place in time
            }
            let files = dealt(&bytes, usize::try_from(count).expect("few"));
            let paths: Vec<_> = (0..files.len()).map(|at| folder.path().join(format!("{at}.pcap"))).collect();
            paths.iter().zip(&files).for_each(|(path, file)| fs::write(path, file).expect("room"));
            // the order in which they are named is not that of their packets
            let args: Vec<_> = paths.iter().rev().map(|path| text(path)).collect();
            let (merged, whole) = (report(&args), report(&[text(&case.capture)]));
            for key in ["packets", "wire_bytes", "first_ts", "last_ts", "time_jumps", "portless"] {
                assert_eq!(merged[key], whole[key], "{} in {count}: {key}", case.name);
            }
            // ties change places, which no fixture but the scan would notice
            if case.name != "scan" {
                assert_eq!(nameless(merged), nameless(whole), "{} in {count}", case.name);
                merged_cases += 1;
            }
        }
    }
    assert!(merged_cases > 40, "{merged_cases}");
}

#[test]
fn flows_end_when_they_are_idle_unless_told_otherwise() {
    let idle = capture("idle");
    assert_eq!(count(&report(&[&idle]), "/flows/started"), 4);
    let patient = report(&[&idle, "--idle-timeout", "0"]);
    assert_eq!([count(&patient, "/flows/started"), count(&patient, "/flows/evicted")], [2, 0]);
    let ends = |args: &[&str]| -> Vec<String> {
        let flows = run(&[args, &["-o", "flows"]].concat()).json_lines();
        flows.iter().map(|flow| flow["end"].as_str().expect("a word").to_owned()).collect()
    };
    // both of UDP and the first of TCP; what is over by itself is closed, and comes last because it ends last
    assert_eq!(ends(&[&idle]), ["idle", "idle", "idle", "closed"]);
    assert_eq!(ends(&[&idle, "--idle-timeout", "0"]), ["final", "closed"]);
}

#[test]
fn a_full_table_of_flows_loses_no_packet() {
    let scan = capture("scan");
    let (few, all) = (report(&[&scan, "--max-flows", "2"]), report(&[&scan]));
    for key in ["packets", "wire_bytes", "portless"] {
        assert_eq!(few[key], all[key], "{key}");
    }
    let sum = |report: &Value| -> u64 {
        report["services"].as_array().expect("rows").iter().map(|row| count(row, "/packets")).sum()
    };
    assert_eq!(sum(&few), sum(&all));
    assert_eq!((count(&few, "/flows/evicted") > 200, count(&all, "/flows/evicted")), (true, 0));
    assert_eq!(count(&few, "/flows/started"), count(&few, "/flows/ended"));
}

#[test]
fn a_filter_leaves_out_link_types_that_it_makes_no_sense_for() {
    // Ethernet, then raw IP, then Ethernet again
    let (dns, raw) = (capture("dns"), capture("mixed-links"));
    let ran = run(&["-f", "ether multicast or ip or arp", &raw, &dns, "-o", "json"]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("packets of this link type are left out"), "{}", ran.stderr);
    let ethernet_only = count(&ran.json(), "/packets");
    assert!(ethernet_only > 32 && ethernet_only < 32 + 40, "{ethernet_only}");
}

#[test]
fn saving_goes_on_when_nobody_reads_the_report() {
    let folder = folder();
    let saved = folder.path().join("saved.pcapng");
    let scan = capture("scan");
    let ran = run(&[&scan, "-w", text(&saved), "-o", "flows=/dev/full", "--idle-timeout", "1ms"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert_eq!(count(&report(&[text(&saved)]), "/packets"), count(&report(&[&scan]), "/packets"));
}

#[test]
fn what_was_there_stays_when_nothing_can_be_read() {
    let folder = folder();
    let (old, saved) = (folder.path().join("old.json"), folder.path().join("old.pcapng"));
    fs::write(&old, "yesterday's report").expect("room");
    fs::write(&saved, "yesterday's capture").expect("room");
    let ran = run(&["/nowhere/a.pcap", "-o", &format!("json={}", old.display()), "-w", text(&saved)]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert_eq!(fs::read_to_string(&old).expect("it is there"), "yesterday's report");
    assert_eq!(fs::read_to_string(&saved).expect("it is there"), "yesterday's capture");
}

#[test]
fn what_was_there_stays_when_another_output_cannot_be_opened() {
    let folder = folder();
    let old = folder.path().join("old.json");
    fs::write(&old, "yesterday's report, which is longer than nothing").expect("room");
    let (dns, to_old) = (capture("dns"), format!("json={}", old.display()));
    for args in [["-o", "csv=/nowhere/x"], ["-w", "/nowhere/x"]] {
        assert_refused(&[&dns, "-o", &to_old, args[0], args[1]], 1, "/nowhere/x");
        assert!(fs::read_to_string(&old).expect("it is there").starts_with("yesterday"));
    }
    fs::write(&old, "x".repeat(1 << 20)).expect("room");
    assert_eq!(run(&[&dns, "-o", &to_old]).code, Some(0));
    assert_eq!(count(&document(&fs::read_to_string(&old).expect("it is there")), "/packets"), 32);
}

#[test]
fn hard_links_to_inputs_are_inputs() {
    let folder = folder();
    let (input, link) = (folder.path().join("a.pcap"), folder.path().join("b.pcap"));
    fs::copy(capture("dns"), &input).expect("room");
    fs::hard_link(&input, &link).expect("the same file system");
    for args in [["-w", text(&link)], ["-o", &format!("json={}", link.display())]] {
        let ran = run(&[text(&input), args[0], args[1]]);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.stderr.contains("is an input"), "{}", ran.stderr);
    }
    assert_eq!(fs::read(&input).expect("it is there"), fs::read(capture("dns")).expect("it is there"));
}

#[test]
fn a_capture_whose_name_is_no_text_is_an_input_too() {
    let folder = folder();
    let odd = folder.path().join(std::ffi::OsStr::from_bytes(b"day\xff.pcap"));
    fs::copy(capture("dns"), &odd).expect("room");
    // elsewhere, or it would be an input by its own name
    let elsewhere = self::folder();
    let link = elsewhere.path().join("link");
    std::os::unix::fs::symlink(&odd, &link).expect("room");
    assert_refused(&[text(folder.path()), "-o", &format!("json={}", link.display())], 2, "is an input");
    assert_eq!(fs::read(&odd).expect("it is there"), fs::read(capture("dns")).expect("it is there"));
}

#[test]
fn names_of_files_cannot_write_to_the_terminal() {
    let ran = run(&["/nowhere/\u{1b}]0;pwned\u{7}.pcap"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains(r"\u{1b}]0;pwned\u{7}") && !ran.stderr.contains('\u{1b}'), "{}", ran.stderr);
}
