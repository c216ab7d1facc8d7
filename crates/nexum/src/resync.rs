//! `nexum module resync`: moves a module's cursors of one chain, by hand.

use std::fmt::Write as _;

use nexum_store::{History, StateDir, Step, StoreOptions};
use nexum_types::{BlockNumber, Cursor, Source};
use serde::Serialize;

use crate::{
    cli::ResyncArgs,
    exit::{Code, Failure},
    inspect::{failure, state_dir},
    output,
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
    done: bool,
}

/// One cursor, and where it was.
#[derive(Debug, Serialize)]
struct Moved {
    depth: String,
    from: String,
    to: String,
}

pub(crate) fn resync(args: &ResyncArgs) -> Result<(), Failure> {
    let dir = state_dir(args.state_dir.as_deref(), &args.config)?;
    // Looking changes nothing, and refuses a module without a state instead of beginning one.
    let state = nexum_store::inspect(&dir, &args.module).map_err(|error| failure(error, &dir))?;
    let cursors = state.cursors().iter();
    let before: Vec<(Source, Cursor)> = cursors
        .map(|(source, cursor)| (*source, *cursor))
        .filter(|(Source::Chain(chain, _), _)| *chain == args.chain)
        .collect();
    let file = state.path().display().to_string();
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

    let at = Cursor::Before(BlockNumber(args.at));
    if args.yes {
        let dir = StateDir::open(&dir)?;
        let store = dir.open_module(&args.module, StoreOptions::default())?;
        for (source, _) in &before {
            let step = Step {
                source: *source,
                cursor: at,
                history: History::Forget {
                    from: BlockNumber(0),
                },
            };
            store.note(step);
        }
        // One transaction for all of them.
        store.flush()?;
    }

    let report = Report {
        module: args.module.as_str(),
        file,
        chain_id: args.chain.0,
        next_block: args.at,
        sources: before
            .iter()
            .map(|(Source::Chain(_, depth), cursor)| Moved {
                depth: depth.to_string(),
                from: cursor.to_string(),
                to: at.to_string(),
            })
            .collect(),
        done: args.yes,
    };
    if args.json {
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

fn as_text(report: &Report<'_>) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(text, "module      {}", report.module);
    let _ = writeln!(text, "file        {}", report.file);
    for Moved { depth, from, to } in &report.sources {
        let chain = report.chain_id;
        let _ = writeln!(text, "cursor      chain {chain} {depth}: {from} -> {to}");
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
