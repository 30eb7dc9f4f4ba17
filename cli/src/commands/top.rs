//! `pyproc top`: a gateway's live page in a terminal. The main items are [`Args`] and [`run`].

mod address;
mod client;
mod columns;
mod details;
mod draw;
mod events;
mod format;
mod model;
mod screen;
mod text;
mod view;

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use actix_pyproc::http::ControlAction;
use actix_pyproc::http::page::PageEvent;
use hyper::header::HeaderValue;
use tokio::sync::mpsc;
use tokio::time::timeout;

use self::address::Address;
use self::draw::Theme;
use self::events::Events;
use self::model::{Link, Model};
use self::screen::{Input, Screen};
use self::view::{Act, View};
use crate::failure::Failure;
use crate::signals::Signals;

/// How long to wait before reconnecting.
const RETRY: Duration = Duration::from_secs(1);
/// How long a gateway may take to send its first status.
const FIRST_STATUS: Duration = Duration::from_secs(10);

/// Show the live page of a gateway in the terminal: throughput, latency, workers, functions, why
/// calls fail, what runs, crashes, output
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where `pyproc serve` listens; the address that it prints with --allow-control includes the
    /// token
    #[arg(value_name = "URL", default_value = "http://127.0.0.1:8000")]
    url: Address,
    /// The control token, for the keys that restart, reload and drain; to watch a gateway that
    /// requires a token, PYPROC_TOKEN is enough
    #[arg(long, value_name = "TOKEN", env = "PYPROC_CONTROL_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Print one snapshot as text and exit; the default if standard output is not a terminal
    #[arg(long)]
    once: bool,
    /// Print the status as one JSON object on one line and exit
    #[arg(long, conflicts_with = "once")]
    json: bool,
}

pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let token = args.token.filter(|token| !token.is_empty()).or_else(|| args.url.token.clone());
    let header = |token: Option<String>| {
        let token = token.map(HeaderValue::try_from).transpose();
        token.map_err(|_| Failure::Usage("the token has characters that are not allowed".to_owned()))
    };
    let token = header(token)?;
    let reader = header(std::env::var("PYPROC_TOKEN").ok().filter(|token| !token.is_empty()))?;
    // The control token works wherever the other one does.
    let reader = token.clone().or(reader);
    let mut signals = Signals::listen()?;
    let work = async {
        let events = connect(&args.url, reader.as_ref()).await?;
        if args.json {
            print_json(events, &args.url).await
        } else if args.once || !io::stdout().is_terminal() {
            print_text(events, &args.url).await
        } else {
            watch(events, args.url.clone(), token, reader).await
        }
    };
    tokio::select! {
        ended = work => ended,
        signal = signals.next() => Err(Failure::Signal(signal)),
    }
}

async fn connect(address: &Address, token: Option<&HeaderValue>) -> io::Result<Events> {
    Events::connect(address, token).await.map_err(|error| {
        if error.kind() == io::ErrorKind::PermissionDenied {
            return io::Error::new(error.kind(), format!("failed to read from {address}: {error}"));
        }
        let message = format!("no gateway at {address}: {error}; `pyproc serve WORKER` starts one");
        io::Error::new(error.kind(), message)
    })
}

/// Prints the first status, with the parts that have events of their own.
async fn print_json(events: Events, address: &Address) -> Result<(), Failure> {
    let Model { mut status, incidents, crashes, failures, log, .. } = first_status(events, address).await?;
    status.pool.incidents = incidents;
    status.pool.crashes = crashes;
    status.pool.failures = failures;
    status.pool.log = log.into();
    let status = serde_json::to_value(&status).map_err(io::Error::from)?;
    writeln!(io::stdout(), "{status}")?;
    Ok(())
}

async fn print_text(events: Events, address: &Address) -> Result<(), Failure> {
    let model = first_status(events, address).await?;
    io::stdout().write_all(text::text(&model).as_bytes())?;
    Ok(())
}

/// Reads events until the gateway has sent a status.
async fn first_status(mut events: Events, address: &Address) -> io::Result<Model> {
    let read = async {
        let mut model = Model::default();
        while model.link != Link::Up {
            model.apply(events.next().await?);
        }
        Ok(model)
    };
    let late =
        || io::Error::new(io::ErrorKind::TimedOut, format!("it sent no status within {FIRST_STATUS:?}"));
    let model = timeout(FIRST_STATUS, read).await.unwrap_or_else(|_| Err(late()));
    model.map_err(|error| io::Error::new(error.kind(), format!("the gateway at {address} failed: {error}")))
}

/// Draws until the user quits.
async fn watch(
    events: Events,
    address: Address,
    token: Option<HeaderValue>,
    reader: Option<HeaderValue>,
) -> Result<(), Failure> {
    let (sender, mut received) = mpsc::unbounded_channel();
    let following = actix_rt::spawn(follow(events, address.clone(), reader, sender));
    let (sender, mut outcomes) = mpsc::unbounded_channel::<(ControlAction, Result<(), String>)>();
    let theme = Theme { colors: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) };
    let (mut model, mut view) = (Model::default(), View::new(token.is_some()));
    let mut screen = Screen::open()?;
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    let ended = loop {
        screen.draw(|frame| draw::draw(frame, &model, &mut view, theme))?;
        tokio::select! {
            input = screen.input() => match input? {
                Input::Resized => {}
                Input::Key(key) => match (view.key(key, &model), &token) {
                    (Act::Quit, _) => break Ok(()),
                    (Act::Send(action), Some(token)) => {
                        let (address, token, sender) = (address.clone(), token.clone(), sender.clone());
                        view.notify("asking the gateway …", false);
                        actix_rt::spawn(async move {
                            let outcome = client::send(&address, &token, action).await;
                            // The user may have quit.
                            let _ = sender.send((action, outcome));
                        });
                    }
                    _ => {}
                },
            },
            Some(event) = received.recv() => match event {
                Ok(event) => model.apply(event),
                Err(why) => model.lost(why),
            },
            Some((action, outcome)) = outcomes.recv() => match outcome {
                Ok(()) => view.notify(view::done(action), false),
                Err(problem) => view.notify(problem, true),
            },
            _ = seconds.tick() => view.tick(),
        }
    };
    following.abort();
    ended
}

/// Passes on the events of a gateway, and reconnects when they end.
async fn follow(
    mut events: Events,
    address: Address,
    reader: Option<HeaderValue>,
    sender: mpsc::UnboundedSender<Result<PageEvent, String>>,
) {
    loop {
        let why = loop {
            match events.next().await {
                Ok(event) => {
                    if sender.send(Ok(event)).is_err() {
                        return;
                    }
                }
                Err(error) => break error,
            }
        };
        let mut why = format!("{address}: {why}");
        events = loop {
            if sender.send(Err(why)).is_err() {
                return;
            }
            tokio::time::sleep(RETRY).await;
            match Events::connect(&address, reader.as_ref()).await {
                Ok(events) => break events,
                Err(error) => why = format!("{address}: {error}"),
            }
        };
    }
}
