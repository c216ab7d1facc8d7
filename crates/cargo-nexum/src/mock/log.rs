//! The engine's own log, for whoever asks for it. What the module logs is told with its events.

use std::io;

use tracing_subscriber::{
    Layer as _,
    filter::{LevelFilter, Targets},
    fmt,
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use crate::{cli::EngineLog, exit::Failure};

/// The target of the modules' lines.
const MODULES: &str = "nexum::module";

pub(super) fn init(level: Option<EngineLog>) -> Result<(), Failure> {
    let level = match level {
        None => return Ok(()),
        Some(EngineLog::Error) => LevelFilter::ERROR,
        Some(EngineLog::Warn) => LevelFilter::WARN,
        Some(EngineLog::Info) => LevelFilter::INFO,
        Some(EngineLog::Debug) => LevelFilter::DEBUG,
    };
    // The libraries below stay out of it, as they do in `nexum run`.
    let filter = Targets::new()
        .with_target("nexum", level)
        .with_target(MODULES, LevelFilter::OFF);
    let layer = fmt::layer().with_writer(io::stderr).with_ansi(false);
    tracing_subscriber::registry()
        .with(layer.with_filter(filter))
        .try_init()
        .map_err(|error| Failure::other("the log could not be set up", error))
}
