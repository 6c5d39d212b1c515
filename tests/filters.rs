//! Filters, run by our own interpreter, against the answers of tcpdump.
//!
//! `PORTLABEL_CORPUS` names the corpus; without it, or without tcpdump, this test says so and passes.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use portlabel::source::{Files, Filter, Next};

use crate::cases::{Case, corpus};
use crate::program::{has, run};

/// Headers, addresses, ports, bytes, lengths, tunnels: one of each kind of instruction.
const EXPRESSIONS: [&str; 12] = [
    "ip",
    "ip6 or arp",
    "tcp",
    "udp port 53",
    "src portrange 1024-65535 and not tcp",
    "net 10.0.0.0/8 or net 192.168.0.0/16",
    "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
    "ip[2:2] - ((ip[0] & 0xf) << 2) > 100",
    "greater 200",
    "less 80",
    "len % 7 = 3",
    "vlan and ip",
];

/// How many packets of a file tcpdump lets through; `None` when it cannot say.
fn count_of_tcpdump(path: &Path, expression: &str) -> Option<u64> {
    let output = Command::new("tcpdump")
        .args(["-n", "--count", "-r"])
        .arg(path)
        .arg(expression)
        .stderr(Stdio::null())
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()?.split(' ').next()?.parse().ok()
}

/// How many packets of a file we let through, or what is wrong with that.
fn count_of_ours(path: &Path, expression: &str) -> Result<u64, String> {
    let mut filter = Filter::new(expression).map_err(|error| error.to_string())?;
    let mut files = Files::open(&[path.to_owned()], Arc::default());
    let mut count = 0;
    loop {
        match files.next_packet().map_err(|error| error.to_string())? {
            Next::Frame(frame) => count += u64::from(filter.matches(&frame).map_err(|error| error.to_string())?),
            Next::Idle => return Err("it is no file".to_owned()),
            Next::End => return Ok(count),
        }
    }
}

#[test]
fn filters_let_through_what_tcpdump_lets_through() {
    let Some(corpus) = corpus("there is nothing to filter") else { return };
    if !has("tcpdump", "there is nothing to compare with") {
        return;
    }
    let table = std::fs::read_to_string(corpus.join("oracle.tsv")).expect("the corpus has its oracle");
    let paths = table.lines().skip(1).filter_map(|row| row.split('\t').next());
    let (mut agreeing, mut without_answer, mut wrong) = (0, 0, Vec::new());
    for path in paths.map(|file| corpus.join("files").join(file)) {
        for expression in EXPRESSIONS {
            match (count_of_tcpdump(&path, expression), count_of_ours(&path, expression)) {
                (Some(theirs), Ok(ours)) if ours == theirs => agreeing += 1,
                (Some(theirs), ours) => {
                    wrong.push(format!("{} {expression:?}: {theirs} by tcpdump, {ours:?} here", path.display()));
                }
                (None, _) => without_answer += 1,
            }
        }
    }
    eprintln!("{agreeing} counts agree with tcpdump, to {without_answer} questions it has no answer");
    assert!(wrong.is_empty(), "{} differ\n{}", wrong.len(), wrong.join("\n"));
}

/// Nearly as much of an expression as a file may have, which is wrong, and long ones of what is right.
#[test]
fn what_is_said_of_a_long_filter_is_short() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("filter");
    let capture = Case::named("office").bytes();
    let capture_path = folder.path().join("office.pcapng");
    std::fs::write(&capture_path, capture).expect("room");
    let [file_name, capture_path] = [&file, &capture_path].map(|path| path.to_str().expect("ASCII"));
    std::fs::write(&file, format!("beginning {} end", "x".repeat(1_000_000))).expect("room");
    let ran = run(&["-F", file_name, capture_path]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("beginning xxx") && ran.stderr.contains("xxx…xxx"), "{:.1000}", ran.stderr);
    assert!(ran.stderr.contains("xxx end\""), "{:.1000}", ran.stderr);
    assert!(ran.stderr.len() < 1_000, "{} bytes", ran.stderr.len());

    let right = vec!["tcp"; 1_000].join(" or ");
    let ran = run(&["-f", &right, capture_path]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert!(ran.stdout.contains("filter: tcp or tcp") && ran.stdout.contains('…'), "{:.1000}", ran.stdout);
    assert!(ran.stdout.len() < 4_000, "{} bytes", ran.stdout.len());

    // whatever it is: as long as a word may be
    let user = "u".repeat(100_000);
    let ran = run(&["-Z", &user, capture_path]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("uuu…uuu") && ran.stderr.len() < 20_000, "{} bytes", ran.stderr.len());
}
