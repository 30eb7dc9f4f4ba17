//! What tests of whole pools share: fixtures, waits with a cap, calls and events.
#![allow(dead_code, unused_imports, reason = "each test binary uses its part")]

pub(crate) mod blocking;
pub(crate) mod events;
pub(crate) mod front_door;
pub(crate) mod leaks;
pub(crate) mod processes;
mod script;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use actix_pyproc::status::SlotRow;
use actix_pyproc::{Call, CallError, Pool, PoolConfig};
use actix_rt::task::JoinHandle;
use serde_json::Value;
use tempfile::TempDir;

pub(crate) use events::Events;
pub(crate) use processes::{exists, signal};
pub(crate) use script::Script;

/// An interpreter that has the packages in tests/python/requirements.txt if CI runs this test, else
/// `python3`, which may lack them.
pub(crate) fn python_with_libraries() -> PathBuf {
    std::env::var_os("PYTHON_WITH_LIBRARIES").unwrap_or_else(|| "python3".into()).into()
}

/// The longest that a test waits for any one event.
pub(crate) const CAP: Duration = Duration::from_secs(60);

/// The root of the repository, for the tests of every crate.
pub(crate) fn root() -> &'static Path {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest
        .ancestors()
        .find(|dir| dir.join("python_workers").is_dir())
        .expect("every crate is in the repository")
}

/// The text of a file, by its path from the root.
pub(crate) fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The path of a worker file in `tests/workers`.
pub(crate) fn fixture(name: &str) -> PathBuf {
    root().join("tests/workers").join(name)
}

/// A temporary directory.
pub(crate) fn scratch() -> TempDir {
    TempDir::new().expect("the disk has room")
}

/// A pool of one worker that runs a fixture.
pub(crate) fn worker(name: &str) -> PoolConfig {
    PoolConfig::new(fixture(name)).workers(1).kill_grace(Duration::from_millis(300))
}

pub(crate) async fn start(config: PoolConfig) -> Pool {
    capped("the start", Pool::start(config)).await.expect("the pool starts")
}

pub(crate) async fn capped<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(CAP, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what} took longer than {CAP:?}"),
    }
}

/// Polls `condition` until it holds, for changes that send no event.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    capped(what, async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

/// The lines of a file that workers write to; empty while the file does not exist.
pub(crate) fn lines(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap_or_default().lines().map(ToOwned::to_owned).collect()
}

pub(crate) async fn slots(pool: &Pool) -> Vec<SlotRow> {
    pool.status().await.slots
}

pub(crate) async fn pids(pool: &Pool) -> Vec<u32> {
    slots(pool).await.iter().filter_map(|slot| slot.pid).collect()
}

pub(crate) fn json_call(function: &'static str, argument: Value) -> Call {
    Call::json(function, &argument).expect("a value is JSON")
}

/// Makes a call on a task.
pub(crate) fn spawn(pool: &Pool, call: Call) -> JoinHandle<Result<Value, CallError>> {
    let pool = pool.clone();
    actix_rt::spawn(async move { pool.request(call).await?.json() })
}

/// The error of a call whose deadline passes while it runs.
///
/// On a busy machine the deadline may pass before the call starts; then the call is made again with
/// more time.
pub(crate) async fn overdue(pool: &Pool, call: impl Fn() -> Call) -> CallError {
    let mut limit = Duration::from_millis(100);
    loop {
        let call = capped("a call", pool.request(call().timeout(limit)));
        match call.await.expect_err("its deadline passes") {
            CallError::DeadlineExceeded { started: false } if limit < CAP / 4 => limit *= 4,
            error => return error,
        }
    }
}

/// The result of a task.
pub(crate) async fn ended<T>(task: JoinHandle<T>) -> T {
    capped("a task", task).await.expect("the task did not panic")
}
