//! Modules' requests to servers outside, by way of the whole engine.

use std::fs;

use nexum_engine::OperateError;
use nexum_testkit::web::{Authority, Reply, WebServer};

use crate::{
    exposition::scrape,
    log,
    world::{Module, Via, World, server},
};

const SECRET: &str = "s3cret-of-the-operator";

async fn web() -> WebServer {
    WebServer::start(|request| match &*request.path {
        "/hang" => Reply::Hang(Vec::new()),
        _ => Reply::new(418, &[("x-brew", "tea")], "short and stout"),
    })
    .await
    .unwrap()
}

fn asks(method: &str, url: &str) -> Module {
    Module::fixture("http")
        .config(&format!("method = {method:?}"))
        .config(&format!("url = {url:?}"))
}

fn bare(url: &str) -> String {
    url.replace("http://", "")
}

/// A world whose operator lets `servers` be reached on this machine, in the clear.
fn open(chain: &nexum_testkit::RpcServer, servers: &[&str]) -> World {
    let servers: Vec<_> = servers.iter().map(|server| bare(server)).collect();
    World::over(chain, Via::Ws)
        .http(&format!("allow_http = {servers:?}"))
        .http(&format!("allow_private = {servers:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_gets_the_response_and_the_server_the_credential_and_nobody_else_does() {
    log::keep();
    let (chain, web) = (server(3).await, web().await);
    let (granted, denied) = (web.url(), "https://unlisted.example:8443/?key=tok3n");
    let module = asks("POST", &format!("{granted}/path?query=1"))
        .config("header = \"x-mine: mine\"")
        .config("body = \"{}\"")
        .reaching(&[&granted])
        .named("asks-outside");
    let beyond = asks("GET", denied)
        .reaching(&[&granted])
        .named("asks-beyond");
    let usurper = asks("GET", &granted)
        .config("header = \"Authorization: Bearer mine\"")
        .reaching(&[&granted])
        .named("usurps");
    let world = open(&chain, &[&granted])
        .http(&format!(
            "[[http.credentials]]\nhost = {granted:?}\nheader = \"authorization\"\nvalue = \"Bearer {SECRET}\""
        ))
        .observed()
        .modules([module, beyond, usurper]);
    let engine = world.start().await;
    for name in ["asks-outside", "asks-beyond", "usurps"] {
        engine.delivered(name, 3).await;
    }
    let scraped = scrape(engine.metrics()).await;
    let requests = |module: &str, outcome: &str| {
        let labels = [("module", module), ("outcome", outcome)];
        scraped.value("nexum_module_http_requests_total", &labels)
    };
    assert_eq!(
        (
            requests("asks-outside", "ok"),
            requests("asks-beyond", "denied")
        ),
        (3.0, 3.0)
    );
    let of_module = [("module", "asks-outside")];
    let received = scraped.value("nexum_module_http_received_bytes_total", &of_module);
    let sent = scraped.value("nexum_module_http_sent_bytes_total", &of_module);
    assert_eq!((sent, received), (6.0, 45.0));
    let health = format!("{:?}", engine.engine.health());
    engine.stop().await;

    let state = world.state("asks-outside");
    assert_eq!(state.text("kind").unwrap(), "ok");
    assert_eq!(state.text("status").unwrap(), "418");
    assert_eq!(state.text("body").unwrap(), "short and stout");
    assert!(state.text("headers").unwrap().contains("x-brew: tea"));
    let seen = web.seen();
    assert_eq!(seen.len(), 3, "what is denied is not sent");
    let bearer = format!("Bearer {SECRET}");
    for request in &seen {
        assert_eq!(
            (&*request.method, &*request.path, &*request.body),
            ("POST", "/path?query=1", &b"{}"[..])
        );
        assert_eq!(request.header("authorization"), Some(&*bearer));
        assert_eq!(request.header("x-mine"), Some("mine"));
    }

    // Each cause is told once, with what to add, though three events met it.
    let beyond = world.state("asks-beyond");
    let remedy = "add \"unlisted.example:8443\" to `allow` under [capabilities.http] of nexum.toml";
    assert_eq!(beyond.text("kind").unwrap(), "denied");
    assert_eq!(beyond.text("message").unwrap(), remedy);
    let lines = log::lines_of("asks-beyond");
    assert_eq!(
        lines.iter().filter(|line| line.message == remedy).count(),
        1,
        "{lines:?}"
    );
    let usurps = world.state("usurps");
    assert_eq!(usurps.text("kind").unwrap(), "denied");
    assert!(
        usurps
            .text("message")
            .unwrap()
            .contains("leave the header authorization out")
    );

    // Nothing that a module, an operator's log or a scraper gets has the secret.
    let mut told = format!("{scraped:?}{health}{lines:?}{:?}", log::lines_of("usurps"));
    told += &format!("{:?}", log::lines_of("asks-outside"));
    for name in ["asks-outside", "asks-beyond", "usurps"] {
        let file = world.state_dir().join(format!("modules/{name}.redb"));
        told += &String::from_utf8_lossy(&fs::read(file).unwrap());
    }
    assert!(!told.contains(SECRET) && !format!("{lines:?}").contains("tok3n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_policy_denies_no_manifest_widens() {
    let (chain, web) = (server(1).await, web().await);
    let url = web.url();
    let module = |name: &str| asks("GET", &url).reaching(&[&url]).named(name);
    let world = open(&chain, &[&url])
        .policy("http_allow = [\"*.example.org\"]")
        .policy(&format!("modules.may.http_allow = [{:?}]", bare(&url)))
        .policy(&format!("modules.may-not.http_allow = [{:?}]", bare(&url)))
        .policy("modules.may-not.http_deny = [\"127.0.0.1\"]")
        .policy(&format!("modules.is-slow.http_allow = [{:?}]", bare(&url)))
        .modules([module("may"), module("may-not"), module("beyond")])
        .module(
            asks("GET", &format!("{url}/hang"))
                .reaching(&[&url])
                .limited("max_event_duration = \"300ms\"")
                .named("is-slow"),
        );
    let engine = world.start().await;
    for name in ["may", "may-not", "beyond"] {
        engine.delivered(name, 1).await;
    }
    // The time of the event counts, whatever the server does.
    let failure = engine.failed("is-slow", 1).await;
    assert!(failure.contains("300ms"), "{failure}");
    engine.stop().await;
    let told = |name: &str| {
        let state = world.state(name);
        (
            state.text("kind").unwrap(),
            state.text("message").unwrap_or_default(),
        )
    };
    assert_eq!(told("may").0, "ok");
    assert_eq!(told("may-not").0, "denied");
    assert!(told("may-not").1.contains("`http_deny`"));
    assert_eq!(told("beyond").0, "denied");
    assert!(told("beyond").1.contains("`http_allow`"));
}

/// A request that only reads may come again; one that may have done something moves the cursor
/// with it, though nothing else was written.
#[tokio::test(flavor = "multi_thread")]
async fn an_effect_outside_commits_the_cursor_at_once() {
    let (chain, web) = (server(3).await, web().await);
    let url = web.url();
    let silent = |method: &str, name: &str| {
        asks(method, &url)
            .config("silent = 1")
            .reaching(&[&url])
            .named(name)
    };
    let world = open(&chain, &[&url]).modules([silent("GET", "reads"), silent("POST", "acts")]);
    let engine = world.start().await;
    engine.delivered("reads", 3).await;
    engine.delivered("acts", 3).await;
    engine.crash();
    assert_eq!(world.state_after_crash("acts").await.cursor(), Some(3));
    assert_eq!(world.state_after_crash("reads").await.cursor(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_read_anew_while_modules_ask() {
    let chain = server(1).await;
    let authority = Authority::new().unwrap();
    let web = WebServer::start_tls(&authority, &["127.0.0.1"], |_| Reply::new(200, &[], ""))
        .await
        .unwrap();
    let url = web.url();
    let world = World::over(&chain, Via::Ws)
        .http(&format!("allow_private = [{url:?}]\nca_file = \"ca.pem\""))
        .http(&format!(
            "[[http.credentials]]\nhost = {url:?}\nheader = \"x-key\"\nvalue = {{ file = \"key\" }}"
        ))
        .module(asks("GET", &url).reaching(&[&url]).named("asks"));
    let folder = world.engine_file().parent().unwrap().to_owned();
    fs::write(folder.join("ca.pem"), authority.pem()).unwrap();
    fs::write(folder.join("key"), "first-key\n").unwrap();
    let engine = world.start().await;
    engine.delivered("asks", 1).await;

    fs::write(folder.join("key"), "second-key\n").unwrap();
    assert_eq!(engine.operator().reload_credentials().await.unwrap(), 1);
    chain.chain().mine(1);
    engine.delivered("asks", 2).await;

    // Where the file has a problem, they stay as they were.
    fs::remove_file(folder.join("key")).unwrap();
    let refused = engine.operator().reload_credentials().await.unwrap_err();
    assert!(matches!(&refused, OperateError::Refused(_)), "{refused}");
    assert!(!refused.to_string().contains("second-key"));
    chain.chain().mine(1);
    engine.delivered("asks", 3).await;
    engine.stop().await;
    let seen = web.seen();
    let keys: Vec<_> = seen
        .iter()
        .map(|seen| seen.header("x-key").unwrap())
        .collect();
    assert_eq!(keys, ["first-key", "second-key", "second-key"]);
}
