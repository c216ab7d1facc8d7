//! Watches the balances of accounts: at each block it asks for all of them in one batch, stores
//! them, and logs each change beyond a threshold.
//!
//! A block takes effect as a whole. Every answer is read before anything is stored, and where
//! one is missing the module returns the error, so that the engine delivers the block again.
//!
//! The state, as text: `balance/<address>` is the account's balance in wei, `last_block` the
//! number of the block it was read at, both in decimal.

mod amount;
#[expect(
    unsafe_code,
    clippy::too_many_arguments,
    reason = "generated; the exports cross the C ABI, field by field"
)]
mod bindings;
mod settings;

use std::sync::OnceLock;

use amount::{Ether, Signed};
use bindings::{
    Guest,
    nexum::host::{
        chain::{self, RpcRequest, RpcResult},
        local_store,
        logging::{self, Level},
        types::{Block, Config, Event, HostError, HostErrorKind},
    },
};
use settings::{Address, Settings};

/// The most requests that `chain.request-batch` takes.
const MAX_BATCH: usize = 256;

static SETTINGS: OnceLock<Settings> = OnceLock::new();

struct BalanceWatch;

impl Guest for BalanceWatch {
    fn init(config: Config) -> Result<(), HostError> {
        let settings = Settings::read(&config)
            .map_err(|wrong| error(HostErrorKind::InvalidInput, wrong.to_string()))?;
        let message = format!(
            "watching {} accounts for changes of more than {} ether",
            settings.addresses.len(),
            Ether(settings.threshold_wei),
        );
        SETTINGS.set(settings).map_err(|_| {
            error(
                HostErrorKind::Internal,
                "init was called twice on the same instance",
            )
        })?;
        logging::log(Level::Info, &message);
        Ok(())
    }

    fn on_event(event: Event) -> Result<(), HostError> {
        let Some(settings) = SETTINGS.get() else {
            return Err(error(HostErrorKind::Internal, "an event came before init"));
        };
        match event {
            Event::Block(block) => on_block(settings, &block),
            // An error would have it delivered again, to the same end.
            Event::Logs(_) | Event::Tick(_) | Event::Message(_) => {
                logging::log(Level::Warn, "passed over an event that is no block");
                Ok(())
            }
        }
    }
}

fn on_block(settings: &Settings, block: &Block) -> Result<(), HostError> {
    let balances = balances(&settings.addresses, block)?;
    for (address, new) in settings.addresses.iter().zip(balances) {
        let key = format!("balance/{address}");
        let old = stored(&key)?;
        local_store::set(&key, new.to_string().as_bytes())?;
        if let Some(line) = report(address, old, new, settings.threshold_wei, block.number) {
            logging::log(Level::Info, &line);
        }
    }
    local_store::set("last_block", block.number.to_string().as_bytes())
}

/// The balances of `addresses` at `block`, in wei and in their order: all of them, or an error.
fn balances(addresses: &[Address], block: &Block) -> Result<Vec<u128>, HostError> {
    let mut balances = Vec::with_capacity(addresses.len());
    for addresses in addresses.chunks(MAX_BATCH) {
        let requests: Vec<_> = addresses
            .iter()
            .map(|address| RpcRequest {
                method: "eth_getBalance".into(),
                params: format!(r#"["{address}","{:#x}"]"#, block.number),
            })
            .collect();
        let answers = chain::request_batch(block.chain_id, &requests)?;
        if answers.len() != addresses.len() {
            let message = format!("{} answers to {} requests", answers.len(), addresses.len());
            return Err(error(HostErrorKind::Internal, message));
        }
        for (address, answer) in addresses.iter().zip(answers) {
            balances.push(balance(address, block.number, answer)?);
        }
    }
    Ok(balances)
}

fn balance(address: &Address, block: u64, answer: RpcResult) -> Result<u128, HostError> {
    match answer {
        // A node that has heard of the head may not have its state yet.
        RpcResult::Ok(json) => amount::parse_quantity(&json).map_err(|wrong| {
            let message = format!("the balance of {address} at block {block}: {wrong}");
            error(HostErrorKind::Unavailable, message)
        }),
        RpcResult::Err(mut failed) => {
            failed.message = format!(
                "the balance of {address} at block {block}: {}",
                failed.message
            );
            Err(failed)
        }
    }
}

fn stored(key: &str) -> Result<Option<u128>, HostError> {
    let Some(bytes) = local_store::get(key)? else {
        return Ok(None);
    };
    let balance = str::from_utf8(&bytes)
        .ok()
        .and_then(|text| text.parse().ok());
    balance.map(Some).ok_or_else(|| {
        error(
            HostErrorKind::Internal,
            format!("the state holds no number under {key}"),
        )
    })
}

/// What to say of an account, if anything: that it is seen for the first time, or that its
/// balance changed by more than `threshold`.
fn report(
    address: &Address,
    old: Option<u128>,
    new: u128,
    threshold: u128,
    block: u64,
) -> Option<String> {
    match old {
        None => Some(format!(
            "{address}: {} ether at block {block}, first seen",
            Ether(new)
        )),
        Some(old) if old.abs_diff(new) > threshold => Some(format!(
            "{address}: {} → {} ether ({}) at block {block}",
            Ether(old),
            Ether(new),
            Signed { old, new },
        )),
        Some(_) => None,
    }
}

fn error(kind: HostErrorKind, message: impl Into<String>) -> HostError {
    HostError {
        domain: "balance-watch".into(),
        kind,
        code: 0,
        message: message.into(),
        data: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ETHER: u128 = 1_000_000_000_000_000_000;

    #[test]
    fn an_account_is_reported_when_first_seen_and_when_it_changes_beyond_the_threshold() {
        let address: Address = "0x00000000000000000000000000000000000000aa"
            .parse()
            .unwrap();
        let report = |old, new| report(&address, old, new, ETHER / 10, 7);

        assert_eq!(
            report(None, ETHER).unwrap(),
            "0x00000000000000000000000000000000000000aa: 1 ether at block 7, first seen"
        );
        assert_eq!(
            report(Some(ETHER), ETHER * 3 / 2).unwrap(),
            "0x00000000000000000000000000000000000000aa: 1 → 1.5 ether (+0.5) at block 7"
        );
        assert_eq!(
            report(Some(ETHER), ETHER / 4).unwrap(),
            "0x00000000000000000000000000000000000000aa: 1 → 0.25 ether (-0.75) at block 7"
        );
        assert_eq!(
            report(Some(ETHER), ETHER + ETHER / 10),
            None,
            "the threshold itself"
        );
        assert_eq!(report(Some(ETHER), ETHER), None);
    }

    #[test]
    fn a_failed_answer_keeps_its_kind_and_says_whose_it_was() {
        let address: Address = "0x00000000000000000000000000000000000000aa"
            .parse()
            .unwrap();
        let failed = HostError {
            domain: "chain".into(),
            kind: HostErrorKind::RateLimited,
            code: -32005,
            message: "too many requests".into(),
            data: None,
        };
        let failed = balance(&address, 7, RpcResult::Err(failed)).unwrap_err();
        assert_eq!(failed.kind, HostErrorKind::RateLimited);
        assert_eq!(failed.code, -32005);
        assert_eq!(
            failed.message,
            "the balance of 0x00000000000000000000000000000000000000aa at block 7: \
             too many requests"
        );

        let null = balance(&address, 7, RpcResult::Ok("null".into())).unwrap_err();
        assert_eq!(
            null.kind,
            HostErrorKind::Unavailable,
            "a later attempt may have it"
        );
    }
}
