//! Styles. The main structure is [`Theme`].

use ratatui::style::{Color, Modifier, Style};

/// The styles of text and lines.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Theme {
    /// Off if `NO_COLOR` is set; then only bold and reversed text is used.
    pub(in super::super) colors: bool,
}

impl Theme {
    pub(super) fn color(self, color: Color) -> Style {
        if self.colors { Style::new().fg(color) } else { Style::new() }
    }

    pub(super) fn good(self) -> Style {
        self.color(Color::Green)
    }

    pub(super) fn warn(self) -> Style {
        self.color(Color::Yellow)
    }

    pub(super) fn bad(self) -> Style {
        self.color(Color::Red).add_modifier(Modifier::BOLD)
    }

    /// Less important text.
    pub(super) fn quiet(self) -> Style {
        self.color(Color::DarkGray)
    }

    pub(super) fn focus(self) -> Style {
        self.color(Color::Cyan).add_modifier(Modifier::BOLD)
    }
}
