//! Which frame answers whom. Pure: no socket.

use std::collections::HashMap;

use alloy_json_rpc::{Id, Response, ResponsePacket};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::{mpsc, oneshot, watch};

use crate::{failure::Failure, limits::MAX_PUSH_BYTES};

/// Where the answer to an exchange goes.
pub(super) type Reply<T> = oneshot::Sender<Result<T, Failure>>;

/// Who waits for an answer.
pub(super) enum Waiting {
    Exchange(Reply<ResponsePacket>),
    /// The subscription's announcements go into the sink from the answer on: the first may come
    /// right behind it.
    Subscription(Reply<String>, Sink),
}

impl Waiting {
    fn is_gone(&self) -> bool {
        match self {
            Self::Exchange(reply) => reply.is_closed(),
            Self::Subscription(reply, _) => reply.is_closed(),
        }
    }

    pub(super) fn fail(self, failure: Failure) {
        // Nobody waits any more: there is nobody to tell.
        match self {
            Self::Exchange(reply) => drop(reply.send(Err(failure))),
            Self::Subscription(reply, _) => drop(reply.send(Err(failure))),
        }
    }
}

/// Where announcements go.
pub(super) enum Sink {
    /// Only the newest matters.
    Newest(watch::Sender<Option<String>>),
    /// Each matters, as long as there is room; what finds none, or is too long, is passed over.
    Each(mpsc::Sender<String>),
}

impl Sink {
    /// False where nobody takes them any more.
    pub(super) fn put(&self, what: &str) -> bool {
        match self {
            Self::Newest(sink) => sink.send(Some(what.to_owned())).is_ok(),
            Self::Each(sink) if what.len() > MAX_PUSH_BYTES => !sink.is_closed(),
            Self::Each(sink) => !matches!(
                sink.try_send(what.to_owned()),
                Err(mpsc::error::TrySendError::Closed(_))
            ),
        }
    }
}

/// What a frame holds.
pub(super) enum Frame {
    Answer(ResponsePacket),
    Announced {
        subscription: String,
        what: Box<RawValue>,
    },
}

impl Frame {
    /// `None`: it is neither an answer nor an announcement.
    pub(super) fn parse(text: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Announcement {
            params: Params,
        }
        #[derive(Deserialize)]
        struct Params {
            subscription: String,
            result: Box<RawValue>,
        }
        if let Ok(answer) = serde_json::from_str(text) {
            return Some(Self::Answer(answer));
        }
        let Announcement { params } = serde_json::from_str(text).ok()?;
        Some(Self::Announced {
            subscription: params.subscription,
            what: params.result,
        })
    }
}

/// To whom an answer belongs.
pub(super) enum Owner {
    Found(Waiting),
    /// It came too late: whoever asked has gone.
    Gone,
    /// It names nobody, and several wait.
    Unclear,
}

/// The exchanges that wait for their answer.
#[derive(Default)]
pub(super) struct Pending {
    last: u64,
    by_id: HashMap<Id, u64>,
    exchanges: HashMap<u64, (Vec<Id>, Waiting)>,
}

impl Pending {
    pub(super) fn insert(&mut self, ids: Vec<Id>, waiting: Waiting) {
        self.last += 1;
        for id in &ids {
            self.by_id.insert(id.clone(), self.last);
        }
        self.exchanges.insert(self.last, (ids, waiting));
    }

    /// Takes out whom `answer` belongs to. A batch belongs to the exchange that any of its ids
    /// names; whether all of them are right is for the asker to check.
    pub(super) fn take(&mut self, answer: &ResponsePacket) -> Owner {
        let responses: &[Response] = match answer {
            ResponsePacket::Single(response) => std::slice::from_ref(response),
            ResponsePacket::Batch(responses) => responses,
        };
        let named = responses
            .iter()
            .find_map(|response| self.by_id.get(&response.id).copied());
        let anonymous = responses.iter().all(|response| response.id == Id::None);
        let found = match named {
            Some(exchange) => Some(exchange),
            None if !anonymous || self.exchanges.is_empty() => return Owner::Gone,
            None if self.exchanges.len() == 1 => self.exchanges.keys().next().copied(),
            None => None,
        };
        match found.and_then(|exchange| self.remove(exchange)) {
            Some(waiting) => Owner::Found(waiting),
            None => Owner::Unclear,
        }
    }

    /// Forgets those who do not wait any more.
    pub(super) fn forget_gone(&mut self) {
        let gone = |(number, (_, waiting)): (&u64, &(Vec<Id>, Waiting))| {
            waiting.is_gone().then_some(*number)
        };
        let gone: Vec<u64> = self.exchanges.iter().filter_map(gone).collect();
        for exchange in gone {
            self.remove(exchange);
        }
    }

    /// Fails all who wait.
    pub(super) fn fail_all(&mut self, failure: &Failure) {
        self.by_id.clear();
        for (_, (_, waiting)) in self.exchanges.drain() {
            waiting.fail(failure.clone());
        }
    }

    pub(super) fn len(&self) -> usize {
        self.exchanges.len()
    }

    fn remove(&mut self, exchange: u64) -> Option<Waiting> {
        let (ids, waiting) = self.exchanges.remove(&exchange)?;
        for id in ids {
            self.by_id.remove(&id);
        }
        Some(waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Asked = oneshot::Receiver<Result<ResponsePacket, Failure>>;

    fn ask(pending: &mut Pending, ids: &[u64]) -> Asked {
        let (reply, asked) = oneshot::channel();
        let ids = ids.iter().copied().map(Id::Number).collect();
        pending.insert(ids, Waiting::Exchange(reply));
        asked
    }

    /// Hands a frame to whom it belongs; what became of it.
    fn give(pending: &mut Pending, frame: &str) -> &'static str {
        let Some(Frame::Answer(answer)) = Frame::parse(frame) else {
            panic!("{frame} is no answer");
        };
        match pending.take(&answer) {
            Owner::Found(Waiting::Exchange(reply)) => match reply.send(Ok(answer)) {
                Ok(()) => "given",
                Err(_) => "nobody waits",
            },
            Owner::Found(Waiting::Subscription(..)) => "a subscription",
            Owner::Gone => "gone",
            Owner::Unclear => "unclear",
        }
    }

    const ONE: &str = r#"{"id":1,"result":null}"#;
    const BATCH: &str = r#"[{"id":3,"result":1},{"id":2,"result":1}]"#;
    const REFUSED: &str = r#"{"id":null,"error":{"code":-32600,"message":"no"}}"#;

    #[test]
    fn answers_find_their_askers_in_any_order() {
        let mut pending = Pending::default();
        let (mut one, mut batch) = (ask(&mut pending, &[1]), ask(&mut pending, &[2, 3]));
        assert_eq!(give(&mut pending, BATCH), "given");
        assert_eq!(give(&mut pending, ONE), "given");
        assert!(one.try_recv().is_ok() && batch.try_recv().is_ok());
        assert_eq!(give(&mut pending, ONE), "gone", "answered twice");
        assert_eq!(pending.len(), 0);
    }

    #[test]
    fn an_answer_without_an_id_belongs_to_the_only_one_who_waits() {
        let mut pending = Pending::default();
        assert_eq!(give(&mut pending, REFUSED), "gone");
        let _one = ask(&mut pending, &[1]);
        assert_eq!(give(&mut pending, REFUSED), "given");
        let (_one, _two) = (ask(&mut pending, &[1]), ask(&mut pending, &[2]));
        assert_eq!(give(&mut pending, REFUSED), "unclear");
    }

    #[test]
    fn those_who_have_gone_are_forgotten() {
        let mut pending = Pending::default();
        drop(ask(&mut pending, &[1]));
        let _two = ask(&mut pending, &[2]);
        pending.forget_gone();
        assert_eq!(pending.len(), 1);
        assert_eq!(give(&mut pending, ONE), "gone");
    }

    #[test]
    fn announcements_are_told_from_answers() {
        let text = r#"{"method":"eth_subscription","params":{"subscription":"0x1","result":{}}}"#;
        let Some(Frame::Announced { subscription, what }) = Frame::parse(text) else {
            panic!("it is an announcement");
        };
        assert_eq!((subscription.as_str(), what.get()), ("0x1", "{}"));
        for neither in ["", "{}", "1", "{\"id\":1", r#"{"method":"x","params":[]}"#] {
            assert!(Frame::parse(neither).is_none(), "{neither}");
        }
    }
}
