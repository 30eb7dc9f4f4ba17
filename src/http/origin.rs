//! Whether a request comes from a page of another origin. The main structure is [`Origins`].
//!
//! The rules are those of Go's `http.CrossOriginProtection`: `Sec-Fetch-Site` decides, because the
//! browser sets it and a page cannot. A browser that does not send it sends `Origin` with all
//! requests that change something. Programs send neither.

use actix_web::http::Method;
use actix_web::http::header::HeaderMap;

/// The origins given with `--allow-origin`.
#[derive(Clone, Debug, Default)]
pub(super) struct Origins(Vec<Box<str>>);

impl Origins {
    pub(super) fn allow(&mut self, origin: &str) {
        self.0.push(origin.trim_end_matches('/').into());
    }

    /// Returns the header that shows that a page of another origin sent the request; `host` is the
    /// value of its `Host` header.
    pub(super) fn refuse(&self, method: &Method, headers: &HeaderMap, host: Option<&[u8]>) -> Option<String> {
        let value = |name| headers.get(name).map(|value| value.as_bytes());
        let site = value("sec-fetch-site");
        let origin = value("origin");
        let (site, origin) = match (site, origin) {
            (None, None) | (Some(b"same-origin" | b"none"), _) => return None,
            others => others,
        };
        if origin.is_some_and(|origin| self.0.iter().any(|allowed| origin == allowed.as_bytes())) {
            return None;
        }
        let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match (site, origin) {
            (Some(_), _) if opens_a_page(method, headers) => None,
            (Some(site), None) => Some(format!("Sec-Fetch-Site: {}", shown(site))),
            (None, Some(origin)) if host.is_some_and(|host| is_same(origin, host)) => None,
            (_, Some(origin)) => Some(format!("Origin: {}", shown(origin))),
            (None, None) => None,
        }
    }
}

/// Whether a request opens a link in a tab. The page with the link cannot read the answer.
fn opens_a_page(method: &Method, headers: &HeaderMap) -> bool {
    let is = |name, wanted: &[u8]| headers.get(name).is_some_and(|value| value.as_bytes() == wanted);
    matches!(*method, Method::GET | Method::HEAD)
        && is("sec-fetch-mode", b"navigate")
        && is("sec-fetch-dest", b"document")
}

/// Whether this origin has this host. A proxy may have terminated TLS, so the scheme is unknown.
fn is_same(origin: &[u8], host: &[u8]) -> bool {
    let (authority, port) = match (origin.strip_prefix(b"http://"), origin.strip_prefix(b"https://")) {
        (Some(authority), _) => (authority, &b":80"[..]),
        (_, Some(authority)) => (authority, &b":443"[..]),
        // For example `null`, the origin of sandboxed pages and of files.
        _ => return false,
    };
    // Browsers omit the default port of the scheme.
    authority.eq_ignore_ascii_case(host.strip_suffix(port).unwrap_or(host))
}

#[cfg(test)]
mod tests {
    use actix_web::http::Method;
    use actix_web::test::TestRequest;

    use super::Origins;

    fn refused(origins: &Origins, method: Method, headers: &[(&str, &str)]) -> bool {
        let request =
            headers.iter().fold(TestRequest::default(), |request, &pair| request.insert_header(pair));
        let request = request.to_http_request();
        origins.refuse(&method, request.headers(), Some(b"127.0.0.1:8000")).is_some()
    }

    #[test]
    fn a_page_of_another_origin_is_refused_and_programs_and_the_own_page_are_not() {
        let rows: [(&[(&str, &str)], bool); 14] = [
            (&[], false),
            (&[("sec-fetch-site", "same-origin"), ("origin", "http://127.0.0.1:8000")], false),
            (&[("sec-fetch-site", "none")], false),
            (&[("sec-fetch-site", "cross-site"), ("origin", "http://evil.example")], true),
            (&[("sec-fetch-site", "same-site"), ("origin", "http://127.0.0.1:9")], true),
            (&[("sec-fetch-site", "cross-site")], true),
            (&[("sec-fetch-site", "anything")], true),
            // The first header decides, although the second one is right.
            (&[("sec-fetch-site", "cross-site"), ("origin", "http://127.0.0.1:8000")], true),
            (&[("origin", "http://127.0.0.1:8000")], false),
            (&[("origin", "https://127.0.0.1:8000")], false),
            (&[("origin", "http://127.0.0.1:9")], true),
            (&[("origin", "http://evil.example")], true),
            (&[("origin", "null")], true),
            (&[("origin", "")], true),
        ];
        for (headers, expected) in rows {
            for method in [Method::POST, Method::GET] {
                assert_eq!(refused(&Origins::default(), method, headers), expected, "{headers:?}");
            }
        }
    }

    #[test]
    fn a_link_opens_a_page_but_a_frame_or_a_form_does_not() {
        let link = [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
        ];
        let frame = [link[0], link[1], ("sec-fetch-dest", "iframe")];
        let script = [link[0], ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "script")];
        assert!(!refused(&Origins::default(), Method::GET, &link));
        for (method, headers) in [(Method::POST, &link), (Method::GET, &frame), (Method::GET, &script)] {
            assert!(refused(&Origins::default(), method, headers), "{headers:?}");
        }
    }

    #[test]
    fn an_allowed_origin_is_let_in() {
        let mut origins = Origins::default();
        origins.allow("https://app.example/");
        let from = |origin| [("sec-fetch-site", "cross-site"), ("origin", origin)];
        assert!(!refused(&origins, Method::POST, &from("https://app.example")));
        assert!(refused(&origins, Method::POST, &from("http://app.example")));
        assert!(refused(&origins, Method::POST, &from("null")));
    }

    #[test]
    fn the_port_of_the_scheme_may_be_left_out() {
        for (origin, host, same) in [
            ("http://h", "h:80", true),
            ("https://h", "h:443", true),
            ("https://H", "h", true),
            ("http://h", "h:443", false),
            ("http://h:8000", "h", false),
        ] {
            assert_eq!(super::is_same(origin.as_bytes(), host.as_bytes()), same, "{origin} {host}");
        }
    }
}
