//! From a message to the text of its answer: envelopes and batches.

use serde_json::{Value, json};

use super::Truth;
use crate::{
    message::{Message, failure},
    rpc::{INVALID_REQUEST, Node, Output, PARSE_ERROR, error},
};

/// Answers one HTTP body or WebSocket message. `own` answers what belongs to the connection.
/// `None`: there is nothing to answer.
pub(super) fn answer(
    truth: &Truth,
    message: &Message,
    mut own: impl FnMut(&str, &Value) -> Option<Result<Output, Value>>,
) -> Option<String> {
    let refusal = |code, text| Some(failure(&Value::Null, &error(code, text)).to_string());
    match &message.json {
        None => refusal(PARSE_ERROR, "this is not JSON"),
        Some(Value::Array(requests)) if requests.is_empty() => {
            refusal(INVALID_REQUEST, "an empty batch")
        }
        Some(Value::Array(requests)) => {
            let max = truth.view().max_batch;
            if max.is_some_and(|max| requests.len() > max) {
                return Some(message.ids().next().map_or(Value::Null, |id| {
                    json!([failure(id, &error(INVALID_REQUEST, "batch too large"))])
                }))
                .map(|answer| answer.to_string());
            }
            let answers: Vec<_> = requests
                .iter()
                .filter_map(|request| answer_one(truth, request, &mut own))
                .collect();
            (!answers.is_empty()).then(|| format!("[{}]", answers.join(",")))
        }
        Some(request) => answer_one(truth, request, &mut own),
    }
}

fn answer_one(
    truth: &Truth,
    request: &Value,
    own: &mut impl FnMut(&str, &Value) -> Option<Result<Output, Value>>,
) -> Option<String> {
    let id = request.get("id");
    let Some(method) = request.get("method").and_then(Value::as_str) else {
        let refusal = error(INVALID_REQUEST, "a request has a method");
        return Some(failure(id.unwrap_or(&Value::Null), &refusal).to_string());
    };
    let params = request.get("params").unwrap_or(&Value::Null);
    let (scripted, view) = truth.now(method);
    let answer = scripted
        .map(|answer| answer.map(Output::Value))
        .or_else(|| own(method, params))
        .unwrap_or_else(|| {
            let node = Node {
                chain: &truth.chain,
                view: &view,
            };
            node.answer(method, params)
        });
    // Without an id it is a notification.
    let id = id?;
    let written = answer.and_then(|output| {
        serde_json::to_string(&output).map_err(|_| error(-32603, "the result cannot be written"))
    });
    Some(match written {
        Ok(result) => format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#),
        Err(error) => failure(id, &error).to_string(),
    })
}
