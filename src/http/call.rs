//! `POST /call/{function}`: turns a request into a call and a reply into a response. The main item
//! is the handler [`call()`]. Payloads are neither parsed nor copied.

use std::time::Duration;

use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::http::{ConnectionType, Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;

use super::access_log::Access;
use super::admission::Allowed;
use super::body;
use super::gateway::Gateway;
use super::problem::Problem;
use super::request_id::{self, RequestId};
use crate::call::{Call, Reply};
use crate::wire::Codec;

const TIMEOUT: &str = "x-pyproc-timeout-ms";
const IDEMPOTENT: &str = "x-pyproc-idempotent";
const AFFINITY: &str = "x-pyproc-affinity";
/// Headers that become metadata of the call under the same name.
const CARRIED: [&str; 3] = ["traceparent", "tracestate", "baggage"];

pub(super) async fn call(
    allowed: Result<Allowed, Problem>,
    request: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    let gateway = allowed.as_ref().ok().map(|Allowed(gateway)| gateway).or_else(|| request.app_data());
    let (id, mut access) = Access::begin(gateway.map(|gateway| gateway.options()), &request);
    let (answer, is_draining) = match allowed {
        Ok(Allowed(gateway)) => {
            let answer = answer(&gateway, &request, payload, id.as_ref(), access.as_mut()).await;
            (answer, gateway.is_draining())
        }
        Err(problem) => (Err(problem), false),
    };
    let mut response = match answer {
        Ok(reply) => respond(&reply),
        Err(problem) => problem.into_response(),
    };
    if let Some(id) = id {
        id.add_to(response.headers_mut());
    }
    if is_draining {
        response.head_mut().set_connection_type(ConnectionType::Close);
    }
    if let Some(access) = access {
        access.end(&response);
    }
    response
}

/// Reads the rest of a request, makes a call of it, and waits for its reply.
async fn answer(
    gateway: &Gateway,
    request: &HttpRequest,
    payload: web::Payload,
    id: Option<&RequestId>,
    access: Option<&mut Access>,
) -> Result<Reply, Problem> {
    if request.method() != Method::POST {
        return Err(Problem::method_not_allowed(request.method(), "POST"));
    }
    let (headers, options) = (request.headers(), gateway.options());
    let function = name(request.match_info().unprocessed());
    let codec = codec(headers)?;
    let body = body::read(payload, headers, options.bounds(), gateway.bodies()).await?;
    if let Some(access) = access {
        access.calls(&function, body.len());
    }
    let mut call = make_call(function, codec, body, headers, options.min_timeout)?;
    if let Some(id) = id {
        call = call.metadata(request_id::NAME, id.as_str().to_owned());
    }
    gateway.pool().request(call).await.map_err(|error| Problem::of(&error, options.tracebacks))
}

/// The name of the function: the path after `/call`, decoded.
fn name(path: &str) -> String {
    let path = path.strip_prefix('/').unwrap_or(path);
    if !path.contains('%') {
        return path.to_owned();
    }
    let (mut bytes, mut rest) = (Vec::with_capacity(path.len()), path.as_bytes());
    while let [first, more @ ..] = rest {
        let code = more.get(..2).filter(|_| *first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        match code.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &more[2..];
            }
            None => {
                bytes.push(*first);
                rest = more;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn respond(reply: &Reply) -> HttpResponse {
    let mut response = HttpResponse::with_body(StatusCode::OK, reply.bytes());
    let media = match reply.codec() {
        Codec::Json => "application/json",
        Codec::Msgpack => "application/msgpack",
        Codec::Bytes => "application/octet-stream",
    };
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    response.map_into_boxed_body()
}

/// How the body is encoded. Refuses the types that a page of another origin can send without a
/// preflight request: forms and plain text.
fn codec(headers: &HeaderMap) -> Result<Option<Codec>, Problem> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return Ok(None);
    };
    if value == "application/json" {
        return Ok(Some(Codec::Json));
    }
    let text = value.to_str().unwrap_or_default();
    let media = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match media.as_str() {
        "application/json" => Ok(Some(Codec::Json)),
        "application/msgpack" | "application/x-msgpack" | "application/vnd.msgpack" => {
            Ok(Some(Codec::Msgpack))
        }
        "application/octet-stream" => Ok(Some(Codec::Bytes)),
        _ => Err(Problem::unsupported_media_type(text)),
    }
}

fn make_call(
    function: String,
    codec: Option<Codec>,
    body: Bytes,
    headers: &HeaderMap,
    min_timeout: Duration,
) -> Result<Call, Problem> {
    let mut call = match codec {
        // Without a body there is no argument, so `curl -X POST` calls a function that needs none.
        None | Some(Codec::Json) if body.is_empty() => Call::empty(function),
        Some(Codec::Msgpack) if body.is_empty() => Call::empty_msgpack(function),
        None => return Err(Problem::unsupported_media_type("")),
        Some(Codec::Json) => Call::raw_json(function, body),
        Some(Codec::Msgpack) => Call::raw_msgpack(function, body),
        Some(Codec::Bytes) => Call::bytes(function, body),
    };
    if let Some(value) = headers.get(TIMEOUT) {
        call = call.timeout(timeout(value)?.max(min_timeout));
    }
    if let Some(value) = headers.get(IDEMPOTENT) {
        match value.as_bytes() {
            b"1" | b"true" => call = call.idempotent(),
            b"0" | b"false" => {}
            _ => return Err(Problem::bad_header("X-Pyproc-Idempotent", "1 or 0")),
        }
    }
    if let Some(value) = headers.get(AFFINITY) {
        call = call.affinity(value.as_bytes());
    }
    for name in CARRIED {
        if let Some(value) = headers.get(name).and_then(|value| value.to_str().ok()) {
            call = call.metadata(name, value.to_owned());
        }
    }
    Ok(call)
}

fn timeout(value: &HeaderValue) -> Result<Duration, Problem> {
    let ms: Option<u64> = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    match ms {
        Some(ms @ 1..) => Ok(Duration::from_millis(ms)),
        _ => Err(Problem::bad_header("X-Pyproc-Timeout-Ms", "a number of milliseconds, at least 1")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use actix_pyproc_actors::backend::Routable;
    use actix_web::http::header::HeaderMap;
    use actix_web::test::TestRequest;
    use bytes::Bytes;

    use super::{codec, make_call, name};
    use crate::call::Call;
    use crate::wire::Codec;

    const MIN_TIMEOUT: Duration = Duration::from_millis(100);

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let request = pairs.iter().fold(TestRequest::default(), |request, &pair| request.insert_header(pair));
        request.to_http_request().headers().clone()
    }

    fn call(pairs: &[(&str, &str)]) -> Result<Call, u16> {
        make_call("f".to_owned(), Some(Codec::Json), Bytes::from_static(b"1"), &headers(pairs), MIN_TIMEOUT)
            .map_err(|problem| problem.status().as_u16())
    }

    #[test]
    fn media_types_are_codecs_and_those_of_forms_are_refused() {
        let of = |media: &str| codec(&headers(&[("content-type", media)])).ok().flatten();
        assert_eq!(of("application/json"), Some(Codec::Json));
        assert_eq!(of("Application/JSON; charset=utf-8"), Some(Codec::Json));
        for msgpack in ["application/msgpack", "application/x-msgpack", "application/vnd.msgpack"] {
            assert_eq!(of(msgpack), Some(Codec::Msgpack));
        }
        assert_eq!(of("application/octet-stream"), Some(Codec::Bytes));
        for refused in
            ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
        {
            assert!(codec(&headers(&[("content-type", refused)])).is_err(), "{refused}");
        }
        assert!(
            make_call("f".to_owned(), None, Bytes::from_static(b"1"), &headers(&[]), MIN_TIMEOUT).is_err()
        );
    }

    #[test]
    fn empty_body_is_no_argument_unless_it_is_bytes() {
        let byte = |codec| {
            let call = make_call("f".to_owned(), codec, Bytes::new(), &headers(&[]), MIN_TIMEOUT);
            call.expect("it is valid").codec_byte()
        };
        assert_eq!((byte(None), byte(Some(Codec::Json))), (0x21, 0x21));
        assert_eq!((byte(Some(Codec::Msgpack)), byte(Some(Codec::Bytes))), (0x22, 0x03));
    }

    #[test]
    fn names_are_decoded() {
        let rows = [
            ("/f", "f"),
            ("/my%20func", "my func"),
            ("/%C3%A9", "é"),
            ("/a%2Fb", "a/b"),
            ("/100%", "100%"),
            ("/%zz", "%zz"),
            ("", ""),
        ];
        for (path, expected) in rows {
            assert_eq!(name(path), expected);
        }
    }

    #[test]
    fn headers_set_deadline_idempotency_affinity_and_trace() {
        let plain = call(&[]).expect("it is valid");
        assert_eq!((Routable::timeout(&plain), Routable::affinity(&plain)), (None, None));
        assert!(!plain.is_idempotent());
        let call = call(&[
            ("x-pyproc-timeout-ms", "250"),
            ("x-pyproc-idempotent", "1"),
            ("x-pyproc-affinity", "customer 7"),
            ("traceparent", "00-1"),
            ("tracestate", "a=b"),
        ])
        .expect("it is valid");
        assert_eq!(Routable::timeout(&call), Some(Duration::from_millis(250)));
        assert!(call.is_idempotent());
        let same = Call::raw_json("f", "1").affinity("customer 7");
        assert_eq!(Routable::affinity(&call), Routable::affinity(&same));
        assert_eq!(call.metadata_value("traceparent"), Some("00-1"));
        assert_eq!(call.metadata_value("tracestate"), Some("a=b"));
    }

    #[test]
    fn a_deadline_below_the_floor_is_raised_to_it() {
        let of = |ms| Routable::timeout(&call(&[("x-pyproc-timeout-ms", ms)]).expect("it is valid"));
        assert_eq!(of("1"), Some(MIN_TIMEOUT));
        assert_eq!(of("100"), Some(MIN_TIMEOUT));
        assert_eq!(of("101"), Some(Duration::from_millis(101)));
    }

    #[test]
    fn headers_that_make_no_sense_are_refused() {
        for (name, value) in [
            ("x-pyproc-timeout-ms", "0"),
            ("x-pyproc-timeout-ms", "soon"),
            ("x-pyproc-timeout-ms", "-1"),
            ("x-pyproc-idempotent", "perhaps"),
        ] {
            assert_eq!(call(&[(name, value)]).err(), Some(400), "{name}: {value}");
        }
    }
}
