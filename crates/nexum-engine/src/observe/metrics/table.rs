//! The one table of all metrics. `docs/reference/metrics.md` is made from it, and nothing is
//! emitted that is not in it.

/// One metric, over all values of its labels.
#[derive(Debug)]
pub(crate) struct Family {
    /// The name as it is asked for, with the suffixes of kind and unit.
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) labels: &'static [&'static str],
    /// One sentence, without a full stop.
    pub(crate) help: &'static str,
}

/// The kind of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It only grows, but for a restart or an upgrade, where it begins anew.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Counts by upper bound, with a sum and a count.
    Histogram,
}

impl Kind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// The unit of a value, as the suffix of a name says it.
pub(crate) const UNITS: [&str; 2] = ["seconds", "bytes"];

impl Family {
    /// The name without the suffix of a counter, which the encoder adds.
    pub(crate) fn stem(&self) -> &'static str {
        match self.kind {
            Kind::Counter => self.name.strip_suffix("_total").unwrap_or(self.name),
            Kind::Gauge | Kind::Histogram => self.name,
        }
    }

    /// The unit, where the name has one.
    pub(crate) fn unit(&self) -> Option<&'static str> {
        UNITS
            .into_iter()
            .find(|unit| self.stem().strip_suffix(unit).is_some())
    }
}

macro_rules! families {
    ($($const:ident = $kind:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        $(pub(super) const $const: &Family = &Family {
            name: $name,
            kind: Kind::$kind,
            labels: &[$($label),*],
            help: $help,
        };)*

        /// Every metric, in the order in which they are told.
        pub(crate) const FAMILIES: &[&Family] = &[$($const),*];
    };
}

families! {
    BUILD_INFO = Gauge "nexum_build_info" ["version"]
        "The version that runs; always 1";
    UPTIME = Gauge "nexum_engine_uptime_seconds" []
        "Time since the engine began to start";
    READY = Gauge "nexum_engine_ready" []
        "1 once every module has had its first init and as long as the engine does not stop, else 0";
    MODULES = Gauge "nexum_modules" ["state"]
        "Modules by what they are doing: init, run, backoff, park, dead or stopped";

    MODULE_STATE = Gauge "nexum_module_state" ["module", "state"]
        "1 for what the module is doing, 0 for what it is not";
    MODULE_EVENTS = Counter "nexum_module_events_total" ["module", "kind", "outcome"]
        "Events by kind (block, log, cron) and by what became of them: handled, failed (and given again), parked as a dead letter; each attempt counts";
    MODULE_FAILURES = Counter "nexum_module_failures_total" ["module", "kind"]
        "Failures of calls, init included, by kind: error, trap, fuel, deadline, exit, store, letters-full, panic";
    MODULE_FAILING = Gauge "nexum_module_consecutive_failures" ["module"]
        "Failures since an event was last handled";
    MODULE_RESTARTS = Counter "nexum_module_restarts_total" ["module"]
        "Fresh instances after a failure or at an operator's wish";
    MODULE_LETTERS = Gauge "nexum_module_dead_letters" ["module"]
        "Dead letters that there are";
    MODULE_STALLED = Gauge "nexum_module_stalled" ["module"]
        "1 where a reorg was deeper than the window, so that the module gets nothing more of that chain until it is resynced, else 0";
    MODULE_SKIPPED = Counter "nexum_module_skipped_blocks_total" ["module"]
        "Blocks passed over, as on_lag = \"skip\" of the manifest says";
    MODULE_MISSED = Counter "nexum_module_missed_ticks_total" ["module"]
        "Ticks of schedules that were not given when they were due, nor later, as missed = \"skip\" or \"once\" of the manifest says; of a cron expression at most 1000 in a row are counted";
    MODULE_LAG = Gauge "nexum_module_lag_blocks" ["module", "chain"]
        "Blocks that there are for the module, at the depth it asks for, and that it is not done with";
    MODULE_QUEUE = Histogram "nexum_module_queue_seconds" ["module"]
        "Time an event waited, from when its block was known (or confirmed) or its tick due until its call began; not of the past, nor at safe and finalized";
    MODULE_RUN = Histogram "nexum_module_run_seconds" ["module"]
        "Time a call with an event took, host calls included";
    MODULE_FUEL = Histogram "nexum_module_fuel" ["module"]
        "Fuel that a call with an event used up";
    MODULE_MEMORY = Gauge "nexum_module_memory_bytes" ["module"]
        "Linear memories and tables of the module's instance";
    MODULE_MEMORY_HIGHEST = Gauge "nexum_module_memory_highest_bytes" ["module"]
        "The most that they have taken since the version was loaded";
    MODULE_MEMORY_LIMIT = Gauge "nexum_module_memory_limit_bytes" ["module"]
        "The most that they may take";
    MODULE_MEMORY_DENIED = Counter "nexum_module_memory_denied_total" ["module"]
        "Attempts to grow a memory or a table that were refused";
    MODULE_STATE_BYTES = Gauge "nexum_module_state_bytes" ["module"]
        "Keys and values of the module's state";
    MODULE_STATE_LIMIT = Gauge "nexum_module_state_limit_bytes" ["module"]
        "The most that they may take";
    MODULE_DENIED = Counter "nexum_module_denied_total" ["module", "capability"]
        "Calls that were answered denied, by the capability they needed; a full state is one of local-store";
    MODULE_HTTP = Counter "nexum_module_http_requests_total" ["module", "outcome"]
        "Requests to servers outside, by what the module got: ok for a response of any status, or the kind of the error";
    MODULE_HTTP_SECONDS = Histogram "nexum_module_http_request_seconds" ["module"]
        "Time a request to a server outside took, the wait for its turn included";
    MODULE_HTTP_SENT = Counter "nexum_module_http_sent_bytes_total" ["module"]
        "Bodies that the module gave with such requests";
    MODULE_HTTP_RECEIVED = Counter "nexum_module_http_received_bytes_total" ["module"]
        "Bodies that it got, decoded";
    MODULE_LOG_LINES = Counter "nexum_module_log_lines_total" ["module", "level"]
        "Lines that the module logged, its standard output and error included";
    MODULE_SIGNATURES = Counter "nexum_module_signatures_total" ["module", "method"]
        "Signatures that the module was given, or that its transactions got, by what it asked for: sign, sign-typed-data or send-transaction";
    MODULE_LOG_DROPPED = Counter "nexum_module_log_dropped_total" ["module"]
        "Lines that were dropped, since they were over the module's rate";

    ACCOUNT_TRANSACTIONS = Counter "nexum_account_transactions_total" ["account", "chain", "outcome"]
        "Transactions by what became of them: sent (signed and kept), landed (in a block), reverted (of those that landed), replaced (one that the engine has not sent has its nonce), refused (by the chain, when it was handed over), resent (the chain had lost it)";
    ACCOUNT_PENDING = Gauge "nexum_account_pending_transactions" ["account", "chain"]
        "Transactions that are to land yet";
    ACCOUNT_OLDEST = Gauge "nexum_account_oldest_pending_seconds" ["account", "chain"]
        "For how long the oldest of those has been, 0 where there is none";

    CHAIN_HEAD = Gauge "nexum_chain_head_block" ["chain"]
        "The number of the best head known";
    CHAIN_HEAD_TIME = Gauge "nexum_chain_head_timestamp_seconds" ["chain"]
        "When that head was made, by its own word, since the Unix epoch";
    CHAIN_READERS = Gauge "nexum_chain_readers" ["chain"]
        "Places at which modules read the feed";
    CHAIN_BEYOND = Gauge "nexum_chain_readers_beyond_window" ["chain"]
        "Those of them that stand still after a reorg deeper than the window";
    CHAIN_REORGS = Histogram "nexum_chain_reorg_depth_blocks" ["chain"]
        "Reorgs, by how many blocks left the chain";
    CHAIN_ODDITIES = Counter "nexum_chain_oddities_total" ["chain", "kind"]
        "What nodes did that they should not, each handled: null_blocks, lagging, backwards_heads, gaps, stalls, missing_logs, bad_logs, refused_ranges, unlinked_blocks";
    CHAIN_BACKFILLED = Counter "nexum_chain_backfilled_blocks_total" ["chain"]
        "Blocks fetched of the past, for modules that are behind";
    CHAIN_LOG_RANGE = Gauge "nexum_chain_log_range_blocks" ["chain"]
        "Blocks that one eth_getLogs asks for now";
    CHAIN_REQUESTS = Counter "nexum_chain_requests_total" ["chain", "answer"]
        "Requests of modules, each of a batch counted, by where the answer came from: node, coalesced (the same request was under way) or cached";
    CHAIN_CACHE = Gauge "nexum_chain_cache_bytes" ["chain"]
        "Answers that can't change, in memory";
    CHAIN_FALLBACKS = Counter "nexum_chain_fallbacks_total" ["chain"]
        "Times that an endpoint did not answer and the next one was asked";

    ENDPOINT_STATE = Gauge "nexum_endpoint_state" ["chain", "endpoint", "state"]
        "1 for how the endpoint is, 0 for how it is not: well, lagging, open (it failed, and rests), half-open (it is being tried again), wrong-chain";
    ENDPOINT_IN_USE = Gauge "nexum_endpoint_in_use" ["chain", "endpoint"]
        "1 for the endpoint that is asked now, 0 for the others";
    ENDPOINT_RANK = Gauge "nexum_endpoint_rank" ["chain", "endpoint"]
        "The endpoint's place in the order of preference, 0 for the preferred one";
    ENDPOINT_REQUESTS = Counter "nexum_endpoint_requests_total" ["chain", "endpoint", "outcome"]
        "Messages to the endpoint (a batch is one, a retry one more) by outcome: answered or failed";
    ENDPOINT_LATENCY = Histogram "nexum_endpoint_request_seconds" ["chain", "endpoint"]
        "Time the endpoint had a message, whatever became of it";
    ENDPOINT_ERRORS = Counter "nexum_endpoint_errors_total" ["chain", "endpoint", "kind"]
        "Failures by kind: timeout, connect, lost, status, rate-limited, too-large, malformed, behind, stalled, wrong-chain";
    ENDPOINT_RETRIES = Counter "nexum_endpoint_retries_total" ["chain", "endpoint"]
        "Messages that were sent once more";
    ENDPOINT_WAITS = Counter "nexum_endpoint_rate_limit_waits_total" ["chain", "endpoint"]
        "Messages that had to wait for their turn within the endpoint's rate";
    ENDPOINT_HEAD = Gauge "nexum_endpoint_head_block" ["chain", "endpoint"]
        "The last head that the endpoint told";
    ENDPOINT_LAG = Gauge "nexum_endpoint_lag_blocks" ["chain", "endpoint"]
        "Blocks that the endpoint was behind the best head when the endpoints were last compared";
    ENDPOINT_MAX_BATCH = Gauge "nexum_endpoint_max_batch" ["chain", "endpoint"]
        "The most requests that are sent to it in one batch";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_follow_the_conventions() {
        let names: BTreeSet<_> = FAMILIES.iter().map(|family| family.name).collect();
        assert_eq!(names.len(), FAMILIES.len(), "each name once");
        for family in FAMILIES {
            let name = family.name;
            assert!(name.starts_with("nexum_"), "{name}");
            let word = |c: char| c.is_ascii_lowercase() || c == '_';
            assert!(name.chars().all(word), "{name}");
            let is_counter = family.kind == Kind::Counter;
            assert_eq!(name.ends_with("_total"), is_counter, "{name}");
            for suffix in ["_count", "_sum", "_bucket", "_ms", "_millis", "_kb", "_ns"] {
                assert!(!name.ends_with(suffix), "{name}");
            }
            for label in family.labels {
                assert!(label.chars().all(word) && *label != "le", "{name}: {label}");
            }
            assert!(!family.help.ends_with('.'), "{name}");
        }
    }
}
