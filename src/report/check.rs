//! The counting law and its relatives, held against what a report says.

use std::collections::HashSet;

use crate::services::RESERVED;
use crate::snapshot::{FlowCounts, InterfaceDrops, ServiceRow, Snapshot, SourceKind, Traffic};
use crate::stats::check_summary;
use crate::units::cut;

/// Where a report contradicts itself, and how.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}{what}")]
pub struct Fault {
    place: String,
    what: String,
}

/// The longest name that a service can have.
const NAME_LEN_MAX: usize = 63;

/// The longest name of an input: the longest path of Linux in its longest spelling, and a host before it.
const INPUT_LEN_MAX: usize = 16 << 10;
/// The longest name of a host (RFC 1035, section 2.3.4).
const HOST_LEN_MAX: usize = 255;

/// Every sum that a report has in it.
pub(super) fn check(snapshot: &Snapshot) -> Result<(), Fault> {
    let services = &snapshot.services;
    let mut seen = HashSet::new();
    for (at, row) in services.iter().enumerate() {
        let is_new = seen.insert((&row.service, row.transport));
        let checked = if is_new { check_row(row, snapshot) } else { Err("is there twice".to_owned()) };
        checked.map_err(|what| Fault { place: format!("services[{at}] ({}): ", label(row)), what })?;
    }
    check_source(snapshot).and_then(|()| check_totals(snapshot)).map_err(|what| Fault { place: String::new(), what })
}

/// Names that are kept for as long as reports are added up.
fn check_source(snapshot: &Snapshot) -> Result<(), String> {
    let interfaces = snapshot.drops.interfaces.iter().flatten().map(|(name, _)| name);
    if let Some(name) = snapshot.source.names.iter().chain(interfaces).find(|name| name.len() > INPUT_LEN_MAX) {
        return Err(format!("the name of an input is longer than {INPUT_LEN_MAX} bytes: {}", cut(name)));
    }
    match &snapshot.source.host {
        Some(host) if host.len() > HOST_LEN_MAX => {
            Err(format!("the name of a host is longer than {HOST_LEN_MAX} bytes: {}", cut(host)))
        }
        _ => Ok(()),
    }
}

fn check_totals(snapshot: &Snapshot) -> Result<(), String> {
    let Snapshot { services, portless, .. } = snapshot;
    let of_portless = portless.iter().map(|row| Traffic { packets: row.packets, wire_bytes: row.wire_bytes });
    let all = services.iter().map(|row| total(row)).chain(of_portless);
    equal("services and portless have", sum(all), traffic(snapshot.packets, snapshot.wire_bytes))?;
    let flows = services.iter().map(|row| five(&row.flows)).fold([0; 5], add);
    if flows != five(&snapshot.flows) {
        return Err(format!("flows are not those of services: {:?}, and {flows:?}", five(&snapshot.flows)));
    }
    let mut reasons = HashSet::new();
    if let Some(row) = portless.iter().find(|row| !reasons.insert(row.reason)) {
        return Err(format!("portless has {} twice", row.reason));
    }
    let times = snapshot.first_ts.zip(snapshot.last_ts);
    if times.is_some_and(|(first, last)| first > last) || times.is_none() != (snapshot.packets == 0) {
        return Err("first_ts and last_ts are no times of its packets".to_owned());
    }
    if snapshot.is_final && snapshot.flows.active > 0 {
        return Err(format!("final, and {} flows are active", snapshot.flows.active));
    }
    let drops = &snapshot.drops;
    if drops.interfaces.is_some() != (snapshot.source.kind == SourceKind::Live) {
        return Err("drops tell of interfaces in a live capture, and only there".to_owned());
    }
    if let Some(interfaces) = &drops.interfaces {
        let lost = |of: fn(&InterfaceDrops) -> Option<u64>| {
            interfaces.values().filter_map(of).map(u128::from).reduce(|sum, one| sum + one)
        };
        let wide = |lost: Option<u64>| lost.map(u128::from);
        if (lost(|one| one.kernel), lost(|one| one.interface)) != (wide(drops.kernel), wide(drops.interface)) {
            return Err("drops are not those of its interfaces".to_owned());
        }
    }
    Ok(())
}

fn check_row(row: &ServiceRow, snapshot: &Snapshot) -> Result<(), String> {
    if let Some(name) = &row.service
        && !((1..=NAME_LEN_MAX).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic()))
    {
        return Err(format!("a name has 1 to {NAME_LEN_MAX} visible ASCII characters"));
    }
    let is_reserved = |name: &str| RESERVED.iter().any(|word| word.eq_ignore_ascii_case(name));
    if row.service.as_deref().is_some_and(is_reserved) {
        return Err(
            "the name is reserved for rows without one name; unlabelled traffic has the service null".to_owned()
        );
    }
    let whole = sum([total(row)]);
    equal("to_server and from_server have", sum([row.to_server, row.from_server]), whole)?;
    let other_ports = Traffic { packets: row.other_ports.packets, wire_bytes: row.other_ports.wire_bytes };
    let ports = row.ports.iter().map(|port| Traffic { packets: port.packets, wire_bytes: port.wire_bytes });
    equal("ports and other_ports have", sum(ports.chain([other_ports])), whole)?;
    if snapshot.settings.histograms && row.other_ports.ports > 0 {
        return Err("other_ports has ports, with histograms".to_owned());
    }
    let mut ports = HashSet::new();
    if let Some(port) = row.ports.iter().find(|port| !ports.insert(port.port)) {
        return Err(format!("port {} is there twice", port.port));
    }
    let rules = || row.evidence.iter().map(|(_, counts)| counts);
    let named = rules().map(|rule| Traffic { packets: rule.packets, wire_bytes: rule.wire_bytes });
    equal("evidence has", sum(named), whole)?;
    let [started, active, ended, evicted, unanswered] = five(&row.flows);
    let named_flows: u128 = rules().map(|rule| u128::from(rule.flows)).sum();
    if started != active + ended || named_flows != started || evicted > ended || unanswered > ended {
        return Err("flows do not add up: started = active + ended = those of evidence".to_owned());
    }
    let later = row.later_fragments;
    if later.packets > row.packets || later.wire_bytes > row.wire_bytes || started > u128::from(row.packets) {
        return Err("has more later_fragments or flows than packets".to_owned());
    }
    // every packet has a size, every flow that ended a duration, and every packet but a flow's first a gap
    let counts = [u128::from(row.packets), u128::from(row.packets) - started, ended];
    for ((key, summary), count) in row.summaries().into_iter().zip(counts) {
        let found = summary.map_or(0, |summary| summary.count);
        if u128::from(found) != count {
            return Err(format!("{key} has {found} values where {count} were counted"));
        }
    }
    if row.packet_size_bytes.as_ref().is_some_and(|sizes| sizes.sum != row.wire_bytes) {
        return Err("packet_size_bytes has another sum than wire_bytes".to_owned());
    }
    for (key, summary) in row.summaries() {
        summary.map_or(Ok(()), check_summary).map_err(|error| format!("{key}: {error}"))?;
    }
    Ok(())
}

/// Packets and bytes, wide enough for any sum.
type Wide = [u128; 2];

fn traffic(packets: u64, wire_bytes: u64) -> Wide {
    [packets.into(), wire_bytes.into()]
}

fn total(row: &ServiceRow) -> Traffic {
    Traffic { packets: row.packets, wire_bytes: row.wire_bytes }
}

fn sum(parts: impl IntoIterator<Item = Traffic>) -> Wide {
    parts.into_iter().map(|part| traffic(part.packets, part.wire_bytes)).fold([0; 2], add)
}

fn add<const N: usize>(a: [u128; N], b: [u128; N]) -> [u128; N] {
    std::array::from_fn(|at| a[at] + b[at])
}

fn five(flows: &FlowCounts) -> [u128; 5] {
    [flows.started, flows.active, flows.ended, flows.evicted, flows.unanswered].map(u128::from)
}

fn equal(what: &str, [packets, bytes]: Wide, want: Wide) -> Result<(), String> {
    let [want_packets, want_bytes] = want;
    if [packets, bytes] == want {
        return Ok(());
    }
    let (have, all) = (format!("{packets} packets and {bytes} bytes"), format!("{want_packets} and {want_bytes}"));
    Err(format!("{what} {have} together, where {all} were counted"))
}

/// How a row is called in messages.
pub(super) fn label(row: &ServiceRow) -> String {
    format!("{}, {}", cut(row.service.as_deref().unwrap_or("unlabelled")), row.transport)
}
