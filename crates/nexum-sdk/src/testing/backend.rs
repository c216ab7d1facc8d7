//! The functions of the contract, on a mock host.

use alloy_primitives::{Address, B256, Bytes, keccak256};
use nexum_manifest::{Capability, IdentityMethod};
use nexum_types::{CallState, StateError};
use serde_json::Value;

use super::{
    MockHost, World,
    chains::Source,
    observed::{Asked, LogLine, Published, Signed, SignedMessage},
    state_error,
};
use crate::{
    HostError, HostErrorKind, Message, Result,
    chain::{MAX_BATCH_BYTES, MAX_BATCH_REQUESTS, MAX_PARAMS_BYTES, RpcRequest},
    host::Host,
    http::{Request, Response},
    log::Level,
};

impl MockHost {
    /// # Panics
    ///
    /// Where the manifest does not declare the capability: the engine would refuse to load the
    /// component.
    fn declared(&self, capability: Capability) -> std::cell::RefMut<'_, World> {
        let world = self.world_mut();
        let declared = world.manifest.capabilities.declared();
        assert!(
            declared.contains(&capability),
            "the module uses `{capability}`, which its nexum.toml does not declare: add \
             \"{capability}\" to `required` or `optional` under [capabilities]"
        );
        world
    }

    fn access<T>(&self, access: impl FnOnce(&mut CallState) -> Result<T, StateError>) -> Result<T> {
        let mut world = self.declared(Capability::LocalStore);
        let Some(call) = &mut world.call else {
            panic!("the state is there within a call alone");
        };
        access(call).map_err(|error| state_error(&error))
    }

    /// Denies what the manifest does not name of `identity`, as the engine does.
    pub(super) fn identity(&self, method: IdentityMethod) -> Result<std::cell::RefMut<'_, World>> {
        let world = self.declared(Capability::Identity);
        if world.manifest.identity.contains(&method) {
            return Ok(world);
        }
        let message = format!(
            "add \"{method}\" to `methods` under [capabilities.identity] in nexum.toml to use it"
        );
        Err(HostError::new(HostErrorKind::Denied, message).in_domain("identity"))
    }

    /// Asks a chain; an exchange is counted by whoever calls.
    fn ask(&self, chain_id: u64, request: &RpcRequest) -> Result<String> {
        check_request(request)?;
        let source = {
            let mut world = self.declared(Capability::Chain);
            let params = serde_json::from_str(&request.params).unwrap_or_default();
            world.observed.asked.push(Asked {
                chain_id,
                method: request.method.clone(),
                params,
            });
            let source = world.chains.source(chain_id, request)?;
            if let Source::Chain(chain, params) = &source
                && let Some(seen) = world.wallet.look(chain, &request.method, params)
            {
                return Ok(seen.to_string());
            }
            source
        };
        source.answer(&request.method)
    }

    /// Asks a chain several questions in one exchange.
    fn ask_all<'a>(
        &self,
        chain_id: u64,
        requests: impl Iterator<Item = &'a RpcRequest>,
    ) -> Vec<Result<String>> {
        let answers: Vec<_> = requests
            .map(|request| self.ask(chain_id, request))
            .collect();
        if !answers.is_empty() {
            self.world_mut().observed.exchanges += 1;
        }
        answers
    }

    fn check_chain(&self, chain_id: u64) -> Result<()> {
        let world = self.declared(Capability::Chain);
        if world.manifest.chains.contains(&chain_id.into()) {
            return Ok(());
        }
        let message = format!("chain {chain_id} is not in [chains] of the manifest");
        Err(HostError::new(HostErrorKind::Denied, message).in_domain("chain"))
    }
}

/// What the engine refuses before a node is asked: a method that does not only read, and more than
/// it takes.
fn check_request(request: &RpcRequest) -> Result<()> {
    let RpcRequest { method, params } = request;
    let refused = |kind, message: String| Err(HostError::new(kind, message).in_domain("chain"));
    if !nexum_types::is_allowed(method) {
        let message = format!("the method {method:?} is not allowed; modules only read");
        return refused(HostErrorKind::Denied, message);
    }
    if params.len() > MAX_PARAMS_BYTES {
        let len = params.len();
        let message = format!("params have at most {MAX_PARAMS_BYTES} bytes, not {len}");
        return refused(HostErrorKind::InvalidInput, message);
    }
    match serde_json::from_str(params) {
        Ok(Value::Array(_) | Value::Object(_)) => Ok(()),
        _ => {
            let message = "params must be the text of a JSON array or object".to_owned();
            refused(HostErrorKind::InvalidInput, message)
        }
    }
}

impl Host for MockHost {
    fn chain_request(&self, chain_id: u64, request: &RpcRequest) -> Result<String> {
        self.check_chain(chain_id)?;
        if let Some(answer) = self.answer_of_accounts(chain_id, request) {
            return answer;
        }
        self.world_mut().observed.exchanges += 1;
        self.ask(chain_id, request)
    }

    fn chain_request_batch(
        &self,
        chain_id: u64,
        requests: &[RpcRequest],
    ) -> Result<Vec<Result<String>>> {
        self.check_chain(chain_id)?;
        if requests.len() > MAX_BATCH_REQUESTS {
            let message = format!("a batch has at most {MAX_BATCH_REQUESTS} requests");
            return Err(HostError::invalid_input(message).in_domain("chain"));
        }
        let bytes: usize = requests.iter().map(|request| request.params.len()).sum();
        if bytes > MAX_BATCH_BYTES {
            let message = format!("a batch has at most {MAX_BATCH_BYTES} bytes, not {bytes}");
            return Err(HostError::invalid_input(message).in_domain("chain"));
        }
        // As on the engine: what is for the accounts comes after what the chain answers.
        let is_for_chain = |request: &&RpcRequest| !self.is_for_accounts(&request.method);
        let reads = requests.iter().filter(is_for_chain);
        let mut answers = self.ask_all(chain_id, reads).into_iter();
        let answer = |request| {
            let own = self.answer_of_accounts(chain_id, request);
            own.or_else(|| answers.next())
        };
        Ok(requests.iter().filter_map(answer).collect())
    }

    fn store_get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        self.access(|call| call.get(key))
    }

    fn store_set(&self, key: &str, value: &[u8]) -> Result<()> {
        self.access(|call| call.set(key, value.to_vec()))
    }

    fn store_delete(&self, key: &str) -> Result<()> {
        self.access(|call| call.delete(key))
    }

    fn store_list_keys(&self, prefix: &str) -> Result<Vec<String>> {
        self.access(|call| call.list_keys(prefix))
    }

    fn store_checkpoint(&self) -> Result<()> {
        self.access(CallState::checkpoint)
    }

    fn accounts(&self) -> Result<Vec<Address>> {
        let world = self.identity(IdentityMethod::Accounts)?;
        Ok(world.accounts.addresses())
    }

    fn sign(&self, account: Address, message: &[u8]) -> Result<Vec<u8>> {
        let mut world = self.identity(IdentityMethod::Sign)?;
        let signature = world.accounts.sign_message(account, message)?;
        world.observed.signed.push(Signed {
            account,
            message: SignedMessage::Text(Bytes::copy_from_slice(message)),
        });
        Ok(signature)
    }

    fn sign_typed_data(&self, account: Address, json: &str) -> Result<Vec<u8>> {
        let mut world = self.identity(IdentityMethod::SignTypedData)?;
        let signature = world.accounts.sign_typed_data(account, json)?;
        world.observed.signed.push(Signed {
            account,
            message: SignedMessage::TypedData(serde_json::from_str(json)?),
        });
        Ok(signature)
    }

    fn upload(&self, data: &[u8]) -> Result<String> {
        let mut world = self.declared(Capability::RemoteStore);
        Ok(world.store(data))
    }

    fn download(&self, reference: &str) -> Result<Vec<u8>> {
        let world = self.declared(Capability::RemoteStore);
        world.stored.get(reference).cloned().ok_or_else(|| {
            HostError::unavailable(format!("nobody serves {reference}")).in_domain("remote-store")
        })
    }

    fn read_feed(&self, owner: Address, topic: B256) -> Result<Option<Vec<u8>>> {
        let world = self.declared(Capability::RemoteStore);
        Ok(world.feeds.get(&(owner, topic)).cloned())
    }

    fn write_feed(&self, topic: B256, data: &[u8]) -> Result<String> {
        let mut world = self.declared(Capability::RemoteStore);
        let owner = world
            .accounts
            .addresses()
            .first()
            .copied()
            .unwrap_or_default();
        world.feeds.insert((owner, topic), data.to_vec());
        Ok(world.store(data))
    }

    fn publish(&self, content_topic: &str, payload: &[u8]) -> Result<()> {
        let mut world = self.declared(Capability::Messaging);
        let timestamp = world.now_ms;
        let payload = Bytes::copy_from_slice(payload);
        world.messages.push(Message {
            content_topic: content_topic.to_owned(),
            payload: payload.clone(),
            timestamp,
            sender: None,
        });
        world.observed.published.push(Published {
            content_topic: content_topic.to_owned(),
            payload,
        });
        Ok(())
    }

    fn query(
        &self,
        content_topic: &str,
        start: Option<u64>,
        end: Option<u64>,
        limit: Option<u32>,
    ) -> Result<Vec<Message>> {
        let world = self.declared(Capability::Messaging);
        let asked = |message: &&Message| {
            message.content_topic == content_topic
                && start.is_none_or(|start| start <= message.timestamp)
                && end.is_none_or(|end| message.timestamp <= end)
        };
        let limit = limit.map_or(usize::MAX, |limit| limit as usize);
        Ok(world
            .messages
            .iter()
            .filter(asked)
            .take(limit)
            .cloned()
            .collect())
    }

    fn fetch(&self, request: &Request) -> Result<Response> {
        let mut world = self.declared(Capability::Http);
        if !world.manifest.lists_server_of(&request.url) {
            let message = format!(
                "nexum.toml does not list the server of {}: add it to `allow` under [capabilities.http]",
                request.url
            );
            return Err(HostError::new(HostErrorKind::Denied, message).in_domain("http"));
        }
        world.observed.http.push(request.clone());
        let fits =
            |rule: &&super::HttpRule| rule.method == request.method && rule.url == request.url;
        match world.http.iter().rev().find(fits) {
            Some(rule) => rule.answer.clone(),
            None => {
                let message = format!(
                    "nothing answers {} {}; give the host an answer with on_http",
                    request.method, request.url
                );
                Err(HostError::unavailable(message).in_domain("http"))
            }
        }
    }

    fn now_ms(&self) -> u64 {
        self.declared(Capability::Clock).now_ms
    }

    fn monotonic_ns(&self) -> u64 {
        let since = self
            .declared(Capability::Clock)
            .now_ms
            .saturating_sub(super::BEGINNING_MS);
        since.saturating_mul(1_000_000)
    }

    /// The same bytes on every run: a test that draws them can be repeated.
    fn random_fill(&self, len: u32) -> Vec<u8> {
        let mut world = self.declared(Capability::Random);
        let mut bytes = Vec::new();
        while bytes.len() < len as usize {
            bytes.extend_from_slice(keccak256(world.random.to_le_bytes()).as_slice());
            world.random += 1;
        }
        bytes.truncate(len as usize);
        bytes
    }

    fn log(&self, level: Level, message: &str) {
        let mut world = self.declared(Capability::Logging);
        world.observed.logs.push(LogLine {
            level,
            message: message.to_owned(),
        });
    }
}

impl World {
    /// Stores content under the hash of its bytes.
    fn store(&mut self, data: &[u8]) -> String {
        let reference = format!("bzz:{:x}", keccak256(data));
        self.stored.insert(reference.clone(), data.to_vec());
        reference
    }
}
