//! The metrics of a pool through the `metrics` facade, for the recorder that the application
//! installs. The main structure is [`Publisher`].

use std::collections::HashMap;
use std::time::Duration;

use actix_pyproc_actors::router::Distribution;
use metrics::Label;

use crate::pool::Pool;
use crate::status::metrics::{Labels, Samples, families};

/// Publishes the metrics of a pool to the recorder of the `metrics` facade, at an interval: a call
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
    /// The last state of each histogram that was published.
    published: HashMap<(&'static str, String), Distribution>,
}

impl Publisher {
    /// A publisher that has not published anything yet.
    #[must_use]
    pub fn new(pool: Pool) -> Self {
        Self { pool, published: HashMap::new() }
    }

    /// Publishes every `period`, until the future is dropped.
    pub async fn run(mut self, period: Duration) {
        loop {
            self.publish().await;
            tokio::time::sleep(period).await;
        }
    }

    /// Publishes once. A duration is recorded as the middle of its bucket, which is at most 6 %
    /// off.
    pub async fn publish(&mut self) {
        let pools = [self.pool.measure().await];
        for family in families(&pools) {
            let name = family.name;
            match &family.samples {
                Samples::Counters(samples) => {
                    metrics::describe_counter!(name, family.help);
                    for (labels, value) in samples {
                        metrics::counter!(name, owned(labels)).absolute(*value);
                    }
                }
                // The facade has only counters of whole numbers.
                Samples::Seconds(samples) | Samples::Gauges(samples) => {
                    metrics::describe_gauge!(name, family.help);
                    for (labels, value) in samples {
                        metrics::gauge!(name, owned(labels)).set(*value);
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
        let published = self.published.entry(key).or_default();
        let histogram = metrics::histogram!(name, owned(labels));
        for (micros, count) in now.since(published).buckets() {
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            histogram.record_many(Duration::from_micros(micros).as_secs_f64(), count);
        }
        published.clone_from(now);
    }
}

fn owned(labels: &Labels<'_>) -> Vec<Label> {
    labels.iter().map(|(key, value)| Label::new(*key, value.clone().into_owned())).collect()
}
