//! What is secret is in no error, no debug print and no log.

use std::{
    io,
    sync::{Arc, Mutex},
};

use nexum_manifest::HttpSettings;
use nexum_testkit::web::{Reply, WebServer};
use tracing::Level;
use tracing_subscriber::{filter::Targets, fmt::MakeWriter, layer::SubscriberExt as _};

use crate::support::{Names, credential, egress, fetch, grants, open, request, with_header};

const SECRETS: [&str; 3] = ["s3cret", "tok3n", "upstr3am"];

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Captured {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn nothing_tells_a_secret() {
    let log = Captured::default();
    // Below debug, the libraries underneath write out whole messages; the engine's log has a cap
    // on those (`docs/operations/run.md`).
    let filter = Targets::new()
        .with_default(Level::DEBUG)
        .with_target("nexum_http", Level::TRACE);
    let subscriber = tracing_subscriber::registry()
        .with(filter)
        .with(tracing_subscriber::fmt::layer().with_writer(log.clone()));
    let _guard = tracing::subscriber::set_default(subscriber);
    tracing::debug!("the log is caught");

    let server = WebServer::start(|request| match &*request.path {
        path if path.starts_with("/cut") => Reply::Cut(b"upstr3am is no HTTP".to_vec()),
        path if path.starts_with("/away") => {
            Reply::new(302, &[("location", "https://x.example/?upstr3am")], "")
        }
        _ => Reply::new(200, &[], "fine"),
    })
    .await
    .unwrap();
    let settings = HttpSettings {
        max_redirects: 1,
        credentials: vec![credential(&server.url(), "authorization", "Bearer s3cret")],
        ..open(&[&server.url()])
    };
    let mut told = format!("{settings:?}");
    let shared = egress(settings, &Names::new(&[]));
    let http = shared.of(grants(&[&server.url()]));
    told += &format!("{shared:?} {http:?}");
    for path in ["/fine?key=tok3n", "/cut?key=tok3n", "/away?key=tok3n"] {
        let ended = fetch(&http, request("GET", &format!("{}{path}", server.url()))).await;
        if let Err(failure) = ended {
            told += &format!("{failure:?} {}", failure.error);
        }
    }
    let own = with_header(request("GET", &server.url()), "authorization", "x");
    told += &format!("{:?}", fetch(&http, own).await.unwrap_err());
    let unlisted = request("GET", "https://unlisted.example/?key=tok3n");
    told += &format!("{:?}", fetch(&http, unlisted).await.unwrap_err());
    let server_saw = server.seen();
    assert_eq!(server_saw[0].header("authorization"), Some("Bearer s3cret"));
    told += &String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(told.contains("the log is caught"));
    for secret in SECRETS {
        assert!(!told.contains(secret), "{secret} in {told}");
    }
}
