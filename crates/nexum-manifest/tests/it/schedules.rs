//! `[[subscription]]` of the kind "cron": what an author can ask for, and what is refused.

use nexum_manifest::{Missed, Subscription};

use crate::{
    check::{MODULE, check_module},
    subscriptions::subscriptions,
};

/// The problems of a schedule with these lines; the first of them is line 10.
#[track_caller]
fn check_cron(lines: &str, report: &str) {
    check_module(
        &format!("{MODULE}[[subscription]]\nkind = \"cron\"\n{lines}\n"),
        report,
    );
}

#[test]
fn every_key_is_taken() {
    let text = r#"
        [[subscription]]
        kind = "cron"
        schedule = "0 9 * * MON-FRI"
        timezone = "Europe/Zurich"
        missed = "all"

        [[subscription]]
        kind = "cron"
        schedule = "30 */5 * * * *"
        timezone = "UTC"
        missed = "skip"

        [[subscription]]
        kind = "cron"
        every = "90s"
        "#;
    let all: Vec<_> = subscriptions(text)
        .into_iter()
        .map(|subscription| match subscription {
            Subscription::Cron(cron) => (cron.schedule.text().to_owned(), cron.missed),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        all,
        [
            ("0 9 * * MON-FRI Europe/Zurich".to_owned(), Missed::All),
            ("30 */5 * * * *".to_owned(), Missed::Skip),
            ("90s".to_owned(), Missed::Once),
        ]
    );
}

#[test]
fn a_schedule_is_one_of_two_forms() {
    check_cron(
        "",
        r#"
nexum.toml:8:1: `subscription` has no schedule
  help: write one, such as `schedule = "*/5 * * * *"` or `every = "30s"`
"#,
    );
    check_cron(
        "schedule = \"* * * * *\"\nevery = \"5m\"",
        r"
nexum.toml:11:9: `subscription` has both `schedule` and `every`
  help: take one out, and write another subscription for it if both are meant
",
    );
    check_cron(
        "every = \"5m\"\ntimezone = \"UTC\"",
        r"
nexum.toml:11:12: `subscription.timezone` needs `schedule`
  help: take it out: `every` is the same in all time zones
",
    );
    check_cron(
        "every = \"500ms\"",
        r#"
nexum.toml:10:9: `subscription.every` is "500ms", and is at least 1s
  help: a module that must know sooner subscribes to blocks or logs
"#,
    );
}

#[test]
fn what_is_no_schedule_is_told_with_its_place() {
    check_cron(
        "schedule = \"61 * * * *\"",
        r#"
nexum.toml:10:12: `subscription.schedule` is "61 * * * *", which is no cron expression: number out of bounds
  help: write five fields, or six with seconds: `*/5 * * * *` is every five minutes
"#,
    );
    check_cron(
        "schedule = \"0 0 31 2 *\"",
        r#"
nexum.toml:10:12: `subscription.schedule` is "0 0 31 2 *", which is no cron expression: no day is like that
  help: write five fields, or six with seconds: `*/5 * * * *` is every five minutes
"#,
    );
    check_cron(
        "schedule = \"0 9 * * *\"\ntimezone = \"Europe/Zurch\"\nmissed = \"most\"",
        r#"
nexum.toml:11:12: `subscription.timezone` is "Europe/Zurch", which is no time zone
  help: did you mean "Europe/Zurich"?
nexum.toml:12:10: `subscription.missed` does not take "most"
  help: it takes one of "skip", "once", "all"
"#,
    );
    check_cron(
        "schedule = \"* * * * *\"\nchain_id = 1",
        r"
nexum.toml:11:1: unknown key `chain_id` in `subscription`
  help: the keys here are `kind`, `schedule`, `timezone`, `every`, `missed`
",
    );
}

#[test]
fn no_schedule_stands_there_twice() {
    check_cron(
        "every = \"5m\"\n[[subscription]]\nkind = \"cron\"\nevery = \"5m\"\nmissed = \"all\"",
        r"
nexum.toml:13:9: two subscriptions have the same schedule
  nexum.toml:10:9: first here
  help: take one out
",
    );
}
