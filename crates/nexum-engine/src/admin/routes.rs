//! What can be asked, and how it is answered.

use std::{str::FromStr, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Path, RawQuery, Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use nexum_manifest::Sha256;
use nexum_store::{FORMAT_VERSION, ModuleStore, Resynced, StoreError};
use nexum_types::{BlockNumber, ChainId, Cursor, ModuleName, Source, StateBackend as _};
use serde::{Serialize, de::DeserializeOwned};
use tokio_util::io::ReaderStream;

use super::{logs, server::Served};
use crate::{
    operate::{LoadRequest, OperateError, Operator, UpgradeRequest},
    wire::{self, Fault, FaultKind},
};

/// The longest body of a request, in bytes.
const MAX_BODY_BYTES: usize = 256 * 1024;
/// How long a client may take to send it.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// The most entries of a state in one answer; who wants more asks for those after the last.
const MAX_ENTRIES: u64 = 100_000;
/// The most bytes of values in one answer.
const MAX_ENTRY_BYTES: usize = 64 * 1024 * 1024;

pub(super) fn router(core: Served) -> Router {
    Router::new()
        .route("/v1/engine", get(engine))
        .route("/v1/logs", get(logs::follow))
        .route("/v1/log-levels", get(logs::levels).put(logs::set_levels))
        .route("/v1/credentials/reload", post(reload_credentials))
        .route("/v1/transactions", get(transactions))
        .route("/v1/modules", get(modules).post(load))
        .route("/v1/modules/{name}", get(module).delete(unload))
        .route("/v1/modules/{name}/restart", post(restart))
        .route("/v1/modules/{name}/upgrade", post(upgrade))
        .route("/v1/modules/{name}/resync", post(resync))
        .route("/v1/modules/{name}/dead-letters", get(letters))
        .route("/v1/modules/{name}/dead-letters/{id}", get(letter))
        .route("/v1/modules/{name}/dead-letters/retry", post(retry))
        .route("/v1/modules/{name}/dead-letters/drop", post(drop_letters))
        .route("/v1/modules/{name}/state", get(state).delete(purge))
        .route("/v1/modules/{name}/backup", get(backup))
        .method_not_allowed_fallback(async || {
            Fault::new(FaultKind::MethodNotAllowed, "the route has no such method")
        })
        .fallback(async |request: Request| {
            let path = request.uri().path().escape_debug().to_string();
            Fault::new(FaultKind::NotFound, format!("there is no route {path}"))
        })
        .with_state(core)
}

pub(super) type Answer<T> = Result<Json<T>, Fault>;

async fn engine(State(core): State<Served>) -> Answer<wire::EngineReport> {
    Ok(Json(there(&core)?.0.report()))
}

async fn reload_credentials(State(core): State<Served>) -> Answer<wire::Credentials> {
    let credentials = there(&core)?.reload_credentials().await? as u64;
    Ok(Json(wire::Credentials { credentials }))
}

async fn transactions(State(core): State<Served>) -> Answer<Vec<wire::TransactionReport>> {
    let sent = there(&core)?.0.sender.transactions();
    Ok(Json(
        sent.iter().map(wire::TransactionReport::new).collect(),
    ))
}

async fn modules(State(core): State<Served>) -> Answer<Vec<wire::ModuleReport>> {
    Ok(Json(there(&core)?.0.module_reports()))
}

async fn module(
    State(core): State<Served>,
    Path(name): Path<String>,
) -> Answer<wire::ModuleReport> {
    reported(&there(&core)?, &named(&name)?)
}

async fn load(State(core): State<Served>, request: Request) -> Answer<wire::ModuleReport> {
    let engine = there(&core)?;
    let load: wire::Load = body(request).await?;
    let request = LoadRequest {
        path: absolute(load.path)?,
        name: load.name.as_deref().map(named).transpose()?,
        config: load.config,
        digest: load.digest.as_deref().map(digest).transpose()?,
    };
    let loaded = engine.load(request).await?;
    reported(&engine, &loaded.name)
}

async fn unload(State(core): State<Served>, Path(name): Path<String>) -> Answer<wire::Unload> {
    let unloaded = there(&core)?.unload(&named(&name)?).await?;
    Ok(Json(wire::Unload {
        comes_back: unloaded.comes_back,
        cut_off: unloaded.cut_off,
    }))
}

async fn restart(State(core): State<Served>, Path(name): Path<String>) -> Answer<wire::Done> {
    there(&core)?.restart(&named(&name)?).await?;
    Ok(Json(wire::Done {}))
}

async fn upgrade(
    State(core): State<Served>,
    Path(name): Path<String>,
    request: Request,
) -> Answer<wire::ModuleReport> {
    let engine = there(&core)?;
    let name = named(&name)?;
    let upgrade: wire::Upgrade = body(request).await?;
    let request = UpgradeRequest {
        path: upgrade.path.map(absolute).transpose()?,
        accept: upgrade.accept,
        digest: upgrade.digest.as_deref().map(digest).transpose()?,
    };
    engine.upgrade(&name, request).await?;
    reported(&engine, &name)
}

async fn resync(
    State(core): State<Served>,
    Path(name): Path<String>,
    request: Request,
) -> Answer<wire::Resynced> {
    let engine = there(&core)?;
    let name = named(&name)?;
    let wire::Resync {
        chain_id,
        at,
        confirm,
    } = body(request).await?;
    let (chain, at) = (ChainId(chain_id), BlockNumber(at));
    let found = engine.read(&name, move |store| {
        let of_chain = |(source, _): &(Source, Cursor)| source.chain() == Some(chain);
        let letters = store.letters()?;
        let gone = letters
            .iter()
            .filter(|(_, letter)| letter.is_from(chain, at));
        Ok(Resynced {
            before: store.cursors().into_iter().filter(of_chain).collect(),
            letters: gone.count(),
        })
    });
    let found = found.await?;
    if found.before.is_empty() {
        let what = format!("module {name} has no cursor of chain {chain_id}");
        return Err(Fault::new(FaultKind::NotFound, what));
    }
    let moved = match confirm {
        true => engine.resync(&name, chain, at).await?,
        false => found,
    };
    let before = moved.before.iter();
    let before = before.map(|(source, cursor)| wire::CursorReport::new(source, cursor));
    Ok(Json(wire::Resynced {
        before: before.collect(),
        dead_letters: moved.letters as u64,
        done: confirm,
    }))
}

async fn letters(
    State(core): State<Served>,
    Path(name): Path<String>,
) -> Answer<Vec<wire::LetterReport>> {
    let letters = there(&core)?.dead_letters(&named(&name)?).await?;
    let reports = letters
        .iter()
        .map(|(id, letter)| wire::LetterReport::new(*id, letter, false));
    Ok(Json(reports.collect()))
}

async fn letter(
    State(core): State<Served>,
    Path((name, id)): Path<(String, String)>,
) -> Answer<wire::LetterReport> {
    let name = named(&name)?;
    let id: u64 = id.parse().map_err(|_| {
        Fault::new(
            FaultKind::BadRequest,
            "the number of a dead letter is an integer from 0",
        )
    })?;
    let engine = there(&core)?;
    let found = engine.read(&name, move |store| store.letter(id)).await?;
    let letter = found.ok_or_else(|| {
        Fault::new(
            FaultKind::NotFound,
            format!("module {name} has no dead letter {id}"),
        )
    })?;
    Ok(Json(wire::LetterReport::new(id, &letter, true)))
}

async fn retry(
    State(core): State<Served>,
    Path(name): Path<String>,
    request: Request,
) -> Answer<wire::Ordered> {
    order(&there(&core)?, &name, request, true).await
}

async fn drop_letters(
    State(core): State<Served>,
    Path(name): Path<String>,
    request: Request,
) -> Answer<wire::Ordered> {
    order(&there(&core)?, &name, request, false).await
}

async fn order(
    engine: &Operator,
    name: &str,
    request: Request,
    retry: bool,
) -> Answer<wire::Ordered> {
    let name = named(name)?;
    let wire::Letters { ids, all } = body(request).await?;
    if ids.is_empty() != all {
        let what = "name the letters by `ids`, or all of them by `all`: true";
        return Err(Fault::new(FaultKind::BadRequest, what));
    }
    let letters = engine.order_letters(&name, retry, ids).await? as u64;
    Ok(Json(wire::Ordered { letters }))
}

async fn state(
    State(core): State<Served>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Answer<wire::StateReport> {
    let engine = there(&core)?;
    let name = named(&name)?;
    let query = state_query(query.as_deref().unwrap_or(""))?;
    let named = name.to_string();
    let report = engine.read(&name, move |store| state_report(store, named, &query));
    Ok(Json(report.await?))
}

async fn purge(
    State(core): State<Served>,
    Path(name): Path<String>,
    request: Request,
) -> Answer<wire::Done> {
    let engine = there(&core)?;
    let name = named(&name)?;
    let wire::Purge { confirm } = body(request).await?;
    if confirm != name.as_str() {
        let what = format!("to remove the state of module {name}, confirm it by that name");
        return Err(Fault::new(FaultKind::BadRequest, what));
    }
    engine.purge(&name).await?;
    Ok(Json(wire::Done {}))
}

async fn backup(State(core): State<Served>, Path(name): Path<String>) -> Result<Response, Fault> {
    let file = there(&core)?.backup(&named(&name)?).await?;
    let failed = |error: std::io::Error| Fault::new(FaultKind::Failed, error.to_string());
    let length = file.metadata().map_err(failed)?.len();
    let stream = ReaderStream::new(tokio::fs::File::from_std(file));
    Response::builder()
        .header(header::CONTENT_TYPE, "application/octet-stream")
        .header(header::CONTENT_LENGTH, length)
        .body(Body::from_stream(stream))
        .map_err(|error| Fault::new(FaultKind::Failed, error.to_string()))
}

pub(super) fn there(served: &Served) -> Result<Operator, Fault> {
    let core = served.core.upgrade().ok_or(OperateError::Stopping)?;
    Ok(Operator(core))
}

fn reported(engine: &Operator, name: &ModuleName) -> Answer<wire::ModuleReport> {
    let report = engine.0.module_report(name);
    report
        .map(Json)
        .ok_or_else(|| engine.0.no_such(name).into())
}

fn named(name: &str) -> Result<ModuleName, Fault> {
    ModuleName::from_str(name)
        .map_err(|error| Fault::new(FaultKind::BadRequest, format!("the module's name: {error}")))
}

fn digest(text: &str) -> Result<Sha256, Fault> {
    Sha256::from_str(text).map_err(|error| Fault::new(FaultKind::BadRequest, error.to_string()))
}

fn absolute(path: String) -> Result<std::path::PathBuf, Fault> {
    let path = std::path::PathBuf::from(path);
    if path.is_absolute() {
        return Ok(path);
    }
    let what = "the path of a bundle has to be absolute: the engine may run in another folder";
    Err(Fault::new(FaultKind::BadRequest, what))
}

/// The body of a request, which has to come whole and in time. None is an empty object.
pub(super) async fn body<T: DeserializeOwned>(request: Request) -> Result<T, Fault> {
    let read = axum::body::to_bytes(request.into_body(), MAX_BODY_BYTES);
    let bytes: Bytes = match tokio::time::timeout(BODY_TIMEOUT, read).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(_)) => {
            let what = format!("the body has more than {MAX_BODY_BYTES} bytes, or was broken off");
            return Err(Fault::new(FaultKind::TooLarge, what));
        }
        Err(_) => {
            let what = format!("the body did not come within {BODY_TIMEOUT:?}");
            return Err(Fault::new(FaultKind::RequestTimeout, what));
        }
    };
    let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
    serde_json::from_slice(text)
        .map_err(|error| Fault::new(FaultKind::BadRequest, format!("the body: {error}")))
}

fn state_query(query: &str) -> Result<wire::StateQuery, Fault> {
    let mut found = wire::StateQuery::default();
    for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match key.as_ref() {
            "prefix" => found.prefix = value.into_owned(),
            "after" => found.after = Some(value.into_owned()),
            "limit" => {
                found.limit = value.parse().map_err(|_| {
                    Fault::new(FaultKind::BadRequest, "`limit` is an integer from 0")
                })?;
            }
            other => {
                let what = format!(
                    "unknown key `{}`; there are `prefix`, `after` and `limit`",
                    other.escape_debug()
                );
                return Err(Fault::new(FaultKind::BadRequest, what));
            }
        }
    }
    Ok(found)
}

fn state_report(
    store: &ModuleStore,
    module: String,
    query: &wire::StateQuery,
) -> Result<wire::StateReport, StoreError> {
    let limit = match query.limit {
        0 => MAX_ENTRIES,
        limit => limit.min(MAX_ENTRIES),
    };
    let after = query.after.as_deref();
    let (found, more) = store.entries(&query.prefix, after, limit, MAX_ENTRY_BYTES)?;
    let entries = found.into_iter().map(|(key, value)| wire::EntryReport {
        key,
        value: format!("0x{}", hex::encode(value)),
    });
    let entries = entries.collect();
    let cursors = store.cursors();
    let cursors = cursors
        .iter()
        .map(|(source, cursor)| wire::CursorReport::new(source, cursor));
    Ok(wire::StateReport {
        module,
        file: store.path().display().to_string(),
        format_version: FORMAT_VERSION,
        used_bytes: store.used_bytes(),
        cursors: cursors.collect(),
        entries,
        more,
    })
}

/// JSON, as the answer to a request.
pub(super) struct Json<T>(pub(super) T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        json(StatusCode::OK, &self.0)
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.code.status());
        json(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), &self)
    }
}

fn json(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(text) => {
            let kind = [(header::CONTENT_TYPE, "application/json")];
            (status, kind, text).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

impl From<OperateError> for Fault {
    fn from(error: OperateError) -> Self {
        let message = error.to_string();
        let kind = match &error {
            OperateError::NoSuchModule { .. } => FaultKind::NotFound,
            OperateError::Exists { .. } | OperateError::Busy(_) | OperateError::Unloading(_) => {
                FaultKind::Conflict
            }
            OperateError::Stopping => FaultKind::Stopping,
            OperateError::Refused(_) => FaultKind::Refused,
            OperateError::Widens { .. } => FaultKind::NotAccepted,
            OperateError::Unfit(_) => FaultKind::BadRequest,
            OperateError::Slow(_) | OperateError::Withdrawn { .. } => FaultKind::Slow,
            OperateError::Store(StoreError::NoSuchModule { .. }) => FaultKind::NotFound,
            OperateError::Failed(_) | OperateError::Store(_) => FaultKind::Failed,
        };
        let fault = Self::new(kind, message);
        match error {
            OperateError::Refused(errors) => fault.with_problems(errors.problems()),
            OperateError::Widens { more, token } => Self {
                difference: more,
                token: Some(token),
                ..fault
            },
            _ => fault,
        }
    }
}
