//! The module's configuration, read once and checked whole: an entry that is wrong, missing or
//! unknown is named, with what it should be.

use std::{collections::BTreeSet, fmt, str::FromStr};

use crate::bindings::nexum::host::types::{Config, ConfigScalar, ConfigValue};

/// What to watch, and from where on to speak of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    /// The accounts, at least one, each once, in the order of the configuration.
    pub(crate) addresses: Vec<Address>,
    /// A change is logged where it is more than this.
    pub(crate) threshold_wei: u128,
}

impl Settings {
    /// Reads `addresses` and `threshold_wei`, which is 0 where it is missing.
    pub(crate) fn read(config: &Config) -> Result<Self, Wrong> {
        let (mut addresses, mut threshold_wei) = (None, 0);
        for (key, value) in config {
            match key.as_str() {
                "addresses" => addresses = Some(read_addresses(value)?),
                "threshold_wei" => threshold_wei = read_wei(value)?,
                _ => return Err(Wrong::Unknown(key.clone())),
            }
        }
        match addresses {
            Some(addresses) => Ok(Self {
                addresses,
                threshold_wei,
            }),
            None => Err(Wrong::Addresses),
        }
    }
}

/// Why the configuration cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// `addresses` is missing, empty or no list.
    Addresses,
    /// An entry of `addresses` is no address. Its position counts from 1.
    Address(usize, String),
    /// An entry of `addresses` is there twice. Its position counts from 1.
    Twice(usize, Address),
    /// `threshold_wei` is no amount.
    Threshold,
    /// There is no entry of this name.
    Unknown(String),
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Addresses => f.write_str(
                "config `addresses` must be a list of at least one address, such as \
                 [\"0x70997970C51812dc3A010C7d01b50e0d17dc79C8\"]",
            ),
            Self::Address(position, text) => write!(
                f,
                "config `addresses`, entry {position}: {text} is no address; write 0x and 40 hex \
                 digits, in quotes"
            ),
            Self::Twice(position, address) => write!(
                f,
                "config `addresses`, entry {position}: {address} is listed before; remove one"
            ),
            Self::Threshold => f.write_str(
                "config `threshold_wei` must be an amount in wei that is not negative: an \
                 integer, or a string of decimal digits where it may not fit one",
            ),
            Self::Unknown(key) => {
                write!(
                    f,
                    "config `{key}` is unknown; there are `addresses` and `threshold_wei`"
                )
            }
        }
    }
}

/// A 20-byte address, shown in small letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Address([u8; 20]);

impl FromStr for Address {
    type Err = NoAddress;

    /// Reads `0x` and 40 hex digits, in letters of either case. A checksum in them (EIP-55) is
    /// not verified.
    fn from_str(text: &str) -> Result<Self, NoAddress> {
        let digits = text.strip_prefix("0x").ok_or(NoAddress)?.as_bytes();
        let mut bytes = [0; 20];
        if digits.len() != 2 * bytes.len() {
            return Err(NoAddress);
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = 16 * nibble(pair[0])? + nibble(pair[1])?;
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("0x")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The text is no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoAddress;

fn nibble(digit: u8) -> Result<u8, NoAddress> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        _ => Err(NoAddress),
    }
}

fn read_addresses(value: &ConfigValue) -> Result<Vec<Address>, Wrong> {
    let ConfigValue::List(entries) = value else {
        return Err(Wrong::Addresses);
    };
    let mut seen = BTreeSet::new();
    let mut addresses = Vec::with_capacity(entries.len());
    for (entry, position) in entries.iter().zip(1..) {
        let text = match entry {
            ConfigScalar::String(text) => text.clone(),
            ConfigScalar::Integer(number) => number.to_string(),
            ConfigScalar::Boolean(value) => value.to_string(),
        };
        let address: Address = match text.parse() {
            Ok(address) => address,
            Err(NoAddress) => return Err(Wrong::Address(position, text)),
        };
        if !seen.insert(address) {
            return Err(Wrong::Twice(position, address));
        }
        addresses.push(address);
    }
    if addresses.is_empty() {
        Err(Wrong::Addresses)
    } else {
        Ok(addresses)
    }
}

fn read_wei(value: &ConfigValue) -> Result<u128, Wrong> {
    match value {
        ConfigValue::Integer(amount) => u128::try_from(*amount).map_err(|_| Wrong::Threshold),
        ConfigValue::String(text) if text.bytes().all(|digit| digit.is_ascii_digit()) => {
            text.parse().map_err(|_| Wrong::Threshold)
        }
        _ => Err(Wrong::Threshold),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
    const TWO: &str = "0x3c44cdddb6a900fa2b585dd299e03d12fa4293bc";

    fn addresses(entries: &[&str]) -> (String, ConfigValue) {
        let entries = entries
            .iter()
            .map(|text| ConfigScalar::String((*text).into()))
            .collect();
        ("addresses".into(), ConfigValue::List(entries))
    }

    fn threshold(value: ConfigValue) -> (String, ConfigValue) {
        ("threshold_wei".into(), value)
    }

    fn read(config: &[(String, ConfigValue)]) -> Result<Settings, Wrong> {
        Settings::read(&config.to_vec())
    }

    #[test]
    fn accounts_are_kept_in_order_and_shown_in_small_letters() {
        let settings = read(&[addresses(&[ONE, TWO])]).unwrap();
        let shown: Vec<_> = settings.addresses.iter().map(ToString::to_string).collect();
        assert_eq!(shown, [ONE.to_lowercase(), TWO.to_owned()]);
        assert_eq!(settings.threshold_wei, 0, "by default every change is told");
    }

    #[test]
    fn a_wrong_entry_is_named_with_its_position() {
        for wrong in [
            "",
            "0x",
            &ONE[..41],
            &format!("{ONE}0"),
            &ONE[2..],
            "0xzz997970C51812dc3A010C7d01b50e0d17dc79C8",
            "ä",
        ] {
            let config = [addresses(&[TWO, wrong])];
            assert_eq!(read(&config), Err(Wrong::Address(2, wrong.into())));
        }
        let number = ConfigValue::List(vec![ConfigScalar::Integer(5)]);
        let failed = read(&[("addresses".into(), number)]).unwrap_err();
        assert_eq!(
            failed.to_string(),
            "config `addresses`, entry 1: 5 is no address; write 0x and 40 hex digits, in quotes"
        );
    }

    #[test]
    fn an_account_is_listed_once_in_whatever_case() {
        let lower = ONE.to_lowercase();
        let failed = read(&[addresses(&[ONE, TWO, &lower])]).unwrap_err();
        assert_eq!(failed, Wrong::Twice(3, ONE.parse().unwrap()));
    }

    #[test]
    fn there_is_at_least_one_account() {
        assert_eq!(read(&[]), Err(Wrong::Addresses));
        assert_eq!(read(&[addresses(&[])]), Err(Wrong::Addresses));
        let text = ConfigValue::String(ONE.into());
        assert_eq!(read(&[("addresses".into(), text)]), Err(Wrong::Addresses));
    }

    #[test]
    fn the_threshold_is_an_integer_or_decimal_digits() {
        let read = |value| {
            read(&[addresses(&[ONE]), threshold(value)]).map(|settings| settings.threshold_wei)
        };
        let text = |text: &str| ConfigValue::String(text.into());
        assert_eq!(read(ConfigValue::Integer(5)), Ok(5));
        assert_eq!(
            read(text("25000000000000000000")),
            Ok(25_000_000_000_000_000_000)
        );
        assert_eq!(read(ConfigValue::Integer(-1)), Err(Wrong::Threshold));
        assert_eq!(read(ConfigValue::Boolean(true)), Err(Wrong::Threshold));
        for wrong in ["", "-1", "+1", "1.5", "0x10", "1e18", &"9".repeat(40)] {
            assert_eq!(read(text(wrong)), Err(Wrong::Threshold), "{wrong}");
        }
    }

    #[test]
    fn an_unknown_entry_is_refused() {
        let config = [
            addresses(&[ONE]),
            ("threshold".into(), ConfigValue::Integer(5)),
        ];
        assert_eq!(read(&config), Err(Wrong::Unknown("threshold".into())));
    }
}
