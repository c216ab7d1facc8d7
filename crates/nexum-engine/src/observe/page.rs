//! The status page, and the stream of what it shows.
//!
//! One HTML file with its style and its script in it, which asks for nothing but that stream. What
//! modules choose (names, errors, log lines) travels as JSON and is put into the page as text; its
//! content policy lets no other script run, and none make markup of text.

mod pace;
mod report;
mod sampler;

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Extension, Router,
    body::{Body, Bytes},
    extract::State,
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode,
        header::{
            CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, RETRY_AFTER, X_FRAME_OPTIONS,
        },
    },
    response::{IntoResponse as _, Response},
    routing::get,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use futures::{Stream, StreamExt as _, stream};
use nexum_manifest::StatusPage;
use sha2::{Digest as _, Sha256};
use tokio::{sync::Semaphore, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{roster::Roster, server::Unhurried};
use crate::logbook::LogBook;
pub use report::{LogReport, ModuleLetter, ModulePace, NumberedLine, StatusReport};
use sampler::{Sampler, View};

/// Streams at the same time, of the connections that the server takes.
const MAX_VIEWERS: usize = 16;
/// How long a client that found no place should wait, in seconds.
const COME_AGAIN: HeaderValue = HeaderValue::from_static("5");
/// How long the streams may take to end once the engine has stopped.
const FAREWELL: Duration = Duration::from_secs(1);
/// What a browser says of whose page a request comes from.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The parts of the page's script; a later one uses what stands in an earlier one.
const SCRIPT: [&str; 6] = [
    include_str!("page/words.js"),
    include_str!("page/elements.js"),
    include_str!("page/modules.js"),
    include_str!("page/chains.js"),
    include_str!("page/records.js"),
    include_str!("page/page.js"),
];

/// The page and its viewers.
#[derive(Clone)]
pub(super) struct Page {
    sampler: Arc<Sampler>,
    places: Arc<Semaphore>,
    /// Cancelled when the streams are to end.
    stop: CancellationToken,
}

impl Page {
    /// The page over these, unless the operator wants none.
    pub(super) fn new(
        wanted: StatusPage,
        roster: &Arc<Roster>,
        log: &Arc<LogBook>,
        stop: &CancellationToken,
    ) -> Option<Self> {
        let log = match wanted {
            StatusPage::WithLogs => Some(Arc::clone(log)),
            StatusPage::WithoutLogs => None,
            StatusPage::Off => return None,
        };
        Some(Self {
            sampler: Arc::new(Sampler::new(Arc::clone(roster), log)),
            places: Arc::new(Semaphore::new(MAX_VIEWERS)),
            stop: stop.clone(),
        })
    }

    pub(super) fn routes(self) -> Router {
        let document = Document::new();
        Router::new()
            .route("/", get(move || async move { document.answer() }))
            .route("/events", get(events))
            .with_state(self)
    }

    /// Waits until every stream has come to its end, though not for whoever does not take it.
    pub(super) async fn ended(&self) {
        // The number is a small constant.
        let all = u32::try_from(MAX_VIEWERS).unwrap_or(u32::MAX);
        // A place that is not given back in time goes with the runtime.
        let _ = timeout(FAREWELL, self.places.acquire_many(all)).await;
    }
}

/// The page as it is sent.
#[derive(Clone)]
struct Document {
    html: Arc<str>,
    policy: HeaderValue,
}

impl Document {
    fn new() -> Self {
        let style = include_str!("page/page.css");
        // One scope, and none of it the browser's own.
        let script = format!("\"use strict\";\n{{\n{}}}\n", SCRIPT.concat());
        let html = include_str!("page/page.html")
            .replace("{{style}}", style)
            .replace("{{script}}", &script);
        let policy = format!(
            "default-src 'none'; style-src '{}'; script-src '{}'; connect-src 'self'; \
             img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
             require-trusted-types-for 'script'; trusted-types 'none'",
            fingerprint(style),
            fingerprint(&script),
        );
        Self {
            html: html.into(),
            // Of visible ASCII, as the test sees.
            policy: HeaderValue::try_from(policy)
                .unwrap_or(HeaderValue::from_static("default-src 'none'")),
        }
    }

    fn answer(&self) -> Response {
        let headers = [
            (
                CONTENT_TYPE,
                HeaderValue::from_static("text/html; charset=utf-8"),
            ),
            (CONTENT_SECURITY_POLICY, self.policy.clone()),
            (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
            (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
            same_origin_only(),
        ];
        (headers, self.html.to_string()).into_response()
    }
}

/// What a content policy calls a style or a script by.
fn fingerprint(text: &str) -> String {
    format!("sha256-{}", BASE64_STANDARD.encode(Sha256::digest(text)))
}

fn same_origin_only() -> (HeaderName, HeaderValue) {
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    )
}

async fn events(
    State(page): State<Page>,
    Extension(connection): Extension<Unhurried>,
    headers: HeaderMap,
) -> Response {
    if is_of_another_site(&headers) {
        let text = "Only the status page itself may read this.\n";
        return (StatusCode::FORBIDDEN, text).into_response();
    }
    let Ok(place) = Arc::clone(&page.places).try_acquire_owned() else {
        let text = format!("{MAX_VIEWERS} are looking already. Try again later.\n");
        let again = [(RETRY_AFTER, COME_AGAIN)];
        return (StatusCode::SERVICE_UNAVAILABLE, again, text).into_response();
    };
    connection.takes_its_time(place);
    let body = Body::from_stream(told(page.sampler.join(), page.stop));
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (
            HeaderName::from_static("x-accel-buffering"),
            HeaderValue::from_static("no"),
        ),
        same_origin_only(),
    ];
    (headers, body).into_response()
}

/// No other page could read an answer; this way it does not cost a place, either. A browser that
/// does not say so, or whoever is none, is served.
fn is_of_another_site(headers: &HeaderMap) -> bool {
    headers
        .get_all(SEC_FETCH_SITE)
        .iter()
        .any(|site| site != "same-origin" && site != "none")
}

/// The events of one viewer. It ends with the engine, or where the viewer is too slow for it.
fn told(view: View, stop: CancellationToken) -> impl Stream<Item = Result<Bytes, Infallible>> {
    let View { first, news } = view;
    let news = stream::unfold(news, async |mut news| {
        // Behind by more than is kept, or over: the browser begins anew in either case.
        let frame = news.recv().await.ok()?;
        Some((stream::iter(frame.parts()), news))
    });
    stream::iter(first)
        .chain(news.flatten())
        .map(Ok)
        .take_until(stop.cancelled_owned())
}

#[cfg(test)]
mod tests;
