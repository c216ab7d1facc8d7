//! `nexum module resync`: moves a module's cursors of one chain, by hand.

use std::{fmt::Write as _, path::Path};

use nexum_engine::wire;
use nexum_store::{StateDir, StoreOptions};
use nexum_types::{BlockNumber, Cursor, Source};
use serde::Serialize;

use crate::{
    cli::ResyncArgs,
    client::Client,
    exit::{Code, Failure},
    inspect::place_text,
    modules::route,
    output, place,
};

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report<'a> {
    module: &'a str,
    file: String,
    chain_id: u64,
    /// The block that the module gets next.
    next_block: u64,
    sources: Vec<Moved>,
    /// The dead letters that go.
    dead_letters: u64,
    done: bool,
}

/// One cursor, and where it was.
#[derive(Debug, Serialize)]
struct Moved {
    depth: String,
    from: String,
    to: String,
}

pub(crate) async fn resync(args: &ResyncArgs) -> Result<(), Failure> {
    let (dir, client) = place::engine(&args.at).await?;
    let (file, before, dead_letters) = match client {
        Some(client) => online(&client, args).await?,
        None => offline(&dir, args)?,
    };
    let at = Cursor::Before(BlockNumber(args.block));
    let report = Report {
        module: args.module.as_str(),
        file,
        chain_id: args.chain.0,
        next_block: args.block,
        sources: before
            .into_iter()
            .map(|(depth, from)| Moved {
                depth,
                from,
                to: at.to_string(),
            })
            .collect(),
        dead_letters,
        done: args.yes,
    };
    if args.at.json {
        output::print_json(&report)?;
    } else {
        output::print(&as_text(&report))?;
    }
    if args.yes {
        Ok(())
    } else {
        Err(Failure::AlreadyTold(Code::Usage))
    }
}

/// The file, each cursor's depth and where it was, and how many dead letters go.
type Found = (String, Vec<(String, String)>, u64);

/// By the engine that runs: it moves the cursors between two calls.
async fn online(client: &Client, args: &ResyncArgs) -> Result<Found, Failure> {
    let body = wire::Resync {
        chain_id: args.chain.0,
        at: args.block,
        confirm: args.yes,
    };
    let done: wire::Resynced = client.post(&route(&args.module, "/resync"), &body).await?;
    let before = done.before.iter();
    let before = before.filter_map(|cursor| Some((cursor.depth.clone()?, place_text(cursor))));
    let file: wire::StateReport = client.get(&route(&args.module, "/state?limit=1")).await?;
    Ok((file.file, before.collect(), done.dead_letters))
}

/// In the file, while no engine runs.
fn offline(dir: &Path, args: &ResyncArgs) -> Result<Found, Failure> {
    // Looking changes nothing, and refuses a module without a state instead of beginning one.
    let state = nexum_store::inspect(dir, &args.module);
    let state = state.map_err(|error| place::failure(error, dir))?;
    let cursors = state.cursors().iter();
    let before: Vec<(Source, Cursor)> = cursors
        .map(|(source, cursor)| (*source, *cursor))
        .filter(|(source, _)| source.chain() == Some(args.chain))
        .collect();
    let file = state.path().display().to_string();
    let at = BlockNumber(args.block);
    let letters = state.letters()?;
    let gone = letters
        .iter()
        .filter(|(_, letter)| letter.is_from(args.chain, at));
    let gone = gone.count() as u64;
    // The directory is had for writing only once nobody looks at it.
    drop(state);
    if before.is_empty() {
        return Err(Failure::unfit_state(
            &format!(
                "module {} has no cursor of chain {}",
                args.module, args.chain
            ),
            "without one it begins where its manifest says; check the chain's id with `nexum state inspect`",
        ));
    }
    if args.yes {
        let dir = StateDir::open(dir)?;
        let store = dir.open_module(&args.module, StoreOptions::default())?;
        store.resync(args.chain, at)?;
    }
    let before = before.iter().filter_map(|(source, cursor)| match source {
        Source::Chain(_, depth) => Some((depth.to_string(), cursor.to_string())),
        Source::Schedule(_) => None,
    });
    Ok((file, before.collect(), gone))
}

fn as_text(report: &Report<'_>) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(text, "module      {}", report.module);
    let _ = writeln!(text, "file        {}", report.file);
    for Moved { depth, from, to } in &report.sources {
        let chain = report.chain_id;
        let _ = writeln!(text, "cursor      chain {chain} {depth}: {from} -> {to}");
    }
    if report.dead_letters > 0 {
        let (count, block) = (report.dead_letters, report.next_block);
        let _ = writeln!(
            text,
            "letters     {count} of block {block} and later: removed"
        );
    }
    text += if report.done {
        "What was delivered of this chain is forgotten. The module's own entries are as they were:\n\
         what they say of blocks that have left the chain stays until the module changes it.\n"
    } else {
        "With --yes, the cursors move, and what was delivered of this chain is forgotten. The module's\n\
         own entries stay as they are, also what they say of blocks that have left the chain.\n\
         Nothing has been changed: run it again with --yes.\n"
    };
    text
}
