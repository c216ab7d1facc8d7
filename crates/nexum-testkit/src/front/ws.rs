//! One WebSocket, until it ends.

use std::sync::Arc;

use axum::extract::ws::{Message as Frame, WebSocket};
use futures::{SinkExt, StreamExt, stream::SplitSink};
use tokio::{sync::mpsc, task::JoinSet};

use super::{Announced, Backend, Session, Shared, Unreachable, gate::Connection};
use crate::{
    message::Message,
    wire::{Reply, early, late},
};

/// Requests are answered side by side, as nodes do.
pub(super) async fn serve<B: Backend>(
    shared: Arc<Shared<B>>,
    connection: Connection,
    socket: WebSocket,
) {
    let (mut sink, mut stream) = socket.split();
    let (outbox, mut announced) = mpsc::unbounded_channel();
    let (replies, mut outgoing) = mpsc::unbounded_channel();
    let Ok(session) = shared.backend.open(outbox).await else {
        return;
    };
    let session = Arc::new(session);
    let mut answering = JoinSet::new();
    loop {
        let reply = tokio::select! {
            // An answer that is ready goes out before what is announced after it.
            biased;
            Some(reply) = outgoing.recv() => reply,
            Some(said) = announced.recv() => match said {
                Announced::End => return,
                Announced::Note(note) => match shared.wire.announce(note) {
                    Some(reply) => Some(reply),
                    None => continue,
                },
            },
            Some(_) = answering.join_next() => continue,
            frame = stream.next() => {
                let text = match frame {
                    Some(Ok(Frame::Text(text))) => text,
                    Some(Ok(Frame::Ping(_) | Frame::Pong(_))) => continue,
                    _ => return,
                };
                let (shared, session) = (Arc::clone(&shared), Arc::clone(&session));
                let replies = replies.clone();
                answering.spawn(async move {
                    let message = Message::read(text.as_bytes());
                    answer(&shared, &*session, &message, &replies).await;
                });
                continue;
            }
        };
        let Some(reply) = reply else { return };
        if send(reply, &connection, &mut sink).await.is_err() {
            return;
        }
    }
}

/// Sends the reply to one message, or `None` where the connection is to end.
async fn answer<B: Backend>(
    shared: &Shared<B>,
    session: &B::Session,
    message: &Message,
    replies: &mpsc::UnboundedSender<Option<Reply>>,
) {
    let fault = shared.wire.take(message).await;
    if let Some(reply) = fault.as_ref().and_then(|fault| early(fault, message)) {
        // Here and below: the connection has ended, and nobody waits for the reply.
        let _ = replies.send(Some(reply));
        return;
    }
    match session.answer(message).await {
        Ok(answered) => {
            if let Some(text) = answered.text {
                let reply = match fault {
                    None => Reply::Text(text),
                    Some(fault) => late(&fault, text),
                };
                let _ = replies.send(Some(reply));
            }
            drop(answered.begins);
        }
        Err(Unreachable) => {
            let _ = replies.send(None);
        }
    }
}

async fn send(
    reply: Reply,
    connection: &Connection,
    sink: &mut SplitSink<WebSocket, Frame>,
) -> Result<(), axum::Error> {
    let text = match reply {
        Reply::Nothing | Reply::Silence => return Ok(()),
        Reply::Text(text) | Reply::Status { text, .. } => text,
        Reply::Cut(text) => {
            connection.cut_after(frame_header(text.len()) + text.len() / 2);
            text
        }
        Reply::Enormous { head, bytes, tail } => format!("{head}{}{tail}", "0".repeat(bytes)),
    };
    sink.send(Frame::Text(text.into())).await
}

/// The length of the header that a server's frame has (RFC 6455, section 5.2).
fn frame_header(payload: usize) -> usize {
    match payload {
        ..126 => 2,
        126..65_536 => 4,
        _ => 10,
    }
}
