//! The machine, and the cores that a measurement uses. The main structures are [`Machine`] and
//! [`Cores`].

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde::{Deserialize, Serialize};

/// The machine of the measurement.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    pub(crate) python: String,
    pub(crate) rustc: String,
    /// The share of the cores that other processes used before the bench started.
    pub(crate) used_by_others: f64,
}

impl Machine {
    pub(crate) fn look() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let cpu = read("/proc/cpuinfo");
        let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
        Self {
            cpu: cpu.trim_start_matches([' ', '\t', ':']).to_owned(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            python: output(&python(), &["--version"]),
            rustc: output(Path::new("rustc"), &["--version"]),
            used_by_others: used(Duration::from_millis(500)),
        }
    }
}

/// The share of all cores' time that is used during `look`. A load average would include the
/// previous bench.
fn used(look: Duration) -> f64 {
    let times = || -> Option<(f64, f64)> {
        let stat = std::fs::read_to_string("/proc/stat").ok()?;
        let ticks: Vec<f64> =
            stat.lines().next()?.split_whitespace().filter_map(|field| field.parse().ok()).collect();
        // user, nice, system, idle, iowait, irq, softirq, steal; the first two include guests.
        let all: f64 = ticks.iter().take(8).sum();
        Some((all, ticks.get(3)? + ticks.get(4)?))
    };
    let before = times();
    std::thread::sleep(look);
    let share = before.zip(times()).map(|(before, after)| 1.0 - (after.1 - before.1) / (after.0 - before.0));
    share.unwrap_or(0.0)
}

fn output(program: &Path, arguments: &[&str]) -> String {
    let output =
        Command::new(program).args(arguments).output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&output).trim().to_owned()
}

/// The pool's default interpreter.
pub(crate) fn python() -> PathBuf {
    std::env::var_os("PYPROC_PYTHON").map_or_else(|| "python3".into(), PathBuf::from)
}

/// The interpreter of a virtual environment with these packages, which is created if necessary.
pub(crate) fn python_with(packages: &[&str]) -> Option<PathBuf> {
    let directory = target().join("bench-venv");
    let python = directory.join("bin/python");
    let imports: String = packages.iter().map(|package| format!("import {package};")).collect();
    let has_them = || succeeds(Command::new(&python).args(["-c", &imports]));
    if !has_them() {
        succeeds(Command::new(self::python()).args(["-m", "venv"]).arg(&directory));
        succeeds(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(packages));
    }
    has_them().then_some(python)
}

fn succeeds(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

pub(crate) fn python_workers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../python_workers")
}

/// The benches' worker.
pub(crate) fn worker() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("workers/bench.py")
}

/// The directory of the reports and of the virtual environment.
pub(crate) fn target() -> PathBuf {
    // Cargo runs a bench in the directory of its package, but reads the variable at the root.
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(target)
}

/// The cores that host and worker may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cores {
    /// Any core.
    Free,
    /// The first core for both.
    Shared,
    /// The first core for the host, the second for the worker.
    Apart,
}

impl Cores {
    /// The modes for which this machine has enough cores.
    pub(crate) fn all() -> Vec<Self> {
        let cores = allowed().len();
        [Self::Free, Self::Shared, Self::Apart].into_iter().filter(|mode| cores >= mode.needed()).collect()
    }

    const fn needed(self) -> usize {
        match self {
            Self::Free | Self::Shared => 1,
            Self::Apart => 2,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Shared => "one core",
            Self::Apart => "two cores",
        }
    }

    /// Runs `body` with this thread and these processes pinned to the cores of the mode, then
    /// unpins them.
    pub(crate) fn during<T>(self, workers: &[u32], body: impl FnOnce() -> T) -> T {
        let all = allowed();
        let worker = if self == Self::Apart { 1 } else { 0 };
        if self != Self::Free {
            pin(None, &all[..1]);
            workers.iter().for_each(|&pid| pin(Some(pid), &all[worker..=worker]));
        }
        let result = body();
        if self != Self::Free {
            pin(None, &all);
            workers.iter().for_each(|&pid| pin(Some(pid), &all));
        }
        result
    }
}

fn allowed() -> Vec<usize> {
    let set = sched_getaffinity(None).expect("a thread can read its own affinity");
    (0..CpuSet::MAX_CPU).filter(|&core| set.is_set(core)).collect()
}

fn pin(pid: Option<u32>, cores: &[usize]) {
    let pid = pid
        .map(|pid| Pid::from_raw(i32::try_from(pid).expect("a process id")).expect("a process id is not 0"));
    let mut set = CpuSet::new();
    cores.iter().for_each(|&core| set.set(core));
    sched_setaffinity(pid, &set).expect("the cores exist");
}
