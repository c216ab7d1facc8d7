//! Signing: which module signs what with which account, what becomes of the signature, and what
//! an engine refuses to start over.

use std::{fs, path::Path, sync::Arc};

use nexum_engine::{OperateError, StartError, UpgradeRequest, check};
use nexum_identity::{
    Key, KeyFile, KeyFolder, LocalSigner, Password, Save, Signer as _, ToSign, TypedData, Unlock,
    WriteCost,
};
use nexum_manifest::Setup;
use nexum_testkit::{
    RpcServer,
    web::{Authority, Reply, WebServer},
};
use nexum_types::{Address, B256};
use serde_json::{Value, json};

use crate::{
    evidence::State,
    exposition::scrape,
    log,
    world::{CHAIN, Module, Via, World, server},
};

const ONE: &str = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const TWO: &str = "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d";
const PASSWORD: &str = "hunter2 hunter2";
const ALL: [&str; 3] = ["accounts", "sign", "sign-typed-data"];

/// For [`CHAIN`]; the fixture makes others of it.
const TYPED: &str = r#"{"types":{"Note":[{"name":"text","type":"string"}]},"primaryType":"Note","domain":{"name":"Nexum","chainId":31337},"message":{"text":"hello"}}"#;

fn account(key: &str) -> Address {
    Key::from_hex(key).unwrap().address()
}

/// Writes the key's keystore into a folder.
fn save(folder: &Path, key: &str) -> std::path::PathBuf {
    let key = Key::from_hex(key).unwrap();
    let password = Password::new(PASSWORD.to_owned());
    let text = KeyFile::write(&key, &password, WriteCost::Light).unwrap();
    let folder = KeyFolder::new(folder.to_owned());
    folder.save(key.address(), &text, Save::ByAddress).unwrap()
}

fn module(name: &str) -> Module {
    let typed = TYPED.replace('"', "\\\"");
    Module::fixture("identity")
        .named(name)
        .config(&format!("typed = \"{typed}\""))
}

/// What the module may use.
fn given(name: &str, keys: &[&str]) -> String {
    let accounts: Vec<_> = keys.iter().map(|key| account(key).to_string()).collect();
    format!("[identity.modules.{name}]\naccounts = {accounts:?}")
}

/// A world whose folder of keystores has those keys.
fn world(server: &RpcServer, keys: &[&str]) -> World {
    let world = World::over(server, Via::Ws);
    let folder = world.path("keys");
    fs::create_dir(&folder).unwrap();
    for key in keys {
        save(&folder, key);
    }
    fs::write(world.path("password"), format!("{PASSWORD}\n")).unwrap();
    world.identity("keystore = \"keys\"\npassword = { file = \"password\" }")
}

fn kind(state: &State, attempt: &str) -> String {
    state.text(&format!("kind/{attempt}")).unwrap()
}

/// The account that has signed.
fn signer(state: &State, attempt: &str, digest: B256) -> Address {
    let bytes = state.get(&format!("answer/{attempt}")).unwrap();
    let signature = alloy_primitives::Signature::from_raw(&bytes).unwrap();
    assert_eq!(bytes.len(), 65);
    assert!(matches!(bytes[64], 27 | 28));
    signature.recover_address_from_prehash(&digest).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn modules_sign_with_their_own_accounts_and_in_the_two_forms_alone() {
    log::keep();
    let server = server(2).await;
    let world = world(&server, &[ONE, TWO])
        .identity(&given("signs-one", &[ONE]))
        .identity(&given("signs-two", &[TWO, ONE]))
        .observed()
        .module(module("signs-one").signs(&ALL))
        .module(module("signs-two").signs(&ALL));
    let engine = world.start().await;
    engine.delivered("signs-one", 2).await;
    engine.delivered("signs-two", 2).await;
    let scraped = scrape(engine.metrics()).await;
    engine.stop().await;

    let message = alloy_primitives::eip191_hash_message(b"block 2");
    let typed = TypedData::parse(TYPED).unwrap().digest();
    for (name, keys) in [("signs-one", vec![ONE]), ("signs-two", vec![TWO, ONE])] {
        let state = world.state(name);
        let all: Vec<_> = keys.iter().flat_map(|key| account(key).to_vec()).collect();
        assert_eq!(state.get("answer/accounts").unwrap(), all);
        assert_eq!(signer(&state, "sign", message), account(keys[0]));
        assert_eq!(signer(&state, "typed", typed), account(keys[0]));
        for (attempt, answer) in [
            ("elsewhere", "denied"),
            ("malformed", "invalid-input"),
            ("other", "denied"),
            ("short", "invalid-input"),
            ("long", "invalid-input"),
        ] {
            assert_eq!(kind(&state, attempt), answer, "{attempt}");
        }
        for method in ["sign", "sign-typed-data"] {
            let labels = [("module", name), ("method", method)];
            assert_eq!(scraped.value("nexum_module_signatures_total", &labels), 2.0);
        }
    }

    // The audit: one line for each signature, about the event.
    let lines = log::lines_of("signs-one");
    let signed: Vec<_> = lines
        .iter()
        .filter(|line| line.message == "signed")
        .collect();
    assert_eq!(signed.len(), 4, "{lines:?}");
    for (line, number) in signed.iter().zip([1, 1, 2, 2]) {
        let event = line.event.as_ref().unwrap();
        assert!(event.starts_with(&format!("{CHAIN}-{number}-")), "{event}");
    }
    let written = format!("{lines:?}");
    for secret in [ONE, TWO, PASSWORD] {
        assert!(!written.contains(secret));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_manifest_or_the_operator_does_not_name_is_denied() {
    let server = server(1).await;
    let world = world(&server, &[ONE])
        .identity(&given("unasked", &[ONE]))
        .identity(&given("disallowed", &[ONE]))
        .identity("methods = [\"accounts\", \"sign-typed-data\"]")
        .module(module("unasked").signs(&["sign"]))
        .module(module("disallowed").signs(&ALL));
    let engine = world.start().await;
    engine.delivered("unasked", 1).await;
    engine.delivered("disallowed", 1).await;
    engine.stop().await;
    let unasked = world.state("unasked");
    assert_eq!(kind(&unasked, "accounts"), "denied");
    assert_eq!(kind(&unasked, "typed"), "denied");
    let disallowed = world.state("disallowed");
    assert_eq!(kind(&disallowed, "accounts"), "ok");
    assert_eq!(kind(&disallowed, "typed"), "ok");
    assert_eq!(kind(&disallowed, "sign"), "denied");
}

/// A signature cannot be taken back: the event whose call made it is not delivered again, though
/// the call wrote nothing.
#[tokio::test(flavor = "multi_thread")]
async fn the_cursor_of_a_call_that_signed_reaches_the_disk_at_once() {
    let server = server(5).await;
    for durability in [None, Some("1h")] {
        let quiet = Module::fixture("identity").signs(&ALL).config("quiet = 1");
        let quiet = match durability {
            Some(interval) => quiet.flushed_every(interval),
            None => quiet,
        };
        let world = world(&server, &[ONE])
            .identity(&given("identity", &[ONE]))
            .module(quiet);
        let engine = world.start().await;
        engine.delivered("identity", 5).await;
        engine.crash();
        let state = world.state_after_crash("identity").await;
        assert_eq!(state.cursor(), Some(5), "{durability:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_remote_signer_that_is_down_is_no_refusal_and_signs_nothing() {
    let server = server(1).await;
    // Nobody listens there.
    let world = World::over(&server, Via::Ws)
        .identity("remote_signer = \"http://user:hunter2@127.0.0.1:1/\"")
        .identity(&given("afar", &[ONE]))
        .module(module("afar").signs(&ALL));
    let engine = world.start().await;
    engine.delivered("afar", 1).await;
    engine.stop().await;
    let state = world.state("afar");
    assert_eq!(kind(&state, "accounts"), "ok");
    assert_eq!(kind(&state, "sign"), "unavailable");
    let told = state.text("answer/sign").unwrap();
    assert!(
        !told.contains("hunter2") && !told.contains("127.0.0.1"),
        "{told}"
    );
}

/// What is told where the engine does not start.
async fn refused(world: &World) -> String {
    match world.try_start().await {
        Err(StartError::Refused(errors)) => errors.to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_for_which_nothing_signs_is_refused_before_anything_runs() {
    let server = server(1).await;
    let with = |world: World| {
        world
            .identity(&given("one", &[ONE]))
            .module(module("one").signs(&ALL))
    };
    let missing = with(world(&server, &[TWO]));
    let told = refused(&missing).await;
    let key = format!("nothing has the key of {}", account(ONE));
    assert!(told.contains(&key), "{told}");
    let setup = Setup::load(&missing.engine_file()).unwrap();
    let checked = check(&setup).await.unwrap_err().to_string();
    assert!(checked.contains(&key), "{checked}");

    let twice = with(world(&server, &[ONE]));
    let first = save(&twice.path("more"), ONE);
    fs::copy(first, twice.path("keys/again.json")).unwrap();
    let told = refused(&twice).await;
    assert!(told.contains("both hold the key of"), "{told}");

    let wrong = with(world(&server, &[ONE]));
    fs::write(wrong.path("password"), "hunter3").unwrap();
    let told = refused(&wrong).await;
    assert!(told.contains("the password does not open it"), "{told}");
    assert!(!told.contains("hunter3"), "{told}");

    let gone = with(world(&server, &[]));
    fs::remove_dir(gone.path("keys")).unwrap();
    let told = refused(&gone).await;
    assert!(told.contains("the folder of keystores"), "{told}");
    for world in [missing, twice, wrong, gone] {
        assert!(!world.state_dir().exists(), "nothing was made");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_can_come_from_whoever_starts_the_engine() {
    let server = server(1).await;
    let world = World::over(&server, Via::Ws);
    save(&world.path("keys"), ONE);
    let world = world
        .identity("keystore = \"keys\"\nunlock = \"first-use\"")
        .identity(&given("asked", &[ONE]))
        .module(module("asked").signs(&ALL));
    let told = refused(&world).await;
    assert!(told.contains("the keystores have no password"), "{told}");

    let wrong = world.password("hunter3");
    let engine = wrong.start().await;
    engine.delivered("asked", 1).await;
    engine.stop().await;
    assert_eq!(kind(&wrong.state("asked"), "sign"), "unavailable");
    wrong.forget("asked");

    let world = wrong.password(PASSWORD);
    let engine = world.start().await;
    engine.delivered("asked", 1).await;
    engine.stop().await;
    assert_eq!(kind(&world.state("asked"), "sign"), "ok");
}

/// An upgrade that would do more with its accounts is for the operator to accept.
#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_names_further_functions_has_to_be_accepted() {
    let server = server(1).await;
    let world = world(&server, &[ONE])
        .identity(&given("grows", &[ONE]))
        .module(module("grows").signs(&["accounts"]));
    let engine = world.start().await;
    engine.delivered("grows", 1).await;
    world.bundle(&module("grows").signs(&ALL), "grows");
    let grows = crate::world::name("grows");
    let upgrade = |accept| {
        let request = UpgradeRequest {
            accept,
            ..UpgradeRequest::default()
        };
        engine.operator().upgrade(&grows, request)
    };
    let token = match upgrade(None).await {
        Err(OperateError::Widens { more, token }) => {
            let more: Vec<_> = more.iter().map(ToString::to_string).collect();
            assert_eq!(more, ["identity sign", "identity sign-typed-data"]);
            token
        }
        other => panic!("{other:?}"),
    };
    upgrade(Some(token)).await.unwrap();
    server.chain().mine(1);
    engine.delivered("grows", 2).await;
    engine.stop().await;
    assert_eq!(kind(&world.state("grows"), "sign"), "ok");
}

/// A web3signer with the key of [`ONE`], at a port of its own: its URL.
async fn web3signer() -> String {
    let folder = tempfile::tempdir().unwrap();
    save(folder.path(), ONE);
    let (signer, _) = LocalSigner::open(
        &KeyFolder::new(folder.path().to_owned()),
        Password::new(PASSWORD.to_owned()),
        [account(ONE)],
        Unlock::AtStart,
    )
    .unwrap();
    let signer = Arc::new(signer);
    let answer = move |body: String| {
        let signer = Arc::clone(&signer);
        async move {
            let request: Value = serde_json::from_str(&body).unwrap();
            let payload = request["params"][1].as_str().unwrap_or_default();
            let signed = match request["method"].as_str().unwrap() {
                "eth_accounts" => {
                    return json!({ "result": [account(ONE)] }).to_string();
                }
                "eth_sign" => {
                    let message = hex::decode(&payload[2..]).unwrap();
                    let what = ToSign::Message(&message);
                    signer.sign(account(ONE), what).await.unwrap()
                }
                _ => {
                    let data = TypedData::parse(payload).unwrap();
                    let what = ToSign::TypedData(&data);
                    signer.sign(account(ONE), what).await.unwrap()
                }
            };
            let text = format!("0x{}", hex::encode(signed.as_bytes()));
            json!({ "jsonrpc": "2.0", "id": 1, "result": text }).to_string()
        }
    };
    let app = axum::Router::new().fallback(axum::routing::post(answer));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}/")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_remote_signer_signs_for_the_accounts_that_have_no_keystore() {
    let server = server(1).await;
    let url = web3signer().await;
    let with = |account: &str| {
        world(&server, &[TWO])
            .identity(&format!("remote_signer = \"{url}\""))
            .identity(&given("both", &[account, TWO]))
            .module(module("both").signs(&ALL))
    };
    let world = with(ONE);
    let engine = world.start().await;
    engine.delivered("both", 1).await;
    engine.stop().await;
    let state = world.state("both");
    let message = alloy_primitives::eip191_hash_message(b"block 1");
    let typed = TypedData::parse(TYPED).unwrap().digest();
    assert_eq!(signer(&state, "sign", message), account(ONE));
    assert_eq!(signer(&state, "typed", typed), account(ONE));

    let nobodys = "01".repeat(32);
    let told = refused(&with(&nobodys)).await;
    let key = format!("nothing has the key of {}", account(&nobodys));
    assert!(told.contains(&key), "{told}");
}

/// Given a signer whose certificate is of an authority of the operator's own, then it is asked what
/// accounts it has where the file names that authority, and nobody is asked where it does not.
#[tokio::test(flavor = "multi_thread")]
async fn a_remote_signer_is_held_against_the_operators_authorities() {
    let server = server(1).await;
    let authority = Authority::new().unwrap();
    let none = json!({ "jsonrpc": "2.0", "id": 1, "result": [] }).to_string();
    let signer = WebServer::start_tls(&authority, &["127.0.0.1"], move |_| {
        Reply::new(200, &[], none.as_bytes())
    });
    let signer = signer.await.unwrap();
    let with = |http: &str| {
        let world = World::over(&server, Via::Ws)
            .http(http)
            .identity(&format!("remote_signer = \"{}\"", signer.url()))
            .identity(&given("afar", &[ONE]))
            .module(module("afar").signs(&ALL));
        fs::write(world.path("ca.pem"), authority.pem()).unwrap();
        world
    };
    let stranger = with("").start().await;
    stranger.stop().await;
    assert_eq!(signer.seen().len(), 0);

    let told = refused(&with("ca_file = \"ca.pem\"")).await;
    let key = format!("nothing has the key of {}", account(ONE));
    assert!(told.contains(&key), "{told}");
    assert_eq!(signer.seen().len(), 1);
}
