//! What the screen shows, and what keys do to it. No terminal here, and no clock: both are the caller's.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::super::table::Options;
use super::history::{History, RowId, Tick};
use super::rows::{Choice, Order, Row};
use crate::snapshot::{Snapshot, SourceKind};

/// Messages that the screen can list; older ones are forgotten here.
const MAX_MESSAGES: usize = 200;

/// What is known, or was when the screen was frozen.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    pub(super) snapshot: Option<Arc<Snapshot>>,
    /// What the last interval brought.
    pub(super) now: Option<Arc<Tick>>,
    pub(super) history: History,
}

/// What fills the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Page {
    List,
    /// One line of it, with everything that is known of it.
    One(RowId),
}

/// What stands in front of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Popup {
    Help,
    Messages,
}

/// What the screen should do after a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Nothing but draw.
    Draw,
    /// Draw everything anew.
    Redraw,
    /// End the run.
    Quit,
    /// Ctrl-C: end the run, or the program at once if the run is ending already.
    Interrupt,
    /// Stop the program until the shell continues it.
    Suspend,
}

/// The state of the screen.
#[derive(Debug)]
pub(super) struct App {
    /// With colours.
    pub(super) color: bool,
    pub(super) choice: Choice,
    pub(super) page: Page,
    pub(super) popup: Option<Popup>,
    /// The filter is being typed; what it was before.
    pub(super) typing: Option<String>,
    /// The line that the user is at, wherever it moves.
    pub(super) selected: Option<RowId>,
    /// First line of the page that is shown; the view keeps it within the page.
    pub(super) scroll: usize,
    /// Lines of the page that fit, as the view found them.
    pub(super) page_len: usize,
    pub(super) messages: VecDeque<String>,
    /// The run has been asked to end.
    pub(super) ending: bool,
    latest: Known,
    /// What is shown instead of the latest, and since when.
    frozen: Option<(Known, Duration)>,
    /// When the last snapshot came.
    news_at: Option<Duration>,
}

impl App {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            color: options.color,
            choice: Choice {
                order: Order::Total(options.sort),
                reversed: false,
                filter: String::new(),
                portless: true,
                numeric: options.numeric,
                top: options.top,
            },
            page: Page::List,
            popup: None,
            typing: None,
            selected: None,
            scroll: 0,
            page_len: 0,
            messages: VecDeque::new(),
            ending: false,
            latest: Known::default(),
            frozen: None,
            news_at: None,
        }
    }

    /// Takes the newest snapshot, and the intervals since the last one that was taken.
    pub(super) fn news(&mut self, snapshot: Arc<Snapshot>, ticks: impl IntoIterator<Item = Arc<Tick>>, now: Duration) {
        self.latest.now = None;
        for tick in ticks {
            self.latest.history.add(&tick);
            self.latest.now = Some(tick);
        }
        self.latest.snapshot = Some(snapshot);
        self.news_at = Some(now);
    }

    /// Takes something that users are to be told.
    pub(super) fn message(&mut self, text: String) {
        if self.messages.len() == MAX_MESSAGES {
            self.messages.pop_front();
        }
        self.messages.push_back(text);
    }

    /// What is to be shown.
    pub(super) fn shown(&self) -> &Known {
        self.frozen.as_ref().map_or(&self.latest, |(known, _)| known)
    }

    /// For how long the screen is frozen.
    pub(super) fn paused_for(&self, now: Duration) -> Option<Duration> {
        self.frozen.as_ref().map(|(_, since)| now.saturating_sub(*since))
    }

    /// For how long no snapshot has come, once that is longer than it should be.
    pub(super) fn silent_for(&self, now: Duration) -> Option<Duration> {
        let interval = Duration::from_nanos(self.latest.now.as_ref()?.nanos);
        let silence = now.saturating_sub(self.news_at?);
        (!self.is_complete() && self.is_live() && silence > interval * 2 + Duration::from_secs(2)).then_some(silence)
    }

    fn is_live(&self) -> bool {
        self.latest.snapshot.as_ref().is_some_and(|snapshot| snapshot.source.kind == SourceKind::Live)
    }

    /// Everything was read: nothing more will come.
    pub(super) fn is_complete(&self) -> bool {
        self.latest.snapshot.as_ref().is_some_and(|snapshot| snapshot.is_final)
    }

    /// The lines of the list.
    pub(super) fn rows(&self) -> Vec<Row<'_>> {
        let known = self.shown();
        known.snapshot.as_deref().map_or_else(Vec::new, |snapshot| self.choice.rows(snapshot, known.now.as_deref()))
    }

    /// What a key does.
    pub(super) fn key(&mut self, key: KeyEvent, now: Duration) -> Action {
        if key.kind == KeyEventKind::Release {
            return Action::Draw;
        }
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            match key.code {
                KeyCode::Char('c') => return Action::Interrupt,
                KeyCode::Char('z') => return Action::Suspend,
                KeyCode::Char('l') => return Action::Redraw,
                KeyCode::Char('u') => self.typed(String::clear),
                _ => {}
            }
            return Action::Draw;
        }
        if key.modifiers.contains(KeyModifiers::ALT) {
            return Action::Draw;
        }
        if self.typing.is_some() {
            self.key_of_filter(key.code);
            return Action::Draw;
        }
        if let Some(popup) = self.popup {
            // the key that opened it closes it too
            match (popup, key.code) {
                (_, KeyCode::Char('q')) => return Action::Quit,
                (Popup::Help, KeyCode::Char('m')) => self.popup = Some(Popup::Messages),
                (Popup::Messages, KeyCode::Char('?')) => self.popup = Some(Popup::Help),
                _ => self.popup = None,
            }
            return Action::Draw;
        }
        match key.code {
            KeyCode::Char('q') => return Action::Quit,
            KeyCode::Char('?' | 'h') | KeyCode::F(1) => self.popup = Some(Popup::Help),
            KeyCode::Char('m') => self.popup = Some(Popup::Messages),
            KeyCode::Char(' ' | 'p') => self.pause(now),
            KeyCode::Char('n') => self.choice.numeric = !self.choice.numeric,
            _ if self.page == Page::List => self.key_of_list(key.code),
            _ => self.key_of_one(key.code),
        }
        Action::Draw
    }

    fn pause(&mut self, now: Duration) {
        self.frozen = if self.frozen.is_some() { None } else { Some((self.latest.clone(), now)) };
    }

    fn key_of_filter(&mut self, code: KeyCode) {
        match code {
            KeyCode::Enter => self.typing = None,
            KeyCode::Esc => self.choice.filter = self.typing.take().unwrap_or_default(),
            KeyCode::Backspace => self.typed(|filter| {
                filter.pop();
            }),
            KeyCode::Char(c) => self.typed(|filter| filter.push(c)),
            KeyCode::Up | KeyCode::Down => self.key_of_list(code),
            _ => {}
        }
    }

    /// Changes the filter, while it is typed.
    fn typed(&mut self, change: impl FnOnce(&mut String)) {
        if self.typing.is_some() {
            change(&mut self.choice.filter);
        }
    }

    fn key_of_list(&mut self, code: KeyCode) {
        const NONE: usize = usize::MAX;
        match code {
            KeyCode::Char('/') => self.typing = Some(self.choice.filter.clone()),
            KeyCode::Char('s') | KeyCode::Right => self.choice.order = self.choice.order.step(1),
            KeyCode::Char('S') | KeyCode::Left => self.choice.order = self.choice.order.step(Order::ALL.len() - 1),
            KeyCode::Char('r') => self.choice.reversed = !self.choice.reversed,
            KeyCode::Char('w') => self.choice.portless = !self.choice.portless,
            KeyCode::Enter => self.open(),
            // one thing at a time
            KeyCode::Esc if self.selected.is_some() => self.selected = None,
            KeyCode::Esc => self.choice.filter.clear(),
            KeyCode::Down | KeyCode::Char('j') => self.move_by(1),
            KeyCode::Up | KeyCode::Char('k') => self.move_by(-1),
            KeyCode::PageDown => self.move_by(self.page_step()),
            KeyCode::PageUp => self.move_by(-self.page_step()),
            KeyCode::Home | KeyCode::Char('g') => self.select(0),
            KeyCode::End | KeyCode::Char('G') => self.select(NONE),
            _ => {}
        }
    }

    fn key_of_one(&mut self, code: KeyCode) {
        let step = self.page_len.max(2) - 1;
        match code {
            KeyCode::Esc | KeyCode::Backspace | KeyCode::Left | KeyCode::Enter => {
                self.page = Page::List;
                self.scroll = 0; // the view moves to the line that is selected
            }
            KeyCode::Tab => self.open_next(1),
            KeyCode::BackTab => self.open_next(-1),
            KeyCode::Down | KeyCode::Char('j') => self.scroll = self.scroll.saturating_add(1),
            KeyCode::Up | KeyCode::Char('k') => self.scroll = self.scroll.saturating_sub(1),
            KeyCode::PageDown => self.scroll = self.scroll.saturating_add(step),
            KeyCode::PageUp => self.scroll = self.scroll.saturating_sub(step),
            KeyCode::Home | KeyCode::Char('g') => self.scroll = 0,
            KeyCode::End | KeyCode::Char('G') => self.scroll = usize::MAX,
            _ => {}
        }
    }

    fn page_step(&self) -> isize {
        isize::try_from(self.page_len).unwrap_or(isize::MAX).max(2) - 1
    }

    /// Where the selected line is now.
    pub(super) fn selected_at(&self, rows: &[Row<'_>]) -> Option<usize> {
        let selected = self.selected.as_ref()?;
        rows.iter().position(|row| row.id() == *selected)
    }

    /// Selects the line so many below; without one the first that is shown, or the last one for going up.
    fn move_by(&mut self, lines: isize) {
        let rows = self.rows();
        let at = match self.selected_at(&rows) {
            Some(at) => at.saturating_add_signed(lines),
            None => self.scroll,
        };
        self.select(at);
    }

    fn select(&mut self, at: usize) {
        let rows = self.rows();
        self.selected = rows.get(at).or(rows.last()).map(|row| row.id());
    }

    /// Opens the selected line, or the first.
    fn open(&mut self) {
        let rows = self.rows();
        let Some(id) = rows.get(self.selected_at(&rows).unwrap_or(0)).map(|row| row.id()) else { return };
        self.selected = Some(id.clone());
        self.page = Page::One(id);
        self.scroll = 0;
    }

    /// Opens another line, around.
    fn open_next(&mut self, lines: isize) {
        let rows = self.rows();
        let Some(at) = self.selected_at(&rows) else { return };
        let len = isize::try_from(rows.len()).unwrap_or(isize::MAX).max(1);
        let next = (isize::try_from(at).unwrap_or(0) + lines).rem_euclid(len);
        self.select(next.unsigned_abs());
        self.open();
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::sample;
    use super::super::history::Ticker;
    use super::*;

    const START: Duration = Duration::ZERO;

    fn app() -> App {
        let mut app = App::new(&Options::default());
        news(&mut app, sample::snapshot(), START);
        app
    }

    fn news(app: &mut App, snapshot: Snapshot, now: Duration) {
        let tick = Ticker::default().tick(&snapshot).map(Arc::new);
        app.news(Arc::new(snapshot), tick, now);
    }

    fn press(app: &mut App, codes: &[KeyCode]) {
        for code in codes {
            assert_eq!(app.key(KeyEvent::from(*code), START), Action::Draw, "{code:?}");
        }
    }

    fn text(app: &mut App, text: &str) {
        press(app, &text.chars().map(KeyCode::Char).collect::<Vec<_>>());
    }

    fn selected(app: &App) -> String {
        let rows = app.rows();
        app.selected_at(&rows).map_or_else(String::new, |at| rows[at].name(false))
    }

    #[test]
    fn the_selection_stays_with_its_line() {
        let mut app = app();
        assert_eq!(selected(&app), "");
        press(&mut app, &[KeyCode::Down]);
        assert_eq!(selected(&app), "https :443 +1");
        press(&mut app, &[KeyCode::Char('j'), KeyCode::Down, KeyCode::Up]);
        assert_eq!(selected(&app), "http-alt :8080 +2");

        let mut snapshot = sample::snapshot();
        snapshot.services.reverse();
        news(&mut app, snapshot, START);
        text(&mut app, "r");
        assert_eq!(selected(&app), "http-alt :8080 +2", "rows moved, the selection did not");

        app.page_len = 3;
        press(&mut app, &[KeyCode::End]);
        assert_eq!(app.selected_at(&app.rows()), Some(6));
        press(&mut app, &[KeyCode::PageUp, KeyCode::Up]);
        assert_eq!(app.selected_at(&app.rows()), Some(3));
        press(&mut app, &[KeyCode::Home, KeyCode::Up]);
        assert_eq!(app.selected_at(&app.rows()), Some(0));
        press(&mut app, &[KeyCode::Esc]);
        assert_eq!(app.selected, None);
    }

    #[test]
    fn the_filter_takes_effect_as_it_is_typed() {
        let mut app = app();
        text(&mut app, "/dom");
        assert_eq!(app.rows().len(), 2);
        press(&mut app, &[KeyCode::Backspace, KeyCode::Char('q'), KeyCode::Backspace, KeyCode::Enter]);
        assert_eq!((app.choice.filter.as_str(), app.typing.is_none()), ("do", true));
        text(&mut app, "/x");
        assert_eq!(app.rows().len(), 0);
        press(&mut app, &[KeyCode::Down, KeyCode::Enter, KeyCode::Enter]);
        assert_eq!(app.page, Page::List, "there is nothing to open");
        text(&mut app, "/");
        app.key(KeyEvent::new(KeyCode::Char('u'), KeyModifiers::CONTROL), START);
        text(&mut app, "arp");
        press(&mut app, &[KeyCode::Esc]);
        assert_eq!(app.choice.filter, "dox", "Escape goes back to what it was");
        press(&mut app, &[KeyCode::Esc]);
        assert_eq!(app.choice.filter, "");
    }

    #[test]
    fn a_paused_screen_shows_what_was() {
        let mut app = app();
        app.key(KeyEvent::from(KeyCode::Char(' ')), Duration::from_secs(5));
        news(&mut app, Snapshot { packets: 1, ..sample::snapshot() }, START);
        let packets = |app: &App| app.shown().snapshot.as_ref().map(|snapshot| snapshot.packets);
        assert_eq!(packets(&app), Some(sample::snapshot().packets));
        assert_eq!(app.paused_for(Duration::from_secs(12)), Some(Duration::from_secs(7)));
        text(&mut app, "p");
        assert_eq!((packets(&app), app.paused_for(START)), (Some(1), None));
    }

    #[test]
    fn a_line_is_opened_and_left() {
        let mut app = app();
        press(&mut app, &[KeyCode::Enter]);
        assert_eq!(app.page, Page::One(app.rows()[0].id()));
        press(&mut app, &[KeyCode::BackTab]);
        assert_eq!(app.page, Page::One(RowId::Portless("arp")));
        press(&mut app, &[KeyCode::Tab, KeyCode::Tab, KeyCode::Down, KeyCode::PageDown, KeyCode::Up]);
        assert_eq!(app.page, Page::One(app.rows()[1].id()));
        press(&mut app, &[KeyCode::Esc]);
        assert_eq!((app.page.clone(), selected(&app).as_str()), (Page::List, "http-alt :8080 +2"));
    }

    #[test]
    fn keys_that_end_or_stop_the_program() {
        let control = |c| KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL);
        let cases = [
            (KeyEvent::from(KeyCode::Char('q')), Action::Quit),
            (control('c'), Action::Interrupt),
            (control('z'), Action::Suspend),
            (control('l'), Action::Redraw),
            (control('q'), Action::Draw),
        ];
        for (key, want) in cases {
            assert_eq!(app().key(key, START), want, "{key:?}");
        }
        for keys in ["?", "m", "?m", "m?"] {
            let mut app = app();
            text(&mut app, keys);
            assert!(app.popup.is_some(), "{keys}");
            assert_eq!(app.key(KeyEvent::from(KeyCode::Char('q')), START), Action::Quit, "{keys}");
            press(&mut app, &[KeyCode::Esc]);
            assert_eq!(app.popup, None, "{keys}");
        }
        let mut typing = app();
        text(&mut typing, "/q");
        assert_eq!(typing.choice.filter, "q", "it is a letter of a name there");
        assert_eq!(typing.key(control('c'), START), Action::Interrupt);
    }

    #[test]
    fn messages_are_bounded() {
        let mut app = app();
        for number in 0..=MAX_MESSAGES {
            app.message(number.to_string());
        }
        assert_eq!((app.messages.len(), app.messages[0].as_str()), (MAX_MESSAGES, "1"));
    }

    #[test]
    fn a_source_that_says_nothing_is_noticed() {
        let mut app = app();
        let later = Duration::from_secs(10);
        assert_eq!(app.silent_for(later), None, "it is complete");
        let mut live = sample::snapshot();
        live.is_final = false;
        live.source = Arc::new(crate::snapshot::SourceInfo { kind: SourceKind::Live, ..(*live.source).clone() });
        news(&mut app, live, Duration::from_secs(5));
        assert_eq!(app.silent_for(Duration::from_secs(9)), None);
        assert_eq!(app.silent_for(later), Some(Duration::from_secs(5)));
    }
}
