//! What is outside of an engine that sends, as a test wants it: a chain that refuses, is silent,
//! changes its mind, or counts what there is not; a disk that fails; a clock that is set.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use alloy_primitives::{U64, keccak256};
use nexum_identity::{Accounts, Grant, Key, LocalSigner, ModuleAccounts, Sender, Signer, Unlock};
use nexum_manifest::{IdentityMethod, Rate, Recipients, TransactionRule};
use nexum_types::{
    Address, B256, BoxFuture, Broadcast, BroadcastError, Bytes, CallId, CallKey, CallState,
    ChainId, ChainRpc, HostError, HostErrorKind, IdentityAccess as _, RpcRequest, RpcResult,
    SendOf, SentTransaction, Snapshot, StateBackend, StateError, TransactionLedger, U256, WriteSet,
};
use serde_json::{Value, json};

use crate::keystores::{folder_of, password};

pub(crate) const CHAIN: ChainId = ChainId(1);
const PAYEE: Address = Address::repeat_byte(0xaa);
/// The most value of a module's in a day, in wei.
pub(crate) const A_DAY: u64 = 25;
/// The most gas.
pub(crate) const MAX_GAS: u64 = 100_000;

/// What the chain does with a transaction that it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    Takes,
    Refuses,
    /// Says that it refuses, and is looked at from another node that hears of it a little later.
    TakesUnseen,
    /// Says that it refuses, and answers nothing from then on.
    RefusesAndIsGone,
    Silent,
}

/// A chain, what is on the disk, and the time: they outlive an engine.
#[derive(Default)]
pub(crate) struct Outside {
    mood: Mutex<Option<Mood>>,
    known: Mutex<BTreeSet<B256>>,
    landed: Mutex<BTreeSet<B256>>,
    /// The transactions whose receipts were asked for.
    asked: Mutex<Vec<B256>>,
    /// Known once it has been asked for.
    unseen: Mutex<Option<B256>>,
    /// Not known any more once it has been asked for.
    fading: Mutex<Option<B256>>,
    is_gone: AtomicBool,
    is_silent_once: AtomicBool,
    is_unsettled: AtomicBool,
    /// What was given to it, in order.
    given: Mutex<Vec<B256>>,
    counts: Mutex<[u64; 2]>,
    /// What a call is estimated at.
    gas: Mutex<Option<u64>>,
    disk: Mutex<BTreeMap<u64, SentTransaction>>,
    is_broken: AtomicBool,
    now_ms: AtomicU64,
}

impl Outside {
    pub(crate) fn is(&self, mood: Mood) {
        *self.mood.lock().unwrap() = Some(mood);
    }

    /// The account's transactions that are in blocks, and with those that wait.
    pub(crate) fn counts(&self, latest: u64, pending: u64) {
        *self.counts.lock().unwrap() = [latest, pending];
    }

    pub(crate) fn knows(&self, hash: B256) {
        self.known.lock().unwrap().insert(hash);
    }

    pub(crate) fn lands(&self, hash: B256) {
        self.knows(hash);
        self.landed.lock().unwrap().insert(hash);
    }

    /// How often it was asked for that one's receipt.
    pub(crate) fn asked_for(&self, hash: B256) -> usize {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|asked| **asked == hash).count()
    }

    pub(crate) fn forgets(&self, hash: B256) {
        self.known.lock().unwrap().remove(&hash);
    }

    fn is_there(&self) -> Result<(), HostError> {
        let is_silent = self.is_silent_once.swap(false, Ordering::Relaxed);
        match self.is_gone.load(Ordering::Relaxed) || is_silent {
            true => Err(HostError::new("chain", HostErrorKind::Unavailable, "gone")),
            false => Ok(()),
        }
    }

    pub(crate) fn forgets_once_asked(&self, hash: B256) {
        *self.fading.lock().unwrap() = Some(hash);
    }

    pub(crate) fn does_not_answer_once(&self) {
        self.is_silent_once.store(true, Ordering::Relaxed);
    }

    /// No block is final from now on.
    pub(crate) fn settles_nothing(&self) {
        self.is_unsettled.store(true, Ordering::Relaxed);
    }

    pub(crate) fn estimates(&self, gas: u64) {
        *self.gas.lock().unwrap() = Some(gas);
    }

    pub(crate) fn breaks_the_disk(&self, is_broken: bool) {
        self.is_broken.store(is_broken, Ordering::Relaxed);
    }

    pub(crate) fn passes(&self, time: Duration) {
        let ms = u64::try_from(time.as_millis()).unwrap();
        self.now_ms.fetch_add(ms, Ordering::Relaxed);
    }

    /// Changes what is on the disk, where no engine runs.
    pub(crate) fn rewrite(&self, change: impl Fn(&mut SentTransaction)) {
        self.disk.lock().unwrap().values_mut().for_each(change);
    }

    pub(crate) fn given(&self) -> Vec<B256> {
        self.given.lock().unwrap().clone()
    }

    pub(crate) fn on_disk(&self) -> Vec<SentTransaction> {
        self.disk.lock().unwrap().values().cloned().collect()
    }

    fn answer(&self, request: &RpcRequest) -> Value {
        let params: Value = serde_json::from_str(&request.params).unwrap();
        let [latest, pending] = *self.counts.lock().unwrap();
        let is_known = || {
            let hash: B256 = params[0].as_str().unwrap().parse().unwrap();
            let is_known = self.known.lock().unwrap().contains(&hash);
            let mut known = self.known.lock().unwrap();
            known.extend(self.unseen.lock().unwrap().take());
            if let Some(hash) = self.fading.lock().unwrap().take() {
                known.remove(&hash);
            }
            is_known
        };
        match request.method.as_str() {
            "eth_call" => json!("0x"),
            "eth_estimateGas" => json!(U64::from(self.gas.lock().unwrap().unwrap_or(21_000))),
            "eth_getBalance" => json!(U256::MAX),
            "eth_feeHistory" => json!({ "baseFeePerGas": ["0x7", "0x7"], "reward": [["0x1"]] }),
            "eth_getTransactionCount" if params[1] == "pending" => json!(U64::from(pending)),
            "eth_getTransactionCount"
                if params[1] == "finalized" && self.is_unsettled.load(Ordering::Relaxed) =>
            {
                json!("0x0")
            }
            "eth_getTransactionCount" => json!(U64::from(latest)),
            "eth_getTransactionByHash" if is_known() => json!({}),
            "eth_getTransactionByHash" => Value::Null,
            "eth_getTransactionReceipt" => {
                let hash: B256 = params[0].as_str().unwrap().parse().unwrap();
                self.asked.lock().unwrap().push(hash);
                match self.landed.lock().unwrap().contains(&hash) {
                    true => json!({ "blockNumber": "0x1", "status": "0x1" }),
                    false => Value::Null,
                }
            }
            other => panic!("{other}"),
        }
    }
}

struct Node(Arc<Outside>);

impl ChainRpc for Node {
    fn request<'a>(&'a self, _: ChainId, request: &'a RpcRequest) -> BoxFuture<'a, RpcResult> {
        Box::pin(async {
            self.0.is_there()?;
            Ok(self.0.answer(request).to_string())
        })
    }

    fn request_batch<'a>(
        &'a self,
        _: ChainId,
        requests: &'a [RpcRequest],
    ) -> BoxFuture<'a, Result<Vec<RpcResult>, HostError>> {
        Box::pin(async {
            self.0.is_there()?;
            let answers = requests.iter().map(|it| Ok(self.0.answer(it).to_string()));
            Ok(answers.collect())
        })
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
                Mood::TakesUnseen => {
                    *self.0.unseen.lock().unwrap() = Some(hash);
                    Err(BroadcastError::Answered(error))
                }
                Mood::RefusesAndIsGone => {
                    self.0.is_gone.store(true, Ordering::Relaxed);
                    Err(BroadcastError::Answered(error))
                }
                Mood::Silent => Err(BroadcastError::Unanswered(error)),
            }
        })
    }
}

pub(crate) struct Disk(pub(crate) Arc<Outside>);

impl TransactionLedger for Disk {
    fn load(&self) -> Result<Vec<SentTransaction>, StateError> {
        Ok(self.0.on_disk())
    }

    fn change(&self, put: &[SentTransaction], remove: &[u64]) -> Result<(), StateError> {
        if self.0.is_broken.load(Ordering::Relaxed) {
            return Err(StateError::Storage("the disk is full".into()));
        }
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

/// An engine with two modules that send from one account, as it is after each start.
pub(crate) struct Engine {
    account: Address,
    pub(crate) sender: Sender,
    module: ModuleAccounts,
    other: ModuleAccounts,
}

impl Engine {
    pub(crate) fn start(outside: &Arc<Outside>) -> Self {
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
            max_value_per_day: U256::from(A_DAY),
            max_fee_per_gas: 100_000_000,
            max_fees_per_day: U256::MAX,
            max_gas: MAX_GAS,
        };
        let grant = Grant {
            accounts: vec![account],
            asked: [IdentityMethod::SendTransaction].into(),
            allowed: None,
            chains: [CHAIN].into(),
            transactions: vec![rule],
            rate: Rate {
                per_second: 1_000_000,
                burst: 1_000_000,
            },
        };
        let node = Arc::new(Node(Arc::clone(outside)));
        let time = Arc::clone(outside);
        let sender = Sender::new(Arc::clone(&node), move || {
            time.now_ms.load(Ordering::Relaxed)
        });
        sender.open(Disk(Arc::clone(outside)), []).unwrap();
        let accounts = Accounts::new([(account, signer)]);
        let module = |name: &str| {
            let module = accounts.of_module(name.parse().unwrap(), grant.clone());
            module.sending(sender.clone(), Arc::clone(&node) as _)
        };
        Self {
            account,
            module: module("pays"),
            other: module("pays-too"),
            sender: sender.clone(),
        }
    }

    /// The `index`-th transaction of a call: a transfer of so many wei.
    pub(crate) async fn send(&self, call: u64, index: u32, wei: u64) -> Result<B256, HostError> {
        self.send_by(&self.module, call, index, wei).await
    }

    /// The first transaction of a call of the other module.
    pub(crate) async fn send_by_other(&self, call: u64, wei: u64) -> Result<B256, HostError> {
        self.send_by(&self.other, call, 0, wei).await
    }

    async fn send_by(
        &self,
        module: &ModuleAccounts,
        call: u64,
        index: u32,
        wei: u64,
    ) -> Result<B256, HostError> {
        let params = json!([{ "from": self.account, "to": PAYEE, "value": U256::from(wei) }]);
        let state = CallState::new(Arc::new(Calls), 0).of(Some(CallKey::Letter(call)));
        let of = SendOf {
            call: state.call().unwrap(),
            index,
            event: None,
        };
        let params = params.to_string();
        let sent = module.send_transaction(CHAIN, &params, of).await?;
        Ok(sent.hash)
    }
}

pub(crate) fn kind(ended: &Result<B256, HostError>) -> Option<HostErrorKind> {
    ended.as_ref().err().map(|error| error.kind)
}
