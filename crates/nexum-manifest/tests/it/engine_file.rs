//! `nexum-engine.toml`.

use std::{collections::BTreeSet, time::Duration};

use nexum_manifest::{
    Capability, Ceilings, ChainSettings, EngineConfig, HostPattern, HttpCredential, HttpSettings,
    IdentitySettings, LogFormat, LogLevel, LogLevels, LogSettings, ModuleEntry,
    ObservabilitySettings, Policy, Rate, SecretText, Sha256, StatusPage,
};
use nexum_types::{ChainId, Config, ConfigValue};

use crate::check::{ENGINE, Folder, check_engine};

const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";

fn patterns(texts: &[&str]) -> Vec<HostPattern> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// A problem that stands after [`ENGINE`].
#[track_caller]
fn check_after(text: &str, report: &str) {
    check_engine(&format!("{ENGINE}{text}"), report);
}

#[test]
fn a_full_file_resolves_to_what_it_says() {
    let folder = Folder::with(&[
        (
            "nexum-engine.toml",
            r#"
            [engine]
            state_dir = "state"
            shutdown_grace = "3s"

            [engine.log]
            format = "json"
            level = "info,nexum_chain=debug"

            [policy]
            rpc_requests_per_second = 50
            rpc_burst = 200
            http_requests_per_second = 3
            signatures_per_second = 2
            signature_burst = 7
            http_allow = ["*.example.org", "http://10.0.0.5:8080"]
            http_deny = ["bad.example.org"]
            log_lines_per_second = 10
            max_memory_bytes = 1_000_000
            max_fuel_per_event = 2_000
            max_event_duration = "3s"
            max_state_bytes = 4
            denied_capabilities = ["http", "logging"]
            require_digest = true
            [policy.modules.a-2]
            denied_capabilities = []
            http_deny = []
            log_burst = 7
            log_lines_per_second = 5
            max_state_bytes = 5

            [http]
            connect_timeout = "1s"
            idle_timeout = "2s"
            request_timeout = "4s"
            max_request_bytes = 5
            max_response_bytes = 6
            max_concurrent = 7
            max_redirects = 8
            allow_http = ["10.0.0.5:8080"]
            allow_private = ["10.0.0.5:8080", "https://*.corp.example"]
            ca_file = "secrets/ca.pem"
            [[http.credentials]]
            host = "API.example.org"
            header = "Authorization"
            value = { file = "secrets/key" }
            [[http.credentials]]
            host = "http://10.0.0.5:8080"
            header = "x-api-key"
            value = { env = "API_KEY" }
            modules = ["a-2", "b"]

            [observability]
            metrics = "off"
            health = "[::1]:8081"
            hosts = ["Nexum.internal", "nexum"]
            status_page = "off"

            [chains.1]
            poll_interval = "500ms"
            request_timeout = "7s"
            [[chains.1.endpoints]]
            url = "https://third.example/"
            priority = 2
            [[chains.1.endpoints]]
            url = { file = "secrets/url" }
            [[chains.1.endpoints]]
            url = { env = "RPC_URL" }

            [chains.18446744073709551615]
            endpoints = [{ url = "ws://localhost:8545" }]

            [[modules]]
            path = "modules/a"
            name = "a-2"
            digest = "sha256:00000000000000000000000000000000000000000000000000000000000000Ff"
            config = { threshold = 5, a.b = "c" }

            [[modules]]
            path = "/elsewhere"

            [[modules]]
            path = "modules/off"
            enabled = false
            "#,
        ),
        ("secrets/url", "wss://second.example/hunter2\r\n"),
        ("secrets/key", "Bearer hunter2\n"),
        ("secrets/ca.pem", CERTIFICATE),
    ]);
    let config = folder.engine().unwrap();
    let endpoints: Vec<_> = config.chains[&ChainId(1)]
        .endpoints
        .iter()
        .map(|endpoint| (endpoint.url.as_str(), endpoint.priority))
        .collect();
    assert_eq!(
        endpoints,
        [
            ("wss://second.example/hunter2", 0),
            ("https://user:hunter2@rpc.example/v2/hunter2?key=hunter2", 0),
            ("https://third.example/", 2),
        ]
    );
    let local = &config.chains[&ChainId(u64::MAX)];
    assert_eq!(
        *local,
        ChainSettings::new(ChainId(u64::MAX), local.endpoints.clone())
    );
    assert_eq!(local.endpoints[0].to_string(), "ws://localhost:8545");
    let mut digest = [0; 32];
    digest[31] = 0xff;
    let own = Ceilings {
        log_rate: Some(Rate {
            per_second: 5,
            burst: 7,
        }),
        max_state_bytes: Some(5),
        http_deny: Some(Vec::new()),
        denied: Some(BTreeSet::new()),
        ..Ceilings::default()
    };
    let expected = EngineConfig {
        state_dir: folder.path("state"),
        shutdown_grace: Duration::from_secs(3),
        log: LogSettings {
            format: LogFormat::Json,
            level: LogLevels {
                default: LogLevel::Info,
                parts: [("nexum_chain".to_owned(), LogLevel::Debug)].into(),
            },
        },
        chains: config.chains.clone(),
        policy: Policy {
            every: Ceilings {
                rpc_rate: Some(Rate {
                    per_second: 50,
                    burst: 200,
                }),
                log_rate: Some(Rate {
                    per_second: 10,
                    burst: 10,
                }),
                signature_rate: Some(Rate {
                    per_second: 2,
                    burst: 7,
                }),
                http_rate: Some(Rate {
                    per_second: 3,
                    burst: 3,
                }),
                http_allow: Some(patterns(&["*.example.org", "http://10.0.0.5:8080"])),
                http_deny: Some(patterns(&["bad.example.org"])),
                max_memory_bytes: Some(1_000_000),
                max_fuel_per_event: Some(2_000),
                max_event_duration: Some(Duration::from_secs(3)),
                max_state_bytes: Some(4),
                denied: Some([Capability::Http, Capability::Logging].into()),
            },
            modules: [("a-2".parse().unwrap(), own)].into(),
            require_digest: true,
        },
        http: HttpSettings {
            connect_timeout: Duration::from_secs(1),
            idle_timeout: Duration::from_secs(2),
            request_timeout: Duration::from_secs(4),
            max_request_bytes: 5,
            max_response_bytes: 6,
            max_concurrent: 7,
            max_redirects: 8,
            allow_http: patterns(&["http://10.0.0.5:8080"]),
            allow_private: patterns(&["10.0.0.5:8080", "https://*.corp.example"]),
            authorities: Some(CERTIFICATE.to_owned()),
            credentials: vec![
                HttpCredential {
                    host: patterns(&["https://api.example.org"]).remove(0),
                    header: "authorization".to_owned(),
                    value: SecretText::new("Bearer hunter2".to_owned()),
                    modules: None,
                },
                HttpCredential {
                    host: patterns(&["http://10.0.0.5:8080"]).remove(0),
                    header: "x-api-key".to_owned(),
                    value: SecretText::new("hunter2".to_owned()),
                    modules: Some(["a-2", "b"].map(|name| name.parse().unwrap()).into()),
                },
            ],
        },
        identity: IdentitySettings::default(),
        observability: ObservabilitySettings {
            metrics: None,
            health: Some("[::1]:8081".parse().unwrap()),
            hosts: ["nexum".to_owned(), "nexum.internal".to_owned()].into(),
            status_page: StatusPage::Off,
        },
        modules: vec![
            ModuleEntry {
                path: folder.path("modules/a"),
                name: Some("a-2".parse().unwrap()),
                digest: Some(Sha256(digest)),
                config: Config(vec![
                    ("a.b".to_owned(), ConfigValue::String("c".to_owned())),
                    ("threshold".to_owned(), ConfigValue::Integer(5)),
                ]),
            },
            ModuleEntry {
                path: "/elsewhere".into(),
                name: None,
                digest: None,
                config: Config::default(),
            },
        ],
    };
    assert_eq!(config, expected);
    assert_eq!(
        config.chains[&ChainId(1)].request_timeout,
        Duration::from_secs(7)
    );
    assert_eq!(
        config.chains[&ChainId(1)].poll_interval,
        Duration::from_millis(500)
    );
}

#[test]
fn what_is_not_said_has_a_default() {
    let folder = Folder::with(&[("nexum-engine.toml", ENGINE)]);
    let config = folder.engine().unwrap();
    assert_eq!(config.shutdown_grace, Duration::from_secs(10));
    assert_eq!(
        config.log,
        LogSettings {
            format: LogFormat::Pretty,
            level: LogLevels::default()
        }
    );
    assert_eq!(config.policy, Policy::default());
    assert_eq!(config.http, HttpSettings::default());
    let observability = ObservabilitySettings {
        metrics: Some("127.0.0.1:9090".parse().unwrap()),
        health: Some("127.0.0.1:8080".parse().unwrap()),
        hosts: BTreeSet::new(),
        status_page: StatusPage::WithLogs,
    };
    assert_eq!(config.observability, observability);
    assert!(config.chains.is_empty() && config.modules.is_empty());
}

#[test]
fn a_file_that_is_not_there() {
    let folder = Folder::with(&[("nexum-engine.toml/inside", "")]);
    let report = |path: &str| {
        let error = nexum_manifest::EngineFile::load(&folder.path(path)).unwrap_err();
        assert!(error.problems().all(|problem| problem.line().is_none()));
        folder.report(&error)
    };
    assert_eq!(
        report("gone.toml"),
        "gone.toml: the file does not exist\n  help: check the path and who may read it"
    );
    assert_eq!(
        report("nexum-engine.toml"),
        "nexum-engine.toml: this is not a file\n  help: check the path and who may read it"
    );
}

#[test]
fn unknown_keys_and_wrong_types() {
    check_engine(
        "[engine]
state-dir = \"state\"
log.format = \"xml\"
log.level = 3
shutdown_grace = 10
[policies]
deny = []
",
        "
nexum-engine.toml:2:1: unknown key `state-dir` in `engine`
  help: did you mean `state_dir`?
nexum-engine.toml:3:14: `engine.log.format` does not take \"xml\"
  help: it takes one of \"pretty\", \"json\"
nexum-engine.toml:4:13: `engine.log.level` takes a string, not an integer
  help: A level (off, error, warn, info, debug, trace), or a list with levels of single parts, such as `info,nexum_chain=debug`
nexum-engine.toml:5:18: `engine.shutdown_grace` takes a duration such as \"30s\", not an integer
  help: How long the calls in flight may take to finish after a request to stop
nexum-engine.toml:6:2: unknown key `policies`
  help: the keys here are `engine`, `policy`, `chains`, `http`, `identity`, `observability`, `modules`
",
    );
    check_engine(
        "chains = 1\nmodules = {}\n",
        "
nexum-engine.toml:1:1: `engine` is missing
  help: The engine itself
nexum-engine.toml:1:10: `chains` takes a table, not an integer
  help: The chains, by id: `[chains.1]`
nexum-engine.toml:2:11: `modules` takes a list, not a table
  help: The modules to run
",
    );
}

#[test]
fn entries_are_checked_even_when_they_are_off() {
    check_after(
        "[[modules]]
path = \"\"
enabled = \"no\"
[[modules]]
enabled = false
name = \"A\"
config = { price = 1.5 }
",
        "
nexum-engine.toml:4:8: `modules.path` is not a path
  help: The bundle's folder, with `nexum.toml` and `module.wasm`, relative to this file's folder
nexum-engine.toml:5:11: `modules.enabled` takes true or false, not a string
  help: False leaves the module out
nexum-engine.toml:6:1: `modules.path` is missing
  help: The bundle's folder, with `nexum.toml` and `module.wasm`, relative to this file's folder
nexum-engine.toml:8:8: `modules.name`: a module name is made of a-z, 0-9 and '-', and 'A' is none of them
  help: a name is 1 to 64 of a-z, 0-9 and '-', such as \"price-alert\"
nexum-engine.toml:9:20: `modules.config.price` holds a float, which a module's config cannot have
  help: an amount is an integer in base units or a string
",
    );
}

#[test]
fn ceilings_that_are_none() {
    check_after(
        "[policy]
max_memory_bytes = 1
max_event_duration = 5
log_burst = 5
denied_capabilities = [\"clock\", \"htpt\", \"http\", \"http\"]
max_cpu = 1
[policy.modules.A]
max_state_bytes = 1
[policy.modules.a]
max_state_bytes = 0
require_digest = true
",
        "
nexum-engine.toml:4:20: `policy.max_memory_bytes` is 1, and the least is 65536
  help: The most memory of a module, in bytes, whatever its manifest asks for
nexum-engine.toml:5:22: `policy.max_event_duration` takes a duration such as \"30s\", not an integer
  help: The longest time that one call may take, whatever the manifest asks for
nexum-engine.toml:6:13: `policy.log_burst` needs `log_lines_per_second`
  help: write `log_lines_per_second` too: without it nothing is limited
nexum-engine.toml:7:24: the capability \"clock\" cannot be denied
  help: its functions have no way to answer an error, and every guest has the same from WASI; take it out
nexum-engine.toml:7:33: there is no capability \"htpt\"
  help: did you mean \"http\"?
nexum-engine.toml:7:49: `policy.denied_capabilities` names http twice
  nexum-engine.toml:7:41: first here
  help: take one out
nexum-engine.toml:8:1: unknown key `max_cpu` in `policy`
  help: the keys here are `rpc_requests_per_second`, `rpc_burst`, `log_lines_per_second`, `log_burst`, `http_requests_per_second`, `http_burst`, `signatures_per_second`, `signature_burst`, `http_allow`, `http_deny`, `max_memory_bytes`, `max_fuel_per_event`, `max_event_duration`, `max_state_bytes`, `denied_capabilities`, `require_digest`, `modules`
nexum-engine.toml:9:17: `policy.modules` takes modules' names as keys, not `A`
  help: write the name that the module runs under, such as [policy.modules.price-alert]
nexum-engine.toml:12:19: `policy.modules.a.max_state_bytes` is 0, and the least is 1
  help: The largest state of a module, in bytes, whatever its manifest asks for
nexum-engine.toml:13:1: unknown key `require_digest` in `policy.modules.a`
  help: the keys here are `rpc_requests_per_second`, `rpc_burst`, `log_lines_per_second`, `log_burst`, `http_requests_per_second`, `http_burst`, `signatures_per_second`, `signature_burst`, `http_allow`, `http_deny`, `max_memory_bytes`, `max_fuel_per_event`, `max_event_duration`, `max_state_bytes`, `denied_capabilities`
",
    );
}

#[test]
fn pins_that_are_none() {
    check_after(
        "[policy]
require_digest = \"yes\"
[[modules]]
path = \"a\"
digest = \"sha256:12\"
[[modules]]
path = \"b\"
digest = \"ipfs:bafy\"
[[modules]]
path = \"c\"
digest = 5
",
        "
nexum-engine.toml:4:18: `policy.require_digest` takes true or false, not a string
  help: True refuses a module whose component is pinned neither by its manifest nor by its entry under `modules`
nexum-engine.toml:7:10: `modules.digest` is \"sha256:12\", which is no digest
  help: write \"sha256:\" and the 64 hex digits that `sha256sum module.wasm` prints
nexum-engine.toml:10:10: `modules.digest` is a `ipfs:` reference, which this engine does not take
  help: write \"sha256:\" and the 64 hex digits that `sha256sum module.wasm` prints
nexum-engine.toml:13:10: `modules.digest` takes \"sha256:\" and 64 hex digits, not an integer
  help: The digest that the component's bytes must have: \"sha256:\" and 64 hex digits
",
    );
}
