//! The tables: three of them if there is room, else the focused one. The main item is [`draw`].

use actix_pyproc::status::{CallRow, CallStage, FunctionRow, LogLine, SlotRow, SlotState};
use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Block, BorderType, Cell, Paragraph, Row, Table, TableState};

use super::super::columns::{CALLS, CRASHES, Column, FAILURES, FUNCTIONS, LOG, WORKERS, empty};
use super::super::format::clean;
use super::super::model::{Link, Model};
use super::super::view::{Pane, View};
use super::theme::Theme;

/// The smallest height of a table: two borders, the header and a row.
const LEAST: u16 = 4;
/// The smallest height that shows three tables.
const ALL: u16 = 20;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model, view: &View, theme: Theme) {
    if area.height < ALL {
        let title = tabs(&Pane::ALL, view.pane, area.width, (model, view), theme);
        draw_pane(frame, area, view.pane, title, (model, view), theme);
        return;
    }
    let shown = [Pane::Workers, Pane::Functions, view.bottom()];
    let wanted = shown.map(|pane| u16::try_from(pane.len(model)).unwrap_or(u16::MAX).saturating_add(3));
    let mut y = area.y;
    for (pane, height) in shown.into_iter().zip(share(area.height, wanted)) {
        let style = if pane == view.pane { theme.focus() } else { Style::new() };
        let title = match pane == view.bottom() {
            true => tabs(&Pane::BOTTOM, pane, area.width, (model, view), theme),
            false => Line::styled(title(pane, model), style),
        };
        draw_pane(frame, Rect { y, height, ..area }, pane, title, (model, view), theme);
        y += height;
    }
}

/// Divides a height of at least `3 * LEAST` between three tables; the last one gets the rest.
pub(super) fn share(height: u16, wanted: [u16; 3]) -> [u16; 3] {
    let mut free = height.saturating_sub(3 * LEAST);
    let [first, second, _] = wanted.map(|wanted| wanted.max(LEAST) - LEAST);
    // A long table leaves a third to each of the others.
    let third = free / 3;
    let first = first.min(free - second.min(third) - third);
    free -= first;
    let second = second.min(free - third.min(free));
    [LEAST + first, LEAST + second, LEAST + free - second]
}

fn title(pane: Pane, model: &Model) -> String {
    match pane.len(model) {
        0 => format!(" {} ", pane.name()),
        rows => format!(" {} {rows} ", pane.name()),
    }
}

/// The names of panes, for the border of the one that is visible; without numbers if the border is
/// too short.
fn tabs(
    panes: &[Pane],
    visible: Pane,
    width: u16,
    (model, view): (&Model, &View),
    theme: Theme,
) -> Line<'static> {
    let names = |long: bool| {
        let name = |pane: Pane| if long { title(pane, model) } else { format!(" {} ", pane.name()) };
        panes.iter().map(|&pane| (pane, name(pane))).collect::<Vec<_>>()
    };
    let long = names(true);
    let fits = long.iter().map(|(_, name)| name.len()).sum::<usize>() + 2 <= usize::from(width);
    let style = match visible == view.pane {
        true => theme.focus().add_modifier(Modifier::REVERSED),
        false => Style::new().add_modifier(Modifier::BOLD),
    };
    let tab = |(pane, name)| if pane == visible { Span::styled(name, style) } else { Span::raw(name) };
    if fits { long } else { names(false) }.into_iter().map(tab).collect()
}

fn draw_pane(
    frame: &mut Frame<'_>,
    area: Rect,
    pane: Pane,
    title: Line<'static>,
    (model, view): (&Model, &View),
    theme: Theme,
) {
    let focused = pane == view.pane;
    let border = if focused { theme.focus() } else { theme.quiet() };
    let block = Block::bordered().border_type(BorderType::Rounded).border_style(border).title_top(title);
    if pane.len(model) == 0 {
        let text =
            Paragraph::new(Line::styled(format!(" {}", empty(pane, model.about.tracebacks)), theme.quiet()))
                .block(block);
        frame.render_widget(text, area);
        return;
    }
    let width = area.width.saturating_sub(2);
    let status = &model.status;
    let table = match (pane, &model.link) {
        (Pane::Workers, Link::Up) => {
            table(WORKERS, &status.pool.slots, |slot| slot_style(slot, theme), model, width)
        }
        (Pane::Functions, Link::Up) => {
            table(FUNCTIONS, &status.pool.functions, |row| function_style(row, theme), model, width)
        }
        // What may be outdated has no colour.
        (Pane::Workers, _) => table(WORKERS, &status.pool.slots, |_| theme.quiet(), model, width),
        (Pane::Functions, _) => table(FUNCTIONS, &status.pool.functions, |_| theme.quiet(), model, width),
        (Pane::Calls, Link::Up) => {
            table(CALLS, &status.pool.oldest_calls, |call| call_style(call, theme), model, width)
        }
        (Pane::Calls, _) => table(CALLS, &status.pool.oldest_calls, |_| theme.quiet(), model, width),
        (Pane::Errors, _) => table(FAILURES, &model.failures, |_| Style::new(), model, width),
        (Pane::Crashes, _) => table(CRASHES, &model.crashes, |_| Style::new(), model, width),
        (Pane::Log, _) => table(LOG, &model.log, |line| line_style(line, theme), model, width),
    };
    let chosen = if focused { Style::new().add_modifier(Modifier::REVERSED) } else { Style::new() };
    let mut state = TableState::new().with_selected(view.selected(pane, model));
    frame.render_stateful_widget(table.block(block).row_highlight_style(chosen), area, &mut state);
}

fn table<'a, T: 'a>(
    columns: &[Column<T>],
    rows: impl IntoIterator<Item = &'a T>,
    style: impl Fn(&T) -> Style,
    model: &Model,
    width: u16,
) -> Table<'static> {
    let columns: Vec<&Column<T>> = columns.iter().filter(|column| column.from <= width).collect();
    let align = |column: &Column<T>| if column.left { Alignment::Left } else { Alignment::Right };
    let head =
        columns.iter().map(|column| Cell::from(Text::from(column.title(width)).alignment(align(column))));
    let head = Row::new(head).style(Style::new().add_modifier(Modifier::BOLD));
    let rows = rows.into_iter().map(|row| {
        let text = |column: &&Column<T>| {
            Cell::from(
                Text::from(clean(&(column.cell)(model, row)).replace('\n', " ")).alignment(align(column)),
            )
        };
        Row::new(columns.iter().map(text)).style(style(row))
    });
    let widths = columns.iter().map(|column| match column.width(width) {
        None => Constraint::Fill(1),
        Some(width) => Constraint::Length(width),
    });
    Table::new(rows, widths).header(head)
}

fn slot_style(slot: &SlotRow, theme: Theme) -> Style {
    match slot.state {
        SlotState::Serving | SlotState::Replacing => theme.good(),
        SlotState::Resting | SlotState::Stopped => theme.bad(),
        _ => theme.warn(),
    }
}

fn call_style(call: &CallRow, theme: Theme) -> Style {
    match call.stage {
        CallStage::Running => theme.good(),
        CallStage::Cancelled => theme.bad(),
        CallStage::Queued => theme.warn(),
        _ => Style::new(),
    }
}

fn line_style(line: &LogLine, theme: Theme) -> Style {
    match line.level.as_str() {
        "error" => theme.bad(),
        "warn" => theme.warn(),
        _ => Style::new(),
    }
}

fn function_style(row: &FunctionRow, theme: Theme) -> Style {
    if row.calls.errors.values().any(|&errors| errors > 0) { theme.warn() } else { Style::new() }
}
