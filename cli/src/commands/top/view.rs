//! What the user looks at, and what a key does. The main structure is [`View`].

use actix_pyproc::http::ControlAction;
use actix_pyproc::pool::SlotId;
use actix_pyproc::status::{Crash, LogLine};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::model::Model;

/// How many seconds a notice stays.
const NOTICE: u8 = 6;
/// How many lines PageUp and PageDown scroll.
const PAGE: u16 = 10;

/// One of the tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Pane {
    #[default]
    Workers,
    Functions,
    Errors,
    Calls,
    Crashes,
    Log,
}

impl Pane {
    pub(super) const ALL: [Self; 6] =
        [Self::Workers, Self::Functions, Self::Errors, Self::Calls, Self::Crashes, Self::Log];
    /// Those of which a large terminal shows one below the others.
    pub(super) const BOTTOM: [Self; 4] = [Self::Errors, Self::Calls, Self::Crashes, Self::Log];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Workers => "Workers",
            Self::Functions => "Functions",
            Self::Errors => "Errors",
            Self::Calls => "Calls",
            Self::Crashes => "Crashes",
            Self::Log => "Log",
        }
    }

    pub(super) fn len(self, model: &Model) -> usize {
        match self {
            Self::Workers => model.status.pool.slots.len(),
            Self::Functions => model.status.pool.functions.len(),
            Self::Errors => model.failures.len(),
            Self::Calls => model.status.pool.oldest_calls.len(),
            Self::Crashes => model.crashes.len(),
            Self::Log => model.log.len(),
        }
    }

    const fn next(self, back: bool) -> Self {
        let step = if back { Self::ALL.len() - 1 } else { 1 };
        Self::ALL[(self as usize + step) % Self::ALL.len()]
    }
}

/// What covers the tables.
#[derive(Debug, Default)]
pub(super) enum Overlay {
    #[default]
    Nothing,
    Help,
    Details {
        of: Subject,
        /// How many lines are scrolled out at the top.
        scroll: u16,
    },
    /// Asks for a confirmation.
    Question(ControlAction),
}

/// The row that details describe.
#[derive(Debug)]
pub(super) enum Subject {
    Slot(SlotId),
    Function(String),
    /// The function, kind and type of errors.
    Failure(String, String, Option<String>),
    /// A copy, because it can leave the list while the user reads it.
    Crash(Box<Crash>),
    /// A copy too.
    Line(Box<LogLine>),
}

/// The question before an action.
pub(super) fn question(action: ControlAction) -> String {
    match action {
        ControlAction::Replace { slot } => format!("Restart the worker in slot {slot}?"),
        ControlAction::Reload => "Replace all workers, so that they load the code again?".to_owned(),
        ControlAction::Drain => "Drain and stop the gateway? You cannot start it again from here.".to_owned(),
    }
}

/// The notice after an action.
pub(super) fn done(action: ControlAction) -> String {
    match action {
        ControlAction::Replace { slot } => format!("slot {slot} is being replaced"),
        ControlAction::Reload => "all workers run the new code".to_owned(),
        ControlAction::Drain => "draining".to_owned(),
    }
}

/// What the caller has to do after a key.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Act {
    Nothing,
    Quit,
    Send(ControlAction),
}

/// A message that disappears after some seconds.
#[derive(Debug)]
pub(super) struct Notice {
    pub(super) text: String,
    pub(super) bad: bool,
    left: u8,
}

#[derive(Debug, Default)]
pub(super) struct View {
    pub(super) pane: Pane,
    pub(super) overlay: Overlay,
    pub(super) notice: Option<Notice>,
    /// Whether the user gave a control token.
    has_token: bool,
    /// By pane; in the log counted from the end, so that the last line stays selected.
    selected: [usize; 6],
    bottom: usize,
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
        let at = self.selected[pane as usize].min(last);
        Some(if pane == Pane::Log { last - at } else { at })
    }

    /// The pane that a large terminal shows below workers and functions.
    pub(super) const fn bottom(&self) -> Pane {
        Pane::BOTTOM[self.bottom]
    }

    fn go(&mut self, back: bool) {
        self.pane = self.pane.next(back);
        if let Some(index) = Pane::BOTTOM.iter().position(|pane| *pane == self.pane) {
            self.bottom = index;
        }
    }

    pub(super) fn notify(&mut self, text: impl Into<String>, bad: bool) {
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
        match &mut self.overlay {
            Overlay::Question(action) => {
                let action = *action;
                match key.code {
                    KeyCode::Char('y' | 'Y') => {
                        self.overlay = Overlay::Nothing;
                        return Act::Send(action);
                    }
                    KeyCode::Char('n' | 'N' | 'q') | KeyCode::Esc => self.overlay = Overlay::Nothing,
                    _ => {}
                }
            }
            Overlay::Details { scroll, .. } => match key.code {
                KeyCode::Esc | KeyCode::Enter => self.overlay = Overlay::Nothing,
                KeyCode::Char('q') => return Act::Quit,
                KeyCode::Down | KeyCode::Char('j') => *scroll = scroll.saturating_add(1),
                KeyCode::Up | KeyCode::Char('k') => *scroll = scroll.saturating_sub(1),
                KeyCode::PageDown | KeyCode::Char(' ') => *scroll = scroll.saturating_add(PAGE),
                KeyCode::PageUp => *scroll = scroll.saturating_sub(PAGE),
                KeyCode::Home | KeyCode::Char('g') => *scroll = 0,
                KeyCode::End | KeyCode::Char('G') => *scroll = u16::MAX,
                _ => {}
            },
            Overlay::Help => match key.code {
                KeyCode::Char('q') => return Act::Quit,
                _ => self.overlay = Overlay::Nothing,
            },
            Overlay::Nothing => return self.plain_key(key.code, model),
        }
        Act::Nothing
    }

    /// A key while nothing covers the tables.
    fn plain_key(&mut self, code: KeyCode, model: &Model) -> Act {
        match code {
            KeyCode::Char('q') | KeyCode::Esc => return Act::Quit,
            KeyCode::Char('?' | 'h') => self.overlay = Overlay::Help,
            KeyCode::Tab | KeyCode::Right => self.go(false),
            KeyCode::BackTab | KeyCode::Left => self.go(true),
            KeyCode::Down | KeyCode::Char('j') => self.select(model, |at| at.saturating_add(1)),
            KeyCode::Up | KeyCode::Char('k') => self.select(model, |at| at.saturating_sub(1)),
            KeyCode::Home | KeyCode::Char('g') => self.select(model, |_| 0),
            KeyCode::End | KeyCode::Char('G') => self.select(model, |_| usize::MAX),
            KeyCode::Enter => self.open(model),
            KeyCode::Char('r') => match self.selected(Pane::Workers, model) {
                Some(index) if self.pane == Pane::Workers => {
                    self.ask(ControlAction::Replace { slot: model.status.pool.slots[index].slot }, model);
                }
                _ => self.notify("r restarts the selected worker; Tab goes to the workers", true),
            },
            KeyCode::Char('R') => self.ask(ControlAction::Reload, model),
            KeyCode::Char('D') => self.ask(ControlAction::Drain, model),
            _ => {}
        }
        Act::Nothing
    }

    fn select(&mut self, model: &Model, step: impl FnOnce(usize) -> usize) {
        let Some(last) = self.pane.len(model).checked_sub(1) else { return };
        let at = self.selected(self.pane, model).map_or(0, step).min(last);
        self.selected[self.pane as usize] = if self.pane == Pane::Log { last - at } else { at };
    }

    fn open(&mut self, model: &Model) {
        let Some(at) = self.selected(self.pane, model) else { return };
        let of = match self.pane {
            Pane::Workers => Subject::Slot(model.status.pool.slots[at].slot),
            Pane::Functions => Subject::Function(model.status.pool.functions[at].function.clone()),
            Pane::Errors => {
                let row = &model.failures[at];
                Subject::Failure(row.function.clone(), row.kind.clone(), row.type_name.clone())
            }
            Pane::Calls => Subject::Function(model.status.pool.oldest_calls[at].function.clone()),
            Pane::Crashes => Subject::Crash(Box::new(model.crashes[at].clone())),
            Pane::Log => Subject::Line(Box::new(model.log[at].clone())),
        };
        self.overlay = Overlay::Details { of, scroll: 0 };
    }

    fn ask(&mut self, action: ControlAction, model: &Model) {
        if !model.about.control {
            self.notify("control is off: the gateway was started without --allow-control", true);
        } else if !self.has_token {
            self.notify("control is off: pass the token with --token or PYPROC_CONTROL_TOKEN", true);
        } else {
            self.overlay = Overlay::Question(action);
        }
    }
}

#[cfg(test)]
mod tests;
