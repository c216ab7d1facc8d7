//! One HTTP request, from body to response.

use std::{io, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::stream;

use super::{Backend, Shared, Unreachable, gate::Connection};
use crate::{
    message::Message,
    wire::{Reply, early, late},
};

/// How much of an enormous body goes out at once.
const CHUNK: usize = 64 * 1024;

pub(super) async fn answer<B: Backend>(
    shared: &Shared<B>,
    connection: &Connection,
    body: &[u8],
) -> Response {
    let message = Message::read(body);
    let fault = shared.wire.take(&message).await;
    if let Some(reply) = fault.as_ref().and_then(|fault| early(fault, &message)) {
        return respond(reply, connection).await;
    }
    let reply = match shared.backend.answer(&message).await {
        Ok(None) => Reply::Nothing,
        Ok(Some(answer)) => match fault {
            None => Reply::Text(answer),
            Some(fault) => late(&fault, answer),
        },
        Err(Unreachable) => return StatusCode::BAD_GATEWAY.into_response(),
    };
    respond(reply, connection).await
}

async fn respond(reply: Reply, connection: &Connection) -> Response {
    match reply {
        // A body of notifications alone has no answer.
        Reply::Nothing => StatusCode::NO_CONTENT.into_response(),
        Reply::Text(text) => json(text),
        Reply::Cut(text) => {
            let half = Bytes::copy_from_slice(&text.as_bytes()[..text.len() / 2]);
            let parts = [
                Ok(half),
                Err(io::Error::from(io::ErrorKind::ConnectionReset)),
            ];
            let mut response = json(Body::from_stream(stream::iter(parts)));
            let length = HeaderValue::from(text.len());
            response
                .headers_mut()
                .insert(header::CONTENT_LENGTH, length);
            response
        }
        Reply::Status {
            code,
            retry_after,
            text,
        } => {
            let mut response = json(text);
            *response.status_mut() =
                StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            if let Some(wait) = retry_after {
                let seconds = HeaderValue::from(seconds(wait));
                response.headers_mut().insert(header::RETRY_AFTER, seconds);
            }
            response
        }
        Reply::Enormous { head, bytes, tail } => {
            let zeros = Bytes::from(vec![b'0'; CHUNK]);
            let chunks = std::iter::repeat_n(zeros, bytes.div_ceil(CHUNK));
            let parts = std::iter::once(Bytes::from(head))
                .chain(chunks)
                .chain([Bytes::from_static(tail.as_bytes())])
                .map(Ok::<_, io::Error>);
            json(Body::from_stream(stream::iter(parts)))
        }
        Reply::Silence => {
            connection.ended().await;
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}

fn json(body: impl Into<Body>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body.into()).into_response()
}

/// `Retry-After` knows whole seconds; a client that waits as long as it says has waited enough.
fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}
