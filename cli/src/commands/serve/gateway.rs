//! The options of the gateway, and its tokens. The main structures are [`GatewayOptions`] and
//! [`Settings`].

use std::fmt;
use std::io::{self, Read as _};
use std::net::SocketAddr;
use std::time::Duration;

use actix_pyproc::Pool;
use actix_pyproc::http::Gateway;

use crate::console::note;
use crate::duration::{self, TimeLimit};
use crate::failure::Failure;

/// The variable with the token of callers.
const TOKEN: &str = "PYPROC_TOKEN";
/// The variable with the token for restarting workers, reloading and draining.
const CONTROL_TOKEN: &str = "PYPROC_CONTROL_TOKEN";

/// The options of the gateway.
#[derive(clap::Args)]
pub(super) struct GatewayOptions {
    /// Require a bearer token in all requests except /live, /ready and the page itself; without
    /// TOKEN it comes from PYPROC_TOKEN, or is generated and printed once; setting PYPROC_TOKEN is
    /// enough, and safer: other users of the machine can read a TOKEN given here
    #[arg(long, value_name = "TOKEN", num_args = 0..=1, default_missing_value = "")]
    token: Option<String>,
    /// Accept this name in the Host header, in addition to localhost and loopback addresses
    /// (repeatable)
    #[arg(long, value_name = "NAME")]
    allow_host: Vec<String>,
    /// Accept requests from pages of this origin: scheme, host and port, as browsers send it
    /// (repeatable)
    #[arg(long, value_name = "ORIGIN")]
    allow_origin: Vec<String>,
    /// The longest request body, in bytes [default: the pool's max_frame]
    #[arg(long, value_name = "BYTES")]
    body_limit: Option<usize>,
    /// How long the body of a request may take: 30s, 500ms, none; a bare number is milliseconds
    /// [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = duration::limit)]
    body_timeout: Option<TimeLimit>,
    /// How many bytes of incomplete bodies all connections together may hold [default: 256 MiB, or
    /// four times the body limit]
    #[arg(long, value_name = "BYTES")]
    bodies_limit: Option<usize>,
    /// The shortest deadline that a client can set; shorter ones are raised to it:
    /// 1s, 250ms; a bare number is milliseconds [default: 100ms]
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    min_timeout: Option<Duration>,
    /// Send Python tracebacks, and the last output of a lost worker, to clients and to the live
    /// page
    #[arg(long)]
    tracebacks: bool,
    /// Log each request on standard error
    #[arg(long)]
    access_log: bool,
    /// Do not serve the live page
    #[arg(long, conflicts_with = "allow_control")]
    no_dashboard: bool,
    /// Allow the live page to restart workers, reload and drain; the token for it comes from
    /// PYPROC_CONTROL_TOKEN, or is generated and printed once on standard error
    #[arg(long)]
    allow_control: bool,
}

/// A token, and whether it must be shown to the user.
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

/// The settings of a gateway.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    token: Option<Token>,
    control: Option<Token>,
    allow_host: Vec<String>,
    allow_origin: Vec<String>,
    body_limit: Option<usize>,
    body_timeout: Option<TimeLimit>,
    bodies_limit: Option<usize>,
    min_timeout: Option<Duration>,
    tracebacks: bool,
    access_log: bool,
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
            access_log: self.access_log,
            dashboard: !self.no_dashboard,
        })
    }
}

impl Settings {
    pub(super) fn gateway(self, pool: Pool) -> Gateway {
        let mut gateway = Gateway::new(pool).tracebacks(self.tracebacks).dashboard(self.dashboard);
        gateway = gateway.access_log(self.access_log);
        if let Some(bytes) = self.body_limit {
            gateway = gateway.body_limit(bytes);
        }
        if let Some(limit) = self.body_timeout {
            gateway = gateway.body_timeout(limit.0.unwrap_or(Duration::MAX));
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

    /// The warning for a gateway that others can use without a token.
    pub(super) fn warning(&self, address: SocketAddr) -> Option<String> {
        let open = !address.ip().to_canonical().is_loopback() && self.token.is_none();
        open.then(|| {
            format!(
                "warning: anyone who can reach {address} can call the functions; set {TOKEN} or pass --token to require a \
                 token"
            )
        })
    }

    /// Prints the address of the live page, and generated tokens.
    pub(super) fn print_addresses(&self, address: SocketAddr) {
        if let Some(Token { value, generated: true }) = &self.token {
            note(format_args!("token for Authorization: Bearer: {value}"));
        }
        match &self.control {
            Some(Token { value, generated: true }) => {
                note(format_args!("live page with controls: http://{address}/dashboard#token={value}"))
            }
            Some(_) => note(format_args!(
                "live page with controls: http://{address}/dashboard; its token is in {CONTROL_TOKEN}"
            )),
            None => {}
        }
    }
}

impl Token {
    fn given(value: String) -> Result<Self, Failure> {
        let sendable = |byte: u8| byte.is_ascii_graphic();
        if !value.bytes().all(sendable) {
            let message =
                "a token may have only visible ASCII characters and no spaces: a header cannot carry others";
            return Err(Failure::Usage(message.to_owned()));
        }
        Ok(Self { value, generated: false })
    }

    /// Generates a token that cannot be guessed.
    fn generate() -> Result<Self, Failure> {
        let mut bytes = [0; 16];
        let read = std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
        read.map_err(|error| io::Error::new(error.kind(), format!("failed to generate a token: {error}")))?;
        Ok(Self { value: bytes.iter().map(|byte| format!("{byte:02x}")).collect(), generated: true })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::{GatewayOptions, Settings};

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
        let settings = settings(args, variables).expect("the options are valid");
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
            panic!("both should be generated");
        };
        assert!(one.len() == 32 && other.len() == 32 && one != other);
        let error = settings(&[], &[("PYPROC_TOKEN", "two words")]).expect_err("the token is invalid");
        assert!(error.contains("visible ASCII") && !error.contains("two words"), "{error}");
    }

    #[test]
    fn a_gateway_that_others_can_reach_without_a_token_is_warned_of() {
        let warns = |address: &str, args: &[&str]| {
            let settings = settings(args, &[]).expect("the options are valid");
            settings.warning(address.parse().expect("the address is valid")).is_some()
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
        let printed = format!("{:?}", settings.expect("the options are valid"));
        assert!(!printed.contains("hunter"), "{printed}");
    }
}
