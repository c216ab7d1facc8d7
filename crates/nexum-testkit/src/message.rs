//! One HTTP body or WebSocket message from a client: read once, by everybody who looks at it.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::request_log::Asked;

#[derive(Debug)]
pub(crate) struct Message {
    /// As it came.
    pub(crate) text: Vec<u8>,
    /// `None`: it is no JSON.
    pub(crate) json: Option<Value>,
    /// What it asks. What is no request is not among it.
    pub(crate) asked: Vec<Arc<Asked>>,
}

impl Message {
    pub(crate) fn read(text: &[u8]) -> Self {
        let json: Option<Value> = serde_json::from_slice(text).ok();
        let requests = match &json {
            Some(Value::Array(requests)) => requests.as_slice(),
            Some(request) => std::slice::from_ref(request),
            None => &[],
        };
        let asked = requests.iter().filter_map(|request| {
            Some(Arc::new(Asked {
                method: request.get("method")?.as_str()?.to_owned(),
                params: request.get("params").cloned().unwrap_or_default(),
            }))
        });
        Self {
            asked: asked.collect(),
            text: text.to_vec(),
            json,
        }
    }

    pub(crate) fn is_batch(&self) -> bool {
        matches!(self.json, Some(Value::Array(_)))
    }

    pub(crate) fn methods(&self) -> impl Iterator<Item = &str> {
        self.asked.iter().map(|asked| asked.method.as_str())
    }

    /// The ids of its requests, in order. A notification has none.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &Value> {
        let requests = match &self.json {
            Some(Value::Array(requests)) => requests.as_slice(),
            Some(request) => std::slice::from_ref(request),
            None => &[],
        };
        requests.iter().filter_map(|request| request.get("id"))
    }

    /// The same error for each of its requests.
    pub(crate) fn all_refused(&self, error: &Value) -> String {
        let mut answers: Vec<_> = self.ids().map(|id| failure(id, error)).collect();
        match answers.pop() {
            Some(only) if !self.is_batch() => only,
            Some(last) => {
                answers.push(last);
                Value::Array(answers)
            }
            None => failure(&Value::Null, error),
        }
        .to_string()
    }
}

/// An error answer.
pub(crate) fn failure(id: &Value, error: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "error": error })
}
