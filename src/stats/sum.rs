//! Distributions of reports, which are added up.

use super::buckets;
use super::hdr::{self, Bucket, HdrError};
use crate::snapshot::{Hdr, Shape, Summary};

/// A summary with its histogram: what [`Distribution`](super::Distribution) is to a run, this is to reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SummarySum {
    count: u64,
    sum: u64,
    min: u64,
    max: u64,
    /// Buckets that are not empty, in order; `None` where one of the reports had no room for a histogram.
    buckets: Option<Vec<Bucket>>,
}

/// Why a summary cannot be added to others.
#[derive(Debug, thiserror::Error)]
pub enum SummaryError {
    /// The report was made without histograms.
    #[error("has no hdr: make the report with --histograms")]
    LeftOut,
    /// Its histogram cannot be read.
    #[error("hdr: {0}")]
    Hdr(#[from] HdrError),
    /// Its own numbers contradict each other.
    #[error("count {count}, sum {sum}, min {min} and max {max} cannot be those of one distribution")]
    Impossible {
        /// Number of values.
        count: u64,
        /// Their sum.
        sum: u64,
        /// The smallest.
        min: u64,
        /// The largest.
        max: u64,
    },
    /// Its mean is another one than that of its sum.
    #[error("mean {mean} is not sum {sum} divided by count {count}")]
    Mean {
        /// What it says.
        mean: f64,
        /// Sum of the values.
        sum: u64,
        /// Number of values.
        count: u64,
    },
    /// Its percentiles fall, are not within its minimum and maximum, or not all there.
    #[error("percentiles {}, {} and {} cannot be those of values from {min} to {max}", shown(.percentiles[0]), shown(.percentiles[1]), shown(.percentiles[2]))]
    Percentiles {
        /// The 50th, 90th and 99th.
        percentiles: [Option<u64>; 3],
        /// The smallest value.
        min: u64,
        /// The largest.
        max: u64,
    },
    /// Its histogram is that of other values.
    #[error("hdr contradicts {what}")]
    Contradiction {
        /// The key that it contradicts.
        what: &'static str,
    },
}

fn shown(percentile: Option<u64>) -> String {
    percentile.map_or_else(|| "null".to_owned(), |value| value.to_string())
}

/// How far a mean may be from the one of the sum, as a part of it or, below one, in all: whoever reads a number may round it.
const MEAN_ERROR_MAX: f64 = 1e-9;

/// Holds the numbers of a summary against each other. Its histogram is not looked at.
///
/// # Errors
/// [`SummaryError::Impossible`], [`SummaryError::Mean`] or [`SummaryError::Percentiles`].
pub fn check_summary(summary: &Summary) -> Result<(), SummaryError> {
    let Summary { count, sum, min, max, mean, p50, p90, p99, .. } = *summary;
    if count == 0 || !is_between(sum, u128::from(count) * u128::from(min), u128::from(count) * u128::from(max)) {
        return Err(SummaryError::Impossible { count, sum, min, max });
    }
    let want = super::mean(sum, count, min, max);
    let is_mean = (mean - want).abs() <= MEAN_ERROR_MAX * want.max(1.0);
    if !is_mean {
        return Err(SummaryError::Mean { mean, sum, count });
    }
    let percentiles = [p50, p90, p99];
    let in_order = match percentiles {
        [None, None, None] => true,
        [Some(p50), Some(p90), Some(p99)] => [min, p50, p90, p99, max].is_sorted(),
        _ => false,
    };
    if in_order { Ok(()) } else { Err(SummaryError::Percentiles { percentiles, min, max }) }
}

/// A sum does not fit into 64 bits (a number of values, into 63).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("adding up goes beyond the largest number there is a place for")]
pub struct Overflow;

impl SummarySum {
    /// Reads the summary of a report, and holds its numbers against its histogram.
    ///
    /// # Errors
    /// See [`SummaryError`].
    pub fn read(summary: &Summary) -> Result<Self, SummaryError> {
        check_summary(summary)?;
        let Summary { count, sum, min, max, p50, p90, p99, .. } = *summary;
        let buckets = match &summary.hdr {
            Hdr::LeftOut => return Err(SummaryError::LeftOut),
            Hdr::Refused => None,
            Hdr::Encoded(text) => Some(hdr::decode(text)?),
        };
        let read = Self { count, sum, min, max, buckets };
        read.contradiction([p50, p90, p99]).map_or(Ok(read), |what| Err(SummaryError::Contradiction { what }))
    }

    /// The key that the histogram contradicts, given the 50th, 90th and 99th percentile.
    fn contradiction(&self, percentiles: [Option<u64>; 3]) -> Option<&'static str> {
        let buckets = self.buckets.as_deref()?;
        let total = |value: fn(u16) -> u64| {
            buckets.iter().map(|(bucket, count)| u128::from(value(*bucket)) * u128::from(*count)).sum::<u128>()
        };
        let place = |bucket: Option<&Bucket>| bucket.map(|(bucket, _)| usize::from(*bucket));
        let checks = [
            ("count", total(|_| 1) == self.count.into()),
            ("min", place(buckets.first()) == Some(buckets::index(self.min))),
            ("max", place(buckets.last()) == Some(buckets::index(self.max))),
            ("sum", is_between(self.sum, total(smallest), total(largest))),
            ("p50", percentiles[0] == self.percentile(50)),
            ("p90", percentiles[1] == self.percentile(90)),
            ("p99", percentiles[2] == self.percentile(99)),
        ];
        checks.into_iter().find(|(_, holds)| !holds).map(|(what, _)| what)
    }

    /// Adds the values of another report. Where that has no histogram, the sum has none.
    ///
    /// # Errors
    /// The sum is too large; then nothing is changed.
    pub fn add(&mut self, other: &Self) -> Result<(), Overflow> {
        let count = self.count.checked_add(other.count).filter(|count| i64::try_from(*count).is_ok());
        let sum = self.sum.checked_add(other.sum);
        (self.count, self.sum) = count.zip(sum).ok_or(Overflow)?;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.buckets = self.buckets.take().zip(other.buckets.as_deref()).map(|(own, other)| both(&own, other));
        Ok(())
    }

    /// How many buckets it holds: its memory, in units of 16 bytes.
    #[must_use]
    pub fn buckets(&self) -> usize {
        self.buckets.as_ref().map_or(0, Vec::len)
    }

    /// The summary, as a run that had all the values would report it.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let Self { count, sum, min, max, .. } = *self;
        let [p50, p90, p99] = [50, 90, 99].map(|percent| self.percentile(percent));
        let values = || Some(self.buckets.as_ref()?.iter().map(|(bucket, count)| (smallest(*bucket), *count)));
        let hdr = values().and_then(|values| hdr::encode(values, max)).map_or(Hdr::Refused, Hdr::Encoded);
        let shape = values().and_then(Shape::of);
        Summary { count, sum, min, mean: super::mean(sum, count, min, max), p50, p90, p99, max, hdr, shape }
    }

    fn percentile(&self, percent: u8) -> Option<u64> {
        let rank = buckets::rank(self.count, percent).max(1);
        let mut passed = 0;
        let found = self.buckets.as_ref()?.iter().find(|(_, count)| {
            passed += count;
            passed >= rank
        });
        found.map(|(bucket, _)| largest(*bucket).clamp(self.min, self.max))
    }
}

fn smallest(bucket: u16) -> u64 {
    buckets::smallest(bucket.into())
}

fn largest(bucket: u16) -> u64 {
    buckets::largest(bucket.into())
}

/// A sum is possible for values whose sum has these bounds. A run's sum stops at the largest number.
fn is_between(sum: u64, low: u128, high: u128) -> bool {
    low.min(u64::MAX.into()) <= sum.into() && u128::from(sum) <= high
}

/// The buckets of two histograms. The number of all values was looked at before: no counter is too large.
fn both(a: &[Bucket], b: &[Bucket]) -> Vec<Bucket> {
    let mut all: Vec<_> = a.iter().chain(b).copied().collect();
    // two runs that are in order, which this sort finds and merges
    all.sort_by_key(|(bucket, _)| *bucket);
    all.dedup_by(|next, kept| {
        let is_same = next.0 == kept.0;
        kept.1 += if is_same { next.1 } else { 0 };
        is_same
    });
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Detail, Distribution, HistogramBudget};
    use super::*;

    fn summary(values: &[u64]) -> Summary {
        let (mut distribution, mut budget) = (Distribution::default(), HistogramBudget::default());
        for value in values {
            distribution.record(*value, &mut budget);
        }
        distribution.summary_with(Detail { shapes: true, histograms: true }).expect("has values")
    }

    fn any_values() -> impl Strategy<Value = Vec<u64>> {
        prop::collection::vec((8..64_u32).prop_flat_map(|bits| 0..=u64::MAX >> bits), 1..80)
    }

    proptest! {
        #[test]
        fn a_sum_is_the_summary_of_all_values(parts in prop::collection::vec(any_values(), 1..5)) {
            let mut sums = parts.iter().map(|part| SummarySum::read(&summary(part)).expect("ours"));
            let mut sum = sums.next().expect("a part");
            sums.try_for_each(|other| sum.add(&other)).expect("no overflow");
            prop_assert_eq!(sum.summary(), summary(&parts.concat()));
        }
    }

    #[test]
    fn other_numbers_than_those_of_the_histogram_are_found() {
        let good = summary(&[100, 1000, 1001, 70_000]);
        let changed = |change: fn(&mut Summary)| {
            let mut changed = good.clone();
            change(&mut changed);
            SummarySum::read(&changed).expect_err("changed").to_string()
        };
        assert_eq!(changed(|s| (s.count, s.mean) = (5, 14_420.2)), "hdr contradicts count");
        assert_eq!(changed(|s| s.min = 101), "hdr contradicts min");
        assert_eq!(changed(|s| s.max = 80_000), "hdr contradicts max");
        assert_eq!(changed(|s| (s.sum, s.mean) = (73_500, 18_375.0)), "hdr contradicts sum");
        assert_eq!(changed(|s| s.p50 = Some(1001)), "hdr contradicts p50");
        assert_eq!(changed(|s| s.p90 = s.p50), "hdr contradicts p90");
        assert_eq!(
            changed(|s| s.p99 = s.p50),
            "percentiles 1003, 70000 and 1003 cannot be those of values from 100 to 70000"
        );
        assert_eq!(
            changed(|s| s.p99 = None),
            "percentiles 1003, 70000 and null cannot be those of values from 100 to 70000"
        );
        assert_eq!(changed(|s| (s.p50, s.p90, s.p99) = (None, None, None)), "hdr contradicts p50");
        assert_eq!(
            changed(|s| s.p50 = Some(99)),
            "percentiles 99, 70000 and 70000 cannot be those of values from 100 to 70000"
        );
        assert_eq!(changed(|s| s.mean = 100.0), "mean 100 is not sum 72101 divided by count 4");
        assert_eq!(changed(|s| s.mean = f64::NAN), "mean NaN is not sum 72101 divided by count 4");
        assert!(changed(|s| s.count = 0).starts_with("count 0, sum 72101, min 100 and max 70000 cannot be"));
        assert!(changed(|s| s.sum = 3).ends_with("cannot be those of one distribution"));
        assert_eq!(changed(|s| s.hdr = Hdr::LeftOut), "has no hdr: make the report with --histograms");
    }

    #[test]
    fn a_sum_of_one_that_was_refused_has_no_quantiles() {
        let mut sum = SummarySum::read(&summary(&[1, 2])).expect("ours");
        let refused = Summary { hdr: Hdr::Refused, ..summary(&[3]) };
        sum.add(&SummarySum::read(&refused).expect("it may be")).expect("no overflow");
        let summary = sum.summary();
        assert_eq!((summary.count, summary.sum, summary.max, summary.p50, summary.hdr), (3, 6, 3, None, Hdr::Refused));
    }

    #[test]
    fn no_sum_wraps() {
        let refused = |count, sum| {
            let mean = super::super::mean(sum, count, 0, u64::MAX);
            Summary { count, sum, min: 0, mean, max: u64::MAX, hdr: Hdr::Refused, ..summary(&[1]) }
        };
        for (count, sum) in [(u64::MAX, 1), (1, u64::MAX), (1 << 63, 1)] {
            let mut total = SummarySum::read(&refused(1, 1)).expect("possible");
            let before = total.clone();
            assert_eq!(total.add(&SummarySum::read(&refused(count, sum)).expect("possible")), Err(Overflow));
            assert_eq!(total, before);
        }
    }
}
