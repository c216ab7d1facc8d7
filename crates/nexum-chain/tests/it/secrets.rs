//! What is secret in a URL is shown nowhere.

use std::{
    io,
    sync::{Arc, Mutex},
};

use nexum_chain::Chains;
use nexum_testkit::{RpcServer, ScriptedChain};
use nexum_types::{ChainRpc, RpcRequest};
use tokio_util::sync::CancellationToken;
use tracing::Level;
use tracing_subscriber::{filter::Targets, fmt::MakeWriter, layer::SubscriberExt as _};

use crate::support::{CHAIN, at, blocks, read_to_head, server, settings, until, within};

const SECRETS: [&str; 4] = ["alice", "s3cret", "KEY1234567", "tok3n"];

/// The server's URL with a secret in every place that can hold one.
fn secret_url(url: &str) -> String {
    let url = url.replace("://", "://alice:s3cret@");
    format!("{url}/v2/KEY1234567?token=tok3n")
}

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

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

fn assert_no_secret(text: &str) {
    for secret in SECRETS {
        assert!(
            !text.to_lowercase().contains(&secret.to_lowercase()),
            "{secret} in {text}"
        );
    }
}

#[tokio::test]
async fn no_secret_in_a_log_an_error_or_a_debug() {
    let log = Captured::default();
    // The test's runtime has one thread, so that all is caught. Below debug, the libraries
    // underneath write out whole messages.
    let filter = Targets::new()
        .with_default(Level::DEBUG)
        .with_target("nexum_chain", Level::TRACE);
    let subscriber = tracing_subscriber::registry()
        .with(filter)
        .with(tracing_subscriber::fmt::layer().with_writer(log.clone()));
    let _guard = tracing::subscriber::set_default(subscriber);

    let node = server(3).await;
    let wrong = RpcServer::start(ScriptedChain::new(5)).await.unwrap();
    for url in [node.http_url(), node.ws_url()] {
        let settings = settings(&[secret_url(&wrong.http_url()), secret_url(&url)]);
        assert_no_secret(&format!("{settings:?}"));
        let chains = Chains::new([settings]).unwrap();
        assert_no_secret(&format!("{chains:?}"));
        let error = chains.verify().await.unwrap_err();
        assert_no_secret(&format!("{error} {error:?}"));

        let stop = CancellationToken::new();
        let feed = chains.feed(CHAIN, stop.clone()).unwrap();
        let mut reader = feed.reader(at(1), blocks());
        read_to_head(&mut reader, node.chain(), 1).await;
        assert_no_secret(&format!("{feed:?} {reader:?}"));

        let refusal = serde_json::json!({ "code": -32000, "message": "bad key KEY1234567" });
        node.set_answer("eth_gasPrice", Some(Err(refusal)));
        let gas_price = RpcRequest {
            method: "eth_gasPrice".into(),
            params: "[]".into(),
        };
        let error = within(chains.request(CHAIN, &gas_price)).await.unwrap_err();
        assert_no_secret(&format!("{error} {error:?}"));

        node.set_down(true);
        let error = within(chains.request(CHAIN, &gas_price)).await.unwrap_err();
        assert_no_secret(&format!("{error} {error:?}"));
        until(|| log.text().contains("the endpoint failed")).await;
        node.set_down(false);
        node.set_answer("eth_gasPrice", None);
        within(async { while chains.request(CHAIN, &gas_price).await.is_err() {} }).await;
        stop.cancel();
    }
    let text = log.text();
    assert!(text.contains("serves another chain") && text.contains("the endpoint failed"));
    assert_no_secret(&text);
}
