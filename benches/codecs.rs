//! The JSON libraries and MessagePack side by side: many callers, one worker. The main item is
//! [`in_turn`].

mod support;

use std::path::PathBuf;

use actix_pyproc::Codec;
use actix_pyproc::config::JsonLibrary;
use support::pool::{Host, Work};
use support::report::Report;
use support::sample::{Sample, Until, median};
use support::{machine, rounds, skipped, turn};

#[global_allocator]
static ALLOCATOR: support::alloc::Counting = support::alloc::Counting;

const CALLERS: usize = 64;

/// A way to encode what a call carries.
struct Way {
    name: &'static str,
    codec: Codec,
    host: Host,
}

impl Way {
    fn new(name: &'static str, codec: Codec, json: JsonLibrary, python: &PathBuf) -> Self {
        Self { name, codec, host: Host::start(|config| config.python(python).json(json)) }
    }
}

fn main() {
    if skipped("codecs") {
        return;
    }
    let Some(python) = machine::python_with(&["msgpack", "orjson", "msgspec"]) else {
        println!("codecs is left out: pip could not install orjson, msgspec and msgpack");
        return;
    };
    let ways = [
        Way::new("JSON, standard library", Codec::Json, JsonLibrary::Stdlib, &python),
        Way::new("JSON, orjson", Codec::Json, JsonLibrary::Orjson, &python),
        Way::new("JSON, msgspec", Codec::Json, JsonLibrary::Msgspec, &python),
        Way::new("MessagePack, msgpack", Codec::Msgpack, JsonLibrary::Stdlib, &python),
    ];
    let mut report = Report::new("codecs");
    in_turn(&mut report, "50 floats", &ways, Work::floats);
    in_turn(&mut report, "predict", &ways, Work::predict_in);
}

/// Measures all in turn, several times, so that other load on the machine affects all alike. The
/// ratio is the median of those of each round to the first way.
fn in_turn(report: &mut Report, name: &str, ways: &[Way], work: fn(Codec) -> Work) {
    let run = |way: &Way| way.host.run(&work(way.codec), CALLERS, Until::For(turn()));
    for way in ways {
        run(way);
    }
    let samples: Vec<Vec<Sample>> = (0..rounds()).map(|_| ways.iter().map(run).collect()).collect();
    for (at, way) in ways.iter().enumerate() {
        let of = |figure: fn(&Sample) -> f64| median(samples.iter().map(|round| figure(&round[at])));
        let ratios = samples.iter().map(|round| round[at].per_second() / round[0].per_second());
        let figures = [
            ("calls_per_s", of(Sample::per_second)),
            ("p50_us", of(Sample::p50_us)),
            ("p99_us", of(Sample::p99_us)),
            ("ratio", median(ratios)),
        ];
        report.add(format!("{name}/{}", way.name), figures);
    }
}
