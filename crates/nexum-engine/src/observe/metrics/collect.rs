//! From a look at everything to samples.

use std::{collections::BTreeMap, fmt, time::Duration};

use nexum_chain::{EndpointState, EndpointStats, ErrorKind, FeedStatus};
use nexum_identity::AccountTally;
use nexum_types::HistogramReading;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, LabelSetEncoder, MetricEncoder, NoLabelSet},
    metrics::MetricType,
    registry::Unit,
};

use super::table::{self, Family, Kind};
use crate::{
    lifecycle::Phase,
    observe::look::{ChainLook, Look, ModuleLook},
};

/// The bounds of the depths of reorgs, in blocks.
const REORG_BOUNDS: [u64; 10] = [1, 2, 3, 5, 8, 13, 32, 64, 128, 256];
/// Nanoseconds are counted, and seconds told.
const NANOS: f64 = 1e9;

/// One answer to one scrape.
#[derive(Debug)]
pub(super) struct Scrape(Samples);

/// The samples, by family.
#[derive(Debug, Default)]
struct Samples {
    by_family: BTreeMap<&'static str, Vec<Sample>>,
}

#[derive(Debug)]
struct Sample {
    labels: Labels,
    value: Value,
}

#[derive(Debug)]
enum Value {
    Count(u64),
    Number(f64),
    Histogram {
        sum: f64,
        /// Counts by upper bound, each alone.
        buckets: Vec<(f64, u64)>,
    },
}

#[derive(Debug)]
struct Labels(Vec<(&'static str, String)>);

impl Scrape {
    pub(super) fn of(look: &Look) -> Self {
        let mut samples = Samples::default();
        samples.engine(look);
        for module in &look.modules {
            samples.module(module);
        }
        for chain in &look.chains {
            samples.chain(chain);
        }
        for ((account, chain), tally) in &look.accounts {
            samples.account(&account.to_string(), &chain.to_string(), tally);
        }
        Self(samples)
    }
}

impl Samples {
    fn add(&mut self, family: &'static Family, values: &[&str], value: Value) {
        debug_assert_eq!(family.labels.len(), values.len(), "{}", family.name);
        let labels = family.labels.iter().zip(values);
        let labels = labels.map(|(label, value)| (*label, (*value).to_owned()));
        self.by_family.entry(family.name).or_default().push(Sample {
            labels: Labels(labels.collect()),
            value,
        });
    }

    fn count(&mut self, family: &'static Family, values: &[&str], count: u64) {
        self.add(family, values, Value::Count(count));
    }

    fn gauge(&mut self, family: &'static Family, values: &[&str], value: u64) {
        self.add(family, values, Value::Number(value as f64));
    }

    fn flag(&mut self, family: &'static Family, values: &[&str], flag: bool) {
        self.gauge(family, values, flag.into());
    }

    /// `scale`: what of the counted values makes one of the told.
    fn histogram(
        &mut self,
        family: &'static Family,
        values: &[&str],
        reading: &HistogramReading,
        scale: f64,
    ) {
        let bounds = reading.bounds.iter().map(|bound| *bound as f64 / scale);
        let bounds = bounds.chain([f64::INFINITY]);
        let value = Value::Histogram {
            sum: reading.sum as f64 / scale,
            buckets: bounds.zip(reading.counts.iter().copied()).collect(),
        };
        self.add(family, values, value);
    }

    fn engine(&mut self, look: &Look) {
        self.gauge(table::BUILD_INFO, &[env!("CARGO_PKG_VERSION")], 1);
        let uptime = Value::Number(look.uptime.as_secs_f64());
        self.add(table::UPTIME, &[], uptime);
        self.flag(table::READY, &[], look.is_ready());
        for phase in Phase::ALL {
            let these = look.modules.iter();
            let these = these.filter(|module| module.status.phase == phase);
            self.gauge(table::MODULES, &[phase.as_str()], these.count() as u64);
        }
    }

    fn module(&mut self, module: &ModuleLook) {
        let ModuleLook {
            status,
            meters,
            usage,
            resources,
            state_bytes,
            lag,
            ..
        } = module;
        let name = module.name().as_str();
        for phase in Phase::ALL {
            let is = status.phase == phase;
            self.flag(table::MODULE_STATE, &[name, phase.as_str()], is);
        }
        for (kind, outcome, count) in &meters.events {
            let labels = [name, kind.as_str(), outcome.as_str()];
            self.count(table::MODULE_EVENTS, &labels, *count);
        }
        for (kind, count) in &meters.failures {
            self.count(table::MODULE_FAILURES, &[name, kind.as_str()], *count);
        }
        self.gauge(table::MODULE_FAILING, &[name], status.failing);
        self.count(table::MODULE_RESTARTS, &[name], meters.restarts);
        self.gauge(table::MODULE_LETTERS, &[name], status.letters as u64);
        self.flag(table::MODULE_STALLED, &[name], status.stalled.is_some());
        self.count(table::MODULE_SKIPPED, &[name], status.skipped);
        self.count(table::MODULE_MISSED, &[name], status.missed);
        for (chain, behind) in lag {
            self.gauge(table::MODULE_LAG, &[name, &chain.to_string()], *behind);
        }
        self.histogram(table::MODULE_QUEUE, &[name], &meters.queue, NANOS);
        self.histogram(table::MODULE_RUN, &[name], &meters.run, NANOS);
        self.histogram(table::MODULE_FUEL, &[name], &meters.fuel, 1.0);
        self.gauge(table::MODULE_MEMORY, &[name], usage.memory_bytes);
        let highest = usage.highest_memory_bytes;
        self.gauge(table::MODULE_MEMORY_HIGHEST, &[name], highest);
        let limit = resources.max_memory_bytes;
        self.gauge(table::MODULE_MEMORY_LIMIT, &[name], limit);
        self.count(table::MODULE_MEMORY_DENIED, &[name], usage.denied_growths);
        if let Some(bytes) = state_bytes {
            self.gauge(table::MODULE_STATE_BYTES, &[name], *bytes);
        }
        let limit = resources.max_state_bytes;
        self.gauge(table::MODULE_STATE_LIMIT, &[name], limit);
        for (capability, count) in &usage.denials {
            self.count(table::MODULE_DENIED, &[name, capability.as_str()], *count);
        }
        for (outcome, count) in &usage.http.outcomes {
            self.count(table::MODULE_HTTP, &[name, outcome], *count);
        }
        self.histogram(table::MODULE_HTTP_SECONDS, &[name], &usage.http.took, NANOS);
        self.count(table::MODULE_HTTP_SENT, &[name], usage.http.sent_bytes);
        self.count(
            table::MODULE_HTTP_RECEIVED,
            &[name],
            usage.http.received_bytes,
        );
        for (method, count) in &usage.signatures {
            self.count(table::MODULE_SIGNATURES, &[name, method.as_str()], *count);
        }
        for (level, count) in &usage.log_lines {
            self.count(table::MODULE_LOG_LINES, &[name, level], *count);
        }
        let dropped = usage.dropped_log_lines;
        self.count(table::MODULE_LOG_DROPPED, &[name], dropped);
    }

    fn account(&mut self, account: &str, chain: &str, tally: &AccountTally) {
        for (outcome, count) in [
            ("sent", tally.sent),
            ("landed", tally.landed),
            ("reverted", tally.reverted),
            ("replaced", tally.replaced),
            ("refused", tally.refused),
            ("resent", tally.resent),
        ] {
            let labels = [account, chain, outcome];
            self.count(table::ACCOUNT_TRANSACTIONS, &labels, count);
        }
        self.gauge(table::ACCOUNT_PENDING, &[account, chain], tally.pending);
        let oldest = Duration::from_millis(tally.oldest_ms).as_secs_f64();
        let oldest = Value::Number(oldest);
        self.add(table::ACCOUNT_OLDEST, &[account, chain], oldest);
    }

    fn chain(&mut self, look: &ChainLook) {
        let ChainLook {
            stats,
            endpoints,
            feed,
        } = look;
        let chain = stats.chain.to_string();
        if let Some(feed) = feed {
            self.feed(&chain, feed);
        }
        let of_node = stats.asked.saturating_sub(stats.coalesced + stats.cached);
        for (answer, count) in [
            ("node", of_node),
            ("coalesced", stats.coalesced),
            ("cached", stats.cached),
        ] {
            self.count(table::CHAIN_REQUESTS, &[&chain, answer], count);
        }
        self.gauge(table::CHAIN_CACHE, &[&chain], stats.cache_bytes);
        self.count(table::CHAIN_FALLBACKS, &[&chain], stats.fallbacks);
        for (index, (endpoint, name)) in stats.endpoints.iter().zip(endpoints).enumerate() {
            self.flag(
                table::ENDPOINT_IN_USE,
                &[&chain, name],
                stats.in_use == Some(index),
            );
            self.gauge(table::ENDPOINT_RANK, &[&chain, name], index as u64);
            self.endpoint([&chain, name], endpoint);
        }
    }

    fn feed(&mut self, chain: &str, feed: &FeedStatus) {
        if let Some(head) = feed.head {
            self.gauge(table::CHAIN_HEAD, &[chain], head.number.0);
        }
        if let Some(made) = feed.head_timestamp_ms {
            self.gauge(table::CHAIN_HEAD_TIME, &[chain], made / 1000);
        }
        self.gauge(table::CHAIN_READERS, &[chain], feed.readers as u64);
        self.gauge(table::CHAIN_BEYOND, &[chain], feed.beyond_window);
        self.add(table::CHAIN_REORGS, &[chain], reorgs(&feed.reorgs));
        for (kind, count) in feed.oddities.named() {
            self.count(table::CHAIN_ODDITIES, &[chain, kind], count);
        }
        self.count(table::CHAIN_BACKFILLED, &[chain], feed.backfilled);
        self.gauge(table::CHAIN_LOG_RANGE, &[chain], feed.log_range);
    }

    fn endpoint(&mut self, [chain, name]: [&str; 2], endpoint: &EndpointStats) {
        let labels = [chain, name];
        for state in EndpointState::ALL {
            let is = endpoint.state == state;
            self.flag(table::ENDPOINT_STATE, &[chain, name, state.as_str()], is);
        }
        for (outcome, count) in [
            ("answered", endpoint.answered),
            ("failed", endpoint.unanswered),
        ] {
            self.count(table::ENDPOINT_REQUESTS, &[chain, name, outcome], count);
        }
        self.histogram(table::ENDPOINT_LATENCY, &labels, &endpoint.latency, NANOS);
        for kind in ErrorKind::ALL {
            let count = endpoint.errors.get(&kind).copied().unwrap_or(0);
            self.count(table::ENDPOINT_ERRORS, &[chain, name, kind.as_str()], count);
        }
        self.count(table::ENDPOINT_RETRIES, &labels, endpoint.retries);
        self.count(table::ENDPOINT_WAITS, &labels, endpoint.rate_limit_waits);
        if let Some(head) = endpoint.head {
            self.gauge(table::ENDPOINT_HEAD, &labels, head.0);
        }
        self.gauge(table::ENDPOINT_LAG, &labels, endpoint.lag);
        let max_batch = endpoint.max_batch as u64;
        self.gauge(table::ENDPOINT_MAX_BATCH, &labels, max_batch);
    }
}

fn reorgs(by_depth: &BTreeMap<u64, u64>) -> Value {
    let mut buckets: Vec<_> = REORG_BOUNDS
        .into_iter()
        .map(|bound| (bound as f64, 0))
        .chain([(f64::INFINITY, 0)])
        .collect();
    let mut sum = 0.0;
    for (depth, count) in by_depth {
        let place = REORG_BOUNDS.partition_point(|bound| bound < depth);
        buckets[place].1 += count;
        sum += *depth as f64 * *count as f64;
    }
    Value::Histogram { sum, buckets }
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for family in table::FAMILIES {
            let Some(samples) = self.0.by_family.get(family.name) else {
                continue;
            };
            let stem = family.stem();
            let unit = family.unit().map(|unit| Unit::Other(unit.to_owned()));
            // The encoder puts the unit behind the name itself.
            let bare = match &unit {
                Some(unit) => stem
                    .strip_suffix(unit.as_str())
                    .and_then(|stem| stem.strip_suffix('_'))
                    .unwrap_or(stem),
                None => stem,
            };
            let kind = match family.kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
                Kind::Histogram => MetricType::Histogram,
            };
            let mut of_family =
                encoder.encode_descriptor(bare, family.help, unit.as_ref(), kind)?;
            for Sample { labels, value } in samples {
                value.encode(of_family.encode_family(labels)?)?;
            }
        }
        Ok(())
    }
}

impl Value {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => encoder.encode_counter::<NoLabelSet, _, u64>(count, None),
            Self::Number(number) => encoder.encode_gauge(number),
            Self::Histogram { sum, buckets } => {
                let count = buckets.iter().map(|(_, count)| count).sum();
                encoder.encode_histogram::<NoLabelSet>(*sum, count, buckets, None)
            }
        }
    }
}

impl EncodeLabelSet for Labels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        self.0.as_slice().encode(encoder)
    }
}
