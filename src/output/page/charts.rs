//! Charts, as SVG that the page puts into itself.
//!
//! A chart carries what it shows as JSON in its `metadata` element, where the page's script reads the values at the
//! pointer. Coordinates there are pixels of the canvas. Colors are presentation attributes, which the page's style sheet
//! replaces by those of its theme; there are no styles in them, so a strict Content-Security-Policy lets them pass.

mod axes;
mod histogram;
mod throughput;

use plotters::coord::Shift;
use plotters::prelude::{DrawingArea, IntoDrawingArea as _, SVGBackend};
use plotters::style::RGBColor;
use serde::Serialize;

use super::super::document::write_json;
use super::history::{COLORS, History, Span};
use crate::snapshot::{ServiceRow, Snapshot, Summary};
use crate::units::Transport;

/// Canvas pixels to each pixel of the screen: plotters places by whole ones.
const SCALE: u16 = 2;

/// Widths of charts in pixels of the screen; others are brought to the nearest.
const WIDTHS_PX: std::ops::RangeInclusive<u16> = 240..=2400;

/// Charts are narrow below this width, and then lower too.
const NARROW_PX: u16 = 560;

/// The rows that a chart tells apart.
const ROW_COLORS: [RGBColor; COLORS] = [
    RGBColor(0x25, 0x63, 0xeb),
    RGBColor(0x0d, 0x94, 0x88),
    RGBColor(0xd9, 0x77, 0x06),
    RGBColor(0x7c, 0x3a, 0xed),
    RGBColor(0xdb, 0x27, 0x77),
    RGBColor(0x65, 0xa3, 0x0d),
    RGBColor(0x08, 0x91, 0xb2),
    RGBColor(0x92, 0x40, 0x0e),
];
/// What is drawn as one.
const OTHER_COLOR: RGBColor = RGBColor(0x94, 0xa3, 0xb8);
/// Lines behind what is drawn.
const GRID_COLOR: RGBColor = RGBColor(0xe2, 0xe8, 0xf0);
/// Words and numbers.
const TEXT_COLOR: RGBColor = RGBColor(0x47, 0x55, 0x69);
/// Marks above what is drawn.
const MARK_COLOR: RGBColor = RGBColor(0x0f, 0x17, 0x2a);
/// Losses.
const LOSS_COLOR: RGBColor = RGBColor(0xb4, 0x23, 0x18);

/// A chart that is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::output) struct ChartQuery {
    chart: Chart,
    width_px: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Chart {
    Throughput { span: Span, unit: RateUnit },
    Histogram { measure: Measure, service: Option<String>, transport: Transport },
}

/// What the throughput is counted in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RateUnit {
    /// Bits each second.
    #[default]
    Bits,
    /// Bytes each second.
    Bytes,
    /// Packets each second.
    Packets,
}

impl RateUnit {
    /// Every unit.
    pub(super) const ALL: [Self; 3] = [Self::Bits, Self::Bytes, Self::Packets];

    /// The name in queries.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Bits => "bits",
            Self::Bytes => "bytes",
            Self::Packets => "packets",
        }
    }
}

/// What a histogram is of. Names are the keys of a service's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Measure {
    PacketSize,
    RoundTrip,
    Gap,
    FlowDuration,
}

impl Measure {
    /// Every measure.
    pub(super) const ALL: [Self; 4] = [Self::PacketSize, Self::RoundTrip, Self::Gap, Self::FlowDuration];

    /// The key of a service's row.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::PacketSize => "packet_size_bytes",
            Self::RoundTrip => "handshake_rtt_us",
            Self::Gap => "gap_us",
            Self::FlowDuration => "flow_duration_us",
        }
    }

    /// The distribution of a row; `None` without values.
    pub(super) fn of(self, row: &ServiceRow) -> Option<&Summary> {
        match self {
            Self::PacketSize => row.packet_size_bytes.as_ref(),
            Self::RoundTrip => row.handshake_rtt_us.as_ref(),
            Self::Gap => row.gap_us.as_ref(),
            Self::FlowDuration => row.flow_duration_us.as_ref(),
        }
    }

    const fn is_time(self) -> bool {
        !matches!(self, Self::PacketSize)
    }
}

impl ChartQuery {
    /// The throughput of everything.
    pub(super) fn throughput(span: Span, unit: RateUnit, width_px: u16) -> Self {
        Self { chart: Chart::Throughput { span, unit }, width_px }
    }

    /// Reads what stands behind `/charts/` in the address, and behind its question mark: `throughput.svg` with `span`
    /// (`recent` or `whole`) and `unit` (`bits`, `bytes` or `packets`), or a histogram, such as `handshake_rtt_us.svg`,
    /// with `transport` and `service` (none for unlabelled traffic); either with `width`, in pixels. `None` where that
    /// names no chart.
    pub(in crate::output) fn parse(name: &str, query: &str) -> Option<Self> {
        let (mut span, mut unit, mut width_px) = (Span::default(), RateUnit::default(), 960);
        let (mut service, mut transport) = (None, None);
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            match key.as_ref() {
                "span" => span = if value == "whole" { Span::Whole } else { Span::Recent },
                "unit" => unit = RateUnit::ALL.into_iter().find(|unit| unit.name() == value)?,
                "width" => width_px = value.parse::<u16>().ok()?.clamp(*WIDTHS_PX.start(), *WIDTHS_PX.end()),
                "service" => service = Some(value.into_owned()),
                "transport" => transport = Transport::ALL.into_iter().find(|transport| transport.name() == value),
                _ => return None,
            }
        }
        let name = name.strip_suffix(".svg")?;
        if name == "throughput" {
            return Some(Self::throughput(span, unit, width_px));
        }
        let measure = Measure::ALL.into_iter().find(|measure| measure.name() == name)?;
        Some(Self { chart: Chart::Histogram { measure, service, transport: transport? }, width_px })
    }
}

/// Draws a chart, as a whole SVG document; `None` when there is nothing to draw: no interval yet, no such service, or no
/// values.
pub(in crate::output) fn chart(history: &History, snapshot: &Snapshot, query: &ChartQuery) -> Option<String> {
    match &query.chart {
        Chart::Throughput { span, unit } => throughput::draw(history, *span, *unit, query.width_px),
        Chart::Histogram { measure, service, transport } => {
            let is_it = |row: &&ServiceRow| row.transport == *transport && row.service.as_deref() == service.as_deref();
            let row = snapshot.services.iter().map(AsRef::as_ref).find(is_it)?;
            histogram(row, *measure, query.width_px)
        }
    }
}

/// Draws the histogram of a row; `None` without values, or where the engine was not asked for their shape.
pub(super) fn histogram(row: &ServiceRow, measure: Measure, width_px: u16) -> Option<String> {
    histogram::draw(measure.of(row)?, measure, width_px)
}

/// Where in the canvas the values lie, and how large that is, in its pixels.
#[derive(Clone, Copy, Debug, Serialize)]
struct Plot {
    left: i32,
    top: i32,
    right: i32,
    bottom: i32,
    width: u32,
    height: u32,
}

/// Draws on a canvas, and puts a title and data into it. `None` cannot happen: memory takes everything that is drawn.
fn svg<Data: Serialize>(
    width_px: u16,
    height_px: u16,
    title: &str,
    draw: impl FnOnce(&DrawingArea<SVGBackend<'_>, Shift>) -> Option<Data>,
) -> Option<String> {
    let mut text = String::new();
    let size = (u32::from(width_px) * u32::from(SCALE), u32::from(height_px) * u32::from(SCALE));
    let data = {
        let canvas = SVGBackend::with_string(&mut text, size).into_drawing_area();
        let data = draw(&canvas)?;
        canvas.present().ok()?;
        data
    };
    let mut json = Vec::new();
    write_json(&mut json, &data).ok()?;
    let data = String::from_utf8(json).ok()?;
    let start = text.find("<svg")?;
    let head_end = start + text[start..].find('>')? + 1;
    let head = format!("<title>{}</title>\n<metadata>{}</metadata>", escaped(title), escaped(&data));
    text.insert_str(head_end, &head);
    Some(text)
}

/// Text for between the tags of XML.
fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut escaped, c| {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            // what XML 1.0 has no way to write (section 2.2)
            '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => {
                escaped.push('\u{fffd}');
            }
            c => escaped.push(c),
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::Value;

    use super::super::super::sample;
    use super::*;
    use crate::snapshot::Shape;
    use crate::units::Timestamp;

    fn query(text: &str) -> Option<ChartQuery> {
        let (name, query) = text.split_once('?').unwrap_or((text, ""));
        ChartQuery::parse(name, query)
    }

    /// What a chart tells the script.
    fn data(svg: &str) -> Value {
        let (_, rest) = svg.split_once("<metadata>").expect("metadata");
        let text = rest.split_once("</metadata>").expect("metadata").0;
        let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
        serde_json::from_str(&text).expect("JSON")
    }

    #[test]
    fn queries_name_a_chart_or_nothing() {
        let throughput = |span, unit, width_px| Some(ChartQuery::throughput(span, unit, width_px));
        let cases = [
            ("throughput.svg", throughput(Span::Recent, RateUnit::Bits, 960)),
            ("throughput.svg?span=whole&unit=packets&width=300", throughput(Span::Whole, RateUnit::Packets, 300)),
            ("throughput.svg?width=1", throughput(Span::Recent, RateUnit::Bits, 240)),
            ("throughput.svg?width=65535", throughput(Span::Recent, RateUnit::Bits, 2400)),
            ("throughput.svg?width=65536", None),
            ("throughput.svg?width=-1", None),
            ("throughput.svg?unit=miles", None),
            ("throughput.svg?color=red", None),
            ("throughput", None),
            ("speed.svg", None),
            ("gap_us.svg", None),
            ("gap_us.svg?transport=icmp", None),
            ("", None),
        ];
        for (text, want) in cases {
            assert_eq!(query(text), want, "{text}");
        }
        let Some(Chart::Histogram { measure, service, transport }) =
            query("gap_us.svg?transport=udp&service=a%26b%3C%2Bc").map(|query| query.chart)
        else {
            panic!("a histogram");
        };
        assert_eq!((measure, service.as_deref(), transport), (Measure::Gap, Some("a&b<+c"), Transport::Udp));
    }

    #[test]
    fn a_chart_has_its_values_with_it_and_names_are_text() {
        let mut snapshot = sample::snapshot();
        let hostile = "</metadata><script>";
        Arc::make_mut(&mut snapshot.services[0]).service = Some(Arc::from(hostile));
        let mut history = History::default();
        let query = query("throughput.svg?unit=packets").expect("a query");
        assert_eq!(chart(&history, &snapshot, &query), None, "there is nothing yet");
        history.update(&snapshot);
        let svg = chart(&history, &snapshot, &query).expect("a chart");
        assert!(!svg.contains("<script>") && !svg.contains("style="), "{svg}");
        let data = data(&svg);
        let series = data["series"].as_array().expect("series");
        assert!(series.iter().any(|one| one["service"] == hostile), "{data}");
        let packets: f64 = series.iter().filter_map(|one| one["rates"][0].as_f64()).sum();
        #[expect(clippy::cast_precision_loss, reason = "few packets")]
        let all = snapshot.packets as f64;
        assert!((packets - all).abs() < 1.0, "{packets} of {all}: everything, in a second");
    }

    #[test]
    fn slow_traffic_is_no_nothing() {
        let mut snapshot = sample::snapshot();
        let interval = snapshot.interval.as_mut().expect("an interval");
        interval.end = Timestamp::from_wide_nanos(i128::from(interval.start.as_nanos()) + 1_000_000_000_000_000);
        (snapshot.packets, snapshot.wire_bytes) = (30, 3_000);
        snapshot.services.truncate(1);
        snapshot.portless.clear();
        let row = Arc::make_mut(&mut snapshot.services[0]).interval.as_mut().expect("an interval");
        (row.packets, row.wire_bytes) = (30, 3_000);
        let mut history = History::default();
        history.update(&snapshot);
        for (unit, want) in [("bits", 0.024), ("bytes", 0.003), ("packets", 0.000_03)] {
            let query = query(&format!("throughput.svg?unit={unit}")).expect("a query");
            let data = data(&chart(&history, &snapshot, &query).expect("a chart"));
            assert_eq!(data["series"][0]["rates"], serde_json::json!([want]), "{unit}");
        }
    }

    #[test]
    fn a_histogram_has_every_value_and_needs_a_shape() {
        let mut snapshot = sample::snapshot();
        let wanted = query("packet_size_bytes.svg?transport=tcp&service=https&width=400").expect("a query");
        assert_eq!(chart(&History::default(), &snapshot, &wanted), None, "no shape");
        let row = Arc::make_mut(&mut snapshot.services[0]);
        let summary = row.packet_size_bytes.as_mut().expect("values");
        summary.shape = Shape::of([(60, 7_000), (1_514, 5_000)].into_iter());
        let svg = chart(&History::default(), &snapshot, &wanted).expect("a chart");
        let data = data(&svg);
        let steps = data["steps"].as_array().expect("steps");
        assert_eq!(steps.iter().filter_map(|step| step[2].as_u64()).sum::<u64>(), 12_000);
        assert_eq!((&steps[0][0], &steps[0][1]), (&Value::from(56), &Value::from(63)));
        assert!(svg.contains("p50") && svg.contains("p90 p99"), "{svg}");
        for other in ["packet_size_bytes.svg?transport=udp&service=https", "packet_size_bytes.svg?transport=tcp"] {
            assert_eq!(chart(&History::default(), &snapshot, &query(other).expect("a query")), None, "{other}");
        }
    }

    #[test]
    fn any_distribution_can_be_drawn() {
        for values in [&[(0, 1)][..], &[(u64::MAX, u64::MAX)], &[(0, u64::MAX), (u64::MAX, 1)], &[(7, 1), (8, 1)]] {
            let mut snapshot = sample::snapshot();
            let row = Arc::make_mut(&mut snapshot.services[0]);
            for summary in [row.packet_size_bytes.as_mut(), row.handshake_rtt_us.as_mut()].into_iter().flatten() {
                summary.shape = Shape::of(values.iter().copied());
            }
            for measure in [Measure::PacketSize, Measure::RoundTrip] {
                for width_px in [240, 2400] {
                    assert!(histogram(row, measure, width_px).is_some(), "{values:?}");
                }
            }
        }
    }
}
