//! Scans: every port, from many hosts to many hosts, until there are as many rows, ports and histograms as there can be.

use portlabel::units::Transport;
use serde_json::Value;

use super::{Copies, MIB, assert_adds_up, count, host, measured, packet, rows};
use crate::frames::{Kind, Packet};
use crate::records::pcap_header;

/// Values of which a row keeps no histogram yet.
const FEW: u64 = 32;
/// Histograms that there may be.
const MOST_HISTOGRAMS: u64 = 4096;

/// The summaries of a report that take a histogram: of how many values each is, and whether it has one.
fn large_summaries(report: &Value) -> Vec<bool> {
    let keys = ["packet_size_bytes", "gap_us", "flow_duration_us", "handshake_rtt_us"];
    let summaries = rows(report, "services").flat_map(|row| keys.map(|key| &row[key]));
    summaries.filter(|summary| summary["count"].as_u64() > Some(FEW)).map(|summary| !summary["p50"].is_null()).collect()
}

#[test]
fn a_scan_of_all_ports_leaves_rows_without_percentiles_and_counts_them() {
    let (rounds, ports) = (36_u64, 1..=20_000_u16);
    let probe = Packet { transport: Transport::Udp, kind: Kind::Data, src: (1, 65_000), ..packet(0) };
    let run = measured(&["-", "-o", "json"], |to| {
        to.write_all(&pcap_header())?;
        let mut copies = Copies::of(&probe);
        let mut number = 0_u64;
        // every port once, and many of those that have names again and again
        for ports in std::iter::once(1..=u16::MAX).chain((1..rounds).map(|_| ports.clone())) {
            for port in ports {
                number += 1;
                copies.at(number * 1_000).set(Copies::SRC, host(number)).set(Copies::DST, host(!number));
                copies.set(Copies::DST_PORT, port.to_be_bytes()).write(to)?;
            }
        }
        Ok(())
    });
    let report = run.assert_sound().ran.json();
    let packets = u64::from(u16::MAX) + (rounds - 1) * 20_000;
    assert_adds_up(&report, packets, packets * Copies::of(&probe).wire_len());
    assert_eq!(count(&report, "/flows/started"), packets);
    let rows_of_services = rows(&report, "services").count();
    assert!(rows_of_services > 5_000, "{rows_of_services} rows");

    // each that found no room is counted
    let large = large_summaries(&report);
    let refused = large.iter().filter(|has_histogram| !**has_histogram).count() as u64;
    assert_eq!(large.len() as u64 - refused, MOST_HISTOGRAMS, "{} wanted one", large.len());
    assert_eq!(count(&report, "/histograms_refused"), refused);
    assert!(refused > 0);
    // flows, and of histograms of few different values a kB each; rows, and a cache line a port
    run.assert_takes_at_most(packets * 110 + MOST_HISTOGRAMS * 9_000 + 16 * MIB);
}

#[test]
fn a_page_keeps_the_largest_rows_of_an_interval_and_no_room_for_all() {
    let (seconds, ports) = (120_u64, 1..=2_000_u16);
    let probe = Packet { transport: Transport::Udp, kind: Kind::Data, src: (1, 65_000), ..packet(0) };
    let run = |outputs: &[&str]| {
        measured(&[&["-", "--interval", "1s", "--max-flows", "1000", "-o", "json"], outputs].concat(), |to| {
            to.write_all(&pcap_header())?;
            let mut copies = Copies::of(&probe);
            for second in 0..seconds {
                for port in ports.clone() {
                    copies
                        .at(second * 1_000_000_000 + u64::from(port))
                        .set(Copies::DST_PORT, port.to_be_bytes())
                        .write(to)?;
                }
            }
            Ok(())
        })
    };
    let [plain, page] = [run(&[]), run(&["-o", "html=/dev/null"])];
    let report = page.assert_sound().ran.json();
    assert_adds_up(&report, seconds * 2_000, seconds * 2_000 * Copies::of(&probe).wire_len());
    assert!(rows(&report, "services").count() > 500);
    // two tracks of slots, with 32 rows each; the shapes of distributions come on top
    let more = page.peak_bytes.saturating_sub(plain.assert_sound().peak_bytes);
    assert!(more <= 12 * MIB, "the page takes {} MiB", more / MIB);
}
