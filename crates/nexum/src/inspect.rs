//! `nexum state inspect`.

use std::fmt::Write as _;

use jiff::Timestamp;
use nexum_engine::wire::{CursorReport, EntryReport, StateReport};
use nexum_store::Inspection;

use crate::{
    cli::InspectArgs,
    client::Client,
    exit::Failure,
    modules::{route, show},
    place,
};

/// The longest value that the text form shows whole, in bytes.
const SHOWN_BYTES: usize = 64;

pub(crate) async fn inspect(args: &InspectArgs) -> Result<(), Failure> {
    let (dir, client) = place::engine(&args.at).await?;
    let report = match client {
        Some(client) => online(&client, args).await?,
        None => {
            let state = nexum_store::inspect(&dir, &args.module);
            report(args, &state.map_err(|error| place::failure(error, &dir))?)?
        }
    };
    show(&args.at, &report, || as_text(&report))
}

/// Asks the engine for as many pages as it takes. The module may change its state in between.
async fn online(client: &Client, args: &InspectArgs) -> Result<StateReport, Failure> {
    let mut after = None;
    let mut report: Option<StateReport> = None;
    loop {
        let had = report
            .as_ref()
            .map_or(0, |report| report.entries.len() as u64);
        let page: StateReport = client.get(&page_of(args, had, after.as_deref())).await?;
        after = page.entries.last().map(|entry| entry.key.clone());
        let report = match &mut report {
            None => report.insert(page),
            Some(report) => {
                report.entries.extend(page.entries);
                report.more = page.more;
                report
            }
        };
        let has_all = args.limit > 0 && report.entries.len() as u64 >= args.limit;
        if report.more == 0 || has_all || after.is_none() {
            return Ok(report.clone());
        }
    }
}

/// The route of the entries after those that were had.
fn page_of(args: &InspectArgs, had: u64, after: Option<&str>) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("prefix", &args.prefix);
    if let Some(after) = after {
        query.append_pair("after", after);
    }
    query.append_pair("limit", &args.limit.saturating_sub(had).to_string());
    route(&args.module, &format!("/state?{}", query.finish()))
}

fn report(args: &InspectArgs, state: &Inspection) -> Result<StateReport, Failure> {
    let cursors = state.cursors().iter();
    let cursors = cursors.map(|(source, cursor)| CursorReport::new(source, cursor));
    let mut report = StateReport {
        module: args.module.to_string(),
        file: state.path().display().to_string(),
        format_version: state.format_version(),
        used_bytes: state.used_bytes(),
        cursors: cursors.collect(),
        entries: Vec::new(),
        more: 0,
    };
    for entry in state.entries(&args.prefix)? {
        let (key, value) = entry?;
        if args.limit == 0 || (report.entries.len() as u64) < args.limit {
            let value = format!("0x{}", hex::encode(value));
            report.entries.push(EntryReport { key, value });
        } else {
            report.more += 1;
        }
    }
    Ok(report)
}

fn as_text(report: &StateReport) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(text, "module      {}", report.module);
    let _ = writeln!(text, "file        {}", report.file);
    let _ = writeln!(text, "format      {}", report.format_version);
    let _ = writeln!(text, "used bytes  {}", report.used_bytes);
    for cursor in &report.cursors {
        let _ = writeln!(text, "cursor      {}", cursor_text(cursor));
    }
    for EntryReport { key, value } in &report.entries {
        let bytes = value
            .strip_prefix("0x")
            .and_then(|hex| hex::decode(hex).ok());
        let value = bytes.map_or_else(|| value.clone(), |bytes| shown(&bytes));
        let _ = writeln!(text, "{} = {value}", key.escape_debug());
    }
    if report.more > 0 {
        let _ = writeln!(text, "({} more; --limit 0 shows all)", report.more);
    }
    text
}

fn cursor_text(cursor: &CursorReport) -> String {
    let place = place_text(cursor);
    let (chain, schedule) = (
        cursor.chain_id.unwrap_or_default(),
        cursor.schedule.as_deref(),
    );
    match (schedule, cursor.depth.as_deref()) {
        (Some(schedule), _) => format!("schedule {schedule} {place}"),
        (None, None | Some("head")) => format!("chain {chain} {place}"),
        (None, Some(depth)) => format!("chain {chain} {depth} {place}"),
    }
}

/// Where a cursor stands, for people.
pub(crate) fn place_text(cursor: &CursorReport) -> String {
    if let Some(at_ms) = cursor.fired_at_ms {
        let position = match cursor.position.as_str() {
            "within" => "in the tick of",
            _ => "at",
        };
        return format!("{position} {}", instant(at_ms));
    }
    let position = match cursor.position.as_str() {
        "after" => "at",
        "within" => "in",
        other => other,
    };
    let hash: String = cursor.hash.iter().map(|hash| format!(" {hash}")).collect();
    format!(
        "{position} block {}{hash}",
        cursor.block.unwrap_or_default()
    )
}

/// An instant, for people.
pub(crate) fn instant(at_ms: u64) -> String {
    let at = i64::try_from(at_ms).map(Timestamp::from_millisecond);
    match at {
        Ok(Ok(at)) => at.to_string(),
        _ => format!("{at_ms} ms since 1970, UTC"),
    }
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
