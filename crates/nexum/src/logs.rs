//! `nexum module logs` and `nexum log-level`: the running engine's log.

use std::fmt::Write as _;

use http_body_util::BodyExt as _;
use nexum_engine::wire::{self, LogLine};

use crate::{
    cli::{LogLevelArgs, LogsArgs},
    exit::Failure,
    modules::show,
    output, place,
};

/// The longest line of an answer; the engine's are far shorter.
const MAX_LINE_BYTES: usize = 1024 * 1024;

pub(crate) async fn logs(args: &LogsArgs) -> Result<(), Failure> {
    let client = place::running(&args.at).await?;
    let mut query = format!("/v1/logs?lines={}&follow={}", args.lines, args.follow);
    if let Some(name) = &args.module {
        // That there is such a module is not asked: what it logged stays when it goes.
        let _ = write!(query, "&module={name}");
    }
    let mut answer = client.stream(&query).await?;
    let mut pending = Vec::new();
    while let Some(frame) = answer.frame().await {
        let frame = frame.map_err(|error| client.broken(error))?;
        let Some(data) = frame.data_ref() else {
            continue;
        };
        pending.extend_from_slice(data);
        let Some(end) = pending.iter().rposition(|byte| *byte == b'\n') else {
            if pending.len() > MAX_LINE_BYTES {
                return Err(client.broken("a line of the log has no end"));
            }
            continue;
        };
        let rest = pending.split_off(end + 1);
        let lines = std::mem::replace(&mut pending, rest);
        let text = if args.at.json {
            String::from_utf8_lossy(&lines).into_owned()
        } else {
            let lines = lines
                .split(|byte| *byte == b'\n')
                .filter(|line| !line.is_empty());
            let lines = lines.map(|line| {
                let line: LogLine =
                    serde_json::from_slice(line).map_err(|error| client.broken(error))?;
                Ok(as_text(&line))
            });
            lines.collect::<Result<String, Failure>>()?
        };
        if !output::print_on(&text)? {
            return Ok(());
        }
    }
    Ok(())
}

pub(crate) async fn level(args: &LogLevelArgs) -> Result<(), Failure> {
    let client = place::running(&args.at).await?;
    let levels: wire::LogLevels = match &args.levels {
        None => client.get("/v1/log-levels").await?,
        Some(levels) => {
            let levels = wire::LogLevels {
                levels: levels.clone(),
            };
            client.put("/v1/log-levels", &levels).await?
        }
    };
    show(&args.at, &levels, || format!("{}\n", levels.levels))
}

fn as_text(line: &LogLine) -> String {
    let time = time_text(line.time_ms);
    let module = line.module.as_deref().unwrap_or("-");
    let mut text = format!("{time} {:5} {module}: {}", line.level, line.message);
    for (name, value) in &line.fields {
        let value = match value {
            serde_json::Value::String(text) if text.is_empty() => continue,
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        // Writing to a String cannot fail.
        let _ = write!(text, " {name}={value}");
    }
    text + "\n"
}

/// The time of the day, UTC, as `hh:mm:ss.mmm`.
fn time_text(time_ms: u64) -> String {
    let (seconds, milliseconds) = (time_ms / 1000 % 86_400, time_ms % 1000);
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    format!(
        "{hours:02}:{minutes:02}:{:02}.{milliseconds:03}",
        seconds % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_the_day_is_utc() {
        assert_eq!(time_text(1_764_020_096_007), "21:34:56.007");
    }
}
