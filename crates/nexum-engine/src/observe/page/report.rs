//! What the stream of the status page says, in JSON: the one place where its events are declared.
//! `docs/reference/health.md` says what each key means.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::{
    logbook::LogLine,
    observe::health::{HealthReport, shortened},
    wire::LetterReport,
};

/// The most fields of a line that are told.
const MAX_FIELDS: usize = 16;

/// The event `status`: how everything is, once a second.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StatusReport {
    /// When this was so, by the engine's clock, in milliseconds since the Unix epoch, UTC.
    pub time_ms: u64,
    /// When the engine began to start, by the same clock.
    pub started_ms: u64,
    /// Whether lines of the log are told, in events `log`.
    pub logs: bool,
    /// What `/health` says.
    #[serde(flatten)]
    pub health: HealthReport,
    /// How fast each of the modules is, by name.
    pub paces: Vec<ModulePace>,
    /// The newest dead letters of all modules, newest first.
    pub letters: Vec<ModuleLetter>,
}

/// How fast one module is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModulePace {
    /// The module.
    pub name: String,
    /// Events handled in a second, over the last ten; null until there are two looks to compare.
    pub events_per_second: Option<f64>,
    /// How long half of the calls with events took at most, over the last minute, in microseconds;
    /// null where there was none.
    pub run_p50_us: Option<u64>,
    /// How long 99 of a hundred of them took at most.
    pub run_p99_us: Option<u64>,
}

/// One dead letter.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModuleLetter {
    /// The module whose it is.
    pub module: String,
    /// What it says, without the event itself.
    #[serde(flatten)]
    pub letter: LetterReport,
}

/// The event `log`: lines that were logged since the one before, or the last ones.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LogReport {
    /// The lines, in order.
    pub lines: Vec<NumberedLine>,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NumberedLine {
    /// The how-manieth it is since the engine started. A gap: there were more than are told.
    pub number: u64,
    /// The line; texts that are very long are cut.
    #[serde(flatten)]
    pub line: LogLine,
}

impl LogReport {
    pub(super) fn of(lines: &[(u64, Arc<LogLine>)]) -> Self {
        let numbered = lines.iter().map(|(number, line)| NumberedLine {
            number: *number,
            line: cut(line),
        });
        Self {
            lines: numbered.collect(),
        }
    }
}

/// The line without what is too much of it: a guest may have chosen its texts.
fn cut(line: &LogLine) -> LogLine {
    let fields = line.fields.iter().take(MAX_FIELDS);
    LogLine {
        message: shortened(&line.message),
        fields: fields
            .map(|(name, value)| (name.clone(), cut_value(value)))
            .collect(),
        ..line.clone()
    }
}

fn cut_value(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(shortened(text)),
        // The log makes no lists and no tables of a field.
        other => other.clone(),
    }
}
