//! Several threads on one interface, and packets that are not as the wire has them.

use std::collections::HashSet;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::Value;

use super::{Datagrams, Folder, ONLY_DATAGRAMS, PROGRAM, converse, count, counters, report, services, watch};
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
    // what the hosts say of themselves, at times of their own, is left out
    let filter = format!("not ether host {} and not ether host {}", wire.client.ethernet(0), wire.server.ethernet(0));
    let programs = ["1", "2", "4"].map(|threads| {
        let mut program = watch(&wire.client, &["-i", "eth0", "-o", "json", "-f", &filter, "--fanout", threads]);
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
    assert_eq!(count(one, "/packets"), sent);
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
fn both_directions_of_a_flow_meet_in_one_thread() {
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

#[test]
fn no_packet_is_counted_twice_while_threads_begin_to_share() {
    let Some(wire) = Wire::new() else { return };
    let folder = Folder::new();
    let datagrams = Datagrams::new(&wire, 0);
    let is_over = AtomicBool::new(false);
    let report = thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0_u64.. {
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                datagrams.send(1, &number.to_be_bytes());
            }
        });
        let args =
            ["-i", "eth0", "-o", "json", "--fanout", "16", "-B", "1M", "-c", "100000", "-w", &folder.text("saved")];
        // whatever comes of this, the other thread ends
        let _over = SetWhenDropped(&is_over);
        report(&Running::start(wire.client.command(PROGRAM).args(args)).end())
    });
    assert_eq!(count(&report, "/packets"), 100_000);
    let saved = fs::read(folder.path("saved")).expect("it was saved");
    let records = records(&saved);
    // a filter would close the gap between opening and sharing, so other packets are taken too; of ours, there are eight
    // bytes behind the headers, two to fill up the word, and the block's length
    let ours = records.ends.iter().zip(&records.wire_lens).filter(|(_, wire_len)| **wire_len == 14 + 20 + 8 + 8);
    let numbers: Vec<_> = ours.map(|(end, _)| &saved[end - 14..end - 6]).collect();
    let different: HashSet<_> = numbers.iter().collect();
    assert!(numbers.len() > 90_000, "{}", numbers.len());
    assert_eq!(different.len(), numbers.len());
}

#[test]
fn threads_share_an_interface_that_is_created_anew() {
    let Some(wire) = Wire::new() else { return };
    let args = ["-i", "lo", "-i", "eth0", "-o", "json", "--fanout", "2"];
    let mut program = watch(&wire.client, &[&args[..], &ONLY_DATAGRAMS].concat());
    wire.client.ip(&["link", "del", "eth0"]);
    program.await_saying("portlabel: eth0: the interface is gone\n");
    wire.join("eth0", 0);
    program.await_saying("portlabel: eth0: the interface is there again; capturing goes on\n");
    // each of its threads looks for it by itself
    program.await_state("captures with every thread again", |program| (packet_sockets(program) == 4).then_some(()));
    Datagrams::new(&wire, 0).send(3, b"after");
    let ended = program.interrupt();
    assert_eq!((count(&report(&ended), "/packets"), counters(&ended.stderr)), (3, [3, 3, 0]));
    assert_eq!(ended.stderr.lines().count(), 2 + 3, "{ended:?}");
}

/// Tells others that something is over, be it by a panic.
struct SetWhenDropped<'f>(&'f AtomicBool);

impl Drop for SetWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// How many packet sockets a program has open.
fn packet_sockets(program: &Running) -> usize {
    // sk, references, type, protocol, interface, running, memory, user, inode
    let table = fs::read_to_string(format!("/proc/{}/net/packet", program.id())).expect("the kernel tells");
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
