//! The kinds of faults. The main item is [`FaultKind`].

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use actix_pyproc_actors::duration;

use crate::backend::fault_port::Injection;
use crate::wire::message::FaultOrder;

/// A kind of fault.
///
/// Its text is its name and, after a colon, its amount: `kill`, `pause:200` (milliseconds),
/// `memory:64` (MiB). The amount is optional when parsing.
///
/// ```
/// use actix_pyproc::fault::FaultKind;
/// use std::time::Duration;
///
/// assert_eq!("pause:50".parse(), Ok(FaultKind::Pause(Duration::from_millis(50))));
/// assert_eq!(FaultKind::ExitMidReply.to_string(), "exit_mid_reply");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FaultKind {
    /// The process receives SIGKILL, as from the kernel when memory runs out.
    Kill,
    /// The process receives SIGSTOP and is not resumed: the pool has to notice.
    Stop,
    /// The process receives SIGSTOP, and SIGCONT after this time.
    Pause(Duration),
    /// The next call ends its process with `os._exit`.
    Exit,
    /// The next call runs, and the process exits after it has sent half of the reply.
    ExitMidReply,
    /// The worker closes its socket and keeps running.
    Close,
    /// The worker sends random bytes.
    Garbage,
    /// The worker sends the beginning of a frame and closes its socket.
    Truncated,
    /// The worker sends the header of a frame that is longer than the limit.
    Oversize,
    /// The worker sends a reply to a call that it never received.
    WrongReply,
    /// Before the next call runs, the worker sends a reply to the previous call with the same index
    /// in the slot table.
    OldReply,
    /// The worker sends the reply to the next call again when the call after that starts.
    DuplicateReply,
    /// The worker reads nothing for this long.
    SlowReader(Duration),
    /// The worker allocates this many bytes and keeps them.
    Memory(u64),
    /// The next process that starts waits this long before it loads its code.
    SlowStart(Duration),
    /// The next process that starts fails.
    StartFailure,
}

/// A text is not the name of a fault, or its amount is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no fault {text:?}; there are {}", FaultKind::ALL.map(FaultKind::name).join(", "))]
pub struct UnknownFault {
    /// The text.
    pub text: Box<str>,
}

/// How a fault reaches its worker.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Delivery {
    /// It is sent to a worker that serves.
    Serving(Injection),
    /// It waits for the next worker that starts.
    AtStart(FaultOrder),
}

impl FaultKind {
    /// All kinds, each with its default amount.
    pub const ALL: [Self; 16] = [
        Self::Kill,
        Self::Stop,
        Self::Pause(Duration::from_millis(200)),
        Self::Exit,
        Self::ExitMidReply,
        Self::Close,
        Self::Garbage,
        Self::Truncated,
        Self::Oversize,
        Self::WrongReply,
        Self::OldReply,
        Self::DuplicateReply,
        Self::SlowReader(Duration::from_millis(200)),
        Self::Memory(64 << 20),
        Self::SlowStart(Duration::from_millis(500)),
        Self::StartFailure,
    ];

    /// The name, without the amount.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Stop => "stop",
            Self::Pause(_) => "pause",
            Self::Exit => "exit",
            Self::ExitMidReply => "exit_mid_reply",
            Self::Close => "close",
            Self::Garbage => "garbage",
            Self::Truncated => "truncated",
            Self::Oversize => "oversize",
            Self::WrongReply => "wrong_reply",
            Self::OldReply => "old_reply",
            Self::DuplicateReply => "duplicate_reply",
            Self::SlowReader(_) => "slow_reader",
            Self::Memory(_) => "memory",
            Self::SlowStart(_) => "slow_start",
            Self::StartFailure => "start_failure",
        }
    }

    /// The same kind with this amount, in the unit of its text; `None` if it has no amount.
    fn with_amount(self, amount: u64) -> Option<Self> {
        let duration = Duration::from_millis(amount);
        Some(match self {
            Self::Pause(_) => Self::Pause(duration),
            Self::SlowReader(_) => Self::SlowReader(duration),
            Self::SlowStart(_) => Self::SlowStart(duration),
            Self::Memory(_) => Self::Memory(amount.checked_mul(1 << 20)?),
            _ => return None,
        })
    }

    pub(super) fn delivery(self) -> Delivery {
        let order = |seconds, bytes| FaultOrder { kind: Cow::Borrowed(self.name()), seconds, bytes };
        let seconds = |time: Duration| order(Some(time.as_secs_f64()), None);
        Delivery::Serving(match self {
            Self::SlowStart(time) => return Delivery::AtStart(seconds(time)),
            Self::StartFailure => return Delivery::AtStart(order(None, None)),
            Self::Kill => Injection::Kill,
            Self::Stop => Injection::Stop { resume_after: None },
            Self::Pause(time) => Injection::Stop { resume_after: Some(time) },
            Self::SlowReader(time) => Injection::Order(seconds(time)),
            Self::Memory(bytes) => Injection::Order(order(None, Some(bytes))),
            Self::Exit
            | Self::ExitMidReply
            | Self::Close
            | Self::Garbage
            | Self::Truncated
            | Self::Oversize
            | Self::WrongReply
            | Self::OldReply
            | Self::DuplicateReply => Injection::Order(order(None, None)),
        })
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Self::Pause(time) | Self::SlowReader(time) | Self::SlowStart(time) => {
                write!(f, ":{}", time.as_millis())
            }
            Self::Memory(bytes) => write!(f, ":{}", bytes >> 20),
            _ => Ok(()),
        }
    }
}

impl FromStr for FaultKind {
    type Err = UnknownFault;

    fn from_str(text: &str) -> Result<Self, UnknownFault> {
        let unknown = || UnknownFault { text: text.into() };
        let (name, amount) = match text.split_once(':') {
            Some((name, amount)) => (name, Some(amount)),
            None => (text, None),
        };
        let kind = Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(unknown)?;
        let Some(amount) = amount else { return Ok(kind) };
        let millis = || duration::parse(amount)?.as_millis().try_into().ok();
        let amount = match kind {
            Self::Memory(_) => amount.parse().ok(),
            _ => amount.parse().ok().or_else(millis),
        };
        amount.and_then(|amount| kind.with_amount(amount)).ok_or_else(unknown)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Delivery, FaultKind};
    use crate::backend::fault_port::Injection;

    #[test]
    fn every_fault_is_read_from_its_own_text_and_from_its_name() {
        for kind in FaultKind::ALL {
            assert_eq!(kind.to_string().parse(), Ok(kind));
            assert_eq!(kind.name().parse(), Ok(kind));
        }
        assert_eq!("memory:3".parse(), Ok(FaultKind::Memory(3 << 20)));
        assert_eq!("slow_start:7".parse(), Ok(FaultKind::SlowStart(Duration::from_millis(7))));
        assert_eq!("pause:2s".parse(), Ok(FaultKind::Pause(Duration::from_secs(2))));
    }

    #[test]
    fn what_is_no_fault_is_refused_with_the_names_that_are() {
        for text in ["", "kil", "kill:1", "pause:", "pause:x", "memory:1s", "memory:18446744073709551615"] {
            let error = text.parse::<FaultKind>().expect_err(text).to_string();
            assert!(error.contains("kill, stop, pause") && error.ends_with("start_failure"), "{error}");
        }
    }

    #[test]
    fn an_order_has_the_amount_in_the_units_of_the_protocol_page() {
        let delivery = FaultKind::SlowReader(Duration::from_millis(500)).delivery();
        let Delivery::Serving(Injection::Order(order)) = delivery else {
            panic!("slow_reader is sent to the worker")
        };
        let json = serde_json::to_string(&order).expect("an order encodes as JSON");
        assert_eq!(json, r#"{"kind":"slow_reader","seconds":0.5}"#);
    }
}
