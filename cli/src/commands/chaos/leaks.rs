//! Processes and descriptors that a stopped pool leaked. The main structure is [`Baseline`].

use std::fs;
use std::io;
use std::time::{Duration, Instant};

/// How long the last actors and the reaper may take to finish.
const CAP: Duration = Duration::from_secs(2);

/// The open descriptors before the pool started.
pub(super) struct Baseline {
    fds: usize,
}

impl Baseline {
    pub(super) fn take() -> io::Result<Self> {
        Ok(Self { fds: fds()? })
    }

    /// Counts the processes that are children of ours or in one of these groups, and the
    /// descriptors that the baseline does not have.
    pub(super) async fn leaks(&self, groups: &[u32]) -> io::Result<(usize, usize)> {
        let begun = Instant::now();
        loop {
            let left = (processes(groups)?, fds()?.saturating_sub(self.fds));
            if left == (0, 0) || begun.elapsed() > CAP {
                return Ok(left);
            }
            actix_rt::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn fds() -> io::Result<usize> {
    Ok(fs::read_dir("/proc/self/fd")?.count())
}

fn processes(groups: &[u32]) -> io::Result<usize> {
    let own = std::process::id();
    let counts = |entry: io::Result<fs::DirEntry>| {
        // A process that has just ended has no file.
        let stat = fs::read_to_string(entry.ok()?.path().join("stat")).ok()?;
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        let state = fields.next()?;
        let parent: u32 = fields.next()?.parse().ok()?;
        let group: u32 = fields.next()?.parse().ok()?;
        // A zombie with another parent is not ours to reap.
        (parent == own || (groups.contains(&group) && state != "Z")).then_some(())
    };
    Ok(fs::read_dir("/proc")?.filter_map(counts).count())
}
