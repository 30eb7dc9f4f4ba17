//! A Python interpreter with the packages of an example. The main item is [`python`].

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio, exit};

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");

/// The interpreter for the workers of an example: the active one if it has the packages in the
/// example's requirements.txt, else that of a virtual environment in the target directory, which
/// the first run creates.
///
/// If neither works, it prints the reason and exits with 1.
pub(crate) fn python(example: &str) -> PathBuf {
    find(example).unwrap_or_else(|error| {
        eprintln!("error: failed to find a Python for the example {example}: {error}");
        exit(1)
    })
}

fn find(example: &str) -> Result<PathBuf, Box<dyn std::error::Error>> {
    // The program is TARGET/release/examples/NAME.
    let program = env::current_exe()?;
    let target = program.ancestors().nth(3).ok_or("the example must be run by Cargo")?;
    let active = active();
    let found = Command::new(&active)
        .arg(format!("{EXAMPLES}/support/venv.py"))
        .arg(format!("{EXAMPLES}/{example}/requirements.txt"))
        .arg(target.join("examples"))
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("{}: {error}", active.display()))?;
    let path = String::from_utf8(found.stdout)?;
    match found.status.success() && Path::new(path.trim_end()).is_file() {
        true => Ok(path.trim_end().into()),
        false => Err(format!("{} failed ({}); its output is above", active.display(), found.status).into()),
    }
}

/// The interpreter that a pool uses by default.
fn active() -> PathBuf {
    let variable = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let of_venv = || variable("VIRTUAL_ENV").map(|root| root.join("bin/python"));
    variable("PYPROC_PYTHON").or_else(of_venv).unwrap_or_else(|| "python3".into())
}
