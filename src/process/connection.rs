//! Frames over the socket of a worker. The main structure is [`Connection`].

use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use rustix::net::{RecvFlags, recv, sockopt};
use tokio::io::{AsyncRead, AsyncWrite as _, ReadBuf};
use tokio::net::UnixStream;
use tokio_util::codec::{Decoder, FramedRead};

use super::outbox::{MAX_SLICES, Outbox};
use crate::wire::{Frame, FrameDecoder, FrameError, Header};

/// The capacity of the read buffer, and the least room for a read.
const READ_BUFFER: usize = 64 * 1024;
const MIN_READ: usize = 8 * 1024;

/// The size of the socket buffers that the host asks for.
const SOCKET_BUFFER: usize = 1 << 20;

/// How many reads may follow each other before other tasks run. More reads would exhaust the task's
/// budget in tokio; while a worker floods its socket, neither timers nor the end of the process
/// would be noticed.
const MAX_READS: u32 = 32;

/// Socket buffers are smaller than this, so further bytes are not from the dead worker.
const MAX_REST: usize = 16 << 20;

/// The host's end of a worker's socket.
///
/// Frames are read with [`FramedRead`] and written from an [`Outbox`], which shares large payloads
/// instead of copying them.
pub(crate) struct Connection {
    frames: FramedRead<FairStream, FrameDecoder>,
    /// Whether reading has ended. Frames in the buffer are still decoded.
    at_end: bool,
    outbox: Outbox,
}

/// A socket that lets other tasks run after [`MAX_READS`] reads in a row.
struct FairStream {
    stream: UnixStream,
    /// The reads since the socket was last empty.
    reads: u32,
}

/// Why reading from a connection failed.
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
        let frame = Self::decode(self, input)?;
        if frame.is_none() {
            // Reserves exactly the rest of a long frame, so that the frame is not moved again.
            input.reserve(self.missing(input)?.max(MIN_READ));
        }
        Ok(frame)
    }
}

impl AsyncRead for FairStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.reads == MAX_READS {
            self.reads = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.reads = if read.is_ready() { self.reads + 1 } else { 0 };
        read
    }
}

/// A pair of sockets: the host's end and the worker's end.
pub(crate) fn pair() -> io::Result<(std::os::unix::net::UnixStream, OwnedFd)> {
    let (host, worker) = std::os::unix::net::UnixStream::pair()?;
    for end in [&host, &worker] {
        // Larger buffers save system calls for large payloads. It works without them.
        if sockopt::set_socket_send_buffer_size_force(end, SOCKET_BUFFER).is_err() {
            let _ = sockopt::set_socket_send_buffer_size(end, SOCKET_BUFFER);
        }
    }
    host.set_nonblocking(true)?;
    Ok((host, worker.into()))
}

impl Connection {
    /// A connection that rejects frames longer than `max_frame`. It must be created on an arbiter.
    pub(crate) fn new(host: std::os::unix::net::UnixStream, max_frame: u32) -> io::Result<Self> {
        let stream = FairStream { stream: UnixStream::from_std(host)?, reads: 0 };
        Ok(Self {
            frames: FramedRead::with_capacity(stream, FrameDecoder::new(max_frame), READ_BUFFER),
            at_end: false,
            outbox: Outbox::default(),
        })
    }

    /// Stages a frame whose payload is `prefix` and `payload`.
    pub(crate) fn stage(&mut self, header: Header, prefix: &[u8], payload: &Bytes) {
        self.outbox.push(header, prefix, payload);
    }

    /// Writes the staged frames, with one write if the socket accepts them all.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outbox.is_empty() {
            let stream = Pin::new(&mut self.frames.get_mut().stream);
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

    /// The next frame, or `None` at the end. It reads only if the buffer has no complete frame.
    /// After an error, reading has ended.
    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Frame>, ConnectionError>> {
        let decoder = *self.frames.decoder();
        // A read often brings many frames. Decoding them without the state machine of `FramedRead`
        // is faster.
        let next = match decoder.decode(self.frames.read_buffer_mut()) {
            Ok(None) if !self.at_end => ready!(self.frames.poll_next_unpin(cx)).transpose(),
            next => next.map_err(ConnectionError::Frame),
        };
        match &next {
            Ok(Some(_)) => {}
            Ok(None) | Err(ConnectionError::Io(_)) => self.at_end = true,
            Err(ConnectionError::Frame(_)) => self.close(),
        }
        Poll::Ready(next)
    }

    /// Reads the rest that an ended worker left in the socket; after that, reading has ended. It
    /// reads directly, because the reactor may not have reported the last bytes.
    pub(crate) fn read_rest(&mut self) {
        let mut chunk = [0; 16 * 1024];
        let mut taken = 0;
        while !self.at_end && taken < MAX_REST {
            match recv(&self.frames.get_ref().stream, &mut chunk, RecvFlags::DONTWAIT) {
                Ok((1.., read)) => {
                    self.frames.read_buffer_mut().extend_from_slice(&chunk[..read]);
                    taken += read;
                }
                Err(rustix::io::Errno::INTR) => {}
                Ok(_) | Err(_) => break,
            }
        }
        self.at_end = true;
    }

    /// Discards what was staged or read, and ends reading.
    pub(crate) fn close(&mut self) {
        self.at_end = true;
        self.frames.read_buffer_mut().clear();
        self.outbox.clear();
    }
}
