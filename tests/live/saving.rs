//! `-w`: what is read back is what was counted.

use serde_json::Value;

use super::{Datagrams, Folder, ONLY_DATAGRAMS, PROGRAM, assert_conserved, converse, count, report, report_of_file};
use super::{services, watch, watching};
use crate::netns::{Wire, v4, v6};
use crate::program::ran;

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
