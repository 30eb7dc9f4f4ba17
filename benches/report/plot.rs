//! Plots as SVG, for light and dark pages. The main structure is [`Figure`].

use std::fmt::Write as _;

const WIDTH: f64 = 450.0;
const HEIGHT: f64 = 350.0;
/// Around the plane of a panel: left, right, top, bottom.
const MARGIN: [f64; 4] = [66.0, 18.0, 58.0, 48.0];
/// The height of a line of names.
const LEGEND_LINE: f64 = 17.0;
const COLOURS: [&str; 6] = ["#3b82f6", "#f97316", "#10b981", "#e11d48", "#8b5cf6", "#64748b"];
const STYLE: &str = "
text { font: 12px system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif; fill: #334155 }
.title { font-size: 14px; font-weight: 600; fill: #0f172a }
.note { font-size: 11px; fill: #64748b }
.grid { stroke: #e2e8f0; stroke-width: 1 }
.axis { stroke: #94a3b8; stroke-width: 1 }
.back { fill: #ffffff; stroke: #e2e8f0 }
@media (prefers-color-scheme: dark) {
  text { fill: #cbd5e1 }
  .title { fill: #f1f5f9 }
  .note { fill: #94a3b8 }
  .grid { stroke: #273244 }
  .axis { stroke: #64748b }
  .back { fill: #0d1117; stroke: #273244 }
}";

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
}

pub(crate) struct Axis {
    pub(crate) label: &'static str,
    pub(crate) log: bool,
    /// Where the axis is marked; without any it is marked at round numbers.
    pub(crate) ticks: Vec<f64>,
}

pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
    pub(crate) dashed: bool,
}

/// A bar for each name, with its number beside it.
pub(crate) struct Bars {
    pub(crate) title: &'static str,
    pub(crate) note: &'static str,
    pub(crate) bars: Vec<(String, f64)>,
}

impl Figure {
    /// The whole file.
    pub(crate) fn svg(&self) -> String {
        let (width, height) = (WIDTH * self.panels.len() as f64, HEIGHT);
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\">\n\
             <style>{STYLE}\n</style>\n<rect class=\"back\" x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"8\"/>\n",
            width - 1.0,
            height - 1.0
        );
        for (index, panel) in self.panels.iter().enumerate() {
            writeln!(out, "<g transform=\"translate({} 0)\">", WIDTH * index as f64)
                .expect("a string takes all");
            match panel {
                Panel::Lines(lines) => lines.draw(&mut out),
                Panel::Bars(bars) => bars.draw(&mut out),
            }
            out.push_str("</g>\n");
        }
        out.push_str("</svg>\n");
        out
    }
}

/// From values to places.
struct Scale {
    log: bool,
    from: f64,
    to: f64,
    start: f64,
    end: f64,
}

impl Scale {
    fn at(&self, value: f64) -> f64 {
        let place = |value: f64| if self.log { value.max(1e-9).log10() } else { value };
        let (from, to) = (place(self.from), place(self.to));
        self.start + (place(value) - from) / (to - from) * (self.end - self.start)
    }
}

impl Axis {
    fn scale(&self, values: impl Iterator<Item = f64>, start: f64, end: f64) -> Scale {
        let values = values.chain(self.ticks.iter().copied());
        let (low, high) = values
            .fold((f64::INFINITY, 0.0), |(low, high): (f64, f64), value| (low.min(value), high.max(value)));
        let (from, to) = match (self.log, self.ticks.is_empty()) {
            (true, true) => (10_f64.powf(low.log10().floor()), 10_f64.powf(high.log10().ceil())),
            (false, true) => (0.0, round_up(high)),
            (_, false) => (low, high),
        };
        Scale { log: self.log, from, to, start, end }
    }

    fn marks(&self, scale: &Scale) -> Vec<f64> {
        if !self.ticks.is_empty() {
            return self.ticks.clone();
        }
        if !self.log {
            return (0..=5).map(|step| scale.to * f64::from(step) / 5.0).collect();
        }
        let mut marks = vec![scale.from];
        while marks[marks.len() - 1] * 9.0 < scale.to {
            marks.push(marks[marks.len() - 1] * 10.0);
        }
        marks
    }
}

impl Lines {
    fn draw(&self, out: &mut String) {
        let [left, right, top, bottom] = MARGIN;
        let (right, bottom) = (WIDTH - right, HEIGHT - bottom);
        let top = top + LEGEND_LINE * self.series.len().div_ceil(2) as f64;
        let points = || self.series.iter().flat_map(|series| &series.points);
        let x = self.x.scale(points().map(|point| point.0), left, right);
        let y = self.y.scale(points().map(|point| point.1), bottom, top);
        title(out, self.title);
        for mark in self.y.marks(&y) {
            let place = y.at(mark);
            line(out, "grid", [left, place, right, place]);
            text(out, [left - 6.0, place + 4.0], "end", "", &short(mark));
        }
        for mark in self.x.marks(&x) {
            let place = x.at(mark);
            line(out, "axis", [place, bottom, place, bottom + 4.0]);
            text(out, [place, bottom + 17.0], "middle", "", &short(mark));
        }
        line(out, "axis", [left, bottom, right, bottom]);
        text(out, [f64::midpoint(left, right), bottom + 36.0], "middle", "note", self.x.label);
        text(out, [14.0, 42.0], "start", "note", self.y.label);
        for (series, colour) in self.series.iter().zip(COLOURS) {
            let path: Vec<String> = series
                .points
                .iter()
                .map(|point| format!("{:.1},{:.1}", x.at(point.0), y.at(point.1)))
                .collect();
            let dash = if series.dashed { " stroke-dasharray=\"5 4\"" } else { "" };
            writeln!(
                out,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"{dash}/>",
                path.join(" ")
            )
            .expect("a string takes all");
            for point in series.points.iter().filter(|_| !series.dashed) {
                writeln!(
                    out,
                    "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{colour}\"/>",
                    x.at(point.0),
                    y.at(point.1)
                )
                .expect("a string takes all");
            }
        }
        self.legend(out);
    }

    /// The names, two in a line, above the plane.
    fn legend(&self, out: &mut String) {
        for (index, (series, colour)) in self.series.iter().zip(COLOURS).enumerate() {
            let (line, column) = (index / 2, index % 2);
            let x = 14.0 + (WIDTH - 28.0) / 2.0 * column as f64;
            let y = 58.0 + LEGEND_LINE * line as f64;
            let dash = if series.dashed { " stroke-dasharray=\"5 4\"" } else { "" };
            writeln!(
                out,
                "<line x1=\"{x}\" y1=\"{y}\" x2=\"{}\" y2=\"{y}\" stroke=\"{colour}\" stroke-width=\"3\"{dash}/>",
                x + 16.0
            )
            .expect("a string takes all");
            text(out, [x + 22.0, y + 4.0], "start", "", &series.name);
        }
    }
}

impl Bars {
    fn draw(&self, out: &mut String) {
        let [_, right, top, _] = MARGIN;
        let (left, right) = (166.0, WIDTH - right - 52.0);
        title(out, self.title);
        text(out, [14.0, 42.0], "start", "note", self.note);
        let most = self.bars.iter().map(|bar| bar.1).fold(0.0, f64::max);
        let step = (HEIGHT - top - 24.0) / self.bars.len().max(1) as f64;
        for (index, (name, value)) in self.bars.iter().enumerate() {
            let y = top + step * index as f64;
            let (width, height) = ((value / most * (right - left)).max(1.0), step * 0.62);
            let colour = COLOURS[if index == 0 { 0 } else { 5 }];
            writeln!(
                out,
                "<rect x=\"{left}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"3\" fill=\"{colour}\"/>"
            )
            .expect("a string takes all");
            let middle = y + height / 2.0 + 4.0;
            text(out, [left - 8.0, middle], "end", "", name);
            text(out, [left + width + 6.0, middle], "start", "", &short(*value));
        }
    }
}

fn title(out: &mut String, title: &str) {
    text(out, [14.0, 25.0], "start", "title", title);
}

fn line(out: &mut String, class: &str, [x1, y1, x2, y2]: [f64; 4]) {
    writeln!(out, "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>")
        .expect("a string takes all");
}

fn text(out: &mut String, [x, y]: [f64; 2], anchor: &str, class: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    writeln!(out, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>")
        .expect("a string takes all");
}

/// The next number of the kind 1, 2, 2.5, 5, 10.
fn round_up(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 2.5, 5.0, 10.0]
        .into_iter()
        .map(|step| step * power)
        .find(|&round| round >= value)
        .unwrap_or(value)
}

/// A number in few letters.
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
