//! The counters of a histogram, as the packet path fills them.
//!
//! The buckets are those of an [`hdrhistogram::Histogram`] with two significant digits, so nothing is lost or moved when
//! one is made of them. Recording here takes a fifth of the instructions, and the counters an eighth of the memory that all
//! packets touch: they stay in the cache, where those of many services have to.

/// Significant decimal digits of a histogram: quantiles are within 1 %.
pub(super) const SIGNIFICANT_DIGITS: u8 = 2;

/// Buckets to each doubling of the value: with two digits, the least power of two that tells 100 steps apart.
const PER_DOUBLING: u64 = 128;

/// As many as 64 bits have: each value below 256 has one, and each of the 56 doublings from there has [`PER_DOUBLING`].
pub(super) const BUCKETS: usize = 58 * 128;

/// What a counter counts in, and begins anew when it is full.
type Counter = u16;

/// Counts by size. Up to 255 each value has a bucket; from there on, each doubling has [`PER_DOUBLING`] of them.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Buckets {
    /// As many as the largest value needs.
    counts: Vec<Counter>,
    /// What was in `counts` each time one of them was full; nothing as long as none was.
    carried: Vec<u64>,
}

impl Buckets {
    /// Counts a value, if it has a counter.
    #[inline(always)]
    pub fn add_to_counter(&mut self, value: u64) -> bool {
        let index = index(value);
        let Some(count) = self.counts.get_mut(index) else { return false };
        *count = count.wrapping_add(1);
        if *count == 0 {
            self.carry(index, 1 << Counter::BITS);
        }
        true
    }

    /// Counts a value.
    pub fn add(&mut self, value: u64) {
        self.add_to(index(value), 1);
    }

    fn add_to(&mut self, index: usize, times: u64) {
        if index >= self.counts.len() {
            self.counts.resize(index + 1, 0);
        }
        let sum = u64::from(self.counts[index]) + times % (1 << Counter::BITS);
        #[expect(clippy::cast_possible_truncation, reason = "what does not fit is carried")]
        let rest = sum as Counter;
        self.counts[index] = rest;
        let full = times - times % (1 << Counter::BITS) + sum - u64::from(rest);
        if full > 0 {
            self.carry(index, full);
        }
    }

    #[cold]
    fn carry(&mut self, index: usize, times: u64) {
        if index >= self.carried.len() {
            self.carried.resize(index + 1, 0);
        }
        self.carried[index] += times;
    }

    /// Counts all values of another.
    pub fn merge(&mut self, other: &Self) {
        for (index, times) in other.counted() {
            self.add_to(index, times);
        }
    }

    /// Forgets everything, and keeps the memory.
    pub fn clear(&mut self) {
        self.counts.fill(0);
        self.carried.clear();
    }

    /// The values that so many percent of all, in rising order, do not exceed, as [`Histogram::value_at_quantile`] tells them:
    /// the largest value of the bucket. Zero without any values.
    ///
    /// [`Histogram::value_at_quantile`]: hdrhistogram::Histogram::value_at_quantile
    pub fn percentiles<const N: usize>(&self, percents: [u8; N]) -> [u64; N] {
        let total: u64 = self.counted().map(|(_, times)| times).sum();
        let (mut found, mut seen, mut value, mut counted) = ([0; N], 0, 0, self.counted());
        for (percent, found) in percents.into_iter().zip(&mut found) {
            let rank = rank(total, percent);
            while seen < rank
                && let Some((index, times)) = counted.next()
            {
                (seen, value) = (seen + times, largest(index));
            }
            *found = value;
        }
        found
    }

    /// Each bucket that is not empty, by its smallest value, and how often that was counted.
    pub fn values(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.counted().map(|(index, times)| (smallest(index), times))
    }

    fn counted(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        let carried = self.carried.iter().copied().chain(std::iter::repeat(0));
        let sums = self.counts.iter().zip(carried).map(|(count, carried)| u64::from(*count) + carried);
        sums.enumerate().filter(|(_, times)| *times > 0)
    }
}

/// The nearest rank: the place, from 1 on, of the value that so many percent of `total` do not exceed.
pub(super) fn rank(total: u64, percent: u8) -> u64 {
    // in two parts, so that no product is too large
    (total / 100) * u64::from(percent) + (total % 100 * u64::from(percent)).div_ceil(100)
}

/// The largest value that has the bucket of `value`.
pub(super) fn rounded(value: u64) -> u64 {
    largest(index(value))
}

/// The bucket of a value.
#[inline]
pub(super) fn index(value: u64) -> usize {
    // doublings above the first 256 values, which have a bucket each
    let doublings = (value | (2 * PER_DOUBLING - 1)).ilog2() - PER_DOUBLING.ilog2();
    #[expect(clippy::cast_possible_truncation, reason = "at most 57 doublings of 128 buckets")]
    let index = (u64::from(doublings) * PER_DOUBLING + (value >> doublings)) as usize;
    index
}

/// The smallest value of a bucket.
pub(super) fn smallest(index: usize) -> u64 {
    let index = index as u64;
    let doublings = (index / PER_DOUBLING).saturating_sub(1);
    (index - doublings * PER_DOUBLING) << doublings
}

/// The largest value of a bucket.
pub(super) fn largest(index: usize) -> u64 {
    smallest(index + 1).wrapping_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hdrhistogram::Histogram;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn the_buckets_are_those_of_the_crate(values in prop::collection::vec((0..64u32).prop_flat_map(|bits| 0..=(u64::MAX >> 1 >> bits)), 1..200)) {
            let (mut buckets, mut histogram) = (Buckets::default(), Histogram::<u64>::new(SIGNIFICANT_DIGITS).expect("it is valid"));
            for value in &values {
                buckets.add(*value);
                histogram.record(*value).expect("it resizes");
            }
            let percents = [1, 50, 90, 99, 100];
            let quantiles = percents.map(|percent| histogram.value_at_quantile(f64::from(percent) / 100.0));
            prop_assert_eq!(buckets.percentiles(percents), quantiles);
            let recorded = histogram.iter_recorded().map(|bucket| (bucket.value_iterated_to(), bucket.count_at_value()));
            let counted = buckets.counted().map(|(index, times)| (largest(index), times));
            prop_assert_eq!(counted.collect::<Vec<_>>(), recorded.collect::<Vec<_>>());
        }

        #[test]
        fn a_bucket_begins_where_it_says(value in any::<u64>()) {
            let smallest = smallest(index(value));
            prop_assert!(smallest <= value && value - smallest <= value / PER_DOUBLING);
            prop_assert_eq!(index(smallest), index(value));
        }
    }

    #[test]
    fn a_full_counter_loses_nothing() {
        let full = 1 << Counter::BITS;
        let (mut counted, mut want) = (Buckets::default(), BTreeMap::new());
        for (value, times) in [(1000, full - 1), (5, 1), (1000, 1), (5, 3 * full), (1000, full - 1), (5, full - 1)] {
            if times < full {
                for _ in 0..times {
                    if !counted.add_to_counter(value) {
                        counted.add(value);
                    }
                }
            } else {
                counted.add_to(index(value), times);
            }
            *want.entry(smallest(index(value))).or_default() += times;
            assert_eq!(counted.values().collect::<BTreeMap<_, _>>(), want);
        }
        let mut twice = Buckets::default();
        twice.merge(&counted);
        twice.merge(&counted);
        for times in want.values_mut() {
            *times *= 2;
        }
        assert_eq!(twice.values().collect::<BTreeMap<_, _>>(), want);
        twice.clear();
        assert_eq!(twice.values().next(), None);
    }
}
