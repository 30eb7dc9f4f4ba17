//! What is left of workers that have ended: nothing. It is alone in its process, because it counts.

mod process;

use std::time::Duration;

use actix_pyproc::Call;
use actix_pyproc_actors::backend::{Backend as _, KillReason, Link as _};
use actix_pyproc_actors::id::{Generation, SlotId};
use process::{Driver, capped, children, start_error, worker};

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("there is a /proc").count()
}

fn mappings() -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("there is a /proc");
    maps.lines().filter(|line| line.contains("pyproc-table")).count()
}

async fn start_and_end(driver: &mut Driver, round: u32) {
    let launch = driver.backend.launch(SlotId(0), Generation(round));
    match round % 5 {
        0 => {
            // Given up at some point on its way.
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

#[actix_rt::test]
async fn no_process_descriptor_or_mapping_is_left() {
    let mut driver = Driver::basic().await;
    drop(driver.call(Call::raw_json("echo", "1")).await);
    driver.link.drain();
    driver.lost().await;
    let (fds, maps) = (descriptors(), mappings());
    for round in 1..=20 {
        start_and_end(&mut driver, round).await;
    }
    driver.link.drain();
    drop(start_error(worker("exits_at_once.py")).await);
    drop(driver);
    capped("the reaper", async {
        while !children().is_empty() || descriptors() > fds {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
    assert!(mappings() < maps, "{} mappings", mappings());
}
