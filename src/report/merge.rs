//! One report out of several.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::{DefaultHasher, Hasher as _};
use std::io;
use std::sync::Arc;

use super::Report;
use super::check::label;
use super::difference::Difference;
use super::overlap::{Overlap, Spans};
use super::row::{RowSum, Trouble};
use crate::snapshot::{
    Drops, FlowCounts, InterfaceDrops, NAMES_MAX, PortlessRow, ROWS_MAX, SNAPSHOT_SCHEMA, ServiceRow, Settings,
    Snapshot, SourceInfo, SourceKind, Traffic,
};
use crate::stats::{Overflow, SummaryError};
use crate::units::{Timestamp, Transport};

/// How many buckets the histograms of a sum may hold, 16 bytes each: 128 MiB.
const BUCKETS_MAX: usize = 8 << 20;

/// How many bytes the names of inputs of a sum may have, with their hosts: 128 for each of a million.
const NAMES_BYTES_MAX: usize = 128 << 20;

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
    /// The sum would have longer lists than can be read.
    #[error("{name}: with it, the sum has more than {max} {what}; leave some reports out")]
    TooMany {
        /// The report.
        name: String,
        /// What is too many.
        what: &'static str,
        /// The most there can be.
        max: usize,
    },
    /// All histograms together are too large.
    #[error("{name}: with it, histograms take more than 128 MiB; leave some reports out")]
    TooLarge {
        /// The report.
        name: String,
    },
}

/// A sum of reports. It does not depend on the order in which they are added, and may be part of another one.
#[derive(Debug)]
pub struct Merge {
    /// The first report: what the others must be like.
    first: Like,
    /// Which reports were added, by a hash of what they say.
    added: BTreeMap<u64, String>,
    spans: Spans,
    overlaps: Vec<Overlap>,
    sources: BTreeSet<(Option<String>, String)>,
    /// Of all that was added.
    names_bytes: usize,
    interfaces: BTreeMap<(Option<String>, String), InterfaceDrops>,
    totals: Totals,
    max_flows: u64,
    times: [Option<Timestamp>; 3],
    rows: BTreeMap<(Option<Arc<str>>, Transport), RowSum>,
    portless: BTreeMap<&'static str, Traffic>,
    buckets: usize,
}

/// What is the same in all reports.
#[derive(Debug)]
struct Like {
    name: String,
    source: Arc<SourceInfo>,
    settings: Arc<Settings>,
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

impl Merge {
    /// A sum of one report.
    ///
    /// # Errors
    /// See [`MergeError`].
    pub fn new(report: Report) -> Result<Self, MergeError> {
        let mut sum = Self {
            first: Like {
                name: report.name.clone(),
                source: Arc::clone(&report.snapshot.source),
                settings: Arc::clone(&report.snapshot.settings),
            },
            added: BTreeMap::new(),
            spans: Spans::default(),
            overlaps: Vec::new(),
            sources: BTreeSet::new(),
            names_bytes: 0,
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
        self.add_source(&name, &snapshot)?;
        self.overlaps.extend(self.spans.add(&name, &snapshot));
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
        let Like { name: first, source, settings } = &self.first;
        if !snapshot.is_final {
            return Err(MergeError::NotFinal { name: name() });
        }
        if let Some(difference) =
            Difference::all([source, &snapshot.source], [settings, &snapshot.settings]).into_iter().next()
        {
            return Err(MergeError::Different { name: name(), first: first.clone(), difference });
        }
        if !snapshot.settings.histograms {
            return Err(MergeError::NoHistograms { name: name() });
        }
        if snapshot.packets == 0 {
            return Ok(()); // nothing of it could count twice
        }
        match self.added.insert(hash(snapshot), name()) {
            Some(first) => Err(MergeError::Twice { name: name(), first }),
            None => Ok(()),
        }
    }

    /// Names of interfaces mean something on their own host only.
    fn add_source(&mut self, name: &str, snapshot: &Snapshot) -> Result<(), MergeError> {
        let SourceInfo { names, host, .. } = &*snapshot.source;
        let interfaces = snapshot.drops.interfaces.iter().flatten().map(|(name, _)| name);
        let len_with_host = |name: &String| name.len() + host.as_ref().map_or(0, String::len);
        self.names_bytes += names.iter().chain(interfaces).map(len_with_host).sum::<usize>();
        at_most(NAMES_BYTES_MAX, "bytes of names of inputs", self.names_bytes, name)?;
        let of_host = |name: &String| (host.clone(), name.clone());
        self.sources.extend(names.iter().map(of_host));
        for (name, drops) in snapshot.drops.interfaces.iter().flatten() {
            add_drops(self.interfaces.entry(of_host(name)).or_default(), drops);
        }
        at_most(NAMES_MAX, "inputs", self.sources.len(), name)?;
        at_most(NAMES_MAX, "interfaces", self.interfaces.len(), name)
    }

    fn add_row(&mut self, name: &str, row: &ServiceRow) -> Result<(), MergeError> {
        let sum = self.rows.entry((row.service.clone(), row.transport)).or_default();
        self.buckets -= sum.buckets();
        sum.add(row).map_err(|(key, trouble)| {
            let (name, place) = (name.to_owned(), format!("{key} of {}", label(row)));
            match trouble {
                Trouble::Summary(source) => MergeError::Summary { name, place, source },
                Trouble::Overflow(source) => MergeError::Overflow { name, place, source },
            }
        })?;
        self.buckets += sum.buckets();
        at_most(ROWS_MAX, "rows", self.rows.len(), name)?;
        if self.buckets > BUCKETS_MAX { Err(MergeError::TooLarge { name: name.to_owned() }) } else { Ok(()) }
    }

    /// Reports that were added, and may tell of the same packets as others: at most one remark a report.
    #[must_use]
    pub fn overlaps(&self) -> &[Overlap] {
        &self.overlaps
    }

    /// The sum, as one run would have reported it.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let [ts, first_ts, last_ts] = self.times;
        let Totals { traffic, flows, time_jumps, learned_forgotten, histograms_refused, .. } = self.totals;
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
            settings: Arc::new(Settings { max_flows: self.max_flows, ..Settings::clone(&self.first.settings) }),
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
        let like = &self.first.source;
        let names: BTreeSet<_> = self.sources.iter().map(|source| self.qualified(source)).collect();
        SourceInfo {
            kind: like.kind,
            names: names.into_iter().collect(),
            host: self.host().map(str::to_owned),
            filter: like.filter.clone(),
        }
    }

    fn drops(&self) -> Drops {
        let is_live = self.first.source.kind == SourceKind::Live;
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

/// What a snapshot says, as a number.
fn hash(snapshot: &Snapshot) -> u64 {
    struct Hashed(DefaultHasher);

    impl io::Write for Hashed {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.write(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let mut hashed = Hashed(DefaultHasher::new());
    // a snapshot is numbers and strings, which can always be written
    let written = serde_json::to_writer(&mut hashed, snapshot);
    debug_assert!(written.is_ok());
    hashed.0.finish()
}

/// A list of the sum is one that can be read again.
fn at_most(max: usize, what: &'static str, len: usize, name: &str) -> Result<(), MergeError> {
    if len > max { Err(MergeError::TooMany { name: name.to_owned(), what, max }) } else { Ok(()) }
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
