//! The distribution of a quantity: exact where that is cheap, a histogram where it is not.

use super::buckets::{self, Buckets};
use super::{Detail, hdr};
use crate::snapshot::{Hdr, Shape, Summary};

/// How many values are kept as they are before a histogram takes over.
const FEW: usize = 32;

/// How many histograms a run may hold. Each takes 1 to 9 kB, by the range of its values, and four times as much again where
/// values come more than 65,535 times.
const MAX_HISTOGRAMS: usize = 4096;

/// The memory set aside for histograms, by number. A scan of every port would take half a gigabyte without it.
#[derive(Debug)]
pub struct HistogramBudget {
    left: usize,
    refused: u64,
}

impl Default for HistogramBudget {
    fn default() -> Self {
        Self { left: MAX_HISTOGRAMS, refused: 0 }
    }
}

impl HistogramBudget {
    /// How many distributions had to do without a histogram.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// How many there is room for; any number where there is room for none, as then nobody gets one.
    pub(super) fn left_or_none(&self) -> usize {
        if self.left == 0 { usize::MAX } else { self.left }
    }

    fn take(&mut self) -> bool {
        let granted = self.left > 0;
        if granted {
            self.left -= 1;
        } else {
            self.refused += 1;
        }
        granted
    }
}

/// Count, sum, minimum and maximum of some values, exact, and their quantiles.
///
/// What each value touches is in the first of two cache lines.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Distribution {
    /// Wide enough that it needs no look at whether it is full.
    sum: u128,
    count: u64,
    min: u64,
    max: u64,
    /// Without any counters as long as they are not in use: so one look tells whether a value has its counter.
    buckets: Buckets,
    held: Held,
}

const _: () =
    assert!(std::mem::offset_of!(Distribution, buckets) == 40, "the counters are found through the first line");

/// What quantiles are read from.
#[derive(Debug)]
enum Held {
    /// The values themselves.
    Few(Vec<u64>),
    /// Too many for that: the buckets.
    Many,
    /// Too many for that, and no room for a histogram.
    Refused,
}

impl Default for Distribution {
    fn default() -> Self {
        Self { count: 0, sum: 0, min: u64::MAX, max: 0, buckets: Buckets::default(), held: Held::Few(Vec::new()) }
    }
}

impl Distribution {
    /// A distribution that never asks for a histogram.
    pub(super) fn without_quantiles() -> Self {
        Self { held: Held::Refused, ..Self::default() }
    }

    /// Adds a value.
    #[inline(always)]
    pub fn record(&mut self, value: u64, budget: &mut HistogramBudget) {
        self.count += 1;
        self.sum += u128::from(value);
        if value < self.min || value > self.max {
            self.widen(value);
        }
        if !self.buckets.add_to_counter(value) {
            self.hold(value, budget);
        }
    }

    #[cold]
    fn widen(&mut self, value: u64) {
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    /// Keeps a value that has no counter yet.
    #[inline(never)]
    fn hold(&mut self, value: u64, budget: &mut HistogramBudget) {
        match &mut self.held {
            Held::Few(values) if values.len() < FEW => values.push(value),
            Held::Few(_) => {
                self.promote(budget);
                if matches!(self.held, Held::Many) {
                    self.buckets.add(value);
                }
            }
            Held::Many => self.buckets.add(value),
            Held::Refused => {}
        }
    }

    /// Adds all values of another distribution.
    pub fn merge(&mut self, other: &Self, budget: &mut HistogramBudget) {
        self.count += other.count;
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        match &other.held {
            Held::Few(values) => {
                if matches!(&self.held, Held::Few(own) if own.len() + values.len() > FEW) {
                    self.promote(budget);
                }
                match &mut self.held {
                    Held::Few(own) => own.extend(values),
                    Held::Many => {
                        for value in values {
                            self.buckets.add(*value);
                        }
                    }
                    Held::Refused => {}
                }
            }
            Held::Many => {
                if matches!(self.held, Held::Few(_)) {
                    self.promote(budget);
                }
                if matches!(self.held, Held::Many) {
                    self.buckets.merge(&other.buckets);
                }
            }
            Held::Refused => self.give_back(budget, Held::Refused),
        }
    }

    /// Forgets the values. A histogram that was in use is kept for the next ones, one that was not is given back.
    pub fn clear(&mut self, budget: &mut HistogramBudget) {
        match &mut self.held {
            Held::Few(values) => values.clear(),
            Held::Many if self.count > 0 => self.buckets.clear(),
            Held::Many | Held::Refused => self.give_back(budget, Held::Few(Vec::new())),
        }
        (self.count, self.sum, self.min, self.max) = (0, 0, u64::MAX, 0);
    }

    /// From plain values to a histogram of them.
    #[cold]
    fn promote(&mut self, budget: &mut HistogramBudget) {
        self.held = match std::mem::replace(&mut self.held, Held::Refused) {
            Held::Few(values) if budget.take() => {
                for value in values {
                    self.buckets.add(value);
                }
                Held::Many
            }
            _ => Held::Refused,
        };
    }

    fn give_back(&mut self, budget: &mut HistogramBudget, held: Held) {
        if matches!(self.held, Held::Many) {
            budget.left += 1;
            self.buckets = Buckets::default();
        }
        self.held = held;
    }

    /// How many values there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// There are no values.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The summary; `None` without values.
    #[must_use]
    pub fn summary(&self) -> Option<Summary> {
        if self.count == 0 {
            return None;
        }
        let [p50, p90, p99] = self.percentiles([50, 90, 99]);
        let sum = u64::try_from(self.sum).unwrap_or(u64::MAX);
        Some(Summary {
            count: self.count,
            sum,
            min: self.min,
            mean: super::mean(sum, self.count, self.min, self.max),
            p50,
            p90,
            p99,
            max: self.max,
            hdr: Hdr::LeftOut,
            shape: None,
        })
    }

    /// The summary, and beyond it what is asked for.
    #[must_use]
    pub fn summary_with(&self, detail: Detail) -> Option<Summary> {
        let mut summary = self.summary()?;
        if detail.shapes {
            summary.shape = match &self.held {
                Held::Few(values) => Shape::of(values.iter().map(|value| (*value, 1))),
                Held::Many => Shape::of(self.buckets.values()),
                Held::Refused => None,
            };
        }
        if detail.histograms {
            let text = match &self.held {
                Held::Few(values) => hdr::encode(values.iter().map(|value| (*value, 1)), self.max),
                Held::Many => hdr::encode(self.buckets.values(), self.max),
                Held::Refused => None,
            };
            summary.hdr = text.map_or(Hdr::Refused, Hdr::Encoded);
        }
        Some(summary)
    }

    /// Few values are rounded as a histogram rounds them: quantiles are the same however values came together.
    fn percentiles<const N: usize>(&self, percents: [u8; N]) -> [Option<u64>; N] {
        let clamped = |value: u64| Some(value.clamp(self.min, self.max));
        match &self.held {
            Held::Few(values) => {
                let (mut sorted, len) = ([0; FEW], values.len());
                sorted[..len].copy_from_slice(values);
                sorted[..len].sort_unstable();
                percents.map(|percent| {
                    let rank = buckets::rank(len as u64, percent).max(1);
                    let value = sorted[..len].iter().zip(1..).find(|(_, at)| *at == rank);
                    value.and_then(|(value, _)| clamped(buckets::rounded(*value)))
                })
            }
            Held::Many => self.buckets.percentiles(percents).map(clamped),
            Held::Refused => [None; N],
        }
    }
}

#[cfg(test)]
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "means of whole numbers"
)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn distribution(values: &[u64], budget: &mut HistogramBudget) -> Distribution {
        let mut distribution = Distribution::default();
        for value in values {
            distribution.record(*value, budget);
        }
        distribution
    }

    /// The value at a nearest rank.
    fn exact(values: &[u64], percent: usize) -> u64 {
        let mut sorted = values.to_vec();
        sorted.sort_unstable();
        sorted[(sorted.len() * percent).div_ceil(100) - 1]
    }

    proptest! {
        #[test]
        fn quantiles_are_within_one_percent(values in prop::collection::vec(0..u64::MAX / 4, 1..200)) {
            let summary = distribution(&values, &mut HistogramBudget::default()).summary().expect("has values");
            prop_assert_eq!(summary.count, values.len() as u64);
            prop_assert_eq!(Some(&summary.min), values.iter().min());
            prop_assert_eq!(Some(&summary.max), values.iter().max());
            for (percent, got) in [(50, summary.p50), (90, summary.p90), (99, summary.p99)] {
                let (got, want) = (got.expect("within budget"), exact(&values, percent));
                prop_assert!(got.abs_diff(want) <= want / 100, "p{}: {} for {}", percent, got, want);
                prop_assert!((summary.min..=summary.max).contains(&got));
            }
        }

        /// As the numbers are written, and as they are to readers whose numbers all have fractions.
        #[test]
        fn means_are_within_their_values(
            bits in 50..61_u32,
            offset in 0..1_u64 << 49,
            beyond in prop::collection::vec(prop_oneof![Just(0), 0..4_u64, 0..10_000_u64], 1..8),
        ) {
            let values: Vec<_> = beyond.iter().map(|beyond| (1 << bits) + offset + beyond).collect();
            let Summary { min, mean, max, .. } = distribution(&values, &mut HistogramBudget::default()).summary().expect("has values");
            let real = |value: u64| value as f64;
            prop_assert!(real(min) <= mean && mean <= real(max), "{} <= {} <= {}", min, mean, max);
            // numbers of this size have no fraction, and are at most 256 apart
            let exact = mean as u64;
            prop_assert!(max - min < 256 && bits >= 53 || min <= exact && mean <= real(exact + 1) && exact <= max, "{} <= {} <= {}", min, mean, max);
        }

        #[test]
        fn merging_is_recording_all(a in prop::collection::vec(0..1_000_000u64, 0..100), b in prop::collection::vec(0..1_000_000u64, 0..100)) {
            let mut budget = HistogramBudget::default();
            let mut merged = distribution(&a, &mut budget);
            merged.merge(&distribution(&b, &mut budget), &mut budget);
            let all = distribution(&[a, b].concat(), &mut budget);
            prop_assert_eq!(merged.summary(), all.summary());
        }
    }

    #[test]
    fn nothing_has_no_summary() {
        assert_eq!(Distribution::default().summary(), None);
    }

    #[test]
    fn without_budget_only_quantiles_are_missing() {
        let mut budget = HistogramBudget { left: 1, refused: 0 };
        let values: Vec<u64> = (1..=40).collect();
        let mut first = distribution(&values, &mut budget);
        let second = distribution(&values, &mut budget);
        assert_eq!(budget.refused(), 1);
        let summary = second.summary().expect("has values");
        assert_eq!((summary.count, summary.sum, summary.min, summary.max, summary.p50), (40, 820, 1, 40, None));
        // cleared while in use it keeps its histogram, cleared while not it gives it back
        first.clear(&mut budget);
        assert_eq!(budget.left, 0);
        first.clear(&mut budget);
        assert_eq!(budget.left, 1);
        assert_eq!(distribution(&values, &mut budget).summary().and_then(|s| s.p50), Some(20));
    }
}
