//! What a module declares, what the operator lets it have, and what becomes of the rest.

use nexum_manifest::Start;
use nexum_types::BlockNumber;

use crate::{
    log,
    world::{CHAIN, Module, Via, World, server},
};

const REQUIRED: [&str; 1] = ["local-store"];
const OPTIONAL: [&str; 6] = [
    "chain",
    "logging",
    "identity",
    "messaging",
    "remote-store",
    "http",
];

fn optional() -> Module {
    Module::fixture("optional")
        .granted(&REQUIRED)
        .optional(&OPTIONAL, &[5])
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_optional_and_not_there_answers_unsupported_and_says_why() {
    log::keep();
    let server = server(3).await;
    let module = optional().named("may-have");
    let denied = optional().named("may-not");
    let world = World::over(&server, Via::Ws)
        .policy("modules.may-not.denied_capabilities = [\"chain\", \"http\", \"logging\"]")
        .module(module)
        .module(denied);
    let engine = world.start().await;
    engine.delivered("may-have", 3).await;
    engine.delivered("may-not", 3).await;
    engine.stop().await;

    let may_have = world.state("may-have");
    let kind =
        |state: &crate::evidence::State, of: &str| state.text(&format!("kind/{of}")).unwrap();
    let message =
        |state: &crate::evidence::State, of: &str| state.text(&format!("message/{of}")).unwrap();
    assert_eq!(kind(&may_have, "chain"), "ok");
    assert_eq!(kind(&may_have, "absent"), "unsupported");
    assert_eq!(
        message(&may_have, "absent"),
        "chain 5 is optional, and the operator does not configure it"
    );
    // It is hosted, and the manifest lists no server.
    assert_eq!(kind(&may_have, "http"), "denied");
    assert_eq!(kind(&may_have, "identity"), "ok", "and there is no account");
    for of in ["messaging", "remote-store"] {
        assert_eq!(kind(&may_have, of), "unsupported", "{of}");
        assert_eq!(
            message(&may_have, of),
            format!(
                "module may-have does not have the capability {of}: this engine does not have it"
            )
        );
    }
    let may_not = world.state("may-not");
    for of in ["chain", "absent", "http"] {
        assert_eq!(kind(&may_not, of), "unsupported", "{of}");
        assert!(
            message(&may_not, of).contains("the operator denies it"),
            "{of}"
        );
    }

    // Each cause is told once, though three events met it.
    let told = |module: &str, what: &str| {
        let lines = log::lines_of(module);
        lines
            .iter()
            .filter(|line| line.message.contains(what))
            .count()
    };
    assert_eq!(
        told("may-not", "`denied_capabilities` under [policy]"),
        2,
        "chain and http"
    );
    assert_eq!(told("may-have", "optional logs"), 3);
    assert_eq!(told("may-not", "optional logs"), 0, "its log is denied");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_is_told_once_for_each_cause() {
    log::keep();
    let server = server(4).await;
    let world = World::over(&server, Via::Ws)
        .module(Module::fixture("denied-method").named("asks-to-write"));
    let engine = world.start().await;
    engine
        .until(
            "asks-to-write",
            "all blocks were handled or failed",
            |status| status.delivered + status.failed >= 4,
        )
        .await;
    engine.stop().await;
    let lines = log::lines_of("asks-to-write");
    let told = lines
        .iter()
        .filter(|line| line.message.contains("modules only read from chains"));
    assert_eq!(told.count(), 1, "{lines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_to_an_optional_chain_waits_for_nobody() {
    let server = server(3).await;
    let start = Start::Number(BlockNumber(1));
    let module = Module::fixture("counter")
        .subscribed(&[(5, start), (CHAIN, start)])
        .optional(&[], &[5]);
    let world = World::over(&server, Via::Ws).module(module.clone());
    let engine = world.start().await;
    engine.delivered("counter", 3).await;
    engine.stop().await;
    world.state("counter").assert_counted(server.chain(), 1..=3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_ceiling_holds_whatever_the_manifest_asks_for() {
    let server = server(2).await;
    let world = World::over(&server, Via::Ws)
        .policy("max_fuel_per_event = 1_000_000\nmodules.counter.max_fuel_per_event = 500_000_000")
        .module(Module::fixture("spin").limited("max_fuel_per_event = 9_000_000_000"))
        .module(Module::fixture("counter"));
    let engine = world.start().await;
    let error = engine.failed("spin", 1).await;
    assert_eq!(
        error,
        "the call used up its 1000000 units of fuel (max_fuel_per_event)"
    );
    engine.delivered("counter", 2).await;
    engine.stop().await;
}
