//! What is left of a pool that was stopped. The main structure is [`Leaks`].

use std::fs;
use std::io;
use std::time::{Duration, Instant};

/// How long the last actors and the reaper may take.
const CAP: Duration = Duration::from_secs(2);

/// What there was before the pool.
pub(super) struct Leaks {
    fds: usize,
}

impl Leaks {
    pub(super) fn before() -> io::Result<Self> {
        Ok(Self { fds: fds()? })
    }

    /// How many processes of these groups, or children of ours, and how many descriptors there are
    /// that were not there before.
    pub(super) async fn after(&self, groups: &[u32]) -> io::Result<(usize, usize)> {
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
        // One that has just gone has no file any more.
        let stat = fs::read_to_string(entry.ok()?.path().join("stat")).ok()?;
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        let state = fields.next()?;
        let parent: u32 = fields.next()?.parse().ok()?;
        let group: u32 = fields.next()?.parse().ok()?;
        // A zombie of somebody else is not ours to reap.
        (parent == own || (groups.contains(&group) && state != "Z")).then_some(())
    };
    Ok(fs::read_dir("/proc")?.filter_map(counts).count())
}
