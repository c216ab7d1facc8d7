//! A call and a step as a person reads them.

use std::{fmt::Write as _, time::Duration};

use nexum_engine::Called;
use nexum_host::{Did, HostCall};
use tracing::Level;

use crate::output::{Style, styled};

/// The longest value that is shown whole, in bytes.
const SHOWN: usize = 64;

/// One call, a line for it and one for each thing that it did or changed.
pub(super) fn call(call: &Called) -> String {
    let event = call
        .event
        .as_ref()
        .and_then(|event| Some(event.id()?.to_string()));
    let event = event.unwrap_or_else(|| "init".to_owned());
    let ended = match &call.ended {
        Ok(()) => styled(Style::Good, "ok"),
        Err(failure) => styled(Style::Bad, failure.kind.as_str()),
    };
    let fuel = grouped(call.fuel);
    let took = time(call.took);
    let mut text = format!(
        "  {}  {ended}  {}\n",
        styled(Style::Strong, &event),
        styled(Style::Faint, &format!("{fuel} fuel  {took}"))
    );
    // Writing to a String cannot fail.
    for did in &call.did {
        let _ = match did {
            Did::Logged {
                level, text: line, ..
            } => writeln!(text, "    {} {line}", level_word(*level)),
            Did::Asked(asked) => writeln!(text, "    {}", host_call(asked)),
        };
    }
    for change in &call.changes {
        let (old, new) = (shown(change.old.as_deref()), shown(change.new.as_deref()));
        let _ = writeln!(text, "    state {} : {old} → {new}", change.key);
    }
    if let Err(failure) = &call.ended {
        let _ = writeln!(text, "    {}", styled(Style::Bad, &failure.error));
        for frame in failure.backtrace.lines() {
            let _ = writeln!(text, "      {}", styled(Style::Faint, frame));
        }
    }
    text
}

/// A step of the fixture.
pub(super) fn step(line: usize, words: &str) -> String {
    format!("{} {words}\n", styled(Style::Faint, &format!("{line:>4}")))
}

/// Something that was not as expected.
pub(super) fn unmet(line: usize, what: &str) -> String {
    let what = what.replace('\n', "\n       ");
    format!("{} {}\n", styled(Style::Bad, &format!("{line:>4} ✗")), what)
}

fn host_call(call: &HostCall) -> String {
    let name = format!("{}.{}", call.interface, call.function);
    let failed = call.failed.map_or(String::new(), |kind| {
        format!(" {}", styled(Style::Bad, kind.as_str()))
    });
    let arguments = call.asked.to_string();
    let took = styled(Style::Faint, &time(call.took));
    format!("{name}({arguments}){failed} {took}")
}

fn level_word(level: Level) -> String {
    match level {
        Level::ERROR => styled(Style::Bad, "error"),
        Level::WARN => styled(Style::Warning, "warn "),
        Level::INFO => "info ".to_owned(),
        Level::DEBUG => styled(Style::Faint, "debug"),
        Level::TRACE => styled(Style::Faint, "trace"),
    }
}

/// A value of the state, as a fixture would write it; cut where it is long.
fn shown(value: Option<&[u8]>) -> String {
    let Some(value) = value else {
        return "nothing".to_owned();
    };
    match str::from_utf8(value) {
        Ok(text) if text.len() <= SHOWN && !text.chars().any(char::is_control) => {
            format!("{text:?}")
        }
        _ if value.len() <= SHOWN => format!("0x{}", hex::encode(value)),
        _ => format!(
            "0x{}… ({} bytes)",
            hex::encode(&value[..SHOWN / 2]),
            value.len()
        ),
    }
}

/// With a comma after every third digit.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// In the unit that leaves a number of few digits.
fn time(time: Duration) -> String {
    let micros = time.as_micros();
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..1_000_000 => format!("{:.1} ms", time.as_secs_f64() * 1e3),
        _ => format!("{:.1} s", time.as_secs_f64()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_are_short() {
        assert_eq!(grouped(7), "7");
        assert_eq!(grouped(1_234), "1,234");
        assert_eq!(grouped(123_456_789), "123,456,789");
        assert_eq!(time(Duration::from_micros(999)), "999 µs");
        assert_eq!(time(Duration::from_micros(1_500)), "1.5 ms");
        assert_eq!(time(Duration::from_millis(2_340)), "2.3 s");
    }

    #[test]
    fn a_value_is_text_or_hex_and_never_long() {
        assert_eq!(shown(None), "nothing");
        assert_eq!(shown(Some(b"5")), "\"5\"");
        assert_eq!(shown(Some(&[0, 1])), "0x0001");
        let long = shown(Some(&[0xff; 1000]));
        assert!(
            long.ends_with("… (1000 bytes)") && long.len() < 100,
            "{long}"
        );
    }
}
