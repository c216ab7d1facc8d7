//! The words the rooms of Nexum share: ids, events, the cursor, the write-set, the host error,
//! and the ports through which one room reaches another.
//!
//! This crate does no I/O and holds no async runtime. A port here is a trait that one room
//! implements and another calls, so that siblings never name each other.

mod allowlist;
mod asked_transaction;
mod call;
mod chain;
mod config;
mod cursor;
mod event;
mod host_error;
mod http;
mod identity;
mod ids;
mod log;
mod meter;
mod rate;
mod sending;
mod state;
mod write_set;

pub use allowlist::{ALLOWED_METHODS, is_allowed};
pub use asked_transaction::{AskedTransaction, AskedTransactionError};
pub use call::{CallId, CallKey, CallOf};
pub use chain::{BoxFuture, ChainRpc, RpcRequest, RpcResult};
pub use config::{Config, ConfigScalar, ConfigValue};
pub use cursor::{Cursor, Delivered, Depth, ScheduleId, Source};
pub use event::{Block, BlockRef, Event, EventId, EventKind, Tick};
pub use host_error::{HostError, HostErrorKind};
pub use http::{HttpFailure, HttpFetch, HttpHeader, HttpRequest, HttpResponse};
pub use identity::{IdentityAccess, SendOf, Sent};
pub use ids::{BlockNumber, ChainId, InvalidModuleName, ModuleName};
pub use log::{Log, LogFilter, MAX_TOPICS};
pub use meter::{Counter, Histogram, HistogramReading};
pub use rate::{Bucket, OverRate, Turns};
pub use sending::{Broadcast, BroadcastError, Fate, SentTransaction, TransactionLedger};
pub use state::{CallState, Snapshot, StateBackend, StateError};
pub use write_set::{WriteSet, limits};

pub use alloy_primitives::{Address, B256, Bloom, Bytes, U256};
