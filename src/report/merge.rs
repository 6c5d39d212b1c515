//! One report out of several.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use super::Report;
use super::check::label;
use crate::services::Evidence;
use crate::snapshot::{
    Drops, EvidenceCounts, FlowCounts, InterfaceDrops, OtherPorts, PortTraffic, PortlessRow, SNAPSHOT_SCHEMA,
    ServiceRow, Settings, Snapshot, SourceInfo, SourceKind, Summary, Traffic,
};
use crate::stats::{Overflow, SummaryError, SummarySum};
use crate::units::{Timestamp, Transport};

/// How many buckets the histograms of a sum may hold, 16 bytes each: 128 MiB.
const BUCKETS_MAX: usize = 8 << 20;

/// Why reports cannot be added up. The sum is of no use after it.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// The run that wrote it had not ended.
    #[error("{name}: its last snapshot is not final: the run that writes it goes on, or was cut off")]
    NotFinal {
        /// The report.
        name: String,
    },
    /// It has no histograms.
    #[error("{name}: was made without histograms, so its percentiles cannot be added up; make it with --histograms")]
    NoHistograms {
        /// The report.
        name: String,
    },
    /// It was made in another way than the first one.
    #[error("{name}: cannot be added to {first}: {difference}")]
    Different {
        /// The report.
        name: String,
        /// The first one.
        first: String,
        /// In what they differ.
        difference: Difference,
    },
    /// It was added before.
    #[error("{name}: is the same report as {first}; everything in it would count twice")]
    Twice {
        /// The report.
        name: String,
        /// The one that it is the same as.
        first: String,
    },
    /// A histogram cannot be read, or contradicts its summary.
    #[error("{name}: {place}: {source}")]
    Summary {
        /// The report.
        name: String,
        /// The row and the key.
        place: String,
        /// What is wrong.
        source: SummaryError,
    },
    /// A number becomes too large.
    #[error("{name}: {place}: {source}; leave this report out")]
    Overflow {
        /// The report.
        name: String,
        /// Whose number.
        place: String,
        /// What is said of it.
        source: Overflow,
    },
    /// All histograms together are too large.
    #[error("{name}: with it, histograms take more than 128 MiB; leave some reports out")]
    TooLarge {
        /// The report.
        name: String,
    },
}

/// In what two reports differ, so that their numbers do not mean the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Difference {
    /// Files and live captures.
    #[error("one is of files, the other of a live capture")]
    Kind,
    /// Filters: what matches both would count twice, and what matches neither not at all.
    #[error("they have different filters, {} and {}", shown(.0.as_deref()), shown(.1.as_deref()))]
    Filter(Option<String>, Option<String>),
    /// A key of `settings`.
    #[error("they were made with another {0} (see settings in both)")]
    Setting(&'static str),
}

fn shown(filter: Option<&str>) -> String {
    filter.map_or_else(|| "none".to_owned(), |filter| format!("'{filter}'"))
}

impl Difference {
    /// Everything that keeps two reports from being added up.
    #[must_use]
    pub fn all(a: &Snapshot, b: &Snapshot) -> Vec<Self> {
        let (x, y) = (&*a.settings, &*b.settings);
        let kind = (a.source.kind != b.source.kind).then_some(Self::Kind);
        let filters = || (a.source.filter.clone(), b.source.filter.clone());
        let filter = (a.source.filter != b.source.filter).then(filters).map(|(a, b)| Self::Filter(a, b));
        let settings = [
            ("tcp_idle_timeout_us", x.tcp_idle_timeout_us == y.tcp_idle_timeout_us),
            ("other_idle_timeout_us", x.other_idle_timeout_us == y.other_idle_timeout_us),
            ("outer", x.outer == y.outer),
            ("listeners", x.listeners == y.listeners),
            ("iana_names", x.iana_names == y.iana_names),
            ("user_names_sha256", x.user_names_sha256 == y.user_names_sha256),
        ];
        let settings = settings.into_iter().filter(|(_, same)| !same).map(|(key, _)| Self::Setting(key));
        kind.into_iter().chain(filter).chain(settings).collect()
    }
}

/// A sum of reports. It does not depend on the order in which they are added, and may be part of another one.
#[derive(Debug)]
pub struct Merge {
    /// The first report: what the others must be like. Its counts are in the sum.
    first: (String, Snapshot),
    /// Which reports were added, by a hash of what they say.
    added: BTreeMap<u64, String>,
    sources: BTreeSet<(Option<String>, String)>,
    interfaces: BTreeMap<(Option<String>, String), InterfaceDrops>,
    totals: Totals,
    max_flows: u64,
    times: [Option<Timestamp>; 3],
    rows: BTreeMap<(Option<Arc<str>>, Transport), RowSum>,
    portless: BTreeMap<&'static str, Traffic>,
    buckets: usize,
}

/// Numbers of a whole report.
#[derive(Clone, Debug, Default)]
struct Totals {
    traffic: Traffic,
    flows: FlowCounts,
    time_jumps: u64,
    learned_forgotten: u64,
    histograms_refused: u64,
    kernel_drops: Option<u64>,
    interface_drops: Option<u64>,
}

/// A row in the making.
#[derive(Debug, Default)]
struct RowSum {
    to_server: Traffic,
    from_server: Traffic,
    later_fragments: Traffic,
    ports: BTreeMap<u16, Traffic>,
    flows: FlowCounts,
    evidence: BTreeMap<Evidence, EvidenceCounts>,
    summaries: [Option<SummarySum>; 4],
}

impl Merge {
    /// A sum of one report.
    ///
    /// # Errors
    /// See [`MergeError`].
    pub fn new(report: Report) -> Result<Self, MergeError> {
        let mut sum = Self {
            first: (report.name.clone(), without_counts(&report.snapshot)),
            added: BTreeMap::new(),
            sources: BTreeSet::new(),
            interfaces: BTreeMap::new(),
            totals: Totals::default(),
            max_flows: u64::MAX,
            times: [None; 3],
            rows: BTreeMap::new(),
            portless: BTreeMap::new(),
            buckets: 0,
        };
        sum.add(report)?;
        Ok(sum)
    }

    /// Adds a report.
    ///
    /// # Errors
    /// See [`MergeError`].
    pub fn add(&mut self, report: Report) -> Result<(), MergeError> {
        let Report { name, snapshot, .. } = report;
        self.refuse(&name, &snapshot)?;
        // whatever the parts of a report are, they are no larger than its totals
        let totals = self.totals.plus(&snapshot);
        let overflow = |source| MergeError::Overflow { name: name.clone(), place: "totals".to_owned(), source };
        self.totals = totals.map_err(overflow)?;
        self.max_flows = self.max_flows.min(snapshot.settings.max_flows);
        let Snapshot { ts, first_ts, last_ts, .. } = snapshot;
        let earliest = |a: Option<Timestamp>, b: Option<Timestamp>| a.into_iter().chain(b).min();
        self.times = [self.times[0].max(ts), earliest(self.times[1], first_ts), self.times[2].max(last_ts)];
        self.add_source(&snapshot);
        for row in &snapshot.portless {
            *self.portless.entry(row.reason).or_default() +=
                Traffic { packets: row.packets, wire_bytes: row.wire_bytes };
        }
        for row in &snapshot.services {
            self.add_row(&name, row)?;
        }
        Ok(())
    }

    /// What there is against adding a report.
    fn refuse(&mut self, name: &str, snapshot: &Snapshot) -> Result<(), MergeError> {
        let name = || name.to_owned();
        let (first, like) = &self.first;
        if !snapshot.is_final {
            return Err(MergeError::NotFinal { name: name() });
        }
        if let Some(difference) = Difference::all(like, snapshot).into_iter().next() {
            return Err(MergeError::Different { name: name(), first: first.clone(), difference });
        }
        if !snapshot.settings.histograms {
            return Err(MergeError::NoHistograms { name: name() });
        }
        if snapshot.packets == 0 {
            return Ok(()); // nothing of it could count twice
        }
        let mut hasher = DefaultHasher::new();
        // a snapshot is numbers and strings, which can always be written
        serde_json::to_vec(snapshot).unwrap_or_default().hash(&mut hasher);
        match self.added.insert(hasher.finish(), name()) {
            Some(first) => Err(MergeError::Twice { name: name(), first }),
            None => Ok(()),
        }
    }

    /// Names of interfaces mean something on their own host only.
    fn add_source(&mut self, snapshot: &Snapshot) {
        let SourceInfo { names, host, .. } = &*snapshot.source;
        let of_host = |name: &String| (host.clone(), name.clone());
        self.sources.extend(names.iter().map(of_host));
        for (name, drops) in snapshot.drops.interfaces.iter().flatten() {
            add_drops(self.interfaces.entry(of_host(name)).or_default(), drops);
        }
    }

    fn add_row(&mut self, name: &str, row: &ServiceRow) -> Result<(), MergeError> {
        let place = |key: &str| format!("{} of {}", key, label(row));
        let sum = self.rows.entry((row.service.clone(), row.transport)).or_default();
        sum.to_server += row.to_server;
        sum.from_server += row.from_server;
        sum.later_fragments += row.later_fragments;
        sum.flows += row.flows;
        for port in &row.ports {
            *sum.ports.entry(port.port).or_default() += Traffic { packets: port.packets, wire_bytes: port.wire_bytes };
        }
        for rule in Evidence::ALL {
            let counts = row.named_by(rule.name());
            if counts != EvidenceCounts::default() {
                let own = sum.evidence.entry(rule).or_default();
                own.flows += counts.flows;
                own.packets += counts.packets;
                own.wire_bytes += counts.wire_bytes;
            }
        }
        for (own, (key, summary)) in sum.summaries.iter_mut().zip(row.summaries()) {
            let Some(summary) = summary else { continue };
            let wrong = |source| MergeError::Summary { name: name.to_owned(), place: place(key), source };
            let part = SummarySum::read(summary).map_err(wrong)?;
            let before = own.as_ref().map_or(0, SummarySum::buckets);
            match own {
                Some(own) => own.add(&part).map_err(|source| MergeError::Overflow {
                    name: name.to_owned(),
                    place: place(key),
                    source,
                })?,
                None => *own = Some(part),
            }
            self.buckets += own.as_ref().map_or(0, SummarySum::buckets);
            self.buckets -= before;
            if self.buckets > BUCKETS_MAX {
                return Err(MergeError::TooLarge { name: name.to_owned() });
            }
        }
        Ok(())
    }

    /// The sum, as one run would have reported it.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let [ts, first_ts, last_ts] = self.times;
        let Totals { traffic, flows, time_jumps, learned_forgotten, histograms_refused, .. } = self.totals;
        let like = &self.first.1;
        let mut services: Vec<_> = self.rows.iter().map(|(key, row)| Arc::new(row.row(key))).collect();
        services.sort_by(|a, b| a.order(b));
        let portless = self.portless.iter().map(|(reason, Traffic { packets, wire_bytes })| PortlessRow {
            reason,
            packets: *packets,
            wire_bytes: *wire_bytes,
        });
        let mut portless: Vec<_> = portless.collect();
        portless.sort_by(PortlessRow::order);
        Snapshot {
            schema: SNAPSHOT_SCHEMA,
            version: env!("CARGO_PKG_VERSION"),
            sequence: 1,
            is_final: true,
            source: Arc::new(self.source()),
            settings: Arc::new(Settings { max_flows: self.max_flows, ..Settings::clone(&like.settings) }),
            ts,
            first_ts,
            last_ts,
            packets: traffic.packets,
            wire_bytes: traffic.wire_bytes,
            time_jumps,
            drops: self.drops(),
            flows,
            learned_forgotten,
            histograms_refused,
            interval: None,
            services,
            portless,
        }
    }

    /// The one host that all inputs are of, if they are.
    fn host(&self) -> Option<&str> {
        let hosts: HashSet<_> = self.sources.iter().map(|(host, _)| host.as_deref()).collect();
        if hosts.len() == 1 { hosts.into_iter().next().flatten() } else { None }
    }

    /// How an input is called: beside those of other hosts, with its own before it.
    fn qualified(&self, (host, name): &(Option<String>, String)) -> String {
        match host {
            Some(host) if self.host().is_none() => format!("{host}:{name}"),
            _ => name.clone(),
        }
    }

    fn source(&self) -> SourceInfo {
        let like = &self.first.1.source;
        let names: BTreeSet<_> = self.sources.iter().map(|source| self.qualified(source)).collect();
        SourceInfo {
            kind: like.kind,
            names: names.into_iter().collect(),
            host: self.host().map(str::to_owned),
            filter: like.filter.clone(),
        }
    }

    fn drops(&self) -> Drops {
        let is_live = self.first.1.source.kind == SourceKind::Live;
        let mut interfaces: BTreeMap<String, InterfaceDrops> = BTreeMap::new();
        for (source, drops) in &self.interfaces {
            // a sum of several hosts, and a report of one of them, may call an interface by the same name
            add_drops(interfaces.entry(self.qualified(source)).or_default(), drops);
        }
        Drops {
            kernel: self.totals.kernel_drops,
            interface: self.totals.interface_drops,
            interfaces: is_live.then_some(interfaces),
        }
    }
}

/// What others must be like, without what they add to.
fn without_counts(snapshot: &Snapshot) -> Snapshot {
    Snapshot { interval: None, services: Vec::new(), portless: Vec::new(), ..snapshot.clone() }
}

/// The sum of what is known; `None` inside when nobody counted.
fn plus(a: Option<u64>, b: Option<u64>) -> Result<Option<u64>, Overflow> {
    match (a, b) {
        (Some(a), Some(b)) => a.checked_add(b).map(Some).ok_or(Overflow),
        (a, b) => Ok(a.or(b)),
    }
}

/// Adds what was lost. The totals were looked at before: no part of them is too large.
fn add_drops(sum: &mut InterfaceDrops, more: &InterfaceDrops) {
    sum.kernel = plus(sum.kernel, more.kernel).unwrap_or(sum.kernel);
    sum.interface = plus(sum.interface, more.interface).unwrap_or(sum.interface);
}

impl Totals {
    /// With those of a report.
    fn plus(&self, snapshot: &Snapshot) -> Result<Self, Overflow> {
        let add = |a: u64, b: u64| a.checked_add(b).ok_or(Overflow);
        let (flows, more) = (&self.flows, &snapshot.flows);
        Ok(Self {
            traffic: Traffic {
                packets: add(self.traffic.packets, snapshot.packets)?,
                wire_bytes: add(self.traffic.wire_bytes, snapshot.wire_bytes)?,
            },
            flows: FlowCounts {
                started: add(flows.started, more.started)?,
                active: add(flows.active, more.active)?,
                ended: add(flows.ended, more.ended)?,
                evicted: add(flows.evicted, more.evicted)?,
                unanswered: add(flows.unanswered, more.unanswered)?,
            },
            time_jumps: add(self.time_jumps, snapshot.time_jumps)?,
            learned_forgotten: add(self.learned_forgotten, snapshot.learned_forgotten)?,
            histograms_refused: add(self.histograms_refused, snapshot.histograms_refused)?,
            kernel_drops: plus(self.kernel_drops, snapshot.drops.kernel)?,
            interface_drops: plus(self.interface_drops, snapshot.drops.interface)?,
        })
    }
}

impl RowSum {
    fn row(&self, (service, transport): &(Option<Arc<str>>, Transport)) -> ServiceRow {
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
