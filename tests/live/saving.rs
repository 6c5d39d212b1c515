//! `-w`: what is read back is what was counted.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use super::{Datagrams, Folder, ONLY_DATAGRAMS, PROGRAM, assert_conserved, converse, count, report, report_of_file};
use super::{services, watch, watching};
use crate::netns::{Wire, v4, v6};
use crate::program::{document, ran};

/// What a report says of the packets, and nothing else.
fn of_packets(report: &Value) -> Vec<Value> {
    let of_all = ["packets", "wire_bytes", "first_ts", "last_ts", "portless", "flows", "time_jumps"];
    of_all.iter().map(|key| report[*key].clone()).chain(services(report)).collect()
}

#[test]
fn the_saved_file_gives_the_report_of_the_live_run() {
    let Some(wire) = Wire::new() else { return };
    wire.join("eth1", 1);
    let folder = Folder::new();
    let cases: [(&str, &[&str], u64); 5] = [
        ("one interface", &["-i", "eth0"], 1),
        ("two interfaces", &["-i", "eth0", "-i", "eth1"], 2),
        ("all interfaces", &["-i", "any"], 2),
        ("two threads", &["-i", "eth0", "--fanout", "2"], 1),
        ("filtered", &["-i", "eth1", "-i", "eth0", "-f", "tcp or icmp"], 2),
    ];
    for (case, interfaces, links) in cases {
        let file = folder.path(case);
        let to_file = ["-o", "json", "--no-listeners", "-w", file.to_str().expect("a path in ASCII")];
        let program = watch(&wire.client, &[interfaces, &to_file].concat());
        for link in 0..2 {
            converse(&wire, v4(link, &wire.server), 80, 5, 3_000);
            converse(&wire, v6(link, &wire.server), 22, 2, 100);
            let datagrams = Datagrams::new(&wire, link);
            datagrams.send(5, b"short");
            datagrams.send(2, &[7; 4_000]); // in three pieces
            let pinged =
                ran(wire.client.command("ping").args(["-c", "2", "-i", "0.01", &v4(link, &wire.server).to_string()]));
            assert_eq!(pinged.code, Some(0), "{pinged:?}");
        }
        let live = report(&program.interrupt());
        assert_eq!(of_packets(&live), of_packets(&report_of_file(&file)), "{case}");
        // there was something to compare
        let flows = |name| {
            live["services"]
                .as_array()
                .expect("rows")
                .iter()
                .find(|row| row["service"] == name)
                .map(|row| count(row, "/flows/started"))
        };
        assert_eq!((flows("http"), flows("ssh")), (Some(5 * links), Some(2 * links)), "{case}: {live:#}");
        assert!(live["portless"].as_array().expect("rows").iter().any(|row| row["reason"] == "icmp"), "{case}");
    }
}

#[test]
fn a_full_disk_ends_the_saving_and_nothing_else() {
    let Some(wire) = Wire::new() else { return };
    let folder = Folder::new();
    // the mount is this program's alone
    let script = r#"mount -t tmpfs -o size=64k none "$0" && exec "$@""#;
    let mut command = wire.client.command("sh");
    command.args(["-c", script, &folder.text(""), PROGRAM, "-i", "eth0", "-o", "json", "-w", &folder.text("saved")]);
    let mut program = watching(command.args(ONLY_DATAGRAMS));
    let datagrams = Datagrams::new(&wire, 0);
    datagrams.send(1_000, &[7; 400]);
    program.await_saying("saved: cannot write: No space left on device (os error 28)\n");
    datagrams.send(10, b"afterwards");
    let ended = program.interrupt();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let report = ended.json();
    assert_conserved(&report);
    assert_eq!(count(&report, "/packets"), 1_010);
    assert_eq!(ended.stderr.matches("cannot write").count(), 1, "{ended:?}");
}

#[test]
fn a_disk_that_has_room_again_is_written_again() {
    let Some(wire) = Wire::new() else { return };
    let folder = Folder::new();
    // the mount is this program's alone, and full but for 24 KiB; emptied, it has room for as long as a busy machine may take
    let script = r#"mount -t tmpfs -o size=16m none "$0" && head -c 16752640 /dev/zero >"$0/filler" && exec "$@""#;
    let formats = ["ndjson", "csv", "prometheus"];
    let outputs = formats.map(|format| format!("{format}={}", folder.text(format)));
    let mut command = wire.client.command("sh");
    command.args(["-c", script, &folder.text(""), PROGRAM, "-i", "eth0", "-Z", "root", "--interval", "100ms"]);
    command.args(outputs.iter().flat_map(|output| ["-o", output])).args(["-o", "json"]);
    let mut program = watching(command.args(ONLY_DATAGRAMS));
    let datagrams = Datagrams::new(&wire, 0);
    let there = PathBuf::from(format!("/proc/{}/root", program.id())).join(folder.text("").trim_start_matches('/'));
    for _ in 0..3 {
        datagrams.send(1, b"something to report");
    }
    for format in formats {
        program.await_saying(&format!("{}: ", folder.text(format)));
        program.await_saying("No space left on device (os error 28); trying again with each report\n");
    }
    fs::remove_file(there.join("filler")).expect("it is there");
    let read = |format: &str| fs::read_to_string(there.join(format)).unwrap_or_default();
    for format in formats {
        program.await_saying(&format!("{format} to {}: is written again", folder.text(format)));
    }
    // no record is cut, and what is missing is told
    let sound = |text: &str| {
        let mut next = 1;
        let whole = text.lines().map(document).map(|line| {
            let skipped = count(&line, "/interval/skipped_snapshots");
            assert_eq!(count(&line, "/sequence"), next + skipped, "{line:#}");
            next = count(&line, "/sequence") + 1;
            skipped
        });
        whole.sum::<u64>()
    };
    let skipped = program.await_state("tells what is missing", |_| {
        let text = read("ndjson");
        Some(sound(text.strip_suffix('\n')?)).filter(|skipped| *skipped > 0)
    });
    let csv = read("csv");
    let columns: Vec<_> = csv.lines().map(|line| line.split(',').count()).collect();
    assert!(columns.len() > 3 && columns.iter().all(|found| *found == columns[0]), "{columns:?}");
    assert!(read("prometheus").contains("portlabel_read_packets_total 3\n"));
    let ended = program.interrupt();
    assert_eq!(ended.code, Some(1), "something is missing for good: {ended:?}");
    assert_eq!(count(&ended.json(), "/packets"), 3);
    assert!(skipped > 0 && ended.stderr.contains(" snapshots are missing\n"), "{ended:?}");
}
