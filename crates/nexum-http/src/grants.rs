//! What one module may reach: its manifest's list within the operator's policy. Pure.

use nexum_manifest::{HostPattern, HttpSettings, Rate, Scheme};
use nexum_types::ModuleName;
use url::{Host, Url};

use crate::{
    address::{self, Reach},
    failure::{Denied, Failure},
};

/// What one module may reach, and how often.
#[derive(Debug, Clone)]
pub struct Grants {
    /// The name that it runs under.
    pub module: ModuleName,
    /// The servers of its manifest.
    pub allow: Vec<HostPattern>,
    /// The only ones that the operator's policy lets it reach, if that says so.
    pub policy_allow: Option<Vec<HostPattern>>,
    /// Those that the operator's policy forbids.
    pub policy_deny: Vec<HostPattern>,
    /// How many requests it may make.
    pub rate: Rate,
}

/// How far the addresses of a request may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Realm {
    /// The public internet.
    Public,
    /// Also what the operator lists by name.
    Listed,
}

impl Grants {
    /// Whether a request may go to `url`, and how far its address may reach. An address in the URL
    /// itself is checked here; those of a name are checked when they are known.
    pub(crate) fn check(&self, url: &Url, settings: &HttpSettings) -> Result<Realm, Failure> {
        let server = server(url);
        let Some(scheme) = Scheme::of(url) else {
            return Err(Failure::Invalid(
                "the URL's scheme is neither https nor http",
            ));
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Failure::Invalid(
                "the URL has userinfo; a header is the place for it",
            ));
        }
        // The same server as without the dot, and none that a pattern can mean.
        if url.host_str().is_some_and(|host| host.ends_with('.')) {
            return Err(Failure::Denied(Denied::NotListed(server)));
        }
        let any = |patterns: &[HostPattern]| patterns.iter().any(|pattern| pattern.covers(url));
        if !any(&self.allow) {
            return Err(Failure::Denied(Denied::NotListed(server)));
        }
        if self.policy_deny.iter().any(|pattern| pattern.touches(url)) {
            return Err(Failure::Denied(Denied::Forbidden(server)));
        }
        if self
            .policy_allow
            .as_deref()
            .is_some_and(|allow| !any(allow))
        {
            return Err(Failure::Denied(Denied::BeyondPolicy(server)));
        }
        if scheme == Scheme::Http && !any(&settings.allow_http) {
            return Err(Failure::Denied(Denied::InTheClear(server)));
        }
        let realm = if any(&settings.allow_private) {
            Realm::Listed
        } else {
            Realm::Public
        };
        let literal = match url.host() {
            Some(Host::Ipv4(address)) => address::reach(address.into()),
            Some(Host::Ipv6(address)) => address::reach(address.into()),
            Some(Host::Domain(_)) => return Ok(realm),
            None => return Err(Failure::Invalid("the URL has no host")),
        };
        // A pattern that means an address names just that one.
        let most = match realm {
            Realm::Public => Reach::Public,
            Realm::Listed => Reach::Metadata,
        };
        if literal > most {
            return Err(Failure::Denied(Denied::Address(server)));
        }
        Ok(realm)
    }
}

/// Scheme, host and port: what can be shown of a URL, as a pattern has it.
pub(crate) fn server(url: &Url) -> String {
    let host = url.host_str().unwrap_or("-");
    let scheme = match url.scheme() {
        "https" => String::new(),
        other => format!("{other}://"),
    };
    match url.port() {
        Some(port) => format!("{scheme}{host}:{port}"),
        None => format!("{scheme}{host}"),
    }
}
