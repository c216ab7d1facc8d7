//! Logs and the filters that choose among them.

use alloy_primitives::{Address, B256, Bloom, BloomInput, Bytes};
use serde::{Deserialize, Serialize};

use crate::{BlockNumber, BlockRef, ChainId};

/// The most topics that a log has (`LOG4`).
pub const MAX_TOPICS: usize = 4;

/// One log of a block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    /// The chain it is on.
    pub chain_id: ChainId,
    /// The contract that emitted it.
    pub address: Address,
    /// Its topics, at most [`MAX_TOPICS`]; the first is the event's signature, but for anonymous
    /// events.
    pub topics: Vec<B256>,
    /// Its data.
    pub data: Bytes,
    /// The number of its block.
    pub block_number: BlockNumber,
    /// The hash of its block.
    pub block_hash: B256,
    /// When its block was made, in milliseconds since the Unix epoch, UTC.
    pub block_timestamp_ms: u64,
    /// The hash of its transaction.
    pub transaction_hash: B256,
    /// The index of its transaction in the block.
    pub transaction_index: u32,
    /// Its index in the block.
    pub log_index: u32,
    /// True where its block has left the canonical chain after the log was delivered.
    pub removed: bool,
}

impl Log {
    /// The block it is in.
    #[must_use]
    pub fn block_ref(&self) -> BlockRef {
        BlockRef {
            number: self.block_number,
            hash: self.block_hash,
        }
    }
}

/// Which logs are wanted: those of any of the addresses whose topics match at every position.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct LogFilter {
    /// The contracts; empty means any.
    pub addresses: Vec<Address>,
    /// By position: the topics that will do; empty means any, even none at all. A position with
    /// alternatives is matched only by logs that have a topic there.
    pub topics: [Vec<B256>; MAX_TOPICS],
}

impl LogFilter {
    /// True where `log` is wanted.
    #[must_use]
    pub fn matches(&self, log: &Log) -> bool {
        let address = self.addresses.is_empty() || self.addresses.contains(&log.address);
        address
            && self.topics.iter().enumerate().all(|(position, wanted)| {
                wanted.is_empty()
                    || log
                        .topics
                        .get(position)
                        .is_some_and(|topic| wanted.contains(topic))
            })
    }

    /// False where the header's bloom (yellow paper, section 4.3.1) proves that the block has no
    /// log that is wanted.
    #[must_use]
    pub fn may_match(&self, bloom: &Bloom) -> bool {
        let has = |bytes: &[u8]| bloom.contains_input(BloomInput::Raw(bytes));
        let address = self.addresses.is_empty()
            || self.addresses.iter().any(|address| has(address.as_slice()));
        address
            && self
                .topics
                .iter()
                .all(|wanted| wanted.is_empty() || wanted.iter().any(|topic| has(topic.as_slice())))
    }

    /// A filter that lets through at least what any of `filters` does: one request for all of
    /// them. `None` where there is no filter.
    #[must_use]
    pub fn union<'a>(filters: impl IntoIterator<Item = &'a Self>) -> Option<Self> {
        let mut filters = filters.into_iter();
        let mut union = filters.next()?.clone();
        for filter in filters {
            merge(&mut union.addresses, &filter.addresses);
            for (wanted, more) in union.topics.iter_mut().zip(&filter.topics) {
                merge(wanted, more);
            }
        }
        union.addresses.sort_unstable();
        union
            .topics
            .iter_mut()
            .for_each(|topics| topics.sort_unstable());
        Some(union)
    }
}

/// Empty means any, and any with more is any.
fn merge<T: Copy + PartialEq>(wanted: &mut Vec<T>, more: &[T]) {
    if wanted.is_empty() || more.is_empty() {
        wanted.clear();
        return;
    }
    for one in more {
        if !wanted.contains(one) {
            wanted.push(*one);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(byte: u8) -> Address {
        Address::repeat_byte(byte)
    }

    fn topic(byte: u8) -> B256 {
        B256::repeat_byte(byte)
    }

    fn log(at: u8, topics: &[u8]) -> Log {
        Log {
            chain_id: ChainId(1),
            address: address(at),
            topics: topics.iter().copied().map(topic).collect(),
            data: Bytes::new(),
            block_number: BlockNumber(1),
            block_hash: B256::ZERO,
            block_timestamp_ms: 0,
            transaction_hash: B256::ZERO,
            transaction_index: 0,
            log_index: 0,
            removed: false,
        }
    }

    fn filter(addresses: &[u8], topics: [&[u8]; MAX_TOPICS]) -> LogFilter {
        LogFilter {
            addresses: addresses.iter().copied().map(address).collect(),
            topics: topics.map(|wanted| wanted.iter().copied().map(topic).collect()),
        }
    }

    fn bloom(log: &Log) -> Bloom {
        let mut bloom = Bloom::ZERO;
        bloom.accrue(BloomInput::Raw(log.address.as_slice()));
        for topic in &log.topics {
            bloom.accrue(BloomInput::Raw(topic.as_slice()));
        }
        bloom
    }

    #[test]
    fn every_position_has_alternatives_or_takes_any() {
        let wanted = filter(&[1, 2], [&[7], &[], &[8, 9], &[]]);
        assert!(wanted.matches(&log(2, &[7, 5, 9])));
        assert!(wanted.matches(&log(1, &[7, 5, 8, 4])));
        assert!(!wanted.matches(&log(3, &[7, 5, 9])), "another contract");
        assert!(!wanted.matches(&log(1, &[6, 5, 9])), "another event");
        assert!(!wanted.matches(&log(1, &[7, 5])), "no third topic");
        assert!(filter(&[], [&[]; 4]).matches(&log(9, &[])));
    }

    #[test]
    fn the_bloom_never_hides_a_log_that_is_wanted() {
        let wanted = filter(&[1], [&[7], &[], &[9], &[]]);
        assert!(wanted.may_match(&bloom(&log(1, &[7, 5, 9]))));
        assert!(!wanted.may_match(&Bloom::ZERO));
        assert!(!wanted.may_match(&bloom(&log(2, &[7, 5, 9]))));
        assert!(filter(&[], [&[]; 4]).may_match(&Bloom::ZERO));
    }

    #[test]
    fn a_union_lets_through_what_any_of_its_parts_does() {
        let one = filter(&[1], [&[7], &[], &[], &[]]);
        let two = filter(&[2], [&[8], &[5], &[], &[]]);
        let union = LogFilter::union([&one, &two]).unwrap();
        assert_eq!(union, filter(&[1, 2], [&[7, 8], &[], &[], &[]]));
        let any = filter(&[], [&[7], &[], &[], &[]]);
        assert_eq!(
            LogFilter::union([&union, &any]).unwrap(),
            filter(&[], [&[7, 8], &[], &[], &[]])
        );
        assert_eq!(LogFilter::union([]), None);
    }
}
