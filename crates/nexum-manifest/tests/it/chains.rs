//! `[chains.<id>]` and `[policy]` of the operator's file.

use std::time::Duration;

use nexum_manifest::{ChainSettings, Endpoint, Rate};
use nexum_types::ChainId;

use crate::check::{ENGINE, Folder, check_engine};

/// A problem that stands after [`ENGINE`].
#[track_caller]
fn check_after(text: &str, report: &str) {
    check_engine(&format!("{ENGINE}{text}"), report);
}

#[test]
fn every_setting_of_a_chain_is_taken() {
    let text = format!(
        r#"{ENGINE}
        [chains.10]
        poll_interval = "250ms"
        request_timeout = "4s"
        call_deadline = "4s"
        max_retries = 0
        max_lag_blocks = 30
        max_log_range = 500
        reorg_window = 64
        trust_bloom = false
        [[chains.10.endpoints]]
        url = "wss://a.example/"
        requests_per_second = 25
        burst = 100
        max_batch = 1
        [[chains.10.endpoints]]
        url = "https://b.example/"
        priority = 1
        requests_per_second = 10
        "#
    );
    let folder = Folder::with(&[("nexum-engine.toml", &text)]);
    let rate = |per_second, burst| Some(Rate { per_second, burst });
    let expected = ChainSettings {
        id: ChainId(10),
        endpoints: vec![
            Endpoint {
                url: "wss://a.example/".parse().unwrap(),
                priority: 0,
                rate: rate(25, 100),
                max_batch: 1,
            },
            Endpoint {
                url: "https://b.example/".parse().unwrap(),
                priority: 1,
                rate: rate(10, 10),
                max_batch: Endpoint::DEFAULT_MAX_BATCH,
            },
        ],
        poll_interval: Duration::from_millis(250),
        request_timeout: Duration::from_secs(4),
        call_deadline: Duration::from_secs(4),
        max_retries: 0,
        max_lag_blocks: 30,
        max_log_range: 500,
        reorg_window: 64,
        trust_bloom: false,
    };
    assert_eq!(folder.engine().unwrap().chains[&ChainId(10)], expected);
}

#[test]
fn chains_have_an_id_and_endpoints() {
    check_after(
        "[chains.mainnet]
[chains.01]
[chains.0]
[chains.2]
[chains.3]
endpoints = []
[chains.4]
endpoints = [{ priority = 1 }]
poll_intervall = \"1s\"
[chains.5]
endpoints = [{ url = \"http://localhost\", priority = 4294967296 }]
",
        "
nexum-engine.toml:3:9: `chains` takes chain ids as keys, not `mainnet`
  help: write the chain's number, such as [chains.1]
nexum-engine.toml:4:9: `chains` takes chain ids as keys, not `01`
  help: write the chain's number, such as [chains.1]
nexum-engine.toml:5:9: `chains` takes chain ids as keys, not `0`
  help: write the chain's number, such as [chains.1]
nexum-engine.toml:6:1: `chains.2.endpoints` is missing
  help: The chain's endpoints: at least one `[[chains.<id>.endpoints]]`
nexum-engine.toml:8:13: `chains.3.endpoints` is empty
  help: The chain's endpoints: at least one `[[chains.<id>.endpoints]]`
nexum-engine.toml:10:14: `chains.4.endpoints.url` is missing
  help: An http, https, ws or wss URL: the text itself, { env = \"NAME\" } or { file = \"path\" }
nexum-engine.toml:11:1: unknown key `poll_intervall` in `chains.4`
  help: did you mean `poll_interval`?
nexum-engine.toml:13:53: `chains.5.endpoints.priority` is 4294967296, and the most is 4294967295
  help: Lower is preferred
",
    );
}

#[test]
fn settings_have_bounds() {
    check_after(
        "[chains.1]
max_retries = 101
max_lag_blocks = 0
max_log_range = 0
reorg_window = 10001
trust_bloom = \"no\"
endpoints = [{ url = \"http://localhost\", requests_per_second = 0, burst = 1000001, max_batch = 1001 }]
[policy]
rpc_requests_per_second = 1.5
rpc_burst = 5
",
        r#"
nexum-engine.toml:4:15: `chains.1.max_retries` is 101, and the most is 100
  help: How often a request is sent again to the same endpoint after a failure that may pass
nexum-engine.toml:5:18: `chains.1.max_lag_blocks` is 0, and the least is 1
  help: An endpoint whose head is further than this behind the best known one is left until it has caught up, in blocks
nexum-engine.toml:6:17: `chains.1.max_log_range` is 0, and the least is 1
  help: The most blocks that one `eth_getLogs` asks for
nexum-engine.toml:7:16: `chains.1.reorg_window` is 10001, and the most is 10000
  help: How far back a reorg is followed, in blocks
nexum-engine.toml:8:15: `chains.1.trust_bloom` takes true or false, not a string
  help: Whether a header's bloom may prove that a block has no matching log
nexum-engine.toml:9:64: `chains.1.endpoints.requests_per_second` is 0, and the least is 1
  help: How much it may be asked in a second, in the long run; methods of more weight count as several
nexum-engine.toml:9:75: `chains.1.endpoints.burst` is 1000001, and the most is 1000000
  help: How much it may be asked at once, after a quiet time
nexum-engine.toml:9:96: `chains.1.endpoints.max_batch` is 1001, and the most is 1000
  help: The most requests of one batch
nexum-engine.toml:11:27: `policy.rpc_requests_per_second` takes an integer, not a float
  help: How many requests a second a module may make to its chains, in the long run
"#,
    );
}

#[test]
fn a_call_has_time_for_a_request() {
    let chain = |settings: &str| {
        format!("[chains.1]\nendpoints = [{{ url = \"http://localhost\" }}]\n{settings}")
    };
    check_after(
        &chain("request_timeout = \"3s\"\ncall_deadline = \"2s 500ms\"\n"),
        r#"
nexum-engine.toml:6:17: `chains.1.call_deadline` is 2s 500ms, shorter than `request_timeout`, which is 3s
  help: a call has at least one request: write call_deadline = "3s" or more
"#,
    );
    check_after(
        &chain("call_deadline = \"9s\"\n"),
        r#"
nexum-engine.toml:5:17: `chains.1.call_deadline` is 9s, shorter than `request_timeout`, which is 10s
  help: a call has at least one request: write call_deadline = "10s" or more
"#,
    );
    check_after(
        &chain("request_timeout = \"1m\"\n"),
        r#"
nexum-engine.toml:5:19: `chains.1.request_timeout` is 1m, and `call_deadline`, which is not written, is 25s
  help: a call has at least one request: write call_deadline = "1m" or more
"#,
    );
}

#[test]
fn a_burst_belongs_to_a_rate() {
    check_after(
        "[policy]
rpc_burst = 5
[chains.1]
endpoints = [{ url = \"http://localhost\", burst = 5 }]
",
        r#"
nexum-engine.toml:4:13: `policy.rpc_burst` needs `rpc_requests_per_second`
  help: write `rpc_requests_per_second` too: without it nothing is limited
nexum-engine.toml:6:50: `chains.1.endpoints.burst` needs `requests_per_second`
  help: write `requests_per_second` too: without it nothing is limited
"#,
    );
}
