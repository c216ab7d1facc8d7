//! The closed WASI. The standard libraries of guest languages import parts of WASI 0.2, so those
//! parts are there, with nothing behind them: no files, no sockets, no environment, no arguments.
//! Output goes to the module's log; time and randomness are those of `clock` and `random`.

use std::sync::Arc;

use wasmtime::component::Linker;
use wasmtime_wasi::{
    WasiCtx,
    cli::{WasiCli, WasiCliView},
    filesystem::{WasiFilesystem, WasiFilesystemView},
    p2::{self, bindings},
    random::WasiRandom,
};

use crate::{
    clock::{Clock, WasiClock},
    guest::Guest,
    limits::MAX_RANDOM_BYTES,
    stdio::LogStream,
};

/// The WASI packages that a component may import. `wasi:sockets` is not among them.
pub(crate) const PACKAGES: [&str; 5] = [
    "wasi:cli",
    "wasi:clocks",
    "wasi:filesystem",
    "wasi:io",
    "wasi:random",
];

pub(crate) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    p2::add_to_linker_proxy_interfaces_async(linker)?;
    bindings::cli::environment::add_to_linker::<_, WasiCli>(linker, Guest::cli)?;
    bindings::cli::exit::add_to_linker::<_, WasiCli>(linker, Guest::cli)?;
    bindings::cli::terminal_input::add_to_linker::<_, WasiCli>(linker, Guest::cli)?;
    bindings::cli::terminal_output::add_to_linker::<_, WasiCli>(linker, Guest::cli)?;
    bindings::cli::terminal_stdin::add_to_linker::<_, WasiCli>(linker, Guest::cli)?;
    bindings::cli::terminal_stdout::add_to_linker::<_, WasiCli>(linker, Guest::cli)?;
    bindings::cli::terminal_stderr::add_to_linker::<_, WasiCli>(linker, Guest::cli)?;
    bindings::random::insecure::add_to_linker::<_, WasiRandom>(linker, |t| t.wasi.random())?;
    bindings::random::insecure_seed::add_to_linker::<_, WasiRandom>(linker, |t| t.wasi.random())?;
    bindings::filesystem::preopens::add_to_linker::<_, WasiFilesystem>(linker, Guest::filesystem)?;
    bindings::filesystem::types::add_to_linker::<_, WasiFilesystem>(linker, Guest::filesystem)
}

pub(crate) fn context(clock: &Arc<dyn Clock>, stdout: LogStream, stderr: LogStream) -> WasiCtx {
    WasiCtx::builder()
        .stdout(stdout)
        .stderr(stderr)
        .wall_clock(WasiClock(Arc::clone(clock)))
        .monotonic_clock(WasiClock(Arc::clone(clock)))
        .max_random_size(MAX_RANDOM_BYTES.into())
        .build()
}
