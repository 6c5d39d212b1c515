//! `portlabel diff`: what came, went and moved between two reports, and when that is a failure.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cases::Case;
use crate::program::{Ran, portlabel, ran, run, run_with_input};

/// A folder with the report of a fixture.
fn folder_with(fixture: &str, name: &str) -> (TempDir, Value) {
    let folder = TempDir::new().expect("a folder");
    let report = report(fixture);
    write(folder.path(), name, &report);
    (folder, report)
}

fn report(fixture: &str) -> Value {
    let ran = ran(portlabel().arg(Case::named(fixture).capture).args(["-o", "json"]));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    ran.json()
}

fn write(folder: &Path, name: &str, report: &Value) {
    fs::write(folder.join(name), report.to_string()).expect("room");
}

fn diff(folder: &Path, args: &[&str]) -> Ran {
    ran(portlabel().current_dir(folder).arg("diff").args(args))
}

/// What is counted, by key.
const COUNTS: [&str; 8] = ["packets", "wire_bytes", "flows", "started", "ended", "unanswered", "count", "sum"];

/// Multiplies everything that was counted.
fn multiply(value: &mut Value, times: u64) {
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                match member.as_u64().filter(|_| COUNTS.contains(&key.as_str())) {
                    Some(count) => *member = (count * times).into(),
                    None => multiply(member, times),
                }
            }
        }
        Value::Array(members) => members.iter_mut().for_each(|member| multiply(member, times)),
        _ => {}
    }
}

/// Makes the totals those of the rows.
fn add_up(report: &mut Value) {
    let rows = |report: &Value, key: &str| report[key].as_array().cloned().expect("rows");
    let (services, portless) = (rows(report, "services"), rows(report, "portless"));
    for key in ["packets", "wire_bytes"] {
        report[key] = services.iter().chain(&portless).filter_map(|row| row[key].as_u64()).sum::<u64>().into();
    }
    for key in ["started", "ended", "unanswered"] {
        report["flows"][key] = services.iter().filter_map(|row| row["flows"][key].as_u64()).sum::<u64>().into();
    }
}

/// Three times as much of the first service.
fn triple(report: &mut Value) {
    multiply(&mut report["services"][0], 3);
    add_up(report);
}

/// Takes the second service out.
fn take_out(report: &mut Value) {
    report["services"].as_array_mut().expect("rows").remove(1);
    add_up(report);
}

/// The same capture, twice as long.
fn slow_down(report: &mut Value) {
    let last = report["last_ts"].as_str().expect("a time");
    let longer: jiff::Timestamp = last.parse().expect("a time");
    let first: jiff::Timestamp = report["first_ts"].as_str().expect("a time").parse().expect("a time");
    report["last_ts"] = format!("{:.9}", longer + longer.duration_since(first)).into();
}

#[test]
fn a_report_does_not_differ_from_itself() {
    let (folder, _) = folder_with("office", "a.json");
    let same = diff(folder.path(), &["a.json", "a.json", "--fail-over", "0", "--json"]);
    assert_eq!((same.code, same.stderr.as_str()), (Some(0), ""));
    let document = same.json();
    assert_eq!(document["services"], json!([]));
    assert_eq!((&document["unchanged_services"], &document["unchanged_reasons"]), (&json!(8), &json!(2)));
    assert_eq!((&document["basis"], &document["wire_bytes_change_percent"]), (&json!("rate"), &json!(0.0)));
    let text = diff(folder.path(), &["a.json", "a.json"]).stdout;
    assert!(text.ends_with("\n0 changed, 10 unchanged and not shown\n"), "{text}");
}

#[test]
fn services_come_go_and_move() {
    let (folder, report) = folder_with("office", "a.json");
    let mut after = report.clone();
    triple(&mut after);
    take_out(&mut after);
    write(folder.path(), "b.json", &after);
    let there = diff(folder.path(), &["a.json", "b.json", "--json"]).json();
    let change = |document: &Value, at: usize| {
        let row = &document["services"][at];
        json!([row["service"], row["status"], row["wire_bytes_change_percent"]])
    };
    assert_eq!(change(&there, 0), json!(["https", "moved", 200.0]));
    assert_eq!(change(&there, 1), json!(["ssh", "gone", -100.0]));
    assert_eq!((&there["services"][1]["after"], &there["unchanged_services"]), (&Value::Null, &json!(6)));
    let back = diff(folder.path(), &["b.json", "a.json", "--json"]).json();
    assert_eq!(change(&back, 1), json!(["ssh", "new", null]));

    let text = diff(folder.path(), &["a.json", "b.json"]).stdout;
    assert!(text.contains("https    tcp"), "{text}");
    assert!(text.contains("+200.0%") && text.contains("\ngone  ssh"), "{text}");
    assert!(!text.contains("smtp") && text.contains("2 changed, 8 unchanged and not shown"), "{text}");
    assert!(!text.contains('\u{1b}'), "no colours but on a terminal");
    assert!(diff(folder.path(), &["a.json", "b.json", "--color", "always"]).stdout.contains('\u{1b}'));
}

#[test]
fn a_failure_is_a_service_that_moved_by_more_than_is_allowed() {
    let (folder, report) = folder_with("office", "a.json");
    let changed = |name: &str, change: fn(&mut Value)| {
        let mut changed = report.clone();
        change(&mut changed);
        write(folder.path(), name, &changed);
    };
    changed("tripled.json", triple);
    changed("gone.json", take_out);
    changed("slow.json", slow_down);
    let cases = [
        // before, after, options, exit code
        ("a.json", "a.json", "0", "", 0),
        ("a.json", "tripled.json", "199.9", "", 1),
        ("a.json", "tripled.json", "200", "", 0),
        ("tripled.json", "a.json", "66", "", 1),
        ("tripled.json", "a.json", "67%", "", 0),
        ("a.json", "gone.json", "99", "", 1),
        ("a.json", "gone.json", "100", "", 0),
        ("gone.json", "a.json", "1e300", "", 1),
        // half the rate, and the same total
        ("a.json", "slow.json", "49", "", 1),
        ("a.json", "slow.json", "51", "", 0),
        ("a.json", "slow.json", "1", "--totals", 0),
    ];
    for (before, after, over, option, code) in cases {
        let args = [before, after, "--fail-over", over, option];
        let ran = diff(folder.path(), &args[..if option.is_empty() { 4 } else { 5 }]);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(code), ""), "{args:?}: {}", ran.stdout);
        let told = ran.stdout.lines().last().expect("a line");
        assert_eq!(told.starts_with("0 services changed by more than"), code == 0, "{args:?}: {told}");
    }
}

#[test]
fn percentiles_are_compared_where_there_are_enough_values() {
    let (folder, mut report) = folder_with("office", "a.json");
    let shifted = |report: &mut Value, count: u64| {
        // a row whose round trips are so many
        let row = &mut report["services"][0];
        let flows = row["flows"]["ended"].as_u64().expect("a count");
        assert!(flows > 0);
        row["handshake_rtt_us"] = json!({
            "count": count, "sum": count * 50, "min": 40, "mean": 50.0, "p50": 50, "p90": 60, "p99": 70, "max": 80
        });
    };
    // p50 needs 100 values, p90 500, p99 5,000
    for (count, percentiles) in [(99, vec![]), (100, vec![50]), (500, vec![50, 90]), (5_000, vec![50, 90, 99])] {
        shifted(&mut report, count);
        write(folder.path(), "a.json", &report);
        let mut after = report.clone();
        for (key, value) in [("p50", 60), ("p90", 64), ("p99", 75)] {
            after["services"][0]["handshake_rtt_us"][key] = value.into();
        }
        write(folder.path(), "b.json", &after);
        let document = diff(folder.path(), &["a.json", "b.json", "--json"]).json();
        let found = document["services"][0]["percentiles"].as_array().cloned().unwrap_or_default();
        let found: Vec<_> = found.iter().map(|shift| shift["percentile"].as_u64().expect("a number")).collect();
        assert_eq!(found, percentiles, "{count} values");
    }
    let text = diff(folder.path(), &["a.json", "b.json"]).stdout;
    assert!(text.contains("  RTT p50") && text.contains("+20.0%"), "{text}");
    // by less than 5 %
    let mut after = report.clone();
    after["services"][0]["handshake_rtt_us"]["p50"] = 52.into();
    write(folder.path(), "b.json", &after);
    assert_eq!(diff(folder.path(), &["a.json", "b.json", "--json"]).json()["services"], json!([]));
}

#[test]
fn other_settings_are_a_remark_and_what_is_no_report_an_error() {
    let (folder, mut report) = folder_with("office", "a.json");
    report["source"]["filter"] = "ip".into();
    write(folder.path(), "b.json", &report);
    let ran = diff(folder.path(), &["a.json", "b.json"]);
    let remark = "what differs may be due to how the reports were made: they have different filters, none and 'ip'";
    assert_eq!((ran.code, ran.stderr), (Some(0), format!("portlabel: {remark}\n")));
    assert_eq!(diff(folder.path(), &["a.json", "b.json", "-q"]).stderr, "");
    fs::write(folder.path().join("c.json"), "{").expect("room");
    let ran = diff(folder.path(), &["a.json", "c.json"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
    assert!(ran.stderr.starts_with("portlabel: c.json: not JSON: EOF"), "{}", ran.stderr);
    let cases: [&[&str]; 4] =
        [&["diff"], &["diff", "a.json"], &["diff", "-", "-"], &["diff", "a.json", "b.json", "--fail-over", "-1"]];
    for args in cases {
        assert_eq!(run(args).code, Some(2), "{args:?}");
    }
}

#[test]
fn a_run_that_goes_on_can_be_compared() {
    let (folder, _) = folder_with("office", "a.json");
    let capture = Case::named("office").capture;
    let lines = ran(portlabel().arg(capture).args(["-o", "ndjson", "--interval", "1s"])).stdout;
    let (first, _) = lines.split_once('\n').expect("several lines");
    let path = folder.path().join("a.json");
    let ran = run_with_input(&["diff", "-", path.to_str().expect("ASCII"), "--json"], first.as_bytes(), 100);
    let remark = "portlabel: standard input: is not final: the run that writes it goes on, or was cut off\n";
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), remark));
    assert!(ran.json()["before"]["flows"]["active"].as_u64() > Some(0));
}

#[test]
fn numbers_that_contradict_each_other_are_not_compared() {
    let (folder, report) = folder_with("office", "a.json");
    let sizes = &report["services"][0]["packet_size_bytes"];
    for (key, value, want) in [
        ("min", 99_999.into(), "packet_size_bytes: count 45, sum "),
        ("mean", 1.0.into(), "packet_size_bytes: mean 1 is not sum "),
        ("p50", 1.into(), "packet_size_bytes: percentiles 1, "),
        ("p99", sizes["min"].clone(), "packet_size_bytes: percentiles "),
    ] {
        let mut changed = report.clone();
        changed["services"][0]["packet_size_bytes"][key] = value;
        write(folder.path(), "b.json", &changed);
        let ran = diff(folder.path(), &["a.json", "b.json"]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{key}");
        assert!(ran.stderr.contains(want), "{key}: {}", ran.stderr);
    }
}
