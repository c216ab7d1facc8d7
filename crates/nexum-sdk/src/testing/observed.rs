//! What a module did that a test may ask after.

use alloy_primitives::{Address, Bytes};
use serde_json::Value;

use crate::{http, log::Level};

/// Everything since the beginning, or since it was last forgotten, oldest first.
#[derive(Debug, Default)]
pub(super) struct Observed {
    pub(super) logs: Vec<LogLine>,
    pub(super) asked: Vec<Asked>,
    pub(super) exchanges: usize,
    pub(super) http: Vec<http::Request>,
    pub(super) signed: Vec<Signed>,
    pub(super) published: Vec<Published>,
}

/// One line that the module logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// How much it matters.
    pub level: Level,
    /// What it says.
    pub message: String,
}

/// One question to a chain.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// The chain.
    pub chain_id: u64,
    /// The method, such as `eth_call`.
    pub method: String,
    /// Its parameters.
    pub params: Value,
}

/// One signature.
#[derive(Debug, Clone, PartialEq)]
pub struct Signed {
    /// Who signed.
    pub account: Address,
    /// What was signed.
    pub message: SignedMessage,
}

/// What was signed.
#[derive(Debug, Clone, PartialEq)]
pub enum SignedMessage {
    /// A message, with the prefix of EIP-191.
    Text(Bytes),
    /// Typed data (EIP-712).
    TypedData(Value),
}

/// One message that was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The topic.
    pub content_topic: String,
    /// What was sent.
    pub payload: Bytes,
}
