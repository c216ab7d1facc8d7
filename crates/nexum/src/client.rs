//! Asks the engine that runs on a state directory, over its admin socket.

use std::{
    io,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request, Response, StatusCode, body::Incoming, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use nexum_engine::wire::{self, Fault};
use serde::{Serialize, de::DeserializeOwned};
use tokio::net::UnixStream;

use crate::exit::Failure;

/// The most bytes of an answer that is not a file.
const MAX_ANSWER_BYTES: usize = 256 * 1024 * 1024;

/// The engine that runs on one state directory.
pub(crate) struct Client {
    socket: PathBuf,
}

impl Client {
    /// The engine that runs on `state_dir`; none where nobody listens there.
    pub(crate) async fn find(state_dir: &Path) -> Result<Option<Self>, Failure> {
        let socket = state_dir.join(wire::SOCKET);
        match UnixStream::connect(&socket).await {
            Ok(_) => Ok(Some(Self { socket })),
            Err(error) if is_nobody(&error) => Ok(None),
            Err(error) => Err(unreachable(&socket, error)),
        }
    }

    /// The same for what needs an engine.
    pub(crate) async fn connect(state_dir: &Path) -> Result<Self, Failure> {
        let found = Self::find(state_dir).await?;
        found.ok_or_else(|| Failure::no_engine(state_dir))
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.ask(Method::GET, path, None::<&()>).await
    }

    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        self.ask(Method::POST, path, Some(body)).await
    }

    pub(crate) async fn put<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        self.ask(Method::PUT, path, Some(body)).await
    }

    pub(crate) async fn delete<T: DeserializeOwned>(
        &self,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, Failure> {
        self.ask(Method::DELETE, path, body).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, Failure> {
        let answer = self.send(method, path, body).await?;
        let bytes = self.whole(answer).await?;
        serde_json::from_slice(&bytes).map_err(|error| self.broken(error))
    }

    /// An answer whose body comes in pieces.
    pub(crate) async fn stream(&self, path: &str) -> Result<Response<Incoming>, Failure> {
        self.send(Method::GET, path, None::<&()>).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<Response<Incoming>, Failure> {
        let body = body.map(serde_json::to_vec).transpose();
        let body = body.map_err(|error| Failure::other("the request could not be made", error))?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "nexum")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body.unwrap_or_default())))
            .map_err(|error| Failure::other("the request could not be made", error))?;
        let stream = UnixStream::connect(&self.socket).await;
        let stream = stream.map_err(|error| unreachable(&self.socket, error))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.broken(error))?;
        // It ends with the answer, or with an error that the answer shows.
        tokio::spawn(connection);
        let answer = sender.send_request(request).await;
        let answer = answer.map_err(|error| self.broken(error))?;
        if answer.status() == StatusCode::OK {
            return Ok(answer);
        }
        let bytes = self.whole(answer).await?;
        let fault: Fault = serde_json::from_slice(&bytes).map_err(|error| self.broken(error))?;
        Err(Failure::denied(fault))
    }

    async fn whole(&self, answer: Response<Incoming>) -> Result<Bytes, Failure> {
        let body = http_body_util::Limited::new(answer.into_body(), MAX_ANSWER_BYTES);
        let collected = body.collect().await.map_err(|error| self.broken(error))?;
        Ok(collected.to_bytes())
    }

    /// The engine went away, or is none.
    pub(crate) fn broken(
        &self,
        error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Failure {
        let what = format!("the engine at {} broke off", self.socket.display());
        Failure::other(&what, error)
    }
}

/// Nobody has the socket: there is none, or it was left over.
fn is_nobody(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
    )
}

fn unreachable(socket: &Path, error: io::Error) -> Failure {
    let what = format!("the engine cannot be reached at {}", socket.display());
    Failure::other(&what, error)
}
