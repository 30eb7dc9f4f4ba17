//! Finding and probing the Python interpreter of a pool. The main structure is [`Interpreter`].

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{Access, access};
use serde::Deserialize;
use tokio::time::timeout_at;

use super::child::exited;
use super::command::{CommandLine, Inherited};
use super::spawner::{self, Group, Spawner};
use super::{memfd, package};
use crate::error::{ExitStatus, Python, StartError};

/// The oldest Python that workers run on.
const OLDEST: [u32; 2] = [3, 9];

/// How much of the standard error of a probe an error contains.
const STDERR_LIMIT: u64 = 8 * 1024;

/// The report of a probe is much shorter.
const REPORT_LIMIT: u64 = 64 * 1024;

/// The shortest limit of a probe, which a longer `start_timeout` extends. A probe also compiles the
/// package, so a `start_timeout` that suits the user's worker may be too short for it.
const PROBE_TIMEOUT: Duration = Duration::from_secs(30);

/// An interpreter that can run workers, and the package `pyproc_worker` compiled for it.
#[derive(Clone, Debug)]
pub(crate) struct Interpreter {
    pub(crate) python: Arc<Python>,
    /// A sealed zip file that all workers share.
    pub(super) package: Arc<OwnedFd>,
}

/// The report of the probe.
#[derive(Deserialize)]
struct Report {
    version: [u32; 3],
    implementation: String,
    /// Bytes, because a path may not be UTF-8.
    #[serde(default)]
    executable: Vec<u8>,
}

impl Interpreter {
    /// Finds the configured interpreter, or else that of the environment, and probes it within
    /// `limit` or [`PROBE_TIMEOUT`], whichever is longer.
    pub(super) async fn resolve(
        configured: Option<&Path>,
        spawner: &Spawner,
        limit: Duration,
    ) -> Result<Self, StartError> {
        let found = Search::of_host(configured)
            .find(is_executable)
            .map_err(|looked_for| StartError::InterpreterNotFound { looked_for: looked_for.into() })?;
        // Workers may run in another directory.
        let path = std::path::absolute(found).map_err(StartError::io("find the working directory"))?;
        let interpreter = probe(&path, spawner, limit.max(PROBE_TIMEOUT)).await?;
        tracing::debug!(target: "pyproc::worker", python = %interpreter.python, "found the interpreter");
        Ok(interpreter)
    }
}

/// Where to find an interpreter.
#[derive(Clone, Debug, Default)]
struct Search {
    /// The configured interpreter.
    named: Option<PathBuf>,
    /// The active virtual environment.
    virtual_env: Option<PathBuf>,
    /// The directories of `PATH`.
    path: Vec<PathBuf>,
}

impl Search {
    /// The configured interpreter, if any, and the environment of the host.
    fn of_host(configured: Option<&Path>) -> Self {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        Self {
            named: configured.map(Path::to_owned),
            virtual_env: variable("VIRTUAL_ENV").map(PathBuf::from),
            path: variable("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default(),
        }
    }

    /// The first interpreter that is an executable file, or a description of what was not found.
    fn find(&self, is_executable: impl Fn(&Path) -> bool) -> Result<PathBuf, String> {
        let in_path = |name: &OsStr| {
            let found =
                self.path.iter().map(|directory| directory.join(name)).find(|path| is_executable(path));
            found.ok_or_else(|| format!("no {} in PATH", name.display()))
        };
        match (&self.named, &self.virtual_env) {
            (Some(named), _) if named.components().count() > 1 || named.is_absolute() => {
                match is_executable(named) {
                    true => Ok(named.clone()),
                    false => Err(format!("{} is not an executable file", named.display())),
                }
            }
            (Some(named), _) => in_path(named.as_os_str()),
            (None, Some(root)) if is_executable(&root.join("bin/python")) => Ok(root.join("bin/python")),
            (None, _) => in_path(OsStr::new("python3")),
        }
    }
}

async fn probe(path: &Path, spawner: &Spawner, limit: Duration) -> Result<Interpreter, StartError> {
    let unusable = |reason: String, stderr: &str| StartError::InterpreterUnusable {
        path: path.to_owned(),
        reason: reason.into(),
        stderr: stderr.trim_end().into(),
    };
    let io_error = |error: io::Error| unusable(error.to_string(), "");
    let file = |name| memfd::create(name).map(Arc::new).map_err(StartError::io("create a memory file"));
    let (package, report, stderr) =
        (file("pyproc-package")?, file("pyproc-report")?, memfd::create("pyproc-probe").map_err(io_error)?);
    let sources = memfd::with_content("pyproc-sources", &package::sources_json()).map_err(io_error)?;
    let inherited = Inherited(vec![
        ("PYPROC_PACKAGE_FD", Arc::clone(&package)),
        ("PYPROC_REPORT_FD", Arc::clone(&report)),
    ]);
    let to_stderr = Stdio::from(stderr.try_clone().map_err(io_error)?);
    let command = CommandLine::probe(path, &inherited).into_command(sources.into(), Stdio::null(), to_stderr);

    let deadline = spawner::deadline(limit);
    let child = spawner.spawn(command, Group::Own, inherited.into_fds(), deadline).await.map_err(io_error)?;
    let child = child.watch().map_err(io_error)?;
    let status = timeout_at(deadline, exited(&child)).await;
    let status = status.map_err(|_| unusable(format!("it did not answer within {limit:?}"), ""))?;

    let said = memfd::read_tail(&stderr, STDERR_LIMIT).map_err(io_error)?;
    let report = memfd::read_tail(&report, REPORT_LIMIT).map_err(io_error)?;
    match serde_json::from_str::<Report>(&report) {
        Ok(report) if report.version[..2] < OLDEST[..] => {
            Err(StartError::UnsupportedVersion { path: path.to_owned(), found: version(&report).into() })
        }
        // The probe writes the report last, so the report suffices if the host ignores SIGCHLD and
        // the status is lost.
        Ok(report) if matches!(status, ExitStatus::Code(0) | ExitStatus::Unknown) => {
            memfd::seal(&package).await.map_err(io_error)?;
            let version = version(&report);
            let python = Python::new(OsString::from_vec(report.executable), version);
            Ok(Interpreter { python: Arc::new(python), package })
        }
        _ => Err(unusable(format!("it {status}"), &said)),
    }
}

fn version(report: &Report) -> String {
    let [major, minor, patch] = report.version;
    match report.implementation.as_str() {
        "cpython" => format!("{major}.{minor}.{patch}"),
        other => format!("{major}.{minor}.{patch} ({other})"),
    }
}

fn is_executable(path: &Path) -> bool {
    path.is_file() && access(path, Access::EXEC_OK).is_ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::{Path, PathBuf};
    use std::time::Duration;

    use super::{Search, probe};
    use crate::process::spawner::Spawner;

    #[tokio::test]
    async fn interpreter_that_hangs_is_given_up_and_killed() {
        let directory = tempfile::tempdir().expect("the disk has room");
        let python = directory.path().join("python");
        std::fs::write(&python, "#!/bin/sh\nexec sleep 60\n").expect("the disk has room");
        std::fs::set_permissions(&python, std::fs::Permissions::from_mode(0o755))
            .expect("the test owns the file");
        let spawner = Spawner::start().expect("the system has threads");
        let error =
            probe(&python, &spawner, Duration::from_millis(200)).await.expect_err("the interpreter hangs");
        assert!(error.to_string().contains("did not answer"), "{error}");
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
            (search(Some("/opt/none"), None), Err("/opt/none is not an executable file")),
            (search(Some("none"), None), Err("no none in PATH")),
        ];
        for (search, expected) in rows {
            let expected = expected.map(PathBuf::from).map_err(str::to_owned);
            assert_eq!(search.find(exists), expected, "{search:?}");
        }
    }
}
