//! What clients have asked: counts, the last requests, the peak.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::Value;

/// How many of the last requests are kept.
const KEPT: usize = 4096;

/// What clients have asked so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestLog {
    /// Requests by method, those inside batches included.
    pub by_method: BTreeMap<String, usize>,
    /// HTTP bodies and WebSocket frames: what went over the wire.
    pub wire_messages: usize,
    /// Those among them that were JSON-RPC batches.
    pub batches: usize,
    /// The last requests, at most 4,096, the newest last.
    pub last: VecDeque<Arc<Asked>>,
    /// The most requests that came within any one second, those inside batches included.
    pub peak_per_second: usize,
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Its method.
    pub method: String,
    /// Its parameters.
    pub params: Value,
}

impl RequestLog {
    /// How often `method` was asked.
    #[must_use]
    pub fn count(&self, method: &str) -> usize {
        self.by_method.get(method).copied().unwrap_or_default()
    }

    /// How many requests there were, those inside batches included.
    #[must_use]
    pub fn total(&self) -> usize {
        self.by_method.values().sum()
    }

    /// The parameters of the last requests of `method`, the newest last.
    pub fn params_of(&self, method: &str) -> impl Iterator<Item = &Value> {
        let asked = self.last.iter().filter(move |asked| asked.method == method);
        asked.map(|asked| &asked.params)
    }
}

/// The log while it is being written.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    pub(crate) log: RequestLog,
    /// When the requests of the last second came.
    recent: VecDeque<Instant>,
}

impl Recorder {
    pub(crate) fn record(&mut self, batch: bool, requests: &[Arc<Asked>], now: Instant) {
        let log = &mut self.log;
        log.wire_messages += 1;
        log.batches += usize::from(batch);
        for asked in requests {
            *log.by_method.entry(asked.method.clone()).or_default() += 1;
            if log.last.len() == KEPT {
                log.last.pop_front();
            }
            log.last.push_back(Arc::clone(asked));
            self.recent.push_back(now);
        }
        while self
            .recent
            .front()
            .is_some_and(|then| now.duration_since(*then) >= Duration::from_secs(1))
        {
            self.recent.pop_front();
        }
        log.peak_per_second = log.peak_per_second.max(self.recent.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_that_of_the_fullest_second() {
        let mut recorder = Recorder::default();
        let start = Instant::now();
        let asked = Arc::new(Asked {
            method: "eth_blockNumber".into(),
            params: Value::Null,
        });
        for (requests, millis) in [(3, 0), (2, 999), (1, 1000), (4, 5000)] {
            let requests = vec![Arc::clone(&asked); requests];
            recorder.record(
                requests.len() > 1,
                &requests,
                start + Duration::from_millis(millis),
            );
        }
        assert_eq!(recorder.log.peak_per_second, 5);
        assert_eq!((recorder.log.total(), recorder.log.batches), (10, 3));
    }
}
