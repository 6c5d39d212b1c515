//! The one schema: what every output reads, at an instant of packet time.
//!
//! A [`Snapshot`] is cumulative: whoever skips one loses nothing, and rates are differences. Its JSON form is
//! `portlabel.snapshot/1`, a [`FlowRecord`]'s is `portlabel.flow/1`; field order here is key order there.

mod bounded;

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

pub use bounded::{NAMES_MAX, ROWS_MAX};

use crate::decode::Portless;
use crate::units::{Endpoint, Timestamp, Transport};
use bounded::{PORTS_MAX, REASONS_MAX};

/// Schema name of a [`Snapshot`] in JSON.
pub const SNAPSHOT_SCHEMA: &str = "portlabel.snapshot/1";
/// Schema name of a [`FlowRecord`] in JSON.
pub const FLOW_SCHEMA: &str = "portlabel.flow/1";

/// Live, no more rows of snapshots than this wait for a reader, unless they are of one snapshot: some 100 MB, if all of them
/// changed from each to the next.
pub const ROWS_WAITING_MAX: usize = 1 << 16;

/// Everything that was counted up to an instant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// [`SNAPSHOT_SCHEMA`].
    #[serde(skip_deserializing, default = "own_schema")]
    pub schema: &'static str,
    /// Version of the program; of one that was read, that of the reader.
    #[serde(skip_deserializing, default = "own_version")]
    pub version: &'static str,
    /// 1 for the first snapshot of a run, and one more for each after it.
    pub sequence: u64,
    /// The last snapshot of the run: every flow has ended.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// What was read.
    pub source: Arc<SourceInfo>,
    /// What was asked for.
    pub settings: Arc<Settings>,
    /// The instant: the end of the interval; in a final snapshot the time of the last packet, or live that of the end. `None`
    /// without packets.
    #[serde(deserialize_with = "nullable")]
    pub ts: Option<Timestamp>,
    /// The smallest packet time.
    #[serde(deserialize_with = "nullable")]
    pub first_ts: Option<Timestamp>,
    /// The largest packet time.
    #[serde(deserialize_with = "nullable")]
    pub last_ts: Option<Timestamp>,
    /// Packets read, after the filter.
    pub packets: u64,
    /// Their bytes on the wire.
    pub wire_bytes: u64,
    /// How often packet time jumped by more than an hour, either way.
    pub time_jumps: u64,
    /// Packets that were lost before they could be read.
    pub drops: Drops,
    /// Flows of all services.
    pub flows: FlowCounts,
    /// Endpoints that were forgotten to make room: the rule `learned` knows nothing of them any more.
    pub learned_forgotten: u64,
    /// How often a row's summary had to do without quantiles because the memory set aside for histograms was used up.
    pub histograms_refused: u64,
    /// The interval that ends here; `None` without `--interval`, or when nothing was read.
    #[serde(deserialize_with = "nullable")]
    pub interval: Option<Interval>,
    /// One row a service and transport, ordered by wire bytes (largest first), then name (unlabelled last), then transport.
    ///
    /// One that is as it was is shared with the snapshot before.
    #[serde(deserialize_with = "bounded::list::<ROWS_MAX, _, _>")]
    pub services: Vec<Arc<ServiceRow>>,
    /// Packets without ports by reason, ordered by wire bytes (largest first), then name. Only reasons that occurred.
    #[serde(deserialize_with = "bounded::list::<REASONS_MAX, _, _>")]
    pub portless: Vec<PortlessRow>,
}

/// What a run reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceInfo {
    /// File or live.
    pub kind: SourceKind,
    /// The inputs as the user named them; a folder's captures one by one.
    #[serde(deserialize_with = "bounded::list::<NAMES_MAX, _, _>")]
    pub names: Vec<String>,
    /// Host name of a live capture.
    #[serde(deserialize_with = "nullable")]
    pub host: Option<String>,
    /// The BPF expression, where there is one.
    #[serde(deserialize_with = "nullable")]
    pub filter: Option<String>,
}

/// What a run was asked for that changes what is counted, or what it is called. Reports that differ in it cannot be added up,
/// but for `max_flows`: that is the most there could be at a time, and [`FlowCounts::evicted`] tells whether it mattered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "an option is one")]
pub struct Settings {
    /// Microseconds of silence after which a TCP flow has ended; `None`: never.
    #[serde(deserialize_with = "nullable")]
    pub tcp_idle_timeout_us: Option<u64>,
    /// The same for the other transports.
    #[serde(deserialize_with = "nullable")]
    pub other_idle_timeout_us: Option<u64>,
    /// Flows at a time.
    pub max_flows: u64,
    /// The carriers of tunnels are labelled instead of what is inside.
    pub outer: bool,
    /// Sockets that listen on the host tell who serves; live only.
    pub listeners: bool,
    /// IANA's names go before those in use.
    pub iana_names: bool,
    /// SHA-256 of the names that count of users' files, in hexadecimal digits; `None` without such files.
    #[serde(deserialize_with = "nullable")]
    pub user_names_sha256: Option<String>,
    /// Summaries have their histograms, and rows all their ports.
    pub histograms: bool,
}

/// The kind of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    /// Capture files, pipes, standard input.
    File,
    /// Network interfaces.
    Live,
}

/// Packets lost before they could be read; `None` where nobody counts them (files).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drops {
    /// Dropped by the kernel because the buffer was full.
    #[serde(deserialize_with = "nullable")]
    pub kernel: Option<u64>,
    /// Dropped by the interface or its driver.
    #[serde(deserialize_with = "nullable")]
    pub interface: Option<u64>,
    /// The same for each interface of a live capture by its name; `None` for files.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "bounded::interfaces")]
    pub interfaces: Option<BTreeMap<String, InterfaceDrops>>,
}

impl Drops {
    /// Packets that are known to be lost; `None` where nobody counts.
    #[must_use]
    pub fn known(&self) -> Option<u64> {
        [self.kernel, self.interface].into_iter().flatten().reduce(|sum, more| sum + more)
    }
}

/// Packets of one interface that were lost before they could be read; `None` where nobody counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceDrops {
    /// Dropped by the kernel because the buffer was full.
    #[serde(deserialize_with = "nullable")]
    pub kernel: Option<u64>,
    /// Dropped by the interface or its driver.
    #[serde(deserialize_with = "nullable")]
    pub interface: Option<u64>,
}

/// An interval of packet time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Its start, a multiple of `--interval` since the Unix epoch.
    pub start: Timestamp,
    /// Its end, which is the start of the next.
    pub end: Timestamp,
    /// Packets lost during it.
    pub drops: Drops,
    /// Nothing of it is known to be missing: no drops, and the run neither began (live) nor was stopped within it.
    pub complete: bool,
    /// Packets older than its start that were read during it, and count in it.
    pub late_packets: u64,
    /// Snapshots that were skipped before this one because nobody fetched them in time (live only).
    pub skipped_snapshots: u64,
}

/// Packets, and their bytes on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Number of packets.
    pub packets: u64,
    /// Their bytes on the wire.
    pub wire_bytes: u64,
}

impl std::ops::AddAssign for Traffic {
    fn add_assign(&mut self, other: Self) {
        self.packets += other.packets;
        self.wire_bytes += other.wire_bytes;
    }
}

/// Flows by what became of them. `started` = `active` + `ended`; evicted and unanswered ones are among those that ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowCounts {
    /// Flows seen so far.
    pub started: u64,
    /// Those still open; 0 in a final snapshot.
    pub active: u64,
    /// Those that ended: closed, reset, idle, evicted, or at the end of the run.
    pub ended: u64,
    /// Ended early because the table of flows was full.
    pub evicted: u64,
    /// Ended without a packet from the server.
    pub unanswered: u64,
}

impl std::ops::AddAssign for FlowCounts {
    fn add_assign(&mut self, other: Self) {
        self.started += other.started;
        self.active += other.active;
        self.ended += other.ended;
        self.evicted += other.evicted;
        self.unanswered += other.unanswered;
    }
}

/// What was counted for one service on one transport.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceRow {
    /// Name; `None` is the unlabelled traffic of the transport.
    #[serde(deserialize_with = "nullable")]
    pub service: Option<Arc<str>>,
    /// Transport protocol.
    pub transport: Transport,
    /// Packets in both directions.
    pub packets: u64,
    /// Their bytes on the wire.
    pub wire_bytes: u64,
    /// The part that went to the server.
    pub to_server: Traffic,
    /// The part that came from the server.
    pub from_server: Traffic,
    /// Fragments after the first, inside the totals above.
    pub later_fragments: Traffic,
    /// The largest server ports by wire bytes, then by number.
    #[serde(deserialize_with = "bounded::list::<PORTS_MAX, _, _>")]
    pub ports: Vec<PortTraffic>,
    /// The server ports that are not in `ports`.
    pub other_ports: OtherPorts,
    /// Flows of the service.
    pub flows: FlowCounts,
    /// Which rule named how much: keys are the names of [`Evidence`](crate::services::Evidence), only those that occurred,
    /// in the order in which the rules are tried.
    #[serde(serialize_with = "evidence_map", deserialize_with = "bounded::evidence")]
    pub evidence: Vec<(&'static str, EvidenceCounts)>,
    /// Bytes on the wire, packet by packet.
    #[serde(deserialize_with = "nullable")]
    pub packet_size_bytes: Option<Summary>,
    /// Microseconds between one packet of a flow and the next.
    #[serde(deserialize_with = "nullable")]
    pub gap_us: Option<Summary>,
    /// Microseconds from the first packet of a flow to its last, for flows that ended.
    #[serde(deserialize_with = "nullable")]
    pub flow_duration_us: Option<Summary>,
    /// Microseconds from a TCP SYN to the client's first ACK.
    #[serde(deserialize_with = "nullable")]
    pub handshake_rtt_us: Option<Summary>,
    /// The same for the interval alone; `None` without `--interval`.
    #[serde(deserialize_with = "nullable")]
    pub interval: Option<RowInterval>,
}

/// A service row's part of one interval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RowInterval {
    /// Packets in both directions.
    pub packets: u64,
    /// Their bytes on the wire.
    pub wire_bytes: u64,
    /// Flows that started.
    pub flows_started: u64,
    /// See [`ServiceRow::packet_size_bytes`].
    #[serde(deserialize_with = "nullable")]
    pub packet_size_bytes: Option<Summary>,
    /// See [`ServiceRow::gap_us`].
    #[serde(deserialize_with = "nullable")]
    pub gap_us: Option<Summary>,
    /// See [`ServiceRow::flow_duration_us`].
    #[serde(deserialize_with = "nullable")]
    pub flow_duration_us: Option<Summary>,
    /// See [`ServiceRow::handshake_rtt_us`].
    #[serde(deserialize_with = "nullable")]
    pub handshake_rtt_us: Option<Summary>,
}

impl RowInterval {
    /// Nothing came: no packet, and no flow ended.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        let ended = self.flow_duration_us.is_some();
        self.packets == 0 && !ended
    }
}

/// Traffic of one server port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortTraffic {
    /// Port number of the server.
    pub port: u16,
    /// Packets in both directions.
    pub packets: u64,
    /// Their bytes on the wire.
    pub wire_bytes: u64,
}

/// Traffic of the server ports that are not listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherPorts {
    /// How many ports.
    pub ports: u64,
    /// Packets in both directions.
    pub packets: u64,
    /// Their bytes on the wire.
    pub wire_bytes: u64,
}

/// What one rule named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceCounts {
    /// Flows that started.
    pub flows: u64,
    /// Their packets.
    pub packets: u64,
    /// Their bytes on the wire.
    pub wire_bytes: u64,
}

/// A distribution. Count, sum, minimum and maximum are exact; quantiles are within 1 %, never outside minimum and
/// maximum, and `None` when the memory set aside for histograms was used up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Number of values.
    pub count: u64,
    /// Their sum.
    pub sum: u64,
    /// The smallest.
    pub min: u64,
    /// `sum` divided by `count`.
    pub mean: f64,
    /// Median.
    #[serde(deserialize_with = "nullable")]
    pub p50: Option<u64>,
    /// 90th percentile.
    #[serde(deserialize_with = "nullable")]
    pub p90: Option<u64>,
    /// 99th percentile.
    #[serde(deserialize_with = "nullable")]
    pub p99: Option<u64>,
    /// The largest.
    pub max: u64,
    /// The histogram itself, for reports that are to be added up.
    #[serde(default, skip_serializing_if = "Hdr::is_left_out")]
    pub hdr: Hdr,
    /// How the values lie between minimum and maximum, for outputs that draw it. Only where the engine was asked for
    /// it, only in summaries of the whole run, and never in JSON.
    #[serde(skip)]
    pub shape: Option<Shape>,
}

/// The histogram of a summary: HdrHistogram's V2 form with two significant digits, compressed, in base64 (RFC 4648,
/// section 4).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Hdr {
    /// Nobody asked for it: the key is absent.
    #[default]
    LeftOut,
    /// The memory set aside for histograms was used up: `null`, as the quantiles are.
    Refused,
    /// It is there.
    Encoded(Arc<str>),
}

impl Hdr {
    fn is_left_out(&self) -> bool {
        *self == Self::LeftOut
    }
}

impl Serialize for Hdr {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::LeftOut | Self::Refused => serializer.serialize_none(),
            Self::Encoded(text) => serializer.serialize_str(text),
        }
    }
}

impl<'de> Deserialize<'de> for Hdr {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text: Option<Arc<str>> = Option::deserialize(deserializer)?;
        Ok(text.map_or(Self::Refused, Self::Encoded))
    }
}

/// How many values a distribution has of each size, coarsely: values below 8 have a step each, and from there on every
/// doubling has four steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    first: usize,
    counts: Vec<u64>,
}

impl Shape {
    /// Steps to each doubling.
    const PER_DOUBLING: u64 = 4;
    /// As many as 64 bits have: each value below 8 has one, and each of the 61 doublings from there has four.
    const STEPS: usize = 8 + 61 * 4;

    /// The shape of some values, each with its number; `None` without any.
    #[must_use]
    pub fn of(values: impl Iterator<Item = (u64, u64)>) -> Option<Self> {
        let (mut by_step, mut first, mut last) = ([0; Self::STEPS], Self::STEPS, 0);
        for (value, count) in values.filter(|(_, count)| *count > 0) {
            let step = Self::step(value);
            by_step[step] += count;
            (first, last) = (first.min(step), last.max(step));
        }
        (first <= last).then(|| Self { first, counts: by_step[first..=last].to_vec() })
    }

    /// Each step from the first that has values to the last: its smallest value, and how many it has.
    #[must_use]
    pub fn steps(&self) -> impl ExactSizeIterator<Item = (u64, u64)> + '_ {
        self.counts.iter().enumerate().map(|(at, count)| (Self::smallest(self.first + at), *count))
    }

    /// The step of a value.
    fn step(value: u64) -> usize {
        let doublings = (value | (2 * Self::PER_DOUBLING - 1)).ilog2() - Self::PER_DOUBLING.ilog2();
        #[expect(clippy::cast_possible_truncation, reason = "at most 62 doublings of 4 steps")]
        let step = (u64::from(doublings) * Self::PER_DOUBLING + (value >> doublings)) as usize;
        step
    }

    /// The smallest value of a step.
    fn smallest(step: usize) -> u64 {
        let step = step as u64;
        let doublings = (step / Self::PER_DOUBLING).saturating_sub(1);
        (step - doublings * Self::PER_DOUBLING) << doublings
    }
}

/// Packets that have no ports, by reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PortlessRow {
    /// Name of the reason, see [`Portless`](crate::decode::Portless).
    pub reason: &'static str,
    /// Number of packets.
    pub packets: u64,
    /// Their bytes on the wire.
    pub wire_bytes: u64,
}

/// One flow, when it ends (or, with `--active-timeout`, as far as it has come).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FlowRecord {
    /// [`FLOW_SCHEMA`].
    pub schema: &'static str,
    /// Transport protocol.
    pub transport: Transport,
    /// The end that asks.
    pub client: Endpoint,
    /// The end that serves.
    pub server: Endpoint,
    /// Name; `None` when unlabelled.
    pub service: Option<Arc<str>>,
    /// The server's port.
    pub port: u16,
    /// Name of the rule that decided.
    pub evidence: &'static str,
    /// Time of the record's first packet.
    pub first_ts: Timestamp,
    /// Time of its last packet.
    pub last_ts: Timestamp,
    /// Traffic to the server.
    pub to_server: Traffic,
    /// Traffic from the server.
    pub from_server: Traffic,
    /// Fragments after the first, inside the two above.
    pub later_fragments: Traffic,
    /// IP headers around the own one of the flow's first packet. VLAN, MPLS and PPPoE are none.
    pub tunnels: u8,
    /// TCP flags that occurred; `None` for other transports.
    pub tcp_flags: Option<TcpFlags>,
    /// Microseconds from the SYN to the client's first ACK.
    pub handshake_rtt_us: Option<u64>,
    /// Why the record ends here.
    pub end: FlowEnd,
}

/// TCP flags, as bits of the header (RFC 9293, section 3.1); in outputs the letters of tcpdump, in its order: SYN, ACK, PSH,
/// FIN, RST, URG, ECE, CWR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    /// The letters of the flags that are set: some of `SAPFRUEW`, in this order.
    pub fn letters(self) -> impl Iterator<Item = char> {
        const LETTERS: [(u8, char); 8] =
            [(0x02, 'S'), (0x10, 'A'), (0x08, 'P'), (0x01, 'F'), (0x04, 'R'), (0x20, 'U'), (0x40, 'E'), (0x80, 'W')];
        LETTERS.into_iter().filter(move |(bit, _)| self.0 & bit != 0).map(|(_, letter)| letter)
    }
}

impl fmt::Display for TcpFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.letters().try_for_each(|letter| f.write_char(letter))
    }
}

impl Serialize for TcpFlags {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Why a flow record ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowEnd {
    /// Both sides sent FIN.
    Closed,
    /// One side sent RST.
    Reset,
    /// Silent for longer than the idle timeout.
    Idle,
    /// Reported by the active timeout; the flow goes on.
    Active,
    /// Closed or reset, and a SYN opened the next one between the same ends.
    Reopened,
    /// The table of flows was full and this was the one not seen for longest.
    Evicted,
    /// Still open at the end of the run.
    Final,
}

impl FlowEnd {
    /// The name in outputs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Reset => "reset",
            Self::Idle => "idle",
            Self::Active => "active",
            Self::Reopened => "reopened",
            Self::Evicted => "evicted",
            Self::Final => "final",
        }
    }
}

impl Serialize for FlowEnd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// One number (or list) of a service row, as tabular outputs show it: CSV and the table read this list, and an output
/// that is added reads it too, so that a new statistic is one row in [`COLUMNS`].
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// The path of its JSON key, joined by `_`.
    pub name: &'static str,
    /// What it counts.
    pub unit: Unit,
    /// How it moves over time.
    pub kind: ColumnKind,
    /// What it means, as one sentence.
    pub help: &'static str,
    /// Reads it from a row.
    pub get: for<'a> fn(&'a ServiceRow) -> Value<'a>,
}

impl Column {
    /// The column called `name`.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        COLUMNS.iter().find(|column| column.name == name)
    }
}

/// What a column counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Packets.
    Packets,
    /// Bytes.
    Bytes,
    /// Millionths of a second.
    Microseconds,
    /// Flows.
    Flows,
    /// Port numbers, or how many of them.
    Ports,
    /// Measured values of a distribution.
    Values,
}

/// How a column moves from one snapshot of a run to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// Never falls.
    Counter,
    /// Rises and falls.
    Gauge,
    /// A list and no number.
    List,
}

/// What a row has in a column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// A whole number.
    Count(u64),
    /// A mean.
    Real(f64),
    /// The listed server ports, largest first.
    Ports(&'a [PortTraffic]),
    /// No value: `null` in JSON.
    Missing,
}

/// Builds [`COLUMNS`]: the plain ones, three for each kind of evidence, eight for each summary, and those of the interval.
macro_rules! columns {
    (
        plain { $($name:literal, $unit:ident, $kind:ident, $help:literal, $get:expr;)* }
        evidence { $($rule:literal)* }
        summaries { $($field:ident, $of:ident, $what:literal;)* }
        interval { $($last:literal, $last_unit:ident, $last_help:literal, $last_field:ident;)* }
    ) => {
        &[
            $(Column { name: $name, unit: Unit::$unit, kind: ColumnKind::$kind, help: $help, get: $get },)*
            $(
                counter(concat!("evidence_", $rule, "_flows"), Unit::Flows, concat!("Flows named by the rule ", $rule, "."),
                    |row| Value::Count(row.named_by($rule).flows)),
                counter(concat!("evidence_", $rule, "_packets"), Unit::Packets, concat!("Packets of flows named by the rule ", $rule, "."),
                    |row| Value::Count(row.named_by($rule).packets)),
                counter(concat!("evidence_", $rule, "_wire_bytes"), Unit::Bytes, concat!("Bytes on the wire of flows named by the rule ", $rule, "."),
                    |row| Value::Count(row.named_by($rule).wire_bytes)),
            )*
            $(
                counter(concat!(stringify!($field), "_count"), Unit::Values, concat!($what, ": number of values."),
                    |row| of(row.$field.as_ref(), |s| Some(s.count))),
                counter(concat!(stringify!($field), "_sum"), Unit::$of, concat!($what, ": sum."),
                    |row| of(row.$field.as_ref(), |s| Some(s.sum))),
                gauge(concat!(stringify!($field), "_min"), Unit::$of, concat!($what, ": the smallest."),
                    |row| of(row.$field.as_ref(), |s| Some(s.min))),
                gauge(concat!(stringify!($field), "_mean"), Unit::$of, concat!($what, ": mean."),
                    |row| row.$field.as_ref().map_or(Value::Missing, |s| Value::Real(s.mean))),
                gauge(concat!(stringify!($field), "_p50"), Unit::$of, concat!($what, ": median."),
                    |row| of(row.$field.as_ref(), |s| s.p50)),
                gauge(concat!(stringify!($field), "_p90"), Unit::$of, concat!($what, ": 90th percentile."),
                    |row| of(row.$field.as_ref(), |s| s.p90)),
                gauge(concat!(stringify!($field), "_p99"), Unit::$of, concat!($what, ": 99th percentile."),
                    |row| of(row.$field.as_ref(), |s| s.p99)),
                gauge(concat!(stringify!($field), "_max"), Unit::$of, concat!($what, ": the largest."),
                    |row| of(row.$field.as_ref(), |s| Some(s.max))),
            )*
            $(gauge($last, Unit::$last_unit, $last_help,
                |row| row.interval.as_ref().map_or(Value::Missing, |i| Value::Count(i.$last_field))),)*
        ]
    };
}

/// Every column of a service row, in the order of outputs.
#[rustfmt::skip]
pub static COLUMNS: &[Column] = columns! {
    plain {
        "packets", Packets, Counter, "Packets in both directions.", |row| Value::Count(row.packets);
        "wire_bytes", Bytes, Counter, "Their bytes on the wire.", |row| Value::Count(row.wire_bytes);
        "to_server_packets", Packets, Counter, "Packets to the server.", |row| Value::Count(row.to_server.packets);
        "to_server_wire_bytes", Bytes, Counter, "Bytes on the wire to the server.", |row| Value::Count(row.to_server.wire_bytes);
        "from_server_packets", Packets, Counter, "Packets from the server.", |row| Value::Count(row.from_server.packets);
        "from_server_wire_bytes", Bytes, Counter, "Bytes on the wire from the server.", |row| Value::Count(row.from_server.wire_bytes);
        "later_fragments_packets", Packets, Counter, "Fragments after the first, inside the totals.", |row| Value::Count(row.later_fragments.packets);
        "later_fragments_wire_bytes", Bytes, Counter, "Their bytes on the wire.", |row| Value::Count(row.later_fragments.wire_bytes);
        "ports", Ports, List, "The largest server ports, separated by blanks.", |row| Value::Ports(&row.ports);
        "other_ports_ports", Ports, Gauge, "Server ports that are not listed.", |row| Value::Count(row.other_ports.ports);
        "other_ports_packets", Packets, Gauge, "Packets of the server ports that are not listed.", |row| Value::Count(row.other_ports.packets);
        "other_ports_wire_bytes", Bytes, Gauge, "Bytes on the wire of the server ports that are not listed.", |row| Value::Count(row.other_ports.wire_bytes);
        "flows_started", Flows, Counter, "Flows seen so far.", |row| Value::Count(row.flows.started);
        "flows_active", Flows, Gauge, "Flows that are still open.", |row| Value::Count(row.flows.active);
        "flows_ended", Flows, Counter, "Flows that ended.", |row| Value::Count(row.flows.ended);
        "flows_evicted", Flows, Counter, "Flows that ended early because the table of flows was full.", |row| Value::Count(row.flows.evicted);
        "flows_unanswered", Flows, Counter, "Flows that ended without a packet from the server.", |row| Value::Count(row.flows.unanswered);
    }
    evidence {
        "override" "handshake" "listener" "multicast" "learned" "same_port"
        "pair" "strong" "system" "registered" "ephemeral" "none"
    }
    summaries {
        packet_size_bytes, Bytes, "Bytes on the wire, packet by packet";
        gap_us, Microseconds, "Time between one packet of a flow and the next";
        flow_duration_us, Microseconds, "Time from the first packet of a flow to its last";
        handshake_rtt_us, Microseconds, "Time from a TCP SYN to the client's first ACK";
    }
    interval {
        "interval_packets", Packets, "Packets during the interval.", packets;
        "interval_wire_bytes", Bytes, "Bytes on the wire during the interval.", wire_bytes;
    }
};

const fn counter(
    name: &'static str,
    unit: Unit,
    help: &'static str,
    get: for<'a> fn(&'a ServiceRow) -> Value<'a>,
) -> Column {
    Column { name, unit, kind: ColumnKind::Counter, help, get }
}

const fn gauge(
    name: &'static str,
    unit: Unit,
    help: &'static str,
    get: for<'a> fn(&'a ServiceRow) -> Value<'a>,
) -> Column {
    Column { name, unit, kind: ColumnKind::Gauge, help, get }
}

/// A number of a summary; missing when the summary is.
fn of(summary: Option<&Summary>, get: fn(&Summary) -> Option<u64>) -> Value<'static> {
    summary.and_then(get).map_or(Value::Missing, Value::Count)
}

impl ServiceRow {
    /// Which of two rows of a snapshot comes first.
    #[must_use]
    pub fn order(&self, other: &Self) -> Ordering {
        (other.wire_bytes.cmp(&self.wire_bytes))
            .then_with(|| self.service.is_none().cmp(&other.service.is_none()))
            .then_with(|| self.service.cmp(&other.service))
            .then_with(|| self.transport.cmp(&other.transport))
    }

    /// The four quantities whose distributions it has, each with its key.
    #[must_use]
    pub fn summaries(&self) -> [(&'static str, Option<&Summary>); 4] {
        [
            ("packet_size_bytes", self.packet_size_bytes.as_ref()),
            ("gap_us", self.gap_us.as_ref()),
            ("flow_duration_us", self.flow_duration_us.as_ref()),
            ("handshake_rtt_us", self.handshake_rtt_us.as_ref()),
        ]
    }

    /// What the rule called `rule` named; zero when it named nothing.
    #[must_use]
    pub fn named_by(&self, rule: &str) -> EvidenceCounts {
        self.evidence.iter().find(|(name, _)| *name == rule).map(|(_, counts)| *counts).unwrap_or_default()
    }
}

fn evidence_map<S: serde::Serializer>(
    evidence: &[(&'static str, EvidenceCounts)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(evidence.iter().map(|(name, counts)| (name, counts)))
}

/// A key that may be `null`, and has to be there.
fn nullable<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    Option::deserialize(deserializer)
}

const fn own_schema() -> &'static str {
    SNAPSHOT_SCHEMA
}

const fn own_version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

impl PortlessRow {
    /// Which of two rows of a snapshot comes first.
    #[must_use]
    pub fn order(&self, other: &Self) -> Ordering {
        (Reverse(self.wire_bytes), self.reason).cmp(&(Reverse(other.wire_bytes), other.reason))
    }
}

impl<'de> Deserialize<'de> for PortlessRow {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Written {
            reason: String,
            packets: u64,
            wire_bytes: u64,
        }
        let Written { reason, packets, wire_bytes } = Written::deserialize(deserializer)?;
        let known = Portless::ALL.into_iter().map(Portless::name).find(|name| *name == reason);
        let unknown = || serde::de::Error::custom(format_args!("'{reason}' is no reason that this version knows"));
        Ok(Self { reason: known.ok_or_else(unknown)?, packets, wire_bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::Evidence;

    #[test]
    fn a_shape_has_every_value_in_the_step_that_it_is_in() {
        let shape = Shape::of([(5, 2), (9, 1), (8, 1), (20, 0), (31, 3)].into_iter()).expect("values");
        let steps: Vec<_> = shape.steps().collect();
        let want = [(5, 2), (6, 0), (7, 0), (8, 2), (10, 0), (12, 0), (14, 0), (16, 0), (20, 0), (24, 0), (28, 3)];
        assert_eq!(steps, want);
        assert_eq!(Shape::of([(1, 0)].into_iter()), None);
        for value in [0, 1, 7, 8, 1_000_000, u64::MAX - 1, u64::MAX] {
            let step = Shape::step(value);
            assert_eq!(Shape::step(Shape::smallest(step)), step, "{value}");
            assert!(Shape::smallest(step) <= value, "{value}");
        }
    }

    #[test]
    fn columns_have_distinct_names() {
        let mut names: Vec<_> = COLUMNS.iter().map(|column| column.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn every_kind_of_evidence_has_its_columns_in_order() {
        let want: Vec<_> = Evidence::ALL
            .iter()
            .flat_map(|rule| ["flows", "packets", "wire_bytes"].map(|what| format!("evidence_{}_{what}", rule.name())))
            .collect();
        let found: Vec<_> = COLUMNS.iter().map(|column| column.name).filter(|n| n.starts_with("evidence_")).collect();
        assert_eq!(found, want);
    }
}
