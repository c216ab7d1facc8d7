//! `/health/live` and `/health/ready`, for whoever starts and restarts the process.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};

use super::roster::{Roster, Stage};

pub(super) fn routes(roster: Arc<Roster>) -> Router {
    Router::new()
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .with_state(roster)
}

/// That there is an answer is the answer.
async fn live() -> &'static str {
    "alive\n"
}

async fn ready(State(roster): State<Arc<Roster>>) -> Response {
    match roster.stage() {
        Stage::Running => "ready\n".into_response(),
        Stage::Starting => (StatusCode::SERVICE_UNAVAILABLE, "starting\n").into_response(),
        Stage::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response(),
    }
}
