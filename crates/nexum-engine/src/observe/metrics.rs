//! Metrics, as Prometheus asks for them: read from what is counted anyway, at the time of asking.
//!
//! No value of a label is a guest's choice: they are names that the operator chose, ids of chains,
//! endpoints without their secrets, and words of this program.

mod collect;
mod reference;
mod table;

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::{
        HeaderMap, StatusCode,
        header::{ACCEPT, CONTENT_TYPE},
    },
    response::{IntoResponse as _, Response},
    routing::get,
};
use prometheus_client::{
    encoding::{prometheus_text, text},
    registry::Registry,
};

use super::roster::Roster;
use collect::Scrape;
pub use reference::metrics_reference;

/// What a scraper that takes `OpenMetrics` says in its `Accept`.
const OPEN_METRICS: &str = "application/openmetrics-text";
const OPEN_METRICS_1: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) fn routes(roster: Arc<Roster>) -> Router {
    Router::new()
        .route("/metrics", get(scrape))
        .with_state(roster)
}

async fn scrape(State(roster): State<Arc<Roster>>, headers: HeaderMap) -> Response {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Scrape::of(&roster.look())));
    let accepted = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    let mut body = String::new();
    let (kind, encoded) = if accepted.is_some_and(|value| value.contains(OPEN_METRICS)) {
        (OPEN_METRICS_1, text::encode(&mut body, &registry))
    } else {
        let encoded = prometheus_text::encode(&mut body, &registry);
        (prometheus_text::CONTENT_TYPE, encoded)
    };
    match encoded {
        Ok(()) => ([(CONTENT_TYPE, kind)], body).into_response(),
        // Writing to a String cannot fail.
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
