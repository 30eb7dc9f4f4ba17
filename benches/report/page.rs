//! The text of the page. The main item is [`page`].

use std::fmt::Write as _;

use crate::support::machine;
use crate::support::report::{Report, rounded};

const HEAD: &str = "\
# Benchmarks

`just bench-report` runs the benches and writes this page. On a shared machine, times vary by some
ten percent from run to run, so compare values within one table. The ratios are what counts: both
sides are measured in turn, in one run.

";

const COMMANDS: &str = "
## The commands

| command | does |
| --- | --- |
| `cargo bench` | runs all benches, in less than 20 minutes |
| `PYPROC_BENCH_QUICK=1 cargo bench` | runs all benches roughly, in less than 3 minutes |
| `cargo bench --bench pool_concurrent -- '1 workers/16 B'` | runs a part of one bench; `pool_call`, `pool_concurrent`, `scaling`, `rpc_comparison`, `actors`, `framing` and `launch` use criterion |
| `cargo bench --bench floor` | measures the figures at the top of this page, each with its floor |
| `cargo bench --bench codecs` | compares the JSON libraries and MessagePack; installs them into a virtual environment |
| `cargo bench --bench mixed` | measures short calls among long ones |
| `cargo bench --bench budget` | counts the allocations of a call, and fails if they exceed `benches/budget.toml` |
| `just bench-report` | runs all benches, then writes this page and its plots |
| `just flame pool_concurrent '1 workers/16 B/256'` | writes flame graphs of the host to `target/criterion` |
| `just heap` | writes every allocation of 50,000 calls to `benches/dhat-heap.json` |
| `pyproc bench worker.py predict '{\"value\": 42}'` | puts the same load on a worker of yours |

## How it is measured

- **The floor** is the pool's own worker, driven by a bare blocking program over the same kind of
  socket pair. Its requests are encoded in advance and its replies are not decoded, so no client of
  this worker can be faster. See `benches/support/floor.rs`.
- **In turn** means: floor, pool, pool, floor, and so on, 0.6 s each, after one warm-up turn of each.
  The table shows the medians of 9 rounds. The ratio is the median of the 9 ratios, so it can differ
  from the ratio of the two medians.
- **One caller** has several modes. If client and worker share a core, a call takes two context
  switches. If they run on two idle virtual cores, it takes two wake-ups of an idle core, which take
  the hypervisor several times as long. So the page shows three values: with cores chosen by the
  system (free), on one core, and on two cores.
- **Allocations** are counted by the allocator for all threads of the host, from the encoding of the
  argument to the decoding of the result.
- **The protocols** have real Python servers (`python_workers/servers/`). Like our worker, they answer
  all requests of one read with one write. Their clients are blocking programs that encode, decode and
  check. 64 callers share one connection, except for XML-RPC: HTTP answers one call at a time, so each
  caller has its own connection and thread. `actix-pyproc` is the whole pool with its actors;
  `our wire, bare` is the floor. The other servers only call the function. Our worker also records in
  shared memory which calls run and which have finished, and it can interrupt a call. With 64 callers
  MessagePack-RPC is faster: `msgpack` is written in C, and its messages are half as long as JSON.
";

/// If other processes use more than this share of the cores, the machine is busy.
const BUSY: f64 = 0.1;

/// The whole page.
pub(crate) fn page() -> String {
    let mut out = HEAD.to_owned();
    if let Some(floor) = Report::read("floor") {
        machine(&mut out, &floor);
        figures(&mut out, &floor);
    }
    goals(&mut out);
    out.push_str("\n## Latency and throughput against load\n\n![Latency and throughput against load](benchmarks/latency.svg)\n");
    load(&mut out);
    out.push_str(
        "\n## Throughput against workers\n\n![Throughput against workers](benchmarks/scaling.svg)\n",
    );
    scaling(&mut out);
    out.push_str(
        "\n## Short calls among long ones\n\n![Short calls among long ones](benchmarks/mixed.svg)\n",
    );
    mixed(&mut out);
    out.push_str("\n## Protocols side by side\n\n![Protocols side by side](benchmarks/protocols.svg)\n");
    protocols(&mut out);
    out.push_str("\n## One caller, by size and codec\n");
    sizes(&mut out);
    out.push_str("\n## JSON libraries and MessagePack\n");
    codecs(&mut out);
    out.push_str("\n## The parts\n");
    parts(&mut out);
    out.push_str(COMMANDS);
    out
}

fn machine(out: &mut String, report: &Report) {
    let of = &report.machine;
    add(
        out,
        format_args!(
            "Machine: {}, {} cores; Linux {}; {}; {}. Before the run, other processes used {:.0} % of the cores.{}\n",
            of.cpu,
            of.cores,
            of.kernel,
            of.python,
            of.rustc,
            100.0 * of.used_by_others,
            if report.quick { " This was a quick run: its values are rough." } else { "" }
        ),
    );
    if of.used_by_others > BUSY {
        out.push_str(
            "\n**The machine was busy during the run.** Values that depend on free cores are wrong: the scaling of work that computes, the p99s, \
             and throughput where host and worker run at the same time. Counts, and values on one core, are right.\n",
        );
    }
}

/// A figure with a target.
struct Target {
    figure: &'static str,
    row: &'static str,
    /// The two sides of a ratio, and their unit.
    sides: [&'static str; 3],
    value: &'static str,
    target: f64,
    /// Whether the value must be below the target.
    below: bool,
}

const fn ratio(figure: &'static str, row: &'static str, sides: [&'static str; 3], target: f64) -> Target {
    Target { figure, row, sides, value: "ratio", target, below: false }
}

const fn limit(figure: &'static str, row: &'static str, value: &'static str, target: f64) -> Target {
    Target { figure, row, sides: [""; 3], value, target, below: true }
}

const LATENCIES: [&str; 3] = ["floor_us", "pool_us", "µs"];
const RATES: [&str; 3] = ["floor_per_s", "pool_per_s", "/s"];
const BANDWIDTHS: [&str; 3] = ["floor_mb_per_s", "pool_mb_per_s", "MB/s"];
const WORKERS: [&str; 3] = ["one_per_s", "many_per_s", "/s"];
const CRASH: &str = "ms from a crash to a reply of the replacement, first delay 50 ms, median";

const TARGETS: [Target; 12] = [
    ratio("p50 of one caller, free, floor / pool", "p50 of one caller, free", LATENCIES, 0.8),
    ratio("p50 of one caller, on one core", "p50 of one caller, one core", LATENCIES, 0.8),
    ratio("p50 of one caller, on two cores", "p50 of one caller, two cores", LATENCIES, 0.8),
    ratio("calls/s with 64 callers, pool / floor", "calls/s with 64 callers", RATES, 0.75),
    ratio("calls/s with 256 callers, pool / floor", "calls/s with 256 callers", RATES, 0.75),
    ratio("work that waits 2 ms, 8 workers / 1", "wait 2 ms, 8 workers / 1 worker", WORKERS, 7.8),
    ratio("work that computes 5 ms, 2 workers / 1", "burn 5 ms, 2 workers / 1 worker", WORKERS, 1.9),
    ratio("1 MiB echo of bytes, pool / floor", "1 MiB bytes echo", BANDWIDTHS, 0.8),
    limit("bytes allocated per call, 1 caller", "allocated per call, 1 callers", "bytes", 2048.0),
    limit("bytes allocated per call, 256 callers", "allocated per call, 256 callers", "bytes", 2048.0),
    limit(CRASH, "crash to the reply of a replacement", "p50_ms", 150.0),
    limit("the same, maximum", "crash to the reply of a replacement", "max_ms", 150.0),
];

fn figures(out: &mut String, report: &Report) {
    out.push_str("\n## The figures and their floors\n\n| figure | floor, or one | pool, or many | target | value | |\n| --- | --- | --- | --- | --- | --- |\n");
    for target in &TARGETS {
        let side = |side: &str| {
            let value = report.figure(target.row, side);
            value.map_or_else(String::new, |value| format!("{} {}", rounded(value), target.sides[2]))
        };
        let Some(value) = report.figure(target.row, target.value) else { continue };
        let (kept, sign) = if target.below {
            (value < target.target, "under")
        } else {
            (value >= target.target, "at least")
        };
        add(
            out,
            format_args!(
                "| {} | {} | {} | {sign} {} | **{}** | {} |\n",
                target.figure,
                side(target.sides[0]),
                side(target.sides[1]),
                target.target,
                rounded(value),
                verdict(kept)
            ),
        );
    }
    if let Some(report) = Report::read("mixed") {
        let p99 = |policy: &str| report.figure(&format!("20 % load/{policy}"), "p99_us");
        // Least-loaded knows how long each function takes, which is half of late binding, so it has
        // no target.
        for (fixed, target) in [("round-robin", Some(10.0)), ("least-loaded", None)] {
            let both = p99("late binding").zip(p99(&format!("pipeline of 64, {fixed}")));
            let Some((late, other)) = both else { continue };
            add(
                out,
                format_args!(
                    "| p99 of short calls among long ones at 20 % load, pipeline of 64, {fixed} / late binding | {} ms | {} ms | {} | **{}** | {} |\n",
                    rounded(other / 1e3),
                    rounded(late / 1e3),
                    target.map_or(String::new(), |target| format!("at least {target}")),
                    rounded(other / late),
                    target.map_or("", |target| verdict(other / late >= target)),
                ),
            );
        }
    }
    codec_figures(out);
    out.push_str("\nWith `busy_poll` of 200 µs (off by default) a worker polls its socket before it sleeps:\n\n| p50 of one caller | floor without it, µs | pool with it, µs |\n| --- | --- | --- |\n");
    for cores in ["free", "one core", "two cores"] {
        let id = format!("p50 of one caller, {cores}, busy_poll 200 us");
        if let (Some(floor), Some(pool)) = (report.figure(&id, "floor_us"), report.figure(&id, "pool_us")) {
            add(out, format_args!("| {cores} | {} | {} |\n", rounded(floor), rounded(pool)));
        }
    }
}

fn codec_figures(out: &mut String) {
    let Some(report) = Report::read("codecs") else { return };
    let first = "JSON, standard library";
    for (name, way, target) in [("50 floats", "JSON, orjson", 5.0), ("predict", "MessagePack, msgpack", 1.0)]
    {
        let figure = |way: &str, figure| report.figure(&format!("{name}/{way}"), figure);
        let (Some(one), Some(other), Some(ratio)) =
            (figure(first, "calls_per_s"), figure(way, "calls_per_s"), figure(way, "ratio"))
        else {
            continue;
        };
        add(
            out,
            format_args!(
                "| {name} with 64 callers, {way} / {first} | {} /s | {} /s | at least {target} | **{}** | {} |\n",
                rounded(one),
                rounded(other),
                rounded(ratio),
                verdict(ratio >= target)
            ),
        );
    }
}

const fn verdict(kept: bool) -> &'static str {
    if kept { "met" } else { "missed" }
}

/// The goals of pyproc, the Go project. Every value also stands in the table of its bench.
fn goals(out: &mut String) {
    let figure = |bench: &str, row: &str, figure: &str| Report::read(bench)?.figure(row, figure);
    let rows = [
        (
            "latency below 1 ms for small payloads",
            "p99 of one caller, JSON of 1 KiB, in µs",
            "pool_call",
            figure("pool_call", "json/1 KiB", "p99_us"),
        ),
        (
            "more than 5,000 calls/s per worker",
            "calls/s of 1 worker, 64 callers, echo of 16 B",
            "pool_concurrent",
            figure("pool_concurrent", "least-loaded/1 workers/16 B/64 callers", "calls_per_s"),
        ),
        (
            "less than 10 KB per request",
            "bytes allocated per call, 1 caller",
            "floor",
            figure("floor", "allocated per call, 1 callers", "bytes"),
        ),
        (
            "linear scaling to 8 workers",
            "work that waits 2 ms, 8 workers / 1",
            "floor",
            figure("floor", "wait 2 ms, 8 workers / 1 worker", "ratio"),
        ),
    ];
    if rows.iter().all(|row| row.3.is_none()) {
        return;
    }
    out.push_str("\n## The goals of pyproc, the Go project\n\n| goal | figure | bench | value |\n| --- | --- | --- | --- |\n");
    for (goal, figure, bench, value) in rows {
        if let Some(value) = value {
            add(out, format_args!("| {goal} | {figure} | `{bench}` | {} |\n", rounded(value)));
        }
    }
    if let Ok(text) = std::fs::read(machine::target().join("bench-report/cli.json")) {
        let figures: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
        add(
            out,
            format_args!(
                "\n`pyproc bench worker.py predict '{{\"value\": 42}}' --workers 2 --concurrency 256 --seconds 5`: \
                 **{} calls/s**, p50 {} µs, p99 {} µs.\n",
                figures["rps"].as_f64().map_or_else(String::new, |rate| format!("{rate:.0}")),
                figures["p50_us"],
                figures["p99_us"]
            ),
        );
    }
}

/// A table of the rows of a bench whose id is `wanted`, with a column per figure.
fn table(out: &mut String, bench: &str, columns: &[(&str, &str)], wanted: impl Fn(&str) -> bool) {
    let Some(report) = Report::read(bench) else {
        add(out, format_args!("\nNot measured: `cargo bench --bench {bench}`.\n"));
        return;
    };
    let names: Vec<&str> = columns.iter().map(|column| column.0).collect();
    add(
        out,
        format_args!("\n| `{bench}` | {} |\n| --- |{}\n", names.join(" | "), " --- |".repeat(columns.len())),
    );
    for row in report.rows.iter().filter(|row| wanted(&row.id)) {
        let cells: Vec<String> = (columns.iter())
            .map(|(_, figure)| row.figures.get(*figure).map_or_else(String::new, |value| rounded(*value)))
            .collect();
        add(out, format_args!("| {} | {} |\n", row.id, cells.join(" | ")));
    }
}

const LATENCY: [(&str, &str); 4] =
    [("calls/s", "calls_per_s"), ("p50 µs", "p50_us"), ("p95 µs", "p95_us"), ("p99 µs", "p99_us")];
const COSTS: [(&str, &str); 3] = [
    ("bytes per call", "bytes_per_call"),
    ("allocations", "allocations_per_call"),
    ("worker MiB", "worker_rss_mib"),
];

fn load(out: &mut String) {
    let columns = [&LATENCY[..], &COSTS[..]].concat();
    table(out, "pool_concurrent", &columns, |id| {
        let kept = ["1 workers/", "2 workers/"].iter().any(|part| id.contains(part));
        kept && id.starts_with("least-loaded") || id.contains("round-robin/2 workers/16 B")
    });
    out.push_str("\nThe bench prints more rows: 4 and 8 workers, and the rest of round-robin.\n");
}

fn scaling(out: &mut String) {
    table(out, "scaling", &[&LATENCY[..], &COSTS[2..]].concat(), |_| true);
}

fn mixed(out: &mut String) {
    out.push_str(
        "\n95 % of the calls take 50 µs and 5 % take 20 ms, on 4 workers. With *load*, calls arrive at random, at a rate that uses this share of \
         the workers. With *callers*, each caller makes one call after the other, which keeps all workers busy: under any fair policy, short calls \
         then wait for the work before them.\n",
    );
    let columns = [
        ("short calls/s", "short_per_s"),
        ("p50 µs", "p50_us"),
        ("p95 µs", "p95_us"),
        ("p99 µs", "p99_us"),
        ("all calls/s", "calls_per_s"),
    ];
    table(out, "mixed", &columns, |_| true);
}

fn protocols(out: &mut String) {
    let columns =
        [&LATENCY[..], &[("request bytes", "request_bytes"), ("reply bytes", "reply_bytes")]].concat();
    table(out, "rpc_comparison", &columns, |_| true);
}

fn sizes(out: &mut String) {
    // The first table has `predict`, beside its floor.
    table(out, "pool_call", &[&LATENCY[..], &COSTS[..]].concat(), |id| id != "predict");
}

fn codecs(out: &mut String) {
    out.push_str(
        "\nOne worker and 64 callers, which encode the argument and decode the result. *50 floats* is `echo` of 50 random floats. All are \
         measured in turn; the ratio is to the JSON of the standard library.\n",
    );
    let columns = [LATENCY[0], LATENCY[1], LATENCY[3], ("ratio", "ratio")];
    table(out, "codecs", &columns, |_| true);
}

fn parts(out: &mut String) {
    let columns = [("calls/s", "calls_per_s"), ("ns per call", "ns_per_call"), COSTS[0], COSTS[1]];
    table(out, "actors", &columns, |_| true);
    // The first table has the time from a crash to the next reply.
    let columns = [("p50 ms", "p50_ms"), ("p95 ms", "p95_ms"), ("max ms", "max_ms")];
    table(out, "launch", &columns, |id| !id.starts_with("kill"));
}

fn add(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to a string does not fail");
}
