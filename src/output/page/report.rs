//! `-o html`: the page with the data of a run inside.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

use super::super::document::write_escaped;
use super::super::human::is_printable;
use super::super::told::Told;
use super::super::{Output, whole};
use super::charts::{ChartQuery, Measure, RateUnit, chart, histogram};
use super::history::{History, Span};
use super::{Pieces, SCRIPT, STYLE, pieces, policy};
use crate::snapshot::Snapshot;

/// The services that get their histograms, those with most bytes. The others have their numbers as a table.
const SERVICES_WITH_CHARTS: usize = 200;

/// Widths of the throughput chart in pixels: that for screens, and that for telephones.
const THROUGHPUT_PX: [(&str, u16); 2] = [("wide", 1_200), ("narrow", 360)];

/// Width of a histogram in pixels.
const HISTOGRAM_PX: u16 = 400;

/// `-o html`.
#[derive(Debug)]
pub(in crate::output) struct Report<W> {
    out: W,
    history: History,
    told: Told,
    /// The final snapshot, once it is there. It is written when nothing more can be told of it.
    last: Option<Arc<Snapshot>>,
}

/// What the script of a report reads.
#[derive(Serialize)]
struct Data<'a> {
    snapshot: &'a Snapshot,
    /// SVG by what it shows: `throughput:UNIT:WIDTH`, or `MEASURE:TRANSPORT`, with `:SERVICE` behind it if there is one.
    charts: BTreeMap<String, String>,
    /// What was told of the inputs.
    #[serde(flatten)]
    told: &'a Told,
}

impl<W: Write> Report<W> {
    pub(in crate::output) fn new(out: W) -> Self {
        Self { out, history: History::default(), told: Told::default(), last: None }
    }

    fn charts(&self, snapshot: &Snapshot) -> BTreeMap<String, String> {
        let mut charts = BTreeMap::new();
        for unit in RateUnit::ALL {
            for (name, width_px) in THROUGHPUT_PX {
                let query = ChartQuery::throughput(Span::Whole, unit, width_px);
                let svg = chart(&self.history, snapshot, &query);
                charts.extend(svg.map(|svg| (format!("throughput:{}:{name}", unit.name()), svg)));
            }
        }
        for row in snapshot.services.iter().take(SERVICES_WITH_CHARTS) {
            for measure in Measure::ALL {
                let service = row.service.as_ref().map(|service| format!(":{service}")).unwrap_or_default();
                let key = format!("{}:{}{service}", measure.name(), row.transport);
                charts.extend(histogram(row, measure, HISTOGRAM_PX).map(|svg| (key, svg)));
            }
        }
        charts
    }

    fn write(&mut self, snapshot: &Snapshot) -> io::Result<()> {
        let whole = whole::without_intervals(snapshot);
        let data = Data { snapshot: &whole, charts: self.charts(snapshot), told: &self.told };
        let Pieces { before_policy, before_style, before_data, before_script, end } = pieces();
        let policy = format!(r#"<meta http-equiv="Content-Security-Policy" content="{}">"#, policy());
        for piece in [before_policy, &policy, before_style, STYLE, before_data] {
            self.out.write_all(piece.as_bytes())?;
        }
        data.serialize(&mut Serializer::with_formatter(&mut self.out, ForScript))?;
        for piece in [before_script, SCRIPT, end] {
            self.out.write_all(piece.as_bytes())?;
        }
        Ok(())
    }
}

impl<W: Write> Output for Report<W> {
    fn snapshot(&mut self, snapshot: &Arc<Snapshot>) -> io::Result<()> {
        self.history.update(snapshot);
        if snapshot.is_final {
            self.last = Some(Arc::clone(snapshot));
        }
        Ok(())
    }

    fn told(&mut self, text: &str) {
        self.told.add(text);
    }

    fn finish(&mut self) -> io::Result<()> {
        if let Some(snapshot) = self.last.take() {
            self.write(&snapshot)?;
        }
        self.out.flush()
    }
}

/// JSON for within a script element: nothing in it ends the element or begins a comment (HTML, section 4.12.1.3), whatever
/// users call their services.
struct ForScript;

impl Formatter for ForScript {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        write_escaped(writer, fragment, |c| matches!(c, '<' | '>' | '&') || !is_printable(c))
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::sample;
    use super::*;

    #[test]
    fn nothing_in_the_data_ends_the_element() {
        let mut text = Vec::new();
        let hostile = "</script><!-- & \u{2028}\u{2029}\u{9b}2J <script>\"\\";
        let data = BTreeMap::from([(hostile, hostile)]);
        data.serialize(&mut Serializer::with_formatter(&mut text, ForScript)).expect("memory takes everything");
        let text = String::from_utf8(text).expect("JSON is UTF-8");
        assert!(!text.contains(['<', '>', '&', '\u{2028}', '\u{2029}', '\u{9b}']), "{text}");
        let read: BTreeMap<String, String> = serde_json::from_str(&text).expect("JSON");
        assert_eq!(read, BTreeMap::from([(hostile.to_owned(), hostile.to_owned())]));
    }

    #[test]
    fn a_report_is_the_page_with_the_final_snapshot() {
        let mut report = Report::new(Vec::new());
        let earlier = Snapshot { is_final: false, sequence: 4, ..sample::snapshot() };
        report.snapshot(&Arc::new(earlier)).expect("memory takes everything");
        report.told("a.pcap: cut at byte 40");
        report.snapshot(&Arc::new(sample::snapshot())).expect("memory takes everything");
        report.told("interrupted");
        assert!(report.out.is_empty(), "a report is written at the end");
        report.finish().expect("memory takes everything");
        let page = String::from_utf8(report.out).expect("UTF-8");
        let (head, rest) = page.split_once(r#"id="report">"#).expect("data");
        let data: serde_json::Value =
            serde_json::from_str(rest.split_once("</script>").expect("an end").0).expect("JSON");
        assert_eq!(data["snapshot"]["packets"], sample::snapshot().packets);
        assert_eq!(data["told"], serde_json::json!(["a.pcap: cut at byte 40", "interrupted"]));
        assert_eq!(data["more_told"], 0);
        assert_eq!(data["charts"].as_object().map(serde_json::Map::len), Some(6), "the sample has no shapes");
        assert!(
            head.contains("http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; script-src 'sha256-")
        );
    }

    #[test]
    fn what_is_allowed_is_what_is_there() {
        let live = super::super::live();
        assert!(live.html.contains(STYLE) && live.html.contains(SCRIPT));
        assert!(!live.html.contains("<!--"), "every comment of the frame has its place taken");
        assert!(
            !live.policy.contains("-inline")
                && !live.policy.contains("-eval")
                && live.policy.contains("connect-src 'self'")
        );
        assert!(!policy().contains("connect-src"), "a report connects to nothing");
    }
}
