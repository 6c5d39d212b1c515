//! Ten years of packet time: what never ends has to count on, to the nanosecond.

use std::collections::BTreeMap;
use std::fs;

use portlabel::units::{Timestamp, Transport};
use serde_json::Value;
use tempfile::TempDir;

use crate::frames::{Kind, Packet};
use crate::program::{document, run};
use crate::records::{pcap_header, pcap_record};

const SECOND_NANOS: u64 = 1_000_000_000;
const STEP_SECONDS: u64 = 1_200;
const DAY_SECONDS: u64 = 86_400;
/// 2026-01-31T00:00:00Z, so that days are whole; ten years of 365 days, so that leap days are in the way.
const START_SECONDS: u64 = 1_769_817_600;
const DAYS: u64 = 3_650;
const STEPS: u64 = DAYS * DAY_SECONDS / STEP_SECONDS;

/// In each step a packet of one connection that never ends, and 7 nanoseconds later a question from another port.
fn ten_years() -> Vec<u8> {
    let packet = |transport, src, dst| Packet {
        ts_nanos: 0,
        is_v6: false,
        tags: 0,
        extensions: 0,
        transport,
        src,
        dst,
        kind: Kind::Data,
        payload_len: 20,
        wire_len: 0,
    };
    let ssh = packet(Transport::Tcp, (1, 50_001), (2, 22)).owned().data;
    let mut file = pcap_header();
    for step in 0..STEPS {
        let nanos = (START_SECONDS + step * STEP_SECONDS) * SECOND_NANOS;
        // every port comes again after years
        let port = 10_000 + u16::try_from(step % 50_000).expect("a port");
        let question = packet(Transport::Udp, (1, port), (2, 53)).owned().data;
        file.extend(pcap_record(nanos, &ssh));
        file.extend(pcap_record(nanos + 7, &question));
    }
    file
}

fn instant(value: &Value) -> Timestamp {
    serde_json::from_value(value.clone()).expect("a time")
}

fn row<'v>(snapshot: &'v Value, service: &str) -> &'v Value {
    let rows = snapshot["services"].as_array().expect("rows");
    rows.iter().find(|row| row["service"] == service).unwrap_or_else(|| panic!("no {service}"))
}

#[test]
fn ten_years_add_up_to_the_nanosecond() {
    let folder = TempDir::new().expect("a folder");
    let path = |name: &str| folder.path().join(name).into_os_string().into_string().expect("text");
    let (capture, flows) = (path("years.pcap"), path("flows.ndjson"));
    fs::write(&capture, ten_years()).expect("room");
    let flows_to = format!("flows={flows}");
    let ran = run(&[&capture, "--idle-timeout", "1h", "--interval", "24h", "-o", "ndjson", "-o", &flows_to]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));

    let lines: Vec<Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len() as u64, DAYS);
    let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
    for (day, line) in (0..).zip(&lines) {
        let start_nanos = i64::try_from((START_SECONDS + day * DAY_SECONDS) * SECOND_NANOS).expect("a time");
        let end_nanos = start_nanos + i64::try_from(DAY_SECONDS * SECOND_NANOS).expect("a day");
        let interval = [&line["interval"]["start"], &line["interval"]["end"]].map(|at| instant(at).as_nanos());
        assert_eq!(interval, [start_nanos, end_nanos], "no boundary moves: day {day}");
        for service in ["ssh", "domain"] {
            let packets = row(line, service)["interval"]["packets"].as_u64().expect("a number");
            assert_eq!(packets, DAY_SECONDS / STEP_SECONDS, "{service}, day {day}");
            *sums.entry(service).or_default() += packets;
        }
    }
    assert_eq!(sums, [("domain", STEPS), ("ssh", STEPS)].into());

    let last = document(ran.stdout.lines().last().expect("a line"));
    assert_eq!((&last["packets"], &last["time_jumps"]), (&(2 * STEPS).into(), &0.into()));
    let span = instant(&last["last_ts"]).nanos_since(instant(&last["first_ts"]));
    let longest_nanos = (STEPS - 1) * STEP_SECONDS * SECOND_NANOS;
    assert_eq!(span, longest_nanos + 7);
    let (ssh, domain) = (row(&last, "ssh"), row(&last, "domain"));
    assert_eq!((&ssh["flows"]["started"], &domain["flows"]["started"]), (&1.into(), &STEPS.into()));
    assert_eq!(last["flows"]["evicted"], 0);
    let exact = |summary: &Value| ["count", "sum", "min", "max"].map(|key| summary[key].as_u64().expect("a number"));
    let step_us = STEP_SECONDS * 1_000_000;
    assert_eq!(exact(&ssh["gap_us"]), [STEPS - 1, (STEPS - 1) * step_us, step_us, step_us]);
    let longest_us = longest_nanos / 1_000;
    assert_eq!(exact(&ssh["flow_duration_us"]), [1, longest_us, longest_us, longest_us]);
    assert_eq!(exact(&domain["flow_duration_us"]), [STEPS, 0, 0, 0]);

    let records = fs::read_to_string(&flows).expect("it was written");
    assert_eq!(records.lines().count() as u64, STEPS + 1);
    let ssh = records.lines().find(|record| record.contains(r#""service":"ssh""#)).expect("its record");
    let ssh = document(ssh);
    assert_eq!(instant(&ssh["last_ts"]).nanos_since(instant(&ssh["first_ts"])), longest_nanos);
    assert_eq!(ssh["to_server"]["packets"], STEPS);
}
