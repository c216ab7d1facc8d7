//! Addresses and topics as they are written.

use alloy_primitives::{Address, B256, hex};
use serde_json::{Value, json};

use crate::{
    decode::{Decode, Decoder, Node},
    wording::quoted,
};

/// Why a text is no address.
pub(crate) enum BadAddress {
    /// It is not 20 bytes in hex.
    Form,
    /// Its letters are mixed, which makes them a checksum, and the checksum is that of another
    /// address. This is how the bytes that are there would be written.
    Checksum(String),
}

/// An address of 20 bytes. One whose letters are all of a case has no checksum (EIP-55).
pub(crate) fn parse_address(text: &str) -> Result<Address, BadAddress> {
    let address = bytes::<20>(text)
        .map(Address::new)
        .ok_or(BadAddress::Form)?;
    let letters = || text.bytes().skip(2).filter(u8::is_ascii_alphabetic);
    let one_case =
        letters().all(|c| c.is_ascii_lowercase()) || letters().all(|c| c.is_ascii_uppercase());
    let checksummed = address.to_checksum(None);
    if one_case || checksummed == text {
        return Ok(address);
    }
    Err(BadAddress::Checksum(checksummed))
}

impl BadAddress {
    /// What is wrong with the address, as the end of a sentence, and what to do.
    pub(crate) fn explain(self) -> (&'static str, String) {
        match self {
            Self::Form => (
                "which is no address",
                "an address is \"0x\" and 40 hex digits".to_owned(),
            ),
            Self::Checksum(right) => (
                "whose checksum (EIP-55) is wrong",
                format!(
                    "compare it with its source, since a digit may be wrong; if none is, write {right:?}"
                ),
            ),
        }
    }
}

/// Exactly `N` bytes in hex after "0x".
pub(crate) fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    hex_bytes(text)?.try_into().ok()
}

/// Any number of bytes in hex after "0x".
pub(crate) fn hex_bytes(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("0x")?;
    // The decoder takes a prefix of its own.
    if digits.starts_with("0x") {
        return None;
    }
    hex::decode(digits).ok()
}

impl Decode for Address {
    const EXPECTS: &'static str = "an address";

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^0x[0-9a-fA-F]{40}$" })
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        let text = decoder.text::<Self>(node)?;
        if text == "*" {
            let message = format!("{} does not take \"*\"", decoder.subject());
            let help = "leave it out: with `event` or `topics`, the logs of every contract come";
            decoder.report_with_help(node.span(), message, "no address", help);
            return None;
        }
        parse_address(text)
            .map_err(|bad| {
                let (what, help) = bad.explain();
                let message = format!("{} is {}, {what}", decoder.subject(), quoted(text));
                decoder.report_with_help(node.span(), message, "no address", help);
            })
            .ok()
    }
}

impl Decode for B256 {
    const EXPECTS: &'static str = "a topic";

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^0x[0-9a-fA-F]{64}$" })
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        let text = decoder.text::<Self>(node)?;
        let topic = bytes::<32>(text).map(Self::new);
        if topic.is_none() {
            let message = format!(
                "{} is {}, which is no topic",
                decoder.subject(),
                quoted(text)
            );
            let help = match bytes::<20>(text) {
                Some(_) => format!(
                    "an address fills a topic from the right: write \"0x{}{}\"",
                    "0".repeat(24),
                    &text[2..]
                ),
                None => "a topic is \"0x\" and 64 hex digits, or \"*\" for any".to_owned(),
            };
            decoder.report_with_help(node.span(), message, "no topic", help);
        }
        topic
    }
}
