//! `nexum:host/logging`, and the log of one module, where its standard streams end too.

use std::{
    fmt::Write as _,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use nexum_types::{EventId, ModuleName};
use tracing::Level;

use crate::{
    bindings,
    guest::Guest,
    limits::MAX_LOG_LINE_BYTES,
    trace::{Did, Trace},
    usage::Usage,
};

impl bindings::logging::Host for Guest {
    fn log(&mut self, level: bindings::logging::Level, message: String) -> wasmtime::Result<()> {
        let level = match level {
            bindings::logging::Level::Trace => Level::TRACE,
            bindings::logging::Level::Debug => Level::DEBUG,
            bindings::logging::Level::Info => Level::INFO,
            bindings::logging::Level::Warn => Level::WARN,
            bindings::logging::Level::Error => Level::ERROR,
        };
        self.log.line(level, "logging", &message);
        Ok(())
    }
}

/// How many lines one module may log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogRate {
    /// Lines a second, in the long run.
    pub per_second: u32,
    /// Lines at once, after a quiet time.
    pub burst: u32,
}

impl Default for LogRate {
    fn default() -> Self {
        Self {
            per_second: 100,
            burst: 1000,
        }
    }
}

/// The log of one module. Lines over the rate are counted, not kept and not waited for; the
/// count is told with the next line that passes.
#[derive(Debug)]
pub(crate) struct ModuleLog {
    name: ModuleName,
    budget: Mutex<Budget>,
    usage: Arc<Usage>,
    /// The event that the call in flight is about.
    event: Mutex<Option<EventId>>,
    pub(crate) trace: Trace,
}

impl ModuleLog {
    pub(crate) fn new(name: ModuleName, rate: LogRate, usage: Arc<Usage>) -> Self {
        Self {
            name,
            budget: Mutex::new(Budget::new(rate, Instant::now())),
            usage,
            event: Mutex::default(),
            trace: Trace::default(),
        }
    }

    /// What is logged from now on is about this event.
    pub(crate) fn about(&self, event: Option<EventId>) {
        *self.event.lock().unwrap_or_else(PoisonError::into_inner) = event;
    }

    /// The event that the call in flight is about.
    pub(crate) fn event(&self) -> Option<EventId> {
        *self.event.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Logs one line. Control characters are escaped, so that no guest can forge a further line
    /// or drive a terminal.
    pub(crate) fn line(&self, level: Level, source: &'static str, text: &str) {
        self.trace.note(|| Did::Logged {
            level,
            source,
            text: printable(text),
        });
        // What nobody sees costs nothing of the rate.
        if !is_enabled(level) {
            return;
        }
        let passed = self
            .budget
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take(Instant::now());
        let Some(dropped_before) = passed else {
            self.usage.log_line_dropped();
            return;
        };
        self.usage.logged(level);
        if dropped_before > 0 {
            tracing::warn!(
                target: "nexum::module",
                module = %self.name,
                dropped = dropped_before,
                "log lines over the module's rate were dropped"
            );
        }
        let text = printable(text);
        let module = &self.name;
        let about = self.event();
        let chain = about.and_then(|event| Some(event.chain_id()?.0));
        let block = about.and_then(|event| Some(event.block()?.0));
        let event = about.map(tracing::field::display);
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    target: "nexum::module",
                    %module, chain, block, event, source, "{text}"
                )
            };
        }
        match level {
            Level::TRACE => line!(trace),
            Level::DEBUG => line!(debug),
            Level::INFO => line!(info),
            Level::WARN => line!(warn),
            Level::ERROR => line!(error),
        }
    }
}

impl Drop for ModuleLog {
    fn drop(&mut self) {
        let dropped = self
            .budget
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .dropped;
        if dropped > 0 {
            tracing::warn!(
                target: "nexum::module",
                module = %self.name,
                dropped,
                "log lines over the module's rate were dropped"
            );
        }
    }
}

fn is_enabled(level: Level) -> bool {
    match level {
        Level::TRACE => tracing::enabled!(target: "nexum::module", Level::TRACE),
        Level::DEBUG => tracing::enabled!(target: "nexum::module", Level::DEBUG),
        Level::INFO => tracing::enabled!(target: "nexum::module", Level::INFO),
        Level::WARN => tracing::enabled!(target: "nexum::module", Level::WARN),
        Level::ERROR => tracing::enabled!(target: "nexum::module", Level::ERROR),
    }
}

/// A token bucket.
#[derive(Debug)]
struct Budget {
    rate: LogRate,
    tokens: f64,
    filled: Instant,
    dropped: u64,
}

impl Budget {
    fn new(rate: LogRate, now: Instant) -> Self {
        Self {
            rate,
            tokens: rate.burst.into(),
            filled: now,
            dropped: 0,
        }
    }

    /// Takes a token: `Some(lines dropped since the last one)`, or `None` where there is none
    /// left.
    fn take(&mut self, now: Instant) -> Option<u64> {
        let elapsed: Duration = now.saturating_duration_since(self.filled);
        let gained = elapsed.as_secs_f64() * f64::from(self.rate.per_second);
        self.tokens = (self.tokens + gained).min(self.rate.burst.into());
        self.filled = now;
        if self.tokens < 1.0 {
            self.dropped += 1;
            return None;
        }
        self.tokens -= 1.0;
        Some(std::mem::take(&mut self.dropped))
    }
}

/// `text` with control characters escaped, cut to the limit: it is the size of what comes out that
/// is bounded, and an escaped character is longer than it was.
pub(crate) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(MAX_LOG_LINE_BYTES));
    for (at, c) in text.char_indices() {
        let before = out.len();
        if c.is_control() && c != '\t' {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
        if out.len() > MAX_LOG_LINE_BYTES {
            out.truncate(before);
            // Writing to a String cannot fail.
            let _ = write!(out, "… ({} bytes cut)", text.len() - at);
            break;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_refills_with_time_and_counts_what_it_refused() {
        let start = Instant::now();
        let mut budget = Budget::new(
            LogRate {
                per_second: 10,
                burst: 2,
            },
            start,
        );
        assert_eq!(budget.take(start), Some(0));
        assert_eq!(budget.take(start), Some(0));
        assert_eq!(budget.take(start), None);
        assert_eq!(budget.take(start), None);
        let later = start + Duration::from_millis(100);
        assert_eq!(
            budget.take(later),
            Some(2),
            "one token has come, two lines were lost"
        );
        assert_eq!(budget.take(later), None);
        let much_later = later + Duration::from_secs(3600);
        assert_eq!(budget.take(much_later), Some(1));
        assert_eq!(budget.take(much_later), Some(0));
        assert_eq!(
            budget.take(much_later),
            None,
            "an hour fills no more than the burst"
        );
    }

    #[test]
    fn a_line_cannot_forge_another_or_drive_a_terminal() {
        assert_eq!(
            printable("a\nERROR b\u{1b}[2J\tc"),
            "a\\nERROR b\\u{1b}[2J\tc"
        );
    }

    #[test]
    fn what_comes_out_is_bounded_also_where_all_of_it_is_escaped() {
        let line = printable(&"\0".repeat(MAX_LOG_LINE_BYTES));
        let (shown, rest) = line.split_once('…').unwrap();
        assert_eq!(shown, "\\u{0}".repeat(MAX_LOG_LINE_BYTES / 5));
        assert_eq!(
            rest,
            format!(
                " ({} bytes cut)",
                MAX_LOG_LINE_BYTES - MAX_LOG_LINE_BYTES / 5
            )
        );
    }

    #[test]
    fn a_long_line_is_cut_at_a_character() {
        let long = "ä".repeat(MAX_LOG_LINE_BYTES);
        let line = printable(&long);
        assert!(line.starts_with("ää"));
        assert!(
            line.ends_with("(8192 bytes cut)"),
            "{}",
            &line[line.len() - 30..]
        );
    }
}
