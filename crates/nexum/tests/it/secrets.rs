//! Whatever happens and however much is logged, no secret part of an endpoint's URL is printed.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::Command,
    thread,
};

use serde_json::json;

use crate::{
    engine::{Ended, Engine, eventually, first_events, get},
    folder::{Folder, stderr, stdout},
    node::{CHAIN, Node},
};

/// Userinfo, a key in the path, a token in the query, and the userinfo as a header carries it.
const SECRETS: [&str; 5] = [
    "planteduser",
    "plantedpassword",
    "plantedpathkey",
    "plantedtoken",
    "cGxhbnRlZHVzZXI6cGxhbnRlZHBhc3N3b3Jk",
];

/// How the URL is given: in the file itself, in the environment, or in a file of its own.
#[derive(Debug, Clone, Copy)]
enum Given {
    Literally,
    ByEnv,
    ByFile,
}

const VARIABLE: &str = "NEXUM_TEST_URL";

/// A URL of `base`, such as `http://127.0.0.1:8545`, with every secret in it.
fn planted(base: &str) -> String {
    let (scheme, host) = base.split_once("://").unwrap();
    format!("{scheme}://planteduser:plantedpassword@{host}/v2/plantedpathkey?token=plantedtoken")
}

/// A folder whose engine logs all it can and follows the chain at `url`.
fn folder(url: &str, given: Given) -> Folder {
    let folder = Folder::following("", &["counter"]);
    let url_value = match given {
        Given::Literally => format!("{url:?}"),
        Given::ByEnv => format!("{{ env = \"{VARIABLE}\" }}"),
        Given::ByFile => {
            folder.write("url", format!("{url}\n"));
            "{ file = \"url\" }".to_owned()
        }
    };
    folder.write(
        "nexum-engine.toml",
        format!(
            "[engine]\nstate_dir = \"state\"\nlog.level = \"trace\"\n\
             [observability]\nmetrics = \"127.0.0.1:0\"\nhealth = \"127.0.0.1:0\"\n\
             [chains.{CHAIN}]\npoll_interval = \"50ms\"\n\
             [[chains.{CHAIN}.endpoints]]\nurl = {url_value}\n\
             [[modules]]\npath = \"counter\"\n"
        ),
    );
    folder
}

fn command(folder: &Folder, args: &[&str], url: &str) -> Command {
    let mut command = folder.command(args);
    command.env(VARIABLE, url);
    command
}

/// Runs the check, and the engine until `seen` returns, with a URL of `base`, given in each way
/// of `ways`. What they print is searched for secrets, and must speak of the endpoint at all.
fn run(base: &str, ways: &[Given], seen: impl Fn(&Folder, &Engine), code: i32) {
    for &given in ways {
        let url = planted(base);
        let folder = folder(&url, given);
        let check = command(&folder, &["config", "check"], &url)
            .output()
            .unwrap();
        assert_eq!(check.status.code(), Some(0), "{}", stderr(&check));
        clean("config check", &(stdout(&check) + &stderr(&check)), base);

        let engine = Engine::start(command(&folder, &["run"], &url));
        seen(&folder, &engine);
        if code == 0 {
            clean("metrics", &get(engine.metrics(), "/metrics"), base);
            clean("health", &get(engine.health(), "/health"), base);
            clean("status page", &first_events(engine.health()), base);
        }
        let ended = if code == 0 {
            engine.stop()
        } else {
            engine.wait()
        };
        assert_eq!(ended.code, Some(code), "{given:?}: {ended:?}");
        let Ended { log, stderr, .. } = ended;
        clean("run", &(log + &stderr), base);
    }
}

fn clean(what: &str, printed: &str, base: &str) {
    for secret in SECRETS {
        assert!(
            !printed.contains(secret),
            "{what} prints {secret}:\n{printed}"
        );
    }
    assert!(
        printed.contains(base),
        "{what} says nothing of {base}:\n{printed}"
    );
}

fn is_followed(folder: &Folder, _: &Engine) {
    eventually("a block is committed", || folder.committed("counter"));
}

/// The endpoint's own line tells that it is in use, so that there is something to be clean of.
fn has_failed(_: &Folder, engine: &Engine) {
    engine.wait_for_line("the endpoint does not answer");
    engine.wait_for_line("engine is running");
}

#[test]
fn an_endpoint_that_serves_another_chain() {
    let node = Node::serving(5, 1);
    let ways = [Given::Literally, Given::ByEnv, Given::ByFile];
    run(&node.http(), &ways, |_, _| {}, 3);
    run(&node.ws(), &ways, |_, _| {}, 3);
}

#[test]
fn an_endpoint_that_is_down() {
    run("http://127.0.0.1:1", &[Given::ByEnv], has_failed, 0);
    run("ws://127.0.0.1:1", &[Given::ByFile], has_failed, 0);
}

#[test]
fn an_endpoint_that_works_and_goes_down() {
    let node = Node::at(3);
    for base in [node.http(), node.ws()] {
        let goes_down = |folder: &Folder, engine: &Engine| {
            is_followed(folder, engine);
            node.server.set_down(true);
            engine.wait_for_line("the endpoint failed");
            node.server.set_down(false);
        };
        run(&base, &[Given::Literally, Given::ByEnv], goes_down, 0);
    }
}

/// Given a node that quotes the request's URL in its answers, as providers do.
#[test]
fn a_node_that_answers_with_the_secrets() {
    let node = Node::at(3);
    let text = format!("no project has the key of {}", planted("http://node"));
    let answers = [
        Ok(json!(text)),
        Ok(json!({ "project": text })),
        Err(json!({ "code": -32000, "message": text, "data": text })),
    ];
    for answer in answers {
        node.server.set_answer("eth_chainId", Some(answer));
        run(&node.http(), &[Given::ByEnv], has_failed, 0);
        run(&node.ws(), &[Given::ByFile], has_failed, 0);
    }
    node.server.set_answer("eth_chainId", None);
    // The connection is good, and the blocks are not.
    node.server
        .set_answer("eth_getBlockByNumber", Some(Ok(json!(text))));
    let fails = |_: &Folder, engine: &Engine| engine.wait_for_line("lost the head");
    run(&node.http(), &[Given::Literally], fails, 0);
    run(&node.ws(), &[Given::Literally], fails, 0);
}

/// Given something that is no node at all and sends back what it was sent.
#[test]
fn a_server_that_echoes_the_request() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            echo(stream.unwrap());
        }
    });
    for scheme in ["http", "ws"] {
        run(
            &format!("{scheme}://{addr}"),
            &[Given::Literally],
            has_failed,
            0,
        );
    }
}

fn echo(mut stream: TcpStream) {
    let mut request = vec![0; 64 * 1024];
    let Ok(length) = stream.read(&mut request) else {
        return;
    };
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
    // Whoever asked may have gone away.
    let _ = stream.write_all(head.as_bytes());
    let _ = stream.write_all(&request[..length]);
}

#[test]
fn a_file_that_is_refused() {
    for (key, url) in [
        ("url", planted("ftp://node")),
        ("url", planted("http://")),
        ("urll", planted("http://node")),
    ] {
        let folder = Folder::empty();
        folder.write(
            "nexum-engine.toml",
            format!(
                "[engine]\nstate_dir = \"state\"\n[[chains.1.endpoints]]\n{key} = \"{url}\" # {url}\n"
            ),
        );
        for args in [
            &["run"][..],
            &["config", "check"],
            &["config", "check", "--json"],
        ] {
            let output = folder.nexum(args);
            assert_eq!(output.status.code(), Some(3));
            let printed = stdout(&output) + &stderr(&output);
            clean(&format!("{args:?}"), &printed, "nexum-engine.toml");
        }
    }
}
