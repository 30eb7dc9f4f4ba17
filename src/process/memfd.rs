//! Anonymous files that are shared with children.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::OwnedFd;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::fcntl_dupfd_cloexec;

/// An empty file.
pub(super) fn create(name: &str) -> io::Result<OwnedFd> {
    let fd = memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    above_stdio(fd)
}

/// A file that holds `content` and is read from its start.
pub(super) fn with_content(name: &str, content: &[u8]) -> io::Result<OwnedFd> {
    let mut file = File::from(create(name)?);
    file.write_all(content)?;
    file.rewind()?;
    Ok(file.into())
}

/// Fixes the size of a file for good. Whoever has it mapped and reads beyond its end gets SIGBUS.
pub(super) fn seal_size(fd: &OwnedFd) -> io::Result<()> {
    Ok(fcntl_add_seals(fd, SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW)?)
}

/// Makes a file read-only for everybody, for good.
pub(super) fn seal(fd: &OwnedFd) -> io::Result<()> {
    Ok(fcntl_add_seals(fd, SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE)?)
}

/// At most the last `limit` bytes of a file, as text.
pub(super) fn read_tail(fd: &OwnedFd, limit: u64) -> io::Result<String> {
    let mut file = File::from(fd.try_clone()?);
    let size = file.metadata()?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(limit)))?;
    let mut bytes = Vec::new();
    // A process that still writes must not make this read without end.
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The same file under a number above those of standard input, output and error, which a child has
/// for itself.
pub(super) fn above_stdio(fd: OwnedFd) -> io::Result<OwnedFd> {
    use std::os::fd::AsRawFd as _;
    match fd.as_raw_fd() {
        0..=2 => Ok(fcntl_dupfd_cloexec(&fd, 3)?),
        _ => Ok(fd),
    }
}
