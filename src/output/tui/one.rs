//! One line of the list, with everything that is known of it: sections, as many beside each other as there is room for.

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr as _;

use super::super::human;
use super::super::table;
use super::app::{App, Known};
use super::draw::{BOLD, DIM, PLAIN, bar, fit, grid};
use super::history::{RowId, SLOTS};
use super::rows::{Row, quantile, size};
use super::view::{length, lines};
use crate::snapshot::{ServiceRow, Shape, Summary, Traffic};

/// The least width of a section, and the blank columns between two.
const SECTION: usize = 60;
const GAP: usize = 4;

/// Lines that belong together.
type Section = Vec<Line<'static>>;

/// Draws the page, scrolled as far as there is something to see.
pub(super) fn draw(app: &mut App, id: &RowId, area: Rect, buffer: &mut Buffer) {
    let width = usize::from(area.width);
    let columns = ((width + GAP) / (SECTION + GAP)).clamp(1, 3);
    let section_width = (width + GAP) / columns - GAP.min(width);
    // where there is room to the bottom, pictures are taller
    let bars = if area.height >= 50 { 10 } else { 5 };
    let sections = sections(app, id, section_width, bars);
    let columns = side_by_side(sections, columns);

    let page_len = usize::from(area.height);
    let len = columns.iter().map(Vec::len).max().unwrap_or_default();
    let scroll = app.scroll.min(len.saturating_sub(page_len));
    for (at, column) in columns.iter().enumerate() {
        let x = u16::try_from(at * (section_width + GAP)).unwrap_or(u16::MAX);
        let width = u16::try_from(section_width).unwrap_or(u16::MAX);
        let place = Rect { x: area.x.saturating_add(x), width, ..area }.intersection(area);
        lines(&column[scroll.min(column.len())..], place, buffer);
    }
    if scroll + page_len < len && area.height > 1 {
        let more = Line::styled(format!(" ↓ {} more lines ", len - scroll - page_len), BOLD);
        let wide = u16::try_from(more.width()).unwrap_or(u16::MAX).min(area.width);
        buffer.set_line(area.right() - wide, area.bottom() - 1, &more, wide);
    }
    (app.scroll, app.page_len) = (scroll, page_len);
}

/// Sections in their order, in columns of about the same height.
fn side_by_side(sections: Vec<Section>, columns: usize) -> Vec<Vec<Line<'static>>> {
    let total: usize = sections.iter().map(|section| section.len() + 1).sum();
    let mut placed = vec![Vec::new()];
    for section in sections {
        let last = placed.len();
        if let Some(column) = placed.last_mut() {
            // to the column in which its middle falls
            if last < columns && (column.len() + section.len() / 2) * columns > total {
                placed.push(section);
            } else {
                if !column.is_empty() {
                    column.push(Line::default());
                }
                column.extend(section);
            }
        }
    }
    placed
}

fn sections(app: &App, id: &RowId, width: usize, bars: u64) -> Vec<Section> {
    let known = app.shown();
    let Some(snapshot) = known.snapshot.as_deref() else { return Vec::new() };
    let whole = snapshot.wire_bytes;
    let service = snapshot.services.iter().find(|row| RowId::of_service(row) == *id).map(|row| Row::Service(row));
    let row =
        service.or_else(|| snapshot.portless.iter().find(|row| RowId::of_portless(row) == *id).map(Row::Portless));
    let Some(row) = row else { return vec![vec![Line::raw("nothing of it was seen")]] };
    let mut sections = vec![traffic(row, known, whole, app.choice.numeric, width)];
    if let Some(row) = row.service() {
        sections.extend([directions(row, width), ports(row, width), evidence(row, width), summaries(row, width)]);
        sections.extend(histograms(row, width, bars));
    }
    sections.retain(|section| !section.is_empty());
    sections
}

fn heading(text: impl Into<String>) -> Line<'static> {
    Line::styled(text.into(), BOLD)
}

/// What the list has of it, and its graph.
fn traffic(row: Row<'_>, known: &Known, whole: u64, numeric: bool, width: usize) -> Section {
    let what = match row {
        Row::Service(_) => row.transport().to_owned(),
        Row::Portless(_) => "packets without ports".to_owned(),
    };
    let total = row.total();
    let mut section = vec![Line::from(vec![
        Span::styled(fit(&row.name(numeric), width.saturating_sub(what.width() + 2)), BOLD),
        Span::raw(format!("  {what}")),
    ])];
    if let Some(now) = &known.now {
        let traffic = now.row(&row.id());
        let rates = [human::packet_rate(traffic.packets, now.nanos), human::bit_rate(traffic.wire_bytes, now.nanos)];
        section.push(Line::raw(fit(
            &format!("now    {}", rates.into_iter().flatten().collect::<Vec<_>>().join(" · ")),
            width,
        )));
    }
    section.push(Line::raw(fit(
        &format!(
            "total  {} · {} ({} of all)",
            human::counted(total.packets, "packet"),
            human::bytes(total.wire_bytes),
            human::share(total.wire_bytes, whole)
        ),
        width,
    )));
    if let Some(row) = row.service() {
        let flows = &row.flows;
        section.push(Line::raw(fit(
            &format!(
                "flows  {} active of {} · {} unanswered · {} evicted",
                human::count(flows.active),
                human::count(flows.started),
                human::count(flows.unanswered),
                human::count(flows.evicted)
            ),
            width,
        )));
        if row.later_fragments.packets > 0 {
            let fragments = row.later_fragments;
            let text = human::counted(fragments.packets, "packet");
            section.push(Line::raw(fit(
                &format!("fragments after the first  {text} · {}", human::bytes(fragments.wire_bytes)),
                width,
            )));
        }
    }
    if known.now.is_some() && width > 2 {
        let graph = known.history.row(&row.id(), u16::try_from(width - 2).unwrap_or(SLOTS).min(SLOTS));
        section.push(Line::raw(format!("▕{graph}▏")));
        let span = match known.history.span_us() {
            60_000_000 => "minute".to_owned(),
            span => length(Duration::from_micros(span)),
        };
        section.push(Line::styled(fit(&format!(" bits/s during the last {span}, in its own scale"), width), DIM));
    }
    section
}

/// Lines with a name, packets, bytes and a bar for their part of the bytes.
fn shares(title: &str, whole: u64, rows: impl Iterator<Item = (String, Vec<String>, u64)>, width: usize) -> Section {
    let rows: Vec<_> = rows.collect();
    let cells = rows.iter().map(|(name, more, bytes)| {
        let mut cells = vec![name.clone()];
        cells.extend(more.iter().cloned());
        cells.extend([human::bytes(*bytes), human::share(*bytes, whole)]);
        cells
    });
    let texts = grid(&cells.collect::<Vec<_>>(), width);
    let mut section = vec![heading(title)];
    section.extend(texts.into_iter().zip(&rows).map(|(text, (_, _, bytes))| {
        let room = width.saturating_sub(text.width() + 2).min(24);
        Line::raw(format!("{text}  {}", bar(*bytes, whole, room)))
    }));
    section
}

fn directions(row: &ServiceRow, width: usize) -> Section {
    let line = |name: &str, part: Traffic| (name.to_owned(), vec![human::count(part.packets)], part.wire_bytes);
    let rows = [line("to server", row.to_server), line("from server", row.from_server)];
    shares("DIRECTIONS: packets, bytes", row.wire_bytes, rows.into_iter(), width)
}

fn ports(row: &ServiceRow, width: usize) -> Section {
    let ports = row.ports.iter().map(|port| (port.port.to_string(), vec![human::count(port.packets)], port.wire_bytes));
    let other = row.other_ports;
    let others = (other.ports > 0)
        .then(|| (human::counted(other.ports, "other"), vec![human::count(other.packets)], other.wire_bytes));
    shares("SERVER PORTS: packets, bytes", row.wire_bytes, ports.chain(others), width)
}

fn evidence(row: &ServiceRow, width: usize) -> Section {
    let rows = row.evidence.iter().map(|(rule, counts)| {
        let doubt = if table::guesses(rule) { "?" } else { "" };
        let cells = vec![human::count(counts.flows), human::count(counts.packets)];
        (format!("{rule}{doubt}"), cells, counts.wire_bytes)
    });
    shares("EVIDENCE: flows, packets, bytes", row.wire_bytes, rows, width)
}

/// A quantity whose distribution is known.
struct Measure {
    name: &'static str,
    form: fn(u64) -> String,
    whole_run: fn(&ServiceRow) -> Option<&Summary>,
    now: fn(&crate::snapshot::RowInterval) -> Option<&Summary>,
}

const MEASURES: [Measure; 4] = [
    Measure {
        name: "packet size",
        form: size,
        whole_run: |row| row.packet_size_bytes.as_ref(),
        now: |row| row.packet_size_bytes.as_ref(),
    },
    Measure {
        name: "round trip",
        form: human::micros,
        whole_run: |row| row.handshake_rtt_us.as_ref(),
        now: |row| row.handshake_rtt_us.as_ref(),
    },
    Measure { name: "gap", form: human::micros, whole_run: |row| row.gap_us.as_ref(), now: |row| row.gap_us.as_ref() },
    Measure {
        name: "flow duration",
        form: human::micros,
        whole_run: |row| row.flow_duration_us.as_ref(),
        now: |row| row.flow_duration_us.as_ref(),
    },
];

fn summaries(row: &ServiceRow, width: usize) -> Section {
    let line = |name: String, summary: &Summary, form: fn(u64) -> String| {
        let quantile = |get| quantile(Some(summary), get, form);
        vec![name, form(summary.min), quantile(|s| s.p50), quantile(|s| s.p90), quantile(|s| s.p99), form(summary.max)]
    };
    let mut rows = vec![["", "min", "p50", "p90", "p99", "max"].map(str::to_owned).to_vec()];
    for measure in &MEASURES {
        if let Some(summary) = (measure.whole_run)(row) {
            rows.push(line(measure.name.to_owned(), summary, measure.form));
        }
        if let Some(summary) = row.interval.as_ref().and_then(measure.now) {
            rows.push(line("  now".to_owned(), summary, measure.form));
        }
    }
    let mut section = vec![heading("DISTRIBUTIONS")];
    section.extend(grid(&rows, width).into_iter().enumerate().map(|(at, text)| match at {
        0 => Line::styled(text, DIM),
        _ => Line::raw(text),
    }));
    if rows.len() == 1 {
        return Section::new();
    }
    section
}

fn histograms(row: &ServiceRow, width: usize, bars: u64) -> impl Iterator<Item = Section> {
    MEASURES.iter().filter_map(move |measure| {
        let summary = (measure.whole_run)(row)?;
        let mut section =
            vec![heading(format!("{}, {}", measure.name.to_uppercase(), human::counted(summary.count, "value")))];
        match &summary.shape {
            Some(shape) => section.extend(histogram(shape, summary, measure.form, (width, bars))),
            None => section.push(Line::styled("not kept: histogram memory was used up", DIM)),
        }
        Some(section)
    })
}

/// Bars from the smallest value to the largest, each doubling as wide as the next, and quantiles below.
fn histogram(shape: &Shape, summary: &Summary, form: fn(u64) -> String, (width, rows): (usize, u64)) -> Section {
    const LEVELS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let width = width.max(1);
    let steps: Vec<_> = shape.steps().collect();
    // as many steps a bar as it takes to fit, then bars as wide as fit
    let steps_each = steps.len().div_ceil(width);
    let bars: Vec<(u64, u64)> = steps
        .chunks(steps_each)
        .map(|steps| (steps.first().map_or(0, |step| step.0), steps.iter().map(|step| step.1).sum()))
        .collect();
    let bar_width = (width / bars.len().max(1)).clamp(1, 4);
    let largest = u128::from(bars.iter().map(|bar| bar.1).max().unwrap_or_default()).max(1);
    let eighths: Vec<_> = bars.iter().map(|bar| (u128::from(bar.1) * u128::from(rows * 8)).div_ceil(largest)).collect();

    let mut section = Section::new();
    for row in (0..rows).rev() {
        let blocks = eighths.iter().map(|eighths| {
            let level = eighths.saturating_sub(u128::from(row * 8)).min(8);
            LEVELS[usize::try_from(level).unwrap_or(8)].to_string().repeat(bar_width)
        });
        section.push(Line::raw(blocks.collect::<String>().trim_end().to_owned()));
    }
    let len = bars.len() * bar_width;
    section.push(Line::styled("▔".repeat(len), DIM));

    // where a value lies, and the marks that have room
    let at = |value: u64| bars.iter().rposition(|bar| bar.0 <= value).unwrap_or(0) * bar_width;
    let mut marks = String::new();
    for (name, value) in [("p50", summary.p50), ("p90", summary.p90), ("p99", summary.p99)] {
        let Some(value) = value else { continue };
        let mark = format!("╵{name} {}", form(value));
        let at = at(value);
        if at >= marks.width() + usize::from(!marks.is_empty()) && at + mark.width() <= width {
            marks += &" ".repeat(at - marks.width());
            marks += &mark;
        }
    }
    let ends = (form(summary.min), form(summary.max));
    let between = len.max(ends.0.width() + ends.1.width() + 1).saturating_sub(ends.0.width() + ends.1.width());
    section.push(Line::styled(fit(&format!("{}{}{}", ends.0, " ".repeat(between), ends.1), width), PLAIN));
    section.push(Line::styled(fit(&marks, width), DIM));
    section
}
