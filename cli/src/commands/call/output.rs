//! Where the result of a call goes. The main structure is [`Output`].

use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use actix_pyproc::{CallError, Codec, Reply};
use bytes::Bytes;

use crate::console::{note, stdout};
use crate::failure::Failure;

/// Where the result of a call goes. It is opened before the call, so that no call runs whose result
/// cannot be written.
#[derive(Debug)]
pub(crate) enum Output {
    /// The bytes of the result, to a file.
    File {
        file: File,
        path: PathBuf,
        /// Whether it was not there before.
        new: bool,
    },
    /// JSON to standard output; raw bytes as they are, or as JSON too.
    Stdout {
        /// Whether raw bytes are to be JSON too.
        json: bool,
    },
}

impl Output {
    pub(crate) fn open(path: Option<&Path>, json: bool) -> Result<Self, Failure> {
        let Some(path) = path else { return Ok(Self::Stdout { json }) };
        let new = !path.exists();
        // What is in the file stays until there is a result.
        match OpenOptions::new().write(true).create(true).truncate(false).open(path) {
            Ok(file) => Ok(Self::File { file, path: path.to_owned(), new }),
            Err(error) => Err(Failure::Usage(format!("{} cannot be written: {error}", path.display()))),
        }
    }

    pub(crate) fn write(self, reply: &Reply) -> Result<(), Failure> {
        let bytes = raw(reply);
        match self {
            Self::File { mut file, .. } => {
                // Devices and pipes have no length.
                if file.metadata()?.is_file() {
                    file.set_len(0)?;
                }
                file.write_all(&bytes.unwrap_or_else(|| reply.bytes()))?;
            }
            Self::Stdout { json: false } if bytes.is_some() && io::stdout().is_terminal() => {
                let length = bytes.map_or(0, |bytes| bytes.len());
                note(format_args!("the result is {length} bytes: --out FILE writes them, --json shows them"));
            }
            Self::Stdout { json: false } if bytes.is_some() => {
                to_stdout(&bytes.unwrap_or_default())?;
            }
            Self::Stdout { .. } => {
                let mut line = as_json(reply, bytes)?;
                line.push(b'\n');
                to_stdout(&line)?;
            }
        }
        Ok(())
    }

    /// Leaves no trace: the call gave no result.
    pub(crate) fn discard(&self) {
        if let Self::File { path, new: true, .. } = self {
            // An empty file that stays does no harm.
            let _ = fs::remove_file(path);
        }
    }
}

/// The result if it is raw bytes; in a call of MessagePack they come as a `bin`.
fn raw(reply: &Reply) -> Option<Bytes> {
    match (reply.codec(), reply.bytes().first()) {
        (Codec::Bytes, _) => Some(reply.bytes()),
        (Codec::Msgpack, Some(0xc4..=0xc6)) => reply.msgpack().ok(),
        _ => None,
    }
}

fn as_json(reply: &Reply, raw: Option<Bytes>) -> Result<Vec<u8>, CallError> {
    if let Some(raw) = raw {
        let text = std::str::from_utf8(&raw).map(serde_json::Value::from);
        return Ok(text.unwrap_or_else(|_| raw.to_vec().into()).to_string().into_bytes());
    }
    match reply.codec() {
        // As Python wrote it, so that no number loses a digit.
        Codec::Json => Ok(reply.bytes().to_vec()),
        _ => Ok(reply.value()?.to_string().into_bytes()),
    }
}

/// A reader that has heard enough (`| head`) is no failure.
fn to_stdout(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = stdout();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}
