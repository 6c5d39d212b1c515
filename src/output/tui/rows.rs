//! The lines of the list: services and reasons alike, what they are ordered by, and which the filter lets through.

use std::cmp::Ordering;

use super::super::human;
use super::super::table::{self, SortKey};
use super::history::{RowId, Tick};
use crate::snapshot::{PortlessRow, ServiceRow, Snapshot, Summary, Traffic};

/// A line of the list.
#[derive(Clone, Copy, Debug)]
pub(super) enum Row<'a> {
    Service(&'a ServiceRow),
    Portless(&'a PortlessRow),
}

impl<'a> Row<'a> {
    pub(super) fn id(self) -> RowId {
        match self {
            Self::Service(row) => RowId::of_service(row),
            Self::Portless(row) => RowId::of_portless(row),
        }
    }

    /// Name and ports, as the table has them.
    pub(super) fn name(self, numeric: bool) -> String {
        match self {
            Self::Service(row) => table::service(row, numeric),
            Self::Portless(row) => row.reason.to_owned(),
        }
    }

    /// Name of the transport; a dash for packets without ports.
    pub(super) fn transport(self) -> &'static str {
        match self {
            Self::Service(row) => row.transport.name(),
            Self::Portless(_) => table::NOTHING,
        }
    }

    /// The line is about packets that have a name.
    pub(super) fn is_named(self) -> bool {
        matches!(self, Self::Service(ServiceRow { service: Some(_), .. }))
    }

    pub(super) fn service(self) -> Option<&'a ServiceRow> {
        match self {
            Self::Service(row) => Some(row),
            Self::Portless(_) => None,
        }
    }

    /// Everything since the start of the run.
    pub(super) fn total(self) -> Traffic {
        match self {
            Self::Service(row) => Traffic { packets: row.packets, wire_bytes: row.wire_bytes },
            Self::Portless(row) => Traffic { packets: row.packets, wire_bytes: row.wire_bytes },
        }
    }
}

/// What the list is ordered by. Numbers go from the largest down, names and ports up, and rows without a value come last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Bits a second, now.
    BitRate,
    /// Packets a second, now.
    PacketRate,
    /// Flows that are open.
    Active,
    /// What the table can be ordered by.
    Total(SortKey),
}

impl Order {
    /// Every order, as keys step through them.
    pub(super) const ALL: [Self; 11] = [
        Self::Total(SortKey::Bytes),
        Self::BitRate,
        Self::PacketRate,
        Self::Total(SortKey::Packets),
        Self::Active,
        Self::Total(SortKey::Flows),
        Self::Total(SortKey::Unanswered),
        Self::Total(SortKey::Size),
        Self::Total(SortKey::Rtt),
        Self::Total(SortKey::Name),
        Self::Total(SortKey::Port),
    ];

    /// The word for it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::BitRate => "bits/s",
            Self::PacketRate => "packets/s",
            Self::Active => "active flows",
            Self::Total(key) => key.name(),
        }
    }

    /// The order so many steps further, around.
    pub(super) fn step(self, steps: usize) -> Self {
        let at = Self::ALL.iter().position(|order| *order == self).unwrap_or_default();
        Self::ALL[(at + steps) % Self::ALL.len()]
    }

    /// Names and ports begin with the smallest.
    pub(super) const fn ascends(self) -> bool {
        matches!(self, Self::Total(SortKey::Name | SortKey::Port))
    }

    fn compare(self, a: Row<'_>, b: Row<'_>, now: Option<&Tick>) -> Ordering {
        if let Self::Total(SortKey::Name) = self {
            let name = |row: Row<'_>| (!row.is_named(), row.name(false));
            return name(a).cmp(&name(b));
        }
        let (a, b) = (self.number(a, now), self.number(b, now));
        let by_number = if self.ascends() { a.cmp(&b) } else { b.cmp(&a) };
        a.is_none().cmp(&b.is_none()).then(by_number)
    }

    fn number(self, row: Row<'_>, now: Option<&Tick>) -> Option<u64> {
        let flows = row.service().map(|row| row.flows);
        let median = |summary: Option<&Summary>| summary.and_then(|summary| summary.p50);
        match self {
            Self::BitRate => now.map(|now| now.row(&row.id()).wire_bytes),
            Self::PacketRate => now.map(|now| now.row(&row.id()).packets),
            Self::Active => flows.map(|flows| flows.active),
            Self::Total(SortKey::Bytes) => Some(row.total().wire_bytes),
            Self::Total(SortKey::Packets) => Some(row.total().packets),
            Self::Total(SortKey::Flows) => flows.map(|flows| flows.started),
            Self::Total(SortKey::Unanswered) => flows.map(|flows| flows.unanswered),
            Self::Total(SortKey::Size) => median(row.service()?.packet_size_bytes.as_ref()),
            Self::Total(SortKey::Rtt) => median(row.service()?.handshake_rtt_us.as_ref()),
            Self::Total(SortKey::Port) => row.service()?.ports.first().map(|port| port.port.into()),
            Self::Total(SortKey::Name) => None,
        }
    }
}

/// Which lines there are, and in which order.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    pub(super) order: Order,
    /// The last one first.
    pub(super) reversed: bool,
    /// A part of the name, in any case; empty lets everything through.
    pub(super) filter: String,
    /// With packets without ports.
    pub(super) portless: bool,
    /// Ports instead of names.
    pub(super) numeric: bool,
    /// At most so many services.
    pub(super) top: Option<usize>,
}

impl Choice {
    /// The lines of a snapshot. Those that are equal keep its order.
    pub(super) fn rows<'a>(&self, snapshot: &'a Snapshot, now: Option<&Tick>) -> Vec<Row<'a>> {
        let portless = if self.portless { &snapshot.portless[..] } else { &[] };
        let all = snapshot.services.iter().map(|row| Row::Service(row)).chain(portless.iter().map(Row::Portless));
        let filter = self.filter.to_lowercase();
        let passes = |row: &Row<'_>| {
            filter.is_empty() || [true, false].iter().any(|numeric| row.name(*numeric).to_lowercase().contains(&filter))
        };
        let mut rows: Vec<_> = all.filter(passes).collect();
        rows.sort_by(|a, b| self.order.compare(*a, *b, now));
        if let Some(top) = self.top {
            let mut services = 0;
            rows.retain(|row| {
                services += usize::from(row.service().is_some());
                row.service().is_none() || services <= top
            });
        }
        if self.reversed {
            rows.reverse();
        }
        rows
    }
}

/// A summary's number in its form, or the dash.
pub(super) fn quantile(summary: Option<&Summary>, get: fn(&Summary) -> Option<u64>, form: fn(u64) -> String) -> String {
    summary.and_then(get).map_or_else(|| table::NOTHING.to_owned(), form)
}

/// A packet size, to the byte.
pub(super) fn size(bytes: u64) -> String {
    format!("{} B", human::short(bytes))
}

#[cfg(test)]
mod tests {
    use super::super::super::sample;
    use super::super::history::Ticker;
    use super::*;

    fn names(choice: &Choice) -> String {
        let snapshot = sample::snapshot();
        let now = Ticker::default().tick(&snapshot);
        let rows = choice.rows(&snapshot, now.as_ref());
        rows.iter().map(|row| row.name(choice.numeric)).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn lines_are_ordered_filtered_and_counted() {
        let choice = Choice {
            order: Order::Total(SortKey::Bytes),
            reversed: false,
            filter: String::new(),
            portless: true,
            numeric: false,
            top: None,
        };
        let all = "https :443 +1, http-alt :8080 +2, domain :53, unlabelled :50123 +1, icmp, domain :53, arp";
        let numeric = "tcp/443 +1, tcp/8080 +2, udp/53, udp/50123 +1, icmp, tcp/53, arp";
        let by = |order| Choice { order, ..choice.clone() };
        let cases = [
            ("as it is", choice.clone(), all),
            ("numbers", Choice { numeric: true, ..choice.clone() }, numeric),
            (
                "the other way",
                Choice { reversed: true, portless: false, ..choice.clone() },
                "domain :53, unlabelled :50123 +1, domain :53, http-alt :8080 +2, https :443 +1",
            ),
            (
                "a part of a name",
                Choice { filter: "HTTP".into(), ..choice.clone() },
                "https :443 +1, http-alt :8080 +2",
            ),
            ("a port", Choice { filter: "udp/53".into(), ..choice.clone() }, "domain :53"),
            ("a reason", Choice { filter: "arp".into(), ..choice.clone() }, "arp"),
            ("top", Choice { top: Some(1), ..choice.clone() }, "https :443 +1, icmp, arp"),
            (
                "by rate",
                by(Order::BitRate),
                "https :443 +1, icmp, arp, http-alt :8080 +2, domain :53, unlabelled :50123 +1, domain :53",
            ),
            (
                "by name",
                by(Order::Total(SortKey::Name)),
                "domain :53, domain :53, http-alt :8080 +2, https :443 +1, arp, icmp, unlabelled :50123 +1",
            ),
            (
                "by port, those without last",
                by(Order::Total(SortKey::Port)),
                "domain :53, domain :53, https :443 +1, http-alt :8080 +2, unlabelled :50123 +1, icmp, arp",
            ),
        ];
        for (name, choice, want) in cases {
            assert_eq!(names(&choice), want, "{name}");
        }
    }

    #[test]
    fn every_key_of_the_command_line_is_an_order() {
        for key in SortKey::ALL {
            assert!(Order::ALL.contains(&Order::Total(key)), "{key}");
        }
        let steps: Vec<_> = (0..Order::ALL.len()).map(|steps| Order::BitRate.step(steps)).collect();
        assert!(Order::ALL.iter().all(|order| steps.contains(order)), "{steps:?}");
    }
}
