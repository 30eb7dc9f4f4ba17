//! Hosts that block or ignore signals, or that see another PID namespace in `/proc`. Each test runs
//! itself as such a host.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::Duration;

use actix_pyproc::error::ExitStatus;
use actix_pyproc::{Call, CallError, Pool, StartError};
use actix_pyproc_actors::backend::Link as _;
use actix_pyproc_actors::call::Phase;
use actix_pyproc_actors::reason::KillReason;

use crate::driver::{Driver, start_error, worker};
use crate::host::{passes_by_way_of, role};
use crate::support::processes::{gone, is_alive};
use crate::support::{capped, overdue};

/// Blocks all signals, ignores some, and executes the program in its arguments.
const NO_SIGNALS: &str = "import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
for number in (signal.SIGURG, signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
    signal.signal(number, signal.SIG_IGN)
os.execv(sys.argv[1], sys.argv[1:])";

#[actix_rt::test]
async fn workers_of_a_host_that_blocks_and_ignores_signals_have_them_all() {
    let name = "workers_of_a_host_that_blocks_and_ignores_signals_have_them_all";
    if role().is_none() {
        return passes_by_way_of(&["python3", "-c", NO_SIGNALS], module_path!(), name);
    }
    let pool = Pool::start(worker("hard_to_end.py").workers(1)).await.expect("the pool starts");
    let [blocked, ignored]: [u64; 2] = pool.call("signals", &()).await.expect("it returns");
    // Python itself ignores SIGPIPE and SIGXFSZ; the C library uses 32 and 33.
    let of_libc = 1 << 31 | 1 << 32;
    assert_eq!((blocked, ignored & !of_libc), (0, 1 << 12 | 1 << 24), "{blocked:x} {ignored:x}");
    drop(pool);

    let pool = Pool::start(worker("basic.py").workers(1)).await.expect("the pool starts");
    let pid = pool.status().await.slots[0].pid;
    let error = overdue(&pool, || Call::raw_json("sleep", "60")).await;
    assert!(matches!(error, CallError::DeadlineExceeded { started: true }), "{error:?}");
    assert_eq!(pool.call::<i32>("echo", &7).await.expect("it serves"), 7);
    assert_eq!(pool.status().await.slots[0].pid, pid, "the call was interrupted without killing its worker");
    pool.shutdown().await;
}

#[actix_rt::test]
async fn host_that_ignores_sigchld_loses_the_exit_status_and_nothing_else() {
    let name = "host_that_ignores_sigchld_loses_the_exit_status_and_nothing_else";
    if role().is_none() {
        return passes_by_way_of(&["python3", "-c", NO_SIGNALS], module_path!(), name);
    }
    let mut driver = Driver::basic().await;
    let grandchild = driver.grandchild(false).await;
    assert!(is_alive(grandchild));
    driver.send(&Call::raw_json("leave", "3"));
    let exit = driver.lost().await;
    assert_eq!((exit.status, &exit.stderr_tail[..]), (ExitStatus::Unknown, &["leaving".to_owned()][..]));
    gone(grandchild).await;

    // The standard library panics if `exec` fails and it cannot reap the child.
    let directory = tempfile::tempdir().expect("the disk has room");
    let python = directory.path().join("python");
    std::fs::write(&python, "#!/nonexistent/program\n").expect("the disk has room");
    std::fs::set_permissions(&python, std::fs::Permissions::from_mode(0o755)).expect("the file is ours");
    let error = start_error(worker("basic.py").python(python)).await;
    assert!(matches!(&error, StartError::InterpreterUnusable { .. }), "{error}");
    assert!(error.to_string().contains("exec failed"), "{error}");
    let mut driver = Driver::basic().await;
    driver.link.kill(KillReason::Stuck);
    driver.lost().await;
}

#[actix_rt::test]
async fn host_that_sees_another_pid_namespace_in_proc_watches_its_own_workers() {
    let name = "host_that_sees_another_pid_namespace_in_proc_watches_its_own_workers";
    // Where the system allows no new namespace, the test runs in that of its host only.
    let allowed = || Command::new("unshare").args(["--pid", "--fork", "true"]).status();
    if role().is_none() && allowed().is_ok_and(|status| status.success()) {
        passes_by_way_of(&["unshare", "--pid", "--fork"], module_path!(), name);
    }
    let mut driver = Driver::basic().await;
    assert!(driver.link.rss().expect("it lives") > 1 << 20);
    assert!(!driver.link.is_stopped());
    let id = driver.send(&Call::raw_json("kill", "19"));
    driver.until(id, Phase::Running).await;
    capped("the stop", async {
        while !driver.link.is_stopped() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    driver.link.kill(KillReason::Stopped);
    assert_eq!(driver.lost().await.status.signal(), Some(9));
    assert_eq!(driver.link.rss(), None);
    // The pool asks for stacks only if `/proc` shows that the worker has a handler.
    let mut driver = Driver::basic().await;
    driver.link.kill(KillReason::Stuck);
    assert!(driver.lost().await.stacks.is_some());
}
