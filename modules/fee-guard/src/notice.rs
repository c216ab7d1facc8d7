//! What the operator is told: in the log at once, and by the webhook as soon as it takes it, at
//! least once. Nothing here keeps an account from being topped up.

use nexum_sdk::prelude::*;
use serde::{Deserialize, Serialize};
use std::{fmt, time::Duration};

use crate::amount::Amount;

/// What waits for the webhook, oldest first.
const OUTBOX: TypedState<Vec<Notice>> = TypedState::new("outbox");
/// So many notices wait at most; of more, the oldest are dropped.
const MAX_WAITING: usize = 100;
/// So many are told on one tick at most.
const MAX_PER_TICK: usize = 10;
const TIMEOUT: Duration = Duration::from_secs(5);

/// What became of a top-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    /// It is on its way.
    ToppedUp,
    /// It is in a block.
    Landed,
    /// It has been on its way for long, and still can land.
    Waits,
    /// It was not sent, reverted, or another has its nonce.
    Failed,
}

/// Something to tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Notice {
    pub(crate) kind: Kind,
    pub(crate) account: Address,
    pub(crate) amount: Amount,
    /// None for what was not sent.
    pub(crate) hash: Option<B256>,
    /// Why it failed.
    pub(crate) reason: Option<String>,
    /// When it happened, in milliseconds since the Unix epoch: that of the tick.
    pub(crate) at: u64,
}

/// A notice as the webhook gets it.
#[derive(Serialize)]
struct Body<'a> {
    kind: String,
    account: Address,
    /// In wei, in decimal: JSON's numbers are too small.
    amount: String,
    hash: Option<B256>,
    chain_id: u64,
    reason: Option<&'a str>,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ToppedUp => "topped-up",
            Self::Landed => "landed",
            Self::Waits => "waits",
            Self::Failed => "failed",
        })
    }
}

impl Notice {
    /// Writes it to the log, and leaves it for the webhook where there is one.
    pub(crate) fn tell(self, has_webhook: bool) -> Result<()> {
        let Self {
            kind,
            account,
            amount,
            ..
        } = &self;
        let hash = self.hash.map(|hash| format!(" by {hash}"));
        let hash = hash.unwrap_or_default();
        match &self.reason {
            None => log::info!("{account}: {amount} {kind}{hash}"),
            Some(reason) => log::warn!("{account}: {amount} {kind}{hash}: {reason}"),
        }
        if !has_webhook {
            return Ok(());
        }
        let mut outbox = OUTBOX.load_or_default()?;
        outbox.push(self);
        if outbox.len() > MAX_WAITING {
            log::warn!("the webhook takes nothing: the oldest of {MAX_WAITING} notices is dropped");
            outbox.remove(0);
        }
        Ok(OUTBOX.store(&outbox)?)
    }

    /// The same each time that this notice is sent, and another for any other one.
    fn key(&self) -> String {
        let Self { kind, account, .. } = self;
        match self.hash {
            Some(hash) => format!("{kind}-{hash}"),
            None => format!("{kind}-{}-{account}", self.at),
        }
    }

    fn post(&self, webhook: &str, chain_id: u64) -> Result<()> {
        let body = Body {
            kind: self.kind.to_string(),
            account: self.account,
            amount: self.amount.0.to_string(),
            hash: self.hash,
            chain_id,
            reason: self.reason.as_deref(),
        };
        let request = http::post(webhook).json(&body)?;
        let request = request.header("idempotency-key", self.key());
        request.timeout(TIMEOUT).send()?.error_for_status()?;
        Ok(())
    }
}

/// Sends what waits to the webhook, oldest first, until it does not take one: that one and what
/// follows it wait for the next tick.
pub(crate) fn deliver(webhook: &str, chain_id: u64) -> Result<()> {
    let outbox = OUTBOX.load_or_default()?;
    let mut told = 0;
    for notice in outbox.iter().take(MAX_PER_TICK) {
        if let Err(error) = notice.post(webhook, chain_id) {
            log::warn!("the webhook is tried again on the next tick: {error}");
            break;
        }
        told += 1;
    }
    if told > 0 {
        OUTBOX.store(&outbox[told..].to_vec())?;
    }
    Ok(())
}
