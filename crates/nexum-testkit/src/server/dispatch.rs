//! From the text of a message to the text of its answer: envelopes, batches, the log.

use serde_json::{Value, json};

use super::{Shared, connection::Subscriptions};
use crate::rpc::{INVALID_REQUEST, PARSE_ERROR, error};

/// Answers one HTTP body or WebSocket frame. `None`: there is nothing to answer.
pub(super) async fn answer(
    shared: &Shared,
    message: &[u8],
    subscriptions: Option<&Subscriptions>,
) -> Option<Value> {
    let latency = {
        let mut controls = shared.controls();
        controls.log.wire_messages += 1;
        controls.latency
    };
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    match serde_json::from_slice(message) {
        Ok(Value::Array(requests)) if requests.is_empty() => Some(failure(
            &Value::Null,
            &error(INVALID_REQUEST, "an empty batch"),
        )),
        Ok(Value::Array(requests)) => {
            shared.controls().log.batches += 1;
            let answers: Vec<_> = requests
                .iter()
                .filter_map(|request| answer_one(shared, request, subscriptions))
                .collect();
            (!answers.is_empty()).then_some(Value::Array(answers))
        }
        Ok(request) => answer_one(shared, &request, subscriptions),
        Err(_) => Some(failure(
            &Value::Null,
            &error(PARSE_ERROR, "this is not JSON"),
        )),
    }
}

fn answer_one(
    shared: &Shared,
    request: &Value,
    subscriptions: Option<&Subscriptions>,
) -> Option<Value> {
    let id = request.get("id").cloned();
    let Some(method) = request.get("method").and_then(Value::as_str) else {
        let refusal = error(INVALID_REQUEST, "a request has a method");
        return Some(failure(&id.unwrap_or_default(), &refusal));
    };
    let scripted = {
        let mut controls = shared.controls();
        *controls.log.by_method.entry(method.to_owned()).or_default() += 1;
        controls.scripted.get(method).cloned()
    };
    let params = request.get("params").unwrap_or(&Value::Null);
    let answer = scripted
        .or_else(|| subscriptions?.answer(shared, method, params))
        .unwrap_or_else(|| shared.chain.answer(method, params));
    // Without an id it is a notification.
    let id = id?;
    Some(match answer {
        Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
        Err(error) => failure(&id, &error),
    })
}

fn failure(id: &Value, error: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "error": error })
}
