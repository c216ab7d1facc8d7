//! `/v1/logs` and `/v1/log-levels`: the log as it is written, and how much of it.

use std::{convert::Infallible, sync::Arc};

use axum::{
    body::{Body, Bytes},
    extract::{RawQuery, Request, State},
    http::header,
    response::Response,
};
use futures::{StreamExt as _, stream};
use tokio::sync::broadcast::error::RecvError;

use super::{
    routes::{Answer, Json, body, there},
    server::Served,
};
use crate::{
    logbook::{LogLine, is_of},
    wire::{self, Fault, FaultKind},
};

/// The lines of late that are told where nobody says how many.
const LINES: usize = 100;

/// What is asked for.
#[derive(Default)]
struct Query {
    module: Option<String>,
    lines: Option<usize>,
    follow: bool,
}

/// A JSON object a line: the last lines, and then, where that is asked for, those to come, until
/// the engine or the client ends it.
pub(super) async fn follow(
    State(served): State<Served>,
    RawQuery(query): RawQuery,
) -> Result<Response, Fault> {
    let Query {
        module,
        lines,
        follow,
    } = parse(query.as_deref().unwrap_or(""))?;
    let log = Arc::clone(&there(&served)?.0.log);
    let (last, news) = log.follow(module.as_deref(), lines.unwrap_or(LINES));
    let last = stream::iter(last.into_iter().map(|line| text(&line)));
    let body = if follow {
        let place = Arc::clone(&served.followers).try_acquire_owned();
        let place = place.map_err(|_| {
            let what = "as many follow the log as can at a time; ask for its last lines, or again once one of them has gone";
            Fault::new(FaultKind::Conflict, what)
        })?;
        let news = stream::unfold((news, module, place), async |(mut news, module, place)| {
            loop {
                match news.recv().await {
                    Ok(line) if is_of(&line, module.as_deref()) => {
                        return Some((text(&line), (news, module, place)));
                    }
                    Ok(_) => {}
                    Err(RecvError::Lagged(missed)) => {
                        return Some((text(&behind(missed)), (news, module, place)));
                    }
                    Err(RecvError::Closed) => return None,
                }
            }
        });
        let stop = served.stop.cancelled_owned();
        Body::from_stream(last.chain(news).take_until(stop))
    } else {
        Body::from_stream(last)
    };
    Response::builder()
        .header(header::CONTENT_TYPE, "application/x-ndjson")
        .body(body)
        .map_err(|error| Fault::new(FaultKind::Failed, error.to_string()))
}

fn parse(query: &str) -> Result<Query, Fault> {
    let mut found = Query::default();
    let bad = |what: String| Fault::new(FaultKind::BadRequest, what);
    for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match (key.as_ref(), value.as_ref()) {
            ("module", name) => found.module = Some(name.to_owned()),
            ("lines", lines) => {
                let lines = lines.parse();
                found.lines = Some(lines.map_err(|_| bad("`lines` is an integer from 0".into()))?);
            }
            ("follow", "true") => found.follow = true,
            ("follow", "false") => found.follow = false,
            ("follow", _) => return Err(bad("`follow` is true or false".into())),
            (other, _) => {
                let other = other.escape_debug();
                return Err(bad(format!(
                    "unknown key `{other}`; there are `module`, `lines` and `follow`"
                )));
            }
        }
    }
    Ok(found)
}

fn text(line: &LogLine) -> Result<Bytes, Infallible> {
    let mut text = serde_json::to_vec(line).unwrap_or_default();
    text.push(b'\n');
    Ok(text.into())
}

/// Stands for the lines that a follower was too slow for.
fn behind(missed: u64) -> LogLine {
    LogLine {
        level: "WARN".into(),
        target: "nexum::log".into(),
        message: format!("{missed} lines were missed: they came faster than they were read"),
        ..LogLine::default()
    }
}

pub(super) async fn levels(State(served): State<Served>) -> Answer<wire::LogLevels> {
    let levels = there(&served)?.0.log.levels();
    Ok(Json(wire::LogLevels {
        levels: levels.map(|levels| levels.to_string()).unwrap_or_default(),
    }))
}

pub(super) async fn set_levels(
    State(served): State<Served>,
    request: Request,
) -> Answer<wire::LogLevels> {
    let operator = there(&served)?;
    let wire::LogLevels { levels } = body(request).await?;
    let parsed = levels.parse::<nexum_manifest::LogLevels>();
    let parsed = parsed.map_err(|wrong| Fault::new(FaultKind::BadRequest, wrong))?;
    let told = parsed.to_string();
    operator
        .0
        .log
        .set_levels(parsed)
        .map_err(|error| Fault::new(FaultKind::Failed, error))?;
    tracing::info!(levels = told, "the levels of the log are others, as asked");
    Ok(Json(wire::LogLevels { levels: told }))
}
