//! RPC endpoints and the feed of canonical blocks.
//!
//! [`Chains`] holds the endpoints of every configured chain. It answers modules' reads through
//! [`ChainRpc`](nexum_types::ChainRpc), and runs one feed task per chain that keeps a bounded
//! ring of recent canonical blocks. A [`FeedReader`] pulls from that ring, and from the node
//! where it is further behind: no reader waits for another, and none makes the memory grow.
//!
//! This crate knows no modules, keeps nothing on disk, and shows no secret of a URL: an endpoint
//! is named by scheme, host and port in logs and errors alike.

mod backoff;
mod broadcast;
mod chains;
mod error;
mod failure;
mod feed;
mod header;
mod layers;
mod limited;
mod logs;
mod provider;
mod rate;
mod reads;
mod requests;
mod secrets;
mod stats;
mod transport;
mod weights;

pub use chains::Chains;
pub use error::{ChainError, WrongChainId, WrongChainIds};
pub use feed::{
    Feed, FeedBlock, FeedItem, FeedReader, FeedStatus, Interest, Oddities, Place, Position,
};
pub use limited::Limited;
pub use nexum_types::{ALLOWED_METHODS, is_allowed};
pub use rate::RateLimiter;
pub use stats::{ChainStats, EndpointState, EndpointStats, ErrorKind};

/// Limits of this crate. The contract (`wit/nexum-host/chain.wit`) states those that a module
/// meets.
pub mod limits {
    /// The longest parameters of one request, in bytes of JSON.
    pub const MAX_PARAMS_BYTES: usize = 1024 * 1024;
    /// The most requests of one batch.
    pub const MAX_BATCH: usize = 256;
    /// The most bytes that the parameters of one batch have together.
    pub const MAX_BATCH_BYTES: usize = 16 * 1024 * 1024;
    /// The largest answer that is read from a node, in bytes; a batch's answers count together.
    pub const MAX_RESPONSE_BYTES: usize = 16 * 1024 * 1024;
    /// The most memory that a chain's answers that can't change take, in bytes.
    pub const MAX_CACHE_BYTES: usize = 16 * 1024 * 1024;
    /// The longest error message of a node that is passed on, in characters.
    pub const MAX_NODE_MESSAGE_CHARS: usize = 512;
    /// The most blocks that are asked for in one batch.
    pub const BLOCKS_PER_BATCH: usize = 64;
    /// Pushed logs that wait to be looked at. What finds no room comes with its block.
    pub const WAITING_PUSHES: usize = 256;
    /// The longest pushed log that is looked at, in bytes of JSON. What is longer comes with its
    /// block.
    pub const MAX_PUSH_BYTES: usize = 64 * 1024;
}
