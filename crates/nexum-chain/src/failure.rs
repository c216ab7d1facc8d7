//! Why a request has no result, and what a module is told of it. The one place where failures
//! become [`HostErrorKind`]s.

use std::{fmt, io, sync::Arc, time::Duration};

use alloy_json_rpc::ErrorPayload;
use nexum_types::{ChainId, HostError, HostErrorKind};
use serde_json::value::RawValue;

use crate::{limits, secrets::Secrets};

/// The domain of every error of this crate that reaches a module.
pub(crate) const DOMAIN: &str = "chain";

/// A node's own error, as JSON-RPC carries it.
pub(crate) type NodeError = ErrorPayload<Box<RawValue>>;

/// Why there is no answer from a node. Shows no text of the node's or of the transport's, since
/// either could hold a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    #[error("no connection ({0})")]
    Connect(io::ErrorKind),
    #[error("the connection was lost")]
    Lost,
    #[error("HTTP status {code}")]
    Status {
        code: u16,
        /// How long the endpoint asks to be left alone (RFC 9110, section 10.2.3).
        retry_after: Option<Duration>,
    },
    #[error("the answer is larger than {max} bytes", max = limits::MAX_RESPONSE_BYTES)]
    TooLarge,
    #[error("the answer is not what JSON-RPC or the method promises")]
    Malformed,
    #[error("the node answered error {0}")]
    Node(Refusal),
    #[error("its turn within the endpoint's rate would come too late")]
    OverRate,
    #[error("the node does not know a block it should know")]
    Behind,
    #[error("no new heads, while the chain goes on")]
    Stalled,
    #[error("the endpoint serves chain {0}")]
    WrongChain(ChainId),
    #[error("no endpoint is left that serves this chain")]
    NoEndpoint,
}

/// A node's error, without its data. The message is for decisions inside the crate, such as how
/// wide a range of logs may be, and is never shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: i64,
    pub(crate) message: Arc<str>,
}

impl From<&NodeError> for Refusal {
    fn from(error: &NodeError) -> Self {
        let message = error.message.chars();
        let message: String = message.take(limits::MAX_NODE_MESSAGE_CHARS).collect();
        Self {
            code: error.code,
            message: message.into(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.code.fmt(f)
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Refusal({})", self.code)
    }
}

impl Failure {
    /// The failure that a node's error is.
    pub(crate) fn refused(error: &NodeError) -> Self {
        Self::Node(error.into())
    }

    /// True where another endpoint may do better.
    pub(crate) fn is_endpoints_own(&self) -> bool {
        match self {
            Self::TooLarge => false,
            Self::Node(refusal) => is_rate_limit(refusal.code),
            _ => true,
        }
    }

    /// True where the endpoint has been asked too much.
    pub(crate) fn is_rate_limit(&self) -> bool {
        match self {
            Self::Status { code: 429, .. } | Self::OverRate => true,
            Self::Node(refusal) => is_rate_limit(refusal.code),
            _ => false,
        }
    }

    /// True where the same endpoint may well answer the same request a moment later. A timeout is
    /// none of these: the time of the call is better spent on another endpoint.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Connect(_) | Self::Lost => true,
            Self::Status { code, .. } => matches!(code, 429 | 502 | 503 | 504),
            Self::Node(refusal) => is_rate_limit(refusal.code),
            _ => false,
        }
    }

    /// How long the endpoint asks to be left alone.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// The failure as a module sees it.
    pub(crate) fn to_host_error(&self, chain: ChainId) -> HostError {
        let hint = match self {
            Self::TooLarge => "; ask for less",
            Self::NoEndpoint => "; the operator has to correct the endpoints",
            _ => "; try again later",
        };
        let message = format!("chain {chain}: {self}{hint}");
        let code = match self {
            Self::Node(refusal) => i32::try_from(refusal.code).unwrap_or_default(),
            _ => 0,
        };
        HostError::new(DOMAIN, failure_kind(self), message).with_code(code)
    }
}

/// The kind of a failure that is not a node's own answer.
fn failure_kind(failure: &Failure) -> HostErrorKind {
    match failure {
        Failure::Timeout(_) => HostErrorKind::Timeout,
        Failure::Status { code: 429, .. } | Failure::OverRate => HostErrorKind::RateLimited,
        Failure::TooLarge => HostErrorKind::InvalidInput,
        Failure::Node(refusal) => node_kind(refusal.code),
        Failure::Connect(_)
        | Failure::Lost
        | Failure::Status { .. }
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
        code if is_rate_limit(code) => HostErrorKind::RateLimited,
        // -32000 among them: clients use it for everything.
        _ => HostErrorKind::Internal,
    }
}

/// True for the codes by which nodes say that they have been asked too much: EIP-1474's, HTTP's
/// and one that providers have added.
pub(crate) fn is_rate_limit(code: i64) -> bool {
    matches!(code, 429 | -32005 | -32029)
}

/// True where `code` in answer to `method` says that the node has been asked too much. To
/// `eth_getLogs`, -32005 ("limit exceeded") says that the question is too wide: that is an answer,
/// and no other endpoint of the provider's gives another one.
pub(crate) fn limits_rate_of(method: &str, code: i64) -> bool {
    is_rate_limit(code) && !(method == "eth_getLogs" && code == -32005)
}

/// A node's error as a module sees it: its code, its message unless that names a part of an
/// endpoint's URL, and its data (a call's revert data) on the same condition.
pub(crate) fn node_error(error: &NodeError, secrets: &Secrets) -> HostError {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: u16) -> Failure {
        Failure::Status {
            code,
            retry_after: None,
        }
    }

    fn refusal(code: i64) -> Failure {
        Failure::Node(Refusal {
            code,
            message: "KEY".into(),
        })
    }

    /// What `docs/reference/chains.md` says, row by row.
    #[test]
    fn every_failure_has_its_kind_and_says_whether_the_same_endpoint_is_asked_again() {
        use HostErrorKind as Kind;
        let rows = [
            (
                Failure::Timeout(Duration::from_secs(1)),
                Kind::Timeout,
                false,
            ),
            (
                Failure::Connect(io::ErrorKind::ConnectionRefused),
                Kind::Unavailable,
                true,
            ),
            (Failure::Lost, Kind::Unavailable, true),
            (status(401), Kind::Unavailable, false),
            (status(429), Kind::RateLimited, true),
            (status(500), Kind::Unavailable, false),
            (status(502), Kind::Unavailable, true),
            (status(503), Kind::Unavailable, true),
            (status(504), Kind::Unavailable, true),
            (Failure::TooLarge, Kind::InvalidInput, false),
            (Failure::Malformed, Kind::Unavailable, false),
            (refusal(-32005), Kind::RateLimited, true),
            (Failure::OverRate, Kind::RateLimited, false),
            (Failure::Behind, Kind::Unavailable, false),
            (Failure::Stalled, Kind::Unavailable, false),
            (Failure::WrongChain(ChainId(5)), Kind::Unavailable, false),
            (Failure::NoEndpoint, Kind::Unavailable, false),
        ];
        for (failure, kind, again) in rows {
            let error = failure.to_host_error(ChainId(1));
            let code = if matches!(failure, Failure::Node(_)) {
                -32005
            } else {
                0
            };
            assert_eq!((error.kind, error.code), (kind, code), "{failure:?}");
            assert!(error.message.starts_with("chain 1: "), "{error}");
            assert_eq!(failure.may_pass(), again, "{failure:?}");
            let elsewhere = !matches!(failure, Failure::TooLarge);
            assert_eq!(failure.is_endpoints_own(), elsewhere, "{failure:?}");
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
            let limited = kind == Kind::RateLimited;
            assert_eq!(refusal(code).is_rate_limit(), limited, "{code}");
            assert_eq!(refusal(code).is_endpoints_own(), limited, "{code}");
        }
    }

    #[test]
    fn a_question_for_logs_that_is_too_wide_is_no_rate_limit() {
        assert!(limits_rate_of("eth_call", -32005));
        assert!(!limits_rate_of("eth_getLogs", -32005));
        assert!(limits_rate_of("eth_getLogs", -32029));
        assert!(!limits_rate_of("eth_getLogs", -32000));
    }

    #[test]
    fn a_nodes_message_is_there_for_decisions_and_is_not_shown() {
        let failure = refusal(-32000);
        assert!(matches!(&failure, Failure::Node(refusal) if &*refusal.message == "KEY"));
        let shown = format!(
            "{failure} {failure:?} {}",
            failure.to_host_error(ChainId(1))
        );
        assert!(!shown.contains("KEY"), "{shown}");
    }

    fn payload(message: &str, data: Option<&str>) -> NodeError {
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
        let url = "https://node.example/v2/KEY1234567".parse().unwrap();
        let secrets = Secrets::of([&url]);
        let error = node_error(
            &payload("no such key: key1234567", Some("\"KEY1234567\"")),
            &secrets,
        );
        assert!(error.message.contains("withheld"), "{error}");
        assert_eq!(error.data, None);
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
