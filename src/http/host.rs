//! Which names a gateway answers to, against DNS rebinding. The main structure is [`Hosts`].
//!
//! A web page can make its own name resolve to the address of a gateway. Then the browser treats
//! the gateway as a part of that page and lets the page read its answers. The `Host` header still
//! has the name of the page.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The names given with `--allow-host`.
#[derive(Clone, Debug, Default)]
pub(super) struct Hosts(Vec<Box<str>>);

impl Hosts {
    pub(super) fn allow(&mut self, host: &str) {
        let name = name(host.as_bytes()).and_then(|name| std::str::from_utf8(name).ok());
        self.0.push(name.unwrap_or(host).into());
    }

    /// Whether a gateway that listens on `listener` answers to `host`, the value of a `Host`
    /// header.
    ///
    /// On a loopback address it answers to `localhost`, to loopback addresses and to the given
    /// names. On another address it answers to everything, or, if names are given, to these and to
    /// all addresses: a browser with an address in its URL did not resolve a name.
    pub(super) fn answers_to(&self, host: &[u8], listener: IpAddr) -> bool {
        let loopback = listener.to_canonical().is_loopback();
        if !loopback && self.0.is_empty() {
            return true;
        }
        let Some(name) = name(host) else {
            return false;
        };
        match address(name) {
            Some(address) if address.is_loopback() || !loopback => true,
            _ => {
                name.eq_ignore_ascii_case(b"localhost")
                    || self.0.iter().any(|allowed| name.eq_ignore_ascii_case(allowed.as_bytes()))
            }
        }
    }
}

/// A host without its port, and without the brackets of an IPv6 address.
fn name(host: &[u8]) -> Option<&[u8]> {
    let (name, rest) = match host.strip_prefix(b"[") {
        Some(inside) => {
            let end = inside.iter().position(|byte| *byte == b']')?;
            (&inside[..end], &inside[end + 1..])
        }
        None => host.split_at(host.iter().position(|byte| *byte == b':').unwrap_or(host.len())),
    };
    let is_port = |port: &[u8]| port.len() <= 5 && port.iter().all(u8::is_ascii_digit);
    (!name.is_empty() && (rest.is_empty() || rest.strip_prefix(b":").is_some_and(is_port))).then_some(name)
}

fn address(name: &[u8]) -> Option<IpAddr> {
    // The first byte shows that most names are not addresses.
    if !matches!(name.first(), Some(b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F' | b':')) {
        return None;
    }
    let text = std::str::from_utf8(name).ok()?;
    let v6 = || text.parse().ok().map(|address: Ipv6Addr| IpAddr::V6(address).to_canonical());
    text.parse().ok().map(|address: Ipv4Addr| IpAddr::V4(address)).or_else(v6)
}

#[cfg(test)]
mod tests {
    use super::Hosts;

    fn hosts(names: &[&str]) -> Hosts {
        let mut hosts = Hosts::default();
        names.iter().for_each(|name| hosts.allow(name));
        hosts
    }

    fn answers(hosts: &Hosts, host: &str, listener: &str) -> bool {
        hosts.answers_to(host.as_bytes(), listener.parse().expect("it is an address"))
    }

    const LOOPBACK: [&str; 4] = ["127.0.0.1", "127.0.0.2", "::1", "::ffff:127.0.0.1"];
    const STRANGERS: [&str; 14] = [
        "evil.example",
        "evil.example:8000",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "127.evil.example:80",
        "notlocalhost",
        "localhost:8000:1",
        "localhost:evil",
        "user@localhost",
        "10.0.0.1:8000",
        "[::2]:8000",
        "[::1]evil",
        "[::1",
        "",
    ];

    #[test]
    fn a_gateway_on_a_loopback_address_answers_to_loopback_names_only() {
        for listener in LOOPBACK {
            for host in [
                "localhost",
                "LocalHost:8000",
                "127.0.0.1",
                "127.0.0.1:8000",
                "127.8.9.10:1",
                "[::1]",
                "[::1]:8000",
                "[::ffff:127.0.0.1]:80",
            ] {
                assert!(answers(&hosts(&[]), host, listener), "{host} on {listener}");
            }
            for host in STRANGERS {
                assert!(!answers(&hosts(&[]), host, listener), "{host} on {listener}");
            }
        }
    }

    #[test]
    fn names_that_were_given_are_answered_with_any_port() {
        let given = hosts(&["models.example", "Other.example:8443", "[fd00::7]"]);
        for host in [
            "models.example",
            "MODELS.example:80",
            "other.example",
            "[fd00::7]:1",
            "[fd00::7]",
            "localhost:1",
        ] {
            assert!(answers(&given, host, "127.0.0.1"), "{host}");
        }
        for host in STRANGERS.iter().chain(&["a.models.example", "models.example.evil.example"]) {
            assert!(!answers(&given, host, "127.0.0.1"), "{host}");
        }
    }

    #[test]
    fn elsewhere_every_host_is_answered_until_names_are_given() {
        for listener in ["0.0.0.0", "::", "10.1.2.3"] {
            assert!(answers(&hosts(&[]), "evil.example", listener));
            let given = hosts(&["models.example"]);
            assert!(!answers(&given, "evil.example", listener));
            for host in
                ["models.example:80", "localhost", "127.0.0.1:8000", "10.1.2.3:8000", "[fd00::1]:8000"]
            {
                assert!(answers(&given, host, listener), "{host} on {listener}");
            }
        }
    }
}
