//! Live runs: what is reported takes its share of the time, and no more.

use std::net::{SocketAddr, UdpSocket};

use portlabel::units::Timestamp;
use serde_json::Value;

use super::{assert_adds_up, count, rows};
use crate::live::watch;
use crate::netns::{Wire, v4};

fn time(value: &Value) -> Timestamp {
    serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{error}: {value}"))
}

/// A snapshot a nanosecond would leave no time for packets, and the run would not end when it is told to.
#[test]
fn intervals_are_long_enough_for_what_their_snapshots_take() {
    let Some(wire) = Wire::new() else { return };
    let (rounds, ports) = (10_u64, 1..=2_000_u16);
    let filter = format!("udp and dst host {}", v4(0, &wire.server));
    let sent = rounds * 2_000;
    let program = watch(
        &wire.server,
        &[
            "-i",
            "eth0",
            "-f",
            &filter,
            "--interval",
            "1ns",
            "-c",
            &sent.to_string(),
            "-o",
            "json",
            "-o",
            "csv=/dev/null",
        ],
    );
    let from = wire.client.inside(|| UdpSocket::bind((v4(0, &wire.client), 0)).expect("the address is the host's"));
    for _ in 0..rounds {
        for port in ports.clone() {
            // nobody listens there, which the server tells now and then
            from.send_to(b"", SocketAddr::new(v4(0, &wire.server), port)).expect("a wire takes everything");
        }
    }
    let ran = program.end();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let report = ran.json();
    assert_adds_up(&report, sent, sent * 42);
    let rows_of_services = rows(&report, "services").count() as u64;
    assert!(rows_of_services > 500, "{rows_of_services} rows");
    let interval = &report["interval"];
    let len_nanos = time(&interval["end"]).nanos_since(time(&interval["start"]));
    assert!(len_nanos >= rows_of_services * 10_000, "{len_nanos} ns for {rows_of_services} rows");
    assert!(count(&report, "/sequence") > 3, "{}", report["sequence"]);
}
