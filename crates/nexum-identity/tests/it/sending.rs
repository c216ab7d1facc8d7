//! The way of a transaction to a chain that refuses, is silent, changes its mind, or counts what there
//! is not.

use std::sync::Arc;

use nexum_types::{Fate, HostErrorKind, SentTransaction, TransactionLedger as _};

use crate::outside::{Disk, Engine, Mood, Outside, kind};

#[tokio::test(start_paused = true)]
async fn what_nobody_answers_to_is_sent_and_is_the_same_after_a_restart() {
    let outside = Arc::new(Outside::default());
    outside.is(Mood::Silent);
    let first = Engine::start(&outside).send(1, 0, 5).await.unwrap();
    outside.is(Mood::Takes);
    let engine = Engine::start(&outside);
    assert_eq!(engine.send(1, 0, 5).await, Ok(first));
    assert_eq!(outside.given(), [first, first]);
    // Something else in its place, and what is another one.
    let other = engine.send(1, 0, 6).await;
    assert_eq!(kind(&other), Some(HostErrorKind::InvalidInput));
    assert_eq!(other.unwrap_err().data, Some(first.to_string()));
    let second = engine.send(1, 1, 6).await.unwrap();
    let nonces: Vec<_> = outside.on_disk().iter().map(|it| it.nonce).collect();
    assert_eq!(nonces, [0, 1]);
    assert_ne!(first, second);
}

#[tokio::test(start_paused = true)]
async fn the_nonce_of_what_is_refused_is_given_to_one_that_can_land_alone() {
    let outside = Arc::new(Outside::default());
    let engine = Engine::start(&outside);
    outside.is(Mood::Refuses);
    let refused = engine.send(1, 0, 5).await;
    assert_eq!(refused.unwrap_err().code, -32000);
    assert_eq!(outside.on_disk()[0].fate, Fate::Refused);
    // The same call makes it anew in its own place, be it another transaction.
    outside.is(Mood::Takes);
    let anew = engine.send(1, 0, 6).await.unwrap();
    assert_eq!(outside.on_disk()[1].nonce, 0);
    // The first one turns up after all, and lands: which of the two it was is what counts.
    let first = outside.on_disk()[0].hash;
    let mut landed = outside.on_disk()[0].clone();
    landed.fate = Fate::Landed {
        block: 1,
        reverted: false,
    };
    let replaced = SentTransaction {
        fate: Fate::Replaced,
        is_final: true,
        ..outside.on_disk()[1].clone()
    };
    Disk(Arc::clone(&outside))
        .change(&[landed, replaced], &[])
        .unwrap();
    let engine = Engine::start(&outside);
    assert_eq!(engine.send(1, 0, 5).await, Ok(first));
    assert_ne!(first, anew);
    assert_eq!(outside.on_disk().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_call_waits_while_its_refused_transaction_could_still_land() {
    let outside = Arc::new(Outside::default());
    let engine = Engine::start(&outside);
    outside.is(Mood::Refuses);
    engine.send(1, 0, 5).await.unwrap_err();
    // Another call has the nonce now.
    outside.is(Mood::Takes);
    engine.send(2, 0, 5).await.unwrap();
    let [first, second] = &outside.on_disk()[..] else {
        panic!("{:?}", outside.on_disk())
    };
    assert_eq!(second.nonce, 0);
    assert_ne!(
        first.hash, second.hash,
        "each call has a transaction of its own"
    );
    let waits = engine.send(1, 0, 5).await;
    assert_eq!(kind(&waits), Some(HostErrorKind::Unavailable));
    // That it has landed is not enough: a reorg could take it back.
    outside.counts(1, 1);
    let waits = engine.send(1, 0, 5).await;
    assert_eq!(kind(&waits), Some(HostErrorKind::Unavailable));
    // A node that lags behind may still have it: it cannot land any more, where the other has.
    let hash = outside.on_disk()[0].hash;
    outside.knows(hash);
    let waits = engine.send(1, 0, 5).await;
    assert_eq!(kind(&waits), Some(HostErrorKind::Unavailable));
    assert_eq!(outside.on_disk().len(), 2);
    outside.forgets(hash);
    // What was refused for good, and is known to nobody, is made anew.
    let refused = SentTransaction {
        fate: Fate::Refused,
        is_final: true,
        ..outside.on_disk()[0].clone()
    };
    Disk(Arc::clone(&outside)).change(&[refused], &[]).unwrap();
    let engine = Engine::start(&outside);
    engine.send(1, 0, 5).await.unwrap();
    assert_eq!(outside.on_disk()[2].nonce, 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_refused_and_is_there_after_all_is_the_calls() {
    let outside = Arc::new(Outside::default());
    let engine = Engine::start(&outside);
    outside.is(Mood::Refuses);
    engine.send(1, 0, 5).await.unwrap_err();
    let hash = outside.on_disk()[0].hash;
    // The same again is the same one, handed over once more.
    engine.send(1, 0, 5).await.unwrap_err();
    assert_eq!(outside.given(), [hash, hash]);
    assert_eq!(outside.on_disk().len(), 1);
    outside.knows(hash);
    assert_eq!(engine.send(1, 0, 5).await, Ok(hash));
    assert_eq!(outside.on_disk()[0].fate, Fate::Pending);
    assert_eq!(outside.on_disk().len(), 1);
}

/// A node that refuses what it keeps cannot get more out of an account than a day's ceiling.
#[tokio::test(start_paused = true)]
async fn what_the_chain_says_frees_nothing_of_a_day() {
    let outside = Arc::new(Outside::default());
    let engine = Engine::start(&outside);
    outside.is(Mood::Refuses);
    // In one place at most one can land, however often it is tried.
    for _ in 0..5 {
        let refused = engine.send(1, 0, 10).await;
        assert_eq!(refused.unwrap_err().code, -32000);
    }
    // The node counts one more each time, so that each has a nonce of its own.
    for nonce in 1..=2 {
        outside.counts(nonce, nonce);
        let refused = engine.send(1 + nonce, 0, 10).await;
        let denied = refused.unwrap_err();
        let expected = match nonce {
            1 => HostErrorKind::Internal,
            _ => HostErrorKind::Denied,
        };
        assert_eq!(denied.kind, expected, "{denied}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_bounded_and_so_is_what_a_node_may_count() {
    let outside = Arc::new(Outside::default());
    let engine = Engine::start(&outside);
    outside.counts(0, 1_000_000);
    let absurd = engine.send(1, 0, 1).await;
    assert_eq!(kind(&absurd), Some(HostErrorKind::Unavailable));
    assert!(outside.on_disk().is_empty());
    // Those of a wallet's are left their nonces.
    outside.counts(0, 3);
    for call in 0..16 {
        engine.send(call, 0, 1).await.unwrap();
    }
    let nonces: Vec<_> = outside.on_disk().iter().map(|it| it.nonce).collect();
    assert_eq!(nonces, (3..19).collect::<Vec<_>>());
    let full = engine.send(16, 0, 1).await;
    assert_eq!(kind(&full), Some(HostErrorKind::RateLimited));
    assert_eq!(outside.on_disk().len(), 16);
}

/// A node that took it and says otherwise, behind one URL with one that has not heard of it yet.
#[tokio::test(start_paused = true)]
async fn what_a_second_look_finds_was_sent() {
    let outside = Arc::new(Outside::default());
    let engine = Engine::start(&outside);
    outside.is(Mood::TakesUnseen);
    let hash = engine.send(1, 0, 5).await.unwrap();
    assert_eq!(outside.on_disk()[0].fate, Fate::Pending);
    assert_eq!(outside.given(), [hash]);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_looked_for_counts_as_sent() {
    let outside = Arc::new(Outside::default());
    let engine = Engine::start(&outside);
    outside.is(Mood::RefusesAndIsGone);
    let hash = engine.send(1, 0, 5).await.unwrap();
    assert_eq!(outside.given(), [hash]);
    assert_eq!(outside.on_disk()[0].fate, Fate::Pending);
}

/// Given a disk that does not take it, then nobody is given the transaction, and no other is made
/// before a start has shown what the disk has.
#[tokio::test(start_paused = true)]
async fn what_the_disk_does_not_take_is_given_to_nobody() {
    let outside = Arc::new(Outside::default());
    let engine = Engine::start(&outside);
    outside.breaks_the_disk(true);
    let lost = engine.send(1, 0, 5).await;
    assert_eq!(kind(&lost), Some(HostErrorKind::Internal));
    outside.breaks_the_disk(false);
    let lost = engine.send(1, 0, 5).await;
    assert_eq!(kind(&lost), Some(HostErrorKind::Internal));
    assert!(outside.given().is_empty() && outside.on_disk().is_empty());
    Engine::start(&outside).send(1, 0, 5).await.unwrap();
    assert_eq!(outside.on_disk()[0].nonce, 0);
}
