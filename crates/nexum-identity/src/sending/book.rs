//! What has been signed, in memory as on the disk: the disk first.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use nexum_types::{
    Address, CallId, ChainId, Fate, ModuleName, SentTransaction, StateError, TransactionLedger,
};

use super::rules::Spent;

/// One day, in milliseconds.
pub(crate) const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// The transactions that are known.
pub(crate) struct Book {
    ledger: Box<dyn TransactionLedger>,
    /// Held while the disk is written.
    writer: Mutex<()>,
    all: Mutex<BTreeMap<u64, SentTransaction>>,
    /// A write has failed: what is on the disk is not known.
    is_lost: AtomicBool,
}

/// Why nothing is written any more.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BookError {
    #[error("the transactions cannot be kept on the disk")]
    Ledger(#[source] StateError),
    #[error("the transactions could not be kept on the disk before: start the engine anew")]
    Lost,
}

impl Book {
    /// Reads what is on the disk, which blocks for it.
    pub(crate) fn open(ledger: Box<dyn TransactionLedger>) -> Result<Self, StateError> {
        let all = ledger.load()?;
        Ok(Self {
            ledger,
            writer: Mutex::default(),
            all: Mutex::new(all.into_iter().map(|sent| (sent.id, sent)).collect()),
            is_lost: AtomicBool::new(false),
        })
    }

    /// The transaction of a call: of those that were made for it in each other's place the one that
    /// has landed or can, or else one that still might, or else the last.
    pub(crate) fn of_call(&self, call: CallId, index: u32) -> Option<SentTransaction> {
        let its = self.all_of_call(call, index).into_iter().rev();
        let rank = |sent: &SentTransaction| match sent.fate {
            Fate::Landed { .. } => 0,
            Fate::Pending => 1,
            Fate::Replaced | Fate::Refused if !sent.is_final => 2,
            Fate::Replaced | Fate::Refused => 3,
        };
        // Of several, the first one, which is the newest.
        its.min_by_key(rank)
    }

    /// All that were made for it in each other's place.
    pub(crate) fn all_of_call(&self, call: CallId, index: u32) -> Vec<SentTransaction> {
        let all = self.all();
        let its = all
            .values()
            .filter(|sent| sent.call == call && sent.index == index);
        its.cloned().collect()
    }

    /// All of them, by number.
    pub(crate) fn list(&self) -> Vec<SentTransaction> {
        self.all().values().cloned().collect()
    }

    /// Those of these numbers, as they are now.
    pub(crate) fn of_ids(&self, ids: &[u64]) -> Vec<SentTransaction> {
        let all = self.all();
        ids.iter().filter_map(|id| all.get(id)).cloned().collect()
    }

    /// Whether the book has transactions of that call.
    pub(crate) fn has_call(&self, call: CallId) -> bool {
        self.all().values().any(|sent| sent.call == call)
    }

    /// The nonce after those of the account's transactions that can land.
    pub(crate) fn next_nonce(&self, account: Address, chain: ChainId) -> u64 {
        let all = self.all();
        let held = all.values().filter(|sent| {
            is_of(sent, account, chain) && matches!(sent.fate, Fate::Pending | Fate::Landed { .. })
        });
        let highest = held.map(|sent| sent.nonce).max();
        highest.map_or(0, |nonce| nonce.saturating_add(1))
    }

    /// The transactions that were made with that nonce.
    pub(crate) fn with_nonce(
        &self,
        account: Address,
        chain: ChainId,
        nonce: u64,
    ) -> Vec<SentTransaction> {
        let all = self.all();
        let with = all
            .values()
            .filter(|sent| is_of(sent, account, chain) && sent.nonce == nonce);
        with.cloned().collect()
    }

    /// Whether one of another call can land, or has, with this one's nonce.
    pub(crate) fn has_other_at(&self, of: &SentTransaction) -> bool {
        let is_other = |sent: &SentTransaction| {
            has_nonce_of(sent, of)
                && (sent.call, sent.index) != (of.call, of.index)
                && matches!(sent.fate, Fate::Pending | Fate::Landed { .. })
        };
        self.all().values().any(is_other)
    }

    /// How many of the account's transactions are to land yet.
    pub(crate) fn pending(&self, account: Address, chain: ChainId) -> usize {
        let all = self.all();
        let pending = all
            .values()
            .filter(|sent| is_of(sent, account, chain) && sent.fate == Fate::Pending);
        pending.count()
    }

    /// What a module can have sent from an account since then, with `next` at that nonce: of each
    /// nonce the most, since one of those that have it lands at most. What can land yet counts,
    /// however old it is. What the chain says of them does not, since it may not be so. What is
    /// dated later than now does: a clock may have been put back.
    pub(crate) fn spent_with(
        &self,
        (module, account, chain): (&ModuleName, Address, ChainId),
        since_ms: u64,
        (nonce, next): (u64, Spent),
    ) -> Spent {
        let all = self.all();
        let counts = all.values().filter(|sent| {
            is_of(sent, account, chain)
                && sent.module == *module
                && (sent.signed_ms >= since_ms || !sent.is_final)
        });
        let mut by_nonce = BTreeMap::from([(nonce, next)]);
        for sent in counts {
            let most: &mut Spent = by_nonce.entry(sent.nonce).or_default();
            most.value = most.value.max(sent.value);
            most.fees = most.fees.max(sent.fees);
        }
        by_nonce
            .into_values()
            .fold(Spent::default(), |spent, most| Spent {
                value: spent.value.saturating_add(most.value),
                fees: spent.fees.saturating_add(most.fees),
            })
    }

    /// Those whose fate can still change, by account and chain: those that are to land first, in the
    /// order of their nonces.
    pub(crate) fn open_ones(&self) -> BTreeMap<(Address, ChainId), Vec<SentTransaction>> {
        let mut open: BTreeMap<_, Vec<SentTransaction>> = BTreeMap::new();
        for sent in self.all().values().filter(|sent| !sent.is_final) {
            let its = open.entry((sent.account, sent.chain)).or_default();
            its.push(sent.clone());
        }
        for its in open.values_mut() {
            its.sort_by_key(|sent| (sent.fate != Fate::Pending, sent.nonce, sent.id));
        }
        open
    }

    /// Keeps a new one; its number is the book's to give. Blocks for the disk.
    pub(crate) fn add(&self, sent: SentTransaction) -> Result<SentTransaction, BookError> {
        let _turn = self.turn()?;
        let last = self.all().last_key_value().map_or(0, |(id, _)| *id);
        let sent = SentTransaction {
            id: last + 1,
            ..sent
        };
        self.write(std::slice::from_ref(&sent), &[])?;
        Ok(sent)
    }

    /// Changes those that `change` says yes to. Blocks for the disk.
    pub(crate) fn change(
        &self,
        change: impl Fn(&mut SentTransaction) -> bool,
    ) -> Result<(), BookError> {
        let _turn = self.turn()?;
        let changed = |sent: &SentTransaction| {
            let mut sent = sent.clone();
            change(&mut sent).then_some(sent)
        };
        let changed: Vec<_> = self.all().values().filter_map(changed).collect();
        if changed.is_empty() {
            return Ok(());
        }
        self.write(&changed, &[])
    }

    /// The fate of one is that from now on, and can change. Blocks for the disk.
    pub(crate) fn set_fate(&self, id: u64, fate: Fate, now_ms: u64) -> Result<(), BookError> {
        self.change(|sent| {
            let changes = sent.id == id && (sent.fate != fate || sent.is_final);
            if changes {
                becomes(sent, fate, now_ms);
                sent.is_final = false;
            }
            changes
        })
    }

    /// Forgets what is over: its fate is final, its call is not made again, and no day counts it.
    /// Blocks for the disk.
    pub(crate) fn prune(&self, now_ms: u64) -> Result<(), BookError> {
        let over = |sent: &&SentTransaction| {
            sent.is_final && sent.is_settled && sent.signed_ms.saturating_add(DAY_MS) < now_ms
        };
        let _turn = self.turn()?;
        let gone: Vec<_> = self.all().values().filter(over).map(|it| it.id).collect();
        // The last one stays: no number is given twice.
        let last = self.all().last_key_value().map(|(id, _)| *id);
        let gone: Vec<_> = gone.into_iter().filter(|id| Some(*id) != last).collect();
        if gone.is_empty() {
            return Ok(());
        }
        self.write(&[], &gone)
    }

    /// The calls of a module that are not committed are those; the others are over.
    pub(crate) fn calls_of(
        &self,
        module: &ModuleName,
        open: &BTreeSet<CallId>,
    ) -> Result<(), BookError> {
        self.change(|sent| {
            let is_settled = !open.contains(&sent.call);
            let changes = sent.module == *module && sent.is_settled != is_settled;
            if changes {
                sent.is_settled = is_settled;
            }
            changes
        })
    }

    fn write(&self, put: &[SentTransaction], remove: &[u64]) -> Result<(), BookError> {
        self.ledger.change(put, remove).map_err(|error| {
            self.is_lost.store(true, Ordering::Release);
            BookError::Ledger(error)
        })?;
        let mut all = self.all();
        all.extend(put.iter().map(|sent| (sent.id, sent.clone())));
        all.retain(|id, _| !remove.contains(id));
        Ok(())
    }

    fn turn(&self) -> Result<MutexGuard<'_, ()>, BookError> {
        let turn = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_lost.load(Ordering::Acquire) {
            return Err(BookError::Lost);
        }
        Ok(turn)
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<u64, SentTransaction>> {
        // Each change of it is one that cannot panic half-way.
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The fate of one is that from now on. One that was refused, and is handed over again or is on its
/// way all the same, counts for a day from now on.
pub(crate) fn becomes(sent: &mut SentTransaction, fate: Fate, now_ms: u64) {
    if sent.fate == Fate::Refused && fate != Fate::Refused {
        sent.signed_ms = sent.signed_ms.max(now_ms);
    }
    sent.fate = fate;
}

fn is_of(sent: &SentTransaction, account: Address, chain: ChainId) -> bool {
    sent.account == account && sent.chain == chain
}

fn has_nonce_of(sent: &SentTransaction, of: &SentTransaction) -> bool {
    is_of(sent, of.account, of.chain) && sent.nonce == of.nonce
}
