//! `pyproc init` creates a project that builds and runs; completions and manual pages list every
//! command.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{Ended, Pyproc};
use crate::support::root;

const COMMANDS: [&str; 7] = ["check", "call", "bench", "config", "init", "completions", "man"];

fn pyproc(cwd: &Path, args: &[&str]) -> Ended {
    Pyproc::new().cwd(cwd).args(args).run()
}

fn stdout(ended: Ended) -> String {
    String::from_utf8(ended.exits(0).stdout).expect("it is UTF-8")
}

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("the disk has room")
}

/// The target directory of this build, so that dependencies are not built again.
fn target_directory() -> PathBuf {
    let binary = Path::new(env!("CARGO_BIN_EXE_pyproc"));
    binary.ancestors().nth(2).expect("the binary is in target/debug").to_owned()
}

#[test]
fn project_builds_and_runs_and_says_what_to_type_next() {
    let parent = directory();
    let output = pyproc(parent.path(), &["init", "my demo"]);
    assert!(output.stderr.contains("actix-pyproc is not published yet: the project depends on the checkout"));
    assert_eq!(stdout(output), "cd 'my demo'\ncargo run\n");

    let project = parent.path().join("my demo");
    // The same versions, because the machine may be offline.
    fs::copy(root().join("Cargo.lock"), project.join("Cargo.lock")).expect("the repository has a lock file");
    let cargo = |command: &str| {
        let ended = Command::new(env!("CARGO"))
            .args([command, "--offline", "--quiet"])
            .current_dir(&project)
            .env("CARGO_TARGET_DIR", target_directory())
            // As in the workspace, so that its dependencies fit.
            .env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only")
            .env_remove("PYPROC_WORKERS")
            .output()
            .expect("cargo runs");
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        String::from_utf8_lossy(&ended.stdout).into_owned()
    };
    assert_eq!(cargo("run"), "predict(21) = 42\n");
    let tested = cargo("test");
    assert!(tested.contains("2 passed"), "{tested}");

    let called = pyproc(&project, &["call", "worker.py", "predict", r#"{"value": 4}"#]);
    assert_eq!(stdout(called).trim(), r#"{"result":8}"#);
}

#[test]
fn files_are_those_of_a_project_and_depend_on_a_checkout() {
    let parent = directory();
    let checkout = root().to_str().expect("it is UTF-8");
    let output = pyproc(parent.path(), &["init", "a/demo", "--path", checkout]);
    assert_eq!(stdout(output), "cd a/demo\ncargo run\n");
    let read = |file: &str| fs::read_to_string(parent.path().join("a/demo").join(file)).expect(file);
    let manifest = read("Cargo.toml");
    assert!(manifest.contains("name = \"demo\"\n"), "{manifest}");
    let source = format!("actix-pyproc = {{ path = \"{checkout}\" }}");
    assert!(manifest.contains(&source) && !manifest.contains("[workspace]"), "{manifest}");
    assert!(read(".gitignore").contains("/target\n") && read("README.md").starts_with("# demo\n"));
    for file in ["Cargo.toml", "src/main.rs", "worker.py", "requirements.txt", ".gitignore", "README.md"] {
        assert!(!read(file).contains("{{"), "{file}");
    }
}

#[test]
fn project_inside_a_workspace_is_none_of_its_members() {
    let parent = directory();
    fs::write(parent.path().join("Cargo.toml"), "[workspace]\nmembers = []\n").expect("the disk has room");
    stdout(pyproc(parent.path(), &["init", "demo", "--name", "other"]));
    let manifest =
        fs::read_to_string(parent.path().join("demo/Cargo.toml")).expect("the manifest was written");
    assert!(manifest.contains("\n[workspace]\n") && manifest.contains("name = \"other\""), "{manifest}");
}

#[test]
fn what_is_there_is_left_alone() {
    let parent = directory();
    fs::create_dir(parent.path().join("empty")).expect("the disk has room");
    stdout(pyproc(parent.path(), &["init", "empty"]));
    fs::write(parent.path().join("file"), "").expect("the disk has room");
    for (args, expected) in [
        (&["init", "empty"][..], "empty is not empty; nothing was written"),
        (&["init", "file"], "file is not a directory"),
        (&["init", "new", "--path", "nowhere"], "failed to find nowhere"),
        (&["init", "new", "--name", "serde"], "the name is taken"),
        (&["init"], "DIR"),
    ] {
        let output = pyproc(parent.path(), args);
        assert_eq!(output.code, Some(2), "{args:?}");
        assert!(output.stderr.contains(expected), "{args:?}: {}", output.stderr);
        assert!(output.stdout.is_empty(), "{args:?}");
    }
    assert!(!parent.path().join("new").exists());
}

#[test]
fn completions_know_each_command_and_its_options() {
    for shell in ["bash", "zsh", "fish"] {
        let script = stdout(pyproc(Path::new("/"), &["completions", shell]));
        for word in COMMANDS.iter().chain(&["least-loaded", "schema"]) {
            assert!(script.contains(word), "{word} for {shell}");
        }
    }
    let output = pyproc(Path::new("/"), &["completions", "tcsh"]);
    assert_eq!(output.code, Some(2));
}

#[test]
fn manual_has_a_page_for_each_command() {
    let page = stdout(pyproc(Path::new("/"), &["man"]));
    assert!(page.contains(".TH pyproc 1") && page.contains("Exit codes:"), "{page}");
    let call = stdout(pyproc(Path::new("/"), &["man", "call"]));
    assert!(call.contains(".TH pyproc\\-call 1") || call.contains(".TH pyproc-call 1"), "{call}");
    assert!(call.contains("standard input"), "{call}");

    let pages = directory();
    stdout(pyproc(pages.path(), &["man", "--dir", "."]));
    for command in COMMANDS {
        assert!(page.contains(command), "{command} in pyproc.1");
        assert!(pages.path().join(format!("pyproc-{command}.1")).is_file(), "{command}");
    }
    assert!(pages.path().join("pyproc.1").is_file() && !pages.path().join("pyproc-help.1").exists());
    pyproc(Path::new("/"), &["man", "dance"]).exits(2);
}
