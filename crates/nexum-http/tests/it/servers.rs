//! Servers at their worst.

use std::{io::Write as _, time::Duration};

use flate2::{Compression, write::GzEncoder};
use nexum_http::ModuleHttp;
use nexum_manifest::HttpSettings;
use nexum_testkit::web::{Authority, Reply, WebServer, head};
use nexum_types::HostErrorKind::{Timeout, Unavailable};
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpSocket, TcpStream},
};

use crate::support::{Names, egress, fetch, get, grants, open, request, told};

const MOST: u32 = 64 * 1024;

fn limited(url: &str) -> ModuleHttp {
    let settings = HttpSettings {
        max_response_bytes: MOST,
        ..open(&[url])
    };
    egress(settings, &Names::new(&[])).of(grants(&[url]))
}

fn impatient(url: &str) -> ModuleHttp {
    let settings = HttpSettings {
        idle_timeout: Duration::from_millis(400),
        request_timeout: Duration::from_millis(1_500),
        ..open(&[url])
    };
    egress(settings, &Names::new(&[])).of(grants(&[url]))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn a_server_that_does_not_end_is_left() {
    let server = WebServer::start(|request| match &*request.path {
        "/silent" => Reply::Hang(Vec::new()),
        "/half-a-head" => Reply::Hang(b"HTTP/1.1 200 OK\r\nx: ".to_vec()),
        "/half-a-body" => {
            Reply::Hang([head(200, &[("content-length", "10")]), b"12345".to_vec()].concat())
        }
        "/trickle" => Reply::Endless(
            head(200, &[("content-length", "60000")]),
            b"x".to_vec(),
            Duration::from_millis(50),
        ),
        "/trickled-head" => Reply::Endless(
            b"HTTP/1.1 200 OK\r\n".to_vec(),
            b"x: y\r\n".to_vec(),
            Duration::from_millis(100),
        ),
        path => unreachable!("{path}"),
    })
    .await
    .unwrap();
    let http = impatient(&server.url());
    for path in [
        "/silent",
        "/half-a-head",
        "/half-a-body",
        "/trickle",
        "/trickled-head",
    ] {
        let url = format!("{}{path}?key=tok3n", server.url());
        let (kind, message) = told(get(&http, &url.replace("?key=tok3n", "")).await);
        assert_eq!(kind, Timeout, "{path}: {message}");
        assert_eq!(message, format!("{} did not answer in time", server.url()));
    }
    // The module's own time counts where it is shorter.
    let mut shorter = request("GET", &format!("{}/trickle", server.url()));
    shorter.timeout = Some(Duration::from_millis(1));
    assert_eq!(told(fetch(&http, shorter).await).0, Timeout);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_cut() {
    let chunk = [b"4000\r\n".to_vec(), vec![b'x'; 0x4000], b"\r\n".to_vec()].concat();
    let bomb = gzip(&vec![0; 64 * 1024 * 1024]);
    let twice = gzip(&gzip(&vec![0; 1024 * 1024]));
    let fits = gzip(&vec![b'y'; MOST as usize]);
    let server = WebServer::start(move |request| match &*request.path {
        // What is announced is refused before any of it has come.
        "/gigabyte" => Reply::Hang(head(200, &[("content-length", "1073741824")])),
        "/chunks" => Reply::Endless(
            head(200, &[("transfer-encoding", "chunked")]),
            chunk.clone(),
            Duration::ZERO,
        ),
        "/until-the-end" => Reply::Endless(head(200, &[]), vec![b'x'; 1024], Duration::ZERO),
        "/bomb" => Reply::new(200, &[("content-encoding", "gzip")], &bomb),
        "/gigabyte-of-gzip" => Reply::Endless(
            head(
                200,
                &[
                    ("content-encoding", "gzip"),
                    ("content-length", "1073741824"),
                ],
            ),
            bomb.clone(),
            Duration::ZERO,
        ),
        "/one-more" => Reply::new(200, &[], vec![b'x'; MOST as usize + 1]),
        "/just" => Reply::new(200, &[], vec![b'x'; MOST as usize]),
        "/just-gzip" => Reply::new(200, &[("Content-Encoding", "GZIP")], &fits),
        "/twice" => Reply::new(200, &[("content-encoding", "gzip")], &twice),
        path => unreachable!("{path}"),
    })
    .await
    .unwrap();
    let http = limited(&server.url());
    for path in [
        "/gigabyte",
        "/chunks",
        "/until-the-end",
        "/bomb",
        "/gigabyte-of-gzip",
        "/one-more",
    ] {
        let (kind, message) = told(get(&http, &format!("{}{path}", server.url())).await);
        assert_eq!(kind, Unavailable, "{path}: {message}");
        assert!(
            message.contains("more than 65536 bytes"),
            "{path}: {message}"
        );
    }
    for path in ["/just", "/just-gzip"] {
        let response = get(&http, &format!("{}{path}", server.url()))
            .await
            .unwrap();
        assert_eq!(response.body.len(), MOST as usize, "{path}");
        let coded = response
            .headers
            .iter()
            .any(|header| header.name == "content-encoding");
        assert!(!coded, "{path}: what is decoded is not told as coded");
    }
    // One coding is taken off, and what is in it is as it is.
    let response = get(&http, &format!("{}/twice", server.url()))
        .await
        .unwrap();
    assert!(response.body.starts_with(&[0x1f, 0x8b]) && response.body.len() < 10_000);
}

#[tokio::test]
async fn a_server_that_lies_or_breaks_off_is_no_answer() {
    let whole = gzip(b"a body that is long enough to be cut somewhere in the middle of it");
    let half = whole[..whole.len() / 2].to_vec();
    let unsound = {
        let mut unsound = whole.clone();
        let checksum = unsound.len() - 6;
        unsound[checksum] ^= 1;
        unsound
    };
    let server = WebServer::start(move |request| match &*request.path {
        "/shorter" => {
            Reply::Cut([head(200, &[("content-length", "10")]), b"12345".to_vec()].concat())
        }
        "/no-answer" => Reply::Cut(Vec::new()),
        "/no-http" => Reply::Cut(b"SSH-2.0-OpenSSH_9.6\r\n".to_vec()),
        "/two-lengths" => Reply::Cut(
            b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab".to_vec(),
        ),
        "/bad-length" => Reply::Cut(b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\nab".to_vec()),
        "/bad-chunk" => Reply::Cut(
            [
                head(200, &[("transfer-encoding", "chunked")]),
                b"zz\r\nab".to_vec(),
            ]
            .concat(),
        ),
        "/half-gzip" => Reply::new(200, &[("content-encoding", "gzip")], &half),
        "/unsound-gzip" => Reply::new(200, &[("content-encoding", "gzip")], &unsound),
        "/no-gzip" => Reply::new(200, &[("content-encoding", "gzip")], "plain"),
        "/huge-header" => Reply::Cut(head(200, &[("x", &"y".repeat(2 * 1024 * 1024))])),
        path => unreachable!("{path}"),
    })
    .await
    .unwrap();
    let http = limited(&server.url());
    for path in [
        "/shorter",
        "/no-answer",
        "/no-http",
        "/two-lengths",
        "/bad-length",
        "/bad-chunk",
        "/half-gzip",
        "/unsound-gzip",
        "/no-gzip",
        "/huge-header",
    ] {
        let (kind, message) = told(get(&http, &format!("{}{path}", server.url())).await);
        assert_eq!(kind, Unavailable, "{path}: {message}");
        assert!(
            message.contains(&server.url()) && !message.contains("OpenSSH"),
            "{path}: {message}"
        );
    }
}

#[tokio::test]
async fn a_longer_body_than_is_announced_ends_where_it_was_to() {
    let server = WebServer::start(|_| {
        Reply::Cut(
            [
                head(200, &[("content-length", "5")]),
                b"12345HTTP/1.1 200 OK\r\n\r\n".to_vec(),
            ]
            .concat(),
        )
    })
    .await
    .unwrap();
    let http = limited(&server.url());
    for _ in 0..2 {
        let response = get(&http, &server.url()).await.unwrap();
        assert_eq!(
            response.body, b"12345",
            "what was left over answers no other request"
        );
    }
}

/// The port of a server that does not wait for anybody to begin.
async fn speaks_at_once() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    port
}

#[tokio::test]
async fn a_certificate_that_does_not_hold_is_no_server() {
    let (ours, theirs) = (Authority::new().unwrap(), Authority::new().unwrap());
    let answer = |_: &nexum_testkit::web::WebRequest| Reply::new(200, &[], "over TLS");
    let good = WebServer::start_tls(&ours, &["api.example.org", "127.0.0.1"], answer)
        .await
        .unwrap();
    let named_otherwise = WebServer::start_tls(&ours, &["other.example.org"], answer)
        .await
        .unwrap();
    let of_others = WebServer::start_tls(&theirs, &["api.example.org"], answer)
        .await
        .unwrap();
    let expired = WebServer::start_tls_expired(&ours, &["api.example.org"], answer)
        .await
        .unwrap();
    let plain = speaks_at_once().await;
    let bad = [
        (&named_otherwise, "another name"),
        (&of_others, "another authority"),
        (&expired, "it has expired"),
    ];
    let ports = bad.iter().map(|(server, _)| server.port());
    let urls: Vec<_> = std::iter::once(good.port())
        .chain(ports)
        .chain([plain])
        .map(|port| format!("https://api.example.org:{port}"))
        .collect();
    let by_address = good.url();
    let allow: Vec<_> = urls
        .iter()
        .chain([&by_address])
        .map(String::as_str)
        .collect();
    let settings = HttpSettings {
        authorities: Some(ours.pem()),
        allow_private: allow.iter().map(|url| url.parse().unwrap()).collect(),
        ..HttpSettings::default()
    };
    let names = Names::new(&[("api.example.org", &[&["127.0.0.1"]])]);
    let http = egress(settings.clone(), &names).of(grants(&allow));
    for url in [&urls[0], &by_address] {
        assert_eq!(get(&http, url).await.unwrap().body, b"over TLS");
    }
    let whys = bad.iter().map(|(_, why)| *why).chain(["no TLS"]);
    for (url, why) in urls[1..].iter().zip(whys) {
        let (kind, message) = told(get(&http, url).await);
        assert_eq!(kind, Unavailable, "{why}");
        assert!(
            message.starts_with("no secure connection to"),
            "{why}: {message}"
        );
    }
    for (server, why) in bad {
        assert_eq!(server.seen().len(), 0, "{why}");
    }
    // Without the operator's word the authority is nobody.
    let settings = HttpSettings {
        authorities: None,
        ..settings
    };
    let stranger = egress(settings, &names).of(grants(&allow));
    let (kind, message) = told(get(&stranger, &urls[0]).await);
    assert!(
        kind == Unavailable && message.starts_with("no secure connection to"),
        "{message}"
    );
}

/// A port at which a connection is begun and never made: the queue of those that wait to be accepted
/// is full. The sockets keep it so.
async fn takes_nobody_in() -> (u16, Vec<TcpStream>, TcpListener) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(connected) =
        tokio::time::timeout(Duration::from_secs(1), TcpStream::connect(address)).await
    {
        waiting.push(connected.unwrap());
        assert!(waiting.len() < 100, "the queue has no end");
    }
    (address.port(), waiting, listener)
}

#[tokio::test]
async fn a_server_that_takes_no_connection_in_is_left() {
    let (port, _waiting, _listener) = takes_nobody_in().await;
    let url = format!("http://127.0.0.1:{port}");
    let settings = HttpSettings {
        connect_timeout: Duration::from_millis(300),
        idle_timeout: Duration::from_secs(600),
        request_timeout: Duration::from_secs(600),
        ..open(&[&url])
    };
    let http = egress(settings, &Names::new(&[])).of(grants(&[&url]));
    let mut patient = request("POST", &url);
    patient.timeout = None;
    let failure = fetch(&http, patient).await.unwrap_err();
    assert_eq!(failure.error.kind, Timeout, "{}", failure.error);
    assert!(!failure.was_sent, "nobody was there to get it");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_as_that() {
    let gone = WebServer::start(|_| Reply::new(200, &[], ""))
        .await
        .unwrap()
        .url();
    // The port is free again once nothing listens there.
    let http = limited(&gone);
    let refused = async {
        loop {
            if let Err(failure) = get(&http, &gone).await {
                return failure.error;
            }
        }
    };
    let error = tokio::time::timeout(Duration::from_secs(60), refused)
        .await
        .unwrap();
    assert_eq!(error.kind, Unavailable, "{error}");
}
