//! From what a module asks for to a transaction on its way. One account's transactions on one
//! chain are made one after the other; those of others do not wait for them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use nexum_manifest::TransactionRule;
use nexum_types::{
    Address, AskedTransaction, Broadcast, CallId, ChainId, ChainRpc, Fate, HostError,
    HostErrorKind, ModuleName, Sent, SentTransaction, StateError, TransactionLedger,
};
use tokio::sync::{Mutex as Turn, Notify};

use super::{
    book::{Book, BookError},
    outlook,
};
use crate::{Signer, accounts};

/// Who makes a transaction of an account has its turn.
type AccountTurn = Arc<Turn<()>>;

/// Sends the transactions of all modules. Clones share everything.
#[derive(Clone)]
pub struct Sender(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) reads: Arc<dyn ChainRpc>,
    pub(crate) broadcast: Arc<dyn Broadcast>,
    pub(crate) book: OnceLock<Book>,
    /// Milliseconds since the Unix epoch, UTC.
    now: Box<dyn Fn() -> u64 + Send + Sync>,
    turns: Mutex<BTreeMap<(Address, ChainId), AccountTurn>>,
    /// There is something to look after.
    pub(crate) wake: Notify,
    tallies: Mutex<BTreeMap<(Address, ChainId), AccountTally>>,
    watch: Mutex<Watch>,
    /// Calls that were committed, which the disk has not been told.
    settled: Mutex<BTreeSet<CallId>>,
}

/// What was seen of transactions when they were last looked at, by number.
#[derive(Default)]
pub(super) struct Watch {
    /// Those that seem to be gone, and whether for good.
    pub(super) doubtful: BTreeSet<(u64, bool)>,
    /// Those that the chain has lost, which was told.
    pub(super) lost: BTreeSet<u64>,
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
pub(super) enum Earlier {
    /// It is as good as sent.
    Sent(SentTransaction),
    /// It was refused, or another one has its nonce: a new one takes its place, or comes once that
    /// is gone for good.
    Gone(SentTransaction),
    None,
}

impl Sender {
    /// One that reaches the chains through `chains`, and has the time from `now`, in milliseconds
    /// since the Unix epoch, UTC. It sends nothing before it is [opened](Self::open).
    pub fn new<C: ChainRpc + Broadcast>(
        chains: Arc<C>,
        now: impl Fn() -> u64 + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Inner {
            reads: Arc::clone(&chains) as _,
            broadcast: chains,
            book: OnceLock::new(),
            now: Box::new(now),
            turns: Mutex::default(),
            wake: Notify::new(),
            tallies: Mutex::default(),
            watch: Mutex::default(),
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
        // Most that ask have none that was signed.
        if self.0.book.get().is_some_and(|book| book.has_call(call)) {
            self.0.settled_ones().insert(call);
            self.0.wake.notify_one();
        }
    }

    /// The transactions that are known, by number: those whose fate can change, and those of the
    /// last day.
    #[must_use]
    pub fn transactions(&self) -> Vec<SentTransaction> {
        self.0.book.get().map(Book::list).unwrap_or_default()
    }

    /// What has become of the transactions since the engine started.
    #[must_use]
    pub fn tallies(&self) -> BTreeMap<(Address, ChainId), AccountTally> {
        let mut tallies = self.0.tallies().clone();
        let Some(book) = self.0.book.get() else {
            return tallies;
        };
        let now = self.0.now_ms();
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
    ) -> Result<Sent, HostError> {
        let inner = &self.0;
        if let Some(sent) = inner.sent_before(&order).await? {
            if sent.fate == Fate::Pending {
                // Whatever comes of it, it is looked after.
                let _ = inner.hand_over_again(&sent).await;
            }
            return Ok(Sent {
                hash: sent.hash,
                is_new: false,
            });
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

    pub(crate) fn now_ms(&self) -> u64 {
        (self.now)()
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

    pub(super) fn watch(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// What an earlier attempt of the same call has sent. One that is to land is looked at in the
    /// account's turn: before that it may be about to be refused.
    async fn sent_before(&self, order: &Order) -> Result<Option<SentTransaction>, HostError> {
        let Earlier::Sent(sent) = self.earlier(order)? else {
            return Ok(None);
        };
        if sent.fate != Fate::Pending {
            return Ok(Some(sent));
        }
        let turn = self.turn(sent.account, sent.chain);
        let _turn = turn.lock().await;
        match self.earlier(order)? {
            Earlier::Sent(sent) => Ok(Some(sent)),
            Earlier::Gone(_) | Earlier::None => Ok(None),
        }
    }

    /// What an earlier attempt of the same call has done.
    pub(super) fn earlier(&self, order: &Order) -> Result<Earlier, HostError> {
        let Some(sent) = self.book()?.of_call(order.call, order.index) else {
            return Ok(Earlier::None);
        };
        match sent.fate {
            Fate::Refused => return Ok(Earlier::Gone(sent)),
            Fate::Replaced if sent.is_final => return Ok(Earlier::Gone(sent)),
            // Of two with one nonce, one lands.
            Fate::Pending if !self.book()?.has_other_at(&sent) => {}
            Fate::Pending | Fate::Replaced => {
                let message = format!(
                    "another transaction may have the nonce {} of {}, and that is not decided yet",
                    sent.nonce, sent.hash
                );
                return Err(accounts::error(HostErrorKind::Unavailable, message));
            }
            Fate::Landed { .. } => {}
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
}

/// The disk's own words are for the operator.
fn not_kept(error: &dyn std::error::Error) -> HostError {
    let cause = error.source().map(ToString::to_string);
    tracing::error!(cause, "{error}");
    accounts::error(HostErrorKind::Internal, error.to_string())
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}
