//! `portlabel merge`: parts of a capture add up to the whole, and what cannot be added up is told.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use portlabel::engine::EngineConfig;
use portlabel::report::{Merge, Report};
use portlabel::snapshot::{Snapshot, SourceInfo};
use portlabel::units::Transport;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cases::Case;
use crate::frames::{End, Kind, Owned, Packet, events};
use crate::laws::snapshots;
use crate::program::{Ran, document, portlabel, ran, run, run_with_input};

/// 2026-01-31T10:00:00Z, in nanoseconds.
const START: i64 = 1_769_853_600_000_000_000;

/// A flow that starts with its handshake: the part of the capture that it is in, and its packets. Its ends are its own.
#[derive(Clone, Debug)]
struct Flow {
    part: usize,
    frames: Vec<Owned>,
}

fn any_flow() -> impl Strategy<Value = Flow> {
    let ends = (1..4_u8, 40_000..60_000_u16, select(vec![21_u16, 22, 80, 443, 5432, 8080, 4, 40_001]));
    // less than any idle timeout: a flow that starts again, without a handshake, is labelled by what is known by then
    let packets = prop::collection::vec((any::<bool>(), 0..60_000_000_000_i64, 60..70_000_u32), 0..60);
    let transports = select(vec![Transport::Tcp, Transport::Sctp, Transport::Dccp]);
    (0..5_usize, transports, ends, 0..100_000_000_000_i64, any::<bool>(), packets).prop_map(
        |(part, transport, (host, client_port, server_port), start, is_v6, packets)| {
            let (client, server): (End, End) = ((host, client_port), (host + 100, server_port));
            let mut now = START + start;
            let mut packet = |to_server, kind, gap: i64, wire_len| {
                now += gap;
                let (src, dst) = if to_server { (client, server) } else { (server, client) };
                let packet = Packet {
                    ts_nanos: now,
                    is_v6,
                    tags: 0,
                    extensions: 0,
                    transport,
                    src,
                    dst,
                    kind,
                    payload_len: 0,
                    wire_len,
                };
                packet.owned()
            };
            let mut frames = vec![packet(true, Kind::Open, 0, 74), packet(false, Kind::Accept, 250_000, 74)];
            for (to_server, gap, wire_len) in packets {
                frames.push(packet(to_server, Kind::Data, gap, wire_len));
            }
            Flow { part, frames }
        },
    )
}

/// Flows of which no two have the same ends, and frames without ports.
fn any_flows() -> impl Strategy<Value = Vec<Flow>> {
    let portless = (0..5_usize, 0..100_000_000_000_i64, 0..2_000_u32).prop_map(|(part, at, wire_len)| Flow {
        part,
        frames: vec![Owned { ts_nanos: START + at, wire_len, link: 0xfff0, data: vec![0; 4] }],
    });
    let flows = prop::collection::vec(any_flow(), 0..40).prop_map(|mut flows| {
        let ends = |flow: &Flow| flow.frames[0].data[26..].get(..16).map(<[u8]>::to_vec);
        flows.sort_by_key(ends);
        flows.dedup_by_key(|flow| ends(flow));
        flows
    });
    (flows, prop::collection::vec(portless, 0..10)).prop_map(|(flows, portless)| [flows, portless].concat())
}

/// What a run writes about the frames of some flows.
fn report<'f>(flows: impl Iterator<Item = &'f Flow>) -> String {
    let mut frames: Vec<_> = flows.flat_map(|flow| flow.frames.clone()).collect();
    frames.sort_by_key(|frame| frame.ts_nanos);
    let config = EngineConfig { histograms: true, ..EngineConfig::default() };
    let snapshots = snapshots(&events(&frames, &config, 64));
    serde_json::to_string(&**snapshots.last().expect("a final snapshot")).expect("JSON")
}

/// What is written of the sum of some reports.
fn merged<'r>(reports: impl IntoIterator<Item = &'r String>) -> String {
    let mut reports =
        reports.into_iter().enumerate().map(|(at, text)| Report::read(&at.to_string(), text.as_bytes()).expect("ours"));
    let mut sum = Merge::new(reports.next().expect("a report")).expect("it can be added");
    reports.try_for_each(|report| sum.add(report)).expect("they can be added");
    serde_json::to_string(&sum.snapshot()).expect("JSON")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn parts_add_up_to_the_whole(flows in any_flows(), parts in 2..6_usize, rotated in 0..5_usize) {
        let whole = report(flows.iter());
        let mut reports: Vec<_> = (0..parts).map(|part| report(flows.iter().filter(|flow| flow.part % parts == part))).collect();
        let all = merged(&reports);
        // to the letter: what names the source is the same here, no time jumps, and no table is ever full
        prop_assert_eq!(document(&all), document(&whole));
        prop_assert_eq!(&all, &whole);
        // in any order, and sums of sums
        reports.rotate_left(rotated % parts);
        prop_assert_eq!(&merged(&reports), &all);
        let (some, others) = reports.split_at(1);
        prop_assert_eq!(&merged(&[some[0].clone(), merged(others)]), &all);
        prop_assert_eq!(&merged(std::slice::from_ref(&all)), &all);
    }
}

/// A folder with the report of a fixture in `a.json`, made with histograms.
fn folder_with_report() -> (TempDir, Value) {
    let folder = TempDir::new().expect("a folder");
    let report = label(&Case::named("office").capture, &["-o", "json", "--histograms"]).json();
    write(folder.path(), "a.json", &report);
    (folder, report)
}

fn label(capture: &Path, args: &[&str]) -> Ran {
    let ran = ran(portlabel().arg(capture).args(args));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    ran
}

fn write(folder: &Path, name: &str, report: &Value) {
    fs::write(folder.join(name), report.to_string()).expect("room");
}

/// Merges files of a folder.
fn merge(folder: &Path, args: &[&str]) -> Ran {
    ran(portlabel().current_dir(folder).arg("merge").args(args))
}

#[test]
fn parts_of_a_capture_give_the_report_of_the_whole() {
    let (folder, mut whole) = folder_with_report();
    let capture = Case::named("office").capture;
    let filters = ["tcp port 443 or arp", "tcp and not port 443", "not tcp and not arp"];
    for (at, filter) in filters.into_iter().enumerate() {
        let (part, report) = (folder.path().join(format!("{at}.pcapng")), folder.path().join(format!("{at}.json")));
        label(&capture, &["-f", filter, "-w", part.to_str().expect("ASCII"), "-o", "table=/dev/null"]);
        label(&part, &["--histograms", "-o", &format!("json={}", report.display())]);
    }
    let ran = merge(folder.path(), &["0.json", "2.json", "1.json"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    let mut sum = ran.json();
    let names = sum["source"]["names"].take();
    assert_eq!(names.as_array().map(Vec::len), Some(3));
    whole["source"]["names"].take();
    assert_eq!(sum, whole);

    let table = merge(folder.path(), &["0.json", "2.json", "1.json", "-o", "table", "-o", "csv=all.csv"]);
    assert!(table.stdout.contains("172 packets") && table.stdout.contains("https :443"), "{}", table.stdout);
    let csv = fs::read_to_string(folder.path().join("all.csv")).expect("written");
    assert_eq!(csv.lines().count(), 1 + sum["services"].as_array().map_or(0, Vec::len));
}

#[test]
fn the_last_line_of_ndjson_counts_and_standard_input_is_a_report() {
    let (folder, report) = folder_with_report();
    let lines = label(&Case::named("office").capture, &["-o", "ndjson", "--interval", "1s", "--histograms"]);
    assert!(lines.json_lines().len() > 2);
    let sum = run_with_input(&["merge", "-"], lines.stdout.as_bytes(), 1000);
    assert_eq!((sum.code, sum.stderr.as_str()), (Some(0), ""));
    assert_eq!(sum.json(), report);
    // pretty printed, it is the same report
    fs::write(folder.path().join("b.json"), format!("{report:#}")).expect("room");
    assert_eq!(merge(folder.path(), &["b.json"]).json(), report);
}

#[test]
fn a_byte_order_mark_is_skipped() {
    let (folder, report) = folder_with_report();
    fs::write(folder.path().join("b.json"), format!("\u{feff}{report}")).expect("room");
    let ran = merge(folder.path(), &["b.json"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert_eq!(ran.json(), report);
    fs::write(folder.path().join("c.json"), "\u{feff}").expect("room");
    assert!(merge(folder.path(), &["c.json"]).stderr.contains("c.json: is empty"));
}

#[test]
fn reports_of_one_source_at_one_time_are_told() {
    let (folder, report) = folder_with_report();
    let (first, last) = (report["first_ts"].as_str().expect("a time"), report["last_ts"].as_str().expect("a time"));
    let part = |name: &str, kind: &str, host: Value, names: &[&str], year: &str| {
        let mut part = report.clone();
        part["source"] = json!({ "kind": kind, "names": names, "host": host, "filter": null });
        if kind == "live" {
            part["drops"]["interfaces"] = json!({});
        }
        for key in ["first_ts", "last_ts"] {
            part[key] = format!("{year}{}", &part[key].as_str().expect("a time")[4..]).into();
        }
        part["time_jumps"] = name.len().into(); // no two are the same report
        write(folder.path(), name, &part);
    };
    let now = &first[..4];
    part("a", "file", Value::Null, &["x.pcap", "y.pcap", "z.pcap"], now);
    part("bb", "file", Value::Null, &["z.pcap", "y.pcap"], now);
    part("ccc", "file", Value::Null, &["u.pcap", "-"], now);
    part("dddd", "file", Value::Null, &["x.pcap"], "2001");
    part("eeeee", "file", Value::Null, &["v.pcap", "-"], now);
    part("1", "live", "red".into(), &["eth0"], now);
    part("22", "live", "blue".into(), &["eth0"], now);
    part("333", "live", "red".into(), &["eth1"], now);
    part("4444", "live", "red".into(), &["eth0"], now);
    let sums = [["ab", "a", "ccc"], ["12", "1", "22"]];
    for [name, one, other] in sums {
        write(folder.path(), name, &merge(folder.path(), &[one, other]).json());
    }
    let span = format!("from {first} to {last}");
    let cases: [(&[&str], Option<(&str, &str, &str)>); 7] = [
        // reports, and what is said: which, what, as which
        (&["a", "ccc", "dddd", "eeeee"], None),
        (&["a", "ccc", "bb"], Some(("bb", "y.pcap and 1 more", "a"))),
        (&["a", "ab"], Some(("ab", "x.pcap and 2 more", "a"))),
        (&["a", "ccc", "ab"], Some(("ab", "x.pcap and 2 more", "a and 1 more"))),
        (&["1", "22", "333"], None),
        (&["1", "22", "333", "4444"], Some(("4444", "red:eth0", "1"))),
        (&["12", "4444"], Some(("4444", "red:eth0", "12"))),
    ];
    for (reports, said) in cases {
        let ran = merge(folder.path(), reports);
        let want = said.map_or_else(String::new, |(name, what, other)| {
            format!(
                "portlabel: {name}: tells of {what} {span}, as {other} does; packets that are in both count twice\n"
            )
        });
        assert_eq!((ran.code, ran.stderr), (Some(0), want), "{reports:?}");
    }
    assert_eq!(merge(folder.path(), &["a", "bb", "-q"]).stderr, "");
}

#[test]
fn a_sum_has_no_longer_lists_than_a_report() {
    let (folder, mut report) = folder_with_report();
    for (name, from) in [("a.json", 0), ("b.json", 600_000)] {
        report["source"]["names"] = (from..from + 600_000).map(|at: u32| at.to_string()).collect();
        write(folder.path(), name, &report);
    }
    let ran = merge(folder.path(), &["a.json", "b.json"]);
    let want = "portlabel: b.json: with it, the sum has more than 1000000 inputs; leave some reports out\n";
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(1), want));
}

/// Names of inputs as long as they may be: a sum keeps 128 MiB of them.
#[test]
fn a_sum_has_no_more_of_names_than_fits() {
    let (_folder, report) = folder_with_report();
    let report = Report::read("one", report.to_string().as_bytes()).expect("a report");
    let with_names = |number: u32| {
        let names = (0..3_000).map(|at| format!("{number}/{at:05}/{}", "x".repeat(16_000))).collect();
        let source = SourceInfo { names, ..SourceInfo::clone(&report.snapshot.source) };
        Report { snapshot: Snapshot { source: source.into(), ..report.snapshot.clone() }, ..report.clone() }
    };
    let mut sum = Merge::new(with_names(0)).expect("48 MB");
    sum.add(with_names(1)).expect("96 MB");
    let error = sum.add(with_names(2)).expect_err("144 MB").to_string();
    assert_eq!(error, "one: with it, the sum has more than 134217728 bytes of names of inputs; leave some reports out");
}

#[test]
fn interfaces_of_several_hosts_are_told_apart() {
    let (folder, report) = folder_with_report();
    for (name, host, kernel) in [("a", "red", 1), ("b", "blue", 2), ("c", "red", 4)] {
        let mut live = report.clone();
        live["source"] = json!({ "kind": "live", "names": ["eth0"], "host": host, "filter": null });
        let drops = json!({ "kernel": kernel, "interface": null });
        live["drops"] = json!({ "kernel": kernel, "interface": null, "interfaces": { "eth0": drops } });
        live["time_jumps"] = kernel.into(); // no two are the same report
        write(folder.path(), &format!("{name}.json"), &live);
    }
    let one_host = merge(folder.path(), &["a.json", "c.json"]).json();
    assert_eq!((&one_host["source"]["host"], &one_host["source"]["names"]), (&json!("red"), &json!(["eth0"])));
    assert_eq!(one_host["drops"]["interfaces"], json!({ "eth0": { "kernel": 5, "interface": null } }));
    write(folder.path(), "ac.json", &one_host);
    let both = merge(folder.path(), &["ac.json", "b.json"]).json();
    assert_eq!((&both["source"]["host"], &both["source"]["names"]), (&Value::Null, &json!(["blue:eth0", "red:eth0"])));
    assert_eq!(both["drops"]["interfaces"]["red:eth0"], json!({ "kernel": 5, "interface": null }));
    assert_eq!((&both["drops"]["kernel"], &both["time_jumps"]), (&json!(7), &json!(7)));
    write(folder.path(), "ab.json", &merge(folder.path(), &["a.json", "b.json"]).json());
    assert_eq!(merge(folder.path(), &["c.json", "ab.json"]).json(), both, "sums of sums");
}

#[test]
fn what_cannot_be_added_up_is_told_and_nothing_is_written() {
    let (folder, report) = folder_with_report();
    let changed = |pointer: &str, value: Value| {
        let mut changed = report.clone();
        *changed.pointer_mut(pointer).unwrap_or_else(|| panic!("there is no {pointer}")) = value;
        changed.to_string()
    };
    let text = report.to_string();
    let row = &report["services"][0];
    let hdr = row["packet_size_bytes"]["hdr"].as_str().expect("a histogram");
    let hdr_of_others = &report["services"][1]["packet_size_bytes"]["hdr"];
    let doubled = |rows: &str| {
        let mut doubled = report.clone();
        let rows = doubled[rows].as_array_mut().expect("rows");
        rows.push(rows[0].clone());
        doubled.to_string()
    };
    let mut live = report.clone();
    live["source"]["kind"] = "live".into();
    live["drops"]["interfaces"] = json!({});
    let big = (1_u64 << 63) - 1;
    let (port, long) = (row["ports"][0].clone(), "x".repeat(100_000));
    let cases = [
        ("nothing", String::new(), "is empty; a report is what -o json or -o ndjson writes"),
        ("no JSON", "port,packets\n".to_owned(), "not JSON: expected value at line 1 column 1"),
        ("a cut one", text[..text.len() / 2].to_owned(), "not JSON: EOF while parsing"),
        ("cut in its second line", format!("{text}\n{}", &text[..99]), "document 2: not JSON: EOF while parsing"),
        ("another document", "{}".to_owned(), "names no schema; a report is portlabel.snapshot/1"),
        ("a number", "7".to_owned(), "names no schema; a report is portlabel.snapshot/1"),
        ("another schema", changed("/schema", "portlabel.snapshot/2".into()), "is of the schema 'portlabel.snapshot/2'; a"),
        ("a missing key", text.replacen("\"handshake_rtt_us\":", "\"rtt\":", 1), "not as portlabel.snapshot/1 has it: missing field `handshake_rtt_us` at line 1"),
        ("a negative count", changed("/packets", (-1).into()), "not as portlabel.snapshot/1 has it: invalid value: integer `-1`"),
        ("an unknown rule", changed("/services/0/evidence", json!({"luck": {"flows": 1, "packets": 1, "wire_bytes": 1}})), "'luck' is no rule that this version knows"),
        ("no time", changed("/ts", "now".into()), "not as portlabel.snapshot/1 has it: "),
        ("a sum that is none", changed("/packets", 171.into()), "services and portless have 172 packets and"),
        ("directions", changed("/services/0/to_server/packets", 1.into()), "services[0] (https, tcp): to_server and from_server have"),
        ("ports", changed("/services/0/ports/0/packets", 1.into()), "ports and other_ports have 1 packets"),
        ("other ports", changed("/services/0/other_ports/ports", 1.into()), "other_ports has ports, with histograms"),
        ("a rule", changed("/services/0/evidence/handshake/packets", 1.into()), "evidence has 1 packets"),
        ("flows of a rule", changed("/services/0/evidence/handshake/flows", 9.into()), "flows do not add up"),
        ("flows", changed("/flows/started", 9.into()), "flows are not those of services"),
        ("gaps", changed("/services/0/gap_us/count", 1.into()), "gap_us has 1 values where 43 were counted"),
        ("sizes", changed("/services/0/packet_size_bytes/sum", 1.into()), "packet_size_bytes has another sum than"),
        ("times", changed("/first_ts", Value::Null), "first_ts and last_ts are no times of its packets"),
        ("a row twice", doubled("services"), "is there twice"),
        ("a reason twice", doubled("portless"), "services and portless have"),
        ("drops", changed("/drops", json!({"kernel": 1, "interface": null, "interfaces": {}})), "drops tell of interfaces"),
        ("a name for the terminal", changed("/services/0/service", "\u{1b}[31m".into()), "a name has 1 to 63 visible ASCII"),
        ("a reserved name", changed("/services/0/service", "Unlabelled".into()), "services[0] (Unlabelled, tcp): the name is reserved"),
        ("another reserved name", changed("/services/0/service", "other".into()), "services[0] (other, tcp): the name is reserved"),
        ("no values", changed("/services/0/handshake_rtt_us/count", 0.into()), "handshake_rtt_us: count 0, sum "),
        ("a minimum above", changed("/services/0/packet_size_bytes/min", 99_999.into()), "packet_size_bytes: count 45, sum "),
        ("a mean", changed("/services/0/packet_size_bytes/mean", 100.0.into()), "packet_size_bytes: mean 100 is not sum "),
        ("falling", changed("/services/0/packet_size_bytes/p99", 61.into()), "packet_size_bytes: percentiles "),
        ("some percentiles", changed("/services/0/packet_size_bytes/p90", Value::Null), ", null and "),
        ("another median", changed("/services/0/packet_size_bytes/p50", row["packet_size_bytes"]["min"].clone()), "packet_size_bytes of https, tcp: hdr contradicts p50"),
        ("inputs", changed("/source/names", vec!["a"; 1_000_001].into()), "a list of more than 1000000; no report has as many"),
        ("ports of a row", changed("/services/0/ports", vec![port; 65_537].into()), "a list of more than 65536; no report"),
        ("reasons", changed("/portless", vec![report["portless"][0].clone(); 13].into()), "a list of more than 12; no report"),
        ("a rule twice", text.replacen("\"evidence\":{", "\"evidence\":{\"handshake\":{\"flows\":0,\"packets\":0,\"wire_bytes\":0},", 1), "the rule 'handshake' is there twice"),
        ("a long schema", changed("/schema", long.clone().into()), "is of the schema 'xxx"),
        ("a long number", changed("/packets", long.clone().into()), "invalid type: string \"xxx"),
        ("a long name", changed("/services/0/service", long.clone().into()), "services[0] (xxx"),
        ("a long input", changed("/source/names", json!([long])), "the name of an input is longer than 16384 bytes: xxx"),
        ("a long host", changed("/source/host", "h".repeat(256).into()), "the name of a host is longer than 255 bytes: hhh"),
        ("a long filter", changed("/source/filter", long.into()), "different filters, none and 'xxx"),
        ("no end", changed("/final", false.into()), "its last snapshot is not final"),
        ("no histograms", changed("/settings/histograms", false.into()), "was made without histograms"),
        ("no hdr", text.replacen("\"hdr\":", "\"hdr_\":", 1), " of https, tcp: has no hdr: make the report"),
        ("another hdr", changed("/services/0/packet_size_bytes/hdr", hdr_of_others.clone()), "hdr contradicts "),
        ("a cut hdr", changed("/services/0/packet_size_bytes/hdr", hdr[..hdr.len() - 4].into()), "packet_size_bytes of https, tcp: hdr: its counters"),
        ("no base64", changed("/services/0/packet_size_bytes/hdr", "?".into()), "hdr: not base64: "),
        ("another filter", changed("/source/filter", "tcp".into()), "cannot be added to a.json: they have different filters, none and 'tcp'"),
        ("other timeouts", changed("/settings/tcp_idle_timeout_us", 1.into()), "cannot be added to a.json: they were made with another tcp_idle_timeout_us"),
        ("names", changed("/settings/user_names_sha256", "0".repeat(64).into()), "made with another user_names_sha256"),
        ("the carrier", changed("/settings/outer", true.into()), "made with another outer"),
        ("live", live.to_string(), "one is of files, the other of a live capture"),
        ("the same", text.clone(), "is the same report as a.json; everything in it would count twice"),
        ("too much", changed("/time_jumps", u64::MAX.into()), "totals: adding up goes beyond the largest number"),
        ("too many values", text.replacen(&row["handshake_rtt_us"].to_string(), &json!({"count": big, "sum": 9, "min": 0, "mean": 0.0, "p50": null, "p90": null, "p99": null, "max": 9, "hdr": null}).to_string(), 1), "handshake_rtt_us of https, tcp: adding up goes beyond"),
    ];
    let mut first = report.clone();
    first["time_jumps"] = 1.into();
    for (name, text, want) in cases {
        // the first report is another one, unless that is the point
        write(folder.path(), "a.json", if name == "the same" { &report } else { &first });
        fs::write(folder.path().join("b.json"), text).expect("room");
        let ran = merge(folder.path(), &["a.json", "b.json", "-o", "json=sum.json", "-o", "table"]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{name}: {}", ran.stderr);
        assert!(ran.stderr.starts_with("portlabel: b.json: ") && ran.stderr.contains(want), "{name}: {}", ran.stderr);
        assert!(!folder.path().join("sum.json").exists(), "{name}");
        assert!(ran.stderr.len() < 600, "{name}: {} bytes", ran.stderr.len());
    }
    let missing = merge(folder.path(), &["a.json", "nowhere.json"]);
    assert_eq!(missing.stderr, "portlabel: nowhere.json: cannot read: No such file or directory (os error 2)\n");
    assert_eq!(merge(folder.path(), &["."]).stderr, "portlabel: .: cannot read: is a directory\n");
}

#[test]
fn what_is_packed_in_histograms_is_bounded() {
    let (folder, mut report) = folder_with_report();
    // every bucket has a value: 7,424 counters in some 50 bytes
    let mut plain = 0x1c84_9313_u32.to_be_bytes().to_vec();
    plain.extend([7_424_u32, 0, 2].map(u32::to_be_bytes).concat());
    plain.extend([1, u64::MAX].map(u64::to_be_bytes).concat());
    plain.extend(1.0_f64.to_be_bytes());
    plain.extend([0x02; 7_424]);
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&plain).expect("memory");
    let deflated = encoder.finish().expect("memory");
    let len = u32::try_from(deflated.len()).expect("short").to_be_bytes();
    let hdr = STANDARD.encode([&0x1c84_9314_u32.to_be_bytes()[..], &len, &deflated].concat());
    let none = json!({ "packets": 0, "wire_bytes": 0 });
    let rtt = json!({ "count": 7_424, "sum": u64::MAX, "min": 0, "mean": 2.0_f64.powi(64) / 7_424.0, "max": u64::MAX, "hdr": hdr,
                      "p50": (1_u64 << 35) - 1, "p90": (154_u64 << 51) - 1, "p99": (182_u64 << 56) - 1 });
    let row = |number: usize| {
        json!({
            "service": number.to_string(), "transport": "tcp", "packets": 0, "wire_bytes": 0, "to_server": none,
            "from_server": none, "later_fragments": none, "ports": [],
            "other_ports": { "ports": 0, "packets": 0, "wire_bytes": 0 },
            "flows": { "started": 0, "active": 0, "ended": 0, "evicted": 0, "unanswered": 0 }, "evidence": {},
            "packet_size_bytes": null, "gap_us": null, "flow_duration_us": null, "handshake_rtt_us": rtt,
            "interval": null,
        })
    };
    report["services"].as_array_mut().expect("rows").extend((0..1_200).map(row));
    write(folder.path(), "b.json", &report);
    // 600 MB of addresses are enough for the program and the 128 MiB
    let limited = format!("ulimit -v 600000; exec {} merge b.json", env!("CARGO_BIN_EXE_portlabel"));
    let ran = ran(Command::new("sh").current_dir(folder.path()).args(["-c", &limited]));
    let want = "portlabel: b.json: with it, histograms take more than 128 MiB; leave some reports out\n";
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(1), want));
}

#[test]
fn the_smaller_limit_of_flows_and_another_version_are_no_reason() {
    let (folder, mut report) = folder_with_report();
    report["settings"]["max_flows"] = 7.into();
    report["version"] = "9.0.0".into();
    report["source"]["names"] = json!(["another"]);
    write(folder.path(), "b.json", &report);
    let ran = merge(folder.path(), &["a.json", "b.json"]);
    assert_eq!(ran.code, Some(0));
    assert_eq!(ran.stderr, "portlabel: b.json: written by version 9.0.0, which may name some ports differently\n");
    assert_eq!((&ran.json()["settings"]["max_flows"], &ran.json()["packets"]), (&json!(7), &json!(344)));
    assert_eq!(merge(folder.path(), &["a.json", "b.json", "-q"]).stderr, "");
}

#[test]
fn reports_are_not_overwritten_and_usage_is_checked() {
    let (folder, _) = folder_with_report();
    let path = folder.path().join("a.json");
    let path = path.to_str().expect("ASCII");
    let json = format!("json={path}");
    let cases: [(&[&str], &str); 5] = [
        (&["merge"], "required arguments were not provided"),
        (&["merge", "-", "-"], "'-' is named twice"),
        (&["merge", path, "-o", "tui"], "'-o tui': a screen needs a run"),
        (&["merge", path, "-o", "flows=x"], "'-o flows': flow records are made of packets"),
        (&["merge", path, "-o", &json], "would overwrite it"),
    ];
    for (args, want) in cases {
        let ran = run(args);
        assert_eq!((ran.code, ran.stderr.contains(want)), (Some(2), true), "{args:?}: {}", ran.stderr);
    }
}

#[test]
fn schemas_are_printed() {
    for (document, name) in [
        ("snapshot", "portlabel.snapshot/1"),
        ("flow", "portlabel.flow/1"),
        ("lookup", "portlabel.lookup/1"),
        ("explain", "portlabel.explain/1"),
        ("diff", "portlabel.diff/1"),
    ] {
        let ran = run(&["schema", document]);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{document}");
        let schema: Value = serde_json::from_str(&ran.stdout).expect("JSON");
        assert_eq!(schema["title"], name);
        jsonschema::meta::validate(&schema).expect("a schema");
    }
    assert_eq!(run(&["schema", "weather"]).code, Some(2));
}

/// Reads every histogram of a report, and says what is in it: count, median, largest value.
const OTHER_IMPLEMENTATION: &str = "
import json, sys
from hdrh.histogram import HdrHistogram
for row in json.load(open(sys.argv[1]))['services']:
    for key, summary in row.items():
        if isinstance(summary, dict) and 'hdr' in summary:
            read = HdrHistogram.decode(summary['hdr'])
            print(key, read.get_total_count(), read.get_value_at_percentile(50), read.get_value_at_percentile(100))
";

#[test]
fn another_implementation_reads_the_histograms() {
    let (folder, report) = folder_with_report();
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/python");
    let mut python = Command::new("python3");
    python.env("PYTHONPATH", place).args(["-c", OTHER_IMPLEMENTATION]).arg(folder.path().join("a.json"));
    let read = ran(&mut python);
    assert_eq!((read.code, read.stderr.as_str()), (Some(0), ""), "tests/setup/test-tools.sh installs it");
    let mut lines = read.stdout.lines();
    for row in report["services"].as_array().expect("rows") {
        for (key, summary) in row.as_object().expect("a row").iter().filter(|(_, value)| value["hdr"].is_string()) {
            let number = |key: &str| summary[key].as_u64().expect("a number");
            let line = lines.next().expect("a line each");
            let numbers: Vec<u64> = line.split(' ').skip(1).map(|number| number.parse().expect("a number")).collect();
            let [count, median, largest] = numbers.try_into().expect("three");
            // it tells the largest value of a bucket, beyond the largest that was counted
            let found = [count, median.clamp(number("min"), number("max"))];
            assert_eq!(found, [number("count"), number("p50")], "{key}: {summary}");
            assert!(largest >= number("max") && largest - number("max") <= largest / 100, "{key}: {summary}");
        }
    }
    assert_eq!(lines.next(), None);
}
