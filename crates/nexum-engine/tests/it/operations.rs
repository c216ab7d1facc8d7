//! What an operator does while the engine runs.

use std::{collections::BTreeMap, fs, io::Write as _};

use nexum_engine::{LoadRequest, OperateError, Origin, Phase, StartError, UpgradeRequest};
use nexum_manifest::{Sha256, Start};
use nexum_store::inspect;
use nexum_types::{BlockNumber, ChainId};
use toml::Table;

use crate::world::{CHAIN, Module, Via, World, name, server, server_of};

fn request(path: std::path::PathBuf) -> LoadRequest {
    LoadRequest {
        path,
        name: None,
        config: Table::new(),
        digest: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_loaded_runs_again_after_a_restart_until_it_is_unloaded() {
    let server = server(5).await;
    let world = World::over(&server, Via::Ws).module(Module::fixture("counter"));
    let bundle = world.bundle(&Module::fixture("tally"), "elsewhere");
    let engine = world.start().await;
    let loaded = engine
        .operator()
        .load(request(bundle.clone()))
        .await
        .unwrap();
    assert_eq!(loaded.name.as_str(), "tally");
    engine.delivered("tally", 5).await;
    match engine.operator().load(request(bundle.clone())).await {
        Err(OperateError::Exists {
            origin: Origin::Loaded,
            ..
        }) => {}
        other => panic!("{other:?}"),
    }
    let renamed = LoadRequest {
        name: Some(name("counter")),
        ..request(bundle.clone())
    };
    match engine.operator().load(renamed).await {
        Err(OperateError::Exists {
            origin: Origin::Configured,
            ..
        }) => {}
        other => panic!("{other:?}"),
    }
    engine.stop().await;

    // The bundle that it came from may go.
    fs::remove_dir_all(&bundle).unwrap();
    let engine = world.start().await;
    server.chain().mine(2);
    engine.reaches("tally", 7).await;
    let unloaded = engine.operator().unload(&name("tally")).await.unwrap();
    assert!(!unloaded.comes_back && !unloaded.cut_off);
    match engine.operator().unload(&name("tally")).await {
        Err(OperateError::NoSuchModule { known, .. }) => assert_eq!(known, [name("counter")]),
        other => panic!("{other:?}"),
    }
    assert!(
        engine
            .operator()
            .unload(&name("counter"))
            .await
            .unwrap()
            .comes_back
    );
    engine.stop().await;
    world.state("tally").assert_tallied(1..=7);
    let left = fs::read_dir(world.state_dir().join("bundles")).unwrap();
    assert_eq!(left.count(), 0, "its copy is gone");

    let engine = world.start().await;
    engine.delivered("counter", 0).await;
    assert_eq!(engine.engine.status().len(), 1);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_configured_and_was_loaded_refuses_the_start() {
    let server = server(2).await;
    let world = World::over(&server, Via::Ws);
    let bundle = world.bundle(&Module::fixture("tally"), "tally");
    let engine = world.start().await;
    engine.operator().load(request(bundle)).await.unwrap();
    engine.stop().await;

    let world = world.module(Module::fixture("tally"));
    match world.start_error().await {
        StartError::Refused(errors) => {
            let problem = errors.problems().next().unwrap();
            assert!(
                problem.file().ends_with("loaded.toml"),
                "{}",
                problem.file()
            );
            let message = problem.message();
            assert!(message.contains("was loaded at run time"), "{message}");
        }
        other => panic!("{other:?}"),
    }
    let world = world.without("tally");
    world.start().await.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_that_is_refused_leaves_nothing() {
    let server = server(2).await;
    let world = World::over(&server, Via::Ws).module(Module::fixture("counter"));
    let broken = world.bundle(&Module::fixture("tally"), "broken");
    fs::write(broken.join("module.wasm"), "no wasm").unwrap();
    let engine = world.start().await;
    match engine.operator().load(request(broken)).await {
        Err(OperateError::Refused(errors)) => {
            let message = errors.problems().next().unwrap().message().to_owned();
            assert!(message.contains("no WebAssembly"), "{message}");
        }
        other => panic!("{other:?}"),
    }
    let nowhere = request(world.state_dir().join("nowhere"));
    match engine.operator().load(nowhere).await {
        Err(OperateError::Refused(_)) => {}
        other => panic!("{other:?}"),
    }
    engine.delivered("counter", 2).await;
    engine.stop().await;
    assert!(!world.state_dir().join("loaded.toml").exists());
    let left = fs::read_dir(world.state_dir().join("bundles")).unwrap();
    assert_eq!(left.count(), 0);
    assert!(!world.state_dir().join("modules/tally.redb").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_upgrades_lose_no_event_and_double_none() {
    let server = server(1).await;
    let good = || Module::fixture("counter");
    let bad = || Module::fixture("err-in-init").named("counter");
    let world = World::over(&server, Via::Ws).module(good());
    let engine = world.start().await;
    engine.delivered("counter", 1).await;
    let chain = server.chain().clone();
    let mined = tokio::spawn(async move {
        for _ in 0..400 {
            chain.mine(1);
            tokio::task::yield_now().await;
        }
    });
    for n in 0..100 {
        let fails = n % 2 == 1;
        world.bundle(&if fails { bad() } else { good() }, "counter");
        match engine
            .operator()
            .upgrade(&name("counter"), UpgradeRequest::default())
            .await
        {
            Ok(status) if !fails => assert_eq!(status.phase, Phase::Run),
            Err(OperateError::Failed(why)) if fails => {
                assert!(why.contains("the old version goes on"), "{why}");
            }
            other => panic!("upgrade {n}: {other:?}"),
        }
        server.chain().mine(1);
    }
    mined.await.unwrap();
    let head = server.chain().head().number;
    engine.reaches("counter", head).await;
    let ended = engine.stop().await.module("counter");
    assert_eq!((ended.failed, ended.delivered), (0, head));
    world
        .state("counter")
        .assert_counted(server.chain(), 1..=head);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_that_asks_for_more_is_refused_until_that_is_accepted() {
    let server = server(3).await;
    let narrow = &["chain", "local-store", "logging"][..];
    let server_of_five = server_of(5, 1).await;
    let world = World::over(&server, Via::Ws)
        .chain(5, &server_of_five.http_url())
        .module(Module::fixture("counter").granted(narrow));
    let engine = world.start().await;
    engine.delivered("counter", 3).await;
    let wider = Module::fixture("counter")
        .granted(&["chain", "local-store", "logging", "clock"])
        .limited("max_memory_bytes = 99_000_000")
        .subscribed(&[
            (CHAIN, Start::Number(BlockNumber(1))),
            (5, Start::Number(BlockNumber(1))),
        ]);
    world.bundle(&wider, "counter");
    let counter = name("counter");
    let upgrade = |accept| {
        let request = UpgradeRequest {
            accept,
            ..UpgradeRequest::default()
        };
        engine.operator().upgrade(&counter, request)
    };
    let token = match upgrade(None).await {
        Err(OperateError::Widens { more, token }) => {
            let more: Vec<_> = more.iter().map(ToString::to_string).collect();
            assert_eq!(
                more,
                [
                    "capability clock",
                    "chain 5",
                    "max_memory_bytes 99000000 instead of 67108864"
                ]
            );
            token
        }
        other => panic!("{other:?}"),
    };
    assert!(matches!(
        upgrade(Some("0123".into())).await,
        Err(OperateError::Widens { .. })
    ));
    // What was shown is accepted, and not what it has become since.
    world.bundle(
        &wider.clone().limited("max_state_bytes = 99_000_000"),
        "counter",
    );
    assert!(matches!(
        upgrade(Some(token.clone())).await,
        Err(OperateError::Widens { .. })
    ));
    world.bundle(&wider, "counter");
    upgrade(Some(token)).await.unwrap();
    engine.delivered("counter", 4).await;
    // It has it now, and is not asked again.
    upgrade(None).await.unwrap();
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_operations_at_once_on_a_module_one_is_told_to_wait() {
    let server = server(1).await;
    let world = World::over(&server, Via::Ws).module(
        Module::fixture("slow")
            .config("millis = 300")
            .limited("max_event_duration = \"20m\""),
    );
    let engine = world.start().await;
    let name = name("slow");
    let (first, second) = tokio::join!(
        engine.operator().upgrade(&name, UpgradeRequest::default()),
        engine.operator().upgrade(&name, UpgradeRequest::default()),
    );
    let outcomes = [first, second];
    let busy = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Err(OperateError::Busy(_))));
    assert_eq!(busy.count(), 1, "{outcomes:?}");
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_is_put_before_a_block_while_it_runs() {
    let server = server(6).await;
    let world = World::over(&server, Via::Ws).module(Module::fixture("tally"));
    let engine = world.start().await;
    engine.delivered("tally", 6).await;
    let at = BlockNumber(4);
    let resynced = engine
        .operator()
        .resync(&name("tally"), ChainId(CHAIN), at)
        .await
        .unwrap();
    assert_eq!((resynced.before.len(), resynced.letters), (1, 0));
    engine.delivered("tally", 9).await;
    engine.stop().await;
    let state = world.state("tally");
    assert_eq!(
        (state.number("repeats"), state.number("last")),
        (Some(1), Some(6))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_a_running_modules_state_is_whole() {
    let server = server(40).await;
    let world =
        World::over(&server, Via::Ws).module(Module::fixture("counter").flushed_every("1h"));
    let engine = world.start().await;
    engine.delivered("counter", 40).await;
    let mut file = engine.operator().backup(&name("counter")).await.unwrap();
    // The engine goes on, and the copy stays what it was.
    server.chain().mine(5);
    engine.delivered("counter", 45).await;
    engine.stop().await;

    let copy = tempfile::tempdir().unwrap();
    fs::create_dir(copy.path().join("modules")).unwrap();
    let mut to = fs::File::create(copy.path().join("modules/counter.redb")).unwrap();
    std::io::copy(&mut file, &mut to).unwrap();
    to.flush().unwrap();
    let copied = inspect(copy.path(), &name("counter")).unwrap();
    let keys: BTreeMap<_, _> = copied
        .entries("block/")
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(keys.len(), 40);
    let cursors: Vec<_> = copied
        .cursors()
        .values()
        .map(|cursor| cursor.next_number().unwrap().0)
        .collect();
    assert_eq!(cursors, [41]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_is_removed_only_while_its_module_does_not_run() {
    let server = server(3).await;
    let world = World::over(&server, Via::Ws).module(Module::fixture("tally"));
    let engine = world.start().await;
    engine.delivered("tally", 3).await;
    match engine.operator().purge(&name("tally")).await {
        Err(OperateError::Unfit(why)) => assert!(why.contains("unload it first"), "{why}"),
        other => panic!("{other:?}"),
    }
    engine.operator().unload(&name("tally")).await.unwrap();
    engine.operator().purge(&name("tally")).await.unwrap();
    assert!(matches!(
        engine.operator().purge(&name("tally")).await,
        Err(OperateError::Store(_))
    ));
    engine.stop().await;

    let engine = world.start().await;
    engine.delivered("tally", 3).await;
    engine.stop().await;
    world.state("tally").assert_tallied(1..=3);
}

/// Given a policy that asks for a pin: what is loaded while the engine runs is pinned by whoever
/// loads it, or is refused with the words to do so; the pin holds after a restart, and a new
/// version needs one of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_module_is_loaded_with_a_pin() {
    let server = server(2).await;
    let world = World::over(&server, Via::Ws).policy("require_digest = true");
    let (tally, counter) = (Module::fixture("tally"), Module::fixture("counter"));
    let first = world.bundle(&tally, "first");
    let second = world.bundle(&counter.named("tally"), "second");
    let engine = world.start().await;
    let remedy = |error: OperateError| {
        let OperateError::Refused(errors) = error else {
            panic!("{error:?}");
        };
        let problem = errors.problems().next().unwrap();
        let help = problem.remedy().unwrap();
        let (_, digest) = help.split_once("--digest ").unwrap();
        let digest = digest.trim_end_matches(')');
        let digest: String = digest.chars().take("sha256:".len() + 64).collect();
        (
            problem.message().to_owned(),
            digest.parse::<Sha256>().unwrap(),
        )
    };

    let unpinned = engine.operator().load(request(first.clone())).await;
    let (message, of_first) = remedy(unpinned.unwrap_err());
    assert!(message.contains("policy.require_digest"), "{message}");
    let with = |digest| LoadRequest {
        digest: Some(digest),
        ..request(first.clone())
    };
    let other = engine.operator().load(with(Sha256([7; 32]))).await;
    let (message, found) = remedy(other.unwrap_err());
    assert!(message.contains("its entry is pinned to"), "{message}");
    assert_eq!(found, of_first);
    let left = fs::read_dir(world.state_dir().join("bundles"));
    assert_eq!(left.map_or(0, Iterator::count), 0, "nothing was kept");
    engine.operator().load(with(of_first)).await.unwrap();
    engine.delivered("tally", 2).await;
    engine.stop().await;

    let remembered = fs::read_to_string(world.state_dir().join("loaded.toml")).unwrap();
    let line = format!("digest = \"sha256:{of_first}\"");
    assert!(remembered.contains(&line), "{remembered}");
    let engine = world.start().await;
    let name = name("tally");
    let upgrade = |digest| {
        let request = UpgradeRequest {
            path: Some(second.clone()),
            digest,
            ..UpgradeRequest::default()
        };
        engine.operator().upgrade(&name, request)
    };
    let (_, of_second) = remedy(upgrade(None).await.unwrap_err());
    assert_ne!(of_first, of_second);
    upgrade(Some(of_second)).await.unwrap();
    engine.stop().await;
    world.start().await.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pin_of_a_module_in_the_engines_file_stands_there() {
    let server = server(1).await;
    let world = World::over(&server, Via::Ws).module(Module::fixture("counter"));
    let engine = world.start().await;
    let request = UpgradeRequest {
        digest: Some(Sha256([7; 32])),
        ..UpgradeRequest::default()
    };
    let refused = engine.operator().upgrade(&name("counter"), request).await;
    match refused {
        Err(OperateError::Unfit(why)) => assert!(why.contains("the engine's file"), "{why}"),
        other => panic!("{other:?}"),
    }
    engine.stop().await;
}
