//! Commands in a directory of their own, none of which outlives the page. The main structure is
//! [`Running`].

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid};

use crate::support::blocking::until;

/// A command that has begun. It leads a process group, which is killed when this is dropped.
pub(crate) struct Running {
    child: Child,
    output: PathBuf,
}

/// Starts a script of bash in a directory. What it writes goes to the file `output`.
pub(crate) fn start(script: &str, directory: &Path, output: PathBuf) -> Running {
    let file = File::create(&output).expect("there is room for temporary files");
    let mut command = Command::new("bash");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PYPROC_")) {
        command.env_remove(name);
    }
    let binaries = Path::new(env!("CARGO_BIN_EXE_pyproc")).parent().expect("it is in a directory");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::iter::once(binaries.to_owned()).chain(std::env::split_paths(&path));
    command
        .args(["-u", "-o", "pipefail", "-c", script])
        .env("PATH", std::env::join_paths(path).expect("no directory has a colon in its name"))
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(file.try_clone().expect("a descriptor is left"))
        .stderr(file)
        .process_group(0);
    Running { child: command.spawn().expect("there is a bash"), output }
}

impl Running {
    /// What it has written so far.
    pub(crate) fn output(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.output).expect("it was created")).into_owned()
    }

    /// Waits for its end; gives its exit code. It is not reaped yet, so that nobody else gets the
    /// number of its group.
    pub(crate) fn code(&self) -> i32 {
        until("a command to end", || self.try_code())
    }

    /// The exit code, or 128 and the number of the signal that ended it; `None` while it runs.
    pub(crate) fn try_code(&self) -> Option<i32> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let status = waitid(WaitId::Pid(self.pid()), options).expect("it is our child")?;
        Some(status.exit_status().unwrap_or_else(|| 128 + status.terminating_signal().unwrap_or_default()))
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("it is not reaped");
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It fails when nobody is left in the group, which is what is wanted.
        let _ = kill_process_group(self.pid(), Signal::KILL);
        // It can only fail for a child that was reaped, and only this reaps it.
        let _ = self.child.wait();
    }
}
