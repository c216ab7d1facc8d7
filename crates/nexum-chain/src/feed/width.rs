//! How many blocks one `eth_getLogs` asks for: as many as the node takes. Pure.
//!
//! Nodes refuse a range for its blocks, its results, its size or its time, each with a code and
//! a wording of its own. This is the one place where a node's text is read.

/// The width of the next range: a setting, halved as often as the node has refused.
#[derive(Debug, Clone)]
pub(super) struct Width {
    max: u64,
    halvings: u32,
    /// How many full ranges have been answered since the last change.
    streak: u32,
    /// How many must be before a wider one is tried: more after each refusal.
    patience: u32,
}

impl Width {
    const SHORTEST_PATIENCE: u32 = 2;
    const LONGEST_PATIENCE: u32 = 64;

    pub(super) fn new(max: u64) -> Self {
        Self {
            max: max.max(1),
            halvings: 0,
            streak: 0,
            patience: Self::SHORTEST_PATIENCE,
        }
    }

    pub(super) fn get(&self) -> u64 {
        (self.max >> self.halvings).max(1)
    }

    /// A range of `asked` blocks was too much; the node may have said how many would do. False
    /// where it cannot become narrower.
    pub(super) fn refused(&mut self, asked: u64, suggested: Option<u64>) -> bool {
        if asked <= 1 {
            return false;
        }
        let fits = suggested
            .filter(|blocks| *blocks < asked)
            .unwrap_or(asked / 2)
            .max(1);
        // Ranges in flight may be refused after it has been narrowed for another.
        if self.get() > fits {
            while self.get() > fits {
                self.halvings += 1;
            }
            self.patience = (self.patience * 2).min(Self::LONGEST_PATIENCE);
        }
        self.streak = 0;
        true
    }

    /// A range of `asked` blocks was answered.
    pub(super) fn accepted(&mut self, asked: u64) {
        if self.halvings == 0 || asked < self.get() {
            return;
        }
        self.streak += 1;
        if self.streak >= self.patience {
            self.halvings -= 1;
            self.streak = 0;
        }
    }
}

/// What the wordings of those who refuse a range have in common. In lower case.
const REFUSALS: [&str; 23] = [
    // Infura, geth-based nodes; erigon
    "query returned more than",
    "exceeds limit of",
    // Alchemy
    "log response size exceeded",
    "response size should not",
    // QuickNode
    "is limited to a",
    "are limited to a",
    // Ankr, drpc, Chainstack, BSC nodes
    "block range",
    "blocks range",
    "range is too",
    "range too",
    "ranges over",
    "maximum range",
    // reth
    "query exceeds max",
    // Besu
    "exceeds maximum range",
    "exceeds the range",
    // Avalanche
    "requested too many blocks",
    // Nethermind, Moonbeam, zkSync, Cloudflare
    "too many logs",
    "too many results",
    "more than 10000",
    "logs matched by query exceeds limit",
    "response is too big",
    // a query that ran out of time
    "query timeout",
    "timed out",
];

/// What a node's error says about a range.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is too much; perhaps this many blocks would do.
    TooMuch(Option<u64>),
    /// Something else is wrong.
    Other,
}

/// Reads a node's error to an `eth_getLogs` over a range.
pub(super) fn read(code: i64, message: &str) -> Verdict {
    let message = message.to_ascii_lowercase();
    // 3 and -32601: the call reverted, the method is not there; no range is answered so.
    if matches!(code, 3 | -32601) || !REFUSALS.iter().any(|words| message.contains(words)) {
        return Verdict::Other;
    }
    Verdict::TooMuch(suggestion(&message))
}

/// How many blocks a refusal says would do: the range it names, or else the limit.
fn suggestion(message: &str) -> Option<u64> {
    bracketed_range(message)
        .or_else(|| dashed_range(message))
        .or_else(|| limit(message))
        .filter(|blocks| *blocks > 0)
}

/// `[0x10, 0x1f]`
fn bracketed_range(message: &str) -> Option<u64> {
    let (_, rest) = message.split_once("[0x")?;
    let (inside, _) = rest.split_once(']')?;
    let (first, last) = inside.split_once(',')?;
    let hex = |text: &str| u64::from_str_radix(text.trim().trim_start_matches("0x"), 16).ok();
    hex(last)?.checked_sub(hex(first)?)?.checked_add(1)
}

/// `retry with the range 100-199`
fn dashed_range(message: &str) -> Option<u64> {
    let (_, rest) = message.split_once("with the range ")?;
    let (first, rest) = rest.split_once('-')?;
    let digits = rest
        .find(|c: char| !c.is_ascii_digit())
        .map_or(rest, |end| &rest[..end]);
    let number = |text: &str| text.trim().parse::<u64>().ok();
    number(digits)?.checked_sub(number(first)?)?.checked_add(1)
}

/// What else a message counts.
const NOT_BLOCKS: [&str; 10] = [
    "results", "logs", "log", "events", "ms", "s", "seconds", "bytes", "mb", "requests",
];

/// `up to a 2k block range`, `limited to a 10,000 range`, `maximum block range: 5000`,
/// `at most 1000 blocks`: the smallest count that is not one of results.
fn limit(message: &str) -> Option<u64> {
    let words: Vec<&str> = message
        .split(|c: char| c.is_whitespace() || matches!(c, ':' | '(' | ')' | ';'))
        .filter(|word| !word.is_empty())
        .collect();
    let counts = words.iter().enumerate().filter_map(|(index, word)| {
        let next = words.get(index + 1).copied().unwrap_or_default();
        let before = |back: usize| index.checked_sub(back).map_or("", |at| words[at]);
        // `from 1 to 5000` are blocks, and none of them is a count.
        let is_end = before(1) == "to" && count(before(2)).is_some();
        if before(1) == "from" || is_end {
            return None;
        }
        let unit = next.trim_end_matches([',', '.']);
        let counts_results = NOT_BLOCKS.contains(&unit);
        (!counts_results).then(|| count(word)).flatten()
    });
    counts.min()
}

/// `2k`, `10,000`, `5000.`
fn count(word: &str) -> Option<u64> {
    let word = word.trim_end_matches(['.', ',']);
    let (digits, unit) = match word.strip_suffix('k') {
        Some(digits) => (digits, 1000),
        None => (word, 1),
    };
    let number: u64 = digits.replace(',', "").parse().ok()?;
    number.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_halves_until_the_node_answers_and_grows_back_slowly() {
        let mut width = Width::new(10_000);
        assert!(width.refused(10_000, None));
        assert!(width.refused(5_000, None));
        assert_eq!(width.get(), 2_500);
        let mut answered = 0;
        while width.get() < 10_000 {
            width.accepted(width.get());
            answered += 1;
        }
        assert!((8..=32).contains(&answered), "{answered}");
        assert!(width.refused(10_000, None));
        (0..answered).for_each(|_| width.accepted(5_000));
        assert_eq!(width.get(), 10_000, "patience is bounded by a few rounds");
    }

    #[test]
    fn what_the_node_suggests_is_taken_and_stale_refusals_change_nothing() {
        let mut width = Width::new(10_000);
        assert!(width.refused(10_000, Some(2_000)));
        assert_eq!(width.get(), 1_250);
        assert!(width.refused(10_000, None), "asked before it was narrowed");
        assert_eq!(width.get(), 1_250);
        assert!(width.refused(1_250, Some(9_999_999)), "no help: halved");
        assert_eq!(width.get(), 625);
        assert!(
            !Width::new(1).refused(1, None),
            "nothing is narrower than one block"
        );
    }

    #[test]
    fn ranges_shorter_than_the_width_prove_nothing() {
        let mut width = Width::new(100);
        width.refused(100, None);
        (0..1000).for_each(|_| width.accepted(7));
        assert_eq!(width.get(), 50);
    }

    #[test]
    fn the_wordings_of_clients_and_providers() {
        let much = |blocks: u64| Verdict::TooMuch(Some(blocks));
        for (code, message, expected) in [
            (
                -32005,
                "query returned more than 10000 results",
                Verdict::TooMuch(None),
            ),
            (
                -32005,
                "query returned more than 10000 results. Try with this block range [0x10, 0x1f].",
                much(16),
            ),
            (
                -32602,
                "Log response size exceeded. You can make eth_getLogs requests with up to a 2K \
                 block range and no limit on the response size, or you can request any block \
                 range with a cap of 10K logs in the response. Based on your parameters, this \
                 block range should work: [0x64, 0xc7]",
                much(100),
            ),
            (
                -32614,
                "eth_getLogs is limited to a 10,000 range",
                much(10_000),
            ),
            (-32600, "block range is too wide", Verdict::TooMuch(None)),
            (-32062, "Block range is too large", Verdict::TooMuch(None)),
            (-32000, "exceed maximum block range: 5000", much(5_000)),
            (-32000, "block range too large", Verdict::TooMuch(None)),
            (
                -32602,
                "query exceeds max results 20000, retry with the range 100-199",
                much(100),
            ),
            (
                -32602,
                "query exceeds max block range 100000",
                much(100_000),
            ),
            (
                -32005,
                "Requested range exceeds maximum range limit",
                Verdict::TooMuch(None),
            ),
            (
                -32000,
                "requested too many blocks from 1 to 5000, maximum is set to 2048",
                much(2_048),
            ),
            (-32000, "query timeout exceeded", Verdict::TooMuch(None)),
            (-32002, "request timed out", Verdict::TooMuch(None)),
            (-32602, "range 10000 exceeds limit of 400", much(400)),
            (-32000, "unknown block", Verdict::Other),
            (
                -32005,
                "daily request count exceeded, request rate limited",
                Verdict::Other,
            ),
            (
                -32601,
                "the method eth_getLogs is not available in this block range",
                Verdict::Other,
            ),
        ] {
            let read = read(code, message);
            assert_eq!(read, expected, "{message}");
        }
    }
}
