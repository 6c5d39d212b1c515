//! One row out of those of several reports.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::services::Evidence;
use crate::snapshot::{EvidenceCounts, FlowCounts, OtherPorts, PortTraffic, ServiceRow, Summary, Traffic};
use crate::stats::{Overflow, SummaryError, SummarySum};
use crate::units::Transport;

/// A row in the making.
#[derive(Debug, Default)]
pub(super) struct RowSum {
    to_server: Traffic,
    from_server: Traffic,
    later_fragments: Traffic,
    ports: BTreeMap<u16, Traffic>,
    flows: FlowCounts,
    evidence: BTreeMap<Evidence, EvidenceCounts>,
    summaries: [Option<SummarySum>; 4],
}

/// What can be wrong with a summary.
#[derive(Debug)]
pub(super) enum Trouble {
    Summary(SummaryError),
    Overflow(Overflow),
}

impl From<SummaryError> for Trouble {
    fn from(error: SummaryError) -> Self {
        Self::Summary(error)
    }
}

impl From<Overflow> for Trouble {
    fn from(error: Overflow) -> Self {
        Self::Overflow(error)
    }
}

impl RowSum {
    /// Adds the row of a report, whose totals were looked at: only summaries can be too large. Else tells the key, and what is
    /// wrong with it.
    pub(super) fn add(&mut self, row: &ServiceRow) -> Result<(), (&'static str, Trouble)> {
        self.to_server += row.to_server;
        self.from_server += row.from_server;
        self.later_fragments += row.later_fragments;
        self.flows += row.flows;
        for PortTraffic { port, packets, wire_bytes } in row.ports.iter().copied() {
            *self.ports.entry(port).or_default() += Traffic { packets, wire_bytes };
        }
        for rule in Evidence::ALL {
            let counts = row.named_by(rule.name());
            if counts != EvidenceCounts::default() {
                let own = self.evidence.entry(rule).or_default();
                own.flows += counts.flows;
                own.packets += counts.packets;
                own.wire_bytes += counts.wire_bytes;
            }
        }
        for (own, (key, summary)) in self.summaries.iter_mut().zip(row.summaries()) {
            if let Some(summary) = summary {
                let part = SummarySum::read(summary).map_err(|error| (key, error.into()))?;
                match own {
                    Some(own) => own.add(&part).map_err(|error| (key, error.into()))?,
                    None => *own = Some(part),
                }
            }
        }
        Ok(())
    }

    /// How many buckets its histograms hold.
    pub(super) fn buckets(&self) -> usize {
        self.summaries.iter().flatten().map(SummarySum::buckets).sum()
    }

    /// The sum, as one run would have reported it.
    pub(super) fn row(&self, (service, transport): &(Option<Arc<str>>, Transport)) -> ServiceRow {
        let mut total = self.to_server;
        total += self.from_server;
        let port = |(port, Traffic { packets, wire_bytes }): (&u16, &Traffic)| PortTraffic {
            port: *port,
            packets: *packets,
            wire_bytes: *wire_bytes,
        };
        let mut ports: Vec<_> = self.ports.iter().map(port).collect();
        ports.sort_unstable_by_key(|port| (Reverse(port.wire_bytes), port.port));
        let summary = |at: usize| -> Option<Summary> { self.summaries[at].as_ref().map(SummarySum::summary) };
        ServiceRow {
            service: service.clone(),
            transport: *transport,
            packets: total.packets,
            wire_bytes: total.wire_bytes,
            to_server: self.to_server,
            from_server: self.from_server,
            later_fragments: self.later_fragments,
            ports,
            other_ports: OtherPorts::default(),
            flows: self.flows,
            evidence: self.evidence.iter().map(|(rule, counts)| (rule.name(), *counts)).collect(),
            packet_size_bytes: summary(0),
            gap_us: summary(1),
            flow_duration_us: summary(2),
            handshake_rtt_us: summary(3),
            interval: None,
        }
    }
}
