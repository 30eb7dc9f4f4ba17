//! The cost of router and worker per call, with a process that answers at once. The main item is
//! [`actors`].

mod support;

use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use actix::{Addr, Message};
use actix_pyproc_actors::router::select::Select;
use actix_pyproc_actors::router::{Admission, Limits};
use actix_pyproc_actors::supervisor::{AwaitReady, Settings};
use actix_pyproc_actors::testing::{limits, settings};
use actix_pyproc_actors::{
    Backend, CallId, Function, FunctionId, Generation, KillReason, Link, LinkEvent, NewWorkers, Outcome,
    Panic, Phase, Routable, Router, SlotId, Supervisor, Unsent,
};
use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use futures::future::LocalBoxFuture;
use support::alloc::counted;
use support::full_or_quick;
use support::profile::criterion;
use support::report::Report;

#[global_allocator]
static ALLOCATOR: support::alloc::Counting = support::alloc::Counting;

/// A backend whose processes answer when they are next polled.
struct Instantly;

struct Ask;

#[derive(Debug)]
struct Failed;

impl Message for Ask {
    type Result = Result<u64, Failed>;
}

impl Routable for Ask {
    fn timeout(&self) -> Option<Duration> {
        Some(Duration::from_secs(30))
    }

    fn idempotent(&self) -> bool {
        false
    }

    fn affinity(&self) -> Option<u64> {
        None
    }

    fn size(&self) -> usize {
        0
    }
}

impl From<Outcome<Instantly>> for Failed {
    fn from(_: Outcome<Instantly>) -> Self {
        Self
    }
}

impl actix::Handler<Ask> for Router<Instantly> {
    type Result = Admission<Instantly>;

    fn handle(&mut self, ask: Ask, _: &mut actix::Context<Self>) -> Self::Result {
        self.accept(ask)
    }
}

impl Backend for Instantly {
    type Call = Ask;
    type Reply = u64;
    type Error = Failed;
    type Exit = ();
    type StartError = ();
    type Link = Answers;

    fn resolve(&self, _: &Ask) -> Result<Function, Failed> {
        Ok(Function { id: FunctionId(0), overlapping: false })
    }

    fn launch(&self, _: SlotId, _: Generation) -> LocalBoxFuture<'static, Result<Answers, ()>> {
        Box::pin(std::future::ready(Ok(Answers::default())))
    }

    fn kind(_: &Failed) -> &'static str {
        "failed"
    }

    fn crashed((): &()) {}

    fn stopped() {}

    fn panicked(_: &Panic) {}

    fn unobserved(_: u32) {}
}

/// Sent calls; each is its own answer.
#[derive(Default)]
struct Answers {
    staged: VecDeque<CallId>,
    flushed: VecDeque<CallId>,
    waker: Option<Waker>,
}

impl Link<Instantly> for Answers {
    fn pid(&self) -> u32 {
        1
    }

    fn capacity(&self) -> usize {
        CallId::MAX_INDEX
    }

    fn send(&mut self, id: CallId, _: FunctionId, _: &Ask, _: Option<Instant>) -> Result<(), Unsent<Failed>> {
        self.staged.push_back(id);
        Ok(())
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<()> {
        if !self.staged.is_empty() {
            self.flushed.append(&mut self.staged);
            if let Some(waker) = self.waker.take() {
                waker.wake();
            }
        }
        Poll::Ready(())
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<LinkEvent<Instantly>> {
        match self.flushed.pop_front() {
            Some(id) => {
                let service = Some(Duration::from_micros(2));
                Poll::Ready(LinkEvent::Done { id, result: Ok(1), service })
            }
            None => {
                self.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn phase(&self, _: CallId) -> Phase {
        Phase::Sent
    }

    fn cancel(&mut self, _: CallId) {}

    fn revoke(&mut self, _: CallId) {}

    fn drain(&mut self) {}

    fn kill(&mut self, _: KillReason) {}
}

/// Makes `calls` calls, divided among `callers`.
async fn calls(router: &Addr<Router<Instantly>>, callers: u64, calls: u64) {
    let tasks: Vec<_> = (0..callers)
        .map(|caller| {
            let router = router.clone();
            let share = calls / callers + u64::from(caller < calls % callers);
            actix_rt::spawn(async move {
                for _ in 0..share {
                    router.send(Ask).await.expect("the router runs").expect("the process answers");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("callers do not panic");
    }
}

fn actors(criterion: &mut Criterion) {
    let mut report = Report::new("actors");
    let mut group = criterion.benchmark_group("actors");
    group.sampling_mode(SamplingMode::Flat);
    for (name, select) in [("least-loaded", Select::LeastLoaded), ("round-robin", Select::RoundRobin)] {
        for &workers in full_or_quick::<&[u32]>(&[1, 4, 16], &[1, 4]) {
            let system = actix_rt::System::new();
            let (router, supervisor) = system.block_on(start(select, workers));
            for &callers in full_or_quick::<&[u64]>(&[1, 64, 256, 1024], &[1, 256]) {
                let id = format!("{name}/{workers} workers/{callers} callers");
                group.throughput(Throughput::Elements(callers));
                let mut seen = (0, Duration::ZERO);
                group.bench_function(&id, |bencher| {
                    bencher.iter_custom(|rounds| {
                        let start = Instant::now();
                        system.block_on(calls(&router, callers, rounds * callers));
                        let took = start.elapsed();
                        seen = (seen.0 + rounds * callers, seen.1 + took);
                        took
                    });
                });
                if seen.0 > 0 {
                    let ((), allocated) = counted(|| system.block_on(calls(&router, callers, 20 * callers)));
                    let per_call = |total: u64| total as f64 / (20 * callers) as f64;
                    report.add(
                        id,
                        [
                            ("calls_per_s", seen.0 as f64 / seen.1.as_secs_f64()),
                            ("ns_per_call", seen.1.as_nanos() as f64 / seen.0 as f64),
                            ("bytes_per_call", per_call(allocated.bytes)),
                            ("allocations_per_call", per_call(allocated.count)),
                        ],
                    );
                }
            }
            drop((router, supervisor));
        }
    }
    group.finish();
}

async fn start(select: Select, workers: u32) -> (Addr<Router<Instantly>>, Addr<Supervisor<Instantly>>) {
    let backend = Rc::new(Instantly);
    let limits = Limits { select, ..limits() };
    let new_workers = NewWorkers::default();
    let router = Router::start(Rc::clone(&backend), new_workers.clone(), limits, None);
    let settings: Settings = settings(workers);
    let supervisor = Supervisor::start_with(backend, router.clone(), new_workers, settings);
    let ready = supervisor.send(AwaitReady::new(None)).await;
    assert!(matches!(ready, Ok(Ok(()))), "all workers start at once");
    (router, supervisor)
}

criterion_group!(name = benches; config = criterion(); targets = actors);
criterion_main!(benches);
