//! From a name to the addresses that are dialled. The addresses that are checked here are those
//! that the connector gets: nothing looks a name up a second time.

use std::{
    error::Error,
    fmt,
    future::Future,
    io,
    net::{IpAddr, SocketAddr, ToSocketAddrs as _},
    pin::Pin,
    sync::Arc,
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::Semaphore;

use crate::address::{self, Reach};

/// What a lookup comes to.
pub type Looked = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Looks names up.
pub trait Lookup: Send + Sync + 'static {
    /// The addresses of a name. None is as good as an error.
    fn lookup(&self, name: String) -> Looked;
}

/// Lookups under way at once. Each has a thread of those on which states are committed, and nothing
/// breaks it off: a name whose servers do not answer keeps one for half a minute, whoever waits.
const LOOKUPS_AT_ONCE: usize = 16;

/// As the system does it.
#[derive(Debug)]
pub(crate) struct SystemLookup(Arc<Semaphore>);

impl SystemLookup {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(LOOKUPS_AT_ONCE)))
    }
}

impl Lookup for SystemLookup {
    fn lookup(&self, name: String) -> Looked {
        let turns = Arc::clone(&self.0);
        Box::pin(async move {
            let turn = turns.acquire_owned().await.map_err(io::Error::other)?;
            let looked = tokio::task::spawn_blocking(move || {
                // Given back when the thread is, and not when nobody waits any more.
                let _turn = turn;
                let found = (name.as_str(), 0).to_socket_addrs()?;
                Ok(found.map(|address| address.ip()).collect())
            });
            looked.await.map_err(io::Error::other)?
        })
    }
}

/// All addresses of a name are such that its request may not dial them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no address of the name may be dialled")
    }
}

impl Error for Refused {}

/// A name has no address, or nobody knows.
#[derive(Debug)]
pub(crate) struct Unknown;

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name has no address")
    }
}

impl Error for Unknown {}

/// Looks names up for one client, and leaves out what its requests may not dial.
#[derive(Clone)]
pub(crate) struct Guarded {
    lookup: Arc<dyn Lookup>,
    most: Reach,
}

impl Guarded {
    /// Only addresses that reach no further than `most` come out.
    pub(crate) fn new(lookup: Arc<dyn Lookup>, most: Reach) -> Self {
        Self { lookup, most }
    }
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let (looked, most) = (self.lookup.lookup(name.as_str().to_owned()), self.most);
        Box::pin(async move {
            let found = match looked.await {
                Ok(found) if !found.is_empty() => found,
                Ok(_) | Err(_) => return Err(Unknown.into()),
            };
            let allowed = found.into_iter().filter(|ip| address::reach(*ip) <= most);
            let allowed: Vec<_> = allowed.map(|ip| SocketAddr::new(ip, 0)).collect();
            if allowed.is_empty() {
                return Err(Refused.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}
