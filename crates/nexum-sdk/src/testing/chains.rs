//! The chains behind `chain`: scripted ones, and answers that a test wrote down.

use std::{
    collections::BTreeMap,
    rc::Rc,
    sync::atomic::{AtomicBool, Ordering},
};

use alloy_primitives::{Address, Bytes, hex};
use nexum_testkit::{Endpoint, EndpointChange, ScriptedChain};
use serde_json::{Value, json};

use crate::{HostError, HostErrorKind, Result, chain::RpcRequest};

/// An answer that a test wrote down.
type Answer = Rc<dyn Fn(&Value) -> Result<Value>>;
type CallAnswer = Rc<dyn Fn(&Bytes) -> Result<Bytes>>;

#[derive(Default)]
pub(super) struct Chains {
    chains: BTreeMap<u64, ScriptedChain>,
    endpoints: BTreeMap<u64, Rc<MockEndpoint>>,
    requests: BTreeMap<(u64, String), Answer>,
    calls: BTreeMap<(u64, Address, [u8; 4]), CallAnswer>,
}

/// The one endpoint of a chain, which a script can take down.
#[derive(Debug, Default)]
pub(super) struct MockEndpoint {
    down: AtomicBool,
}

impl Endpoint for MockEndpoint {
    /// What concerns a connection has none here to concern.
    fn change(&self, change: &EndpointChange) {
        match change {
            EndpointChange::Down(down) => self.down.store(*down, Ordering::Relaxed),
            EndpointChange::Heal => self.down.store(false, Ordering::Relaxed),
            _ => {}
        }
    }
}

/// What answers one question: taken out first, since a test's answer may look at the host.
pub(super) enum Source {
    Down,
    Written(Answer, Value),
    Call(CallAnswer, Bytes),
    Chain(ScriptedChain, Value),
}

impl Chains {
    pub(super) fn chain(&mut self, chain_id: u64) -> ScriptedChain {
        let chain = self.chains.entry(chain_id);
        chain
            .or_insert_with(|| ScriptedChain::new(chain_id))
            .clone()
    }

    /// The time of the newest block of any chain, in milliseconds since the Unix epoch.
    pub(super) fn newest_ms(&self) -> u64 {
        let heads = self.chains.values().map(|chain| chain.head().timestamp);
        heads.max().unwrap_or(0).saturating_mul(1000)
    }

    pub(super) fn endpoint(&mut self, chain_id: u64) -> Rc<MockEndpoint> {
        Rc::clone(self.endpoints.entry(chain_id).or_default())
    }

    pub(super) fn on_request(
        &mut self,
        chain_id: u64,
        method: &str,
        answer: impl Fn(&Value) -> Result<Value> + 'static,
    ) {
        self.requests
            .insert((chain_id, method.to_owned()), Rc::new(answer));
    }

    pub(super) fn on_call(
        &mut self,
        chain_id: u64,
        contract: Address,
        selector: [u8; 4],
        answer: impl Fn(&Bytes) -> Result<Bytes> + 'static,
    ) {
        self.calls
            .insert((chain_id, contract, selector), Rc::new(answer));
    }

    pub(super) fn source(&mut self, chain_id: u64, request: &RpcRequest) -> Result<Source> {
        if self.endpoint(chain_id).down.load(Ordering::Relaxed) {
            return Ok(Source::Down);
        }
        let params: Value = serde_json::from_str(&request.params).map_err(|error| {
            let message = format!("the parameters of {} are no JSON: {error}", request.method);
            HostError::invalid_input(message).in_domain("chain")
        })?;
        if let Some(answer) = self.requests.get(&(chain_id, request.method.clone())) {
            return Ok(Source::Written(Rc::clone(answer), params));
        }
        if request.method == "eth_call"
            && let Some((to, input)) = called(&params)
            && let Some(selector) = input.first_chunk()
            && let Some(answer) = self.calls.get(&(chain_id, to, *selector))
        {
            return Ok(Source::Call(Rc::clone(answer), input));
        }
        Ok(Source::Chain(self.chain(chain_id), params))
    }
}

/// The contract and the input of an `eth_call`.
fn called(params: &Value) -> Option<(Address, Bytes)> {
    let transaction = params.get(0)?;
    let to = transaction.get("to")?.as_str()?.parse().ok()?;
    let input = transaction
        .get("input")
        .or_else(|| transaction.get("data"))?;
    Some((to, input.as_str()?.parse().ok()?))
}

impl Source {
    /// The text of the answer.
    pub(super) fn answer(self, method: &str) -> Result<String> {
        let value = match self {
            Self::Down => {
                let message = "the script has taken the endpoint down";
                return Err(HostError::unavailable(message).in_domain("chain"));
            }
            Self::Written(answer, params) => answer(&params)?,
            Self::Call(answer, input) => match answer(&input) {
                Ok(output) => json!(output),
                Err(error) => return Err(reverted(&error)),
            },
            Self::Chain(chain, params) => chain
                .answer(method, &params)
                .map_err(|error| node_error(&error))?,
        };
        Ok(value.to_string())
    }
}

/// A revert whose reason is the error's message.
fn reverted(error: &HostError) -> HostError {
    let nexum_testkit::CallAnswer::Reverts { data, .. } =
        nexum_testkit::CallAnswer::reverts(&error.message)
    else {
        return error.clone();
    };
    let message = format!("execution reverted: {}", error.message);
    let mut reverted = HostError::invalid_input(message).in_domain("chain");
    reverted.code = 3;
    reverted.data = Some(hex::encode_prefixed(data));
    reverted
}

/// A node's error object, as the engine tells it.
fn node_error(error: &Value) -> HostError {
    let code = error["code"].as_i64().unwrap_or_default();
    let message = error["message"].as_str().unwrap_or_default();
    let mut told = HostError::new(HostErrorKind::of_node(code), message).in_domain("chain");
    told.code = i32::try_from(code).unwrap_or_default();
    told.data = error
        .get("data")
        .filter(|data| !data.is_null())
        .map(|data| match data {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        });
    told
}
