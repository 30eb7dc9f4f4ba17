//! `pyproc man`: the manual pages.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::CommandFactory as _;
use clap_mangen::Man;

use crate::console::{note, stdout};
use crate::failure::Failure;

/// Print the manual page of pyproc, or of one of its commands
#[derive(clap::Args)]
#[command(after_help = "To read it: pyproc man | man -l -")]
pub(crate) struct Args {
    /// The command whose page it is
    #[arg(value_name = "COMMAND")]
    command: Option<String>,
    /// Write all pages into a directory: pyproc.1, pyproc-call.1, ...
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    dir: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    // Without `pyproc help`, of which there is nothing to be said.
    let mut all = crate::Command::command().disable_help_subcommand(true);
    all.build();
    match (&args.dir, &args.command) {
        (Some(dir), _) => write_all(&all, dir),
        (None, None) => print(&all),
        (None, Some(name)) => match all.find_subcommand(name) {
            Some(command) => print(command),
            None => Err(Failure::Usage(format!("there is no command {name:?}"))),
        },
    }
}

fn write_all(all: &clap::Command, dir: &Path) -> Result<(), Failure> {
    fs::create_dir_all(dir)?;
    let pages: Vec<&clap::Command> = std::iter::once(all).chain(all.get_subcommands()).collect();
    for command in &pages {
        Man::new((*command).clone()).generate_to(dir)?;
    }
    note(format_args!("{} pages in {}", pages.len(), dir.display()));
    Ok(())
}

fn print(command: &clap::Command) -> Result<(), Failure> {
    let mut page = Vec::new();
    Man::new(command.clone()).render(&mut page)?;
    Ok(stdout().write_all(&page)?)
}
