//! When a worker whose process ended starts again. The main structure in this module is
//! [`Restarts`].
//!
//! The delays come from the `backoff` crate, which is no longer maintained. Only this file uses it.
//! Its clock and its random numbers are arguments here, so the decisions stay pure.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use backoff::Clock;
use backoff::backoff::Backoff as _;
use backoff::exponential::ExponentialBackoff;
use serde::{Deserialize, Serialize};

use crate::duration;
use crate::setting::settings;

settings! {
    /// How workers that died are replaced.
    ///
    /// The limit on restarts is Erlang's restart intensity: a worker that dies every time cannot
    /// keep a core busy for ever.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields, expecting = "the section [restart]")]
    #[non_exhaustive]
    pub struct RestartConfig {
        /// The delay before the first restart.
        #[setting("50 ms")]
        #[serde(with = "duration")]
        pub initial: Duration = Duration::from_millis(50),
        /// The factor by which the delay grows from one restart to the next.
        #[setting("2", minimum = 1, maximum = 100)]
        pub multiplier: f64 = 2.0,
        /// The longest delay.
        #[setting("30 s")]
        #[serde(with = "duration")]
        pub max: Duration = Duration::from_secs(30),
        /// How much of a delay is random: 0.2 is ±20 %.
        #[setting("0.2", minimum = 0, exclusiveMaximum = 1)]
        pub jitter: f64 = 0.2,
        /// After a worker has served this long, the next delay is `initial` again.
        #[setting("10 s")]
        #[serde(with = "duration")]
        pub reset_after: Duration = Duration::from_secs(10),
        /// How many restarts of one slot are allowed `within` before the slot rests.
        #[setting("10")]
        pub max_restarts: u32 = 10,
        /// The time over which `max_restarts` counts.
        #[setting("60 s", exclusiveMinimum = 0)]
        #[serde(with = "duration")]
        pub within: Duration = Duration::from_secs(60),
        /// How long a slot rests before it is tried again.
        #[setting("10 s")]
        #[serde(with = "duration")]
        pub cooldown: Duration = Duration::from_secs(10),
        /// How many starts in a row may fail, while no worker serves, before calls are refused as
        /// unavailable.
        #[setting("3", minimum = 1)]
        pub max_start_failures: u32 = 3,
        /// While no worker serves and the next start is further away than this, calls are
        /// refused as unavailable instead of queued.
        #[setting("1 s")]
        #[serde(with = "duration")]
        pub hold: Duration = Duration::from_secs(1),
    }
}

/// When the process of a slot starts again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// At this time.
    RestartAt(Instant),
    /// The restart intensity is exceeded: the slot rests until this time, and is then tried once.
    RestUntil(Instant),
}

/// The clock of a backoff: it stands at the last event.
#[derive(Clone, Copy, Debug)]
struct LastEvent(Instant);

impl Clock for LastEvent {
    fn now(&self) -> Instant {
        self.0
    }
}

/// The restarts of one slot.
#[derive(Debug)]
pub struct Restarts {
    policy: RestartConfig,
    backoff: ExponentialBackoff<LastEvent>,
    recent: VecDeque<Instant>,
}

impl Restarts {
    /// A slot that was never restarted.
    #[must_use]
    pub fn new(policy: RestartConfig, now: Instant) -> Self {
        let backoff = ExponentialBackoff {
            current_interval: policy.initial,
            initial_interval: policy.initial,
            multiplier: policy.multiplier.max(1.0),
            max_interval: policy.max.max(policy.initial),
            // `failed` applies the jitter, with the random number that it gets.
            randomization_factor: 0.0,
            max_elapsed_time: None,
            start_time: now,
            clock: LastEvent(now),
        };
        Self { policy, backoff, recent: VecDeque::new() }
    }

    /// Decides when the next process starts, after one ended that had served for `served` (zero if
    /// it never served). `unit` is a random number from 0 to 1.
    pub fn failed(&mut self, served: Duration, now: Instant, unit: f64) -> Verdict {
        self.backoff.clock = LastEvent(now);
        if served >= self.policy.reset_after {
            self.backoff.reset();
        }
        while self.recent.front().is_some_and(|&at| now.saturating_duration_since(at) >= self.policy.within) {
            self.recent.pop_front();
        }
        self.recent.push_back(now);
        if self.recent.len() > self.policy.max_restarts as usize {
            // The next failure pushes one entry beyond the limit again.
            self.recent.pop_front();
            return Verdict::RestUntil(later(now, jittered(self.policy.cooldown, self.policy.jitter, unit)));
        }
        let delay = self.backoff.next_backoff().expect("a backoff without a time limit never ends");
        Verdict::RestartAt(later(now, jittered(delay, self.policy.jitter, unit)))
    }
}

/// `now + delay`, but at most [`duration::LONGEST`] from now, so that the clock cannot overflow.
#[must_use]
pub fn later(now: Instant, delay: Duration) -> Instant {
    now + delay.min(duration::LONGEST)
}

/// `base * (1 ± share)`. `unit`, from 0 to 1, is the position in that range.
#[must_use]
pub fn jittered(base: Duration, share: f64, unit: f64) -> Duration {
    let factor = 1.0 + share.clamp(0.0, 1.0) * (2.0 * unit.clamp(0.0, 1.0) - 1.0);
    Duration::try_from_secs_f64(base.as_secs_f64() * factor).unwrap_or(base)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn policy() -> RestartConfig {
        RestartConfig {
            max: MS * 300,
            jitter: 0.2,
            max_restarts: 4,
            cooldown: MS * 5000,
            ..RestartConfig::default()
        }
    }

    #[test]
    fn delays_double_to_the_longest_and_start_again_after_health() {
        let now = Instant::now();
        let mut restarts = Restarts::new(policy(), now);
        for expected in [50, 100, 200, 300] {
            assert_eq!(restarts.failed(Duration::ZERO, now, 0.5), Verdict::RestartAt(now + MS * expected));
        }
        let later = now + policy().within;
        assert_eq!(restarts.failed(policy().reset_after, later, 0.5), Verdict::RestartAt(later + MS * 50));
    }

    #[test]
    fn one_restart_beyond_the_intensity_rests_and_old_restarts_are_forgotten() {
        let start = Instant::now();
        let mut restarts = Restarts::new(policy(), start);
        for i in 0..4 {
            assert!(matches!(restarts.failed(Duration::ZERO, start + MS * i, 0.5), Verdict::RestartAt(_)));
        }
        let fifth = start + MS * 10;
        assert_eq!(restarts.failed(Duration::ZERO, fifth, 0.5), Verdict::RestUntil(fifth + MS * 5000));
        assert!(matches!(restarts.failed(Duration::ZERO, fifth + MS, 0.5), Verdict::RestUntil(_)));
        let much_later = fifth + policy().within * 2;
        assert!(matches!(restarts.failed(Duration::ZERO, much_later, 0.5), Verdict::RestartAt(_)));
    }

    #[test]
    fn jitter_spreads_around_the_delay() {
        assert_eq!(jittered(MS * 100, 0.2, 0.0), MS * 80);
        assert_eq!(jittered(MS * 100, 0.2, 0.5), MS * 100);
        assert_eq!(jittered(MS * 100, 0.2, 1.0), MS * 120);
        assert_eq!(jittered(Duration::MAX, 0.5, 1.0), Duration::MAX);
    }
}
