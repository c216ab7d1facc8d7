//! The socket and its connections.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::{Arc, Weak},
    time::Duration,
};

use axum::Router;
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{UnixListener, UnixStream},
    sync::Semaphore,
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::routes;
use crate::{connections, modules::Core, patience::Patient, wire};

/// The folder in which the socket is made. A path within it must not be longer than the socket's,
/// since the system bounds both.
const APART: &str = "sock.new";
/// Connections at the same time.
const MAX_CONNECTIONS: usize = 32;
/// The longest head of a request, in bytes.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// How long a client may take to send the head of a request, and how long a connection may idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a client may leave what is written to it unread.
const WRITE_PATIENCE: Duration = Duration::from_secs(10);
/// Who follows the log holds a connection for as long as that is quiet: so many may, and leave
/// places for others.
const MAX_FOLLOWERS: usize = 16;

/// Why the admin API is not served.
#[derive(Debug, thiserror::Error)]
#[error("the admin socket {} cannot be made", path.display())]
pub struct AdminError {
    /// The socket.
    pub path: PathBuf,
    /// The system's error.
    pub source: io::Error,
}

/// The socket, before anybody is answered on it. Whoever connects waits.
#[derive(Debug)]
pub(crate) struct AdminSocket {
    path: PathBuf,
    listener: UnixListener,
}

/// The API at work. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct AdminServer {
    path: PathBuf,
    stop: CancellationToken,
}

impl AdminSocket {
    /// Takes the socket in a `state_dir`, which is locked: one that is there is left over from an
    /// engine that did not end in order.
    pub(crate) fn bind(state_dir: &Path) -> Result<Self, AdminError> {
        let path = state_dir.join(wire::SOCKET);
        match bind(&path) {
            Ok(listener) => Ok(Self { path, listener }),
            Err(source) => Err(AdminError { path, source }),
        }
    }

    /// Answers for `core` from now on.
    pub(crate) fn serve(self, core: &Arc<Core>) -> AdminServer {
        let Self { path, listener } = self;
        let stop = CancellationToken::new();
        let router = routes::router(Served {
            core: Arc::downgrade(core),
            stop: stop.clone(),
            followers: Arc::new(Semaphore::new(MAX_FOLLOWERS)),
        });
        tokio::spawn(stop.clone().run_until_cancelled_owned(connections::take(
            listener,
            MAX_CONNECTIONS,
            move |stream| answer(stream, router.clone()),
        )));
        AdminServer { path, stop }
    }
}

impl Drop for AdminServer {
    fn drop(&mut self) {
        self.stop.cancel();
        // Whoever comes now is told by its absence that no engine is there.
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(%error, "the admin socket was left behind");
        }
    }
}

fn bind(path: &Path) -> io::Result<UnixListener> {
    match fs::symlink_metadata(path) {
        // The new one takes its place.
        Ok(found) if found.file_type().is_socket() => {}
        Ok(_) => {
            return Err(io::Error::other(
                "something that is no socket is in its place",
            ));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    // Others may be able to look into the `state_dir`. They cannot connect before the socket has its
    // mode, since it is made in a folder that they cannot enter.
    let apart = path.with_file_name(APART);
    match fs::remove_dir_all(&apart) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => DirBuilder::new().mode(0o700).create(&apart)?,
    }
    let made = apart.join("s");
    let listener = UnixListener::bind(&made)?;
    fs::set_permissions(&made, fs::Permissions::from_mode(0o600))?;
    fs::rename(&made, path)?;
    fs::remove_dir(&apart)?;
    Ok(listener)
}

async fn answer(stream: UnixStream, router: Router) {
    let service = service_fn(move |request: Request<Incoming>| router.clone().oneshot(request));
    let stream = TokioIo::new(Patient::new(stream, WRITE_PATIENCE));
    let ended = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(stream, service)
        .await;
    if let Err(error) = ended {
        tracing::debug!(%error, "an admin connection ended early");
    }
}

/// The engine, while it is there.
#[derive(Clone)]
pub(super) struct Served {
    pub(super) core: Weak<Core>,
    /// Cancelled when it ends.
    pub(super) stop: CancellationToken,
    /// The places of those who follow the log.
    pub(super) followers: Arc<Semaphore>,
}
