//! The command lines of the probe and of workers: pure. The main structure is [`CommandLine`].

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use crate::config::PoolConfig;

const BOOTSTRAP: &str = include_str!("bootstrap.py");
const PROBE: &str = include_str!("probe.py");

/// What the host knows and its workers need not know: with these a worker could call, restart and
/// stop its own gateway.
const SECRETS: [&str; 2] = ["PYPROC_TOKEN", "PYPROC_CONTROL_TOKEN"];

/// What is run, and what it has beside the host's own environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CommandLine {
    program: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    cwd: Option<PathBuf>,
}

/// The descriptors that a child inherits, each under the number that its variable tells.
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
    /// A worker in the place `slot`.
    pub(super) fn worker(config: &PoolConfig, interpreter: &Path, slot: u32, inherited: &Inherited) -> Self {
        let slot = slot.to_string();
        let user =
            config.env.iter().map(|(name, value)| (name.into(), value.replace("{slot}", &slot).into()));
        Self {
            program: interpreter.to_owned(),
            args: ["-c", BOOTSTRAP].map(OsString::from).into(),
            env: user.chain(inherited.variables()).collect(),
            cwd: config.cwd.clone(),
        }
    }

    /// The probe of an interpreter. It takes nothing from the environment or from `site`, for both
    /// take time.
    pub(super) fn probe(interpreter: &Path, inherited: &Inherited) -> Self {
        Self {
            program: interpreter.to_owned(),
            args: ["-ESs", "-c", PROBE].map(OsString::from).into(),
            env: inherited.variables().collect(),
            cwd: None,
        }
    }

    /// The command, ready to be started.
    pub(super) fn into_command(self, stdin: Stdio, stdout: Stdio, stderr: Stdio) -> Command {
        let mut command = Command::new(self.program);
        SECRETS.iter().for_each(|name| {
            command.env_remove(name);
        });
        command.args(self.args).envs(self.env).stdin(stdin).stdout(stdout).stderr(stderr);
        if let Some(cwd) = self.cwd {
            command.current_dir(cwd);
        }
        command
    }
}

/// Where an interpreter is looked for: what the caller named, or what the environment has.
#[derive(Clone, Debug, Default)]
pub(super) struct Search {
    /// The configured one, or that of `PYPROC_PYTHON`.
    pub(super) named: Option<PathBuf>,
    /// The active virtual environment.
    pub(super) virtual_env: Option<PathBuf>,
    /// The directories of `PATH`.
    pub(super) path: Vec<PathBuf>,
}

impl Search {
    /// As the configuration and the environment of the host say.
    pub(super) fn of_host(config: &PoolConfig) -> Self {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        Self {
            named: config.python_of_host(),
            virtual_env: variable("VIRTUAL_ENV").map(PathBuf::from),
            path: variable("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default(),
        }
    }

    /// The first interpreter that `is_program` says is there, or what was looked for in vain.
    pub(super) fn find(&self, is_program: impl Fn(&Path) -> bool) -> Result<PathBuf, String> {
        let in_path = |name: &OsStr| {
            let found = self.path.iter().map(|directory| directory.join(name)).find(|path| is_program(path));
            found.ok_or_else(|| format!("no {} in PATH", name.display()))
        };
        match (&self.named, &self.virtual_env) {
            (Some(named), _) if named.components().count() > 1 || named.is_absolute() => {
                match is_program(named) {
                    true => Ok(named.clone()),
                    false => Err(format!("{} is no program", named.display())),
                }
            }
            (Some(named), _) => in_path(named.as_os_str()),
            (None, Some(root)) if is_program(&root.join("bin/python")) => Ok(root.join("bin/python")),
            (None, _) => in_path(OsStr::new("python3")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsRawFd as _;
    use std::path::{Path, PathBuf};
    use std::process::Stdio;
    use std::sync::Arc;

    use super::{BOOTSTRAP, CommandLine, Inherited, Search};
    use crate::config::PoolConfig;

    #[test]
    fn worker_has_the_users_variables_with_its_slot_and_the_numbers_of_its_descriptors() {
        let fd = Arc::new(File::open("/dev/null").expect("it is always there").into());
        let inherited = Inherited(vec![("PYPROC_SOCKET_FD", Arc::clone(&fd))]);
        let config = PoolConfig::new("w.py").env("GPU", "cuda:{slot}").env("X", "{other}").cwd("/srv");
        let line = CommandLine::worker(&config, Path::new("/opt/python"), 7, &inherited);
        let number = fd.as_raw_fd().to_string();
        assert_eq!(
            line,
            CommandLine {
                program: "/opt/python".into(),
                args: vec!["-c".into(), BOOTSTRAP.into()],
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
        let config = PoolConfig::new("w.py");
        let worker = CommandLine::worker(&config, Path::new("/opt/python"), 7, &Inherited::default());
        let probe = CommandLine::probe(Path::new("/opt/python"), &Inherited::default());
        for line in [worker, probe] {
            let command = line.into_command(Stdio::null(), Stdio::null(), Stdio::null());
            for name in ["PYPROC_TOKEN", "PYPROC_CONTROL_TOKEN"] {
                assert!(command.get_envs().any(|entry| entry == (name.as_ref(), None)), "{name}");
            }
        }
    }

    #[test]
    fn interpreter_is_the_named_one_else_that_of_the_virtual_environment_else_python3() {
        let search = |named: Option<&str>, venv: Option<&str>| Search {
            named: named.map(PathBuf::from),
            virtual_env: venv.map(PathBuf::from),
            path: vec!["/a".into(), "/b".into()],
        };
        let programs = ["/opt/py", "./py", "/v/bin/python", "/b/python3", "/b/pypy"];
        let exists = |path: &Path| programs.iter().any(|program| Path::new(program) == path);
        let rows = [
            (search(Some("/opt/py"), Some("/v")), Ok("/opt/py")),
            (search(Some("./py"), None), Ok("./py")),
            (search(Some("pypy"), Some("/v")), Ok("/b/pypy")),
            (search(None, Some("/v")), Ok("/v/bin/python")),
            (search(None, Some("/gone")), Ok("/b/python3")),
            (search(None, None), Ok("/b/python3")),
            (search(Some("/opt/none"), None), Err("/opt/none is no program")),
            (search(Some("none"), None), Err("no none in PATH")),
        ];
        for (search, expected) in rows {
            let expected = expected.map(PathBuf::from).map_err(str::to_owned);
            assert_eq!(search.find(exists), expected, "{search:?}");
        }
    }
}
