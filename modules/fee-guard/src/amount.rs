//! Amounts in wei, as people write them.

use std::{fmt, str::FromStr};

use nexum_sdk::alloy::primitives::{
    U256,
    utils::{ParseUnits, format_ether, parse_units},
};
use serde::{Deserialize, Serialize};

/// An amount in wei. It is read from a text such as `0.5 ether`, and shown in ether.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Amount(pub(crate) U256);

impl FromStr for Amount {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wanted = "write a number, a space and a unit, such as \"0.5 ether\" or \"20 gwei\"";
        let (number, unit) = text.split_once(' ').ok_or(wanted)?;
        match parse_units(number, unit) {
            Ok(ParseUnits::U256(wei)) => Ok(Self(wei)),
            Ok(ParseUnits::I256(_)) | Err(_) => Err(wanted),
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = format_ether(self.0);
        let shown = shown.trim_end_matches('0').trim_end_matches('.');
        write!(f, "{shown} ether")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_with_their_unit_and_shown_in_ether() {
        for (text, shown) in [
            ("0.5 ether", "0.5 ether"),
            ("2 ether", "2 ether"),
            ("20 gwei", "0.00000002 ether"),
            ("1 wei", "0.000000000000000001 ether"),
        ] {
            assert_eq!(text.parse::<Amount>().unwrap().to_string(), shown);
        }
        for text in ["", "1", "1ether", "-1 ether", "1 euro", "one ether"] {
            let error = text.parse::<Amount>().unwrap_err();
            assert!(error.contains("0.5 ether"), "{text}: {error}");
        }
    }
}
