//! Why a request has no result, and what a module is told of it. The one place where failures
//! become [`HostErrorKind`]s.

use std::{io, time::Duration};

use alloy_json_rpc::ErrorPayload;
use nexum_types::{ChainId, HostError, HostErrorKind};
use serde_json::value::RawValue;

use crate::limits;

/// The domain of every error of this crate that reaches a module.
pub(crate) const DOMAIN: &str = "chain";

/// Why there is no answer from a node. Holds no text of the node's or of the transport's, since
/// either could hold a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    #[error("no connection ({0})")]
    Connect(io::ErrorKind),
    #[error("the connection was lost")]
    Lost,
    #[error("HTTP status {0}")]
    Status(u16),
    #[error("the answer is larger than {max} bytes", max = limits::MAX_RESPONSE_BYTES)]
    TooLarge,
    #[error("the answer is not what JSON-RPC or the method promises")]
    Malformed,
    #[error("the node answered error {0}")]
    Node(i64),
    #[error("the node does not know a block it should know")]
    Behind,
    #[error("no new heads, while the chain goes on")]
    Stalled,
    #[error("the endpoint serves chain {0}")]
    WrongChain(ChainId),
    #[error("no endpoint is left that serves this chain")]
    NoEndpoint,
}

impl Failure {
    /// True where another endpoint may do better.
    pub(crate) fn is_endpoints_own(&self) -> bool {
        !matches!(self, Self::TooLarge)
    }

    /// The failure as a module sees it.
    pub(crate) fn to_host_error(&self, chain: ChainId) -> HostError {
        let hint = match self {
            Self::TooLarge => "; ask for less",
            Self::NoEndpoint => "; the operator has to correct the endpoints",
            _ => "; try again later",
        };
        let message = format!("chain {chain}: {self}{hint}");
        HostError::new(DOMAIN, failure_kind(self), message)
    }
}

/// The kind of a failure that is not a node's own answer.
fn failure_kind(failure: &Failure) -> HostErrorKind {
    match failure {
        Failure::Timeout(_) => HostErrorKind::Timeout,
        Failure::Status(429) => HostErrorKind::RateLimited,
        Failure::TooLarge => HostErrorKind::InvalidInput,
        Failure::Node(code) => node_kind(*code),
        Failure::Connect(_)
        | Failure::Lost
        | Failure::Status(_)
        | Failure::Malformed
        | Failure::Behind
        | Failure::Stalled
        | Failure::WrongChain(_)
        | Failure::NoEndpoint => HostErrorKind::Unavailable,
    }
}

/// The kind of a node's answer, by its JSON-RPC error code (JSON-RPC 2.0, EIP-1474 and what
/// clients and providers have added).
fn node_kind(code: i64) -> HostErrorKind {
    match code {
        // The call reverted: with these arguments it always does.
        3 => HostErrorKind::InvalidInput,
        -32600 | -32602 => HostErrorKind::InvalidInput,
        -32601 | -32004 => HostErrorKind::Unsupported,
        // Resource not found, or not at hand.
        -32001 | -32002 => HostErrorKind::Unavailable,
        429 | -32005 | -32029 => HostErrorKind::RateLimited,
        // -32000 among them: clients use it for everything.
        _ => HostErrorKind::Internal,
    }
}

/// A node's error as a module sees it: its code, its message unless that names a part of an
/// endpoint's URL, and its data (a call's revert data) on the same condition.
pub(crate) fn node_error(error: &ErrorPayload<Box<RawValue>>, secrets: &Secrets) -> HostError {
    let message = if secrets.occur_in(&error.message) {
        "the node's message is withheld: it names a part of the endpoint's URL".to_owned()
    } else {
        error
            .message
            .chars()
            .take(limits::MAX_NODE_MESSAGE_CHARS)
            .collect()
    };
    let code = i32::try_from(error.code).unwrap_or_default();
    let host_error = HostError::new(DOMAIN, node_kind(error.code), message).with_code(code);
    let data = error
        .data
        .as_ref()
        .map(|data| data.get())
        .filter(|data| *data != "null");
    match data {
        Some(data) if !secrets.occur_in(data) => {
            let text = serde_json::from_str(data).unwrap_or_else(|_| data.to_owned());
            host_error.with_data(text)
        }
        _ => host_error,
    }
}

/// What must not be shown of the URLs of a chain's endpoints.
#[derive(Clone, Default)]
pub(crate) struct Secrets(Vec<String>);

impl Secrets {
    /// Shorter path segments (`v1`, `rpc`) are no keys.
    const SHORTEST_SEGMENT: usize = 6;

    pub(crate) fn of<'a>(urls: impl IntoIterator<Item = &'a url::Url>) -> Self {
        let mut secrets = Vec::new();
        for url in urls {
            secrets.push(url.username().to_owned());
            secrets.extend(url.password().map(str::to_owned));
            secrets.extend(url.query().map(str::to_owned));
            secrets.extend(url.query_pairs().map(|(_, value)| value.into_owned()));
            let segments = url.path_segments().into_iter().flatten();
            secrets.extend(
                segments
                    .filter(|s| s.len() >= Self::SHORTEST_SEGMENT)
                    .map(str::to_owned),
            );
        }
        secrets.retain(|secret| !secret.is_empty());
        Self(
            secrets
                .into_iter()
                .map(|secret| secret.to_ascii_lowercase())
                .collect(),
        )
    }

    fn occur_in(&self, text: &str) -> bool {
        let text = text.to_ascii_lowercase();
        self.0.iter().any(|secret| text.contains(secret.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_has_its_kind() {
        use HostErrorKind as Kind;
        let rows = [
            (Failure::Timeout(Duration::from_secs(1)), Kind::Timeout),
            (
                Failure::Connect(io::ErrorKind::ConnectionRefused),
                Kind::Unavailable,
            ),
            (Failure::Lost, Kind::Unavailable),
            (Failure::Status(401), Kind::Unavailable),
            (Failure::Status(429), Kind::RateLimited),
            (Failure::Status(503), Kind::Unavailable),
            (Failure::TooLarge, Kind::InvalidInput),
            (Failure::Malformed, Kind::Unavailable),
            (Failure::Node(-32005), Kind::RateLimited),
            (Failure::Behind, Kind::Unavailable),
            (Failure::Stalled, Kind::Unavailable),
            (Failure::WrongChain(ChainId(5)), Kind::Unavailable),
            (Failure::NoEndpoint, Kind::Unavailable),
        ];
        for (failure, kind) in rows {
            let error = failure.to_host_error(ChainId(1));
            assert_eq!((error.kind, error.code), (kind, 0), "{failure:?}");
            assert!(error.message.starts_with("chain 1: "), "{error}");
        }
    }

    #[test]
    fn every_code_of_a_node_has_its_kind() {
        use HostErrorKind as Kind;
        let rows = [
            (3, Kind::InvalidInput),
            (-32600, Kind::InvalidInput),
            (-32602, Kind::InvalidInput),
            (-32601, Kind::Unsupported),
            (-32004, Kind::Unsupported),
            (-32001, Kind::Unavailable),
            (-32002, Kind::Unavailable),
            (429, Kind::RateLimited),
            (-32005, Kind::RateLimited),
            (-32029, Kind::RateLimited),
            (-32000, Kind::Internal),
            (-32603, Kind::Internal),
            (-32700, Kind::Internal),
            (12345, Kind::Internal),
        ];
        for (code, kind) in rows {
            assert_eq!(node_kind(code), kind, "{code}");
        }
    }

    fn payload(message: &str, data: Option<&str>) -> ErrorPayload<Box<RawValue>> {
        let data = data.map(|text| RawValue::from_string(text.to_owned()).unwrap());
        ErrorPayload {
            code: 3,
            message: message.to_owned().into(),
            data,
        }
    }

    #[test]
    fn revert_data_passes_as_the_text_it_is() {
        let secrets = Secrets::default();
        let error = node_error(
            &payload("execution reverted", Some("\"0x08c379a0\"")),
            &secrets,
        );
        assert_eq!(error.data.as_deref(), Some("0x08c379a0"));
        assert_eq!(
            (error.code, error.message.as_str()),
            (3, "execution reverted")
        );
        let structured = node_error(&payload("no", Some("{\"a\":1}")), &secrets);
        assert_eq!(structured.data.as_deref(), Some("{\"a\":1}"));
        assert_eq!(
            node_error(&payload("no", Some("null")), &secrets).data,
            None
        );
    }

    #[test]
    fn a_message_or_data_with_a_part_of_the_url_is_withheld() {
        let url = "https://alice:s3cret@node.example/v2/KEY1234567?token=tok"
            .parse()
            .unwrap();
        let secrets = Secrets::of([&url]);
        for text in [
            "no such key: key1234567",
            "user Alice",
            "s3cret!",
            "?token=tok",
        ] {
            let error = node_error(&payload(text, Some(&format!("{text:?}"))), &secrets);
            assert!(error.message.contains("withheld"), "{error}");
            assert_eq!(error.data, None);
        }
        let harmless = node_error(&payload("v2 of node.example is busy", None), &secrets);
        assert_eq!(harmless.message, "v2 of node.example is busy");
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let error = node_error(&payload(&"ü".repeat(2000), None), &Secrets::default());
        assert_eq!(
            error.message.chars().count(),
            limits::MAX_NODE_MESSAGE_CHARS
        );
    }
}
