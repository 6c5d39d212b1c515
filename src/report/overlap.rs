//! Reports of the same source at the same time: their packets may count twice in a sum.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::snapshot::{Snapshot, SourceInfo};
use crate::units::{Timestamp, cut};

/// A report that names a source of earlier ones, and overlaps with them in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overlap {
    /// The report.
    pub name: String,
    /// The first one of those that it overlaps with.
    pub other: String,
    /// How many more it overlaps with.
    pub more_others: usize,
    /// A source that both name: a file, or an interface with its host.
    pub source: String,
    /// How many more sources both name.
    pub more_sources: usize,
    /// The time that both tell of, both ends included.
    pub span: [Timestamp; 2],
}

impl fmt::Display for Overlap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let more = |count: usize| if count > 0 { format!(" and {count} more") } else { String::new() };
        let Self { name, other, more_others, source, more_sources, span: [from, to] } = self;
        let (others, sources) = (more(*more_others), more(*more_sources));
        let source = cut(source);
        write!(f, "{name}: tells of {source}{sources} from {from} to {to}, as {other}{others} does")?;
        f.write_str("; packets that are in both count twice")
    }
}

/// The reports of a sum: when each of them was, and which of them name a source.
#[derive(Debug, Default)]
pub(super) struct Spans {
    /// Name of each report, and its first and last packet time.
    reports: Vec<(String, [Timestamp; 2])>,
    /// Places in `reports` by source, in rising order.
    by_source: BTreeMap<String, Vec<usize>>,
}

/// What two reports both name.
struct Shared {
    /// The first.
    source: String,
    /// How many.
    count: usize,
}

impl Spans {
    /// Adds a report, and tells what it shares with those before it.
    pub(super) fn add(&mut self, name: &str, snapshot: &Snapshot) -> Option<Overlap> {
        let [first, last] = <[Timestamp; 2]>::from(snapshot.first_ts.zip(snapshot.last_ts)?);
        let own = self.reports.len();
        let mut shared: BTreeMap<usize, Shared> = BTreeMap::new();
        for source in sources(&snapshot.source) {
            let reports = self.by_source.entry(source.clone()).or_default();
            let is_then = |at: &usize| {
                let [other_first, other_last] = self.reports[*at].1;
                first <= other_last && other_first <= last
            };
            for at in reports.iter().copied().filter(is_then) {
                let shared = shared.entry(at).or_insert_with(|| Shared { source: source.clone(), count: 0 });
                shared.count += 1;
            }
            reports.push(own);
        }
        self.reports.push((name.to_owned(), [first, last]));
        let (at, Shared { source, count }) = shared.pop_first()?;
        let (other, [other_first, other_last]) = &self.reports[at];
        Some(Overlap {
            name: name.to_owned(),
            other: other.clone(),
            more_others: shared.len(),
            source,
            more_sources: count - 1,
            span: [first.max(*other_first), last.min(*other_last)],
        })
    }
}

/// The sources of a report, each once, as sums of several hosts call them. Standard input is none: whatever was piped in has
/// that name.
fn sources(source: &SourceInfo) -> BTreeSet<String> {
    let SourceInfo { names, host, .. } = source;
    let named = names.iter().filter(|name| *name != "-");
    named.map(|name| host.as_ref().map_or_else(|| name.clone(), |host| format!("{host}:{name}"))).collect()
}
