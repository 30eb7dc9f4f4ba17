//! What the actors know about a call. The main structure in this module is [`Function`].

use crate::id::FunctionId;

/// The function of a call, and how it occupies its worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its number in the pool.
    pub id: FunctionId,
    /// Whether its calls run side by side in one worker (`async def`), not one after another.
    pub overlapping: bool,
}

/// How far a call in flight has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The function has not started.
    Sent,
    /// The function runs.
    Running,
    /// The function has ended, but its reply has not arrived.
    Finished,
}

/// The workers that died while a call ran in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deaths {
    /// How many.
    pub count: u32,
    /// How many of them the call may have caused.
    pub suspected: u32,
}
