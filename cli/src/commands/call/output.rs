//! The destination of a call's result. The main structure is [`Output`].

use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use actix_pyproc::{CallError, Codec, Reply};
use bytes::Bytes;

use crate::console::{note, stdout};
use crate::failure::Failure;

/// The destination of a call's result. It is opened before the call, so that no call runs if its
/// result cannot be written.
#[derive(Debug)]
pub(crate) enum Output {
    /// A file, for the bytes of the result.
    File {
        file: File,
        path: PathBuf,
        /// Whether the file did not exist before.
        new: bool,
    },
    /// Standard output, for JSON or raw bytes.
    Stdout {
        /// Whether raw bytes are printed as JSON too.
        json: bool,
    },
}

impl Output {
    pub(crate) fn open(path: Option<&Path>, json: bool) -> Result<Self, Failure> {
        let Some(path) = path else { return Ok(Self::Stdout { json }) };
        let new = !path.exists();
        // The file keeps its content until there is a result.
        match OpenOptions::new().write(true).create(true).truncate(false).open(path) {
            Ok(file) => Ok(Self::File { file, path: path.to_owned(), new }),
            Err(error) => {
                Err(Failure::Usage(format!("failed to open {} for writing: {error}", path.display())))
            }
        }
    }

    pub(crate) fn write(self, reply: &Reply) -> Result<(), Failure> {
        let bytes = raw(reply);
        match self {
            Self::File { mut file, .. } => {
                // Devices and pipes cannot be truncated.
                if file.metadata()?.is_file() {
                    file.set_len(0)?;
                }
                file.write_all(&bytes.unwrap_or_else(|| reply.bytes()))?;
            }
            Self::Stdout { json: false } if bytes.is_some() && io::stdout().is_terminal() => {
                let length = bytes.map_or(0, |bytes| bytes.len());
                note(format_args!(
                    "the result is {length} raw bytes: --out FILE writes them, --json prints them"
                ));
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

    /// Removes the file if it is new: the call gave no result.
    pub(crate) fn discard(&self) {
        if let Self::File { path, new: true, .. } = self {
            // If it fails, an empty file stays, which does no harm.
            let _ = fs::remove_file(path);
        }
    }
}

/// The result, if it is raw bytes. In MessagePack these are a `bin`.
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
        // Exactly as Python wrote it, so that no number loses a digit.
        Codec::Json => Ok(reply.bytes().to_vec()),
        _ => Ok(reply.value()?.to_string().into_bytes()),
    }
}

/// A reader that closes the pipe early (`| head`) is not a failure.
fn to_stdout(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = stdout();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}
