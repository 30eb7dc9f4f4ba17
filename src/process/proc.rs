//! Reading `/proc`: the state, memory and processor time of a process. The main items are
//! [`is_stopped`] and [`rss`].

use std::fs;
use std::os::fd::AsRawFd as _;
use std::sync::OnceLock;

use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// Whether the process is stopped, by `SIGSTOP` or a debugger.
pub(crate) fn is_stopped(pid: u32) -> bool {
    let stat = read(pid, "stat").unwrap_or_default();
    matches!(state(&stat), Some(b'T' | b't'))
}

/// The resident memory in bytes.
pub(crate) fn rss(pid: u32) -> Option<u64> {
    resident(&text(read(pid, "status")?))
}

/// The processor time of the process, user and system, in milliseconds.
pub(crate) fn cpu_time(pid: u32) -> Option<u64> {
    ticks(&read(pid, "stat")?).map(|ticks| ticks * 1000 / rustix::param::clock_ticks_per_second())
}

/// Whether the process has a handler for the signal.
pub(crate) fn catches(pid: u32, signal: i32) -> bool {
    let status = read(pid, "status").unwrap_or_default();
    caught(&text(status)).is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

fn read(pid: u32, file: &str) -> Option<Vec<u8>> {
    fs::read(format!("/proc/{}/{file}", number(pid)?)).ok()
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The number of the process in `/proc`. It differs from the process id if `/proc` belongs to an
/// outer PID namespace (`unshare --pid` without `--mount-proc`).
fn number(pid: u32) -> Option<u32> {
    static IS_OURS: OnceLock<bool> = OnceLock::new();
    let own = std::process::id().to_string();
    if *IS_OURS.get_or_init(|| fs::read_link("/proc/self").is_ok_and(|link| link.as_os_str() == &*own)) {
        return Some(pid);
    }
    let pid = Pid::from_raw(i32::try_from(pid).ok()?)?;
    let fd = pidfd_open(pid, PidfdFlags::empty()).ok()?;
    seen_as(&fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd())).ok()?)
}

/// The process id in the `fdinfo` of a pidfd, as numbered by `/proc`. The kernel writes 0 for a
/// process outside of that namespace, and -1 for a reaped one.
fn seen_as(fdinfo: &str) -> Option<u32> {
    let line = fdinfo.lines().find_map(|line| line.strip_prefix("Pid:"))?;
    line.trim().parse().ok().filter(|&number| number != 0)
}

/// The letter of the state. It follows the name in parentheses, which may contain any bytes.
fn state(stat: &[u8]) -> Option<u8> {
    let name_end = stat.iter().rposition(|&byte| byte == b')')?;
    stat.get(name_end + 2).copied()
}

/// The sum of fields 14 and 15; field 3 is the state.
fn ticks(stat: &[u8]) -> Option<u64> {
    let name_end = stat.iter().rposition(|&byte| byte == b')')?;
    let fields = std::str::from_utf8(stat.get(name_end + 2..)?).ok()?;
    let mut times = fields.split_ascii_whitespace().skip(11);
    Some(times.next()?.parse::<u64>().ok()? + times.next()?.parse::<u64>().ok()?)
}

fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

fn caught(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("SigCgt:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::{catches, caught, cpu_time, is_stopped, resident, rss, seen_as, state, ticks};

    #[test]
    fn process_is_looked_up_under_the_number_that_proc_has_for_it() {
        assert_eq!(seen_as("pos:\t0\nflags:\t02000002\nPid:\t4711\nNSpid:\t4711\t1\n"), Some(4711));
        for unseen in ["Pid:\t0\n", "Pid:\t-1\n", "NSpid:\t7\n", ""] {
            assert_eq!(seen_as(unseen), None, "{unseen}");
        }
    }

    #[test]
    fn state_is_found_behind_any_name() {
        assert_eq!(state(b"12 (a) R b) T 1 12"), Some(b'T'));
        assert_eq!(state(b"12 (python3) S 1 12"), Some(b'S'));
        assert_eq!(state(b""), None);
    }

    #[test]
    fn processor_time_is_user_and_system_time() {
        assert_eq!(ticks(b"12 (a) R b) S 1 12 12 0 -1 4194304 100 0 0 0 25 17 3 4 20 0"), Some(42));
        assert_eq!(ticks(b"12 (a) S 1"), None);
        assert!(cpu_time(std::process::id()).is_some());
    }

    #[test]
    fn resident_memory_is_told_in_bytes() {
        assert_eq!(resident("Name:\tpython3\nVmRSS:\t   10240 kB\n"), Some(10 << 20));
        assert_eq!(resident("Name:\tkthreadd\n"), None);
        assert!(rss(std::process::id()) > Some(1 << 20));
        assert!(!is_stopped(std::process::id()));
    }

    #[test]
    fn signals_with_a_handler_are_told() {
        assert_eq!(caught("SigCgt:\t0000000800000402\n"), Some(0x8_0000_0402));
        // The Rust runtime handles SIGSEGV to detect stack overflows, and nothing handles signal
        // 50.
        assert!(catches(std::process::id(), 11));
        assert!(!catches(std::process::id(), 50));
    }
}
