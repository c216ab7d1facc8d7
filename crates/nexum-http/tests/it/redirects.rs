//! Redirects, where the operator has them followed: each hop is a request like any other.

use std::collections::BTreeMap;

use nexum_manifest::HttpSettings;
use nexum_testkit::web::{Reply, WebServer};
use nexum_types::HostErrorKind::{Denied, Unavailable};

use crate::support::{
    Names, credential, egress, fetch, grants, open, patterns, request, told, with_header,
};

/// A server that redirects each path as told, and answers all others.
async fn server(redirects: &[(&str, u16, String)]) -> WebServer {
    let table: BTreeMap<_, _> = redirects
        .iter()
        .map(|(path, status, to)| ((*path).to_owned(), (*status, to.clone())))
        .collect();
    WebServer::start(move |request| match table.get(&request.path) {
        Some((status, to)) => Reply::new(*status, &[("location", to)], "elsewhere"),
        None => Reply::new(200, &[], "there"),
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn each_hop_gets_the_credentials_of_its_own_server() {
    let second = server(&[]).await;
    let to = format!("{}/end", second.url());
    let first = server(&[("/go", 307, to), ("/here", 302, "/end?x".into())]).await;
    let servers = [first.url(), second.url()];
    let servers = servers.each_ref().map(String::as_str);
    let settings = HttpSettings {
        max_redirects: 3,
        credentials: vec![
            credential(servers[0], "x-first", "f1rst"),
            credential(servers[1], "x-second", "s3cond"),
        ],
        ..open(&servers)
    };
    let http = egress(settings, &Names::new(&[])).of(grants(&servers));
    let mut asked = request("POST", &format!("{}/go", servers[0]));
    asked.body = Some(b"body".to_vec());
    let asked = with_header(asked, "authorization", "Bearer guest");
    let asked = with_header(with_header(asked, "cookie", "a=b"), "x-own", "own");
    let response = fetch(&http, asked).await.unwrap();
    assert_eq!((response.status, &*response.body), (200, &b"there"[..]));
    let (at_first, at_second) = (first.seen().remove(0), second.seen().remove(0));
    assert_eq!(
        (at_first.header("x-first"), at_first.header("x-second")),
        (Some("f1rst"), None)
    );
    assert_eq!(
        (at_second.header("x-first"), at_second.header("x-second")),
        (None, Some("s3cond"))
    );
    assert_eq!(
        (at_first.header("authorization"), at_first.header("cookie")),
        (Some("Bearer guest"), Some("a=b"))
    );
    assert_eq!(
        (
            at_second.header("authorization"),
            at_second.header("cookie")
        ),
        (None, None)
    );
    assert_eq!(
        (
            at_second.header("x-own"),
            &*at_second.method,
            &*at_second.body
        ),
        (Some("own"), "POST", &b"body"[..])
    );
    // Within one server the module's own stay, and a POST that is found elsewhere becomes a GET.
    let mut asked = request("POST", &format!("{}/here", servers[0]));
    asked.body = Some(b"body".to_vec());
    let asked = with_header(asked, "content-type", "text/plain");
    let asked = with_header(asked, "authorization", "Bearer guest");
    fetch(&http, asked).await.unwrap();
    let end = first.seen().pop().unwrap();
    assert_eq!(
        (&*end.method, &*end.path, end.body.len()),
        ("GET", "/end?x", 0)
    );
    assert_eq!(
        (end.header("authorization"), end.header("content-type")),
        (Some("Bearer guest"), None)
    );
    assert_eq!(end.header("x-first"), Some("f1rst"));
}

#[tokio::test]
async fn no_redirect_leads_where_a_request_may_not_go() {
    let trap = server(&[]).await;
    let port = trap.port();
    let cases = [
        ("/unlisted", format!("http://127.0.0.1:{port}/"), Denied),
        ("/spelled", format!("http://0x7f.1:{port}/"), Denied),
        ("/six", format!("http://[::1]:{port}/"), Denied),
        (
            "/keys",
            "http://169.254.169.254/latest/meta-data/".into(),
            Denied,
        ),
        (
            "/listed-not-open",
            "http://listed.example.org/".into(),
            Denied,
        ),
        ("/name", "https://inward.example.org/".into(), Denied),
        ("/scheme", "file:///etc/passwd".into(), Denied),
        ("/gopher", "gopher://listed.example.org/_x".into(), Denied),
        (
            "/userinfo",
            "https://user:pass@listed.example.org/".into(),
            Denied,
        ),
        ("/malformed", "http://[".into(), Unavailable),
        ("/not-ascii", "/é".into(), Unavailable),
        ("/endless", format!("/{}", "x".repeat(65_534)), Unavailable),
        (
            "/no-server",
            "https://a\"b.wild.example.org/".into(),
            Unavailable,
        ),
        ("/round", "/round".into(), Unavailable),
    ];
    let redirects: Vec<_> = cases
        .iter()
        .map(|(path, to, _)| (*path, 302, to.clone()))
        .collect();
    let first = server(&redirects).await;
    let mut settings = open(&[&first.url()]);
    settings.max_redirects = 2;
    let names = Names::new(&[("inward.example.org", &[&["10.0.0.1"]])]);
    let allow = [
        &*first.url(),
        "https://listed.example.org",
        "http://listed.example.org",
        "https://inward.example.org",
        "https://*.wild.example.org",
    ];
    let http = egress(settings, &names).of(grants(&allow));
    for (path, to, expected) in &cases {
        // The server has acted on what it answers like this, whatever comes of the next hop.
        let failed = fetch(&http, request("POST", &format!("{}{path}", first.url())));
        let failure = failed.await.unwrap_err();
        assert!(failure.was_sent, "{path}");
        assert_eq!(failure.denied.is_some(), *expected == Denied, "{path}");
        let (kind, message) = told(Err(failure));
        assert_eq!(kind, *expected, "{path}: {message}");
        assert!(
            !message.contains("pass") && !message.contains("meta-data"),
            "{to}: {message}"
        );
    }
    assert_eq!(trap.connections(), 0);
    let rounds = first
        .seen()
        .iter()
        .filter(|seen| seen.path == "/round")
        .count();
    assert_eq!(rounds, 3, "two redirects and what they began with");
}

#[tokio::test]
async fn a_header_that_is_a_credential_further_on_is_denied_there() {
    let second = server(&[]).await;
    let first = server(&[("/go", 308, second.url())]).await;
    let servers = [first.url(), second.url()];
    let servers = servers.each_ref().map(String::as_str);
    let settings = HttpSettings {
        max_redirects: 1,
        credentials: vec![credential(servers[1], "x-key", "s3cret")],
        allow_private: patterns(&servers),
        ..open(&servers)
    };
    let http = egress(settings, &Names::new(&[])).of(grants(&servers));
    let own = with_header(
        request("GET", &format!("{}/go", servers[0])),
        "x-key",
        "guess",
    );
    let (kind, message) = told(fetch(&http, own).await);
    assert_eq!(kind, Denied);
    assert!(
        message.contains("x-key") && !message.contains("s3cret"),
        "{message}"
    );
    assert_eq!(second.connections(), 0);
}
