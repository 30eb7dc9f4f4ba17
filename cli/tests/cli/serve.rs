//! `pyproc serve`: a standard error that nobody reads, and changes of the code as editors,
//! checkouts and mounts make them. The main structure is [`Address`].

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::harness::{Pyproc, Running, until, worker};

/// The limit for an answer.
const CAP: Duration = Duration::from_secs(60);

/// The address of a gateway.
struct Address(String);

/// A command line of a gateway on a free port.
fn serve(script: impl AsRef<std::ffi::OsStr>, args: &[&str]) -> Pyproc {
    Pyproc::new().arg("serve").arg(script).args(&["--listen", "127.0.0.1:0", "--workers", "1"]).args(args)
}

fn listening(running: &mut Running) -> Address {
    let line = running.prints("listening on http://");
    Address(line.trim().trim_start_matches("listening on http://").to_owned())
}

impl Address {
    /// The status line and the body of the answer.
    fn ask(&self, method: &str, path: &str, body: &str) -> (String, String) {
        let mut stream = TcpStream::connect(&self.0).expect("the gateway listens");
        stream.set_read_timeout(Some(CAP)).expect("the timeout is not 0");
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.0);
        let rest = format!("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        stream.write_all(format!("{head}{rest}").as_bytes()).expect("the gateway reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the gateway answers");
        let (head, body) = answer.split_once("\r\n\r\n").expect("the answer is HTTP");
        (head.lines().next().unwrap_or_default().to_owned(), body.to_owned())
    }

    fn call(&self, function: &str) -> String {
        self.ask("POST", &format!("/call/{function}"), "null").1
    }

    /// Waits until the function returns `expected`.
    #[track_caller]
    fn gives(&self, function: &str, expected: &str) {
        until(&format!("{function} to return {expected}"), || {
            (self.call(function) == expected).then_some(())
        });
    }
}

#[test]
fn standard_error_that_nobody_reads_stops_neither_calls_nor_the_end() {
    let mut running = serve(worker("prints_without_end.py"), &[]).start_unread();
    let address = listening(&mut running);
    // Meanwhile the worker prints far more than the pipe and the queue can hold.
    for _ in 0..50 {
        assert_eq!(address.ask("GET", "/live", "").0, "HTTP/1.1 200 OK");
        assert_eq!(address.call("answer"), "42");
    }
    running.signal(Signal::TERM);
    running.end().exits(0);
}

#[test]
fn output_that_is_dropped_is_counted_when_standard_error_is_read_again() {
    let mut running = serve(worker("functions.py"), &["--log", "info"]).start_unread();
    let address = listening(&mut running);
    let text = format!("{:?}", "z".repeat(7000));
    // Ten megabytes fill the queue, and no call waits for it.
    for _ in 0..700 {
        assert_eq!(address.ask("POST", "/call/say", &text).1, "null");
    }
    running.read_stderr();
    running.reports(" lines of output were dropped");
    running.signal(Signal::TERM);
    let ended = running.end().exits(0);
    assert!(ended.stderr.contains("SIGTERM: waiting up to"), "{}", ended.stderr.len());
}

#[test]
fn call_ends_with_its_result_though_nobody_reads_standard_error() {
    let mut running = Pyproc::new().arg("call").arg(worker("prints_100_mb.py")).arg("answer").start_unread();
    assert_eq!(running.prints("42\n"), "42\n");
    running.end().exits(0);
}

fn code(version: impl std::fmt::Display) -> String {
    format!("from pyproc_worker import expose\n@expose\ndef version():\n    return {version}\n")
}

fn write(path: impl AsRef<Path>, text: &str) {
    fs::write(path, text).expect("the directory is writable");
}

fn end(mut running: Running, expected: &[&str]) {
    for text in expected {
        running.reports(text);
    }
    running.signal(Signal::TERM);
    running.end().exits(0);
}

/// A gateway with `--reload` that serves version 1.
fn reloading(script: &Path, args: &[&str]) -> (Running, Address) {
    let mut running = serve(script, &[&["--reload"], args].concat()).start();
    let address = listening(&mut running);
    running.reports("watching Python files in");
    assert_eq!(address.call("version"), "1");
    (running, address)
}

#[test]
fn reload_goes_on_when_the_directory_is_replaced() {
    let root = TempDir::new().expect("the directory is writable");
    let at = |name: &str| root.path().join(name);
    fs::create_dir(at("app")).expect("the directory is writable");
    write(at("app/worker.py"), &code(1));
    let (running, address) = reloading(&at("app/worker.py"), &[]);
    for (directory, version) in [("new", "22"), ("newer", "333")] {
        fs::create_dir(at(directory)).expect("the directory is writable");
        write(at(directory).join("worker.py"), &code(version));
        fs::rename(at("app"), at(&format!("before {directory}"))).expect("the directory exists");
        fs::rename(at(directory), at("app")).expect("the directory exists");
        address.gives("version", version);
        // The new directory is watched like the old one.
        let edited = format!("{version}{version}");
        write(at("app/worker.py"), &code(&edited));
        address.gives("version", &edited);
    }
    fs::remove_dir_all(at("app")).expect("the directory exists");
    fs::create_dir(at("app")).expect("the directory is writable");
    write(at("app/worker.py"), &code("'made again'"));
    address.gives("version", "\"made again\"");
    end(running, &["reloaded"]);
}

#[test]
fn reload_sees_a_package_that_is_moved_into_place() {
    let root = TempDir::new().expect("the directory is writable");
    let at = |name: &str| root.path().join(name);
    fs::create_dir_all(at("app/package")).expect("the directory is writable");
    let worker = "import package\nfrom pyproc_worker import expose\n@expose\ndef version():\n    return package.VERSION\n";
    write(at("app/worker.py"), worker);
    write(at("app/package/__init__.py"), "VERSION = 1\n");
    let (running, address) = reloading(&at("app/worker.py"), &[]);
    fs::create_dir(at("new")).expect("the directory is writable");
    write(at("new/__init__.py"), "VERSION = 22\n");
    fs::rename(at("app/package"), at("old")).expect("the directory exists");
    fs::rename(at("new"), at("app/package")).expect("the directory exists");
    address.gives("version", "22");
    write(at("app/package/__init__.py"), "VERSION = 333\n");
    address.gives("version", "333");
    end(running, &[]);
}

#[test]
fn reload_sees_the_target_of_a_script_that_is_a_link() {
    let root = TempDir::new().expect("the directory is writable");
    let at = |name: &str| root.path().join(name);
    fs::create_dir(at("app")).expect("the directory is writable");
    fs::create_dir(at("releases")).expect("the directory is writable");
    write(at("releases/worker.py"), &code(1));
    symlink("../releases/worker.py", at("app/worker.py")).expect("the directory is writable");
    let (running, address) = reloading(&at("app/worker.py"), &[]);
    write(at("releases/worker.py"), &code(22));
    address.gives("version", "22");
    end(running, &[]);
}

#[test]
fn reload_sees_a_config_map_that_is_swapped() {
    let root = TempDir::new().expect("the directory is writable");
    let at = |name: &str| root.path().join(name);
    for (directory, version) in [("..1", "1"), ("..2", "22"), ("..3", "333")] {
        fs::create_dir(at(directory)).expect("the directory is writable");
        write(at(directory).join("worker.py"), &code(version));
    }
    symlink("..1", at("..data")).expect("the directory is writable");
    symlink("..data/worker.py", at("worker.py")).expect("the directory is writable");
    let (running, address) = reloading(&at("worker.py"), &[]);
    for (directory, version) in [("..2", "22"), ("..3", "333")] {
        symlink(directory, at("..data_tmp")).expect("the directory is writable");
        fs::rename(at("..data_tmp"), at("..data")).expect("the directory exists");
        address.gives("version", version);
    }
    end(running, &[]);
}

#[test]
fn change_supersedes_a_reload_that_hangs() {
    let root = TempDir::new().expect("the directory is writable");
    let script = root.path().join("worker.py");
    write(&script, &code(1));
    // The start does not time out during the test.
    let (mut running, address) = reloading(&script, &["--start-timeout", "3600000"]);
    write(&script, "print('this hangs', flush=True)\nwhile True:\n    pass\n");
    running.reports("this hangs");
    assert_eq!(address.call("version"), "1");
    write(&script, &code(22));
    address.gives("version", "22");
    end(running, &["a Python file changed again: restarting the reload", "reloaded"]);
}

#[test]
fn code_that_does_not_start_is_one_error() {
    let root = TempDir::new().expect("the directory is writable");
    let script = root.path().join("worker.py");
    write(&script, "raise OSError('no model')\n");
    let listen = ["--workers", "1", "--listen", "127.0.0.1:0"];
    let ended = Pyproc::new().arg("serve").arg(&script).args(&listen).run().exits(5);
    ended.reports_once(&["error: ", "failed to start the worker: OSError: no model"]);
}
