//! Faults at a rate. The main structure is [`FaultInjector`].

use std::collections::BTreeMap;
use std::time::Duration;

use actix::fut::WrapFuture as _;
use actix::{Actor, ActorContext, ActorFutureExt as _, Addr, AsyncContext, Context, Handler, Message};

use super::{Fault, FaultKind, Toss};
use crate::PoolAddr;

/// An actor that injects faults into a pool, one after another, until it is told to stop or the
/// pool is gone.
///
/// The seed settles which fault comes when; which worker it hits depends on which ones serve then.
///
/// ```no_run
/// # async fn example(pool: actix_pyproc::Pool) -> Result<(), actix::MailboxError> {
/// use actix_pyproc::{FaultInjector, FaultKind, StopFaults};
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
    pool: PoolAddr,
    dice: Dice,
    every: Duration,
    counts: BTreeMap<&'static str, u64>,
}

/// Which fault comes when.
#[derive(Debug)]
struct Dice {
    kinds: Vec<FaultKind>,
    random: fastrand::Rng,
}

impl Dice {
    fn roll(&mut self) -> Option<Toss> {
        let kind = self.random.choice(&self.kinds).copied()?;
        Some(Toss { fault: Fault::new(kind), lot: self.random.u32(..) })
    }
}

impl FaultInjector {
    /// Injects these kinds, each as often as the others, every 100 ms, from a seed of its own
    /// choice.
    #[must_use]
    pub fn new(pool: PoolAddr, kinds: impl IntoIterator<Item = FaultKind>) -> Self {
        let kinds: Vec<_> = kinds.into_iter().collect();
        let counts = kinds.iter().map(|kind| (kind.name(), 0)).collect();
        let dice = Dice { kinds, random: fastrand::Rng::new() };
        Self { pool, dice, every: Duration::from_millis(100), counts }
    }

    /// The time from one fault to the next.
    #[must_use]
    pub const fn every(mut self, every: Duration) -> Self {
        self.every = every;
        self
    }

    /// The same seed gives the same kinds in the same order.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.dice.random = fastrand::Rng::with_seed(seed);
        self
    }

    /// Starts the actor on the current arbiter.
    pub fn start(self) -> Addr<Self> {
        Actor::start(self)
    }

    fn strike(&mut self, ctx: &mut Context<Self>) {
        let Some(toss) = self.dice.roll() else { return };
        let name = toss.fault.kind.name();
        let sent = self.pool.send(toss).into_actor(self).map(move |result, this, ctx| match result {
            Ok(Ok(_)) => *this.counts.entry(name).or_default() += 1,
            // Nobody serves just now.
            Ok(Err(_)) => {}
            // The pool is gone.
            Err(_) => ctx.stop(),
        });
        ctx.spawn(sent);
    }
}

impl Actor for FaultInjector {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(self.every.max(Duration::from_millis(1)), Self::strike);
    }
}

/// Ends a [`FaultInjector`]. The answer says how often each of its kinds has hit a worker.
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
    use super::{Dice, FaultKind};

    fn kinds(seed: u64) -> Vec<FaultKind> {
        let mut dice = Dice { kinds: FaultKind::ALL.into(), random: fastrand::Rng::with_seed(seed) };
        (0..100).map(|_| dice.roll().expect("there are kinds").fault.kind).collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_faults_and_another_gives_others() {
        assert_eq!(kinds(1), kinds(1));
        assert_ne!(kinds(1), kinds(2));
        let mut none = Dice { kinds: Vec::new(), random: fastrand::Rng::with_seed(1) };
        assert!(none.roll().is_none());
    }
}
