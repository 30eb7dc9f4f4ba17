//! How workers start, and how starts fail.

use std::io::Write as _;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix_pyproc::backend::PythonBackend;
use actix_pyproc::config::JsonLibrary;
use actix_pyproc::error::{ExitCause, ExitStatus};
use actix_pyproc::pool::FunctionKind;
use actix_pyproc::{Call, CallError, PoolConfig, StartError};
use actix_pyproc_actors::backend::{Backend as _, Link as _};
use actix_pyproc_actors::id::{Generation, SlotId};

use crate::driver::{Driver, start_error, worker};
use crate::support::processes::gone;
use crate::support::{CAP, fixture};

/// A program in place of an interpreter.
fn fake_python(directory: &tempfile::TempDir, script: &str) -> PathBuf {
    let path = directory.path().join("python");
    let mut file = std::fs::File::create(&path).expect("the directory is ours");
    write!(file, "#!/bin/sh\n{script}\n").expect("the disk has room");
    file.set_permissions(std::fs::Permissions::from_mode(0o755)).expect("the file is ours");
    path
}

#[actix_rt::test]
async fn worker_that_is_ready_tells_its_functions() {
    let driver = Driver::basic().await;
    let catalog = driver.backend.handle().catalog();
    let add = catalog.iter().find(|function| function.name == "add").expect("it is exposed");
    let doc = "Adds two numbers.\n\nNot the first line.";
    assert_eq!((add.signature.as_str(), add.doc.as_deref()), ("(a, b=1)", Some(doc)));
    assert_eq!((add.kind, add.parameters.len(), add.parameters[1].required), (FunctionKind::Sync, 2, false));
    let wait = catalog.iter().find(|function| function.name == "wait").expect("it is exposed");
    assert_eq!(wait.kind, FunctionKind::Async);
    assert!(driver.backend.handle().python_version().starts_with("3."));
    assert!(driver.backend.handle().python_executable().is_absolute());
    assert!(driver.link.rss().expect("it lives") > 1 << 20);
}

#[actix_rt::test]
async fn module_is_run_from_the_working_directory() {
    let mut driver = Driver::start(PoolConfig::module("basic").cwd(fixture(""))).await;
    let reply = driver.call(Call::raw_json("echo", "7")).await.expect("it returns");
    assert_eq!(reply.json::<i32>().expect("it is a number"), 7);
}

#[actix_rt::test]
async fn users_variables_are_expanded_and_those_of_the_protocol_are_gone() {
    let config = Arc::new(worker("basic.py").env("DEVICE", "cuda:{slot}"));
    let backend = PythonBackend::new(config).await.expect("Python is installed");
    let link = backend.launch(SlotId(5), Generation(1)).await.expect("the worker starts");
    drop(link);
    let mut driver = Driver::start(worker("basic.py").env("DEVICE", "cuda:{slot}")).await;
    let reply = driver.call(Call::raw_json("environment", "\"DEVICE\"")).await.expect("it returns");
    assert_eq!(reply.json::<String>().expect("it is a string"), "cuda:0");
    let reply = driver.call(Call::raw_json("descriptors", "null")).await.expect("it returns");
    assert_eq!(reply.value().expect("it is JSON"), serde_json::json!({}));
}

#[actix_rt::test]
async fn worker_runs_in_the_virtual_environment_of_its_interpreter() {
    let directory = tempfile::tempdir().expect("the disk has room");
    let root = directory.path().join("venv");
    let made =
        std::process::Command::new("python3").args(["-m", "venv", "--without-pip"]).arg(&root).status();
    assert!(made.expect("Python is installed").success());
    let mut driver = Driver::start(worker("basic.py").python(root.join("bin/python"))).await;
    let reply = driver.call(Call::raw_json("prefix", "null")).await.expect("it returns");
    assert_eq!(reply.json::<PathBuf>().expect("it is a path"), root);
}

#[actix_rt::test]
async fn script_that_does_not_parse_fails_with_its_traceback() {
    let error = start_error(worker("syntax_error.py")).await;
    let StartError::Failed { type_name, traceback, exit, .. } = &error else { panic!("{error:?}") };
    assert_eq!(&**type_name, "SyntaxError");
    assert!(traceback.contains("syntax_error.py"), "{traceback}");
    assert_eq!(exit.status, ExitStatus::Code(1));
    assert!(error.stderr_tail().iter().any(|line| line.contains("SyntaxError")), "{error:?}");
    assert!(error.details().contains("def broken"), "{}", error.details());
}

#[actix_rt::test]
async fn script_whose_import_fails_says_which() {
    let error = start_error(worker("import_error.py")).await;
    let StartError::Failed { type_name, message, python, .. } = &error else { panic!("{error:?}") };
    assert_eq!(&**type_name, "ModuleNotFoundError");
    assert!(message.contains("no_such_module_anywhere"), "{message}");
    assert!(python.executable.is_absolute() && python.version.starts_with("3."), "{python}");
    let sentence = format!(
        "failed to start the worker: ModuleNotFoundError: No module named \
         'no_such_module_anywhere' ({python})"
    );
    assert_eq!(error.to_string(), sentence);
    // As `fn main() -> Result<(), StartError>` prints it.
    let printed = format!("{error:?}");
    assert!(printed.starts_with(&format!("{sentence}\n\nTraceback (most recent call last):\n")), "{printed}");
    let hint = printed.lines().last().expect("it has lines");
    assert!(
        hint.contains(&*python.executable.display().to_string()) && hint.contains("PYPROC_PYTHON"),
        "{hint}"
    );
}

#[actix_rt::test]
async fn json_library_that_cannot_be_imported_is_named_with_the_command_that_installs_it() {
    for library in [JsonLibrary::Orjson, JsonLibrary::Msgspec] {
        let (name, directory) = (library.as_str(), tempfile::tempdir().expect("the disk has room"));
        let module = directory.path().join(format!("{name}.py"));
        std::fs::write(module, "raise ModuleNotFoundError('not here')").expect("the disk has room");
        let path = directory.path().to_string_lossy();
        let error = start_error(worker("basic.py").json(library).env("PYTHONPATH", path)).await;
        let StartError::Failed { message, python, .. } = &error else { panic!("{error:?}") };
        let required = format!("failed to import {name}, which json = \"{name}\" requires: not here");
        assert!(message.starts_with(&required), "{message}");
        let command = format!("install it with `{} -m pip install {name}`", python.executable.display());
        assert!(message.ends_with(&command), "{message}");
    }
}

#[actix_rt::test]
async fn worker_that_exits_before_it_is_ready_is_told_at_once_with_its_last_words() {
    // Waiting for the time-out would take longer than a test may wait.
    let error = start_error(worker("exits_at_once.py").start_timeout(2 * CAP)).await;
    let StartError::Exited { exit, .. } = &error else { panic!("{error:?}") };
    assert_eq!((exit.status, &exit.cause), (ExitStatus::Code(4), &ExitCause::Crashed));
    assert_eq!(error.stderr_tail(), ["no licence"]);
    let text = error.to_string();
    assert!(
        text.starts_with(
            "failed to start the worker: it exited with status 4 before it was ready (Python 3."
        ),
        "{text}"
    );
}

#[actix_rt::test]
async fn worker_that_a_signal_kills_at_start_is_told_with_the_signals_name() {
    let error = start_error(worker("dies_at_start.py")).await;
    let text = error.to_string();
    assert!(text.contains(": it was killed by SIGKILL before it was ready (Python 3."), "{text}");
}

#[actix_rt::test]
async fn worker_that_hangs_is_killed_at_the_time_out_and_its_stacks_say_where() {
    let mut limit = Duration::from_secs(1);
    loop {
        let error = start_error(worker("hangs_at_start.py").start_timeout(limit)).await;
        let StartError::TimedOut { after, exit, .. } = &error else { panic!("{error:?}") };
        assert_eq!(*after, limit);
        assert_eq!((exit.status.signal(), &exit.cause), (Some(9), &ExitCause::StartTimeout));
        gone(exit.pid).await;
        if limit < CAP / 4 && exit.stderr_tail.is_empty() {
            // The machine is so busy that the time-out came before the worker hung.
            limit *= 4;
            continue;
        }
        assert!(exit.stacks.as_ref().is_some_and(|stacks| stacks.contains("load_the_model")), "{exit:?}");
        return assert_eq!(&exit.stderr_tail[..], ["loading"]);
    }
}

#[actix_rt::test]
async fn what_is_missing_is_named_before_anything_is_started() {
    let error = start_error(worker("no_such_worker.py")).await;
    assert!(
        matches!(&error, StartError::ScriptNotFound { path } if path.ends_with("no_such_worker.py")),
        "{error}"
    );
    let error = start_error(worker("basic.py").python("/nonexistent/python3")).await;
    assert!(matches!(&error, StartError::InterpreterNotFound { .. }), "{error}");
    assert!(error.to_string().contains("/nonexistent/python3"), "{error}");
    let error = start_error(worker("basic.py").workers(0)).await;
    assert!(matches!(&error, StartError::InvalidConfig(_)), "{error}");
}

#[actix_rt::test]
async fn paths_need_not_be_utf_8() {
    let directory = tempfile::tempdir().expect("the disk has room");
    let odd = directory.path().join(std::ffi::OsString::from_vec(b"caf\xe9".to_vec()));
    std::fs::create_dir(&odd).expect("the directory is ours");
    let (script, python) = (odd.join("w\u{e9}rker.py"), odd.join("python"));
    std::fs::copy(fixture("basic.py"), &script).expect("the disk has room");
    let found =
        std::process::Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output();
    let found = String::from_utf8(found.expect("Python is installed").stdout).expect("its path is UTF-8");
    symlink(found.trim(), &python).expect("the directory is ours");

    let mut driver = Driver::start(PoolConfig::new(&script).python(&python).cwd(&odd)).await;
    assert_eq!(driver.backend.handle().python_executable(), python);
    let reply = driver.call(Call::raw_json("fail", "\"x\"")).await.expect_err("it raises");
    assert!(
        matches!(&reply, CallError::Exception { traceback, .. } if traceback.contains("rker.py")),
        "{reply:?}"
    );

    std::fs::write(&script, "def broken(:").expect("the disk has room");
    let error = start_error(PoolConfig::new(&script)).await;
    assert!(error.details().contains("def broken"), "{error:?}");
}

#[actix_rt::test]
async fn what_no_process_can_be_given_is_an_error_of_the_start() {
    let rows = [
        PoolConfig::new("/tmp/a\0b.py"),
        worker("basic.py").cwd("/tmp/a\0b"),
        worker("basic.py").cwd("/nonexistent/directory"),
        worker("basic.py").python("/tmp/a\0b"),
        worker("basic.py").env("NAME", "a\0b"),
        worker("basic.py").env("NA\0ME", "value"),
        worker("basic.py").env("NAME", "x".repeat(1 << 20)),
    ];
    for config in rows {
        println!("{:?}", start_error(config).await);
    }
    let error = start_error(worker("basic.py").cwd("/nonexistent/directory")).await.to_string();
    assert!(
        error.starts_with("failed to run /") && error.contains(" in /nonexistent/directory: "),
        "{error}"
    );
}

#[actix_rt::test]
async fn interpreter_that_is_too_old_is_refused_with_its_version() {
    let directory = tempfile::tempdir().expect("the disk has room");
    let report = r#"{"version": [3, 8, 20], "implementation": "cpython"}"#;
    let python = fake_python(&directory, &format!("echo '{report}' > /proc/self/fd/$PYPROC_REPORT_FD"));
    let error = start_error(worker("basic.py").python(python)).await;
    assert!(
        matches!(&error, StartError::UnsupportedVersion { found, .. } if &**found == "3.8.20"),
        "{error}"
    );
    assert!(error.to_string().contains("3.9 or later"), "{error}");
}

#[actix_rt::test]
async fn program_that_is_no_python_is_refused_with_what_it_said() {
    let directory = tempfile::tempdir().expect("the disk has room");
    let python = fake_python(&directory, "echo 'no python here' >&2; exit 7");
    let error = start_error(worker("basic.py").python(python)).await;
    assert!(matches!(&error, StartError::InterpreterUnusable { .. }), "{error:?}");
    let text = format!("{error:?}");
    assert!(text.contains("it exited with status 7\n\nno python here\n\nhint: "), "{text}");
}

// A short limit for workers also cut the probe, which compiles the package.
#[actix_rt::test]
async fn short_start_timeout_does_not_cut_the_probe_of_the_interpreter() {
    let directory = tempfile::tempdir().expect("the disk has room");
    let python = fake_python(&directory, "sleep 0.3; exec python3 \"$@\"");
    let config = Arc::new(worker("basic.py").python(python).start_timeout(Duration::from_millis(200)));
    assert!(PythonBackend::new(config).await.is_ok());
}
