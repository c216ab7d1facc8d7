//! Where a reader's way left the canonical chain, when only the nodes can tell.

use nexum_types::{BlockNumber, BlockRef};

use super::{source::Source, trail::Trail};
use crate::{failure::Failure, limits::BLOCKS_PER_BATCH};

/// Where a trail left the canonical chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fork {
    /// After this block of the trail, the newest of it that is canonical; perhaps its last.
    After(BlockRef),
    /// After this block, which is older than the trail.
    Older(BlockRef),
    /// Before the trail; nobody knows after which block.
    Unknown,
}

/// Asks the node. `trail` is not empty.
pub(super) async fn find(source: &Source, trail: &Trail, window: u64) -> Result<Fork, Failure> {
    let blocks: Vec<BlockRef> = trail.iter().collect();
    // Mostly nothing has happened to the last one: it is asked for alone.
    let (last, others) = blocks.split_at(1.min(blocks.len()));
    let mut contradicted = false;
    for chunk in std::iter::once(last).chain(others.chunks(BLOCKS_PER_BATCH)) {
        let numbers = chunk.iter().map(|block| block.number.0);
        let canonical = source.headers(numbers).await?;
        for (block, canonical) in chunk.iter().zip(canonical) {
            match canonical {
                Some(canonical) if canonical.hash == block.hash => {
                    // Only a shorter chain: the blocks beyond it may come back.
                    let is_last = Some(block) == blocks.first();
                    return if contradicted || is_last {
                        Ok(Fork::After(*block))
                    } else {
                        source.counters.oddities.lagging.one_more();
                        Err(Failure::Behind)
                    };
                }
                Some(_) => contradicted = true,
                None => {}
            }
        }
    }
    match blocks.last() {
        Some(oldest) if contradicted => walk(source, *oldest, trail, window).await,
        _ => {
            source.counters.oddities.lagging.one_more();
            Err(Failure::Behind)
        }
    }
}

/// Before what the trail remembers, the branch's own headers say where it came from, as long as
/// a node still knows them. Goes no further back than the window.
async fn walk(
    source: &Source,
    oldest: BlockRef,
    trail: &Trail,
    window: u64,
) -> Result<Fork, Failure> {
    let last = trail.last().map_or(oldest.number, |last| last.number);
    let mut orphan = oldest;
    loop {
        let Some(header) = source.header_by_hash(orphan.hash).await? else {
            return Ok(Fork::Unknown);
        };
        let Some(parent) = header.number.0.checked_sub(1) else {
            return Ok(Fork::Unknown);
        };
        orphan = BlockRef {
            number: BlockNumber(parent),
            hash: header.parent_hash,
        };
        let canonical = source.headers([parent]).await?.pop().flatten();
        let is_canonical = canonical.is_some_and(|canonical| canonical.hash == orphan.hash);
        if is_canonical || last.0 - parent > window {
            return Ok(Fork::Older(orphan));
        }
    }
}
