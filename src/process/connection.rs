//! Frames over a socket. The main structure is [`Connection`].

use std::future::Future as _;
use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use rustix::net::{RecvFlags, recv, sockopt};
use tokio::io::{AsyncReadExt as _, AsyncWrite as _};
use tokio::net::UnixStream;
use tokio_util::codec::Decoder;

use super::outbox::{MAX_SLICES, Outbox};
use crate::wire::{Frame, FrameDecoder, FrameError, Header};

/// How much room a read has.
const READ_CHUNK: usize = 64 * 1024;

/// What the system is asked to hold of a socket.
const SOCKET_BUFFER: usize = 1 << 20;

/// How many reads may follow one another before other tasks have their turn. More would use up the
/// task's budget in tokio, and then neither timers nor the end of the process would be seen while
/// somebody floods the socket.
const MAX_READS: u32 = 32;

/// No socket buffer holds more; what comes after that much is not the dead worker's.
const MAX_REST: usize = 16 << 20;

/// The host's end of a worker's socket.
pub(crate) struct Connection {
    stream: UnixStream,
    decoder: FrameDecoder,
    input: BytesMut,
    /// Nothing more is read; what is in `input` is still decoded.
    at_end: bool,
    /// The reads since the socket was last empty.
    reads: u32,
    outbox: Outbox,
}

/// Why nothing more comes from a connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Decoder for FrameDecoder {
    type Item = Frame;
    type Error = ConnectionError;

    fn decode(&mut self, input: &mut BytesMut) -> Result<Option<Frame>, ConnectionError> {
        Ok(Self::decode(self, input)?)
    }

    /// A worker that dies inside a frame has said nothing with the rest of it.
    fn decode_eof(&mut self, input: &mut BytesMut) -> Result<Option<Frame>, ConnectionError> {
        self.decode(input)
    }
}

/// A pair of sockets: the host's end, and the worker's.
pub(crate) fn pair() -> io::Result<(std::os::unix::net::UnixStream, OwnedFd)> {
    let (host, worker) = std::os::unix::net::UnixStream::pair()?;
    for end in [&host, &worker] {
        // More room is fewer turns for great payloads; the system may refuse, and it works without.
        if sockopt::set_socket_send_buffer_size_force(end, SOCKET_BUFFER).is_err() {
            let _ = sockopt::set_socket_send_buffer_size(end, SOCKET_BUFFER);
        }
    }
    host.set_nonblocking(true)?;
    Ok((host, worker.into()))
}

impl Connection {
    /// A connection that refuses frames of a length above `max_frame`. It must be made on an
    /// arbiter.
    pub(crate) fn new(host: std::os::unix::net::UnixStream, max_frame: u32) -> io::Result<Self> {
        Ok(Self {
            stream: UnixStream::from_std(host)?,
            decoder: FrameDecoder::new(max_frame),
            input: BytesMut::new(),
            at_end: false,
            reads: 0,
            outbox: Outbox::default(),
        })
    }

    /// Stages a frame whose payload is `prefix` and `payload`.
    pub(crate) fn stage(&mut self, header: Header, prefix: &[u8], payload: &Bytes) {
        self.outbox.push(header, prefix, payload);
    }

    /// Writes what is staged, all of it with one write if the socket takes it.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outbox.is_empty() {
            let stream = Pin::new(&mut self.stream);
            let written = match self.outbox.single() {
                Some(bytes) => ready!(stream.poll_write(cx, bytes)),
                None => {
                    let mut slices = [IoSlice::new(&[]); MAX_SLICES];
                    let count = self.outbox.slices(&mut slices);
                    ready!(stream.poll_write_vectored(cx, &slices[..count]))
                }
            };
            match written {
                Ok(written) => self.outbox.advance(written),
                Err(error) => {
                    self.outbox.clear();
                    return Poll::Ready(Err(error));
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// The next frame, or `None` at the end. It reads only when no whole frame is left of what was
    /// read before. After an error it is at the end.
    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Frame>, ConnectionError>> {
        loop {
            match Decoder::decode(&mut self.decoder, &mut self.input) {
                Ok(Some(frame)) => return Poll::Ready(Ok(Some(frame))),
                Ok(None) if self.at_end => return Poll::Ready(Ok(None)),
                Ok(None) => {}
                Err(error) => {
                    self.close();
                    return Poll::Ready(Err(error));
                }
            }
            if self.reads == MAX_READS {
                self.reads = 0;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let Poll::Ready(read) = self.poll_read(cx) else {
                self.reads = 0;
                return Poll::Pending;
            };
            self.reads += 1;
            match read {
                Ok(0) => self.at_end = true,
                Ok(_) => {}
                Err(error) => {
                    self.at_end = true;
                    return Poll::Ready(Err(error.into()));
                }
            }
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        // A frame that is longer than a read gets exactly its room, so that it is not moved again.
        let missing = self.decoder.missing(&self.input).unwrap_or(0);
        let spare = self.input.capacity() - self.input.len();
        if spare < missing || spare < READ_CHUNK / 8 {
            self.input.reserve(missing.max(READ_CHUNK));
        }
        pin!(self.stream.read_buf(&mut self.input)).poll(cx)
    }

    /// Takes what a worker that has ended left in the socket; after it, the connection is at its
    /// end. It asks the system and not the reactor, which may not have heard of the last bytes.
    pub(crate) fn read_rest(&mut self) {
        let mut chunk = [0; 16 * 1024];
        let mut taken = 0;
        while !self.at_end && taken < MAX_REST {
            match recv(&self.stream, &mut chunk, RecvFlags::DONTWAIT) {
                Ok((1.., read)) => {
                    self.input.extend_from_slice(&chunk[..read]);
                    taken += read;
                }
                Err(rustix::io::Errno::INTR) => {}
                Ok(_) | Err(_) => break,
            }
        }
        self.at_end = true;
    }

    /// Forgets all that is staged or was read, and is at the end.
    pub(crate) fn close(&mut self) {
        self.at_end = true;
        self.input.clear();
        self.outbox.clear();
    }
}
