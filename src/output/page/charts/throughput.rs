//! Throughput over time, stacked: the largest services apart, the rest as one.

use plotters::prelude::{AreaSeries, ChartBuilder, Color as _, IntoFont as _, Rectangle};
use serde::Serialize;

use super::super::super::ticks::RowId;
use super::super::history::{Columns, History, Span};
use super::axes::{TimeAxis, ValueAxis, short};
use super::{GRID_COLOR, LOSS_COLOR, NARROW_PX, OTHER_COLOR, Plot, ROW_COLORS, RateUnit, SCALE, TEXT_COLOR, svg};
use crate::snapshot::Traffic;
use crate::units::Transport;

/// The least pixels of the screen that a column has.
const COLUMN_PX: u16 = 3;

/// The least that a chart shows, in columns: a run that has just begun is no block.
const MIN_COLUMNS: usize = 30;

/// What the chart shows, for the script.
#[derive(Serialize)]
struct Data<'a> {
    chart: &'static str,
    unit: RateUnit,
    plot: Plot,
    /// Time at the left edge and the right one, in milliseconds since the Unix epoch.
    left_ms: f64,
    right_ms: f64,
    /// Start of the first column, and length of each, in milliseconds.
    start_ms: f64,
    step_ms: f64,
    /// What is stacked, the lowest first.
    series: Vec<Series<'a>>,
    /// Packets lost in each column; empty when there are none.
    dropped: Vec<u64>,
}

#[derive(Serialize)]
struct Series<'a> {
    /// What it is: a service with its name (none for unlabelled traffic) and transport, a reason why packets have no
    /// ports, or with neither everything else.
    service: Option<&'a str>,
    transport: Option<Transport>,
    reason: Option<&'a str>,
    /// Number of its color; none for everything else.
    color: Option<usize>,
    /// The rate in each column, in units a second.
    rates: Vec<f64>,
}

/// Draws the chart; `None` before there is an interval.
pub(super) fn draw(history: &History, span: Span, unit: RateUnit, width_px: u16) -> Option<String> {
    let columns = history.columns(span, width_px / COLUMN_PX)?;
    let height_px = if width_px < NARROW_PX { 200 } else { 260 };
    let what = unit.name();
    svg(width_px, height_px, &format!("Throughput in {what} a second over time, by service"), |canvas| {
        let series = series(&columns, unit);
        let stacked = stacked(&series);
        let largest = stacked.last().into_iter().flatten().copied().fold(0.0, f64::max);
        let step_seconds = seconds(columns.nanos);
        let shown = columns.other.len().max(MIN_COLUMNS);
        let end = float(columns.other.len()) * step_seconds;
        let range = end - float(shown) * step_seconds..end;
        let y = ValueAxis::new(largest, if width_px < NARROW_PX { 3.0 } else { 5.0 }, short);
        let x = TimeAxis::new(columns.start, range.clone(), f64::from(width_px) / 100.0);
        let top = y.end();
        let scale = i32::from(SCALE);
        let mut builder = ChartBuilder::on(canvas);
        builder.margin_top(10 * scale).margin_right(32 * scale).x_label_area_size(24 * scale);
        let mut chart = builder.y_label_area_size(48 * scale).build_cartesian_2d(x, y).ok()?;
        let label = ("sans-serif", 14 * scale).into_font().color(&TEXT_COLOR);
        let mut mesh = chart.configure_mesh();
        mesh.disable_x_mesh().max_light_lines(0).light_line_style(GRID_COLOR.mix(0.0)).label_style(label);
        mesh.bold_line_style(GRID_COLOR.stroke_width(2)).axis_style(GRID_COLOR.stroke_width(2)).draw().ok()?;
        // the highest first: each covers the lower part of the one before
        for (series, heights) in series.iter().zip(&stacked).rev() {
            let color = series.color.map_or(OTHER_COLOR, |color| ROW_COLORS[color]);
            chart.draw_series(AreaSeries::new(outline(heights, step_seconds), 0.0, color.filled())).ok()?;
        }
        for (at, _) in columns.dropped.iter().enumerate().filter(|(_, dropped)| **dropped > 0) {
            let (left, right) = (float(at) * step_seconds, float(at + 1) * step_seconds);
            let band = Rectangle::new([(left, 0.0), (right, top)], LOSS_COLOR.mix(0.35).filled());
            chart.draw_series([band]).ok()?;
        }
        let (xs, ys) = chart.plotting_area().get_pixel_range();
        let (width, height) = canvas.dim_in_pixel();
        let start_ms = millis(columns.start.as_nanos());
        let any_dropped = columns.dropped.iter().any(|dropped| *dropped > 0);
        Some(Data {
            chart: "throughput",
            unit,
            plot: Plot { left: xs.start, top: ys.start, right: xs.end, bottom: ys.end, width, height },
            left_ms: start_ms + range.start * 1e3,
            right_ms: start_ms + range.end * 1e3,
            start_ms,
            step_ms: step_seconds * 1e3,
            series,
            dropped: if any_dropped { columns.dropped.clone() } else { Vec::new() },
        })
    })
}

/// What is stacked, the largest at the bottom for as long as colors stay: they are given in that order.
fn series(columns: &Columns, unit: RateUnit) -> Vec<Series<'_>> {
    let rates = |traffic: &[Traffic]| {
        let columns = traffic.iter().zip(&columns.seen_nanos);
        columns.map(|(traffic, nanos)| rate(*traffic, *nanos, unit)).collect::<Vec<_>>()
    };
    let mut series: Vec<_> = columns
        .rows
        .iter()
        .map(|(id, color, traffic)| {
            let (service, transport, reason) = match id {
                RowId::Service(service, transport) => (service.as_deref(), Some(*transport), None),
                RowId::Portless(reason) => (None, None, Some(*reason)),
            };
            Series { service, transport, reason, color: Some(*color), rates: rates(traffic) }
        })
        .collect();
    if columns.other.iter().any(|traffic| traffic.packets > 0) {
        let rates = rates(&columns.other);
        series.push(Series { service: None, transport: None, reason: None, color: None, rates });
    }
    series
}

/// The upper edges of what is stacked, the lowest first.
fn stacked(series: &[Series<'_>]) -> Vec<Vec<f64>> {
    let mut edges: Vec<Vec<f64>> = Vec::with_capacity(series.len());
    for series in series {
        let below = edges.last();
        let edge = series.rates.iter().enumerate().map(|(at, rate)| below.map_or(0.0, |below| below[at]) + rate);
        edges.push(edge.collect());
    }
    edges
}

/// An edge through the middles of its columns, out to the ends of the first and the last.
fn outline(heights: &[f64], step_seconds: f64) -> Vec<(f64, f64)> {
    let (Some(first), Some(last)) = (heights.first(), heights.last()) else { return Vec::new() };
    let mut points = vec![(0.0, *first)];
    points.extend(heights.iter().enumerate().map(|(at, height)| ((float(at) + 0.5) * step_seconds, *height)));
    points.push((float(heights.len()) * step_seconds, *last));
    points
}

/// Units a second, to four significant digits: what is slow is no less than it is.
fn rate(traffic: Traffic, nanos: u64, unit: RateUnit) -> f64 {
    let amount = match unit {
        RateUnit::Bits => u128::from(traffic.wire_bytes) * 8,
        RateUnit::Bytes => traffic.wire_bytes.into(),
        RateUnit::Packets => traffic.packets.into(),
    };
    #[expect(clippy::cast_precision_loss, reason = "a rate is a real number")]
    let rate = amount as f64 * 1e9 / nanos.max(1) as f64;
    if rate <= 0.0 {
        return 0.0;
    }
    let unit = 10f64.powf(3.0 - rate.log10().floor());
    if unit > 1.0 { (rate * unit).round() / unit } else { rate.round() }
}

#[expect(clippy::cast_precision_loss, reason = "it is for pixels")]
fn float(number: usize) -> f64 {
    number as f64
}

#[expect(clippy::cast_precision_loss, reason = "it is for pixels")]
fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

#[expect(clippy::cast_precision_loss, reason = "the script's time is a real number of milliseconds")]
fn millis(nanos: i64) -> f64 {
    nanos as f64 / 1e6
}
