//! Upgrades in place: which version they take, what they leave, and how they are taken back.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use nexum_engine::{LoadRequest, ModuleStatus, OperateError, Phase, UpgradeRequest};
use nexum_manifest::{Sha256, Start};
use nexum_types::{BlockNumber, ChainId, Cursor, Depth, Source};
use sha2::{Digest as _, Sha256 as Hasher};
use toml::Table;

use crate::{
    log,
    logs::{PINGS, PONGS, mine, ping},
    world::{CHAIN, Module, Running, Via, World, eventually, name, server, server_of},
};

async fn upgrade(engine: &Running, module: &str) -> Result<ModuleStatus, OperateError> {
    let operator = engine.operator();
    let request = UpgradeRequest::default();
    operator.upgrade(&name(module), request).await
}

async fn load(engine: &Running, path: &Path) {
    let request = LoadRequest {
        path: path.to_owned(),
        name: None,
        config: Table::new(),
        digest: None,
    };
    engine.operator().load(request).await.unwrap();
}

async fn upgrade_from(
    engine: &Running,
    module: &str,
    path: PathBuf,
) -> Result<ModuleStatus, OperateError> {
    let request = UpgradeRequest {
        path: Some(path),
        ..UpgradeRequest::default()
    };
    let operator = engine.operator();
    operator.upgrade(&name(module), request).await
}

/// The copies of bundles that there are.
fn copies(world: &World) -> usize {
    let bundles = world.state_dir().join("bundles");
    fs::read_dir(bundles).map_or(0, Iterator::count)
}

/// A module under this name whose state is of this version.
fn migrating(name: &str, version: u64) -> Module {
    Module::fixture("migrate")
        .named(name)
        .config(&format!("version = {version}"))
        .limited("max_event_duration = \"20m\"")
}

/// The message and the remedy of the one problem that an upgrade is refused with.
fn refusal(outcome: Result<ModuleStatus, OperateError>) -> (String, String) {
    match outcome {
        Err(OperateError::Refused(errors)) => {
            let [problem] = &errors.problems().collect::<Vec<_>>()[..] else {
                panic!("{errors}");
            };
            let remedy = problem.remedy().unwrap_or_default();
            (problem.message().to_owned(), remedy.to_owned())
        }
        other => panic!("{other:?}"),
    }
}

fn digest_of(world: &World, bundle: &str) -> Sha256 {
    let bytes = fs::read(world.component(bundle)).unwrap();
    Sha256(Hasher::digest(bytes).into())
}

/// Changes the operator's file while an engine runs that was started with it.
fn rewrite(world: &World, from: &str, to: &str) {
    let text = fs::read_to_string(world.engine_file()).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(world.engine_file(), text.replace(from, to)).unwrap();
}

/// Given a module that the engine's file pins: the file says by the time of an upgrade which bytes
/// it is to have, from where and with which values, and whether it is to run at all.
#[tokio::test(flavor = "multi_thread")]
async fn a_module_in_the_engines_file_is_upgraded_to_what_that_says_now() {
    let server = server(2).await;
    let world = World::over(&server, Via::Ws);
    let poison = Module::fixture("poison").restarted("max_consecutive_failures = 1");
    world.bundle(&poison, "poison");
    let first = digest_of(&world, "poison");
    let world = world.module(poison.entry(&format!("digest = \"sha256:{first}\"")));
    let engine = world.start().await;
    engine.delivered("poison", 2).await;

    // Other bytes need another pin, and are told where that goes.
    let other = Module::fixture("counter").named("poison");
    let bundle = world.bundle(&other, "other");
    let second = digest_of(&world, "other");
    fs::copy(bundle.join("module.wasm"), world.component("poison")).unwrap();
    let (message, remedy) = refusal(upgrade(&engine, "poison").await);
    assert!(message.contains("its entry is pinned to"), "{message}");
    let line = format!("digest = \"sha256:{second}\"");
    assert!(
        remedy.contains(&line) && !remedy.contains("--digest"),
        "{remedy}"
    );
    rewrite(&world, &first.to_string(), &second.to_string());
    assert_eq!(upgrade(&engine, "poison").await.unwrap().phase, Phase::Run);
    server.chain().mine(1);
    engine.delivered("poison", 3).await;

    // From another folder, without a pin, with a value of the operator's.
    world.bundle(&Module::fixture("poison"), "moved");
    rewrite(&world, "path = \"poison\"", "path = \"moved\"");
    rewrite(&world, &line, "config = { every = 5 }");
    upgrade(&engine, "poison").await.unwrap();
    server.chain().mine(2);
    let status = engine.until("poison", "block 5 fails", |status| status.failed > 0);
    assert_eq!(status.await.delivered, 4);
    rewrite(&world, "every = 5", "every = 0");
    upgrade(&engine, "poison").await.unwrap();
    engine.delivered("poison", 5).await;

    // The file has a problem that has nothing to do with the module: the old version goes on.
    rewrite(&world, "state_dir =", "state_drr = 1\nstate_dir =");
    let (message, _) = refusal(upgrade(&engine, "poison").await);
    assert!(message.contains("state_drr"), "{message}");
    rewrite(&world, "state_drr = 1\n", "");
    // It is not to run any more, or is another module's.
    rewrite(&world, "every = 0 }", "every = 0 }\nenabled = false");
    let (message, remedy) = refusal(upgrade(&engine, "poison").await);
    assert!(
        message.contains("does not run module poison any more"),
        "{message}"
    );
    assert!(remedy.contains("nexum module unload poison"), "{remedy}");
    rewrite(&world, "enabled = false", "");
    world.bundle(&Module::fixture("tally"), "moved");
    let (message, _) = refusal(upgrade(&engine, "poison").await);
    assert!(
        message.contains("of module tally now, not of poison"),
        "{message}"
    );
    server.chain().mine(1);
    engine.delivered("poison", 6).await;
    engine.stop().await;
}

/// Given a disk on which nothing can be written down: the new version does not take its place, and
/// what its `init` has made of the state is gone with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_cannot_be_kept_does_not_run() {
    let server = server(2).await;
    let world = World::over(&server, Via::Ws);
    let first = world.bundle(&migrating("kept", 1), "first");
    let second = world.bundle(&migrating("kept", 2), "second");
    let engine = world.start().await;
    load(&engine, &first).await;
    engine.delivered("kept", 2).await;

    let in_the_way = world.state_dir().join("loaded.toml.new");
    fs::create_dir(&in_the_way).unwrap();
    match upgrade_from(&engine, "kept", second.clone()).await {
        Err(OperateError::Failed(why)) => {
            assert!(why.contains("the old version goes on"), "{why}");
            assert!(why.contains("loaded.toml.new"), "{why}");
        }
        other => panic!("{other:?}"),
    }
    server.chain().mine(2);
    engine.delivered("kept", 4).await;
    assert_eq!(engine.stop().await.module("kept").failed, 0);
    assert_eq!(world.state("kept").number("version"), Some(1));
    assert_eq!(copies(&world), 1);

    let engine = world.start().await;
    server.chain().mine(1);
    engine.delivered("kept", 1).await;
    fs::remove_dir(&in_the_way).unwrap();
    upgrade_from(&engine, "kept", second).await.unwrap();
    engine.stop().await;
    let engine = world.start().await;
    server.chain().mine(1);
    engine.delivered("kept", 1).await;
    let status = engine.stop().await.module("kept");
    assert_eq!(status.failed, 0, "{:?}", status.last_error);
    assert_eq!(world.state("kept").number("version"), Some(2));
    assert_eq!(copies(&world), 1);
}

/// Given an engine that is stopped, or crashes, in the middle of an `init` of a new version: the
/// old one runs at the next start, on the state that it left.
#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_that_is_cut_off_has_not_been() {
    log::keep();
    let server = server(1).await;
    for (round, module) in ["cut-stop", "cut-crash"].into_iter().enumerate() {
        let world = World::over(&server, Via::Ws).grace("10ms");
        let first = world.bundle(&migrating(module, 1), "first");
        let slow = migrating(module, 2).config("millis = 600_000");
        let second = world.bundle(&slow, "second");
        let engine = world.start().await;
        load(&engine, &first).await;
        engine.delivered(module, 1).await;
        let operator = engine.operator().clone();
        let upgrade = tokio::spawn(async move {
            let request = UpgradeRequest {
                path: Some(second),
                ..UpgradeRequest::default()
            };
            operator.upgrade(&name(module), request).await
        });
        let began = |line: &log::Line| line.message == "migrating";
        eventually("its init runs", || {
            let lines = log::lines_of(module);
            (lines.iter().filter(|line| began(line)).count() == 2).then_some(())
        })
        .await;
        if round == 0 {
            engine.stop_in_grace().await;
        } else {
            engine.crash();
        }
        let outcome = upgrade.await.unwrap();
        assert!(
            matches!(outcome, Err(OperateError::Stopping)),
            "{outcome:?}"
        );
        drop(world.state_after_crash(module).await);

        let engine = world.start().await;
        server.chain().mine(1);
        engine.delivered(module, 1).await;
        assert_eq!(engine.stop_in_grace().await.module(module).failed, 0);
        assert_eq!(world.state(module).number("version"), Some(1));
        assert_eq!(copies(&world), 1);
    }
}

/// Given a module that stands still on one of two chains: a version that does not read that chain is
/// behind on none, whatever becomes of the chain.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_read_any_more_is_not_told_of() {
    let server = server(5).await;
    let gone = server_of(5, 20).await;
    let both = [
        (CHAIN, Start::Number(BlockNumber(1))),
        (5, Start::Number(BlockNumber(1))),
    ];
    let module = Module::fixture("noop").named("leaves");
    let world = World::over(&server, Via::Ws)
        .chain_of(5, &[&gone.ws_url()], "reorg_window = 4")
        .module(module.clone().subscribed(&both));
    let engine = world.start().await;
    let stands = |status: &ModuleStatus| {
        let reached = |(_, cursor): (_, &Cursor)| cursor.next_number().unwrap().0 > 5;
        status.cursors.len() == 2 && status.cursors.iter().all(reached)
    };
    engine.until("leaves", "it has come to both", stands).await;
    gone.chain().reorg(12).unwrap();
    gone.chain().mine(1);
    let stalled = |status: &ModuleStatus| status.stalled.is_some();
    engine.until("leaves", "it stands still", stalled).await;

    // As long as it reads the chain, another version stands still as well.
    upgrade(&engine, "leaves").await.unwrap();
    engine
        .until("leaves", "it stands still again", stalled)
        .await;
    world.bundle(&module, "leaves");
    let status = upgrade(&engine, "leaves").await.unwrap();
    let sources: Vec<_> = status.cursors.into_keys().collect();
    assert_eq!(sources, [Source::Chain(ChainId(CHAIN), Depth::Head)]);
    assert_eq!(status.stalled, None);
    gone.chain().mine(30);
    server.chain().mine(1);
    engine.reaches("leaves", 6).await;
    let health = engine.engine.health();
    let told = &health.modules[0];
    let chains: Vec<_> = told.lag.iter().map(|lag| lag.chain_id).collect();
    assert_eq!((chains, &told.stalled), (vec![CHAIN], &None));
    engine.stop().await;
}

/// Given a module that is in a call of many minutes: its upgrade waits for that, and an operator
/// who wants the module gone does not.
#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_that_waits_keeps_nobody_from_unloading_the_module() {
    log::keep();
    let server = server(1).await;
    let world = World::over(&server, Via::Ws).grace("10ms");
    let sleeper = Module::fixture("slow")
        .named("upgraded-sleeper")
        .config("millis = 600_000")
        .limited("max_event_duration = \"20m\"");
    let bundle = world.bundle(&sleeper, "sleeper");
    let engine = world.start().await;
    load(&engine, &bundle).await;
    log::says("upgraded-sleeper", "sleeping").await;
    let unload = async {
        // The copy is made by the upgrade, whose turn it is then.
        eventually("the upgrade is under way", || {
            (copies(&world) == 2).then_some(())
        })
        .await;
        let name = name("upgraded-sleeper");
        let restart = engine.operator().restart(&name).await;
        assert!(matches!(restart, Err(OperateError::Busy(_))), "{restart:?}");
        engine.operator().unload(&name).await
    };
    let upgrade = upgrade_from(&engine, "upgraded-sleeper", bundle.clone());
    let (upgraded, unloaded) = tokio::join!(upgrade, unload);
    match upgraded {
        Err(OperateError::Unloading(_)) => {}
        other => panic!("{other:?}"),
    }
    assert!(unloaded.unwrap().cut_off);
    // The upgrade's copy goes with the worker, which nobody waits for once it is cut off.
    eventually("no copy is left", || (copies(&world) == 0).then_some(())).await;
    // It can be loaded again at once.
    load(&engine, &bundle).await;
    engine.stop_in_grace().await;
}

/// Given a module that stands within a block which its node does not bring: an upgrade to another
/// list of subscriptions waits for the block's end for so long and no longer.
#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_that_waits_for_too_long_is_taken_back() {
    let server = server(3).await;
    mine(server.chain(), [ping(4)]);
    let module = |list: &[&str]| {
        let module = Module::fixture("log-fold").limited("max_event_duration = \"1s\"");
        list.iter().fold(module, |module, lines| module.logs(lines))
    };
    let world = World::over(&server, Via::Ws)
        .impatient()
        .answers_within(Duration::from_millis(100))
        .module(module(&[PINGS]).config("poison = 4"));
    let engine = world.start().await;
    // Of block 4 it has had the block, and never handles its log.
    engine.failed("log-fold", 3).await;
    engine.stop().await;
    let world = world.without("log-fold");
    let world = world.module(module(&[PINGS]));
    drop(server);

    let engine = world.start().await;
    engine.runs("log-fold").await;
    world.bundle(&module(&[PINGS, PONGS]), "log-fold");
    match upgrade(&engine, "log-fold").await {
        Err(OperateError::Withdrawn { most, .. }) => {
            assert_eq!(most, Duration::from_millis(2_100));
        }
        other => panic!("{other:?}"),
    }
    // Nothing of it stands in anybody's way.
    let name = name("log-fold");
    engine.operator().restart(&name).await.unwrap();
    engine.runs("log-fold").await;
    assert_eq!(engine.stop().await.module("log-fold").failed, 0);
}
