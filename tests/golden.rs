//! Fixtures against their expected reports, which were reviewed, and against totals that others counted.
//!
//! `UPDATE_GOLDEN=1` writes the expected reports anew; whoever does that reviews what changed.

use std::fs;

use crate::cases::Case;
use crate::program::{Ran, portlabel, ran};
use crate::records::records;
use serde_json::Value;

/// The report on a case, as `-o json` prints it inside the case's folder, without the line of the program's version.
fn report(case: &Case) -> String {
    let ran = whole_report(case);
    let is_version = |line: &&str| line.starts_with("  \"version\": ");
    assert_eq!(ran.stdout.lines().filter(is_version).count(), 1, "{}", case.name);
    ran.stdout.lines().filter(|line| !is_version(line)).flat_map(|line| [line, "\n"]).collect()
}

fn whole_report(case: &Case) -> Ran {
    let ran = ran(portlabel().current_dir(&case.folder).args([case.file_name(), "-o", "json"]));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{}", case.name);
    ran
}

/// The lines in which two texts differ, each with its number.
fn differing_lines(want: &str, got: &str) -> String {
    let (want, got): (Vec<_>, Vec<_>) = (want.lines().collect(), got.lines().collect());
    let line = |lines: &[&str], at: usize| lines.get(at).copied().unwrap_or("(none)").to_owned();
    let differing = (0..want.len().max(got.len())).filter(|at| want.get(*at) != got.get(*at)).take(20);
    let shown: Vec<_> =
        differing.map(|at| format!("  line {}:\n  - {}\n  + {}\n", at + 1, line(&want, at), line(&got, at))).collect();
    shown.concat()
}

#[test]
fn reports_are_the_expected_ones() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut wrong = Vec::new();
    for case in Case::all() {
        let (path, got) = (case.folder.join("expected.json"), report(&case));
        if update {
            fs::write(&path, &got).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            continue;
        }
        match fs::read_to_string(&path) {
            Ok(want) if want == got => {}
            Ok(want) => wrong.push(format!("{}:\n{}", case.name, differing_lines(&want, &got))),
            Err(error) => wrong.push(format!("{}: {error}", path.display())),
        }
    }
    assert!(wrong.is_empty(), "{}\nUPDATE_GOLDEN=1 writes them anew, for review", wrong.join("\n"));
}

#[test]
fn totals_are_those_of_the_records_and_of_tshark() {
    for case in Case::all() {
        let report = whole_report(&case).json();
        let records = records(&case.bytes());
        assert!(records.is_whole, "{}", case.name);
        let counted = [records.packets(), records.wire_bytes()];
        assert_eq!([&report["packets"], &report["wire_bytes"]].map(Value::as_u64), counted.map(Some), "{}", case.name);
        assert_eq!(totals_of_tshark(&case), counted, "{}", case.name);
        let rows = ["services", "portless"].map(|rows| report[rows].as_array().expect("rows"));
        let sum = |what: &str| rows.iter().copied().flatten().filter_map(|row| row[what].as_u64()).sum::<u64>();
        assert_eq!([sum("packets"), sum("wire_bytes")], counted, "{}", case.name);
    }
}

/// Packets and wire bytes by tshark, from the line `Packets: 31. Wire bytes (the sum of …): 6515.` of the README.
fn totals_of_tshark(case: &Case) -> [u64; 2] {
    let readme = case.readme();
    let line = readme.lines().find(|line| line.starts_with("Packets: ")).expect("a line with the totals");
    let numbers: Vec<_> = line.split(|c: char| !c.is_ascii_digit()).filter(|digits| !digits.is_empty()).collect();
    let numbers: Vec<u64> = numbers.into_iter().map(|digits| digits.parse().expect("digits")).collect();
    numbers.try_into().unwrap_or_else(|_| panic!("{}: {line}", case.name))
}

/// Cases in which our flows are not tshark's conversations, and why.
const OTHER_FLOWS: &[(&str, &str)] = &[
    ("fragments", "tshark shows no UDP in the first IPv6 fragment, because the snap length cuts what it reassembles"),
    ("vxlan", "tshark counts a packet in a tunnel to the carrier's conversation as well"),
];

#[test]
fn flows_are_the_conversations_of_tshark() {
    for case in Case::all() {
        let args = [case.file_name(), "-o", "flows", "--idle-timeout", "0"];
        let flows = ran(portlabel().current_dir(&case.folder).args(args)).json_lines();
        let agree = ["tcp", "udp"].iter().all(|transport| {
            let of_transport = |flow: &&Value| flow["transport"] == *transport;
            let flows: Vec<_> = flows.iter().filter(of_transport).cloned().collect();
            Conversations::of(&case, transport).agree(&flows)
        });
        match OTHER_FLOWS.iter().find(|(name, _)| *name == case.name) {
            Some((name, _)) => assert!(!agree, "{name} agrees now: it is no exception any more"),
            None => assert!(agree, "{}: {flows:#?}", case.name),
        }
    }
}

/// Packets and wire bytes of a flow, later fragments left out: tshark counts those to no conversation.
fn traffic(flow: &Value) -> [u64; 2] {
    ["packets", "wire_bytes"].map(|what| {
        let part = |name: &str| flow[name][what].as_u64().expect("a count");
        part("to_server") + part("from_server") - part("later_fragments")
    })
}

/// The conversations of a transport as the README has them.
struct Conversations {
    count: usize,
    /// Packets and wire bytes of each, smallest first; a long list is left out.
    traffic: Vec<[u64; 2]>,
}

impl Conversations {
    /// From the line `TCP conversations: 3. UDP conversations: 0.`, and rows of three numbers below the command that
    /// made them, of which the first is tshark's number of the stream.
    fn of(case: &Case, transport: &str) -> Self {
        let readme = case.readme();
        let count = format!("{} conversations: ", transport.to_uppercase());
        let (_, count) = readme.split_once(&count).unwrap_or_else(|| panic!("{}: no line {count:?}", case.name));
        let count = count.split('.').next().and_then(|count| count.parse().ok()).expect("a number");
        let command = format!("-e {transport}.stream ");
        let block = readme.lines().skip_while(|line| !line.contains(&command)).take_while(|line| *line != "```");
        let numbers = |line: &str| line.split(' ').map(str::parse).collect::<Result<Vec<u64>, _>>().ok();
        let rows = block.filter_map(numbers).map(|row| <[u64; 3]>::try_from(row).expect("three numbers"));
        let mut traffic: Vec<_> = rows.map(|[_, packets, wire_bytes]| [packets, wire_bytes]).collect();
        traffic.sort_unstable();
        let is_left_out = traffic.is_empty() && count > 50;
        assert!(is_left_out || traffic.len() == count, "{}: {} of {count} {transport}", case.name, traffic.len());
        Self { count, traffic }
    }

    fn agree(&self, flows: &[Value]) -> bool {
        let mut ours: Vec<_> = flows.iter().map(traffic).collect();
        ours.sort_unstable();
        ours.len() == self.count && (self.traffic.is_empty() || ours == self.traffic)
    }
}

#[test]
fn differences_show() {
    assert_eq!(differing_lines("a\nb\n", "a\nb\n"), "");
    assert_eq!(differing_lines("a\nb\n", "a\nc\nd\n"), "  line 2:\n  - b\n  + c\n  line 3:\n  - (none)\n  + d\n");
}
