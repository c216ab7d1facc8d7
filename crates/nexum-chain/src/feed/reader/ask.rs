//! What a reader asks, one question at a time, and what it makes of the answer.

use std::{sync::Arc, time::Duration};

use futures::future::BoxFuture;
use nexum_types::BlockNumber;
use tokio::time::sleep;

use super::FeedReader;
use crate::{
    failure::Failure,
    feed::{
        backfill::{Run, Segment},
        fork::{self, Fork},
        trail::Given,
    },
};

/// After this many questions in a row without a block, a reader says so in the log.
const RETRIES_BEFORE_WARNING: u32 = 6;
/// How long a new reader waits with its first range, so that those who start together are asked
/// for together.
const GATHERING: Duration = Duration::from_millis(1);

/// What a reader has to know before it can go on.
#[derive(Clone, Copy)]
pub(super) enum Question {
    /// Where the trail left the chain.
    Fork,
    /// That the ring reaches back to this block.
    Ring(BlockNumber),
    /// The segment that has the first of these, up to the second.
    Segment(BlockNumber, BlockNumber),
    /// The same of a run.
    Run(BlockNumber, BlockNumber),
}

/// The answer to a [`Question`].
pub(super) enum Answered {
    /// With the head's number when it was asked.
    Fork(Result<Fork, Failure>, Option<BlockNumber>),
    Ring(Result<(), Failure>),
    Segment(Result<Arc<Segment>, Failure>),
    Run(Result<Arc<Run>, Failure>),
}

impl FeedReader {
    pub(super) fn ask(&mut self, question: Question) -> BoxFuture<'static, Answered> {
        let (shared, delay) = (Arc::clone(&self.shared), self.delay());
        let needs = self.registration.needs;
        match question {
            Question::Fork => {
                let trail = self.trail.clone();
                let head = shared.ring().tip().map(|tip| tip.number);
                Box::pin(async move {
                    pause(delay).await;
                    let found = fork::find(&shared.source, &trail, shared.window).await;
                    Answered::Fork(found, head)
                })
            }
            Question::Ring(number) => Box::pin(async move {
                pause(delay).await;
                Answered::Ring(shared.extend_to(number).await)
            }),
            Question::Segment(number, limit) => {
                let gathering = !std::mem::replace(&mut self.has_gathered, true);
                let delay = if gathering {
                    delay.max(GATHERING)
                } else {
                    delay
                };
                Box::pin(async move {
                    pause(delay).await;
                    match shared.backfill.segment(number.0, limit.0, needs).await {
                        Ok(answered) => Answered::Segment(answered),
                        // Whoever fetched it was stopped, and with it the feed.
                        Err(_) => std::future::pending().await,
                    }
                })
            }
            Question::Run(number, limit) => Box::pin(async move {
                pause(delay).await;
                match shared.backfill.run(number.0, limit.0).await {
                    Ok(answered) => Answered::Run(answered),
                    Err(_) => std::future::pending().await,
                }
            }),
        }
    }

    /// None for the first question since the last block, and longer for each further one: a node
    /// that contradicts itself is not asked in a tight loop.
    pub(super) fn delay(&mut self) -> Duration {
        // A block may take four: the fork, the ring, a run and a segment.
        if self.wait.attempts() < 4 {
            self.wait.next_delay();
            return Duration::ZERO;
        }
        self.wait.next_delay()
    }

    pub(super) fn take(&mut self, answered: Answered) {
        match answered {
            Answered::Fork(Ok(fork), head) => self.take_fork(fork, head),
            Answered::Segment(Ok(segment)) => self.segment = Some(segment),
            Answered::Run(Ok(run)) => self.run = Some(run),
            Answered::Ring(Ok(())) => {}
            Answered::Fork(Err(failure), _)
            | Answered::Ring(Err(failure))
            | Answered::Segment(Err(failure))
            | Answered::Run(Err(failure)) => self.note_retry(&failure),
        }
    }

    fn take_fork(&mut self, fork: Fork, head: Option<BlockNumber>) {
        let (Some(last), Some(oldest)) = (self.trail.last(), self.trail.oldest()) else {
            return;
        };
        // What is within the window when a node calls it canonical may leave the chain all the same.
        let window = self.shared.window;
        let stays = |block: BlockNumber| head.is_some_and(|head| block.0 + window <= head.0);
        match fork {
            Fork::After(block) if block == last => self.is_verified = stays(block.number),
            Fork::After(block) => {
                self.go_back(Some(block), block.number.next());
                self.is_verified = stays(block.number);
            }
            Fork::Older(block) if last.number.0 - block.number.0 <= self.shared.window => {
                self.go_back(None, block.number.next());
                if !self.has_stopped {
                    self.trail.push(block, Given::No);
                }
            }
            Fork::Unknown if !self.trail.is_whole() => {
                // Nothing of the window is left that was given: all of it is looked at again.
                let first = if self.blocks {
                    oldest.number
                } else {
                    self.trail.window_start()
                };
                self.go_back(None, first);
            }
            Fork::Older(_) | Fork::Unknown => self.stop(oldest),
        }
    }

    /// One failure is nothing; a node that keeps failing to tell the past stops this reader, and
    /// the operator has to know.
    pub(super) fn note_retry(&self, failure: &Failure) {
        let chain = self.shared.source.chain();
        let next = self.next.map(|next| next.0);
        if self.wait.attempts() == RETRIES_BEFORE_WARNING {
            tracing::warn!(
                %chain, %failure, ?next,
                "older blocks do not come; does an endpoint still have them? Asking on",
            );
        } else {
            tracing::debug!(%chain, %failure, ?next, "older blocks are asked for again");
        }
    }
}

/// Even a sleep of no length takes until the timer's next tick, which is longer than many an
/// answer.
async fn pause(delay: Duration) {
    if !delay.is_zero() {
        sleep(delay).await;
    }
}
