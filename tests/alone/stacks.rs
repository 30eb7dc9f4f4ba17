//! The stacks of a stuck worker: in the event, in the log, and in the errors of its other calls.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_pyproc::{Call, CallError, WorkerEvent};
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use crate::support::leaks::alone;
use crate::support::{Events, capped, overdue, scratch, start, until, worker};

/// The warnings of the pool, as text.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl<S: tracing::Subscriber> Layer<S> for Warnings {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if *event.metadata().level() == tracing::Level::WARN {
            let mut line = Line::default();
            event.record(&mut line);
            self.0.lock().expect("no thread panicked").push(line.0);
        }
    }
}

#[derive(Default)]
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        write!(self.0, "{}={value:?} ", field.name()).expect("writing to a string succeeds");
    }
}

#[test]
fn stacks_of_a_stuck_worker_are_in_the_event_the_log_and_the_errors_of_its_other_calls() {
    alone(async {
        let warnings = Warnings::default();
        let subscriber = tracing_subscriber::registry().with(warnings.clone());
        let _guard = tracing::subscriber::set_default(subscriber);
        let config = worker("stuck_beside_others.py").kill_grace(Duration::from_millis(200));
        let pool = start(config).await;
        let mut events = Events::of(&pool).await;
        let dir = scratch();
        let begun = dir.path().join("begun");
        let neighbour = {
            let (pool, call) = (pool.clone(), Call::json("waits", &begun).expect("a path is JSON"));
            actix_rt::spawn(async move { pool.request(call).await })
        };
        until("the neighbour waits", || begun.exists()).await;
        let error = overdue(&pool, || Call::json("stuck", &()).expect("null is JSON")).await;
        assert!(matches!(error, CallError::DeadlineExceeded { started: true }), "{error:?}");

        let exited = |event: &WorkerEvent| match event {
            WorkerEvent::Exited { pid, exit, .. } => Some((*pid, exit.clone())),
            _ => None,
        };
        let (pid, exit) = events.next("the end", exited).await;
        let stacks = exit.stacks.as_deref().expect("the event has them");
        assert!(stacks.contains("in stuck"), "{stacks}");
        match capped("the neighbour", neighbour).await.expect("the task did not panic") {
            Err(CallError::WorkerLost { exit, .. }) => assert_eq!(exit.stacks.as_deref(), Some(stacks)),
            other => panic!("{other:?}"),
        }
        let lines = warnings.0.lock().expect("no thread panicked").clone();
        let warning =
            lines.iter().find(|line| line.contains("a cancelled call did not end")).expect("it was logged");
        assert!(warning.contains("slot=0") && warning.contains(&format!("pid={pid}")), "{warning}");
        assert!(warning.contains("in stuck"), "{warning}");
        pool.shutdown().await;
    });
}
