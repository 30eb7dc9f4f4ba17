//! The ids of requests. The main structure is [`RequestId`].

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

/// The header of requests and answers, and the key of the metadata of calls.
pub(super) const NAME: &str = "x-request-id";

static HEADER: HeaderName = HeaderName::from_static(NAME);

const LONGEST: usize = 128;

/// The id of a request: the client's own, or a generated one. It identifies, and is no secret.
#[derive(Clone, Debug)]
pub(super) struct RequestId {
    value: HeaderValue,
    /// Whether the client sent an id, even one that is not used.
    sent: bool,
}

impl RequestId {
    /// The id that the client sent, unless it is not fit for logs and headers.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let sent = headers.get(&HEADER);
        let value = sent.filter(|value| is_usable(value.as_bytes())).cloned();
        Self { value: value.unwrap_or_else(generate), sent: sent.is_some() }
    }

    pub(super) fn as_str(&self) -> &str {
        self.value.to_str().expect("it has visible ASCII characters only")
    }

    /// Whether the client sent an id.
    pub(super) const fn is_sent(&self) -> bool {
        self.sent
    }

    /// Adds the id to an answer.
    pub(super) fn add_to(self, headers: &mut HeaderMap) {
        headers.insert(HEADER.clone(), self.value);
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

    fn of(sent: &str) -> RequestId {
        let request = TestRequest::default().insert_header(("x-request-id", sent)).to_http_request();
        RequestId::of(request.headers())
    }

    #[test]
    fn the_id_of_the_client_is_used_if_it_is_short_and_plain() {
        let long = "x".repeat(128);
        for id in ["7", "f47ac10b-58cc-4372-a567-0e02b2c3d479", "Root=1-67891233-abcdef;x", "a+/b==", &long] {
            assert_eq!(of(id).as_str(), id);
        }
        let long = "x".repeat(129);
        for id in ["", "two words", "a\"b", "a\\b", "<script>", "ü", &long] {
            let made = of(id);
            assert!(made.as_str() != id && made.is_sent(), "{id}");
            assert_eq!(made.as_str().len(), 32);
        }
    }

    #[test]
    fn ids_are_generated_and_differ() {
        let request = TestRequest::default().to_http_request();
        let [one, other] = [(); 2].map(|()| RequestId::of(request.headers()));
        assert!(one.as_str() != other.as_str() && !one.is_sent());
        assert!(one.as_str().bytes().all(|byte| byte.is_ascii_hexdigit()) && one.as_str().len() == 32);
    }
}
