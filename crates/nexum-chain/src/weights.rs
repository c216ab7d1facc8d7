//! What a request costs of a rate, by its method. The one table; `docs/reference/chains.md` shows
//! it.

/// Methods that cost more than 1: about what the providers who publish weights charge for them,
/// against `eth_call`.
pub(crate) const WEIGHTS: [(&str, u32); 6] = [
    ("eth_estimateGas", 2),
    ("eth_feeHistory", 2),
    ("eth_getBlockReceipts", 10),
    ("eth_getLogs", 5),
    ("eth_getProof", 2),
    ("eth_subscribe", 2),
];

/// The units that one request of `method` costs.
pub(crate) fn of(method: &str) -> u32 {
    WEIGHTS
        .iter()
        .find(|(name, _)| *name == method)
        .map_or(1, |(_, units)| *units)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_shows_this_table() {
        let reference = include_str!("../../../docs/reference/chains.md");
        for (method, units) in WEIGHTS {
            let row = format!("| `{method}` | {units} |");
            assert!(reference.contains(&row), "{row}");
            assert_eq!(of(method), units);
        }
        assert_eq!(of("eth_call"), 1);
    }
}
