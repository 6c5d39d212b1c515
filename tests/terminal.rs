//! What a terminal gets to see: nothing that it would obey, wherever that came from, and no packets.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::cases::Case;
use crate::program::{Ran, on_terminal, portlabel, ran, run};

/// A name that recolours, erases, renames the window and turns the text around, for terminals of every kind.
pub const ODD: &str =
    "a\u{1b}[31m\u{9b}2J\u{9d}0;pwned\u{9c}\u{85}\u{202e}\u{2066}\u{200f}\u{2028}\u{2029}\u{7f}b\u{e0041}";

/// Holds a text to what it may be.
#[track_caller]
pub fn assert_plain(what: &str, text: &str) {
    let is_obeyed = |c: char| {
        c != '\n' && c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{e0041}')
    };
    let found: Vec<_> = text.chars().filter(|c| is_obeyed(*c)).collect();
    assert!(found.is_empty(), "{what}: {found:?}");
}

/// What a command prints, held to what it may be.
#[track_caller]
fn plain(args: &[&str]) -> Ran {
    let ran = run(args);
    let printed = !ran.stdout.is_empty();
    assert!(printed && matches!(ran.code, Some(0 | 1)), "{args:?}: {ran:?}");
    assert_plain(&format!("{args:?}"), &ran.stdout);
    assert_plain(&format!("{args:?}: standard error"), &ran.stderr);
    ran
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[test]
fn names_from_outside_are_text_in_every_output() {
    let folder = tempfile::tempdir().expect("a folder");
    let [capture, names, report, live] =
        ["pcap", "services", "json", "live"].map(|end| folder.path().join(format!("{ODD}.{end}")));
    fs::copy(Case::named("dns").capture, &capture).expect("room");
    let name = Value::from(text(&capture));

    for format in ["table", "json", "ndjson", "csv", "prometheus", "flows", "html"] {
        let ran = plain(&[text(&capture), "-o", format]);
        if format == "html" {
            let data = ran.stdout.split_once("id=\"report\">").and_then(|(_, rest)| rest.split_once("</script>"));
            let data: Value = serde_json::from_str(data.expect("data").0).expect("JSON");
            assert_eq!(data["snapshot"]["source"]["names"][0], name);
        } else if format.contains("json") {
            assert_eq!(ran.json()["source"]["names"][0], name, "the text is the same to who reads it");
        }
    }

    // reports of others, live ones with names of interfaces
    let made = run(&[text(&capture), "--histograms", "-o", "json"]);
    fs::write(&report, made.stdout.replace("\\u009b", "\u{9b}")).expect("room");
    let mut other = made.json();
    other["source"] = json!({ "kind": "live", "names": [ODD], "host": ODD, "filter": ODD });
    let none = json!({ "kernel": 0, "interface": 0 });
    other["drops"] = json!({ "kernel": 0, "interface": 0, "interfaces": { ODD: none } });
    fs::write(&live, other.to_string()).expect("room");
    for format in ["table", "json", "ndjson", "csv", "prometheus", "html"] {
        plain(&["merge", text(&report), "-o", format]);
        let ran = plain(&["merge", text(&live), "-o", format]);
        if format == "json" {
            assert_eq!(ran.json()["source"]["filter"], ODD);
            assert_eq!(ran.json()["drops"]["interfaces"][ODD], none);
        }
    }
    let compared = plain(&["diff", text(&report), text(&live), "--json"]).json();
    assert_eq!(
        [&compared["before"]["source"]["names"][0], &compared["after"]["source"]["host"]],
        [text(&capture), ODD]
    );
    plain(&["diff", text(&report), text(&live)]);

    // users' names come from files of others too
    fs::write(&names, format!("odd 4444/tcp # {ODD}\n")).expect("room");
    let unknown = format!("{ODD} nonsuch");
    let asked = plain(&["lookup", "odd", &unknown, "--services", text(&names), "--json"]).json();
    assert_eq!([&asked["unmatched"][0], &asked["matches"][0]["user"]["file"]], [&unknown, text(&names)]);
    plain(&["lookup", "odd", &unknown, "--services", text(&names)]);
    for more in [&["--json"][..], &[]] {
        let asked = ["explain", "tcp", "10.0.0.1:4444", "10.0.0.2:4444", "--services", text(&names)];
        plain(&[&asked, more].concat());
    }
}

#[test]
fn what_is_wrong_with_arguments_is_told_in_text() {
    let Some(no_such) = on_terminal(&[&format!("--{ODD}")]) else { return };
    assert_eq!(no_such.code, Some(2), "{no_such:?}");
    let shown = r"\u{9b}2J\u{9d}0;pwned\u{9c}";
    assert!(no_such.stdout.contains(shown) && no_such.stdout.contains("\u{1b}[1m\u{1b}[31merror:"), "{no_such:?}");
    assert!(!no_such.stdout.contains(['\u{9b}', '\u{9d}', '\u{7f}', '\u{202e}']), "{no_such:?}");
    // and where nothing is coloured
    for args in
        [&["a.pcap", "-o", ODD][..], &["a.pcap", "-F", ODD], &["-i", ODD, "-r", "a.pcap"], &["lookup", ODD, "--json=x"]]
    {
        let ran = run(args);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert_plain(&format!("{args:?}"), &ran.stderr);
    }
}

#[test]
fn packets_are_not_written_to_a_terminal() {
    let dns = Case::named("dns").capture;
    for save in ["-", "/dev/stdout", "/dev/tty", "/proc/self/fd/1"] {
        let Some(ran) = on_terminal(&[text(&dns), "-w", save, "-o", "json=/dev/null"]) else { return };
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(
            ran.stdout.contains("is a terminal, and packets are no text: save to a file, or '-w -' into a pipe"),
            "{ran:?}"
        );
        assert!(!ran.stdout.contains("\u{1a}+<M") && !ran.stdout.contains('\0'), "{save}: {ran:?}");
    }
    // it is said before anything is read, and before the capture is found not to be there
    let ran = on_terminal(&["/nowhere.pcap", "-w", "-", "-o", "json=/dev/null"]).expect("it is there");
    assert_eq!(ran.code, Some(2), "{ran:?}");
    let piped = self::ran(portlabel().args([text(&dns), "-w", "-", "-o", "json=/dev/null"]));
    assert_eq!((piped.code, piped.stderr.as_str()), (Some(0), ""));
    assert!(piped.stdout.starts_with("\n\r\r\n"), "a section header of pcapng");
}
