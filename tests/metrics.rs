//! Metrics as they reach those who run Prometheus: its own checker, node_exporter, Prometheus, and the dashboard for Grafana.
//!
//! Everything that these tests start listens on loopback, on a port that the kernel chose or in a network namespace.

// The dashboard's form.
mod dashboard;
// A scan of every port, which makes every name of a port occur.
mod scan;
// Programs that scrape: node_exporter while the file is rewritten, and Prometheus with every query of the dashboard.
mod scraped;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use crate::cases::Case;
use crate::program::{PATIENCE, end_of, has, portlabel, ran, run};

/// The samples of a text by name and labels, as they are written.
fn samples(text: &str) -> BTreeMap<&str, f64> {
    let sample = |line| -> Option<(&str, f64)> {
        let (name, value) = str::rsplit_once(line, ' ')?;
        Some((name, value.parse().ok()?))
    };
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| sample(line).unwrap_or_else(|| panic!("no sample: {line}"))).collect()
}

/// The sum of a family's samples.
fn total(samples: &BTreeMap<&str, f64>, family: &str) -> f64 {
    let of_family = samples.iter().filter(|(name, _)| name.split('{').next() == Some(family));
    of_family.fold(0.0, |sum, (_, value)| sum + value)
}

/// What `promtool check metrics` has against a text: a line a fault, and nothing if it is as it should be.
fn faults(text: &str) -> String {
    let mut command = Command::new("promtool");
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut promtool = command.spawn().expect("it starts");
    let mut stdin = promtool.stdin.take().expect("a pipe");
    stdin.write_all(text.as_bytes()).expect("it reads");
    drop(stdin);
    let ran = end_of(promtool);
    let said = ran.stdout + &ran.stderr;
    if ran.code == Some(0) { said } else { format!("code {:?}: {said}", ran.code) }
}

/// How many samples the parser of Prometheus' own client finds in OpenMetrics, of which it takes nothing that is not valid.
#[track_caller]
fn open_metrics_samples(text: &str) -> usize {
    let parser = "from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse
import sys
print(sum(len(family.samples) for family in parse(open(sys.argv[1]).read())))";
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(text.as_bytes()).expect("room");
    // the system's own, which has the system's modules
    let ran = ran(Command::new("/usr/bin/python3").args(["-c", parser]).arg(file.path()));
    assert_eq!(ran.stderr, "", "{text}");
    ran.stdout.trim().parse().expect("a number")
}

/// What a server answers to GET: the status, and the body. It is to be called where the server can be reached.
fn get(server: SocketAddr, path: &str, accept: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&server, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    // with 1.0 the body ends where the connection does
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {server}\r\nAccept: {accept}\r\n\r\n").ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8(answer).expect("UTF-8");
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

#[test]
fn promtool_has_nothing_against_any_fixture() {
    if !has("promtool", "metrics are not checked by Prometheus") {
        return;
    }
    for case in Case::all() {
        let ran = run(&[case.capture.to_str().expect("ASCII"), "-o", "prometheus"]);
        assert_eq!(ran.stderr, "", "{}", case.name);
        assert_eq!(faults(&ran.stdout), "", "{}", case.name);
    }
}

#[test]
fn promtool_has_nothing_against_names_of_users() {
    if !has("promtool", "metrics are not checked by Prometheus") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let names = folder.path().join("names");
    fs::write(&names, "a\"b\\n{}=,\\ 443/tcp\n<>'\"\\\" 53/udp\n").expect("room");
    let services = names.to_str().expect("ASCII");
    let ran = run(&["fixtures/office/capture.pcapng", "--services", services, "-o", "prometheus"]);
    assert_eq!(faults(&ran.stdout), "");
    assert!(ran.stdout.contains(r#"{service="a\"b\\n{}=,\\",transport="tcp""#), "{}", ran.stdout);
}

/// The text of the other form is held against this one's samples in unit tests, and here to Prometheus' own parser.
#[test]
fn open_metrics_are_valid() {
    let text = include_str!("../src/output/golden/metrics.openmetrics");
    assert_eq!(open_metrics_samples(text), samples(text).len());
}

#[test]
fn metrics_say_what_the_report_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("portlabel.prom");
    let to_file = format!("prometheus={}", path.display());
    let report = run(&["fixtures/office/capture.pcapng", "-o", "json", "-o", &to_file]).json();
    let text = fs::read_to_string(&path).expect("is there");
    let found = samples(&text);
    let count = |of: &str| report[of].as_f64().expect("a number");
    let portless = total(&found, "portlabel_portless_packets_total");
    assert!(portless > 0.0);
    let pairs = [
        (found["portlabel_read_packets_total"], count("packets")),
        (found["portlabel_read_bytes_total"], count("wire_bytes")),
        (total(&found, "portlabel_packets_total") + portless, count("packets")),
        (total(&found, "portlabel_packet_size_bytes_count") + portless, count("packets")),
        (total(&found, "portlabel_evidence_packets_total") + portless, count("packets")),
    ];
    for (at, (metric, reported)) in pairs.into_iter().enumerate() {
        assert!((metric - reported).abs() < 0.5, "{at}: {metric} and {reported}");
    }
    assert!(!text.contains("drops_total"), "nobody counts the drops of a file");
    assert_eq!(fs::metadata(&path).expect("is there").permissions().mode() & 0o777 & !0o644, 0, "{path:?}");
}

#[test]
fn every_family_is_explained() {
    let families =
        include_str!("../src/output/golden/metrics.prom").lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let rows: Vec<_> = include_str!("../README.md").lines().filter(|line| line.starts_with("| `portlabel_")).collect();
    let mut count = 0;
    for (family, kind) in families.filter_map(|line| line.split_once(' ')) {
        let named =
            rows.iter().filter(|row| row.contains(&format!("`{family}`")) && row.contains(&format!("| {kind} |")));
        assert_eq!(named.count(), 1, "{family}, a {kind}, is in one row of the README");
        count += 1;
    }
    let explained: usize = rows.iter().map(|row| row.matches("`portlabel_").count()).sum();
    assert_eq!(explained, count, "the README has no other ones");
}

#[test]
fn where_the_file_cannot_be_replaced_the_run_does_not_begin() {
    let folder = tempfile::tempdir().expect("a folder");
    let fifo = folder.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().expect("it starts").success());
    let cases = [
        (folder.path().display().to_string(), "is a folder; the metrics take the place of a file"),
        (format!("{}/new/", folder.path().display()), "is a folder; the metrics take the place of a file"),
        (fifo.display().to_string(), "is a device or a pipe; the metrics take the place of a file"),
        ("/dev/null".to_owned(), "is a device or a pipe; the metrics take the place of a file"),
        (format!("{}/no/such", folder.path().display()), "cannot create a file beside it, to take its place"),
    ];
    for (path, why) in cases {
        let ran = run(&["fixtures/dns/capture.pcap", "-o", &format!("prometheus={path}"), "-o", "table"]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{path}");
        assert!(ran.stderr.starts_with(&format!("portlabel: {path}: {why}")), "{}", ran.stderr);
    }
}

/// A user who may not write to the folder, as `-Z` makes one.
#[test]
fn where_rights_given_up_are_needed_it_is_told_before_anything_is_read() {
    if !rustix::process::geteuid().is_root() {
        crate::cases::skipped("only root becomes another user: no metrics are written by one");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("portlabel.prom");
    let to_file = format!("prometheus={}", path.display());
    let mut command = portlabel();
    command.args(["-Z", "nobody", "-", "-o", &to_file]);
    command.stdin(fs::File::open("fixtures/office/capture.pcapng").expect("is there"));
    let refused = ran(&mut command);
    let want = format!(
        "portlabel: {}: user 65534 may create no file beside it, to take its place: Permission denied",
        path.display()
    );
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.starts_with(&want), "{}", refused.stderr);
    assert!(!path.exists());

    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).expect("it is ours");
    command.stdin(fs::File::open("fixtures/office/capture.pcapng").expect("is there"));
    let done = ran(&mut command);
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""));
    assert!(fs::read_to_string(&path).expect("is there").contains("portlabel_read_packets_total 172\n"));
}
