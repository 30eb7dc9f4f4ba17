//! How workers end, and what the pool reports about it.

use std::time::{Duration, Instant};

use actix_pyproc::Call;
use actix_pyproc::error::{ExitCause, ExitStatus};
use actix_pyproc_actors::backend::{Link as _, LinkEvent};
use actix_pyproc_actors::call::Phase;
use actix_pyproc_actors::reason::KillReason;

use crate::driver::{Driver, worker};
use crate::host::{Host, report, role};
use crate::support::processes::{gone, is_alive, lives, own_memory, signal};

const KILLED: ExitStatus = ExitStatus::Signal { number: 9, core_dumped: false };

#[actix_rt::test]
async fn crash_is_told_with_status_and_last_words_within_milliseconds() {
    let mut driver = Driver::basic().await;
    let id = driver.send(&Call::raw_json("leave", "3"));
    let begun = Instant::now();
    let exit = driver.lost().await;
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!((exit.status, &exit.cause), (ExitStatus::Code(3), &ExitCause::Crashed));
    assert_eq!(&exit.stderr_tail[..], ["leaving"]);
    assert_eq!(driver.link.phase(id), Phase::Running);
    assert!(!is_alive(exit.pid), "it was reaped before the report");
}

#[actix_rt::test]
async fn signal_that_killed_a_worker_is_told_by_its_name() {
    for (number, name) in
        [("9", "killed by SIGKILL"), ("15", "exited with status 0"), ("6", "killed by SIGABRT")]
    {
        let mut driver = Driver::basic().await;
        driver.send(&Call::raw_json("kill", number));
        loop {
            match driver.event().await {
                LinkEvent::Lost(exit) => {
                    assert!(exit.to_string().starts_with(name), "{exit}");
                    break;
                }
                // SIGTERM ends the running call first.
                other => assert_eq!(number, "15", "{other:?}"),
            }
        }
    }
}

#[actix_rt::test]
async fn phases_after_a_sigkill_tell_what_had_started() {
    let mut driver = Driver::basic().await;
    let finished = driver.send(&Call::raw_json("echo", "1"));
    let running = driver.send(&Call::raw_json("sleep", "30"));
    let waiting = [driver.send(&Call::raw_json("echo", "2")), driver.send(&Call::raw_json("echo", "3"))];
    driver.until(running, Phase::Running).await;
    signal(driver.link.pid(), "KILL");
    // The reply arrives if Python flushed it before the kill.
    let lost = loop {
        match driver.event().await {
            LinkEvent::Done { id, .. } => assert_eq!(id, finished),
            LinkEvent::Lost(exit) => break exit,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((lost.status, &lost.cause), (KILLED, &ExitCause::Crashed));
    assert_eq!(driver.link.phase(finished), Phase::Finished);
    assert_eq!(driver.link.phase(running), Phase::Running);
    for id in waiting {
        assert_eq!(driver.link.phase(id), Phase::Sent);
    }
}

#[actix_rt::test]
async fn replies_that_were_in_the_socket_come_before_the_loss() {
    let mut driver = Driver::basic().await;
    let ids: Vec<_> = (0..50).map(|_| driver.send(&Call::raw_json("echo", "1"))).collect();
    driver.until(ids[49], Phase::Finished).await;
    // The host reads nothing while the worker replies and dies.
    driver.send(&Call::raw_json("leave", "3"));
    std::future::poll_fn(|cx| driver.link.poll_flush(cx)).await;
    while lives(driver.link.pid()) {
        std::thread::sleep(Duration::from_millis(1));
    }
    for id in ids {
        assert_eq!(driver.done().await.0, id);
    }
    assert_eq!(driver.lost().await.status, ExitStatus::Code(3));
}

#[actix_rt::test]
async fn worker_that_drains_answers_what_it_has_and_exits() {
    let mut driver = Driver::basic().await;
    let id = driver.send(&Call::raw_json("sleep", "0.1"));
    driver.link.drain();
    assert_eq!(driver.done().await.0, id);
    let exit = driver.lost().await;
    assert_eq!((exit.status, &exit.cause), (ExitStatus::Code(0), &ExitCause::Drained));
}

#[actix_rt::test]
async fn stuck_worker_is_killed_and_its_stacks_say_where_it_was() {
    let mut driver = Driver::basic().await;
    let id = driver.send(&Call::raw_json("spin", "60"));
    driver.until(id, Phase::Running).await;
    driver.link.cancel(id);
    driver.link.kill(KillReason::Stuck);
    let exit = driver.lost().await;
    assert_eq!((exit.status, &exit.cause), (KILLED, &ExitCause::Stuck));
    let stacks = exit.stacks.as_ref().expect("faulthandler answers from C");
    assert!(stacks.contains("in spin"), "{stacks}");
}

#[actix_rt::test]
async fn shutdown_is_sigterm_and_then_sigkill_for_those_that_do_not_hear() {
    let mut driver = Driver::basic().await;
    let pid = driver.link.pid();
    driver.link.kill(KillReason::Shutdown);
    let exit = driver.lost().await;
    assert_eq!((exit.status, &exit.cause), (ExitStatus::Code(0), &ExitCause::Shutdown));
    gone(pid).await;
    let mut driver = Driver::start(worker("basic.py").stop_grace(Duration::from_millis(100))).await;
    let id = driver.send(&Call::raw_json("spin", "60"));
    driver.until(id, Phase::Running).await;
    driver.link.kill(KillReason::DrainTimeout);
    let exit = driver.lost().await;
    assert_eq!((exit.status, &exit.cause), (KILLED, &ExitCause::DrainTimeout));
}

#[actix_rt::test]
async fn stopped_worker_is_seen_and_killed() {
    let mut driver = Driver::basic().await;
    assert!(!driver.link.is_stopped());
    let id = driver.send(&Call::raw_json("kill", "19"));
    driver.until(id, Phase::Running).await;
    while !driver.link.is_stopped() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    driver.link.kill(KillReason::Stopped);
    let exit = driver.lost().await;
    assert_eq!((exit.status, &exit.cause), (KILLED, &ExitCause::Stopped));
}

#[actix_rt::test]
async fn worker_that_closes_its_socket_is_killed() {
    let mut driver = Driver::basic().await;
    driver.send(&Call::raw_json("close_socket", "null"));
    let exit = driver.lost().await;
    assert_eq!((exit.status, &exit.cause), (KILLED, &ExitCause::Disconnected));
}

#[actix_rt::test]
async fn worker_that_breaks_the_protocol_is_killed_and_told_how() {
    let rows: [(&[u8], &str); 4] = [
        (b"\xff\xff\xff\xff", "above the limit"),
        (b"\x00\x00\x00\x03", "below its header"),
        (b"\x00\x00\x00\x08\x30\x00\x00\x00\x00\x00\x00\x00", "unknown kind 48"),
        (b"\x00\x00\x00\x08\x10\x00\x00\x00\x00\x00\x00\x00", "only the host sends"),
    ];
    for (bytes, expected) in rows {
        let mut driver = Driver::basic().await;
        driver.send(&Call::bytes("garbage", bytes));
        let exit = driver.lost().await;
        assert_eq!(exit.status, KILLED);
        assert!(exit.to_string().contains(expected), "{exit}");
    }
}

#[actix_rt::test]
async fn what_a_worker_started_dies_with_it() {
    let mut driver = Driver::basic().await;
    let grandchild = driver.grandchild(false).await;
    assert!(is_alive(grandchild));
    driver.send(&Call::raw_json("leave", "3"));
    let exit = driver.lost().await;
    assert_eq!(exit.status, ExitStatus::Code(3));
    gone(grandchild).await;
}

#[actix_rt::test]
async fn death_is_told_although_a_daemon_holds_the_pipes_open() {
    let mut driver = Driver::basic().await;
    let daemon = driver.grandchild(true).await;
    let begun = Instant::now();
    driver.send(&Call::raw_json("leave", "3"));
    let exit = driver.lost().await;
    assert_eq!((exit.status, &exit.stderr_tail[..]), (ExitStatus::Code(3), &["leaving".to_owned()][..]));
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    // It left the group of the worker, so it is alive.
    signal(daemon, "KILL");
}

#[actix_rt::test]
async fn dropped_link_kills_the_worker_and_reaps_it() {
    let mut driver = Driver::basic().await;
    let grandchild = driver.grandchild(false).await;
    let pid = driver.link.pid();
    drop(driver);
    gone(pid).await;
    gone(grandchild).await;
}

#[actix_rt::test]
async fn worker_that_does_not_look_at_its_socket_dies_when_its_host_is_killed() {
    let name = "worker_that_does_not_look_at_its_socket_dies_when_its_host_is_killed";
    if role().is_some() {
        let mut driver = Driver::basic().await;
        let id = driver.send(&Call::raw_json("spin", "60"));
        driver.until(id, Phase::Running).await;
        report(&[driver.link.pid()]).await;
    }
    let (host, pids) = Host::start(module_path!(), name, "host");
    let pid = pids[0];
    assert!(is_alive(pid));
    host.kill();
    gone(pid).await;
}

#[test]
fn worker_dies_with_the_runtime_that_it_was_started_on() {
    let system = actix_rt::System::new();
    let pid = system.block_on(async {
        let driver = Driver::basic().await;
        let pid = driver.link.pid();
        // A task that never ends holds it until the runtime drops the task.
        actix_rt::spawn(async move {
            let _driver = driver;
            std::future::pending::<()>().await;
        });
        tokio::task::yield_now().await;
        pid
    });
    drop(system);
    let begun = Instant::now();
    while is_alive(pid) {
        assert!(begun.elapsed() < Duration::from_secs(10), "the worker was not reaped");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[actix_rt::test]
async fn hundred_megabytes_of_prints_neither_stall_the_worker_nor_stay_in_memory() {
    let mut driver = Driver::basic().await;
    let before = own_memory();
    driver.call(Call::raw_json("flood", "50")).await.expect("it returns");
    let grown = own_memory().saturating_sub(before);
    assert!(grown < 20, "{grown} MiB");
    driver.send(&Call::raw_json("leave", "3"));
    let exit = driver.lost().await;
    assert_eq!((exit.stderr_tail.len(), exit.stderr_tail[19].as_str()), (20, "leaving"));
    assert_eq!(exit.stderr_tail[0], "x".repeat(99));
}
