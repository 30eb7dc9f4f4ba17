//! A worker leaves no process, descriptor or mapping, however it ends.

use std::sync::Arc;
use std::time::Duration;

use actix_pyproc::Call;
use actix_pyproc::backend::PythonBackend;
use actix_pyproc_actors::backend::{Backend as _, Link as _};
use actix_pyproc_actors::id::{Generation, SlotId};
use actix_pyproc_actors::reason::KillReason;

use crate::driver::{Driver, start_error, worker};
use crate::support::capped;
use crate::support::leaks::{alone, descriptors, mappings};
use crate::support::processes::{children, gone};

async fn start_and_end(driver: &mut Driver, round: u32) {
    let launch = driver.backend.launch(SlotId(0), Generation(round));
    match round % 5 {
        0 => {
            // Dropped at some point of the launch.
            let given_up = tokio::time::timeout(Duration::from_millis(u64::from(round) * 2), launch).await;
            drop(given_up);
        }
        kind => {
            driver.link = capped("the launch", launch).await.expect("the worker starts");
            match kind {
                1 => return,
                2 => {
                    driver.send(&Call::raw_json("leave", "3"));
                }
                3 => driver.link.kill(KillReason::Stuck),
                _ => driver.link.drain(),
            }
            driver.lost().await;
        }
    }
}

#[test]
fn no_process_descriptor_or_mapping_is_left() {
    alone(async {
        let mut driver = Driver::basic().await;
        drop(driver.call(Call::raw_json("echo", "1")).await);
        driver.link.drain();
        driver.lost().await;
        let (fds, maps) = (descriptors().len(), mappings());
        for round in 1..=20 {
            start_and_end(&mut driver, round).await;
        }
        driver.link.drain();
        drop(start_error(worker("exits_at_once.py")).await);
        drop(driver);
        capped("the reaper", async {
            while !children().is_empty() || descriptors().len() > fds {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
        .await;
        assert!(mappings() < maps, "{} mappings", mappings());
    });
}

#[test]
fn dropped_launch_leaves_no_process() {
    alone(async {
        let config = Arc::new(worker("hangs_at_start.py"));
        let backend = PythonBackend::new(config).await.expect("Python is installed");
        let before = children();
        let mut launch = backend.launch(SlotId(0), Generation(1));
        let started = capped("the fork", async {
            loop {
                // Polls the launch until its process exists, and then for a random time.
                let turn = Duration::from_millis(1);
                assert!(tokio::time::timeout(turn, &mut launch).await.is_err(), "it hangs");
                let new = children().into_iter().find(|pid| !before.contains(pid));
                if let Some(pid) = new {
                    return pid;
                }
            }
        });
        let pid = started.await;
        drop(launch);
        gone(pid).await;
    });
}
