//! Axes with round numbers: of time, of values from zero, and of sizes by their logarithm.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

use super::super::super::human;
use crate::units::Timestamp;

/// Seconds of which a time axis has a line each, so many as give it few enough lines.
const TIME_STEPS_SECONDS: [f64; 36] = [
    0.000_001,
    0.000_01,
    0.000_1,
    0.001,
    0.01,
    0.1,
    0.2,
    0.5,
    1.0,
    2.0,
    5.0,
    10.0,
    15.0,
    30.0,
    60.0,
    120.0,
    300.0,
    600.0,
    1_200.0,
    1_800.0,
    3_600.0,
    7_200.0,
    10_800.0,
    21_600.0,
    43_200.0,
    86_400.0,
    172_800.0,
    604_800.0,
    2_592_000.0,
    31_536_000.0,
    315_360_000.0,
    630_720_000.0,
    1_576_800_000.0,
    3_153_600_000.0,
    6_307_200_000.0,
    15_768_000_000.0,
];

/// Time from an instant on, in seconds.
#[derive(Clone, Debug)]
pub(super) struct TimeAxis {
    start: Timestamp,
    range: Range<f64>,
    /// Seconds between two lines.
    step: f64,
}

impl TimeAxis {
    /// From `start` plus `range` (seconds), with at most about `lines` lines.
    pub(super) fn new(start: Timestamp, range: Range<f64>, lines: f64) -> Self {
        let least = (range.end - range.start) / lines;
        let longest = TIME_STEPS_SECONDS[TIME_STEPS_SECONDS.len() - 1];
        let step = TIME_STEPS_SECONDS.into_iter().find(|step| *step >= least).unwrap_or(longest);
        Self { start, range, step }
    }
}

impl Ranged for TimeAxis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        linear(*value, &self.range, limit)
    }

    /// Multiples of the step since the epoch, so that lines move with the time they are of.
    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        let epoch = seconds(self.start);
        let first = ((epoch + self.range.start) / self.step).ceil();
        let lines = (0..u32::try_from(hint.max_num_points().max(64)).unwrap_or(64)).map(f64::from);
        let at = lines.map(|line| (first + line) * self.step - epoch);
        at.take_while(|at| *at <= self.range.end).collect()
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

impl ValueFormatter<f64> for TimeAxis {
    fn format_ext(&self, value: &f64) -> String {
        let text = at(self.start, *value, self.step).to_string();
        // 2026-01-31T10:00:05.000000000Z
        let part = match self.step {
            step if step >= 86_400.0 => 0..10,
            // on which day, if there are several
            step if step >= 60.0 && self.range.end - self.range.start > 86_400.0 => 5..16,
            step if step >= 60.0 => 11..16,
            step if step >= 1.0 => 11..19,
            step if step >= 0.001 => 11..23,
            _ => 11..26,
        };
        text.get(part).unwrap_or_default().replace('T', " ")
    }
}

/// Seconds since the epoch.
#[expect(clippy::cast_precision_loss, reason = "it is for pixels")]
fn seconds(ts: Timestamp) -> f64 {
    ts.as_nanos() as f64 / 1e9
}

/// The time of a line, which is a round one: seconds since the epoch are known to less than a microsecond, and a line at
/// 16:00 is not to say 15:59.
#[expect(clippy::cast_possible_truncation, reason = "it saturates")]
fn at(start: Timestamp, seconds: f64, step: f64) -> Timestamp {
    let nanos = i128::from(start.as_nanos()) + (seconds * 1e9).round() as i128;
    let round = match step {
        step if step >= 1.0 => 1_000_000,
        step if step >= 0.001 => 1_000,
        _ => 1,
    };
    Timestamp::from_wide_nanos((nanos + round / 2).div_euclid(round) * round)
}

/// Values from zero up, with lines at multiples of 1, 2 or 5 times a power of ten, and room above the largest.
#[derive(Clone, Debug)]
pub(super) struct ValueAxis {
    end: f64,
    step: f64,
    format: fn(f64) -> String,
}

impl ValueAxis {
    /// From zero to at least `largest`, with about `lines` lines.
    pub(super) fn new(largest: f64, lines: f64, format: fn(f64) -> String) -> Self {
        let least = if largest > 0.0 { largest / lines } else { 1.0 / lines };
        let power = 10f64.powf(least.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|times| times * power).find(|step| *step >= least);
        let step = step.unwrap_or(10.0 * power);
        Self { end: (largest / step).ceil().max(1.0) * step, step, format }
    }

    /// The same for whole numbers, which have no lines between them.
    pub(super) fn of_counts(largest: f64, lines: f64, format: fn(f64) -> String) -> Self {
        Self::new(largest.max(lines), lines, format)
    }

    /// The upper end.
    pub(super) fn end(&self) -> f64 {
        self.end
    }
}

impl Ranged for ValueAxis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        linear(*value, &self.range(), limit)
    }

    fn key_points<Hint: KeyPointHint>(&self, _hint: Hint) -> Vec<f64> {
        let lines = (0..32).map(|line| f64::from(line) * self.step);
        lines.take_while(|at| *at <= self.end * 1.000_001).collect()
    }

    fn range(&self) -> Range<f64> {
        0.0..self.end
    }
}

impl ValueFormatter<f64> for ValueAxis {
    fn format_ext(&self, value: &f64) -> String {
        (self.format)(*value)
    }
}

/// Whole numbers by the logarithm of one more than they are, so that zero has a place.
#[derive(Clone, Debug)]
pub(super) struct LogAxis {
    range: Range<f64>,
    lines: Vec<u64>,
    format: fn(u64) -> String,
}

impl LogAxis {
    /// From `first` to `end`, with a line at those of `lines` that lie between, `max_lines` of them at most.
    pub(super) fn new(first: u64, end: u64, lines: &[u64], max_lines: usize, format: fn(u64) -> String) -> Self {
        let range = place(first)..place(end);
        let mut lines: Vec<_> = lines.iter().copied().filter(|line| (first..=end).contains(line)).collect();
        let every = lines.len().div_ceil(max_lines.max(1)).max(1);
        lines = lines.into_iter().step_by(every).collect();
        Self { range, lines, format }
    }
}

/// Where a value stands on a [`LogAxis`].
#[expect(clippy::cast_precision_loss, reason = "it is for pixels")]
pub(super) fn place(value: u64) -> f64 {
    (value as f64 + 1.0).log2()
}

impl Ranged for LogAxis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        linear(*value, &self.range, limit)
    }

    fn key_points<Hint: KeyPointHint>(&self, _hint: Hint) -> Vec<f64> {
        self.lines.iter().map(|line| place(*line)).collect()
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

impl ValueFormatter<f64> for LogAxis {
    fn format_ext(&self, value: &f64) -> String {
        let line = self.lines.iter().find(|line| (place(**line) - value).abs() < 1e-9);
        line.map(|line| (self.format)(*line)).unwrap_or_default()
    }
}

/// The pixel of a value.
#[expect(clippy::cast_possible_truncation, reason = "pixels of a canvas")]
fn linear(value: f64, range: &Range<f64>, limit: (i32, i32)) -> i32 {
    let part = (value - range.start) / (range.end - range.start).max(f64::MIN_POSITIVE);
    limit.0 + (part.clamp(0.0, 1.0) * f64::from(limit.1 - limit.0)).round() as i32
}

/// A value without a unit, as short as a line's label should be: `0`, `2e-6`, `0.05`, `250`, `2.5 k`.
pub(super) fn short(value: f64) -> String {
    if value > 0.0 && value < 1.0 {
        // lines are at multiples of what binary fractions come close to
        let text = format!("{value:.2e}");
        let rounded: f64 = text.parse().unwrap_or(value);
        return if rounded < 0.001 { format!("{rounded:e}") } else { rounded.to_string() };
    }
    let (mut scaled, mut prefix) = (value, "");
    for next in ["k", "M", "G", "T", "P", "E"] {
        if scaled < 1_000.0 {
            break;
        }
        (scaled, prefix) = (scaled / 1_000.0, next);
    }
    let number = format!("{scaled:.2}");
    let number = number.trim_end_matches('0').trim_end_matches('.');
    if prefix.is_empty() { number.to_owned() } else { format!("{number} {prefix}") }
}

/// A time in microseconds, without a fraction of zero: `1 ms`, `2.5 s`.
pub(super) fn micros(micros: u64) -> String {
    human::micros(micros).replace(".0 ", " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_short() {
        let cases = [
            (0.0, "0"),
            (3.0 * 0.1, "0.3"),
            (3.0 * 0.05, "0.15"),
            (3.0 * 0.01, "0.03"),
            (6.0 * 0.000_001, "6e-6"),
            (1.0, "1"),
            (250.0, "250"),
            (2_500.0, "2.5 k"),
        ];
        for (value, want) in cases {
            assert_eq!(short(value), want, "{value}");
        }
    }

    #[test]
    fn lines_are_at_round_times() {
        let start = Timestamp::from_nanos(1_789_999_999_000_000_123);
        let axis = TimeAxis::new(start, 0.0..80_000.0, 12.0);
        let points = axis.key_points(plotters::coord::ranged1d::BoldPoints(64));
        let labels: Vec<_> = points.iter().map(|point| axis.format_ext(point)).collect();
        assert!(labels.len() > 8 && labels.iter().all(|label| label.ends_with(":00")), "{labels:?}");
    }

    #[test]
    fn centuries_have_lines_that_do_not_touch() {
        // all that a timestamp can be, on a telephone and on a wide screen
        let range = 0.0..18_446_744_073.0;
        for lines in [2.4, 12.0, 24.0] {
            let axis = TimeAxis::new(Timestamp::from_nanos(i64::MIN), range.clone(), lines);
            let points = axis.key_points(plotters::coord::ranged1d::BoldPoints(64));
            assert!(!points.is_empty() && points.len() <= 25, "{lines}: {points:?}");
            assert!(range.end / axis.step <= lines, "{lines}: {}", axis.step);
        }
    }
}
