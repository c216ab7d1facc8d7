//! The operator's credentials: who gets them, and who does not.

use std::collections::BTreeSet;

use nexum_manifest::HttpSettings;
use nexum_testkit::web::{Reply, WebServer};
use nexum_types::HostErrorKind;

use crate::support::{
    Names, credential, egress, fetch, get, grants, open, request, told, with_header,
};

async fn server() -> WebServer {
    WebServer::start(|_| Reply::new(200, &[], ""))
        .await
        .unwrap()
}

#[tokio::test]
async fn a_credential_goes_to_its_servers_and_modules_only() {
    let (api, other) = (server().await, server().await);
    let servers = [api.url(), other.url()];
    let servers = servers.each_ref().map(String::as_str);
    let mut of_other_module = credential(servers[0], "x-other", "0ther-value");
    of_other_module.modules = Some(BTreeSet::from(["somebody".parse().unwrap()]));
    let mut of_this_module = credential(servers[0], "x-own", "0wn-value");
    of_this_module.modules = Some(BTreeSet::from(["watcher".parse().unwrap()]));
    let settings = HttpSettings {
        credentials: vec![
            credential(servers[0], "authorization", "Bearer s3cret"),
            credential(servers[0], "authorization", "Bearer second"),
            of_other_module,
            of_this_module,
        ],
        ..open(&servers)
    };
    let http = egress(settings, &Names::new(&[])).of(grants(&servers));
    let asked = with_header(request("GET", servers[0]), "x-mine", "mine");
    fetch(&http, asked).await.unwrap();
    get(&http, servers[1]).await.unwrap();
    let seen = api.seen().remove(0);
    assert_eq!(
        seen.header("authorization"),
        Some("Bearer s3cret"),
        "the first of the file"
    );
    assert_eq!(
        seen.headers
            .iter()
            .filter(|(name, _)| name == "authorization")
            .count(),
        1
    );
    assert_eq!(
        (seen.header("x-own"), seen.header("x-mine")),
        (Some("0wn-value"), Some("mine"))
    );
    assert_eq!(seen.header("x-other"), None);
    assert_eq!(other.seen()[0].header("authorization"), None);
}

#[tokio::test]
async fn a_module_that_sets_the_header_itself_is_denied() {
    let api = server().await;
    let settings = HttpSettings {
        credentials: vec![credential(&api.url(), "authorization", "Bearer s3cret")],
        ..open(&[&api.url()])
    };
    let http = egress(settings, &Names::new(&[])).of(grants(&[&api.url()]));
    for name in ["authorization", "Authorization", "AUTHORIZATION"] {
        let own = with_header(request("GET", &api.url()), name, "Bearer mine");
        let failure = fetch(&http, own).await.unwrap_err();
        assert_eq!(failure.error.kind, HostErrorKind::Denied);
        assert!(failure.denied.as_ref().unwrap().contains("a credential's"));
        assert!(!format!("{failure:?}").contains("s3cret"));
    }
    assert_eq!(api.connections(), 0);
}

#[tokio::test]
async fn others_take_their_place_while_requests_are_made() {
    let api = server().await;
    let settings = HttpSettings {
        credentials: vec![credential(&api.url(), "authorization", "Bearer old")],
        ..open(&[&api.url()])
    };
    let shared = egress(settings, &Names::new(&[]));
    let http = shared.of(grants(&[&api.url()]));
    get(&http, &api.url()).await.unwrap();
    shared
        .replace_credentials(vec![credential(&api.url(), "x-api-key", "new")])
        .unwrap();
    get(&http, &api.url()).await.unwrap();
    // What cannot be sent changes nothing.
    let unfit = shared.replace_credentials(vec![credential(&api.url(), "x-api-key", "a\nb")]);
    assert!(!format!("{:?}", unfit.unwrap_err()).contains("a\\nb"));
    get(&http, &api.url()).await.unwrap();
    shared.replace_credentials(Vec::new()).unwrap();
    let (kind, _) = match get(&http, "https://unlisted.example").await {
        Ok(_) => unreachable!(),
        failed => told(failed),
    };
    assert_eq!(kind, HostErrorKind::Denied);
    get(&http, &api.url()).await.unwrap();
    let got: Vec<_> = api
        .seen()
        .iter()
        .map(|seen| {
            (
                seen.header("authorization").map(str::to_owned),
                seen.header("x-api-key").map(str::to_owned),
            )
        })
        .collect();
    let (old, new) = (Some("Bearer old".to_owned()), Some("new".to_owned()));
    assert_eq!(
        got,
        [(old, None), (None, new.clone()), (None, new), (None, None)]
    );
}
