//! What passed when: the samples of the throughput chart, in bounded memory whatever the length of the run.

use std::collections::{BTreeMap, HashMap};

use super::super::ticks::{RowId, Tick, Ticker};
use crate::snapshot::{Snapshot, Traffic};
use crate::units::Timestamp;

/// The rows that a chart tells apart; the others are drawn as one.
pub(super) const COLORS: usize = 8;

/// The rows that a slot tells apart, the largest by bytes. A row that is in none of them is in no chart either.
const ROWS_PER_SLOT: usize = 32;

/// The least length of a slot of the recent track, in nanoseconds.
const MIN_RECENT_SLOT_NANOS: u64 = 1_000_000_000;

/// Slots of the recent track: ten minutes, if an interval is a second.
const RECENT_SLOTS: i64 = 600;

/// The most slots of the whole run's track. It is halved, by doubling their length, whenever there would be more.
const WHOLE_SLOTS: i64 = 512;

/// How much of the run a chart shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(in crate::output) enum Span {
    /// The last 600 intervals, or 600 seconds where intervals are shorter.
    #[default]
    Recent,
    /// All of it, in slots that get longer with the run.
    Whole,
}

/// Traffic by time and row: the last ten minutes in full resolution, and the whole run in a coarser one.
#[derive(Debug)]
pub(in crate::output) struct History {
    ticker: Ticker,
    recent: Track,
    whole: Track,
}

impl Default for History {
    fn default() -> Self {
        Self {
            ticker: Ticker::default(),
            recent: Track::new(RECENT_SLOTS, WhenFull::Forget),
            whole: Track::new(WHOLE_SLOTS, WhenFull::Coarsen),
        }
    }
}

impl History {
    /// Adds the interval that ends with a snapshot. One without an interval adds nothing.
    pub(in crate::output) fn update(&mut self, snapshot: &Snapshot) {
        let Some(tick) = self.ticker.tick(snapshot) else { return };
        let whole_intervals = MIN_RECENT_SLOT_NANOS.div_ceil(tick.nanos.max(1)).saturating_mul(tick.nanos.max(1));
        self.recent.add(&tick, whole_intervals);
        self.whole.add(&tick, tick.nanos.max(1));
    }

    /// The samples of a span, in at most about `max_columns` columns of equal length; `None` before there are any.
    pub(super) fn columns(&self, span: Span, max_columns: u16) -> Option<Columns> {
        match span {
            Span::Recent => self.recent.columns(max_columns),
            Span::Whole => self.whole.columns(max_columns),
        }
    }
}

/// Samples in columns of equal length, oldest first, without gaps.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Columns {
    /// Start of the first one.
    pub(super) start: Timestamp,
    /// Length of each, in nanoseconds.
    pub(super) nanos: u64,
    /// How much of each was seen, in nanoseconds: less than its length for the first and the last.
    pub(super) seen_nanos: Vec<u64>,
    /// The rows that are told apart, each with its color, below [`COLORS`], and its traffic by column.
    pub(super) rows: Vec<(RowId, usize, Vec<Traffic>)>,
    /// All other traffic.
    pub(super) other: Vec<Traffic>,
    /// Packets that are known to be lost.
    pub(super) dropped: Vec<u64>,
}

/// What happens when a track has no slot left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WhenFull {
    /// The oldest slots are forgotten.
    Forget,
    /// Two neighbours become one.
    Coarsen,
}

/// Slots of equal length, by number since the epoch; those without traffic are left out.
#[derive(Debug)]
struct Track {
    max_slots: i64,
    when_full: WhenFull,
    slot_nanos: u64,
    slots: BTreeMap<i64, Slot>,
    /// Bytes of the rows in all slots together.
    sums: HashMap<RowId, u64>,
    /// Which row has which color: a row keeps its own for as long as it is among the largest.
    colors: [Option<RowId>; COLORS],
}

#[derive(Debug, Default)]
struct Slot {
    total: Traffic,
    /// The largest rows, in the order of their names: a map would keep the room for all that there were.
    rows: Vec<(RowId, Traffic)>,
    dropped: u64,
}

impl Track {
    fn new(max_slots: i64, when_full: WhenFull) -> Self {
        let (slots, sums) = (BTreeMap::new(), HashMap::new());
        Self { max_slots, when_full, slot_nanos: 0, slots, sums, colors: [const { None }; COLORS] }
    }

    /// Adds an interval. The first one decides how long slots are at least.
    fn add(&mut self, tick: &Tick, slot_nanos: u64) {
        if self.slot_nanos == 0 {
            self.slot_nanos = slot_nanos;
        }
        // one that is longer has been in several
        while self.slot_nanos < tick.nanos {
            self.coarsen();
        }
        let at = self.slot_of(tick.start);
        let at = self.make_room(at, tick.start);
        let slot = self.slots.entry(at).or_default();
        slot.total += tick.total;
        slot.dropped = slot.dropped.saturating_add(tick.dropped);
        for (id, traffic) in &tick.rows {
            let sum = self.sums.entry(id.clone()).or_default();
            *sum = sum.saturating_add(traffic.wire_bytes);
        }
        slot.add_rows(tick.rows.iter().map(|(id, traffic)| (id.clone(), *traffic)), &mut self.sums);
        self.give_colors();
    }

    fn slot_of(&self, ts: Timestamp) -> i64 {
        ts.as_nanos().div_euclid(i64::try_from(self.slot_nanos).unwrap_or(i64::MAX))
    }

    /// Makes room for a slot, and says which one it is then.
    fn make_room(&mut self, mut at: i64, ts: Timestamp) -> i64 {
        match self.when_full {
            WhenFull::Forget => {
                let newest = self.slots.last_key_value().map_or(at, |(newest, _)| *newest);
                // time was set back by more than is kept: what was there is of another time
                if at <= newest.saturating_sub(self.max_slots) {
                    self.slots.clear();
                    self.sums.clear();
                }
                let oldest = newest.max(at).saturating_sub(self.max_slots - 1);
                while let Some(first) = self.slots.first_entry()
                    && *first.key() < oldest
                    && *first.key() != at
                {
                    first.remove().forget(&mut self.sums);
                }
            }
            WhenFull::Coarsen => {
                while self.span_with(at) > self.max_slots {
                    self.coarsen();
                    at = self.slot_of(ts);
                }
            }
        }
        at
    }

    /// How many slots there are from the first to the last, when one is added.
    fn span_with(&self, at: i64) -> i64 {
        let oldest = self.slots.first_key_value().map_or(at, |(oldest, _)| at.min(*oldest));
        let newest = self.slots.last_key_value().map_or(at, |(newest, _)| at.max(*newest));
        newest.saturating_sub(oldest).saturating_add(1)
    }

    /// Doubles the length of slots.
    fn coarsen(&mut self) {
        self.slot_nanos = self.slot_nanos.saturating_mul(2);
        for (at, slot) in std::mem::take(&mut self.slots) {
            let merged = self.slots.entry(at.div_euclid(2)).or_default();
            merged.total += slot.total;
            merged.dropped = merged.dropped.saturating_add(slot.dropped);
            merged.add_rows(slot.rows, &mut self.sums);
        }
    }

    /// Gives colors to the largest rows. One that has a color already is taken for a quarter larger, so that two of about
    /// the same size do not take turns.
    fn give_colors(&mut self) {
        let has_color = |id: &RowId| self.colors.iter().flatten().any(|known| known == id);
        let weight = |id: &RowId, bytes: u64| if has_color(id) { bytes.saturating_add(bytes / 4) } else { bytes };
        let mut ranked: Vec<_> = self.sums.iter().map(|(id, bytes)| (weight(id, *bytes), id)).collect();
        // ties by name: the same capture gives the same report
        ranked.sort_unstable_by(|(a, a_id), (b, b_id)| b.cmp(a).then_with(|| a_id.cmp(b_id)));
        ranked.truncate(COLORS);
        let largest: Vec<RowId> = ranked.into_iter().map(|(_, id)| id.clone()).collect();
        for color in &mut self.colors {
            if color.as_ref().is_some_and(|known| !largest.contains(known)) {
                *color = None;
            }
        }
        for id in largest {
            if !self.colors.iter().flatten().any(|known| *known == id)
                && let Some(free) = self.colors.iter_mut().find(|color| color.is_none())
            {
                *free = Some(id);
            }
        }
    }

    fn columns(&self, max_columns: u16) -> Option<Columns> {
        let (oldest, newest) = (*self.slots.first_key_value()?.0, *self.slots.last_key_value()?.0);
        // columns begin at multiples of their length, so that a chart that moves does not shimmer
        let slots_each = (newest - oldest + 1).unsigned_abs().div_ceil(u64::from(max_columns.max(1)));
        let slots_each = i64::try_from(slots_each).unwrap_or(i64::MAX);
        let first = oldest.div_euclid(slots_each);
        let count = usize::try_from(newest.div_euclid(slots_each) - first + 1).ok()?;
        let nanos = self.slot_nanos.saturating_mul(slots_each.unsigned_abs());
        let mut columns = Columns {
            start: Timestamp::from_wide_nanos(i128::from(first) * i128::from(nanos)),
            nanos,
            seen_nanos: vec![nanos; count],
            rows: Vec::new(),
            other: vec![Traffic::default(); count],
            dropped: vec![0; count],
        };
        let unseen_before = oldest.rem_euclid(slots_each).unsigned_abs();
        let unseen_after = (slots_each - 1 - newest.rem_euclid(slots_each)).unsigned_abs();
        columns.seen_nanos[0] -= self.slot_nanos.saturating_mul(unseen_before);
        columns.seen_nanos[count - 1] -= self.slot_nanos.saturating_mul(unseen_after);
        let colored = self.colors.iter().enumerate().filter_map(|(color, id)| Some((id.clone()?, color)));
        columns.rows = colored.map(|(id, color)| (id, color, vec![Traffic::default(); count])).collect();
        for (at, slot) in &self.slots {
            // slots are in order, so none is before the first
            let column = usize::try_from(at.div_euclid(slots_each) - first).unwrap_or_default();
            let mut rest = slot.total;
            for (id, _, traffic) in &mut columns.rows {
                let own = slot.row(id);
                traffic[column] += own;
                // a total that is the mean of several intervals may be less than the rows of the last of them
                rest.packets = rest.packets.saturating_sub(own.packets);
                rest.wire_bytes = rest.wire_bytes.saturating_sub(own.wire_bytes);
            }
            columns.other[column] += rest;
            columns.dropped[column] = columns.dropped[column].saturating_add(slot.dropped);
        }
        Some(columns)
    }
}

impl Slot {
    /// Adds to rows, and forgets all but the largest; they are in the total still.
    fn add_rows(&mut self, more: impl IntoIterator<Item = (RowId, Traffic)>, sums: &mut HashMap<RowId, u64>) {
        let mut rows: HashMap<_, _> = self.rows.drain(..).collect();
        for (id, traffic) in more {
            *rows.entry(id).or_default() += traffic;
        }
        let mut rows: Vec<_> = rows.into_iter().collect();
        if rows.len() > ROWS_PER_SLOT {
            rows.sort_unstable_by(|(a_id, a), (b_id, b)| b.wire_bytes.cmp(&a.wire_bytes).then_with(|| a_id.cmp(b_id)));
            for (id, traffic) in rows.drain(ROWS_PER_SLOT..) {
                subtract(sums, &id, traffic.wire_bytes);
            }
            rows.shrink_to_fit();
        }
        rows.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        self.rows = rows;
    }

    /// The traffic of a row; none when it is not among the largest.
    fn row(&self, id: &RowId) -> Traffic {
        let at = self.rows.binary_search_by(|(own, _)| own.cmp(id));
        at.map_or_else(|_| Traffic::default(), |at| self.rows[at].1)
    }

    fn forget(self, sums: &mut HashMap<RowId, u64>) {
        for (id, traffic) in self.rows {
            subtract(sums, &id, traffic.wire_bytes);
        }
    }
}

fn subtract(sums: &mut HashMap<RowId, u64>, id: &RowId, bytes: u64) {
    if let Some(sum) = sums.get_mut(id) {
        *sum = sum.saturating_sub(bytes);
        if *sum == 0 {
            sums.remove(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::units::Transport;

    const SECOND: u64 = 1_000_000_000;

    fn service(name: &str) -> RowId {
        RowId::Service(Some(Arc::from(name)), Transport::Tcp)
    }

    /// An interval of a second with these bytes, each in a packet, and as many again that are of no row.
    fn tick(second: i64, rows: &[(&str, u64)]) -> Tick {
        let traffic = |wire_bytes| Traffic { packets: 1, wire_bytes };
        let rows: HashMap<_, _> = rows.iter().map(|(name, bytes)| (service(name), traffic(*bytes))).collect();
        let wire_bytes: u64 = rows.values().map(|traffic| traffic.wire_bytes).sum();
        let total = Traffic { packets: 2 * rows.len() as u64, wire_bytes: 2 * wire_bytes };
        let start = Timestamp::from_wide_nanos(i128::from(second) * i128::from(SECOND));
        Tick { start, nanos: SECOND, total, rows, dropped: u64::from(second == 3) }
    }

    fn bytes(columns: &Columns) -> u64 {
        let rows = columns.rows.iter().flat_map(|(_, _, traffic)| traffic);
        rows.chain(&columns.other).map(|traffic| traffic.wire_bytes).sum()
    }

    #[test]
    fn a_longer_interval_makes_slots_longer() {
        let mut track = Track::new(600, WhenFull::Coarsen);
        track.add(&tick(3, &[("https", 70)]), SECOND);
        track.add(&Tick { nanos: 4 * SECOND, ..tick(4, &[("https", 400)]) }, 4 * SECOND);
        let columns = track.columns(100).expect("samples");
        assert_eq!((columns.nanos, columns.other.len(), bytes(&columns)), (4 * SECOND, 2, 940));
    }

    #[test]
    fn samples_are_columns_without_gaps() {
        let mut track = Track::new(600, WhenFull::Forget);
        assert_eq!(track.columns(100), None);
        for second in [0, 1, 3] {
            track.add(&tick(second, &[("https", 70), ("ssh", 30)]), SECOND);
        }
        let columns = track.columns(100).expect("samples");
        assert_eq!((columns.start.as_nanos(), columns.nanos, columns.other.len()), (0, SECOND, 4));
        let of = |name: &str| columns.rows.iter().find(|(id, _, _)| *id == service(name)).expect("is told apart");
        assert_eq!(of("https").2.iter().map(|traffic| traffic.wire_bytes).collect::<Vec<_>>(), [70, 70, 0, 70]);
        assert_eq!((of("https").1, of("ssh").1), (0, 1), "the largest has the first color");
        assert_eq!(columns.other[3], Traffic { packets: 2, wire_bytes: 100 });
        assert_eq!(columns.dropped, [0, 0, 0, 1]);
        // in half as many columns, they begin at multiples of their length, and say how much of them was seen
        let columns = track.columns(3).expect("samples");
        assert_eq!((columns.nanos, columns.seen_nanos.as_slice()), (2 * SECOND, &[2 * SECOND, 2 * SECOND][..]));
        track.add(&tick(4, &[]), SECOND);
        assert_eq!(track.columns(3).expect("samples").seen_nanos, [2 * SECOND, 2 * SECOND, SECOND]);
    }

    #[test]
    fn the_recent_past_slides() {
        let mut track = Track::new(10, WhenFull::Forget);
        for second in 0..100 {
            track.add(&tick(second, &[(if second < 95 { "old" } else { "new" }, 1)]), SECOND);
        }
        assert_eq!((track.slots.len(), bytes(&track.columns(100).expect("samples"))), (10, 20));
        for second in 100..105 {
            track.add(&tick(second, &[("new", 1)]), SECOND);
        }
        assert_eq!(track.sums.keys().collect::<Vec<_>>(), [&service("new")], "what is forgotten is in no sum");
        // a little late, it goes where it belongs; set back by more than is kept, time begins anew
        track.add(&tick(97, &[("new", 1)]), SECOND);
        assert_eq!(track.slots.len(), 10);
        track.add(&tick(-50, &[("new", 1)]), SECOND);
        assert_eq!((track.slots.len(), bytes(&track.columns(100).expect("samples"))), (1, 2));
    }

    #[test]
    fn the_whole_run_gets_coarser_and_loses_nothing() {
        let mut track = Track::new(512, WhenFull::Coarsen);
        let ten_years = 10 * 365 * 86_400;
        let seconds: Vec<i64> = (0..2000).chain([86_400, ten_years, -ten_years]).collect();
        for second in &seconds {
            track.add(&tick(*second, &[("https", 5)]), SECOND);
            assert!(track.slots.len() <= 512);
        }
        assert_eq!(bytes(&track.columns(1000).expect("samples")), 10 * seconds.len() as u64);
        assert_eq!(track.columns(1000).expect("samples").dropped.iter().sum::<u64>(), 1);
        // the ends of time
        track.add(&tick(i64::MAX / 1_000_000_000, &[("https", 5)]), SECOND);
        track.add(&tick(i64::MIN / 1_000_000_000, &[("https", 5)]), SECOND);
        assert_eq!(bytes(&track.columns(1000).expect("samples")), 10 * (seconds.len() as u64 + 2));
    }

    #[test]
    fn many_rows_are_bounded_and_colors_stay() {
        let mut track = Track::new(600, WhenFull::Forget);
        let names: Vec<_> = (0..3000).map(|at| format!("service-{at:04}")).collect();
        let rows: Vec<_> = names.iter().zip(1_000..).map(|(name, bytes)| (name.as_str(), bytes)).collect();
        track.add(&tick(0, &rows), SECOND);
        assert_eq!((track.slots[&0].rows.len(), track.sums.len()), (ROWS_PER_SLOT, ROWS_PER_SLOT));
        let columns = track.columns(10).expect("samples");
        assert_eq!(columns.rows.len(), COLORS);
        assert_eq!(bytes(&columns), track.slots[&0].total.wire_bytes, "the rest is drawn as one");

        let mut track = Track::new(600, WhenFull::Forget);
        let mut rows: Vec<_> = names[..9].iter().map(|name| (name.as_str(), 1_000)).collect();
        track.add(&tick(0, &rows), SECOND);
        let before = track.colors.clone();
        rows[8].1 = 1_100; // a tenth more than the others: not enough to take the place of one
        track.add(&tick(1, &rows), SECOND);
        assert_eq!(track.colors, before);
        rows[8].1 = 10_000;
        track.add(&tick(2, &rows), SECOND);
        let changed = track.colors.iter().zip(&before).filter(|(now, before)| now != before).count();
        assert_eq!(changed, 1, "one makes room, and the others keep theirs");
    }
}
