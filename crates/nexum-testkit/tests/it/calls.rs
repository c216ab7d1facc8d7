//! `eth_call`: answers that were set, by contract and function, as the chain is at a block.

use nexum_testkit::{Address, Bytes, CallAnswer, CallInput, ScriptedChain};
use serde_json::{Value, json};

const FEED: Address = Address::with_last_byte(0xfe);
const SELECTOR: [u8; 4] = [0xfe, 0xaf, 0x96, 0x8c];

fn call(chain: &ScriptedChain, input: &str, block: &str) -> Result<Value, Value> {
    let transaction = json!({ "to": FEED, "data": input });
    chain.answer("eth_call", &json!([transaction, block]))
}

fn returns(byte: u8) -> CallAnswer {
    CallAnswer::Returns(Bytes::from(vec![byte]))
}

#[test]
fn an_answer_is_that_of_its_block_and_a_reorg_takes_it_back() {
    let chain = ScriptedChain::new(1);
    chain.set_call(FEED, CallInput::Selector(SELECTOR), returns(1));
    assert!(call(&chain, "0xfeaf968c", "latest").is_err(), "not mined");
    chain.mine(1);
    chain.set_call(FEED, CallInput::Selector(SELECTOR), returns(2));
    chain.mine(1);
    assert_eq!(call(&chain, "0xfeaf968c", "0x1"), Ok(json!("0x01")));
    assert_eq!(call(&chain, "0xfeaf968c", "latest"), Ok(json!("0x02")));
    chain.reorg(1).unwrap();
    assert_eq!(call(&chain, "0xfeaf968c", "latest"), Ok(json!("0x01")));
    let code = |block| chain.answer("eth_getCode", &json!([FEED, block]));
    assert_eq!(code("0x0"), Ok(json!("0x")));
    assert_eq!(code("latest"), Ok(json!("0xfe")));
}

#[test]
fn a_revert_and_a_missing_answer_are_told_apart() {
    let chain = ScriptedChain::new(1);
    let reverts = CallAnswer::reverts("stale price");
    chain.set_call(FEED, CallInput::Selector(SELECTOR), reverts);
    chain.mine(1);
    let reverted = call(&chain, "0xfeaf968c", "latest").unwrap_err();
    assert_eq!(reverted["code"], 3);
    assert_eq!(reverted["message"], "execution reverted: stale price");
    let data = reverted["data"].as_str().unwrap();
    assert!(data.starts_with("0x08c379a0"), "{data}");
    let missing = call(&chain, "0x12345678", "latest").unwrap_err();
    assert_eq!(missing["code"], -32000);
    let message = missing["message"].as_str().unwrap();
    assert!(message.contains("0x00000000000000000000000000000000000000fe"));
    assert!(message.contains("0x12345678"), "{message}");
}

#[test]
fn what_is_no_call_is_refused_as_invalid() {
    let chain = ScriptedChain::new(1);
    for params in [
        json!([]),
        json!(["0xfe"]),
        json!([{ "to": "0xfe" }]),
        json!([{ "to": FEED, "data": "0x1" }]),
        json!([{ "to": FEED, "input": 7 }]),
    ] {
        let refused = chain.answer("eth_call", &params).unwrap_err();
        assert_eq!(refused["code"], -32602, "{params}");
    }
    let unknown = chain.answer("eth_sendTransaction", &json!([])).unwrap_err();
    assert_eq!(unknown["code"], -32601);
}

#[test]
fn what_happened_can_be_read_without_waiting() {
    use nexum_testkit::News;

    let chain = ScriptedChain::new(1);
    chain.mine(2);
    chain.reorg(1).unwrap();
    let told: Vec<_> = chain
        .news_from(0)
        .into_iter()
        .map(|news| match news {
            News::Head(block) => ("head", block.number),
            News::Removed(block) => ("removed", block.number),
        })
        .collect();
    assert_eq!(
        told,
        [("head", 1), ("head", 2), ("removed", 2), ("head", 2)]
    );
    assert!(chain.news_from(4).is_empty());
}
