//! An egress whose names a test decides on.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use nexum_http::{Egress, Grants, Looked, Lookup, ModuleHttp};
use nexum_manifest::{HostPattern, HttpCredential, HttpSettings, Rate, SecretText};
use nexum_types::{
    HostErrorKind, HttpFailure, HttpFetch as _, HttpHeader, HttpRequest, HttpResponse,
};

/// Answers names from a table. The answers of a name are told one after the other, and the last
/// of them again and again.
#[derive(Debug, Default)]
pub(crate) struct Names {
    table: Mutex<BTreeMap<String, Vec<Vec<IpAddr>>>>,
    asked: Mutex<Vec<String>>,
}

impl Names {
    pub(crate) fn new(table: &[(&str, &[&[&str]])]) -> Arc<Self> {
        let addresses = |answer: &&[&str]| answer.iter().map(|ip| ip.parse().unwrap()).collect();
        let entry = |(name, answers): &(&str, &[&[&str]])| {
            ((*name).to_owned(), answers.iter().map(addresses).collect())
        };
        Arc::new(Self {
            table: Mutex::new(table.iter().map(entry).collect()),
            asked: Mutex::default(),
        })
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// The names of an egress.
pub(crate) struct Shared(pub(crate) Arc<Names>);

impl Lookup for Shared {
    fn lookup(&self, name: String) -> Looked {
        let mut table = self.0.table.lock().unwrap();
        let found = match table.get_mut(&name) {
            Some(answers) if answers.len() > 1 => answers.remove(0),
            Some(answers) => answers[0].clone(),
            None => Vec::new(),
        };
        self.0.asked.lock().unwrap().push(name);
        Box::pin(async { Ok(found) })
    }
}

pub(crate) fn patterns(texts: &[&str]) -> Vec<HostPattern> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// Settings that let `servers` be reached on this machine and in the clear.
pub(crate) fn open(servers: &[&str]) -> HttpSettings {
    let bare: Vec<_> = servers
        .iter()
        .map(|server| server.replace("http://", ""))
        .collect();
    let bare: Vec<_> = bare.iter().map(String::as_str).collect();
    HttpSettings {
        allow_http: patterns(&bare),
        allow_private: patterns(&bare),
        ..HttpSettings::default()
    }
}

pub(crate) fn egress(settings: HttpSettings, names: &Arc<Names>) -> Egress {
    Egress::with_lookup(settings, Shared(Arc::clone(names))).unwrap()
}

pub(crate) fn grants(allow: &[&str]) -> Grants {
    Grants {
        module: "watcher".parse().unwrap(),
        allow: patterns(allow),
        policy_allow: None,
        policy_deny: Vec::new(),
        rate: Rate {
            per_second: 1_000,
            burst: 1_000,
        },
    }
}

/// A module that may reach `servers`, on this machine and in the clear, and nothing else.
pub(crate) fn module(servers: &[&str]) -> ModuleHttp {
    egress(open(servers), &Names::new(&[])).of(grants(servers))
}

pub(crate) fn request(method: &str, url: &str) -> HttpRequest {
    HttpRequest {
        method: method.into(),
        url: url.into(),
        headers: Vec::new(),
        body: None,
        timeout: None,
    }
}

pub(crate) fn with_header(mut request: HttpRequest, name: &str, value: &str) -> HttpRequest {
    request.headers.push(HttpHeader {
        name: name.into(),
        value: value.into(),
    });
    request
}

pub(crate) async fn get(http: &ModuleHttp, url: &str) -> Result<HttpResponse, HttpFailure> {
    fetch(http, request("GET", url)).await
}

/// Within a minute, so that a test fails where it would hang.
pub(crate) async fn fetch(
    http: &ModuleHttp,
    request: HttpRequest,
) -> Result<HttpResponse, HttpFailure> {
    let fetched = tokio::time::timeout(Duration::from_secs(60), http.fetch(request));
    fetched.await.expect("no end of the exchange")
}

/// The kind and the message of a failure.
pub(crate) fn told(ended: Result<HttpResponse, HttpFailure>) -> (HostErrorKind, String) {
    let error = ended.unwrap_err().error;
    assert_eq!(error.domain, "http");
    (error.kind, error.message)
}

pub(crate) fn credential(host: &str, header: &str, value: &str) -> HttpCredential {
    HttpCredential {
        host: host.parse().unwrap(),
        header: header.into(),
        value: SecretText::new(value.into()),
        modules: None,
    }
}
