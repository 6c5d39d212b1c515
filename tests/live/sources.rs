//! Interfaces: which there are, how they are opened, what happens to them.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{Datagrams, Folder, ONLY_DATAGRAMS, PROGRAM, assert_conserved, converse, count, counters, refused, report};
use super::{copy_of_the_program, services, watch, watching};
use crate::netns::{Host, Wire, v4};
use crate::program::{has, ran};
use crate::records::records;
use crate::running::Running;

/// A user without any right, and its group.
const NOBODY: [&str; 3] = ["--reuid=65534", "--regid=65534", "--clear-groups"];

#[test]
fn interfaces_are_listed() {
    let Some(wire) = Wire::new() else { return };
    wire.join("eth1", 1);
    wire.client.ip(&["link", "set", "eth1", "down"]);
    let ran = refused(&wire.client, &["-D"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    let line = |name: &str| {
        let line = ran.stdout.lines().find(|line| line.split(' ').next() == Some(name));
        let words: Vec<_> = line.unwrap_or_else(|| panic!("no {name}: {ran:?}")).split_whitespace().collect();
        words.join(" ")
    };
    assert_eq!(line("eth0"), "eth0 10.0.0.1 2001:db8::1 [up, running, connected]");
    assert_eq!(line("lo"), "lo 127.0.0.1 ::1 [up, running, loopback]");
    assert!(line("eth1").starts_with("eth1 10.0.1.1 [down"), "{ran:?}");
    assert!(line("any").contains("[up, running]"), "{ran:?}");
}

#[test]
fn an_interface_that_there_is_not_is_told_with_those_that_there_are() {
    let Some(wire) = Wire::new() else { return };
    for name in ["eth7", "", "a-name-longer-than-any-interface-has", "eth0 "] {
        let ran = refused(&wire.client, &["-i", name]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{ran:?}");
        let says =
            format!("portlabel: {name}: no such interface\nthese can be watched:\n  eth0  10.0.0.1 2001:db8::1  [up, ");
        assert!(ran.stderr.starts_with(&says), "{ran:?}");
    }
    wire.client.ip(&["link", "set", "eth0", "down"]);
    let ran = refused(&wire.client, &["-i", "eth0"]);
    let says = "portlabel: eth0: the interface is down; bring it up with: ip link set eth0 up\n";
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(1), says));
}

/// A program that nobody runs on a host.
fn as_nobody(host: &Host, program: &str) -> Command {
    let mut command = host.command("setpriv");
    command.args(NOBODY).arg(program);
    command
}

#[test]
fn who_may_not_capture_is_told_what_to_do() {
    let Some(wire) = Wire::new() else { return };
    let folder = Folder::new();
    let program = copy_of_the_program(&folder);
    let refused = Running::start(as_nobody(&wire.client, &program).args(["-i", "eth0", "-f", "tcp port 80"])).end();
    let says = format!(
        "portlabel: eth0: no permission to capture\n\
         give this program the permission, once for all, or run it as root:\n  \
         sudo setcap cap_net_raw=ep {program}\n  sudo {program} -i eth0 -f 'tcp port 80'\n"
    );
    assert_eq!((refused.code, refused.stdout.as_str(), refused.stderr.as_str()), (Some(1), "", says.as_str()));
}

#[test]
fn the_capability_is_all_that_a_capture_takes() {
    if !has("setcap", "no capture without root is tested") {
        return;
    }
    let Some(wire) = Wire::new() else { return };
    let folder = Folder::new();
    let program = copy_of_the_program(&folder);
    let given = ran(Command::new("setcap").args(["cap_net_raw=ep", &program]));
    assert_eq!(given.code, Some(0), "{given:?}");
    let mut command = as_nobody(&wire.client, &program);
    let running = watching(command.args(["-i", "eth0", "-o", "json"]).args(ONLY_DATAGRAMS));
    wire.client.await_state("eth0", "promiscuity 1 ");
    Datagrams::new(&wire, 0).send(3, b"three");
    assert_eq!(count(&report(&running.interrupt()), "/packets"), 3);
}

#[test]
fn filters_are_the_kernels() {
    let Some(wire) = Wire::new() else { return };
    let ran = refused(&wire.client, &["-i", "eth0", "udp", "port", "9"]);
    assert_eq!(ran.code, Some(2));
    let says = "'udp port 9' is no capture; a filter stands behind -f, as in: -f 'udp port 9'";
    assert!(ran.stderr.contains(says), "{ran:?}");
    let ran = refused(&wire.client, &["-i", "eth0", "-f", "udp prt 9"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.starts_with("portlabel: eth0: filter expression \"udp prt 9\": "), "{ran:?}");

    let program = watch(&wire.client, &["-i", "eth0", "-o", "json", "-f", "tcp port 80 or len > 500"]);
    converse(&wire, v4(0, &wire.server), 80, 2, 100);
    converse(&wire, v4(0, &wire.server), 22, 2, 100);
    let datagrams = Datagrams::new(&wire, 0);
    datagrams.send(4, &[7; 400]);
    datagrams.send(5, &[7; 500]);
    let ended = program.interrupt();
    let report = report(&ended);
    let names: Vec<_> = services(&report).iter().map(|row| row["service"].clone()).collect();
    assert_eq!((names, count(&report, "/services/0/packets")), (vec!["discard".into(), "http".into()], 5));
    assert_eq!(report["source"]["filter"], "tcp port 80 or len > 500");
    // what the filter leaves out does not come as far as this
    assert_eq!(counters(&ended.stderr)[..2], [count(&report, "/packets"); 2]);
}

#[test]
fn packets_are_cut_to_the_snap_length() {
    let Some(wire) = Wire::new() else { return };
    let folder = Folder::new();
    // of each packet: 32 bytes of its block, and what was captured, in words of 4 bytes
    for (snap_len, block_len) in [("100", 132), ("64", 96), ("262144", 476)] {
        let file = folder.path(snap_len);
        let args = ["-i", "eth0", "-o", "json", "-s", snap_len, "-w", file.to_str().expect("a path in ASCII")];
        let program = watch(&wire.client, &[&args[..], &ONLY_DATAGRAMS].concat());
        Datagrams::new(&wire, 0).send(5, &[7; 400]);
        let report = report(&program.interrupt());
        let saved = records(&fs::read(&file).expect("it was saved"));
        assert_eq!((saved.is_whole, saved.wire_lens), (true, vec![442; 5]));
        assert!(saved.ends.windows(2).all(|ends| ends[1] - ends[0] == block_len), "{snap_len}: {:?}", saved.ends);
        assert_eq!((count(&report, "/wire_bytes"), count(&report, "/services/0/packets")), (5 * 442, 5));
    }
}

#[test]
fn buffers_are_as_large_as_they_are_wanted() {
    let Some(wire) = Wire::new() else { return };
    for (args, bytes) in [(&[][..], 64 << 20), (&["-B", "1M"][..], 1 << 20), (&["-B", "4096"], 4 << 20)] {
        let program = watch(&wire.client, &[&["-i", "eth0", "-o", "json"], args].concat());
        let maps = fs::read_to_string(format!("/proc/{}/maps", program.id())).expect("root can");
        let rings: Vec<_> = maps.lines().filter(|line| line.contains("socket:[")).map(mapped_bytes).collect();
        // whole blocks, of 128 KiB in libpcap
        assert!(rings.len() == 1 && rings[0].abs_diff(bytes) <= 256 << 10, "{args:?}: {rings:?}");
        report(&program.interrupt());
    }
}

/// How much a line of /proc/PID/maps maps.
fn mapped_bytes(line: &str) -> u64 {
    let range = line.split(' ').next().and_then(|range| range.split_once('-'));
    let (start, end) = range.unwrap_or_else(|| panic!("no range: {line}"));
    let address = |text| u64::from_str_radix(text, 16).expect("hexadecimal");
    address(end) - address(start)
}

#[test]
fn promiscuous_mode_is_left_out_when_it_is_not_wanted() {
    let Some(wire) = Wire::new() else { return };
    let cases: [(&[&str], &str); 3] = [
        (&["-i", "eth0"], "promiscuity 1 "),
        (&["-i", "eth0", "-p"], "promiscuity 0 "),
        (&["-i", "any"], "promiscuity 0 "),
    ];
    for (args, mode) in cases {
        let program = watch(&wire.client, &[args, &["-o", "json"]].concat());
        let shown = wire.client.ip(&["-d", "-o", "link", "show", "eth0"]);
        assert!(shown.contains(mode), "{args:?}: {shown}");
        let ended = program.interrupt();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(!ended.stderr.contains("promiscuous"), "{ended:?}");
        wire.client.await_state("eth0", "promiscuity 0 ");
    }
}

#[test]
fn an_interface_that_goes_down_is_waited_for() {
    let Some(wire) = Wire::new() else { return };
    let mut program = watch(&wire.client, &[&["-i", "eth0", "-o", "json"], &ONLY_DATAGRAMS[..]].concat());
    Datagrams::new(&wire, 0).send(2, b"before");
    wire.client.ip(&["link", "set", "eth0", "down"]);
    program.await_saying("portlabel: eth0: the interface is down; waiting for it to come up again\n");
    wire.client.ip(&["link", "set", "eth0", "up"]);
    program.await_saying("portlabel: eth0: the interface is up again\n");
    wire.client.await_state("eth0", "state UP");
    Datagrams::new(&wire, 0).send(3, b"after");
    let ended = program.interrupt();
    assert_eq!(count(&report(&ended), "/packets"), 5, "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 2 + 3, "{ended:?}");
}

#[test]
fn an_interface_that_is_created_anew_is_captured_from_again() {
    let Some(wire) = Wire::new() else { return };
    let folder = Folder::new();
    let file = folder.path("saved");
    let args = ["-i", "lo", "-i", "eth0", "-o", "json", "-w", file.to_str().expect("a path in ASCII")];
    let mut program = watch(&wire.client, &[&args[..], &ONLY_DATAGRAMS].concat());
    wire.client.ip(&["link", "del", "eth0"]);
    program.await_saying("portlabel: eth0: the interface is gone\n");
    wire.join("eth0", 0);
    program.await_saying("portlabel: eth0: the interface is there again; capturing goes on\n");
    Datagrams::new(&wire, 0).send(3, b"after");
    let ended = program.interrupt();
    assert_eq!(count(&report(&ended), "/packets"), 3, "{ended:?}");
    assert_eq!(records(&fs::read(&file).expect("it was saved")).wire_lens, [14 + 20 + 8 + 5; 3]);
}

#[test]
fn a_run_goes_on_with_the_interfaces_that_are_left() {
    let Some(wire) = Wire::new() else { return };
    wire.join("eth1", 1);
    let args = ["-i", "eth0", "-i", "eth1", "-o", "json"];
    let mut program = watch(&wire.client, &[&args[..], &ONLY_DATAGRAMS].concat());
    wire.client.ip(&["link", "del", "eth0"]);
    program.await_saying("portlabel: eth0: the interface is gone\n");
    Datagrams::new(&wire, 1).send(3, b"after");
    let report = report(&program.interrupt());
    assert_eq!(count(&report, "/packets"), 3);
    assert_eq!(report["source"]["names"], serde_json::json!(["eth0", "eth1"]));
}

#[test]
fn a_run_without_interfaces_ends_and_has_failed() {
    let Some(wire) = Wire::new() else { return };
    for fanout in ["1", "2"] {
        let mut program =
            watch(&wire.client, &[&["-i", "eth0", "-o", "ndjson", "--fanout", fanout], &ONLY_DATAGRAMS[..]].concat());
        Datagrams::new(&wire, 0).send(3, b"before");
        program
            .await_state("counts", |program| super::documents(program).into_iter().find(|line| line["packets"] == 3));
        wire.client.ip(&["link", "del", "eth0"]);
        let ended = program.end();
        assert_eq!(ended.code, Some(1), "{ended:?}");
        let last = ended.json_lines().pop().expect("a final snapshot");
        assert_conserved(&last);
        assert_eq!((count(&last, "/packets"), counters(&ended.stderr)), (3, [3, 3, 0]));
        assert_eq!(ended.stderr.matches("eth0: the interface is gone\n").count(), 1, "{ended:?}");
        wire.join("eth0", 0);
    }
}

#[test]
fn losses_of_another_namespaces_interface_are_not_taken_for_ours() {
    let Some(wire) = Wire::new() else { return };
    // the system files of the test's own namespace: an interface of that name there is another one, or there is none
    let script = r#"umount /sys && exec "$@""#;
    let mut command = wire.client.command("sh");
    command.args(["-c", script, "sh", PROGRAM, "-i", "eth0", "-o", "json"]);
    let program = watching(&mut command);
    let report = report(&program.interrupt());
    let is_shown = Path::new("/sys/class/net/eth0").exists();
    assert_eq!(
        (&report["drops"]["kernel"], &report["drops"]["interface"]),
        (&0.into(), &serde_json::Value::Null),
        "{is_shown}"
    );
}

#[test]
fn filters_of_direction_lose_nothing() {
    let Some(wire) = Wire::new() else { return };
    for (host, direction) in [(&wire.server, "inbound"), (&wire.client, "outbound")] {
        let program = watch(host, &["-i", "eth0", "-o", "json", "-f", &format!("{direction} and udp dst port 9")]);
        Datagrams::new(&wire, 0).send(2_000, &[7; 400]);
        let ended = program.interrupt();
        assert_eq!(count(&report(&ended), "/packets"), 2_000, "{direction}");
        assert_eq!(super::counters(&ended.stderr), [2_000, 2_000, 0], "{direction}");
    }
    let program = watch(&wire.server, &["-i", "eth0", "-o", "json", "-f", "outbound and udp dst port 9"]);
    Datagrams::new(&wire, 0).send(10, b"the other way");
    assert_eq!(count(&report(&program.interrupt()), "/packets"), 0);
}

#[test]
fn an_interface_that_is_renamed_is_captured_from() {
    let Some(wire) = Wire::new() else { return };
    let log = ["-i", "eth0", "-o", "ndjson", "--interval", "100ms"];
    let mut program = watch(&wire.client, &[&log[..], &ONLY_DATAGRAMS].concat());
    let counted = |program: &Running, least: u64| {
        super::documents(program).iter().any(|line| count(line, "/packets") >= least).then_some(())
    };
    Datagrams::new(&wire, 0).send(3, b"before");
    wire.client.ip(&["link", "set", "eth0", "name", "wan0"]);
    program.await_saying("portlabel: eth0: the interface is called wan0 now; capturing goes on\n");
    Datagrams::new(&wire, 0).send(4, b"after");
    program.await_state("counts what came by the new name", |program| counted(program, 7));
    wire.client.ip(&["link", "set", "wan0", "down"]);
    program.await_saying("portlabel: eth0: the interface is down; waiting for it to come up again\n");
    wire.client.ip(&["link", "set", "wan0", "up"]);
    program.await_saying("portlabel: eth0: the interface is up again\n");
    // libpcap goes by the old name then, and the interface is opened anew, which takes a moment
    let datagrams = Datagrams::new(&wire, 0);
    program.await_state("counts again", |program| {
        datagrams.send(1, b"again");
        counted(program, 8)
    });
    let ended = program.interrupt();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let [captured, received, dropped] = super::counters(&ended.stderr);
    assert_eq!(captured + dropped, received, "{ended:?}");
}
