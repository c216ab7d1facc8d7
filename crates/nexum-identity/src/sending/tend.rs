//! Looks after what was sent until its fate cannot change any more: hands over again what the chain
//! has lost, and tells what has landed, was reverted, or was replaced.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures::future::join_all;
use nexum_types::{Address, ChainId, Fate, HostError, SentTransaction};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::{
    book::{Book, DAY_MS, becomes},
    outlook::{self, Look, Seen},
    sender::{Inner, Sender},
};

/// How often the chains are asked for what is to land.
const EVERY: Duration = Duration::from_secs(4);
/// How often they are asked for what has landed, or was replaced or refused, until that is final:
/// that takes minutes, and each question is one to somebody's node.
const SETTLED_EVERY: Duration = Duration::from_secs(60);
/// How often at most, whatever wakes it.
const AT_LEAST: Duration = Duration::from_millis(500);
/// The most of an account's transactions that are asked for at a time, oldest first: with two
/// questions each they fit into a batch.
const AT_ONCE: usize = 100;

/// What a look at a transaction comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Verdict {
    fate: Fate,
    is_final: bool,
    /// Whether the chain does not have it and should.
    is_lost: bool,
}

impl Sender {
    /// Looks after what was sent, for as long as it is polled. Nothing is lost where it is not: it
    /// goes on from what is on the disk.
    pub async fn tend(&self) {
        let inner = &self.0;
        let mut all_at = Instant::now();
        // None waits for another's chain. They end with this.
        let mut looking = Looking::default();
        // Those whose last look at all that is theirs did not come about, which is not left for a
        // minute.
        let mut missed = BTreeSet::new();
        loop {
            let began = Instant::now();
            inner.settle().await;
            let is_whole = began >= all_at;
            if is_whole {
                all_at = began + SETTLED_EVERY;
            }
            for (of, mut sent) in inner.open_ones() {
                let is_whole = missed.remove(&of) || is_whole;
                sent.retain(|sent| is_whole || is_to_land(sent));
                if sent.is_empty() {
                    continue;
                }
                let ids = sent.iter().map(|sent| sent.id).collect();
                if !looking.begin(inner, of, ids, is_whole) && is_whole {
                    missed.insert(of);
                }
            }
            loop {
                // What a look has found counts at once: a block can leave with what is in it.
                let next = inner.next_look(began, all_at, &missed);
                tokio::select! {
                    () = inner.wake.notified() => break,
                    () = at(next) => break,
                    again = looking.ended() => missed.extend(again),
                }
            }
            sleep_until(began + AT_LEAST).await;
        }
    }
}

/// The looks that are under way, one of an account on a chain at a time.
#[derive(Default)]
struct Looking {
    looks: JoinSet<Looked>,
    busy: BTreeSet<(Address, ChainId)>,
}

/// How a look has ended.
struct Looked {
    of: (Address, ChainId),
    /// Whether it was for all that is theirs, and not only for what is to land.
    is_whole: bool,
    /// Whether it came to all that it was for.
    is_done: bool,
}

impl Looking {
    /// Begins one, unless one is under way.
    fn begin(
        &mut self,
        inner: &Arc<Inner>,
        of: (Address, ChainId),
        ids: Vec<u64>,
        is_whole: bool,
    ) -> bool {
        let begins = self.busy.insert(of);
        if begins {
            let inner = Arc::clone(inner);
            self.looks.spawn(async move {
                let is_done = inner.look_after(of, &ids).await;
                Looked {
                    of,
                    is_whole,
                    is_done,
                }
            });
        }
        begins
    }

    /// Comes once one has ended. Whose it was, where it was for all that is theirs and did not come
    /// to all of it: what is to land is looked at again soon in any case.
    async fn ended(&mut self) -> Option<(Address, ChainId)> {
        match self.looks.join_next().await {
            Some(Ok(looked)) => {
                self.busy.remove(&looked.of);
                (looked.is_whole && !looked.is_done).then_some(looked.of)
            }
            // A panic is a fault of the engine's own; whose it was is not known any more.
            Some(Err(error)) => {
                tracing::error!("looking after transactions came to grief: {error}");
                self.busy.clear();
                None
            }
            None => std::future::pending().await,
        }
    }
}

fn is_to_land(sent: &SentTransaction) -> bool {
    sent.fate == Fate::Pending
}

impl Inner {
    fn open_ones(&self) -> BTreeMap<(Address, ChainId), Vec<SentTransaction>> {
        self.book.get().map(Book::open_ones).unwrap_or_default()
    }

    /// When to look again, after a look that began then: soon where something is to land, or where a
    /// look was missed, and else when all are looked at, if there is one.
    fn next_look(
        &self,
        began: Instant,
        all_at: Instant,
        missed: &BTreeSet<(Address, ChainId)>,
    ) -> Option<Instant> {
        let open = self.open_ones();
        let is_soon = !missed.is_empty() || open.values().flatten().any(is_to_land);
        let soon = is_soon.then(|| all_at.min(began + EVERY));
        soon.or_else(|| (!open.is_empty()).then_some(all_at))
    }

    /// Tells the disk which calls are over, and forgets what is over altogether.
    async fn settle(self: &Arc<Self>) {
        if self.book.get().is_none() {
            return;
        }
        let now = self.now_ms();
        let calls = std::mem::take(&mut *self.settled_ones());
        let over = calls.clone();
        let settle = move |book: &Book| {
            if !over.is_empty() {
                book.change(|sent| {
                    let is_over = !sent.is_settled && over.contains(&sent.call);
                    sent.is_settled |= is_over;
                    is_over
                })?;
            }
            book.prune(now)
        };
        if self.on_disk(settle).await.is_err() {
            // Why is in the log.
            self.settled_ones().extend(calls);
        }
    }

    /// Looks after transactions of an account on one chain, in their order. False where it did not
    /// come to all of them.
    async fn look_after(
        self: &Arc<Self>,
        (account, chain): (Address, ChainId),
        ids: &[u64],
    ) -> bool {
        for some in ids.chunks(AT_ONCE) {
            let lost = {
                // What is just being made is not known to the chain yet.
                let turn = self.turn(account, chain);
                let Ok(_turn) = turn.try_lock() else {
                    return false;
                };
                let some = self.book.get().map(|book| book.of_ids(some));
                let some = some.unwrap_or_default();
                let hashes: Vec<_> = some.iter().map(|sent| sent.hash).collect();
                let look = outlook::look(&*self.reads, chain, account, &hashes).await;
                let judged = match look {
                    Ok(look) => self.judge_all(&some, &look).await,
                    Err(error) => Err(error),
                };
                match judged {
                    Ok(lost) => lost,
                    Err(error) => {
                        tracing::debug!(%account, %chain, "what became of transactions is not known: {error}");
                        return false;
                    }
                }
            };
            // It changes nothing of theirs, and so needs no turn.
            join_all(lost.iter().map(|sent| self.bring_back(sent))).await;
        }
        true
    }

    /// Notes and tells what has become of them, and answers those that the chain has lost.
    async fn judge_all(
        self: &Arc<Self>,
        open: &[SentTransaction],
        look: &Look,
    ) -> Result<Vec<SentTransaction>, HostError> {
        let now = self.now_ms();
        let mut changed = Vec::new();
        let mut lost = Vec::new();
        for (sent, seen) in open.iter().zip(&look.seen) {
            let verdict = judge(sent, *seen, (look.latest, look.finalized), now);
            let is_news = verdict.fate != sent.fate;
            let is_gone = matches!(verdict.fate, Fate::Replaced | Fate::Refused);
            // That it was replaced is final in a later look at the earliest.
            let is_final = verdict.is_final && !(is_news && verdict.fate == Fate::Replaced);
            let verdict = Verdict {
                is_final,
                ..verdict
            };
            if is_news || is_final != sent.is_final {
                // Two nodes that answer together may be of two minds, and no fate is worse.
                if !is_gone || self.has_said(sent.id, is_final) {
                    changed.push((sent, verdict));
                }
            }
            if !is_gone {
                self.watch().doubtful.retain(|(id, _)| *id != sent.id);
            }
            if verdict.is_lost {
                lost.push(sent.clone());
            } else {
                self.watch().lost.remove(&sent.id);
            }
        }
        if changed.is_empty() {
            return Ok(lost);
        }
        let mut by_ours = BTreeSet::new();
        for (sent, verdict) in &changed {
            let is_replaced = verdict.fate == Fate::Replaced && sent.fate != Fate::Replaced;
            if is_replaced && self.is_replaced_by_ours(sent).await? {
                by_ours.insert(sent.id);
            }
        }
        let verdicts: Vec<_> = changed
            .iter()
            .map(|(sent, verdict)| (sent.id, *verdict))
            .collect();
        let note = move |book: &Book| {
            book.change(|sent| {
                let of = verdicts.iter().find(|(id, _)| *id == sent.id);
                let Some((_, verdict)) = of else { return false };
                becomes(sent, verdict.fate, now);
                sent.is_final = verdict.is_final;
                true
            })
        };
        self.on_disk(note).await?;
        for (sent, verdict) in changed {
            self.tell(sent, &verdict, by_ours.contains(&sent.id));
        }
        Ok(lost)
    }

    /// Whether one that this engine has sent has landed with the nonce: one that was refused first,
    /// and is not looked at as often.
    async fn is_replaced_by_ours(&self, sent: &SentTransaction) -> Result<bool, HostError> {
        let (account, chain) = (sent.account, sent.chain);
        let others = self.book()?.with_nonce(account, chain, sent.nonce);
        let hashes: Vec<_> = others.iter().map(|other| other.hash).collect();
        for some in hashes.chunks(AT_ONCE) {
            let look = outlook::look(&*self.reads, chain, account, some).await?;
            if look.seen.iter().any(|seen| seen.receipt.is_some()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a look before has said so, too: that it is gone, or gone for good.
    fn has_said(&self, id: u64, is_final: bool) -> bool {
        !self.watch().doubtful.insert((id, is_final))
    }

    /// Hands over again what the chain has lost, and tells so once for as long as it is lost.
    async fn bring_back(&self, sent: &SentTransaction) {
        let (module, account, chain) = (&sent.module, sent.account, sent.chain);
        let (hash, nonce) = (sent.hash, sent.nonce);
        self.tally(account, chain, |tally| tally.resent += 1);
        let taken = self.hand_over_again(sent).await;
        if !self.watch().lost.insert(sent.id) {
            return;
        }
        match taken {
            Ok(()) => {
                tracing::warn!(%module, %account, %chain, %hash, nonce, "the chain does not have the transaction: it is handed over again");
            }
            Err(error) => {
                tracing::warn!(%module, %account, %chain, %hash, nonce, "the chain does not have the transaction, and does not take it again yet: {error}");
            }
        }
    }

    fn tell(&self, sent: &SentTransaction, verdict: &Verdict, is_by_ours: bool) {
        if sent.fate == verdict.fate {
            return;
        }
        let (module, account, chain) = (&sent.module, sent.account, sent.chain);
        let (hash, nonce) = (sent.hash, sent.nonce);
        match verdict.fate {
            Fate::Landed {
                block,
                reverted: false,
            } => {
                tracing::info!(%module, %account, %chain, %hash, nonce, block, "the transaction is in a block");
                self.tally(account, chain, |tally| tally.landed += 1);
            }
            Fate::Landed { block, .. } => {
                tracing::warn!(%module, %account, %chain, %hash, nonce, block, "the transaction was reverted");
                self.tally(account, chain, |tally| {
                    tally.landed += 1;
                    tally.reverted += 1;
                });
            }
            Fate::Replaced if is_by_ours => {
                // Which is no sign of anybody else who has the key.
                tracing::warn!(%module, %account, %chain, %hash, nonce, "the transaction was replaced: another one that this engine has sent has its nonce");
            }
            Fate::Replaced => {
                tracing::error!(%module, %account, %chain, %hash, nonce, "the transaction was replaced: another one of its account, which this engine has not sent, has its nonce");
                self.tally(account, chain, |tally| tally.replaced += 1);
            }
            Fate::Pending => {
                tracing::warn!(%module, %account, %chain, %hash, nonce, "the transaction is in no block any more");
            }
            Fate::Refused => {}
        }
    }
}

/// That instant, if there is one.
async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

/// What becomes of a transaction by what the chain says. `latest` and `finalized`: how many of its
/// account's transactions are in blocks, and in final ones.
fn judge(
    sent: &SentTransaction,
    seen: Seen,
    (latest, finalized): (u64, Option<u64>),
    now_ms: u64,
) -> Verdict {
    let fate = match (seen.receipt, sent.fate) {
        (Some((block, reverted)), _) => Fate::Landed { block, reverted },
        (None, Fate::Refused) if !seen.is_known => Fate::Refused,
        // One that the node knows may be in the very block, which the node has not looked up yet.
        (None, _) if latest > sent.nonce && !seen.is_known => Fate::Replaced,
        (None, _) => Fate::Pending,
    };
    // Some nodes know of no final block. A day is longer than any chain takes.
    let is_beyond = match finalized {
        Some(count) => count > sent.nonce,
        None => latest > sent.nonce && sent.signed_ms.saturating_add(DAY_MS) < now_ms,
    };
    Verdict {
        fate,
        is_final: is_beyond && fate != Fate::Pending,
        is_lost: fate == Fate::Pending && !seen.is_known,
    }
}

#[cfg(test)]
mod tests {
    use nexum_types::{B256, Bytes, CallId, U256};

    use super::*;

    const NONCE: u64 = 5;

    fn sent(fate: Fate) -> SentTransaction {
        SentTransaction {
            id: 1,
            module: "one".parse().unwrap(),
            call: CallId::default(),
            index: 0,
            asked: B256::ZERO,
            event: "init".to_owned(),
            chain: ChainId(1),
            account: Address::ZERO,
            nonce: NONCE,
            hash: B256::ZERO,
            raw: Bytes::new(),
            value: U256::ZERO,
            fees: U256::ZERO,
            signed_ms: 0,
            fate,
            is_final: false,
            is_settled: false,
        }
    }

    const NOWHERE: Seen = Seen {
        receipt: None,
        is_known: false,
    };
    const WAITS: Seen = Seen {
        receipt: None,
        is_known: true,
    };
    const IN_BLOCK: Seen = Seen {
        receipt: Some((9, false)),
        is_known: true,
    };
    const LANDED: Fate = Fate::Landed {
        block: 9,
        reverted: false,
    };

    #[test]
    fn a_transaction_lands_is_lost_or_is_replaced() {
        // The fate before, what the chain says, its counts; the fate after, whether that is final,
        // and whether it is handed over again.
        for (before, seen, counts, after) in [
            (
                Fate::Pending,
                WAITS,
                (5, Some(5)),
                (Fate::Pending, false, false),
            ),
            (
                Fate::Pending,
                NOWHERE,
                (5, Some(5)),
                (Fate::Pending, false, true),
            ),
            (
                Fate::Pending,
                IN_BLOCK,
                (6, Some(5)),
                (LANDED, false, false),
            ),
            (Fate::Pending, IN_BLOCK, (6, Some(6)), (LANDED, true, false)),
            (
                Fate::Pending,
                NOWHERE,
                (6, Some(5)),
                (Fate::Replaced, false, false),
            ),
            (
                Fate::Pending,
                NOWHERE,
                (6, Some(6)),
                (Fate::Replaced, true, false),
            ),
            // In a block that the node has not looked up yet.
            (
                Fate::Pending,
                WAITS,
                (6, Some(6)),
                (Fate::Pending, false, false),
            ),
            // A reorg took its block, or that of the one which had its nonce.
            (LANDED, NOWHERE, (5, Some(5)), (Fate::Pending, false, true)),
            (LANDED, WAITS, (5, Some(5)), (Fate::Pending, false, false)),
            (
                Fate::Replaced,
                NOWHERE,
                (5, Some(5)),
                (Fate::Pending, false, true),
            ),
            // What was refused is not handed over, and is looked for all the same.
            (
                Fate::Refused,
                NOWHERE,
                (5, Some(5)),
                (Fate::Refused, false, false),
            ),
            (
                Fate::Refused,
                NOWHERE,
                (6, Some(6)),
                (Fate::Refused, true, false),
            ),
            (
                Fate::Refused,
                WAITS,
                (5, Some(5)),
                (Fate::Pending, false, false),
            ),
            (
                Fate::Refused,
                IN_BLOCK,
                (6, Some(5)),
                (LANDED, false, false),
            ),
        ] {
            let Verdict {
                fate,
                is_final,
                is_lost,
            } = judge(&sent(before), seen, counts, 1);
            assert_eq!(
                (fate, is_final, is_lost),
                after,
                "{before:?} {seen:?} {counts:?}"
            );
        }
    }

    #[test]
    fn without_a_final_block_a_day_makes_it_final() {
        let final_at = |now| judge(&sent(LANDED), IN_BLOCK, (6, None), now).is_final;
        assert!(!final_at(DAY_MS));
        assert!(final_at(DAY_MS + 1));
        assert!(!judge(&sent(Fate::Pending), WAITS, (5, None), u64::MAX).is_final);
    }
}
