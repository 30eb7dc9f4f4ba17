//! The options of the gateway, and who may use it. The main structures are [`GatewayOptions`] and
//! [`Settings`].

use std::fmt;
use std::io::{self, Read as _};
use std::net::SocketAddr;
use std::time::Duration;

use actix_pyproc::Pool;
use actix_pyproc::http::Gateway;

use crate::console::note;
use crate::failure::Failure;

/// The token that callers need.
const TOKEN: &str = "PYPROC_TOKEN";
/// The token of those who restart workers, reload and drain.
const CONTROL_TOKEN: &str = "PYPROC_CONTROL_TOKEN";

/// The options of the gateway.
#[derive(clap::Args)]
pub(super) struct GatewayOptions {
    /// Ask for a bearer token in all requests but /live, /ready and the page itself; it comes from
    /// PYPROC_TOKEN, which alone is enough, or is generated and printed once; other users of the
    /// machine can read a TOKEN given here
    #[arg(long, value_name = "TOKEN", num_args = 0..=1, default_missing_value = "")]
    token: Option<String>,
    /// Answer to this name in the Host header, beside localhost and loopback addresses; may be
    /// repeated
    #[arg(long, value_name = "NAME")]
    allow_host: Vec<String>,
    /// Accept requests from pages of this origin (scheme, host and port, as browsers send it); may
    /// be repeated
    #[arg(long, value_name = "ORIGIN")]
    allow_origin: Vec<String>,
    /// The longest request body, in bytes [default: the pool's max_frame]
    #[arg(long, value_name = "BYTES")]
    body_limit: Option<usize>,
    /// How long the body of a request may take: 30s, 500ms, none; a bare number is milliseconds
    /// [default: 30s]
    #[arg(long, value_name = "MS", value_parser = duration)]
    body_timeout: Option<Duration>,
    /// How many bytes of bodies may be half received at once, over all connections [default: 256
    /// MiB, or four times the body limit]
    #[arg(long, value_name = "BYTES")]
    bodies_limit: Option<usize>,
    /// The shortest deadline that a client can set; shorter ones are raised to it [default: 100ms]
    #[arg(long, value_name = "MS", value_parser = duration)]
    min_timeout: Option<Duration>,
    /// Send clients Python tracebacks, and what a lost worker wrote last, in answers and on the
    /// live page
    #[arg(long)]
    tracebacks: bool,
    /// Serve no live page
    #[arg(long, conflicts_with = "allow_control")]
    no_dashboard: bool,
    /// Put buttons on the live page that replace workers, reload and drain; their token comes from
    /// PYPROC_CONTROL_TOKEN, or is generated and printed once on standard error
    #[arg(long)]
    allow_control: bool,
}

/// A token, and whether somebody has to be shown it.
#[derive(Clone)]
struct Token {
    value: String,
    generated: bool,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("generated", &self.generated).finish_non_exhaustive()
    }
}

/// What a gateway is made with.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    token: Option<Token>,
    control: Option<Token>,
    allow_host: Vec<String>,
    allow_origin: Vec<String>,
    body_limit: Option<usize>,
    body_timeout: Option<Duration>,
    bodies_limit: Option<usize>,
    min_timeout: Option<Duration>,
    tracebacks: bool,
    dashboard: bool,
}

impl GatewayOptions {
    /// The settings, with the tokens from the environment.
    pub(super) fn settings(
        self,
        variable: impl Fn(&'static str) -> Option<String>,
    ) -> Result<Settings, Failure> {
        let variable = |name| variable(name).filter(|value| !value.is_empty());
        let given = self.token.clone().filter(|token| !token.is_empty());
        let token = match given.or_else(|| variable(TOKEN)) {
            Some(value) => Some(Token::given(value)?),
            None if self.token.is_some() => Some(Token::generate()?),
            None => None,
        };
        let control = match self.allow_control {
            true => Some(variable(CONTROL_TOKEN).map_or_else(Token::generate, Token::given)?),
            false => None,
        };
        Ok(Settings {
            token,
            control,
            allow_host: self.allow_host,
            allow_origin: self.allow_origin,
            body_limit: self.body_limit,
            body_timeout: self.body_timeout,
            bodies_limit: self.bodies_limit,
            min_timeout: self.min_timeout,
            tracebacks: self.tracebacks,
            dashboard: !self.no_dashboard,
        })
    }
}

impl Settings {
    pub(super) fn gateway(self, pool: Pool) -> Gateway {
        let mut gateway = Gateway::new(pool).tracebacks(self.tracebacks).dashboard(self.dashboard);
        if let Some(bytes) = self.body_limit {
            gateway = gateway.body_limit(bytes);
        }
        if let Some(timeout) = self.body_timeout {
            gateway = gateway.body_timeout(timeout);
        }
        if let Some(bytes) = self.bodies_limit {
            gateway = gateway.bodies_limit(bytes);
        }
        if let Some(floor) = self.min_timeout {
            gateway = gateway.min_timeout(floor);
        }
        if let Some(token) = self.token {
            gateway = gateway.token(token.value);
        }
        if let Some(token) = self.control {
            gateway = gateway.control(token.value);
        }
        gateway = self.allow_host.iter().fold(gateway, |gateway, name| gateway.allow_host(name));
        self.allow_origin.iter().fold(gateway, |gateway, origin| gateway.allow_origin(origin))
    }

    /// What is to be said of a gateway that everybody can use.
    pub(super) fn warning(&self, address: SocketAddr) -> Option<String> {
        let open = !address.ip().to_canonical().is_loopback() && self.token.is_none();
        open.then(|| {
            format!(
                "warning: everybody who can reach {address} can call the functions; set {TOKEN}, or pass --token, to \
                 ask for a token"
            )
        })
    }

    /// Prints the addresses, and the tokens that nobody knows yet.
    pub(super) fn tell(&self, address: SocketAddr) {
        if let Some(Token { value, generated: true }) = &self.token {
            note(format_args!("the token, for Authorization: Bearer: {value}"));
        }
        match &self.control {
            Some(Token { value, generated: true }) => {
                note(format_args!("the live page with its buttons: http://{address}/dashboard#token={value}"))
            }
            Some(_) => note(format_args!(
                "the live page with its buttons: http://{address}/dashboard; its token is that of {CONTROL_TOKEN}"
            )),
            None => {}
        }
    }
}

impl Token {
    fn given(value: String) -> Result<Self, Failure> {
        let sendable = |byte: u8| byte.is_ascii_graphic();
        if !value.bytes().all(sendable) {
            let message = "a token has only visible ASCII characters, without spaces: others cannot be sent in a header";
            return Err(Failure::Usage(message.to_owned()));
        }
        Ok(Self { value, generated: false })
    }

    /// A token that nobody can guess.
    fn generate() -> Result<Self, Failure> {
        let mut bytes = [0; 16];
        let read = std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
        read.map_err(|error| io::Error::new(error.kind(), format!("failed to generate a token: {error}")))?;
        Ok(Self { value: bytes.iter().map(|byte| format!("{byte:02x}")).collect(), generated: true })
    }
}

/// `30s`, `250ms`, `none`; a bare number is milliseconds.
fn duration(text: &str) -> Result<Duration, &'static str> {
    if text == "none" {
        return Ok(Duration::MAX);
    }
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let millis = match unit {
        "" | "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        _ => return Err("a duration such as 30s or 250ms, none, or a number of milliseconds is expected"),
    };
    let number: u64 = number.parse().map_err(|_| "a whole number is expected before the unit")?;
    Ok(Duration::from_millis(number.saturating_mul(millis)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::Parser;

    use super::{GatewayOptions, Settings, duration};

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        gateway: GatewayOptions,
    }

    fn settings(args: &[&str], variables: &[(&str, &str)]) -> Result<Settings, String> {
        let line = Line::try_parse_from([&["serve"], args].concat()).map_err(|error| error.to_string())?;
        let variable = |name: &str| {
            variables.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned())
        };
        line.gateway.settings(variable).map_err(|error| format!("{error:?}"))
    }

    /// The tokens for calls and for control, with whether they were generated.
    fn tokens(args: &[&str], variables: &[(&str, &str)]) -> [Option<(String, bool)>; 2] {
        let settings = settings(args, variables).expect("it is valid");
        [settings.token, settings.control].map(|token| token.map(|token| (token.value, token.generated)))
    }

    #[test]
    fn tokens_are_given_by_flag_or_variable_or_generated() {
        let given = |value: &str| Some((value.to_owned(), false));
        assert_eq!(tokens(&[], &[]), [None, None]);
        assert_eq!(tokens(&[], &[("PYPROC_TOKEN", "a"), ("PYPROC_CONTROL_TOKEN", "b")]), [given("a"), None]);
        assert_eq!(tokens(&["--token"], &[("PYPROC_TOKEN", "a")]), [given("a"), None]);
        assert_eq!(tokens(&["--token", "f"], &[("PYPROC_TOKEN", "a")]), [given("f"), None]);
        assert_eq!(tokens(&[], &[("PYPROC_TOKEN", "")]), [None, None]);
        assert_eq!(tokens(&["--allow-control"], &[("PYPROC_CONTROL_TOKEN", "b")]), [None, given("b")]);
        let [Some((one, true)), Some((other, true))] = tokens(&["--token", "--allow-control"], &[]) else {
            panic!("both are generated");
        };
        assert!(one.len() == 32 && other.len() == 32 && one != other);
        let error = settings(&[], &[("PYPROC_TOKEN", "two words")]).expect_err("it cannot be sent");
        assert!(error.contains("visible ASCII") && !error.contains("two words"), "{error}");
    }

    #[test]
    fn a_gateway_that_others_can_reach_without_a_token_is_warned_of() {
        let warns = |address: &str, args: &[&str]| {
            let settings = settings(args, &[]).expect("it is valid");
            settings.warning(address.parse().expect("it is an address")).is_some()
        };
        for address in ["0.0.0.0:80", "[::]:80", "10.1.2.3:80"] {
            assert!(warns(address, &[]) && !warns(address, &["--token"]), "{address}");
        }
        for address in ["127.0.0.1:80", "[::1]:80"] {
            assert!(!warns(address, &[]), "{address}");
        }
    }

    #[test]
    fn debug_prints_no_token() {
        let settings =
            settings(&["--token", "hunter2", "--allow-control"], &[("PYPROC_CONTROL_TOKEN", "hunter3")]);
        let printed = format!("{:?}", settings.expect("it is valid"));
        assert!(!printed.contains("hunter"), "{printed}");
    }

    #[test]
    fn durations_have_units_or_are_milliseconds() {
        for (text, millis) in [("250", 250), ("250ms", 250), ("5s", 5000), ("2m", 120_000), ("0", 0)] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        assert_eq!(duration("none"), Ok(Duration::MAX));
        for text in ["", "s", "-1", "1.5s", "5 s", "5h"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
