//! Equal incidents as one. The main structure is [`Crash`].

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use actix_pyproc_actors::id::SlotId;
use serde::{Deserialize, Serialize};

use super::incident::Incident;
use super::recent::CallRow;

/// How many different crashes are kept.
const KEPT: usize = 20;
/// How many slots and functions a crash lists.
const LISTED: usize = 20;

/// Incidents with the same cause, exit and last line of standard error. Numbers in that line do not
/// count, because they often are addresses or ids.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Crash {
    /// How many incidents.
    pub count: u64,
    /// When the first one happened, in milliseconds since 1970.
    pub first_unix_ms: u64,
    /// Their slots, at most 20, in order.
    pub slots: Vec<SlotId>,
    /// The functions of the calls that ran, at most 20, and in how many of the incidents. If none
    /// ran, those of the calls that had ended and whose replies were not sent.
    pub functions: BTreeMap<String, u64>,
    /// The latest incident.
    pub last: Incident,
}

impl Crash {
    fn new(incident: &Incident) -> Self {
        Self { first_unix_ms: incident.at_unix_ms, ..Self::default() }
    }

    fn add(&mut self, incident: Incident) {
        self.count += 1;
        if let Err(place) = self.slots.binary_search(&incident.slot)
            && self.slots.len() < LISTED
        {
            self.slots.insert(place, incident.slot);
        }
        let runs = |call: &&CallRow| call.running_ms.is_some();
        let any = incident.calls.iter().any(|call| runs(&call));
        let calls = incident.calls.iter().filter(|call| runs(call) || !any);
        let mut names: Vec<_> = calls.map(|call| call.function.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let full = self.functions.len() == LISTED;
            match self.functions.entry(name.to_owned()) {
                Entry::Occupied(mut known) => *known.get_mut() += 1,
                Entry::Vacant(new) if !full => drop(new.insert(1)),
                Entry::Vacant(_) => {}
            }
        }
        self.last = incident;
    }

    fn is_like(&self, incident: &Incident) -> bool {
        let last = |incident: &Incident| incident.stderr.last().map(|line| without_numbers(line));
        let Self { last: known, .. } = self;
        known.cause == incident.cause && known.what == incident.what && last(known) == last(incident)
    }

    /// Removes what shows code and data of the workers.
    #[cfg(feature = "http")]
    pub(crate) fn redact(&mut self) {
        self.last.redact();
    }
}

/// Adds an incident to the crashes, latest first.
pub(super) fn add(crashes: &mut Vec<Crash>, incident: Incident) {
    let known = crashes.iter().position(|crash| crash.is_like(&incident));
    let mut crash = known.map_or_else(|| Crash::new(&incident), |index| crashes.remove(index));
    crash.add(incident);
    crashes.truncate(KEPT - 1);
    crashes.insert(0, crash);
}

/// A line with each decimal number, and each number with the prefix 0x, replaced by 0.
fn without_numbers(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        if !c.is_ascii_digit() {
            text.push(c);
            continue;
        }
        text.push('0');
        let hex = c == '0' && rest.next_if_eq(&'x').is_some();
        while rest.next_if(|c| if hex { c.is_ascii_hexdigit() } else { c.is_ascii_digit() }).is_some() {}
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{CallRow, Crash, Incident, KEPT, add, without_numbers};
    use crate::status::EndCause;

    fn incident(at: u64, slot: u32, what: &str, stderr: &str, function: &str) -> Incident {
        let call = |function: &str, running_ms| CallRow {
            function: function.to_owned(),
            running_ms,
            ..CallRow::default()
        };
        let calls = vec![call(function, Some(7)), call(function, Some(5)), call("ended", None)];
        Incident {
            at_unix_ms: at,
            slot: slot.into(),
            cause: EndCause::Crashed,
            what: what.to_owned(),
            stderr: stderr.split('\n').map(ToOwned::to_owned).collect(),
            calls,
            ..Incident::default()
        }
    }

    #[test]
    fn numbers_do_not_make_lines_different() {
        for (line, expected) in [
            ("MemoryError at 0x7f3Ab1, pid 4711", "MemoryError at 0, pid 0"),
            ("", ""),
            ("007 0x", "0 0"),
            ("line 12é3", "line 0é0"),
        ] {
            assert_eq!(without_numbers(line), expected);
        }
    }

    #[test]
    fn equal_crashes_are_one_and_the_latest_is_first() {
        let mut crashes: Vec<Crash> = Vec::new();
        add(&mut crashes, incident(1, 3, "exited with 1", "a\nout of memory 17", "predict"));
        add(&mut crashes, incident(2, 0, "killed by SIGKILL", "", "predict"));
        add(&mut crashes, incident(3, 1, "exited with 1", "b\nout of memory 4", "resize"));
        add(&mut crashes, incident(4, 3, "exited with 1", "out of memory 5", "predict"));
        add(&mut crashes, incident(5, 3, "exited with 2", "out of memory 5", "predict"));
        let seen: Vec<_> = (crashes.iter())
            .map(|crash| (crash.last.at_unix_ms, crash.count, crash.first_unix_ms, crash.slots.clone()))
            .collect();
        let expected = [(5, 1, 5, vec![3]), (4, 3, 1, vec![1, 3]), (2, 1, 2, vec![0])];
        let expected = expected.map(|(at, count, first, slots): (_, _, _, Vec<u32>)| {
            (at, count, first, slots.into_iter().map(Into::into).collect::<Vec<_>>())
        });
        assert_eq!(seen, expected);
        let mut unsent = incident(6, 0, "exited with 3", "", "f");
        unsent.calls.drain(..2);
        add(&mut crashes, unsent);
        assert_eq!(crashes[0].functions.get("ended"), Some(&1), "none ran");
        let functions: Vec<_> = crashes[2].functions.iter().map(|(name, n)| (name.as_str(), *n)).collect();
        assert_eq!(functions, [("predict", 2), ("resize", 1)]);
    }

    #[test]
    fn crashes_are_bounded() {
        let mut crashes = Vec::new();
        for n in 0..1000 {
            add(&mut crashes, incident(n, n as u32, &format!("exited with {n}"), "", "f"));
            add(&mut crashes, incident(n, n as u32, "killed", "", &format!("f{n}")));
        }
        assert_eq!(crashes.len(), KEPT);
        assert_eq!((crashes[0].count, crashes[0].slots.len(), crashes[0].functions.len()), (1000, 20, 20));
    }
}
