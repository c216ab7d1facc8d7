//! Amounts in wei, shown in ether, exactly.

use std::fmt;

use nexum_sdk::alloy::primitives::{U256, utils::format_ether};

/// An amount in wei, shown in ether, without zeros at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ether(pub(crate) U256);

impl fmt::Display for Ether {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = format_ether(self.0);
        f.write_str(shown.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// The way from one amount to another, shown in ether with its sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Signed {
    /// Before, in wei.
    pub(crate) old: U256,
    /// After, in wei.
    pub(crate) new: U256,
}

impl fmt::Display for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.new < self.old { '-' } else { '+' };
        write!(f, "{sign}{}", Ether(self.old.abs_diff(self.new)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ether_is_shown_exactly() {
        let ether = U256::from(10).pow(U256::from(18));
        for (wei, shown) in [
            (U256::ZERO, "0"),
            (U256::from(1), "0.000000000000000001"),
            (ether, "1"),
            (ether + ether / U256::from(2), "1.5"),
            (ether * U256::from(10), "10"),
            (
                U256::from(u128::MAX),
                "340282366920938463463.374607431768211455",
            ),
        ] {
            assert_eq!(Ether(wei).to_string(), shown);
        }
    }

    #[test]
    fn a_difference_has_its_sign() {
        let (zero, one) = (U256::ZERO, U256::from(1));
        let shown = |old, new| Signed { old, new }.to_string();
        assert_eq!(shown(zero, one), "+0.000000000000000001");
        assert_eq!(shown(U256::MAX, U256::MAX - one), "-0.000000000000000001");
    }
}
