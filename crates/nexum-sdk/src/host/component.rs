//! In a component: the imports of the contract.

use alloy_primitives::{Address, B256};

use crate::{
    Message, Result,
    bindings::nexum::host as raw,
    chain::RpcRequest,
    event::address,
    http::{Header, Request, Response},
    log::Level,
};

/// Calls the imports. Generic, so that what a module never calls is never imported.
pub(crate) fn with<T>(call: impl FnOnce(&Imports) -> T) -> T {
    call(&Imports)
}

/// The imports of the component, with the functions of [`Host`](super::Host). They are its own
/// and not that trait's: behind a `dyn` every import would be in every component.
pub(crate) struct Imports;

impl From<&RpcRequest> for raw::chain::RpcRequest {
    fn from(request: &RpcRequest) -> Self {
        Self {
            method: request.method.clone(),
            params: request.params.clone(),
        }
    }
}

impl Imports {
    pub(crate) fn chain_request(&self, chain_id: u64, request: &RpcRequest) -> Result<String> {
        Ok(raw::chain::request(
            chain_id,
            &request.method,
            &request.params,
        )?)
    }

    pub(crate) fn chain_request_batch(
        &self,
        chain_id: u64,
        requests: &[RpcRequest],
    ) -> Result<Vec<Result<String>>> {
        let requests: Vec<_> = requests.iter().map(Into::into).collect();
        let answers = raw::chain::request_batch(chain_id, &requests)?;
        Ok(answers
            .into_iter()
            .map(|answer| match answer {
                raw::chain::RpcResult::Ok(value) => Ok(value),
                raw::chain::RpcResult::Err(error) => Err(error.into()),
            })
            .collect())
    }

    pub(crate) fn store_get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        Ok(raw::local_store::get(key)?)
    }

    pub(crate) fn store_set(&self, key: &str, value: &[u8]) -> Result<()> {
        Ok(raw::local_store::set(key, value)?)
    }

    pub(crate) fn store_delete(&self, key: &str) -> Result<()> {
        Ok(raw::local_store::delete(key)?)
    }

    pub(crate) fn store_list_keys(&self, prefix: &str) -> Result<Vec<String>> {
        Ok(raw::local_store::list_keys(prefix)?)
    }

    pub(crate) fn store_checkpoint(&self) -> Result<()> {
        Ok(raw::local_store::checkpoint()?)
    }

    pub(crate) fn accounts(&self) -> Result<Vec<Address>> {
        let accounts = raw::identity::accounts()?;
        accounts.iter().map(|account| address(account)).collect()
    }

    pub(crate) fn sign(&self, account: Address, message: &[u8]) -> Result<Vec<u8>> {
        Ok(raw::identity::sign(account.as_slice(), message)?)
    }

    pub(crate) fn sign_typed_data(&self, account: Address, json: &str) -> Result<Vec<u8>> {
        Ok(raw::identity::sign_typed_data(account.as_slice(), json)?)
    }

    pub(crate) fn upload(&self, data: &[u8]) -> Result<String> {
        Ok(raw::remote_store::upload(data)?)
    }

    pub(crate) fn download(&self, reference: &str) -> Result<Vec<u8>> {
        Ok(raw::remote_store::download(reference)?)
    }

    pub(crate) fn read_feed(&self, owner: Address, topic: B256) -> Result<Option<Vec<u8>>> {
        Ok(raw::remote_store::read_feed(
            owner.as_slice(),
            topic.as_slice(),
        )?)
    }

    pub(crate) fn write_feed(&self, topic: B256, data: &[u8]) -> Result<String> {
        Ok(raw::remote_store::write_feed(topic.as_slice(), data)?)
    }

    pub(crate) fn publish(&self, content_topic: &str, payload: &[u8]) -> Result<()> {
        Ok(raw::messaging::publish(content_topic, payload)?)
    }

    pub(crate) fn query(
        &self,
        content_topic: &str,
        start: Option<u64>,
        end: Option<u64>,
        limit: Option<u32>,
    ) -> Result<Vec<Message>> {
        let messages = raw::messaging::query(content_topic, start, end, limit)?;
        messages.into_iter().map(Message::try_from).collect()
    }

    pub(crate) fn fetch(&self, request: &Request) -> Result<Response> {
        let response = raw::http::fetch(&raw::http::Request {
            method: request.method.clone(),
            url: request.url.clone(),
            headers: request
                .headers
                .iter()
                .map(|header| raw::http::Header {
                    name: header.name.clone(),
                    value: header.value.clone(),
                })
                .collect(),
            body: request.body.clone(),
            timeout_ms: request.timeout_ms,
        })?;
        Ok(Response {
            status: response.status,
            headers: response
                .headers
                .into_iter()
                .map(|raw::http::Header { name, value }| Header { name, value })
                .collect(),
            body: response.body,
        })
    }

    pub(crate) fn now_ms(&self) -> u64 {
        raw::clock::now_ms()
    }

    pub(crate) fn monotonic_ns(&self) -> u64 {
        raw::clock::monotonic_ns()
    }

    pub(crate) fn random_fill(&self, len: u32) -> Vec<u8> {
        raw::random::fill(len)
    }

    pub(crate) fn log(&self, level: Level, message: &str) {
        let level = match level {
            Level::Trace => raw::logging::Level::Trace,
            Level::Debug => raw::logging::Level::Debug,
            Level::Info => raw::logging::Level::Info,
            Level::Warn => raw::logging::Level::Warn,
            Level::Error => raw::logging::Level::Error,
        };
        raw::logging::log(level, message);
    }
}
