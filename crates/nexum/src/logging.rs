//! The log: one pipeline for the engine's lines and the modules', on standard output.
//!
//! The libraries below the engine are never in it, whatever the operator's file says: at their
//! finer levels some print whole URLs, and some put a node's own text into their errors. Either
//! may hold a key. What of theirs an operator has to know, the engine says in its own words.

use nexum_manifest::{LogFormat, LogLevel, LogLevels, LogSettings};
use tracing_appender::non_blocking::{NonBlocking, WorkerGuard};
use tracing_subscriber::{
    filter::{LevelFilter, Targets},
    fmt,
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use crate::exit::Failure;

/// What the targets of the engine's crates and of its modules begin with.
const OWN: &str = "nexum";

/// Sets up the log. Lines are written by a thread of their own, so that whoever reads the output
/// slowly slows no module; what is pending is written when the guard is dropped.
pub(crate) fn init(settings: &LogSettings) -> Result<WorkerGuard, Failure> {
    let (writer, guard) = NonBlocking::new(std::io::stdout());
    let registry = tracing_subscriber::registry().with(filter(&settings.level));
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
    Ok(guard)
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
