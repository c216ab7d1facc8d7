//! `[[subscription]]` of the kind "cron".

use std::time::Duration;

use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::{
    CronSubscription, Missed, Schedule, Subscription,
    decode::{At, Decode, Decoder, Node, Written, table},
    schedule::SHORTEST,
    subscription::{IsCron, RawSubscription},
    wording::{nearest, quoted},
};

table! {
    /// Ticks of a schedule: either at the times of a cron expression or once in a while.
    struct RawCron {
        /// What the events are: "block", "log" or "cron".
        required kind: IsCron,
        /// When a tick is due, as cron has it: minute, hour, day of month, month and day of week, with the second before them if there are six fields.
        optional schedule: At<String>,
        /// The time zone that `schedule` is meant in, by its IANA name, such as "Europe/Zurich". UTC without it.
        optional timezone: At<String>,
        /// In place of `schedule`: a tick whenever the time since 1970 (UTC) is a multiple of this; at least "1s".
        optional every: At<Period>,
        /// What becomes of ticks that were due while the engine was down, or the module busy for longer than a period: "skip", they are left out, "once", the last of them comes for all, or "all", each comes.
        default missed: Missed = Missed::default(),
    }
}

/// The schema of the table.
pub(crate) fn schema() -> Value {
    let mut schema = RawCron::schema();
    schema["oneOf"] = json!([{ "required": ["schedule"] }, { "required": ["every"] }]);
    schema["dependentRequired"] = json!({ "timezone": ["schedule"] });
    schema
}

/// The subscription of the table.
pub(crate) fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<RawSubscription> {
    RawCron::decode(node, decoder).map(|raw| raw.resolve(node, decoder))
}

impl RawCron {
    fn resolve(self, node: &Node<'_>, decoder: &mut Decoder) -> RawSubscription {
        let span = match (&self.schedule, &self.every) {
            (Some(schedule), _) => schedule.span.clone(),
            (None, Some(every)) => every.span.clone(),
            (None, None) => node.span(),
        };
        let schedule = self.schedule(node, decoder);
        let subscription = self.kind.zip(schedule).map(|(_, schedule)| {
            Subscription::Cron(CronSubscription {
                schedule,
                missed: self.missed,
            })
        });
        RawSubscription {
            chain_id: None,
            span: Some(span),
            subscription,
        }
    }

    /// The schedule of the keys, of which there must be one.
    fn schedule(&self, node: &Node<'_>, decoder: &mut Decoder) -> Option<Schedule> {
        let keys = decoder.keys();
        match (&self.schedule, &self.every) {
            (Some(_), Some(every)) => {
                let message = format!("`{keys}` has both `schedule` and `every`");
                let help = "take one out, and write another subscription for it if both are meant";
                decoder.report_with_help(every.span.clone(), message, "one too many", help);
                None
            }
            // What is there and wrong has been reported.
            (None, None) if ["schedule", "every"].iter().any(|key| is_there(node, key)) => None,
            (None, None) => {
                let message = format!("`{keys}` has no schedule");
                let help = "write one, such as `schedule = \"*/5 * * * *\"` or `every = \"30s\"`";
                decoder.report_with_help(node.span(), message, "of no time", help);
                None
            }
            (None, Some(every)) => {
                if let Some(zone) = &self.timezone {
                    let message = format!("`{keys}.timezone` needs `schedule`");
                    let help = "take it out: `every` is the same in all time zones";
                    decoder.report_with_help(zone.span.clone(), message, "of no schedule", help);
                    return None;
                }
                Some(every.value.0.clone())
            }
            (Some(schedule), None) => {
                let (zone, name) = match &self.timezone {
                    None => (TimeZone::UTC, None),
                    Some(written) => (zone(written, decoder)?, Some(&*written.value)),
                };
                let name = name.filter(|name| *name != "UTC");
                match Schedule::cron(&schedule.value, zone, name) {
                    Ok(schedule) => Some(schedule),
                    Err(error) => {
                        let message = format!(
                            "`{keys}.schedule` is {}, which is no cron expression: {error}",
                            quoted(&schedule.value)
                        );
                        let help = "write five fields, or six with seconds: `*/5 * * * *` is every five minutes";
                        let span = schedule.span.clone();
                        decoder.report_with_help(span, message, "no schedule", help);
                        None
                    }
                }
            }
        }
    }
}

fn is_there(node: &Node<'_>, key: &str) -> bool {
    let table = node.get_ref().as_table();
    table.is_some_and(|table| table.get(key).is_some())
}

fn zone(written: &At<String>, decoder: &mut Decoder) -> Option<TimeZone> {
    if let Ok(zone) = TimeZone::get(&written.value) {
        return Some(zone);
    }
    let keys = decoder.keys();
    let name = quoted(&written.value);
    let message = format!("`{keys}.timezone` is {name}, which is no time zone");
    let known: Vec<_> = jiff::tz::db().available().collect();
    let known: Vec<_> = known.iter().map(jiff::tz::TimeZoneName::as_str).collect();
    let help = match nearest(&written.value, &known) {
        Some(near) => format!("did you mean {near:?}?"),
        None => "write the IANA name of one, such as \"Europe/Zurich\"".to_owned(),
    };
    decoder.report_with_help(written.span.clone(), message, "unknown", help);
    None
}

/// `every`: a schedule by the time between two ticks.
pub(crate) struct Period(Schedule);

impl Decode for Period {
    const EXPECTS: &'static str = Duration::EXPECTS;

    fn schema() -> Value {
        Duration::schema()
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        let every = Duration::decode(node, decoder)?;
        let text = decoder.text::<Self>(node)?;
        if every < SHORTEST {
            let message = format!(
                "{} is {}, and is at least 1s",
                decoder.subject(),
                quoted(text)
            );
            let help = "a module that must know sooner subscribes to blocks or logs";
            decoder.report_with_help(node.span(), message, "too short", help);
            return None;
        }
        Schedule::every(text, every).map(Self)
    }
}

impl Decode for Missed {
    const EXPECTS: &'static str = "\"skip\", \"once\" or \"all\"";

    fn schema() -> Value {
        json!({ "type": "string", "enum": ["skip", "once", "all"] })
    }

    fn decode(node: &Node<'_>, decoder: &mut Decoder) -> Option<Self> {
        let text = decoder.text::<Self>(node)?;
        let index = decoder.name(node, text, &["skip", "once", "all"])?;
        Some([Self::Skip, Self::Once, Self::All][index])
    }
}

impl Written for Missed {
    fn written(&self) -> Value {
        match self {
            Self::Skip => json!("skip"),
            Self::Once => json!("once"),
            Self::All => json!("all"),
        }
    }
}
