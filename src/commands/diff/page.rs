//! What is different as aligned text: a line a service, those that changed most first.

use anstyle::{AnsiColor, Style};
use comfy_table::{CellAlignment, ContentArrangement, Table as Grid, presets};
use unicode_width::UnicodeWidthStr as _;

use super::compare::{Basis, Change, Comparison, Shift, Side, Status, Volume};
use crate::output::{human, printable};
use crate::units::cut;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const NEW: Style = AnsiColor::Green.on_default();
const GONE: Style = AnsiColor::Red.on_default();
const FAILED: Style = AnsiColor::Yellow.on_default();

/// Columns between two columns of the table.
const GAP: u16 = 2;
/// What stands where there is no value.
const NOTHING: &str = "–";

/// A line of the table.
struct Line {
    cells: [String; 8],
    style: Style,
}

/// The whole text.
pub(super) fn render(comparison: &Comparison<'_>, color: bool, width: Option<usize>) -> String {
    let mut page = Page { text: String::new(), color };
    for (side, word) in [(&comparison.before, "before"), (&comparison.after, "after ")] {
        page.line(BOLD, &format!("{word}  {}", about(side)));
    }
    let overall = format!(
        "{} bytes, {} packets",
        percent(comparison.wire_bytes_change_percent),
        percent(comparison.packets_change_percent)
    );
    let basis = match comparison.basis {
        Basis::Rate => "a second, from the first packet to the last",
        Basis::Total => "in all",
    };
    page.line(Style::new(), &format!("in all  {overall}; compared is what came {basis}"));
    let lines = lines(comparison);
    if !lines.is_empty() {
        page.line(Style::new(), "");
        grid(&mut page, &lines, width);
    }
    page.line(Style::new(), "");
    let unchanged = comparison.unchanged_services + comparison.unchanged_reasons;
    let changed = comparison.services.len() + comparison.portless.len();
    page.line(DIM, &format!("{changed} changed, {unchanged} unchanged and not shown"));
    if let Some(over) = comparison.fail_over_percent {
        let failed = human::counted(comparison.failed_services, "service");
        let style = if comparison.is_failed() { FAILED } else { Style::new() };
        page.line(style, &format!("{failed} changed by more than {over} %"));
    }
    page.text
}

/// Which report it is, and how much is in it.
fn about(side: &Side<'_>) -> String {
    let mut what = vec![printable(side.name), human::counted(side.packets, "packet"), human::bytes(side.wire_bytes)];
    if side.span_us > 0 {
        what.push(human::micros(side.span_us));
    }
    if let Some(host) = &side.source.host {
        what.push(format!("on {}", printable(&cut(host))));
    }
    let lost = [("kernel", side.drops.kernel), ("interface", side.drops.interface)];
    for (by, packets) in lost {
        if let Some(packets) = packets.filter(|packets| *packets > 0) {
            what.push(format!("{} dropped by the {by}", human::count(packets)));
        }
    }
    what.join(" · ")
}

fn lines(comparison: &Comparison<'_>) -> Vec<Line> {
    let mut lines = Vec::new();
    if !comparison.services.is_empty() {
        let titles = ["", "SERVICE", "PROTO", "BEFORE", "AFTER", "CHANGE", "SHARE BEFORE", "AFTER"];
        lines.push(Line { cells: titles.map(str::to_owned), style: BOLD });
    }
    for change in &comparison.services {
        let name = change.name.service.map_or_else(|| "unlabelled".to_owned(), printable);
        let line = line(comparison, change, name, change.name.transport.name());
        let is_over = comparison.fail_over_percent.is_some_and(|over| change.is_over(over));
        lines.push(if is_over { Line { style: FAILED, ..line } } else { line });
        lines.extend(change.percentiles.iter().flatten().map(shift));
    }
    if !comparison.portless.is_empty() {
        let titles = ["", "WITHOUT PORTS", "", "", "", "", "", ""];
        lines.push(Line { cells: titles.map(str::to_owned), style: BOLD });
    }
    lines.extend(comparison.portless.iter().map(|change| line(comparison, change, change.name.reason.to_owned(), "")));
    lines
}

fn line<N>(comparison: &Comparison<'_>, change: &Change<N>, name: String, transport: &str) -> Line {
    let (mark, style) = match change.status {
        Status::New => ("new", NEW),
        Status::Gone => ("gone", GONE),
        Status::Moved => ("", Style::new()),
    };
    let amount = |volume: Option<Volume>, side: &Side<'_>| {
        let bytes = volume.map(|volume| volume.wire_bytes);
        let rate = |bytes| human::bit_rate(bytes, side.span_us.saturating_mul(1000));
        let shown = if comparison.basis == Basis::Rate { bytes.and_then(rate) } else { bytes.map(human::bytes) };
        shown.unwrap_or_else(|| NOTHING.to_owned())
    };
    let share = |volume: Option<Volume>, side: &Side<'_>| {
        volume.map_or_else(|| NOTHING.to_owned(), |volume| human::share(volume.wire_bytes, side.wire_bytes))
    };
    let moved = match change.status {
        Status::New | Status::Gone => NOTHING.to_owned(),
        Status::Moved => percent(change.wire_bytes_change_percent),
    };
    let (old, new) = (&comparison.before, &comparison.after);
    let cells = [
        mark.to_owned(),
        name,
        transport.to_owned(),
        amount(change.before, old),
        amount(change.after, new),
        moved,
        share(change.before, old),
        share(change.after, new),
    ];
    Line { cells, style }
}

/// A percentile, below its service.
fn shift(shift: &Shift) -> Line {
    let (name, unit): (_, fn(u64) -> String) = match shift.quantity {
        "packet_size_bytes" => ("size", |bytes| format!("{} B", human::count(bytes))),
        "gap_us" => ("gap", human::micros),
        "flow_duration_us" => ("duration", human::micros),
        _ => ("RTT", human::micros),
    };
    let mut cells = <[String; 8]>::default();
    cells[1] = format!("  {name} p{}", shift.percentile);
    (cells[3], cells[4], cells[5]) = (unit(shift.before), unit(shift.after), percent(shift.change_percent));
    Line { cells, style: Style::new() }
}

/// `+12.5%`, `×30` from ten times on.
fn percent(change: Option<f64>) -> String {
    match change {
        None => "from nothing".to_owned(),
        Some(change) if change >= 900.0 => format!("×{:.0}", change / 100.0 + 1.0),
        Some(change) if change.abs() < 0.05 => "±0.0%".to_owned(),
        Some(change) => format!("{change:+.1}%"),
    }
}

/// The table, without the shares where the terminal is too narrow for them.
fn grid(page: &mut Page, lines: &[Line], width: Option<usize>) {
    let text = |columns: usize| -> Vec<String> {
        let mut grid = Grid::new();
        grid.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        grid.add_rows(lines.iter().map(|line| &line.cells[..columns]));
        for (at, column) in grid.column_iter_mut().enumerate() {
            column.set_padding((0, GAP));
            column.set_cell_alignment(if at < 3 { CellAlignment::Left } else { CellAlignment::Right });
        }
        grid.lines().map(|line| line.trim_end().to_owned()).collect()
    };
    let fits = |text: &Vec<String>| width.is_none_or(|width| text.iter().all(|line| line.width() <= width));
    let whole = Some(text(8)).filter(fits).unwrap_or_else(|| text(6));
    for (text, line) in whole.iter().zip(lines) {
        page.line(line.style, text);
    }
}

/// Text in the making.
struct Page {
    text: String,
    color: bool,
}

impl Page {
    fn line(&mut self, style: Style, text: &str) {
        if self.color && !text.is_empty() {
            for part in [&style.render().to_string(), text, &style.render_reset().to_string(), "\n"] {
                self.text += part;
            }
        } else {
            self.text += text;
            self.text.push('\n');
        }
    }
}
