//! Functions that are no handlers.

use nexum_sdk::prelude::*;

struct Odd;

#[nexum::module(manifest = "any.toml")]
impl Odd {
    #[init]
    fn init<T>() {}

    #[on_block]
    extern "C" fn on_block() {}

    #[cfg(debug_assertions)]
    #[on_log]
    unsafe fn on_log() {}
}

struct Consumed;

#[nexum::module(manifest = "blocks.toml")]
impl Consumed {
    #[init]
    fn init(&self) -> Self {
        Self
    }

    #[on_block]
    fn on_block(self) {}
}

struct NoValue;

#[nexum::module(manifest = "blocks.toml")]
impl NoValue {
    #[init]
    fn begin() -> Result<()> {
        Ok(())
    }

    #[on_block]
    fn on_block(&mut self) {}
}

fn main() {}
