//! What passed in the last minute, row by row, for sparklines.

use std::collections::{HashMap, VecDeque};

pub(super) use super::super::ticks::{RowId, Tick, Ticker};

/// How many slots of time are kept.
pub(super) const SLOTS: u16 = 60;

/// The least length of a slot: sixty of them are a minute.
const MIN_SLOT_NANOS: u64 = 1_000_000_000;

/// Bytes on the wire by slot of time: the last [`SLOTS`] seconds, or as many intervals where these are longer.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    slot_nanos: u64,
    newest: i64,
    total: Series,
    rows: HashMap<RowId, Series>,
}

/// Slots that had bytes, oldest first.
type Series = VecDeque<(i64, u64)>;

impl History {
    /// Adds an interval. Where time goes back by more than is kept, what was there is forgotten.
    pub(super) fn add(&mut self, tick: &Tick) {
        if self.slot_nanos != tick.nanos.max(MIN_SLOT_NANOS) {
            *self = Self { slot_nanos: tick.nanos.max(MIN_SLOT_NANOS), ..Self::default() };
        }
        let slot = tick.start.as_nanos().div_euclid(i64::try_from(self.slot_nanos).unwrap_or(i64::MAX));
        if slot < self.oldest() {
            (self.total, self.rows) = (Series::new(), HashMap::new());
            self.newest = slot;
        }
        self.newest = self.newest.max(slot);
        let oldest = self.oldest();
        put(&mut self.total, slot, tick.total.wire_bytes);
        for (id, traffic) in &tick.rows {
            put(self.rows.entry(id.clone()).or_default(), slot, traffic.wire_bytes);
        }
        self.rows.retain(|_, series| {
            forget(series, oldest);
            !series.is_empty()
        });
        forget(&mut self.total, oldest);
    }

    fn oldest(&self) -> i64 {
        self.newest.saturating_sub(i64::from(SLOTS) - 1)
    }

    /// Length of what is kept, in microseconds; 0 before there is anything.
    pub(super) fn span_us(&self) -> u64 {
        self.slot_nanos.saturating_mul(SLOTS.into()) / 1_000
    }

    /// The most bytes in a slot, and the length of a slot in nanoseconds.
    pub(super) fn peak(&self) -> (u64, u64) {
        (self.total.iter().map(|(_, bytes)| *bytes).max().unwrap_or_default(), self.slot_nanos)
    }

    /// A graph of everything; see [`History::row`].
    pub(super) fn total(&self, width: u16) -> String {
        self.graph(Some(&self.total), width)
    }

    /// A graph of a row in at most `width` characters, the newest at the right end, in a scale of its own. A character
    /// is a fixed number of slots, and begins at a multiple of it: so it moves a whole character at a time.
    pub(super) fn row(&self, id: &RowId, width: u16) -> String {
        self.graph(self.rows.get(id), width)
    }

    fn graph(&self, series: Option<&Series>, width: u16) -> String {
        // not the full block: lines of a list would run together
        const LEVELS: [char; 8] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇'];
        let Some(slots_each) = (width > 0).then(|| i64::from(SLOTS.div_ceil(width))) else { return String::new() };
        let last = self.newest.div_euclid(slots_each);
        let mut bytes = vec![0u64; usize::from(SLOTS) / usize::try_from(slots_each).unwrap_or(1)];
        let len = i64::try_from(bytes.len()).unwrap_or_default();
        for (slot, slot_bytes) in series.into_iter().flatten() {
            let at = usize::try_from(slot.div_euclid(slots_each) - last + len - 1).ok();
            if let Some(sum) = at.and_then(|at| bytes.get_mut(at)) {
                *sum = sum.saturating_add(*slot_bytes);
            }
        }
        // the last character may be a part of its time yet: its rate counts, not its sum
        let slots_of_last = u64::try_from(self.newest.rem_euclid(slots_each) + 1).unwrap_or(1);
        if let Some(sum) = bytes.last_mut() {
            *sum = sum.saturating_mul(u64::try_from(slots_each).unwrap_or(1)) / slots_of_last;
        }
        let largest = u128::from(bytes.iter().copied().max().unwrap_or_default()).max(1);
        bytes.iter().map(|sum| LEVELS[usize::try_from((u128::from(*sum) * 7).div_ceil(largest)).unwrap_or(7)]).collect()
    }
}

/// Adds to a slot. Late ones go where they belong.
fn put(series: &mut Series, slot: i64, bytes: u64) {
    if bytes == 0 {
        return;
    }
    match series.binary_search_by_key(&slot, |(slot, _)| *slot) {
        Ok(at) => series[at].1 = series[at].1.saturating_add(bytes),
        Err(at) => series.insert(at, (slot, bytes)),
    }
}

fn forget(series: &mut Series, oldest: i64) {
    while series.front().is_some_and(|(slot, _)| *slot < oldest) {
        series.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Traffic;
    use crate::units::Timestamp;

    const SECOND: u64 = 1_000_000_000;

    fn tick(second: i64, wire_bytes: u64) -> Tick {
        let traffic = Traffic { packets: 1, wire_bytes };
        Tick {
            start: Timestamp::from_nanos(second * 1_000_000_000),
            nanos: SECOND,
            total: traffic,
            rows: HashMap::from([(RowId::Portless("arp"), traffic)]),
            dropped: 0,
        }
    }

    #[test]
    fn a_graph_is_the_last_minute_and_moves_by_whole_characters() {
        let mut history = History::default();
        assert_eq!(history.total(10), " ".repeat(10));
        for second in 0..120 {
            history.add(&tick(second, if second < 90 { 100 } else { 800 }));
        }
        assert_eq!(history.total(60), format!("{}{}", "▁".repeat(30), "▇".repeat(30)));
        assert_eq!(history.total(10), "▁▁▁▁▁▇▇▇▇▇");
        history.add(&tick(120, 800));
        assert_eq!(history.row(&RowId::Portless("arp"), 10), "▁▁▁▁▇▇▇▇▇▇", "a part of a character counts by its rate");
        assert_eq!(history.row(&RowId::Portless("icmp"), 10), " ".repeat(10));
        assert_eq!(history.total(0), "");
        assert_eq!(history.peak(), (800, SECOND));
    }

    #[test]
    fn gaps_are_blank_and_time_may_go_back() {
        let mut history = History::default();
        history.add(&tick(0, 8));
        history.add(&tick(40, 8));
        history.add(&tick(39, 4));
        assert_eq!(history.total(60).trim_start(), format!("▇{}▄▇", " ".repeat(38)));
        history.add(&tick(-100_000, 8));
        assert_eq!(history.total(60).trim_start(), "▇");
        history.add(&tick(i64::MAX / 1_000_000_000, 8));
        assert_eq!(history.total(60).trim_start(), "▇");
    }
}
