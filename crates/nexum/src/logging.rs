//! The log: one pipeline for the engine's lines and the modules', on standard output.
//!
//! The libraries below the engine are never in it, whatever the operator's file says: at their
//! finer levels some print whole URLs, and some put a node's own text into their errors. Either
//! may hold a key. What of theirs an operator has to know, the engine says in its own words.

use std::{
    fmt::Debug,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use nexum_engine::{LogBook, LogLine};
use nexum_manifest::{LogFormat, LogLevel, LogLevels, LogSettings};
use serde_json::Value;
use tracing::{Event, Subscriber, field::Field};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{
    Layer,
    filter::{LevelFilter, Targets},
    fmt,
    layer::{Context, SubscriberExt as _},
    reload,
    util::SubscriberInitExt as _,
};

use crate::exit::Failure;

/// The lines that wait to be written while whoever reads the output does not; further ones are
/// lost. A line has some 10 KiB at the most.
const PENDING_LINES: usize = 8_192;

/// What the targets of the engine's crates and of its modules begin with.
const OWN: &str = "nexum";

/// Sets up the log. Lines are written by a thread of their own, so that whoever reads the output
/// slowly slows no module; what is pending is written when the guard is dropped. The same lines go
/// into the book, for operators who follow them.
pub(crate) fn init(settings: &LogSettings) -> Result<(WorkerGuard, Arc<LogBook>), Failure> {
    let (writer, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(PENDING_LINES)
        .finish(std::io::stdout());
    let book = Arc::new(LogBook::default());
    let (filter, handle) = reload::Layer::new(filter(&settings.level));
    let registry = tracing_subscriber::registry()
        .with(filter)
        .with(BookLayer(Arc::clone(&book)));
    let initialised = match settings.format {
        LogFormat::Pretty => {
            let colours = std::io::IsTerminal::is_terminal(&std::io::stdout());
            registry
                .with(fmt::layer().with_writer(writer).with_ansi(colours))
                .try_init()
        }
        LogFormat::Json => registry
            .with(fmt::layer().json().flatten_event(true).with_writer(writer))
            .try_init(),
    };
    initialised.map_err(|error| Failure::other("the log could not be set up", error))?;
    let set = move |levels: &LogLevels| {
        handle
            .reload(self::filter(levels))
            .map_err(|error| error.to_string())
    };
    book.levels_are(settings.level.clone(), Box::new(set));
    Ok((guard, book))
}

/// Writes each line into the book.
struct BookLayer(Arc<LogBook>);

impl<S: Subscriber> Layer<S> for BookLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let since = since.map_or(0, |since| since.as_millis());
        let mut line = LogLine {
            time_ms: u64::try_from(since).unwrap_or(u64::MAX),
            level: event.metadata().level().to_string(),
            target: event.metadata().target().to_owned(),
            ..LogLine::default()
        };
        event.record(&mut Fields(&mut line));
        self.0.write(line);
    }
}

/// Takes the fields of an event into a line.
struct Fields<'a>(&'a mut LogLine);

impl Fields<'_> {
    fn take(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.0.message = text,
            ("module", Value::String(name)) => self.0.module = Some(name),
            (name, value) => drop(self.0.fields.insert(name.to_owned(), value)),
        }
    }
}

impl tracing::field::Visit for Fields<'_> {
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.take(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.take(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.take(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.take(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.take(field, format!("{value:?}").into());
    }
}

fn filter(levels: &LogLevels) -> Targets {
    let parts = levels.parts.iter();
    Targets::new()
        .with_target(OWN, at_least(levels.default))
        .with_targets(parts.map(|(part, level)| (part.as_str(), at_least(*level))))
}

fn at_least(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Off => LevelFilter::OFF,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn a_part_has_its_own_level_and_a_library_has_none() {
        let parts = [
            ("nexum_chain".to_owned(), LogLevel::Trace),
            ("nexum::module".to_owned(), LogLevel::Off),
        ];
        let filter = filter(&LogLevels {
            default: LogLevel::Info,
            parts: parts.into(),
        });
        assert!(filter.would_enable("nexum::run", &Level::INFO));
        assert!(!filter.would_enable("nexum::run", &Level::DEBUG));
        assert!(filter.would_enable("nexum_chain::feed", &Level::TRACE));
        assert!(!filter.would_enable("nexum::module", &Level::ERROR));
        assert!(!filter.would_enable("hyper::proto", &Level::ERROR));
    }

    #[test]
    fn a_level_for_everything_is_for_everything_of_ours() {
        let levels = |default, parts: &[(&str, LogLevel)]| LogLevels {
            default,
            parts: parts
                .iter()
                .map(|(part, level)| ((*part).to_owned(), *level))
                .collect(),
        };
        let trace = filter(&levels(LogLevel::Trace, &[]));
        assert!(trace.would_enable("nexum_store", &Level::TRACE));
        assert!(!trace.would_enable("tungstenite::handshake", &Level::ERROR));
        // `nexum` names all parts, and so stands above the bare level.
        let quiet = filter(&levels(LogLevel::Trace, &[("nexum", LogLevel::Warn)]));
        assert!(!quiet.would_enable("nexum_store", &Level::INFO));
    }
}
