//! The page in a real browser, Chromium: live over `--listen`, and as the report of `-o html`.

mod access;
mod browser;
mod live;
mod picture;
mod report;
mod traffic;
mod troubled;
mod wishes;

use portlabel::decode::Portless;
use portlabel::services::Evidence;

/// Words on the page are those of the program.
#[test]
fn every_rule_and_every_reason_is_explained() {
    let script = include_str!("../src/output/page/format.js");
    let words = |start: &str| {
        let list = script.split_once(start).and_then(|(_, rest)| rest.split_once("};")).expect("a list").0;
        let keys = list.lines().filter_map(|line| line.trim().split_once(": '").map(|(key, _)| key));
        keys.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(words("const RULES = {"), Evidence::ALL.map(|rule| rule.name().to_owned()));
    let mut reasons = words("const REASONS = {");
    let mut want = Portless::ALL.map(|reason| reason.name().to_owned()).to_vec();
    reasons.sort();
    want.sort();
    assert_eq!(reasons, want);
}
