//! What was loaded while the engine ran is there at the next start, whatever else was done then.

use std::{
    collections::BTreeSet,
    fs,
    io::Read as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use futures::future::join_all;
use nexum_engine::{LoadRequest, OperateError, StartError};
use nexum_store::{StateDir, StoreError};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use toml::Table;

use crate::world::{Module, Running, Via, World, eventually, name, server};

/// So many modules are loaded at the same time.
const LOADS: usize = 12;

/// A request to load a bundle under a name of its own.
fn named(path: &std::path::Path, name: &str) -> LoadRequest {
    LoadRequest {
        path: path.to_owned(),
        name: Some(name.parse().unwrap()),
        config: Table::new(),
        digest: None,
    }
}

/// The names of the modules that run.
fn running(engine: &Running) -> BTreeSet<String> {
    let modules = engine.engine.status().into_iter();
    modules.map(|module| module.name.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn modules_that_are_loaded_at_once_are_all_there_after_a_restart() {
    let server = server(2).await;
    let world = World::over(&server, Via::Ws);
    let bundle = world.bundle(&Module::fixture("tally"), "elsewhere");
    let engine = world.start().await;
    let names: Vec<_> = (0..LOADS).map(|n| format!("tally-{n:02}")).collect();
    let operator = engine.operator();
    let loads = names.iter().map(|name| operator.load(named(&bundle, name)));
    for loaded in join_all(loads).await {
        loaded.unwrap();
    }
    // Half of them go while others come.
    let (gone, stay) = names.split_at(LOADS / 2);
    let gone = gone.iter().map(|gone| async {
        operator.unload(&name(gone)).await.unwrap();
    });
    let more: Vec<_> = (0..LOADS / 2).map(|n| format!("more-{n:02}")).collect();
    let come = more.iter().map(|name| async {
        operator.load(named(&bundle, name)).await.unwrap();
    });
    tokio::join!(join_all(gone), join_all(come));
    engine.stop().await;

    let engine = world.start().await;
    let expected: BTreeSet<_> = stay.iter().chain(&more).cloned().collect();
    assert_eq!(running(&engine), expected);
    engine.stop().await;
    let copies = fs::read_dir(world.state_dir().join("bundles")).unwrap();
    assert_eq!(copies.count(), expected.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_loaded_is_read_by_the_one_who_has_the_state_dir() {
    let server = server(1).await;
    let world = World::over(&server, Via::Ws);
    let held = StateDir::open(world.state_dir()).unwrap();
    // Whoever has the directory is just writing it.
    fs::write(world.state_dir().join("loaded.toml"), "[[modu").unwrap();
    match world.try_start().await.map(drop) {
        Err(StartError::Store(StoreError::Locked { .. })) => {}
        other => panic!("{other:?}"),
    }
    drop(held);
    match world.start_error().await {
        StartError::Refused(errors) => {
            let problem = errors.problems().next().unwrap();
            assert!(problem.file().ends_with("loaded.toml"));
        }
        other => panic!("{other:?}"),
    }
}

/// Given loads that are under way when the engine stops, each as far as it has come: the modules
/// whose load was answered well run at the next start, and no others.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_load_that_the_end_of_the_engine_overtakes_is_told_so_and_leaves_nothing() {
    let server = server(2).await;
    let world = World::over(&server, Via::Ws);
    let bundle = world.bundle(&Module::fixture("tally"), "elsewhere");
    for round in 0..4 {
        let engine = world.start().await;
        let mut expected = running(&engine);
        let loads = (0..6).map(|n| {
            let (operator, bundle) = (engine.operator().clone(), bundle.clone());
            let name = format!("round-{round}-{n}");
            tokio::spawn(async move { (operator.load(named(&bundle, &name)).await, name) })
        });
        let loads: Vec<_> = loads.collect();
        // In later rounds the loads have come further.
        let before = expected.len();
        eventually("some have begun to run", || {
            (running(&engine).len() >= before + round).then_some(())
        })
        .await;
        engine.stop().await;
        for load in loads {
            match load.await.unwrap() {
                (Ok(_), name) => drop(expected.insert(name)),
                (Err(OperateError::Stopping), _) => {}
                (other, name) => panic!("{name}: {other:?}"),
            }
        }
        let engine = world.start().await;
        assert_eq!(running(&engine), expected, "round {round}");
        engine.stop().await;
        let copies = fs::read_dir(world.state_dir().join("bundles"));
        assert_eq!(copies.map_or(0, Iterator::count), expected.len());
    }
}

/// Given an operation that waits for the disk while the engine stops: it is not left behind.
#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_the_engine_waits_for_the_operations_under_way() {
    let server = server(1).await;
    let world = World::over(&server, Via::Ws);
    let bundle = world.bundle(&Module::fixture("tally"), "elsewhere");
    let engine = world.start().await;
    // What is written into it waits until somebody reads, and cannot be brought to any disk.
    let slow = world.state_dir().join("loaded.toml.new");
    mknodat(CWD, &slow, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let operator = engine.operator().clone();
    let load = tokio::spawn(async move { operator.load(named(&bundle, "tally")).await });
    eventually("it is about to be written down", || {
        let state = world.state_dir().join("modules/tally.redb");
        state.exists().then_some(())
    })
    .await;
    let has_come = Arc::new(AtomicBool::new(false));
    let (socket, comes) = (world.state_dir().join("admin.sock"), Arc::clone(&has_come));
    let disk = thread::spawn(move || {
        while socket.exists() {
            thread::yield_now();
        }
        comes.store(true, Ordering::SeqCst);
        let mut written = String::new();
        let mut slow = fs::File::open(slow).unwrap();
        slow.read_to_string(&mut written).unwrap();
        written
    });
    engine.stop().await;
    assert!(has_come.load(Ordering::SeqCst), "it was waited for");
    assert!(disk.join().unwrap().contains("tally"));
    let loaded = load.await.unwrap();
    assert!(matches!(loaded, Err(OperateError::Failed(_))), "{loaded:?}");
    assert!(!world.state_dir().join("loaded.toml").exists());
}

/// Given what an operation has left that was cut off: it goes at the next start, and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_nothing_names_is_removed_at_the_start() {
    let server = server(1).await;
    let world = World::over(&server, Via::Ws);
    let bundle = world.bundle(&Module::fixture("tally"), "elsewhere");
    let engine = world.start().await;
    let loaded = engine.operator().load(named(&bundle, "tally")).await;
    loaded.unwrap();
    engine.stop().await;
    let bundles = world.state_dir().join("bundles");
    let left = bundles.join("tally-00000000");
    fs::create_dir(&left).unwrap();
    fs::write(left.join("module.wasm"), "half of it").unwrap();

    let engine = world.start().await;
    assert!(!left.exists());
    assert_eq!(fs::read_dir(&bundles).unwrap().count(), 1);
    // By this engine or by the one before.
    engine.reaches("tally", 1).await;
    engine.stop().await;
}
