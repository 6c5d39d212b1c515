//! What the kernel could not hand over.

use rustix::process::Signal;

use super::{Datagrams, Folder, ONLY_DATAGRAMS, count, counters, documents, watch};
use crate::netns::Wire;

/// More than the smallest ring holds: 256 KiB.
const FLOOD: usize = 20_000;

#[test]
fn losses_are_told_of_the_interval_and_of_the_whole() {
    let Some(wire) = Wire::new() else { return };
    let folder = Folder::new();
    let table = format!("table={}", folder.text("table"));
    let args = [["-i", "eth0", "-B", "256K"], [ONLY_DATAGRAMS[0], ONLY_DATAGRAMS[1], "-o", "ndjson"]].concat();
    let mut program = watch(&wire.client, &[&args[..], &["-o", &table]].concat());
    let datagrams = Datagrams::new(&wire, 0);

    program.signal(Signal::STOP);
    program.await_state("stands still", |program| {
        let status = std::fs::read_to_string(format!("/proc/{}/status", program.id())).unwrap_or_default();
        status.contains("State:\tT").then_some(())
    });
    datagrams.send(FLOOD, &[7; 200]);
    program.signal(Signal::CONT);
    let lossy = program.await_state("tells of losses", |program| {
        documents(program).iter().position(|line| count(line, "/interval/drops/kernel") > 0)
    });
    datagrams.send(1, b"after the flood");
    program.await_state("goes on", |program| documents(program).get(lossy + 2).map(|_| ()));
    let ended = program.interrupt();

    assert_eq!(ended.code, Some(0), "{ended:?}");
    let lines = ended.json_lines();
    let dropped: Vec<_> = lines.iter().map(|line| count(line, "/interval/drops/kernel")).collect();
    let complete: Vec<_> = lines.iter().map(|line| line["interval"]["complete"].as_bool()).collect();
    assert_eq!(dropped.iter().filter(|dropped| **dropped > 0).count(), 1, "one interval had losses: {dropped:?}");
    assert_eq!(complete[lossy..lossy + 3], [Some(false), Some(true), Some(true)], "{dropped:?}");
    let last = lines.last().expect("it has ended");
    let of_all = count(last, "/drops/kernel");
    assert_eq!((dropped.iter().sum::<u64>(), count(last, "/drops/interfaces/eth0/kernel")), (of_all, of_all));

    let [captured, received, dropped] = counters(&ended.stderr);
    assert_eq!((captured, dropped), (count(last, "/packets"), of_all));
    assert_eq!((captured + dropped, received), (received, FLOOD as u64 + 1), "nothing else was lost");
    let table = std::fs::read_to_string(folder.path("table")).expect("it was written");
    assert!(table.contains(" packets dropped by the kernel ("), "{table}");
}
