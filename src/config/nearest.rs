//! Suggests a known key for an unknown one. The main item in this module is [`nearest`].

/// Names that fields have in other projects, above all in the Go project pyproc.
const OTHER_NAMES: [(&str, &str); 26] = [
    ("worker_count", "workers"),
    ("num_workers", "workers"),
    ("pool_size", "workers"),
    ("processes", "workers"),
    ("concurrency", "max_concurrent"),
    ("script", "worker"),
    ("worker_script", "worker"),
    ("module", "worker"),
    ("executable", "python"),
    ("interpreter", "python"),
    ("environment", "env"),
    ("timeout", "call_timeout"),
    ("request_timeout", "call_timeout"),
    ("connection_timeout", "start_timeout"),
    ("queue", "max_queue"),
    ("queue_size", "max_queue"),
    ("max_frame_size", "max_frame"),
    ("initial_backoff", "restart.initial"),
    ("max_backoff", "restart.max"),
    ("max_retries", "max_attempts"),
    ("retries", "max_attempts"),
    ("max_memory", "recycle.max_rss"),
    ("max_requests", "recycle.max_calls"),
    ("level", "log_level"),
    ("json_codec", "json"),
    ("json_library", "json"),
];

/// The known key closest to `key`, if one is close.
pub(super) fn nearest<'a>(key: &str, known: impl Iterator<Item = &'a str> + Clone) -> Option<&'a str> {
    let name = last(key);
    if let Some((_, meant)) = OTHER_NAMES.iter().find(|(other, _)| *other == name) {
        return known.into_iter().find(|candidate| candidate == meant);
    }
    let near = |candidate: &&str| {
        // The key may be in the wrong section, or in none.
        let distance = strsim::osa_distance(key, candidate).min(strsim::osa_distance(name, last(candidate)));
        let other_length = last(candidate).len().abs_diff(name.len());
        (distance, other_length)
    };
    // The first of equally close keys wins: keys outside of sections come first.
    let best = known.min_by_key(near)?;
    (near(&best).0 <= 1.max(name.len() / 3)).then_some(best)
}

fn last(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}

#[cfg(test)]
mod tests {
    use super::{OTHER_NAMES, nearest};
    use crate::config::PoolConfig;

    fn meant(key: &str) -> Option<String> {
        let fields = PoolConfig::fields();
        nearest(key, fields.iter().map(|field| field.key.as_str())).map(ToOwned::to_owned)
    }

    #[test]
    fn slips_other_names_and_wrong_sections_are_told_and_what_is_far_is_not() {
        for (key, expected) in [
            ("workerz", Some("workers")),
            ("worker_count", Some("workers")),
            ("restart.intial", Some("restart.initial")),
            ("max_restart", Some("restart.max_restarts")),
            ("max_restarts", Some("restart.max_restarts")),
            ("restart.call_timeout", Some("call_timeout")),
            ("pool.max_in_flight", Some("max_in_flight")),
            ("restart.max_backoff", Some("restart.max")),
            ("maxqueue", Some("max_queue")),
            ("colour", None),
            ("x", None),
        ] {
            assert_eq!(meant(key).as_deref(), expected, "{key}");
        }
    }

    #[test]
    fn other_names_are_none_of_ours_and_stand_for_keys_that_exist() {
        let fields = PoolConfig::fields();
        for (other, key) in OTHER_NAMES {
            assert!(fields.iter().all(|field| field.key != other), "{other}");
            assert!(fields.iter().any(|field| field.key == key), "{key}");
        }
    }
}
