//! Prometheus' text format.
//!
//! The exact buckets are written. An exporter of the `metrics` facade would have to be told each
//! duration by itself, on the way of the call or at the scrape
//! (`docs/decisions/0017-metrics-at-the-scrape.md`).

use std::fmt::Write as _;

use crate::Distribution;
use crate::metrics::{Family, Labels, Samples};

/// The bounds of the buckets are powers of two, from 64 µs to 67 s.
const EXPONENTS: std::ops::RangeInclusive<u32> = 6..=26;

pub(super) fn text(families: &[Family<'_>]) -> String {
    let mut out = String::with_capacity(8 << 10);
    for Family { name, help, samples } in families {
        let kind = match samples {
            Samples::Counters(_) => "counter",
            Samples::Gauges(_) => "gauge",
            Samples::Histograms(_) => "histogram",
        };
        put(&mut out, format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        match samples {
            Samples::Counters(samples) => {
                samples.iter().for_each(|(labels, value)| sample(&mut out, name, labels, value))
            }
            Samples::Gauges(samples) => {
                samples.iter().for_each(|(labels, value)| sample(&mut out, name, labels, value))
            }
            Samples::Histograms(samples) => {
                samples
                    .iter()
                    .for_each(|(labels, distribution)| histogram(&mut out, name, labels, distribution));
            }
        }
    }
    out
}

fn histogram(out: &mut String, name: &str, labels: &Labels<'_>, distribution: &Distribution) {
    let bucket = format!("{name}_bucket");
    let mut labels = labels.clone();
    labels.push(("le", "".into()));
    let count = distribution.count();
    for exponent in EXPONENTS {
        let bound = f64::from(1_u32 << exponent) / 1e6;
        labels.last_mut().expect("it was pushed").1 = bound.to_string().into();
        sample(out, &bucket, &labels, &distribution.below_power(exponent));
    }
    labels.last_mut().expect("it was pushed").1 = "+Inf".into();
    sample(out, &bucket, &labels, &count);
    labels.pop();
    let micros = distribution.sum_us();
    sample(
        out,
        &format!("{name}_sum"),
        &labels,
        &format_args!("{}.{:06}", micros / 1_000_000, micros % 1_000_000),
    );
    sample(out, &format!("{name}_count"), &labels, &count);
}

fn sample(out: &mut String, name: &str, labels: &Labels<'_>, value: &dyn std::fmt::Display) {
    out.push_str(name);
    for (index, (key, text)) in labels.iter().enumerate() {
        put(out, format_args!("{}{key}=\"", if index == 0 { '{' } else { ',' }));
        for char in text.chars() {
            match char {
                '\\' => out.push_str("\\\\"),
                '"' => out.push_str("\\\""),
                '\n' => out.push_str("\\n"),
                other => out.push(other),
            }
        }
        out.push('"');
    }
    put(out, format_args!("{} {value}\n", if labels.is_empty() { "" } else { "}" }));
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a string takes all that is written to it");
}

#[cfg(test)]
mod tests {
    use super::text;
    use crate::Distribution;
    use crate::metrics::{Family, Samples};

    #[test]
    fn labels_are_escaped_and_histograms_are_cumulative() {
        let distribution = Distribution::default();
        let families = [
            Family {
                name: "c_total",
                help: "C",
                samples: Samples::Counters(vec![(vec![("a", "x\"\\\n".into()), ("b", "y".into())], 3)]),
            },
            Family { name: "g", help: "G", samples: Samples::Gauges(vec![(Vec::new(), 1.5)]) },
            Family { name: "h", help: "H", samples: Samples::Histograms(vec![(Vec::new(), &distribution)]) },
        ];
        let text = text(&families);
        assert!(text.contains("# TYPE c_total counter\nc_total{a=\"x\\\"\\\\\\n\",b=\"y\"} 3\n"), "{text}");
        assert!(text.contains("# TYPE g gauge\ng 1.5\n"), "{text}");
        assert!(text.contains("h_bucket{le=\"0.000064\"} 0\n"), "{text}");
        assert!(text.ends_with("h_bucket{le=\"+Inf\"} 0\nh_sum 0.000000\nh_count 0\n"), "{text}");
    }
}
