//! One WebSocket connection: a task that owns the socket, and those who ask over it.
//!
//! The task pings, and ends a connection that has been silent for too long: a peer that has gone
//! without a word would otherwise be waited for without end.

use std::{collections::HashMap, time::Duration};

use alloy_json_rpc::{Id, RequestPacket, ResponsePacket, SerializedRequest};
use futures::{SinkExt, Stream, StreamExt};
use tokio::{
    net::TcpStream,
    sync::{mpsc, oneshot},
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{Error, Message},
};
use tokio_util::sync::CancellationToken;

use super::pending::{Frame, Owner, Pending, Sink, Waiting};
use crate::failure::Failure;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// How often the peer is pinged.
const PING_INTERVAL: Duration = Duration::from_secs(5);
/// A connection on which nothing at all has come for this long, pongs included, is dead.
const LONGEST_SILENCE: Duration = Duration::from_secs(15);

/// A connection. Clones are the same; it ends when the last is dropped.
#[derive(Clone)]
pub(super) struct Connection {
    commands: mpsc::UnboundedSender<Command>,
    end: CancellationToken,
}

/// What the task is asked to do. Unbounded: each command but the last has somebody who waits for
/// its answer, within a deadline.
enum Command {
    Send {
        text: String,
        ids: Vec<Id>,
        waiting: Waiting,
    },
    /// Nobody takes this subscription's announcements any more.
    Unsubscribe(String),
}

impl Connection {
    pub(super) fn start(socket: Socket) -> Self {
        let (commands, asked) = mpsc::unbounded_channel();
        let end = CancellationToken::new();
        let ended = end.clone();
        tokio::spawn(async move {
            let mut pending = Pending::default();
            let failure = tokio::select! {
                () = ended.cancelled() => Failure::Lost,
                failure = drive(socket, asked, &mut pending) => failure,
            };
            ended.cancel();
            pending.fail_all(&failure);
        });
        Self { commands, end }
    }

    /// Ends the connection; all who wait for an answer are told.
    pub(super) fn end(&self) {
        self.end.cancel();
    }

    pub(super) fn has_ended(&self) -> bool {
        self.end.is_cancelled() || self.commands.is_closed()
    }

    /// Sends a packet as one frame.
    pub(super) async fn exchange(&self, packet: &RequestPacket) -> Result<ResponsePacket, Failure> {
        let text = serde_json::to_string(packet).map_err(|_| Failure::Malformed)?;
        let ids = match packet {
            RequestPacket::Single(request) => vec![request.id().clone()],
            RequestPacket::Batch(requests) => requests
                .iter()
                .map(|request| request.id().clone())
                .collect(),
        };
        let (reply, answer) = oneshot::channel();
        self.send(Command::Send {
            text,
            ids,
            waiting: Waiting::Exchange(reply),
        })?;
        answer.await.map_err(|_| Failure::Lost)?
    }

    /// Sends a request whose answer is the id of a subscription.
    pub(super) async fn subscribe(
        &self,
        request: SerializedRequest,
        sink: Sink,
    ) -> Result<Subscribed, Failure> {
        let ids = vec![request.id().clone()];
        let text = request.take_request().get().to_owned();
        let (reply, answer) = oneshot::channel();
        self.send(Command::Send {
            text,
            ids,
            waiting: Waiting::Subscription(reply, sink),
        })?;
        let id = answer.await.map_err(|_| Failure::Lost)??;
        Ok(Subscribed {
            id,
            commands: self.commands.downgrade(),
        })
    }

    fn send(&self, command: Command) -> Result<(), Failure> {
        self.commands.send(command).map_err(|_| Failure::Lost)
    }
}

/// A subscription that goes on. Ends it when dropped.
pub(super) struct Subscribed {
    id: String,
    commands: mpsc::WeakUnboundedSender<Command>,
}

impl Drop for Subscribed {
    fn drop(&mut self) {
        if let Some(commands) = self.commands.upgrade() {
            // Fails only where the connection has ended, and the subscription with it.
            let _ = commands.send(Command::Unsubscribe(std::mem::take(&mut self.id)));
        }
    }
}

/// Runs the connection until it ends; why it did.
async fn drive(
    socket: Socket,
    asked: mpsc::UnboundedReceiver<Command>,
    pending: &mut Pending,
) -> Failure {
    let (sink, stream) = socket.split();
    // Writing has a queue of its own: a peer that reads nothing while it writes must not be able
    // to stop this side from reading.
    let (outgoing, queue) = mpsc::unbounded_channel();
    tokio::select! {
        failure = write(sink, queue) => failure,
        failure = read(stream, asked, outgoing, pending) => failure,
    }
}

async fn write(
    mut sink: impl futures::Sink<Message, Error = Error> + Unpin,
    mut queue: mpsc::UnboundedReceiver<Message>,
) -> Failure {
    while let Some(message) = queue.recv().await {
        if sink.send(message).await.is_err() {
            break;
        }
    }
    Failure::Lost
}

async fn read(
    mut stream: impl Stream<Item = Result<Message, Error>> + Unpin,
    mut asked: mpsc::UnboundedReceiver<Command>,
    outgoing: mpsc::UnboundedSender<Message>,
    pending: &mut Pending,
) -> Failure {
    let mut subscriptions: HashMap<String, Sink> = HashMap::new();
    let mut ping = interval(PING_INTERVAL);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last_received = Instant::now();
    loop {
        tokio::select! {
            command = asked.recv() => match command {
                Some(Command::Send { text, ids, waiting }) => {
                    pending.insert(ids, waiting);
                    let _ = outgoing.send(Message::text(text));
                }
                Some(Command::Unsubscribe(id)) => {
                    subscriptions.remove(&id);
                    let _ = outgoing.send(unsubscribe(&id));
                }
                None => return Failure::Lost,
            },
            message = stream.next() => {
                last_received = Instant::now();
                let text = match message {
                    Some(Ok(Message::Text(text))) => text,
                    Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
                    // The size is the answer's to whoever waits alone; of several, each may try
                    // again, and the one with the large answer will come to be alone.
                    Some(Err(Error::Capacity(_))) if pending.len() == 1 => return Failure::TooLarge,
                    Some(Ok(Message::Binary(_))) => return Failure::Malformed,
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return Failure::Lost,
                };
                match Frame::parse(&text) {
                    Some(Frame::Answer(answer)) => match pending.take(&answer) {
                        Owner::Found(waiting) => {
                            if let Some(id) = deliver(waiting, answer, &mut subscriptions) {
                                let _ = outgoing.send(unsubscribe(&id));
                            }
                        }
                        Owner::Gone => {}
                        Owner::Unclear => return Failure::Lost,
                    },
                    Some(Frame::Announced { subscription, what }) => {
                        let taken = subscriptions
                            .get(&subscription)
                            .is_none_or(|sink| sink.put(what.get()));
                        if !taken {
                            subscriptions.remove(&subscription);
                        }
                    }
                    None => return Failure::Malformed,
                }
            }
            _ = ping.tick() => {
                if last_received.elapsed() >= LONGEST_SILENCE {
                    return Failure::Lost;
                }
                pending.forget_gone();
                let _ = outgoing.send(Message::Ping(Vec::new().into()));
            }
        }
    }
}

/// Hands an answer to whoever waits for it. `Some`: the id of a subscription that nobody waits
/// for any more.
fn deliver(
    waiting: Waiting,
    answer: ResponsePacket,
    subscriptions: &mut HashMap<String, Sink>,
) -> Option<String> {
    match waiting {
        // Nobody waits any more: there is nobody to tell.
        Waiting::Exchange(reply) => drop(reply.send(Ok(answer))),
        Waiting::Subscription(reply, sink) => match subscription_id(answer) {
            Ok(id) => {
                if reply.send(Ok(id.clone())).is_err() {
                    return Some(id);
                }
                subscriptions.insert(id, sink);
            }
            Err(failure) => drop(reply.send(Err(failure))),
        },
    }
    None
}

/// A request that ends a subscription. Its id is the subscription's: nobody waits for its answer.
fn unsubscribe(id: &str) -> Message {
    let request = serde_json::json!({
        "jsonrpc": "2.0",
        "id": format!("unsubscribe {id}"),
        "method": "eth_unsubscribe",
        "params": [id],
    });
    Message::text(request.to_string())
}

fn subscription_id(answer: ResponsePacket) -> Result<String, Failure> {
    let ResponsePacket::Single(response) = answer else {
        return Err(Failure::Malformed);
    };
    let id = response.payload.try_into_success();
    let id = id.map_err(|error| Failure::refused(&error))?;
    serde_json::from_str(id.get()).map_err(|_| Failure::Malformed)
}
