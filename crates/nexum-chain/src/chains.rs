//! Every configured chain, and what is started on it.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use futures::future::join_all;
use nexum_manifest::ChainSettings;
use nexum_types::ChainId;
use tokio_util::sync::CancellationToken;

use crate::{
    ChainError, ChainStats, Feed, WrongChainId, WrongChainIds,
    failure::Failure,
    feed,
    provider::{Node, Provider},
    reads::Reads,
};

/// Every configured chain. Clones share the connections and the feeds.
#[derive(Clone)]
pub struct Chains(Arc<BTreeMap<ChainId, Chain>>);

struct Chain {
    provider: Arc<Provider>,
    reads: Arc<Reads>,
    settings: ChainSettings,
    feed: Mutex<Option<(Feed, CancellationToken)>>,
}

impl fmt::Debug for Chains {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let endpoints = |chain: &Chain| -> Vec<String> {
            chain
                .provider
                .nodes()
                .iter()
                .map(|node| node.endpoint().to_string())
                .collect()
        };
        f.debug_map()
            .entries(self.0.iter().map(|(id, chain)| (id, endpoints(chain))))
            .finish()
    }
}

impl Chains {
    /// Takes the settings as they are. Connects to nothing.
    pub fn new(settings: impl IntoIterator<Item = ChainSettings>) -> Result<Self, ChainError> {
        // An error means that another part of the program has installed one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            // A redirect could carry a request, and a key in its URL, to another host.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(ChainError::HttpClient)?;
        let mut chains = BTreeMap::new();
        for settings in settings {
            let provider = Arc::new(Provider::new(&settings, &client)?);
            let chain = Chain {
                reads: Reads::new(Arc::clone(&provider)),
                provider,
                settings,
                feed: Mutex::default(),
            };
            let id = chain.settings.id;
            if chains.insert(id, chain).is_some() {
                return Err(ChainError::Duplicate(id));
            }
        }
        Ok(Self(Arc::new(chains)))
    }

    /// Asks every endpoint for its `eth_chainId`, all at the same time. A wrong answer is an
    /// error, and every wrong one is in it. An endpoint that does not answer is logged, and tried
    /// again whenever it is needed.
    pub async fn verify(&self) -> Result<(), WrongChainIds> {
        let nodes = self.0.values().flat_map(|Chain { provider, .. }| {
            let nodes = provider.nodes().iter().enumerate();
            nodes.map(move |(index, node)| (&**provider, index, &**node))
        });
        let checks = nodes.map(|(provider, index, node)| find_wrong_chain(provider, index, node));
        let wrong: Vec<_> = join_all(checks).await.into_iter().flatten().collect();
        if wrong.is_empty() {
            Ok(())
        } else {
            Err(WrongChainIds(wrong))
        }
    }

    /// The feed of a chain. The first call starts its task, which runs until `stop`; further
    /// calls answer the same feed, and a call after `stop` starts it again.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn feed(&self, chain: ChainId, stop: CancellationToken) -> Result<Feed, ChainError> {
        let Chain {
            provider,
            settings,
            feed,
            ..
        } = self.0.get(&chain).ok_or(ChainError::Unknown(chain))?;
        let mut running = feed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((feed, stop)) = &*running
            && !stop.is_cancelled()
        {
            return Ok(feed.clone());
        }
        let feed = feed::start(Arc::clone(provider), settings, &stop);
        *running = Some((feed.clone(), stop));
        Ok(feed)
    }

    /// The feeds that have been started, in the order of the chains' ids.
    #[must_use]
    pub fn feeds(&self) -> Vec<(ChainId, Feed)> {
        let started = |chain: &Chain| {
            let feed = chain.feed.lock().unwrap_or_else(PoisonError::into_inner);
            feed.as_ref().map(|(feed, _)| feed.clone())
        };
        self.0
            .iter()
            .filter_map(|(id, chain)| Some((*id, started(chain)?)))
            .collect()
    }

    /// What the requests of each chain have come to so far, in the order of the chains' ids.
    #[must_use]
    pub fn stats(&self) -> Vec<ChainStats> {
        self.0.values().map(|chain| chain.reads.stats()).collect()
    }

    pub(crate) fn provider(&self, chain: ChainId) -> Option<&Arc<Provider>> {
        self.0.get(&chain).map(|chain| &chain.provider)
    }

    pub(crate) fn reads(&self, chain: ChainId) -> Option<&Arc<Reads>> {
        self.0.get(&chain).map(|chain| &chain.reads)
    }
}

async fn find_wrong_chain(provider: &Provider, index: usize, node: &Node) -> Option<WrongChainId> {
    let (chain, endpoint) = (provider.chain(), node.endpoint());
    match node.ready(provider.next_id()).await {
        Ok(()) => None,
        Err(Failure::WrongChain(answered)) => Some(WrongChainId {
            chain,
            index,
            endpoint: endpoint.to_string(),
            answered,
        }),
        Err(failure) => {
            tracing::warn!(
                %chain, %endpoint, %failure,
                "the endpoint does not answer; it is tried again when it is needed",
            );
            None
        }
    }
}
