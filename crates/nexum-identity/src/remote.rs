//! Accounts whose keys stay elsewhere: the JSON-RPC of web3signer (`eth_accounts`, `eth_sign`,
//! `eth_signTypedData`, `eth_signTransaction`).
//!
//! Nothing of what the signer says in words is repeated, and its URL is not shown: either could
//! hold a secret.

use std::{collections::BTreeSet, time::Duration};

use alloy_primitives::{Signature, hex};
use nexum_types::{Address, BoxFuture};
use reqwest::{Certificate, Client, header};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use url::{Host, Url};

use crate::{SignError, Signer, ToSign};

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The longest answer: a list of some thousand accounts.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// A remote signer.
#[derive(Clone)]
pub struct RemoteSigner {
    client: Client,
    url: Url,
}

/// Why a remote signer cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client cannot be set up")]
pub struct RemoteError(#[source] reqwest::Error);

#[derive(Deserialize)]
struct Answer<T> {
    result: Option<T>,
    error: Option<AnsweredError>,
}

#[derive(Deserialize)]
struct AnsweredError {
    code: i64,
}

impl RemoteSigner {
    /// The signer at that URL, `http` or `https`. Its certificate is held against the machine's
    /// authorities and those of `pem`. Connects to nothing.
    pub fn new(url: Url, pem: Option<&str>) -> Result<Self, RemoteError> {
        // An error means that another part of the program has installed one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let pem = pem.unwrap_or_default().as_bytes();
        let authorities = Certificate::from_pem_bundle(pem).map_err(RemoteError)?;
        let client = Client::builder()
            .tls_certs_merge(authorities)
            // A redirect could carry what is to be signed to another host, and so could a proxy.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(TIMEOUT)
            .build()
            .map_err(RemoteError)?;
        Ok(Self { client, url })
    }

    /// Whether what it is asked goes to another machine in the clear, where whoever is between can
    /// have it sign something else.
    #[must_use]
    pub fn is_in_the_clear(&self) -> bool {
        let is_here = match self.url.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => false,
        };
        self.url.scheme() == "http" && !is_here
    }

    /// The accounts that it has.
    pub async fn accounts(&self) -> Result<BTreeSet<Address>, SignError> {
        self.ask("eth_accounts", &json!([])).await
    }

    async fn ask<T: DeserializeOwned>(&self, method: &str, params: &Value) -> Result<T, SignError> {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let request = self.client.post(self.url.clone());
        let request = request.header(header::CONTENT_TYPE, "application/json");
        let mut response = request
            .body(body.to_string())
            .send()
            .await
            .map_err(|error| lost(&error))?;
        let is_success = response.status().is_success();
        let mut text = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| lost(&error))? {
            if text.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(SignError::Unreachable("its answer is too long"));
            }
            text.extend_from_slice(&chunk);
        }
        match serde_json::from_slice(&text) {
            Ok(Answer {
                error: Some(AnsweredError { code }),
                ..
            }) => Err(SignError::Refused(code)),
            Ok(Answer {
                result: Some(result),
                ..
            }) if is_success => Ok(result),
            _ => Err(SignError::Unreachable(
                "it answers something else than JSON-RPC",
            )),
        }
    }
}

fn lost(error: &reqwest::Error) -> SignError {
    SignError::Unreachable(if error.is_timeout() {
        "it took too long"
    } else if error.is_connect() {
        "there is no connection to it"
    } else {
        "the connection to it was lost"
    })
}

impl Signer for RemoteSigner {
    fn sign<'a>(
        &'a self,
        account: Address,
        what: ToSign<'a>,
    ) -> BoxFuture<'a, Result<Signature, SignError>> {
        let (method, params) = match what {
            // Which puts the prefix of EIP-191 before it.
            ToSign::Message(message) => {
                ("eth_sign", json!([account, hex::encode_prefixed(message)]))
            }
            ToSign::TypedData(data) => ("eth_signTypedData", json!([account, data.json()])),
            ToSign::Transaction(transaction) => {
                let mut object = transaction.json();
                object["from"] = json!(account);
                ("eth_signTransaction", json!([object]))
            }
        };
        Box::pin(async move {
            let text: String = self.ask(method, &params).await?;
            let bytes = hex::decode(text).ok();
            let signature = bytes.and_then(|bytes| match what {
                ToSign::Transaction(transaction) => transaction.signature_in(&bytes),
                // v is 27 or 28, or 0 or 1.
                _ => Signature::from_raw(&bytes).ok(),
            });
            signature.ok_or(SignError::NotItsSignature(account))
        })
    }
}

impl std::fmt::Debug for RemoteSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RemoteSigner")
    }
}
