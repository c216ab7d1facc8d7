//! The mock host as a host: transactions, grants, clock, randomness, log.

use std::time::Duration;

use nexum_sdk::{
    Block, Event, HostErrorKind, Module, clock, http, local_store, log, random,
    testing::{BEGINNING_MS, MockHost},
};

use crate::{Recorder, bare, module};

fn block(number: u64, timestamp: u64) -> Event {
    Event::Block(Block {
        chain_id: 1,
        number,
        hash: [1; 32].into(),
        parent_hash: [0; 32].into(),
        timestamp,
    })
}

module!(Checkpoints, |_| {
    local_store::set("kept", b"1")?;
    local_store::checkpoint()?;
    local_store::set("lost", b"1")?;
    assert_eq!(local_store::list_keys("")?, ["kept", "lost"]);
    Err(nexum_sdk::HostError::internal("on purpose"))
});

#[test]
fn a_checkpoint_survives_the_failure_of_its_call_and_nothing_else_does() {
    let host = bare();
    let mut module = host.start::<Checkpoints>().unwrap();
    assert!(module.dispatch(block(1, 0)).is_err());
    assert_eq!(host.state_keys(), ["kept"]);
}

#[test]
fn limits_are_those_of_the_engine() {
    bare().enter(|| {
        let long = "k".repeat(1025);
        let error = local_store::set(&long, b"").unwrap_err();
        assert_eq!(error.kind, HostErrorKind::InvalidInput);
        let error = local_store::set("k", &[0; 200]).unwrap_err();
        assert_eq!(error.kind, HostErrorKind::Denied);
        local_store::set("k", &[0; 199]).unwrap();
    });
}

#[test]
#[should_panic(expected = "add \"http\" to `required` or `optional` under [capabilities]")]
fn what_the_manifest_does_not_declare_is_not_there() {
    let host = MockHost::of(
        "[module]\nname = 'probe'\nversion = '0.1.0'\n[capabilities]\nrequired = ['logging']\n",
    );
    let _ = host.enter(|| http::get("https://example.org").send());
}

#[test]
#[should_panic(expected = "there is no host on this thread")]
fn without_a_host_nothing_answers() {
    let _ = clock::now_ms();
}

#[test]
#[should_panic(expected = "nexum.toml:3")]
fn a_manifest_with_problems_is_told_with_its_lines() {
    let _ = MockHost::of("[module]\nname = 'probe'\nversoin = '0.1.0'\n[capabilities]\n");
}

#[test]
fn the_clock_follows_the_events_and_never_goes_back() {
    let host = bare();
    assert_eq!(host.now_ms(), BEGINNING_MS);
    let mut module = host.start::<Recorder>().unwrap();
    module.dispatch(block(1, BEGINNING_MS + 5_000)).unwrap();
    module.dispatch(block(2, 1_000)).unwrap();
    assert_eq!(host.now_ms(), BEGINNING_MS + 5_000);
    host.advance(Duration::from_secs(1));
    host.enter(|| {
        assert_eq!(clock::now_ms(), BEGINNING_MS + 6_000);
        assert_eq!(clock::monotonic(), Duration::from_secs(6));
    });
}

#[test]
fn randomness_can_be_repeated_and_does_not_repeat_itself() {
    let drawn = || bare().enter(|| (random::bytes::<100_000>().to_vec(), random::u64()));
    let (first, second) = (drawn(), drawn());
    assert_eq!(first, second);
    assert_ne!(first.0[..32], first.0[32..64]);
}

#[test]
fn log_lines_are_kept_and_their_arguments_are_not_evaluated_below_the_level() {
    let host = bare();
    host.enter(|| {
        log::info!("one {}", 1);
        log::set_max_level(log::Level::Warn);
        log::info!("{}", unreachable());
        log::warn!("two");
        log::set_max_level(log::Level::Trace);
        log::trace!("three {three}", three = 3);
    });
    let lines: Vec<_> = host
        .logs()
        .into_iter()
        .map(|line| format!("{} {}", line.level, line.message))
        .collect();
    assert_eq!(lines, ["info one 1", "warn two", "trace three 3"]);
}

#[test]
fn the_level_is_of_one_instance_and_ends_with_it() {
    #[derive(Debug)]
    struct Terse;
    impl Module for Terse {
        type Instance = Self;

        fn init(_: nexum_sdk::module::Config) -> nexum_sdk::Result<Self> {
            log::info!("begun");
            Ok(Self)
        }
        fn on_event(_: &mut Self, event: Event) -> nexum_sdk::Result<()> {
            log::info!("an event");
            log::set_max_level(log::Level::Warn);
            match event {
                Event::Block(block) if block.number == 9 => {
                    Err(nexum_sdk::HostError::invalid_input("no"))
                }
                _ => Ok(()),
            }
        }
    }
    let (terse, other) = (bare(), bare());
    let mut module = terse.start::<Terse>().unwrap();
    module.dispatch(block(1, 0)).unwrap();
    module.dispatch(block(1, 0)).unwrap();
    assert_eq!(lines(&terse), ["begun", "an event"]);

    let mut beside = other.start::<Terse>().unwrap();
    beside.dispatch(block(1, 0)).unwrap();
    assert_eq!(lines(&other), ["begun", "an event"]);
    terse.enter(|| log::info!("a test's own"));
    module.dispatch(block(1, 0)).unwrap();
    assert_eq!(lines(&terse), ["begun", "an event", "a test's own"]);

    terse.forget();
    module.restart().unwrap();
    module.dispatch(block(1, 0)).unwrap();
    assert_eq!(lines(&terse), ["begun", "an event"], "after a restart");

    terse.forget();
    module.dispatch(block(9, 0)).unwrap_err();
    module.dispatch(block(1, 0)).unwrap();
    assert_eq!(lines(&terse), ["begun", "an event"], "after a failure");
}

fn lines(host: &MockHost) -> Vec<String> {
    host.logs().into_iter().map(|line| line.message).collect()
}

fn unreachable() -> u8 {
    panic!("nobody reads it")
}

#[test]
fn an_init_that_fails_keeps_nothing() {
    #[derive(Debug)]
    struct Fails;
    impl Module for Fails {
        type Instance = Self;

        fn init(_: nexum_sdk::module::Config) -> nexum_sdk::Result<Self> {
            local_store::set("k", b"")?;
            Err(nexum_sdk::HostError::invalid_input("no"))
        }
        fn on_event(_: &mut Self, _: Event) -> nexum_sdk::Result<()> {
            Ok(())
        }
    }
    let host = bare();
    assert!(host.start::<Fails>().is_err());
    assert_eq!(host.state_keys(), [""; 0]);
}
