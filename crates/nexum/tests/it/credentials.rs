//! Credentials for servers outside: read anew by a signal and by a command, and told nowhere.

use std::fs;

use nexum_testkit::web::{Reply, WebServer};
use rustix::process::Signal;
use tokio::runtime::Runtime;

use crate::{
    engine::{eventually, get},
    folder::{Folder, component, manifest, stderr, stdout},
    node::Node,
};

/// Each is a credential for a while.
const SECRETS: [&str; 3] = ["planted-first", "planted-second", "planted-third"];

/// A web server that plain functions can ask about.
struct Web {
    server: WebServer,
    _runtime: Runtime,
}

impl Web {
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let server = WebServer::start(|_| Reply::new(500, &[], "no"));
        Self {
            server: runtime.block_on(server).unwrap(),
            _runtime: runtime,
        }
    }

    /// The credential that the last request came with.
    fn last_key(&self) -> Option<String> {
        let seen = self.server.seen();
        seen.last()?.header("x-key").map(str::to_owned)
    }
}

/// A folder whose engine logs all it can, with a module that asks `web` at each block.
fn folder(node: &Node, web: &Web) -> Folder {
    let url = web.server.url();
    let folder = Folder::following(&node.ws(), &["http"]);
    let asks = manifest("http").replace(
        "required = [\"chain\", \"local-store\", \"logging\"]\n",
        &format!(
            "required = [\"http\", \"local-store\"]\n[capabilities.http]\nallow = [{url:?}]\n"
        ),
    );
    let asks = format!("{asks}[config]\nmethod = \"GET\"\nurl = \"{url}/?key=planted-query\"\n");
    folder.bundle("http", &asks, &component("http"));
    folder.engine_file("log.level = \"trace\"", &node.ws(), &["http"]);
    let bare = url.replace("http://", "");
    folder.append(
        "nexum-engine.toml",
        &format!(
            "[http]\nallow_http = [{bare:?}]\nallow_private = [{bare:?}]\n\
             [[http.credentials]]\nhost = {url:?}\nheader = \"x-key\"\nvalue = {{ file = \"key\" }}\n"
        ),
    );
    folder.write("key", SECRETS[0]);
    folder
}

#[test]
fn a_signal_and_a_command_read_them_anew_and_nothing_tells_them() {
    let (node, web) = (Node::at(1), Web::start());
    let folder = folder(&node, &web);
    let checked = folder.nexum(&["config", "check"]);
    assert_eq!(checked.status.code(), Some(0), "{}", stderr(&checked));
    let engine = folder.run();
    let comes_with = |secret: &str| {
        // One may be under way, and the next one begins after it.
        let next = web.server.seen().len() + 2;
        eventually(secret, || {
            if web.server.seen().len() >= next && web.last_key().as_deref() == Some(secret) {
                return Some(());
            }
            node.chain().mine(1);
            None
        });
    };
    comes_with(SECRETS[0]);

    folder.write("key", format!("{}\n", SECRETS[1]));
    engine.signal(Signal::HUP);
    engine.wait_for_line("the credentials for servers outside were read anew");
    comes_with(SECRETS[1]);

    folder.write("key", SECRETS[2]);
    let reloaded = folder.nexum(&["reload-credentials"]);
    assert_eq!(stdout(&reloaded), "1 credential was read anew\n");
    comes_with(SECRETS[2]);
    let json = folder.nexum(&["reload-credentials", "--json"]);
    assert_eq!(stdout(&json), "{\"credentials\":1}\n");

    // What is not to be had is told, and changes nothing.
    fs::remove_file(folder.path("key")).unwrap();
    engine.signal(Signal::HUP);
    engine.wait_for_line("stay as they were");
    let refused = folder.nexum(&["reload-credentials"]);
    assert_eq!(refused.status.code(), Some(3));
    assert!(
        stderr(&refused).contains("http.credentials.value"),
        "{}",
        stderr(&refused)
    );
    comes_with(SECRETS[2]);

    let metrics = get(engine.metrics(), "/metrics");
    assert!(metrics.contains("nexum_module_http_requests_total{module=\"http\",outcome=\"ok\"}"));
    let health = get(engine.health(), "/health");
    let ended = engine.stop();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let inspected = stdout(&folder.nexum(&["state", "inspect", "http"]));
    assert!(inspected.contains("status"), "{inspected}");
    let told = [
        &*ended.log,
        &ended.stderr,
        &metrics,
        &health,
        &inspected,
        &stdout(&checked),
        &stderr(&refused),
    ]
    .concat();
    for secret in SECRETS.iter().chain(&["planted-query"]) {
        assert!(!told.contains(secret), "{secret} in {told}");
    }
}
