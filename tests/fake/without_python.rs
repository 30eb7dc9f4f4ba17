//! A fake pool in an environment without any Python.

use std::process::Command;

use actix_pyproc::{Pool, PoolConfig, Reply, StartError};

const VARIABLE: &str = "PYPROC_TEST_WITHOUT_PYTHON";

// The test runs itself in an environment that has no PATH, and so no Python.
#[test]
fn fake_pool_serves_without_python_and_starts_no_process() {
    if std::env::var_os(VARIABLE).is_some() {
        return actix_rt::System::new().block_on(serves());
    }
    let own = std::env::current_exe().expect("the test is a file");
    let name = "without_python::fake_pool_serves_without_python_and_starts_no_process";
    let output = Command::new(own).args(["--exact", name]).env_clear().env(VARIABLE, "1").output();
    let output = output.expect("the test starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
}

async fn serves() {
    let real = Pool::start(PoolConfig::default().worker(worker())).await;
    assert!(matches!(real, Err(StartError::InterpreterNotFound { .. })), "{real:?}");
    let pool = Pool::fake(|_| async { Reply::from_json(&42) });
    assert_eq!(pool.call::<i64>("answer", &()).await.expect("it replies"), 42);
    assert_eq!(children(), Vec::<String>::new());
    pool.shutdown().await;
}

/// A worker that exists, so that only Python is missing.
fn worker() -> actix_pyproc::config::WorkerSource {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/workers/basic.py");
    actix_pyproc::config::WorkerSource::Path(path.into())
}

/// The children of all threads of this process.
fn children() -> Vec<String> {
    let threads = std::fs::read_dir("/proc/self/task").expect("/proc is mounted");
    let of_thread = threads.map(|thread| {
        let path = thread.expect("it is readable").path().join("children");
        std::fs::read_to_string(path).expect("the kernel lists children")
    });
    of_thread.flat_map(|ids| ids.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect()
}
