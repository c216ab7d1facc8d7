//! Amounts of a chain's coin, exact to the wei.

use nexum_types::U256;
use serde_json::{Value, json};
use toml::de::DeValue;

use crate::{
    decode::{Decode, Decoder, Node},
    wording::{listed, nearest, quoted},
};

/// Each unit, and how many decimals its numbers can have.
const UNITS: [(&str, usize); 3] = [("ether", 18), ("gwei", 9), ("wei", 0)];

const HOW_TO_WRITE: &str =
    "write a number, a space and a unit, such as \"0.5 ether\", \"30 gwei\" or \"1000 wei\"";

/// An amount in wei.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Wei(pub(crate) U256);

/// Why a text is no amount: what is wrong with it, as the end of a sentence, and what to do.
struct NoAmount(String, String);

impl NoAmount {
    fn new(what: impl Into<String>) -> Self {
        Self(what.into(), HOW_TO_WRITE.to_owned())
    }
}

/// Reads a number in decimal, a space and a unit.
fn parse(text: &str) -> Result<U256, NoAmount> {
    let (number, unit) = match text.split_once(' ') {
        Some((number, unit)) => (number, Some(unit)),
        None => (text, None),
    };
    if number.starts_with('-') {
        return Err(NoAmount::new("and the least is 0"));
    }
    let (whole, decimals) = match number.split_once('.') {
        Some((whole, decimals)) => (whole, Some(decimals)),
        None => (number, None),
    };
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|c| c.is_ascii_digit());
    if number.starts_with(|c: char| c.is_ascii_digit()) && number.contains(['e', 'E']) {
        return Err(NoAmount(
            "which is no amount: it has an exponent".to_owned(),
            "write all digits, such as \"1000 gwei\"".to_owned(),
        ));
    }
    if !is_digits(whole) || decimals.is_some_and(|decimals| !is_digits(decimals)) {
        return Err(NoAmount::new("which is no amount"));
    }
    let Some(unit) = unit else {
        return Err(NoAmount::new("and has no unit"));
    };
    let Some((unit, scale)) = UNITS.into_iter().find(|(name, _)| *name == unit) else {
        let names = UNITS.map(|(name, _)| name);
        let help = match nearest(unit, &names) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("the units are {}", listed(&names)),
        };
        return Err(NoAmount("whose unit is unknown".to_owned(), help));
    };
    let decimals = decimals.unwrap_or_default();
    let Some(missing) = scale.checked_sub(decimals.len()) else {
        let what = match scale {
            0 => "which has decimals, and wei has none".to_owned(),
            _ => format!(
                "which has {} decimals, and {unit} has at most {scale}",
                decimals.len()
            ),
        };
        return Err(NoAmount::new(what));
    };
    let digits = whole.bytes().chain(decimals.bytes());
    let digits = digits.chain(std::iter::repeat_n(b'0', missing));
    digits
        .map(|digit| U256::from(digit - b'0'))
        .try_fold(U256::ZERO, |sum, digit| {
            sum.checked_mul(U256::from(10))?.checked_add(digit)
        })
        .ok_or_else(|| NoAmount::new("which does not fit in 256 bits"))
}

impl Decode for Wei {
    const EXPECTS: &'static str = "an amount such as \"0.5 ether\"";

    fn schema() -> Value {
        json!({
            "anyOf": [
                {
                    "type": "string",
                    "pattern": r"^[0-9]+(\.[0-9]{1,18} ether|\.[0-9]{1,9} gwei| (ether|gwei|wei))$",
                    "examples": ["0.5 ether", "30 gwei"],
                },
                { "type": "integer", "minimum": 0 },
            ],
        })
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        let text = match node.get_ref() {
            DeValue::Integer(_) => {
                let wei = decoder.integer::<Self>(node, 0)?;
                return Some(Self(U256::from(wei.unsigned_abs())));
            }
            _ => decoder.text::<Self>(node)?,
        };
        parse(text)
            .map(Self)
            .map_err(|NoAmount(what, help)| {
                let message = format!("{} is {}, {what}", decoder.subject(), quoted(text));
                decoder.report_with_help(node.span(), message, "no amount", help);
            })
            .ok()
    }
}

/// A price of gas, in wei (EIP-1559 counts it in 128 bits).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GasPrice(pub(crate) u128);

impl Decode for GasPrice {
    const EXPECTS: &'static str = "a price such as \"100 gwei\"";

    fn schema() -> Value {
        Wei::schema()
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        let Wei(price) = Wei::decode(node, decoder)?;
        let fitting = u128::try_from(price).ok();
        if fitting.is_none() {
            let message = format!("{} does not fit in 128 bits of wei", decoder.subject());
            let help = "write the price of one unit of gas, such as \"100 gwei\"";
            decoder.report_with_help(node.span(), message, "too large", help);
        }
        fitting.map(Self)
    }
}
