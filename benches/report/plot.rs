//! Draws plots as SVG. The main structure is [`Figure`].

use std::error::Error;
use std::ops::Range;

use plotters::coord::Shift;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// The size of a panel.
const PANEL: (u32, u32) = (450, 350);
const COLOURS: [RGBColor; 6] = [
    RGBColor(0x3b, 0x82, 0xf6),
    RGBColor(0xf9, 0x73, 0x16),
    RGBColor(0x10, 0xb9, 0x81),
    RGBColor(0xe1, 0x1d, 0x48),
    RGBColor(0x8b, 0x5c, 0xf6),
    RGBColor(0x64, 0x74, 0x8b),
];
const TEXT: RGBColor = RGBColor(0x33, 0x41, 0x55);
const AXIS: RGBColor = RGBColor(0x94, 0xa3, 0xb8);
const GRID: RGBColor = RGBColor(0xe2, 0xe8, 0xf0);

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Panels side by side.
pub(crate) struct Figure {
    pub(crate) panels: Vec<Panel>,
}

/// One plot.
pub(crate) enum Panel {
    Lines(Lines),
    Bars(Bars),
}

/// Lines over logarithmic or linear axes.
pub(crate) struct Lines {
    pub(crate) title: &'static str,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) series: Vec<Series>,
    /// A corner that no line crosses.
    pub(crate) legend: SeriesLabelPosition,
}

pub(crate) struct Axis {
    pub(crate) label: &'static str,
    pub(crate) log: bool,
    /// The marks; if there are none, the axis has round numbers.
    pub(crate) ticks: Vec<f64>,
}

pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
    pub(crate) dashed: bool,
}

/// A bar for each name, with its value beside it; the first is highlighted.
pub(crate) struct Bars {
    pub(crate) title: &'static str,
    pub(crate) note: &'static str,
    pub(crate) bars: Vec<(String, f64)>,
}

impl Figure {
    /// The SVG file.
    pub(crate) fn svg(&self) -> Result<String> {
        let mut svg = String::new();
        let width = PANEL.0 * u32::try_from(self.panels.len())?;
        let area = SVGBackend::with_string(&mut svg, (width, PANEL.1)).into_drawing_area();
        area.fill(&WHITE)?;
        for (panel, area) in self.panels.iter().zip(area.split_evenly((1, self.panels.len()))) {
            match panel {
                Panel::Lines(lines) => lines.draw(&area)?,
                Panel::Bars(bars) => bars.draw(&area)?,
            }
        }
        area.present()?;
        drop(area);
        Ok(svg)
    }
}

impl Axis {
    fn scale(&self, values: impl Iterator<Item = f64>) -> Scale {
        let (low, high) = values
            .fold((f64::INFINITY, 0.0), |(low, high), value| (f64::min(low, value), f64::max(high, value)));
        let marks = match (self.ticks.is_empty(), self.log) {
            (false, _) => self.ticks.clone(),
            (true, true) => {
                let powers = low.log10().floor() as i32..=high.log10().ceil() as i32;
                powers.map(|power| 10_f64.powi(power)).collect()
            }
            (true, false) => (0..=5).map(|step| round_up(high) * f64::from(step) / 5.0).collect(),
        };
        Scale { log: self.log, marks }
    }
}

/// An axis from its first mark to its last.
struct Scale {
    log: bool,
    marks: Vec<f64>,
}

impl Ranged for Scale {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (start, end): (i32, i32)) -> i32 {
        let at = |value: f64| if self.log { value.max(1e-9).log10() } else { value };
        let Range { start: low, end: high } = self.range();
        let part = (at(*value) - at(low)) / (at(high) - at(low));
        start + (part * f64::from(end - start)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() { Vec::new() } else { self.marks.clone() }
    }

    fn range(&self) -> Range<f64> {
        self.marks[0]..self.marks[self.marks.len() - 1]
    }
}

impl ValueFormatter<f64> for Scale {
    fn format(value: &f64) -> String {
        short(*value)
    }
}

impl Lines {
    fn draw(&self, area: &Area<'_>) -> Result {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let mut chart = ChartBuilder::on(area)
            .caption(self.title, title())
            .margin(10)
            .margin_right(22)
            .x_label_area_size(44)
            .y_label_area_size(66)
            .build_cartesian_2d(
                self.x.scale(points().map(|point| point.0)),
                self.y.scale(points().map(|point| point.1)),
            )?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .bold_line_style(GRID)
            .axis_style(AXIS)
            .label_style(text())
            .axis_desc_style(text())
            .x_desc(self.x.label)
            .y_desc(self.y.label)
            .draw()?;
        for (series, colour) in self.series.iter().zip(COLOURS) {
            let style = colour.stroke_width(2);
            let points = series.points.iter().copied();
            let drawn = if series.dashed {
                chart.draw_series(DashedLineSeries::new(points, 5, 4, style))?
            } else {
                chart.draw_series(LineSeries::new(points, style.filled()).point_size(3))?
            };
            drawn
                .label(series.name.clone())
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(3)));
        }
        chart
            .configure_series_labels()
            .position(self.legend.clone())
            .background_style(WHITE)
            .border_style(GRID)
            .label_font(text())
            .draw()?;
        Ok(())
    }
}

impl Bars {
    fn draw(&self, area: &Area<'_>) -> Result {
        let most = self.bars.iter().map(|bar| bar.1).fold(0.0, f64::max);
        // The names are left of zero, and the first bar is at the top.
        let mut chart = ChartBuilder::on(area)
            .caption(self.title, title())
            .margin(10)
            .x_label_area_size(30)
            .build_cartesian_2d(-0.7 * most..1.2 * most, self.bars.len() as f64..0.0)?;
        let mut mesh = chart.configure_mesh();
        mesh.disable_mesh().disable_y_axis().axis_style(TRANSPARENT).x_labels(0);
        mesh.axis_desc_style(text()).x_desc(self.note).draw()?;
        let beside = |side| text().pos(Pos::new(side, VPos::Center));
        for (row, (name, value)) in self.bars.iter().enumerate() {
            let (top, middle) = (row as f64 + 0.2, row as f64 + 0.5);
            let colour = COLOURS[if row == 0 { 0 } else { 5 }];
            let bar = Rectangle::new([(0.0, top), (value.max(0.005 * most), top + 0.6)], colour.filled());
            chart.draw_series([bar])?;
            chart.draw_series([
                Text::new(name.clone(), (-0.03 * most, middle), beside(HPos::Right)),
                Text::new(short(*value), (value + 0.03 * most, middle), beside(HPos::Left)),
            ])?;
        }
        Ok(())
    }
}

fn title() -> TextStyle<'static> {
    TextStyle::from(("sans-serif", 18, FontStyle::Bold)).color(&TEXT)
}

fn text() -> TextStyle<'static> {
    TextStyle::from(("sans-serif", 15)).color(&TEXT)
}

/// The next number of the form 1, 2, 2.5, 5 or 10 times a power of ten.
fn round_up(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    let steps = [1.0, 2.0, 2.5, 5.0, 10.0].map(|step| step * power);
    steps.into_iter().find(|&round| round >= value).unwrap_or(value)
}

/// A number with at most three digits and a unit prefix.
fn short(value: f64) -> String {
    let digits = |value: f64| {
        let text = format!("{value:.*}", usize::from(value < 10.0) + usize::from(value < 1.0));
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
    };
    match value {
        1e6.. => format!("{} M", digits(value / 1e6)),
        1e3.. => format!("{} k", digits(value / 1e3)),
        _ => digits(value),
    }
}
