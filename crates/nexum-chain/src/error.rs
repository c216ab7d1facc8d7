//! What goes wrong before any chain is followed.

use std::fmt;

use nexum_types::ChainId;

/// Why the chains cannot be used as they are configured.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// Two settings name the same chain.
    #[error("chain {0} is configured twice; keep one of the two")]
    Duplicate(ChainId),
    /// A chain has no endpoint.
    #[error("chain {0} has no endpoint; give it at least one")]
    NoEndpoint(ChainId),
    /// An endpoint's URL is neither HTTP nor WebSocket.
    #[error("endpoint {endpoint} of chain {chain} is not http, https, ws or wss")]
    Scheme {
        /// The chain.
        chain: ChainId,
        /// The endpoint, without its secrets.
        endpoint: String,
    },
    /// A chain is asked for that is not configured.
    #[error("chain {0} is not configured; add [chains.{0}] with an endpoint")]
    Unknown(ChainId),
    /// The HTTP client cannot be built.
    #[error("the HTTP client cannot be set up")]
    HttpClient(#[source] reqwest::Error),
}

/// One endpoint that serves another chain than the one it is configured for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongChainId {
    /// The chain it is configured for.
    pub chain: ChainId,
    /// Its index among the chain's endpoints, as the settings list them.
    pub index: usize,
    /// The endpoint, without its secrets.
    pub endpoint: String,
    /// The chain it serves.
    pub answered: ChainId,
}

impl fmt::Display for WrongChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            chain,
            endpoint,
            answered,
            ..
        } = self;
        write!(
            f,
            "{endpoint} is configured for chain {chain} and serves chain {answered}"
        )
    }
}

/// Every endpoint that serves another chain than it is configured for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongChainIds(pub Vec<WrongChainId>);

impl fmt::Display for WrongChainIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, wrong) in self.0.iter().enumerate() {
            write!(f, "{}{wrong}", if index == 0 { "" } else { "; " })?;
        }
        f.write_str("; correct the URL, or move the endpoint to the chain it serves")
    }
}

impl std::error::Error for WrongChainIds {}
