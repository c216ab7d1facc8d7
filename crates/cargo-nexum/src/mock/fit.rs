//! Whether a fixture fits the module: what is wrong is told at its line, before anything runs.

use std::{collections::BTreeSet, path::Path};

use nexum_manifest::{ManifestErrors, ModuleFile, ModuleManifest, Place, Problem, Subscription};
use nexum_testkit::{Act, ConfigScalar, ConfigSetting, NewLog, ScriptError};
use nexum_types::{B256, BlockNumber, ChainId, ConfigValue, Log};

use super::{Told, stage};
use crate::exit::Failure;

/// A line that is none.
pub(super) fn wrong(path: &Path, text: &str, error: &ScriptError) -> Failure {
    let place = Place::of_line(path, text, error.line);
    let problem = Problem::new(place, error.problem.to_string());
    Failure::Refused(problem.with_label("this line").into())
}

/// Refuses what the module would never hear of, and what the engine does not host yet.
pub(super) fn check(told: &Told, module: &ModuleFile) -> Result<(), Failure> {
    let manifest = module.manifest();
    let problem = |line: usize, message: String| {
        Problem::new(Place::of_line(&told.path, &told.text, line), message)
    };
    let mut problems = Vec::new();
    let named: BTreeSet<_> = manifest.chains.iter().map(|chain| chain.0).collect();
    for chain in &told.fixture.chains {
        if !named.contains(&chain.id) {
            let chains: Vec<_> = named.iter().map(ToString::to_string).collect();
            let message = format!("the manifest does not name chain {}", chain.id);
            problems.push(problem(chain.line, message).with_help(format!(
                "it names {}; add the chain to `required` under [chains], or correct this line",
                if chains.is_empty() {
                    "none".to_owned()
                } else {
                    chains.join(", ")
                }
            )));
        }
    }
    for entry in &told.fixture.config {
        let of_manifest = manifest.config.0.iter().find(|(key, _)| *key == entry.key);
        let (here, there) = (
            kind(&entry.value),
            of_manifest.map(|(_, value)| kind_of_manifest(value)),
        );
        if let Some(there) = there.filter(|there| *there != here) {
            let message = format!("`{}` is {here} here and {there} in the manifest", entry.key);
            problems.push(problem(entry.line, message).with_help(format!("write {there}")));
        }
    }
    for line in told.fixture.without_block() {
        let message = "no block takes this, so nothing comes of it".to_owned();
        problems.push(problem(line, message).with_help(
            "add `mine` behind it; a reorg drops what no block has taken, and a block has what \
             stands above its `mine`",
        ));
    }
    let mut unheard: BTreeSet<usize> = BTreeSet::new();
    for (line, chain, log) in told.fixture.logs() {
        let is_heard = !named.contains(&chain) || is_wanted(&manifest.subscriptions, chain, log);
        // Once for all the logs of a line.
        if !is_heard && unheard.insert(line) {
            let message = format!("nothing subscribes to this log on chain {chain}");
            problems.push(problem(line, message).with_help(why(
                &manifest.subscriptions,
                chain,
                log,
            )));
        }
    }
    for step in &told.fixture.steps {
        let what = match &step.act {
            Act::Tick { schedule } => {
                if let Some((message, help)) = unknown_schedule(manifest, schedule) {
                    problems.push(problem(step.line, message).with_help(help));
                }
                continue;
            }
            Act::Message { .. } => "messages",
            Act::Http { url, .. } => {
                if !manifest.lists_server_of(url) {
                    let message = "the manifest does not list this server".to_owned();
                    problems.push(problem(step.line, message).with_help(
                        "add it to `allow` under [capabilities.http], or correct this line",
                    ));
                }
                continue;
            }
            _ => continue,
        };
        let message = format!("the engine does not host {what} yet");
        problems.push(
            problem(step.line, message).with_help(
                "take the line out here; a test of the handler with MockHost can play it",
            ),
        );
    }
    match ManifestErrors::new(problems) {
        Some(errors) => Err(errors.into()),
        None => Ok(()),
    }
}

/// What is wrong with a schedule that the manifest does not have, and what to do about it.
fn unknown_schedule(manifest: &ModuleManifest, schedule: &str) -> Option<(String, String)> {
    let known = stage::schedules(manifest);
    if known.iter().any(|known| known.text() == schedule) {
        return None;
    }
    let known: Vec<_> = known
        .iter()
        .map(|known| format!("{:?}", known.text()))
        .collect();
    let help = if known.is_empty() {
        "add a [[subscription]] with kind = \"cron\"".to_owned()
    } else {
        format!("it has {}", known.join(", "))
    };
    let message = format!("the manifest has no schedule {schedule:?}");
    Some((message, help))
}

fn kind(value: &ConfigSetting) -> &'static str {
    match value {
        ConfigSetting::Scalar(ConfigScalar::Text(_)) => "text in quotes",
        ConfigSetting::Scalar(ConfigScalar::Integer(_)) => "an integer",
        ConfigSetting::Scalar(ConfigScalar::Boolean(_)) => "a boolean",
        ConfigSetting::List(_) => "a list",
    }
}

/// The same words for a value of the manifest.
fn kind_of_manifest(value: &ConfigValue) -> &'static str {
    match value {
        ConfigValue::String(_) => "text in quotes",
        ConfigValue::Integer(_) => "an integer",
        ConfigValue::Boolean(_) => "a boolean",
        ConfigValue::List(_) => "a list",
    }
}

/// True where a subscription takes the log.
fn is_wanted(subscriptions: &[Subscription], chain: u64, log: &NewLog) -> bool {
    let log = as_emitted(chain, log);
    filters(subscriptions, chain).any(|filter| filter.matches(&log))
}

fn filters(
    subscriptions: &[Subscription],
    chain: u64,
) -> impl Iterator<Item = &nexum_types::LogFilter> {
    subscriptions.iter().filter_map(move |one| match one {
        Subscription::Log(log) if log.chain_id.0 == chain => Some(&log.filter),
        _ => None,
    })
}

/// What is between the log and the subscription that is nearest to it.
fn why(subscriptions: &[Subscription], chain: u64, log: &NewLog) -> String {
    let mut any = false;
    let mut other_address = false;
    let mut other_event = false;
    for filter in filters(subscriptions, chain) {
        any = true;
        let address = filter.addresses.is_empty() || filter.addresses.contains(&log.address);
        let wanted = &filter.topics[0];
        let event = wanted.is_empty()
            || log
                .topics
                .first()
                .is_some_and(|topic| wanted.contains(topic));
        match (address, event) {
            (false, true) => other_address = true,
            (true, false) => other_event = true,
            _ => {}
        }
    }
    match (any, other_address, other_event) {
        (false, ..) => format!("the manifest has no [[subscription]] to logs of chain {chain}"),
        (_, true, _) => format!(
            "a [[subscription]] takes this event, but not from {:#x}: correct its `address`, or this line",
            log.address
        ),
        (_, _, true) => "a [[subscription]] takes logs of this address, but of another event: correct \
                         its `event`, or this signature"
            .to_owned(),
        _ => "correct the [[subscription]] or this line: the address, the signature, an indexed value"
            .to_owned(),
    }
}

fn as_emitted(chain: u64, log: &NewLog) -> Log {
    Log {
        chain_id: ChainId(chain),
        address: log.address,
        topics: log.topics.clone(),
        data: log.data.clone(),
        block_number: BlockNumber(0),
        block_hash: B256::ZERO,
        block_timestamp_ms: 0,
        transaction_hash: B256::ZERO,
        transaction_index: 0,
        log_index: 0,
        removed: false,
    }
}

/// A line of the fixture, as it stands there.
pub(super) fn line_of(told: &Told, line: usize) -> &str {
    let text = told
        .text
        .lines()
        .nth(line.saturating_sub(1))
        .unwrap_or_default();
    text.trim()
}
