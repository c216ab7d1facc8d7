//! What was logged in this process. Tests run side by side and share it: one that reads it gives
//! its module a name of its own.

use std::{
    fmt,
    sync::{Mutex, OnceLock, PoisonError},
};

use tracing_subscriber::{Layer, layer::Context, prelude::*};

use crate::world::eventually;

/// One logged line that names a module.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Line {
    pub(crate) module: String,
    /// Which of the module's ways to log it came by; none: the engine speaks about the module.
    pub(crate) source: Option<String>,
    pub(crate) message: String,
    /// The event that it is about.
    pub(crate) event: Option<String>,
    /// How many lines the engine says it dropped before this.
    pub(crate) dropped: Option<u64>,
}

static LINES: Mutex<Vec<Line>> = Mutex::new(Vec::new());

/// Keeps every line from now on. Called before the engine starts.
pub(crate) fn keep() {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| tracing_subscriber::registry().with(Keeper).init());
}

/// The kept lines of `module`, in order.
pub(crate) fn lines_of(module: &str) -> Vec<Line> {
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    let of_module = lines.iter().filter(|line| line.module == module);
    of_module.cloned().collect()
}

/// Waits until a line of `module` has this message.
pub(crate) async fn says(module: &str, message: &str) {
    let is_said = |line: Line| (line.message == message).then_some(());
    eventually(&format!("{module} says {message}"), || {
        lines_of(module).into_iter().find_map(is_said)
    })
    .await;
}

struct Keeper;

impl<S: tracing::Subscriber> Layer<S> for Keeper {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let mut line = Line::default();
        event.record(&mut line);
        if !line.module.is_empty() {
            LINES
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(line);
        }
    }
}

impl tracing::field::Visit for Line {
    fn record_u64(&mut self, field: &tracing::field::Field, value: u64) {
        if field.name() == "dropped" {
            self.dropped = Some(value);
        }
    }

    fn record_str(&mut self, field: &tracing::field::Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
        match field.name() {
            "module" => self.module = format!("{value:?}"),
            "message" => self.message = format!("{value:?}"),
            "event" => self.event = Some(format!("{value:?}")),
            "source" => self.source = Some(format!("{value:?}")),
            _ => {}
        }
    }
}
