//! What a pool reports about itself: a snapshot, the journal of its workers, its metrics. The main
//! structure is [`PoolStatus`].

mod incident;
pub(crate) mod journal;
#[cfg(any(feature = "http", feature = "metrics"))]
pub(crate) mod metrics;
mod pool;
mod slot;

pub use actix_pyproc_actors::router::{CallTally, Distribution, LatencyStatus};
pub use actix_pyproc_actors::supervisor::SlotState;
pub use incident::{EndCause, Incident};
pub use pool::{AdmissionState, FunctionRow, PoolStatus};
pub use slot::SlotRow;
