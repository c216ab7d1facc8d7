//! What came of a run, for programs and for people.

use nexum_engine::Called;
use nexum_host::Did;
use nexum_testkit::Unmet;
use serde::Serialize;

use crate::output::{Style, styled};

/// What `--json` prints of one fixture.
#[derive(Debug, Serialize)]
pub(super) struct RunReport {
    /// True where every expectation was met and nothing failed that was not to.
    pub(super) ok: bool,
    /// The module.
    pub(super) module: String,
    /// Its version.
    pub(super) version: String,
    /// The fixture.
    pub(super) fixture: String,
    /// The calls, in order.
    pub(super) calls: Vec<CallReport>,
    /// Events that were handled.
    pub(super) events: u64,
    /// Calls that failed.
    pub(super) failed: u64,
    /// Requests to chains.
    pub(super) requests: u64,
    /// Expectations that were met.
    pub(super) met: usize,
    /// What was not as expected.
    pub(super) unmet: Vec<UnmetReport>,
}

/// Something that was not as expected.
#[derive(Debug, Serialize)]
pub(super) struct UnmetReport {
    /// The line of the fixture.
    pub(super) line: usize,
    /// What was expected, and what there is instead.
    pub(super) what: String,
}

impl From<Unmet> for UnmetReport {
    fn from(unmet: Unmet) -> Self {
        Self {
            line: unmet.line,
            what: unmet.what,
        }
    }
}

/// One call of the module.
#[derive(Debug, Serialize)]
pub(super) struct CallReport {
    /// What names the event; null for `init`.
    event: Option<String>,
    ok: bool,
    /// Why it failed.
    error: Option<FailureReport>,
    fuel: u64,
    took_us: u64,
    log: Vec<LineReport>,
    host_calls: Vec<HostCallReport>,
    changes: Vec<ChangeReport>,
}

#[derive(Debug, Serialize)]
struct FailureReport {
    kind: &'static str,
    message: String,
}

#[derive(Debug, Serialize)]
struct LineReport {
    level: String,
    source: &'static str,
    message: String,
}

#[derive(Debug, Serialize)]
struct HostCallReport {
    interface: &'static str,
    function: &'static str,
    arguments: String,
    took_us: u64,
    error: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct ChangeReport {
    key: String,
    /// `0x` and hex digits; null for none.
    old: Option<String>,
    new: Option<String>,
}

impl CallReport {
    pub(super) fn of(call: &Called) -> Self {
        let micros =
            |time: std::time::Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let (mut log, mut host_calls) = (Vec::new(), Vec::new());
        for did in &call.did {
            match did {
                Did::Logged {
                    level,
                    source,
                    text,
                } => log.push(LineReport {
                    level: level.to_string().to_lowercase(),
                    source,
                    message: text.clone(),
                }),
                Did::Asked(asked) => host_calls.push(HostCallReport {
                    interface: asked.interface.as_str(),
                    function: asked.function,
                    arguments: asked.asked.to_string(),
                    took_us: micros(asked.took),
                    error: asked.failed.map(nexum_types::HostErrorKind::as_str),
                }),
            }
        }
        let hex = |value: &Vec<u8>| format!("0x{}", hex::encode(value));
        let changes = call.changes.iter().map(|change| ChangeReport {
            key: change.key.clone(),
            old: change.old.as_ref().map(hex),
            new: change.new.as_ref().map(hex),
        });
        Self {
            event: call
                .event
                .as_ref()
                .and_then(|event| Some(event.id()?.to_string())),
            ok: call.ended.is_ok(),
            error: call.ended.as_ref().err().map(|failure| FailureReport {
                kind: failure.kind.as_str(),
                message: failure.error.clone(),
            }),
            fuel: call.fuel,
            took_us: micros(call.took),
            log,
            host_calls,
            changes: changes.collect(),
        }
    }
}

impl RunReport {
    /// The last line about one fixture.
    pub(super) fn summary(&self) -> String {
        let word = if self.ok {
            styled(Style::Good, "ok")
        } else {
            styled(Style::Bad, "FAILED")
        };
        let unmet = match self.unmet.len() {
            0 => String::new(),
            count => format!(", {count} not"),
        };
        format!(
            "{word}: {}: {} events handled, {} calls failed, {} requests, {} expectations met{unmet}\n",
            self.fixture, self.events, self.failed, self.requests, self.met
        )
    }

    /// The last line about several.
    pub(super) fn total(fixtures: usize, failed: usize) -> String {
        match failed {
            0 => format!("{} {fixtures} fixtures\n", styled(Style::Good, "ok:")),
            failed => format!(
                "{} {failed} of {fixtures} fixtures\n",
                styled(Style::Bad, "FAILED:")
            ),
        }
    }
}
