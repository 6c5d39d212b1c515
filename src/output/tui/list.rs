//! The list: a line for each service and for each reason why packets have no ports.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr as _;

use super::super::human;
use super::super::table::{self, SortKey};
use super::app::{App, Known};
use super::draw::{BOLD, DIM, PLAIN, REVERSED, fit, parts};
use super::rows::{Order, Row, quantile, size};
use super::view::lines;
use crate::snapshot::Summary;

/// A column of the list. Its width does not depend on what is in it, so that nothing moves when numbers grow.
struct Column {
    title: &'static str,
    /// Columns; of those that can be wider, the least.
    width: usize,
    /// Columns of a low rank are the last to be left out; 0 is always shown.
    rank: u8,
    /// The order whose mark the title has.
    order: Option<Order>,
    show: Show,
}

#[derive(Clone, Copy)]
enum Show {
    Name,
    Transport,
    PacketRate,
    BitRate,
    Graph,
    Packets,
    Bytes,
    Active,
    Started,
    Unanswered,
    Size(fn(&Summary) -> Option<u64>),
    RoundTrip(fn(&Summary) -> Option<u64>),
    Evidence,
}

/// The columns from left to right.
const COLUMNS: [Column; 15] = {
    const fn column(title: &'static str, width: usize, rank: u8, order: Option<Order>, show: Show) -> Column {
        Column { title, width, rank, order, show }
    }
    [
        column("SERVICE", 16, 0, Some(Order::Total(SortKey::Name)), Show::Name),
        column("PROTO", 5, 4, None, Show::Transport),
        column("PKT/S", 7, 1, Some(Order::PacketRate), Show::PacketRate),
        column("BIT/S", 7, 0, Some(Order::BitRate), Show::BitRate),
        column("LAST MINUTE", 12, 3, None, Show::Graph),
        column("PACKETS", 8, 8, Some(Order::Total(SortKey::Packets)), Show::Packets),
        column("BYTES", 8, 2, Some(Order::Total(SortKey::Bytes)), Show::Bytes),
        column("ACTIVE", 7, 5, Some(Order::Active), Show::Active),
        column("FLOWS", 7, 9, Some(Order::Total(SortKey::Flows)), Show::Started),
        column("NO REPLY", 9, 12, Some(Order::Total(SortKey::Unanswered)), Show::Unanswered),
        column("SIZE p50", 9, 11, Some(Order::Total(SortKey::Size)), Show::Size(|size| size.p50)),
        column("SIZE p99", 8, 11, None, Show::Size(|size| size.p99)),
        column("RTT p50", 8, 6, Some(Order::Total(SortKey::Rtt)), Show::RoundTrip(|rtt| rtt.p50)),
        column("RTT p99", 8, 10, None, Show::RoundTrip(|rtt| rtt.p99)),
        column("EVIDENCE", 14, 7, None, Show::Evidence),
    ]
};

/// Blank columns between two.
const GAP: usize = 2;
/// The mark of the selected line, and a blank.
const MARGIN: usize = 2;
/// A name is never given more.
const MAX_NAME: usize = 40;
/// Widths of the graph, of which each has a whole number of slots a character.
const GRAPH_WIDTHS: [usize; 4] = [30, 20, 15, 12];

impl Column {
    fn is_left(&self) -> bool {
        matches!(self.show, Show::Name | Show::Transport | Show::Graph | Show::Evidence)
    }

    fn title(&self, app: &App, width: usize) -> String {
        let mark = match (self.order == Some(app.choice.order), app.choice.reversed != app.choice.order.ascends()) {
            (false, _) => "",
            (true, false) => "▼",
            (true, true) => "▲",
        };
        let title = match self.show {
            Show::Graph => graph_title(app.shown().history.span_us()),
            _ => self.title.to_owned(),
        };
        fit(&(title + mark), width)
    }

    fn cell(&self, row: Row<'_>, known: &Known, numeric: bool, width: usize) -> String {
        let now = known.now.as_deref();
        let rate = |amount: u64| now.and_then(|now| human::bare_rate(amount, now.nanos));
        let traffic = now.map(|now| now.row(&row.id())).unwrap_or_default();
        let of_flows =
            |get: fn(&crate::snapshot::FlowCounts) -> u64| row.service().map(|row| human::short(get(&row.flows)));
        let service = row.service();
        let text = match self.show {
            Show::Name => Some(row.name(numeric)),
            Show::Transport => Some(row.transport().to_owned()),
            Show::PacketRate => rate(traffic.packets),
            Show::BitRate => rate(traffic.wire_bytes.saturating_mul(8)),
            Show::Graph => Some(known.history.row(&row.id(), u16::try_from(width).unwrap_or(u16::MAX))),
            Show::Packets => Some(human::short(row.total().packets)),
            Show::Bytes => Some(human::bytes(row.total().wire_bytes)),
            Show::Active => of_flows(|flows| flows.active),
            Show::Started => of_flows(|flows| flows.started),
            Show::Unanswered => of_flows(|flows| flows.unanswered),
            Show::Size(get) => service.map(|row| quantile(row.packet_size_bytes.as_ref(), get, size)),
            Show::RoundTrip(get) => service.map(|row| quantile(row.handshake_rtt_us.as_ref(), get, human::micros)),
            Show::Evidence => service.map(table::evidence),
        };
        text.unwrap_or_else(|| table::NOTHING.to_owned())
    }
}

/// What the graph covers.
fn graph_title(span_us: u64) -> String {
    match span_us {
        0 | 60_000_000 => "LAST MINUTE".to_owned(),
        span => format!("LAST {}", human::micros(span)),
    }
}

/// The columns that fit, and how wide they are. What is left goes to names as far as they need it, then to the graph.
fn layout(width: usize, longest_name: usize) -> Vec<(&'static Column, usize)> {
    let mut shown = [false; COLUMNS.len()];
    let taken = |shown: &[bool]| -> usize {
        let widths = COLUMNS.iter().zip(shown).filter(|(_, shown)| **shown).map(|(column, _)| column.width + GAP);
        MARGIN + widths.sum::<usize>().saturating_sub(GAP)
    };
    for rank in 0..=COLUMNS.iter().map(|column| column.rank).max().unwrap_or_default() {
        let mut more = shown;
        for (shown, column) in more.iter_mut().zip(&COLUMNS) {
            *shown |= column.rank == rank;
        }
        if rank > 0 && taken(&more) > width {
            break;
        }
        shown = more;
    }
    let mut left = width.saturating_sub(taken(&shown));
    let columns = COLUMNS.iter().zip(shown).filter(|(_, shown)| *shown).map(|(column, _)| column);
    let mut columns: Vec<_> = columns.map(|column| (column, column.width)).collect();
    for (column, width) in &mut columns {
        if matches!(column.show, Show::Name) {
            let more = longest_name.min(MAX_NAME).saturating_sub(*width).min(left);
            (*width, left) = (*width + more, left - more);
        }
    }
    for (column, width) in &mut columns {
        if matches!(column.show, Show::Graph) {
            let widest = GRAPH_WIDTHS.into_iter().find(|wide| *wide <= *width + left);
            *width = widest.unwrap_or(*width);
        }
    }
    columns
}

/// Draws the list, and keeps the selected line in it.
pub(super) fn draw(app: &mut App, area: Rect, buffer: &mut Buffer) {
    let page_len = usize::from(area.height).saturating_sub(1);
    let rows = app.rows();
    let selected = app.selected_at(&rows);
    let mut scroll = app.scroll.min(rows.len().saturating_sub(page_len));
    if let Some(selected) = selected {
        scroll = scroll.min(selected).max((selected + 1).saturating_sub(page_len));
    }
    // by every line there is, not by those shown: it does not change when one scrolls
    let longest = rows.iter().map(|row| row.name(app.choice.numeric).width()).max().unwrap_or_default();
    let columns = layout(usize::from(area.width), longest);

    let mut page = vec![heading(app, &columns)];
    for (at, row) in rows.iter().enumerate().skip(scroll).take(page_len) {
        page.push(line(app, &columns, *row, selected == Some(at)));
    }
    if rows.is_empty() && app.shown().snapshot.is_some() {
        let why = if app.choice.filter.is_empty() { "  no packets yet" } else { "  nothing has this in its name" };
        page.push(Line::styled(fit(why, usize::from(area.width)), DIM));
    }
    lines(&page, area, buffer);
    if let Some(selected) = selected.filter(|_| page_len > 0) {
        let y = area.y + 1 + u16::try_from(selected - scroll).unwrap_or(0);
        buffer.set_style(Rect { y, height: 1, ..area }.intersection(area), REVERSED);
    }
    (app.scroll, app.page_len) = (scroll, page_len);
}

fn heading(app: &App, columns: &[(&Column, usize)]) -> Line<'static> {
    let mut text = " ".repeat(MARGIN);
    for (column, width) in columns {
        push(&mut text, &column.title(app, *width), *width, column.is_left());
    }
    Line::styled(text.trim_end().to_owned(), BOLD)
}

/// What the list leaves out, and an order that no column shows; empty when there is nothing to say.
pub(super) fn asides(app: &App, width: usize) -> Line<'static> {
    let mut asides = Vec::new();
    if !app.choice.filter.is_empty() {
        asides.push(format!("only names with “{}”", human::printable(&app.choice.filter)));
    }
    if let Some(top) = app.choice.top {
        asides.push(format!("only the first {}", human::counted(top as u64, "service")));
    }
    if !app.choice.portless {
        asides.push("packets without ports hidden".to_owned());
    }
    let order = app.choice.order;
    if order != Order::Total(SortKey::Bytes) && !layout(width, 0).iter().any(|(column, _)| column.order == Some(order))
    {
        asides.push(format!("ordered by {}{}", order.name(), if app.choice.reversed { ", reversed" } else { "" }));
    }
    parts(asides.into_iter().map(|aside| Span::styled(aside, BOLD)), " · ", width)
}

fn line(app: &App, columns: &[(&Column, usize)], row: Row<'_>, selected: bool) -> Line<'static> {
    let mut text = if selected { "› ".to_owned() } else { " ".repeat(MARGIN) };
    for (column, width) in columns {
        let cell = column.cell(row, app.shown(), app.choice.numeric, *width);
        push(&mut text, &cell, *width, column.is_left());
    }
    Line::styled(text, if row.is_named() || selected { PLAIN } else { DIM })
}

/// Adds a cell and the gap behind it.
fn push(text: &mut String, cell: &str, width: usize, left: bool) {
    let cell = fit(cell, width);
    let blank = " ".repeat(width.saturating_sub(cell.width()));
    let (first, second) = if left { (cell, blank) } else { (blank, cell) };
    text.extend([first, second, " ".repeat(GAP)]);
}
