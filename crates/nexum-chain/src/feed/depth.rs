//! How sure blocks are: the node's `safe` and `finalized`, asked for as long as a reader waits
//! for either.

use std::sync::Arc;

use nexum_types::{BlockNumber, Depth};
use tokio::time::sleep;

use super::Shared;

/// The newest blocks that a node has called safe and finalized. They never go back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tags {
    safe: Option<BlockNumber>,
    finalized: Option<BlockNumber>,
}

impl Tags {
    /// The newest block that is that sure, on a chain with this tip.
    pub(super) fn newest(&self, depth: Depth, tip: BlockNumber) -> Option<BlockNumber> {
        match depth {
            Depth::Head => Some(tip),
            Depth::Confirmations(blocks) => tip.0.checked_sub(blocks.into()).map(BlockNumber),
            Depth::Safe => self.safe.map(|safe| safe.min(tip)),
            Depth::Finalized => self.finalized.map(|finalized| finalized.min(tip)),
        }
    }
}

/// Asks once per head at most, and no more often than heads are polled.
pub(super) async fn watch(shared: Arc<Shared>) {
    let mut head = shared.head.subscribe();
    let mut readers = shared.depths.subscribe();
    loop {
        head.borrow_and_update();
        readers.borrow_and_update();
        let registry = &shared.registry;
        let is_wanted = registry.has_depth(Depth::Safe) || registry.has_depth(Depth::Finalized);
        if is_wanted {
            match shared.source.tagged(&["safe", "finalized"]).await {
                Ok(numbers) => shared.tags.send_modify(|tags| {
                    let mut numbers = numbers.into_iter();
                    tags.safe = tags.safe.max(numbers.next().flatten());
                    tags.finalized = tags.finalized.max(numbers.next().flatten());
                }),
                Err(failure) => {
                    let chain = shared.source.chain();
                    tracing::debug!(%chain, %failure, "what is final is asked for again");
                    sleep(shared.poll_interval).await;
                    continue;
                }
            }
            sleep(shared.poll_interval).await;
        }
        tokio::select! {
            Ok(()) = head.changed() => {}
            Ok(()) = readers.changed() => {}
            else => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_as_sure_as_what_is_on_top_of_it() {
        let tags = Tags {
            safe: Some(BlockNumber(90)),
            finalized: None,
        };
        let newest = |depth, tip| tags.newest(depth, BlockNumber(tip)).map(|number| number.0);
        assert_eq!(newest(Depth::Head, 100), Some(100));
        assert_eq!(newest(Depth::Confirmations(3), 100), Some(97));
        assert_eq!(newest(Depth::Confirmations(3), 2), None);
        assert_eq!(newest(Depth::Safe, 100), Some(90));
        assert_eq!(
            newest(Depth::Safe, 80),
            Some(80),
            "not beyond a head that went back"
        );
        assert_eq!(newest(Depth::Finalized, 100), None);
    }
}
