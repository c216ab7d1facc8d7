//! `[chains.<id>]` of the operator's file: the chains and how to reach them.

use std::{collections::BTreeMap, path::Path, time::Duration};

use nexum_types::ChainId;
use serde_json::{Value, json};
use toml::de::DeValue;
use url::Url;

use crate::{
    ChainSettings, Endpoint, Rate,
    decode::{At, Decode, Decoder, Node, Tried, table},
    lists::NonEmpty,
    secret::{Env, Secret},
    source::Span,
    values::{AtLeast, Between},
    wording::key_text,
};

table! {
    /// One chain and how to reach it.
    struct RawChain {
        /// How often an HTTP endpoint is asked for its head.
        default poll_interval: Duration = defaults().poll_interval,
        /// How long one request may take, on one endpoint.
        default request_timeout: At<Duration> = At::nowhere(defaults().request_timeout),
        /// How long a call may take in all, whatever is retried and on whichever endpoints. At least `request_timeout`.
        default call_deadline: At<Duration> = At::nowhere(defaults().call_deadline),
        /// How often a request is sent again to the same endpoint after a failure that may pass.
        default max_retries: Between<0, 100> = Between(defaults().max_retries),
        /// An endpoint whose head is further than this behind the best known one is left until it has caught up, in blocks.
        default max_lag_blocks: AtLeast<1> = AtLeast(defaults().max_lag_blocks),
        /// The most blocks that one `eth_getLogs` asks for.
        default max_log_range: AtLeast<1> = AtLeast(defaults().max_log_range),
        /// How far back a reorg is followed, in blocks.
        default reorg_window: Between<1, 10_000> = Between(defaults().reorg_window),
        /// Whether a header's bloom may prove that a block has no matching log. False for a chain that ships empty blooms.
        default trust_bloom: bool = defaults().trust_bloom,
        /// The chain's endpoints: at least one `[[chains.<id>.endpoints]]`.
        required endpoints: NonEmpty<RawEndpoint>,
    }
}

table! {
    /// One JSON-RPC endpoint.
    struct RawEndpoint {
        /// An http, https, ws or wss URL: the text itself, { env = "NAME" } or { file = "path" }.
        required url: At<Secret>,
        /// Lower is preferred. Among equals, the one written first.
        default priority: u32 = 0,
        /// How much it may be asked in a second, in the long run; methods of more weight count as several. Without it, as much as it takes.
        optional requests_per_second: Tried<PerSecond>,
        /// How much it may be asked at once, after a quiet time. Without it, what it may be asked in a second.
        optional burst: At<PerSecond>,
        /// The most requests of one batch. 1 for an endpoint that takes no batches.
        default max_batch: Between<1, 1_000> = Between(Endpoint::DEFAULT_MAX_BATCH as u32),
    }
}

/// So much that a limit is one in name only, and few enough to count in.
pub(crate) type PerSecond = Between<1, 1_000_000>;

/// The settings of a chain whose file names nothing but endpoints.
fn defaults() -> ChainSettings {
    ChainSettings::new(ChainId(0), Vec::new())
}

/// `[chains.<id>]`. A chain whose table is bad altogether is `None`.
pub(crate) struct RawChains(BTreeMap<ChainId, Option<RawChain>>);

impl RawChains {
    /// The chains that are configured, well or not.
    pub(crate) fn ids(&self) -> impl Iterator<Item = ChainId> {
        self.0.keys().copied()
    }
}

impl Decode for RawChains {
    const EXPECTS: &'static str = "a table";

    fn schema() -> Value {
        json!({
            "type": "object",
            "propertyNames": { "pattern": "^[1-9][0-9]*$" },
            "additionalProperties": RawChain::schema(),
        })
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        let DeValue::Table(table) = node.get_ref() else {
            decoder.mismatch::<Self>(node);
            return None;
        };
        let mut chains = BTreeMap::new();
        for (key, node) in table {
            let name = key.get_ref().as_ref();
            // "01" and "1" are two keys for TOML and one chain: only one spelling is taken.
            let id = name
                .parse()
                .ok()
                .filter(|id: &u64| *id > 0 && id.to_string() == name);
            let Some(id) = id else {
                let message = format!("`chains` takes chain ids as keys, not {}", key_text(name));
                let help = "write the chain's number, such as [chains.1]";
                decoder.report_with_help(key.span(), message, "no chain id", help);
                continue;
            };
            let chain = decoder.within(name, "", |decoder| RawChain::decode(node, decoder));
            chains.insert(ChainId(id), chain);
        }
        Some(Self(chains))
    }
}

/// The chains with their secrets resolved, and where the URLs are. What is bad is reported and
/// left out.
pub(crate) fn resolve(
    raw: Option<&RawChains>,
    folder: &Path,
    env: &Env<'_>,
    places: &mut BTreeMap<ChainId, Vec<Span>>,
    decoder: &mut Decoder,
) -> BTreeMap<ChainId, ChainSettings> {
    let mut chains = BTreeMap::new();
    let decoded = raw.iter().flat_map(|chains| &chains.0);
    for (&id, raw) in decoded.filter_map(|(id, raw)| Some((id, raw.as_ref()?))) {
        decoder.within(&format!("chains.{id}"), "", |decoder| {
            check_deadline(raw, decoder);
            let Some(list) = &raw.endpoints else { return };
            let mut endpoints: Vec<_> = list
                .0
                .iter()
                .filter_map(|raw| endpoint(&raw.value, folder, env, decoder))
                .collect();
            endpoints.sort_by_key(|(endpoint, _)| endpoint.priority);
            let (endpoints, spans) = endpoints.into_iter().unzip();
            places.insert(id, spans);
            chains.insert(id, settings(id, raw, endpoints));
        });
    }
    chains
}

fn settings(id: ChainId, raw: &RawChain, endpoints: Vec<Endpoint>) -> ChainSettings {
    ChainSettings {
        id,
        endpoints,
        poll_interval: raw.poll_interval,
        request_timeout: raw.request_timeout.value,
        call_deadline: raw.call_deadline.value,
        max_retries: raw.max_retries.0,
        max_lag_blocks: raw.max_lag_blocks.0,
        max_log_range: raw.max_log_range.0,
        reorg_window: raw.reorg_window.0,
        trust_bloom: raw.trust_bloom,
    }
}

/// A call that ends before its first request may is none: the endpoint would never be left for
/// another.
fn check_deadline(raw: &RawChain, decoder: &mut Decoder) {
    let (timeout, deadline) = (&raw.request_timeout, &raw.call_deadline);
    if deadline.value >= timeout.value {
        return;
    }
    let written = |duration: Duration| humantime::format_duration(duration).to_string();
    let (timeout_text, deadline_text) = (written(timeout.value), written(deadline.value));
    let keys = decoder.keys();
    // One of the two is written, since the defaults agree.
    let (span, message) = if deadline.span.is_empty() {
        let message = format!(
            "`{keys}.request_timeout` is {timeout_text}, and `call_deadline`, which is not written, is {deadline_text}"
        );
        (&timeout.span, message)
    } else {
        let message = format!(
            "`{keys}.call_deadline` is {deadline_text}, shorter than `request_timeout`, which is {timeout_text}"
        );
        (&deadline.span, message)
    };
    let help = format!(
        "a call has at least one request: write call_deadline = \"{timeout_text}\" or more"
    );
    decoder.report_with_help(span.clone(), message, "does not fit", help);
}

/// An endpoint, and where its URL is.
fn endpoint(
    raw: &RawEndpoint,
    folder: &Path,
    env: &Env<'_>,
    decoder: &mut Decoder,
) -> Option<(Endpoint, Span)> {
    decoder.within("endpoints", "", |decoder| {
        let keys = ["requests_per_second", "burst"];
        let rate = rate(
            raw.requests_per_second.as_ref(),
            raw.burst.as_ref(),
            keys,
            decoder,
        );
        let secret = raw.url.as_ref()?;
        let url = decoder.within("url", "", |decoder| url(secret, folder, env, decoder))?;
        let endpoint = Endpoint {
            priority: raw.priority,
            rate,
            max_batch: raw.max_batch.0 as usize,
            ..Endpoint::new(url)
        };
        Some((endpoint, secret.span.clone()))
    })
}

/// A rate of two keys, of which the second takes its default from the first.
pub(crate) fn rate(
    per_second: Option<&Tried<PerSecond>>,
    burst: Option<&At<PerSecond>>,
    [per_second_key, burst_key]: [&str; 2],
    decoder: &mut Decoder,
) -> Option<Rate> {
    match (per_second, burst) {
        (Some(Tried(per_second)), burst) => per_second.map(|per_second| Rate {
            per_second: per_second.0,
            burst: burst.map_or(per_second.0, |burst| burst.value.0),
        }),
        (None, Some(burst)) => {
            let keys = decoder.keys();
            let message = format!("`{keys}.{burst_key}` needs `{per_second_key}`");
            let help = format!("write `{per_second_key}` too: without it nothing is limited");
            decoder.report_with_help(burst.span.clone(), message, "limits nothing", help);
            None
        }
        (None, None) => None,
    }
}

/// An endpoint's URL. What is wrong with it is said without any part of it.
fn url(secret: &At<Secret>, folder: &Path, env: &Env<'_>, decoder: &mut Decoder) -> Option<Url> {
    let key = decoder.keys();
    let text = match secret.value.resolve(folder, env) {
        Ok(text) => text,
        Err(error) => {
            let message = format!("`{key}`: {}", error.message);
            decoder.report_with_help(secret.span.clone(), message, "from here", error.help);
            return None;
        }
    };
    let help = "write it as in https://host:port/path; the schemes are http, https, ws and wss";
    let origin = secret.value.origin();
    let message = match Url::parse(&text) {
        Ok(url) if ["http", "https", "ws", "wss"].contains(&url.scheme()) => return Some(url),
        Ok(_) => format!("`{key}`: {origin} is a URL of a scheme that no endpoint has"),
        Err(error) => format!("`{key}`: {origin} is not a URL: {error}"),
    };
    decoder.report_with_help(secret.span.clone(), message, "not an endpoint's URL", help);
    None
}
