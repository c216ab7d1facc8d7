//! What becomes of transactions over time: what a day counts, when one is gone for good, and when it
//! is forgotten.

use std::{sync::Arc, time::Duration};

use nexum_identity::Transaction;
use nexum_types::{CallId, Fate, HostErrorKind};

use crate::outside::{A_DAY, Engine, MAX_GAS, Mood, Outside, kind};

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const LANDED: Fate = Fate::Landed {
    block: 1,
    reverted: false,
};

/// Lets the engine look at what was sent, once.
async fn look(engine: &Engine) {
    // Whatever wakes it, the next look is half a second later.
    let ended = tokio::time::timeout(Duration::from_millis(400), engine.sender.tend()).await;
    assert!(ended.is_err(), "it goes on for as long as it is let");
}

#[tokio::test(start_paused = true)]
async fn a_day_counts_what_was_signed_within_it_and_what_can_land_yet() {
    let outside = Arc::new(Outside::default());
    let engine = Engine::start(&outside);
    for call in 0..A_DAY / 10 {
        engine.send(call, 0, 10).await.unwrap();
    }
    let next = engine.send(9, 0, 10).await;
    assert_eq!(kind(&next), Some(HostErrorKind::Denied));
    // Neither has landed, and both can.
    outside.passes(DAY + HOUR);
    let next = engine.send(9, 0, 10).await;
    assert_eq!(kind(&next), Some(HostErrorKind::Denied));
    outside.rewrite(|sent| {
        sent.fate = LANDED;
        sent.is_final = true;
    });
    Engine::start(&outside).send(9, 0, 10).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_was_refused_and_lands_later_counts_from_then_on() {
    let outside = Arc::new(Outside::default());
    let engine = Engine::start(&outside);
    outside.is(Mood::Refuses);
    engine.send(1, 0, 10).await.unwrap_err();
    outside.passes(DAY + HOUR);
    outside.is(Mood::Takes);
    engine.send(1, 0, 10).await.unwrap();
    let [sent] = &outside.on_disk()[..] else {
        panic!("{:?}", outside.on_disk())
    };
    assert_eq!(u128::from(sent.signed_ms), (DAY + HOUR).as_millis());
    // The same where nobody has asked for it again.
    outside.rewrite(|sent| {
        sent.fate = Fate::Refused;
        sent.signed_ms = 0;
    });
    let engine = Engine::start(&outside);
    look(&engine).await;
    let [sent] = &outside.on_disk()[..] else {
        panic!("{:?}", outside.on_disk())
    };
    assert_eq!(sent.fate, Fate::Pending);
    assert_eq!(u128::from(sent.signed_ms), (DAY + HOUR).as_millis());
}

#[tokio::test(start_paused = true)]
async fn one_look_alone_says_of_none_that_it_is_gone() {
    let outside = Arc::new(Outside::default());
    let engine = Engine::start(&outside);
    let hash = engine.send(1, 0, 1).await.unwrap();
    let fate = || {
        let sent = outside.on_disk().remove(0);
        (sent.fate, sent.is_final)
    };
    // Another has its nonce, says one node of two.
    outside.forgets(hash);
    outside.counts(1, 1);
    look(&engine).await;
    assert_eq!(fate(), (Fate::Pending, false));
    outside.knows(hash);
    look(&engine).await;
    outside.forgets(hash);
    look(&engine).await;
    assert_eq!(
        fate(),
        (Fate::Pending, false),
        "the first look is forgotten"
    );
    look(&engine).await;
    assert_eq!(fate(), (Fate::Replaced, false));
    // And for good, which takes two of its own. A node whose mind changes once is not enough.
    tokio::time::advance(Duration::from_secs(60)).await;
    look(&engine).await;
    assert_eq!(fate(), (Fate::Replaced, false));
    look(&engine).await;
    assert_eq!(fate(), (Fate::Replaced, true));
}

#[tokio::test(start_paused = true)]
async fn what_its_call_could_ask_for_again_is_not_forgotten() {
    let outside = Arc::new(Outside::default());
    let engine = Engine::start(&outside);
    for call in 1..=3 {
        engine.send(call, 0, 1).await.unwrap();
    }
    drop(engine);
    outside.rewrite(|sent| {
        sent.fate = LANDED;
        sent.is_final = true;
    });
    let engine = Engine::start(&outside);
    outside.passes(DAY + HOUR);
    look(&engine).await;
    assert_eq!(outside.on_disk().len(), 3);
    let call_of = |index: usize| -> CallId { outside.on_disk()[index].call };
    let (first, last) = (call_of(0), call_of(2));
    engine.sender.settled(first);
    engine.sender.settled(last);
    look(&engine).await;
    let kept: Vec<_> = outside.on_disk().iter().map(|sent| sent.id).collect();
    // The last one stays, so that no number is given twice.
    assert_eq!(kept, [2, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_module_that_is_refused_over_and_over_waits_and_holds_up_no_other() {
    let outside = Arc::new(Outside::default());
    let engine = Engine::start(&outside);
    outside.is(Mood::Refuses);
    for call in 0..16 {
        let refused = engine.send(call, 0, 1).await;
        assert_eq!(refused.unwrap_err().code, -32000);
    }
    let over = engine.send(16, 0, 1).await;
    assert_eq!(kind(&over), Some(HostErrorKind::RateLimited));
    let of_other = engine.send_by_other(100, 1).await;
    assert_eq!(of_other.unwrap_err().code, -32000);
    outside.passes(HOUR + Duration::from_secs(1));
    outside.is(Mood::Takes);
    engine.send(16, 0, 1).await.unwrap();
    let nonces: Vec<_> = outside.on_disk().iter().map(|sent| sent.nonce).collect();
    assert_eq!(nonces, [0; 18], "at most one of them can land");
}

#[tokio::test(start_paused = true)]
async fn gas_has_as_much_over_as_the_rule_leaves() {
    let outside = Arc::new(Outside::default());
    let engine = Engine::start(&outside);
    for (call, estimate, gas) in [
        (1, 21_000, Some(21_000)),
        (2, 50_000, Some(60_000)),
        (3, MAX_GAS - 1, Some(MAX_GAS)),
        (4, MAX_GAS, Some(MAX_GAS)),
        (5, MAX_GAS + 1, None),
    ] {
        outside.estimates(estimate);
        let sent = engine.send(call, 0, 1).await;
        let Some(gas) = gas else {
            assert_eq!(kind(&sent), Some(HostErrorKind::Denied));
            continue;
        };
        sent.unwrap();
        let raw = outside.on_disk().pop().unwrap().raw;
        let made = Transaction::of_signed(&raw).unwrap();
        assert_eq!(made.gas_limit(), gas, "estimated at {estimate}");
    }
}

/// Given a look that finds a block gone with what was in it, or none at all, then the next one is in
/// seconds, and not in the minute that is enough for what stays.
#[tokio::test(start_paused = true)]
async fn what_is_to_land_again_is_looked_at_soon() {
    let outside = Arc::new(Outside::default());
    let engine = Engine::start(&outside);
    let hash = engine.send(1, 0, 1).await.unwrap();
    drop(engine);
    let soon = async |engine: &Engine| {
        let soon = Duration::from_secs(6);
        let ended = tokio::time::timeout(soon, engine.sender.tend()).await;
        assert!(ended.is_err(), "it goes on for as long as it is let");
    };
    // The node knows it, in no block; and a second later it does not.
    outside.rewrite(|sent| sent.fate = LANDED);
    outside.knows(hash);
    outside.forgets_once_asked(hash);
    soon(&Engine::start(&outside)).await;
    assert_eq!(outside.on_disk()[0].fate, Fate::Pending);
    assert_eq!(outside.given(), [hash; 2], "it is handed over again");

    // A node that does not answer at first.
    outside.rewrite(|sent| sent.fate = LANDED);
    outside.forgets(hash);
    outside.does_not_answer_once();
    soon(&Engine::start(&outside)).await;
    assert_eq!(outside.given(), [hash; 3]);
}

/// Given one that a node refuses and keeps, and another call's with its nonce, when the first lands,
/// then the second was replaced by one of this engine's: which raises no alarm.
#[tokio::test(start_paused = true)]
async fn what_ours_has_replaced_is_not_counted_as_somebody_elses() {
    let outside = Arc::new(Outside::default());
    let engine = Engine::start(&outside);
    outside.is(Mood::Refuses);
    engine.send(1, 0, 1).await.unwrap_err();
    outside.is(Mood::Takes);
    let second = engine.send(2, 0, 1).await.unwrap();
    let [first, _] = &outside.on_disk()[..] else {
        panic!("{:?}", outside.on_disk())
    };
    // So that looks at what is to land come before one at all.
    look(&engine).await;
    outside.lands(first.hash);
    outside.forgets(second);
    outside.counts(1, 1);
    let looks = tokio::time::timeout(Duration::from_secs(9), engine.sender.tend()).await;
    assert!(looks.is_err(), "it goes on for as long as it is let");
    let fates: Vec<_> = outside.on_disk().iter().map(|sent| sent.fate).collect();
    assert_eq!(fates[1], Fate::Replaced);
    let tallies = engine.sender.tallies();
    assert_eq!(tallies.values().next().unwrap().replaced, 0);

    // And one that nobody here has sent.
    let third = engine.send(3, 0, 1).await.unwrap();
    outside.forgets(third);
    outside.counts(2, 2);
    let looks = tokio::time::timeout(Duration::from_secs(9), engine.sender.tend()).await;
    assert!(looks.is_err());
    let tallies = engine.sender.tallies();
    assert_eq!(tallies.values().next().unwrap().replaced, 1);
}

/// What has landed is asked for once a minute, however much is sent meanwhile.
#[tokio::test(start_paused = true)]
async fn a_send_makes_no_look_at_all_that_stays() {
    let outside = Arc::new(Outside::default());
    outside.settles_nothing();
    let engine = Engine::start(&outside);
    let first = engine.send(1, 0, 1).await.unwrap();
    outside.lands(first);
    outside.counts(1, 1);
    look(&engine).await;
    assert_eq!(outside.on_disk()[0].fate, LANDED);
    let tended = async {
        let ended = tokio::time::timeout(Duration::from_secs(50), engine.sender.tend()).await;
        assert!(ended.is_err(), "it goes on for as long as it is let");
    };
    let sends = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let asked = outside.asked_for(first);
        for call in 2..=9 {
            tokio::time::sleep(Duration::from_secs(5)).await;
            engine.send(call, 0, 1).await.unwrap();
        }
        assert_eq!(outside.asked_for(first), asked);
    };
    tokio::join!(tended, sends);
}
