//! `nexum module dead-letters`, with a running engine or without one.

use std::{fmt::Write as _, path::Path};

use nexum_engine::wire::{self, LetterReport};
use nexum_store::{DeadLetter, LetterChange, StateDir, StoreOptions};
use nexum_types::{ModuleName, WriteSet};

use crate::{
    cli::{AskArgs, ChosenArgs, LettersArgs, LettersCommand},
    exit::Failure,
    inspect::instant,
    modules::{route, show},
    place,
    table::table,
};

pub(crate) async fn letters(args: &LettersArgs) -> Result<(), Failure> {
    let name = &args.module;
    match &args.command {
        LettersCommand::List(ask) => list(name, ask).await,
        LettersCommand::Show { id, ask } => show_one(name, *id, ask).await,
        LettersCommand::Retry(chosen) => order(name, chosen, true).await,
        LettersCommand::Drop(chosen) => order(name, chosen, false).await,
    }
}

async fn list(name: &ModuleName, ask: &AskArgs) -> Result<(), Failure> {
    let (dir, client) = place::engine(&ask.at).await?;
    let letters: Vec<LetterReport> = match client {
        Some(client) => client.get(&route(name, "/dead-letters")).await?,
        None => {
            let letters = offline(&dir, name)?;
            let reports = letters
                .iter()
                .map(|(id, letter)| LetterReport::new(*id, letter, false));
            reports.collect()
        }
    };
    show(&ask.at, &letters, || as_table(name, &letters))
}

async fn show_one(name: &ModuleName, id: u64, ask: &AskArgs) -> Result<(), Failure> {
    let (dir, client) = place::engine(&ask.at).await?;
    let letter: LetterReport = match client {
        Some(client) => {
            client
                .get(&route(name, &format!("/dead-letters/{id}")))
                .await?
        }
        None => {
            let letters = offline(&dir, name)?;
            let found = letters.iter().find(|(number, _)| *number == id);
            let (id, letter) = found.ok_or_else(|| unknown(name, id))?;
            LetterReport::new(*id, letter, true)
        }
    };
    show(&ask.at, &letter, || as_text(&letter))
}

async fn order(name: &ModuleName, chosen: &ChosenArgs, retry: bool) -> Result<(), Failure> {
    let (dir, client) = place::engine(&chosen.at).await?;
    let is_running = client.is_some();
    let ordered = match client {
        Some(client) => {
            let rest = if retry {
                "/dead-letters/retry"
            } else {
                "/dead-letters/drop"
            };
            let body = wire::Letters {
                ids: chosen.ids.clone(),
                all: chosen.all,
            };
            client.post(&route(name, rest), &body).await?
        }
        None => change(&dir, name, chosen, retry)?,
    };
    let wire::Ordered { letters } = ordered;
    show(&chosen.at, &ordered, || match (retry, is_running) {
        (true, true) => format!("{letters} to be given to module {name} once more\n"),
        (true, false) => format!("{letters} to be given to module {name} at the next start\n"),
        (false, _) => format!("{letters} dropped\n"),
    })
}

/// The letters while no engine runs.
fn offline(dir: &Path, name: &ModuleName) -> Result<Vec<(u64, DeadLetter)>, Failure> {
    // Looking changes nothing, and refuses a module without a state instead of beginning one.
    let state = nexum_store::inspect(dir, name).map_err(|error| place::failure(error, dir))?;
    Ok(state.letters()?)
}

/// Marks or drops letters while no engine runs.
fn change(
    dir: &Path,
    name: &ModuleName,
    chosen: &ChosenArgs,
    retry: bool,
) -> Result<wire::Ordered, Failure> {
    let letters = offline(dir, name)?;
    let known = |id: &&u64| letters.iter().any(|(number, _)| number == *id);
    if let Some(id) = chosen.ids.iter().find(|id| !known(id)) {
        return Err(unknown(name, *id));
    }
    let chosen = letters
        .iter()
        .filter(|(id, _)| chosen.all || chosen.ids.contains(id));
    let changes: Vec<_> = chosen
        .map(|(id, letter)| LetterChange::ordered(*id, letter, retry))
        .collect();
    let store = StateDir::open(dir)?.open_module(name, StoreOptions::default())?;
    store.commit_letters(&WriteSet::default(), None, &changes)?;
    Ok(wire::Ordered {
        letters: changes.len() as u64,
    })
}

fn unknown(name: &ModuleName, id: u64) -> Failure {
    let what = format!("module {name} has no dead letter {id}");
    Failure::unfit_state(&what, "see them with `nexum module dead-letters … list`")
}

fn as_table(name: &ModuleName, letters: &[LetterReport]) -> String {
    if letters.is_empty() {
        return format!("module {name} has no dead letters\n");
    }
    let row = |letter: &LetterReport| {
        let what = match (letter.kind.as_str(), letter.removed) {
            ("block", _) => "block".to_owned(),
            ("tick", _) => tick_text(letter),
            (_, false) => format!("{} logs", letter.logs),
            (_, true) => format!("{} logs, removed", letter.logs),
        };
        vec![
            letter.id.to_string(),
            or_none(letter.chain_id),
            or_none(letter.block),
            what,
            letter.attempts.to_string(),
            if letter.retry { "yes" } else { "-" }.to_owned(),
            letter.error.lines().next().unwrap_or("-").to_owned(),
        ]
    };
    let rows: Vec<_> = letters.iter().map(row).collect();
    table(
        &[
            "ID", "CHAIN", "BLOCK", "EVENT", "ATTEMPTS", "RETRY", "ERROR",
        ],
        &rows,
    )
}

/// A number, or a dash where there is none.
fn or_none(number: Option<u64>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| number.to_string())
}

fn tick_text(letter: &LetterReport) -> String {
    let schedule = letter.schedule.as_deref().unwrap_or("-");
    let due = letter.fired_at_ms.map(instant).unwrap_or_default();
    format!("tick of {schedule} at {due}")
}

fn as_text(letter: &LetterReport) -> String {
    let mut text = String::new();
    let event = letter.event.as_ref();
    let event = event.and_then(|event| serde_json::to_string_pretty(event).ok());
    let both = |one: Option<String>, other: &Option<String>| {
        let other = other.as_deref().unwrap_or_default();
        one.map(|one| format!("{one} {other}"))
    };
    let chain = both(letter.chain_id.map(|id| id.to_string()), &letter.depth);
    let hash = both(letter.block.map(|block| block.to_string()), &letter.hash);
    let (place, block) = match (chain, hash) {
        (Some(chain), Some(hash)) => (("chain", chain), ("block", hash)),
        _ => {
            let schedule = letter.schedule.clone().unwrap_or_default();
            let due = letter.fired_at_ms.map(instant).unwrap_or_default();
            (("schedule", schedule), ("due", due))
        }
    };
    for (key, value) in [
        ("letter", letter.id.to_string()),
        place,
        block,
        ("attempts", letter.attempts.to_string()),
        ("time", format!("{} ms since 1970, UTC", letter.time_ms)),
        ("retry", letter.retry.to_string()),
        ("error", letter.error.clone()),
        ("event", event.unwrap_or_default()),
    ] {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{key:8}  {value}");
    }
    text
}
