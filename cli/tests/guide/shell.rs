//! Shell commands in a given directory, which end with the test. The main structure is
//! [`Running`].

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid};

use crate::support::blocking::until;

/// A running command. It leads a process group, which is killed on drop.
pub(crate) struct Running {
    child: Child,
    output: PathBuf,
}

/// Starts a bash script in a directory. Its output goes to the file `output`.
pub(crate) fn start(script: &str, directory: &Path, output: PathBuf) -> Running {
    let file = File::create(&output).expect("the disk has room");
    let mut command = Command::new("bash");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PYPROC_")) {
        command.env_remove(name);
    }
    let binaries = Path::new(env!("CARGO_BIN_EXE_pyproc")).parent().expect("the binary is in a directory");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::iter::once(binaries.to_owned()).chain(std::env::split_paths(&path));
    command
        .args(["-u", "-o", "pipefail", "-c", script])
        .env("PATH", std::env::join_paths(path).expect("no directory name contains a colon"))
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(file.try_clone().expect("a descriptor is free"))
        .stderr(file)
        .process_group(0);
    Running { child: command.spawn().expect("bash is installed"), output }
}

impl Running {
    /// The output so far.
    pub(crate) fn output(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.output).expect("the file was created")).into_owned()
    }

    /// Waits for its end and returns its exit code. It stays a zombie, so that the number of its
    /// group is not reused.
    pub(crate) fn code(&self) -> i32 {
        until("a command to end", || self.try_code())
    }

    /// The exit code, or 128 plus the number of the signal that ended it; `None` while it runs.
    pub(crate) fn try_code(&self) -> Option<i32> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let status = waitid(WaitId::Pid(self.pid()), options).expect("the command is our child")?;
        Some(status.exit_status().unwrap_or_else(|| 128 + status.terminating_signal().unwrap_or_default()))
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("the command is not reaped");
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It fails if the group is empty, which is fine.
        let _ = kill_process_group(self.pid(), Signal::KILL);
        // It fails only for a child that was reaped, and no other code reaps it.
        let _ = self.child.wait();
    }
}
