//! Estimates of the cost of calls. The main structure in this module is [`Estimates`].

use std::time::Duration;

use crate::id::FunctionId;

/// The weight of one measurement is 1 / 2^3, so the estimate follows a change within some eight
/// calls.
const SHIFT: u32 = 3;

/// An exponentially weighted moving average of the service time of each function, in nanoseconds.
#[derive(Debug, Default)]
pub struct Estimates(Vec<Option<u32>>);

impl Estimates {
    /// The estimate for `function`, if it was ever measured.
    #[must_use]
    pub fn get(&self, function: FunctionId) -> Option<u32> {
        self.0.get(function.0 as usize).copied().flatten()
    }

    /// Updates the estimate with a measured service time.
    pub fn measured(&mut self, function: FunctionId, service: Duration) {
        let sample = u32::try_from(service.as_nanos()).unwrap_or(u32::MAX);
        let index = function.0 as usize;
        if index >= self.0.len() {
            self.0.resize(index + 1, None);
        }
        let estimate = &mut self.0[index];
        *estimate = Some(match *estimate {
            None => sample,
            Some(old) if sample >= old => old + ((sample - old) >> SHIFT),
            Some(old) => old - ((old - sample) >> SHIFT),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_measurement_is_the_estimate_and_later_ones_move_it_an_eighth() {
        let mut estimates = Estimates::default();
        let function = FunctionId(3);
        assert_eq!(estimates.get(function), None);
        estimates.measured(function, Duration::from_nanos(800));
        assert_eq!(estimates.get(function), Some(800));
        estimates.measured(function, Duration::from_nanos(1600));
        assert_eq!(estimates.get(function), Some(900));
        estimates.measured(function, Duration::from_nanos(100));
        assert_eq!(estimates.get(function), Some(800));
        estimates.measured(function, Duration::from_secs(100));
        assert!(estimates.get(function) > Some(500_000_000));
        assert_eq!(estimates.get(FunctionId(0)), None);
    }
}
