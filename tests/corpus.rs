//! What only the corpus shows. `PORTLABEL_CORPUS` names it; without it these tests go by the fixtures alone, and say so.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use flate2::read::GzDecoder;
use jsonschema::Validator;
use portlabel::output::{FLOW_JSON_SCHEMA, SNAPSHOT_JSON_SCHEMA};

use crate::cases::{Case, corpus, corpus_captures};
use crate::program::{Ran, has, portlabel, portlabel_on_one_processor, ran, validator};

/// Files on which we differ from the oracle, and why.
const KNOWN: &[(&str, &str)] = &[];

/// Files whose flows are not the oracle's, and why.
const OTHER_FLOWS: &[(&str, &str)] = &[];

/// Runs `check.py` over the corpus, and holds the files that it names to those that are known. Returns its last line.
fn check(corpus: &Path, what: &str, oracle: [&str; 2], known: &[(&str, &str)]) -> String {
    let mut check = Command::new("python3");
    check.arg(corpus.join("tools/check.py")).args([what, "--verbose", "1000"]);
    check.args(["--bin", env!("CARGO_BIN_EXE_portlabel")]).arg("--files").arg(corpus.join("files"));
    let checked = ran(check.arg(oracle[0]).arg(corpus.join(oracle[1])));
    let mut lines: Vec<_> = checked.stdout.lines().collect();
    let summary = lines.pop().unwrap_or_else(|| panic!("{checked:?}"));
    // what is indented are the flows of the file above
    lines.retain(|line| !line.starts_with(' '));
    let known: BTreeSet<_> = known.iter().map(|(file, _)| *file).collect();
    let found: BTreeSet<_> = lines.iter().map(|line| line.split(": ").next().unwrap_or_default()).collect();
    let unknown: Vec<_> = found.difference(&known).collect();
    assert!(unknown.is_empty(), "{unknown:?}\n{}", checked.stdout);
    let gone: Vec<_> = known.difference(&found).collect();
    assert!(gone.is_empty(), "{gone:?} agree now: they are no exception any more");
    summary.to_owned()
}

#[test]
fn counts_are_those_of_the_oracle() {
    let Some(corpus) = corpus("there is no oracle to compare with") else { return };
    let summary = check(&corpus, "counts", ["--oracle-table", "oracle.tsv"], KNOWN);
    let files = corpus_captures(&corpus).len();
    assert_eq!(summary, format!("files {files}, disagree {}, crashed 0", KNOWN.len()));
}

#[test]
fn flows_are_those_of_the_oracle() {
    let Some(corpus) = corpus("there is no oracle to compare with") else { return };
    let summary = check(&corpus, "flows", ["--oracle", "oracle"], OTHER_FLOWS);
    let files = corpus_captures(&corpus).len();
    assert!(summary.starts_with(&format!("files exact {} of {files} ", files - OTHER_FLOWS.len())), "{summary}");
}

/// Packets and bytes of each transport and pair of ends, the smaller end first.
type Flows = BTreeMap<(String, SocketAddr, SocketAddr), [u64; 2]>;

/// The flows of the oracle whose view is that of the carriers, where that is another than of what is inside; `None` where it
/// is not. The columns are view, transport, two ends, packets, bytes.
fn oracle_carriers(list: &Path) -> Option<Flows> {
    let mut text = String::new();
    GzDecoder::new(File::open(list).expect("it is there")).read_to_string(&mut text).expect("text");
    let mut flows = Flows::new();
    for line in text.lines() {
        let cells: Vec<_> = line.split('\t').collect();
        if cells[0] == "outer" {
            let end = |at: usize| -> SocketAddr { cells[at].parse().expect("an endpoint") };
            let number = |at: usize| -> u64 { cells[at].parse().expect("a number") };
            let (low, high) = (end(2).min(end(3)), end(2).max(end(3)));
            flows.insert((cells[1].to_owned(), low, high), [4, 5].map(number));
        }
    }
    (!flows.is_empty()).then_some(flows)
}

#[test]
fn carriers_are_those_of_the_oracle() {
    let Some(corpus) = corpus("there is no oracle to compare with") else { return };
    let mut compared = 0;
    for capture in corpus_captures(&corpus) {
        let name = capture.strip_prefix(corpus.join("files")).expect("a file of the corpus");
        let list = corpus.join("oracle").join(format!("{}.flows.tsv.gz", name.display()));
        let Some(want) = list.is_file().then(|| oracle_carriers(&list)).flatten() else { continue };
        let ran = ran(portlabel().arg(&capture).args(["--outer", "-q", "-o", "flows", "--idle-timeout", "0"]));
        let mut got = Flows::new();
        for flow in ran.json_lines() {
            let end = |key: &str| -> SocketAddr {
                let addr = flow[key]["addr"].as_str().and_then(|addr| addr.parse().ok()).expect("an address");
                let port = flow[key]["port"].as_u64().and_then(|port| port.try_into().ok()).expect("a port");
                SocketAddr::new(addr, port)
            };
            let (client, server) = (end("client"), end("server"));
            let count = |part: &str, key: &str| flow[part][key].as_u64().expect("a number");
            let sum = |key| count("to_server", key) + count("from_server", key) - count("later_fragments", key);
            let transport = flow["transport"].as_str().expect("a name").to_owned();
            let both = got.entry((transport, client.min(server), client.max(server))).or_default();
            *both = [both[0] + sum("packets"), both[1] + sum("wire_bytes")];
        }
        assert_eq!(got, want, "{}", capture.display());
        compared += 1;
    }
    assert!(compared > 0, "no capture of the corpus has tunnels");
}

/// Every capture of the fixtures, and of the corpus where there is one.
fn captures() -> Vec<PathBuf> {
    let corpus = corpus("only the fixtures are looked at");
    let mut captures: Vec<_> = Case::all().into_iter().map(|case| case.capture).collect();
    captures.extend(corpus.iter().flat_map(|corpus| corpus_captures(corpus)));
    captures
}

/// What `-o json` and `-o flows` write, and the exit code and messages.
fn reports(mut command: Command, capture: &Path, folder: &Path) -> (Ran, String) {
    let flows = folder.join("flows");
    // flows are added to what is there
    drop(std::fs::remove_file(&flows));
    let ran = ran(command.arg(capture).args(["-o", "json", "-o"]).arg(format!("flows={}", flows.display())));
    // nothing is opened for what is no capture
    (ran, std::fs::read_to_string(&flows).unwrap_or_default())
}

#[test]
fn reports_do_not_depend_on_the_run_or_on_threads_and_follow_the_schemas() {
    let snapshot_schema = validator(SNAPSHOT_JSON_SCHEMA);
    let flow_schema = validator(FLOW_JSON_SCHEMA);
    let on_one_processor = has("taskset", "one thread is not compared with several");
    let folder = tempfile::tempdir().expect("a folder");
    let mut wrong = Vec::new();
    for capture in captures() {
        let name = capture.display();
        let (first, flows) = reports(portlabel(), &capture, folder.path());
        let same = |(other, other_flows): (Ran, String)| {
            (other.code, other.stdout, other.stderr, other_flows)
                == (first.code, first.stdout.clone(), first.stderr.clone(), flows.clone())
        };
        if !same(reports(portlabel(), &capture, folder.path())) {
            wrong.push(format!("{name}: a second run differs"));
        }
        if on_one_processor && !same(reports(portlabel_on_one_processor(), &capture, folder.path())) {
            wrong.push(format!("{name}: differs on one processor"));
        }
        if !(matches!(first.code, Some(0 | 3)) || first.code == Some(1) && first.stdout.is_empty()) {
            wrong.push(format!("{name}: exit code {:?}", first.code));
        }
        // as many as show every kind of interval: every line has all rows so far
        let lines = ran(portlabel().arg(&capture).args(["-o", "ndjson", "--interval", "1s", "-c", "500"]));
        let documents =
            [(&snapshot_schema, vec![first.stdout.as_str()]), (&snapshot_schema, lines.stdout.lines().collect())];
        for (schema, documents) in documents.into_iter().chain([(&flow_schema, flows.lines().collect())]) {
            let faults = documents.into_iter().filter(|text| !text.is_empty()).flat_map(|text| faults(schema, text));
            wrong.extend(faults.map(|fault| format!("{name}: {fault}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What a schema has against a document.
fn faults(schema: &Validator, text: &str) -> Vec<String> {
    match serde_json::from_str(text) {
        Ok(document) => {
            schema.iter_errors(&document).map(|error| format!("{}: {error}", error.instance_path())).collect()
        }
        Err(error) => vec![format!("{error}: {text}")],
    }
}

#[test]
fn schemas_refuse_what_is_wrong() {
    let (snapshot, flow) = (validator(SNAPSHOT_JSON_SCHEMA), validator(FLOW_JSON_SCHEMA));
    let case = Case::named("udplite");
    let report = ran(portlabel().arg(&case.capture).args(["-o", "json"])).stdout;
    let flows = ran(portlabel().arg(&case.capture).args(["-o", "flows"])).stdout;
    let record = flows.lines().next().expect("a flow");
    assert_eq!((faults(&snapshot, &report), faults(&flow, record)), (vec![], vec![]));
    assert!(!faults(&snapshot, record).is_empty() && !faults(&flow, &report).is_empty());
    assert!(!faults(&snapshot, &report.replace("\"packets\": ", "\"packets\": -")).is_empty());
}
