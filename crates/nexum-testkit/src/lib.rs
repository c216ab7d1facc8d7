//! What tests and the demo run against: a scripted chain, a real JSON-RPC server in front of it,
//! and anvil, with a proxy in front of that.
//!
//! [`ScriptedChain`] is a pure model: no sockets, no clock, the same hashes on every run.
//! [`RpcServer`] serves it over HTTP and WebSocket on a loopback port. [`FaultProxy`] stands in
//! front of any other node. Both fail as their [`Wire`] says, and a server shows the chain as its
//! [`View`] says. [`Script`] is the readable form of all of it. [`guests`] are built from source,
//! and [`wasm`] is what no compiler would make.
//!
//! The feature `server`, on by default, is all that has sockets, processes or a clock. Without it
//! there are the chain, what a node answers ([`ScriptedChain::answer`]) and the script, light
//! enough for the tests of authors.
//!
//! This crate knows no other crate of the runtime: what it serves is what any node would.

mod chain;
mod fault;
mod fixture;
mod rpc;
mod script;

#[cfg(feature = "server")]
mod anvil;
#[cfg(feature = "server")]
mod client;
#[cfg(feature = "server")]
mod front;
#[cfg(feature = "server")]
pub mod guests;
#[cfg(feature = "server")]
mod message;
#[cfg(feature = "server")]
mod proxy;
#[cfg(feature = "server")]
mod request_log;
#[cfg(feature = "server")]
mod server;
#[cfg(feature = "server")]
pub mod wasm;
#[cfg(feature = "server")]
pub mod web;
#[cfg(feature = "server")]
mod wire;

pub use chain::{
    Branch, CallAnswer, CallInput, ChainBlock, ChainLog, ChainOpError, GENESIS_TIME, IntoTopic,
    NewLog, News, ScriptedChain,
};
pub use fault::{Fault, Injection, RateLimit};
pub use fixture::{
    Act, ConfigEntry, ConfigScalar, ConfigSetting, Expect, Expectation, Fixture, FixtureChain,
    FixtureStep, HttpAnswer, LogLevel, Seen, StateEntry, Unmet, fixture_words,
};
pub use rpc::{LogLimits, RpcAnswer, View, Wording};
pub use script::{
    Action, Endpoint, EndpointChange, Script, ScriptError, ScriptProblem, Stage, Step,
};

#[cfg(feature = "server")]
pub use {
    anvil::{Anvil, AnvilError},
    chain::Heads,
    client::{RpcCallError, WsClient, WsError, rpc},
    proxy::FaultProxy,
    request_log::{Asked, RequestLog},
    server::RpcServer,
    wire::Wire,
};

pub use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
