//! alloy over `chain`.

use futures::future::{join, join_all};
use nexum_sdk::{
    HostError, HostErrorKind,
    alloy::{
        eips::BlockId,
        primitives::{Address, I256, U256, address, hex},
        provider::Provider as _,
        rpc_client::BatchRequest,
    },
    block_on, provider, sol,
};
use serde_json::json;

use crate::bare;

const FEED: Address = address!("00000000000000000000000000000000000000fe");

sol! {
    #[sol(rpc)]
    contract Feed {
        error Stale(uint64 since);
        function latestAnswer() external view returns (int256);
        function getAnswer(uint256 round) external view returns (int256);
    }
}

#[test]
fn a_balance_is_read_at_a_block() {
    let host = bare();
    let chain = host.chain(1);
    chain.set_balance(FEED, U256::from(5));
    chain.mine(1);
    chain.set_balance(FEED, U256::from(7));
    chain.mine(1);
    host.enter(|| {
        let at = |block| async move { provider(1).get_balance(FEED).block_id(block).await };
        assert_eq!(block_on(at(BlockId::number(1))).unwrap(), U256::from(5));
        assert_eq!(block_on(at(BlockId::latest())).unwrap(), U256::from(7));
        let first = chain.block(1).unwrap().hash;
        assert_eq!(block_on(at(BlockId::hash(first))).unwrap(), U256::from(5));
    });
}

#[test]
fn an_init_finds_what_is_there_from_genesis_on() {
    struct Asks(U256);
    impl nexum_sdk::Module for Asks {
        type Instance = Self;

        fn init(_: nexum_sdk::module::Config) -> nexum_sdk::Result<Self> {
            Ok(Self(block_on(provider(1).get_balance(FEED))?))
        }
        fn on_event(_: &mut Self, _: nexum_sdk::Event) -> nexum_sdk::Result<()> {
            Ok(())
        }
    }
    let host = bare();
    let chain = host.chain(1);
    chain.at_genesis(|genesis| genesis.set_balance(FEED, U256::from(5)));
    chain.set_balance(FEED, U256::from(6));
    let module = host.start::<Asks>().unwrap();
    assert_eq!(module.instance().map(|asks| asks.0), Some(U256::from(5)));
    chain.mine(1);
    assert_eq!(chain.head().balance(&FEED), U256::from(6));
}

#[test]
fn what_can_be_awaited_can_be_blocked_on() {
    let host = bare();
    host.chain(1).set_balance(FEED, U256::from(5));
    host.chain(1).mine(1);
    host.enter(|| {
        let at = BlockId::number(1);
        let balance = block_on(provider(1).get_balance(FEED).block_id(at));
        assert_eq!(balance.unwrap(), U256::from(5));
        let feed = Feed::new(FEED, provider(1));
        let absent = block_on(feed.latestAnswer().call());
        assert!(absent.is_err(), "there is no such contract");
    });
}

#[test]
fn what_is_joined_goes_out_as_one_batch_for_each_chain() {
    let host = bare();
    host.enter(|| {
        let balance = |chain_id, last| async move {
            let account = Address::with_last_byte(last);
            provider(chain_id).get_balance(account).await
        };
        let many = join_all((0..100).map(|last| balance(1, last)));
        let (ours, other) = block_on(join(many, balance(100, 7)));
        assert!(ours.iter().all(Result::is_ok));
        assert!(other.is_ok());
    });
    assert_eq!(host.exchanges(), 2);
    assert_eq!(host.requests().len(), 101);
}

#[test]
fn a_batch_is_cut_where_the_contract_bounds_it() {
    let host = bare();
    host.enter(|| {
        let asked = (0..300).map(|_| async { provider(1).get_chain_id().await });
        assert!(
            block_on(join_all(asked))
                .iter()
                .all(|id| *id.as_ref().unwrap() == 1)
        );
    });
    assert_eq!(host.exchanges(), 2, "256 and 44");
}

#[test]
fn alloys_own_batch_is_one_exchange() {
    let host = bare();
    host.enter(|| {
        let provider = provider(1);
        let mut batch = BatchRequest::new(provider.client());
        let id = batch.add_call::<_, U256>("eth_chainId", &()).unwrap();
        let number = batch.add_call::<_, U256>("eth_blockNumber", &()).unwrap();
        let (sent, id, number) = block_on(async { futures::join!(batch.send(), id, number) });
        sent.unwrap();
        assert_eq!(id.unwrap(), U256::from(1));
        assert_eq!(number.unwrap(), U256::ZERO);
    });
    assert_eq!(host.exchanges(), 1);
}

#[test]
fn a_contract_of_sol_is_called_through_the_provider() {
    let host = bare()
        .on_call(1, FEED, |_: Feed::latestAnswerCall| {
            Ok(I256::unchecked_from(2500))
        })
        .on_call(1, FEED, |call: Feed::getAnswerCall| {
            Ok(I256::from_raw(call.round))
        });
    host.enter(|| {
        let feed = Feed::new(FEED, provider(1));
        block_on(async {
            assert_eq!(
                feed.latestAnswer().call().await.unwrap(),
                I256::unchecked_from(2500)
            );
            let round = feed.getAnswer(U256::from(3)).call().await.unwrap();
            assert_eq!(round, I256::unchecked_from(3));
        });
    });
}

#[test]
fn a_revert_keeps_code_reason_and_data_on_its_way_through_alloy() {
    let host = bare().on_call(1, FEED, |_: Feed::latestAnswerCall| {
        Err(HostError::invalid_input("no price"))
    });
    let error: HostError = host.enter(|| {
        let feed = Feed::new(FEED, provider(1));
        let error = block_on(async { feed.latestAnswer().call().await }).unwrap_err();
        assert!(
            error
                .as_revert_data()
                .unwrap()
                .starts_with(&hex!("08c379a0"))
        );
        error.into()
    });
    assert_eq!(error.domain, "chain");
    assert_eq!(error.kind, HostErrorKind::InvalidInput);
    assert_eq!(error.code, 3);
    assert_eq!(error.message, "execution reverted: no price");
    assert!(error.data.unwrap().starts_with("0x08c379a0"));
}

#[test]
fn a_failure_of_the_hosts_comes_out_of_alloy_as_it_was() {
    let told = HostError {
        domain: "chain".into(),
        kind: HostErrorKind::RateLimited,
        code: 0,
        message: "chain 1: asked too much; try again later".into(),
        data: None,
    };
    let answer = told.clone();
    let host = bare().on_request(1, "eth_blockNumber", move |_| Err(answer.clone()));
    let error: HostError =
        host.enter(|| block_on(async { provider(1).get_block_number().await.unwrap_err().into() }));
    assert_eq!(error, told);
}

#[test]
fn a_chain_that_the_manifest_does_not_name_is_denied() {
    let host = bare();
    let error: HostError =
        host.enter(|| block_on(async { provider(5).get_block_number().await.unwrap_err().into() }));
    assert_eq!(error.kind, HostErrorKind::Denied);
    assert_eq!(error.message, "chain 5 is not in [chains] of the manifest");
}

#[test]
fn an_answer_that_is_none_of_the_methods_is_an_error_without_its_text() {
    let host = bare().on_request(1, "eth_getBalance", |_| Ok(json!("five")));
    let error: HostError =
        host.enter(|| block_on(async { provider(1).get_balance(FEED).await.unwrap_err().into() }));
    assert_eq!(error.kind, HostErrorKind::Internal);
    assert!(
        error
            .message
            .starts_with("the answer is not what the method promises"),
        "{error}"
    );
}

#[test]
fn a_block_that_the_node_lacks_is_none() {
    let host = bare();
    let block =
        host.enter(|| block_on(async { provider(1).get_block_by_number(7.into()).await.unwrap() }));
    assert!(block.is_none());
}

#[test]
#[should_panic(expected = "waits for something that no call brings")]
fn waiting_for_what_never_comes_is_told_and_does_not_hang() {
    block_on(std::future::pending::<()>());
}

#[test]
fn what_is_dropped_before_it_went_out_is_not_asked() {
    let host = bare();
    host.enter(|| {
        block_on(async {
            let mut asked = Box::pin(async { provider(1).get_chain_id().await });
            assert!(futures::poll!(asked.as_mut()).is_pending());
            drop(asked);
            provider(1).get_block_number().await.unwrap();
        });
    });
    let methods: Vec<_> = host
        .requests()
        .into_iter()
        .map(|asked| asked.method)
        .collect();
    assert_eq!(methods, ["eth_blockNumber"]);
}
