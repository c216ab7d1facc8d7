//! Whatever is signed and however much is logged, no key and no password is told.

use crate::{
    engine::{Ended, Engine, first_events, get},
    folder::{Folder, component, stderr, stdout},
    money::{KEY, PASSWORD, keep_key},
    node::{CHAIN, Node},
};

const VARIABLE: &str = "NEXUM_TEST_PASSWORD";

fn clean(what: &str, printed: &str) {
    let upper = KEY.to_uppercase();
    for secret in [KEY, &upper, PASSWORD] {
        assert!(
            !printed.contains(secret),
            "{what} prints {secret}:\n{printed}"
        );
    }
}

#[test]
fn an_engine_that_signs_tells_neither_keys_nor_passwords() {
    let node = Node::at(2);
    for given in [
        format!("{PASSWORD:?}"),
        format!("{{ env = \"{VARIABLE}\" }}"),
        "{ file = \"password\" }".to_owned(),
    ] {
        let folder = Folder::empty();
        let account = keep_key(&folder);
        let typed = r#"{"types":{"A":[{"name":"a","type":"bool"}]},"primaryType":"A","domain":{"chainId":31337},"message":{"a":true}}"#;
        let manifest = format!(
            "[module]\nname = \"signs\"\nversion = \"1.0.0\"\n\
             [chains]\nrequired = [{CHAIN}]\n\
             [capabilities]\nrequired = [\"local-store\", \"identity\"]\n\
             [capabilities.identity]\nmethods = [\"accounts\", \"sign\", \"sign-typed-data\"]\n\
             [config]\ntyped = {typed:?}\n\
             [[subscription]]\nkind = \"block\"\nchain_id = {CHAIN}\nstart = 1\n"
        );
        folder.bundle("signs", &manifest, &component("identity"));
        folder.engine_file("log.level = \"trace\"", &node.ws(), &["signs"]);
        folder.append(
            "nexum-engine.toml",
            &format!(
                "[identity]\nkeystore = \"keys\"\npassword = {given}\n\
                 [identity.modules.signs]\naccounts = [\"{account}\"]\n"
            ),
        );
        let mut check = folder.command(&["config", "check"]);
        let check = check.env(VARIABLE, PASSWORD).output().unwrap();
        assert_eq!(check.status.code(), Some(0), "{}", stderr(&check));
        clean("config check", &(stdout(&check) + &stderr(&check)));

        let mut command = folder.command(&["run"]);
        command.env(VARIABLE, PASSWORD);
        let engine = Engine::start(command);
        engine.wait_for_line("\"method\":\"sign-typed-data\"");
        let metrics = get(engine.metrics(), "/metrics");
        assert!(metrics.contains("nexum_module_signatures_total"));
        clean("metrics", &metrics);
        clean("health", &get(engine.health(), "/health"));
        clean("status page", &first_events(engine.health()));
        let Ended { code, log, stderr } = engine.stop();
        assert_eq!(code, Some(0), "{stderr}");
        assert!(log.contains("\"message\":\"signed\""), "{log}");
        clean("run", &(log + &stderr));
    }
}
