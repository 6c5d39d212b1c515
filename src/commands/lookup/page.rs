//! The answers as aligned text: ports and transports of which the same is known share a line.

use anstyle::{AnsiColor, Style};
use comfy_table::{ColumnConstraint, ContentArrangement, Table as Grid, Width, presets};
use unicode_width::UnicodeWidthStr as _;

use super::Answer;
use crate::output::printable;
use crate::services::Layer;
use crate::services::catalog::{Entry, Facts};
use crate::units::Transport;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const NAME: Style = AnsiColor::Cyan.on_default();

/// Columns between two columns of the table.
const GAP: usize = 2;
/// Below this, a table cannot be read any better than one that is too wide.
const WIDTH_MIN: usize = 60;
/// Where space is short: two transports a line,
const TRANSPORTS_WIDTH_MAX: u16 = 9;
/// and a user's name that is wider is folded.
const NAME_WIDTH_MAX: u16 = 24;
/// What stands where there is no name.
const NOTHING: &str = "–";

const TITLES: [&str; 5] = ["PORT", "PROTO", "SERVICE", "LAYER", "DESCRIPTION"];
const TRANSPORTS: usize = 1;
const SERVICE: usize = 2;

/// Ports and transports of which the same is known.
struct Group<'e, 'c> {
    first: u16,
    last: u16,
    transports: Vec<Transport>,
    facts: &'e Facts<'c>,
}

/// The whole text.
pub(super) fn render(answers: &[Answer<'_>], color: bool, width: Option<usize>) -> String {
    let groups = groups(answers);
    let mut text = grid(&groups, color, width);
    let legend: Vec<_> = Layer::ALL
        .into_iter()
        .filter(|layer| groups.iter().any(|group| speaks_of(group.facts, *layer)))
        .map(|layer| format!("{}: {}", layer.name(), meaning(layer)))
        .collect();
    text.push('\n');
    for line in legend {
        for line in wrapped(&line, width.map(|width| width.max(WIDTH_MIN))) {
            paint(&mut text, color, DIM, &line);
            text.push('\n');
        }
    }
    text
}

/// The lines about a port have the word for the layer in them.
fn speaks_of(facts: &Facts<'_>, layer: Layer) -> bool {
    facts.layer == Some(layer)
        || match layer {
            Layer::User | Layer::Overlay => false,
            Layer::Iana => facts.iana_name.is_some(),
            Layer::List => !facts.list.is_empty(),
        }
}

/// What a layer is, in the words of someone who never heard of it.
const fn meaning(layer: Layer) -> &'static str {
    match layer {
        Layer::User => "a file that --services names",
        Layer::Overlay => "the name in use where IANA has another or none; --iana-names prints IANA's",
        Layer::Iana => "the registry of port numbers that IANA keeps",
        Layer::List => "the list of 210 ports that portlabel started from",
    }
}

/// The entries of all answers, each once, put together where the same is known of neighbours.
fn groups<'e, 'c>(answers: &'e [Answer<'c>]) -> Vec<Group<'e, 'c>> {
    let mut seen = std::collections::HashSet::new();
    let fresh = answers.iter().flat_map(|answer| &answer.entries).filter(|e| seen.insert((e.port, e.transport)));
    let mut groups: Vec<Group<'e, 'c>> = Vec::new();
    for Entry { port, transport, facts } in fresh {
        match groups.last_mut() {
            Some(group) if (group.first, group.last) == (*port, *port) && group.facts == facts => {
                group.transports.push(*transport);
            }
            _ => groups.push(Group { first: *port, last: *port, transports: vec![*transport], facts }),
        }
    }
    // one port after the other, each with as many groups as its transports differ in
    let mut merged: Vec<Group<'e, 'c>> = Vec::new();
    for group in groups {
        let before = merged.iter_mut().rev().take(Transport::ALL.len()).find(|before| {
            let adjoins = before.last.checked_add(1) == Some(group.first);
            // what is said of a whole range is said once, be some of its ports known by a name
            let same_range = group.facts.service.is_none() && before.last < group.first;
            (adjoins || same_range) && before.transports == group.transports && before.facts == group.facts
        });
        match before {
            Some(before) => before.last = group.last,
            None => merged.push(group),
        }
    }
    merged
}

fn grid(groups: &[Group<'_, '_>], color: bool, width: Option<usize>) -> String {
    let mut grid = Grid::new();
    grid.load_style(presets::NOTHING);
    match width {
        Some(width) => {
            // the gap behind the last column is not seen
            let width = u16::try_from(width.max(WIDTH_MIN) + GAP).unwrap_or(u16::MAX);
            grid.set_content_arrangement(ContentArrangement::Dynamic).set_width(width)
        }
        None => grid.set_content_arrangement(ContentArrangement::Disabled),
    };
    grid.add_row(TITLES);
    grid.add_rows(groups.iter().map(cells));
    let gap = u16::try_from(GAP).unwrap_or_default();
    for (at, column) in grid.column_iter_mut().enumerate() {
        column.set_padding((0, gap));
        if width.is_some() && at + 1 < TITLES.len() {
            let at_most = |width| ColumnConstraint::UpperBoundary(Width::Fixed(width + gap));
            column.set_constraint(match at {
                TRANSPORTS => at_most(TRANSPORTS_WIDTH_MAX),
                SERVICE => at_most(NAME_WIDTH_MAX),
                _ => ColumnConstraint::ContentWidth,
            });
        }
    }
    let mut text = String::new();
    let mut lines = grid.lines();
    let titles = lines.next().unwrap_or_default();
    paint(&mut text, color, BOLD, titles.trim_end());
    text.push('\n');
    let name_at = titles.find(TITLES[SERVICE]).unwrap_or_default();
    let mut groups = groups.iter();
    for line in lines {
        let line = line.trim_end();
        // the first line of a group is the one with its ports
        let group = if line.starts_with(' ') { None } else { groups.next() };
        let name = group.and_then(|group| group.facts.service);
        match line.split_at_checked(name_at) {
            Some((before, rest)) if name.is_some_and(|name| rest.starts_with(name)) => {
                let (name, rest) = rest.split_at(name.map_or(0, str::len));
                text += before;
                paint(&mut text, color, NAME, name);
                text += rest;
            }
            _ => text += line,
        }
        text.push('\n');
    }
    text
}

fn cells(group: &Group<'_, '_>) -> [String; 5] {
    let Group { first, last, transports, facts } = group;
    let ports = if first == last { first.to_string() } else { format!("{first}-{last}") };
    let transports: Vec<_> = transports.iter().map(|transport| transport.name()).collect();
    let service = facts.service.unwrap_or(NOTHING);
    let layer = facts.layer.map_or(NOTHING, Layer::name);
    [ports, transports.join(" "), service.to_owned(), layer.to_owned(), description(facts).join("\n")]
}

/// What is known beside the name, a line each: first what says most of the service that the name stands for.
fn description(facts: &Facts<'_>) -> Vec<String> {
    let mut lines = Lines(Vec::new());
    let in_use = facts.overlay.map(|row| row.why).filter(|_| facts.shared().is_none()).unwrap_or_default();
    let registered = facts.description.unwrap_or_default();
    let remarks = facts.remarks();
    let remark = |lines: &mut Lines| remarks.iter().for_each(|remark| lines.add("", remark));
    if let Some(user) = facts.user {
        lines.add("", user.comment.unwrap_or_default());
        lines.add("", &format!("named in {}, line {}", user.file, user.line));
    }
    match facts.layer {
        Some(Layer::Iana) => lines.add("", registered),
        Some(Layer::Overlay) if facts.shared().is_some() => remark(&mut lines),
        Some(Layer::Overlay) => lines.add("", in_use),
        Some(Layer::List) => facts.list.iter().for_each(|row| lines.add("", row.words)),
        Some(Layer::User) | None => {}
    }
    match facts.iana_name.filter(|name| facts.service != Some(name)) {
        Some(name) if registered.is_empty() => lines.add("IANA: ", name),
        Some(name) => lines.add("IANA: ", &format!("{name}, {registered}")),
        None => lines.add("IANA: ", registered),
    }
    let others = facts.aliases.iter().copied().filter(|name| facts.iana_name != Some(name));
    lines.add("also called ", &others.collect::<Vec<_>>().join(", "));
    lines.add("", in_use);
    for row in &facts.list {
        lines.add(if row.agrees == "no" { "list, unlike IANA: " } else { "list: " }, row.words);
    }
    remark(&mut lines);
    lines.0.iter().map(|(label, text)| format!("{label}{}", printable(text))).collect()
}

/// Lines with what each is about; none says what another one said, to the letter.
struct Lines(Vec<(&'static str, String)>);

impl Lines {
    fn add(&mut self, label: &'static str, text: &str) {
        if !text.is_empty() && !self.0.iter().any(|(_, said)| said == text) {
            self.0.push((label, text.to_owned()));
        }
    }
}

fn paint(text: &mut String, color: bool, style: Style, painted: &str) {
    if color {
        *text += &style.render().to_string();
        *text += painted;
        *text += &style.render_reset().to_string();
    } else {
        *text += painted;
    }
}

/// A sentence in lines that fit.
fn wrapped(sentence: &str, width: Option<usize>) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in sentence.split(' ') {
        if let Some(line) = lines.last_mut() {
            if line.is_empty() || width.is_none_or(|width| line.width() + 1 + word.width() <= width) {
                let space = if line.is_empty() { "" } else { " " };
                *line += space;
                *line += word;
            } else {
                lines.push(word.to_owned());
            }
        }
    }
    lines
}
