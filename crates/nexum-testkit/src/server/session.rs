//! The subscriptions of one WebSocket.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Truth, dispatch};
use crate::{
    chain::{News, NewsReader},
    front::{Announced, Answered, Outbox, Session, Unreachable},
    message::Message,
    rpc::{self, Filter, Output},
};

/// The subscriptions of one connection. Dropping it ends them.
#[derive(Debug)]
pub(crate) struct Subscriptions {
    truth: Arc<Truth>,
    outbox: Outbox,
    running: Mutex<HashMap<String, DropGuard>>,
    last_id: AtomicU64,
}

/// What one subscription announces.
#[derive(Debug)]
enum Topic {
    Heads,
    Logs(Filter),
}

impl Session for Subscriptions {
    async fn answer(&self, message: &Message) -> Result<Answered, Unreachable> {
        let mut begins = Vec::new();
        let text = dispatch::answer(&self.truth, message, |method, params| {
            self.own(method, params, &mut begins)
        });
        Ok(Answered { text, begins })
    }
}

impl Subscriptions {
    pub(super) fn new(truth: Arc<Truth>, outbox: Outbox) -> Self {
        Self {
            truth,
            outbox,
            running: Mutex::default(),
            last_id: AtomicU64::new(0),
        }
    }

    /// `None`: the method is none of this connection's own.
    fn own(
        &self,
        method: &str,
        params: &Value,
        begins: &mut Vec<oneshot::Sender<()>>,
    ) -> Option<Result<Output, Value>> {
        let what = params.get(0).and_then(Value::as_str);
        let topic = match (method, what) {
            ("eth_subscribe", Some("newHeads")) => Topic::Heads,
            ("eth_subscribe", Some("logs")) => match Filter::parse(&params[1]) {
                Ok(filter) => Topic::Logs(filter),
                Err(refusal) => return Some(Err(refusal)),
            },
            ("eth_subscribe", _) => {
                let message = "there are subscriptions to newHeads and to logs";
                return Some(Err(rpc::error(rpc::INVALID_PARAMS, message)));
            }
            ("eth_unsubscribe", Some(id)) => {
                let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
                return Some(Ok(running.remove(id).is_some().into()));
            }
            _ => return None,
        };
        let id = format!("{:#x}", self.last_id.fetch_add(1, Ordering::Relaxed) + 1);
        let (begin, begun) = oneshot::channel();
        begins.push(begin);
        let announcer = Announcer {
            truth: Arc::clone(&self.truth),
            news: self.truth.chain.news(),
            held_back: VecDeque::new(),
            topic,
            id: id.clone(),
            outbox: self.outbox.clone(),
        };
        let end = CancellationToken::new();
        tokio::spawn(end.clone().run_until_cancelled_owned(announcer.run(begun)));
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.insert(id.clone(), end.drop_guard());
        Some(Ok(id.into()))
    }
}

/// Tells what happens on the chain to one subscription.
struct Announcer {
    truth: Arc<Truth>,
    news: NewsReader,
    /// What a lagging node has not heard of yet.
    held_back: VecDeque<News>,
    topic: Topic,
    id: String,
    outbox: Outbox,
}

impl Announcer {
    async fn run(mut self, begun: oneshot::Receiver<()>) {
        // Dropped, not sent to: the answer with the id is on its way.
        let _ = begun.await;
        loop {
            let news = self.news.next().await;
            self.held_back.push_back(news);
            let view = self.truth.view();
            let heads = |news: &VecDeque<News>| {
                let heads = news.iter().filter(|one| matches!(one, News::Head(_)));
                heads.count() as u64
            };
            while heads(&self.held_back) > view.lag {
                let Some(news) = self.held_back.pop_front() else {
                    break;
                };
                if self.tell(&news, &view).is_err() {
                    return;
                }
            }
        }
    }

    fn tell(&self, news: &News, view: &rpc::View) -> Result<(), Gone> {
        match (&self.topic, news) {
            (Topic::Heads, News::Head(block)) => self.send(&rpc::header(block, view)),
            (Topic::Heads, News::Removed(_)) => Ok(()),
            (Topic::Logs(filter), News::Head(block)) => {
                rpc::of_block(block, filter, view, false).try_for_each(|log| self.send(&log))
            }
            // The newest first, as nodes tell it.
            (Topic::Logs(filter), News::Removed(block)) => {
                let mut logs: Vec<_> = rpc::of_block(block, filter, view, true).collect();
                logs.reverse();
                logs.iter().try_for_each(|log| self.send(log))
            }
        }
    }

    fn send(&self, result: &impl Serialize) -> Result<(), Gone> {
        let note = json!({
            "jsonrpc": "2.0",
            "method": "eth_subscription",
            "params": { "subscription": self.id, "result": result },
        });
        let note = Announced::Note(note.to_string());
        self.outbox.send(note).map_err(|_| Gone)
    }
}

/// The connection has ended.
struct Gone;
