//! Charts of throughput, latency and load in the last minutes. The main structure is [`Figure`].

use actix_pyproc::http::page::Point;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Color;
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Block, BorderType, Chart, Dataset, GraphType, Sparkline};

use super::super::columns::NONE;
use super::super::format::{rate, rough, span};
use super::super::model::{Model, POINTS};
use super::theme::Theme;

/// The shortest time that a chart shows, in seconds.
const SHORTEST: u64 = 60;

/// A chart: its lines and its scale.
struct Figure {
    name: &'static str,
    lines: &'static [Series],
    /// The line that is drawn if there is room for only one.
    main: usize,
    text: fn(f64) -> String,
    /// Whether the scale is logarithmic, so that both the median and the slowest calls can be seen.
    logarithmic: bool,
    /// The smallest maximum of the scale.
    least: f64,
    /// What is written below the chart.
    note: fn(&Point) -> Option<String>,
}

struct Series {
    name: &'static str,
    color: Color,
    value: fn(&Point) -> Option<f64>,
}

const FIGURES: [Figure; 3] = [
    Figure {
        name: "calls/s",
        lines: &[
            Series { name: "calls/s", color: Color::Cyan, value: |point| Some(point.calls) },
            Series { name: "err", color: Color::Red, value: |point| Some(point.errors) },
        ],
        main: 0,
        text: rate,
        logarithmic: false,
        least: 1.0,
        note: |_| None,
    },
    Figure {
        name: "p99",
        lines: &[
            Series { name: "p50", color: Color::Cyan, value: |point| point.p50.map(|us| us as f64) },
            Series { name: "p95", color: Color::Yellow, value: |point| point.p95.map(|us| us as f64) },
            Series { name: "p99", color: Color::Magenta, value: |point| point.p99.map(|us| us as f64) },
        ],
        main: 2,
        text: |us| rough(us.round() as u64),
        logarithmic: true,
        least: 1.0,
        note: queue_wait,
    },
    Figure {
        name: "in flight",
        lines: &[
            Series { name: "in-fl", color: Color::Cyan, value: |point| Some(point.in_flight as f64) },
            Series { name: "queue", color: Color::Magenta, value: |point| Some(point.queued as f64) },
        ],
        main: 0,
        text: rate,
        logarithmic: false,
        least: 4.0,
        note: |_| None,
    },
];

/// The median and the 99th percentile of the time that calls waited for a worker in the last
/// second, as short as the narrowest chart needs.
fn queue_wait(point: &Point) -> Option<String> {
    Some(format!(" wait {} p99 {} ", rough(point.wait_p50?), rough(point.wait_p99?)))
}

/// Draws three charts side by side.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model, theme: Theme) {
    let widths = [Constraint::Fill(25), Constraint::Fill(33), Constraint::Fill(22)];
    let areas: [Rect; 3] = Layout::horizontal(widths).areas(area);
    for (figure, area) in FIGURES.iter().zip(areas) {
        draw_chart(frame, area, model, figure, theme);
    }
}

/// Draws one line for each, if there is no room for charts.
pub(super) fn draw_small(frame: &mut Frame<'_>, area: Rect, model: &Model, theme: Theme) {
    for (figure, area) in FIGURES.iter().zip(area.rows()) {
        let widths = [Constraint::Length(10), Constraint::Fill(1), Constraint::Length(35)];
        let [name, line, values] = Layout::horizontal(widths).areas(area);
        frame.render_widget(Line::raw(format!(" {}", figure.name)), name);
        let series = &figure.lines[figure.main];
        let skipped = model.points.len().saturating_sub(usize::from(line.width));
        let empty = usize::from(line.width).saturating_sub(model.points.len());
        let shown =
            model.points.iter().skip(skipped).map(|point| (series.value)(point).map(|v| v.round() as u64));
        let data: Vec<Option<u64>> = std::iter::repeat_n(None, empty).chain(shown).collect();
        let sparkline =
            Sparkline::default().data(data).absent_value_symbol(" ").style(theme.color(series.color));
        frame.render_widget(sparkline, line);
        frame.render_widget(legend(model, figure, theme), values);
    }
}

/// The name and the last value of each line, in its colour.
fn legend(model: &Model, figure: &Figure, theme: Theme) -> Line<'static> {
    let last = model.points.back();
    let spans = figure.lines.iter().map(|series| {
        let value = last.and_then(series.value).map_or_else(|| NONE.to_owned(), figure.text);
        Span::styled(format!(" {} {value}", series.name), theme.color(series.color))
    });
    let mut line: Line<'static> = spans.collect();
    line.push_span(" ");
    line
}

fn draw_chart(frame: &mut Frame<'_>, area: Rect, model: &Model, figure: &Figure, theme: Theme) {
    let now = model.points.back().map_or(0, |point| point.t);
    // A gateway that has just started fills the chart soon.
    let oldest = model.points.front().map_or(0, |point| now.saturating_sub(point.t));
    let window = oldest.div_ceil(1000).clamp(SHORTEST, POINTS as u64);
    let values =
        model.points.iter().flat_map(|point| figure.lines.iter().filter_map(|series| (series.value)(point)));
    let scale = Scale::of(values, figure);
    // The first line is drawn last, over the others.
    let runs: Vec<(Color, Vec<(f64, f64)>)> = (figure.lines.iter().rev())
        .flat_map(|series| runs(model, series, now, &scale).into_iter().map(|run| (series.color, run)))
        .collect();
    let datasets = runs.iter().map(|(color, run)| {
        Dataset::default()
            .marker(Marker::Braille)
            .graph_type(GraphType::Line)
            .style(theme.color(*color))
            .data(run)
    });
    let block = Block::bordered()
        .border_type(BorderType::Rounded)
        .border_style(theme.quiet())
        .title_top(legend(model, figure, theme))
        .title_bottom(Line::styled(format!(" {} ", span(1000 * window)), theme.quiet()).right_aligned());
    let note = model.points.back().and_then(figure.note);
    let block = block.title_bottom(Line::styled(note.unwrap_or_default(), theme.quiet()));
    let labels =
        [scale.low, scale.high].map(|value| Span::styled((figure.text)(scale.value(value)), theme.quiet()));
    let chart = Chart::new(datasets.collect())
        .block(block)
        .x_axis(Axis::default().bounds([-(window as f64), 0.0]))
        .y_axis(Axis::default().bounds([scale.low, scale.high]).labels(labels).style(theme.quiet()));
    frame.render_widget(chart, area);
}

/// The lines of a series; a second without a value is a gap.
fn runs(model: &Model, series: &Series, now: u64, scale: &Scale) -> Vec<Vec<(f64, f64)>> {
    let mut runs = vec![Vec::new()];
    for point in &model.points {
        match ((series.value)(point), runs.last_mut()) {
            (Some(value), Some(run)) => {
                let ago = now.saturating_sub(point.t) as f64 / 1000.0;
                run.push((-ago, scale.height(value)));
            }
            (None, Some(run)) if !run.is_empty() => runs.push(Vec::new()),
            _ => {}
        }
    }
    runs
}

/// From values to heights.
struct Scale {
    low: f64,
    high: f64,
    logarithmic: bool,
}

impl Scale {
    fn of(values: impl Iterator<Item = f64>, figure: &Figure) -> Self {
        let (min, max) =
            values.fold((f64::INFINITY, figure.least), |(min, max), value| (min.min(value), max.max(value)));
        if !figure.logarithmic {
            return Self { low: 0.0, high: round_up(max), logarithmic: false };
        }
        // Without values it begins at 100 µs.
        let low = if min.is_finite() { min.max(1.0).log10().floor() } else { 2.0 };
        Self { low, high: max.log10().ceil().max(low + 2.0), logarithmic: true }
    }

    fn height(&self, value: f64) -> f64 {
        if self.logarithmic { value.max(1.0).log10() } else { value }
    }

    fn value(&self, height: f64) -> f64 {
        if self.logarithmic { 10f64.powf(height) } else { height }
    }
}

/// The smallest round number that is at least `goal`.
fn round_up(goal: f64) -> f64 {
    let power = 10f64.powf(goal.log10().floor());
    let steps = [1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0];
    steps.iter().map(|step| step * power).find(|value| *value >= goal).unwrap_or(goal)
}
