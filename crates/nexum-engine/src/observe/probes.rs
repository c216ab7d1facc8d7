//! `/health`, and the probes `/health/live` and `/health/ready` for whoever starts and restarts
//! the process.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Serialize;

use super::{
    health::{HealthReport, HealthStatus},
    roster::{Roster, Stage},
};

pub(super) fn routes(roster: Arc<Roster>) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .with_state(roster)
}

/// 503 where nothing works: a monitor that looks at the status alone must not take it for well.
async fn health(State(roster): State<Arc<Roster>>) -> Response {
    let report = HealthReport::of(&roster.look());
    let code = match report.status {
        HealthStatus::Ok | HealthStatus::Degraded => StatusCode::OK,
        HealthStatus::Down => StatusCode::SERVICE_UNAVAILABLE,
    };
    (code, Json(report)).into_response()
}

/// That there is an answer is the answer: a process that cannot answer is to be started anew, and
/// no module that fails is mended by that.
async fn live() -> Json<Alive> {
    Json(Alive { alive: true })
}

#[derive(Serialize)]
struct Alive {
    alive: bool,
}

async fn ready(State(roster): State<Arc<Roster>>) -> Response {
    let look = roster.look();
    let ready = look.is_ready();
    let why = match look.stage {
        _ if ready => None,
        Stage::Starting => Some("the engine is starting"),
        Stage::Stopping => Some("the engine is stopping"),
        Stage::Running if look.is_dead() => Some("every module is dead"),
        Stage::Running => Some("a module has not had its first init yet"),
    };
    let code = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (code, Json(Readiness { ready, why })).into_response()
}

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    /// Why it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'static str>,
}
