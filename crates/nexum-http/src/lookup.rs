//! From a name to the addresses that are dialled, in turns: one module cannot keep the others from
//! theirs. The addresses that are checked here are those that the connector gets: nothing looks a name
//! up a second time.

use std::{
    collections::HashMap,
    error::Error,
    fmt,
    future::Future,
    io,
    net::{IpAddr, SocketAddr, ToSocketAddrs as _},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::address::{self, Reach};

/// What a lookup comes to.
pub type Looked = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Looks names up.
pub trait Lookup: Send + Sync + 'static {
    /// The addresses of a name. None is as good as an error.
    fn lookup(&self, name: String) -> Looked;
}

/// Lookups under way at once, of all modules. A name whose servers do not answer keeps its place
/// for as long as the lookup takes, whoever waits.
const LOOKUPS_AT_ONCE: usize = 16;

/// Those of one module among them, so that names that do not answer are late for the module that
/// asks for them, and for nobody else.
pub(crate) const LOOKUPS_OF_A_MODULE: usize = 4;

/// As the system does it. A lookup has a thread of those on which states are committed, and nothing
/// breaks it off: that can take half a minute.
#[derive(Debug)]
pub(crate) struct SystemLookup;

impl Lookup for SystemLookup {
    fn lookup(&self, name: String) -> Looked {
        Box::pin(async move {
            let looked = tokio::task::spawn_blocking(move || {
                let found = (name.as_str(), 0).to_socket_addrs()?;
                Ok(found.map(|address| address.ip()).collect())
            });
            looked.await.map_err(io::Error::other)?
        })
    }
}

/// What a name has, or nothing while it is being looked up.
type Answer = watch::Receiver<Option<Result<Arc<[IpAddr]>, Unknown>>>;

/// The lookups of all modules. Who asks for a name that is being looked up gets what comes of that;
/// nothing is remembered beyond it.
pub(crate) struct Lookups {
    lookup: Arc<dyn Lookup>,
    places: Arc<Semaphore>,
    under_way: Mutex<HashMap<String, Answer>>,
}

impl Lookups {
    pub(crate) fn new(lookup: Arc<dyn Lookup>) -> Self {
        Self {
            lookup,
            places: Arc::new(Semaphore::new(LOOKUPS_AT_ONCE)),
            under_way: Mutex::default(),
        }
    }

    /// The addresses of `name`, one at least. Takes one of `share` where nobody is looking it up,
    /// until that ends: also when nobody waits for it any more.
    async fn addresses(
        self: &Arc<Self>,
        name: String,
        share: Arc<Semaphore>,
    ) -> Result<Arc<[IpAddr]>, Unknown> {
        let joined = self.under_way().get(&name).cloned();
        let mut answer = match joined {
            Some(answer) => answer,
            None => {
                let own = share.acquire_owned().await.map_err(|_| Unknown)?;
                self.join_or_begin(name, own)
            }
        };
        match answer.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(found)) => found.clone(),
            // The lookup has panicked, or the runtime ends.
            Ok(None) | Err(_) => Err(Unknown),
        }
    }

    fn join_or_begin(self: &Arc<Self>, name: String, own: OwnedSemaphorePermit) -> Answer {
        let mut under_way = self.under_way();
        if let Some(answer) = under_way.get(&name) {
            return answer.clone();
        }
        let (tell, answer) = watch::channel(None);
        under_way.insert(name.clone(), answer.clone());
        drop(under_way);
        let entry = Entry {
            lookups: Arc::clone(self),
            name,
        };
        tokio::spawn(async move {
            let _own = own;
            let found = match entry.lookups.places.acquire().await {
                Ok(_place) => entry.lookups.lookup.lookup(entry.name.clone()).await,
                Err(closed) => Err(io::Error::other(closed)),
            };
            // From here on, who asks is not told what is past.
            drop(entry);
            let found = found.ok().filter(|found| !found.is_empty());
            tell.send_replace(Some(found.map(Arc::from).ok_or(Unknown)));
        });
        answer
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<String, Answer>> {
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A name that is being looked up, for as long as it is.
struct Entry {
    lookups: Arc<Lookups>,
    name: String,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.lookups.under_way().remove(&self.name);
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
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unknown;

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name has no address")
    }
}

impl Error for Unknown {}

/// Looks names up for one client of a module, and leaves out what its requests may not dial.
#[derive(Clone)]
pub(crate) struct Guarded {
    lookups: Arc<Lookups>,
    share: Arc<Semaphore>,
    most: Reach,
}

impl Guarded {
    /// Only addresses that reach no further than `most` come out. `share` is the module's.
    pub(crate) fn new(lookups: Arc<Lookups>, share: Arc<Semaphore>, most: Reach) -> Self {
        Self {
            lookups,
            share,
            most,
        }
    }
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let Self {
            lookups,
            share,
            most,
        } = self.clone();
        Box::pin(async move {
            let found = lookups.addresses(name.as_str().to_owned(), share).await?;
            let allowed = found.iter().filter(|ip| address::reach(**ip) <= most);
            let allowed: Vec<_> = allowed.map(|ip| SocketAddr::new(*ip, 0)).collect();
            if allowed.is_empty() {
                return Err(Refused.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;

    use super::*;

    /// Answers with this machine once the gate is open, and says who asked.
    struct Gated {
        gate: Arc<Semaphore>,
        asked: Arc<Mutex<Vec<String>>>,
    }

    impl Lookup for Gated {
        fn lookup(&self, name: String) -> Looked {
            self.asked.lock().unwrap().push(name);
            let gate = Arc::clone(&self.gate);
            Box::pin(async move {
                gate.acquire().await.map_err(io::Error::other)?.forget();
                Ok(vec!["127.0.0.1".parse().unwrap()])
            })
        }
    }

    #[tokio::test]
    async fn a_name_that_is_being_looked_up_is_not_looked_up_twice() {
        let (gate, asked) = (Arc::new(Semaphore::new(0)), Arc::default());
        let lookups = Arc::new(Lookups::new(Arc::new(Gated {
            gate: Arc::clone(&gate),
            asked: Arc::clone(&asked),
        })));
        let ask = |name: &str, share: &Arc<Semaphore>| {
            lookups.addresses(name.to_owned(), Arc::clone(share))
        };
        // Who joins needs no lookup of its own: it goes without where there is none left.
        let (own, none) = (Arc::new(Semaphore::new(1)), Arc::new(Semaphore::new(0)));
        let all_ask = join_all([ask("a", &own), ask("a", &own), ask("a", &none)]);
        let (found, ()) = tokio::join!(all_ask, async { gate.add_permits(1) });
        for found in found {
            assert_eq!(*found.unwrap(), [IpAddr::from([127, 0, 0, 1])]);
        }
        assert_eq!(*asked.lock().unwrap(), ["a"]);
        // Nothing is remembered: a name that moves is found where it is.
        gate.add_permits(1);
        ask("a", &own).await.unwrap();
        assert_eq!(*asked.lock().unwrap(), ["a", "a"]);
    }

    #[tokio::test]
    async fn a_lookup_that_panics_is_an_unknown_name_and_no_more() {
        struct Panics;
        impl Lookup for Panics {
            fn lookup(&self, _: String) -> Looked {
                Box::pin(async { unreachable!("as the test has it") })
            }
        }
        let lookups = Arc::new(Lookups::new(Arc::new(Panics)));
        let share = Arc::new(Semaphore::new(1));
        for _ in 0..3 {
            let asked = lookups.addresses("a".to_owned(), Arc::clone(&share));
            assert!(asked.await.is_err());
        }
        assert!(lookups.under_way().is_empty());
    }
}
