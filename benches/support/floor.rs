//! The floor: a worker of the pool, driven by a bare blocking program over the same wire. The main
//! structure is [`Floor`].

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use actix_pyproc::wire::frame::{COUNTED_LEN, HEADER_LEN};
use actix_pyproc::wire::message::{Hello, PROTOCOL, Ready};
use actix_pyproc::wire::{Codec, Header, Kind};
use bytes::BytesMut;
use rustix::fs::MemfdFlags;
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::sockopt;

use super::flow::{Client, Protocol};
use super::machine;
use super::sample::{Sample, Until};

const MAX_FRAME: u32 = (64 << 20) + 8;
const SLOTS: u32 = 1024;
const BOOTSTRAP: &str =
    "import sys; sys.path.insert(0, sys.argv.pop()); from pyproc_worker._main import main; main()";

/// A worker process with only a socket between it and the measurement.
pub(crate) struct Floor {
    child: Child,
    socket: UnixStream,
    functions: Vec<String>,
}

impl Floor {
    /// Starts the worker, and waits until it is ready.
    pub(crate) fn start(script: &Path) -> Self {
        let (host, worker) = UnixStream::pair().expect("a socket pair");
        for end in [&host, &worker] {
            // As the pool does. The system may reject a size above its limit.
            if sockopt::set_socket_send_buffer_size_force(end, 1 << 20).is_err() {
                let _ = sockopt::set_socket_send_buffer_size(end, 1 << 20);
            }
        }
        let mut table =
            File::from(rustix::fs::memfd_create("bench-table", MemfdFlags::empty()).expect("a memfd"));
        table.write_all(b"PYP1").expect("memory to write to");
        table.set_len(64 + 10 * u64::from(SLOTS)).expect("memory to grow");
        let null: OwnedFd = File::create("/dev/null").expect("/dev/null always exists").into();
        let mut command = Command::new(machine::python());
        command.args(["-c", BOOTSTRAP]).arg(machine::python_workers()).stdin(Stdio::null());
        inherit(&mut command, "PYPROC_SOCKET_FD", &worker);
        inherit(&mut command, "PYPROC_TABLE_FD", &table);
        inherit(&mut command, "PYPROC_STACKS_FD", &null);
        inherit(&mut command, "PYPROC_LOG_FD", &null);
        let child = command.spawn().expect("the interpreter starts");
        drop((worker, table, null));
        let mut floor = Self { child, socket: host, functions: Vec::new() };
        floor.shake_hands(script);
        floor
    }

    fn shake_hands(&mut self, script: &Path) {
        let hello = Hello {
            protocol: PROTOCOL,
            max_frame: MAX_FRAME,
            slots: SLOTS,
            slot: 0,
            generation: 1,
            flush_us: 200,
            busy_poll_us: 0,
            interrupt_signal: 23,
            stacks_signal: 0,
            log_level: "info".into(),
            json: "stdlib".into(),
            worker: script.to_owned().into(),
            faults: false,
            fault: None,
        };
        let hello = serde_json::to_vec(&hello).expect("Hello can be encoded");
        let frame = encoded(Header::control(Kind::Hello, 1), &hello);
        self.socket.write_all(&frame).expect("the worker reads");
        let welcome = self.read_frame();
        assert_eq!(welcome.0, Kind::Welcome as u8);
        let (kind, ready) = self.read_frame();
        assert_eq!(kind, Kind::Ready as u8, "{}", String::from_utf8_lossy(&ready));
        let ready: Ready = serde_json::from_slice(&ready).expect("Ready is JSON");
        self.functions = ready.functions.into_iter().map(|function| function.name).collect();
    }

    fn read_frame(&mut self) -> (u8, Vec<u8>) {
        let mut head = [0; HEADER_LEN];
        self.socket.read_exact(&mut head).expect("the worker answers");
        let mut payload = vec![0; reply_len(&head).expect("the header has the length") - HEADER_LEN];
        self.socket.read_exact(&mut payload).expect("the worker answers");
        (head[4], payload)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn function(&self, name: &str) -> u16 {
        let index =
            self.functions.iter().position(|function| function == name).expect("the worker exposes it");
        u16::try_from(index).expect("there are few functions")
    }

    /// A client that keeps calls of `function` in flight.
    pub(crate) fn client(&self, function: &str, codec: Codec, payload: &[u8]) -> Client<Wire> {
        let header =
            |call| Header { kind: Kind::Call, codec: codec as u8, function: self.function(function), call };
        let frames: Vec<Vec<u8>> = (0..SLOTS).map(|call| encoded(header(call), payload)).collect();
        let socket = self.socket.try_clone().expect("the descriptor can be duplicated");
        Client::new(socket, Wire { frames, next: 0 })
    }

    /// Sends a payload of bytes to `echo` again and again, and reads each reply.
    pub(crate) fn echo(&mut self, payload: &[u8], until: Until) -> Sample {
        let header =
            Header { kind: Kind::Call, codec: Codec::Bytes as u8, function: self.function("echo"), call: 0 };
        let frame = encoded(header, payload);
        let mut reply = vec![0; frame.len()];
        let mut sample = Sample::new();
        let start = Instant::now();
        let (mut now, mut done) = (start, 0);
        while !until.is_over(done, start, now) {
            self.socket.write_all(&frame).expect("the worker reads");
            self.socket.read_exact(&mut reply).expect("the worker answers");
            assert_eq!(reply[4], Kind::Reply as u8);
            let then = std::mem::replace(&mut now, Instant::now());
            sample.record(now - then);
            done += 1;
        }
        sample.end(start.elapsed())
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        // The worker exits when its socket ends.
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
        let _ = self.child.wait();
    }
}

/// Our own wire, with frames encoded in advance.
pub(crate) struct Wire {
    frames: Vec<Vec<u8>>,
    next: usize,
}

impl Protocol for Wire {
    fn request(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.frames[self.next]);
        self.next = (self.next + 1) % self.frames.len();
    }

    fn reply(&mut self, input: &[u8]) -> Option<usize> {
        let length = reply_len(input).filter(|&length| length <= input.len())?;
        assert_eq!(input[4], Kind::Reply as u8, "{}", String::from_utf8_lossy(&input[..length]));
        Some(length)
    }
}

fn reply_len(input: &[u8]) -> Option<usize> {
    let (head, _) = input.split_first_chunk::<4>()?;
    Some(4 + u32::from_be_bytes(*head) as usize)
}

fn encoded(header: Header, payload: &[u8]) -> Vec<u8> {
    let mut frame = BytesMut::with_capacity(4 + COUNTED_LEN + payload.len());
    header.encode(payload.len(), &mut frame);
    frame.extend_from_slice(payload);
    frame.into()
}

fn inherit(command: &mut Command, variable: &str, fd: &impl AsFd) {
    fcntl_setfd(fd, FdFlags::empty()).expect("the descriptor is open");
    command.env(variable, fd.as_fd().as_raw_fd().to_string());
}
