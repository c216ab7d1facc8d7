//! Patterns of servers, as both files write them: `api.example.org`, `*.example.org:8443`,
//! `http://10.0.0.5:8080`.
//!
//! A pattern is read as a URL is (the WHATWG URL standard), so that a name in another spelling and
//! an address in odd digits are the server that a client would reach.

use std::{fmt, str::FromStr};

use url::{Host, Url};

/// Which servers are meant: one, or all below a name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostPattern {
    scheme: Option<Scheme>,
    host: HostRule,
    port: Option<u16>,
}

/// How a server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scheme {
    /// Over TLS.
    Https,
    /// In the clear.
    Http,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum HostRule {
    /// This name or address, as a URL has it.
    Exact(String),
    /// Every name that ends with this, which begins with a dot.
    Below(String),
}

/// Why a text is no pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoHostPattern {
    /// It has more than a scheme, a host and a port.
    #[error("a pattern is a host, with a scheme and a port where they matter, and nothing else")]
    More,
    /// There is no such scheme here.
    #[error("the schemes are https and http")]
    Scheme,
    /// The host is none.
    #[error("the host is no name and no address")]
    Host,
    /// The wildcard stands elsewhere than before a whole name.
    #[error("'*' stands for all names below another, as in *.example.org, and for nothing else")]
    Wildcard,
    /// The port is none.
    #[error("a port is a number from 1 to 65535")]
    Port,
}

impl Scheme {
    /// As a URL has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
        }
    }

    /// The scheme of a URL, if a server can be reached by it.
    #[must_use]
    pub fn of(url: &Url) -> Option<Self> {
        match url.scheme() {
            "https" => Some(Self::Https),
            "http" => Some(Self::Http),
            _ => None,
        }
    }

    fn port(self) -> u16 {
        match self {
            Self::Https => 443,
            Self::Http => 80,
        }
    }
}

impl HostPattern {
    /// The same with this scheme, if none is written.
    #[must_use]
    pub fn or_scheme(mut self, scheme: Scheme) -> Self {
        self.scheme.get_or_insert(scheme);
        self
    }

    /// The scheme that is written, if there is one.
    #[must_use]
    pub fn scheme(&self) -> Option<Scheme> {
        self.scheme
    }

    /// Whether the server of `url` is meant. A scheme that is not written is either, and a port
    /// that is not written is the scheme's own.
    #[must_use]
    pub fn covers(&self, url: &Url) -> bool {
        let Some(scheme) = Scheme::of(url) else {
            return false;
        };
        let port = self.port.unwrap_or(scheme.port());
        self.scheme.is_none_or(|its| its == scheme)
            && url.port_or_known_default() == Some(port)
            && self.host.covers(url)
    }

    /// Whether the server of `url` is meant, where what is not written stands for all of it: for
    /// what is forbidden.
    #[must_use]
    pub fn touches(&self, url: &Url) -> bool {
        self.scheme.is_none_or(|its| Scheme::of(url) == Some(its))
            && self
                .port
                .is_none_or(|its| url.port_or_known_default() == Some(its))
            && self.host.covers(url)
    }
}

impl HostRule {
    fn covers(&self, url: &Url) -> bool {
        match (self, url.host()) {
            (Self::Exact(host), Some(_)) => url.host_str() == Some(host),
            (Self::Below(suffix), Some(Host::Domain(name))) => name.ends_with(suffix.as_str()),
            (_, None) | (Self::Below(_), Some(Host::Ipv4(_) | Host::Ipv6(_))) => false,
        }
    }
}

impl FromStr for HostPattern {
    type Err = NoHostPattern;

    fn from_str(text: &str) -> Result<Self, NoHostPattern> {
        let (scheme, rest) = match text.split_once("://") {
            Some(("https", rest)) => (Some(Scheme::Https), rest),
            Some(("http", rest)) => (Some(Scheme::Http), rest),
            Some(_) => return Err(NoHostPattern::Scheme),
            None => (None, text),
        };
        let is_foreign = |c: char| "/\\?#@%".contains(c) || c.is_whitespace() || c.is_control();
        if rest.contains(is_foreign) {
            return Err(NoHostPattern::More);
        }
        let (host, port) = match rest.rsplit_once(':') {
            // Within brackets a colon belongs to the address.
            Some((host, port)) if !port.ends_with(']') => {
                let digits = port.bytes().all(|byte| byte.is_ascii_digit());
                let port = port.parse().ok().filter(|port| digits && *port > 0);
                (host, Some(port.ok_or(NoHostPattern::Port)?))
            }
            _ => (rest, None),
        };
        let (below, name) = match host.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, host),
        };
        if name.contains('*') {
            return Err(NoHostPattern::Wildcard);
        }
        let url = Url::parse(&format!("https://{name}/")).map_err(|_| NoHostPattern::Host)?;
        let read = url.host_str().ok_or(NoHostPattern::Host)?.to_owned();
        // The same server by another name, which a list of what is forbidden would have to have, too.
        if read.ends_with('.') {
            return Err(NoHostPattern::Host);
        }
        let host = match (below, url.host()) {
            (false, _) => HostRule::Exact(read),
            (true, Some(Host::Domain(_))) => HostRule::Below(format!(".{read}")),
            (true, _) => return Err(NoHostPattern::Wildcard),
        };
        Ok(Self { scheme, host, port })
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(scheme) = self.scheme {
            write!(f, "{}://", scheme.as_str())?;
        }
        match &self.host {
            HostRule::Exact(host) => f.write_str(host)?,
            HostRule::Below(suffix) => write!(f, "*{suffix}")?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> HostPattern {
        text.parse().unwrap()
    }

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn no_pattern_ends_with_a_dot() {
        for text in [
            "evil.example.",
            "*.evil.example.",
            "https://evil.example.:8443",
        ] {
            assert!(text.parse::<HostPattern>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_pattern_means_its_servers_and_no_others() {
        for (text, meant, others) in [
            (
                "api.example.org",
                vec![
                    "https://api.example.org/x?y",
                    "https://API.example.org:443",
                    "http://api.example.org",
                ],
                vec![
                    "https://example.org",
                    "https://x.api.example.org",
                    "https://api.example.org:8443",
                    "https://api.example.org.",
                    "ftp://api.example.org",
                ],
            ),
            (
                "https://*.example.org:8443",
                vec!["https://a.example.org:8443", "https://a.b.example.org:8443"],
                vec![
                    "https://example.org:8443",
                    "https://a.example.org",
                    "http://a.example.org:8443",
                    "https://badexample.org:8443",
                ],
            ),
            (
                "10.0.0.5:80",
                vec!["http://10.0.0.5", "http://0xa.0.0.5", "http://167772165"],
                vec!["http://10.0.0.6", "https://10.0.0.5"],
            ),
            (
                "[::1]:8080",
                vec!["http://[::1]:8080", "http://[0:0::1]:8080"],
                vec!["http://[::2]:8080", "http://[::1]"],
            ),
            (
                "müller.example",
                vec!["https://xn--mller-kva.example"],
                vec!["https://muller.example"],
            ),
            (
                "*.org",
                vec!["https://a.org"],
                vec!["https://1.2.3.4", "https://org"],
            ),
        ] {
            let pattern = pattern(text);
            for meant in meant {
                assert!(pattern.covers(&url(meant)), "{text} means {meant}");
            }
            for other in others {
                assert!(!pattern.covers(&url(other)), "{text} does not mean {other}");
            }
        }
        let forbidden = pattern("evil.example");
        for touched in [
            "http://evil.example:81",
            "https://evil.example",
            "https://evil.example:8443",
        ] {
            assert!(forbidden.touches(&url(touched)));
        }
        assert!(!forbidden.touches(&url("https://a.evil.example")));
        assert!(!pattern("http://evil.example").touches(&url("https://evil.example")));
    }

    #[test]
    fn what_is_no_pattern_is_said_to_be_none() {
        use NoHostPattern::{Host, More, Port, Scheme, Wildcard};
        for (text, error) in [
            ("", Host),
            ("https://", Host),
            ("ftp://a.example", Scheme),
            ("a.example/path", More),
            ("user@a.example", More),
            ("a.example?x", More),
            ("a b.example", More),
            ("a%2eexample", More),
            ("*", Wildcard),
            ("a.*.example", Wildcard),
            ("*.*.example", Wildcard),
            ("*.10.0.0.1", Wildcard),
            ("a.example:0", Port),
            ("a.example:65536", Port),
            ("a.example:+1", Port),
            ("a.example:", Port),
            ("[::1", Host),
        ] {
            assert_eq!(text.parse::<HostPattern>(), Err(error), "{text}");
        }
        for text in [
            "a.example",
            "*.a.example:1",
            "http://[::1]:8080",
            "https://1.2.3.4",
        ] {
            assert_eq!(pattern(text).to_string(), text);
        }
    }
}
