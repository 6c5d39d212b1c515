//! Several threads on one interface, and packets that are not as the wire has them.

use serde_json::Value;

use super::{Folder, converse, count, counters, report, services, watch};
use crate::cases::Case;
use crate::netns::{Wire, v4};
use crate::program::{has, ran};
use crate::records::records;
use crate::running::Running;

#[test]
fn threads_that_share_an_interface_say_what_one_says() {
    if !has("tcpreplay", "nothing is sent to several threads") {
        return;
    }
    let Some(wire) = Wire::new() else { return };
    let programs = ["1", "2", "4"].map(|threads| {
        let mut program = watch(&wire.client, &["-i", "eth0", "-o", "json", "--fanout", threads]);
        program.await_state("starts its threads", |program| {
            (program.threads("capture").to_string() == threads).then_some(())
        });
        program
    });
    let mut sent = 0;
    for name in ["office", "https", "ssh", "http", "smtp", "postgresql", "redis", "dns", "ipv6", "fragments"] {
        let case = Case::named(name);
        let mut replay = wire.server.command("tcpreplay");
        let replayed = ran(replay.args(["--quiet", "--pps=20000", "-i", "eth0"]).arg(&case.capture));
        assert_eq!(replayed.code, Some(0), "{replayed:?}");
        sent += records(&case.bytes()).packets();
    }
    let reports = programs.map(|program| report(&program.interrupt()));
    let told_by_handshake = |report: &Value| -> Vec<Value> {
        let opened = |row: &Value| row["evidence"].as_object().is_some_and(|rules| rules.keys().eq(["handshake"]));
        services(report).into_iter().filter(opened).collect()
    };
    let [one, others @ ..] = &reports;
    assert!(count(one, "/packets") >= sent, "{sent} were sent: {one:#}");
    let rows = told_by_handshake(one);
    assert!(rows.len() >= 6, "{one:#}");
    for other in others {
        for of in ["packets", "wire_bytes", "portless"] {
            assert_eq!(other[of], one[of], "{of}");
        }
        assert_eq!(told_by_handshake(other), rows);
    }
}

#[test]
fn flows_are_spread_over_the_threads() {
    let Some(wire) = Wire::new() else { return };
    let program = watch(&wire.client, &["-i", "eth0", "-o", "json", "--fanout", "4", "-f", "tcp port 80"]);
    converse(&wire, v4(0, &wire.server), 80, 100, 3_000);
    let sockets = packet_sockets(&program);
    let ended = program.interrupt();
    let report = report(&ended);
    assert_eq!(count(&report, "/flows/started"), 100);
    assert_eq!(report.pointer("/services/0/handshake_rtt_us/count"), Some(&Value::from(100)), "both directions met");
    let [captured, received, dropped] = counters(&ended.stderr);
    assert_eq!((captured, dropped), (received, 0));
    assert_eq!(sockets, 4);
}

/// How many packet sockets a program has open.
fn packet_sockets(program: &Running) -> usize {
    // sk, references, type, protocol, interface, running, memory, user, inode
    let table = std::fs::read_to_string(format!("/proc/{}/net/packet", program.id())).expect("the kernel tells");
    table.lines().skip(1).count()
}

#[test]
fn packets_longer_than_the_mtu_are_told_once() {
    let Some(wire) = Wire::new() else { return };
    for threads in ["1", "4"] {
        let program = watch(&wire.client, &["-i", "eth0", "-o", "json", "--fanout", threads]);
        converse(&wire, v4(0, &wire.server), 80, 20, 1 << 20);
        let ended = program.interrupt();
        assert!(count(&report(&ended), "/services/0/packet_size_bytes/max") > 1_522, "{ended:?}");
        let remark = "eth0: packets longer than the MTU of 1500 bytes: the kernel joins or splits them elsewhere";
        assert_eq!(ended.stderr.matches(remark).count(), 1, "{threads} threads: {ended:?}");
    }
}

#[test]
fn packets_that_pass_several_interfaces_are_told() {
    let Some(wire) = Wire::new() else { return };
    let folder = Folder::new();
    let save = ["-w", &folder.text("any")];
    let program = watch(&wire.client, &[&["-i", "any", "-o", "json"], &save[..]].concat());
    let ended = program.interrupt();
    let remark = "any: a packet that passes several interfaces (a bridge and its ports, a tunnel and its carrier) is counted at each\n";
    assert_eq!((ended.code, ended.stderr.matches(remark).count()), (Some(0), 1), "{ended:?}");

    // a bridge, and the interface that is its port
    wire.client.ip(&["link", "add", "br0", "type", "bridge"]);
    wire.client.ip(&["link", "set", "eth0", "master", "br0"]);
    wire.client.ip(&["link", "set", "br0", "up"]);
    let ended = watch(&wire.client, &["-i", "br0", "-i", "eth0"]).interrupt();
    let remark = "portlabel: br0: a packet that passes this bridge is counted there and at eth0\n";
    assert_eq!((ended.code, ended.stderr.matches(remark).count()), (Some(0), 1), "{ended:?}");
}
