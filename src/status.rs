//! What a pool reports about itself: a snapshot, why calls fail, the journal of its workers, its
//! metrics. The main structure is [`PoolStatus`].

mod crash;
mod incident;
pub(crate) mod journal;
#[cfg(any(feature = "http", feature = "metrics"))]
pub(crate) mod metrics;
mod pool;
mod recent;
mod slot;

pub use actix_pyproc_actors::call::CallStage;
pub use actix_pyproc_actors::router::{CallTally, Distribution, LatencyStatus};
pub use actix_pyproc_actors::supervisor::SlotState;
pub use crash::Crash;
pub use incident::{EndCause, Incident};
pub(crate) use pool::Observed;
#[cfg(feature = "http")]
pub(crate) use pool::Readiness;
pub use pool::{AdmissionState, FunctionRow, PoolStatus};
pub use recent::{CallRow, LogLine};
pub use slot::SlotRow;

pub use crate::backend::failures::FailureRow;
pub use crate::process::recent::LineSource;
