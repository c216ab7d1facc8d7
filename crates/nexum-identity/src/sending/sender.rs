//! From what a module asks for to a transaction on its way. One account's transactions on one
//! chain are made one after the other; those of others do not wait for them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use alloy_consensus::TxEip1559;
use alloy_eips::eip2930::{AccessList, AccessListItem};
use nexum_manifest::{IdentityMethod, TransactionRule};
use nexum_types::{
    Address, AskedTransaction, B256, Broadcast, BroadcastError, CallId, ChainId, ChainRpc, Fate,
    HostError, HostErrorKind, ModuleName, SentTransaction, StateError, TransactionLedger, U256,
};
use tokio::sync::{Mutex as Turn, Notify};

use super::{
    Transaction,
    book::{Book, BookError, DAY_MS},
    outlook::{self, Outlook},
    rules::{self, OverCeiling, Spent},
};
use crate::{Signer, ToSign, accounts, signer::checked};

/// The most of an account's transactions on one chain that wait to land. What nodes keep of one
/// account by default is no more.
pub(crate) const MAX_PENDING: usize = 16;

/// Who makes a transaction of an account has its turn.
type AccountTurn = Arc<Turn<()>>;

/// Sends the transactions of all modules. Clones share everything.
#[derive(Clone)]
pub struct Sender(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) reads: Arc<dyn ChainRpc>,
    pub(crate) broadcast: Arc<dyn Broadcast>,
    pub(crate) book: OnceLock<Book>,
    turns: Mutex<BTreeMap<(Address, ChainId), AccountTurn>>,
    /// There is something to look after.
    pub(crate) wake: Notify,
    tallies: Mutex<BTreeMap<(Address, ChainId), AccountTally>>,
    /// Calls that were committed, which the disk has not been told.
    settled: Mutex<BTreeSet<CallId>>,
}

/// What has become of an account's transactions on one chain since the engine started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AccountTally {
    /// Signed and handed to the chain.
    pub sent: u64,
    /// In a block.
    pub landed: u64,
    /// In a block, and reverted there.
    pub reverted: u64,
    /// Not to land any more: another transaction had the nonce.
    pub replaced: u64,
    /// Not taken by the chain when they were handed over.
    pub refused: u64,
    /// Handed over again, since the chain had lost them.
    pub resent: u64,
    /// Those that are to land yet.
    pub pending: u64,
    /// For how long the oldest of those has been, in milliseconds.
    pub oldest_ms: u64,
}

/// A transaction that a module's rules allow, and for which call it is.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) module: ModuleName,
    pub(crate) call: CallId,
    pub(crate) index: u32,
    pub(crate) event: String,
    pub(crate) chain: ChainId,
    pub(crate) asked: AskedTransaction,
    pub(crate) rule: TransactionRule,
}

/// What an earlier attempt of the call comes to.
enum Earlier {
    /// It is as good as sent.
    Sent(SentTransaction),
    /// It cannot land, or only in the place of the new one: the account's nonce must be this one,
    /// or beyond it already.
    Refused(SentTransaction),
    None,
}

impl Sender {
    /// One that reaches the chains through `chains`. It sends nothing before it is
    /// [opened](Self::open).
    pub fn new<C: ChainRpc + Broadcast>(chains: Arc<C>) -> Self {
        Self(Arc::new(Inner {
            reads: Arc::clone(&chains) as _,
            broadcast: chains,
            book: OnceLock::new(),
            turns: Mutex::default(),
            wake: Notify::new(),
            tallies: Mutex::default(),
            settled: Mutex::default(),
        }))
    }

    /// Takes up what was sent before, and counts from now on, also for those of `known` that have
    /// sent nothing yet. Blocks for the disk.
    pub fn open(
        &self,
        ledger: impl TransactionLedger,
        known: impl IntoIterator<Item = (Address, ChainId)>,
    ) -> Result<(), StateError> {
        let book = Book::open(Box::new(ledger))?;
        let known = known.into_iter().map(|of| (of, AccountTally::default()));
        self.0.tallies().extend(known);
        // It is opened once.
        let _ = self.0.book.set(book);
        Ok(())
    }

    /// Whether it sends anything.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.0.book.get().is_some()
    }

    /// The calls of a module that were not committed are those: only they are made again. Blocks
    /// for the disk.
    pub fn calls_of(&self, module: &ModuleName, open: &BTreeSet<CallId>) {
        let Some(book) = self.0.book.get() else {
            return;
        };
        if let Err(error) = book.calls_of(module, open) {
            tracing::error!(%module, "{error}");
        }
    }

    /// A call was committed: it is not made again. The disk is told in time.
    pub fn settled(&self, call: CallId) {
        self.0.settled_ones().insert(call);
    }

    /// What has become of the transactions since the engine started.
    #[must_use]
    pub fn tallies(&self) -> BTreeMap<(Address, ChainId), AccountTally> {
        let mut tallies = self.0.tallies().clone();
        let Some(book) = self.0.book.get() else {
            return tallies;
        };
        let now = now_ms();
        for (of, open) in book.open_ones() {
            let tally = tallies.entry(of).or_default();
            for sent in open.iter().filter(|sent| sent.fate == Fate::Pending) {
                tally.pending += 1;
                tally.oldest_ms = tally.oldest_ms.max(now.saturating_sub(sent.signed_ms));
            }
        }
        tallies
    }

    /// Sends what is ordered, or answers what an earlier attempt of the same call has sent.
    /// `reads` is the module's own port, at its own rate.
    pub(crate) async fn send(
        &self,
        order: Order,
        signer: Arc<dyn Signer>,
        reads: &dyn ChainRpc,
    ) -> Result<B256, HostError> {
        let inner = &self.0;
        if let Earlier::Sent(sent) = inner.earlier(&order)? {
            if sent.fate == Fate::Pending {
                inner.hand_over_again(&sent).await;
            }
            return Ok(sent.hash);
        }
        let outlook = outlook::simulate(reads, order.chain, &order.asked).await?;
        let (inner, chain) = (Arc::clone(inner), order.chain);
        // Not to be cut off between the disk and the chain when the call's time is up.
        let made = tokio::spawn(async move { inner.make(order, signer, outlook).await });
        made.await.unwrap_or_else(|_| {
            let message = format!("sending on chain {chain} was cut off");
            Err(accounts::error(HostErrorKind::Internal, message))
        })
    }
}

impl Inner {
    pub(crate) fn book(&self) -> Result<&Book, HostError> {
        self.book.get().ok_or_else(|| {
            let message = "the operator lets no module send transactions";
            accounts::error(HostErrorKind::Denied, message.to_owned())
        })
    }

    /// The account's turn on a chain.
    pub(crate) fn turn(&self, account: Address, chain: ChainId) -> AccountTurn {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(turns.entry((account, chain)).or_default())
    }

    pub(crate) fn tally(
        &self,
        account: Address,
        chain: ChainId,
        count: impl FnOnce(&mut AccountTally),
    ) {
        count(self.tallies().entry((account, chain)).or_default());
    }

    fn tallies(&self) -> MutexGuard<'_, BTreeMap<(Address, ChainId), AccountTally>> {
        self.tallies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn settled_ones(&self) -> MutexGuard<'_, BTreeSet<CallId>> {
        self.settled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what blocks for the disk where that holds up nobody.
    pub(crate) async fn on_disk<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Book) -> Result<T, BookError> + Send + 'static,
    ) -> Result<T, HostError> {
        let inner = Arc::clone(self);
        let work = move || work(inner.book()?).map_err(|error| not_kept(&error));
        let done = tokio::task::spawn_blocking(work).await;
        done.unwrap_or_else(|_| {
            let message = "keeping a transaction on the disk was cut off";
            Err(accounts::error(HostErrorKind::Internal, message.to_owned()))
        })
    }

    /// What an earlier attempt of the same call has done.
    fn earlier(&self, order: &Order) -> Result<Earlier, HostError> {
        let Some(sent) = self.book()?.of_call(order.call, order.index) else {
            return Ok(Earlier::None);
        };
        match sent.fate {
            Fate::Refused => return Ok(Earlier::Refused(sent)),
            Fate::Replaced if sent.is_final => return Ok(Earlier::None),
            Fate::Replaced => {
                let message = format!(
                    "another transaction has taken the nonce {} of {}, and that may still change",
                    sent.nonce, sent.hash
                );
                return Err(accounts::error(HostErrorKind::Unavailable, message));
            }
            Fate::Pending | Fate::Landed { .. } => {}
        }
        if sent.asked != order.asked.digest(order.chain) {
            let hash = sent.hash;
            let message = format!(
                "an earlier attempt of this call has sent {hash}, and this one asks for another \
                 transaction: note what is about to be sent, and ask for that again"
            );
            let error = accounts::error(HostErrorKind::InvalidInput, message);
            return Err(error.with_data(hash.to_string()));
        }
        Ok(Earlier::Sent(sent))
    }

    /// Makes the transaction and hands it over, in its account's turn.
    async fn make(
        self: Arc<Self>,
        order: Order,
        signer: Arc<dyn Signer>,
        outlook: Outlook,
    ) -> Result<B256, HostError> {
        let (account, chain) = (order.asked.from, order.chain);
        let turn = self.turn(account, chain);
        let _turn = turn.lock().await;
        // An attempt that was cut off may have come to its end meanwhile.
        let earlier = match self.earlier(&order)? {
            Earlier::Sent(sent) => return Ok(sent.hash),
            Earlier::Refused(sent) => Some(sent),
            Earlier::None => None,
        };
        let offer = self.fill(&order, outlook)?;
        let nonce = match earlier {
            None => self.next_nonce(account, chain).await?,
            Some(refused) => match self.nonce_after(&refused).await? {
                Some(nonce) => nonce,
                // It was taken after all.
                None => match self.earlier(&order)? {
                    Earlier::Sent(sent) => return Ok(sent.hash),
                    Earlier::Refused(_) | Earlier::None => return Err(lost(chain)),
                },
            },
        };
        let transaction = Transaction(TxEip1559 { nonce, ..offer });
        let sent = self.sign(&order, &*signer, &transaction).await?;
        self.tally(account, chain, |tally| tally.sent += 1);
        self.hand_over(&sent).await?;
        self.wake.notify_one();
        Ok(sent.hash)
    }

    /// The transaction but for its nonce, as the chain and the operator's rule want it.
    fn fill(&self, order: &Order, outlook: Outlook) -> Result<TxEip1559, HostError> {
        let Order {
            module,
            asked,
            chain,
            rule,
            ..
        } = order;
        rules::check_gas(rule, outlook.gas).map_err(|error| denied(&error))?;
        let offer = outlook.market.offer(asked, rule.max_fee_per_gas);
        let fees =
            offer.map_err(|dear| accounts::error(HostErrorKind::Unavailable, dear.to_string()))?;
        let now = Spent {
            value: asked.value,
            fees: most_fees(outlook.gas, fees.max_fee),
        };
        let needed = now.value.saturating_add(now.fees);
        if needed > outlook.balance {
            let message = format!(
                "{} holds {} wei, and this may take {needed} wei",
                asked.from, outlook.balance
            );
            return Err(accounts::error(HostErrorKind::Unavailable, message));
        }
        let book = self.book()?;
        let day = now_ms().saturating_sub(DAY_MS);
        let before = book.spent((module, asked.from, *chain), day);
        rules::check_day(rule, before, now).map_err(|error| denied(&error))?;
        if book.pending(asked.from, *chain) >= MAX_PENDING {
            let message = format!(
                "{MAX_PENDING} transactions of {} wait to land on chain {chain}: try again later",
                asked.from
            );
            return Err(accounts::error(HostErrorKind::RateLimited, message));
        }
        Ok(TxEip1559 {
            chain_id: chain.0,
            nonce: 0,
            gas_limit: outlook.gas,
            max_fee_per_gas: fees.max_fee,
            max_priority_fee_per_gas: fees.tip,
            to: asked.to,
            value: asked.value,
            access_list: access_list(&asked.access_list),
            input: asked.input.clone(),
        })
    }

    /// The nonce after all that are known here or there, be they somebody else's.
    async fn next_nonce(&self, account: Address, chain: ChainId) -> Result<u64, HostError> {
        let counts = outlook::counts(&*self.reads, chain, account).await?;
        let next = self.book()?.next_nonce(account, chain);
        Ok(next.max(counts.latest).max(counts.pending))
    }

    /// The nonce for what takes the place of a transaction that was refused: the same, so that one
    /// of the two at most can land, or a later one once that nonce is gone. `None` where the one
    /// that was refused is known to the chain by now.
    async fn nonce_after(
        self: &Arc<Self>,
        refused: &SentTransaction,
    ) -> Result<Option<u64>, HostError> {
        let (account, chain) = (refused.account, refused.chain);
        let look = outlook::look(&*self.reads, chain, account, &[refused.hash]).await?;
        if look.has_any() {
            let id = refused.id;
            let taken = move |book: &Book| book.set_fate(id, Fate::Pending);
            self.on_disk(taken).await?;
            self.wake.notify_one();
            return Ok(None);
        }
        if look.latest > refused.nonce {
            return self.next_nonce(account, chain).await.map(Some);
        }
        if self.book()?.next_nonce(account, chain) > refused.nonce {
            let message = format!(
                "the nonce {} of an earlier attempt is another transaction's, which is to land \
                 first",
                refused.nonce
            );
            return Err(accounts::error(HostErrorKind::Unavailable, message));
        }
        Ok(Some(refused.nonce))
    }

    /// Signs the transaction, and keeps it on the disk before anybody else has it.
    async fn sign(
        self: &Arc<Self>,
        order: &Order,
        signer: &dyn Signer,
        transaction: &Transaction,
    ) -> Result<SentTransaction, HostError> {
        let Order {
            module,
            call,
            index,
            event,
            chain,
            asked,
            ..
        } = order;
        let account = asked.from;
        let what = ToSign::Transaction(transaction);
        let (digest, nonce) = (what.digest(), transaction.0.nonce);
        let method = IdentityMethod::SendTransaction;
        let signed = signer.sign(account, what).await;
        let signature = match signed.and_then(|it| checked(it, account, &digest)) {
            Ok(signature) => signature,
            Err(error) => {
                tracing::warn!(%module, %account, %method, %digest, event, "not signed: {error}");
                return Err(accounts::failed(&error));
            }
        };
        let (hash, raw) = transaction.signed(&signature);
        let sent = SentTransaction {
            id: 0,
            module: module.clone(),
            call: *call,
            index: *index,
            asked: asked.digest(*chain),
            event: event.clone(),
            chain: *chain,
            account,
            nonce,
            hash,
            raw,
            value: asked.value,
            fees: most_fees(transaction.0.gas_limit, transaction.0.max_fee_per_gas),
            signed_ms: now_ms(),
            fate: Fate::Pending,
            is_final: false,
            is_settled: false,
        };
        let sent = self.on_disk(move |book| book.add(sent)).await?;
        let (to, value) = (asked.to.to().copied(), asked.value);
        let to = to.map(tracing::field::display);
        tracing::info!(
            %module, %account, %method, %digest, event, %chain, %hash, nonce, to, %value, "signed"
        );
        Ok(sent)
    }

    /// Hands a new transaction to the chain. One that the chain refuses is given up, and its nonce
    /// with it; one of which that is not known is handed over again until it is.
    async fn hand_over(self: &Arc<Self>, sent: &SentTransaction) -> Result<(), HostError> {
        let SentTransaction {
            chain,
            account,
            hash,
            ..
        } = sent;
        let error = match self.broadcast.broadcast(*chain, &sent.raw).await {
            Ok(()) => return Ok(()),
            Err(BroadcastError::Unanswered(error)) => {
                tracing::warn!(%chain, %hash, "not handed over yet: {error}");
                return Ok(());
            }
            Err(BroadcastError::Answered(error)) => error,
        };
        // What its words are is each node's own; whether it has the transaction is not.
        let look = outlook::look(&*self.reads, *chain, *account, &[*hash]).await;
        let is_missing = look.is_ok_and(|look| !look.has_any());
        if !is_missing {
            return Ok(());
        }
        let id = sent.id;
        self.on_disk(move |book| book.set_fate(id, Fate::Refused))
            .await?;
        self.tally(*account, *chain, |tally| tally.refused += 1);
        tracing::warn!(module = %sent.module, %account, %chain, %hash, "the chain refuses the transaction: {error}");
        Err(error)
    }

    /// Hands over a transaction that may be known already. Whatever becomes of that, it stays as it
    /// is.
    pub(crate) async fn hand_over_again(&self, sent: &SentTransaction) {
        if let Err(error) = self.broadcast.broadcast(sent.chain, &sent.raw).await {
            let (chain, hash) = (sent.chain, sent.hash);
            tracing::debug!(%chain, %hash, "not taken again: {error}");
        }
    }
}

fn access_list(list: &[(Address, Vec<B256>)]) -> AccessList {
    let item = |(address, keys): &(Address, Vec<B256>)| AccessListItem {
        address: *address,
        storage_keys: keys.clone(),
    };
    AccessList(list.iter().map(item).collect())
}

fn most_fees(gas: u64, max_fee: u128) -> U256 {
    U256::from(gas).saturating_mul(U256::from(max_fee))
}

fn denied(error: &OverCeiling) -> HostError {
    accounts::error(HostErrorKind::Denied, error.to_string())
}

/// The disk's own words are for the operator.
fn not_kept(error: &dyn std::error::Error) -> HostError {
    let cause = error.source().map(ToString::to_string);
    tracing::error!(cause, "{error}");
    accounts::error(HostErrorKind::Internal, error.to_string())
}

fn lost(chain: ChainId) -> HostError {
    let message = format!("what was sent on chain {chain} is not known any more");
    accounts::error(HostErrorKind::Internal, message)
}

pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}
