//! The price of gas (EIP-1559): from what blocks have cost of late to what a transaction offers.

use nexum_types::{AskedTransaction, U256};
use serde::Deserialize;

/// How many blocks are looked at.
pub(crate) const BLOCKS: u64 = 5;
/// Of what a block's gas was tipped, the part below the tip that is offered, in percent.
pub(crate) const PERCENTILE: f64 = 50.0;
/// The least tip, in wei, where blocks have had none: less is taken by no node's default.
const LEAST_TIP: u128 = 1_000_000;

/// What gas costs, in wei.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Market {
    /// The base fee of the next block.
    base: u128,
    /// What is tipped.
    tip: u128,
}

/// What a transaction offers for gas, in wei.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fees {
    pub(crate) max_fee: u128,
    pub(crate) tip: u128,
}

/// Gas costs more than the operator lets a transaction pay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "gas costs {needed} wei, and the operator's max_fee_per_gas is {most} wei: it may cost less later"
)]
pub(crate) struct TooDear {
    needed: u128,
    most: u128,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct History {
    base_fee_per_gas: Vec<U256>,
    #[serde(default)]
    reward: Vec<Vec<U256>>,
}

impl Market {
    /// What the answer to `eth_feeHistory` says; `None` where it says no base fee, as of chains
    /// without a fee market.
    pub(crate) fn of(history: &str) -> Option<Self> {
        let history: History = serde_json::from_str(history).ok()?;
        let base = u128::try_from(*history.base_fee_per_gas.last()?).ok()?;
        let tips = history.reward.iter().filter_map(|block| block.first());
        let mut tips: Vec<u128> = tips
            .filter_map(|tip| u128::try_from(*tip).ok())
            .filter(|tip| *tip > 0)
            .collect();
        tips.sort_unstable();
        let tip = tips.get(tips.len() / 2).copied().unwrap_or_default();
        let tip = tip.max(LEAST_TIP);
        Some(Self { base, tip })
    }

    /// What a transaction offers that pays at most `most`: room for the base fee to double, which
    /// takes it six full blocks, where `most` leaves that.
    pub(crate) fn offer(self, asked: &AskedTransaction, most: u128) -> Result<Fees, TooDear> {
        if let Some(max_fee) = asked.max_fee {
            // Which the rules have looked at.
            let tip = asked.tip.unwrap_or(self.tip).min(max_fee);
            return Ok(Fees { max_fee, tip });
        }
        let tip = asked.tip.unwrap_or(self.tip);
        let needed = self.base.saturating_add(tip);
        if needed > most {
            return Err(TooDear { needed, most });
        }
        let max_fee = needed.saturating_add(self.base).min(most);
        Ok(Fees { max_fee, tip })
    }
}

#[cfg(test)]
mod tests {
    use nexum_types::ChainId;

    use super::*;

    const GWEI: u128 = 1_000_000_000;

    fn asked(fields: &str) -> AskedTransaction {
        let params = format!("[{{\"from\":\"0x{}\"{fields}}}]", "11".repeat(20));
        AskedTransaction::parse(&params, ChainId(1)).unwrap()
    }

    fn market(base: u128, tip: u128) -> Market {
        let history = format!(
            r#"{{"oldestBlock":"0x1","gasUsedRatio":[0.5],"baseFeePerGas":["0x1","{base:#x}"],
            "reward":[["0x0"],["{tip:#x}"],["{tip:#x}"],["0x1"]]}}"#
        );
        Market::of(&history).unwrap()
    }

    #[test]
    fn the_tip_is_the_middle_of_those_paid_and_the_fee_has_room_for_the_base_to_double() {
        let market = market(20 * GWEI, 2 * GWEI);
        let fees = |max_fee, tip| Fees { max_fee, tip };
        let free = asked("");
        assert_eq!(
            market.offer(&free, 100 * GWEI),
            Ok(fees(42 * GWEI, 2 * GWEI))
        );
        assert_eq!(
            market.offer(&free, 30 * GWEI),
            Ok(fees(30 * GWEI, 2 * GWEI))
        );
        let dear = market.offer(&free, 21 * GWEI).unwrap_err();
        assert_eq!((dear.needed, dear.most), (22 * GWEI, 21 * GWEI));
        let tipped = asked(",\"maxPriorityFeePerGas\":\"0x1\"");
        assert_eq!(
            market.offer(&tipped, 100 * GWEI),
            Ok(fees(40 * GWEI + 1, 1))
        );
        let priced = asked(",\"maxFeePerGas\":\"0x5\"");
        assert_eq!(market.offer(&priced, 100 * GWEI), Ok(fees(5, 5)));
    }

    #[test]
    fn where_nobody_tips_the_least_is_offered_and_without_a_base_fee_there_is_no_market() {
        let quiet = r#"{"baseFeePerGas":["0x7","0x7"],"reward":[["0x0"]]}"#;
        let market = Market::of(quiet).unwrap();
        assert_eq!((market.base, market.tip), (7, LEAST_TIP));
        for none in [
            r#"{"baseFeePerGas":[]}"#,
            "{}",
            "null",
            "[",
            r#"{"baseFeePerGas":null}"#,
        ] {
            assert_eq!(Market::of(none), None, "{none}");
        }
    }
}
