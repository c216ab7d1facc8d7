//! One transaction, from what the chain says of it to its way there, in its account's turn: nonce,
//! ceilings of the day, signature, the disk, and only then the chain.

use std::{sync::Arc, time::Duration};

use alloy_consensus::TxEip1559;
use alloy_eips::eip2930::{AccessList, AccessListItem};
use nexum_manifest::IdentityMethod;
use nexum_types::{
    Address, B256, BroadcastError, ChainId, Fate, HostError, HostErrorKind, ModuleName, Sent,
    SentTransaction, U256,
};
use tokio::time::sleep;

use super::{
    Transaction,
    book::DAY_MS,
    fees::Fees,
    outlook::{self, Outlook},
    rules::{self, OverCeiling, Spent},
    sender::{Earlier, Inner, Order},
};
use crate::{Signer, ToSign, accounts, signer::checked};

/// The most of an account's transactions on one chain that wait to land. What nodes keep of one
/// account by default is no more.
const MAX_PENDING: usize = 16;
/// The most that are made for a module with one nonce while a chain refuses them all.
const MAX_REFUSED: usize = 1_000;
/// The most of them within an hour.
const MAX_REFUSED_AN_HOUR: usize = 16;
const HOUR_MS: u64 = 60 * 60 * 1000;
/// How long after the first look a second one confirms that a chain does not have a transaction.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// The most transactions of others that a node is believed to have waiting: a nonce that is given
/// beyond those that there are can only land once they are.
const MAX_OTHERS: u64 = 64;

/// The place of a transaction among the account's.
enum Place {
    /// The nonce of one that has not been made before.
    New(u64),
    /// The nonce of one that takes the place of one that is gone.
    Of(Box<SentTransaction>, u64),
    /// It has been sent already.
    Taken(B256),
}

impl Inner {
    /// Makes the transaction and hands it over, in its account's turn.
    pub(super) async fn make(
        self: Arc<Self>,
        order: Order,
        signer: Arc<dyn Signer>,
        outlook: Outlook,
    ) -> Result<Sent, HostError> {
        let (account, chain) = (order.asked.from, order.chain);
        let turn = self.turn(account, chain);
        let _turn = turn.lock().await;
        let (nonce, gone) = match self.place(&order).await? {
            Place::Taken(hash) => {
                let is_new = false;
                return Ok(Sent { hash, is_new });
            }
            Place::New(nonce) => (nonce, None),
            Place::Of(gone, nonce) => (nonce, Some(*gone)),
        };
        let transaction = self.fill(&order, outlook, nonce)?;
        let again = gone.filter(|gone| is_as_good(gone, &order, &transaction));
        let sent = match again {
            Some(gone) => {
                self.is_pending(gone.id).await?;
                gone
            }
            None => {
                let transaction = self.unlike_others(&order, transaction)?;
                let sent = self.sign(&order, &*signer, &transaction).await?;
                self.tally(account, chain, |tally| tally.sent += 1);
                sent
            }
        };
        // Whatever comes of it is to be looked after.
        self.wake.notify_one();
        self.hand_over(&sent).await?;
        Ok(Sent {
            hash: sent.hash,
            is_new: true,
        })
    }

    /// Where the transaction goes. An attempt that was cut off may have come to its end before the
    /// account's turn.
    async fn place(self: &Arc<Self>, order: &Order) -> Result<Place, HostError> {
        let gone = match self.earlier(order)? {
            Earlier::Sent(sent) => return Ok(Place::Taken(sent.hash)),
            Earlier::None => {
                let nonce = self.next_nonce(order.asked.from, order.chain).await?;
                return Ok(Place::New(nonce));
            }
            Earlier::Gone(gone) => gone,
        };
        if let Some(nonce) = self.nonce_after(&gone).await? {
            return Ok(Place::Of(Box::new(gone), nonce));
        }
        // It is there after all.
        match self.earlier(order)? {
            Earlier::Sent(sent) => Ok(Place::Taken(sent.hash)),
            Earlier::Gone(_) | Earlier::None => Err(lost(order.chain)),
        }
    }

    /// That one is to land from now on.
    async fn is_pending(self: &Arc<Self>, id: u64) -> Result<(), HostError> {
        let now = self.now_ms();
        self.on_disk(move |book| book.set_fate(id, Fate::Pending, now))
            .await
    }

    /// The nonce after all that are known here or there, be they somebody else's.
    async fn next_nonce(&self, account: Address, chain: ChainId) -> Result<u64, HostError> {
        let counts = outlook::counts(&*self.reads, chain, account).await?;
        let next = self.book()?.next_nonce(account, chain).max(counts.latest);
        if counts.pending > next.saturating_add(MAX_OTHERS) {
            let pending = counts.pending;
            tracing::error!(%account, %chain, next, pending, "a node counts far more of the account's transactions than have landed: nothing is sent after them");
            let message = format!(
                "chain {chain} counts {pending} transactions of {account}, of which {} are in blocks",
                counts.latest
            );
            return Err(accounts::error(HostErrorKind::Unavailable, message));
        }
        Ok(next.max(counts.pending))
    }

    /// The nonce for what takes the place of one that is gone: the same, so that one of the two at
    /// most can land, or a later one once that nonce is gone for good. `None` where one that was
    /// made for the call is to be had on the chain by now.
    async fn nonce_after(
        self: &Arc<Self>,
        gone: &SentTransaction,
    ) -> Result<Option<u64>, HostError> {
        let (account, chain, nonce) = (gone.account, gone.chain, gone.nonce);
        let wait = || {
            let message = format!(
                "the nonce {nonce} of an earlier attempt is another transaction's, and that may \
                 still change"
            );
            Err(accounts::error(HostErrorKind::Unavailable, message))
        };
        let all = self.book()?.all_of_call(gone.call, gone.index);
        let hashes: Vec<_> = all.iter().map(|sent| sent.hash).collect();
        let look = outlook::look(&*self.reads, chain, account, &hashes).await?;
        if let Some((found, seen)) = all.iter().zip(&look.seen).find(|(_, seen)| seen.is_there()) {
            // What waits can land where nothing else has its nonce.
            let can_land = look.latest <= found.nonce && !self.book()?.has_other_at(found);
            if seen.receipt.is_none() && !can_land {
                return wait();
            }
            self.is_pending(found.id).await?;
            self.wake.notify_one();
            return Ok(None);
        }
        // It is the last of them that stands for them, and it is final only where all are.
        if gone.is_final {
            return self.next_nonce(account, chain).await.map(Some);
        }
        if look.latest > nonce || self.book()?.next_nonce(account, chain) > nonce {
            return wait();
        }
        Ok(Some(nonce))
    }

    /// The same transaction, at a price that tells it from all others with its nonce: one that two
    /// calls shared would be told to both as sent.
    fn unlike_others(
        &self,
        order: &Order,
        transaction: Transaction,
    ) -> Result<Transaction, HostError> {
        let mut made = transaction;
        let (account, chain) = (order.asked.from, order.chain);
        let others = self.book()?.with_nonce(account, chain, made.0.nonce);
        self.check_refused(&order.module, &others)?;
        let signed = |sent: &SentTransaction| Transaction::of_signed(&sent.raw);
        let others: Vec<_> = others.iter().filter_map(signed).collect();
        while others.contains(&made) {
            let Transaction(made) = &mut made;
            made.max_fee_per_gas = made.max_fee_per_gas.saturating_sub(1);
            made.max_priority_fee_per_gas = made.max_priority_fee_per_gas.min(made.max_fee_per_gas);
            if made.max_fee_per_gas == 0 {
                return Err(lost(chain));
            }
        }
        Ok(made)
    }

    /// Holds a module against what the chain has refused of its own with one nonce. What others were
    /// refused is not its fault.
    fn check_refused(
        &self,
        module: &ModuleName,
        with_nonce: &[SentTransaction],
    ) -> Result<(), HostError> {
        let hour_ago = self.now_ms().saturating_sub(HOUR_MS);
        let its = || with_nonce.iter().filter(|sent| sent.module == *module);
        if its().count() >= MAX_REFUSED {
            tracing::warn!(%module, "the chain has refused {MAX_REFUSED} transactions of the module's with one nonce: no other is made for it before that nonce is used");
            let message = format!(
                "the chain has refused {MAX_REFUSED} transactions of the module's, all with one \
                 nonce: no other is made before that is used"
            );
            return Err(accounts::error(HostErrorKind::Unavailable, message));
        }
        let lately = its().filter(|sent| sent.signed_ms >= hour_ago).count();
        if lately >= MAX_REFUSED_AN_HOUR {
            let message = format!(
                "the chain has refused {lately} transactions of the module's within an hour, all \
                 with one nonce: try again later"
            );
            return Err(accounts::error(HostErrorKind::RateLimited, message));
        }
        Ok(())
    }

    /// The transaction as the chain and the operator's rule want it, held against what the account
    /// has, and against the day.
    fn fill(&self, order: &Order, outlook: Outlook, nonce: u64) -> Result<Transaction, HostError> {
        let Order {
            module,
            asked,
            chain,
            rule,
            ..
        } = order;
        let gas = outlook.gas.at_most(rule.max_gas);
        rules::check_gas(rule, gas).map_err(|error| denied(&error))?;
        let offer = outlook.market.offer(asked, rule.max_fee_per_gas);
        let Fees { max_fee, tip } =
            offer.map_err(|dear| accounts::error(HostErrorKind::Unavailable, dear.to_string()))?;
        let next = Spent {
            value: asked.value,
            fees: most_fees(gas, max_fee),
        };
        let needed = next.value.saturating_add(next.fees);
        if needed > outlook.balance {
            let message = format!(
                "{} holds {} wei, and this may take {needed} wei",
                asked.from, outlook.balance
            );
            return Err(accounts::error(HostErrorKind::Unavailable, message));
        }
        let book = self.book()?;
        let day = self.now_ms().saturating_sub(DAY_MS);
        let spent = book.spent_with((module, asked.from, *chain), day, (nonce, next));
        rules::check_day(rule, spent).map_err(|error| denied(&error))?;
        if book.pending(asked.from, *chain) >= MAX_PENDING {
            let message = format!(
                "{MAX_PENDING} transactions of {} wait to land on chain {chain}: try again later",
                asked.from
            );
            return Err(accounts::error(HostErrorKind::RateLimited, message));
        }
        Ok(Transaction(TxEip1559 {
            chain_id: chain.0,
            nonce,
            gas_limit: gas,
            max_fee_per_gas: max_fee,
            max_priority_fee_per_gas: tip,
            to: asked.to,
            value: asked.value,
            access_list: access_list(&asked.access_list),
            input: asked.input.clone(),
        }))
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
            signed_ms: self.now_ms(),
            fate: Fate::Pending,
            is_final: false,
            is_settled: false,
        };
        let kept = self.on_disk(move |book| book.add(sent)).await;
        let (to, value) = (asked.to.to().copied(), asked.value);
        let to = to.map(tracing::field::display);
        match &kept {
            Ok(_) => tracing::info!(
                %module, %account, %method, %digest, event, %chain, %hash, nonce, to, %value,
                "signed"
            ),
            Err(_) => tracing::warn!(
                %module, %account, %method, %digest, event, %chain, %hash, nonce, to, %value,
                "signed, and not sent: it cannot be kept on the disk"
            ),
        }
        kept
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
                tracing::warn!(module = %sent.module, %account, %chain, %hash, "not handed over yet: {error}");
                return Ok(());
            }
            Err(BroadcastError::Answered(error)) => error,
        };
        // What its words are is each node's own; whether it has the transaction is not.
        if !self.is_missing(sent).await {
            return Ok(());
        }
        let (id, now) = (sent.id, self.now_ms());
        self.on_disk(move |book| book.set_fate(id, Fate::Refused, now))
            .await?;
        self.tally(*account, *chain, |tally| tally.refused += 1);
        tracing::warn!(module = %sent.module, %account, %chain, %hash, "the chain refuses the transaction: {error}");
        Err(error)
    }

    /// Whether two looks say that the chain does not have it: of the nodes behind one URL, the one
    /// that took it may not be the one that is asked.
    async fn is_missing(&self, sent: &SentTransaction) -> bool {
        for pause in [Duration::ZERO, LOOK_AGAIN] {
            sleep(pause).await;
            let hash = [sent.hash];
            let look = outlook::look(&*self.reads, sent.chain, sent.account, &hash).await;
            if !look.is_ok_and(|look| !look.has_any()) {
                return false;
            }
        }
        true
    }

    /// Hands over a transaction that may be known already. Whatever becomes of that, it stays as it
    /// is.
    pub(super) async fn hand_over_again(
        &self,
        sent: &SentTransaction,
    ) -> Result<(), BroadcastError> {
        let taken = self.broadcast.broadcast(sent.chain, &sent.raw).await;
        if let Err(error) = &taken {
            let (chain, hash) = (sent.chain, sent.hash);
            tracing::debug!(%chain, %hash, "not taken again: {error}");
        }
        taken
    }
}

/// Whether one that was refused does what is wanted now, at a price within the rule's: then it is
/// handed over again, and nothing else is signed.
fn is_as_good(gone: &SentTransaction, order: &Order, wanted: &Transaction) -> bool {
    let Transaction(wanted) = wanted;
    let Some(Transaction(was)) = Transaction::of_signed(&gone.raw) else {
        return false;
    };
    let rule = &order.rule;
    let is_priced = match order.asked.max_fee {
        // But for what tells it from others.
        Some(fee) => was.max_fee_per_gas.saturating_add(MAX_REFUSED as u128) >= fee,
        None => was.max_fee_per_gas.saturating_mul(2) >= wanted.max_fee_per_gas,
    };
    gone.asked == order.asked.digest(order.chain)
        && gone.nonce == wanted.nonce
        && was.access_list == wanted.access_list
        && was.gas_limit >= wanted.gas_limit
        && was.gas_limit <= rule.max_gas
        && was.max_fee_per_gas <= rule.max_fee_per_gas
        && is_priced
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

fn lost(chain: ChainId) -> HostError {
    let message = format!("what was sent on chain {chain} is not known any more");
    accounts::error(HostErrorKind::Internal, message)
}
