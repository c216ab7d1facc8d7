//! Effects that must happen once.

use nexum_sdk::{
    Attempt, Event, HostError, Journal, JournalEntry, Tick, local_store, testing::Failure,
};

use crate::{bare, module};

const SENT: Journal<u64, String> = Journal::new("sent/");

fn tick(schedule: &str) -> Event {
    Event::Tick(Tick {
        fired_at: 0,
        schedule: schedule.into(),
    })
}

module!(Sender, |event| {
    let Event::Tick(tick) = event else {
        return Ok(());
    };
    local_store::set("before", b"1")?;
    match SENT.begin("a", &7)? {
        Attempt::New(intent) => {
            nexum_sdk::log::info!("new, noted {}", intent.noted());
            match tick.schedule.as_str() {
                "crash" => panic!("after the effect"),
                "fail" => return Err(HostError::unavailable("after the effect")),
                "abandon" => intent.abandon()?,
                _ => {
                    intent.done("landed".into())?;
                }
            }
        }
        Attempt::Unknown(intent) => {
            nexum_sdk::log::info!("unknown, noted {}", intent.noted());
            intent.done("found".into())?;
        }
        Attempt::Done(outcome) => nexum_sdk::log::info!("done, {outcome}"),
    }
    local_store::set("after", b"1")
});

fn told(first: &str) -> Vec<String> {
    let host = bare();
    let mut module = host.start::<Sender>().unwrap();
    let outcome = module.dispatch(tick(first));
    assert_eq!(
        outcome.is_err(),
        matches!(first, "crash" | "fail"),
        "{outcome:?}"
    );
    if outcome.is_err() {
        assert!(
            host.state("before").is_some(),
            "what was written before the note stays with it"
        );
        assert_eq!(host.state("after"), None);
    }
    module.dispatch(tick("again")).unwrap();
    module.dispatch(tick("again")).unwrap();
    host.logs().into_iter().map(|line| line.message).collect()
}

#[test]
fn an_effect_whose_outcome_was_noted_is_done() {
    assert_eq!(
        told("good"),
        ["new, noted 7", "done, landed", "done, landed"]
    );
}

#[test]
fn an_effect_that_was_cut_off_is_unknown_until_it_is_reconciled() {
    for cut in ["crash", "fail"] {
        assert_eq!(
            told(cut),
            ["new, noted 7", "unknown, noted 7", "done, found"]
        );
    }
}

#[test]
fn an_effect_that_was_given_up_is_new_again() {
    assert_eq!(
        told("abandon"),
        ["new, noted 7", "new, noted 7", "done, landed"]
    );
}

#[test]
fn the_ids_are_listed_and_can_be_forgotten() {
    let host = bare();
    host.enter(|| {
        let Attempt::New(intent) = SENT.begin("b", &1).unwrap() else {
            panic!("nobody has tried it");
        };
        intent.done("x".into()).unwrap();
        assert_eq!(SENT.ids().unwrap(), ["b"]);
        SENT.forget("b").unwrap();
        assert_eq!(SENT.ids().unwrap(), [""; 0]);
        assert!(matches!(SENT.begin("b", &1).unwrap(), Attempt::New(_)));
    });
}

#[test]
fn a_panic_is_told_as_one() {
    let host = bare();
    let mut module = host.start::<Sender>().unwrap();
    let Err(Failure::Panic(message)) = module.dispatch(tick("crash")) else {
        panic!("the handler panics");
    };
    assert_eq!(message, "after the effect");
}

/// The journal after an upgrade: what was a number is a text.
const UPGRADED: Journal<String, u64> =
    Journal::new("sent/").versioned(2, |stored| match stored.version() {
        1 => Ok(stored.decode::<JournalEntry<u64, String>>()?.map(
            |id| format!("order {id}"),
            |reference| reference.len() as u64,
        )),
        _ => Err(stored.unknown()),
    });

#[test]
fn an_upgrade_between_the_effect_and_its_outcome_reads_what_was_noted_before() {
    let host = bare();
    host.enter(|| {
        let Attempt::New(_cut_off) = SENT.begin("open", &7).unwrap() else {
            panic!("nobody has tried it");
        };
        let Attempt::New(intent) = SENT.begin("closed", &8).unwrap() else {
            panic!("nobody has tried it");
        };
        intent.done("landed".into()).unwrap();
    });
    host.enter(|| {
        let Attempt::Unknown(intent) = UPGRADED.begin("open", &"new".into()).unwrap() else {
            panic!("it was begun before the upgrade");
        };
        assert_eq!(intent.noted(), "order 7");
        assert_eq!(intent.done(5).unwrap(), 5);
        assert!(matches!(
            UPGRADED.begin("closed", &"new".into()).unwrap(),
            Attempt::Done(6)
        ));
    });
    host.enter(|| {
        let again = UPGRADED.begin("open", &"new".into()).unwrap();
        assert!(matches!(again, Attempt::Done(5)), "in today's version");
        let error = SENT.begin("open", &7).unwrap_err();
        assert!(error.message.contains("is of version 2"), "{error}");
    });
}
