//! Floods of flows: connections that nobody completes, servers by the ten thousand, and flows that all end at once.

use std::fs;
use std::io::{self, Write};

use tempfile::tempdir;

use super::{Copies, MIB, assert_adds_up, count, host, measured, measured_alone, packet};
use crate::frames::{Kind, Packet};
use crate::program::document;
use crate::records::pcap_header;

/// From one connection of a flood to the next, in nanoseconds.
const STEP_NANOS: u64 = 1_000;

/// Opens connections from as many hosts to one server.
fn open_from(hosts: u64, step_nanos: u64, to: &mut dyn Write) -> io::Result<()> {
    to.write_all(&pcap_header())?;
    let mut copies = Copies::of(&packet(0));
    for number in 0..hosts {
        copies.at(number * step_nanos).set(Copies::SRC, host(number)).write(to)?;
    }
    Ok(())
}

#[test]
fn a_flood_of_connections_takes_what_the_table_of_flows_takes() {
    let hosts = 1_100_000;
    let run = measured(&["-", "-o", "json"], |to| open_from(hosts, STEP_NANOS, to));
    let report = run.assert_sound().ran.json();
    assert_adds_up(&report, hosts, hosts * Copies::of(&packet(0)).wire_len());
    assert_eq!(count(&report, "/flows/started"), hosts);
    assert_eq!(count(&report, "/flows/evicted"), 100_000);
    assert_eq!(count(&report, "/flows/unanswered"), hosts);
    // 110 bytes each
    run.assert_takes_at_most(110_000_000);
}

/// With all outputs at once, a snapshot a second, and the packets saved.
#[test]
fn every_output_bears_a_flood() {
    let folder = tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (hosts, max_flows) = (100_000, 10_000);
    let mut args = vec!["-".to_owned(), "--interval".into(), "1s".into(), "-w".into(), path("saved.pcapng")];
    args.extend(["--max-flows".to_owned(), max_flows.to_string()]);
    for format in ["json", "ndjson", "csv", "flows", "prometheus", "html", "table"] {
        args.extend(["-o".to_owned(), format!("{format}={}", path(format))]);
    }
    // 10 seconds of packet time
    let run = measured(&args, |to| open_from(hosts, 100_000, to));
    run.assert_sound();
    let text =
        |name: &str| fs::read_to_string(folder.path().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let report = document(&text("json"));
    let wire_bytes = hosts * Copies::of(&packet(0)).wire_len();
    assert_adds_up(&report, hosts, wire_bytes);
    assert_eq!(count(&report, "/flows/evicted"), hosts - max_flows);

    let snapshots: Vec<_> = text("ndjson").lines().map(document).collect();
    assert_eq!(snapshots.len(), 10);
    let of_intervals: u64 = snapshots.iter().map(|one| count(one, "/services/0/interval/packets")).sum();
    assert_eq!(of_intervals, hosts);
    assert_eq!(text("csv").lines().count(), 1 + 10);
    assert!(text("table").contains("100,000 packets") || text("table").contains("100000 packets"), "{}", text("table"));
    assert!(text("html").contains("</html>"));
    let metrics = text("prometheus");
    assert!(metrics.contains("portlabel_read_packets_total 100000"), "{metrics}");

    // each flow once, those that made room first
    let flows: Vec<_> = text("flows").lines().map(document).collect();
    assert_eq!(flows.len() as u64, hosts);
    let evicted = flows.iter().take_while(|flow| flow["end"] == "evicted").count();
    assert_eq!(evicted as u64, hosts - max_flows);
    assert!(flows[evicted..].iter().all(|flow| flow["end"] == "final"));
    let bytes: u64 = flows.iter().map(|flow| count(flow, "/to_server/wire_bytes")).sum();
    assert_eq!(bytes, wire_bytes);

    run.assert_takes_at_most(24 * MIB);
    let saved = measured_alone(&[path("saved.pcapng"), "-o".into(), "json".into()]);
    assert_adds_up(&saved.assert_sound().ran.json(), hosts, wire_bytes);
}

/// All flows that there may be end at one packet, and each is reported.
#[test]
fn flows_that_end_at_once_are_reported_one_after_the_other() {
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("flows");
    let hosts = 300_000;
    let run = measured(&["-", "-o", "json", "-o", &format!("flows={}", path.display())], |to| {
        open_from(hosts, STEP_NANOS, to)?;
        Copies::of(&packet(0)).at(1_000_000_000_000).write(to)
    });
    let report = run.assert_sound().ran.json();
    assert_adds_up(&report, hosts + 1, (hosts + 1) * Copies::of(&packet(0)).wire_len());
    let flows = fs::read_to_string(&path).expect("it was written");
    let ends = |how: &str| flows.lines().filter(|line| line.ends_with(&format!("\"end\":\"{how}\"}}"))).count() as u64;
    assert_eq!((ends("idle"), ends("final")), (hosts, 1));
    // 160 bytes each, and 24 MiB of what is said of them on its way
    run.assert_takes_at_most(hosts * 160 + 24 * MIB);
}

/// Servers that answer, each on one connection: more than are remembered.
#[test]
fn servers_beyond_those_that_are_learned_are_forgotten() {
    let servers = 200_000_u64;
    let run = measured(&["-", "-o", "json", "--max-flows", "1000"], |to| {
        to.write_all(&pcap_header())?;
        let open = packet(0);
        let accept = Packet { kind: Kind::Accept, ..open.reversed() };
        let [mut open, mut accept] = [open, accept].map(|packet| Copies::of(&packet));
        for number in 0..servers {
            let nanos = number * STEP_NANOS;
            open.at(nanos).set(Copies::DST, host(number)).write(to)?;
            accept.at(nanos + 1).set(Copies::SRC, host(number)).write(to)?;
        }
        Ok(())
    });
    let report = run.assert_sound().ran.json();
    let packets = 2 * servers;
    assert_adds_up(&report, packets, packets * Copies::of(&packet(0)).wire_len());
    assert_eq!(count(&report, "/flows/unanswered"), 0);
    // 32,768 are recent; whenever there would be one more, as many older ones are forgotten
    let forgotten = (servers.div_ceil(32_768) - 2) * 32_768;
    assert_eq!(count(&report, "/learned_forgotten"), forgotten);
    // 2 MB of endpoints, and the flows
    run.assert_takes_at_most(2_000_000 + 1_000 * 110 + 2 * MIB);
}
