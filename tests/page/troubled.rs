//! Inputs with something wrong or unusual: the page says so, and shows what there is.

use std::fs;
use std::process::Stdio;

use portlabel::units::Transport;

use super::browser::{Browser, PHONE, WIDE};
use super::traffic::{Served, packet, records, report, some_services};
use crate::program::{portlabel, ran};
use crate::records::pcap_header;
use crate::running::Running;

#[test]
fn a_report_says_what_is_missing_in_it() {
    let Some(browser) = Browser::start(WIDE) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let (damaged, html) = (folder.path().join("<b>damaged.pcap"), folder.path().join("report.html"));
    let mut capture = some_services();
    capture.truncate(capture.len() - 5);
    fs::write(&damaged, capture).expect("room");
    let mut command = portlabel();
    command.arg(&damaged).arg(folder.path().join("missing.pcap")).args(["-o", &format!("html={}", html.display())]);
    let ran = ran(&mut command);
    assert_eq!(ran.code, Some(3));
    let said: Vec<_> = ran.stderr.lines().map(|line| line.trim_start_matches("portlabel: ").to_owned()).collect();
    assert!(said.iter().any(|line| line.contains(" byte ")) && said.len() == 2, "{said:?}");
    browser.open_file(&html);
    browser.until_text("#state-text", "report");
    assert_eq!(browser.texts("#told-first li"), said);
    browser.until("return throughput.data !== null");
    browser.picture("report-damaged");
    browser.look_on(PHONE);
    browser.picture("report-damaged-phone");
    assert_eq!(browser.complaints(), [""; 0]);

    // a capture that is whole has nothing to say
    let (path, _) = report(folder.path(), &some_services(), &[]);
    browser.open_file(&path);
    browser.until_text("#state-text", "report");
    assert_eq!(browser.run("return document.querySelector('#told').hidden"), true);
}

#[test]
fn a_report_of_an_interrupted_run_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let html = folder.path().join("report.html");
    let mut command = portlabel();
    command.args(["-", "-o", &format!("html={}", html.display())]).stdin(Stdio::piped());
    let mut program = Running::start(&mut command);
    let mut input = program.take_input();
    std::io::Write::write_all(&mut input, &some_services()).expect("it reads");
    program.await_thread("signals");
    assert_eq!(program.interrupt().code, Some(3));
    let page = fs::read_to_string(html).expect("was written");
    assert!(page.contains(r#""told":["interrupted: the inputs were not read to their end"]"#));
}

#[test]
fn the_page_says_what_is_missing_too() {
    let Some(browser) = Browser::start(WIDE) else { return };
    let mut served = Served::start(0);
    served.second(0);
    browser.open(&served.url);
    served.write(&[0xff; 40]);
    let mut program = served.end();
    program.await_saying("standard input: ");
    browser.until("return document.querySelector('#told-first li')?.textContent.startsWith('standard input: ')");
    browser.until_text("#state-text", "ended");
}

#[test]
fn slow_traffic_has_rates() {
    let Some(browser) = Browser::start(WIDE) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let mut capture = pcap_header();
    // 80 bytes in 40,000 s
    capture.extend(records((0..11).map(|at| packet(at * 40_000_000, Transport::Udp, 53, 80))));
    let (path, _) = report(folder.path(), &capture, &[]);
    browser.open_file(&path);
    browser.until_text("#state-text", "report");
    browser.until("return throughput.data !== null");
    assert_eq!(browser.texts("#services td.c-rate"), ["0.018 b/s"]);
    assert_eq!(browser.text("#v-rate"), "0.018 b/s");
    let drawn =
        "return throughput.data.series[0].rates.reduce((sum, rate) => sum + rate, 0) * throughput.data.step_ms / 8000";
    let drawn = browser.run(drawn).as_f64().expect("a number");
    // columns that were not seen whole are drawn as if they had been
    assert!((800.0..1_200.0).contains(&drawn), "{drawn} bytes are drawn of 880");
    let labels = browser.texts("#throughput svg text");
    assert!(labels.iter().filter(|label| label.trim().starts_with("0.")).count() > 1, "{labels:?}");
    browser.click("#throughput-values summary");
    browser.until("return document.querySelectorAll('#throughput-values tbody td').length > 0");
    let values = browser.texts("#throughput-values tbody td:last-child");
    assert!(
        values.iter().any(|value| value.starts_with("0.")) && !values.contains(&"0.0 b/s".to_owned()),
        "{values:?}"
    );
    browser.picture("report-slow");
}
