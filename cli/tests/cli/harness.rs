//! Runs the binary, and checks that it leaves no process behind. The main structure is [`Pyproc`].

use std::fs;
use std::io::{Read, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::{self, JoinHandle};

use rustix::process::{Pid, Signal, kill_process};

use crate::support;
pub(crate) use crate::support::blocking::until;
pub(crate) use crate::support::fixture as worker;

/// The number of runs so far, which marks the next one.
static RUNS: AtomicU32 = AtomicU32::new(0);

/// A command line.
pub(crate) struct Pyproc {
    command: Command,
    stdin: Vec<u8>,
    mark: String,
}

/// A running command.
pub(crate) struct Running {
    child: Process,
    stdout: Stream,
    stderr: Stream,
    mark: String,
    /// Starts the reader of standard error when it is dropped.
    reads_stderr: Option<mpsc::Sender<()>>,
}

/// A process that does not outlive a failed test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // The process may have exited already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The output of a run so far.
struct Stream {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

/// A command that has exited.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit code; `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

/// `pyproc COMMAND FIXTURE ARGS...`
pub(crate) fn pyproc(command: &str, fixture: &str, args: &[&str]) -> Pyproc {
    Pyproc::new().arg(command).arg(support::fixture(fixture)).args(args)
}

impl Pyproc {
    pub(crate) fn new() -> Self {
        let mark = format!("{}-{}", std::process::id(), RUNS.fetch_add(1, Ordering::Relaxed));
        let mut command = Command::new(env!("CARGO_BIN_EXE_pyproc"));
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PYPROC_"))
        {
            command.env_remove(name);
        }
        // Workers and their children inherit the mark.
        command.env("TEST_RUN", &mark);
        Self { command, stdin: Vec::new(), mark }
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    pub(crate) fn args(mut self, args: &[&str]) -> Self {
        self.command.args(args);
        self
    }

    pub(crate) fn env(self, name: &str, value: &str) -> Self {
        self.env_os(name, value.as_ref())
    }

    pub(crate) fn env_os(mut self, name: &str, value: &std::ffi::OsStr) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn cwd(mut self, path: impl Into<PathBuf>) -> Self {
        self.command.current_dir(path.into());
        self
    }

    pub(crate) fn stdin(mut self, bytes: &[u8]) -> Self {
        self.stdin = bytes.to_vec();
        self
    }

    pub(crate) fn run(self) -> Ended {
        self.start().end()
    }

    pub(crate) fn start(self) -> Running {
        self.start_reading(None)
    }

    /// Starts a run whose standard error is a pipe that nobody reads, until
    /// [`Running::read_stderr`].
    pub(crate) fn start_unread(self) -> Running {
        let (go, may_read) = mpsc::channel();
        let running = self.start_reading(Some(may_read));
        Running { reads_stderr: Some(go), ..running }
    }

    fn start_reading(mut self, may_read: Option<mpsc::Receiver<()>>) -> Running {
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().expect("the binary was built");
        let mut stdin = child.stdin.take().expect("the stream is piped");
        // A command that does not read its standard input may have closed it.
        let _ = stdin.write_all(&self.stdin);
        drop(stdin);
        let stdout = Stream::read(child.stdout.take().expect("the stream is piped"), None);
        let stderr = Stream::read(child.stderr.take().expect("the stream is piped"), may_read);
        Running { child: Process(child), stdout, stderr, mark: self.mark, reads_stderr: None }
    }
}

impl Stream {
    fn read(mut from: impl Read + Send + 'static, may_read: Option<mpsc::Receiver<()>>) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&bytes);
        let reader = thread::spawn(move || {
            // Dropping the sender starts the reader.
            may_read.map(|may_read| may_read.recv());
            let mut chunk = vec![0; 1 << 16];
            while let Ok(read @ 1..) = from.read(&mut chunk) {
                into.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&chunk[..read]);
            }
        });
        Self { bytes, reader }
    }

    fn so_far(&self) -> Vec<u8> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn all(self) -> Vec<u8> {
        self.reader.join().expect("the reader does not panic");
        std::mem::take(&mut self.bytes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Running {
    /// Waits until standard error contains `text`.
    pub(crate) fn reports(&mut self, text: &str) -> String {
        has_written(&mut self.child.0, &self.stderr, text)
    }

    /// Waits until standard output contains `text`.
    pub(crate) fn prints(&mut self, text: &str) -> String {
        has_written(&mut self.child.0, &self.stdout, text)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.0.id())
            .ok()
            .and_then(Pid::from_raw)
            .expect("the child has a process id");
        kill_process(pid, signal).expect("the command runs");
    }

    /// Starts to read the standard error of a run that [`Pyproc::start_unread`] started.
    pub(crate) fn read_stderr(&mut self) {
        self.reads_stderr = None;
    }

    /// Waits until the command and everything that it started have exited.
    pub(crate) fn end(mut self) -> Ended {
        let status =
            until("the command to end", || self.child.0.try_wait().expect("the command is our child"));
        self.read_stderr();
        until("what it started to end", || marked(&self.mark).is_empty().then_some(()));
        let stderr = String::from_utf8_lossy(&self.stderr.all()).into_owned();
        Ended { code: status.code(), stdout: self.stdout.all(), stderr }
    }
}

#[track_caller]
fn has_written(child: &mut Child, stream: &Stream, text: &str) -> String {
    until(&format!("it to write {text:?}"), || {
        let output = String::from_utf8_lossy(&stream.so_far()).into_owned();
        assert!(
            output.contains(text) || child.try_wait().is_ok_and(|ended| ended.is_none()),
            "the command exited and wrote: {output}"
        );
        output.contains(text).then_some(output)
    })
}

impl Ended {
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.stderr);
        self
    }

    /// Checks standard output.
    #[track_caller]
    pub(crate) fn prints(self, expected: &str) -> Self {
        assert_eq!(String::from_utf8_lossy(&self.stdout), expected, "{}", self.stderr);
        self
    }

    /// Checks that standard error contains each text once, and that standard output is empty.
    #[track_caller]
    pub(crate) fn reports_once(self, expected: &[&str]) -> Self {
        for text in expected {
            assert_eq!(self.stderr.matches(text).count(), 1, "{text:?} in: {}", self.stderr);
        }
        self.prints("")
    }
}

/// The running processes of a run. A zombie that waits for init has no environment.
fn marked(mark: &str) -> Vec<PathBuf> {
    let entry = format!("TEST_RUN={mark}");
    let of_run = |path: &PathBuf| {
        let environ = fs::read(path.join("environ")).unwrap_or_default();
        environ.split(|&byte| byte == 0).any(|variable| variable == entry.as_bytes())
    };
    let processes = fs::read_dir("/proc").expect("/proc is mounted");
    processes.flatten().map(|process| process.path()).filter(of_run).collect()
}
