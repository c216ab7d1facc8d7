//! From a name to the addresses that are dialled. The addresses that are checked here are those
//! that the connector gets: nothing looks a name up a second time.

use std::{
    error::Error,
    fmt,
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::address::{self, Reach};

/// What a lookup comes to.
pub type Looked = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Looks names up.
pub trait Lookup: Send + Sync + 'static {
    /// The addresses of a name. None is as good as an error.
    fn lookup(&self, name: String) -> Looked;
}

/// As the system does it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SystemLookup;

impl Lookup for SystemLookup {
    fn lookup(&self, name: String) -> Looked {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
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
