//! The commands, one file each: its arguments and its `run`.

pub(crate) mod bench;
pub(crate) mod call;
pub(crate) mod chaos;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod init;
pub(crate) mod man;
pub(crate) mod serve;
pub(crate) mod top;
