//! The endpoints of one chain as one: asked in order of priority, the next where one fails.

mod node;

use std::{
    ops::RangeInclusive,
    sync::atomic::{AtomicU64, Ordering},
};

use alloy_json_rpc::{
    ErrorPayload, Id, Request, RequestPacket, Response, ResponsePacket, ResponsePayload,
};
use alloy_primitives::B256;
use nexum_manifest::ChainSettings;
use nexum_types::{Block, BlockNumber, ChainId};
use serde_json::value::{RawValue, to_raw_value};

use crate::{
    ChainError,
    failure::{Failure, Secrets},
    header,
    transport::Transport,
};
pub(crate) use node::Node;

/// A node's own answer: the result, or its error.
pub(crate) type Answer = Result<Box<RawValue>, ErrorPayload<Box<RawValue>>>;

/// A method and its parameters.
pub(crate) type Question<'a> = (&'a str, Box<RawValue>);

/// The endpoints of one chain.
pub(crate) struct Provider {
    chain: ChainId,
    /// Most preferred first.
    nodes: Vec<Node>,
    last_id: AtomicU64,
    secrets: Secrets,
}

impl Provider {
    pub(crate) fn new(
        settings: &ChainSettings,
        client: &reqwest::Client,
    ) -> Result<Self, ChainError> {
        let chain = settings.id;
        let nodes = settings.endpoints.iter().map(|endpoint| {
            let transport =
                Transport::new(&endpoint.url, client).ok_or_else(|| ChainError::Scheme {
                    chain,
                    endpoint: endpoint.to_string(),
                })?;
            Ok(Node::new(
                chain,
                endpoint,
                transport,
                settings.request_timeout,
            ))
        });
        let nodes: Vec<_> = nodes.collect::<Result<_, ChainError>>()?;
        if nodes.is_empty() {
            return Err(ChainError::NoEndpoint(chain));
        }
        let secrets = Secrets::of(settings.endpoints.iter().map(|endpoint| &endpoint.url));
        Ok(Self {
            chain,
            nodes,
            last_id: AtomicU64::new(0),
            secrets,
        })
    }

    pub(crate) fn chain(&self) -> ChainId {
        self.chain
    }

    pub(crate) fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    pub(crate) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The node to use now, of those that are not among `failed`: the most preferred that does not
    /// rest, or else the one whose rest ends first. `None`: there is no other.
    pub(crate) fn preferred_but(&self, failed: &[&Node]) -> Option<&Node> {
        let has_failed = |node: &Node| failed.iter().any(|failed| std::ptr::eq(*failed, node));
        self.in_order().into_iter().find(|node| !has_failed(node))
    }

    /// True where a node that comes before `node` is well (again). Asks those whose time to be
    /// asked has come.
    pub(crate) async fn has_better_than(&self, node: &Node) -> bool {
        for better in self
            .nodes
            .iter()
            .take_while(|other| !std::ptr::eq(*other, node))
        {
            if better.cooling().is_none() && better.ready(self.next_id()).await.is_ok() {
                return true;
            }
        }
        false
    }

    fn in_order(&self) -> Vec<&Node> {
        let mut nodes: Vec<_> = self.nodes.iter().filter(|node| node.is_usable()).collect();
        // Stable: those that are well stay in the order of their priority.
        nodes.sort_by_key(|node| node.cooling());
        nodes
    }

    pub(crate) fn next_id(&self) -> Id {
        Id::Number(self.last_id.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn request(&self, (method, params): Question<'_>) -> Request<Box<RawValue>> {
        Request::new(method.to_owned(), self.next_id(), params)
    }

    /// Sends a packet to the first node that answers. An answer is final, even an error.
    async fn send(&self, packet: &RequestPacket) -> Result<ResponsePacket, Failure> {
        let mut last = Failure::NoEndpoint;
        for node in self.in_order() {
            let ready = node.ready(self.next_id()).await;
            let sent = match ready {
                Ok(()) => node.send(packet.clone()).await,
                Err(failure) => Err(failure),
            };
            match sent {
                Err(failure) if failure.is_endpoints_own() => last = failure,
                sent => return sent,
            }
        }
        Err(last)
    }

    /// Asks one question.
    pub(crate) async fn ask(&self, question: Question<'_>) -> Result<Answer, Failure> {
        let request = self
            .request(question)
            .serialize()
            .map_err(|_| Failure::Malformed)?;
        match self.send(&RequestPacket::Single(request)).await? {
            ResponsePacket::Single(response) => Ok(response.payload.try_into_success()),
            ResponsePacket::Batch(_) => Err(Failure::Malformed),
        }
    }

    /// Asks several questions in one packet. The answers have the order of the questions; one
    /// that the node left out is a failure of its own.
    pub(crate) async fn ask_all(
        &self,
        questions: Vec<Question<'_>>,
    ) -> Result<Vec<Result<Answer, Failure>>, Failure> {
        let requests = questions
            .into_iter()
            .map(|question| self.request(question).serialize());
        let requests: Vec<_> = requests
            .collect::<Result<_, _>>()
            .map_err(|_| Failure::Malformed)?;
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<Id> = requests
            .iter()
            .map(|request| request.id().clone())
            .collect();
        let answers = match self.send(&RequestPacket::Batch(requests)).await? {
            ResponsePacket::Batch(answers) => answers,
            ResponsePacket::Single(answer) => {
                // The node refused the batch as a whole.
                let payload = answer.payload;
                return match payload.as_error() {
                    Some(error) => Ok(vec![Ok(Err(error.clone())); ids.len()]),
                    None => Err(Failure::Malformed),
                };
            }
        };
        Ok(in_order_of(&ids, answers))
    }

    /// The head as the node sees it now.
    pub(crate) async fn latest(&self) -> Result<Block, Failure> {
        let answer = self
            .ask(("eth_getBlockByNumber", params(&("latest", false))?))
            .await?;
        self.block(answer)?.ok_or(Failure::Malformed)
    }

    /// The block of that hash, on whatever branch. `None`: the node does not know it.
    pub(crate) async fn block_by_hash(&self, hash: B256) -> Result<Option<Block>, Failure> {
        let answer = self
            .ask(("eth_getBlockByHash", params(&(hash, false))?))
            .await?;
        match self.block(answer)? {
            Some(block) if block.hash != hash => Err(Failure::Malformed),
            block => Ok(block),
        }
    }

    /// The canonical blocks of these numbers, in one packet. `None`: the node does not know it.
    pub(crate) async fn blocks(
        &self,
        numbers: RangeInclusive<u64>,
    ) -> Result<Vec<Option<Block>>, Failure> {
        let question = |number: u64| {
            let params = params(&(format!("{number:#x}"), false))?;
            Ok(("eth_getBlockByNumber", params))
        };
        let questions = numbers
            .clone()
            .map(question)
            .collect::<Result<_, Failure>>()?;
        let answers = self.ask_all(questions).await?;
        let blocks = numbers
            .zip(answers)
            .map(|(number, answer)| match self.block(answer?)? {
                Some(block) if block.number != BlockNumber(number) => Err(Failure::Malformed),
                block => Ok(block),
            });
        blocks.collect()
    }

    fn block(&self, answer: Answer) -> Result<Option<Block>, Failure> {
        let json = answer.map_err(|error| Failure::Node(error.code))?;
        header::parse(self.chain, json.get())
    }
}

fn params<T: serde::Serialize>(params: &T) -> Result<Box<RawValue>, Failure> {
    to_raw_value(params).map_err(|_| Failure::Malformed)
}

/// Sorts answers by the ids that were asked; a node may answer in any order. Of two answers with
/// one id the first counts.
fn in_order_of(ids: &[Id], answers: Vec<Response>) -> Vec<Result<Answer, Failure>> {
    let mut by_id = std::collections::HashMap::with_capacity(answers.len());
    for answer in answers {
        by_id.entry(answer.id).or_insert(answer.payload);
    }
    let take = |id| by_id.remove(id).ok_or(Failure::Malformed);
    ids.iter()
        .map(take)
        .map(|found| found.map(ResponsePayload::try_into_success))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_matched_by_id_whatever_their_order() {
        let answer = |id, json: &str| {
            let text = format!(r#"{{"jsonrpc":"2.0","id":{id},{json}}}"#);
            serde_json::from_str::<Response>(&text).unwrap()
        };
        let answers = vec![
            answer(3, r#""result":null"#),
            answer(1, r#""result":"0x1""#),
            answer(1, r#""result":"again""#),
            answer(9, r#""result":"unasked""#),
            answer(4, r#""error":{"code":-32000,"message":"no"}"#),
        ];
        let sorted = in_order_of(&[1, 2, 3, 4].map(Id::Number), answers);
        let text = |index: usize| sorted[index].as_ref().unwrap().as_ref().unwrap().get();
        assert_eq!((text(0), text(2)), ("\"0x1\"", "null"));
        assert!(
            matches!(sorted[1], Err(Failure::Malformed)),
            "left out by the node"
        );
        assert_eq!(
            sorted[3].as_ref().unwrap().as_ref().unwrap_err().code,
            -32000
        );
    }
}
