//! The address of a gateway. The main structure is [`Address`].

use hyper::Uri;

/// The address of a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// `HOST:PORT`
    pub(super) authority: String,
    /// The path before `/dashboard`, if the gateway is mounted below one.
    pub(super) base: String,
    /// The control token, if the address includes it.
    pub(super) token: Option<String>,
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "http://{}{}", self.authority, self.base)
    }
}

impl std::str::FromStr for Address {
    type Err = String;

    /// Parses `http://HOST:PORT`, also without `http://`, and the address of the live page with its
    /// token.
    fn from_str(text: &str) -> Result<Self, String> {
        let (text, fragment) = text.split_once('#').unwrap_or((text, ""));
        let token = fragment.strip_prefix("token=").filter(|token| !token.is_empty()).map(ToOwned::to_owned);
        let with_scheme = match text.contains("://") {
            true => text.to_owned(),
            false => format!("http://{text}"),
        };
        let uri: Uri = with_scheme.parse().map_err(|error| format!("{error}"))?;
        let host = uri.host().unwrap_or_default();
        let authority = format!("{host}:{}", uri.port_u16().unwrap_or(80));
        // An invalid port or a user is an error.
        let whole = uri.authority().is_some_and(|given| given == host || given == authority.as_str());
        match uri.scheme_str() {
            Some("http") if whole && !host.is_empty() => {
                let path = uri.path().trim_end_matches('/');
                let base = path.strip_suffix("/dashboard").unwrap_or(path).to_owned();
                Ok(Self { authority, base, token })
            }
            Some("https") => Err("gateways have no TLS; http://HOST:PORT is expected".to_owned()),
            _ => Err("http://HOST:PORT is expected".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Address;

    #[test]
    fn address_is_what_serve_says_with_or_without_its_path_and_token() {
        for (text, authority, base, token) in [
            ("http://127.0.0.1:8000", "127.0.0.1:8000", "", None),
            ("localhost:8000/", "localhost:8000", "", None),
            ("http://[::1]:9/", "[::1]:9", "", None),
            ("http://example.org", "example.org:80", "", None),
            ("http://h:1/python/dashboard", "h:1", "/python", None),
            ("http://h:1/dashboard#token=ab12", "h:1", "", Some("ab12")),
        ] {
            let address: Address = text.parse().expect(text);
            let found = (address.authority.as_str(), address.base.as_str(), address.token.as_deref());
            assert_eq!(found, (authority, base, token), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_what_is_expected() {
        for (text, expected) in [
            ("https://h:1", "no TLS"),
            ("ftp://h", "http://HOST:PORT"),
            ("", ""),
            ("http://", ""),
            ("http://h:1 2/", ""),
            ("http://h:99999", "http://HOST:PORT"),
            ("http://user:word@h:1", "http://HOST:PORT"),
        ] {
            let error = text.parse::<Address>().expect_err(text);
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
