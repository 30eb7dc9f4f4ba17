//! Pools whose workers are a closure, for tests without Python. The main structure is [`FakePool`].

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;

use futures::future::FutureExt as _;
use serde_json::json;

use crate::backend::{Answers, PythonBackend};
use crate::call::{Call, Reply};
use crate::config::PoolConfig;
use crate::error::{CallError, StartError};
use crate::pool::Pool;
use crate::wire::message::Ready;

/// With the feature `testing`.
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
impl Pool {
    /// Starts a pool whose workers are this closure, for tests: it needs no Python and starts no
    /// process. It has the default configuration and every function; see [`FakePool`] to change
    /// that, and [`testing`](crate::testing) for examples.
    ///
    /// # Panics
    /// If the system cannot start the thread of a pool that needs one of its own.
    pub fn fake<F, A>(answer: F) -> Self
    where
        F: FnMut(Call) -> A + Send + 'static,
        A: Future<Output = Result<Reply, CallError>> + 'static,
    {
        FakePool::new(answer).start().expect("the default configuration is valid and the system has threads")
    }
}

/// A pool whose workers are a closure, before it is started.
///
/// All but the workers is a real [`Pool`]: its router queues and refuses calls, ends them at their
/// deadlines, cancels those whose callers have gone, and drains. The closure stands for the Python
/// functions, all of them, and the future that it returns for one run of a function.
///
/// - The runs are concurrent, as those of `async def` functions: at most `max_concurrent` in each
///   of the `workers`.
/// - A run that is cancelled, or whose deadline passes, is dropped. It gets no time to clean up.
/// - An error that the closure returns ends the call as it is; the fake worker lives on.
/// - A panic of the closure or of its future, such as a failed assertion, ends the call with
///   [`CallError::Exception`] of the type `panic`.
///
/// The closure and its futures run on the pool's arbiter, so neither needs locks, and the futures
/// need not be `Send`: on the current arbiter if there is one, as in `#[actix_web::test]`, else on
/// a thread of the pool's own, as in `#[tokio::test]` and `#[test]`.
///
/// ```
/// use actix_pyproc::testing::FakePool;
/// use actix_pyproc::{CallError, Pool, PoolConfig};
///
/// # async fn example() -> Result<(), actix_pyproc::StartError> {
/// // One call at a time, and one that waits.
/// let config = PoolConfig::default().workers(1).max_concurrent(1).max_queue(1);
/// let busy: Pool = FakePool::new(|_| std::future::pending()).config(config).start()?;
/// let waiting = [busy.call::<()>("f", &()), busy.call::<()>("f", &())];
/// let refused = busy.call::<()>("f", &()).await;
/// assert!(matches!(refused, Err(CallError::Overloaded { .. })), "{refused:?}");
/// # drop(waiting);
/// # Ok(())
/// # }
/// # actix_rt::System::new().block_on(example()).expect("the configuration is valid");
/// ```
pub struct FakePool<F> {
    answer: F,
    config: PoolConfig,
    functions: Option<Vec<String>>,
}

impl<F, A> FakePool<F>
where
    F: FnMut(Call) -> A + Send + 'static,
    A: Future<Output = Result<Reply, CallError>> + 'static,
{
    /// A pool whose workers are this closure, with the default configuration and every function.
    pub fn new(answer: F) -> Self {
        Self { answer, config: PoolConfig::default(), functions: None }
    }

    /// Sets the configuration. Its worker script and its interpreter are not looked for.
    #[must_use]
    pub fn config(mut self, config: PoolConfig) -> Self {
        self.config = config;
        self
    }

    /// Sets the names of the functions: calls of others end with [`CallError::UnknownFunction`],
    /// and [`Pool::functions`] has these. Without this there is every function, and
    /// [`Pool::functions`] is empty.
    #[must_use]
    pub fn functions<T: Into<String>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
        self.functions = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// Starts the pool. It serves at once.
    ///
    /// # Errors
    /// [`StartError::InvalidConfig`] if the configuration is invalid. [`StartError::Io`] if the
    /// system cannot start the thread of a pool that needs one of its own, and
    /// [`StartError::Stopped`] if that thread ends at once.
    pub fn start(self) -> Result<Pool, StartError> {
        let Self { mut answer, config, functions } = self;
        let config = Arc::new(config.checked()?);
        Pool::start_fake(config, move |config| {
            let answers: Answers = Rc::new(RefCell::new(move |call| answer(call).boxed_local()));
            PythonBackend::fake(config, answers, functions.map(ready))
        })
    }
}

/// What a worker reports that has these functions, of which only the names are known.
fn ready(names: Vec<String>) -> Ready {
    let functions: Vec<_> = names.iter().map(|name| json!({"name": name, "kind": "async"})).collect();
    serde_json::from_value(json!({"functions": functions})).expect("the other fields have defaults")
}

impl<F> fmt::Debug for FakePool<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakePool").field("functions", &self.functions).finish_non_exhaustive()
    }
}
