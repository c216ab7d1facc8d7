//! Names whose servers do not answer, and who has to wait for them.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::future::join_all;
use nexum_http::{Egress, Looked, Lookup, ModuleHttp};
use nexum_manifest::HttpSettings;
use nexum_testkit::web::{Reply, WebServer};
use nexum_types::{HostErrorKind, HttpFailure, HttpResponse};
use tokio::sync::Semaphore;

use crate::support::{fetch, get, grants, open, request, told};

/// Every name is this machine. Those of `slow.example.org` take until the gate is opened.
#[derive(Clone)]
struct Gated {
    gate: Arc<Semaphore>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Gated {
    fn new() -> Self {
        Self {
            gate: Arc::new(Semaphore::new(0)),
            asked: Arc::default(),
        }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Lookup for Gated {
    fn lookup(&self, name: String) -> Looked {
        let gate = Arc::clone(&self.gate);
        let is_slow = name.ends_with("slow.example.org");
        self.asked.lock().unwrap().push(name);
        Box::pin(async move {
            if is_slow {
                let _open = gate.acquire().await;
            }
            Ok(vec!["127.0.0.1".parse().unwrap()])
        })
    }
}

fn server_called(server: &WebServer, name: &str) -> String {
    server.url_by(&format!("{name}.example.org"))
}

fn module_called(shared: &Egress, name: &str, all: &str) -> ModuleHttp {
    let mut granted = grants(&[all]);
    granted.module = name.parse().unwrap();
    shared.of(granted)
}

/// As a module asks that gives up before its engine does.
async fn impatiently(http: &ModuleHttp, url: &str) -> Result<HttpResponse, HttpFailure> {
    let mut asked = request("GET", url);
    asked.timeout = Some(Duration::from_millis(200));
    fetch(http, asked).await
}

async fn server() -> WebServer {
    WebServer::start(|_| Reply::new(200, &[], ""))
        .await
        .unwrap()
}

#[tokio::test]
async fn a_module_whose_names_hang_keeps_no_other_from_its_servers() {
    let server = server().await;
    let all = server_called(&server, "*");
    let names = Gated::new();
    let settings = HttpSettings {
        connect_timeout: Duration::from_secs(60),
        request_timeout: Duration::from_secs(60),
        ..open(&[&all])
    };
    let shared = Egress::with_lookup(settings, names.clone()).unwrap();
    let greedy = module_called(&shared, "greedy", &all);
    let other = module_called(&shared, "other", &all);
    // More than all modules may look up together; each is given up, and its lookup goes on.
    let urls: Vec<_> = (0..20)
        .map(|n| server_called(&server, &format!("n{n}.slow")))
        .collect();
    let rounds = async {
        while names.asked().len() < 4 {
            for ended in join_all(urls.iter().map(|url| impatiently(&greedy, url))).await {
                assert_eq!(told(ended).0, HostErrorKind::Timeout);
            }
        }
    };
    let within = tokio::time::timeout(Duration::from_secs(60), rounds);
    within.await.expect("nobody looks the names up");
    // It has no lookup left now, not even of a name that would answer.
    let (kind, _) = told(impatiently(&greedy, &server_called(&server, "quick")).await);
    assert_eq!(
        (kind, names.asked().len()),
        (HostErrorKind::Timeout, 4),
        "{:?}",
        names.asked()
    );
    // And the other has all of its own.
    for n in 0..5 {
        let url = server_called(&server, &format!("other{n}"));
        assert_eq!(get(&other, &url).await.unwrap().status, 200);
    }
    assert_eq!(names.asked().len(), 9);
    // What hung has ended: the places are there again.
    names.gate.add_permits(4);
    let quick = server_called(&server, "quick");
    let again = async { while impatiently(&greedy, &quick).await.is_err() {} };
    tokio::time::timeout(Duration::from_secs(60), again)
        .await
        .expect("the places of lookups that have ended are not given back");
}
