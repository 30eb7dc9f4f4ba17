//! The Python interpreter of a pool, found and looked at once. The main structure is
//! [`Interpreter`].

use std::ffi::OsString;
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

use super::body::exited;
use super::command::{CommandLine, Inherited, Search};
use super::spawner::{self, Spawner};
use super::{memfd, package};
use crate::config::PoolConfig;
use crate::error::{ExitStatus, StartError};

/// The oldest Python that workers run on.
const OLDEST: [u32; 2] = [3, 9];

/// How much of a probe's standard error is told.
const STDERR_LIMIT: u64 = 8 * 1024;

/// A probe's report is far shorter.
const REPORT_LIMIT: u64 = 64 * 1024;

/// How long a probe may take at least. It also compiles the package, so `start_timeout`, which is
/// about the user's worker, can only extend it.
const PROBE_TIMEOUT: Duration = Duration::from_secs(30);

/// An interpreter that is fit for workers, and the package `pyproc_worker` compiled for it.
#[derive(Clone, Debug)]
pub(crate) struct Interpreter {
    /// The interpreter itself, not the script of a version manager that was found in its place.
    pub(crate) executable: PathBuf,
    /// Its version.
    pub(crate) version: String,
    /// A sealed zip file, shared by all workers.
    pub(super) package: Arc<OwnedFd>,
}

/// What the probe tells.
#[derive(Deserialize)]
struct Report {
    version: [u32; 3],
    implementation: String,
    /// Bytes, as a path need not be UTF-8.
    #[serde(default)]
    executable: Vec<u8>,
}

impl Interpreter {
    /// Finds the interpreter that the configuration or the environment names, and looks at it.
    pub(crate) async fn resolve(config: &PoolConfig, spawner: &Spawner) -> Result<Self, StartError> {
        let found = Search::of_host(config)
            .find(is_program)
            .map_err(|looked_for| StartError::InterpreterNotFound { looked_for: looked_for.into() })?;
        // A relative path would count from the working directory of the workers.
        let path = std::path::absolute(found).map_err(StartError::io("find the working directory"))?;
        let interpreter = probe(&path, spawner, config.start_timeout.max(PROBE_TIMEOUT)).await?;
        tracing::debug!(executable = ?interpreter.executable, version = interpreter.version, "found the interpreter");
        Ok(interpreter)
    }
}

async fn probe(path: &Path, spawner: &Spawner, limit: Duration) -> Result<Interpreter, StartError> {
    let unusable =
        |reason: String| StartError::InterpreterUnusable { path: path.to_owned(), reason: reason.into() };
    let io_error = |error: io::Error| unusable(error.to_string());
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
    let child = spawner.spawn(command, inherited.into_fds(), deadline).await.map_err(io_error)?;
    let child = child.watch().map_err(io_error)?;
    let status = timeout_at(deadline, exited(&child)).await;
    let status = status.map_err(|_| unusable(format!("it did not answer within {limit:?}")))?;

    let said = memfd::read_tail(&stderr, STDERR_LIMIT).map_err(io_error)?;
    let report = memfd::read_tail(&report, REPORT_LIMIT).map_err(io_error)?;
    match serde_json::from_str::<Report>(&report) {
        Ok(report) if report.version[..2] < OLDEST[..] => {
            Err(StartError::UnsupportedVersion { path: path.to_owned(), found: version(&report).into() })
        }
        // The report comes last, so it is enough where the host ignores SIGCHLD and the status is
        // lost.
        Ok(report) if matches!(status, ExitStatus::Code(0) | ExitStatus::Unknown) => {
            memfd::seal(&package).map_err(io_error)?;
            let version = version(&report);
            let executable = OsString::from_vec(report.executable).into();
            Ok(Interpreter { executable, version, package })
        }
        _ => Err(unusable(format!("{status}\n{said}").trim_end().to_owned())),
    }
}

fn version(report: &Report) -> String {
    let [major, minor, patch] = report.version;
    match report.implementation.as_str() {
        "cpython" => format!("{major}.{minor}.{patch}"),
        other => format!("{major}.{minor}.{patch} ({other})"),
    }
}

fn is_program(path: &Path) -> bool {
    path.is_file() && access(path, Access::EXEC_OK).is_ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::Duration;

    use super::super::spawner::Spawner;
    use super::probe;

    #[tokio::test]
    async fn interpreter_that_hangs_is_given_up_and_killed() {
        let directory = tempfile::tempdir().expect("the disk has room");
        let python = directory.path().join("python");
        std::fs::write(&python, "#!/bin/sh\nexec sleep 60\n").expect("the disk has room");
        std::fs::set_permissions(&python, std::fs::Permissions::from_mode(0o755)).expect("the file is ours");
        let spawner = Spawner::start().expect("the system has threads");
        let error = probe(&python, &spawner, Duration::from_millis(200)).await.expect_err("it hangs");
        assert!(error.to_string().contains("did not answer"), "{error}");
    }
}
