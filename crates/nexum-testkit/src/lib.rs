//! What tests and the demo run against: a scripted chain, a real JSON-RPC server in front of it,
//! and anvil, with a proxy in front of that.
//!
//! [`ScriptedChain`] is a pure model: no sockets, no clock, the same hashes on every run.
//! [`RpcServer`] serves it over HTTP and WebSocket on a loopback port. [`FaultProxy`] stands in
//! front of any other node. Both fail as their [`Wire`] says, and a server shows the chain as its
//! [`View`] says. [`Script`] is the readable form of all of it. [`guests`] are built from source,
//! and [`wasm`] is what no compiler would make.
//!
//! This crate knows no other crate of the runtime: what it serves is what any node would.

mod anvil;
mod chain;
mod client;
mod fault;
mod front;
pub mod guests;
mod message;
mod proxy;
mod request_log;
mod rpc;
mod script;
mod server;
pub mod wasm;
mod wire;

pub use anvil::{Anvil, AnvilError};
pub use chain::{
    Branch, ChainBlock, ChainLog, ChainOpError, Heads, IntoTopic, NewLog, ScriptedChain,
};
pub use client::{RpcCallError, WsClient, WsError, rpc};
pub use fault::{Fault, Injection, RateLimit};
pub use proxy::FaultProxy;
pub use request_log::{Asked, RequestLog};
pub use rpc::{LogLimits, RpcAnswer, View, Wording};
pub use script::{Action, EndpointChange, Script, ScriptError, ScriptProblem, Stage, Step};
pub use server::RpcServer;
pub use wire::Wire;

pub use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
