//! What `GET /metrics` shows, and what the documentation and the dashboard say of it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::client::{Served, serve};
use crate::support::{start, worker};

/// A metric as a scrape shows it.
#[derive(Debug, Default, PartialEq)]
struct Metric {
    kind: String,
    /// The names of its labels, without the bounds of buckets.
    labels: BTreeSet<String>,
}

/// The metrics of a scrape, by name.
fn metrics(text: &str) -> BTreeMap<String, Metric> {
    let mut metrics: BTreeMap<String, Metric> = BTreeMap::new();
    for line in text.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|line| line.split_once(' ')) {
            metrics.entry(name.to_owned()).or_default().kind = kind.to_owned();
        }
    }
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, labels) = line.split_once('{').expect("every sample has the label `pool`");
        let name = match metrics.contains_key(name) {
            true => name,
            false => name.rsplit_once('_').expect("it is a part of a histogram").0,
        };
        let labels = labels.split(['{', ',']).filter_map(|label| Some(label.split_once("=\"")?.0.to_owned()));
        let metric = metrics.get_mut(name).expect("a sample follows the line with its type");
        metric.labels.extend(labels.filter(|label| label != "le"));
    }
    metrics
}

fn value(text: &str, sample: &str) -> f64 {
    let found = text.lines().find_map(|line| line.strip_prefix(sample)?.trim().parse().ok());
    found.unwrap_or_else(|| panic!("{sample} in\n{text}"))
}

/// The scrape of a pool whose metrics all have a sample.
async fn scrape(served: &Served) -> String {
    served.call("predict", json!({"value": 1})).await;
    let dir = tempfile::TempDir::new().expect("there is room");
    let argument = json!({"path": dir.path().join("d"), "how": "kill"});
    served.call("touch_and_die", argument).await.is_problem(502, "worker_lost");
    assert_eq!(served.call("predict", json!({"value": 1})).await.status, 200, "the next worker serves");
    served.get("/metrics").await.text()
}

#[actix_rt::test]
async fn metrics_have_calls_by_outcome_latencies_and_restarts_by_cause() {
    let served = serve(worker("contract.py"), |gateway| gateway).await;
    for value in 0..3 {
        assert_eq!(served.call("predict", json!({"value": value})).await.status, 200);
    }
    served.call("raises", json!("x")).await.is_problem(500, "exception");
    served.call("no-such", json!("x")).await;
    let dir = tempfile::TempDir::new().expect("there is room");
    let argument = json!({"path": dir.path().join("d"), "how": "kill"});
    served.call("touch_and_die", argument).await.is_problem(502, "worker_lost");
    assert_eq!(served.call("predict", json!({"value": 1})).await.status, 200, "the next worker serves");

    let answer = served.get("/metrics").await;
    assert_eq!(answer.media(), "text/plain; version=0.0.4; charset=utf-8");
    let text = answer.text();
    for line in [
        "pyproc_calls_total{pool=\"contract\",function=\"predict\",outcome=\"ok\"} 4",
        "pyproc_calls_total{pool=\"contract\",function=\"raises\",outcome=\"exception\"} 1",
        "pyproc_calls_total{pool=\"contract\",function=\"touch_and_die\",outcome=\"worker_lost\"} 1",
        "pyproc_calls_total{pool=\"contract\",function=\"\",outcome=\"unknown_function\"} 1",
        "pyproc_call_duration_seconds_count{pool=\"contract\",function=\"predict\",outcome=\"ok\"} 4",
        "pyproc_call_duration_seconds_bucket{le=\"+Inf\",pool=\"contract\",function=\"predict\",outcome=\"ok\"} 4",
        "pyproc_call_duration_seconds_bucket{le=\"100.0\",pool=\"contract\",function=\"predict\",outcome=\"ok\"} 4",
        "pyproc_call_duration_seconds_count{pool=\"contract\",function=\"raises\",outcome=\"exception\"} 1",
        "pyproc_call_duration_seconds_count{pool=\"contract\",function=\"touch_and_die\",outcome=\"worker_lost\"} 1",
        "pyproc_queue_wait_seconds_count{pool=\"contract\",function=\"predict\"} 4",
        "pyproc_worker_restarts_total{pool=\"contract\",cause=\"crashed\"} 1",
        "pyproc_worker_starts_total{pool=\"contract\"} 2",
        "pyproc_breaker_state{pool=\"contract\"} 0",
        "pyproc_in_flight{pool=\"contract\"} 0",
        "pyproc_queue_length{pool=\"contract\"} 0",
        "pyproc_worker_up{pool=\"contract\",slot=\"0\"} 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }
    assert!(value(&text, "pyproc_worker_resident_bytes{pool=\"contract\",slot=\"0\"}") > 1e6, "{text}");
    assert!(value(&text, "pyproc_worker_cpu_seconds_total{pool=\"contract\",slot=\"0\"}") > 0.0, "{text}");
    let names: Vec<_> = text.lines().filter(|line| line.starts_with("# TYPE")).collect();
    let unique: std::collections::BTreeSet<_> = names.iter().collect();
    assert_eq!(names.len(), unique.len(), "each name has one TYPE line");
    served.stop().await;
}

#[actix_rt::test]
async fn the_processor_time_of_a_slot_grows_over_the_death_of_its_process() {
    let served = serve(worker("contract.py"), |gateway| gateway).await;
    let sample = "pyproc_worker_cpu_seconds_total{pool=\"contract\",slot=\"0\"}";
    let first = value(&served.get("/metrics").await.text(), sample);
    assert!(first > 0.0, "the start of an interpreter takes some hundredths of a second");
    // The second process has used less than both together.
    let both = value(&scrape(&served).await, sample);
    let second = served.pool.status().await.slots[0].cpu_ms.expect("it serves");
    assert!(both >= first, "{both} after {first}");
    assert!(both * 1000.0 > second as f64, "{both} s of both, {second} ms of the second");
    served.stop().await;
}

#[actix_rt::test]
async fn one_scrape_has_the_metrics_of_all_pools_of_a_program() {
    let other = start(worker("contract.py").name("other")).await;
    let same = start(worker("contract.py")).await;
    let (more, again) = (other.clone(), same.clone());
    let served = serve(worker("contract.py"), |gateway| gateway.also_measure(more).also_measure(again)).await;
    assert!(other.call::<Value>("predict", &json!({"value": 1})).await.is_ok());
    let text = served.get("/metrics").await.text();
    for (pool, calls) in [("other", Some(1.0)), ("contract", None), ("contract-2", None)] {
        assert_eq!(value(&text, &format!("pyproc_workers{{pool=\"{pool}\"}}")), 1.0);
        let sample = format!("pyproc_calls_total{{pool=\"{pool}\",function=\"predict\",outcome=\"ok\"}}");
        let found = text.contains(&sample).then(|| value(&text, &sample));
        assert_eq!(found, calls, "{pool}");
    }
    let types: Vec<_> = text.lines().filter(|line| line.starts_with("# TYPE")).collect();
    assert_eq!(types.len(), types.iter().collect::<BTreeSet<_>>().len(), "each name has one TYPE line");
    served.stop().await;
    other.shutdown().await;
    same.shutdown().await;
}

/// The rows of the table in `docs/operations.md`: name, type, unit, labels and meaning.
fn documented() -> BTreeMap<String, Metric> {
    let page = include_str!("../../docs/operations.md");
    let rows = page.lines().filter(|line| line.starts_with("| `pyproc_"));
    let rows = rows.map(|line| {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [name, kind, _unit, labels, _meaning] = cells[..] else { panic!("{line}") };
        let labels = labels.split(", ").map(|label| label.trim_matches('`').to_owned()).collect();
        (name.trim_matches('`').to_owned(), Metric { kind: kind.to_owned(), labels })
    });
    rows.collect()
}

#[actix_rt::test]
async fn the_list_of_metrics_in_the_documentation_is_that_of_a_scrape() {
    let served = serve(worker("contract.py"), |gateway| gateway).await;
    assert_eq!(documented(), metrics(&scrape(&served).await));
    served.stop().await;
}

#[test]
fn every_query_of_the_dashboard_uses_metrics_and_labels_that_exist() {
    let dashboard: Value =
        serde_json::from_str(include_str!("../../docs/grafana-dashboard.json")).expect("it is JSON");
    let mut queries = Vec::new();
    collect_queries(&dashboard, &mut queries);
    let (known, mut used) = (documented(), BTreeSet::new());
    for query in &queries {
        for (at, _) in query.match_indices("pyproc_") {
            let rest = &query[at..];
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            let (mut name, rest) = rest.split_at(end);
            if !known.contains_key(name) {
                name = name.rsplit_once('_').expect("it has a suffix").0;
            }
            let metric = known.get(name).unwrap_or_else(|| panic!("{name} in {query}"));
            let matchers = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')).unwrap_or_default().0;
            for matcher in matchers.split(',').filter(|matcher| !matcher.is_empty()) {
                let label = matcher.split(['=', '!']).next().unwrap_or_default();
                let known = ["job", "instance"].contains(&label) || metric.labels.contains(label);
                assert!(known, "{label} of {name} in {query}");
            }
            used.insert(name.to_owned());
        }
    }
    assert!(used.len() > 10, "{used:?}");
}

/// All texts of a value that name a metric.
fn collect_queries<'a>(value: &'a Value, queries: &mut Vec<&'a str>) {
    match value {
        Value::String(text) if text.contains("pyproc_") => queries.push(text),
        Value::Array(items) => items.iter().for_each(|item| collect_queries(item, queries)),
        Value::Object(members) => members.values().for_each(|member| collect_queries(member, queries)),
        _ => {}
    }
}
