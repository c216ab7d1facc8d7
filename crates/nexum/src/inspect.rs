//! `nexum state inspect`.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use nexum_manifest::EngineFile;
use nexum_store::{Inspection, StoreError};
use nexum_types::{Cursor, Source};
use serde::Serialize;

use crate::{
    cli::{ConfigFile, InspectArgs},
    exit::Failure,
    output,
};

/// The longest value that the text form shows whole, in bytes.
const SHOWN_BYTES: usize = 64;

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report<'a> {
    module: &'a str,
    file: String,
    format_version: u32,
    /// All keys and values, as the quota counts them.
    used_bytes: u64,
    cursors: Vec<CursorReport>,
    entries: Vec<Entry>,
    /// Entries that match and are not shown.
    more: usize,
}

#[derive(Debug, Serialize)]
struct CursorReport {
    chain_id: u64,
    depth: String,
    position: &'static str,
    block: u64,
    hash: Option<String>,
    /// The line that says all of it.
    #[serde(skip)]
    text: String,
}

impl CursorReport {
    fn new(source: &Source, cursor: &Cursor) -> Self {
        let Source::Chain(chain, depth) = source;
        let (position, hash) = match cursor {
            Cursor::Block(block) => ("after", Some(block.hash)),
            Cursor::Part { block, .. } => ("within", Some(block.hash)),
            Cursor::Before(_) => ("before", None),
        };
        let block = match cursor {
            Cursor::Block(block) | Cursor::Part { block, .. } => block.number,
            Cursor::Before(number) => *number,
        };
        Self {
            chain_id: chain.0,
            depth: depth.to_string(),
            position,
            block: block.0,
            hash: hash.map(|hash| hash.to_string()),
            text: format!("{source} {cursor}"),
        }
    }
}

#[derive(Debug, Serialize)]
struct Entry {
    key: String,
    #[serde(serialize_with = "as_hex")]
    value: Vec<u8>,
}

pub(crate) fn inspect(args: &InspectArgs) -> Result<(), Failure> {
    let dir = state_dir(args.state_dir.as_deref(), &args.config)?;
    let state = nexum_store::inspect(&dir, &args.module).map_err(|error| failure(error, &dir))?;
    let report = report(args, &state)?;
    if args.json {
        output::print_json(&report)
    } else {
        output::print(&as_text(&report))
    }
}

/// The state directory: the one that is named, or else that of the engine's file.
pub(crate) fn state_dir(named: Option<&Path>, config: &ConfigFile) -> Result<PathBuf, Failure> {
    if let Some(dir) = named {
        return Ok(dir.to_owned());
    }
    let file = EngineFile::load(&config.path).map_err(Failure::Refused)?;
    Ok(file.into_config().state_dir)
}

/// The failure, with the names to choose from where the module is none of them.
pub(crate) fn failure(error: StoreError, dir: &Path) -> Failure {
    let help = match &error {
        StoreError::NoSuchModule { .. } => match nexum_store::list_modules(dir) {
            Ok(modules) if modules.is_empty() => Some("no module has a state there".to_owned()),
            Ok(modules) => {
                let names: Vec<_> = modules.iter().map(ToString::to_string).collect();
                Some(format!("there is a state of: {}", names.join(", ")))
            }
            // What keeps the names from being told is not what was asked.
            Err(_) => None,
        },
        _ => None,
    };
    Failure::state(error, help)
}

fn report<'a>(args: &'a InspectArgs, state: &Inspection) -> Result<Report<'a>, Failure> {
    let cursors = state.cursors().iter();
    let cursors = cursors.map(|(source, cursor)| CursorReport::new(source, cursor));
    let mut report = Report {
        module: args.module.as_str(),
        file: state.path().display().to_string(),
        format_version: state.format_version(),
        used_bytes: state.used_bytes(),
        cursors: cursors.collect(),
        entries: Vec::new(),
        more: 0,
    };
    for entry in state.entries(&args.prefix)? {
        let (key, value) = entry?;
        if args.limit == 0 || report.entries.len() < args.limit {
            report.entries.push(Entry { key, value });
        } else {
            report.more += 1;
        }
    }
    Ok(report)
}

fn as_text(report: &Report<'_>) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(text, "module      {}", report.module);
    let _ = writeln!(text, "file        {}", report.file);
    let _ = writeln!(text, "format      {}", report.format_version);
    let _ = writeln!(text, "used bytes  {}", report.used_bytes);
    for cursor in &report.cursors {
        let _ = writeln!(text, "cursor      {}", cursor.text);
    }
    for Entry { key, value } in &report.entries {
        let _ = writeln!(text, "{} = {}", key.escape_debug(), shown(value));
    }
    if report.more > 0 {
        let _ = writeln!(text, "({} more; --limit 0 shows all)", report.more);
    }
    text
}

/// Text where the value is printable, hex where not; cut where it is long.
fn shown(value: &[u8]) -> String {
    match std::str::from_utf8(value) {
        Ok(text) if text.len() <= SHOWN_BYTES && !text.chars().any(char::is_control) => {
            format!("{text:?}")
        }
        _ if value.len() <= SHOWN_BYTES => hexed(value),
        _ => format!("{}… ({} bytes)", hexed(&value[..SHOWN_BYTES]), value.len()),
    }
}

fn hexed(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

fn as_hex<S: serde::Serializer>(value: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&hexed(value))
}
