//! What a module asks of its accounts by way of `chain`, answered as the engine does: once for
//! each transaction of a call, over all attempts of it. What was sent waits until the test lands
//! it. Nothing here knows the operator's rules, a nonce, a price or what an account has.

use std::{rc::Rc, sync::Arc};

use alloy_primitives::{Address, B256, Bloom, Bytes, U256, keccak256};
use nexum_manifest::{Capability, IdentityMethod};
use nexum_testkit::{ChainBlock, ScriptedChain};
use nexum_types::{AskedTransaction, CallId, CallState, ChainId};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{MockHost, state_error};
use crate::{HostError, Result, chain::RpcRequest, host::Host, testing::Asked};

const GAS: &str = "0x5208";
const GAS_PRICE: &str = "0x3b9aca00";
/// The JSON-RPC code of parameters that are none.
const INVALID_PARAMS: i32 = -32602;

/// A transaction that a module has sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentTransaction {
    /// The chain (EIP-155).
    pub chain_id: u64,
    /// Who pays.
    pub from: Address,
    /// Who receives; none for one that makes a contract.
    pub to: Option<Address>,
    /// What it moves, in wei.
    pub value: U256,
    /// Its data.
    pub input: Bytes,
    /// Its hash, as the module was told it.
    pub hash: B256,
}

/// What a test says of a transaction before it is sent.
type Check = Rc<dyn Fn(&SentTransaction) -> Result<()>>;

/// All that was sent, oldest first.
#[derive(Default)]
pub(super) struct Wallet {
    sent: Vec<Sent>,
    check: Option<Check>,
}

struct Sent {
    call: CallId,
    /// Which of the call's transactions it is.
    index: u32,
    /// What tells it from any other that the call could ask for.
    asked: B256,
    transaction: SentTransaction,
    landed: Option<Landed>,
}

struct Landed {
    block: Arc<ChainBlock>,
    is_reverted: bool,
}

impl Wallet {
    pub(super) fn transactions(&self) -> Vec<SentTransaction> {
        let sent = self.sent.iter();
        sent.map(|sent| sent.transaction.clone()).collect()
    }

    pub(super) fn set_check(&mut self, check: impl Fn(&SentTransaction) -> Result<()> + 'static) {
        self.check = Some(Rc::new(check));
    }

    /// The hash where an earlier attempt of the call has sent that one.
    fn earlier(&self, call: CallId, index: u32, asked: B256) -> Result<Option<B256>> {
        let of_call = |sent: &&Sent| (sent.call, sent.index) == (call, index);
        let Some(sent) = self.sent.iter().find(of_call) else {
            return Ok(None);
        };
        let hash = sent.transaction.hash;
        if sent.asked == asked {
            return Ok(Some(hash));
        }
        let message = format!(
            "an earlier attempt of this call has sent {hash}, and this one asks for another \
             transaction: note what is about to be sent, and ask for that again"
        );
        let mut error = HostError::invalid_input(message).in_domain("identity");
        error.data = Some(hash.to_string());
        Err(error)
    }

    /// What a node says of a transaction; `None` where the question is not about one of these.
    pub(super) fn look(
        &self,
        chain: &ScriptedChain,
        method: &str,
        params: &Value,
    ) -> Option<Value> {
        let hash: B256 = params.get(0)?.as_str()?.parse().ok()?;
        let is_it = |sent: &&Sent| {
            (sent.transaction.chain_id, sent.transaction.hash) == (chain.chain_id(), hash)
        };
        let sent = self.sent.iter().find(is_it)?;
        // A block that a reorg has taken away has no transactions.
        let landed = sent.landed.as_ref().filter(|landed| {
            let canonical = chain.block(landed.block.number);
            canonical.is_some_and(|canonical| canonical.hash == landed.block.hash)
        });
        match method {
            "eth_getTransactionByHash" => Some(sent.body(landed)),
            "eth_getTransactionReceipt" => {
                Some(landed.map_or(Value::Null, |landed| sent.receipt(landed)))
            }
            _ => None,
        }
    }

    /// Puts a transaction into a block of its own.
    pub(super) fn land(&mut self, hash: B256, is_reverted: bool, chain: &ScriptedChain) {
        let Some(sent) = self.sent.iter_mut().find(|it| it.transaction.hash == hash) else {
            return;
        };
        let SentTransaction {
            from, to, value, ..
        } = sent.transaction;
        let block = chain.at_once(|branch| {
            if let (Some(to), false) = (to, is_reverted) {
                if branch.debit(from, value).is_err() {
                    branch.set_balance(from, U256::ZERO);
                }
                if branch.credit(to, value).is_err() {
                    branch.set_balance(to, U256::MAX);
                }
            }
            branch.mine(1);
            Arc::clone(branch.head())
        });
        sent.landed = Some(Landed { block, is_reverted });
    }

    pub(super) fn chain_of(&self, hash: B256) -> Option<u64> {
        let sent = self.sent.iter().map(|sent| &sent.transaction);
        let mut of_hash = sent.filter(|sent| sent.hash == hash);
        of_hash.next().map(|sent| sent.chain_id)
    }
}

impl Sent {
    fn body(&self, landed: Option<&Landed>) -> Value {
        let it = &self.transaction;
        json!({
            "type": "0x2",
            "chainId": quantity(U256::from(it.chain_id)),
            "nonce": quantity(U256::from(self.index)),
            "hash": it.hash,
            "from": it.from,
            "to": it.to,
            "value": quantity(it.value),
            "input": it.input,
            "gas": GAS,
            "gasPrice": GAS_PRICE,
            "maxFeePerGas": GAS_PRICE,
            "maxPriorityFeePerGas": "0x0",
            "accessList": [],
            "blockHash": landed.map(|landed| landed.block.hash),
            "blockNumber": landed.map(|landed| quantity(U256::from(landed.block.number))),
            "transactionIndex": landed.map(|_| "0x0"),
            "r": "0x1",
            "s": "0x1",
            "v": "0x0",
            "yParity": "0x0",
        })
    }

    fn receipt(&self, Landed { block, is_reverted }: &Landed) -> Value {
        let it = &self.transaction;
        json!({
            "type": "0x2",
            "status": if *is_reverted { "0x0" } else { "0x1" },
            "transactionHash": it.hash,
            "transactionIndex": "0x0",
            "blockHash": block.hash,
            "blockNumber": quantity(U256::from(block.number)),
            "from": it.from,
            "to": it.to,
            "contractAddress": null,
            "gasUsed": GAS,
            "cumulativeGasUsed": GAS,
            "effectiveGasPrice": GAS_PRICE,
            "logs": [],
            "logsBloom": Bloom::ZERO,
        })
    }
}

impl MockHost {
    /// Says of each new transaction whether it is sent: an error is what the module is answered,
    /// such as `denied` in the domain `identity` for a ceiling of the operator's, or a revert.
    /// The last one that was set counts; without any, all are sent. What an earlier attempt of the
    /// same call has sent is not asked about again.
    #[must_use]
    pub fn on_transaction(self, check: impl Fn(&SentTransaction) -> Result<()> + 'static) -> Self {
        self.world_mut().wallet.set_check(check);
        self
    }

    /// Every transaction that the module has sent, oldest first. One that several attempts of a
    /// call have asked for is there once.
    #[must_use]
    pub fn transactions(&self) -> Vec<SentTransaction> {
        self.world().wallet.transactions()
    }

    /// Puts a transaction into a block that is mined for it, which moves its value; gas costs
    /// nothing. Before that it is pending: it has no receipt.
    ///
    /// # Panics
    ///
    /// The module has sent no such transaction.
    pub fn land(&self, hash: B256) {
        self.mine_transaction(hash, false);
    }

    /// As [`MockHost::land`], but the transaction reverts in its block and moves nothing.
    ///
    /// # Panics
    ///
    /// The module has sent no such transaction.
    pub fn land_reverted(&self, hash: B256) {
        self.mine_transaction(hash, true);
    }

    fn mine_transaction(&self, hash: B256, is_reverted: bool) {
        let world = &mut *self.world_mut();
        let Some(chain_id) = world.wallet.chain_of(hash) else {
            panic!("the module has sent no transaction {hash}");
        };
        let chain = world.chains.chain(chain_id);
        world.wallet.land(hash, is_reverted, &chain);
    }
}

impl MockHost {
    /// True for what is asked of the module's accounts and not of the chain.
    pub(super) fn is_for_accounts(&self, method: &str) -> bool {
        let world = self.world();
        let declared = world.manifest.capabilities.declared();
        IdentityMethod::of_request(method).is_some() && declared.contains(&Capability::Identity)
    }

    /// The answer to what [is for the accounts](Self::is_for_accounts); `None` for all else.
    pub(super) fn answer_of_accounts(
        &self,
        chain_id: u64,
        request: &RpcRequest,
    ) -> Option<Result<String>> {
        let RpcRequest { method, params } = request;
        let of = IdentityMethod::of_request(method).filter(|_| self.is_for_accounts(method))?;
        self.world_mut().observed.asked.push(Asked {
            chain_id,
            method: method.clone(),
            params: serde_json::from_str(params).unwrap_or_default(),
        });
        let answer = match of {
            IdentityMethod::Accounts => self.accounts().map(|accounts| json!(accounts)),
            IdentityMethod::Sign => self.personal_sign(params),
            IdentityMethod::SignTypedData => self.typed_data(params),
            IdentityMethod::SendTransaction => self.send(chain_id, params).map(|hash| json!(hash)),
        };
        Some(answer.map(|answer| answer.to_string()))
    }

    fn personal_sign(&self, params: &str) -> Result<Value> {
        let (message, account): (Bytes, Address) = read(params, "[message, account]")?;
        let signature = self.sign(account, &message)?;
        Ok(json!(Bytes::from(signature)))
    }

    fn typed_data(&self, params: &str) -> Result<Value> {
        let (account, data): (Address, Value) = read(params, "[account, typed data]")?;
        let text = match data {
            Value::String(text) => text,
            data => data.to_string(),
        };
        let signature = self.sign_typed_data(account, &text)?;
        Ok(json!(Bytes::from(signature)))
    }

    fn send(&self, chain_id: u64, params: &str) -> Result<B256> {
        let (index, call) = {
            let world = self.world_mut();
            (world.sends, world.call.as_ref().and_then(CallState::call))
        };
        let mut world = self.identity(IdentityMethod::SendTransaction)?;
        let chain = ChainId(chain_id);
        let asked = AskedTransaction::parse(params, chain);
        let asked = asked
            .map_err(|error| HostError::invalid_input(error.to_string()).in_domain("identity"))?;
        let digest = asked.digest(chain);
        world.accounts.check(asked.from)?;
        let Some(call) = call else {
            let message = "a call without a name sends no transactions";
            return Err(HostError::internal(message).in_domain("identity"));
        };
        let call = call.id().map_err(|error| state_error(&error))?;
        if let Some(hash) = world.wallet.earlier(call, index, digest)? {
            world.sends += 1;
            return Ok(hash);
        }
        let transaction = SentTransaction {
            chain_id,
            from: asked.from,
            to: asked.to.into_to(),
            value: asked.value,
            input: asked.input,
            hash: keccak256(format!("transaction {}", world.wallet.sent.len())),
        };
        let check = world.wallet.check.clone();
        // What a test says may look at the host.
        drop(world);
        if let Some(check) = check {
            check(&transaction)?;
        }
        let hash = transaction.hash;
        let mut world = self.world_mut();
        // What was sent is counted, and what was not is not: another attempt may fare otherwise.
        world.sends += 1;
        world.wallet.sent.push(Sent {
            call,
            index,
            asked: digest,
            transaction,
            landed: None,
        });
        Ok(hash)
    }
}

/// Reads parameters, and says what they are to be.
fn read<T: DeserializeOwned>(params: &str, shape: &str) -> Result<T> {
    serde_json::from_str(params).map_err(|error| {
        let message = format!("the parameters are {shape}: {error}");
        let mut error = HostError::invalid_input(message).in_domain("identity");
        error.code = INVALID_PARAMS;
        error
    })
}

fn quantity(number: U256) -> String {
    format!("{number:#x}")
}
