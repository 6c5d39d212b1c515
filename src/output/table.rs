//! The final snapshot as aligned text: what most people see of the program.
//!
//! A header says what was read, a line for each service how it behaves, and the last line that it all adds up. Where
//! the terminal is narrow, the columns that matter least are left out; names and numbers are never cut.

use std::cmp::{Ordering, Reverse};
use std::fmt;
use std::io::{self, Write};
use std::str::FromStr;
use std::sync::Arc;

use anstyle::{AnsiColor, Style};
use comfy_table::{CellAlignment, ContentArrangement, Table as Grid, presets};
use unicode_width::UnicodeWidthStr as _;

use super::{Output, human};
use crate::snapshot::{Column, PortTraffic, ServiceRow, Snapshot, SourceKind, Traffic, Unit, Value};
use crate::units::{Timestamp, cut};

/// How the table looks; other outputs always have every row and every number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// With colours.
    pub color: bool,
    /// Columns of the terminal; `None` is as wide as it takes.
    pub width: Option<usize>,
    /// At most this many services, the first by `sort`.
    pub top: Option<usize>,
    /// The order of the services.
    pub sort: SortKey,
    /// Transport and port instead of names.
    pub numeric: bool,
}

/// What the services are ordered by. Numbers go from the largest to the smallest, names and ports the other way; rows
/// without a value come last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortKey {
    /// Bytes on the wire.
    #[default]
    Bytes,
    /// Packets.
    Packets,
    /// Flows that started.
    Flows,
    /// Flows without a packet from the server.
    Unanswered,
    /// Median packet size.
    Size,
    /// Median round trip of the handshake.
    Rtt,
    /// Name.
    Name,
    /// The largest server port.
    Port,
}

impl SortKey {
    /// Every key, in the order in which help lists them.
    pub const ALL: [Self; 8] =
        [Self::Bytes, Self::Packets, Self::Flows, Self::Unanswered, Self::Size, Self::Rtt, Self::Name, Self::Port];

    /// The name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Packets => "packets",
            Self::Flows => "flows",
            Self::Unanswered => "unanswered",
            Self::Size => "size",
            Self::Rtt => "rtt",
            Self::Name => "name",
            Self::Port => "port",
        }
    }

    /// Which of two rows comes first. Equal ones keep the order of the snapshot.
    fn compare(self, a: &ServiceRow, b: &ServiceRow) -> Ordering {
        match self {
            Self::Bytes => descending(a, b, |row| Some(row.wire_bytes)),
            Self::Packets => descending(a, b, |row| Some(row.packets)),
            Self::Flows => descending(a, b, |row| Some(row.flows.started)),
            Self::Unanswered => descending(a, b, |row| Some(row.flows.unanswered)),
            Self::Size => descending(a, b, |row| row.packet_size_bytes.as_ref().and_then(|size| size.p50)),
            Self::Rtt => descending(a, b, |row| row.handshake_rtt_us.as_ref().and_then(|rtt| rtt.p50)),
            Self::Name => ascending(a, b, |row| row.service.as_deref()),
            Self::Port => ascending(a, b, |row| row.ports.first().map(|port| port.port)),
        }
    }
}

fn descending<K: Ord>(a: &ServiceRow, b: &ServiceRow, key: impl Fn(&ServiceRow) -> Option<K>) -> Ordering {
    Reverse(key(a)).cmp(&Reverse(key(b)))
}

fn ascending<'a, K: Ord>(a: &'a ServiceRow, b: &'a ServiceRow, key: impl Fn(&'a ServiceRow) -> Option<K>) -> Ordering {
    let (a, b) = (key(a), key(b));
    a.is_none().cmp(&b.is_none()).then_with(|| a.cmp(&b))
}

impl FromStr for SortKey {
    type Err = UnknownSortKey;

    fn from_str(text: &str) -> Result<Self, UnknownSortKey> {
        let known = Self::ALL.into_iter().find(|key| key.name() == text);
        known.ok_or_else(|| UnknownSortKey { given: text.to_owned() })
    }
}

impl fmt::Display for SortKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// No sort key has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{given}' is nothing to sort by; one of: {}", super::list(SortKey::ALL.map(SortKey::name)))]
pub struct UnknownSortKey {
    /// What was given.
    pub given: String,
}

/// `-o table`.
#[derive(Debug)]
pub(super) struct Table<W> {
    out: W,
    options: Options,
}

impl<W: Write> Table<W> {
    pub(super) fn new(out: W, options: Options) -> Self {
        Self { out, options }
    }
}

impl<W: Write> Output for Table<W> {
    fn snapshot(&mut self, snapshot: &Arc<Snapshot>) -> io::Result<()> {
        if snapshot.is_final {
            self.out.write_all(render(snapshot, &self.options).as_bytes())?;
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const NAME: Style = AnsiColor::Cyan.on_default();
const WARNING: Style = AnsiColor::Yellow.on_default();

/// A column of the table.
struct View {
    title: &'static str,
    /// Columns of a rank are shown together or not at all, those of a low one first; 0 is always shown.
    rank: u8,
    show: Show,
}

/// What a column of the table shows of a row.
enum Show {
    /// Name and ports.
    Service,
    /// Transport protocol.
    Transport,
    /// Share of all bytes that were read.
    Share,
    /// The rule that named most of its bytes.
    Evidence,
    /// A column of the snapshot in the form that suits its unit.
    Plain(&'static str),
    /// The same for the size of a packet, to the byte: 1,514 and 1,518 differ.
    Size(&'static str),
}

/// The columns from left to right.
const VIEWS: [View; 14] = [
    View { title: "SERVICE", rank: 0, show: Show::Service },
    View { title: "PROTO", rank: 0, show: Show::Transport },
    View { title: "PACKETS", rank: 1, show: Show::Plain("packets") },
    View { title: "BYTES", rank: 0, show: Show::Plain("wire_bytes") },
    View { title: "SHARE", rank: 5, show: Show::Share },
    View { title: "TO SERVER", rank: 8, show: Show::Plain("to_server_wire_bytes") },
    View { title: "FROM SERVER", rank: 8, show: Show::Plain("from_server_wire_bytes") },
    View { title: "FLOWS", rank: 4, show: Show::Plain("flows_started") },
    View { title: "NO REPLY", rank: 6, show: Show::Plain("flows_unanswered") },
    View { title: "SIZE p50", rank: 9, show: Show::Size("packet_size_bytes_p50") },
    View { title: "SIZE p99", rank: 9, show: Show::Size("packet_size_bytes_p99") },
    View { title: "RTT p50", rank: 2, show: Show::Plain("handshake_rtt_us_p50") },
    View { title: "RTT p99", rank: 7, show: Show::Plain("handshake_rtt_us_p99") },
    View { title: "EVIDENCE", rank: 3, show: Show::Evidence },
];

/// What stands where there is no value.
pub(super) const NOTHING: &str = "–";

impl View {
    fn cell(&self, row: &ServiceRow, whole: Traffic, options: &Options) -> String {
        match self.show {
            Show::Service => service(row, options.numeric),
            Show::Transport if options.numeric => String::new(), // it is beside the port
            Show::Transport => row.transport.name().to_owned(),
            Show::Share => human::share(row.wire_bytes, whole.wire_bytes),
            Show::Evidence => evidence(row),
            Show::Plain(name) => plain(name, row, human::bytes),
            Show::Size(name) => plain(name, row, |bytes| format!("{} B", human::count(bytes))),
        }
    }

    /// The cell of a line that sums up several rows, or none.
    fn sum_cell(&self, name: &str, sum: Traffic, whole: Traffic) -> String {
        match self.show {
            Show::Service => name.to_owned(),
            Show::Share => human::share(sum.wire_bytes, whole.wire_bytes),
            Show::Plain("packets") => human::count(sum.packets),
            Show::Plain("wire_bytes") => human::bytes(sum.wire_bytes),
            _ => String::new(),
        }
    }

    const fn alignment(&self) -> CellAlignment {
        match self.show {
            Show::Service | Show::Transport | Show::Evidence => CellAlignment::Left,
            Show::Share | Show::Plain(_) | Show::Size(_) => CellAlignment::Right,
        }
    }
}

/// The name with the port that has most of its bytes, and how many ports there are beside it: `http-alt :8080 +2`.
pub(super) fn service(row: &ServiceRow, numeric: bool) -> String {
    let others = row.ports.len().saturating_sub(1) as u64 + row.other_ports.ports;
    let others = if others > 0 { format!(" +{}", human::count(others)) } else { String::new() };
    match (row.ports.first(), numeric) {
        (Some(PortTraffic { port, .. }), true) => format!("{}/{port}{others}", row.transport),
        (Some(PortTraffic { port, .. }), false) => format!("{} :{port}{others}", name(row)),
        (None, true) => format!("{}{others}", row.transport),
        (None, false) => format!("{}{others}", name(row)),
    }
}

pub(super) fn name(row: &ServiceRow) -> String {
    row.service.as_deref().map_or_else(|| "unlabelled".to_owned(), human::printable)
}

/// The rule that named most of the row's bytes. A question mark is a guess, see [`guesses`]; where not all bytes were
/// guessed, or not all were told, the share of those that are as that rule has it: `handshake`, `learned 98%`, `strong? 60%`.
pub(super) fn evidence(row: &ServiceRow) -> String {
    // `rev`, because the last of equal ones is the maximum, and the first rule should be
    let Some((main, _)) = row.evidence.iter().rev().max_by_key(|(_, counts)| counts.wire_bytes) else {
        return NOTHING.to_owned();
    };
    if *main == "none" {
        return NOTHING.to_owned();
    }
    let doubt = if guesses(main) { "?" } else { "" };
    let alike = row.evidence.iter().filter(|(rule, _)| guesses(rule) == guesses(main));
    let alike: u64 = alike.map(|(_, counts)| counts.wire_bytes).sum();
    if alike >= row.wire_bytes {
        return format!("{main}{doubt}");
    }
    format!("{main}{doubt} {}%", u128::from(alike) * 100 / u128::from(row.wire_bytes))
}

/// The rule knows no more of a flow than its port numbers.
pub(super) fn guesses(rule: &str) -> bool {
    matches!(rule, "same_port" | "pair" | "strong" | "system" | "registered" | "ephemeral")
}

/// A column of the snapshot in the form that suits its unit.
fn plain(name: &str, row: &ServiceRow, as_bytes: fn(u64) -> String) -> String {
    let Some(column) = Column::named(name) else { return NOTHING.to_owned() };
    match ((column.get)(row), column.unit) {
        (Value::Count(bytes), Unit::Bytes) => as_bytes(bytes),
        (Value::Count(micros), Unit::Microseconds) => human::micros(micros),
        (Value::Count(count), _) => human::count(count),
        (Value::Real(_) | Value::Ports(_) | Value::Missing, _) => NOTHING.to_owned(),
    }
}

/// One line of the table: a cell for each of [`VIEWS`].
struct Line {
    cells: Vec<String>,
    kind: LineKind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum LineKind {
    Title,
    /// Its name is `name` bytes long.
    Service {
        name: usize,
    },
    /// Unlabelled traffic, and lines that sum up.
    Aside,
}

/// The whole text.
fn render(snapshot: &Snapshot, options: &Options) -> String {
    let mut page = Page { text: String::new(), color: options.color, width: options.width };
    header(&mut page, snapshot);
    if snapshot.packets > 0 {
        page.line(Style::new(), "");
        let lines = lines(snapshot, options);
        let shown = grid(&mut page, &lines);
        page.line(Style::new(), "");
        page.wrapped(Style::new(), sum(snapshot).iter().map(String::as_str), " ");
        for mark in shown.iter().flat_map(|&at| marks(&lines, at)) {
            page.line(DIM, mark);
        }
        if options.top.is_some_and(|top| top < snapshot.services.len()) {
            page.line(DIM, "… every service is in -o json and -o csv");
        }
    }
    for note in notes(snapshot) {
        page.wrapped(WARNING, note.split(' '), " ");
    }
    page.text
}

/// Text in the making.
struct Page {
    text: String,
    color: bool,
    width: Option<usize>,
}

impl Page {
    fn painted(&mut self, style: Style, text: &str) {
        if self.color && !text.is_empty() {
            self.text += &style.render().to_string();
            self.text += text;
            self.text += &style.render_reset().to_string();
        } else {
            self.text += text;
        }
    }

    fn line(&mut self, style: Style, text: &str) {
        self.painted(style, text);
        self.text.push('\n');
    }

    /// As many parts a line as fit, at least one.
    fn wrapped<'a>(&mut self, style: Style, parts: impl IntoIterator<Item = &'a str>, separator: &str) {
        let mut line = String::new();
        for part in parts {
            if !line.is_empty() {
                if self.fits(line.width() + separator.width() + part.width()) {
                    line += separator;
                } else {
                    self.line(style, &std::mem::take(&mut line));
                }
            }
            line += part;
        }
        self.line(style, &line);
    }

    fn fits(&self, columns: usize) -> bool {
        self.width.is_none_or(|width| columns <= width)
    }
}

/// What was read: where, when, how much.
fn header(page: &mut Page, snapshot: &Snapshot) {
    let source = &*snapshot.source;
    let mut inputs = inputs(&source.names);
    if source.kind == SourceKind::Live
        && let Some(host) = &source.host
    {
        inputs = format!("{inputs} on {}", human::printable(host));
    }
    page.line(BOLD, &inputs);
    let filter = source.filter.as_deref().map(|filter| format!("filter: {}", human::printable(&cut(filter))));

    let (Some(first), Some(last)) = (snapshot.first_ts, snapshot.last_ts) else {
        page.wrapped(Style::new(), filter.as_deref().into_iter().chain(["no packets"]), " · ");
        return;
    };
    let nanos = last.nanos_since(first);
    let mut when = vec![span(first, last)];
    if nanos > 0 {
        when.push(human::micros(nanos.div_ceil(1_000)));
    }
    when.extend(filter);
    page.wrapped(Style::new(), when.iter().map(String::as_str), " · ");

    let mut what = vec![human::counted(snapshot.packets, "packet"), human::bytes(snapshot.wire_bytes)];
    what.extend(human::bit_rate(snapshot.wire_bytes, nanos));
    what.extend(human::packet_rate(snapshot.packets, nanos));
    what.push(human::counted(snapshot.flows.started, "flow"));
    if snapshot.drops.kernel == Some(0) && snapshot.drops.interface.is_none_or(|drops| drops == 0) {
        what.push("none dropped".to_owned());
    }
    page.wrapped(Style::new(), what.iter().map(String::as_str), " · ");
}

/// The first inputs by name, and how many there are beside them.
pub(super) fn inputs(names: &[String]) -> String {
    const SHOWN: usize = 3;
    let shown = names.iter().take(SHOWN).map(|name| match name.as_str() {
        "-" => "standard input".to_owned(),
        name => human::printable(name),
    });
    let shown = shown.collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// From the first packet to the last, to the second, or to the millisecond within a minute; the date once where it is
/// the same.
fn span(first: Timestamp, last: Timestamp) -> String {
    let fine = last.nanos_since(first) < 60_000_000_000;
    let parts = |ts: Timestamp| {
        let text = ts.to_string();
        let (date, time) = text.split_once('T').unwrap_or((&text, ""));
        // the fraction has nine digits and a Z
        let time = time.get(..time.len().saturating_sub(if fine { 7 } else { 11 })).unwrap_or(time);
        (date.to_owned(), time.to_owned())
    };
    let ((date, from), (last_date, to)) = (parts(first), parts(last));
    if (&date, &from) == (&last_date, &to) {
        format!("{date} {from} UTC")
    } else if date == last_date {
        format!("{date} {from} to {to} UTC")
    } else {
        format!("{date} {from} to {last_date} {to} UTC")
    }
}

/// The lines of the table, with all columns.
fn lines(snapshot: &Snapshot, options: &Options) -> Vec<Line> {
    let whole = Traffic { packets: snapshot.packets, wire_bytes: snapshot.wire_bytes };
    let line = |kind, cell: &dyn Fn(&View) -> String| Line { cells: VIEWS.iter().map(cell).collect(), kind };

    let mut rows: Vec<_> = snapshot.services.iter().collect();
    rows.sort_by(|a, b| options.sort.compare(a, b));
    let (shown, hidden) = rows.split_at(options.top.unwrap_or(rows.len()).min(rows.len()));

    let mut lines = Vec::new();
    if !rows.is_empty() {
        lines.push(line(LineKind::Title, &|view| view.title.to_owned()));
    }
    lines.extend(shown.iter().map(|row| {
        let kind = match &row.service {
            Some(_) => LineKind::Service { name: if options.numeric { 0 } else { name(row).len() } },
            None => LineKind::Aside,
        };
        line(kind, &|view| view.cell(row, whole, options))
    }));
    if !hidden.is_empty() {
        let title = format!("… and {} more", human::count(hidden.len() as u64));
        let sum = traffic(hidden.iter().map(|row| (row.packets, row.wire_bytes)));
        lines.push(line(LineKind::Aside, &|view| view.sum_cell(&title, sum, whole)));
    }
    if !snapshot.portless.is_empty() {
        let first = lines.is_empty();
        if !first {
            lines.push(line(LineKind::Aside, &|_| String::new()));
        }
        lines.push(line(LineKind::Title, &|view| match view.show {
            Show::Service => "WITHOUT PORTS".to_owned(),
            _ if first => view.title.to_owned(),
            _ => String::new(),
        }));
        lines.extend(snapshot.portless.iter().map(|row| {
            let sum = Traffic { packets: row.packets, wire_bytes: row.wire_bytes };
            line(LineKind::Service { name: 0 }, &|view| view.sum_cell(row.reason, sum, whole))
        }));
    }
    lines
}

/// Lays the lines out with as many columns as fit, and says which they are.
fn grid(page: &mut Page, lines: &[Line]) -> Vec<usize> {
    const GAP: u16 = 2;
    let widths: Vec<_> = (0..VIEWS.len())
        .map(|at| lines.iter().map(|line| line.cells[at].width()).max().unwrap_or_default() + usize::from(GAP))
        .collect();
    let mut columns: Vec<usize> = Vec::new();
    for rank in 0..=VIEWS.iter().map(|view| view.rank).max().unwrap_or_default() {
        let group: Vec<_> =
            (0..VIEWS.len()).filter(|&at| VIEWS[at].rank == rank && says_something(lines, at)).collect();
        let total: usize = columns.iter().chain(&group).map(|&at| widths[at]).sum();
        if rank == 0 || page.fits(total.saturating_sub(usize::from(GAP))) {
            columns.extend(group);
        }
    }
    columns.sort_unstable();

    let mut grid = Grid::new();
    grid.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    grid.add_rows(lines.iter().map(|line| columns.iter().map(|&at| line.cells[at].clone()).collect::<Vec<_>>()));
    for (&at, column) in columns.iter().zip(grid.column_iter_mut()) {
        column.set_padding((0, GAP)).set_cell_alignment(VIEWS[at].alignment());
    }
    for (line, text) in lines.iter().zip(grid.lines()) {
        let text = text.trim_end();
        match line.kind {
            LineKind::Title => page.line(BOLD, text),
            LineKind::Aside => page.line(DIM, text),
            LineKind::Service { name } => {
                let (name, rest) = text.split_at_checked(name).unwrap_or((text, ""));
                page.painted(NAME, name);
                page.line(Style::new(), rest);
            }
        }
    }
    columns
}

/// What the marks of the column mean that it has.
fn marks(lines: &[Line], at: usize) -> impl Iterator<Item = &'static str> {
    const MARKS: [(char, &str); 2] = [
        ('?', "? guessed from the port numbers alone"),
        ('%', "% of the bytes; the rest is of the other kind, guessed or told"),
    ];
    let is_evidence = matches!(VIEWS[at].show, Show::Evidence);
    let has = move |mark: char| is_evidence && lines.iter().any(|line| line.cells[at].contains(mark));
    MARKS.into_iter().filter(move |(mark, _)| has(*mark)).map(|(_, meaning)| meaning)
}

/// A column in which some row has more than nothing.
fn says_something(lines: &[Line], at: usize) -> bool {
    let rows = lines.iter().filter(|line| line.kind != LineKind::Title);
    rows.map(|line| line.cells[at].as_str()).any(|cell| !["", "0", NOTHING].contains(&cell))
}

/// That it all adds up.
fn sum(snapshot: &Snapshot) -> [String; 3] {
    let services = traffic(snapshot.services.iter().map(|row| (row.packets, row.wire_bytes)));
    let portless = traffic(snapshot.portless.iter().map(|row| (row.packets, row.wire_bytes)));
    let equal = services.packets + portless.packets == snapshot.packets
        && services.wire_bytes + portless.wire_bytes == snapshot.wire_bytes;
    let sign = if equal { "=" } else { "≠" };
    [
        format!("{} of services", human::count(services.packets)),
        format!("+ {} without ports", human::count(portless.packets)),
        format!("{sign} {}", human::counted(snapshot.packets, "packet")),
    ]
}

fn traffic(rows: impl Iterator<Item = (u64, u64)>) -> Traffic {
    rows.fold(Traffic::default(), |mut sum, (packets, wire_bytes)| {
        sum += Traffic { packets, wire_bytes };
        sum
    })
}

/// What a reader should know before trusting the numbers.
fn notes(snapshot: &Snapshot) -> Vec<String> {
    let mut notes = Vec::new();
    for (drops, by) in [(snapshot.drops.kernel, "kernel"), (snapshot.drops.interface, "interface")] {
        if let Some(drops @ 1..) = drops {
            notes.push(format!(
                "! {} dropped by the {by} ({} of all)",
                human::counted(drops, "packet"),
                human::share(drops, snapshot.packets.saturating_add(drops)),
            ));
        }
    }
    if snapshot.time_jumps > 0 {
        let jumps = human::counted(snapshot.time_jumps, "jump");
        notes.push(format!("! {jumps} of packet time by more than an hour: mind durations and rates"));
    }
    if snapshot.flows.evicted > 0 {
        let flows = human::counted(snapshot.flows.evicted, "flow");
        notes.push(format!("! {flows} ended early because the table of flows was full (--max-flows)"));
    }
    if snapshot.learned_forgotten > 0 {
        let endpoints = human::counted(snapshot.learned_forgotten, "endpoint");
        notes.push(format!("! what was learned of {endpoints} was forgotten to make room: more labels are guesses"));
    }
    if snapshot.histograms_refused > 0 {
        notes.push("! histogram memory was used up: some medians and percentiles are missing".to_owned());
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::super::{SNAPSHOT_JSON_SCHEMA, sample};
    use super::*;
    use crate::snapshot::{Drops, EvidenceCounts, SourceInfo};

    #[test]
    fn it_fits_the_width() {
        for width in [Some(60), Some(80), Some(120), None] {
            let text = render(&sample::snapshot(), &Options { width, ..Options::default() });
            let name = width.map_or_else(|| "full".to_owned(), |width| width.to_string());
            sample::assert_golden(&format!("table-{name}.txt"), &text);
            assert!(text.lines().all(|line| width.is_none_or(|width| line.width() <= width)), "{width:?}\n{text}");
        }
    }

    #[test]
    fn evidence_tells_guesses_from_what_was_seen() {
        let cases: [(&[(&str, u64)], &str); 10] = [
            (&[], NOTHING),
            (&[("handshake", 10)], "handshake"),
            (&[("handshake", 4), ("learned", 6)], "learned"),
            (&[("handshake", 5), ("learned", 4), ("strong", 1)], "handshake 90%"),
            (&[("strong", 10)], "strong?"),
            (&[("learned", 4), ("strong", 6)], "strong? 60%"),
            (&[("learned", 4), ("strong", 3), ("system", 3)], "learned 40%"),
            (&[("learned", 9_999), ("system", 1)], "learned 99%"),
            (&[("learned", 1), ("system", 9_999)], "system? 99%"),
            (&[("none", 10)], NOTHING),
        ];
        for (rules, want) in cases {
            let counts = |wire_bytes| EvidenceCounts { flows: 1, packets: 1, wire_bytes };
            let mut row = ServiceRow::clone(&sample::snapshot().services[0]);
            row.wire_bytes = rules.iter().map(|(_, bytes)| bytes).sum();
            row.evidence = rules.iter().map(|(rule, bytes)| (*rule, counts(*bytes))).collect();
            assert_eq!(evidence(&row), want, "{rules:?}");
        }
        // whoever adds a rule says whether it guesses
        let told = ["override", "handshake", "listener", "multicast", "learned", "none"];
        let schema: serde_json::Value = serde_json::from_str(SNAPSHOT_JSON_SCHEMA).unwrap();
        let rules = schema["$defs"]["evidence"]["properties"].as_object().unwrap();
        for rule in rules.keys() {
            assert_ne!(guesses(rule), told.contains(&rule.as_str()), "{rule}");
        }
    }

    #[test]
    fn rows_beyond_the_top_are_summed_up() {
        let options =
            Options { width: Some(80), top: Some(2), sort: SortKey::Flows, numeric: true, ..Options::default() };
        let text = render(&sample::snapshot(), &options);
        sample::assert_golden("table-top-2-flows-numeric.txt", &text);
    }

    #[test]
    fn colour_is_only_paint() {
        let plain = Options { width: Some(60), ..Options::default() };
        let text = render(&sample::snapshot(), &Options { color: true, ..plain });
        let mut bare = text.clone();
        for code in ["\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[33m", "\x1b[36m"] {
            bare = bare.replace(code, "");
        }
        assert_eq!(bare, render(&sample::snapshot(), &plain));
        assert!(text.contains("\n\x1b[36mhttps\x1b[0m :443 +1 "), "{text}");
        assert!(text.contains("\n\x1b[2munlabelled :50123 +1 "), "{text}");
    }

    #[test]
    fn nothing_read_is_said_in_a_line() {
        let text = render(&sample::empty(), &Options::default());
        assert_eq!(text, "standard input\nfilter: tcp port 1 · no packets\n");
    }

    #[test]
    fn losses_and_sums_that_do_not_add_up_are_shown() {
        let mut snapshot = sample::snapshot();
        snapshot.source = Arc::new(SourceInfo {
            kind: SourceKind::Live,
            names: ["eth0", "eth1", "eth2", "eth3"].map(str::to_owned).into(),
            host: Some("fw".to_owned()),
            filter: Some("ip".to_owned()),
        });
        snapshot.drops = Drops { kernel: Some(1_246), interface: Some(0), interfaces: None };
        snapshot.time_jumps = 1;
        snapshot.packets += 1;
        snapshot.portless.clear();
        snapshot.first_ts = snapshot.last_ts.map(|ts| Timestamp::from_nanos(ts.as_nanos() - 90_000_000_000_000));
        let text = render(&snapshot, &Options { top: Some(1), ..Options::default() });
        sample::assert_golden("table-live-losses.txt", &text);
    }

    #[test]
    fn packets_without_ports_may_be_all_there_is() {
        let portless = Snapshot { services: Vec::new(), packets: 12, wire_bytes: 800, ..sample::snapshot() };
        let text = render(&portless, &Options { width: Some(80), ..Options::default() });
        sample::assert_golden("table-portless.txt", &text);
    }

    #[test]
    fn rows_are_sorted_by_any_key() {
        let cases = [
            (SortKey::Bytes, "https/tcp http-alt/tcp domain/udp unlabelled/udp domain/tcp"),
            (SortKey::Packets, "https/tcp domain/udp http-alt/tcp unlabelled/udp domain/tcp"),
            (SortKey::Flows, "domain/udp https/tcp unlabelled/udp http-alt/tcp domain/tcp"),
            (SortKey::Unanswered, "unlabelled/udp https/tcp domain/tcp http-alt/tcp domain/udp"),
            (SortKey::Size, "https/tcp http-alt/tcp domain/udp unlabelled/udp domain/tcp"),
            (SortKey::Rtt, "https/tcp http-alt/tcp domain/udp unlabelled/udp domain/tcp"),
            (SortKey::Name, "domain/udp domain/tcp http-alt/tcp https/tcp unlabelled/udp"),
            (SortKey::Port, "domain/udp domain/tcp https/tcp http-alt/tcp unlabelled/udp"),
        ];
        let snapshot = sample::snapshot();
        for (key, want) in cases {
            let mut rows: Vec<_> = snapshot.services.iter().collect();
            rows.sort_by(|a, b| key.compare(a, b));
            let found: Vec<_> = rows.iter().map(|row| format!("{}/{}", name(row), row.transport)).collect();
            assert_eq!(found.join(" "), want, "{key}");
            assert_eq!(key.name().parse(), Ok(key));
        }
        assert_eq!(
            "colour".parse::<SortKey>().map_err(|error| error.to_string()),
            Err("'colour' is nothing to sort by; one of: bytes, packets, flows, unanswered, size, rtt, name, port"
                .into()),
        );
    }

    #[test]
    fn every_column_is_one_of_the_snapshot() {
        for view in &VIEWS {
            if let Show::Plain(name) | Show::Size(name) = view.show {
                assert!(Column::named(name).is_some(), "{name}");
            }
        }
    }
}
