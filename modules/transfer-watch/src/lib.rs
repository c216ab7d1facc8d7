//! Keeps running totals of an ERC-20 token's transfers, by account: what each has sent and what
//! it has received.
//!
//! The totals are right under reorgs. A log that is taken back comes again with `removed`, and
//! what it added is taken off; the log, the totals and the position behind it are one
//! transaction, so that nothing counts twice and nothing is left out.

use nexum_sdk::prelude::*;
use serde::{Deserialize, Serialize};

sol! {
    #[derive(Debug)]
    event Transfer(address indexed from, address indexed to, uint256 value);
}

/// By account. An account whose totals are zero has none.
const TOTALS: TypedMap<Address, Totals> = TypedMap::new("totals/");

/// What an account has sent and received, in base units. Wraps, as the arithmetic of a token
/// that emits nonsense may: taking back then still undoes it exactly.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Totals {
    sent: U256,
    received: U256,
}

#[derive(Debug, Clone, NexumConfig)]
struct Settings {
    /// Transfers of at least this much are logged one by one.
    #[config(default = U256::MAX)]
    log_from: U256,
}

struct TransferWatch {
    settings: Settings,
}

#[nexum::module]
impl TransferWatch {
    #[init]
    fn init(settings: Settings) -> Result<Self> {
        log::info!("logging transfers of {} and more", settings.log_from);
        Ok(Self { settings })
    }

    #[on_log(Transfer)]
    fn on_transfer(&self, transfer: &Transfer, log: &Log) -> Result<()> {
        let &Transfer { from, to, value } = transfer;
        change(from, |totals| {
            totals.sent = moved(totals.sent, value, log.removed);
        })?;
        change(to, |totals| {
            totals.received = moved(totals.received, value, log.removed);
        })?;
        if value >= self.settings.log_from {
            let what = if log.removed { "taken back: " } else { "" };
            log::info!("{what}{from} → {to}: {value} at block {}", log.block_number);
        }
        Ok(())
    }
}

fn moved(total: U256, value: U256, removed: bool) -> U256 {
    if removed {
        total.wrapping_sub(value)
    } else {
        total.wrapping_add(value)
    }
}

fn change(account: Address, change: impl FnOnce(&mut Totals)) -> Result<()> {
    let mut totals = TOTALS.get(&account)?.unwrap_or_default();
    change(&mut totals);
    if totals == Totals::default() {
        TOTALS.remove(&account)?;
    } else {
        TOTALS.insert(&account, &totals)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
