//! The command lines of workers and of the probe. The main structure is [`CommandLine`].

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

const BOOTSTRAP: &str = include_str!("bootstrap.py");
const PROBE: &str = include_str!("probe.py");

/// Lets a worker use the terminal of the host, for a debugger.
const TERMINAL: &str = "PYPROC_TERMINAL";

/// Variables of the host that workers do not inherit. With the tokens a worker could call, restart
/// and stop its own gateway.
const KEPT: [&str; 3] = ["PYPROC_TOKEN", "PYPROC_CONTROL_TOKEN", TERMINAL];

/// A program, its arguments, and the changes to the environment of the host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CommandLine {
    program: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    cwd: Option<PathBuf>,
}

/// The descriptors that a child inherits. For each one, a variable has its number.
#[derive(Clone, Debug, Default)]
pub(super) struct Inherited(pub(super) Vec<(&'static str, Arc<OwnedFd>)>);

impl Inherited {
    fn variables(&self) -> impl Iterator<Item = (OsString, OsString)> + '_ {
        self.0.iter().map(|(name, fd)| ((*name).into(), fd.as_raw_fd().to_string().into()))
    }

    pub(super) fn into_fds(self) -> Vec<Arc<OwnedFd>> {
        self.0.into_iter().map(|(_, fd)| fd).collect()
    }
}

impl CommandLine {
    /// The worker of a slot, with the variables `env` and the working directory `cwd`. `code` names
    /// its script or module in lists of processes.
    pub(super) fn worker(
        env: &BTreeMap<String, String>,
        cwd: Option<&Path>,
        interpreter: &Path,
        (code, slot): (&OsStr, u32),
        inherited: &Inherited,
    ) -> Self {
        let slot = slot.to_string();
        // Python ignores `-X` options that it does not know. They change neither `sys.argv` nor the
        // arguments of processes that the worker starts.
        let mut title = OsString::from("pyproc: ");
        title.push(code);
        title.push(format!(" slot {slot}"));
        let user = env.iter().map(|(name, value)| (name.into(), value.replace("{slot}", &slot).into()));
        Self {
            program: interpreter.to_owned(),
            args: vec!["-X".into(), title, "-c".into(), BOOTSTRAP.into()],
            env: user.chain(inherited.variables()).collect(),
            cwd: cwd.map(Path::to_owned),
        }
    }

    /// The command line of a worker that stays in the process group of the host.
    pub(super) fn with_terminal(mut self) -> Self {
        self.env.push((TERMINAL.into(), "1".into()));
        self
    }

    /// The probe of an interpreter. It uses neither the environment nor `site`, because both take
    /// time.
    pub(super) fn probe(interpreter: &Path, inherited: &Inherited) -> Self {
        Self {
            program: interpreter.to_owned(),
            args: ["-ESs", "-c", PROBE].map(OsString::from).into(),
            env: inherited.variables().collect(),
            cwd: None,
        }
    }

    /// The command with its standard streams.
    pub(super) fn into_command(self, stdin: Stdio, stdout: Stdio, stderr: Stdio) -> Command {
        let mut command = Command::new(self.program);
        KEPT.iter().for_each(|name| {
            command.env_remove(name);
        });
        command.args(self.args).envs(self.env).stdin(stdin).stdout(stdout).stderr(stderr);
        if let Some(cwd) = self.cwd {
            command.current_dir(cwd);
        }
        command
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs::File;
    use std::os::fd::AsRawFd as _;
    use std::path::Path;
    use std::process::Stdio;
    use std::sync::Arc;

    use super::{BOOTSTRAP, CommandLine, Inherited};

    #[test]
    fn worker_has_the_users_variables_with_its_slot_and_the_numbers_of_its_descriptors() {
        let fd = Arc::new(File::open("/dev/null").expect("every system has /dev/null").into());
        let inherited = Inherited(vec![("PYPROC_SOCKET_FD", Arc::clone(&fd))]);
        let env = [("GPU", "cuda:{slot}"), ("X", "{other}")];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let cwd = Some(Path::new("/srv"));
        let line = CommandLine::worker(&env, cwd, Path::new("/opt/python"), ("w.py".as_ref(), 7), &inherited);
        let number = fd.as_raw_fd().to_string();
        assert_eq!(
            line,
            CommandLine {
                program: "/opt/python".into(),
                args: vec!["-X".into(), "pyproc: w.py slot 7".into(), "-c".into(), BOOTSTRAP.into()],
                env: vec![
                    ("GPU".into(), "cuda:7".into()),
                    ("X".into(), "{other}".into()),
                    ("PYPROC_SOCKET_FD".into(), number.into()),
                ],
                cwd: Some("/srv".into()),
            }
        );
    }

    #[test]
    fn tokens_of_the_gateway_are_not_in_the_environment_of_workers() {
        let (python, inherited) = (Path::new("/opt/python"), Inherited::default());
        let worker = CommandLine::worker(&BTreeMap::new(), None, python, ("w.py".as_ref(), 7), &inherited);
        let probe = CommandLine::probe(python, &inherited);
        for line in [worker, probe] {
            let command = line.into_command(Stdio::null(), Stdio::null(), Stdio::null());
            for name in ["PYPROC_TOKEN", "PYPROC_CONTROL_TOKEN"] {
                assert!(command.get_envs().any(|entry| entry == (name.as_ref(), None)), "{name}");
            }
        }
    }
}
