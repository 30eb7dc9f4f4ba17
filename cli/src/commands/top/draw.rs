//! The model and the view as a picture of a given size. The main item is [`draw`].

mod charts;
mod overlay;
mod panes;
mod theme;

use actix_pyproc::http::page::NotReady;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::format::{clean, span};
use super::model::{Link, Model};
use super::view::{Overlay, View};

pub(super) use theme::Theme;

/// Draws everything. Limits the scrolling of the view to what there is to see.
pub(super) fn draw(frame: &mut Frame<'_>, model: &Model, view: &mut View, theme: Theme) {
    let area = frame.area();
    let charts = match area.height {
        36.. => 10,
        22.. => 7,
        12.. => 3,
        _ => 0,
    };
    let rows = [Constraint::Length(1), Constraint::Length(charts), Constraint::Min(0), Constraint::Length(1)];
    let [head, figures, body, foot] = Layout::vertical(rows).areas(area);
    draw_head(frame, head, model, theme);
    if figures.height >= 7 {
        charts::draw(frame, figures, model, theme);
    } else {
        charts::draw_small(frame, figures, model, theme);
    }
    panes::draw(frame, body, model, view, theme);
    draw_foot(frame, foot, model, view, theme);
    match &mut view.overlay {
        Overlay::Nothing => {}
        Overlay::Help => overlay::help(frame, area, theme),
        Overlay::Details { of, scroll } => overlay::details(frame, area, model, of, scroll, theme),
        Overlay::Question(action) => overlay::question(frame, area, *action, theme),
    }
}

fn draw_head(frame: &mut Frame<'_>, area: Rect, model: &Model, theme: Theme) {
    let status = &model.status;
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let (sign, style) = match &model.link {
        Link::Lost { .. } => {
            ("connection lost, trying again".to_owned(), theme.bad().add_modifier(Modifier::REVERSED))
        }
        Link::Awaited => ("connecting".to_owned(), theme.warn()),
        Link::Up if status.ready => ("ready".to_owned(), theme.good().add_modifier(Modifier::BOLD)),
        Link::Up => {
            let style = if status.reason == Some(NotReady::Draining) { theme.warn() } else { theme.bad() };
            let reason = status.reason.map_or_else(String::new, |reason| format!(": {reason}"));
            (format!("not ready{reason}"), style)
        }
    };
    let left = Line::from(vec![
        Span::styled(format!(" {} ", clean(&model.about.worker)), bold),
        Span::styled(format!(" {sign} "), style),
    ]);
    let free = usize::from(area.width).saturating_sub(left.width() + 2);
    frame.render_widget(left, area);
    let serving = format!("{}/{} serving", status.pool.serving, status.pool.slots.len());
    let up = status.uptime_ms.map_or_else(String::new, |ms| format!("up {} · ", span(ms)));
    let about = &model.about;
    // The longest text that fits.
    let right = [
        format!("{up}{serving} · Python {} · pyproc {}", clean(&about.python), clean(&about.version)),
        format!("{up}{serving} · Python {}", clean(&about.python)),
        format!("{up}{serving}"),
        serving,
    ];
    if let Some(text) = right.iter().find(|text| text.chars().count() <= free) {
        frame.render_widget(Line::from(format!("{text} ")).right_aligned(), area);
    }
}

fn draw_foot(frame: &mut Frame<'_>, area: Rect, model: &Model, view: &View, theme: Theme) {
    let line = match (&view.notice, &model.link) {
        (Some(notice), _) => {
            let style = if notice.bad { theme.bad() } else { theme.good() };
            Line::styled(format!(" {}", clean(&notice.text)), style)
        }
        (None, Link::Lost { why }) => Line::styled(format!(" {}", clean(why)), theme.bad()),
        (None, _) => keys(area.width, model.about.control && view.has_token(), theme),
    };
    frame.render_widget(line, area);
}

/// The keys that work now, as many as fit.
fn keys(width: u16, control: bool, theme: Theme) -> Line<'static> {
    const LOOK: [(&str, &str); 4] = [("q", "quit"), ("?", "help"), ("Tab", "pane"), ("Enter", "details")];
    const CONTROL: [(&str, &str); 3] = [("r", "restart"), ("R", "reload"), ("D", "drain")];
    const REST: [(&str, &str); 1] = [("↑↓", "select")];
    let control = CONTROL.iter().filter(|_| control);
    let mut line = Line::default();
    for (key, what) in LOOK.iter().chain(control).chain(&REST) {
        if line.width() + key.chars().count() + what.len() + 3 > usize::from(width) {
            break;
        }
        line.push_span(Span::styled(format!(" {key}"), theme.focus()));
        line.push_span(Span::raw(format!(" {what} ")));
    }
    line
}

#[cfg(test)]
mod tests;
