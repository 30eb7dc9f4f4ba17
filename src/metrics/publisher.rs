//! The figures through the `metrics` facade, to whatever recorder the application has. The main
//! structure is [`Publisher`].

use std::collections::HashMap;
use std::time::Duration;

use metrics::Label;

use super::{Labels, Samples, families};
use crate::{Distribution, Pool};

/// Tells a pool's figures to the recorder of the `metrics` facade, now and then: a call itself
/// records nothing.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use actix_pyproc::metrics::Publisher;
/// use actix_pyproc::{Pool, PoolConfig};
/// use std::time::Duration;
///
/// let pool = Pool::start(PoolConfig::new("worker.py")).await?;
/// actix_rt::spawn(Publisher::new(pool.clone()).run(Duration::from_secs(5)));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Publisher {
    pool: Pool,
    /// What was told of each histogram.
    told: HashMap<(&'static str, String), Distribution>,
}

impl Publisher {
    /// A publisher that has told nothing yet.
    #[must_use]
    pub fn new(pool: Pool) -> Self {
        Self { pool, told: HashMap::new() }
    }

    /// Tells the figures every `period`, until the future is dropped.
    pub async fn run(mut self, period: Duration) {
        loop {
            self.publish().await;
            tokio::time::sleep(period).await;
        }
    }

    /// Tells the figures once. Durations come as the middle of their bucket, which is at most 12 %
    /// off.
    pub async fn publish(&mut self) {
        let status = self.pool.status().await;
        for family in families(&status) {
            let name = family.name;
            match &family.samples {
                Samples::Counters(samples) => {
                    metrics::describe_counter!(name, family.help);
                    for (labels, value) in samples {
                        metrics::counter!(name, own(labels)).absolute(*value);
                    }
                }
                Samples::Gauges(samples) => {
                    metrics::describe_gauge!(name, family.help);
                    for (labels, value) in samples {
                        metrics::gauge!(name, own(labels)).set(*value);
                    }
                }
                Samples::Histograms(samples) => {
                    metrics::describe_histogram!(name, metrics::Unit::Seconds, family.help);
                    for (labels, distribution) in samples {
                        self.histogram(name, labels, distribution);
                    }
                }
            }
        }
    }

    fn histogram(&mut self, name: &'static str, labels: &Labels<'_>, now: &Distribution) {
        let key = (name, labels.iter().map(|(_, value)| &**value).collect::<Vec<_>>().join("\0"));
        let told = self.told.entry(key).or_default();
        let histogram = metrics::histogram!(name, own(labels));
        for (micros, count) in now.since(told).buckets() {
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            histogram.record_many(Duration::from_micros(micros).as_secs_f64(), count);
        }
        told.clone_from(now);
    }
}

fn own(labels: &Labels<'_>) -> Vec<Label> {
    labels.iter().map(|(key, value)| Label::new(*key, value.clone().into_owned())).collect()
}
