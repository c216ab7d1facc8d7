//! What authors of Nexum modules use.
//!
//! A module is a type with handlers in an `impl` block under `#[nexum::module]`. It is called
//! through the contract `nexum:host`, which stands here interface by interface: [`chain`],
//! [`local_store`], [`identity`], [`remote_store`], [`messaging`], [`http`], [`clock`],
//! [`random`] and [`log`]. On top of these stand a full alloy provider ([`provider()`]), typed
//! state ([`TypedState`], [`TypedMap`]), a journal for effects that must happen once
//! ([`Journal`]) and typed configuration ([`NexumConfig`]).
//!
//! The same source also compiles natively. There, every call of the contract goes to the host
//! that the thread has installed (`testing::MockHost`, with the feature `testing`), and panics
//! with a hint where there is none. This crate opens no file, no socket and no thread.

// The macros name this crate by its own name, also in its own tests.
#[expect(unused_extern_crates, reason = "what the macros write names it")]
extern crate self as nexum_sdk;

pub mod bindings;
pub mod chain;
pub mod clock;
pub mod config;
mod error;
mod event;
mod executor;
#[doc(hidden)]
pub mod generated;
pub mod host;
pub mod http;
pub mod identity;
mod journal;
pub mod local_store;
pub mod log;
pub mod messaging;
pub mod module;
#[cfg(feature = "provider")]
mod provider;
pub mod random;
pub mod remote_store;
#[cfg(all(feature = "testing", not(target_family = "wasm")))]
pub mod testing;
mod typed;

pub use config::{ConfigScalar, ConfigValue, NexumConfig};
pub use error::{Context, Foreign, HostError, HostErrorKind, IntoHostError, Result};
pub use event::{Block, Event, Log, Message, Tick};
pub use executor::block_on;
pub use identity::Signer;
pub use journal::{Attempt, Intent, Journal, JournalEntry};
pub use messaging::Messaging;
pub use module::Module;
pub use nexum_macros::{NexumConfig, module};
#[cfg(feature = "provider")]
pub use provider::{Provider, provider, provider_on};
pub use remote_store::RemoteStore;
pub use typed::{Stored, TypedMap, TypedState, TypedStateError};

/// Futures that are waited for together: `join`, `join_all`, `try_join_all` and their kin. What
/// they ask of a chain goes out as one batch.
pub mod future {
    pub use futures_util::{
        future::{join, join_all, join3, try_join, try_join_all, try_join3},
        join, try_join,
    };
}

/// The parts of alloy that a module meets, under one roof and in the version the SDK uses.
pub mod alloy {
    #[cfg(feature = "provider")]
    pub use alloy_contract as contract;
    #[cfg(feature = "provider")]
    pub use alloy_eips as eips;
    #[cfg(feature = "provider")]
    pub use alloy_network as network;
    pub use alloy_primitives as primitives;
    #[cfg(feature = "provider")]
    pub use alloy_provider as provider;
    #[cfg(feature = "provider")]
    pub use alloy_rpc_client as rpc_client;
    #[cfg(feature = "provider")]
    pub use alloy_rpc_types_eth as rpc_types;
    pub use alloy_sol_types as sol_types;
    #[cfg(feature = "provider")]
    pub use alloy_transport as transport;
}

/// Solidity types in Rust: alloy's `sol!`, with the paths of this crate, so that a module depends
/// on nothing else.
///
/// With `#[sol(rpc)]` on a contract its functions are called through a [`Provider`].
#[macro_export]
macro_rules! sol {
    ($($source:tt)*) => {
        $crate::alloy::sol_types::sol! {
            #![sol(
                alloy_sol_types = $crate::alloy::sol_types,
                alloy_contract = $crate::alloy::contract
            )]
            $($source)*
        }
    };
}

/// The attribute of a module by its full name, `#[nexum::module]`, which the prelude brings.
pub mod nexum {
    pub use nexum_macros::module;
}

/// What most modules need, in one `use`.
pub mod prelude {
    #[cfg(feature = "provider")]
    pub use crate::alloy::{
        network::TransactionBuilder as _, provider::Provider as _, rpc_types::TransactionRequest,
    };
    pub use crate::{
        Attempt, Block, Context as _, Event, Foreign as _, HostError, HostErrorKind, Journal, Log,
        Message, Messaging, NexumConfig, RemoteStore, Result, Signer, Tick, TypedMap, TypedState,
        alloy::{
            primitives::{Address, B256, Bytes, U256, address, b256},
            sol_types::{SolCall as _, SolEvent as _},
        },
        block_on, clock,
        future::{join_all, try_join_all},
        http, log, nexum, random, sol,
    };
    #[cfg(feature = "provider")]
    pub use crate::{Provider, provider};
}

/// The code of the documentation is compiled, and run where it can be.
#[cfg(all(doctest, feature = "testing"))]
#[doc = include_str!("../../../docs/reference/sdk.md")]
struct Reference;
