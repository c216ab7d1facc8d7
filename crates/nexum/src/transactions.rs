//! `nexum transaction`: what was signed for modules and what has become of it, with a running engine
//! or without one.

use std::fmt::Write as _;

use nexum_engine::wire::TransactionReport;

use crate::{
    cli::{ListTransactionsArgs, ShowTransactionArgs, TransactionCommand, Where},
    exit::Failure,
    inspect::instant,
    modules::show,
    place,
    table::table,
};

pub(crate) async fn transactions(command: &TransactionCommand) -> Result<(), Failure> {
    match command {
        TransactionCommand::List(args) => list(args).await,
        TransactionCommand::Show(args) => show_one(args).await,
    }
}

async fn list(args: &ListTransactionsArgs) -> Result<(), Failure> {
    let all = all(&args.at).await?;
    let is_asked_for = |sent: &TransactionReport| {
        let module = args.module.as_ref();
        module.is_none_or(|module| sent.module == module.as_str())
            && (!args.pending || sent.fate == "pending")
    };
    let asked: Vec<_> = all.into_iter().filter(is_asked_for).collect();
    show(&args.at, &asked, || {
        match (&args.module, asked.is_empty()) {
            (Some(module), true) => format!("no transactions of a module named {module}\n"),
            _ => as_table(&asked),
        }
    })
}

async fn show_one(args: &ShowTransactionArgs) -> Result<(), Failure> {
    let which = args.which.as_str();
    let is_hash = which.len() == 66
        && which
            .strip_prefix("0x")
            .is_some_and(|digits| digits.bytes().all(|c| c.is_ascii_hexdigit()));
    if !is_hash && which.parse::<u64>().is_err() {
        return Err(Failure::usage(
            &format!("{which:?} is no transaction"),
            "give its hash, 0x and 64 hex digits, or its number; `nexum transaction list` shows both",
        ));
    }
    let all = all(&args.at).await?;
    let is_it = |sent: &&TransactionReport| {
        sent.hash.eq_ignore_ascii_case(which) || sent.id.to_string() == which
    };
    let found = all.iter().find(is_it);
    let sent = found.ok_or_else(|| {
        let what = format!("no transaction {which} is kept there");
        Failure::unfit_state(
            &what,
            "see them with `nexum transaction list`; one is kept until its fate is final, its call \
             is committed and a day has passed",
        )
    })?;
    show(&args.at, sent, || as_text(sent))
}

async fn all(at: &Where) -> Result<Vec<TransactionReport>, Failure> {
    let (dir, client) = place::engine(at).await?;
    if let Some(client) = client {
        return client.get("/v1/transactions").await;
    }
    let kept = nexum_store::inspect_transactions(&dir);
    let kept = kept.map_err(|error| place::failure(error, &dir))?;
    Ok(kept.iter().map(TransactionReport::new).collect())
}

fn as_table(sent: &[TransactionReport]) -> String {
    if sent.is_empty() {
        return "no transactions\n".to_owned();
    }
    let row = |sent: &TransactionReport| {
        vec![
            sent.id.to_string(),
            instant(sent.signed_ms),
            sent.module.clone(),
            sent.chain_id.to_string(),
            shortened(&sent.account),
            sent.nonce.to_string(),
            coins(&sent.value),
            sent.fate.clone(),
            sent.hash.clone(),
        ]
    };
    let rows: Vec<_> = sent.iter().map(row).collect();
    table(
        &[
            "ID", "SIGNED", "MODULE", "CHAIN", "ACCOUNT", "NONCE", "VALUE", "FATE", "HASH",
        ],
        &rows,
    )
}

fn as_text(sent: &TransactionReport) -> String {
    let fate = match (sent.block, sent.is_final) {
        (Some(block), true) => format!("{}, in block {block}, for good", sent.fate),
        (Some(block), false) => format!("{}, in block {block}, not final yet", sent.fate),
        (None, true) => format!("{}, for good", sent.fate),
        (None, false) => sent.fate.clone(),
    };
    let mut text = String::new();
    for (key, value) in [
        ("transaction", sent.id.to_string()),
        ("hash", sent.hash.clone()),
        ("fate", fate),
        ("module", sent.module.clone()),
        ("event", sent.event.clone()),
        ("chain", sent.chain_id.to_string()),
        ("account", sent.account.clone()),
        ("nonce", sent.nonce.to_string()),
        (
            "to",
            sent.to
                .clone()
                .unwrap_or_else(|| "a new contract".to_owned()),
        ),
        ("value", coins(&sent.value)),
        ("input", sent.input.clone()),
        ("gas", sent.gas.to_string()),
        (
            "price",
            format!(
                "{} wei a unit at most, of which {} for the block's maker",
                sent.max_fee_per_gas, sent.max_priority_fee_per_gas
            ),
        ),
        ("fees", format!("{} at most", coins(&sent.max_fees))),
        ("signed", instant(sent.signed_ms)),
    ] {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{key:11}  {value}");
    }
    text
}

/// The beginning and the end of an account, by which people know it.
fn shortened(account: &str) -> String {
    match (
        account.get(..6),
        account.get(account.len().saturating_sub(4)..),
    ) {
        (Some(first), Some(last)) if account.len() > 10 => format!("{first}…{last}"),
        _ => account.to_owned(),
    }
}

/// An amount in wei, in decimal, as the engine's file writes amounts; exact.
fn coins(wei: &str) -> String {
    const ETHER: usize = 18;
    const GWEI: usize = 9;
    // Below one gwei, so many zeros are no help.
    if wei.len() <= GWEI {
        return format!("{wei} wei");
    }
    let padded = format!("{wei:0>width$}", width = ETHER + 1);
    let (whole, decimals) = padded.split_at(padded.len() - ETHER);
    match decimals.trim_end_matches('0') {
        "" => format!("{whole} ether"),
        decimals => format!("{whole}.{decimals} ether"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact() {
        for (wei, text) in [
            ("0", "0 wei"),
            ("999999999", "999999999 wei"),
            ("1000000000", "0.000000001 ether"),
            ("1900000000000000000", "1.9 ether"),
            ("100000000000000000000", "100 ether"),
            ("1000000000000000001", "1.000000000000000001 ether"),
        ] {
            assert_eq!(coins(wei), text);
        }
    }
}
