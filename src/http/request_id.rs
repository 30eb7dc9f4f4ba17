//! The ids of requests. The main structure is [`RequestId`].

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

/// The header of requests and answers, and the key of the metadata of calls.
pub(super) const NAME: &str = "x-request-id";

static HEADER: HeaderName = HeaderName::from_static(NAME);

const LONGEST: usize = 128;

/// The id of a request: the client's own, or a generated one. It identifies, and is no secret.
#[derive(Clone, Debug)]
pub(super) struct RequestId(HeaderValue);

impl RequestId {
    /// The id that the client sent, unless it is not fit for logs and headers; else a generated one
    /// if the request is logged.
    pub(super) fn of(headers: &HeaderMap, is_logged: bool) -> Option<Self> {
        let sent = headers.get(&HEADER).filter(|value| is_usable(value.as_bytes()));
        sent.cloned().or_else(|| is_logged.then(generate)).map(Self)
    }

    pub(super) fn as_str(&self) -> &str {
        self.0.to_str().expect("it has visible ASCII characters only")
    }

    /// Adds the id to an answer.
    pub(super) fn add_to(self, headers: &mut HeaderMap) {
        headers.insert(HEADER.clone(), self.0);
    }
}

/// UUIDs, ULIDs, numbers, base64 and the ids of cloud providers (`Root=1-67891233-abcdef`).
fn is_usable(id: &[u8]) -> bool {
    let usable = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:;/+=@~".contains(byte);
    (1..=LONGEST).contains(&id.len()) && id.iter().all(usable)
}

/// 128 random bits.
fn generate() -> HeaderValue {
    let bits = fastrand::u128(..);
    let digits: [u8; 32] = std::array::from_fn(|at| b"0123456789abcdef"[(bits >> (4 * at)) as usize & 15]);
    HeaderValue::from_bytes(&digits).expect("hexadecimal digits are visible ASCII characters")
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::RequestId;

    fn of(sent: &str, is_logged: bool) -> Option<String> {
        let request = TestRequest::default().insert_header(("x-request-id", sent)).to_http_request();
        RequestId::of(request.headers(), is_logged).map(|id| id.as_str().to_owned())
    }

    #[test]
    fn the_id_of_the_client_is_used_if_it_is_short_and_plain() {
        let long = "x".repeat(128);
        for id in ["7", "f47ac10b-58cc-4372-a567-0e02b2c3d479", "Root=1-67891233-abcdef;x", "a+/b==", &long] {
            for is_logged in [false, true] {
                assert_eq!(of(id, is_logged).as_deref(), Some(id));
            }
        }
        let long = "x".repeat(129);
        for id in ["", "two words", "a\"b", "a\\b", "<script>", "ü", &long] {
            assert_eq!(of(id, false), None, "{id}");
            let made = of(id, true).expect("a request that is logged has an id");
            assert!(made != id && made.len() == 32, "{id}");
        }
    }

    #[test]
    fn ids_of_requests_that_are_logged_are_generated_and_differ() {
        let request = TestRequest::default().to_http_request();
        assert!(RequestId::of(request.headers(), false).is_none());
        let [one, other] = [(); 2].map(|()| RequestId::of(request.headers(), true));
        let (one, other) = one.zip(other).expect("requests that are logged have ids");
        assert!(one.as_str() != other.as_str());
        assert!(one.as_str().bytes().all(|byte| byte.is_ascii_hexdigit()) && one.as_str().len() == 32);
    }
}
