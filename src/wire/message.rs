//! The JSON payloads of the handshake and of errors. The main structure is [`Incoming`].

use std::borrow::Cow;
use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::byte_enum::byte_enum;
use super::codec::Codec;
use super::frame::{Frame, Header, Kind, ServiceTime};
use super::function::{Definitions, FunctionInfo};
use crate::error::ArgumentError;

/// The version of the protocol.
pub const PROTOCOL: u32 = 1;

/// The payload of Hello, the first frame of the host.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Hello {
    /// The version of the protocol, [`PROTOCOL`].
    pub protocol: u32,
    /// The maximum length of a frame.
    pub max_frame: u32,
    /// The number of entries in the slot table.
    pub slots: u32,
    /// The slot of the worker in the pool.
    pub slot: u32,
    /// The generation: the number of the launch in the pool.
    pub generation: u32,
    /// How long the worker may hold replies back to send them together, in microseconds.
    pub flush_us: u64,
    /// How long an idle worker may spin for the next call, in microseconds.
    pub busy_poll_us: u64,
    /// The signal that interrupts a call.
    pub interrupt_signal: i32,
    /// The signal that makes the worker write its stacks.
    pub stacks_signal: i32,
    /// The lowest level of log records that the worker sends.
    pub log_level: String,
    /// The JSON library that the worker uses: `stdlib`, `orjson` or `msgspec`.
    pub json: String,
    /// What the worker runs.
    pub worker: WorkerRef,
    /// Whether the worker accepts [`Kind::Fault`] frames.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub faults: bool,
    /// The fault of the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<FaultOrder>,
}

/// The payload of a Fault frame: how the worker misbehaves, for tests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FaultOrder {
    /// The name of the fault in `docs/protocol.md`.
    pub kind: Cow<'static, str>,
    /// How long the fault lasts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// How much memory the fault takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// The code that a worker runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WorkerRef {
    /// A script, by its absolute path.
    Path(String),
    /// A script whose absolute path is not UTF-8.
    #[serde(rename = "path_bytes")]
    PathBytes(Vec<u8>),
    /// A module, as for `python -m`.
    Module(String),
}

impl WorkerRef {
    /// The file name of the script, or the name of the module.
    #[must_use]
    pub fn name(&self) -> &OsStr {
        let path = match self {
            Self::Path(path) => OsStr::new(path),
            Self::PathBytes(path) => OsStr::from_bytes(path),
            Self::Module(name) => return OsStr::new(name),
        };
        Path::new(path).file_name().unwrap_or(path)
    }
}

impl From<PathBuf> for WorkerRef {
    fn from(path: PathBuf) -> Self {
        match path.into_os_string().into_string() {
            Ok(path) => Self::Path(path),
            Err(path) => Self::PathBytes(path.into_vec()),
        }
    }
}

/// The payload of Welcome, the first frame of the worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The version of the protocol that the worker speaks.
    pub protocol: u32,
    /// The version of Python.
    pub python: String,
}

/// The payload of Ready: the worker serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// Its functions; the index is the function id.
    pub functions: Vec<FunctionInfo>,
    /// The JSON Schemas of their classes, by name.
    #[serde(default)]
    pub definitions: Definitions,
}

/// The payload of Failed and of Error: a Python exception.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The qualified name of the exception's type.
    #[serde(rename = "type")]
    pub type_name: Box<str>,
    /// The message of the exception.
    #[serde(default)]
    pub message: Box<str>,
    /// The traceback, as Python prints it.
    #[serde(default)]
    pub traceback: Box<str>,
    /// The qualified names of the base classes of the exception's type, for [`ErrorCode::Raised`].
    #[serde(default, skip_serializing_if = "<[Box<str>]>::is_empty")]
    pub bases: Box<[Box<str>]>,
    /// The arguments of the exception, if they are data, for [`ErrorCode::Raised`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub args: Option<Box<[serde_json::Value]>>,
    /// Where the argument does not fit, for [`ErrorCode::InvalidArgument`].
    #[serde(default, skip_serializing_if = "<[ArgumentError]>::is_empty")]
    pub errors: Box<[ArgumentError]>,
}

byte_enum! {
    /// Why a call has no result.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum ErrorCode {
        /// The function raised.
        Raised = 1,
        /// The argument could not be decoded; the function did not run.
        Undecodable = 2,
        /// The result could not be encoded.
        Unencodable = 3,
        /// The function id does not exist; nothing ran.
        NoFunction = 4,
        /// The host marked the call before it started; it did not run.
        Skipped = 5,
        /// The host marked the call while it ran, and the worker interrupted it.
        Interrupted = 6,
        /// The result is longer than `max_frame`.
        TooLarge = 7,
        /// The argument does not fit the function; the function did not run.
        InvalidArgument = 8,
    }
}

/// A decoded frame of the worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// The worker runs.
    Welcome(Welcome),
    /// The worker serves.
    Ready(Ready),
    /// The worker failed to start.
    Failed(Failure),
    /// The result of a call.
    Reply {
        /// The id of the call.
        call: u32,
        /// The codec of the result.
        codec: Codec,
        /// How long the call occupied the worker, at least.
        service: ServiceTime,
        /// The encoded result.
        payload: Bytes,
    },
    /// A call without a result.
    Error {
        /// The id of the call.
        call: u32,
        /// Why the call has no result.
        code: ErrorCode,
        /// How long the call occupied the worker, at least.
        service: ServiceTime,
        /// The Python exception.
        failure: Failure,
    },
}

/// Why a frame of the worker is invalid. The connection cannot recover from it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// A kind that only the host sends.
    #[error("a {0:?} frame, which only the host sends")]
    NotOfWorker(Kind),
    /// A Pong, although the host never sends Ping.
    #[error("a Pong frame without a Ping")]
    UnsolicitedPong,
    /// The payload does not follow the protocol.
    #[error("a {kind:?} frame with an invalid payload: {source}")]
    Payload {
        /// The kind of the frame.
        kind: Kind,
        /// Why the payload is invalid.
        source: serde_json::Error,
    },
    /// The codec byte of a Reply or the error code of an Error is unknown.
    #[error("a {kind:?} frame of unknown codec {codec}")]
    Codec {
        /// The kind of the frame.
        kind: Kind,
        /// The unknown byte.
        codec: u8,
    },
}

impl Incoming {
    /// The name of the frame's kind, with its article.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Welcome(_) => "a Welcome",
            Self::Ready(_) => "a Ready",
            Self::Failed(_) => "a Failed",
            Self::Reply { .. } => "a Reply",
            Self::Error { .. } => "an Error",
        }
    }

    /// Decodes a frame, except for the payload of a Reply.
    ///
    /// # Errors
    /// If a worker that follows the protocol does not send such a frame.
    pub fn decode(frame: Frame) -> Result<Self, MessageError> {
        let Frame { header, payload } = frame;
        let Header { kind, codec, call, .. } = header;
        let unknown = MessageError::Codec { kind, codec };
        Ok(match kind {
            Kind::Reply => {
                let codec = Codec::from_byte(codec).ok_or(unknown)?;
                Self::Reply { call, codec, service: header.service_time(), payload }
            }
            Kind::Error => {
                let code = ErrorCode::from_byte(codec).ok_or(unknown)?;
                // Nobody reads the payload of a skipped or interrupted call.
                let bare = payload.is_empty() && matches!(code, ErrorCode::Skipped | ErrorCode::Interrupted);
                let failure = if bare { Failure::default() } else { json(kind, &payload)? };
                Self::Error { call, code, service: header.service_time(), failure }
            }
            Kind::Welcome => Self::Welcome(json(kind, &payload)?),
            Kind::Ready => Self::Ready(json(kind, &payload)?),
            Kind::Failed => Self::Failed(json(kind, &payload)?),
            Kind::Pong => return Err(MessageError::UnsolicitedPong),
            Kind::Hello | Kind::Call | Kind::Drain | Kind::Ping | Kind::Fault => {
                return Err(MessageError::NotOfWorker(kind));
            }
        })
    }
}

fn json<'a, T: Deserialize<'a>>(kind: Kind, payload: &'a [u8]) -> Result<T, MessageError> {
    serde_json::from_slice(payload).map_err(|source| MessageError::Payload { kind, source })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use std::os::unix::ffi::OsStrExt as _;
    use std::path::PathBuf;

    use serde_json::json;

    use super::{ErrorCode, Failure, Hello, Incoming, MessageError, WorkerRef};
    use crate::wire::frame::{Frame, Header, Kind};
    use crate::wire::function::{Binding, FunctionKind, ParameterKind};

    fn incoming(kind: Kind, codec: u8, payload: &'static str) -> Result<Incoming, MessageError> {
        let header = Header { kind, codec, function: 7, call: 9 };
        Incoming::decode(Frame { header, payload: Bytes::from_static(payload.as_bytes()) })
    }

    #[test]
    fn ready_of_the_protocol_page_is_understood() {
        let ready = r##"{"functions": [{"name": "score", "signature": "(point: Point, scale: float = 1.0) -> list[float]",
            "doc": "Score a point.\n\nThe whole docstring.", "kind": "async", "binding": "named", "parameters": [
            {"name": "point", "kind": "positional_or_keyword", "required": true, "annotation": "Point",
             "schema": {"$ref": "#/components/schemas/Point"}},
            {"name": "scale", "kind": "positional_or_keyword", "required": false, "annotation": null,
             "schema": {"type": "number"}, "default": null}],
            "argument": {"schema": {"type": "object"}, "required": true, "bytes": false}, "returns": "list[float]",
            "returns_schema": {"type": "array"}, "warnings": ["it is slow"]},
            {"name": "f", "kind": "sync", "binding": "of a later version", "argument": null}],
            "definitions": {"Point": {"type": "object"}}}"##;
        let Ok(Incoming::Ready(ready)) = incoming(Kind::Ready, 1, ready) else {
            panic!("the frame is valid")
        };
        let [score, unknown] = &ready.functions[..] else { panic!("there are two") };
        assert_eq!((score.kind, score.binding), (FunctionKind::Async, Binding::Named));
        assert_eq!(score.summary(), Some("Score a point."));
        let [point, scale] = &score.parameters[..] else { panic!("there are two") };
        assert_eq!(point.kind, ParameterKind::PositionalOrKeyword);
        assert_eq!((point.annotation.as_deref(), &point.default), (Some("Point"), &None));
        assert_eq!((&scale.annotation, &scale.default), (&None, &Some(json!(null))));
        assert_eq!(point.schema, json!({"$ref": "#/components/schemas/Point"}));
        assert!(score.argument.as_ref().is_some_and(|argument| argument.required && !argument.bytes));
        assert_eq!(score.returns_schema, json!({"type": "array"}));
        assert_eq!(score.warnings, ["it is slow"]);
        assert_eq!((unknown.binding, &unknown.argument), (Binding::Unknown, &None));
        assert_eq!(unknown.returns_schema, json!({}));
        assert_eq!(ready.definitions["Point"], json!({"type": "object"}));
    }

    #[test]
    fn hello_names_the_worker_as_the_protocol_page_does() {
        let json =
            |worker: WorkerRef| serde_json::to_string(&worker).expect("a worker reference encodes as JSON");
        assert_eq!(json(PathBuf::from("/a/w.py").into()), r#"{"path":"/a/w.py"}"#);
        let path = PathBuf::from(std::ffi::OsStr::from_bytes(b"/\xff"));
        assert_eq!(json(path.into()), r#"{"path_bytes":[47,255]}"#);
        assert_eq!(json(WorkerRef::Module("pkg.mod".into())), r#"{"module":"pkg.mod"}"#);
        let hello = r#"{"protocol": 1, "max_frame": 67108872, "slots": 1024, "slot": 0, "generation": 1, "flush_us": 200,
            "busy_poll_us": 0, "interrupt_signal": 23, "stacks_signal": 36, "log_level": "info",
            "json": "stdlib", "worker": {"path": "/abs/worker.py"}}"#;
        let hello: Hello = serde_json::from_str(hello).expect("the example of the protocol page is valid");
        assert_eq!(hello.worker, WorkerRef::Path("/abs/worker.py".into()));
    }

    #[test]
    fn error_is_understood_and_one_that_was_skipped_needs_no_payload() {
        let error = incoming(Kind::Error, 1, r#"{"type": "ValueError", "message": "no", "traceback": ""}"#);
        let Ok(Incoming::Error { call: 9, code: ErrorCode::Raised, service, failure }) = error else {
            panic!("the frame is valid")
        };
        assert_eq!(service.duration().as_micros(), 7);
        assert_eq!(&*failure.type_name, "ValueError");
        let skipped = incoming(Kind::Error, 5, "").expect("a skipped call needs no payload");
        assert!(matches!(skipped, Incoming::Error { failure, .. } if failure == Failure::default()));
    }

    #[test]
    fn frames_that_no_worker_sends_are_refused() {
        assert!(matches!(incoming(Kind::Call, 1, "{}"), Err(MessageError::NotOfWorker(Kind::Call))));
        assert!(matches!(incoming(Kind::Reply, 0, ""), Err(MessageError::Codec { codec: 0, .. })));
        assert!(matches!(incoming(Kind::Error, 9, "{}"), Err(MessageError::Codec { codec: 9, .. })));
        assert!(matches!(incoming(Kind::Error, 1, "{"), Err(MessageError::Payload { .. })));
        assert!(matches!(incoming(Kind::Welcome, 1, "[]"), Err(MessageError::Payload { .. })));
    }
}
