//! A minimal client: requests and replies over one blocking socket. The main items are [`Protocol`]
//! and [`Client`].

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Instant;

use super::sample::{Sample, Until};

/// The encoding of a call of `predict`.
pub(crate) trait Protocol {
    /// Appends a request.
    fn request(&mut self, out: &mut Vec<u8>);

    /// Decodes and checks the reply at the start of `input`, and returns its length; `None` if it
    /// is incomplete.
    fn reply(&mut self, input: &[u8]) -> Option<usize>;
}

/// The bytes on a connection.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) sent: u64,
    pub(crate) received: u64,
}

/// A client with one connection, and one buffer for each direction.
pub(crate) struct Client<P> {
    protocol: P,
    socket: UnixStream,
    output: Vec<u8>,
    input: Vec<u8>,
    filled: usize,
    pub(crate) traffic: Traffic,
}

const READ: usize = 64 * 1024;

impl<P: Protocol> Client<P> {
    pub(crate) fn new(socket: UnixStream, protocol: P) -> Self {
        let (output, input) = (Vec::new(), vec![0; 2 * READ]);
        Self { protocol, socket, output, input, filled: 0, traffic: Traffic::default() }
    }

    /// Keeps `window` calls in flight: after each read, one write sends as many requests as the
    /// read brought replies.
    pub(crate) fn run(&mut self, window: usize, until: Until) -> Sample {
        let mut sample = Sample::new();
        let mut sent = std::collections::VecDeque::with_capacity(window);
        let start = Instant::now();
        self.send(window);
        sent.extend(std::iter::repeat_n(Instant::now(), window));
        let mut done = 0;
        while !sent.is_empty() {
            let answered = self.receive();
            let now = Instant::now();
            for at in sent.drain(..answered) {
                sample.record(now - at);
            }
            done += answered as u64;
            if !until.is_over(done, start, now) {
                // The clock starts before the write, as for a caller.
                sent.extend(std::iter::repeat_n(now, answered));
                self.send(answered);
            }
        }
        sample.end(start.elapsed())
    }

    fn send(&mut self, count: usize) {
        self.output.clear();
        for _ in 0..count {
            self.protocol.request(&mut self.output);
        }
        self.socket.write_all(&self.output).expect("the server reads");
        self.traffic.sent += self.output.len() as u64;
    }

    /// Reads once, and returns how many replies are complete.
    fn receive(&mut self) -> usize {
        let read = self.socket.read(&mut self.input[self.filled..]).expect("the server answers");
        assert!(read > 0, "the server closed the connection");
        self.traffic.received += read as u64;
        self.filled += read;
        let (mut start, mut count) = (0, 0);
        while let Some(length) = self.protocol.reply(&self.input[start..self.filled]) {
            start += length;
            count += 1;
        }
        self.input.copy_within(start..self.filled, 0);
        self.filled -= start;
        count
    }
}
