//! `pyproc completions`: scripts that let a shell complete command lines of `pyproc`. The main item
//! is [`run`].

use std::io::Write as _;

use clap::Command;
use clap_complete::Shell;

use crate::console::stdout;
use crate::failure::Failure;

/// Print a script that lets a shell complete command lines of pyproc
#[derive(clap::Args)]
#[command(after_help = "bash: pyproc completions bash > ~/.local/share/bash-completion/completions/pyproc\n\
    zsh:  pyproc completions zsh > _pyproc, in a directory of $fpath\n\
    fish: pyproc completions fish > ~/.config/fish/completions/pyproc.fish")]
pub(crate) struct Args {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

pub(crate) fn run(args: &Args, mut pyproc: Command) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut pyproc, "pyproc", &mut script);
    Ok(stdout().write_all(&script)?)
}
