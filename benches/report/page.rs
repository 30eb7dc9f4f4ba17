//! The text of the page.

use std::fmt::Write as _;

use crate::support::machine;
use crate::support::report::{Report, rounded};

const HEAD: &str = "\
# Benchmarks

This page is written by `just bench-report`, which runs the benches first. Times of a shared machine vary by some ten percent from run to
run; ratios were taken side by side in one run, in turn, as medians, and are what counts.

";

const COMMANDS: &str = "
## The commands

| command | does |
| --- | --- |
| `cargo bench` | all of it, in under 20 minutes |
| `PYPROC_BENCH_QUICK=1 cargo bench` | all of it, roughly, in under 3 minutes |
| `cargo bench --bench pool_concurrent -- '1 workers/16 B'` | a part: `pool_call`, `pool_concurrent`, `scaling`, `rpc_comparison`, `actors`, `framing`, `launch` are criterion's |
| `cargo bench --bench floor` | the figures above, each beside its floor |
| `cargo bench --bench mixed` | short calls among long ones |
| `cargo bench --bench budget` | the guard: allocations of a call against `benches/budget.toml`; it fails above them |
| `just bench-report` | all benches, then this page and its plots |
| `just flame pool_concurrent '1 workers/16 B/256'` | flame graphs of the host, under `target/criterion` |
| `just heap` | `dhat-heap.json`: every allocation of 50,000 calls |
| `pyproc bench worker.py predict '{\"value\": 42}'` | the same load on a worker of yours |

## How it is measured

- **The floor** is the pool's own worker, driven by a bare blocking program over the same socket pair, with frames that were encoded before and
  replies that are not decoded: nothing that talks to this worker can be faster. `benches/support/floor.rs`.
- **In turn**: floor, pool, pool, floor, and so on, 0.6 s each, after a turn of each that does not count; medians of 9 rounds, and the median of
  their ratios.
- **One caller has several modes.** Where client and worker may share a core, a call is two switches of context; across two idle virtual cores
  it is two wake-ups of an idle core, which takes the hypervisor several times as long. So it is quoted free, on one core, and on two.
- **Allocations** are counted by the allocator, for all threads of the host, from the encoding of the argument to the decoding of the result.
- **The protocols** have real Python servers (`python_workers/servers/`) that, like our worker, answer all that one read brings with one write.
  Their clients are blocking programs that encode, decode and check; 64 callers share one connection, but for XML-RPC, whose HTTP answers one
  call at a time: there each has its own connection and thread. `actix-pyproc` is the whole pool, actors and all; `our wire, bare` the floor.
  The servers of the others only call the function. Ours also marks each call as running and as finished in memory that it shares with the host,
  and can interrupt it. With 64 callers MessagePack-RPC is ahead: `msgpack` is C, and its messages are half as long as JSON.
";

/// A machine of whose cores others use more than this share is not quiet.
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
            "Machine: {}, {} cores; Linux {}; {}; {}; others used {:.0} % of the cores before the figures.{}\n",
            of.cpu,
            of.cores,
            of.kernel,
            of.python,
            of.rustc,
            100.0 * of.used_by_others,
            if report.quick { " These are quick runs, for a look only." } else { "" }
        ),
    );
    if of.used_by_others > BUSY {
        out.push_str(
            "\n**The machine had other work to do while this was measured.** What depends on free cores is wrong then, above all the scaling of \
             work that computes, the p99s, and throughput where host and worker must run at the same time; counts and what runs on one core are not.\n",
        );
    }
}

/// One row of section 7 of the design.
struct Target {
    figure: &'static str,
    row: &'static str,
    /// The two sides and their unit.
    sides: [&'static str; 3],
    value: &'static str,
    target: f64,
    /// Whether the value must be below.
    below: bool,
}

const fn ratio(figure: &'static str, row: &'static str, sides: [&'static str; 3], target: f64) -> Target {
    Target { figure, row, sides, value: "ratio", target, below: false }
}

const TARGETS: [Target; 12] = [
    ratio(
        "p50 of one caller, free, floor / pool",
        "p50 of one caller, free",
        ["floor_us", "pool_us", "µs"],
        0.8,
    ),
    ratio(
        "p50 of one caller, on one core",
        "p50 of one caller, one core",
        ["floor_us", "pool_us", "µs"],
        0.8,
    ),
    ratio(
        "p50 of one caller, on two cores",
        "p50 of one caller, two cores",
        ["floor_us", "pool_us", "µs"],
        0.8,
    ),
    ratio(
        "calls/s with 64 callers, pool / floor",
        "calls/s with 64 callers",
        ["floor_per_s", "pool_per_s", "/s"],
        0.75,
    ),
    ratio(
        "calls/s with 256 callers, pool / floor",
        "calls/s with 256 callers",
        ["floor_per_s", "pool_per_s", "/s"],
        0.75,
    ),
    ratio(
        "work that waits 2 ms, 8 workers / 1",
        "wait 2 ms, 8 workers / 1 worker",
        ["one_per_s", "many_per_s", "/s"],
        7.8,
    ),
    ratio(
        "work that computes 5 ms, 2 workers / 1",
        "burn 5 ms, 2 workers / 1 worker",
        ["one_per_s", "many_per_s", "/s"],
        1.9,
    ),
    ratio(
        "1 MiB echo of bytes, pool / floor",
        "1 MiB bytes echo",
        ["floor_mb_per_s", "pool_mb_per_s", "MB/s"],
        0.8,
    ),
    Target {
        figure: "bytes allocated a call, 1 caller",
        row: "allocated per call, 1 callers",
        sides: ["", "", ""],
        value: "bytes",
        target: 2048.0,
        below: true,
    },
    Target {
        figure: "bytes allocated a call, 256 callers",
        row: "allocated per call, 256 callers",
        sides: ["", "", ""],
        value: "bytes",
        target: 2048.0,
        below: true,
    },
    Target {
        figure: "crash to the reply of a replacement, first delay 50 ms, median in ms",
        row: "crash to the reply of a replacement",
        sides: ["", "", ""],
        value: "p50_ms",
        target: 150.0,
        below: true,
    },
    Target {
        figure: "the same, slowest of all",
        row: "crash to the reply of a replacement",
        sides: ["", "", ""],
        value: "max_ms",
        target: 150.0,
        below: true,
    },
];

fn figures(out: &mut String, report: &Report) {
    out.push_str("\n## The figures, beside their floors\n\n| figure | floor, or one | pool, or many | target | measured | |\n| --- | --- | --- | --- | --- | --- |\n");
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
        // The second knows what each function takes, which is half of late binding; it has no
        // target.
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
    out.push_str("\nWith `busy_poll` of 200 µs, a worker that spins before it sleeps, which is off by default:\n\n| one caller | floor without it, µs | pool with it, µs |\n| --- | --- | --- |\n");
    for cores in ["free", "one core", "two cores"] {
        let id = format!("p50 of one caller, {cores}, busy_poll 200 us");
        if let (Some(floor), Some(pool)) = (report.figure(&id, "floor_us"), report.figure(&id, "pool_us")) {
            add(out, format_args!("| {cores} | {} | {} |\n", rounded(floor), rounded(pool)));
        }
    }
}

const fn verdict(kept: bool) -> &'static str {
    if kept { "met" } else { "missed" }
}

/// The goals of the Go project's page.
fn goals(out: &mut String) {
    let (Some(call), Some(many), Some(floor)) =
        (Report::read("pool_call"), Report::read("pool_concurrent"), Report::read("floor"))
    else {
        return;
    };
    out.push_str("\n## The goals of pyproc's page\n\n| goal | measured |\n| --- | --- |\n");
    let rows = [
        (
            "latency under 1 ms for small payloads (p99 of one caller, 1 KiB of JSON, in µs)",
            call.figure("json/1 KiB", "p99_us"),
        ),
        (
            "over 5,000 calls/s for each worker (1 worker, 64 callers, 16 B)",
            many.figure("least-loaded/1 workers/16 B/64 callers", "calls_per_s"),
        ),
        (
            "under 10 KB for each request (bytes allocated, `predict`)",
            call.figure("predict", "bytes_per_call"),
        ),
        (
            "linear to 8 workers (work that waits, 8 workers / 1)",
            // The ratio of the first table: a second run would be a second value.
            floor.figure("wait 2 ms, 8 workers / 1 worker", "ratio"),
        ),
    ];
    for (goal, value) in rows {
        if let Some(value) = value {
            add(out, format_args!("| {goal} | {} |\n", rounded(value)));
        }
    }
    if let Ok(text) = std::fs::read(machine::target().join("bench-report/cli.json")) {
        let told: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
        add(
            out,
            format_args!(
                "\n`pyproc bench worker.py predict '{{\"value\": 42}}' --workers 2 --concurrency 256 --seconds 5`: \
                 **{} calls/s**, p50 {} µs, p99 {} µs.\n",
                told["rps"].as_f64().map_or_else(String::new, |rate| format!("{rate:.0}")),
                told["p50_us"],
                told["p99_us"]
            ),
        );
    }
}

/// A table of some figures of the rows of a bench whose id passes.
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
    ("bytes a call", "bytes_per_call"),
    ("allocations", "allocations_per_call"),
    ("worker MiB", "worker_rss_mib"),
];

fn load(out: &mut String) {
    let columns = [&LATENCY[..], &COSTS[..]].concat();
    table(out, "pool_concurrent", &columns, |id| {
        let kept = ["1 workers/", "2 workers/"].iter().any(|part| id.contains(part));
        kept && id.starts_with("least-loaded") || id.contains("round-robin/2 workers/16 B")
    });
    out.push_str(
        "\nThe other rows, 4 and 8 workers on these cores and round-robin, are printed by the bench.\n",
    );
}

fn scaling(out: &mut String) {
    table(out, "scaling", &[&LATENCY[..], &COSTS[2..]].concat(), |_| true);
}

fn mixed(out: &mut String) {
    out.push_str(
        "\n95 % of the calls take 50 µs, 5 % take 20 ms, on 4 workers. Under *load* calls come at random, as many as make that share of what the \
         workers can do; *callers* make one call after the other, which always fills the workers: then short calls wait for \
         the work before them under any policy that is fair.\n",
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
    table(out, "pool_call", &[&LATENCY[..], &COSTS[..]].concat(), |_| true);
}

fn parts(out: &mut String) {
    let columns = [("calls/s", "calls_per_s"), ("ns a call", "ns_per_call"), COSTS[0], COSTS[1]];
    table(out, "actors", &columns, |_| true);
    table(out, "launch", &[("p50 ms", "p50_ms"), ("p95 ms", "p95_ms"), ("max ms", "max_ms")], |_| true);
}

fn add(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a string takes all");
}
