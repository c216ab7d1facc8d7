//! What the module's calls have come to, noted as the engine tells of them.

use std::sync::{Mutex, MutexGuard, PoisonError};

use nexum_engine::{Called, Observer};
use nexum_host::{Asked, Did};
use nexum_testkit::{LogLevel, Seen};
use tracing::Level;

use super::{report::CallReport, tell};
use crate::output;

/// What has happened so far.
#[derive(Debug, Default)]
pub(super) struct Book {
    /// Whether each call is kept, for a program, and not printed, for a person.
    is_kept: bool,
    notes: Mutex<Notes>,
}

#[derive(Debug, Default)]
struct Notes {
    /// Since the last `expect` block.
    seen: Seen,
    /// The first failure since then.
    first_failure: Option<String>,
    totals: Totals,
    calls: Vec<CallReport>,
}

/// Counts of a whole run.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Totals {
    pub(super) events: u64,
    pub(super) failed: u64,
    pub(super) requests: u64,
}

impl Book {
    pub(super) fn new(is_kept: bool) -> Self {
        Self {
            is_kept,
            notes: Mutex::default(),
        }
    }

    /// What has been seen since this was last asked, and the first failure among it.
    pub(super) fn take(&self) -> (Seen, Option<String>) {
        let mut notes = self.notes();
        let first = notes.first_failure.take();
        (std::mem::take(&mut notes.seen), first)
    }

    /// Everything at the end.
    pub(super) fn close(&self) -> (Totals, Vec<CallReport>) {
        let mut notes = self.notes();
        (notes.totals, std::mem::take(&mut notes.calls))
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        // Plain values: a panic while they are held leaves them whole.
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Book {
    fn called(&self, call: Called) {
        let mut notes = self.notes();
        for did in &call.did {
            match did {
                Did::Logged { level, text, .. } => {
                    notes.seen.lines.push((level_of(*level), text.clone()));
                }
                Did::Asked(asked) => {
                    if let Asked::Requests(chain, requests) = &asked.asked {
                        notes.totals.requests += requests.len() as u64;
                        let requests = requests.iter().map(|one| (chain.0, one.method.clone()));
                        notes.seen.requests.extend(requests);
                    }
                }
            }
        }
        match (&call.ended, &call.event) {
            (Ok(()), Some(_)) => {
                notes.seen.events += 1;
                notes.totals.events += 1;
            }
            (Ok(()), None) => {}
            (Err(failure), _) => {
                notes.seen.failed += 1;
                notes.totals.failed += 1;
                notes
                    .first_failure
                    .get_or_insert_with(|| failure.error.clone());
            }
        }
        if self.is_kept {
            notes.calls.push(CallReport::of(&call));
        } else {
            // Where nobody can be shown it any more, the run goes on for its exit code.
            let _ = output::print(&tell::call(&call));
        }
    }
}

fn level_of(level: Level) -> LogLevel {
    match level {
        Level::TRACE => LogLevel::Trace,
        Level::DEBUG => LogLevel::Debug,
        Level::INFO => LogLevel::Info,
        Level::WARN => LogLevel::Warn,
        Level::ERROR => LogLevel::Error,
    }
}
