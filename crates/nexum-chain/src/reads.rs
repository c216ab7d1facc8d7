//! The reads of one chain, shared by all modules: what is in memory is not asked, and what is
//! being asked is not asked twice.

mod cache;
mod flights;
mod lasting;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::future::{FutureExt, join_all};
use nexum_types::{Counter, HostError, HostErrorKind};
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::{
    failure::{self, Failure},
    limits::MAX_CACHE_BYTES,
    provider::Provider,
    stats::ChainStats,
};
use cache::Cache;
use flights::{Flight, Flights, Key};
use lasting::Lasts;

/// How often the last final block is asked for, as long as there are reads that could be kept if
/// it were known.
const FINALITY_ASKED_EVERY: Duration = Duration::from_secs(30);

/// An answer that several modules may share.
pub(crate) type Shared = Result<Arc<str>, HostError>;

/// A method and its parameters, which are JSON.
pub(crate) type Read<'a> = (&'a str, Box<RawValue>);

/// The reads of one chain.
pub(crate) struct Reads {
    provider: Arc<Provider>,
    cache: Mutex<Cache>,
    flights: Mutex<Flights>,
    finality_asked_next: Mutex<Option<Instant>>,
    asked: Counter,
    coalesced: Counter,
    cached: Counter,
}

impl Reads {
    pub(crate) fn new(provider: Arc<Provider>) -> Arc<Self> {
        Arc::new(Self {
            provider,
            cache: Mutex::new(Cache::new(MAX_CACHE_BYTES)),
            flights: Mutex::default(),
            finality_asked_next: Mutex::default(),
            asked: Counter::default(),
            coalesced: Counter::default(),
            cached: Counter::default(),
        })
    }

    /// Answers each read, in order. Those that have to be asked go out together.
    pub(crate) async fn answer(self: &Arc<Self>, reads: &[Read<'_>]) -> Vec<Shared> {
        let keys = reads
            .iter()
            .map(|(method, params)| Key::new(method, params.get()));
        let keys: Vec<Key> = keys.collect();
        let ways = self.ways(&keys);
        let answers = ways.into_iter().map(|way| async move {
            match way {
                Way::Cached(answer) => Ok(answer),
                Way::Flight(flight) => flight.await,
            }
        });
        join_all(answers).await
    }

    /// How each key comes to its answer. Decided under one lock, so that of those who ask the same
    /// at the same time exactly one starts the flight.
    fn ways(self: &Arc<Self>, keys: &[Key]) -> Vec<Way> {
        self.asked.add(keys.len() as u64);
        let mut flights = lock(&self.flights);
        let mut ways: Vec<Option<Way>> = Vec::with_capacity(keys.len());
        let mut new: Vec<Key> = Vec::new();
        // Where each key that has to be asked stands among the new ones.
        let mut places: Vec<(usize, usize)> = Vec::new();
        for (index, key) in keys.iter().enumerate() {
            let way = if let Some(answer) = lock(&self.cache).get(key) {
                self.cached.add(1);
                Some(Way::Cached(answer))
            } else if let Some(flight) = flights.join(key) {
                self.coalesced.add(1);
                Some(Way::Flight(flight))
            } else {
                let place = new.iter().position(|other| other == key);
                if place.is_some() {
                    self.coalesced.add(1);
                }
                places.push((index, place.unwrap_or(new.len())));
                if place.is_none() {
                    new.push(key.clone());
                }
                None
            };
            ways.push(way);
        }
        if !new.is_empty() {
            let started = flights.start(&new, {
                let (reads, keys) = (Arc::clone(self), new.clone());
                async move { reads.fetch(&keys).await }.boxed()
            });
            for (index, place) in places {
                ways[index] = started.get(place).cloned().map(Way::Flight);
            }
        }
        ways.into_iter().flatten().collect()
    }

    /// Asks the provider, and keeps what lasts.
    async fn fetch(&self, keys: &[Key]) -> Vec<Shared> {
        let params = |key: &Key| RawValue::from_string(key.params().to_owned());
        let questions = keys.iter().map(|key| Ok((key.method(), params(key)?)));
        let asked = match questions.collect::<Result<Vec<_>, serde_json::Error>>() {
            Ok(questions) => self.provider.ask_all(questions).await,
            Err(_) => Err(Failure::Malformed),
        };
        let answers = asked.unwrap_or_else(|failure| vec![Err(failure); keys.len()]);
        let chain = self.provider.chain();
        let answers = keys.iter().zip(answers).map(|(key, answer)| match answer {
            Ok(Ok(json)) => {
                let answer: Arc<str> = json.get().into();
                match lasting::lasts(key.method(), key.params(), &answer) {
                    Lasts::Always => lock(&self.cache).put(key, &answer),
                    Lasts::OnceFinal(block) => match self.provider.finalized() {
                        Some(last) if block <= last => lock(&self.cache).put(key, &answer),
                        _ => self.learn_what_is_final(),
                    },
                    Lasts::Never => {}
                }
                Ok(answer)
            }
            Ok(Err(error)) => Err(failure::node_error(&error, self.provider.secrets())),
            Err(failure) => Err(failure.to_host_error(chain)),
        });
        let answers = answers.collect();
        lock(&self.flights).land(keys);
        answers
    }

    /// Asks for the last final block in the background, where that has not been done for a while:
    /// from then on the answers about it, and those before it, are kept.
    fn learn_what_is_final(&self) {
        let now = Instant::now();
        {
            let mut next = lock(&self.finality_asked_next);
            if next.is_some_and(|next| now < next) {
                return;
            }
            *next = Some(now + FINALITY_ASKED_EVERY);
        }
        let provider = Arc::clone(&self.provider);
        tokio::spawn(async move {
            if let Err(failure) = provider.learn_finalized().await {
                let chain = provider.chain();
                tracing::debug!(%chain, %failure, "the last final block is not known");
            }
        });
    }

    pub(crate) fn stats(&self) -> ChainStats {
        let (endpoints, in_use) = self.provider.stats();
        ChainStats {
            chain: self.provider.chain(),
            endpoints,
            in_use,
            asked: self.asked.get(),
            coalesced: self.coalesced.get(),
            cached: self.cached.get(),
            cache_bytes: lock(&self.cache).bytes() as u64,
            fallbacks: self.provider.fallbacks(),
        }
    }
}

/// How a read comes to its answer.
enum Way {
    Cached(Arc<str>),
    Flight(Flight),
}

/// The error where a flight ends without an answer for one of its keys.
pub(crate) fn lost() -> HostError {
    HostError::new(
        failure::DOMAIN,
        HostErrorKind::Internal,
        "the answer was lost",
    )
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Neither map is left half-changed by a panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
