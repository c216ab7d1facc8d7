//! What a module is given, with alloy's types for hashes, addresses and bytes.

use alloy_primitives::{Address, B256, Bytes, LogData};
use alloy_sol_types::SolEvent;

use crate::{HostError, Result, bindings::nexum::host::types as raw};

/// Something that a module subscribed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A new canonical block.
    Block(Block),
    /// The logs of one block that match one subscription, at least one, in the order of their
    /// indices; where they are [`removed`](Log::removed), all of them are, in the reverse order.
    Logs(Vec<Log>),
    /// A schedule came due.
    Tick(Tick),
    /// A message came in.
    Message(Message),
}

/// A canonical block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The chain it belongs to (EIP-155).
    pub chain_id: u64,
    /// Its height.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
    /// The hash of the block before it.
    pub parent_hash: B256,
    /// When it was made, in milliseconds since the Unix epoch, UTC.
    pub timestamp: u64,
}

#[cfg(feature = "provider")]
impl Block {
    /// Names this very block in a request, by its hash (EIP-1898), so that an answer cannot speak
    /// of another one, as `latest` may.
    #[must_use]
    pub fn id(&self) -> alloy_eips::BlockId {
        alloy_eips::BlockId::hash_canonical(self.hash)
    }
}

/// A log that a contract emitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// The chain it belongs to (EIP-155).
    pub chain_id: u64,
    /// The contract that emitted it.
    pub address: Address,
    /// The topics, 0 to 4. Unless the event is anonymous, the first is the hash of its signature.
    pub topics: Vec<B256>,
    /// The values that are not indexed, ABI-encoded.
    pub data: Bytes,
    /// The height of its block.
    pub block_number: u64,
    /// The hash of its block.
    pub block_hash: B256,
    /// When its block was made, in milliseconds since the Unix epoch, UTC.
    pub block_timestamp: u64,
    /// The hash of the transaction that caused it.
    pub transaction_hash: B256,
    /// The position of that transaction in the block, from 0.
    pub transaction_index: u32,
    /// The position of the log in the block, from 0. Together with the block's hash it names the
    /// log beyond doubt.
    pub log_index: u32,
    /// True where the log's block has left the canonical chain: undo what the log caused.
    pub removed: bool,
}

impl Log {
    /// The hash of the event's signature; none for a log without topics.
    #[must_use]
    pub fn topic0(&self) -> Option<B256> {
        self.topics.first().copied()
    }

    /// The log as an event of `sol!`.
    ///
    /// Fails where the topic is another event's, and where topics and data are not what the event
    /// declares, as with another choice of indexed parameters.
    pub fn decode<E: SolEvent>(&self) -> Result<E> {
        let data = LogData::new(self.topics.clone(), self.data.clone());
        let data = data.ok_or_else(|| HostError::invalid_input("a log has at most 4 topics"))?;
        E::decode_log_data_validate(&data).map_err(|error| {
            let HostError { message, .. } = error.into();
            HostError::invalid_input(format!(
                "log {} is no {}: {message}",
                self.log_index,
                E::SIGNATURE
            ))
        })
    }
}

#[cfg(feature = "provider")]
impl Log {
    /// Names the block of this log in a request, by its hash (EIP-1898).
    #[must_use]
    pub fn block_id(&self) -> alloy_eips::BlockId {
        alloy_eips::BlockId::hash_canonical(self.block_hash)
    }
}

/// A schedule that came due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tick {
    /// The instant at which it was due, in milliseconds since the Unix epoch, UTC.
    pub fired_at: u64,
    /// The schedule as the manifest writes it: the value of `schedule`, with the time zone behind it
    /// where it has one other than UTC, or that of `every`.
    pub schedule: String,
}

/// A message that came over a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The topic, such as `/nexum/1/twap-updates/proto`.
    pub content_topic: String,
    /// What was sent.
    pub payload: Bytes,
    /// When it was sent, in milliseconds since the Unix epoch, UTC, as its sender says.
    pub timestamp: u64,
    /// Who signed it, where it was signed and the signature holds.
    pub sender: Option<Address>,
}

impl TryFrom<raw::Event> for Event {
    type Error = HostError;

    /// Fails where the engine breaks the contract: a hash or an address of another length.
    fn try_from(event: raw::Event) -> Result<Self> {
        Ok(match event {
            raw::Event::Block(block) => Self::Block(block.try_into()?),
            raw::Event::Logs(logs) => {
                Self::Logs(logs.into_iter().map(Log::try_from).collect::<Result<_>>()?)
            }
            raw::Event::Tick(tick) => Self::Tick(Tick {
                fired_at: tick.fired_at,
                schedule: tick.schedule,
            }),
            raw::Event::Message(message) => Self::Message(message.try_into()?),
        })
    }
}

impl TryFrom<raw::Block> for Block {
    type Error = HostError;

    fn try_from(block: raw::Block) -> Result<Self> {
        Ok(Self {
            chain_id: block.chain_id,
            number: block.number,
            hash: hash(&block.hash)?,
            parent_hash: hash(&block.parent_hash)?,
            timestamp: block.timestamp,
        })
    }
}

impl TryFrom<raw::Log> for Log {
    type Error = HostError;

    fn try_from(log: raw::Log) -> Result<Self> {
        Ok(Self {
            chain_id: log.chain_id,
            address: address(&log.address)?,
            topics: log
                .topics
                .iter()
                .map(|topic| hash(topic))
                .collect::<Result<_>>()?,
            data: log.data.into(),
            block_number: log.block_number,
            block_hash: hash(&log.block_hash)?,
            block_timestamp: log.block_timestamp,
            transaction_hash: hash(&log.transaction_hash)?,
            transaction_index: log.transaction_index,
            log_index: log.log_index,
            removed: log.removed,
        })
    }
}

impl TryFrom<raw::Message> for Message {
    type Error = HostError;

    fn try_from(message: raw::Message) -> Result<Self> {
        Ok(Self {
            content_topic: message.content_topic,
            payload: message.payload.into(),
            timestamp: message.timestamp,
            sender: message.sender.as_deref().map(address).transpose()?,
        })
    }
}

/// The 32 bytes of a hash or a topic.
pub(crate) fn hash(bytes: &[u8]) -> Result<B256> {
    B256::try_from(bytes).map_err(|_| foreign("a hash", 32, bytes.len()))
}

/// The 20 bytes of an address.
pub(crate) fn address(bytes: &[u8]) -> Result<Address> {
    Address::try_from(bytes).map_err(|_| foreign("an address", 20, bytes.len()))
}

fn foreign(what: &str, wanted: usize, found: usize) -> HostError {
    HostError::internal(format!(
        "the engine gave {what} of {found} bytes, not {wanted}"
    ))
}
