//! How much one `eth_getLogs` may ask for, and in which words that is refused: those of the big
//! providers and clients, as they are seen in the wild.

use serde_json::{Value, json};

use super::params::{INVALID_PARAMS, INVALID_REQUEST, SERVER_ERROR, error};

/// What `eth_getLogs` refuses. `None`: no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogLimits {
    /// The most blocks that a range may span, both ends counted.
    pub max_blocks: Option<u64>,
    /// The most logs that an answer may hold.
    pub max_results: Option<usize>,
    /// In whose words.
    pub wording: Wording,
}

/// Whose words a refusal has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Wording {
    /// go-ethereum.
    #[default]
    Geth,
    /// Erigon.
    Erigon,
    /// Reth.
    Reth,
    /// Nethermind. It limits results alone; a range is refused in the words of go-ethereum.
    Nethermind,
    /// Alchemy: names a range that works.
    Alchemy,
    /// Alchemy's free tier: names a range that works, under another code.
    AlchemyFree,
    /// Infura: names a range that works where there are too many results.
    Infura,
    /// `QuickNode`.
    QuickNode,
    /// Ankr: says neither the limit nor a range.
    Ankr,
    /// `PublicNode`.
    PublicNode,
    /// dRPC: a code of its own.
    Drpc,
    /// Base's public endpoint.
    Base,
}

impl Wording {
    /// Every wording, with the word a script has for it.
    pub const ALL: [(&'static str, Self); 12] = [
        ("geth", Self::Geth),
        ("erigon", Self::Erigon),
        ("reth", Self::Reth),
        ("nethermind", Self::Nethermind),
        ("alchemy", Self::Alchemy),
        ("alchemy-free", Self::AlchemyFree),
        ("infura", Self::Infura),
        ("quicknode", Self::QuickNode),
        ("ankr", Self::Ankr),
        ("publicnode", Self::PublicNode),
        ("drpc", Self::Drpc),
        ("base", Self::Base),
    ];

    /// The refusal of a range of `asked` blocks, more than `max`, that begins at `from`.
    pub(super) fn too_many_blocks(self, from: u64, asked: u64, max: u64) -> Value {
        let works = works(from, from + max.saturating_sub(1));
        match self {
            Self::Geth | Self::Nethermind => {
                error(SERVER_ERROR, &format!("exceed maximum block range: {max}"))
            }
            Self::Erigon => error(
                SERVER_ERROR,
                &format!("query block range exceeds server limit, narrow your filter: {max}"),
            ),
            Self::Reth => error(
                INVALID_PARAMS,
                &format!("query exceeds max block range {max}"),
            ),
            Self::Alchemy => error(INVALID_PARAMS, &alchemy(&short(max), &works)),
            Self::AlchemyFree => error(
                INVALID_REQUEST,
                &format!(
                    "Under the Free tier plan, you can make eth_getLogs requests with up to a \
                     {max} block range. Based on your parameters, this block range should work: \
                     {works}. Upgrade to PAYG for expanded block range."
                ),
            ),
            Self::Infura => error(
                INVALID_PARAMS,
                &format!("range {asked} exceeds limit of {max}"),
            ),
            Self::QuickNode => error(
                -32614,
                &format!("eth_getLogs is limited to a {} range", commas(max)),
            ),
            Self::Ankr => error(INVALID_REQUEST, "block range is too wide"),
            Self::PublicNode => error(-32701, &format!("exceed maximum block range: {max}")),
            Self::Drpc => error(
                35,
                &format!("ranges over {max} blocks are not supported on freetier"),
            ),
            Self::Base => error(-32614, "block range too large"),
        }
    }

    /// The refusal of an answer of more than `max` logs. Those of the blocks from `from` to `to`
    /// would fit.
    pub(super) fn too_many_results(self, max: usize, from: u64, to: u64) -> Value {
        let works = works(from, to);
        let max = max as u64;
        match self {
            Self::Alchemy | Self::AlchemyFree => {
                error(INVALID_PARAMS, &alchemy(&short(2000), &works))
            }
            Self::Infura => infura(max, &works),
            Self::Reth => error(
                INVALID_PARAMS,
                &format!("query exceeds max results {max}, retry with the range {from}-{to}"),
            ),
            Self::Erigon => error(
                SERVER_ERROR,
                &format!("query returns too many logs, narrow your filter: {max}"),
            ),
            Self::Nethermind => error(
                -32005,
                &format!("Too many logs requested. Max logs per response is {max}."),
            ),
            _ => error(-32005, &format!("query returned more than {max} results")),
        }
    }
}

fn works(from: u64, to: u64) -> String {
    format!("[{from:#x}, {to:#x}]")
}

fn alchemy(blocks: &str, works: &str) -> String {
    format!(
        "Log response size exceeded. You can make eth_getLogs requests with up to a {blocks} block \
         range and no limit on the response size, or you can request any block range with a cap of \
         10K logs in the response. Based on your parameters and the response size limit, this \
         block range should work: {works}"
    )
}

fn infura(max: u64, works: &str) -> Value {
    json!({
        "code": -32005,
        "message": format!(
            "query returned more than {max} results. Try with this block range {works}."
        ),
        "data": { "limit": max },
    })
}

/// `2000` is `2K`.
fn short(number: u64) -> String {
    if number >= 1000 && number.is_multiple_of(1000) {
        format!("{}K", number / 1000)
    } else {
        number.to_string()
    }
}

/// `10000` is `10,000`.
fn commas(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_say_what_the_providers_say() {
        let blocks = |wording: Wording, max| wording.too_many_blocks(16, 1 << 20, max);
        let message = |refusal: Value| refusal["message"].as_str().map(str::to_owned);
        assert_eq!(
            message(blocks(Wording::QuickNode, 10_000)).as_deref(),
            Some("eth_getLogs is limited to a 10,000 range")
        );
        assert_eq!(
            message(blocks(Wording::PublicNode, 50_000)).as_deref(),
            Some("exceed maximum block range: 50000")
        );
        for wording in [Wording::Alchemy, Wording::AlchemyFree] {
            let text = message(blocks(wording, 16)).unwrap_or_default();
            assert!(text.contains("[0x10, 0x1f]"), "{text}");
        }
        assert_eq!(
            message(blocks(Wording::Infura, 10_000)).as_deref(),
            Some("range 1048576 exceeds limit of 10000")
        );
        let results = message(Wording::Reth.too_many_results(20_000, 5, 10));
        assert_eq!(
            results.as_deref(),
            Some("query exceeds max results 20000, retry with the range 5-10")
        );
        for (name, wording) in Wording::ALL {
            assert!(blocks(wording, 5)["code"].is_i64(), "{name}");
            assert!(wording.too_many_results(5, 1, 1)["code"].is_i64(), "{name}");
        }
    }
}
