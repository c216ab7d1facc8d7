//! What happens on a chain, told to whoever waits for it.

use std::sync::Arc;

use tokio::sync::watch;

use super::{ChainBlock, ScriptedChain, branch::News};

impl ScriptedChain {
    /// Every head from now on, each once, however slowly they are taken.
    #[must_use]
    pub fn heads(&self) -> Heads {
        Heads(self.news())
    }

    /// Everything that subscribers hear from now on.
    pub(crate) fn news(&self) -> NewsReader {
        let count = self.shared.news.subscribe();
        let taken = self.lock().news().len();
        NewsReader {
            chain: self.clone(),
            count,
            taken,
        }
    }
}

/// The heads of a chain as a node would announce them.
#[derive(Debug)]
pub struct Heads(NewsReader);

impl Heads {
    /// The next head. Cancel-safe.
    pub async fn next(&mut self) -> Arc<ChainBlock> {
        loop {
            if let News::Head(block) = self.0.next().await {
                return block;
            }
        }
    }
}

/// Heads and removals in the order of their happening.
#[derive(Debug)]
pub(crate) struct NewsReader {
    chain: ScriptedChain,
    count: watch::Receiver<usize>,
    taken: usize,
}

impl NewsReader {
    /// What comes next. Cancel-safe.
    pub(crate) async fn next(&mut self) -> News {
        loop {
            self.count.borrow_and_update();
            let news = self.chain.lock().news().get(self.taken).cloned();
            if let Some(news) = news {
                self.taken += 1;
                return news;
            }
            if self.count.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}
