//! A web server that does what a test says, byte by byte: whole answers, and those that lie about
//! their length, trickle, never end, or break off. In the clear, or over TLS with a certificate of
//! an [`Authority`] of the test's own.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::{CancellationToken, DropGuard};

/// The longest head of a request.
const MAX_HEAD: usize = 64 * 1024;

/// A request as it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebRequest {
    /// Which of the server's connections it came on, the first being 1.
    pub connection: usize,
    /// The method.
    pub method: String,
    /// The path, with its query.
    pub path: String,
    /// The header fields, in order, names in small letters.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl WebRequest {
    /// The first header field of that name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut named = self.headers.iter().filter(|(of, _)| of == name);
        named.next().map(|(_, value)| value.as_str())
    }
}

/// What becomes of a request.
#[derive(Debug, Clone)]
pub enum Reply {
    /// These bytes, and on with the next request.
    Bytes(Vec<u8>),
    /// These bytes, and the end of the connection.
    Cut(Vec<u8>),
    /// These bytes, and then nothing for as long as the client waits.
    Hang(Vec<u8>),
    /// The first bytes, then the second again and again, with a pause after each, for as long as
    /// the client takes them.
    Endless(Vec<u8>, Vec<u8>, Duration),
}

impl Reply {
    /// A whole response.
    #[must_use]
    pub fn new(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let length = body.len().to_string();
        let mut headers = headers.to_vec();
        headers.push(("content-length", &length));
        let mut bytes = head(status, &headers);
        bytes.extend_from_slice(body);
        Self::Bytes(bytes)
    }
}

/// The head of a response.
#[must_use]
pub fn head(status: u16, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status} X\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    (head + "\r\n").into_bytes()
}

type Answers = Arc<dyn Fn(&WebRequest) -> Reply + Send + Sync>;

/// A server on a free port of 127.0.0.1. It ends when it is dropped.
pub struct WebServer {
    address: SocketAddr,
    scheme: &'static str,
    seen: Arc<Mutex<Vec<WebRequest>>>,
    connections: Arc<Mutex<usize>>,
    _stop: DropGuard,
}

impl WebServer {
    /// Serves in the clear.
    ///
    /// # Errors
    /// There is no port.
    pub async fn start(
        answers: impl Fn(&WebRequest) -> Reply + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Self::serve(None, Arc::new(answers)).await
    }

    /// Serves over TLS, with a certificate of `authority` for `names`, which are names or IP
    /// addresses.
    ///
    /// # Errors
    /// There is no port, or a name is none.
    pub async fn start_tls(
        authority: &Authority,
        names: &[&str],
        answers: impl Fn(&WebRequest) -> Reply + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Self::serve_tls(authority.server_config(names, Validity::Now), answers).await
    }

    /// The same with a certificate that was good until the end of the year 1999.
    ///
    /// # Errors
    /// There is no port, or a name is none.
    pub async fn start_tls_expired(
        authority: &Authority,
        names: &[&str],
        answers: impl Fn(&WebRequest) -> Reply + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Self::serve_tls(authority.server_config(names, Validity::Past), answers).await
    }

    async fn serve_tls(
        config: Result<ServerConfig, CertificateError>,
        answers: impl Fn(&WebRequest) -> Reply + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let config = config.map_err(io::Error::other)?;
        Self::serve(Some(TlsAcceptor::from(Arc::new(config))), Arc::new(answers)).await
    }

    async fn serve(tls: Option<TlsAcceptor>, answers: Answers) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        let server = Self {
            address,
            scheme: if tls.is_some() { "https" } else { "http" },
            seen: Arc::default(),
            connections: Arc::default(),
            _stop: stop.clone().drop_guard(),
        };
        let (seen, connections) = (Arc::clone(&server.seen), Arc::clone(&server.connections));
        tokio::spawn(async move {
            let mut clients = JoinSet::new();
            loop {
                let accepted = tokio::select! {
                    () = stop.cancelled() => return,
                    accepted = listener.accept() => accepted,
                };
                let Ok((stream, _)) = accepted else { return };
                let connection = {
                    let mut count = connections.lock().unwrap_or_else(PoisonError::into_inner);
                    *count += 1;
                    *count
                };
                let (tls, seen, answers) = (tls.clone(), Arc::clone(&seen), Arc::clone(&answers));
                // How a client goes away is its own affair.
                clients.spawn(async move {
                    match tls {
                        Some(tls) => {
                            talk(tls.accept(stream).await?, connection, &seen, &answers).await
                        }
                        None => talk(stream, connection, &seen, &answers).await,
                    }
                });
                while clients.try_join_next().is_some() {}
            }
        });
        Ok(server)
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Its address as a URL has it, without a slash at its end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// The same by a name.
    #[must_use]
    pub fn url_by(&self, name: &str) -> String {
        format!("{}://{name}:{}", self.scheme, self.port())
    }

    /// The requests that have come in, oldest first.
    #[must_use]
    pub fn seen(&self) -> Vec<WebRequest> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.clone()
    }

    /// How many connections there have been.
    #[must_use]
    pub fn connections(&self) -> usize {
        *self
            .connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

async fn talk(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    connection: usize,
    seen: &Mutex<Vec<WebRequest>>,
    answers: &Answers,
) -> io::Result<()> {
    let mut buffer = Vec::new();
    while let Some(request) = read(&mut stream, connection, &mut buffer).await? {
        let reply = answers(&request);
        seen.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(request);
        match reply {
            Reply::Bytes(bytes) => {
                stream.write_all(&bytes).await?;
                stream.flush().await?;
            }
            Reply::Cut(bytes) => {
                stream.write_all(&bytes).await?;
                return stream.shutdown().await;
            }
            Reply::Hang(bytes) => {
                stream.write_all(&bytes).await?;
                stream.flush().await?;
                // Nothing more is read for it; this ends when the client goes away.
                while stream.read(&mut [0; 1024]).await? > 0 {}
                return Ok(());
            }
            Reply::Endless(first, again, pause) => {
                stream.write_all(&first).await?;
                loop {
                    stream.write_all(&again).await?;
                    stream.flush().await?;
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }
    Ok(())
}

/// The next request of a connection; `None` once the client has ended it.
async fn read(
    stream: &mut (impl AsyncRead + Unpin),
    connection: usize,
    buffer: &mut Vec<u8>,
) -> io::Result<Option<WebRequest>> {
    let end = loop {
        if let Some(end) = buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            break end;
        }
        if buffer.len() > MAX_HEAD || stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
    buffer.drain(..end + 4);
    let mut lines = head.split("\r\n");
    let mut first = lines.next().unwrap_or("").split(' ');
    let mut word = || first.next().unwrap_or("").to_owned();
    let (method, path) = (word(), word());
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length
        .and_then(|(_, value)| value.parse().ok())
        .unwrap_or(0);
    while buffer.len() < length {
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
    Ok(Some(WebRequest {
        connection,
        method,
        path,
        headers,
        body: buffer.drain(..length).collect(),
    }))
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// It cannot be made.
    #[error(transparent)]
    Make(rcgen::Error),
    /// It cannot be served with.
    #[error(transparent)]
    Serve(rustls::Error),
}

/// When a certificate holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Validity {
    Now,
    Past,
}

/// An authority of a test's own, which nobody trusts who is not told to.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    /// A new one.
    ///
    /// # Errors
    /// There is no randomness.
    pub fn new() -> Result<Self, CertificateError> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().map_err(CertificateError::Make)?;
        CertifiedIssuer::self_signed(params, key)
            .map(Self)
            .map_err(CertificateError::Make)
    }

    /// Its certificate, in PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    fn server_config(
        &self,
        names: &[&str],
        validity: Validity,
    ) -> Result<ServerConfig, CertificateError> {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).map_err(CertificateError::Make)?;
        if validity == Validity::Past {
            params.not_after = date_time_ymd(2000, 1, 1);
        }
        let key = KeyPair::generate().map_err(CertificateError::Make)?;
        let certificate = params
            .signed_by(&key, &self.0)
            .map_err(CertificateError::Make)?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(CertificateError::Serve)?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .map_err(CertificateError::Serve)
    }
}
