//! The epoch of the wasm engine: a busy guest yields to the scheduler at each tick.

use std::{
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use wasmtime::Engine;

/// The time between two ticks, and so the longest that a busy guest keeps a thread.
const TICK: Duration = Duration::from_millis(5);

/// Advances the epoch until it is dropped.
#[derive(Debug)]
pub(crate) struct Ticker {
    /// Dropping the sender ends the thread.
    _alive: mpsc::Sender<()>,
}

impl Ticker {
    pub(crate) fn start(engine: &Engine) -> std::io::Result<Self> {
        let (alive, ended) = mpsc::channel::<()>();
        let engine = engine.weak();
        thread::Builder::new().name("epoch".into()).spawn(move || {
            while ended.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                match engine.upgrade() {
                    Some(engine) => engine.increment_epoch(),
                    None => break,
                }
            }
        })?;
        Ok(Self { _alive: alive })
    }
}
