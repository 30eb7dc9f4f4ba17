//! Anonymous files that the host shares with children. The main item is [`create`].

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::OwnedFd;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::fcntl_dupfd_cloexec;

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
pub(super) fn seal(fd: &OwnedFd) -> io::Result<()> {
    Ok(fcntl_add_seals(fd, SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE)?)
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
