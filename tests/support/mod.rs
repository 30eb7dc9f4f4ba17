//! What the tests of the whole pool share.
#![allow(dead_code, reason = "each test binary uses its part")]

pub(crate) mod leaks;

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use actix_pyproc::{Pool, PoolConfig, SlotRow, WorkerEvent};
use tokio::sync::mpsc;

/// No event of these tests takes longer.
pub(crate) const CAP: Duration = Duration::from_secs(30);

/// The root of the repository, for tests of any of its crates.
pub(crate) fn root() -> &'static Path {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest
        .ancestors()
        .find(|dir| dir.join("python_workers").is_dir())
        .expect("a crate is in the repository")
}

pub(crate) fn worker(name: &str) -> PoolConfig {
    PoolConfig::new(root().join("tests/workers").join(name)).workers(1).kill_grace(Duration::from_millis(300))
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

/// Waits until `condition` holds; a condition that others bring about has no event to wait for.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    capped(what, async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

/// The lines of a file that workers write to; none while it does not exist.
pub(crate) fn lines(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap_or_default().lines().map(ToOwned::to_owned).collect()
}

pub(crate) async fn slots(pool: &Pool) -> Vec<SlotRow> {
    pool.status().await.slots
}

pub(crate) async fn pids(pool: &Pool) -> Vec<u32> {
    slots(pool).await.iter().filter_map(|slot| slot.pid).collect()
}

/// Whether a process exists, as a zombie too.
pub(crate) fn exists(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

pub(crate) fn signal(pid: u32, name: &str) {
    let status = std::process::Command::new("kill").args(["-s", name, &pid.to_string()]).status();
    assert!(status.expect("there is a kill command").success(), "signal {name} to {pid}");
}

/// An actor that passes on what it is told.
struct Listener(mpsc::UnboundedSender<WorkerEvent>);

impl actix::Actor for Listener {
    type Context = actix::Context<Self>;
}

impl actix::Handler<WorkerEvent> for Listener {
    type Result = ();

    fn handle(&mut self, event: WorkerEvent, _: &mut Self::Context) {
        // A test that has seen enough listens no more.
        let _ = self.0.send(event);
    }
}

/// The events of a pool, in their order.
pub(crate) struct Events(mpsc::UnboundedReceiver<WorkerEvent>);

impl Events {
    pub(crate) async fn of(pool: &Pool) -> Self {
        let (tell, told) = mpsc::unbounded_channel();
        let listener = actix::Actor::start(Listener(tell));
        pool.subscribe(listener.recipient()).await;
        Self(told)
    }

    /// The first event to come for which `wanted` gives something.
    pub(crate) async fn next<T>(&mut self, what: &str, wanted: impl Fn(&WorkerEvent) -> Option<T>) -> T {
        capped(what, async {
            loop {
                let event = self.0.recv().await.expect("the pool lives");
                if let Some(found) = wanted(&event) {
                    return found;
                }
            }
        })
        .await
    }

    pub(crate) async fn started(&mut self) -> u32 {
        self.next("a start", |event| match event {
            WorkerEvent::Started { pid, .. } => Some(*pid),
            _ => None,
        })
        .await
    }
}
