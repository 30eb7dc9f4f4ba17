//! `pyproc completions`: what a shell needs to complete our command lines.

use std::io::Write as _;

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::console::stdout;
use crate::failure::Failure;

/// Print a script that lets a shell complete pyproc's command lines
#[derive(clap::Args)]
#[command(after_help = "bash: pyproc completions bash > ~/.local/share/bash-completion/completions/pyproc\n\
    zsh:  pyproc completions zsh > _pyproc, in a directory of $fpath\n\
    fish: pyproc completions fish > ~/.config/fish/completions/pyproc.fish")]
pub(crate) struct Args {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut crate::Command::command(), "pyproc", &mut script);
    Ok(stdout().write_all(&script)?)
}
