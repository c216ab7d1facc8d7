//! `[[subscription]]` of a module's manifest.

use std::num::NonZeroU64;

use nexum_types::{Address, ChainId, Depth, LogFilter};
use serde_json::{Value, json};

use crate::{
    BlockSubscription, Delivery, LogSubscription, OnLag, Start, Subscription, cron,
    decode::{At, Decode, Decoder, Node, Tried, Written, table},
    event::Signature,
    lists::{OneOrMore, report_repeated},
    source::Span,
    topics::{RawTopics, RawWhere, Topics, plain},
    values::{AtLeast, Between},
    wording::{nearest, quoted},
};

table! {
    /// Canonical blocks of one chain.
    struct RawBlock {
        /// What the events are: "block", "log" or "cron".
        required kind: IsBlock,
        /// The chain. It is one of `chains.required` or `chains.optional`.
        required chain_id: At<ChainId>,
        /// Where to begin as long as the module has no cursor: "latest", the chain's head, or the number of a block.
        default start: Start = Start::default(),
        /// Only blocks whose number is a multiple of this.
        default every: AtLeast<1> = AtLeast(1),
        /// How many blocks must be on top of a block before it comes. It takes the place of `finality`.
        optional confirmations: Between<1, { u32::MAX }>,
        /// How sure a block must be before it comes: "latest", as soon as it is known, "safe" or "finalized".
        optional finality: At<Finality>,
        /// What happens where the module falls behind what the engine keeps: "catch-up", everything it has missed comes, or "skip", it goes on at the head.
        default on_lag: OnLag = OnLag::default(),
    }
}

table! {
    /// Logs of one chain that match, all of a block together. At least one of `address`, `event` and `topics` is needed.
    struct RawLog {
        /// What the events are: "block", "log" or "cron".
        required kind: IsLog,
        /// The chain. It is one of `chains.required` or `chains.optional`.
        required chain_id: At<ChainId>,
        /// The contracts, one address or a list. Mixed case is a checksum (EIP-55) and must be right. Without it, any contract.
        optional address: Addresses,
        /// The event, as Solidity declares it: "Transfer(address indexed from, address indexed to, uint256 value)".
        optional event: Tried<Signature>,
        /// The values of the event's indexed arguments, by name: { from = "0x…", id = [1, 2] }. A list has alternatives.
        optional r#where: At<RawWhere>,
        /// The topics by position, in place of `event`: each a topic, a list of alternatives, or "*" for any.
        optional topics: At<RawTopics>,
        /// Where to begin as long as the module has no cursor: "latest", the chain's head, or the number of a block.
        default start: Start = Start::default(),
        /// How many blocks must be on top of a log's block before it comes. It takes the place of `finality`.
        optional confirmations: Between<1, { u32::MAX }>,
        /// How sure a log's block must be before it comes: "latest", as soon as it is known, "safe" or "finalized".
        optional finality: At<Finality>,
        /// What happens where the module falls behind what the engine keeps: "catch-up", everything it has missed comes, or "skip", it goes on at the head.
        default on_lag: OnLag = OnLag::default(),
        /// When logs come: "block", all of a block together, or "push", as soon as a WebSocket endpoint announces them, and the rest of the block's behind them.
        optional delivery: At<Delivery>,
    }
}

/// One `[[subscription]]`. Its `kind` says which keys the others are.
pub(crate) struct RawSubscription {
    /// The chain, where it is good.
    pub(crate) chain_id: Option<At<ChainId>>,
    /// Where what is wrong with all of it is told.
    pub(crate) span: Option<Span>,
    /// `None` after every problem with it has been reported.
    pub(crate) subscription: Option<Subscription>,
}

impl Decode for RawSubscription {
    const EXPECTS: &'static str = "a table";

    fn schema() -> Value {
        let both = |one: &str, other: &str| json!({ "not": { "required": [one, other] } });
        let (mut block, mut log) = (RawBlock::schema(), RawLog::schema());
        block["allOf"] = json!([both("confirmations", "finality")]);
        log["allOf"] = json!([both("confirmations", "finality"), both("event", "topics")]);
        log["dependentRequired"] = json!({ "where": ["event"] });
        let one_of = ["address", "event", "topics"].map(|key| json!({ "required": [key] }));
        log["anyOf"] = json!(one_of);
        json!({ "oneOf": [block, log, cron::schema()] })
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        let has = |key: &str| {
            let table = node.get_ref().as_table();
            table.and_then(|table| table.get(key))
        };
        let kind = match has("kind") {
            // The keys of a kind that is not known are not known either: one problem is enough.
            Some(kind) => decoder.within("kind", "", |decoder| Kind::decode(kind, decoder))?,
            None if ["address", "event", "where", "topics"]
                .iter()
                .any(|key| has(key).is_some()) =>
            {
                Kind::Log
            }
            None if ["schedule", "timezone", "missed"]
                .iter()
                .any(|key| has(key).is_some()) =>
            {
                Kind::Cron
            }
            None => Kind::Block,
        };
        match kind {
            Kind::Block => RawBlock::decode(node, decoder).map(|raw| raw.resolve(decoder)),
            Kind::Cron => cron::decode(node, decoder),
            Kind::Log => {
                let before = decoder.found.len();
                let raw = RawLog::decode(node, decoder)?.resolve(decoder);
                if decoder.found.len() == before {
                    report_everything(&raw, node, decoder);
                }
                Some(raw)
            }
        }
    }
}

impl RawBlock {
    fn resolve(self, decoder: &mut Decoder) -> RawSubscription {
        let depth = depth(self.confirmations, self.finality, decoder);
        let subscription = || {
            Some(Subscription::Block(BlockSubscription {
                chain_id: self.kind.as_ref().and(self.chain_id.as_ref())?.value,
                start: self.start,
                every: NonZeroU64::new(self.every.0).unwrap_or(NonZeroU64::MIN),
                depth: depth?,
                on_lag: self.on_lag,
            }))
        };
        RawSubscription {
            subscription: subscription(),
            span: self.chain_id.as_ref().map(|chain| chain.span.clone()),
            chain_id: self.chain_id,
        }
    }
}

impl RawLog {
    fn resolve(self, decoder: &mut Decoder) -> RawSubscription {
        let depth = depth(self.confirmations, self.finality, decoder);
        let topics = topics(self.event, self.r#where, self.topics, decoder);
        let addresses = self.address.map(|Addresses(addresses)| addresses);
        let delivery = delivery(self.delivery, depth, decoder);
        let subscription = || {
            Some(Subscription::Log(LogSubscription {
                chain_id: self.kind.as_ref().and(self.chain_id.as_ref())?.value,
                start: self.start,
                filter: LogFilter {
                    addresses: addresses.unwrap_or_default(),
                    topics: topics?,
                },
                depth: depth?,
                on_lag: self.on_lag,
                delivery: delivery?,
            }))
        };
        RawSubscription {
            subscription: subscription(),
            span: self.chain_id.as_ref().map(|chain| chain.span.clone()),
            chain_id: self.chain_id,
        }
    }
}

/// When the logs come: what waits for a depth cannot be pushed.
fn delivery(
    delivery: Option<At<Delivery>>,
    depth: Option<Depth>,
    decoder: &mut Decoder,
) -> Option<Delivery> {
    let Some(At { value, span }) = delivery else {
        return Some(Delivery::Block);
    };
    if value == Delivery::Push && depth.is_some_and(|depth| depth != Depth::Head) {
        let keys = decoder.keys();
        let message = format!("`{keys}.delivery` is \"push\", and the logs wait for a depth");
        let help = "take out `delivery`, or `confirmations` and `finality`";
        decoder.report_with_help(span, message, "too soon", help);
        return None;
    }
    Some(value)
}

/// The depth of two keys, of which there may be one.
fn depth(
    confirmations: Option<Between<1, { u32::MAX }>>,
    finality: Option<At<Finality>>,
    decoder: &mut Decoder,
) -> Option<Depth> {
    match (confirmations, finality) {
        (Some(_), Some(finality)) => {
            let keys = decoder.keys();
            let message = format!("`{keys}` has both `confirmations` and `finality`");
            let help = "take one out: a block comes at one depth";
            decoder.report_with_help(finality.span, message, "one too many", help);
            None
        }
        (Some(Between(blocks)), None) => Some(Depth::Confirmations(blocks)),
        (None, Some(finality)) => Some(finality.value.0),
        (None, None) => Some(Depth::Head),
    }
}

/// The topics of an event and the conditions on it, or those that were written raw.
fn topics(
    event: Option<Tried<Signature>>,
    conditions: Option<At<RawWhere>>,
    raw: Option<At<RawTopics>>,
    decoder: &mut Decoder,
) -> Option<Topics> {
    let keys = decoder.keys();
    if let (Some(_), Some(raw)) = (&event, &raw) {
        let message = format!("`{keys}` has both `event` and `topics`");
        let help = "take one out: `event` is the first topic, and `where` gives the others";
        decoder.report_with_help(raw.span.clone(), message, "one too many", help);
        return None;
    }
    match (event, conditions) {
        (Some(Tried(event)), conditions) => {
            let event = event?;
            let mut topics = Topics::default();
            topics[0].extend(event.topic);
            if let Some(conditions) = conditions {
                decoder.within("where", "", |decoder| {
                    conditions.value.fill(&event, &mut topics, decoder);
                });
            }
            Some(topics)
        }
        (None, Some(conditions)) => {
            let message = format!("`{keys}.where` needs `event`");
            let help = match raw {
                Some(_) => "write the values into `topics`, or `event` in its place",
                None => "write the event whose arguments it names",
            };
            decoder.report_with_help(conditions.span, message, "of no event", help);
            None
        }
        (None, None) => Some(raw.map(|raw| raw.value.0).unwrap_or_default()),
    }
}

/// Reports a subscription to every log of a chain.
fn report_everything(raw: &RawSubscription, node: &Node<'_>, decoder: &mut Decoder) {
    let Some(Subscription::Log(log)) = &raw.subscription else {
        return;
    };
    if log.filter == LogFilter::default() {
        let keys = decoder.keys();
        let message = format!("`{keys}` takes every log of chain {}", log.chain_id);
        let help = "say which: by `address`, by `event`, or by `topics`";
        decoder.report_with_help(node.span(), message, "chooses none", help);
    }
}

/// `address`: one, or a list without repetition.
pub(crate) struct Addresses(Vec<Address>);

impl Decode for Addresses {
    const EXPECTS: &'static str = Address::EXPECTS;

    fn schema() -> Value {
        OneOrMore::<Address>::schema()
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        let OneOrMore(addresses) = OneOrMore::decode(node, decoder)?;
        report_repeated(&addresses, decoder);
        Some(Self(plain(addresses)))
    }
}

/// The kinds of subscription that this engine has.
enum Kind {
    Block,
    Log,
    Cron,
}

impl Decode for Kind {
    const EXPECTS: &'static str = "\"block\", \"log\" or \"cron\"";

    fn schema() -> Value {
        json!({ "type": "string", "enum": ["block", "log", "cron"] })
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        let text = decoder.text::<Self>(node)?;
        match text {
            "block" => return Some(Self::Block),
            "log" => return Some(Self::Log),
            "cron" => return Some(Self::Cron),
            "message" => {
                let message = format!("this engine has no {text:?} subscriptions yet");
                let help = "it has \"block\", \"log\" and \"cron\"";
                decoder.report_with_help(node.span(), message, "not available", help);
            }
            _ => {
                let message = format!("there is no kind of subscription {}", quoted(text));
                let help = match nearest(text, &["block", "log", "cron"]) {
                    Some(near) => format!("did you mean {near:?}?"),
                    None => "it takes \"block\", \"log\" or \"cron\"".to_owned(),
                };
                decoder.report_with_help(node.span(), message, "unknown", help);
            }
        }
        None
    }
}

/// The kind of a table that is of this one.
pub(crate) struct IsBlock;

/// The kind of a table that is of this one.
pub(crate) struct IsLog;

impl Decode for IsBlock {
    const EXPECTS: &'static str = Kind::EXPECTS;

    fn schema() -> Value {
        json!({ "const": "block" })
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        Kind::decode(node, decoder).map(|_| Self)
    }
}

impl Decode for IsLog {
    const EXPECTS: &'static str = Kind::EXPECTS;

    fn schema() -> Value {
        json!({ "const": "log" })
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        Kind::decode(node, decoder).map(|_| Self)
    }
}

/// The kind of a table that is of this one.
pub(crate) struct IsCron;

impl Decode for IsCron {
    const EXPECTS: &'static str = Kind::EXPECTS;

    fn schema() -> Value {
        json!({ "const": "cron" })
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        Kind::decode(node, decoder).map(|_| Self)
    }
}

/// `finality`.
pub(crate) struct Finality(Depth);

impl Decode for Finality {
    const EXPECTS: &'static str = "\"latest\", \"safe\" or \"finalized\"";

    fn schema() -> Value {
        json!({ "type": "string", "enum": ["latest", "safe", "finalized"] })
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        let text = decoder.text::<Self>(node)?;
        let index = decoder.name(node, text, &["latest", "safe", "finalized"])?;
        Some(Self([Depth::Head, Depth::Safe, Depth::Finalized][index]))
    }
}

impl Decode for OnLag {
    const EXPECTS: &'static str = "\"catch-up\" or \"skip\"";

    fn schema() -> Value {
        json!({ "type": "string", "enum": ["catch-up", "skip"] })
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        let text = decoder.text::<Self>(node)?;
        let index = decoder.name(node, text, &["catch-up", "skip"])?;
        Some([Self::CatchUp, Self::Skip][index])
    }
}

impl Written for OnLag {
    fn written(&self) -> Value {
        match self {
            Self::CatchUp => json!("catch-up"),
            Self::Skip => json!("skip"),
        }
    }
}

impl Decode for Delivery {
    const EXPECTS: &'static str = "\"block\" or \"push\"";

    fn schema() -> Value {
        json!({ "type": "string", "enum": ["block", "push"] })
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        let text = decoder.text::<Self>(node)?;
        let index = decoder.name(node, text, &["block", "push"])?;
        Some([Self::Block, Self::Push][index])
    }
}
