//! One endpoint that fails now and then, and the next one.

use std::time::{Duration, Instant};

use nexum_chain::{Chains, EndpointState, EndpointStats, ErrorKind, limits};
use nexum_manifest::{ChainSettings, Rate};
use nexum_testkit::{Fault, Injection, RpcServer};
use nexum_types::{ChainRpc, HostErrorKind, RpcRequest};

use crate::support::{BOTH, CHAIN, Via, server, settings, within};

fn block_number() -> RpcRequest {
    RpcRequest {
        method: "eth_blockNumber".into(),
        params: "[]".into(),
    }
}

fn status(code: u16, retry_after: Option<u64>) -> Fault {
    Fault::Status {
        code,
        retry_after: retry_after.map(Duration::from_secs),
    }
}

fn on_block_number(fault: Fault) -> Injection {
    Injection::new(fault).on("eth_blockNumber")
}

async fn ask(chains: &Chains) -> Result<String, HostErrorKind> {
    let answer = within(chains.request(CHAIN, &block_number())).await;
    answer.map_err(|error| error.kind)
}

fn endpoint(chains: &Chains, index: usize) -> EndpointStats {
    chains.stats()[0].endpoints[index].clone()
}

/// Chains that have asked their endpoints for the chain id.
async fn ready(settings: ChainSettings) -> Chains {
    let chains = Chains::new([settings]).unwrap();
    chains.verify().await.unwrap();
    chains
}

async fn pair() -> (RpcServer, RpcServer) {
    let first = server(3).await;
    let second = RpcServer::start(first.chain().clone()).await.unwrap();
    (first, second)
}

#[tokio::test]
async fn what_may_pass_is_asked_again_on_the_same_endpoint() {
    for fault in [
        status(429, None),
        status(502, None),
        status(503, Some(1)),
        Fault::Cut,
    ] {
        let (first, second) = pair().await;
        let chains = ready(settings(&[first.http_url(), second.http_url()])).await;
        first.inject(on_block_number(fault.clone()).times(2));
        assert_eq!(ask(&chains).await, Ok("\"0x3\"".into()), "{fault:?}");
        assert_eq!(first.request_log().count("eth_blockNumber"), 3, "{fault:?}");
        assert_eq!(second.request_log().count("eth_blockNumber"), 0);
        assert_eq!(endpoint(&chains, 0).retries, 2);
        assert_eq!(endpoint(&chains, 0).state, EndpointState::Well);
    }
}

#[tokio::test]
async fn what_no_retry_mends_goes_to_the_next_endpoint_at_once() {
    for fault in [
        status(401, None),
        status(403, None),
        Fault::Garbage,
        Fault::Truncated,
        Fault::ForeignId,
    ] {
        for via in BOTH {
            // A status on a WebSocket is an error object, and an id nobody asked with is ignored.
            let only_http = matches!(fault, Fault::Status { .. } | Fault::ForeignId);
            if only_http && matches!(via, Via::Ws) {
                continue;
            }
            let (first, second) = pair().await;
            let chains = ready(settings(&[via.url(&first), via.url(&second)])).await;
            first.inject(on_block_number(fault.clone()));
            assert_eq!(ask(&chains).await, Ok("\"0x3\"".into()), "{fault:?}");
            assert_eq!(first.request_log().count("eth_blockNumber"), 1, "{fault:?}");
            assert_eq!(chains.stats()[0].fallbacks, 1);
            assert!(endpoint(&chains, 0).last_error.is_some());
        }
    }
}

#[tokio::test]
async fn a_wait_that_is_asked_for_is_granted() {
    let server = server(3).await;
    let chains = ready(settings(&[server.http_url()])).await;
    server.inject(on_block_number(status(429, Some(1))).times(1));
    let start = Instant::now();
    assert_eq!(ask(&chains).await, Ok("\"0x3\"".into()));
    assert!(start.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn an_endpoint_that_asks_for_a_long_rest_is_left_alone() {
    let (first, second) = pair().await;
    let chains = ready(settings(&[first.http_url(), second.http_url()])).await;
    first.inject(Injection::new(status(429, Some(60))).times(1));
    assert_eq!(ask(&chains).await, Ok("\"0x3\"".into()));
    assert_eq!(endpoint(&chains, 0).state, EndpointState::Open);
    assert_eq!(
        endpoint(&chains, 0).errors[&ErrorKind::RateLimited],
        1,
        "one attempt"
    );
    // It is well again, and is not asked all the same: it said for how long.
    second.set_down(true);
    let asked = first.request_log().wire_messages;
    assert!(ask(&chains).await.is_err());
    assert_eq!(first.request_log().wire_messages, asked);
}

#[tokio::test]
async fn a_json_rpc_rate_limit_leads_to_the_next_endpoint() {
    for via in BOTH {
        for code in [-32005, 429, -32029] {
            let (first, second) = pair().await;
            let refused = serde_json::json!({ "code": code, "message": "slow down" });
            first.set_answer("eth_blockNumber", Some(Err(refused)));
            let chains = ready(settings(&[via.url(&first), via.url(&second)])).await;
            assert_eq!(ask(&chains).await, Ok("\"0x3\"".into()), "{code} {via:?}");
            second.set_down(true);
            assert!(ask(&chains).await.is_err());
        }
    }
}

#[tokio::test]
async fn the_deadline_bounds_a_call_whatever_is_tried() {
    let (first, second) = pair().await;
    for server in [&first, &second] {
        server.inject(on_block_number(Fault::Silent));
    }
    let chains = ready(ChainSettings {
        request_timeout: Duration::from_secs(600),
        call_deadline: Duration::from_millis(500),
        ..settings(&[first.http_url(), second.ws_url()])
    })
    .await;
    assert_eq!(ask(&chains).await, Err(HostErrorKind::Timeout));
    // The call had no more time to give: that is not held against the endpoint.
    assert_eq!(endpoint(&chains, 0).state, EndpointState::Well);
}

#[tokio::test]
async fn a_silent_endpoint_is_left_after_one_timeout_and_comes_back() {
    let (first, second) = pair().await;
    let chains = ready(ChainSettings {
        request_timeout: Duration::from_millis(300),
        ..settings(&[first.http_url(), second.http_url()])
    })
    .await;
    first.inject(Injection::new(Fault::Silent).times(1));
    assert_eq!(ask(&chains).await, Ok("\"0x3\"".into()));
    assert_ne!(endpoint(&chains, 0).state, EndpointState::Well);
    within(async {
        while endpoint(&chains, 0).state != EndpointState::Well {
            ask(&chains).await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn calls_keep_to_the_endpoints_rate() {
    let server = server(3).await;
    let mut limited = settings(&[server.http_url()]);
    limited.endpoints[0].rate = Some(Rate {
        per_second: 10,
        burst: 2,
    });
    let chains = ready(limited.clone()).await;
    let start = Instant::now();
    for _ in 0..6 {
        assert_eq!(ask(&chains).await, Ok("\"0x3\"".into()));
    }
    // One of the burst went to the chain id.
    assert!(start.elapsed() >= Duration::from_millis(400));
    // A call that comes late enough does not wait.
    assert!(endpoint(&chains, 0).rate_limit_waits >= 1);

    limited.endpoints[0].rate = Some(Rate {
        per_second: 1,
        burst: 1,
    });
    limited.call_deadline = Duration::from_millis(100);
    let chains = ready(limited).await;
    assert_eq!(ask(&chains).await, Err(HostErrorKind::RateLimited));
}

#[tokio::test]
async fn an_endpoint_that_lags_is_left_until_it_has_caught_up() {
    let (first, second) = pair().await;
    first.chain().mine(100);
    let chains = ready(settings(&[first.http_url(), second.http_url()])).await;
    first.change_view(|view| view.lag = 50);
    let asked_until = async |answer: &str| {
        within(async {
            while ask(&chains).await.as_deref() != Ok(answer) {
                tokio::task::yield_now().await;
            }
        })
        .await;
    };
    asked_until("\"0x35\"").await;
    asked_until("\"0x67\"").await;
    let lagging = endpoint(&chains, 0);
    assert_eq!((lagging.state, lagging.lag), (EndpointState::Lagging, 50));
    first.change_view(|view| view.lag = 0);
    within(async {
        while endpoint(&chains, 0).state != EndpointState::Well {
            ask(&chains).await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn a_half_open_websocket_is_given_up_by_itself() {
    let server = server(3).await;
    let chains = ready(ChainSettings {
        request_timeout: Duration::from_secs(600),
        call_deadline: Duration::from_secs(600),
        ..settings(&[server.ws_url()])
    })
    .await;
    server.wire().set_half_open(true);
    let call = block_number();
    let asked = chains.request(CHAIN, &call);
    // Found out within twenty seconds; a slow machine has more time.
    let healed = async {
        while !endpoint(&chains, 0).errors.contains_key(&ErrorKind::Lost) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        server.wire().set_half_open(false);
    };
    let both = async { tokio::join!(asked, healed) };
    let (answer, ()) = tokio::time::timeout(Duration::from_secs(120), both)
        .await
        .unwrap();
    assert_eq!(answer.unwrap(), "\"0x3\"");
}

#[tokio::test]
async fn an_enormous_frame_is_not_read() {
    let server = server(3).await;
    let chains = ready(settings(&[server.ws_url()])).await;
    let bytes = limits::MAX_RESPONSE_BYTES + 1;
    server.inject(on_block_number(Fault::Enormous { bytes }).times(1));
    assert_eq!(ask(&chains).await, Err(HostErrorKind::InvalidInput));
    assert_eq!(ask(&chains).await, Ok("\"0x3\"".into()));
}
