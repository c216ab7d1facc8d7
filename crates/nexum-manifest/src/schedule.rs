//! Schedules: when one is due, computed from what it says and never from when it was last seen.
//! No clock is read here.

use std::{
    fmt,
    num::NonZeroU64,
    time::{Duration, UNIX_EPOCH},
};

use croner::{
    Cron,
    errors::CronError,
    parser::{CronParser, Seconds, Year},
};
use jiff::{Timestamp, Zoned, tz::TimeZone};
use nexum_types::ScheduleId;

/// When a module is woken: by the fields of cron in a time zone, or once in a while.
///
/// All instants are milliseconds since the Unix epoch, UTC.
#[derive(Clone, PartialEq, Eq)]
pub struct Schedule {
    text: String,
    times: Times,
}

#[derive(Clone, PartialEq, Eq)]
enum Times {
    Cron { cron: Box<Cron>, zone: TimeZone },
    Every(NonZeroU64),
}

/// The shortest time between two ticks.
pub(crate) const SHORTEST: Duration = Duration::from_secs(1);

/// Why a text is no schedule.
#[derive(Debug, thiserror::Error)]
pub enum InvalidSchedule {
    /// It has not the form of one.
    #[error("{0}")]
    Form(String),
    /// It is never due.
    #[error("no day is like that")]
    Never,
}

impl Schedule {
    /// The schedule of a cron expression of five fields, or six with seconds before them, in a
    /// time zone. `zone_name`: none for UTC.
    ///
    /// # Errors
    /// It is not one, or never due.
    pub fn cron(
        expression: &str,
        zone: TimeZone,
        zone_name: Option<&str>,
    ) -> Result<Self, InvalidSchedule> {
        let parser = CronParser::builder()
            .seconds(Seconds::Optional)
            .year(Year::Disallowed)
            .build();
        let cron = Box::new(parser.parse(expression).map_err(form)?);
        let text = match zone_name {
            Some(zone) => format!("{} {zone}", expression.trim()),
            None => expression.trim().to_owned(),
        };
        let schedule = Self {
            text,
            times: Times::Cron { cron, zone },
        };
        match schedule.next_after(0) {
            Some(_) => Ok(schedule),
            None => Err(InvalidSchedule::Never),
        }
    }

    /// The schedule that is due whenever the time since the Unix epoch is a multiple of `every`,
    /// in whole milliseconds. `text` is how it is written; none for a time of nothing.
    #[must_use]
    pub fn every(text: &str, every: Duration) -> Option<Self> {
        let every = u64::try_from(every.as_millis()).ok()?;
        Some(Self {
            text: text.to_owned(),
            times: Times::Every(NonZeroU64::new(every)?),
        })
    }

    /// The schedule as the manifest writes it: the value of `schedule`, with the time zone behind
    /// it where that is another than UTC, or the value of `every`.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What names it in a cursor.
    #[must_use]
    pub fn id(&self) -> ScheduleId {
        ScheduleId::of(&self.text)
    }

    /// The first instant after `after_ms` at which it is due; none where there is none any more.
    #[must_use]
    pub fn next_after(&self, after_ms: u64) -> Option<u64> {
        match &self.times {
            Times::Every(every) => (after_ms / every.get() + 1).checked_mul(every.get()),
            Times::Cron { cron, zone } => {
                let after = zoned(after_ms, zone)?;
                let next = cron.find_next_occurrence(&after, false).ok()?;
                millis(&next)
            }
        }
    }

    /// How many times it is due from `first_ms` on and before `last_ms`, both of which it is due at:
    /// at most `most`, where finding out costs a search for each.
    #[must_use]
    pub fn count(&self, first_ms: u64, last_ms: u64, most: u64) -> u64 {
        if let Times::Every(every) = &self.times {
            return last_ms.saturating_sub(first_ms) / every.get();
        }
        let mut count = 0;
        let mut at_ms = first_ms;
        while at_ms < last_ms && count < most {
            count += 1;
            match self.next_after(at_ms) {
                Some(next_ms) => at_ms = next_ms,
                None => break,
            }
        }
        count
    }

    /// The last instant up to and with `until_ms` at which it was due; none where there was none.
    #[must_use]
    pub fn last_until(&self, until_ms: u64) -> Option<u64> {
        match &self.times {
            Times::Every(every) => Some(until_ms / every.get() * every.get()),
            Times::Cron { cron, zone } => {
                let until = zoned(until_ms, zone)?;
                let last = cron.find_previous_occurrence(&until, true).ok()?;
                millis(&last)
            }
        }
    }
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Schedule").field(&self.text).finish()
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn form(error: CronError) -> InvalidSchedule {
    InvalidSchedule::Form(match error {
        CronError::EmptyPattern => "it is empty".to_owned(),
        CronError::InvalidPattern(what)
        | CronError::IllegalCharacters(what)
        | CronError::ComponentError(what) => {
            let mut what = what.trim_end_matches('.').to_owned();
            if let Some(first) = what.get_mut(..1) {
                first.make_ascii_lowercase();
            }
            what
        }
        other => other.to_string(),
    })
}

fn zoned(at_ms: u64, zone: &TimeZone) -> Option<Zoned> {
    let at = UNIX_EPOCH.checked_add(Duration::from_millis(at_ms))?;
    let at = Timestamp::try_from(at).ok()?;
    Some(at.to_zoned(zone.clone()))
}

fn millis(at: &Zoned) -> Option<u64> {
    u64::try_from(at.timestamp().as_millisecond()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cron(expression: &str, zone: &str) -> Schedule {
        let named = (zone != "UTC").then_some(zone);
        Schedule::cron(expression, TimeZone::get(zone).unwrap(), named).unwrap()
    }

    fn ms(at: &str) -> u64 {
        let at: Timestamp = at.parse().unwrap();
        u64::try_from(at.as_millisecond()).unwrap()
    }

    /// The times at which it is due after one instant and until another.
    fn due(schedule: &Schedule, after: &str, until: &str) -> Vec<String> {
        let mut due = Vec::new();
        let mut at = ms(after);
        while let Some(next) = schedule.next_after(at).filter(|next| *next <= ms(until)) {
            assert_eq!(schedule.last_until(next), Some(next));
            assert_eq!(schedule.last_until(next + 1), Some(next));
            let next_ms = i64::try_from(next).unwrap();
            due.push(Timestamp::from_millisecond(next_ms).unwrap().to_string());
            at = next;
        }
        due
    }

    #[test]
    fn five_fields_have_no_seconds_and_six_do() {
        let (after, until) = ("2026-01-01T00:00:00Z", "2026-01-01T00:10:00Z");
        assert_eq!(
            due(&cron("*/5 * * * *", "UTC"), after, until),
            ["2026-01-01T00:05:00Z", "2026-01-01T00:10:00Z"]
        );
        assert_eq!(
            due(&cron("30 */5 * * * *", "UTC"), after, until),
            ["2026-01-01T00:00:30Z", "2026-01-01T00:05:30Z"]
        );
    }

    #[test]
    fn what_is_between_two_instants_is_computed_from_the_epoch_and_does_not_drift() {
        let schedule = Schedule::every("90s", Duration::from_secs(90)).unwrap();
        assert_eq!(
            due(
                &schedule,
                "2026-01-01T00:00:01.234Z",
                "2026-01-01T00:04:30Z"
            ),
            [
                "2026-01-01T00:01:30Z",
                "2026-01-01T00:03:00Z",
                "2026-01-01T00:04:30Z"
            ]
        );
        assert_eq!(Schedule::every("0s", Duration::ZERO), None);
    }

    /// In Zurich, 2026-03-29 has no hour from two to three, and 2026-10-25 has it twice.
    #[test]
    fn a_time_of_day_comes_once_on_the_days_when_clocks_change() {
        let daily = cron("30 2 * * *", "Europe/Zurich");
        assert_eq!(
            due(&daily, "2026-03-27T12:00:00Z", "2026-03-30T12:00:00Z"),
            [
                "2026-03-28T01:30:00Z",
                // The hour is not there: it comes when it ends.
                "2026-03-29T01:00:00Z",
                "2026-03-30T00:30:00Z",
            ]
        );
        assert_eq!(
            due(&daily, "2026-10-23T12:00:00Z", "2026-10-26T12:00:00Z"),
            [
                "2026-10-24T00:30:00Z",
                "2026-10-25T00:30:00Z",
                "2026-10-26T01:30:00Z"
            ]
        );
    }

    #[test]
    fn what_comes_all_the_time_goes_on_through_the_days_when_clocks_change() {
        let half_hours = cron("*/30 * * * *", "Europe/Zurich");
        let spring = due(&half_hours, "2026-03-29T00:00:00Z", "2026-03-29T02:00:00Z");
        assert_eq!(spring.len(), 4, "{spring:?}");
        let autumn = due(&half_hours, "2026-10-25T00:00:00Z", "2026-10-25T03:00:00Z");
        assert_eq!(autumn.len(), 6, "{autumn:?}");
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        let refused = |expression: &str| {
            Schedule::cron(expression, TimeZone::UTC, None)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(refused("0 0 30 2 *"), "no day is like that");
        for expression in ["", "* * * *", "* * * * * * *", "61 * * * *", "x * * * *"] {
            assert!(!refused(expression).is_empty());
        }
    }

    #[test]
    fn the_time_zone_is_part_of_what_it_says() {
        let (utc, zurich) = (cron("0 9 * * *", "UTC"), cron("0 9 * * *", "Europe/Zurich"));
        assert_eq!(utc.text(), "0 9 * * *");
        assert_eq!(zurich.text(), "0 9 * * * Europe/Zurich");
        assert_ne!(utc.id(), zurich.id());
        assert_eq!(utc.id().to_string().len(), 16);
    }
}
