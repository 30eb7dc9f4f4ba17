//! Injecting faults at a rate. The main structure is [`FaultInjector`].

use std::collections::BTreeMap;
use std::time::Duration;

use actix::fut::WrapFuture as _;
use actix::{Actor, ActorContext, ActorFutureExt as _, Addr, AsyncContext, Context, Handler, Message};
use actix_pyproc_actors::Router;

use super::{DrawnFault, Fault, FaultKind};
use crate::backend::PythonBackend;

/// An actor that injects faults into a pool, one after another, until [`StopFaults`] or the end of
/// the pool.
///
/// The seed determines the kinds and their order. Which worker a fault hits also depends on which
/// workers serve at that time.
///
/// ```no_run
/// # async fn example(pool: actix_pyproc::Pool) -> Result<(), actix::MailboxError> {
/// use actix_pyproc::fault::{FaultInjector, FaultKind, StopFaults};
/// use std::time::Duration;
///
/// let kinds = [FaultKind::Kill, FaultKind::Garbage];
/// let injector = FaultInjector::new(pool.addr(), kinds).every(Duration::from_millis(100)).seed(42).start();
/// // … calls …
/// let counts = injector.send(StopFaults).await?;
/// println!("{} workers were killed", counts["kill"]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct FaultInjector {
    pool: Addr<Router<PythonBackend>>,
    schedule: FaultSchedule,
    every: Duration,
    counts: BTreeMap<&'static str, u64>,
}

/// The seeded sequence of faults.
#[derive(Debug)]
struct FaultSchedule {
    kinds: Vec<FaultKind>,
    random: fastrand::Rng,
}

impl FaultSchedule {
    fn draw(&mut self) -> Option<DrawnFault> {
        let kind = self.random.choice(&self.kinds).copied()?;
        Some(DrawnFault { fault: Fault::new(kind), draw: self.random.u32(..) })
    }
}

impl FaultInjector {
    /// Injects these kinds with equal probability, one every 100 ms, with a random seed.
    #[must_use]
    pub fn new(pool: Addr<Router<PythonBackend>>, kinds: impl IntoIterator<Item = FaultKind>) -> Self {
        let kinds: Vec<_> = kinds.into_iter().collect();
        let counts = kinds.iter().map(|kind| (kind.name(), 0)).collect();
        let schedule = FaultSchedule { kinds, random: fastrand::Rng::new() };
        Self { pool, schedule, every: Duration::from_millis(100), counts }
    }

    /// Sets the time from one fault to the next.
    #[must_use]
    pub const fn every(mut self, every: Duration) -> Self {
        self.every = every;
        self
    }

    /// Sets the seed. The same seed gives the same kinds in the same order.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.schedule.random = fastrand::Rng::with_seed(seed);
        self
    }

    /// Starts the actor on the current arbiter.
    pub fn start(self) -> Addr<Self> {
        Actor::start(self)
    }

    fn inject_next(&mut self, ctx: &mut Context<Self>) {
        let Some(drawn) = self.schedule.draw() else { return };
        let name = drawn.fault.kind.name();
        let sent = self.pool.send(drawn).into_actor(self).map(move |result, this, ctx| match result {
            Ok(Ok(_)) => *this.counts.entry(name).or_default() += 1,
            // No worker serves at the moment.
            Ok(Err(_)) => {}
            // The pool has stopped.
            Err(_) => ctx.stop(),
        });
        ctx.spawn(sent);
    }
}

impl Actor for FaultInjector {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(self.every.max(Duration::from_millis(1)), Self::inject_next);
    }
}

/// Stops a [`FaultInjector`]. The answer counts the injected faults by kind.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "BTreeMap<&'static str, u64>")]
pub struct StopFaults;

impl Handler<StopFaults> for FaultInjector {
    type Result = actix::MessageResult<StopFaults>;

    fn handle(&mut self, _: StopFaults, ctx: &mut Context<Self>) -> Self::Result {
        ctx.stop();
        actix::MessageResult(self.counts.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::{FaultKind, FaultSchedule};

    fn kinds(seed: u64) -> Vec<FaultKind> {
        let random = fastrand::Rng::with_seed(seed);
        let mut schedule = FaultSchedule { kinds: FaultKind::ALL.into(), random };
        (0..100).map(|_| schedule.draw().expect("the schedule has kinds").fault.kind).collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_faults_and_another_gives_others() {
        assert_eq!(kinds(1), kinds(1));
        assert_ne!(kinds(1), kinds(2));
        let mut empty = FaultSchedule { kinds: Vec::new(), random: fastrand::Rng::with_seed(1) };
        assert!(empty.draw().is_none());
    }
}
