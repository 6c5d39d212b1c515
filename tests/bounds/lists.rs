//! Lists of what users name: names by the million, folders of many files, captures that are all damaged.

use std::fs;
use std::io::{BufWriter, Write};
use std::path::Path;

use serde_json::json;
use tempfile::tempdir;

use super::{MIB, count, measured_alone, packet};
use crate::program::run;
use crate::records::{pcap_file, pcap_header};

fn text(path: &Path) -> &str {
    path.to_str().expect("a name in ASCII")
}

/// Names in a file, a line each.
fn names(path: &Path, lines: impl Iterator<Item = String>) {
    let mut file = BufWriter::new(fs::File::create(path).expect("room"));
    for line in lines {
        writeln!(file, "{line}").expect("room");
    }
    file.flush().expect("room");
}

#[test]
fn names_by_the_million_are_refused() {
    let folder = tempdir().expect("a folder");
    let (capture, list) = (folder.path().join("one.pcap"), folder.path().join("names"));
    fs::write(&capture, pcap_file(&[(1, &packet(0).owned().data)])).expect("room");
    let label = || measured_alone(&[text(&capture), "--services", text(&list), "-o", "json"]);

    // every port of every transport, four times
    let line = |number: u32| {
        format!(
            "n{} {}/{}",
            number % 30_000,
            number % 65_536,
            ["tcp", "udp", "sctp", "dccp"][number as usize / 65_536 % 4]
        )
    };
    names(&list, (0..1_000_000).map(line));
    let all = label();
    let report = all.assert_sound().ran.json();
    // the last line that names port 443 of TCP is 12 times 65,536 lines after the first
    assert_eq!(report["services"][0]["service"], format!("n{}", (12 * 65_536 + 443) % 30_000));
    // the file, and 64 bytes a line
    let file_len = fs::metadata(&list).expect("it is there").len();
    all.assert_takes_at_most(file_len + 1_048_576 * 64 + 16 * MIB);

    names(&list, (0..1_000_001).map(line));
    let more = label();
    more.assert_says(2, ":1000001: more than 1000000 lines name ports").assert_takes_at_most(file_len + 100 * MIB);

    // each with a name of its own
    names(&list, (0..1_000_000).map(|number| format!("n{number} {}/tcp", number % 65_536)));
    let distinct = label();
    distinct.assert_says(2, "--services: ").assert_takes_at_most(file_len + 100 * MIB);

    // a line that is wrong a million times is told ten times
    names(&list, (0..1_000_000).map(|_| "nonsense".to_owned()));
    let wrong = label();
    assert_eq!((wrong.ran.code, wrong.ran.stderr.lines().count()), (Some(2), 11), "{}", wrong.ran.stderr);
    wrong.assert_takes_at_most(file_len + 16 * MIB);

    fs::File::create(&list).expect("room").set_len((64 << 20) + 1).expect("room");
    label().assert_says(2, "it has more than 64 MiB").assert_takes_at_most(80 * MIB);
    // together as alone
    fs::File::create(&list).expect("room").set_len(40 << 20).expect("room");
    let twice = [text(&capture), "--services", text(&list), "--services", text(&list)];
    assert!(run(&twice).stderr.contains("all files of names together have more than 64 MiB"));
}

/// A folder's files are inputs: names, places and what each is, and nothing of them stays open.
#[test]
fn a_folder_of_many_files_takes_little_for_each() {
    let folder = tempdir().expect("a folder");
    let (files, captures) = (20_000_u64, 2_000_u64);
    for number in 0..files {
        // one of ten is a capture, a second after the one before; the others are text
        let path = folder.path().join(format!("{number:06}"));
        if number % 10 == 0 {
            fs::write(path, pcap_file(&[(number * 1_000_000_000, &packet(0).owned().data)])).expect("room");
        } else {
            fs::write(path, "text").expect("room");
        }
    }
    let run = measured_alone(&[text(folder.path()), "-o", "json"]);
    let report = run.ran.json();
    assert_eq!((run.ran.code, count(&report, "/packets")), (Some(0), captures));
    assert_eq!(report["source"]["names"].as_array().map(Vec::len), Some(2_000));
    // each that was passed over is named
    assert_eq!(run.ran.stderr.lines().count() as u64, files - captures);
    run.assert_takes_at_most(files * 700 + 8 * MIB);
}

/// Names as long as the system has them.
#[test]
fn long_names_of_files_are_no_trouble() {
    let folder = tempdir().expect("a folder");
    // relative steps: no path that the system is given is longer than it takes
    let mut path = folder.path().to_owned();
    while text(&path).len() + 2 * 201 < 4_000 {
        path.push("d".repeat(200));
    }
    path.push("e".repeat(200));
    fs::create_dir_all(&path).expect("room");
    let capture =
        path.join(format!("{}.pcap", "c".repeat(4_090 - text(&path).len() - 6).chars().take(250).collect::<String>()));
    fs::write(&capture, pcap_file(&[(1, &packet(0).owned().data)])).expect("room");
    let html = format!("html={}", folder.path().join("page.html").display());
    let run = measured_alone(&[text(&path), "-o", "json", "-o", &html]);
    let report = run.assert_sound().ran.json();
    assert_eq!(report["source"]["names"], json!([text(&capture)]));
    run.assert_takes_at_most(4 * MIB);
    let too_long = format!("{}/{}", text(&path), "x".repeat(300));
    measured_alone(&[&too_long]).assert_says(1, "File name too long").assert_takes_at_most(4 * MIB);
}

/// Each is named on standard error; a page keeps the first hundred, and how many there are beside them.
#[test]
fn damaged_captures_by_the_thousand_are_each_named() {
    let folder = tempdir().expect("a folder");
    let damaged = 3_000_u64;
    for number in 0..damaged {
        let mut file = pcap_file(&[(number * 1_000_000_000, &packet(0).owned().data)]);
        file.extend(&pcap_header()[..10]);
        fs::write(folder.path().join(format!("{number:06}.pcap")), file).expect("room");
    }
    let page = tempdir().expect("a folder");
    let html = page.path().join("page.html");
    let run = measured_alone(&[text(folder.path()), "-o", "json", "-o", &format!("html={}", html.display())]);
    assert_eq!((run.ran.code, count(&run.ran.json(), "/packets")), (Some(3), damaged));
    assert_eq!(run.ran.stderr.lines().count() as u64, damaged);
    assert!(run.ran.stderr.lines().all(|line| line.contains("the header of record 2 takes 16 bytes, 10 remain")));
    let page = fs::read_to_string(html).expect("it was written");
    assert!(page.matches("the header of record 2").count() <= 101, "{}", page.matches("record 2").count());
    assert!(page.contains(&(damaged - 100).to_string()));
    run.assert_takes_at_most(damaged * 2_000 + 16 * MIB);
}
