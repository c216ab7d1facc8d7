//! How much is asked at a time, and what becomes of those who stop waiting.

use std::time::Duration;

use futures::future::join_all;
use nexum_manifest::{HttpSettings, Rate};
use nexum_testkit::web::{Reply, WebServer};
use nexum_types::{HostErrorKind, HttpFetch as _};

use crate::support::{Names, egress, fetch, get, grants, open, request, told};

#[tokio::test]
async fn a_module_asks_at_its_rate() {
    let server = WebServer::start(|_| Reply::new(200, &[], ""))
        .await
        .unwrap();
    let shared = egress(open(&[&server.url()]), &Names::new(&[]));
    let mut granted = grants(&[&server.url()]);
    granted.rate = Rate {
        per_second: 1,
        burst: 3,
    };
    let http = shared.of(granted.clone());
    for _ in 0..3 {
        get(&http, &server.url()).await.unwrap();
    }
    // Ten at once: the turn of the first is within a second, and those of the others are not.
    let url = server.url();
    let ended = join_all((0..10).map(|_| get(&http, &url))).await;
    let over = ended.into_iter().filter(
        |ended| matches!(ended, Err(failure) if failure.error.kind == HostErrorKind::RateLimited),
    );
    assert!(over.count() >= 8);
    // What is denied takes no turn, and another module has a rate of its own.
    let (kind, _) = told(get(&http, "https://not.listed.example/").await);
    assert_eq!(kind, HostErrorKind::Denied);
    get(&shared.of(granted), &server.url()).await.unwrap();
}

#[tokio::test]
async fn so_many_are_under_way_at_once_and_one_who_goes_makes_room() {
    let server = WebServer::start(|request| match &*request.path {
        "/hang" => Reply::Hang(Vec::new()),
        _ => Reply::new(200, &[], ""),
    })
    .await
    .unwrap();
    let settings = HttpSettings {
        max_concurrent: 1,
        ..open(&[&server.url()])
    };
    let http = egress(settings, &Names::new(&[])).of(grants(&[&server.url()]));
    let mut hanging = http.fetch(request("GET", &format!("{}/hang", server.url())));
    tokio::select! {
        _ = &mut hanging => unreachable!("nothing answers"),
        () = async { while server.seen().is_empty() { tokio::task::yield_now().await } } => {}
    }
    let url = server.url();
    let (kind, message) = told(tokio::select! {
        ended = get(&http, &url) => ended,
        _ = &mut hanging => unreachable!("nothing answers"),
    });
    assert_eq!(
        (kind, &*message),
        (
            HostErrorKind::RateLimited,
            "all requests that may be under way at once are; try again"
        )
    );
    drop(hanging);
    assert_eq!(get(&http, &server.url()).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_large_request_is_not_sent() {
    let server = WebServer::start(|_| Reply::new(200, &[], ""))
        .await
        .unwrap();
    let settings = HttpSettings {
        max_request_bytes: 1_000,
        request_timeout: Duration::from_secs(5),
        ..open(&[&server.url()])
    };
    let http = egress(settings, &Names::new(&[])).of(grants(&[&server.url()]));
    let mut large = request("POST", &server.url());
    large.body = Some(vec![0; 1_000]);
    let (kind, message) = told(fetch(&http, large).await);
    assert_eq!(kind, HostErrorKind::InvalidInput);
    assert!(message.contains("`max_request_bytes`"), "{message}");
    assert_eq!(server.connections(), 0);
}
