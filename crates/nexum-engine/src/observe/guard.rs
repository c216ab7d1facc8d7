//! Which names the servers answer to.
//!
//! A web page anywhere can make a browser ask an address of this machine or its network, under a
//! name of the page's own that resolves to it (DNS rebinding), and read the answer. It cannot
//! choose what the `Host` header says, which is that name.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{
        HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE, HOST, X_CONTENT_TYPE_OPTIONS},
        uri::Authority,
    },
    middleware::Next,
    response::{IntoResponse as _, Response},
};

/// The operator's further names, in lower case.
pub(super) type Hosts = Arc<BTreeSet<String>>;

/// Refuses a request by a name that is not ours, and marks every answer as nothing to keep.
pub(super) async fn check(State(hosts): State<Hosts>, request: Request, next: Next) -> Response {
    let mut response = if is_ours(&request, &hosts) {
        next.run(request).await
    } else {
        let text = "This name is not known here. Ask by IP address or as localhost, or add the \
                    name to `hosts` under [observability] in the engine's file.\n";
        (StatusCode::MISDIRECTED_REQUEST, text).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers
        .entry(CONTENT_TYPE)
        .or_insert(HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// No browser leaves the header out, so who does (HTTP/1.0) is none.
fn is_ours(request: &Request, hosts: &BTreeSet<String>) -> bool {
    let named = request.headers().get_all(HOST).iter();
    let named = named.map(|host| host.to_str().ok());
    let mut all = named.chain(request.uri().authority().map(|name| Some(name.as_str())));
    all.all(|name| name.is_some_and(|name| is_name_of_ours(name, hosts)))
}

fn is_name_of_ours(name: &str, hosts: &BTreeSet<String>) -> bool {
    let Ok(authority) = name.parse::<Authority>() else {
        return false;
    };
    let host = authority.host();
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    if bare.parse::<IpAddr>().is_ok() {
        return true;
    }
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    host == "localhost" || hosts.contains(&host)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn hosts() -> BTreeSet<String> {
        ["nexum.internal".to_owned()].into()
    }

    #[test]
    fn addresses_localhost_and_the_operators_names_are_ours() {
        for name in [
            "127.0.0.1",
            "127.0.0.1:8080",
            "10.1.2.3:8080",
            "[::1]:8080",
            "[::1]",
            "localhost",
            "LocalHost:8080",
            "localhost.",
            "nexum.internal:8080",
            "Nexum.Internal",
        ] {
            assert!(is_name_of_ours(name, &hosts()), "{name}");
        }
    }

    #[test]
    fn no_other_name_is() {
        for name in [
            "attacker.example",
            "attacker.example:8080",
            "127.0.0.1.attacker.example",
            "localhost.attacker.example",
            "attacker.example@",
            "user@attacker.example",
            "xlocalhost",
            "",
            ":8080",
            "a b",
        ] {
            assert!(!is_name_of_ours(name, &hosts()), "{name}");
        }
    }

    #[test]
    fn every_name_of_a_request_has_to_be() {
        let request = |uri: &str, names: &[&str]| {
            let mut builder = Request::builder().uri(uri);
            for name in names {
                builder = builder.header(HOST, *name);
            }
            builder.body(Body::empty()).unwrap()
        };
        let ours = |uri, names: &[&str]| is_ours(&request(uri, names), &hosts());
        assert!(ours("/", &["localhost"]));
        assert!(ours("/", &[]), "HTTP/1.0");
        assert!(!ours("/", &["attacker.example"]));
        assert!(!ours("/", &["localhost", "attacker.example"]));
        assert!(!ours("http://attacker.example/", &["localhost"]));
    }
}
