//! `GET /metrics`: the metrics of the pool in Prometheus' text format. The main structure is
//! [`Scrape`].

use std::fmt;

use actix_pyproc_actors::router::Distribution;
use actix_web::HttpResponse;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode_registry;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::admission::Allowed;
use super::gateway::Gateway;
use crate::status::metrics::{Family, Labels, Measured, Samples, families};

pub(super) async fn metrics(Allowed(gateway): Allowed) -> HttpResponse {
    let text = text(measure(&gateway).await);
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(text)
}

/// The pool of the gateway and those that it measures too. Pools of one name would have the same
/// samples, so the second one of a name gets a number.
async fn measure(gateway: &Gateway) -> Vec<Measured> {
    let mut pools: Vec<Measured> = Vec::new();
    for pool in std::iter::once(gateway.pool()).chain(gateway.measured()) {
        let mut measured = pool.measure().await;
        let (name, mut number) = (measured.name.clone(), 1);
        while pools.iter().any(|other| other.name == measured.name) {
            number += 1;
            measured.name = format!("{name}-{number}");
        }
        pools.push(measured);
    }
    pools
}

fn text(pools: Vec<Measured>) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Scrape(pools)));
    let mut text = String::with_capacity(8 << 10);
    encode_registry(&mut text, &registry).expect("a string takes all that is written to it");
    text
}

/// The metrics of one scrape.
#[derive(Debug)]
struct Scrape(Vec<Measured>);

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        families(&self.0).iter().try_for_each(|family| encode_family(&mut encoder, family))
    }
}

fn encode_family(encoder: &mut DescriptorEncoder<'_>, family: &Family<'_>) -> fmt::Result {
    let kind = match family.samples {
        Samples::Counters(_) | Samples::Seconds(_) => MetricType::Counter,
        Samples::Gauges(_) => MetricType::Gauge,
        Samples::Histograms(_) => MetricType::Histogram,
    };
    let mut metric = encoder.encode_descriptor(family.name, family.help, None, kind)?;
    match &family.samples {
        // Not `encode_counter`: it follows OpenMetrics, whose TYPE line has no `_total`, so readers
        // of the 0.0.4 format would not match the samples to it.
        Samples::Counters(samples) => {
            encode_each(&mut metric, samples, |metric, value| metric.encode_gauge(value))
        }
        Samples::Seconds(samples) | Samples::Gauges(samples) => {
            encode_each(&mut metric, samples, |metric, value| gauge(metric, *value))
        }
        Samples::Histograms(samples) => {
            encode_each(&mut metric, samples, |metric, value| histogram(metric, value))
        }
    }
}

fn encode_each<T>(
    metric: &mut MetricEncoder<'_>,
    samples: &[(Labels<'_>, T)],
    encode: impl Fn(&mut MetricEncoder<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    samples.iter().try_for_each(|(labels, value)| match labels.is_empty() {
        // An empty set of labels would be written as `{}`.
        true => encode(metric, value),
        false => encode(&mut metric.encode_family(labels)?, value),
    })
}

fn histogram(metric: &mut MetricEncoder<'_>, distribution: &Distribution) -> fmt::Result {
    let mut before = 0;
    let bounds = Distribution::BOUNDS_US.iter().zip(distribution.below_bounds());
    let mut buckets: Vec<(f64, u64)> = bounds
        .map(|(&bound, below)| (f64::from(bound) / 1e6, below - std::mem::replace(&mut before, below)))
        .collect();
    let count = distribution.count();
    buckets.push((f64::INFINITY, count - before));
    #[expect(clippy::cast_precision_loss, reason = "the format has floating-point numbers")]
    let seconds = distribution.sum_us() as f64 / 1e6;
    metric.encode_histogram::<NoLabelSet>(seconds, count, &buckets, None)
}

/// Writes whole numbers without a fraction.
#[expect(clippy::cast_possible_truncation, reason = "whole numbers of a pool are far below 2^53")]
fn gauge(metric: &mut MetricEncoder<'_>, value: f64) -> fmt::Result {
    if value.fract() == 0.0 { metric.encode_gauge(&(value as i64)) } else { metric.encode_gauge(&value) }
}

#[cfg(test)]
mod tests {
    use actix_pyproc_actors::router::Distribution;
    use prometheus_client::collector::Collector;
    use prometheus_client::encoding::DescriptorEncoder;
    use prometheus_client::encoding::text::encode_registry;
    use prometheus_client::registry::Registry;

    use super::{Family, Samples, encode_family};

    #[derive(Debug)]
    struct Example;

    impl Collector for Example {
        fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
            let distribution = Distribution::default();
            let counters = vec![(vec![("a", "x\"\\\n".into()), ("b", "y".into())], 3)];
            for (name, help, samples) in [
                ("c_total", "C", Samples::Counters(counters)),
                ("g", "G", Samples::Gauges(vec![(Vec::new(), 1.5)])),
                ("w", "W", Samples::Gauges(vec![(Vec::new(), 3.0)])),
                ("h", "H", Samples::Histograms(vec![(Vec::new(), &distribution)])),
            ] {
                encode_family(&mut encoder, &Family { name, help, samples })?;
            }
            Ok(())
        }
    }

    #[test]
    fn labels_are_escaped_and_histograms_are_cumulative() {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Example));
        let mut text = String::new();
        encode_registry(&mut text, &registry).expect("a string takes all that is written to it");
        assert!(text.contains("# TYPE c_total counter\nc_total{a=\"x\\\"\\\\\\n\",b=\"y\"} 3\n"), "{text}");
        assert!(text.contains("# TYPE g gauge\ng 1.5\n"), "{text}");
        assert!(text.contains("# TYPE w gauge\nw 3\n"), "{text}");
        assert!(text.contains("# TYPE h histogram\nh_sum 0.0\nh_count 0\n"), "{text}");
        assert!(text.contains("h_bucket{le=\"0.00001\"} 0\n"), "{text}");
        assert!(text.ends_with("h_bucket{le=\"100.0\"} 0\nh_bucket{le=\"+Inf\"} 0\n"), "{text}");
    }
}
