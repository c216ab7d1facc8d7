//! Upgrades in place: which version they take, what they leave, and how they are taken back.

use std::fs;

use nexum_engine::{ModuleStatus, OperateError, Phase, UpgradeRequest};
use nexum_manifest::Sha256;
use sha2::{Digest as _, Sha256 as Hasher};

use crate::world::{Module, Running, Via, World, name, server};

async fn upgrade(engine: &Running, module: &str) -> Result<ModuleStatus, OperateError> {
    let operator = engine.operator();
    let request = UpgradeRequest::default();
    operator.upgrade(&name(module), request).await
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
