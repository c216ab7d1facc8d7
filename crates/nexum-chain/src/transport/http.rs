//! JSON-RPC over HTTP POST.
//!
//! Written here rather than taken from alloy, whose HTTP transport puts the whole URL into its
//! tracing span, keeps the body's text in its errors, and reads a body of any size.

use alloy_json_rpc::{RequestPacket, ResponsePacket};
use reqwest::{Client, header};
use url::Url;

use super::{io_kind, retry_after};
use crate::{failure::Failure, limits};

/// One HTTP endpoint. Connections are pooled by the shared client.
#[derive(Clone)]
pub(crate) struct HttpTransport {
    client: Client,
    url: Url,
}

impl HttpTransport {
    pub(super) fn new(client: Client, url: Url) -> Self {
        Self { client, url }
    }

    pub(super) async fn send(&self, packet: &RequestPacket) -> Result<ResponsePacket, Failure> {
        let body = serde_json::to_vec(packet).map_err(|_| Failure::Malformed)?;
        let request = self.client.post(self.url.clone());
        let request = request
            .header(header::CONTENT_TYPE, "application/json")
            .body(body);
        let mut response = request.send().await.map_err(|error| lost(&error))?;
        let status = response.status();
        let wait = response.headers().get(header::RETRY_AFTER);
        let retry_after = retry_after(wait.map(header::HeaderValue::as_bytes));
        let announced = response.content_length().unwrap_or_default();
        if announced > limits::MAX_RESPONSE_BYTES as u64 {
            return Err(Failure::TooLarge);
        }
        let mut body = Vec::with_capacity(announced as usize);
        while let Some(chunk) = response.chunk().await.map_err(|error| lost(&error))? {
            if body.len() + chunk.len() > limits::MAX_RESPONSE_BYTES {
                return Err(Failure::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        let code = status.as_u16();
        match serde_json::from_slice(&body) {
            Ok(packet) if status.is_success() => Ok(packet),
            // Some nodes give a JSON-RPC error the status that the JSON-RPC over HTTP draft has for
            // it. Any other status speaks of the endpoint, whatever its body says.
            Ok(packet) if matches!(code, 400 | 404 | 500) && is_error(&packet) => Ok(packet),
            _ if !status.is_success() => Err(Failure::Status { code, retry_after }),
            _ => Err(Failure::Malformed),
        }
    }
}

fn is_error(packet: &ResponsePacket) -> bool {
    packet.as_error().is_some()
}

fn lost(error: &reqwest::Error) -> Failure {
    if error.is_connect() {
        Failure::Connect(io_kind(error))
    } else {
        Failure::Lost
    }
}
