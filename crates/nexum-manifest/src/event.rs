//! Events as people write them: `Transfer(address indexed from, address indexed to, uint256 value)`.
//!
//! The parser takes any name for a type, since in Solidity a contract or an enum is one. A type
//! that is not the ABI's would give a topic that no log has, and so is refused here.

use alloy_json_abi::{Event, Param};
use nexum_types::{B256, MAX_TOPICS};
use serde_json::{Value, json};

use crate::{
    decode::{Decode, Decoder, Node},
    wording::quoted,
};

/// An event whose topics are known.
pub(crate) struct Signature {
    /// The first topic; an anonymous event has none.
    pub(crate) topic: Option<B256>,
    /// The arguments in their order.
    pub(crate) arguments: Vec<Argument>,
}

/// An argument of an event.
pub(crate) struct Argument {
    /// Its name; empty where it has none.
    pub(crate) name: String,
    /// Its type.
    pub(crate) kind: Kind,
    /// Its type, as the ABI writes it.
    pub(crate) type_name: String,
    /// Whether it is a topic.
    pub(crate) indexed: bool,
}

/// What an argument's type makes of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Address,
    Bool,
    /// With so many bits.
    Uint(usize),
    /// With so many bits.
    Int(usize),
    /// So many bytes.
    FixedBytes(usize),
    Bytes,
    String,
    /// An array or a tuple.
    Compound,
}

impl Kind {
    /// The kind of a type that is no tuple.
    fn of(type_name: &str) -> Option<Self> {
        if let Some((element, _)) = type_name.split_once('[') {
            return Self::of(element).map(|_| Self::Compound);
        }
        let size = |digits: &str, unit: usize, most: usize| {
            let size: usize = digits.parse().ok()?;
            let fits = (1..=most).contains(&size) && size.is_multiple_of(unit);
            // "uint08" is not "uint8", and has another hash.
            (fits && size.to_string() == digits).then_some(size)
        };
        match type_name {
            "address" => Some(Self::Address),
            "bool" => Some(Self::Bool),
            "string" => Some(Self::String),
            "bytes" => Some(Self::Bytes),
            // An address and a selector, as bytes24.
            "function" => Some(Self::FixedBytes(24)),
            _ => {
                if let Some(bits) = type_name.strip_prefix("uint") {
                    size(bits, 8, 256).map(Self::Uint)
                } else if let Some(bits) = type_name.strip_prefix("int") {
                    size(bits, 8, 256).map(Self::Int)
                } else {
                    let bytes = type_name.strip_prefix("bytes")?;
                    size(bytes, 1, 32).map(Self::FixedBytes)
                }
            }
        }
    }

    /// The kind of a type with these components, or the name that is no type.
    fn with_components<'a>(type_name: &'a str, components: &'a [Param]) -> Result<Self, &'a str> {
        if components.is_empty() {
            return Self::of(type_name).ok_or(type_name);
        }
        for component in components {
            Self::with_components(&component.ty, &component.components)?;
        }
        Ok(Self::Compound)
    }
}

/// What is wrong with a text, as the rest of the sentence "`key` …", and what to do.
struct Bad(String, String);

impl Signature {
    fn parse(text: &str) -> Result<Self, Bad> {
        let no_event = || {
            Bad(
                format!("is {}, which is no event", quoted(text)),
                "write it as in Solidity: \"Transfer(address indexed from, address indexed to, uint256 value)\""
                    .to_owned(),
            )
        };
        let declaration = text.trim().trim_end_matches(';').trim_end();
        let event = Event::parse(declaration).map_err(|_| no_event())?;
        // The parser makes a name with a dot, which the ABI does not have, a `uint8`.
        if text.contains('.') {
            return Err(Bad("has a name with a dot".to_owned(), TYPES.to_owned()));
        }
        let mut arguments: Vec<Argument> = Vec::new();
        for input in &event.inputs {
            let kind = Kind::with_components(&input.ty, &input.components).map_err(|name| {
                let message = format!("has the type {}, which is none of the ABI", quoted(name));
                Bad(message, TYPES.to_owned())
            })?;
            if !input.name.is_empty() && arguments.iter().any(|known| known.name == input.name) {
                return Err(Bad(
                    format!("has two arguments {}", quoted(&input.name)),
                    "give each a name of its own, or none".to_owned(),
                ));
            }
            arguments.push(Argument {
                name: input.name.clone(),
                kind,
                type_name: input.selector_type().into_owned(),
                indexed: input.indexed,
            });
        }
        let topics = event.num_topics();
        if topics > MAX_TOPICS {
            let most = MAX_TOPICS - usize::from(!event.anonymous);
            return Err(Bad(
                format!(
                    "has {} indexed arguments, and the most is {most}",
                    topics - usize::from(!event.anonymous)
                ),
                "write the event as its contract declares it".to_owned(),
            ));
        }
        Ok(Self {
            topic: (!event.anonymous).then(|| event.selector()),
            arguments,
        })
    }

    /// The indexed arguments with the topics that they are, by position.
    pub(crate) fn indexed(&self) -> impl Iterator<Item = (usize, &Argument)> {
        let indexed = self.arguments.iter().filter(|argument| argument.indexed);
        (usize::from(self.topic.is_some())..).zip(indexed)
    }
}

const TYPES: &str = "write the types of the ABI: a contract is address, an enum uint8, and a struct a tuple such as (address,uint256)";

impl Decode for Signature {
    const EXPECTS: &'static str = "an event's signature";

    fn schema() -> Value {
        json!({
            "type": "string",
            "examples": ["Transfer(address indexed from, address indexed to, uint256 value)"],
        })
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        let text = decoder.text::<Self>(node)?;
        Self::parse(text)
            .map_err(|Bad(message, help)| {
                let message = format!("{} {message}", decoder.subject());
                decoder.report_with_help(node.span(), message, "no event", help);
            })
            .ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(text: &str) -> Option<B256> {
        let parsed = Signature::parse(text);
        parsed
            .unwrap_or_else(|Bad(message, _)| panic!("{text} {message}"))
            .topic
    }

    fn is_refused(text: &str) {
        assert!(Signature::parse(text).is_err(), "{text} is taken");
    }

    /// From the contracts' verified sources.
    #[test]
    fn the_topics_of_events_that_everyone_knows() {
        let transfer = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";
        for text in [
            "Transfer(address indexed from, address indexed to, uint256 value)",
            "event Transfer(address indexed from, address indexed to, uint value);",
            " Transfer ( address,address,uint256 ) ",
        ] {
            assert_eq!(topic(text), Some(transfer.parse().unwrap()), "{text}");
        }
        // Uniswap v3.
        assert_eq!(
            topic("Swap(address indexed,address indexed,int256,int256,uint160,uint128,int24)"),
            "0xc42079f94a6350d7e6235f29174924f928cc2ac818eb64fed8004e115fbcca67"
                .parse()
                .ok()
        );
        // CoW Protocol's ComposableCoW.
        assert_eq!(
            topic("ConditionalOrderCreated(address indexed owner, (address,bytes32,bytes) params)"),
            "0x2cceac5555b0ca45a3744ced542f54b56ad2eb45e521962372eef212a2cbf361"
                .parse()
                .ok()
        );
        assert_eq!(topic("Note(bytes4 indexed sig) anonymous"), None);
    }

    #[test]
    fn what_would_give_a_topic_that_no_log_has() {
        for text in [
            "",
            "Transfer",
            "Transfer(",
            "Transfer(address,)x",
            "Transfer(IERC20 token)",
            "Transfer(IERC20.Kind kind)",
            "Token.Transfer(address from)",
            "Transfer(uint7 a)",
            "Transfer(uint264 a)",
            "Transfer(uint08 a)",
            "Transfer(uint0 a)",
            "Transfer(bytes33 a)",
            "Transfer(bytes[] a, (uint256,Order) b)",
            "Transfer(address a, address a)",
            "Transfer(bool indexed, bool indexed, bool indexed, bool indexed)",
            "Transfer(bool indexed,bool indexed,bool indexed,bool indexed,bool indexed) anonymous",
            "function transfer(address to)",
        ] {
            is_refused(text);
        }
        assert!(topic("A(bool indexed, bool indexed, bool indexed, bool)").is_some());
    }

    #[test]
    fn an_argument_keeps_its_topic() {
        let named = |text: &str| {
            let Ok(event) = Signature::parse(text) else {
                panic!("{text} is refused")
            };
            let indexed = event.indexed();
            indexed
                .map(|(position, argument)| (position, argument.name.clone(), argument.kind))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            named("A(int8 a, uint24[2] indexed b, string c, bytes4 indexed d)"),
            [
                (1, "b".to_owned(), Kind::Compound),
                (2, "d".to_owned(), Kind::FixedBytes(4))
            ]
        );
        assert_eq!(
            named("A(int8 indexed a, (bool,uint) indexed b) anonymous"),
            [
                (0, "a".to_owned(), Kind::Int(8)),
                (1, "b".to_owned(), Kind::Compound)
            ]
        );
    }
}
