//! What each interval brought, row by row: rates and graphs are made of it.

use std::collections::HashMap;
use std::sync::Arc;

use crate::snapshot::{PortlessRow, ServiceRow, Snapshot, Traffic};
use crate::units::{Timestamp, Transport};

/// What a row is about. It stays the same while the row moves.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum RowId {
    /// A service, or with no name the unlabelled traffic, of a transport.
    Service(Option<Arc<str>>, Transport),
    /// Packets without ports, by reason.
    Portless(&'static str),
}

impl RowId {
    pub(super) fn of_service(row: &ServiceRow) -> Self {
        Self::Service(row.service.clone(), row.transport)
    }

    pub(super) fn of_portless(row: &PortlessRow) -> Self {
        Self::Portless(row.reason)
    }
}

/// What one interval brought.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tick {
    /// Its start.
    pub(super) start: Timestamp,
    /// Length of the interval.
    pub(super) nanos: u64,
    /// All packets.
    pub(super) total: Traffic,
    /// Rows that had any.
    pub(super) rows: HashMap<RowId, Traffic>,
    /// Packets that are known to be lost in it.
    pub(super) dropped: u64,
}

impl Tick {
    /// The traffic of a row; zero when it had none.
    pub(super) fn row(&self, id: &RowId) -> Traffic {
        self.rows.get(id).copied().unwrap_or_default()
    }
}

/// Makes a [`Tick`] of each snapshot. What a snapshot does not tell by interval (its totals, and packets without ports)
/// is the difference to the one before, or the mean of them where some were skipped.
#[derive(Debug, Default)]
pub(super) struct Ticker {
    total: Traffic,
    portless: HashMap<&'static str, Traffic>,
}

impl Ticker {
    /// What the interval of `snapshot` brought; `None` without one.
    pub(super) fn tick(&mut self, snapshot: &Snapshot) -> Option<Tick> {
        let total = Traffic { packets: snapshot.packets, wire_bytes: snapshot.wire_bytes };
        let intervals = snapshot.interval.as_ref().map_or(1, |interval| interval.skipped_snapshots.saturating_add(1));
        let mut tick = snapshot.interval.as_ref().map(|interval| Tick {
            start: interval.start,
            nanos: interval.end.nanos_since(interval.start),
            total: mean_since(total, self.total, intervals),
            rows: HashMap::new(),
            dropped: interval.drops.known().unwrap_or(0),
        });
        self.total = total;
        for row in &snapshot.portless {
            let traffic = Traffic { packets: row.packets, wire_bytes: row.wire_bytes };
            let before = self.portless.insert(row.reason, traffic).unwrap_or_default();
            if let Some(tick) = &mut tick {
                tick.rows.insert(RowId::of_portless(row), mean_since(traffic, before, intervals));
            }
        }
        let mut tick = tick?;
        let services = snapshot.services.iter().filter_map(|row| Some((row, row.interval.as_ref()?)));
        tick.rows.extend(services.filter(|(_, interval)| interval.packets > 0).map(|(row, interval)| {
            (RowId::of_service(row), Traffic { packets: interval.packets, wire_bytes: interval.wire_bytes })
        }));
        Some(tick)
    }
}

/// What came in each of `intervals`, on the average.
fn mean_since(now: Traffic, before: Traffic, intervals: u64) -> Traffic {
    Traffic {
        packets: now.packets.saturating_sub(before.packets) / intervals,
        wire_bytes: now.wire_bytes.saturating_sub(before.wire_bytes) / intervals,
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn an_interval_brings_what_was_added() {
        let mut ticker = Ticker::default();
        let mut snapshot = sample::snapshot();
        let first = ticker.tick(&snapshot).expect("an interval");
        assert_eq!((first.nanos, first.total.packets), (1_000_000_000, snapshot.packets));
        snapshot.packets += 10;
        snapshot.portless[0].packets += 3;
        let second = ticker.tick(&snapshot).expect("an interval");
        assert_eq!(second.total.packets, 10);
        assert_eq!(second.row(&RowId::Portless("icmp")).packets, 3);
        assert_eq!(second.row(&RowId::Portless("arp")).packets, 0);
        assert_eq!(second.row(&RowId::of_service(&snapshot.services[0])).packets, 7);
        assert_eq!(ticker.tick(&sample::empty()), None);
    }
}
