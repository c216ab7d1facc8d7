//! Several questions to one endpoint, in as few messages as it takes.

use std::collections::{HashMap, HashSet};

use alloy_json_rpc::{Id, RequestPacket, Response, ResponsePacket, SerializedRequest};
use tokio::time::Instant;

use super::{Answer, Node};
use crate::failure::{Failure, is_rate_limit};

/// By this code geth leaves the rest of a batch unanswered when its answer grows too long.
const RESPONSE_TOO_LARGE: i64 = -32003;

/// What became of each question; `None`: this endpoint has not answered it.
pub(super) type Slots = Vec<Option<Result<Answer, Failure>>>;

/// Asks `node` the `wanted` ones of `requests`, in batches no longer than it takes, one after the
/// other. What has been answered before a failure stands in `slots` all the same.
pub(super) async fn ask(
    node: &Node,
    requests: &[SerializedRequest],
    wanted: &[usize],
    slots: &mut Slots,
    deadline: Instant,
) -> Result<(), Failure> {
    let mut open = wanted.to_vec();
    let mut widest = usize::MAX;
    while !open.is_empty() {
        let width = open.len().min(node.max_batch()).min(widest);
        let (now, later) = open.split_at(width);
        let outcome = match *now {
            [index] => ask_one(node, &requests[index], deadline)
                .await
                .map(|answer| Outcome::Answered(vec![(index, answer)])),
            _ => ask_many(node, requests, now, deadline).await,
        }?;
        let answered = match outcome {
            Outcome::Answered(answered) => answered,
            Outcome::TooMany { remember } => {
                widest = (width / 2).max(1);
                if remember {
                    node.lower_max_batch(widest);
                }
                continue;
            }
        };
        let done: HashSet<usize> = answered.iter().map(|(index, _)| *index).collect();
        let left_out = now.iter().filter(|index| !done.contains(index));
        let next: Vec<usize> = left_out.chain(later).copied().collect();
        for (index, answer) in answered {
            slots[index] = Some(answer);
        }
        open = next;
    }
    Ok(())
}

enum Outcome {
    /// At least one question has its answer, by its index.
    Answered(Vec<(usize, Result<Answer, Failure>)>),
    /// The batch has to be shorter.
    TooMany {
        /// True where that is so whatever the questions.
        remember: bool,
    },
}

async fn ask_one(
    node: &Node,
    request: &SerializedRequest,
    deadline: Instant,
) -> Result<Result<Answer, Failure>, Failure> {
    let answer = match node
        .send(RequestPacket::Single(request.clone()), deadline)
        .await
    {
        Ok(ResponsePacket::Single(response)) => response,
        Ok(ResponsePacket::Batch(_)) => return Err(node.failed(Failure::Malformed)),
        // The answer is what it is on every endpoint.
        Err(Failure::TooLarge) => return Ok(Err(Failure::TooLarge)),
        Err(failure) => return Err(failure),
    };
    let is_its = answer.id == *request.id() || (answer.id == Id::None && answer.payload.is_error());
    if !is_its {
        return Err(node.failed(Failure::Malformed));
    }
    Ok(Ok(answer.payload.try_into_success()))
}

async fn ask_many(
    node: &Node,
    requests: &[SerializedRequest],
    now: &[usize],
    deadline: Instant,
) -> Result<Outcome, Failure> {
    let packet = now.iter().map(|index| requests[*index].clone()).collect();
    let answers = match node.send(RequestPacket::Batch(packet), deadline).await {
        Ok(ResponsePacket::Batch(answers)) => answers,
        Ok(ResponsePacket::Single(answer)) if answer.payload.is_error() => {
            return Ok(Outcome::TooMany { remember: true });
        }
        Ok(ResponsePacket::Single(_)) => return Err(node.failed(Failure::Malformed)),
        Err(Failure::TooLarge) => return Ok(Outcome::TooMany { remember: false }),
        Err(Failure::Status {
            code: 400 | 413, ..
        }) => return Ok(Outcome::TooMany { remember: true }),
        Err(failure) => return Err(failure),
    };
    // geth refuses a whole batch by a batch of one error.
    if let [answer] = &*answers
        && let Some(error) = answer.payload.as_error()
    {
        if is_rate_limit(error.code) {
            return Err(node.failed(Failure::refused(error)));
        }
        return Ok(Outcome::TooMany { remember: true });
    }
    let ids = now.iter().map(|index| requests[*index].id());
    let answers = in_order_of(ids, answers).map_err(|failure| node.failed(failure))?;
    let is_cut = |answer: &Answer| matches!(answer, Err(error) if error.code == RESPONSE_TOO_LARGE);
    let all = now.iter().copied().zip(answers);
    let (cut, answered): (Vec<_>, Vec<_>) = all.partition(|(_, answer)| is_cut(answer));
    Ok(if answered.is_empty() {
        drop(cut);
        Outcome::TooMany { remember: false }
    } else {
        let answered = answered.into_iter();
        Outcome::Answered(
            answered
                .map(|(index, answer)| (index, Ok(answer)))
                .collect(),
        )
    })
}

/// Sorts answers by the ids that were asked; a node may answer in any order. An id twice, one
/// that was not asked, or one that is missing: none of the answers can be trusted.
fn in_order_of<'a>(
    ids: impl Iterator<Item = &'a Id>,
    answers: Vec<Response>,
) -> Result<Vec<Answer>, Failure> {
    let count = answers.len();
    let mut by_id: HashMap<Id, Response> = answers
        .into_iter()
        .map(|answer| (answer.id.clone(), answer))
        .collect();
    if by_id.len() != count {
        return Err(Failure::Malformed);
    }
    let sorted: Vec<Answer> = ids
        .map(|id| by_id.remove(id).ok_or(Failure::Malformed))
        .map(|found| found.map(|answer| answer.payload.try_into_success()))
        .collect::<Result<_, _>>()?;
    if by_id.is_empty() {
        Ok(sorted)
    } else {
        Err(Failure::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(id: &str, json: &str) -> Response {
        let text = format!(r#"{{"jsonrpc":"2.0","id":{id},{json}}}"#);
        serde_json::from_str(&text).unwrap()
    }

    fn sort(answers: &[(&str, &str)]) -> Result<Vec<String>, Failure> {
        let answers = answers.iter().map(|(id, json)| answer(id, json)).collect();
        let ids = [1, 2, 3].map(Id::Number);
        let sorted = in_order_of(ids.iter(), answers)?;
        let show = |answer: Answer| match answer {
            Ok(json) => json.get().to_owned(),
            Err(error) => error.code.to_string(),
        };
        Ok(sorted.into_iter().map(show).collect())
    }

    const OK: &str = r#""result":"0x1""#;
    const NULL: &str = r#""result":null"#;
    const NO: &str = r#""error":{"code":-32000,"message":"no"}"#;

    #[test]
    fn answers_are_matched_by_id_whatever_their_order() {
        let sorted = sort(&[("3", NO), ("1", OK), ("2", NULL)]).unwrap();
        assert_eq!(sorted, ["\"0x1\"", "null", "-32000"]);
    }

    #[test]
    fn a_batch_whose_ids_are_wrong_is_not_trusted() {
        for wrong in [
            &[("1", OK), ("2", OK)][..],
            &[("1", OK), ("2", OK), ("2", NO)],
            &[("1", OK), ("2", OK), ("4", OK)],
            &[("1", OK), ("2", OK), ("3", OK), ("3", OK)],
            &[("1", OK), ("2", OK), ("3", OK), ("4", OK)],
            &[("1", OK), ("2", OK), ("\"3\"", OK)],
            &[("1", OK), ("2", OK), ("null", OK)],
        ] {
            assert_eq!(sort(wrong), Err(Failure::Malformed), "{wrong:?}");
        }
    }
}
