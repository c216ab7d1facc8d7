//! A small WebSocket client (RFC 6455): text messages, and nothing that a JSON-RPC node does not
//! send.

use std::{collections::VecDeque, sync::Arc};

use reqwest::{StatusCode, Upgraded, header};
use serde_json::{Value, json};
use tokio::{
    io::{self, AsyncReadExt, AsyncWriteExt, BufReader, ReadHalf, WriteHalf},
    sync::Mutex,
};

use super::client;

/// The longest message that is read.
const MAX_MESSAGE: u64 = 256 * 1024 * 1024;

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// Why a WebSocket does not do what is asked.
#[derive(Debug, thiserror::Error)]
pub enum WsError {
    /// The node cannot be reached.
    #[error("the node cannot be reached")]
    Connect(#[source] reqwest::Error),
    /// The node does not speak WebSocket at this URL.
    #[error("the node answered {0} where a WebSocket was asked for")]
    Refused(StatusCode),
    /// The connection has broken, or ended in the middle of a frame.
    #[error("the WebSocket has broken")]
    Broken(#[from] io::Error),
    /// The node has closed the connection.
    #[error("the node has closed the WebSocket")]
    Closed,
    /// The node sent something else than JSON.
    #[error("the node sent something that is no JSON")]
    Json(#[from] serde_json::Error),
    /// The node answered an error.
    #[error("{method} was answered with an error: {error}")]
    Node {
        /// The method called.
        method: String,
        /// The `error` object.
        error: Value,
    },
}

/// A connection to a node. Requests go out one at a time.
#[derive(Debug)]
pub struct WsClient {
    reader: WsReader,
    writer: WsWriter,
    last_id: u64,
    notes: VecDeque<Value>,
}

impl WsClient {
    /// Connects to a `ws` or `wss` URL.
    pub async fn connect(url: &str) -> Result<Self, WsError> {
        let (reader, writer) = connect(url).await?;
        Ok(Self {
            reader,
            writer,
            last_id: 0,
            notes: VecDeque::new(),
        })
    }

    /// Sends text as it is.
    pub async fn send(&mut self, text: &str) -> Result<(), WsError> {
        self.writer.send(text).await
    }

    /// The next message as it is; none that [`call`](Self::call) has set aside.
    pub async fn receive(&mut self) -> Result<String, WsError> {
        self.reader.next().await
    }

    /// Calls `method` and answers the `result`. What subscriptions announce in between is kept
    /// for [`note`](Self::note).
    pub async fn call(&mut self, method: &str, params: Value) -> Result<Value, WsError> {
        self.last_id += 1;
        let id = json!(self.last_id);
        let request = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        self.send(&request.to_string()).await?;
        loop {
            let mut message: Value = serde_json::from_str(&self.receive().await?)?;
            if message["id"] != id {
                self.notes.push_back(message);
                continue;
            }
            return match message.get_mut("error").map(Value::take) {
                None | Some(Value::Null) => Ok(message["result"].take()),
                Some(error) => Err(WsError::Node {
                    method: method.to_owned(),
                    error,
                }),
            };
        }
    }

    /// The `result` that a subscription announces next.
    pub async fn note(&mut self) -> Result<Value, WsError> {
        let mut note = match self.notes.pop_front() {
            Some(note) => note,
            None => serde_json::from_str(&self.receive().await?)?,
        };
        Ok(note["params"]["result"].take())
    }

    /// Pings the node and waits for its answer; other messages in between are kept.
    pub async fn ping(&mut self) -> Result<(), WsError> {
        self.writer.frame(PING, b"").await?;
        loop {
            match self.reader.next_frame().await? {
                (PONG, _) => return Ok(()),
                (_, text) => self.notes.push_back(serde_json::from_slice(&text)?),
            }
        }
    }
}

/// Opens a WebSocket, in its two halves.
pub(crate) async fn connect(url: &str) -> Result<(WsReader, WsWriter), WsError> {
    let url = match url.strip_prefix("ws") {
        Some(rest) => format!("http{rest}"),
        None => url.to_owned(),
    };
    let connect = |error: reqwest::Error| WsError::Connect(error.without_url());
    let handshake = client()
        .map_err(connect)?
        .get(url)
        .version(reqwest::Version::HTTP_11)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        // A nonce protects a browser from a confused cache. Neither is here.
        .header(header::SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ==");
    let response = handshake.send().await.map_err(connect)?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(WsError::Refused(response.status()));
    }
    let (read, write) = io::split(response.upgrade().await.map_err(connect)?);
    let writer = WsWriter(Arc::new(Mutex::new(write)));
    let reader = WsReader {
        stream: BufReader::new(read),
        writer: writer.clone(),
    };
    Ok((reader, writer))
}

/// The half that writes.
#[derive(Debug, Clone)]
pub(crate) struct WsWriter(Arc<Mutex<WriteHalf<Upgraded>>>);

impl WsWriter {
    pub(crate) async fn send(&self, text: &str) -> Result<(), WsError> {
        self.frame(TEXT, text.as_bytes()).await
    }

    /// A whole message in one frame. A client masks its frames; the key of zeros leaves the
    /// payload as it is.
    async fn frame(&self, opcode: u8, payload: &[u8]) -> Result<(), WsError> {
        const MASKED: u8 = 0x80;
        let mut frame = vec![0x80 | opcode];
        match payload.len() {
            length @ ..126 => frame.push(MASKED | length as u8),
            length @ 126..65_536 => {
                frame.push(MASKED | 126);
                frame.extend_from_slice(&(length as u16).to_be_bytes());
            }
            length => {
                frame.push(MASKED | 127);
                frame.extend_from_slice(&(length as u64).to_be_bytes());
            }
        }
        frame.extend_from_slice(&[0; 4]);
        frame.extend_from_slice(payload);
        let mut stream = self.0.lock().await;
        stream.write_all(&frame).await?;
        Ok(stream.flush().await?)
    }
}

/// The half that reads.
#[derive(Debug)]
pub(crate) struct WsReader {
    stream: BufReader<ReadHalf<Upgraded>>,
    writer: WsWriter,
}

impl WsReader {
    /// The next text. Pings are answered.
    pub(crate) async fn next(&mut self) -> Result<String, WsError> {
        loop {
            if let (TEXT, text) = self.next_frame().await? {
                return String::from_utf8(text).map_err(|_| broken("a text that is no UTF-8"));
            }
        }
    }

    /// The next whole message, and the answers to pings.
    async fn next_frame(&mut self) -> Result<(u8, Vec<u8>), WsError> {
        let mut message = Vec::new();
        loop {
            let (last, opcode, payload) = self.read_frame().await?;
            match opcode {
                TEXT | CONTINUATION => {
                    message.extend_from_slice(&payload);
                    if last {
                        return Ok((TEXT, message));
                    }
                }
                PING => self.writer.frame(PONG, &payload).await?,
                PONG => return Ok((PONG, payload)),
                CLOSE => return Err(WsError::Closed),
                _ => return Err(broken("a frame of an unknown kind")),
            }
        }
    }

    async fn read_frame(&mut self) -> Result<(bool, u8, Vec<u8>), WsError> {
        let first = self.stream.read_u8().await?;
        let length = match self.stream.read_u8().await? {
            126 => self.stream.read_u16().await?.into(),
            127 => self.stream.read_u64().await?,
            short @ ..126 => u64::from(short),
            _ => return Err(broken("a masked frame from a server")),
        };
        if length > MAX_MESSAGE {
            return Err(broken("a frame that is too long"));
        }
        let mut payload = vec![0; length as usize];
        self.stream.read_exact(&mut payload).await?;
        Ok((first & 0x80 != 0, first & 0x0f, payload))
    }
}

fn broken(what: &'static str) -> WsError {
    WsError::Broken(io::Error::new(io::ErrorKind::InvalidData, what))
}
