//! The way of a transaction, with a chain that answers as a test wants it: one that refuses, is
//! silent, changes its mind, or counts what there is not.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use alloy_primitives::{U64, keccak256};
use nexum_identity::{Accounts, Grant, Key, LocalSigner, ModuleAccounts, Sender, Signer, Unlock};
use nexum_manifest::{IdentityMethod, Recipients, TransactionRule};
use nexum_types::{
    Address, B256, BoxFuture, Broadcast, BroadcastError, Bytes, CallId, CallKey, CallState,
    ChainId, ChainRpc, Fate, HostError, HostErrorKind, IdentityAccess as _, RpcRequest, RpcResult,
    SendOf, SentTransaction, Snapshot, StateBackend, StateError, TransactionLedger, U256, WriteSet,
};
use serde_json::{Value, json};

use crate::keystores::{folder_of, password};

const CHAIN: ChainId = ChainId(1);
const PAYEE: Address = Address::repeat_byte(0xaa);

/// What the chain does with a transaction that it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Takes,
    Refuses,
    Silent,
}

/// A chain, and what is on the disk: both outlive an engine.
#[derive(Default)]
struct Outside {
    mood: Mutex<Option<Mood>>,
    known: Mutex<BTreeSet<B256>>,
    /// What was given to it, in order.
    given: Mutex<Vec<B256>>,
    counts: Mutex<[u64; 2]>,
    disk: Mutex<BTreeMap<u64, SentTransaction>>,
}

impl Outside {
    fn is(&self, mood: Mood) {
        *self.mood.lock().unwrap() = Some(mood);
    }

    /// The account's transactions that are in blocks, and with those that wait.
    fn counts(&self, latest: u64, pending: u64) {
        *self.counts.lock().unwrap() = [latest, pending];
    }

    fn knows(&self, hash: B256) {
        self.known.lock().unwrap().insert(hash);
    }

    fn forgets(&self, hash: B256) {
        self.known.lock().unwrap().remove(&hash);
    }

    fn given(&self) -> Vec<B256> {
        self.given.lock().unwrap().clone()
    }

    fn on_disk(&self) -> Vec<SentTransaction> {
        self.disk.lock().unwrap().values().cloned().collect()
    }

    fn answer(&self, request: &RpcRequest) -> Value {
        let params: Value = serde_json::from_str(&request.params).unwrap();
        let [latest, pending] = *self.counts.lock().unwrap();
        let is_known = || {
            let hash: B256 = params[0].as_str().unwrap().parse().unwrap();
            self.known.lock().unwrap().contains(&hash)
        };
        match request.method.as_str() {
            "eth_call" => json!("0x"),
            "eth_estimateGas" => json!("0x5208"),
            "eth_getBalance" => json!(U256::MAX),
            "eth_feeHistory" => json!({ "baseFeePerGas": ["0x7", "0x7"], "reward": [["0x1"]] }),
            "eth_getTransactionCount" if params[1] == "pending" => json!(U64::from(pending)),
            "eth_getTransactionCount" => json!(U64::from(latest)),
            "eth_getTransactionByHash" if is_known() => json!({}),
            "eth_getTransactionByHash" | "eth_getTransactionReceipt" => Value::Null,
            other => panic!("{other}"),
        }
    }
}

struct Node(Arc<Outside>);

impl ChainRpc for Node {
    fn request<'a>(&'a self, _: ChainId, request: &'a RpcRequest) -> BoxFuture<'a, RpcResult> {
        Box::pin(async { Ok(self.0.answer(request).to_string()) })
    }

    fn request_batch<'a>(
        &'a self,
        _: ChainId,
        requests: &'a [RpcRequest],
    ) -> BoxFuture<'a, Result<Vec<RpcResult>, HostError>> {
        let answers = requests.iter().map(|it| Ok(self.0.answer(it).to_string()));
        let answers = answers.collect();
        Box::pin(async { Ok(answers) })
    }
}

impl Broadcast for Node {
    fn broadcast<'a>(
        &'a self,
        _: ChainId,
        raw: &'a Bytes,
    ) -> BoxFuture<'a, Result<(), BroadcastError>> {
        let hash = keccak256(raw);
        // Whatever becomes of it here, it is on the disk.
        let on_disk = self.0.on_disk();
        assert!(
            on_disk
                .iter()
                .any(|sent| sent.raw == *raw && sent.hash == hash)
        );
        self.0.given.lock().unwrap().push(hash);
        let error = HostError::new("chain", HostErrorKind::Internal, "no").with_code(-32000);
        let mood = self.0.mood.lock().unwrap().unwrap_or(Mood::Takes);
        Box::pin(async move {
            match mood {
                Mood::Takes => {
                    self.0.knows(hash);
                    Ok(())
                }
                Mood::Refuses => Err(BroadcastError::Answered(error)),
                Mood::Silent => Err(BroadcastError::Unanswered(error)),
            }
        })
    }
}

struct Disk(Arc<Outside>);

impl TransactionLedger for Disk {
    fn load(&self) -> Result<Vec<SentTransaction>, StateError> {
        Ok(self.0.on_disk())
    }

    fn change(&self, put: &[SentTransaction], remove: &[u64]) -> Result<(), StateError> {
        let mut disk = self.0.disk.lock().unwrap();
        disk.extend(put.iter().map(|sent| (sent.id, sent.clone())));
        disk.retain(|id, _| !remove.contains(id));
        Ok(())
    }
}

/// A state of which only the calls' ids are asked for: that of a call is its number.
struct Calls;

impl StateBackend for Calls {
    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StateError> {
        Err(StateError::EmptyKey)
    }

    fn used_bytes(&self) -> u64 {
        0
    }

    fn checkpoint(&self, _: &WriteSet) -> Result<(), StateError> {
        Ok(())
    }

    fn call_id(&self, call: CallKey) -> Result<CallId, StateError> {
        let CallKey::Letter(number) = call else {
            return Err(StateError::EmptyKey);
        };
        let mut id = CallId::default();
        id.0[..8].copy_from_slice(&number.to_be_bytes());
        Ok(id)
    }

    fn has_call_id(&self, _: CallKey) -> bool {
        true
    }
}

/// An engine with one module, as it is after each start.
struct Engine {
    account: Address,
    module: ModuleAccounts,
}

impl Engine {
    fn start(outside: &Arc<Outside>) -> Self {
        let key = Key::from_hex(&"11".repeat(32)).unwrap();
        let account = key.address();
        let (_dir, folder) = folder_of(&[&key]);
        let opened = LocalSigner::open(&folder, password(), [account], Unlock::AtStart);
        let signer: Arc<dyn Signer> = Arc::new(opened.unwrap().0);
        let rule = TransactionRule {
            accounts: [account].into(),
            chains: [CHAIN].into(),
            to: Recipients::These([PAYEE].into()),
            max_value: U256::from(10),
            max_value_per_day: U256::from(25),
            max_fee_per_gas: 100_000_000,
            max_fees_per_day: U256::MAX,
            max_gas: 100_000,
        };
        let grant = Grant {
            accounts: vec![account],
            asked: [IdentityMethod::SendTransaction].into(),
            allowed: None,
            chains: [CHAIN].into(),
            transactions: vec![rule],
        };
        let node = Arc::new(Node(Arc::clone(outside)));
        let sender = Sender::new(Arc::clone(&node));
        sender.open(Disk(Arc::clone(outside)), []).unwrap();
        let module = Accounts::new([(account, signer)])
            .of_module("pays".parse().unwrap(), grant)
            .sending(sender, node);
        Self { account, module }
    }

    /// The `index`-th transaction of a call: a transfer of so many wei.
    async fn send(&self, call: u64, index: u32, wei: u64) -> Result<B256, HostError> {
        let params = json!([{ "from": self.account, "to": PAYEE, "value": U256::from(wei) }]);
        let state = CallState::new(Arc::new(Calls), 0).of(Some(CallKey::Letter(call)));
        let of = SendOf {
            call: state.call().unwrap(),
            index,
            event: None,
        };
        let params = params.to_string();
        self.module.send_transaction(CHAIN, &params, of).await
    }
}

fn kind(ended: &Result<B256, HostError>) -> Option<HostErrorKind> {
    ended.as_ref().err().map(|error| error.kind)
}

#[tokio::test]
async fn what_nobody_answers_to_is_sent_and_is_the_same_after_a_restart() {
    let outside = Arc::new(Outside::default());
    outside.is(Mood::Silent);
    let first = Engine::start(&outside).send(1, 0, 5).await.unwrap();
    outside.is(Mood::Takes);
    let engine = Engine::start(&outside);
    assert_eq!(engine.send(1, 0, 5).await, Ok(first));
    assert_eq!(outside.given(), [first, first]);
    // Something else in its place, and what is another one.
    let other = engine.send(1, 0, 6).await;
    assert_eq!(kind(&other), Some(HostErrorKind::InvalidInput));
    assert_eq!(other.unwrap_err().data, Some(first.to_string()));
    let second = engine.send(1, 1, 6).await.unwrap();
    let nonces: Vec<_> = outside.on_disk().iter().map(|it| it.nonce).collect();
    assert_eq!(nonces, [0, 1]);
    assert_ne!(first, second);
}

#[tokio::test]
async fn the_nonce_of_what_is_refused_is_given_to_one_that_can_land_alone() {
    let outside = Arc::new(Outside::default());
    let engine = Engine::start(&outside);
    outside.is(Mood::Refuses);
    let refused = engine.send(1, 0, 5).await;
    assert_eq!(refused.unwrap_err().code, -32000);
    assert_eq!(outside.on_disk()[0].fate, Fate::Refused);
    // The same call makes it anew in its own place, be it another transaction.
    outside.is(Mood::Takes);
    let anew = engine.send(1, 0, 6).await.unwrap();
    assert_eq!(outside.on_disk()[1].nonce, 0);
    // The first one turns up after all, and lands: which of the two it was is what counts.
    let first = outside.on_disk()[0].hash;
    let mut landed = outside.on_disk()[0].clone();
    landed.fate = Fate::Landed {
        block: 1,
        reverted: false,
    };
    let replaced = SentTransaction {
        fate: Fate::Replaced,
        is_final: true,
        ..outside.on_disk()[1].clone()
    };
    Disk(Arc::clone(&outside))
        .change(&[landed, replaced], &[])
        .unwrap();
    let engine = Engine::start(&outside);
    assert_eq!(engine.send(1, 0, 5).await, Ok(first));
    assert_ne!(first, anew);
    assert_eq!(outside.on_disk().len(), 2);
}

#[tokio::test]
async fn a_call_waits_while_its_refused_transaction_could_still_land() {
    let outside = Arc::new(Outside::default());
    let engine = Engine::start(&outside);
    outside.is(Mood::Refuses);
    engine.send(1, 0, 5).await.unwrap_err();
    // Another call has the nonce now.
    outside.is(Mood::Takes);
    engine.send(2, 0, 5).await.unwrap();
    let [first, second] = &outside.on_disk()[..] else {
        panic!("{:?}", outside.on_disk())
    };
    assert_eq!(second.nonce, 0);
    assert_ne!(
        first.hash, second.hash,
        "each call has a transaction of its own"
    );
    let waits = engine.send(1, 0, 5).await;
    assert_eq!(kind(&waits), Some(HostErrorKind::Unavailable));
    // That it has landed is not enough: a reorg could take it back.
    outside.counts(1, 1);
    let waits = engine.send(1, 0, 5).await;
    assert_eq!(kind(&waits), Some(HostErrorKind::Unavailable));
    // A node that lags behind may still have it: it cannot land any more, where the other has.
    let hash = outside.on_disk()[0].hash;
    outside.knows(hash);
    let waits = engine.send(1, 0, 5).await;
    assert_eq!(kind(&waits), Some(HostErrorKind::Unavailable));
    assert_eq!(outside.on_disk().len(), 2);
    outside.forgets(hash);
    // What was refused for good, and is known to nobody, is made anew.
    let refused = SentTransaction {
        fate: Fate::Refused,
        is_final: true,
        ..outside.on_disk()[0].clone()
    };
    Disk(Arc::clone(&outside)).change(&[refused], &[]).unwrap();
    let engine = Engine::start(&outside);
    engine.send(1, 0, 5).await.unwrap();
    assert_eq!(outside.on_disk()[2].nonce, 1);
}

#[tokio::test]
async fn what_was_refused_and_is_there_after_all_is_the_calls() {
    let outside = Arc::new(Outside::default());
    let engine = Engine::start(&outside);
    outside.is(Mood::Refuses);
    engine.send(1, 0, 5).await.unwrap_err();
    let hash = outside.on_disk()[0].hash;
    // The same again is the same one, handed over once more.
    engine.send(1, 0, 5).await.unwrap_err();
    assert_eq!(outside.given(), [hash, hash]);
    assert_eq!(outside.on_disk().len(), 1);
    outside.knows(hash);
    assert_eq!(engine.send(1, 0, 5).await, Ok(hash));
    assert_eq!(outside.on_disk()[0].fate, Fate::Pending);
    assert_eq!(outside.on_disk().len(), 1);
}

/// A node that refuses what it keeps cannot get more out of an account than a day's ceiling.
#[tokio::test]
async fn what_the_chain_says_frees_nothing_of_a_day() {
    let outside = Arc::new(Outside::default());
    let engine = Engine::start(&outside);
    outside.is(Mood::Refuses);
    // In one place at most one can land, however often it is tried.
    for _ in 0..5 {
        let refused = engine.send(1, 0, 10).await;
        assert_eq!(refused.unwrap_err().code, -32000);
    }
    // The node counts one more each time, so that each has a nonce of its own.
    for nonce in 1..=2 {
        outside.counts(nonce, nonce);
        let refused = engine.send(1 + nonce, 0, 10).await;
        let denied = refused.unwrap_err();
        let expected = match nonce {
            1 => HostErrorKind::Internal,
            _ => HostErrorKind::Denied,
        };
        assert_eq!(denied.kind, expected, "{denied}");
    }
}

#[tokio::test]
async fn what_waits_is_bounded_and_so_is_what_a_node_may_count() {
    let outside = Arc::new(Outside::default());
    let engine = Engine::start(&outside);
    outside.counts(0, 1_000_000);
    let absurd = engine.send(1, 0, 1).await;
    assert_eq!(kind(&absurd), Some(HostErrorKind::Unavailable));
    assert!(outside.on_disk().is_empty());
    // Those of a wallet's are left their nonces.
    outside.counts(0, 3);
    for call in 0..16 {
        engine.send(call, 0, 1).await.unwrap();
    }
    let nonces: Vec<_> = outside.on_disk().iter().map(|it| it.nonce).collect();
    assert_eq!(nonces, (3..19).collect::<Vec<_>>());
    let full = engine.send(16, 0, 1).await;
    assert_eq!(kind(&full), Some(HostErrorKind::RateLimited));
    assert_eq!(outside.on_disk().len(), 16);
}
