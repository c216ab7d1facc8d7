//! `nexum:host/random`: the operating system's entropy, through the generator that WASI has too.

use wasmtime_wasi::p2::bindings::random::random::Host as _;

use crate::{bindings, guest::Guest, limits::MAX_RANDOM_BYTES};

impl bindings::random::Host for Guest {
    fn fill(&mut self, len: u32) -> wasmtime::Result<Vec<u8>> {
        if len > MAX_RANDOM_BYTES {
            wasmtime::bail!(
                "random::fill was asked for {len} bytes; at most {MAX_RANDOM_BYTES} are given"
            );
        }
        self.wasi.random().get_random_bytes(len.into())
    }
}
