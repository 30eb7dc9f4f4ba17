//! Anonymous files that the host shares with children. The main item is [`create`].

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::{Errno, fcntl_dupfd_cloexec};

/// How often, and after which delay, a file that is busy is sealed again.
const SEAL_ATTEMPTS: u32 = 50;
const SEAL_DELAY: Duration = Duration::from_millis(20);

/// Creates an empty file.
pub(super) fn create(name: &str) -> io::Result<OwnedFd> {
    let fd = memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    above_stdio(fd)
}

/// Creates a file with this content, positioned at its start.
pub(super) fn with_content(name: &str, content: &[u8]) -> io::Result<OwnedFd> {
    let mut file = File::from(create(name)?);
    file.write_all(content)?;
    file.rewind()?;
    Ok(file.into())
}

/// Fixes the size of a file forever, because reading a mapping beyond the end of its file raises
/// SIGBUS.
pub(super) fn seal_size(fd: &OwnedFd) -> io::Result<()> {
    Ok(fcntl_add_seals(fd, SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW)?)
}

/// Makes a file read-only for all processes, forever.
///
/// The kernel returns `EBUSY` while something else still refers to a page of the file, which on a
/// busy machine happens briefly after a write. So this tries again a few times.
pub(super) async fn seal(fd: &OwnedFd) -> io::Result<()> {
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    for _ in 1..SEAL_ATTEMPTS {
        match fcntl_add_seals(fd, seals) {
            Err(Errno::BUSY) => tokio::time::sleep(SEAL_DELAY).await,
            result => return Ok(result?),
        }
    }
    Ok(fcntl_add_seals(fd, seals)?)
}

/// At most the last `limit` bytes of a file, as text.
pub(super) fn read_tail(fd: &OwnedFd, limit: u64) -> io::Result<String> {
    let mut file = File::from(fd.try_clone()?);
    let size = file.metadata()?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(limit)))?;
    let mut bytes = Vec::new();
    // Without a limit, a process that keeps writing would make this read forever.
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The same file with a number above those of the standard streams, which a child replaces.
pub(super) fn above_stdio(fd: OwnedFd) -> io::Result<OwnedFd> {
    use std::os::fd::AsRawFd as _;
    match fd.as_raw_fd() {
        0..=2 => Ok(fcntl_dupfd_cloexec(&fd, 3)?),
        _ => Ok(fd),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write as _;

    use futures::FutureExt as _;
    use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

    use super::{seal, with_content};

    // A pool did not start because the package was busy when it was sealed.
    #[tokio::test]
    #[expect(unsafe_code, reason = "a writable mapping makes the file busy")]
    async fn a_file_that_is_busy_is_sealed_when_it_no_longer_is() {
        let file = with_content("test", b"package").expect("there is memory");
        // SAFETY: the kernel chooses the address, and nothing refers to the mapping.
        let map = unsafe {
            mmap(std::ptr::null_mut(), 7, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, &file, 0)
        };
        let map = map.expect("the file can be mapped");
        let mut sealing = Box::pin(seal(&file));
        assert!((&mut sealing).now_or_never().is_none(), "it is busy");
        // SAFETY: this is the mapping from above.
        unsafe { munmap(map, 7) }.expect("it is mapped");
        sealing.await.expect("it is not busy");
        let mut file = File::from(file.try_clone().expect("a descriptor is left"));
        assert!(file.write(b"x").is_err());
    }
}
