//! The arguments that `call`, `bench` and `chaos` share. The main structures are [`CallArgs`] and
//! [`Target`].

use std::ffi::OsString;
use std::path::PathBuf;

use actix_pyproc::{Call, Codec};
use clap::Args;
use clap::error::ErrorKind;

use crate::argument::Argument;
use crate::failure::Failure;
use crate::named;
use crate::options::PoolOptions;

/// A function of a worker, its argument, and the pool that runs it.
#[derive(Args)]
pub(crate) struct CallArgs {
    /// The Python file (not with -m), the name of the function, and its argument: JSON, `-` for
    /// JSON from standard input, or parameters by name; x=3 is JSON if it parses as JSON and a
    /// string otherwise, x:=3 is JSON, x=@FILE is the text of a file and x:=@FILE its JSON
    #[arg(
        value_name = "WORKER FUNCTION [JSON | NAME=VALUE...]",
        num_args = 1..,
        required = true,
        allow_negative_numbers = true
    )]
    words: Vec<OsString>,
    #[command(flatten)]
    pub(crate) pool: PoolOptions,
}

/// A function of a worker, and its argument as text.
pub(crate) struct Target {
    pub(crate) script: Option<PathBuf>,
    pub(crate) function: String,
    /// JSON, `-`, or parameters by name.
    pub(crate) argument: Vec<String>,
}

impl CallArgs {
    /// Reads `[WORKER] FUNCTION [JSON | NAME=VALUE...]`; with `-m` there is no WORKER. If they do
    /// not fit, `command`, whose arguments are `A`, prints its usage and the process exits.
    ///
    /// # Errors
    /// [`Failure::Usage`] for text that is not UTF-8.
    pub(crate) fn target<A: Args>(&self, command: &'static str) -> Result<Target, Failure> {
        let mut words = self.words.iter();
        let script = if self.pool.module.is_some() { None } else { words.next().map(PathBuf::from) };
        let Some(function) = words.next() else {
            let message = "FUNCTION is missing: name the function to call";
            usage_error::<A>(command, ErrorKind::MissingRequiredArgument, message);
        };
        let text = |word: &OsString| match word.to_str() {
            Some(text) => Ok(text.to_owned()),
            None => Err(Failure::Usage(format!("{} is not UTF-8", word.display()))),
        };
        let argument = words.map(text).collect::<Result<Vec<_>, _>>()?;
        let target = Target { script, function: text(function)?, argument };
        let named = target.argument.iter().filter(|word| named::is_named(word)).count();
        if named > 0 && named < target.argument.len() {
            let message = "the argument is either JSON or parameters by name (NAME=VALUE), not both";
            usage_error::<A>(command, ErrorKind::ArgumentConflict, message);
        }
        if named == 0 && target.argument.len() > 1 {
            too_many::<A>(command);
        }
        Ok(target)
    }
}

impl Target {
    /// The argument: none if the command line has none.
    ///
    /// # Errors
    /// [`Failure::Usage`] for text that is not JSON and for files that cannot be read.
    pub(crate) fn argument(&self, codec: Codec) -> Result<Argument, Failure> {
        match self.argument.as_slice() {
            [] => Ok(Argument::Absent(codec)),
            [word] if !named::is_named(word) => Argument::json(word, codec),
            words => Argument::json_text(named::object(words)?, codec),
        }
    }

    /// The call, made for many clones: each copies a reference to the name, not the name.
    pub(crate) fn repeatable_call(&self, codec: Codec) -> Result<Call, Failure> {
        let argument = self.argument(codec)?;
        let function: &'static str = self.function.clone().leak();
        Ok(argument.into_call(function)?)
    }
}

/// Exits with a usage error: the function takes one argument.
pub(crate) fn too_many<A: Args>(command: &'static str) -> ! {
    let message = "there is more than one argument for the function; give JSON once, or parameters by name \
        (NAME=VALUE)";
    usage_error::<A>(command, ErrorKind::TooManyValues, message)
}

/// Exits as clap does for wrong usage of `command`.
fn usage_error<A: Args>(command: &'static str, kind: ErrorKind, message: &str) -> ! {
    let command = clap::Command::new(command).bin_name(format!("pyproc {command}"));
    let mut command = A::augment_args(command);
    command.build();
    command.error(kind, message).exit()
}
