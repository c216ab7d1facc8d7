//! The macros of `nexum-sdk`, which re-exports them: authors do not depend on this crate.
//!
//! What a macro writes is calls of `nexum_sdk` by that name. The module's manifest is read and
//! checked with `nexum-manifest`, as the engine does it; nothing else of the disk is read, and
//! nothing is written.

mod config;
mod errors;
#[cfg(test)]
mod expansions;
mod module;
mod types;

use proc_macro::TokenStream;

/// Makes a type a module: goes on the `impl` block with its handlers.
///
/// ```
/// use nexum_sdk::prelude::*;
///
/// sol! {
///     event Transfer(address indexed from, address indexed to, uint256 value);
/// }
///
/// #[derive(NexumConfig)]
/// struct Settings {
///     threshold: U256,
///     #[config(non_empty)]
///     accounts: Vec<Address>,
/// }
///
/// struct Watch {
///     seen: u64,
/// }
///
/// # /* The manifest of this crate's tests.
/// #[nexum::module]
/// # */ #[nexum::module(manifest = "tests/it/manifests/configured_logs.toml")]
/// impl Watch {
///     #[init]
///     fn init(settings: &Settings) -> Self {
///         log::info!("watching for {} and more", settings.threshold);
///         Self { seen: 0 }
///     }
///
///     #[on_block]
///     async fn on_block(&mut self, block: &Block, provider: &Provider) -> Result<()> {
///         let gas_price = provider.get_gas_price().await?;
///         log::info!("block {}: {gas_price} wei", block.number);
///         Ok(())
///     }
///
///     #[on_log(Transfer)]
///     fn on_transfer(&mut self, transfer: Transfer, log: &Log, settings: &Settings) {
///         if settings.accounts.contains(&transfer.to) && !log.removed {
///             self.seen += 1;
///         }
///     }
/// }
/// ```
///
/// # Handlers
///
/// | Attribute | Called for | Payload |
/// |---|---|---|
/// | `#[init]` | a fresh instance | |
/// | `#[on_block]` | a block | `Block` or `&Block` |
/// | `#[on_log]` | a log | `Log` or `&Log`; with `Vec<Log>` or `&[Log]` once for all logs of an event |
/// | `#[on_log(Transfer)]` | a log that is this event of `sol!` | `Transfer` or `&Transfer`, and `Log` or `&Log` |
/// | `#[on_tick]` | a schedule that came due | `Tick` or `&Tick` |
/// | `#[on_message]` | a message | `Message` or `&Message` |
/// | `#[on_event]` | every event; it stands alone beside `#[init]` | `Event` or `&Event` |
///
/// There is at most one of each, and of `#[on_log(…)]` one for each event. A handler is `async`
/// or not, and returns nothing or a `Result<(), E>` whose error becomes a `HostError`. On an
/// error nothing that the call wrote is kept, and the event comes again.
///
/// Parameters are chosen by their types, in any order, and none is a must:
///
/// - the payload, as in the table;
/// - `&Provider`, for the chain that the event is of (`#[on_block]`, `#[on_log]`);
/// - the typed configuration by reference: the type that `#[init]` takes, or that
///   `#[nexum::module(config = Settings)]` names. `#[init]` may take it by value too.
///
/// # The module's value
///
/// Where `#[init]` returns `Self` or `Result<Self, E>`, handlers may take `&self` or `&mut self`.
/// Without `#[init]` they may where the type is `Default`. The value lives as long as the
/// instance: after a call that failed a fresh one begins with `#[init]`. What must outlive that
/// goes to the state (`TypedState`).
///
/// # Logs
///
/// A log goes to the first `#[on_log(E)]` whose topic it has and that it can be decoded as
/// (ERC-20 and ERC-721 have the same topic for `Transfer`), else to `#[on_log]`. Where there is
/// none it is passed over with a warning, since an error would only bring it back, for ever. A
/// log that is taken back after a reorg goes to the same handler, with `log.removed`.
///
/// # The manifest
///
/// `nexum.toml` beside the module's Cargo.toml is read when the module is compiled, and again
/// when it changes. A handler that nothing is subscribed for, a subscription without a handler,
/// an event whose topic no subscription has, and an entry of `[config]` that the configuration's
/// type does not take are errors. `#[nexum::module(manifest = "path")]` names another file,
/// relative to the folder of Cargo.toml.
#[proc_macro_attribute]
pub fn module(options: TokenStream, item: TokenStream) -> TokenStream {
    module::expand(options.into(), &item.into(), &module::Crate::from_env()).into()
}

/// Reads a module's configuration into a struct. The trait `nexum_sdk::NexumConfig` says how.
#[proc_macro_derive(NexumConfig, attributes(config))]
pub fn config(item: TokenStream) -> TokenStream {
    config::expand(item.into()).into()
}
