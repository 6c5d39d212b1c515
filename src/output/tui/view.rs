//! The screen, drawn: what is at the top and at the bottom of every page, and what lies in front of it.

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Widget as _};
use unicode_width::UnicodeWidthStr as _;

use super::super::{human, table};
use super::app::{App, Page, Popup};
use super::draw::{BOLD, DIM, PLAIN, REVERSED, caution, fit, loss, parts, with_right};
use super::{list, one};
use crate::snapshot::{Drops, Snapshot, SourceKind};

/// Draws everything. `now` is the time since the screen was opened.
pub(super) fn draw(app: &mut App, now: Duration, area: Rect, buffer: &mut Buffer) {
    let width = usize::from(area.width);
    let head = head(app, now, width, area.height);
    let foot = foot(app, width, area.height);
    let [top, page, bottom] = Layout::vertical([
        Constraint::Length(rows(head.len())),
        Constraint::Fill(1),
        Constraint::Length(rows(foot.len())),
    ])
    .areas(area);
    lines(&head, top, buffer);
    match &app.page {
        Page::List => list::draw(app, page, buffer),
        Page::One(id) => {
            let id = id.clone();
            one::draw(app, &id, page, buffer);
        }
    }
    lines(&foot, bottom, buffer);
    // losses stay in view
    let below = Rect { y: page.y, height: page.height + bottom.height, ..area };
    match app.popup {
        Some(Popup::Help) => popup(" keys ", &help(), below, buffer),
        Some(Popup::Messages) => popup(" messages, newest first ", &messages(app), below, buffer),
        None => {}
    }
}

fn rows(len: usize) -> u16 {
    u16::try_from(len).unwrap_or(u16::MAX)
}

/// Lines from the top down, as many as there is room for.
pub(super) fn lines(lines: &[Line<'_>], area: Rect, buffer: &mut Buffer) {
    for (line, y) in lines.iter().zip(area.y..area.bottom()) {
        buffer.set_line(area.x, y, line, area.width);
    }
}

/// The lines at the top. Where there is little room, losses are the last to go.
fn head(app: &App, now: Duration, width: usize, height: u16) -> Vec<Line<'static>> {
    let known = app.shown();
    let Some(snapshot) = known.snapshot.as_deref() else {
        let waiting = with_right(Line::styled("portlabel", BOLD), state(app, now), width);
        return vec![waiting, Line::raw(fit("waiting for the first report …", width))];
    };
    let drops = drops(snapshot, app.color, width);
    let mut lines = match height {
        0..7 => vec![drops],
        7..14 => vec![with_right(now_line(app, width), state(app, now), width), drops],
        _ => {
            let mut lines = vec![source(app, snapshot, now, width), now_line(app, width)];
            lines.extend(total(snapshot, width));
            lines.push(drops);
            lines
        }
    };
    let cautions = cautions(snapshot);
    if height >= 14 {
        if !cautions.is_empty() {
            let words = Span::styled(" CAUTION ", caution(app.color));
            let mut line = Line::from(vec![words, Span::raw(" ")]);
            let room = width.saturating_sub(line.width());
            line.spans.extend(parts(cautions.into_iter().map(Span::raw), " · ", room).spans);
            lines.push(line);
        }
        lines.push(asides(app, width));
    }
    lines
}

/// What the page leaves out of the list.
fn asides(app: &App, width: usize) -> Line<'static> {
    if app.page == Page::List { list::asides(app, width) } else { Line::default() }
}

/// What is read, and for how long.
fn source(app: &App, snapshot: &Snapshot, now: Duration, width: usize) -> Line<'static> {
    let source = &*snapshot.source;
    let mut words = vec![Span::styled(table::inputs(&source.names), BOLD)];
    if let (SourceKind::Live, Some(host)) = (source.kind, &source.host) {
        words.push(Span::raw(format!("on {}", human::printable(host))));
    }
    if let Some(filter) = &source.filter {
        words.push(Span::raw(format!("filter: {}", human::printable(filter))));
    }
    let right = state(app, now);
    let left = parts(words, "  ", width.saturating_sub(right.width() + 1));
    with_right(left, right, width)
}

/// What the user should not overlook: that the screen is frozen, that the run ends; else for how long it has gone on.
fn state(app: &App, now: Duration) -> Line<'static> {
    let seconds = |duration: Duration| length(Duration::from_secs(duration.as_secs()));
    let mut words = Vec::new();
    if app.ending {
        words.push(Span::styled(" ENDING ", caution(app.color)));
    }
    if let Some(silence) = app.silent_for(now) {
        words.push(Span::styled(format!(" NO REPORT for {} ", seconds(silence)), caution(app.color)));
    }
    if let Some(paused) = app.paused_for(now) {
        words.push(Span::styled(format!(" PAUSED for {} ", seconds(paused)), caution(app.color)));
    }
    let interval = app.shown().now.as_ref().map(|tick| format!(", each {}", length(Duration::from_nanos(tick.nanos))));
    words.push(Span::styled(
        match interval {
            _ if app.is_complete() => "all read".to_owned(),
            interval => format!("running {}{}", seconds(now), interval.unwrap_or_default()),
        },
        DIM,
    ));
    parts(words, " ", usize::MAX)
}

/// A length of time, without a fraction where there is none: `5 s`, `1.5 s`, `2m05s`.
pub(super) fn length(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ 0..60 if duration.subsec_nanos() == 0 => format!("{seconds} s"),
        _ => human::micros(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)),
    }
}

/// The last interval, and the last minute.
fn now_line(app: &App, width: usize) -> Line<'static> {
    let known = app.shown();
    let Some(tick) = &known.now else { return Line::raw(fit("now    no interval yet", width)) };
    let packets = human::packet_rate(tick.total.packets, tick.nanos).unwrap_or_default();
    let bits = human::bit_rate(tick.total.wire_bytes, tick.nanos).unwrap_or_default();
    let (peak, slot_nanos) = known.history.peak();
    let peak = human::bit_rate(peak, slot_nanos).map(|peak| format!("peak {peak}")).unwrap_or_default();
    let label = Span::styled("now    ", DIM);
    let numbers = Span::styled(format!("{packets:>18}  {bits:>10}"), BOLD);
    let left = label.width() + numbers.width();
    let graph_width = width.saturating_sub(left + peak.width() + 5).min(60);
    let mut words = vec![label, numbers];
    if graph_width >= 10 {
        words.push(Span::raw(format!("  ▕{}▏", known.history.total(rows(graph_width)))));
        words.push(Span::styled(format!(" {peak}"), DIM));
    }
    parts(words, "", width)
}

/// Everything since the start; in two lines where one has no room for it.
fn total(snapshot: &Snapshot, width: usize) -> Vec<Line<'static>> {
    const ONE_LINE: usize = 110;
    let count = |number: u64, what: &str| match number {
        0..10_000_000 => human::counted(number, what),
        _ => format!("{} {what}s", human::short(number)),
    };
    let unlabelled = snapshot.services.iter().filter(|row| row.service.is_none()).map(|row| row.wire_bytes).sum();
    let portless = snapshot.portless.iter().map(|row| row.wire_bytes).sum();
    let mut sums = vec![
        count(snapshot.packets, "packet"),
        human::bytes(snapshot.wire_bytes),
        format!("{} of {} active", human::short(snapshot.flows.active), count(snapshot.flows.started, "flow")),
    ];
    let shares = [(unlabelled, "unlabelled"), (portless, "without ports")];
    let shares = shares.map(|(part, what)| format!("{} {what}", human::share(part, snapshot.wire_bytes)));
    let line = |label, words: Vec<String>| {
        let label = Span::styled(label, DIM);
        let words = parts(words.into_iter().map(Span::raw), " · ", width.saturating_sub(label.width()));
        let mut line = Line::from(label);
        line.spans.extend(words.spans);
        line
    };
    if width >= ONE_LINE {
        sums.extend(shares);
        return vec![line("total  ", sums)];
    }
    vec![line("total  ", sums), line("       ", shares.into())]
}

/// What was lost, in the interval and in all: always there, and loud when there is any.
fn drops(snapshot: &Snapshot, color: bool, width: usize) -> Line<'static> {
    let now = snapshot.interval.as_ref().map(|interval| &interval.drops);
    let all = &snapshot.drops;
    let any = |drops: &Drops| drops.kernel.unwrap_or(0) > 0 || drops.interface.unwrap_or(0) > 0;
    if !(any(all) || now.is_some_and(any)) {
        let text = match (all.kernel, all.interface, snapshot.source.kind) {
            (None, None, SourceKind::File) => "drops  not counted in files",
            (None, None, SourceKind::Live) => "drops  not counted here",
            (Some(_), Some(_), _) => "drops  none by the kernel, none by the interface",
            (Some(_), None, _) => "drops  none by the kernel; the interface does not count",
            (None, Some(_), _) => "drops  none by the interface; the kernel does not count",
        };
        return Line::from(vec![Span::styled(fit(text.get(..7).unwrap_or(""), width), DIM), {
            Span::raw(fit(text.get(7..).unwrap_or(text), width.saturating_sub(7)))
        }]);
    }
    let word = if now.is_some_and(any) { " DROPS NOW " } else { " DROPS " };
    if width < 60 {
        let lost = |drops: &Drops| drops.kernel.unwrap_or(0).saturating_add(drops.interface.unwrap_or(0));
        let text = format!(" {} lost", human::short(lost(all)));
        let text = fit(&text, width.saturating_sub(word.width()));
        return Line::from(vec![Span::styled(fit(word, width), loss(color)), Span::styled(text, BOLD)]);
    }
    let by = |name: &str, of: fn(&Drops) -> Option<u64>, form: fn(u64) -> String, with_share: bool| {
        let all = of(all)?;
        let now = now.and_then(of).map(|now| format!("{} now, ", form(now))).unwrap_or_default();
        let share = human::share(all, snapshot.packets.saturating_add(all));
        let share = if with_share { format!(" ({share})") } else { String::new() };
        Some(format!("{name} {now}{} in all{share}", form(all)))
    };
    let sums = |form, with_share| {
        let sums = [
            by("kernel", |drops| drops.kernel, form, with_share),
            by("interface", |drops| drops.interface, form, with_share),
        ];
        sums.into_iter().flatten().collect::<Vec<_>>().join(" · ")
    };
    let room = width - word.width() - 1;
    let exact = sums(human::count, true);
    let text = if exact.width() <= room { exact } else { sums(human::short, false) };
    let mut words = vec![Span::styled(word, loss(color)), Span::styled(format!(" {}", fit(&text, room)), BOLD)];
    let by_interface = all.interfaces.iter().flatten().filter_map(|(name, drops)| {
        let lost = drops.kernel.unwrap_or(0).saturating_add(drops.interface.unwrap_or(0));
        (lost > 0).then(|| Span::raw(format!(" {} {}", human::printable(name), human::count(lost))))
    });
    if all.interfaces.as_ref().is_some_and(|interfaces| interfaces.len() > 1) {
        words.extend(by_interface);
    }
    parts(words, "", width)
}

/// What a reader should know before trusting the numbers, beside losses.
fn cautions(snapshot: &Snapshot) -> Vec<String> {
    let late = snapshot.interval.as_ref().map_or(0, |interval| interval.late_packets);
    let cautions = [
        (snapshot.time_jumps, "jump", "of packet time"),
        (snapshot.flows.evicted, "flow", "ended early: table full"),
        (late, "packet", "came late"),
        (snapshot.learned_forgotten, "learned endpoint", "forgotten"),
        (snapshot.histograms_refused, "row", "without percentiles"),
    ];
    let said = cautions.into_iter().filter(|(number, ..)| *number > 0);
    said.map(|(number, what, how)| format!("{} {how}", human::counted(number, what))).collect()
}

/// The lines at the bottom: the newest message, and what can be done.
fn foot(app: &App, width: usize, height: u16) -> Vec<Line<'static>> {
    let mut foot = Vec::new();
    if height >= 10
        && let Some(message) = app.messages.back()
    {
        let more = match app.messages.len() - 1 {
            0 => String::new(),
            more => format!(" (m: {} more)", human::count(more as u64)),
        };
        let message = fit(&human::printable(message), width.saturating_sub(2 + more.width()));
        foot.push(Line::from(vec![Span::styled("! ", BOLD), Span::raw(message), Span::styled(more, DIM)]));
    }
    if height < 4 {
        return foot;
    }
    if app.typing.is_some() {
        let prompt = Line::from(vec![
            Span::styled("name: ", BOLD),
            Span::raw(human::printable(&app.choice.filter)),
            Span::styled(" ", REVERSED),
        ]);
        foot.push(with_right(prompt, Line::styled("Enter keeps it · Esc takes it back", DIM), width));
        return foot;
    }
    let asides = asides(app, width);
    if height < 14 && asides.width() > 0 {
        foot.push(asides);
        return foot;
    }
    let keys: &[(&str, &str)] = match app.page {
        Page::List => &[
            ("q", "quit"),
            ("?", "keys"),
            ("/", "filter"),
            ("s", "sort"),
            ("space", "pause"),
            ("Enter", "open"),
            ("n", "numbers"),
            ("w", "no ports"),
            ("m", "messages"),
        ],
        Page::One(_) => {
            &[("q", "quit"), ("?", "keys"), ("Esc", "back"), ("Tab", "next"), ("space", "pause"), ("↑↓", "scroll")]
        }
    };
    let room = width.saturating_sub(1);
    let mut line = Line::default();
    for (key, what) in keys {
        let len = key.width() + what.width() + 3;
        if line.width() + len > room {
            break;
        }
        line.push_span(Span::styled(format!("{key} "), BOLD));
        line.push_span(Span::styled(format!("{what}  "), DIM));
    }
    foot.push(line);
    foot
}

/// A box with lines in front of everything.
fn popup(title: &'static str, text: &[Line<'_>], area: Rect, buffer: &mut Buffer) {
    let width = text.iter().map(Line::width).max().unwrap_or_default().max(title.len()) + 4;
    let [area] = Layout::horizontal([Constraint::Max(rows(width))]).flex(ratatui::layout::Flex::Center).areas(area);
    let [area] =
        Layout::vertical([Constraint::Max(rows(text.len() + 2))]).flex(ratatui::layout::Flex::Center).areas(area);
    Clear.render(area, buffer);
    let block = Block::bordered().title(Span::styled(title, BOLD));
    let inner = block.inner(area);
    block.render(area, buffer);
    let inner = Rect { x: inner.x.saturating_add(1), width: inner.width.saturating_sub(2), ..inner };
    let text: Vec<_> = text.iter().map(|line| fit_line(line, usize::from(inner.width))).collect();
    lines(&text, inner, buffer);
}

/// A line cut as [`fit`] cuts text.
fn fit_line(line: &Line<'_>, width: usize) -> Line<'static> {
    let mut left = width;
    let spans = line.spans.iter().map(|span| {
        let text = fit(&span.content, left);
        left = left.saturating_sub(text.width());
        Span::styled(text, span.style)
    });
    Line::from(spans.collect::<Vec<_>>())
}

fn help() -> Vec<Line<'static>> {
    const KEYS: [(&str, &str); 13] = [
        ("q Ctrl-C", "end the run; once more, Ctrl-C ends the program"),
        ("space p", "pause: what is shown stays, counting goes on"),
        ("/", "only names, ports or reasons with this in them"),
        ("↑ ↓ PgUp PgDn Home End", "select a line; also k j g G"),
        ("Enter", "everything about the selected line"),
        ("Esc Tab Shift-Tab", "back; the next line, the one before"),
        ("s S ← →", "next and previous order: bytes, bits/s, packets/s,"),
        ("", "packets, active, flows, unanswered, size, rtt, …"),
        ("r", "the other way round"),
        ("n", "ports instead of names"),
        ("w", "with or without packets that have no ports"),
        ("m", "messages"),
        ("Ctrl-L Ctrl-Z", "draw anew; back to the shell, fg continues"),
    ];
    let mut lines: Vec<_> = KEYS
        .iter()
        .map(|(key, what)| Line::from(vec![Span::styled(format!("{key:<22}  "), BOLD), Span::raw(*what)]))
        .collect();
    lines.push(Line::styled("Rates are of the last interval, a graph of the last minute in its own scale;", DIM));
    lines.push(Line::styled("sizes, round trips and evidence of the whole run. ? marks guessed labels.", DIM));
    lines
}

fn messages(app: &App) -> Vec<Line<'static>> {
    if app.messages.is_empty() {
        return vec![Line::styled("none", DIM)];
    }
    app.messages.iter().rev().map(|text| Line::styled(human::printable(text), PLAIN)).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use ratatui::crossterm::event::{KeyCode, KeyEvent};
    use ratatui::style::{Color, Modifier};

    use super::super::super::sample;
    use super::super::super::table::Options;
    use super::super::history::Ticker;
    use super::*;
    use crate::snapshot::{InterfaceDrops, Interval, Shape, SourceInfo, Summary};
    use crate::units::Timestamp;

    const SIZES: [(u16, u16); 2] = [(80, 24), (200, 60)];

    /// The screen at 62 s, after a minute of traffic that rises and falls.
    fn busy(change: impl Fn(&mut Snapshot)) -> App {
        let mut app = App::new(&Options { color: true, ..Options::default() });
        let mut ticker = Ticker::default();
        for second in 0..62 {
            let mut snapshot = live(second);
            change(&mut snapshot);
            let tick = ticker.tick(&snapshot).map(Arc::new);
            app.news(Arc::new(snapshot), tick, Duration::from_secs(second));
        }
        app
    }

    /// A live snapshot with an interval a second, in which every row has some traffic.
    fn live(second: u64) -> Snapshot {
        let mut snapshot = sample::snapshot();
        let names = ["eth0", "eth1"].map(str::to_owned).to_vec();
        let (host, filter) = (Some("gateway".to_owned()), Some("not port 22".to_owned()));
        snapshot.source = Arc::new(SourceInfo { kind: SourceKind::Live, names, host, filter });
        snapshot.is_final = false;
        snapshot.histograms_refused = 0;
        snapshot.flows.evicted = 0;
        snapshot.flows.active = 12;
        snapshot.drops = Drops { kernel: Some(0), interface: Some(0), interfaces: None };
        let start =
            Timestamp::from_nanos(1_769_853_600_000_000_000 + i64::try_from(second).expect("small") * 1_000_000_000);
        snapshot.interval = Some(Interval {
            start,
            end: start.saturating_add(Duration::from_secs(1)),
            drops: snapshot.drops.clone(),
            ..snapshot.interval.clone().expect("the sample has one")
        });
        let wave = |at: u64| (second + at * 7) % 30;
        let mut added = 0;
        for (at, row) in (0..).zip(snapshot.services.iter_mut().map(Arc::make_mut)) {
            row.flows.active = 5 - at;
            let interval = row.interval.as_mut().expect("the sample has one");
            (interval.packets, interval.wire_bytes) = (wave(at) * 10, wave(at) * 10_000);
            added += wave(at);
        }
        snapshot.portless[0].packets += second;
        snapshot.portless[0].wire_bytes += second * 98;
        snapshot.packets += second * added;
        snapshot.wire_bytes += second * added * 1_000;
        shapes(&mut snapshot);
        snapshot
    }

    /// Gives every summary the shape of a bell.
    fn shapes(snapshot: &mut Snapshot) {
        for row in snapshot.services.iter_mut().map(Arc::make_mut) {
            let summaries: [&mut Option<Summary>; 4] =
                [&mut row.packet_size_bytes, &mut row.gap_us, &mut row.flow_duration_us, &mut row.handshake_rtt_us];
            for summary in summaries.into_iter().flatten().filter(|summary| summary.p50.is_some()) {
                let steps = Shape::of([(summary.min.max(1), 1), (summary.max, 1)].into_iter()).expect("values");
                let len = steps.steps().len() as u64;
                let bell = steps.steps().zip(0..).map(|((value, _), at)| (value, 1 + at * (len - at)));
                summary.shape = Shape::of(bell);
            }
        }
    }

    fn lossy(snapshot: &mut Snapshot) {
        let drops = |kernel| Drops { kernel: Some(kernel), interface: Some(2), interfaces: None };
        snapshot.interval.as_mut().expect("there is one").drops = drops(34);
        let by = |kernel| InterfaceDrops { kernel: Some(kernel), interface: Some(0) };
        let interfaces = BTreeMap::from([("eth0".to_owned(), by(0)), ("eth1".to_owned(), by(1_246))]);
        snapshot.drops = Drops { interfaces: Some(interfaces), ..drops(1_246) };
        snapshot.time_jumps = 2;
        snapshot.flows.evicted = 1_234;
    }

    fn press(app: &mut App, keys: &[KeyCode]) {
        for key in keys {
            app.key(KeyEvent::from(*key), Duration::from_secs(50));
        }
    }

    fn drawn(app: &mut App, (width, height): (u16, u16)) -> Buffer {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("memory");
        let now = Duration::from_secs(62);
        terminal.draw(|frame| draw(app, now, frame.area(), frame.buffer_mut())).expect("memory takes everything");
        terminal.backend().buffer().clone()
    }

    /// The lines of a screen, without the blanks at their ends.
    fn text(buffer: &Buffer) -> String {
        let width = usize::from(buffer.area.width);
        let mut text = String::new();
        for row in buffer.content().chunks(width) {
            // what is wide has a cell of no text behind it
            let mut columns = 0;
            let mut line = String::new();
            for (at, cell) in row.iter().enumerate() {
                if at >= columns {
                    line += cell.symbol();
                    columns = at + cell.symbol().width().max(1);
                }
            }
            text += line.trim_end();
            text.push('\n');
        }
        text
    }

    fn assert_golden(name: &str, app: &mut App) {
        for size in SIZES {
            let buffer = drawn(app, size);
            let file = format!("tui-{name}-{}x{}.txt", size.0, size.1);
            sample::assert_golden(&file, &text(&buffer));
        }
    }

    #[test]
    fn an_empty_start() {
        let mut app = App::new(&Options::default());
        assert_golden("start", &mut app);
        let mut quiet = live(0);
        (quiet.packets, quiet.wire_bytes, quiet.flows) = (0, 0, crate::snapshot::FlowCounts::default());
        (quiet.services, quiet.portless) = (Vec::new(), Vec::new());
        let tick = Ticker::default().tick(&quiet).map(Arc::new);
        app.news(Arc::new(quiet), tick, Duration::from_secs(61));
        assert_golden("quiet", &mut app);
    }

    #[test]
    fn a_busy_wire() {
        let mut app = busy(|_| ());
        press(&mut app, &[KeyCode::Down, KeyCode::Down]);
        assert_golden("busy", &mut app);
    }

    #[test]
    fn losses_are_loud() {
        let mut app = busy(lossy);
        app.message("eth1: the link is down".to_owned());
        app.message("eth1: the link is up\x1b[2J".to_owned());
        assert_golden("drops", &mut app);
        let mut many = busy(|snapshot| {
            let drops = || Drops { kernel: Some(2_345_678), interface: Some(123_456), interfaces: None };
            snapshot.drops = drops();
            snapshot.interval.as_mut().expect("there is one").drops = drops();
        });
        let many = text(&drawn(&mut many, (80, 24)));
        let want = " DROPS NOW  kernel 2.3 M now, 2.3 M in all · interface 123,456 now, 123,456 in all";
        assert!(many.contains(&fit(want, 80)), "both are told, if not to the packet\n{many}");
        for (color, style) in [(true, (Color::White, Color::Red)), (false, (Color::Reset, Color::Reset))] {
            app.color = color;
            let buffer = drawn(&mut app, (80, 24));
            let at = text(&buffer).lines().position(|line| line.contains("DROPS NOW")).expect("it is there");
            let cell = buffer.cell((2, u16::try_from(at).expect("small"))).expect("a cell");
            assert_eq!((cell.fg, cell.bg), style);
            assert_eq!(cell.modifier.contains(Modifier::REVERSED), !color);
            let colours = buffer.content().iter().filter(|cell| (cell.fg, cell.bg) != (Color::Reset, Color::Reset));
            assert_eq!(colours.count() > 0, color);
        }
        for popup in [None, Some(Popup::Help), Some(Popup::Messages)] {
            app.popup = popup;
            for height in [1, 2, 5, 8, 12, 14, 24] {
                let text = text(&drawn(&mut app, (80, height)));
                assert!(text.contains(" DROPS NOW  kernel 34 now, 1,246 in all"), "{height}\n{text}");
            }
        }
    }

    #[test]
    fn a_paused_screen() {
        let mut app = busy(|_| ());
        press(&mut app, &[KeyCode::Char(' '), KeyCode::Char('s'), KeyCode::Char('n')]);
        app.ending = true;
        assert_golden("paused", &mut app);
    }

    #[test]
    fn a_filter() {
        let mut app = busy(|_| ());
        press(&mut app, &[KeyCode::Char('/'), KeyCode::Char('d'), KeyCode::Char('o')]);
        assert_golden("filter", &mut app);
        press(&mut app, &[KeyCode::Enter, KeyCode::Char('w')]);
        let kept = text(&drawn(&mut app, (80, 24)));
        assert!(kept.contains("only names with “do” · packets without ports hidden"), "{kept}");
        press(&mut app, &[KeyCode::Char('/'), KeyCode::Char('x')]);
        assert!(text(&drawn(&mut app, (80, 24))).contains("nothing has this in its name"));
    }

    #[test]
    fn one_service() {
        let mut app = busy(|_| ());
        press(&mut app, &[KeyCode::Enter]);
        assert_golden("one", &mut app);
        press(&mut app, &[KeyCode::End]);
        assert_golden("one-end", &mut app);
        press(&mut app, &[KeyCode::BackTab]);
        assert_golden("one-portless", &mut app);
    }

    #[test]
    fn help_and_messages() {
        let mut app = busy(|_| ());
        press(&mut app, &[KeyCode::Char('?')]);
        assert_golden("help", &mut app);
        app.message("eth1: the link is down".to_owned());
        app.message("eth1: the link is up".to_owned());
        press(&mut app, &[KeyCode::Char('m')]);
        assert_golden("messages", &mut app);
    }

    #[test]
    fn any_size_is_drawn() {
        let mut wide = busy(|snapshot| {
            lossy(snapshot);
            Arc::make_mut(&mut snapshot.services[0]).service =
                Some("日本語のサービス名はとても長い名前です、本当に".into());
            Arc::make_mut(&mut snapshot.services[1]).service = Some("\x1b[31mred".into());
        });
        wide.message("日本語".repeat(40));
        let pages: [&[KeyCode]; 5] = [
            &[],
            &[KeyCode::Enter],
            &[KeyCode::Char('?')],
            &[KeyCode::Esc, KeyCode::Char('m')],
            &[KeyCode::Esc, KeyCode::Esc, KeyCode::Char('/')],
        ];
        for keys in pages {
            press(&mut wide, keys);
            for width in [1, 2, 3, 5, 8, 13, 16, 19, 25, 31, 40, 47, 59, 66, 79, 80, 81, 99, 120, 200, 400] {
                for height in [1, 2, 3, 4, 7, 10, 14, 24, 60] {
                    let text = text(&drawn(&mut wide, (width, height)));
                    assert!(text.lines().all(|line| line.width() <= usize::from(width)), "{width}×{height}\n{text}");
                    assert!(!text.contains('\x1b'), "{width}×{height}\n{text}");
                }
            }
            for size in [(1, 512), (1_024, 1), (1_024, 512)] {
                drawn(&mut wide, size);
            }
        }
        wide = App::new(&Options::default());
        for size in [(1, 1), (2, 2), (1, 24), (80, 1)] {
            drawn(&mut wide, size);
        }
        assert_golden_tiny(&mut busy(lossy));
    }

    fn assert_golden_tiny(app: &mut App) {
        for (width, height) in [(20, 6), (40, 10)] {
            sample::assert_golden(&format!("tui-tiny-{width}x{height}.txt"), &text(&drawn(app, (width, height))));
        }
    }

    #[test]
    fn a_long_list_scrolls_with_the_selection() {
        let mut app = busy(|snapshot| {
            let row = snapshot.services[0].clone();
            snapshot.services.extend((0..100).map(|at| {
                let mut row = (*row).clone();
                row.service = Some(format!("service-{at:02}").into());
                (row.packets, row.wire_bytes) = (1, 100 - at);
                row.into()
            }));
        });
        press(&mut app, &[KeyCode::End]);
        drawn(&mut app, (80, 24));
        press(&mut app, &[KeyCode::PageUp]);
        let text = text(&drawn(&mut app, (80, 24)));
        assert!(text.contains("› service-"), "{text}");
        assert!(!text.contains("https :443 +1 "), "{text}");
    }
}
