//! Ticks: each comes once, in order, with what is written for it, and what was missed follows the
//! manifest. The clock is the test's own, but for one test of the machine's.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use nexum_engine::{Phase, UpgradeRequest};
use nexum_host::Clock;
use nexum_testkit::RpcServer;
use nexum_types::{BoxFuture, Cursor, ScheduleId, Source};
use tokio::sync::watch;

use crate::world::{Module, Running, Via, World, name, server};

/// 2026-01-01T00:00:00Z, in seconds.
const BEGINNING: u64 = 1_767_225_600;

/// A clock that goes when it is told to.
#[derive(Debug)]
struct HandClock {
    began: Instant,
    now: watch::Sender<Duration>,
}

impl HandClock {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            began: Instant::now(),
            now: watch::Sender::new(Duration::from_secs(BEGINNING)),
        })
    }

    /// So many seconds after the beginning.
    fn set(&self, seconds: u64) {
        let now = Duration::from_secs(BEGINNING + seconds);
        self.now.send_replace(now);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Duration {
        *self.now.borrow()
    }

    fn monotonic(&self) -> Duration {
        self.began.elapsed()
    }

    fn reaches(&self, at: Duration) -> BoxFuture<'_, ()> {
        let mut now = self.now.subscribe();
        Box::pin(async move {
            now.wait_for(|now| *now >= at).await.unwrap();
        })
    }
}

/// A module with one schedule and nothing else.
fn ticks(lines: &str) -> Module {
    Module::fixture("ticks").without_blocks().cron(lines)
}

/// A world of that module alone on a clock of its own, and a node that it does not need.
async fn world_of(module: Module) -> (RpcServer, Arc<HandClock>, World) {
    let server = server(1).await;
    let clock = HandClock::new();
    let world = World::over(&server, Via::Ws)
        .impatient()
        .at(Arc::clone(&clock) as _)
        .module(module);
    (server, clock, world)
}

/// Waits until the schedule is done up to so many seconds after the beginning.
async fn done(engine: &Running, schedule: &str, seconds: u64) {
    let source = Source::Schedule(ScheduleId::of(schedule));
    let at_ms = (BEGINNING + seconds) * 1000;
    let what = format!("{schedule} is done up to {seconds} s");
    engine
        .until("ticks", &what, |status| {
            matches!(status.cursors.get(&source), Some(Cursor::Tick(done_ms)) if *done_ms >= at_ms)
        })
        .await;
}

/// The ticks that were counted: so many seconds after the beginning each, and how often it came.
fn counted(world: &World, schedule: &str) -> Vec<(u64, u64)> {
    let state = world.state("ticks");
    let keys = state.keys("tick/").into_iter();
    let of_schedule = keys.filter_map(|key| {
        let due_ms: u64 = key.strip_prefix("tick/")?[..20].parse().unwrap();
        let is_of_it = key.ends_with(&format!("/{schedule}"));
        is_of_it.then(|| (due_ms / 1000 - BEGINNING, state.number(&key).unwrap()))
    });
    of_schedule.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_tick_comes_once_beside_the_blocks_and_over_a_crash() {
    let server = server(3).await;
    let clock = HandClock::new();
    let module = Module::fixture("ticks")
        .cron("every = \"10s\"\nmissed = \"all\"")
        .cron("schedule = \"* * * * *\"\ntimezone = \"Europe/Zurich\"\nmissed = \"all\"");
    let world = World::over(&server, Via::Ws)
        .at(Arc::clone(&clock) as _)
        .module(module);
    let engine = world.start().await;
    engine.reaches("ticks", 3).await;
    clock.set(35);
    done(&engine, "10s", 30).await;
    engine.crash();
    drop(world.state_after_crash("ticks").await);

    clock.set(62);
    let engine = world.start().await;
    server.chain().mine(1);
    engine.reaches("ticks", 4).await;
    done(&engine, "10s", 60).await;
    done(&engine, "* * * * * Europe/Zurich", 60).await;
    engine.stop().await;
    let once = |seconds: &[u64]| seconds.iter().map(|at| (*at, 1)).collect::<Vec<_>>();
    assert_eq!(counted(&world, "10s"), once(&[10, 20, 30, 40, 50, 60]));
    assert_eq!(counted(&world, "* * * * * Europe/Zurich"), once(&[60]));
    let blocks = world.state("ticks").keys("block/");
    assert_eq!(blocks.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_missed_while_the_engine_was_down_is_as_the_manifest_says() {
    for (missed, came, left_out) in [
        ("skip", vec![10, 50], 3),
        ("once", vec![10, 40, 50], 2),
        ("all", vec![10, 20, 30, 40, 50], 0),
    ] {
        let module = ticks(&format!("every = \"10s\"\nmissed = \"{missed}\""));
        let (_server, clock, world) = world_of(module).await;
        let engine = world.start().await;
        engine.runs("ticks").await;
        clock.set(10);
        done(&engine, "10s", 10).await;
        engine.stop().await;

        clock.set(45);
        let engine = world.start().await;
        done(&engine, "10s", 40).await;
        clock.set(50);
        done(&engine, "10s", 50).await;
        assert_eq!(engine.status("ticks").missed, left_out, "{missed}");
        engine.stop().await;
        let came: Vec<_> = came.into_iter().map(|at| (at, 1)).collect();
        assert_eq!(counted(&world, "10s"), came, "{missed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_that_never_came_due_is_remembered_from_when_it_began() {
    let (_server, clock, world) = world_of(ticks("schedule = \"0 0 * * *\"")).await;
    let engine = world.start().await;
    engine.runs("ticks").await;
    engine.crash();
    drop(world.state_after_crash("ticks").await);
    // A day later, and again before its next time.
    clock.set(30 * 3600);
    let engine = world.start().await;
    done(&engine, "0 0 * * *", 24 * 3600).await;
    engine.stop().await;
    assert_eq!(counted(&world, "0 0 * * *"), [(24 * 3600, 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tick_that_fails_comes_again_and_is_parked_in_the_end() {
    let module = ticks("every = \"10s\"\nmissed = \"all\"")
        .config("fails = 20")
        .restarted("max_consecutive_failures = 2\non_failure = \"dead-letter\"");
    let (_server, clock, world) = world_of(module).await;
    let engine = world.start().await;
    engine.runs("ticks").await;
    clock.set(30);
    done(&engine, "10s", 30).await;
    let status = engine.status("ticks");
    assert_eq!((status.failed, status.letters), (2, 1));
    let letters = engine
        .operator()
        .dead_letters(&name("ticks"))
        .await
        .unwrap();
    let (_, letter) = letters.first().unwrap();
    assert_eq!(letter.source, Source::Schedule(ScheduleId::of("10s")));
    assert!(letter.error.contains("trapped"), "{}", letter.error);

    // It is given once more to a version that takes it.
    let healed = ticks("every = \"10s\"\nmissed = \"all\"");
    world.bundle(&healed, "ticks");
    let request = UpgradeRequest::default();
    let upgraded = engine.operator().upgrade(&name("ticks"), request).await;
    upgraded.unwrap();
    let ticks_name = name("ticks");
    let ordered = engine.operator().order_letters(&ticks_name, true, vec![]);
    assert_eq!(ordered.await.unwrap(), 1);
    engine
        .until("ticks", "no letter is left", |status| status.letters == 0)
        .await;
    engine.stop().await;
    assert_eq!(counted(&world, "10s"), [(10, 1), (20, 1), (30, 1)]);
}

/// A tick that has failed is the one that comes, though later ones are due by then: to another
/// version, and in another engine.
#[tokio::test(flavor = "multi_thread")]
async fn a_tick_that_has_begun_comes_again_over_an_upgrade_and_a_restart() {
    for missed in ["skip", "once"] {
        for over_a_restart in [false, true] {
            let lines = format!("every = \"10s\"\nmissed = \"{missed}\"");
            let module = ticks(&lines)
                .config("fails = 20")
                .restarted("max_consecutive_failures = 1");
            let (_server, clock, world) = world_of(module).await;
            let engine = world.start().await;
            engine.runs("ticks").await;
            clock.set(10);
            done(&engine, "10s", 10).await;
            clock.set(20);
            engine.is("ticks", Phase::Dead).await;
            clock.set(45);
            world.bundle(&ticks(&lines), "ticks");
            let engine = if over_a_restart {
                engine.stop().await;
                world.start().await
            } else {
                let request = UpgradeRequest::default();
                let upgraded = engine.operator().upgrade(&name("ticks"), request).await;
                upgraded.unwrap();
                engine
            };
            done(&engine, "10s", 40).await;
            engine.stop().await;
            let came = counted(&world, "10s");
            // To an engine that was not there at 40 seconds that tick is missed.
            let last = (missed != "skip" || !over_a_restart).then_some((40, 1));
            let expected: Vec<_> = [(10, 1), (20, 1)].into_iter().chain(last).collect();
            assert_eq!(came, expected, "{missed}, {over_a_restart}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_with_another_schedule_begins_with_it_anew() {
    let (_server, clock, world) = world_of(ticks("every = \"10s\"")).await;
    let engine = world.start().await;
    engine.runs("ticks").await;
    clock.set(25);
    done(&engine, "10s", 20).await;
    world.bundle(&ticks("every = \"7s\""), "ticks");
    let request = UpgradeRequest::default();
    let upgraded = engine.operator().upgrade(&name("ticks"), request).await;
    upgraded.unwrap();
    let sources: Vec<_> = engine.status("ticks").cursors.into_keys().collect();
    assert_eq!(sources, [Source::Schedule(ScheduleId::of("7s"))]);
    clock.set(33);
    // A multiple of seven seconds since 1970, and the only one since the upgrade.
    let due = (BEGINNING + 33) / 7 * 7 - BEGINNING;
    assert!(due > 25, "{due}");
    done(&engine, "7s", due).await;
    engine.stop().await;
    assert_eq!(counted(&world, "7s"), [(due, 1)]);
    assert_eq!(counted(&world, "10s"), [(20, 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_machines_own_clock_is_followed() {
    let server = server(1).await;
    let world = World::over(&server, Via::Ws).module(ticks("every = \"1s\"\nmissed = \"all\""));
    let engine = world.start().await;
    engine.delivered("ticks", 2).await;
    engine.stop().await;
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_millis();
    let keys = world.state("ticks").keys("tick/");
    let due: Vec<u128> = keys.iter().map(|key| key[5..25].parse().unwrap()).collect();
    assert!(due.len() >= 2, "{due:?}");
    assert!(due.iter().all(|due| due % 1000 == 0 && *due <= now));
    assert!(
        due.windows(2).all(|pair| pair[1] - pair[0] == 1000),
        "{due:?}"
    );
}
