//! Labels against payload inspection: what another program that reads payloads calls each flow of the corpus.
//!
//! `PORTLABEL_CORPUS=FOLDER cargo test labels -- --nocapture` prints the table that README shows.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io::Read as _;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use flate2::read::GzDecoder;
use serde_json::Value;

use crate::cases::corpus;
use crate::program::{portlabel, ran};

/// A flow, whichever end is written first.
type Key = (String, BTreeSet<SocketAddr>);

/// A flow as payload inspection sees it, and the names that are right for it.
struct Truth {
    key: Key,
    right: BTreeSet<String>,
}

/// What came of flows.
#[derive(Clone, Copy, Default)]
struct Tally {
    right: u32,
    wrong: u32,
    unlabelled: u32,
}

impl Tally {
    fn add(&mut self, name: Option<&str>, truth: &Truth) {
        match name {
            None => self.unlabelled += 1,
            Some(name) if truth.right.contains(&name.to_lowercase()) => self.right += 1,
            Some(_) => self.wrong += 1,
        }
    }

    /// Right ones of those that have a name, in percent.
    fn precision(self) -> f64 {
        f64::from(self.right) * 100.0 / f64::from((self.right + self.wrong).max(1))
    }

    fn row(self, name: &str) -> String {
        let Self { right, wrong, unlabelled } = self;
        let precision = if right + wrong > 0 { format!("{:.1} %", self.precision()) } else { "–".to_owned() };
        format!("| {name} | {right} | {wrong} | {unlabelled} | {precision} |\n")
    }
}

/// The flows that payload inspection is sure of and that have a name at IANA, by capture.
fn truths(corpus: &Path) -> BTreeMap<String, Vec<Truth>> {
    let names = fs::read_to_string(corpus.join("ndpi_to_iana.tsv")).expect("the names of protocols");
    let names: BTreeMap<_, BTreeSet<String>> = names
        .lines()
        .skip(1)
        .filter_map(|line| {
            let mut cells = line.split('\t');
            let (protocol, names) = (cells.next()?, cells.next()?);
            let names = names.split('|').filter(|name| !name.is_empty()).map(str::to_lowercase).collect();
            Some((protocol, names))
        })
        .collect();
    let mut text = String::new();
    let file = fs::File::open(corpus.join("label_truth.tsv.gz")).expect("the flows");
    GzDecoder::new(file).read_to_string(&mut text).expect("text");
    let columns: Vec<_> = text.lines().next().expect("columns").split('\t').collect();
    let column = |name: &str| columns.iter().position(|column| *column == name).expect("a column");
    let [file, transport, protocol, confidence] = ["file", "l4proto", "ndpi_master_proto", "confidence"].map(column);
    let ends = [["cli_addr", "cli_port"], ["srv_addr", "srv_port"]].map(|end| end.map(column));
    let mut truths: BTreeMap<String, Vec<Truth>> = BTreeMap::new();
    for cells in text.lines().skip(1).map(|line| line.split('\t').collect::<Vec<_>>()) {
        let right = names.get(cells[protocol]).filter(|names| !names.is_empty());
        if let Some(right) = right
            && ["tcp", "udp", "sctp", "dccp"].contains(&cells[transport])
            && cells[confidence].starts_with("DPI")
        {
            let end = |[addr, port]: [usize; 2]| {
                SocketAddr::new(cells[addr].parse().expect("an address"), cells[port].parse().expect("a port"))
            };
            let key = (cells[transport].to_owned(), ends.map(end).into());
            truths.entry(cells[file].to_owned()).or_default().push(Truth { key, right: right.clone() });
        }
    }
    truths
}

/// The first flow between two ends, by them.
fn flows(capture: &Path) -> BTreeMap<Key, Value> {
    let args = ["-o", "flows", "--idle-timeout", "0", "--iana-names", "-q"];
    let mut flows = BTreeMap::new();
    for flow in ran(portlabel().arg(capture).args(args)).json_lines() {
        let end = |end: &str| {
            let addr: IpAddr = flow[end]["addr"].as_str().expect("text").parse().expect("an address");
            SocketAddr::new(addr, u16::try_from(flow[end]["port"].as_u64().expect("a number")).expect("a port"))
        };
        let key = (flow["transport"].as_str().expect("text").to_owned(), [end("client"), end("server")].into());
        flows.entry(key).or_insert(flow);
    }
    flows
}

/// What IANA calls each port.
fn iana() -> BTreeMap<(String, u16), String> {
    let mut names = BTreeMap::new();
    for row in include_str!("../data/services.tsv").lines().skip(1) {
        let cells: Vec<_> = row.split('\t').collect();
        let (first, last) = cells[0].split_once('-').unwrap_or((cells[0], cells[0]));
        for port in first.parse().expect("a port")..=last.parse().expect("a port") {
            names.insert((cells[1].to_owned(), port), cells[2].to_owned());
        }
    }
    names
}

#[test]
fn labels_are_those_of_payload_inspection() {
    let Some(corpus) = corpus("there is nothing to compare labels with") else { return };
    let iana = iana();
    let (mut by_rule, mut all, mut lower) = (BTreeMap::<_, Tally>::new(), Tally::default(), Tally::default());
    let mut missing = Vec::new();
    for (file, truths) in truths(&corpus) {
        let flows = flows(&corpus.join("files").join(&file));
        for truth in truths {
            let (transport, ends) = &truth.key;
            let named = ends.iter().filter_map(|end| Some((end.port(), iana.get(&(transport.clone(), end.port()))?)));
            lower.add(named.min().map(|(_, name)| name.as_str()), &truth);
            let Some(flow) = flows.get(&truth.key) else {
                missing.push(format!("{file}: {:?}", truth.key));
                continue;
            };
            let name = flow["service"].as_str();
            all.add(name, &truth);
            by_rule.entry(flow["evidence"].as_str().expect("text").to_owned()).or_default().add(name, &truth);
        }
    }
    let mut table = "| rule | right | wrong | unlabelled | precision |\n|---|---|---|---|---|\n".to_owned();
    let mut rules: Vec<_> = by_rule.into_iter().collect();
    rules.sort_by_key(|(_, tally)| std::cmp::Reverse(tally.right + tally.wrong));
    for (rule, tally) in rules {
        table += &tally.row(&format!("`{rule}`"));
    }
    write!(table, "{}{}", all.row("**all**"), lower.row("the lower named port, to compare")).expect("room");
    println!("{table}");
    assert_eq!(missing, Vec::<String>::new(), "flows that are not found");
    assert!(all.right >= 618, "{table}");
    assert!(all.precision() > 96.0, "{table}");
    assert!(include_str!("../README.md").contains(&table), "README shows another table than\n{table}");
}
