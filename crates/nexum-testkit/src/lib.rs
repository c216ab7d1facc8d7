//! What tests and the demo run against: a scripted chain, a real JSON-RPC server in front of it,
//! and anvil.
//!
//! [`ScriptedChain`] is a pure model: no sockets, no clock, the same hashes on every run.
//! [`RpcServer`] serves it over HTTP and WebSocket on a loopback port and can be made to fail.
//! [`Script`] is the readable form of both.
//!
//! This crate knows no other crate of the runtime: what it serves is what any node would.

mod anvil;
mod chain;
mod client;
pub mod guests;
mod rpc;
mod script;
mod server;

pub use anvil::{Anvil, AnvilError};
pub use chain::{ChainBlock, ChainOpError, Heads, ScriptedChain};
pub use client::{RpcCallError, rpc};
pub use rpc::RpcAnswer;
pub use script::{Action, Script, ScriptError, ScriptProblem, Step};
pub use server::{RequestLog, RpcServer};

pub use alloy_primitives::{Address, B256, U256};
