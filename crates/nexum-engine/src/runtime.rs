//! The async runtime that an engine is made for.

use std::io;

use tokio::runtime::{Builder, Runtime};

/// How many polls of tasks a thread makes, at the most, before it looks what has come in from
/// sockets and timers.
///
/// A thread that always has a task to poll, which a computing guest is, looks only then. A guest
/// gives its thread back every few milliseconds, so with the runtime's own 61 a block could wait
/// for a third of a second at each of the exchanges that bring it. A look costs a microsecond or
/// so.
const EVENT_INTERVAL: u32 = 2;

/// A runtime whose threads look for events often enough while guests compute. `threads`: as many
/// as the machine has cores where none is named.
///
/// # Errors
/// The system gives no threads, or no means of waiting for events.
pub fn runtime(threads: Option<usize>) -> io::Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    if let Some(threads) = threads {
        builder.worker_threads(threads);
    }
    builder.enable_all().event_interval(EVENT_INTERVAL).build()
}
