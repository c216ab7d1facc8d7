//! The task that brings the logs of the ring's blocks, for the readers that want some. Blocks
//! are in the ring before their logs are: those who want none do not wait for them.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;

use super::{Shared, interest::Plan, ring::Entry};
use crate::{backoff::Backoff, failure::Failure, limits::BLOCKS_PER_BATCH};

/// After this many attempts in a row that brought nothing, the log says so.
const ATTEMPTS_BEFORE_WARNING: u32 = 6;

/// Fills for ever.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut head = shared.head.subscribe();
    let mut wait = Backoff::new(Duration::from_millis(50), Duration::from_secs(5));
    loop {
        // Before the ring is looked at: a change after this line wakes the task.
        head.borrow_and_update();
        let (plan, entries) = lacking(&shared);
        if entries.is_empty() {
            tokio::select! {
                Ok(()) = head.changed() => {}
                () = shared.wanted.notified() => {}
            }
            continue;
        }
        let Err(failure) = fill(&shared, &plan, &entries).await else {
            wait.reset();
            continue;
        };
        let (chain, first) = (shared.source.chain(), entries[0].header.number);
        if wait.attempts() == ATTEMPTS_BEFORE_WARNING {
            tracing::warn!(%chain, block = %first, %failure, "a block's logs do not come; asking on");
        } else {
            tracing::debug!(%chain, block = %first, %failure, "a block's logs are asked for again");
        }
        let delay = wait.next_delay();
        tokio::select! {
            () = sleep(delay) => {}
            Ok(()) = head.changed() => {}
        }
    }
}

/// The oldest blocks of the ring whose logs some reader wants and nobody has asked for. What a
/// bloom settles is settled here.
fn lacking(shared: &Shared) -> (Arc<Plan>, Vec<Arc<Entry>>) {
    let (plan, needs) = shared.registry.needs();
    let Some(first) = needs.iter().map(|(from, _)| *from).min() else {
        return (plan, Vec::new());
    };
    let entries: Vec<_> = shared.ring().from(first).cloned().collect();
    let mut lacking = Vec::new();
    let mut settled = false;
    for entry in entries {
        let number = entry.header.number;
        let wanting = needs.iter().filter(|(from, _)| *from <= number);
        let Some(generation) = wanting.map(|(_, needs)| *needs).max() else {
            continue;
        };
        if entry.with_logs(generation).is_some() {
            continue;
        }
        let bloom = entry.header.bloom.as_deref();
        if shared.source.trust_bloom && bloom.is_some_and(|bloom| !plan.may_match(bloom)) {
            entry.set_logs(plan.generation, Vec::new());
            settled = true;
        } else if lacking.len() < BLOCKS_PER_BATCH {
            lacking.push(entry);
        }
    }
    if settled {
        shared.filled.send_modify(|filled| *filled += 1);
    }
    (plan, lacking)
}

/// Asks for the logs of all of them; takes what comes.
async fn fill(shared: &Shared, plan: &Plan, entries: &[Arc<Entry>]) -> Result<(), Failure> {
    let answers = shared.source.block_logs(plan, entries).await?;
    let mut failed = None;
    for (entry, answer) in entries.iter().zip(answers) {
        match answer {
            Ok(logs) => entry.set_logs(plan.generation, logs),
            Err(failure) => failed = Some(failure),
        }
    }
    shared.filled.send_modify(|filled| *filled += 1);
    failed.map_or(Ok(()), Err)
}
