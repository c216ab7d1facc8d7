//! What was loaded while the engine ran is there at the next start, whatever else was done then.

use std::{collections::BTreeSet, fs};

use futures::future::join_all;
use nexum_engine::{LoadRequest, StartError};
use nexum_store::{StateDir, StoreError};
use toml::Table;

use crate::world::{Module, Via, World, name, server};

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
    let runs: BTreeSet<_> = engine
        .engine
        .status()
        .into_iter()
        .map(|module| module.name.to_string())
        .collect();
    let expected: BTreeSet<_> = stay.iter().chain(&more).cloned().collect();
    assert_eq!(runs, expected);
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
    match world.try_start().await.map(drop) {
        Err(StartError::Refused(errors)) => {
            let problem = errors.problems().next().unwrap();
            assert!(problem.file().ends_with("loaded.toml"));
        }
        other => panic!("{other:?}"),
    }
}
