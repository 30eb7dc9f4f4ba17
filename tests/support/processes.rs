//! Processes as `/proc` shows them. The main structure is [`Process`].

use std::fs;
use std::path::Path;
use std::process::Command;

use super::until;

/// A process, which may be a zombie.
struct Process {
    pid: u32,
    state: char,
    parent: u32,
    group: u32,
}

impl Process {
    /// `None` if no process has this PID.
    fn find(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        Some(Self {
            pid,
            state: fields.next()?.chars().next()?,
            parent: fields.next()?.parse().ok()?,
            group: fields.next()?.parse().ok()?,
        })
    }

    fn all() -> Vec<Self> {
        let entries = fs::read_dir("/proc").expect("/proc is mounted");
        entries.filter_map(|entry| Self::find(entry.ok()?.file_name().to_str()?.parse().ok()?)).collect()
    }

    fn is_zombie(&self) -> bool {
        self.state == 'Z'
    }

    fn is_child(&self) -> bool {
        self.parent == std::process::id()
    }
}

/// The processes that this one has started and not reaped.
pub(crate) fn children() -> Vec<u32> {
    Process::all().into_iter().filter(Process::is_child).map(|process| process.pid).collect()
}

/// The processes in these groups. A zombie counts only if this process has to reap it.
pub(crate) fn members(groups: &[u32]) -> Vec<u32> {
    let counts = |it: &Process| groups.contains(&it.group) && (!it.is_zombie() || it.is_child());
    Process::all().into_iter().filter(counts).map(|it| it.pid).collect()
}

/// Whether a process exists and is not a zombie.
pub(crate) fn lives(pid: u32) -> bool {
    Process::find(pid).is_some_and(|process| !process.is_zombie())
}

/// Whether a process exists. A zombie counts only if this process has to reap it.
pub(crate) fn is_alive(pid: u32) -> bool {
    Process::find(pid).is_some_and(|process| !process.is_zombie() || process.is_child())
}

/// Whether a process exists, be it a zombie.
pub(crate) fn exists(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// Waits until [`is_alive`] is false.
pub(crate) async fn gone(pid: u32) {
    until("the end of a process", || !is_alive(pid)).await;
}

/// The resident memory of this process, in MiB.
pub(crate) fn own_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("/proc is mounted");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the field exists");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("it is a number") / 1024
}

/// Sends a signal by its name without `SIG`.
pub(crate) fn signal(pid: u32, name: &str) {
    let status = Command::new("kill").args(["-s", name, &pid.to_string()]).status();
    assert!(status.expect("kill is installed").success(), "signal {name} to {pid}");
}
