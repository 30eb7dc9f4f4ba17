//! Observability: a span per call, and figures through the `metrics` facade.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use actix_pyproc::Call;
use serde_json::json;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Instrument as _, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

use crate::support::leaks::alone;
use crate::support::{start, worker};

/// The fields of the spans of calls, in the order of the spans.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Vec<(u64, Recorded)>>>);

type Recorded = BTreeMap<&'static str, String>;

struct Fields<'a>(&'a mut Recorded);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}").trim_matches('"').to_owned());
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if attributes.metadata().target() != "pyproc::call" {
            return;
        }
        let mut fields = BTreeMap::new();
        attributes.record(&mut Fields(&mut fields));
        let parent = context.span(id).and_then(|span| Some(span.parent()?.name().to_owned()));
        fields.insert("parent", parent.unwrap_or_default());
        self.0.lock().expect("no thread panicked").push((id.into_u64(), fields));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        let mut spans = self.0.lock().expect("no thread panicked");
        if let Some((_, fields)) = spans.iter_mut().rev().find(|(known, _)| *known == id.into_u64()) {
            values.record(&mut Fields(fields));
        }
    }
}

#[test]
fn a_call_is_a_span_below_its_callers_with_its_outcome() {
    alone(async {
        let pool = start(worker("contract.py")).await;
        let spans = Spans::default();
        let guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(spans.clone()));
        let request = tracing::info_span!("request");
        let call = Call::json("predict", &json!({"value": 2})).expect("it is JSON").traceparent("00-1");
        let reply = async { pool.request(call).await }.instrument(request).await.expect("a reply");
        assert!(pool.call::<()>("raises", "no").await.is_err());
        drop(guard);

        let recorded = spans.0.lock().expect("no thread panicked").clone();
        let [(_, first), (_, second)] = &recorded[..] else { panic!("{recorded:?}") };
        let of = |fields: &BTreeMap<&str, String>, name: &str| fields.get(name).cloned().unwrap_or_default();
        assert_eq!((of(first, "parent"), of(first, "function")), ("request".into(), "predict".into()));
        assert_eq!((of(first, "outcome"), of(first, "traceparent")), ("ok".into(), "00-1".into()));
        assert_eq!((of(first, "pid"), of(first, "slot")), (reply.pid().to_string(), "0".into()));
        assert_eq!((of(second, "outcome"), of(second, "pid")), ("exception".into(), String::new()));
        pool.shutdown().await;
    });
}

#[cfg(feature = "metrics")]
#[test]
fn figures_reach_the_recorder_of_the_metrics_facade_once() {
    alone(async {
        use metrics_util::debugging::{DebugValue, DebuggingRecorder};

        let recorder = DebuggingRecorder::new();
        let snapshotter = recorder.snapshotter();
        recorder.install().expect("no other test of this binary installs one");
        let pool = start(worker("contract.py")).await;
        let mut publisher = actix_pyproc::metrics::Publisher::new(pool.clone());
        let mut counted = Vec::new();
        for calls in [3, 2, 0] {
            for value in 0..calls {
                assert!(pool.call::<serde_json::Value>("predict", &json!({"value": value})).await.is_ok());
            }
            publisher.publish().await;
            let mut seen = BTreeMap::new();
            for (key, _, _, value) in snapshotter.snapshot().into_vec() {
                let labels: Vec<_> = key.key().labels().map(|label| label.value().to_owned()).collect();
                let name = format!("{} {}", key.key().name(), labels.join(" "));
                seen.insert(
                    name.trim().to_owned(),
                    match value {
                        DebugValue::Counter(count) => count as f64,
                        DebugValue::Gauge(value) => value.into_inner(),
                        DebugValue::Histogram(values) => values.len() as f64,
                    },
                );
            }
            counted.push((
                seen["pyproc_calls_total contract predict ok"],
                seen.get("pyproc_call_duration_seconds contract predict ok").copied().unwrap_or_default(),
            ));
            assert_eq!(seen["pyproc_workers_serving contract"], 1.0);
            assert!(seen["pyproc_worker_resident_bytes contract 0"] > 1e6);
            assert!(seen["pyproc_worker_cpu_seconds_total contract 0"] > 0.0);
        }
        // A snapshot resets the durations.
        assert_eq!(counted.iter().map(|(_, durations)| *durations).collect::<Vec<_>>(), [3.0, 2.0, 0.0]);
        assert_eq!(counted[0].0, 3.0);
        pool.shutdown().await;
    });
}
