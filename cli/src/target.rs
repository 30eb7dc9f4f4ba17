//! What the positional arguments of `call` and its like say. The main structure is [`Target`].

use std::ffi::OsString;
use std::path::PathBuf;

use clap::CommandFactory as _;
use clap::error::ErrorKind;

use crate::failure::Failure;

/// Which function of which worker, and its argument as it was written.
pub(crate) struct Target {
    pub(crate) script: Option<PathBuf>,
    pub(crate) function: String,
    pub(crate) argument: Option<String>,
}

impl Target {
    /// Sorts `[WORKER] FUNCTION [JSON]`; WORKER is not among them if there is `-m`. Wrong usage of
    /// `command` ends the process.
    ///
    /// # Errors
    /// [`Failure::Usage`] for text that is not UTF-8.
    pub(crate) fn sort(words: &[OsString], has_module: bool, command: &str) -> Result<Self, Failure> {
        let mut words = words.iter();
        let script = if has_module { None } else { words.next().map(PathBuf::from) };
        let Some(function) = words.next() else {
            let message = "FUNCTION is missing: which function is to be called?";
            usage(command, ErrorKind::MissingRequiredArgument, message);
        };
        let text = |word: &OsString| match word.to_str() {
            Some(text) => Ok(text.to_owned()),
            None => Err(Failure::Usage(format!("{} is not UTF-8", word.display()))),
        };
        let target =
            Self { script, function: text(function)?, argument: words.next().map(text).transpose()? };
        if words.next().is_some() {
            too_many(command);
        }
        Ok(target)
    }
}

/// Ends the process: the function takes one argument.
pub(crate) fn too_many(command: &str) -> ! {
    usage(
        command,
        ErrorKind::TooManyValues,
        "there is more than one argument for the function, which takes one",
    )
}

/// Ends the process as clap does.
fn usage(command: &str, kind: ErrorKind, message: &str) -> ! {
    let mut all = crate::Command::command();
    all.build();
    all.find_subcommand_mut(command).expect("it is a command of ours").error(kind, message).exit()
}
