//! Tokens. The main structure is [`Secret`].

use std::fmt;
use std::sync::Arc;

use actix_web::http::header::{self, HeaderMap};

/// A token. Nothing prints it, not even `Debug`.
#[derive(Clone)]
pub(super) struct Secret(Arc<str>);

impl Secret {
    pub(super) fn new(token: String) -> Self {
        Self(token.into())
    }

    /// Whether the headers have it as `Authorization: Bearer TOKEN`.
    pub(super) fn is_in(&self, headers: &HeaderMap) -> bool {
        bearer(headers).is_some_and(|given| same(given, self.0.as_bytes()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.as_bytes().split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token)
}

/// Compares in a time that depends only on the length, not on how many bytes are equal.
fn same(given: &[u8], expected: &[u8]) -> bool {
    given.len() == expected.len()
        && given.iter().zip(expected).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::{Secret, same};

    #[test]
    fn only_the_whole_token_is_right() {
        let secret = Secret::new("secret".to_owned());
        let is_in = |value: &str| {
            let request = TestRequest::default().insert_header(("authorization", value));
            secret.is_in(request.to_http_request().headers())
        };
        assert!(is_in("Bearer secret") && is_in("bearer secret"));
        for wrong in ["Bearer secre", "Bearer secret2", "Basic secret", "secret", "Bearer ", "Bearer", ""] {
            assert!(!is_in(wrong), "{wrong}");
        }
        assert!(same(b"", b"") && !same(b"a", b"b"));
    }

    #[test]
    fn debug_does_not_print_it() {
        assert_eq!(format!("{:?}", Secret::new("hunter2".to_owned())), "Secret(..)");
    }
}
