//! What becomes of the calls of a process that died, as a pure decision. The main item in this
//! module is [`decide`].

use crate::call::Deaths;

/// The part that a call had in the death of its process.
///
/// One thread runs all functions of a worker, so a function that is not overlapping suspends every
/// coroutine of its worker, and those cannot be the cause. Which of several coroutines was running
/// cannot be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// It had not started.
    NotStarted,
    /// It had started, but cannot be the cause.
    Bystander,
    /// It may be the cause.
    Suspect,
}

/// What decides about a call besides its part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trial {
    /// Whether it may run again.
    pub idempotent: bool,
    /// The workers that died in it before.
    pub deaths: Deaths,
}

/// What becomes of a call whose process died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Fate {
    /// It had not started and goes to another worker.
    Requeued,
    /// It runs again.
    Retried {
        /// With this death counted.
        deaths: Deaths,
        /// Whether it must run alone in its next worker.
        alone: bool,
    },
    /// It ends as lost.
    Lost,
    /// It ends as quarantined: it may have caused every death.
    Quarantined {
        /// How many.
        attempts: u32,
    },
}

/// Decides about one call. `several` says that other calls are suspects too. The last attempt of
/// such a call runs alone, so that it shows which of them kills its workers.
pub(super) fn decide(part: Part, trial: Trial, several: bool, max_attempts: u32) -> Fate {
    if part == Part::NotStarted {
        return Fate::Requeued;
    }
    let deaths = Deaths {
        count: trial.deaths.count + 1,
        suspected: trial.deaths.suspected + u32::from(part == Part::Suspect),
    };
    match trial.idempotent {
        true if deaths.count < max_attempts => {
            Fate::Retried { deaths, alone: several && deaths.count + 1 == max_attempts }
        }
        true if deaths.suspected == deaths.count => Fate::Quarantined { attempts: deaths.count },
        _ => Fate::Lost,
    }
}

#[cfg(test)]
mod tests {
    use super::{Fate, Part, Trial, decide};
    use crate::call::Deaths;

    const fn deaths(count: u32, suspected: u32) -> Deaths {
        Deaths { count, suspected }
    }

    #[test]
    fn a_call_is_requeued_retried_lost_or_quarantined_as_the_table_says() {
        let retried = |count, suspected, alone| Fate::Retried { deaths: deaths(count, suspected), alone };
        let rows = [
            // Part, idempotent, deaths before, other suspects, then with three attempts.
            (Part::NotStarted, false, (0, 0), false, Fate::Requeued),
            (Part::NotStarted, true, (2, 2), true, Fate::Requeued),
            (Part::Suspect, false, (0, 0), false, Fate::Lost),
            (Part::Bystander, false, (0, 0), true, Fate::Lost),
            (Part::Suspect, true, (0, 0), false, retried(1, 1, false)),
            (Part::Suspect, true, (0, 0), true, retried(1, 1, false)),
            (Part::Bystander, true, (0, 0), false, retried(1, 0, false)),
            (Part::Suspect, true, (1, 1), false, retried(2, 2, false)),
            (Part::Suspect, true, (1, 1), true, retried(2, 2, true)),
            (Part::Bystander, true, (1, 1), true, retried(2, 1, true)),
            (Part::Suspect, true, (2, 2), false, Fate::Quarantined { attempts: 3 }),
            (Part::Suspect, true, (2, 1), false, Fate::Lost),
            (Part::Bystander, true, (2, 2), false, Fate::Lost),
        ];
        for (part, idempotent, (count, suspected), several, expected) in rows {
            let trial = Trial { idempotent, deaths: deaths(count, suspected) };
            assert_eq!(decide(part, trial, several, 3), expected, "{part:?} {trial:?} {several}");
        }
        let first = Trial { idempotent: true, deaths: deaths(0, 0) };
        assert_eq!(decide(Part::Suspect, first, false, 1), Fate::Quarantined { attempts: 1 });
        assert_eq!(decide(Part::Bystander, first, false, 1), Fate::Lost);
    }
}
