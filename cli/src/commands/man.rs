//! `pyproc man`: the manual pages. The main item is [`run`].

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Command;
use clap_mangen::Man;

use crate::console::{note, stdout};
use crate::failure::Failure;

/// Print the manual page of pyproc, or of one of its commands
#[derive(clap::Args)]
#[command(after_help = "To read it: pyproc man | man -l -")]
pub(crate) struct Args {
    /// The command; without it, pyproc itself
    #[arg(value_name = "COMMAND")]
    command: Option<String>,
    /// Write all pages to a directory: pyproc.1, pyproc-call.1, ...
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    dir: Option<PathBuf>,
}

/// Prints or writes the pages of `pyproc` and its subcommands.
pub(crate) fn run(args: &Args, pyproc: Command) -> Result<(), Failure> {
    // `pyproc help` needs no page.
    let mut all = pyproc.disable_help_subcommand(true);
    all.build();
    match (&args.dir, &args.command) {
        (Some(dir), _) => write_all(&all, dir),
        (None, None) => print(&all),
        (None, Some(name)) => match all.find_subcommand(name) {
            Some(command) => print(command),
            None => Err(Failure::Usage(format!("unknown command {name:?}"))),
        },
    }
}

fn write_all(all: &Command, dir: &Path) -> Result<(), Failure> {
    fs::create_dir_all(dir)?;
    let pages: Vec<&Command> = std::iter::once(all).chain(all.get_subcommands()).collect();
    for command in &pages {
        Man::new((*command).clone()).generate_to(dir)?;
    }
    note(format_args!("wrote {} pages to {}", pages.len(), dir.display()));
    Ok(())
}

fn print(command: &Command) -> Result<(), Failure> {
    let mut page = Vec::new();
    Man::new(command.clone()).render(&mut page)?;
    Ok(stdout().write_all(&page)?)
}
