//! Pieces of a screen: lines that fit, bars, and the few styles there are.
//!
//! Colour has two meanings, loss and caution, and each of them has a word beside it. Everything else is the terminal's
//! own foreground, bold or dim, which can be read on any background.

use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

pub(super) const PLAIN: Style = Style::new();
pub(super) const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
pub(super) const DIM: Style = Style::new().add_modifier(Modifier::DIM);
pub(super) const REVERSED: Style = Style::new().add_modifier(Modifier::REVERSED);

/// Packets are being lost, or were.
pub(super) fn loss(color: bool) -> Style {
    if color { BOLD.fg(Color::White).bg(Color::Red) } else { BOLD.add_modifier(Modifier::REVERSED) }
}

/// What one should know before trusting what one sees.
pub(super) fn caution(color: bool) -> Style {
    if color { PLAIN.fg(Color::Black).bg(Color::Yellow) } else { REVERSED }
}

/// Text cut to so many columns, with an ellipsis where something is missing.
pub(super) fn fit(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut left = width.saturating_sub(1);
    let kept = text.chars().take_while(|c| {
        let fits = c.width().unwrap_or(0) <= left;
        left = left.saturating_sub(c.width().unwrap_or(0));
        fits
    });
    let kept: String = kept.collect();
    if width == 0 { kept } else { kept + "…" }
}

/// As many parts as fit, the first ones, with a separator between them.
pub(super) fn parts<'a>(parts: impl IntoIterator<Item = Span<'a>>, separator: &'static str, width: usize) -> Line<'a> {
    let mut line = Line::default();
    for part in parts {
        let gap = if line.spans.is_empty() { 0 } else { separator.width() };
        if line.width() + gap + part.width() > width {
            if line.spans.is_empty() {
                line.push_span(Span::styled(fit(&part.content, width), part.style));
            }
            break;
        }
        if gap > 0 {
            line.push_span(Span::styled(separator, DIM));
        }
        line.push_span(part);
    }
    line
}

/// A line with something at its right end, where both fit; else the left part alone.
pub(super) fn with_right<'a>(mut left: Line<'a>, right: Line<'a>, width: usize) -> Line<'a> {
    let taken = left.width() + right.width();
    if right.width() > 0 && taken < width {
        left.push_span(Span::raw(" ".repeat(width - taken)));
        left.spans.extend(right.spans);
    }
    left
}

/// A bar as long as `part` of `whole`, at most `width` columns, to half a column; what is more than nothing shows.
pub(super) fn bar(part: u64, whole: u64, width: usize) -> String {
    let halves = u128::from(part) * (width as u128) * 2;
    let halves = halves.div_ceil(u128::from(whole.max(1))).min((width as u128) * 2);
    let halves = usize::try_from(halves).unwrap_or_default();
    "━".repeat(halves / 2) + if halves % 2 == 1 { "╸" } else { "" }
}

/// Cells in columns: the first one left-aligned, the others right-aligned, as wide as the widest. What is beyond `width`
/// is cut, line by line.
pub(super) fn grid(rows: &[Vec<String>], width: usize) -> Vec<String> {
    const GAP: &str = "  ";
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let widest =
        |at: usize| rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.width()).max().unwrap_or_default();
    let widths: Vec<_> = (0..columns).map(widest).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).enumerate().map(|(at, (cell, width))| {
            let blank = " ".repeat(width.saturating_sub(cell.width()));
            if at == 0 { format!("{cell}{blank}") } else { format!("{blank}{cell}") }
        });
        fit(&cells.collect::<Vec<_>>().join(GAP), width)
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_by_columns() {
        let cases = [
            ("https", 5, "https"),
            ("https", 4, "htt…"),
            ("https", 1, "…"),
            ("https", 0, ""),
            ("日本語", 6, "日本語"),
            ("日本語", 5, "日本…"),
            ("日本語", 4, "日…"),
        ];
        for (text, width, want) in cases {
            assert_eq!(fit(text, width), want, "{text} {width}");
            assert!(fit(text, width).width() <= width, "{text} {width}");
        }
    }

    #[test]
    fn parts_are_left_out_from_the_end() {
        let line = |width| parts(["one", "two", "three"].map(Span::raw), " · ", width).to_string();
        assert_eq!((line(17).as_str(), line(16).as_str(), line(2).as_str()), ("one · two · three", "one · two", "o…"));
        let left = Line::raw("left");
        assert_eq!(with_right(left.clone(), Line::raw("right"), 12).to_string(), "left   right");
        assert_eq!(with_right(left, Line::raw("right"), 9).to_string(), "left");
    }

    #[test]
    fn bars_are_as_long_as_their_part() {
        let cases = [(0, 10, ""), (1, 1_000_000, "╸"), (5, 10, "━━"), (10, 10, "━━━━"), (9, 16, "━━╸"), (1, 0, "━━━━")];
        for (part, whole, want) in cases {
            assert_eq!(bar(part, whole, 4), want, "{part} of {whole}");
        }
    }
}
