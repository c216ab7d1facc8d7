//! Keeps accounts that pay for gas above a floor: on each tick, an account that has less gets from
//! the module's own account what it lacks of the target, and no more until that has landed.
//!
//! What a tick is about to send is noted before anything is sent. A tick that fails in the middle
//! comes again, and then asks for what is noted, in the same order: the engine knows what it has
//! sent of that, and sends the rest. What one account's top-up meets does not keep the others from
//! theirs.

mod amount;
mod notice;

use std::collections::BTreeSet;

use amount::Amount;
use nexum_sdk::{
    alloy::rpc_types::TransactionTrait as _, future::try_join, local_store, prelude::*,
};
use notice::{Kind, Notice};
use serde::{Deserialize, Serialize};

/// What each tick is about to send, by the tick's instant.
const PLANS: Journal<Plan, ()> = Journal::new("plan/");
/// The top-ups that were sent and have not landed, by the account that they are for.
const ON_THE_WAY: TypedMap<Address, OnTheWay> = TypedMap::new("on-the-way/");
/// A top-up that has not landed after so long, in milliseconds, is told, once. It still can land:
/// the engine hands over what nodes have lost.
const LONG_MS: u64 = 60 * 60 * 1000;

/// Which accounts to keep, and how.
#[derive(Debug, Clone, PartialEq, Eq, NexumConfig)]
struct Settings {
    /// The chain.
    chain_id: u64,
    /// The accounts, each once.
    #[config(non_empty)]
    watch: Vec<Address>,
    /// An account with less than this is topped up.
    #[config(parse)]
    floor: Amount,
    /// What an account has once it is topped up. More than the floor.
    #[config(parse)]
    target: Amount,
    /// The URL that is told of what is done.
    webhook: Option<String>,
}

/// What one tick sends, in this order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Plan {
    from: Address,
    top_ups: Vec<TopUp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct TopUp {
    account: Address,
    amount: Amount,
}

/// A top-up that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct OnTheWay {
    hash: B256,
    amount: Amount,
    /// When it was sent, in milliseconds since the Unix epoch.
    since: u64,
    from: Address,
    /// The nonce of `from` that it has, once a node has told.
    nonce: Option<u64>,
    /// Whether it was told that it takes long.
    is_told: bool,
}

/// What has become of a top-up.
enum Fate {
    Landed,
    Reverted,
    /// Another transaction has its nonce, for good.
    Replaced,
    /// It can land yet.
    Waits(OnTheWay),
}

struct FeeGuard {
    settings: Settings,
    /// Who pays.
    payer: Address,
    provider: Provider,
}

#[nexum::module]
impl FeeGuard {
    #[init]
    async fn init(settings: Settings) -> Result<Self> {
        let provider = provider(settings.chain_id);
        let accounts = provider.get_accounts().await.context("the accounts")?;
        let payer = accounts.first().copied();
        let payer = payer.context("the operator gave this module no account to pay with")?;
        settings.check(payer)?;
        log::info!(
            "keeping {} accounts above {} from {payer}",
            settings.watch.len(),
            settings.floor
        );
        Ok(Self {
            settings,
            payer,
            provider,
        })
    }

    #[on_tick]
    async fn on_tick(&self, tick: &Tick) -> Result<()> {
        self.forget_plans_before(tick)?;
        // An account whose top-up lands now is topped up on the next tick at the earliest: the
        // node that tells its balance may not be the one that has the block.
        let busy = BTreeSet::from_iter(ON_THE_WAY.keys()?);
        self.look_after(&busy, tick).await?;
        let plan = self.plan(&busy).await?;
        match PLANS.begin(&tick.fired_at.to_string(), &plan)? {
            // Where an attempt before this one has sent a part of what is noted, the engine
            // answers with what it has sent.
            Attempt::New(intent) | Attempt::Unknown(intent) => {
                self.carry_out(intent.noted(), tick).await?;
                intent.done(())?;
            }
            Attempt::Done(()) => {}
        }
        // However long the webhook takes, what was sent is on the way.
        local_store::checkpoint()?;
        match &self.settings.webhook {
            Some(webhook) => notice::deliver(webhook, self.settings.chain_id),
            None => Ok(()),
        }
    }

    /// A tick comes again until it is handled, and only then the next one.
    fn forget_plans_before(&self, tick: &Tick) -> Result<()> {
        let this = tick.fired_at.to_string();
        let ids = PLANS.ids()?.into_iter();
        ids.filter(|id| *id != this)
            .try_for_each(|id| PLANS.forget(&id))
    }

    /// Looks what has become of the top-ups of these accounts.
    async fn look_after(&self, accounts: &BTreeSet<Address>, tick: &Tick) -> Result<()> {
        for account in accounts {
            let Some(sent) = ON_THE_WAY.get(account)? else {
                continue;
            };
            let is_long = tick.fired_at.saturating_sub(sent.since) > LONG_MS;
            let (kind, reason) = match self.fate(sent).await? {
                Fate::Landed => (Kind::Landed, None),
                Fate::Reverted => (Kind::Failed, Some("it reverted")),
                Fate::Replaced => (Kind::Failed, Some("another transaction has its nonce")),
                Fate::Waits(now) if is_long && !now.is_told => {
                    let told = OnTheWay {
                        is_told: true,
                        ..now
                    };
                    ON_THE_WAY.insert(account, &told)?;
                    (Kind::Waits, Some("it has not landed within an hour"))
                }
                Fate::Waits(now) => {
                    if now != sent {
                        ON_THE_WAY.insert(account, &now)?;
                    }
                    continue;
                }
            };
            if !matches!(kind, Kind::Waits) {
                ON_THE_WAY.remove(account)?;
            }
            self.tell(Notice {
                kind,
                account: *account,
                amount: sent.amount,
                hash: Some(sent.hash),
                reason: reason.map(str::to_owned),
                at: tick.fired_at,
            })?;
        }
        Ok(())
    }

    /// What has become of one. That no node knows it does not keep it from landing: only that its
    /// nonce is used, in a block that stays, does.
    async fn fate(&self, sent: OnTheWay) -> Result<Fate> {
        let OnTheWay { hash, from, .. } = sent;
        let receipt = self.provider.get_transaction_receipt(hash);
        let transaction = self.provider.get_transaction_by_hash(hash);
        let (receipt, transaction) = try_join(receipt, transaction)
            .await
            .with_context(|| format!("what has become of {hash}"))?;
        match (receipt, transaction, sent.nonce) {
            (Some(receipt), _, _) if receipt.status() => return Ok(Fate::Landed),
            (Some(_), _, _) => return Ok(Fate::Reverted),
            (None, Some(transaction), _) => {
                let nonce = Some(transaction.nonce());
                return Ok(Fate::Waits(OnTheWay { nonce, ..sent }));
            }
            (None, None, None) => return Ok(Fate::Waits(sent)),
            (None, None, Some(_)) => {}
        }
        let used = self.provider.get_transaction_count(from).finalized().await;
        match used.context("the last final block") {
            Ok(used) if sent.nonce.is_some_and(|nonce| nonce < used) => Ok(Fate::Replaced),
            Err(error) if error.may_pass() => Err(error),
            // Or the chain knows of no final block.
            Ok(_) | Err(_) => Ok(Fate::Waits(sent)),
        }
    }

    /// What the accounts that have less than the floor, and nothing on the way, lack of the
    /// target.
    async fn plan(&self, busy: &BTreeSet<Address>) -> Result<Plan> {
        let Settings {
            watch,
            floor,
            target,
            ..
        } = &self.settings;
        let balances = watch.iter().map(|account| async move {
            let balance = self.provider.get_balance(*account).await;
            balance.with_context(|| format!("the balance of {account}"))
        });
        let balances = try_join_all(balances).await?;
        let is_low =
            |(account, balance): &(&Address, U256)| *balance < floor.0 && !busy.contains(*account);
        let low = watch.iter().zip(balances).filter(is_low);
        let top_ups = low.map(|(account, balance)| TopUp {
            account: *account,
            amount: Amount(target.0 - balance),
        });
        Ok(Plan {
            from: self.payer,
            top_ups: top_ups.collect(),
        })
    }

    /// Sends all that is planned. What may pass by itself fails the tick, which then comes again;
    /// what does not is told.
    async fn carry_out(&self, plan: &Plan, tick: &Tick) -> Result<()> {
        for top_up in &plan.top_ups {
            let TopUp { account, amount } = *top_up;
            let (kind, hash, reason) = match self.send(plan.from, *top_up).await {
                Ok(hash) => (Kind::ToppedUp, Some(hash), None),
                Err(error) if error.may_pass() => return Err(error),
                Err(error) => (Kind::Failed, None, Some(error.to_string())),
            };
            if let Some(hash) = hash {
                // Most nodes know it at once, and later perhaps none does.
                let known = self.provider.get_transaction_by_hash(hash).await;
                let nonce = known.ok().flatten().map(|known| known.nonce());
                let sent = OnTheWay {
                    hash,
                    amount,
                    since: tick.fired_at,
                    from: plan.from,
                    nonce,
                    is_told: false,
                };
                ON_THE_WAY.insert(&account, &sent)?;
            }
            self.tell(Notice {
                kind,
                account,
                amount,
                hash,
                reason,
                at: tick.fired_at,
            })?;
        }
        Ok(())
    }

    async fn send(&self, from: Address, TopUp { account, amount }: TopUp) -> Result<B256> {
        let transaction = TransactionRequest::default()
            .with_from(from)
            .with_to(account)
            .with_value(amount.0);
        let pending = self.provider.send_transaction(transaction).await;
        let pending = pending.with_context(|| format!("{amount} to {account}"))?;
        Ok(*pending.tx_hash())
    }

    fn tell(&self, notice: Notice) -> Result<()> {
        notice.tell(self.settings.webhook.is_some())
    }
}

impl Settings {
    /// What no type says.
    fn check(&self, payer: Address) -> Result<()> {
        let refused = |message: String| Err(HostError::invalid_input(message));
        let Self { floor, target, .. } = self;
        if target <= floor {
            return refused(format!(
                "config `target`: {target} is not more than the floor, {floor}"
            ));
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = self.watch.iter().find(|account| !seen.insert(**account)) {
            return refused(format!(
                "config `watch`: {twice} is listed twice; remove one"
            ));
        }
        if seen.contains(&payer) {
            return refused(format!(
                "config `watch`: {payer} is the account that pays; remove it"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
