//! Two reports that are to be compared: JSON, parted by a line feed, behind a byte that says how.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use portlabel::cli::Diff;
use portlabel::commands::compare;
use portlabel::report::Report;
use shared::reports::pairs;

fuzz_target!(init: pairs(), |input: &[u8]| -> Corpus {
    let Some((how, rest)) = input.split_first() else { return Corpus::Reject };
    let Some(at) = rest.iter().position(|&byte| byte == b'\n') else { return Corpus::Reject };
    let Ok(before) = Report::read("before", &rest[..at]) else { return Corpus::Keep };
    let Ok(after) = Report::read("after", &rest[at + 1..]) else { return Corpus::Keep };
    let config = |json| Diff {
        before: "before".into(),
        after: "after".into(),
        totals: how & 1 == 1,
        fail_over_percent: (how & 2 == 2).then(|| f64::from(how >> 4)),
        json,
        color: how & 4 == 4,
        width: (how & 8 == 8).then(|| usize::from(how >> 4) * 8),
        quiet: false,
    };
    let compared = |before, after, json| compare(before, after, &config(json)).expect("JSON");
    let (json, page) = (compared(&before, &after, true), compared(&before, &after, false));
    assert_eq!(json.is_failed, page.is_failed);
    assert!(config(true).fail_over_percent.is_some() || !json.is_failed, "nobody asked for failures");
    let document: serde_json::Value = serde_json::from_str(&json.text).expect("JSON");
    assert_eq!(document["schema"], "portlabel.diff/1");
    // what a report holds cannot write to the terminal; colours are ours
    let is_plain = |c: char| !c.is_control() || c == '\n' || (c == '\x1b' && config(false).color);
    assert!(page.text.chars().all(is_plain), "{:?}", page.text);
    let same = compared(&before, &before, true);
    let document: serde_json::Value = serde_json::from_str(&same.text).expect("JSON");
    assert!(!same.is_failed && document["services"].as_array().is_some_and(Vec::is_empty), "{}", same.text);
    Corpus::Keep
});
