//! The counters of a histogram, as the packet path fills them.
//!
//! The buckets are those of an [`hdrhistogram::Histogram`] with two significant digits, so nothing is lost or moved when
//! one is made of them, which is what quantiles are read from. Recording here takes a fifth of the instructions, and the
//! counters a quarter of the memory: they stay in the cache.

use hdrhistogram::Histogram;

/// Significant decimal digits of a histogram: quantiles are within 1 %.
pub(super) const SIGNIFICANT_DIGITS: u8 = 2;

/// Buckets to each doubling of the value: with two digits, the least power of two that tells 100 steps apart.
const PER_DOUBLING: u64 = 128;

/// As many as 64 bits have: each value below 256 has one, and each of the 56 doublings from there has [`PER_DOUBLING`].
pub(super) const BUCKETS: usize = 58 * 128;

/// Counts by size. Up to 255 each value has a bucket; from there on, each doubling has [`PER_DOUBLING`] of them.
#[derive(Debug, Default)]
pub struct Buckets {
    /// As many as the largest value needs.
    counts: Vec<u32>,
    /// What was in `counts` whenever one of them was full.
    settled: Option<Box<Histogram<u64>>>,
}

impl Buckets {
    /// Counts a value, if it has a counter that is not full.
    #[inline(always)]
    pub fn add_to_counter(&mut self, value: u64) -> bool {
        match self.counts.get_mut(index(value)) {
            Some(count) if *count < u32::MAX => {
                *count += 1;
                true
            }
            _ => false,
        }
    }

    /// Counts a value.
    pub fn add(&mut self, value: u64) {
        self.add_many(value, 1);
    }

    #[inline]
    fn add_many(&mut self, value: u64, times: u32) {
        self.add_to(index(value), times);
    }

    #[inline]
    fn add_to(&mut self, index: usize, times: u32) {
        match self.counts.get_mut(index) {
            Some(count) if *count <= u32::MAX - times => *count += times,
            _ => self.make_room(index, times),
        }
    }

    #[cold]
    fn make_room(&mut self, index: usize, times: u32) {
        if index < self.counts.len() {
            self.settled = Some(Box::new(self.histogram()));
            self.counts.fill(0);
        } else {
            self.counts.resize(index + 1, 0);
        }
        self.counts[index] += times;
    }

    /// Counts all values of another.
    pub fn merge(&mut self, other: &Self) {
        for (index, count) in (0..).zip(&other.counts).filter(|(_, count)| **count > 0) {
            self.add_to(index, *count);
        }
        if let Some(other) = &other.settled {
            let mut sum = self.histogram();
            // both resize by themselves, which is all that could fail
            let added = sum.add(other.as_ref());
            debug_assert!(added.is_ok());
            self.counts.fill(0);
            self.settled = Some(Box::new(sum));
        }
    }

    /// Forgets everything, and keeps the memory.
    pub fn clear(&mut self) {
        self.counts.fill(0);
        self.settled = None;
    }

    /// The histogram of all that was counted.
    pub fn histogram(&self) -> Histogram<u64> {
        let mut histogram = self.settled.as_ref().map_or_else(empty, |settled| settled.as_ref().clone());
        for (value, count) in self.counted() {
            // it resizes by itself, which is all that could fail
            let recorded = histogram.record_n(value, count.into());
            debug_assert!(recorded.is_ok());
        }
        histogram
    }

    /// The values that so many percent of all, in rising order, do not exceed, as [`Histogram::value_at_quantile`] tells them:
    /// the largest value of the bucket. Zero without any values.
    pub fn percentiles<const N: usize>(&self, percents: [u8; N]) -> [u64; N] {
        if self.settled.is_some() {
            let histogram = self.histogram();
            return percents.map(|percent| histogram.value_at_quantile(f64::from(percent) / 100.0));
        }
        let total: u64 = self.counts.iter().copied().map(u64::from).sum();
        let (mut found, mut at, mut seen) = ([0; N], 0, 0);
        for (percent, found) in percents.into_iter().zip(&mut found) {
            let rank = rank(total, percent);
            while seen < rank {
                seen += u64::from(self.counts[at]);
                at += 1;
            }
            *found = at.checked_sub(1).map_or(0, largest);
        }
        found
    }

    /// Each value that was counted, as exactly as buckets are, and how often; a value may come twice.
    pub fn values(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let settled = self.settled.iter().flat_map(|settled| settled.iter_recorded());
        let settled = settled.map(|bucket| (bucket.value_iterated_to(), bucket.count_since_last_iteration()));
        settled.chain(self.counted().map(|(value, count)| (value, count.into())))
    }

    /// Each bucket that is not empty, by its smallest value.
    fn counted(&self) -> impl Iterator<Item = (u64, u32)> + '_ {
        let buckets = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        buckets.map(|(index, count)| (smallest(index), *count))
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

/// A histogram of nothing, which grows as it must.
fn empty() -> Histogram<u64> {
    match Histogram::new(SIGNIFICANT_DIGITS) {
        Ok(histogram) => histogram,
        // up to five digits are allowed
        Err(_) => unreachable!("two digits are a valid precision"),
    }
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
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_histogram_is_that_of_the_crate(values in prop::collection::vec((0..64u32).prop_flat_map(|bits| 0..=(u64::MAX >> 1 >> bits)), 1..200)) {
            let (mut buckets, mut histogram) = (Buckets::default(), empty());
            for value in &values {
                buckets.add(*value);
                histogram.record(*value).expect("it resizes");
            }
            let percents = [1, 50, 90, 99, 100];
            let quantiles = percents.map(|percent| histogram.value_at_quantile(f64::from(percent) / 100.0));
            prop_assert_eq!(buckets.percentiles(percents), quantiles);
            prop_assert_eq!(buckets.histogram(), histogram);
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
        let mut buckets = Buckets::default();
        buckets.add_many(1000, u32::MAX);
        buckets.add(1000);
        buckets.add(5);
        let mut other = Buckets::default();
        other.merge(&buckets);
        for counted in [buckets, other] {
            let histogram = counted.histogram();
            assert_eq!((histogram.len(), histogram.count_at(1000), histogram.count_at(5)), ((1 << 32) + 1, 1 << 32, 1));
        }
    }
}
