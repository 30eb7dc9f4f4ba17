//! What the person looks at: a key comes in, the view changes or something is to be done. The main
//! structure is [`View`].

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use serde::Serialize;

use super::model::Model;
use super::told::Incident;

/// How many seconds a notice stays.
const NOTICE: u8 = 6;
/// How many lines a page of details is, for the keys that turn it.
const PAGE: u16 = 10;

/// One of the tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Pane {
    #[default]
    Workers,
    Functions,
    Incidents,
}

impl Pane {
    pub(super) const ALL: [Self; 3] = [Self::Workers, Self::Functions, Self::Incidents];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Workers => "Workers",
            Self::Functions => "Functions",
            Self::Incidents => "Incidents",
        }
    }

    pub(super) fn len(self, model: &Model) -> usize {
        match self {
            Self::Workers => model.status.slots.len(),
            Self::Functions => model.status.functions.len(),
            Self::Incidents => model.incidents.len(),
        }
    }

    const fn next(self, back: bool) -> Self {
        match (self, back) {
            (Self::Workers, false) | (Self::Incidents, true) => Self::Functions,
            (Self::Functions, false) | (Self::Workers, true) => Self::Incidents,
            (Self::Incidents, false) | (Self::Functions, true) => Self::Workers,
        }
    }
}

/// What lies over the tables.
#[derive(Debug, Default)]
pub(super) enum Over {
    #[default]
    Nothing,
    Help,
    Details {
        of: Subject,
        /// How many lines are above.
        scroll: u16,
    },
    /// Whether this is to be done.
    Question(Order),
}

/// What details are of.
#[derive(Debug)]
pub(super) enum Subject {
    Slot(u32),
    Function(String),
    /// A copy, for it may leave the list while it is read.
    Incident(Box<Incident>),
}

/// What the gateway can be asked to do, as `POST /dashboard/control` takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub(super) enum Order {
    Replace { slot: u32 },
    Reload,
    Drain,
}

impl Order {
    pub(super) fn question(self) -> String {
        match self {
            Self::Replace { slot } => format!("Restart the worker in slot {slot}?"),
            Self::Reload => "Replace all workers, so that they read the code anew?".to_owned(),
            Self::Drain => "Drain and stop the gateway? Only who runs it can start it again.".to_owned(),
        }
    }

    /// What is said once it is done.
    pub(super) fn done(self) -> String {
        match self {
            Self::Replace { slot } => format!("slot {slot} is being replaced"),
            Self::Reload => "all workers read the new code".to_owned(),
            Self::Drain => "draining".to_owned(),
        }
    }
}

/// What a key asks for.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Act {
    Nothing,
    Quit,
    Send(Order),
}

/// Something to be read in passing.
#[derive(Debug)]
pub(super) struct Notice {
    pub(super) text: String,
    pub(super) bad: bool,
    left: u8,
}

#[derive(Debug, Default)]
pub(super) struct View {
    pub(super) pane: Pane,
    pub(super) over: Over,
    pub(super) notice: Option<Notice>,
    /// Whether there is a token to give orders with.
    has_token: bool,
    selected: [usize; 3],
}

impl View {
    pub(super) fn new(has_token: bool) -> Self {
        Self { has_token, ..Self::default() }
    }

    pub(super) const fn has_token(&self) -> bool {
        self.has_token
    }

    /// The selected row of a pane.
    pub(super) fn selected(&self, pane: Pane, model: &Model) -> Option<usize> {
        let last = pane.len(model).checked_sub(1)?;
        Some(self.selected[pane as usize].min(last))
    }

    pub(super) fn say(&mut self, text: impl Into<String>, bad: bool) {
        self.notice = Some(Notice { text: text.into(), bad, left: if bad { 2 * NOTICE } else { NOTICE } });
    }

    /// A second has passed.
    pub(super) fn tick(&mut self) {
        self.notice = self.notice.take().and_then(|notice| {
            let left = notice.left.checked_sub(1)?;
            Some(Notice { left, ..notice })
        });
    }

    pub(super) fn key(&mut self, key: KeyEvent, model: &Model) -> Act {
        if matches!(key.code, KeyCode::Char('c')) && key.modifiers.contains(KeyModifiers::CONTROL) {
            return Act::Quit;
        }
        match &mut self.over {
            Over::Question(order) => {
                let order = *order;
                match key.code {
                    KeyCode::Char('y' | 'Y') => {
                        self.over = Over::Nothing;
                        return Act::Send(order);
                    }
                    KeyCode::Char('n' | 'N' | 'q') | KeyCode::Esc => self.over = Over::Nothing,
                    _ => {}
                }
            }
            Over::Details { scroll, .. } => match key.code {
                KeyCode::Esc | KeyCode::Enter => self.over = Over::Nothing,
                KeyCode::Char('q') => return Act::Quit,
                KeyCode::Down | KeyCode::Char('j') => *scroll = scroll.saturating_add(1),
                KeyCode::Up | KeyCode::Char('k') => *scroll = scroll.saturating_sub(1),
                KeyCode::PageDown | KeyCode::Char(' ') => *scroll = scroll.saturating_add(PAGE),
                KeyCode::PageUp => *scroll = scroll.saturating_sub(PAGE),
                KeyCode::Home | KeyCode::Char('g') => *scroll = 0,
                KeyCode::End | KeyCode::Char('G') => *scroll = u16::MAX,
                _ => {}
            },
            Over::Help => match key.code {
                KeyCode::Char('q') => return Act::Quit,
                _ => self.over = Over::Nothing,
            },
            Over::Nothing => return self.plain_key(key.code, model),
        }
        Act::Nothing
    }

    /// A key while nothing lies over the tables.
    fn plain_key(&mut self, code: KeyCode, model: &Model) -> Act {
        match code {
            KeyCode::Char('q') | KeyCode::Esc => return Act::Quit,
            KeyCode::Char('?' | 'h') => self.over = Over::Help,
            KeyCode::Tab | KeyCode::Right => self.pane = self.pane.next(false),
            KeyCode::BackTab | KeyCode::Left => self.pane = self.pane.next(true),
            KeyCode::Down | KeyCode::Char('j') => self.select(model, |at| at.saturating_add(1)),
            KeyCode::Up | KeyCode::Char('k') => self.select(model, |at| at.saturating_sub(1)),
            KeyCode::Home | KeyCode::Char('g') => self.select(model, |_| 0),
            KeyCode::End | KeyCode::Char('G') => self.select(model, |_| usize::MAX),
            KeyCode::Enter => self.open(model),
            KeyCode::Char('r') => match self.selected(Pane::Workers, model) {
                Some(index) if self.pane == Pane::Workers => {
                    self.ask(Order::Replace { slot: model.status.slots[index].slot }, model);
                }
                _ => self.say("r restarts the worker that is selected: Tab goes to the workers", true),
            },
            KeyCode::Char('R') => self.ask(Order::Reload, model),
            KeyCode::Char('D') => self.ask(Order::Drain, model),
            _ => {}
        }
        Act::Nothing
    }

    fn select(&mut self, model: &Model, step: impl FnOnce(usize) -> usize) {
        if let Some(at) = self.selected(self.pane, model) {
            self.selected[self.pane as usize] = step(at);
            self.selected[self.pane as usize] = self.selected(self.pane, model).unwrap_or(0);
        }
    }

    fn open(&mut self, model: &Model) {
        let Some(at) = self.selected(self.pane, model) else { return };
        let of = match self.pane {
            Pane::Workers => Subject::Slot(model.status.slots[at].slot),
            Pane::Functions => Subject::Function(model.status.functions[at].function.clone()),
            Pane::Incidents => Subject::Incident(Box::new(model.incidents[at].clone())),
        };
        self.over = Over::Details { of, scroll: 0 };
    }

    fn ask(&mut self, order: Order, model: &Model) {
        if !model.about.control {
            self.say("control is off: the gateway was started without --allow-control", true);
        } else if !self.has_token {
            self.say("control is off: give the token with --token or PYPROC_CONTROL_TOKEN", true);
        } else {
            self.over = Over::Question(order);
        }
    }
}

#[cfg(test)]
mod tests;
