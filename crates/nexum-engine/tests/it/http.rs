//! A client of the engine's own servers, as plain as a probe is.

use std::{
    io::{self, Read as _, Write as _},
    net::SocketAddr,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
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
