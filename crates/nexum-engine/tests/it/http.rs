//! A client of the engine's own servers, as plain as a probe is.

use std::{
    io::{self, Read as _, Write as _},
    net::SocketAddr,
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// Asks for `path` with these further lines of the head.
pub(crate) async fn ask(address: SocketAddr, path: &str, lines: &str) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(address).await?;
    let head = format!("GET {path} HTTP/1.1\r\n{lines}\r\n");
    stream.write_all(head.as_bytes()).await?;
    let mut read = Vec::new();
    stream.read_to_end(&mut read).await?;
    parse(&String::from_utf8_lossy(&read))
        .ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))
}

/// Asks for `path`, and is answered.
pub(crate) async fn get(address: SocketAddr, path: &str) -> Answer {
    ask(address, path, &format!("host: {address}\r\n"))
        .await
        .unwrap()
}

/// The same without the help of the test's runtime, which guests may keep busy.
pub(crate) fn get_blocking(address: SocketAddr, path: &str) -> Answer {
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut read = Vec::new();
    stream.read_to_end(&mut read).unwrap();
    parse(&String::from_utf8_lossy(&read)).unwrap()
}

/// A stream of events that goes on until one of the two ends it.
pub(crate) struct Events {
    stream: BufReader<TcpStream>,
    /// What has come and is no whole event yet.
    begun: String,
}

/// One event: what its name is, and what it says.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) name: String,
    pub(crate) data: Value,
}

impl Events {
    /// Asks for the stream at `path`; it is there.
    pub(crate) async fn open(address: SocketAddr, path: &str) -> Self {
        match Self::try_open(address, path).await {
            Ok(events) => events,
            Err(head) => panic!("{head}"),
        }
    }

    /// Asks for the stream at `path`, or answers the head that says why it is not to be had.
    pub(crate) async fn try_open(address: SocketAddr, path: &str) -> Result<Self, String> {
        let mut stream = BufReader::new(TcpStream::connect(address).await.unwrap());
        let head = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(stream.read_line(&mut head).await.unwrap(), 0, "{head}");
        }
        if !head.starts_with("HTTP/1.1 200 ") {
            return Err(head);
        }
        for line in [
            "content-type: text/event-stream\r\n",
            "cache-control: no-store\r\n",
            "transfer-encoding: chunked\r\n",
        ] {
            assert!(head.contains(line), "no {line} in {head}");
        }
        Ok(Self {
            stream,
            begun: String::new(),
        })
    }

    /// The next event; `None` where the stream was brought to its end in order.
    pub(crate) async fn next(&mut self) -> Option<Told> {
        loop {
            if let Some((event, rest)) = self.begun.split_once("\n\n") {
                let told = told(event);
                self.begun = rest.to_owned();
                match told {
                    Some(told) => return Some(told),
                    None => continue,
                }
            }
            let more = self.chunk().await?;
            self.begun += &more;
        }
    }

    /// The next event of that name.
    pub(crate) async fn named(&mut self, name: &str) -> Value {
        loop {
            let told = self.next().await.expect("the stream goes on");
            if told.name == name {
                return told.data;
            }
        }
    }

    async fn chunk(&mut self) -> Option<String> {
        let mut length = String::new();
        self.stream.read_line(&mut length).await.unwrap();
        let length = usize::from_str_radix(length.trim_end(), 16).expect("no end in order");
        let mut chunk = vec![0; length + 2];
        self.stream.read_exact(&mut chunk).await.unwrap();
        chunk.truncate(length);
        (length > 0).then(|| String::from_utf8(chunk).unwrap())
    }
}

/// `None`: it tells something else than an event.
fn told(text: &str) -> Option<Told> {
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
    Some(Told {
        name: field("event: ")?.to_owned(),
        data: serde_json::from_str(field("data: ")?).unwrap(),
    })
}

fn parse(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let is_chunked = headers.iter().any(|(name, _)| name == "transfer-encoding");
    let body = if is_chunked {
        unchunked(body)?
    } else {
        body.to_owned()
    };
    Some(Answer {
        status,
        headers,
        body,
    })
}

fn unchunked(mut text: &str) -> Option<String> {
    let mut body = String::new();
    loop {
        let (length, rest) = text.split_once("\r\n")?;
        let length = usize::from_str_radix(length, 16).ok()?;
        if length == 0 {
            return Some(body);
        }
        body += rest.get(..length)?;
        text = rest.get(length + 2..)?;
    }
}
