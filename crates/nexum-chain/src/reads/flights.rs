//! What is being asked, so that nobody asks it again.
//!
//! A flight is driven by those who wait for it: when the one that started it goes, the others
//! carry it on, and when all have gone it ends.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures::future::{BoxFuture, FutureExt, Shared as SharedFuture, WeakShared};

use super::{Shared, lost};

type Answers = Arc<Vec<Shared>>;
type Journey = SharedFuture<BoxFuture<'static, Answers>>;

/// A read: its method, and its parameters without white space. What is the same but for that is
/// the same read; the order of an object's members and the spelling of a number are left as they
/// are, since reading a number could change it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key(Arc<Parts>);

#[derive(Debug, PartialEq, Eq, Hash)]
struct Parts {
    method: Box<str>,
    params: Box<str>,
}

impl Key {
    pub(super) fn new(method: &str, params: &str) -> Self {
        Self(Arc::new(Parts {
            method: method.into(),
            params: compact(params).into(),
        }))
    }

    pub(super) fn method(&self) -> &str {
        &self.0.method
    }

    pub(super) fn params(&self) -> &str {
        &self.0.params
    }

    pub(super) fn bytes(&self) -> usize {
        self.method().len() + self.params().len()
    }
}

/// `json` without the white space between its tokens.
fn compact(json: &str) -> String {
    let (mut in_string, mut escaped) = (false, false);
    json.chars()
        .filter(|c| {
            if in_string {
                in_string = escaped || *c != '"';
                escaped = !escaped && *c == '\\';
                return true;
            }
            in_string = *c == '"';
            !matches!(c, ' ' | '\t' | '\n' | '\r')
        })
        .collect()
}

/// One read under way.
#[derive(Clone)]
pub(super) struct Flight {
    journey: Journey,
    index: usize,
}

impl Future for Flight {
    type Output = Shared;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Shared> {
        let index = self.index;
        self.journey
            .poll_unpin(cx)
            .map(|answers| answers.get(index).cloned().unwrap_or_else(|| Err(lost())))
    }
}

/// All reads under way. Holds none of them alive.
#[derive(Default)]
pub(super) struct Flights {
    by_key: HashMap<Key, (WeakShared<BoxFuture<'static, Answers>>, usize)>,
}

impl Flights {
    /// The flight that will answer `key`, if there is one.
    pub(super) fn join(&self, key: &Key) -> Option<Flight> {
        let (journey, index) = self.by_key.get(key)?;
        Some(Flight {
            journey: journey.upgrade()?,
            index: *index,
        })
    }

    /// Starts one flight for all of `keys`; `fetch` answers each, in order.
    pub(super) fn start(
        &mut self,
        keys: &[Key],
        fetch: BoxFuture<'static, Vec<Shared>>,
    ) -> Vec<Flight> {
        // What everybody has left has not landed, and would stay for ever.
        if self.by_key.len() > 64 + 2 * keys.len() {
            self.by_key
                .retain(|_, (journey, _)| journey.upgrade().is_some());
        }
        let journey: Journey = fetch.map(Arc::new).boxed().shared();
        let flights = keys.iter().enumerate().map(|(index, key)| {
            if let Some(weak) = journey.downgrade() {
                self.by_key.insert(key.clone(), (weak, index));
            }
            Flight {
                journey: journey.clone(),
                index,
            }
        });
        flights.collect()
    }

    /// The flight of `keys` has its answers.
    pub(super) fn land(&mut self, keys: &[Key]) {
        for key in keys {
            self.by_key.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::{future::join, poll};
    use tokio::sync::oneshot;

    use super::*;

    fn key(params: &str) -> Key {
        Key::new("eth_call", params)
    }

    #[test]
    fn white_space_makes_no_other_read_and_everything_else_does() {
        assert_eq!(key("[ 1,\n{\t\"a\" :2} ]"), key("[1,{\"a\":2}]"));
        assert_ne!(key(r#"["a b"]"#), key(r#"["ab"]"#));
        assert_eq!(key(r#"["\\" , "a\" b"]"#), key(r#"["\\","a\" b"]"#));
        assert_ne!(key(r#"["\" b"]"#), key(r#"["\"b"]"#));
        // As floating-point numbers these two would be one.
        assert_ne!(key("[18446744073709551617]"), key("[18446744073709551618]"));
    }

    /// A flight that ends when it is told to.
    fn fetch() -> (
        oneshot::Sender<&'static str>,
        BoxFuture<'static, Vec<Shared>>,
    ) {
        let (done, answer) = oneshot::channel();
        let fetch = async move {
            let answer: &str = answer.await.unwrap();
            vec![Ok(answer.into())]
        };
        (done, fetch.boxed())
    }

    #[tokio::test]
    async fn those_who_join_carry_on_when_the_first_goes() {
        let mut flights = Flights::default();
        let (done, fetch) = fetch();
        let mut first = flights.start(&[key("[]")], fetch).remove(0);
        let mut second = flights.join(&key("[]")).unwrap();
        let third = flights.join(&key("[]")).unwrap();
        assert!(poll!(&mut first).is_pending() && poll!(&mut second).is_pending());
        drop(first);
        done.send("yes").unwrap();
        let (second, third) = join(second, third).await;
        assert_eq!((&*second.unwrap(), &*third.unwrap()), ("yes", "yes"));
    }

    #[tokio::test]
    async fn a_flight_that_all_have_left_ends_and_the_next_starts_anew() {
        let mut flights = Flights::default();
        let (mut done, first) = fetch();
        drop(flights.start(&[key("[]")], first));
        done.closed().await;
        assert!(flights.join(&key("[]")).is_none());
        for number in 0..1_000 {
            drop(flights.start(&[key(&format!("[{number}]"))], fetch().1));
        }
        assert!(
            flights.by_key.len() < 100,
            "those who never land are forgotten"
        );
    }
}
