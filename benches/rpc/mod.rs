//! The servers and the protocols of the comparison. The main structure is [`Server`].

use std::io::{BufRead as _, BufReader, Cursor, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde::{Deserialize, Serialize};

use crate::support::flow::Protocol;
use crate::support::machine;

/// A Python server of `python_workers/servers`. It exits when its standard input ends.
pub(crate) struct Server {
    child: Child,
    socket: PathBuf,
    _directory: tempfile::TempDir,
}

impl Server {
    pub(crate) fn start(script: &str) -> Self {
        Self::start_with(&machine::python(), script)
    }

    /// Starts a server, and waits until it listens.
    pub(crate) fn start_with(python: &Path, script: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory for the socket");
        let socket = directory.path().join("socket");
        let script = machine::python_workers().join("servers").join(script);
        let mut command = Command::new(python);
        command.arg(script).arg(&socket).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the interpreter starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("standard output is a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("the server prints a line");
        assert_eq!(line, "listening\n");
        Self { child, socket, _directory: directory }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn connect(&self) -> UnixStream {
        UnixStream::connect(&self.socket).expect("the server listens")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

#[derive(Serialize)]
struct Input {
    value: u64,
}

const INPUT: Input = Input { value: 42 };

#[derive(Deserialize)]
struct Prediction {
    result: u64,
}

fn check(prediction: &Prediction) {
    assert_eq!(prediction.result, 84);
}

/// JSON-RPC 2.0, one object per line.
#[derive(Default)]
pub(crate) struct JsonRpc {
    id: u64,
}

impl Protocol for JsonRpc {
    fn request(&mut self, out: &mut Vec<u8>) {
        #[derive(Serialize)]
        struct Request {
            jsonrpc: &'static str,
            id: u64,
            method: &'static str,
            params: Input,
        }
        self.id += 1;
        let request = Request { jsonrpc: "2.0", id: self.id, method: "predict", params: INPUT };
        serde_json::to_writer(&mut *out, &request).expect("the value can be encoded");
        out.push(b'\n');
    }

    fn reply(&mut self, input: &[u8]) -> Option<usize> {
        #[derive(Deserialize)]
        struct Reply {
            #[serde(rename = "id")]
            _id: u64,
            result: Prediction,
        }
        let end = input.iter().position(|&byte| byte == b'\n')?;
        let reply: Reply = serde_json::from_slice(&input[..end]).expect("a result");
        check(&reply.result);
        Some(end + 1)
    }
}

/// A 4-byte length and a JSON object.
#[derive(Default)]
pub(crate) struct Envelope {
    id: u64,
}

impl Protocol for Envelope {
    fn request(&mut self, out: &mut Vec<u8>) {
        #[derive(Serialize)]
        struct Request {
            id: u64,
            method: &'static str,
            body: Input,
        }
        self.id += 1;
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        let request = Request { id: self.id, method: "predict", body: INPUT };
        serde_json::to_writer(&mut *out, &request).expect("the value can be encoded");
        let length = u32::try_from(out.len() - start - 4).expect("the request is short");
        out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    }

    fn reply(&mut self, input: &[u8]) -> Option<usize> {
        #[derive(Deserialize)]
        struct Reply {
            #[serde(rename = "id")]
            _id: u64,
            body: Prediction,
        }
        let (head, rest) = input.split_first_chunk::<4>()?;
        let length = u32::from_be_bytes(*head) as usize;
        let reply: Reply = serde_json::from_slice(rest.get(..length)?).expect("a result");
        check(&reply.body);
        Some(4 + length)
    }
}

/// MessagePack-RPC.
#[derive(Default)]
pub(crate) struct MsgpackRpc {
    id: u32,
}

impl Protocol for MsgpackRpc {
    fn request(&mut self, out: &mut Vec<u8>) {
        self.id = self.id.wrapping_add(1);
        let request = (0, self.id, "predict", [INPUT]);
        request
            .serialize(&mut rmp_serde::Serializer::new(out).with_struct_map())
            .expect("the value can be encoded");
    }

    fn reply(&mut self, input: &[u8]) -> Option<usize> {
        let mut cursor = Cursor::new(input);
        // Decoding fails only if the reply is incomplete: the server sends nothing invalid.
        let (_, _, (), prediction): (u8, u32, (), Prediction) = rmp_serde::from_read(&mut cursor).ok()?;
        check(&prediction);
        Some(usize::try_from(cursor.position()).expect("the position is within the input"))
    }
}

/// XML-RPC over HTTP/1.1.
pub(crate) struct XmlRpc;

impl Protocol for XmlRpc {
    fn request(&mut self, out: &mut Vec<u8>) {
        let body = format!(
            "<?xml version='1.0'?><methodCall><methodName>predict</methodName><params><param><value><struct><member>\
            <name>value</name><value><int>{}</int></value></member></struct></value></param></params></methodCall>",
            INPUT.value
        );
        let length = body.len();
        let head = "POST /RPC2 HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/xml\r\n";
        write!(out, "{head}Content-Length: {length}\r\n\r\n{body}")
            .expect("writing to a vector does not fail");
    }

    fn reply(&mut self, input: &[u8]) -> Option<usize> {
        let text = std::str::from_utf8(input).expect("XML and HTTP are text");
        let head = text.find("\r\n\r\n")? + 4;
        let length = text[..head].lines().find_map(|line| line.strip_prefix("Content-length: "));
        let length: usize =
            length.and_then(|digits| digits.parse().ok()).expect("the server sends the length");
        let body = text.get(head..head + length)?;
        let (_, rest) = body.split_once("<name>result</name>\n<value><int>").expect("a result");
        let (number, _) = rest.split_once('<').expect("the number ends");
        check(&Prediction { result: number.parse().expect("a number") });
        Some(head + length)
    }
}
