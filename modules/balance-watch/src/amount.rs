//! Amounts in wei, read from JSON-RPC and shown in ether.
//!
//! An amount is a `u128`: all the ether there is has less than 2^87 wei. What does not fit is an
//! error, never cut.

use std::fmt;

/// The decimals of ether: 1 ether is 10^18 wei.
const DECIMALS: usize = 18;
const WEI_PER_ETHER: u128 = 10_u128.pow(DECIMALS as u32);

/// Why a text is no quantity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoQuantity {
    /// It is not of the form `"0x…"`.
    Form(String),
    /// It does not fit 128 bits.
    TooLarge,
}

impl fmt::Display for NoQuantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form(text) => write!(f, "the node answered {text}, not a hex quantity"),
            Self::TooLarge => f.write_str("the node answered a quantity of more than 128 bits"),
        }
    }
}

/// Reads a JSON string with a quantity of the Ethereum JSON-RPC: `0x` and hex digits. Leading
/// zeros, which the specification forbids and some nodes send, are read too.
pub(crate) fn parse_quantity(json: &str) -> Result<u128, NoQuantity> {
    let malformed = || NoQuantity::Form(json.chars().take(80).collect());
    let digits = json
        .trim()
        .strip_prefix("\"0x")
        .and_then(|text| text.strip_suffix('"'))
        .ok_or_else(malformed)?;
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(malformed());
    }
    match digits.trim_start_matches('0') {
        "" => Ok(0),
        digits => u128::from_str_radix(digits, 16).map_err(|_| NoQuantity::TooLarge),
    }
}

/// An amount in wei, shown in ether, exactly, without zeros at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ether(pub(crate) u128);

impl fmt::Display for Ether {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0 / WEI_PER_ETHER)?;
        match self.0 % WEI_PER_ETHER {
            0 => Ok(()),
            rest => {
                let decimals = format!("{rest:0DECIMALS$}");
                write!(f, ".{}", decimals.trim_end_matches('0'))
            }
        }
    }
}

/// The way from one amount to another, shown in ether with its sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Signed {
    /// Before, in wei.
    pub(crate) old: u128,
    /// After, in wei.
    pub(crate) new: u128,
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
    fn quantities_are_read_whole_or_not_at_all() {
        assert_eq!(parse_quantity(r#""0x0""#), Ok(0));
        assert_eq!(parse_quantity(r#""0xde0b6b3a7640000""#), Ok(WEI_PER_ETHER));
        assert_eq!(
            parse_quantity(r#"  "0xDE0B6B3A7640000" "#),
            Ok(WEI_PER_ETHER)
        );
        assert_eq!(parse_quantity(&format!("\"0x{}1\"", "0".repeat(63))), Ok(1));
        assert_eq!(
            parse_quantity(&format!("\"0x{}\"", "f".repeat(32))),
            Ok(u128::MAX)
        );
        assert_eq!(
            parse_quantity(&format!("\"0x1{}\"", "0".repeat(32))),
            Err(NoQuantity::TooLarge)
        );
        for text in [
            "null",
            "1",
            r#""0x""#,
            r#""1f""#,
            r#""0x+1""#,
            r#""0x 1""#,
            r#""0x1"#,
            "",
        ] {
            assert_eq!(
                parse_quantity(text),
                Err(NoQuantity::Form(text.into())),
                "{text}"
            );
        }
    }

    #[test]
    fn an_answer_that_is_no_quantity_is_quoted_at_bounded_length() {
        let Err(NoQuantity::Form(quoted)) = parse_quantity(&"ä".repeat(1000)) else {
            panic!("that is no quantity");
        };
        assert_eq!(quoted.chars().count(), 80);
    }

    #[test]
    fn ether_is_shown_exactly() {
        for (wei, shown) in [
            (0, "0"),
            (1, "0.000000000000000001"),
            (WEI_PER_ETHER, "1"),
            (WEI_PER_ETHER + WEI_PER_ETHER / 2, "1.5"),
            (10 * WEI_PER_ETHER, "10"),
            (u128::MAX, "340282366920938463463.374607431768211455"),
        ] {
            assert_eq!(Ether(wei).to_string(), shown);
        }
    }

    #[test]
    fn a_difference_has_its_sign() {
        assert_eq!(
            Signed {
                old: 0,
                new: WEI_PER_ETHER
            }
            .to_string(),
            "+1"
        );
        assert_eq!(
            Signed {
                old: u128::MAX,
                new: u128::MAX - 1
            }
            .to_string(),
            format!("-{}", Ether(1))
        );
    }
}
