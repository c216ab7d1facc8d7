//! Whatever the disk does, what is found afterwards is one committed state, whole, with the
//! cursor that was committed with it, and never older than what was durable.

use std::{io::ErrorKind, time::Duration};

use nexum_manifest::Durability;
use nexum_store::StoreError;
use nexum_types::{StateBackend, WriteSet};
use proptest::{collection::vec, option, prelude::*};

use crate::{
    disk::Fault,
    world::{SOURCE, Step, World, Write, cursor},
};

const INTERVAL: Durability = Durability::Interval(Duration::from_secs(1));

/// A worker's day: every kind of step, small values and some that spill out of the cache.
fn script() -> Vec<Step> {
    vec![
        Step::Call(vec![(1, Some(10)), (2, Some(5_000))]),
        Step::QuietCall,
        Step::Call(vec![(1, Some(20)), (3, Some(90_000)), (2, None)]),
        Step::FailedCall(vec![(1, None), (4, Some(30))]),
        Step::CheckpointThenFail(vec![(4, Some(40))], vec![(1, Some(50))]),
        Step::Effect,
        Step::Effect,
        Step::Call(vec![(1, Some(70))]),
        Step::Effect,
        Step::Park,
        Step::QuietCall,
        Step::Flush,
        Step::Park,
        Step::DropLetter,
        Step::Call(vec![(3, None), (5, Some(300_000))]),
        Step::Restart,
        Step::Call(vec![(1, Some(60)), (5, None)]),
        Step::Call(vec![(6, Some(3_000))]),
    ]
}

/// Runs the script until the first failure. Answers whether there was one.
fn run(world: &mut World) -> bool {
    for step in script() {
        if world.step(&step).is_err() {
            return true;
        }
        // A write that is worth nothing may fail without notice; a power cut is noticed here.
        if world.disk.is_off() {
            return true;
        }
    }
    false
}

fn changes_of_a_run(durability: Durability) -> u64 {
    let mut world = World::new(durability);
    let before = world.disk.changes();
    assert!(!run(&mut world));
    world.check().unwrap();
    world.disk.changes() - before
}

#[test]
fn power_may_be_cut_at_any_operation() {
    for durability in [Durability::Event, INTERVAL] {
        for at in 0..changes_of_a_run(durability) {
            for seed in 0..4 {
                let mut world = World::new(durability);
                world.disk.fail_after(at, Fault::PowerCut);
                run(&mut world);
                let again = (seed % 2 == 1).then_some(at % 7);
                world.power_cut(at * 31 + seed, again);
                assert!(!run(&mut world), "the store works on after recovery");
                world.check().unwrap();
            }
        }
    }
}

#[test]
fn any_operation_may_fail() {
    for durability in [Durability::Event, INTERVAL] {
        for at in 0..changes_of_a_run(durability) {
            for kind in [ErrorKind::Other, ErrorKind::StorageFull] {
                for (restarts, power_goes_too) in [(true, false), (false, true), (true, true)] {
                    let mut world = World::new(durability);
                    world.disk.fail_after(at, Fault::Error(kind));
                    run(&mut world);
                    if restarts {
                        world.recover();
                    }
                    if power_goes_too {
                        world.power_cut(at, None);
                    }
                    assert!(!run(&mut world), "the store works on after recovery");
                    world.check().unwrap();
                }
            }
        }
    }
}

#[test]
fn a_failed_commit_changes_nothing_in_memory_and_stops_the_store() {
    let mut world = World::new(Durability::Event);
    world.step(&Step::Call(vec![(1, Some(10))])).unwrap();
    world.step(&Step::QuietCall).unwrap();
    let (used, at) = (world.store().used_bytes(), world.store().cursor(&SOURCE));
    assert_eq!(at, Some(cursor(2)));

    world.disk.fail_after(0, Fault::Error(ErrorKind::Other));
    let store = world.store();
    let mut writes = WriteSet::over(used);
    writes.set("key/2", vec![0; 100], None);
    let error = store
        .commit(&writes, Some((SOURCE, cursor(3)).into()))
        .unwrap_err();
    assert!(matches!(error, StoreError::Io { .. }), "{error}");
    assert_eq!((store.used_bytes(), store.cursor(&SOURCE)), (used, at));

    assert!(store.is_stopped());
    let error = store
        .commit(&writes, Some((SOURCE, cursor(3)).into()))
        .unwrap_err();
    assert!(matches!(error, StoreError::NeedsReopen { .. }), "{error}");
    assert!(matches!(store.flush(), Err(StoreError::NeedsReopen { .. })));
    assert!(
        store.snapshot().is_err(),
        "nobody reads a state that may not be there"
    );
}

#[test]
fn a_full_disk_is_told_as_such_and_loses_nothing() {
    let mut world = World::new(Durability::Event);
    world.step(&Step::Call(vec![(1, Some(10))])).unwrap();

    world.disk.fill_up();
    let grows = Step::Call(vec![(2, Some(1_000_000)), (3, Some(1_000_000))]);
    let mut outcome = Ok(());
    for _ in 0..50 {
        outcome = world.step(&grows);
        if outcome.is_err() {
            break;
        }
    }
    let error = outcome.unwrap_err();
    assert!(
        matches!(error.downcast_ref(), Some(StoreError::DiskFull { .. })),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .contains("no space left to write simulated.redb"),
        "{error}"
    );

    world.recover();
    world.check().unwrap();
    world.step(&grows).unwrap();
    world.check().unwrap();
}

#[test]
fn without_a_flush_state_and_cursor_go_back_together() {
    let mut world = World::new(INTERVAL);
    world.step(&Step::Call(vec![(1, Some(10))])).unwrap();
    world.step(&Step::Flush).unwrap();
    world
        .step(&Step::Call(vec![(1, Some(20)), (2, Some(30))]))
        .unwrap();
    assert!(world.store().is_dirty());
    world.power_cut(0, None);
    assert_eq!(world.store().cursor(&SOURCE), Some(cursor(1)));
    assert_eq!(world.store().used_bytes(), 15);
}

fn writes() -> impl Strategy<Value = Vec<Write>> {
    let len = prop_oneof![
        6 => 0..200_u32,
        3 => 200..9_000_u32,
        1 => 9_000..200_000_u32,
    ];
    vec((0..12_u8, option::weighted(0.75, len)), 0..6)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => writes().prop_map(Step::Call),
        1 => writes().prop_map(Step::FailedCall),
        2 => (writes(), writes()).prop_map(|(first, then)| Step::CheckpointThenFail(first, then)),
        2 => Just(Step::QuietCall),
        2 => Just(Step::Effect),
        2 => Just(Step::Park),
        1 => Just(Step::DropLetter),
        2 => Just(Step::Flush),
        1 => Just(Step::Restart),
    ]
}

/// How a stretch of steps ends.
#[derive(Debug, Clone, Copy)]
struct Trouble {
    /// The changing operation that meets it, if the stretch has so many.
    at: u64,
    /// An error of the disk instead of a power cut.
    error: Option<ErrorKind>,
    /// What of the unsynced changes survives.
    seed: u64,
    /// A second power cut, while the store opens.
    again: Option<u64>,
}

fn trouble() -> impl Strategy<Value = Trouble> {
    let error = prop_oneof![Just(ErrorKind::Other), Just(ErrorKind::QuotaExceeded)];
    (
        0..60_u64,
        option::weighted(0.25, error),
        any::<u64>(),
        option::weighted(0.25, 0..10_u64),
    )
        .prop_map(|(at, error, seed, again)| Trouble {
            at,
            error,
            seed,
            again,
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_store_agrees_with_its_model_through_any_trouble(
        durability in prop_oneof![Just(Durability::Event), Just(INTERVAL)],
        stretches in vec((vec(step(), 1..10), trouble()), 1..6),
    ) {
        let mut world = World::new(durability);
        for (steps, trouble) in stretches {
            let fault = trouble.error.map_or(Fault::PowerCut, Fault::Error);
            world.disk.fail_after(trouble.at, fault);
            let failed = steps.iter().any(|step| {
                world.step(step).and_then(|()| world.check()).is_err() || world.disk.is_off()
            });
            if failed && trouble.error.is_some() && trouble.again.is_none() {
                world.recover();
            } else {
                // At the latest the power goes between two steps.
                world.power_cut(trouble.seed, trouble.again);
            }
            world.check().unwrap();
        }
    }
}
