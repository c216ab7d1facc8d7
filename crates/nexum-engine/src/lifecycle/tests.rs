use std::num::NonZeroU32;

use proptest::prelude::*;

use super::*;

const HAPPENINGS: [Happened; 13] = [
    Happened::Initialised,
    Happened::Delivered,
    Happened::InitFailed,
    Happened::EventFailed { attempts: 4 },
    Happened::StoreFailed,
    Happened::Parked,
    Happened::NoRoom,
    Happened::RetryFailed,
    Happened::Waited,
    Happened::Panicked,
    Happened::RestartAsked,
    Happened::Upgraded,
    Happened::StopAsked,
];

fn restart(most: u32, on_failure: OnFailure) -> Restart {
    Restart {
        max_consecutive_failures: NonZeroU32::new(most).unwrap(),
        on_failure,
    }
}

/// Given three failures so far, two of them of `init`, and an event that fails for the fourth
/// time.
#[test]
fn every_transition_is_as_drawn() {
    use {Happened::*, OnFailure::*, Phase::*};
    for (most, on_failure) in [(4, Retry), (5, Retry), (4, DeadLetter), (3, DeadLetter)] {
        for phase in Phase::ALL {
            for happened in HAPPENINGS {
                let before = Lifecycle {
                    phase,
                    failures: 3,
                    init_failures: 2,
                    setbacks: 6,
                };
                let expected = match (phase, happened, on_failure) {
                    (Stopped, ..) | (_, StopAsked, _) => (Stopped, 3, 2, 6),
                    (_, Panicked, _) => (Dead, 3, 2, 6),
                    (_, RestartAsked, _) | (Park, Parked, _) => (Init, 0, 0, 0),
                    (_, Upgraded, _) => (Run, 0, 0, 0),
                    (Init, Initialised, _) => (Run, 3, 0, 6),
                    (Init, InitFailed, Retry) if most == 4 => (Dead, 4, 3, 7),
                    (Init, InitFailed, DeadLetter) if most == 3 => (Dead, 4, 3, 7),
                    (Init, InitFailed, _) => (Backoff, 4, 3, 7),
                    (Run, EventFailed { .. }, Retry) if most == 4 => (Dead, 4, 2, 7),
                    (Run, EventFailed { .. }, Retry) => (Backoff, 4, 2, 7),
                    (Run, EventFailed { .. }, DeadLetter) => (Park, 4, 2, 7),
                    (Run, Delivered, _) => (Run, 0, 2, 0),
                    (Run, RetryFailed, _) => (Init, 3, 2, 6),
                    (Init | Run | Park, StoreFailed, _) => (Backoff, 3, 2, 7),
                    (Park, NoRoom, _) => (Dead, 3, 2, 6),
                    (Backoff, Waited, _) => (Init, 3, 2, 6),
                    (same, ..) => (same, 3, 2, 6),
                };
                let found = before.after(happened, restart(most, on_failure));
                let found = (
                    found.phase,
                    found.failures,
                    found.init_failures,
                    found.setbacks,
                );
                let what = format!("{phase:?} + {happened:?}, {on_failure:?} after {most}");
                assert_eq!(found, expected, "{what}");
            }
        }
    }
}

#[test]
fn an_event_that_must_not_be_parked_is_tried_again() {
    let run = Lifecycle {
        phase: Phase::Run,
        ..Lifecycle::START
    };
    let early = Happened::EventFailed { attempts: 0 };
    let after = run.after(early, restart(1, OnFailure::DeadLetter));
    assert_eq!(after.phase, Phase::Backoff);
}

/// A module that handles nothing: how it comes to its end.
fn failing(happened: Happened, restart: Restart) -> (Phase, u32) {
    let mut life = Lifecycle {
        phase: match happened {
            Happened::InitFailed => Phase::Init,
            _ => Phase::Run,
        },
        ..Lifecycle::START
    };
    let phase = life.phase;
    for failures in 1..1_000 {
        life = life.after(
            match happened {
                Happened::EventFailed { .. } => Happened::EventFailed { attempts: failures },
                other => other,
            },
            restart,
        );
        if life.phase != Phase::Backoff {
            return (life.phase, failures);
        }
        life.phase = phase;
    }
    (Phase::Backoff, 1_000)
}

proptest! {
    #[test]
    fn it_ends_after_just_as_many_failures_as_the_manifest_bears(
        most in 1..50_u32,
        parks in any::<bool>(),
    ) {
        let on_failure = if parks { OnFailure::DeadLetter } else { OnFailure::Retry };
        let restart = restart(most, on_failure);
        let last = if parks { Phase::Park } else { Phase::Dead };
        let event = Happened::EventFailed { attempts: 0 };
        prop_assert_eq!(failing(event, restart), (last, most));
        prop_assert_eq!(failing(Happened::InitFailed, restart), (Phase::Dead, most));
        // A disk that fails kills nobody.
        prop_assert_eq!(failing(Happened::StoreFailed, restart), (Phase::Backoff, 1_000));
    }

    #[test]
    fn whatever_happens(
        happenings in prop::collection::vec((0..HAPPENINGS.len(), 0..6_u32), 0..80),
        most in 1..6_u32,
        parks in any::<bool>(),
    ) {
        let on_failure = if parks { OnFailure::DeadLetter } else { OnFailure::Retry };
        let restart = restart(most, on_failure);
        let mut life = Lifecycle::START;
        for (index, attempts) in happenings {
            let happened = match HAPPENINGS[index] {
                Happened::EventFailed { .. } => Happened::EventFailed { attempts },
                other => other,
            };
            let before = life;
            life = life.after(happened, restart);
            // Events pass only behind an `init` that has succeeded.
            if life.phase == Phase::Run && before.phase != Phase::Run {
                let is_initialised = matches!(happened, Happened::Initialised | Happened::Upgraded);
                prop_assert!(is_initialised);
            }
            // The dead and the ended do not come back by themselves.
            if before.phase == Phase::Dead && life.phase != Phase::Dead {
                let is_asked = matches!(
                    happened,
                    Happened::RestartAsked | Happened::Upgraded | Happened::StopAsked
                );
                prop_assert!(is_asked);
            }
            if before.phase == Phase::Stopped {
                prop_assert_eq!(life, before);
            }
            // Nothing is parked but an event, and only where the manifest says so.
            if life.phase == Phase::Park && before.phase != Phase::Park {
                let is_event = matches!(happened, Happened::EventFailed { .. });
                prop_assert!(parks && is_event);
            }
            // A wait always has a failure before it.
            if life.phase == Phase::Backoff {
                prop_assert!(life.setbacks > 0);
            }
        }
    }
}

#[test]
fn the_bound_doubles_up_to_five_minutes() {
    let bound = |failures| Backoff::default().wait(failures, 1.0).as_secs();
    let bounds: Vec<_> = (1..=11).map(bound).collect();
    assert_eq!(bounds, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
    assert_eq!(bound(u32::MAX), 300);
}

#[test]
fn the_jitter_is_full() {
    let backoff = Backoff::default();
    assert_eq!(backoff.wait(3, 0.0), Duration::ZERO);
    assert_eq!(backoff.wait(3, 0.5), Duration::from_secs(2));
}
