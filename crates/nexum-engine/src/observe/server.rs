//! The two servers, on a thread of their own: no guest, however busy, delays an answer.
//!
//! Bounded in every direction: so many connections, one request on each, of so long a head and no
//! body that anybody reads, an answer within so long. What is over a bound is closed.

use std::{
    collections::BTreeSet,
    fmt, io,
    net::{SocketAddr, TcpListener as StdListener},
    sync::{Arc, OnceLock},
    thread,
    time::Duration,
};

use axum::{Router, middleware};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use nexum_manifest::{EngineFile, ManifestErrors, Place, Problem, StatusPage};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime,
    sync::{OwnedSemaphorePermit, oneshot},
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::{guard, metrics, page::Page, probes, roster::Roster};
use crate::{connections, logbook::LogBook, patience::Patient};

/// Connections of one server at the same time.
const MAX_CONNECTIONS: usize = 64;
/// The longest head of a request, in bytes.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// How long a client may take to send the head of its request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a client may leave unread what there is for it.
const WRITE_PATIENCE: Duration = Duration::from_secs(10);
/// How long one request and its answer may take, unless it is [a stream](Unhurried).
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// Where the engine tells how it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// Of the metrics, where they are served.
    pub metrics: Option<SocketAddr>,
    /// Of the health reports and the status page, where they are served.
    pub health: Option<SocketAddr>,
}

/// The sockets, before anything is served on them.
pub(crate) struct Listeners {
    metrics: Option<StdListener>,
    health: Option<StdListener>,
    hosts: BTreeSet<String>,
    status_page: StatusPage,
}

/// The servers at work. They end with it.
pub(crate) struct Server {
    addresses: Addresses,
    stop: CancellationToken,
    /// Told when the thread has ended.
    ended: Option<oneshot::Receiver<()>>,
}

/// In the extensions of a request: says that its answer is a stream, which takes as long as it
/// takes, and has a place among the streams until the connection has ended.
#[derive(Clone, Default)]
pub(super) struct Unhurried(Arc<OnceLock<OwnedSemaphorePermit>>);

impl Unhurried {
    pub(super) fn takes_its_time(&self, place: OwnedSemaphorePermit) {
        // A connection has one request, and so one answer.
        let _ = self.0.set(place);
    }

    fn get(&self) -> bool {
        self.0.get().is_some()
    }
}

impl Listeners {
    /// Takes the addresses that the operator's file says. All that cannot be had are told.
    pub(crate) fn bind(file: &EngineFile) -> Result<Self, ManifestErrors> {
        let settings = &file.config().observability;
        let mut problems = Vec::new();
        let mut bind =
            |key: &str, address: Option<SocketAddr>, place: &Place| match StdListener::bind(
                address?,
            )
            .and_then(|listener| {
                listener.set_nonblocking(true)?;
                Ok(listener)
            }) {
                Ok(listener) => Some(listener),
                Err(error) => {
                    problems.push(refused(key, address?, place, &error));
                    None
                }
            };
        let metrics = bind("metrics", settings.metrics, file.metrics());
        let health = bind("health", settings.health, file.health());
        match ManifestErrors::new(problems) {
            None => Ok(Self {
                metrics,
                health,
                hosts: settings.hosts.clone(),
                status_page: settings.status_page,
            }),
            Some(errors) => Err(errors),
        }
    }

    /// Serves what is to be told of `roster`, and the last lines of `log` where the operator wants
    /// them shown. Needs no runtime of the caller's.
    pub(crate) fn serve(self, roster: &Arc<Roster>, log: &Arc<LogBook>) -> io::Result<Server> {
        let Self {
            metrics,
            health,
            hosts,
            status_page,
        } = self;
        let address = |listener: &Option<StdListener>| {
            listener.as_ref().map(StdListener::local_addr).transpose()
        };
        let addresses = Addresses {
            metrics: address(&metrics)?,
            health: address(&health)?,
        };
        let stop = CancellationToken::new();
        if metrics.is_none() && health.is_none() {
            let ended = None;
            return Ok(Server {
                addresses,
                stop,
                ended,
            });
        }
        let hosts: guard::Hosts = Arc::new(hosts);
        let guarded = |router: Router| {
            router.layer(middleware::from_fn_with_state(
                Arc::clone(&hosts),
                guard::check,
            ))
        };
        let routes = || metrics::routes(Arc::clone(roster));
        let metrics = metrics.map(|listener| (listener, guarded(routes())));
        let page = Page::new(status_page, roster, log, &stop);
        let routes = || {
            let probes = probes::routes(Arc::clone(roster));
            match &page {
                Some(page) => probes.merge(page.clone().routes()),
                None => probes,
            }
        };
        let health = health.map(|listener| (listener, guarded(routes())));
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (told, ended) = oneshot::channel();
        let work = {
            let stop = stop.clone();
            let servers: Vec<_> = metrics.into_iter().chain(health).collect();
            async move {
                for (listener, router) in servers {
                    match TcpListener::from_std(listener) {
                        Ok(listener) => drop(tokio::spawn(connections::take(
                            listener,
                            MAX_CONNECTIONS,
                            move |stream| answer(stream, router.clone()),
                        ))),
                        Err(error) => {
                            tracing::error!(%error, "metrics or health cannot be served");
                        }
                    }
                }
                stop.cancelled().await;
                if let Some(page) = page {
                    page.ended().await;
                }
            }
        };
        thread::Builder::new()
            .name("health".to_owned())
            .spawn(move || {
                runtime.block_on(work);
                // Connections end with it, and the sockets are free.
                drop(runtime);
                // Whoever has not waited does not want to know.
                let _ = told.send(());
            })?;
        if let Some(address) = addresses.metrics {
            tracing::info!(listening = %address, "metrics are served under /metrics");
        }
        if let Some(address) = addresses.health {
            tracing::info!(listening = %address, "health is served under /health");
        }
        Ok(Server {
            addresses,
            stop,
            ended: Some(ended),
        })
    }
}

impl Server {
    pub(crate) fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Ends the servers; their addresses are free when this returns.
    pub(crate) async fn stop(&mut self) {
        self.stop.cancel();
        if let Some(ended) = self.ended.take() {
            // An error says that the thread is gone, too.
            let _ = ended.await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.addresses.fmt(f)
    }
}

fn refused(key: &str, address: SocketAddr, place: &Place, error: &io::Error) -> Problem {
    let why = match error.kind() {
        io::ErrorKind::AddrInUse => "another program listens there".to_owned(),
        io::ErrorKind::AddrNotAvailable => "this machine does not have that address".to_owned(),
        io::ErrorKind::PermissionDenied => "the system does not permit it".to_owned(),
        _ => error.to_string(),
    };
    let help = format!(
        "give `{key}` under [observability] another address, such as \"127.0.0.1:0\" for any free \
         port, or \"off\""
    );
    Problem::new(
        place.clone(),
        format!("`{key}` cannot be served at {address}: {why}"),
    )
    .with_label("not to be had")
    .with_help(help)
}

/// One connection: one request and its answer.
async fn answer(stream: TcpStream, router: Router) {
    let unhurried = Unhurried::default();
    let service = service_fn({
        let unhurried = unhurried.clone();
        move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(unhurried.clone());
            router.clone().oneshot(request)
        }
    });
    let stream = TokioIo::new(Patient::new(stream, WRITE_PATIENCE));
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .keep_alive(false)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(stream, service);
    let ended = match timeout(ANSWER_TIMEOUT, &mut connection).await {
        Ok(ended) => ended,
        Err(_) if unhurried.get() => connection.await,
        Err(_) => return,
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}
