//! How many values there are of each size, with percentiles marked.

use plotters::prelude::{AreaSeries, ChartBuilder, Color as _, IntoFont as _, PathElement, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use serde::Serialize;

use super::axes::{LogAxis, ValueAxis, micros, place, short};
use super::{GRID_COLOR, MARK_COLOR, Measure, Plot, ROW_COLORS, SCALE, TEXT_COLOR, svg};
use crate::snapshot::Summary;

/// Sizes that have a line, in bytes.
const BYTE_LINES: [u64; 14] =
    [0, 64, 128, 256, 512, 1_024, 1_514, 4_096, 9_000, 16_384, 65_536, 1 << 20, 1 << 24, 1 << 28];

/// Times that have a line, in microseconds.
const TIME_LINES: [u64; 15] = [
    0,
    10,
    100,
    1_000,
    10_000,
    100_000,
    1_000_000,
    10_000_000,
    60_000_000,
    600_000_000,
    3_600_000_000,
    21_600_000_000,
    86_400_000_000,
    864_000_000_000,
    8_640_000_000_000,
];

/// Pixels of the screen that the label of a percentile takes: two that are closer share one.
const LABEL_PX: i32 = 30;

/// What the chart shows, for the script.
#[derive(Serialize)]
struct Data {
    chart: &'static str,
    measure: &'static str,
    plot: Plot,
    /// Each step: its smallest value, its largest, how many values it has, and where it lies in the canvas.
    steps: Vec<(u64, u64, u64, i32, i32)>,
}

/// Draws the chart; `None` where the summary has no shape.
pub(super) fn draw(summary: &Summary, measure: Measure, width_px: u16) -> Option<String> {
    let steps: Vec<_> = summary.shape.as_ref()?.steps().collect();
    let (first, last) = (steps.first()?.0, steps.last()?.0);
    let end = end_of(last);
    let title = match measure {
        Measure::PacketSize => "Packets by their size in bytes",
        Measure::RoundTrip => "Handshakes by their round trip",
        Measure::Gap => "Packets by the time since the one before in their flow",
        Measure::FlowDuration => "Flows by their duration",
    };
    svg(width_px, 170, title, |canvas| {
        let largest = steps.iter().map(|(_, count)| float(*count)).fold(0.0, f64::max);
        let (lines, format): (&[u64], fn(u64) -> String) =
            if measure.is_time() { (&TIME_LINES, micros) } else { (&BYTE_LINES, |bytes| bytes.to_string()) };
        // a narrow distribution lies between round numbers: then the steps have lines
        let ends: Vec<_> = steps.iter().map(|(low, _)| *low).chain([end]).collect();
        let is_wide = lines.iter().filter(|line| (first..=end).contains(*line)).count() > 2;
        let x = LogAxis::new(first, end, if is_wide { lines } else { &ends }, usize::from(width_px / 64), format);
        let y = ValueAxis::of_counts(largest, 3.0, short);
        let top = y.end();
        let scale = i32::from(SCALE);
        let mut builder = ChartBuilder::on(canvas);
        builder.margin_top(20 * scale).margin_right(20 * scale).x_label_area_size(24 * scale);
        let mut chart = builder.y_label_area_size(44 * scale).build_cartesian_2d(x, y).ok()?;
        let label = ("sans-serif", 14 * scale).into_font().color(&TEXT_COLOR);
        let mut mesh = chart.configure_mesh();
        mesh.disable_x_mesh().max_light_lines(0).light_line_style(GRID_COLOR.mix(0.0)).label_style(label.clone());
        mesh.bold_line_style(GRID_COLOR.stroke_width(2)).axis_style(GRID_COLOR.stroke_width(2)).draw().ok()?;
        chart.draw_series(AreaSeries::new(outline(&steps, top), 0.0, ROW_COLORS[0].filled())).ok()?;
        let (xs, ys) = chart.plotting_area().get_pixel_range();
        let (width, height) = canvas.dim_in_pixel();
        let pixel = |value: u64| chart.backend_coord(&(place(value), 0.0)).0;
        let data = Data {
            chart: "histogram",
            measure: measure.name(),
            plot: Plot { left: xs.start, top: ys.start, right: xs.end, bottom: ys.end, width, height },
            steps: steps
                .iter()
                .map(|(low, count)| (*low, end_of(*low) - 1, *count, pixel(*low), pixel(end_of(*low))))
                .collect(),
        };
        let percentiles = [("p50", summary.p50), ("p90", summary.p90), ("p99", summary.p99)];
        let percentiles = percentiles.map(|(name, value)| value.map(|value| (name, value, pixel(value))));
        let mut labels: Vec<(i32, i32, String)> = Vec::new();
        for (name, value, at) in percentiles.into_iter().flatten() {
            let line = PathElement::new([(place(value), 0.0), (place(value), top)], MARK_COLOR.stroke_width(2));
            chart.draw_series([line]).ok()?;
            match labels.last_mut() {
                Some((_, right, text)) if at - *right < LABEL_PX * scale => {
                    *text = format!("{text} {name}");
                    *right = at;
                }
                _ => labels.push((at, at, name.to_owned())),
            }
        }
        for (left, right, text) in labels {
            let middle = i32::midpoint(left, right);
            let half = i32::try_from(text.len()).unwrap_or(0) * 4 * scale;
            let middle = middle.clamp(xs.start + half, (xs.end - half).max(xs.start + half));
            let style = label.clone().pos(Pos::new(HPos::Center, VPos::Bottom));
            canvas.draw(&Text::new(text, (middle, ys.start - 3 * scale), style)).ok()?;
        }
        Some(data)
    })
}

/// A bar for each step, with a gap between two. The least that is not nothing is visible.
fn outline(steps: &[(u64, u64)], top: f64) -> Vec<(f64, f64)> {
    let bar = |(low, count): &(u64, u64)| {
        let (left, right) = (place(*low), place(end_of(*low)));
        let gap = (right - left) * 0.06;
        let height = if *count == 0 { 0.0 } else { float(*count).max(top * 0.012) };
        [(left + gap, 0.0), (left + gap, height), (right - gap, height), (right - gap, 0.0)]
    };
    steps.iter().filter(|(_, count)| *count > 0).flat_map(bar).collect()
}

/// Where the step that begins with `low` ends: see [`Shape`](crate::snapshot::Shape).
fn end_of(low: u64) -> u64 {
    match low {
        0..8 => low + 1,
        _ => low.saturating_add(1 << (low.ilog2() - 2)),
    }
}

#[expect(clippy::cast_precision_loss, reason = "it is for pixels")]
fn float(number: u64) -> f64 {
    number as f64
}
