//! Worker files that a test writes and rewrites. The main structure is [`Script`].

use std::path::PathBuf;

use actix_pyproc::PoolConfig;
use tempfile::TempDir;

use super::scratch;

/// A worker file in a temporary directory.
pub(crate) struct Script(TempDir);

impl Script {
    pub(crate) fn new(code: &str) -> Self {
        let script = Self(scratch());
        script.write(code);
        script
    }

    pub(crate) fn write(&self, code: &str) {
        std::fs::write(self.path(), code).expect("the disk has room");
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().join("worker.py")
    }

    /// The default configuration with this file and a number of workers.
    pub(crate) fn config(&self, workers: usize) -> PoolConfig {
        PoolConfig::new(self.path()).workers(workers)
    }
}
