//! The task that follows a chain's head: announced on WebSocket, polled on HTTP. What it learns
//! is only a hint that the chain went on; the ring grows by blocks that connect.

use std::{sync::Arc, time::Duration};

use nexum_types::BlockNumber;
use tokio::time::{Instant, sleep, timeout};

use super::{Shared, source::are_linked};
use crate::{
    backoff::Backoff,
    failure::Failure,
    header::{self, Header},
    limits::BLOCKS_PER_BATCH,
    provider::{Node, Provider},
};

/// How long to wait while no endpoint is well: from here, doubling, up to [`LONGEST_WAIT`].
const SHORTEST_WAIT: Duration = Duration::from_millis(200);
/// See [`SHORTEST_WAIT`].
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// How often a node that does not know its own head's ancestors yet is asked again.
const BEHIND_RETRIES: u32 = 6;
/// How many blocks of a branch are asked for together on the way back to its fork.
const ANCESTORS_PER_BATCH: u64 = 16;
/// A subscription silent for this many poll intervals, and for no longer than
/// [`LONGEST_SILENCE`], is checked by a poll.
const SILENT_INTERVALS: u32 = 10;
/// See [`SILENT_INTERVALS`].
const LONGEST_SILENCE: Duration = Duration::from_secs(30);
/// How often, on an endpoint that is not the most preferred, the better ones are asked whether
/// they are well again.
const RETURN_INTERVAL: Duration = Duration::from_secs(5);

/// Keeps the ring of one chain.
pub(super) struct Follower {
    shared: Arc<Shared>,
}

impl Follower {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Follows for ever: round after round, every endpoint gets its turn before any gets a second.
    pub(super) async fn run(self) {
        let chain = self.provider().chain();
        let mut wait = Backoff::new(SHORTEST_WAIT, LONGEST_WAIT);
        let mut failed: Vec<&Node> = Vec::new();
        loop {
            let Some(node) = self.provider().preferred_but(&failed) else {
                if failed.is_empty() {
                    tracing::error!(%chain, "no endpoint serves this chain; its feed stands still");
                    return std::future::pending().await;
                }
                failed.clear();
                sleep(wait.next_delay()).await;
                continue;
            };
            let head = *self.shared.head.borrow();
            let ended = if node.announces() {
                self.follow_announced(node).await
            } else {
                self.follow_polled(node).await
            };
            if head != *self.shared.head.borrow() {
                failed.clear();
                wait.reset();
            }
            if let Err(failure) = ended {
                tracing::debug!(%chain, endpoint = %node.endpoint(), %failure, "lost the head");
                failed.push(node);
            }
        }
    }

    /// Polls until a failure, or until a better endpoint is well again.
    async fn follow_polled(&self, node: &Node) -> Result<(), Failure> {
        let mut last_return = Instant::now();
        loop {
            let head = self.shared.source.latest().await?;
            if self.is_preferred(node) {
                node.told_head(head.number);
            }
            self.catch_up(head).await?;
            if self.may_return(node, &mut last_return).await {
                return Ok(());
            }
            sleep(self.shared.poll_interval).await;
            // Another endpoint has answered for this one: it may be able to announce.
            if !self.is_preferred(node) {
                return Ok(());
            }
        }
    }

    /// Takes what `node` announces until a failure, or until a better endpoint is well again.
    async fn follow_announced(&self, node: &Node) -> Result<(), Failure> {
        node.ready(self.provider().next_id()).await?;
        let mut heads = node.subscribe_heads(self.provider().next_id()).await?;
        // What came while there was no subscription.
        let head = self.shared.source.latest().await?;
        self.catch_up(head).await?;
        let silence = self
            .shared
            .poll_interval
            .saturating_mul(SILENT_INTERVALS)
            .min(LONGEST_SILENCE);
        let mut last_return = Instant::now();
        let mut last_head = Instant::now();
        loop {
            let patience = silence.min(RETURN_INTERVAL);
            match timeout(patience, heads.newest()).await {
                Ok(announced) => {
                    let announced = announced.map_err(|failure| node.failed(failure))?;
                    let announced = header::parse_header(self.provider().chain(), &announced);
                    let malformed = || node.failed(Failure::Malformed);
                    let head = announced.ok().flatten().ok_or_else(malformed)?;
                    node.told_head(head.number);
                    self.catch_up(head).await?;
                    last_head = Instant::now();
                }
                Err(_) if last_head.elapsed() >= silence => {
                    let head = node.latest(self.provider().next_id()).await?;
                    if !self.shared.ring().has(head.number, &head.hash) {
                        self.shared.source.counters.oddities.stalls.one_more();
                        return Err(node.failed(Failure::Stalled));
                    }
                    last_head = Instant::now();
                }
                Err(_) => {}
            }
            if self.may_return(node, &mut last_return).await {
                return Ok(());
            }
        }
    }

    /// True where this node would be asked now: unless it has just failed, it has answered last.
    fn is_preferred(&self, node: &Node) -> bool {
        let preferred = self.provider().preferred_but(&[]);
        preferred.is_some_and(|preferred| std::ptr::eq(preferred, node))
    }

    async fn may_return(&self, node: &Node, last: &mut Instant) -> bool {
        if last.elapsed() < RETURN_INTERVAL {
            return false;
        }
        *last = Instant::now();
        self.provider().has_better_than(node).await
    }

    /// Brings the ring up to `head`, whatever lies between. A node behind a load balancer may not
    /// know what another has announced: it is given some time.
    async fn catch_up(&self, mut head: Header) -> Result<(), Failure> {
        let mut wait = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
        loop {
            match self.advance(head).await {
                Err(Failure::Behind) if wait.attempts() < BEHIND_RETRIES => {
                    sleep(wait.next_delay()).await;
                    head = self.shared.source.latest().await?;
                }
                done => return done,
            }
        }
    }

    async fn advance(&self, head: Header) -> Result<(), Failure> {
        let oddities = &self.shared.source.counters.oddities;
        let Some(tip) = self.tip() else {
            self.shared.update(|ring| ring.push(head));
            return Ok(());
        };
        if head.number < tip {
            oddities.backwards_heads.one_more();
        }
        if self.shared.ring().has(head.number, &head.hash) {
            // Known: an older view of the same chain, or the same head once more.
            return Ok(());
        }
        if self.shared.ring().is_followed_by(&head) {
            self.shared.update(|ring| ring.push(head));
            return Ok(());
        }
        if head.number <= tip.next() {
            return self.switch_to(head).await;
        }
        oddities.gaps.one_more();
        self.fill_to(head.number, tip).await
    }

    /// Asks for the blocks after `tip` up to `head`. Those that would fall out of the window
    /// again are left to the readers that need them.
    async fn fill_to(&self, head: BlockNumber, tip: BlockNumber) -> Result<(), Failure> {
        let oddities = &self.shared.source.counters.oddities;
        let window = (head.0 + 1).saturating_sub(self.shared.window);
        let mut next = tip.next().0.max(window);
        while next <= head.0 {
            let last = head.0.min(next + BLOCKS_PER_BATCH as u64 - 1);
            let blocks = self.shared.source.headers(next..=last).await?;
            let known: Vec<_> = blocks.into_iter().map_while(|block| block).collect();
            let Some(first) = known.first() else {
                oddities.null_blocks.one_more();
                return Err(Failure::Behind);
            };
            if !are_linked(&known) {
                oddities.unlinked_blocks.one_more();
                return Err(Failure::Behind);
            }
            // Beyond the window nothing has to connect: the ring starts over.
            let starts_over = next == window && next > tip.next().0;
            if !starts_over && !self.shared.ring().is_followed_by(first) {
                return self
                    .switch_to(first.clone())
                    .await
                    .and(Err(Failure::Behind));
            }
            next = first.number.0 + known.len() as u64;
            self.shared.update(|ring| ring.replace_tail(known));
        }
        Ok(())
    }

    /// Makes `head` the tip: goes back along its ancestors to one that the ring has, and puts the
    /// branch in the place of what was after it. Readers see all of it or nothing.
    async fn switch_to(&self, head: Header) -> Result<(), Failure> {
        let mut branch = vec![head];
        // The branch grows towards its root, and perhaps beyond the fork.
        loop {
            let root = &branch[branch.len() - 1];
            let connects = {
                let ring = self.shared.ring();
                let parent = root.number.0.checked_sub(1).map(BlockNumber);
                parent.is_none_or(|parent| ring.has(parent, &root.parent_hash))
                    || ring
                        .oldest()
                        .is_none_or(|oldest| root.number <= oldest.number)
            };
            if connects || branch.len() as u64 >= self.shared.window {
                break;
            }
            let ancestors = self.ancestors(root, branch.len() > 1).await?;
            branch.extend(ancestors);
        }
        branch.reverse();
        let fork = {
            let ring = self.shared.ring();
            branch
                .iter()
                .position(|block| !ring.has(block.number, &block.hash))
                .unwrap_or(0)
        };
        branch.drain(..fork);
        let depth = self
            .tip()
            .map_or(0, |tip| (tip.0 + 1).saturating_sub(branch[0].number.0));
        let chain = self.provider().chain();
        tracing::info!(%chain, depth, from = %branch[0].number, "the chain has been reorganised");
        self.shared.source.counters.reorg(depth);
        let root = &branch[0];
        let parent = BlockNumber(root.number.0.saturating_sub(1));
        let connects = self.shared.ring().has(parent, &root.parent_hash);
        if depth > self.shared.window {
            tracing::error!(
                %chain, depth, window = self.shared.window,
                "the reorg is deeper than they are followed",
            );
        }
        if depth > self.shared.window || !connects {
            // It may have changed what had been read by number.
            self.shared.backfill.clear();
        }
        self.shared.update(|ring| ring.replace_tail(branch));
        Ok(())
    }

    /// At least one ancestor of `block`, newest first. Most reorgs are one block deep; further
    /// back (`deep`) several are asked for together by number, as long as the node's canonical
    /// chain is still the branch that is walked.
    async fn ancestors(&self, block: &Header, deep: bool) -> Result<Vec<Header>, Failure> {
        let mut ancestors: Vec<Header> = Vec::new();
        if deep && let Some(parent) = block.number.0.checked_sub(1) {
            let oldest = parent.saturating_sub(ANCESTORS_PER_BATCH - 1);
            let blocks = self.shared.source.headers(oldest..=parent).await?;
            let mut wanted = block.parent_hash;
            for ancestor in blocks.into_iter().rev().map_while(|known| known) {
                if ancestor.hash != wanted {
                    break;
                }
                wanted = ancestor.parent_hash;
                ancestors.push(ancestor);
            }
        }
        if ancestors.is_empty() {
            let parent = self.shared.source.header_by_hash(block.parent_hash).await?;
            if parent.is_none() {
                self.shared.source.counters.oddities.null_blocks.one_more();
            }
            ancestors.push(parent.ok_or(Failure::Behind)?);
        }
        Ok(ancestors)
    }

    fn provider(&self) -> &Provider {
        &self.shared.source.provider
    }

    fn tip(&self) -> Option<BlockNumber> {
        self.shared.ring().tip().map(|tip| tip.number)
    }
}
