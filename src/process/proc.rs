//! What `/proc` tells of a process.

use std::fs;

/// Whether the process is stopped (`SIGSTOP`, or by a debugger).
pub(crate) fn is_stopped(pid: u32) -> bool {
    let stat = fs::read(format!("/proc/{pid}/stat")).unwrap_or_default();
    matches!(state(&stat), Some(b'T' | b't'))
}

/// The resident memory in bytes.
pub(crate) fn rss(pid: u32) -> Option<u64> {
    resident(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?)
}

/// The processor time that the process has used, user and system, in milliseconds.
pub(crate) fn cpu_time(pid: u32) -> Option<u64> {
    ticks(&fs::read(format!("/proc/{pid}/stat")).ok()?)
        .map(|ticks| ticks * 1000 / rustix::param::clock_ticks_per_second())
}

/// Whether the process has a handler for the signal.
pub(crate) fn catches(pid: u32, signal: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    caught(&status).is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

/// The state's letter follows the name, which stands in parentheses and can hold anything.
fn state(stat: &[u8]) -> Option<u8> {
    let name_end = stat.iter().rposition(|&byte| byte == b')')?;
    stat.get(name_end + 2).copied()
}

/// Fields 14 and 15; the third is the state.
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
    use super::{catches, caught, cpu_time, is_stopped, resident, rss, state, ticks};

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
        // The test harness of Rust handles SIGSEGV, to tell of stack overflows, and nobody handles this one.
        assert!(catches(std::process::id(), 11));
        assert!(!catches(std::process::id(), 50));
    }
}
