//! The distribution of a quantity: exact where that is cheap, a histogram where it is not.

use hdrhistogram::Histogram;

use crate::snapshot::Summary;

/// How many values are kept as they are before a histogram takes over.
const FEW: usize = 32;

/// How many histograms a run may hold. Each takes 10 to 40 kB, by the range of its values.
const MAX_HISTOGRAMS: usize = 2048;

/// Significant decimal digits of a histogram: quantiles are within 1 %.
const SIGNIFICANT_DIGITS: u8 = 2;

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

    fn histogram(&mut self) -> Option<Box<Histogram<u64>>> {
        let histogram = if self.left == 0 { None } else { Histogram::new(SIGNIFICANT_DIGITS).ok() };
        match histogram {
            Some(_) => self.left -= 1,
            None => self.refused += 1,
        }
        histogram.map(Box::new)
    }
}

/// Count, sum, minimum and maximum of some values, exact, and their quantiles.
#[derive(Debug)]
pub struct Distribution {
    count: u64,
    sum: u64,
    min: u64,
    max: u64,
    shape: Shape,
}

/// What quantiles are read from.
#[derive(Debug)]
enum Shape {
    /// The values themselves.
    Few(Vec<u64>),
    /// Too many for that.
    Many(Box<Histogram<u64>>),
    /// Too many for that, and no room for a histogram.
    Refused,
}

impl Default for Distribution {
    fn default() -> Self {
        Self { count: 0, sum: 0, min: u64::MAX, max: 0, shape: Shape::Few(Vec::new()) }
    }
}

impl Distribution {
    /// Adds a value.
    pub fn record(&mut self, value: u64, budget: &mut HistogramBudget) {
        self.count += 1;
        self.sum = self.sum.saturating_add(value);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        match &mut self.shape {
            Shape::Many(histogram) => add(histogram, value),
            Shape::Few(values) if values.len() < FEW => values.push(value),
            Shape::Few(_) => {
                self.promote(budget);
                if let Shape::Many(histogram) = &mut self.shape {
                    add(histogram, value);
                }
            }
            Shape::Refused => {}
        }
    }

    /// Adds all values of another distribution.
    pub fn merge(&mut self, other: &Self, budget: &mut HistogramBudget) {
        self.count += other.count;
        self.sum = self.sum.saturating_add(other.sum);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        match &other.shape {
            Shape::Few(values) => {
                if matches!(&self.shape, Shape::Few(own) if own.len() + values.len() > FEW) {
                    self.promote(budget);
                }
                match &mut self.shape {
                    Shape::Few(own) => own.extend(values),
                    Shape::Many(histogram) => {
                        for value in values {
                            add(histogram, *value);
                        }
                    }
                    Shape::Refused => {}
                }
            }
            Shape::Many(values) => {
                if matches!(self.shape, Shape::Few(_)) {
                    self.promote(budget);
                }
                if let Shape::Many(histogram) = &mut self.shape {
                    let added = histogram.add(values.as_ref());
                    debug_assert!(added.is_ok(), "both resize by themselves");
                }
            }
            Shape::Refused => self.give_back(budget, Shape::Refused),
        }
    }

    /// Forgets the values. A histogram that was in use is kept for the next ones, one that was not is given back.
    pub fn clear(&mut self, budget: &mut HistogramBudget) {
        match &mut self.shape {
            Shape::Few(values) => values.clear(),
            Shape::Many(histogram) if self.count > 0 => histogram.reset(),
            Shape::Many(_) | Shape::Refused => self.give_back(budget, Shape::Few(Vec::new())),
        }
        (self.count, self.sum, self.min, self.max) = (0, 0, u64::MAX, 0);
    }

    /// From plain values to a histogram of them.
    fn promote(&mut self, budget: &mut HistogramBudget) {
        let histogram = budget.histogram();
        self.shape = match (std::mem::replace(&mut self.shape, Shape::Refused), histogram) {
            (Shape::Few(values), Some(mut histogram)) => {
                for value in values {
                    add(&mut histogram, value);
                }
                Shape::Many(histogram)
            }
            _ => Shape::Refused,
        };
    }

    fn give_back(&mut self, budget: &mut HistogramBudget, shape: Shape) {
        if matches!(self.shape, Shape::Many(_)) {
            budget.left += 1;
        }
        self.shape = shape;
    }

    /// The summary; `None` without values.
    #[must_use]
    pub fn summary(&self) -> Option<Summary> {
        if self.count == 0 {
            return None;
        }
        let sorted = match &self.shape {
            Shape::Few(values) => {
                let mut sorted = values.clone();
                sorted.sort_unstable();
                sorted
            }
            Shape::Many(_) | Shape::Refused => Vec::new(),
        };
        let percentile = |percent: usize| match &self.shape {
            // the nearest rank: the smallest value that `percent` of all do not exceed
            Shape::Few(_) => sorted.get((sorted.len() * percent).div_ceil(100) - 1).copied(),
            #[expect(clippy::cast_precision_loss, reason = "a percentage")]
            Shape::Many(histogram) => {
                Some(histogram.value_at_quantile(percent as f64 / 100.0).clamp(self.min, self.max))
            }
            Shape::Refused => None,
        };
        #[expect(clippy::cast_precision_loss, reason = "a mean is a real number")]
        let mean = self.sum as f64 / self.count as f64;
        Some(Summary {
            count: self.count,
            sum: self.sum,
            min: self.min,
            mean,
            p50: percentile(50),
            p90: percentile(90),
            p99: percentile(99),
            max: self.max,
        })
    }
}

fn add(histogram: &mut Histogram<u64>, value: u64) {
    // it fails only where it may not grow, and ours may
    let recorded = histogram.record(value);
    debug_assert!(recorded.is_ok(), "{value}: {recorded:?}");
}

#[cfg(test)]
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
