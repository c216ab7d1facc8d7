//! Which failures are of a request that a server may have acted on.

use std::time::Duration;

use nexum_manifest::HttpSettings;
use nexum_testkit::web::{Authority, Reply, WebServer, head};
use nexum_types::HostErrorKind::{self, Denied, InvalidInput, RateLimited, Timeout, Unavailable};
use tokio::net::TcpSocket;

use crate::support::{Names, egress, fetch, grants, open, patterns, request};

#[tokio::test]
async fn what_reaches_a_server_and_fails_was_sent() {
    let server = WebServer::start(|request| match &*request.path {
        "/silent" => Reply::Hang(Vec::new()),
        "/cut" => Reply::Cut(Vec::new()),
        "/half" => Reply::Cut([head(200, &[("content-length", "10")]), b"12345".to_vec()].concat()),
        "/no-gzip" => Reply::new(200, &[("content-encoding", "gzip")], "plain"),
        "/large" => Reply::new(200, &[], vec![b'x'; 2_000]),
        path => unreachable!("{path}"),
    })
    .await
    .unwrap();
    let settings = HttpSettings {
        max_response_bytes: 1_000,
        ..open(&[&server.url()])
    };
    let http = egress(settings, &Names::new(&[])).of(grants(&[&server.url()]));
    for (path, expected) in [
        ("/silent", Timeout),
        ("/cut", Unavailable),
        ("/half", Unavailable),
        ("/no-gzip", Unavailable),
        ("/large", Unavailable),
    ] {
        let url = format!("{}{path}", server.url());
        let mut post = request("POST", &url);
        // Whether it got there in that time or not: nobody can tell, and so it may have.
        post.timeout = (expected == Timeout).then_some(Duration::from_millis(200));
        let failure = fetch(&http, post).await.unwrap_err();
        assert_eq!(
            (failure.error.kind, failure.was_sent),
            (expected, true),
            "{path}"
        );
    }
}

#[tokio::test]
async fn what_fails_before_there_is_a_connection_was_not_sent() {
    // Bound, so that nobody else gets the port, and not listened on.
    let gone = TcpSocket::new_v4().unwrap();
    gone.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let gone_url = format!("http://{}", gone.local_addr().unwrap());
    let stranger = Authority::new().unwrap();
    let stranger = WebServer::start_tls(&stranger, &["127.0.0.1"], |_| Reply::new(200, &[], ""))
        .await
        .unwrap();
    let settings = HttpSettings {
        allow_http: patterns(&[&gone_url]),
        allow_private: patterns(&[&gone_url, &stranger.url()]),
        ..HttpSettings::default()
    };
    let names = Names::new(&[("inward.example.org", &[&["10.0.0.1"]])]);
    let allow = [&*gone_url, &*stranger.url(), "https://*.example.org"];
    let granted = grants(&allow);
    let http = egress(settings.clone(), &names).of(granted.clone());
    for (url, expected) in [
        (&*gone_url, Unavailable),
        (&*stranger.url(), Unavailable),
        ("https://nowhere.example.org", Unavailable),
        ("https://inward.example.org", Denied),
        ("https://unlisted.example.net", Denied),
        ("https://a\"b.example.org", InvalidInput),
        ("none", InvalidInput),
    ] {
        assert_eq!(not_sent(&http, url).await, expected, "{url}");
    }
    assert_eq!(stranger.seen(), []);
    let without_places = HttpSettings {
        max_concurrent: 0,
        ..settings
    };
    let silenced = egress(without_places, &names).of(granted);
    assert_eq!(not_sent(&silenced, &gone_url).await, RateLimited);
}

/// The kind of the failure of a request, which was not sent.
async fn not_sent(http: &nexum_http::ModuleHttp, url: &str) -> HostErrorKind {
    let failure = fetch(http, request("POST", url)).await.unwrap_err();
    assert!(!failure.was_sent, "{url}: {failure:?}");
    failure.error.kind
}
