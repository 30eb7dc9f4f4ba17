//! `pyproc top`: a gateway's live page in a terminal.

mod address;
mod client;
mod details;
mod draw;
mod model;
mod numbers;
mod once;
mod rows;
mod screen;
mod sse;
mod told;
mod view;

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use hyper::header::HeaderValue;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::timeout;

use self::address::Address;
use self::client::Events;
use self::draw::Theme;
use self::model::{Link, Model};
use self::screen::{Input, Screen};
use self::sse::Event;
use self::told::Told;
use self::view::{Act, Order, View};
use crate::failure::Failure;
use crate::signals::Signals;

/// How long it takes to try again.
const AGAIN: Duration = Duration::from_secs(1);
/// How long a gateway may take to tell its first status.
const FIRST_STATUS: Duration = Duration::from_secs(10);

/// Show the live page of a gateway in the terminal: throughput, latency, workers, functions,
/// incidents
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where `pyproc serve` listens; the address that it tells with --allow-control has the token
    /// in it
    #[arg(value_name = "URL", default_value = "http://127.0.0.1:8000")]
    url: Address,
    /// What opens the keys that restart, reload and drain; PYPROC_TOKEN is enough to look at a
    /// gateway that asks for it
    #[arg(long, value_name = "TOKEN", env = "PYPROC_CONTROL_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Print what there is to see as text, and end; so it is where standard output is no terminal
    #[arg(long)]
    once: bool,
    /// Print the status as one JSON object on one line, and end
    #[arg(long, conflicts_with = "once")]
    json: bool,
}

pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let token = args.token.filter(|token| !token.is_empty()).or_else(|| args.url.token.clone());
    let header = |token: Option<String>| {
        let token = token.map(HeaderValue::try_from).transpose();
        token.map_err(|_| Failure::Usage("the token has characters that none can have".to_owned()))
    };
    let token = header(token)?;
    let reader = header(std::env::var("PYPROC_TOKEN").ok().filter(|token| !token.is_empty()))?;
    // The control token opens all that the other one does.
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

/// The first status, with the incidents in it as in `PoolStatus`.
async fn print_json(mut events: Events, address: &Address) -> Result<(), Failure> {
    let status = async {
        let mut incidents = Value::Array(Vec::new());
        loop {
            let event = events.next().await?;
            let mut data: Value = serde_json::from_str(&event.data)?;
            let mut status = match event.name.as_str() {
                "hello" => {
                    incidents = data["incidents"].take();
                    data["status"].take()
                }
                "status" => data,
                _ => continue,
            };
            if status.is_object() {
                status["incidents"] = incidents;
                return Ok(status);
            }
        }
    };
    let status = first(status, address).await?;
    writeln!(io::stdout(), "{status}")?;
    Ok(())
}

async fn print_text(mut events: Events, address: &Address) -> Result<(), Failure> {
    let mut model = Model::default();
    let known = async {
        while model.link != Link::Up {
            hear(&mut model, &events.next().await?)?;
        }
        Ok(())
    };
    first(known, address).await?;
    io::stdout().write_all(once::text(&model).as_bytes())?;
    Ok(())
}

/// Waits for what a gateway tells first.
async fn first<T>(
    told: impl std::future::Future<Output = io::Result<T>>,
    address: &Address,
) -> io::Result<T> {
    let late =
        || io::Error::new(io::ErrorKind::TimedOut, format!("it told no status within {FIRST_STATUS:?}"));
    let told = timeout(FIRST_STATUS, told).await.unwrap_or_else(|_| Err(late()));
    told.map_err(|error| io::Error::new(error.kind(), format!("the gateway at {address} failed: {error}")))
}

fn hear(model: &mut Model, event: &Event) -> io::Result<()> {
    if let Some(told) = Told::read(event)? {
        model.hear(told);
    }
    Ok(())
}

/// Draws until the person has seen enough.
async fn watch(
    events: Events,
    address: Address,
    token: Option<HeaderValue>,
    reader: Option<HeaderValue>,
) -> Result<(), Failure> {
    let (tell, mut news) = mpsc::unbounded_channel();
    let following = actix_rt::spawn(follow(events, address.clone(), reader, tell));
    let (tell, mut outcomes) = mpsc::unbounded_channel::<(Order, Result<(), String>)>();
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
                    (Act::Send(order), Some(token)) => {
                        let (address, token, tell) = (address.clone(), token.clone(), tell.clone());
                        view.say("asking the gateway …", false);
                        actix_rt::spawn(async move {
                            let outcome = client::send(&address, &token, order).await;
                            // Whoever asked has left.
                            let _ = tell.send((order, outcome));
                        });
                    }
                    _ => {}
                },
            },
            Some(heard) = news.recv() => match heard {
                Ok(event) => hear(&mut model, &event).unwrap_or_else(|error| model.lost(error.to_string())),
                Err(why) => model.lost(why),
            },
            Some((order, outcome)) = outcomes.recv() => match outcome {
                Ok(()) => view.say(order.done(), false),
                Err(problem) => view.say(problem, true),
            },
            _ = seconds.tick() => view.tick(),
        }
    };
    following.abort();
    ended
}

/// Hands on the events of a gateway, and connects again when they end.
async fn follow(
    mut events: Events,
    address: Address,
    reader: Option<HeaderValue>,
    tell: mpsc::UnboundedSender<Result<Event, String>>,
) {
    loop {
        let why = loop {
            match events.next().await {
                Ok(event) => {
                    if tell.send(Ok(event)).is_err() {
                        return;
                    }
                }
                Err(error) => break error,
            }
        };
        let mut why = format!("{address}: {why}");
        events = loop {
            if tell.send(Err(why)).is_err() {
                return;
            }
            tokio::time::sleep(AGAIN).await;
            match Events::connect(&address, reader.as_ref()).await {
                Ok(events) => break events,
                Err(error) => why = format!("{address}: {error}"),
            }
        };
    }
}
