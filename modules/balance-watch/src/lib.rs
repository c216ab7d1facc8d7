//! Watches the balances of accounts: at each block it asks for all of them in one batch, stores
//! them, and logs each change beyond a threshold.
//!
//! A block takes effect as a whole. Every answer is read before anything is stored, and where
//! one is missing the module returns the error, so that the engine delivers the block again.
//!
//! The state is text, so that an operator can read it: `balance/<address>` is the account's
//! balance in wei, `last_block` the number of the block it was read at, both in decimal.

mod amount;

use std::collections::BTreeSet;

use amount::{Ether, Signed};
use nexum_sdk::{local_store, prelude::*};

/// What to watch, and from where on to speak of it.
#[derive(Debug, Clone, PartialEq, Eq, NexumConfig)]
struct Settings {
    /// The accounts, each once.
    #[config(non_empty)]
    addresses: Vec<Address>,
    /// A change is logged where it is more than this.
    #[config(default)]
    threshold_wei: U256,
}

struct BalanceWatch {
    settings: Settings,
}

#[nexum::module]
impl BalanceWatch {
    #[init]
    fn init(settings: Settings) -> Result<Self> {
        let mut seen = BTreeSet::new();
        if let Some(twice) = settings
            .addresses
            .iter()
            .find(|address| !seen.insert(**address))
        {
            let message = format!("config `addresses`: {twice} is listed twice; remove one");
            return Err(HostError::invalid_input(message));
        }
        log::info!(
            "watching {} accounts for changes of more than {} ether",
            settings.addresses.len(),
            Ether(settings.threshold_wei),
        );
        Ok(Self { settings })
    }

    #[on_block]
    async fn on_block(&self, block: &Block, provider: &Provider) -> Result<()> {
        let Settings {
            addresses,
            threshold_wei,
        } = &self.settings;
        let balances = addresses.iter().map(|address| async move {
            let balance = provider.get_balance(*address).block_id(block.id()).await;
            balance
                .with_context(|| format!("the balance of {address:#x} at block {}", block.number))
        });
        let balances = try_join_all(balances).await?;
        for (address, new) in addresses.iter().zip(balances) {
            let key = format!("balance/{address:#x}");
            let old = stored(&key)?;
            local_store::set(&key, new.to_string().as_bytes())?;
            if let Some(line) = report(address, old, new, *threshold_wei, block.number) {
                log::info!("{line}");
            }
        }
        local_store::set("last_block", block.number.to_string().as_bytes())
    }
}

fn stored(key: &str) -> Result<Option<U256>> {
    let Some(bytes) = local_store::get(key)? else {
        return Ok(None);
    };
    let text = str::from_utf8(&bytes).ok();
    let balance = text.and_then(|text| U256::from_str_radix(text, 10).ok());
    let balance = balance.with_context(|| format!("the state holds no number under {key}"))?;
    Ok(Some(balance))
}

/// What to say of an account, if anything: that it is seen for the first time, or that its
/// balance changed by more than `threshold`.
fn report(
    address: &Address,
    old: Option<U256>,
    new: U256,
    threshold: U256,
    block: u64,
) -> Option<String> {
    match old {
        None => Some(format!(
            "{address:#x}: {} ether at block {block}, first seen",
            Ether(new)
        )),
        Some(old) if old.abs_diff(new) > threshold => Some(format!(
            "{address:#x}: {} → {} ether ({}) at block {block}",
            Ether(old),
            Ether(new),
            Signed { old, new },
        )),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests;
