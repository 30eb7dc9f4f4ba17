//! The plots of the page. The main item is [`all`].

use plotters::chart::SeriesLabelPosition::{LowerRight, UpperLeft};

use crate::plot::{Axis, Bars, Figure, Lines, Panel, Series};
use crate::support::report::Report;

/// All plots whose benches have left a report, with their file names.
pub(crate) fn all() -> Vec<(&'static str, Figure)> {
    let plots = [
        ("latency.svg", latency as fn() -> Option<Figure>),
        ("scaling.svg", scaling),
        ("protocols.svg", protocols),
        ("mixed.svg", mixed),
    ];
    plots.into_iter().filter_map(|(name, make)| Some((name, make()?))).collect()
}

fn log(label: &'static str, ticks: &[f64]) -> Axis {
    Axis { label, log: true, ticks: ticks.to_vec() }
}

fn series(name: impl Into<String>, points: impl Iterator<Item = (f64, f64)>) -> Series {
    Series { name: name.into(), points: points.collect(), dashed: false }
}

/// Latency and throughput against the number of callers.
fn latency() -> Option<Figure> {
    let report = Report::read("pool_concurrent")?;
    let callers = [1.0, 8.0, 64.0, 256.0, 1024.0];
    let line = |workers: u32, figure: &'static str, name: String| {
        let points = callers.iter().filter_map(|&callers| {
            let id = format!("least-loaded/{workers} workers/16 B/{callers} callers");
            Some((callers, report.figure(&id, figure)?))
        });
        series(name, points)
    };
    let by_workers = |figure: &'static str| {
        [1, 2, 4]
            .map(|workers| {
                line(workers, figure, format!("{workers} worker{}", if workers == 1 { "" } else { "s" }))
            })
            .into()
    };
    Some(Figure {
        panels: vec![
            Panel::Lines(Lines {
                title: "Latency against load",
                x: log("callers, each with one call at a time", &callers),
                y: log("µs, echo of 16 B", &[]),
                series: vec![
                    line(1, "p50_us", "p50, 1 worker".into()),
                    line(1, "p99_us", "p99, 1 worker".into()),
                    line(2, "p50_us", "p50, 2 workers".into()),
                    line(2, "p99_us", "p99, 2 workers".into()),
                ],
                legend: UpperLeft,
            }),
            Panel::Lines(Lines {
                title: "Throughput against load",
                x: log("callers", &callers),
                y: Axis { label: "calls/s, echo of 16 B", log: false, ticks: Vec::new() },
                series: by_workers("calls_per_s"),
                legend: UpperLeft,
            }),
        ],
    })
}

/// Throughput against workers.
fn scaling() -> Option<Figure> {
    let report = Report::read("scaling")?;
    let workers = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0];
    let points = |work: &'static str| {
        let report = &report;
        workers.iter().filter_map(move |&workers| {
            Some((workers, report.figure(&format!("{work}/{workers} workers"), "calls_per_s")?))
        })
    };
    let ideal = |work: &'static str, most: f64| {
        let one = report.figure(&format!("{work}/1 workers"), "calls_per_s").unwrap_or_default();
        let points =
            workers.iter().filter(move |&&count| count <= most).map(move |&count| (count, count * one));
        Series { dashed: true, ..series("linear", points) }
    };
    Some(Figure {
        panels: vec![
            Panel::Lines(Lines {
                title: "Work that waits 2 ms",
                x: log("workers", &workers),
                y: log("calls/s", &[]),
                series: vec![series("actix-pyproc", points("wait 2 ms")), ideal("wait 2 ms", 64.0)],
                legend: UpperLeft,
            }),
            Panel::Lines(Lines {
                title: "Work that computes for 5 ms",
                x: log("workers, up to the number of cores", &[1.0, 2.0]),
                y: Axis { label: "calls/s", log: false, ticks: Vec::new() },
                series: vec![series("actix-pyproc", points("burn 5 ms")), ideal("burn 5 ms", 2.0)],
                legend: UpperLeft,
            }),
        ],
    })
}

fn protocols() -> Option<Figure> {
    let report = Report::read("rpc_comparison")?;
    let bars = |case: &str, figure: &str| -> Vec<(String, f64)> {
        let rows =
            report.rows.iter().filter_map(|row| Some((row.id.strip_suffix(case)?, row.figures.get(figure)?)));
        rows.map(|(name, value)| (name.to_owned(), *value)).collect()
    };
    Some(Figure {
        panels: vec![
            Panel::Bars(Bars {
                title: "Calls a second, 64 callers, 1 worker",
                note: "predict({\"value\": 42}); more is better",
                bars: bars("/64 callers/free", "calls_per_s"),
            }),
            Panel::Bars(Bars {
                title: "p50 of one caller, µs",
                note: "client and server on one core; less is better",
                bars: bars("/1 callers/one core", "p50_us"),
            }),
        ],
    })
}

const POLICIES: [&str; 4] =
    ["late binding", "one at a time", "pipeline of 64, least-loaded", "pipeline of 64, round-robin"];

fn mixed() -> Option<Figure> {
    let report = Report::read("mixed")?;
    let loads = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8];
    let against_load = POLICIES.map(|policy| {
        let report = &report;
        let points = loads.iter().filter_map(|load| {
            let percent = load * 100.0;
            Some((percent, report.figure(&format!("{percent:.0} % load/{policy}"), "p99_us")? / 1e3))
        });
        series(policy, points)
    });
    let quantiles = [
        ("p10_us", 0.1),
        ("p25_us", 0.25),
        ("p50_us", 0.5),
        ("p75_us", 0.75),
        ("p90_us", 0.9),
        ("p95_us", 0.95),
        ("p99_us", 0.99),
    ];
    let spread = POLICIES.map(|policy| {
        let report = &report;
        let points = quantiles.iter().filter_map(|&(figure, quantile)| {
            Some((report.figure(&format!("20 % load/{policy}"), figure)? / 1e3, quantile * 100.0))
        });
        series(policy, points)
    });
    Some(Figure {
        panels: vec![
            Panel::Lines(Lines {
                title: "p99 of short calls among long ones",
                x: Axis {
                    label: "load, % of what 4 workers can do",
                    log: false,
                    ticks: loads.map(|load| load * 100.0).into(),
                },
                y: log("ms; 95 % take 50 µs, 5 % take 20 ms", &[]),
                series: against_load.into(),
                legend: LowerRight,
            }),
            Panel::Lines(Lines {
                title: "How long short calls take at 20 % load",
                x: log("ms", &[]),
                y: Axis {
                    label: "% of the short calls take at most",
                    log: false,
                    ticks: vec![0.0, 25.0, 50.0, 75.0, 90.0, 100.0],
                },
                series: spread.into(),
                legend: LowerRight,
            }),
        ],
    })
}
