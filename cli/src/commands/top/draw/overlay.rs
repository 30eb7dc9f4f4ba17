//! What covers the tables: help, details and questions. The main item is [`details()`].

use actix_pyproc::http::ControlAction;
use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Clear, Padding, Paragraph};

use super::super::details;
use super::super::model::Model;
use super::super::view::{self, Subject};
use super::theme::Theme;

const HELP: &str = "\
q, Esc, Ctrl-C   quit
Tab, ← →         next table
↑ ↓, j k         select a row; Home, End
Enter            details: tracebacks, standard error, quantiles
r                restart the selected worker
R                replace all workers, to load new code
D                drain and stop the gateway
?                this help

gen: which process of the pool   in-fl: calls in flight
rst: restarts   rss: resident memory   cpu: of one core
wait, w99: median and 99th percentile of the queue wait";

pub(super) fn help(frame: &mut Frame<'_>, area: Rect, theme: Theme) {
    let lines: Vec<Line<'_>> = HELP.lines().map(Line::raw).collect();
    draw_sheet(frame, area, "Help", " any key closes ", lines, &mut 0, theme);
}

pub(super) fn question(frame: &mut Frame<'_>, area: Rect, action: ControlAction, theme: Theme) {
    let lines = vec![Line::styled(view::question(action), Style::new().add_modifier(Modifier::BOLD))];
    draw_sheet(frame, area, "Sure?", " y yes   n no ", lines, &mut 0, theme);
}

pub(super) fn details(
    frame: &mut Frame<'_>,
    area: Rect,
    model: &Model,
    of: &Subject,
    scroll: &mut u16,
    theme: Theme,
) {
    let details = details::of(of, model);
    let mut lines = Vec::new();
    for part in &details.parts {
        if let Some(head) = part.head {
            lines.push(Line::raw(""));
            lines.push(Line::styled(head, Style::new().add_modifier(Modifier::BOLD)));
        }
        lines.extend(part.lines.iter().map(|line| Line::raw(line.as_str())));
    }
    draw_sheet(frame, area, &details.title, " ↑↓ scroll   Esc close ", lines, scroll, theme);
}

/// Draws a sheet in the middle, as large as its lines or as the area.
fn draw_sheet(
    frame: &mut Frame<'_>,
    area: Rect,
    title: &str,
    keys: &str,
    lines: Vec<Line<'_>>,
    scroll: &mut u16,
    theme: Theme,
) {
    let widest =
        lines.iter().map(Line::width).max().unwrap_or(0).max(title.chars().count()).max(keys.chars().count());
    let widest = u16::try_from(widest).unwrap_or(u16::MAX);
    let width = widest.saturating_add(4).min(area.width);
    let lines: Vec<Line<'_>> = lines.iter().flat_map(|line| fold(line, width.saturating_sub(4))).collect();
    let count = u16::try_from(lines.len()).unwrap_or(u16::MAX);
    let height = count.saturating_add(2).min(area.height);
    let sheet = area.centered(Constraint::Length(width), Constraint::Length(height));
    *scroll = (*scroll).min(count.saturating_sub(height.saturating_sub(2)));
    let block = Block::bordered()
        .border_type(BorderType::Rounded)
        .border_style(theme.focus())
        .title_top(Line::styled(format!(" {title} "), theme.focus()))
        .title_bottom(Line::raw(keys))
        .padding(Padding::horizontal(1));
    frame.render_widget(Clear, sheet);
    frame.render_widget(Paragraph::new(lines).block(block).scroll((*scroll, 0)), sheet);
}

/// Breaks a line that is too long.
fn fold(line: &Line<'_>, width: u16) -> Vec<Line<'static>> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for c in line.spans.iter().flat_map(|span| span.content.chars()) {
        let wide = Span::raw(c.to_string()).width();
        if used + wide > usize::from(width) && used > 0 {
            lines.push(String::new());
            used = 0;
        }
        used += wide;
        if let Some(last) = lines.last_mut() {
            last.push(c);
        }
    }
    lines.into_iter().map(|text| Line::styled(text, line.style)).collect()
}
