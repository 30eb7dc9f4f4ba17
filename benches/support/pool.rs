//! The pool under load. The main structure is [`Work`].

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix_pyproc::{Call, Codec, Pool, PoolConfig, Reply};
use actix_rt::SystemRunner;
use bytes::Bytes;
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use super::machine;
use super::sample::{Sample, Until};

/// A pool on this thread, which is an arbiter.
pub(crate) struct Host {
    system: SystemRunner,
    pub(crate) pool: Pool,
}

/// A kind of call: how it is made, and how its reply is read.
#[derive(Clone)]
pub(crate) struct Work {
    make: Rc<dyn Fn() -> Call>,
    read: fn(&Reply),
}

impl Host {
    /// Starts a pool with the benches' worker.
    pub(crate) fn start(configure: impl FnOnce(PoolConfig) -> PoolConfig) -> Self {
        let system = actix_rt::System::new();
        let config = configure(PoolConfig::new(machine::worker()).workers(1));
        let pool = system.block_on(Pool::start(config)).expect("the benches' worker starts");
        Self { system, pool }
    }

    pub(crate) fn workers(count: usize) -> Self {
        Self::start(|config| config.workers(count))
    }

    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.system.block_on(future)
    }

    /// Runs `callers`, each of which makes one call after the other.
    pub(crate) fn run(&self, work: &Work, callers: usize, until: Until) -> Sample {
        self.run_into(Sample::new(), work, callers, until)
    }

    /// As [`Host::run`], with an existing sample.
    pub(crate) fn run_into(&self, sample: Sample, work: &Work, callers: usize, until: Until) -> Sample {
        self.block_on(work.closed_loop(&self.pool, callers, until, sample))
    }

    pub(crate) fn pids(&self) -> Vec<u32> {
        self.block_on(self.pool.status()).slots.iter().filter_map(|slot| slot.pid).collect()
    }

    /// The largest resident memory of a worker, in bytes.
    pub(crate) fn worker_rss(&self) -> u64 {
        let status = self.block_on(self.pool.status());
        status.slots.iter().filter_map(|slot| slot.rss_bytes).max().unwrap_or_default()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let pool = self.pool.clone();
        self.block_on(async move { pool.shutdown().await });
    }
}

#[derive(Serialize)]
struct Input {
    value: u64,
}

#[derive(Deserialize)]
struct Prediction {
    result: u64,
}

fn check(prediction: &Prediction) {
    assert_eq!(prediction.result, 84);
}

impl Work {
    pub(crate) fn new(make: impl Fn() -> Call + 'static, read: fn(&Reply)) -> Self {
        Self { make: Rc::new(make), read }
    }

    /// `predict({"value": 42})`, encoded and decoded as a caller does.
    pub(crate) fn predict() -> Self {
        Self::new(
            || Call::json("predict", &Input { value: 42 }).expect("the value can be encoded"),
            |reply| check(&reply.json().expect("a prediction")),
        )
    }

    /// `predict` as above, in a codec.
    pub(crate) fn predict_in(codec: Codec) -> Self {
        match codec {
            Codec::Msgpack => Self::new(
                || Call::msgpack("predict", &Input { value: 42 }).expect("the value can be encoded"),
                |reply| check(&reply.msgpack().expect("a prediction")),
            ),
            _ => Self::predict(),
        }
    }

    /// `echo` of 50 floats of 16 or 17 digits, encoded and decoded as a caller does.
    pub(crate) fn floats(codec: Codec) -> Self {
        let mut random = fastrand::Rng::with_seed(1);
        let floats: Vec<f64> = (0..50).map(|_| 100.0 * random.f64()).collect();
        match codec {
            Codec::Msgpack => Self::new(
                move || Call::msgpack("echo", &floats).expect("the value can be encoded"),
                |reply| assert_eq!(reply.msgpack::<Vec<f64>>().expect("floats").len(), 50),
            ),
            _ => Self::new(
                move || Call::json("echo", &floats).expect("the value can be encoded"),
                |reply| assert_eq!(reply.json::<Vec<f64>>().expect("floats").len(), 50),
            ),
        }
    }

    /// `echo` of about `size` bytes.
    pub(crate) fn echo(codec: Codec, size: usize) -> Self {
        let text = "x".repeat(size.saturating_sub(2));
        match codec {
            Codec::Json => Self::new(
                move || Call::json("echo", &text).expect("the value can be encoded"),
                |reply| drop(reply.json::<String>().expect("a string")),
            ),
            Codec::Msgpack => Self::new(
                move || Call::msgpack("echo", &text).expect("the value can be encoded"),
                |reply| drop(reply.msgpack::<String>().expect("a string")),
            ),
            Codec::Bytes => {
                let payload = Bytes::from(vec![b'x'; size]);
                Self::new(move || Call::bytes("echo", payload.clone()), |reply| drop(reply.bytes()))
            }
        }
    }

    /// A call of a function whose argument is a number of microseconds.
    pub(crate) fn microseconds(function: &'static str, us: u64) -> Self {
        Self::new(
            move || Call::json(function, &us).expect("the value can be encoded"),
            |reply| assert!(reply.json::<u64>().is_ok()),
        )
    }

    pub(crate) fn call(&self) -> Call {
        (self.make)()
    }

    pub(crate) fn read(&self, reply: &Reply) {
        (self.read)(reply);
    }

    /// Runs `callers` on this arbiter, each of which makes one call after the other.
    async fn closed_loop(&self, pool: &Pool, callers: usize, until: Until, sample: Sample) -> Sample {
        let start = Instant::now();
        let sample = Rc::new(RefCell::new(sample));
        let begun = Rc::new(Cell::new(0));
        let caller = || {
            let (work, pool, sample, begun) =
                (self.clone(), pool.clone(), Rc::clone(&sample), Rc::clone(&begun));
            async move {
                let mut now = start;
                while !until.is_over(begun.get(), start, now) {
                    begun.set(begun.get() + 1);
                    let reply = pool.request(work.call()).await.expect("the benches' worker answers");
                    work.read(&reply);
                    let then = std::mem::replace(&mut now, Instant::now());
                    sample.borrow_mut().record(now - then);
                }
            }
        };
        if callers == 1 {
            caller().await;
        } else {
            let tasks: Vec<_> = (0..callers).map(|_| actix_rt::spawn(caller())).collect();
            for task in tasks {
                task.await.expect("callers do not panic");
            }
        }
        let sample = Rc::into_inner(sample).expect("all callers have ended and dropped their references");
        sample.into_inner().end(start.elapsed())
    }
}

/// Kills the only worker, and measures how long it takes until its replacement answers a call.
pub(crate) fn recover(host: &Host) -> Duration {
    let old = host.pids()[0];
    let pid = Pid::from_raw(i32::try_from(old).expect("a process id")).expect("a process id is not 0");
    let work = Work::predict();
    host.block_on(async {
        let start = Instant::now();
        kill_process(pid, Signal::KILL).expect("the worker runs");
        // A call that had started is lost with the worker.
        while host.pool.request(work.call()).await.map_or(old, |reply| reply.pid()) == old {}
        start.elapsed()
    })
}

/// A configuration in which each crash counts as the first.
pub(crate) fn forgiving(mut config: PoolConfig) -> PoolConfig {
    config.restart.reset_after = Duration::from_millis(1);
    config.restart.max_restarts = u32::MAX;
    config
}
