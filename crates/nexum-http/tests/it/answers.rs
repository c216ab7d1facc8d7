//! What a server answers well, and what of a request reaches it.

use nexum_testkit::web::{Reply, WebServer, head};
use nexum_types::HostErrorKind;

use crate::support::{fetch, get, module, request, told, with_header};

#[tokio::test]
async fn any_status_is_a_response() {
    let server = WebServer::start(|request| {
        let status = request.path[1..].parse().unwrap();
        Reply::new(status, &[("X-Status", "yes")], "said")
    })
    .await
    .unwrap();
    let http = module(&[&server.url()]);
    // A redirect, too, unless the operator has them followed.
    for status in [
        200, 201, 299, 301, 302, 307, 400, 401, 404, 429, 500, 503, 599,
    ] {
        let response = get(&http, &format!("{}/{status}", server.url()))
            .await
            .unwrap();
        assert_eq!((response.status, &*response.body), (status, &b"said"[..]));
        let named = response
            .headers
            .iter()
            .find(|header| header.name == "x-status");
        assert_eq!(named.unwrap().value, "yes");
    }
    assert_eq!(server.connections(), 1, "a connection is used again");
}

#[tokio::test]
async fn a_request_arrives_as_the_module_made_it() {
    let server = WebServer::start(|request| match &*request.method {
        "HEAD" => Reply::Bytes(head(
            200,
            &[
                ("content-length", "1000000000"),
                ("content-encoding", "gzip"),
            ],
        )),
        _ => Reply::new(204, &[], ""),
    })
    .await
    .unwrap();
    let http = module(&[&server.url()]);
    let mut post = request("POST", &format!("{}/a/b?c=d#e", server.url()));
    post.body = Some(b"{}".to_vec());
    let post = with_header(
        with_header(post, "Content-Type", "application/json"),
        "X-Twice",
        "1",
    );
    let response = fetch(&http, with_header(post, "x-twice", "2"))
        .await
        .unwrap();
    assert_eq!((response.status, response.body.len()), (204, 0));
    let seen = server.seen().remove(0);
    assert_eq!(
        (&*seen.method, &*seen.path, &*seen.body),
        ("POST", "/a/b?c=d", &b"{}"[..])
    );
    assert_eq!(seen.header("content-type"), Some("application/json"));
    assert_eq!(seen.header("accept-encoding"), Some("gzip"));
    assert_eq!(
        seen.header("user-agent"),
        Some(concat!("nexum/", env!("CARGO_PKG_VERSION")))
    );
    let twice: Vec<_> = seen
        .headers
        .iter()
        .filter(|(name, _)| name == "x-twice")
        .collect();
    assert_eq!(
        twice.iter().map(|(_, value)| &**value).collect::<Vec<_>>(),
        ["1", "2"]
    );
    for method in ["PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "PURGE"] {
        let own = with_header(request(method, &server.url()), "user-agent", "mine");
        let response = fetch(&http, own).await.unwrap();
        assert_eq!(response.body.len(), 0);
        let seen = server.seen().pop().unwrap();
        assert_eq!(
            (&*seen.method, seen.header("user-agent")),
            (method, Some("mine"))
        );
    }
}

#[tokio::test]
async fn what_is_the_engines_is_refused_before_anything_is_sent() {
    let server = WebServer::start(|_| Reply::new(200, &[], ""))
        .await
        .unwrap();
    let http = module(&[&server.url()]);
    for (name, value) in [
        ("Host", "inside.example.org"),
        ("content-length", "0"),
        ("Transfer-Encoding", "chunked"),
        ("connection", "upgrade"),
        ("upgrade", "h2c"),
        ("proxy-authorization", "Basic x"),
        ("x", "a\r\nhost: inside.example.org"),
        ("x\r\nhost", "inside.example.org"),
    ] {
        let smuggled = with_header(request("GET", &server.url()), name, value);
        let (kind, _) = told(fetch(&http, smuggled).await);
        assert_eq!(kind, HostErrorKind::InvalidInput, "{name:?}");
    }
    assert_eq!(server.connections(), 0);
}
