//! Workers that left their process group, or that do not die of SIGKILL.

use std::time::Duration;

use actix_pyproc::error::{ExitCause, ExitStatus};
use actix_pyproc::{Call, CallError, Pool};
use actix_pyproc_actors::backend::Link as _;
use actix_pyproc_actors::call::Phase;
use actix_pyproc_actors::reason::KillReason;

use crate::driver::{Driver, worker};
use crate::host::{Host, report, role};
use crate::support::processes::{gone, is_alive, signal};
use crate::support::{capped, overdue};

/// A process that another process reaps, and that is killed at the end of a test.
struct Bystander(u32);

impl Drop for Bystander {
    fn drop(&mut self) {
        signal(self.0, "KILL");
    }
}

/// A worker that runs in C and has joined the group of another process, and that process.
async fn escaped(session: bool) -> (Driver, Bystander) {
    let config = worker("hard_to_end.py").stop_grace(Duration::from_millis(100));
    let mut driver = Driver::start(config).await;
    let reply = driver.call(Call::json("leave_group", &session).expect("it is JSON")).await;
    let bystander = Bystander(reply.expect("it returns").json().expect("it is a PID"));
    let id = driver.send(&Call::raw_json("stick", "null"));
    driver.until(id, Phase::Running).await;
    (driver, bystander)
}

#[actix_rt::test]
async fn worker_that_left_its_process_group_is_killed_as_any_other() {
    for session in [false, true] {
        for reason in [KillReason::Stuck, KillReason::Stopped, KillReason::DrainTimeout, KillReason::Shutdown]
        {
            let (mut driver, bystander) = escaped(session).await;
            driver.link.kill(reason);
            let exit = driver.lost().await;
            assert_eq!(exit.status.signal(), Some(9), "{reason:?}: {exit:?}");
            assert!(is_alive(bystander.0), "the pool kills only its own groups");
        }
        let (driver, _bystander) = escaped(session).await;
        let pid = driver.link.pid();
        drop(driver);
        gone(pid).await;
    }
}

#[actix_rt::test]
async fn worker_that_left_its_process_group_dies_when_its_host_is_killed() {
    let name = "worker_that_left_its_process_group_dies_when_its_host_is_killed";
    if let Some(session) = role() {
        let (driver, bystander) = escaped(session == "true").await;
        report(&[driver.link.pid(), bystander.0]).await;
    }
    for session in ["false", "true"] {
        let (host, pids) = Host::start(module_path!(), name, session);
        let [worker, bystander] = pids[..] else { panic!("{pids:?}") };
        let _bystander = Bystander(bystander);
        assert!(is_alive(worker));
        host.kill();
        gone(worker).await;
    }
}

#[actix_rt::test]
async fn worker_that_does_not_die_of_sigkill_holds_up_nothing_and_is_reaped_when_it_dies() {
    let mut driver = Driver::start(worker("hard_to_end.py")).await;
    // The debugger stands for a disk or a network file system that does not respond.
    let tracer = driver.call(Call::raw_json("be_held", "null")).await.expect("it returns");
    let tracer = Bystander(tracer.json().expect("it is a PID"));
    let pid = driver.link.pid();
    driver.link.kill(KillReason::Stuck);
    let exit = driver.lost().await;
    assert_eq!((exit.status, &exit.cause), (ExitStatus::Unknown, &ExitCause::Unkillable));
    assert!(exit.to_string().contains("did not die of SIGKILL"), "{exit}");
    drop(driver);
    assert!(is_alive(pid), "it is a zombie that only the debugger can reap");
    drop(tracer);
    gone(pid).await;
}

#[actix_rt::test]
async fn pool_replaces_a_worker_that_does_not_die_of_sigkill_and_shuts_down_without_it() {
    let config = worker("hard_to_end.py").workers(1).kill_grace(Duration::from_millis(100));
    let pool = Pool::start(config).await.expect("the pool starts");
    let mut held = Vec::new();
    for stuck in [true, false] {
        let tracer = pool.call::<u32>("be_held", &()).await.expect("it returns");
        let pid = pool.status().await.slots[0].pid.expect("it serves");
        held.push((pid, Bystander(tracer)));
        if stuck {
            let error = overdue(&pool, || Call::raw_json("stick", "null")).await;
            assert!(matches!(error, CallError::DeadlineExceeded { started: true }), "{error:?}");
            capped("the replacement", pool.call::<Vec<u64>>("signals", &()))
                .await
                .expect("another worker serves");
        }
    }
    capped("the shutdown", pool.shutdown_within(Duration::ZERO)).await;
    for (pid, tracer) in held {
        assert!(is_alive(pid), "it is a zombie that only the debugger can reap");
        drop(tracer);
        gone(pid).await;
    }
}
