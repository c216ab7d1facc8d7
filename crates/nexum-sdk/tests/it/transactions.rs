//! Accounts and transactions by way of `chain`.

use std::{cell::Cell, rc::Rc};

use nexum_sdk::{
    Event, HostError, HostErrorKind, Tick,
    alloy::primitives::eip191_hash_message,
    chain::{self, RpcRequest},
    local_store,
    prelude::*,
    testing::{MockHost, SentTransaction},
};
use serde_json::{Value, json};

use crate::{bare, manifest, module};

const TO: Address = address!("0x00000000000000000000000000000000000000a1");

fn tick() -> Event {
    Event::Tick(Tick {
        fired_at: 60_000,
        schedule: "1m".into(),
    })
}

/// Sends so many wei from the first account.
async fn send(wei: u64) -> Result<B256> {
    let provider = provider(1);
    let from = provider.get_accounts().await?[0];
    let transaction = TransactionRequest::default()
        .with_from(from)
        .with_to(TO)
        .with_value(U256::from(wei));
    let pending = provider.send_transaction(transaction).await?;
    Ok(*pending.tx_hash())
}

fn values(host: &MockHost) -> Vec<U256> {
    let sent = host.transactions().into_iter();
    sent.map(|sent| sent.value).collect()
}

fn ask(method: &str, params: &Value) -> Result<String> {
    chain::request(1, method, &params.to_string())
}

#[test]
fn alloy_sends_from_the_modules_account() {
    let host = bare();
    let from = host.add_account();
    let hash = host.enter(|| block_on(send(7))).unwrap();
    let sent = SentTransaction {
        chain_id: 1,
        from,
        to: Some(TO),
        value: U256::from(7),
        input: Bytes::new(),
        hash,
    };
    assert_eq!(host.transactions(), [sent]);
    assert_eq!(host.exchanges(), 0, "no node was asked");
}

#[test]
fn what_is_sent_is_pending_until_it_lands_and_moves_its_value_then() {
    let host = bare();
    let from = host.add_account();
    let chain = host.chain(1);
    chain.set_balance(from, U256::from(10));
    chain.mine(1);
    let first = host.enter(|| block_on(send(7))).unwrap();
    let second = host.enter(|| block_on(send(1))).unwrap();
    let look = |hash| {
        host.enter(|| {
            block_on(async {
                let provider = provider(1);
                let known = provider.get_transaction_by_hash(hash).await.unwrap();
                let receipt = provider.get_transaction_receipt(hash).await.unwrap();
                (
                    known.unwrap().block_number,
                    receipt.map(|receipt| (receipt.block_number, receipt.status())),
                )
            })
        })
    };
    assert_eq!(look(first), (None, None));
    host.land(first);
    assert_eq!(look(first), (Some(2), Some((Some(2), true))));
    assert_eq!(look(second), (None, None));
    host.land_reverted(second);
    assert_eq!(look(second), (Some(3), Some((Some(3), false))));
    assert_eq!(chain.head().balance(&from), U256::from(3));
    assert_eq!(chain.head().balance(&TO), U256::from(7));
    chain.reorg(2).unwrap();
    assert_eq!(look(first), (None, None), "its block has left the chain");
}

#[test]
fn a_call_that_comes_again_sends_nothing_twice() {
    module!(Twice, |_| {
        let first = block_on(send(1))?;
        let second = block_on(send(2))?;
        log::info!("{first} {second}");
        let attempts = local_store::get("attempts")?.map_or(0, |value| value.len());
        local_store::set("attempts", &vec![0; attempts + 1])?;
        local_store::checkpoint()?;
        match attempts {
            0 => panic!("after both"),
            1 => Err(HostError::unavailable("after both")),
            _ => Ok(()),
        }
    });
    let host = bare();
    let _ = host.add_account();
    let mut module = host.start::<Twice>().unwrap();
    module.dispatch(tick()).unwrap_err();
    host.enter(|| block_on(send(9))).unwrap();
    module.dispatch(tick()).unwrap_err();
    module.dispatch(tick()).unwrap();
    assert_eq!(values(&host), [1, 2, 9].map(U256::from));
    let said: Vec<_> = host.logs().into_iter().map(|line| line.message).collect();
    assert!(said.iter().all(|line| *line == said[0]), "{said:?}");

    module.dispatch(tick()).unwrap();
    let all = [1, 2, 9, 1, 2].map(U256::from);
    assert_eq!(values(&host), all, "a call that was handled is over");
}

#[test]
fn another_transaction_in_the_place_of_one_that_was_sent_is_refused() {
    module!(Changed, |_| {
        let attempts = local_store::get("attempts")?.map_or(1, |value| value.len() + 1);
        local_store::set("attempts", &vec![0; attempts])?;
        local_store::checkpoint()?;
        block_on(send(attempts as u64))?;
        Err(HostError::unavailable("after it"))
    });
    let host = bare();
    let _ = host.add_account();
    let mut module = host.start::<Changed>().unwrap();
    module.dispatch(tick()).unwrap_err();
    let hash = host.transactions()[0].hash;
    let nexum_sdk::testing::Failure::Error(error) = module.dispatch(tick()).unwrap_err() else {
        panic!("it answers an error");
    };
    assert_eq!(
        (error.domain.as_str(), error.kind, error.data),
        (
            "identity",
            HostErrorKind::InvalidInput,
            Some(hash.to_string())
        )
    );
    assert_eq!(values(&host), [U256::from(1)]);
}

#[test]
fn what_a_test_refuses_is_not_sent_and_comes_out_of_alloy_as_it_was() {
    let refusal = HostError {
        domain: "chain".into(),
        kind: HostErrorKind::InvalidInput,
        code: 3,
        message: "execution reverted: paused".into(),
        data: Some("0x08c379a0".into()),
    };
    let denial = HostError::new(HostErrorKind::Denied, "over `max_value`").in_domain("identity");
    for told in [refusal, denial] {
        let is_refused = Rc::new(Cell::new(true));
        let (switch, answer) = (Rc::clone(&is_refused), told.clone());
        let host = bare().on_transaction(move |sent| {
            let wants_more = sent.value > U256::from(1);
            if wants_more && switch.get() {
                return Err(answer.clone());
            }
            Ok(())
        });
        let _ = host.add_account();
        let error = host.enter(|| block_on(send(2))).unwrap_err();
        assert_eq!(error, told);
        host.enter(|| block_on(send(1))).unwrap();
        is_refused.set(false);
        host.enter(|| block_on(send(3))).unwrap();
        assert_eq!(values(&host), [1, 3].map(U256::from));
    }
}

#[test]
fn what_the_engine_decides_or_does_not_sign_is_refused() {
    let host = bare();
    let from = host.add_account();
    host.enter(|| {
        for (field, value, word) in [
            ("nonce", json!("0x0"), "nonce"),
            ("gasPrice", json!("0x1"), "gasPrice"),
            ("type", json!("0x3"), "type"),
            ("chainId", json!("0x2"), "chainId"),
            ("blobVersionedHashes", json!([]), "blobVersionedHashes"),
            ("maxPriorityFeePerGas", json!("0x2"), "maxPriorityFeePerGas"),
            ("gas", json!("0x10000000000000000"), "gas"),
            ("input", json!("0x02"), "`data` and `input`"),
        ] {
            let mut transaction =
                json!({ "from": from, "to": TO, "data": "0x01", "maxFeePerGas": "0x1" });
            transaction[field] = value;
            let error = ask("eth_sendTransaction", &json!([transaction])).unwrap_err();
            assert_eq!(
                (error.domain.as_str(), error.kind),
                ("identity", HostErrorKind::InvalidInput),
                "{field}"
            );
            assert!(error.message.contains(word), "{error}");
        }
        for params in [json!([]), json!([{}]), json!([TO])] {
            let error = ask("eth_sendTransaction", &params).unwrap_err();
            assert_eq!(error.kind, HostErrorKind::InvalidInput);
        }
        let stranger = json!([{ "from": TO, "to": TO, "value": "0x1" }]);
        let error = ask("eth_sendTransaction", &stranger).unwrap_err();
        assert_eq!(error.kind, HostErrorKind::Denied);
        assert!(error.message.contains("add_account"), "{error}");
    });
    assert_eq!(host.transactions(), []);
}

#[test]
fn a_wallets_other_methods_sign_with_the_accounts() {
    let host = bare();
    let account = host.add_account();
    host.enter(|| {
        assert_eq!(
            ask("eth_accounts", &json!([])).unwrap(),
            json!([account]).to_string()
        );
        let hello = Bytes::from("hello");
        let signature = ask("personal_sign", &json!([hello, account])).unwrap();
        let signature: Bytes = serde_json::from_str(&signature).unwrap();
        let signature = nexum_sdk::alloy::primitives::Signature::from_raw(&signature).unwrap();
        let recovered = signature.recover_address_from_prehash(&eip191_hash_message("hello"));
        assert_eq!(recovered.unwrap(), account);
        let data = json!({
            "types": { "EIP712Domain": [], "Mail": [{ "name": "contents", "type": "string" }] },
            "primaryType": "Mail",
            "domain": {},
            "message": { "contents": "Hello" },
        });
        let as_object = ask("eth_signTypedData_v4", &json!([account, data])).unwrap();
        let as_text = ask("eth_signTypedData_v4", &json!([account, data.to_string()])).unwrap();
        assert_eq!(as_object, as_text);
        let swapped = ask("personal_sign", &json!([account, "hello"])).unwrap_err();
        assert_eq!(
            (swapped.domain.as_str(), swapped.code),
            ("identity", -32602)
        );
        let through_alloy: HostError = block_on(async {
            let client = provider(1);
            let params = (account, "hello");
            let asked = client.raw_request::<_, Bytes>("personal_sign".into(), params);
            asked.await.unwrap_err().into()
        });
        assert_eq!(through_alloy, swapped);
    });
    assert_eq!(host.signatures().len(), 3);
}

#[test]
fn a_batch_may_hold_both_and_keeps_its_order() {
    let host = bare();
    let from = host.add_account();
    let request = |method: &str, params: Value| RpcRequest {
        method: method.into(),
        params: params.to_string(),
    };
    let answers = host.enter(|| {
        let transaction = |wei: &str| json!([{ "from": from, "to": TO, "value": wei }]);
        let batch = [
            request("eth_sendTransaction", transaction("0x1")),
            request("eth_chainId", json!([])),
            request("eth_sendTransaction", transaction("0x2")),
            request("eth_sendRawTransaction", json!(["0x"])),
        ];
        chain::request_batch(1, &batch).unwrap()
    });
    let hashes: Vec<_> = host.transactions().iter().map(|it| it.hash).collect();
    assert_eq!(values(&host), [1, 2].map(U256::from));
    assert_eq!(*answers[0].as_ref().unwrap(), json!(hashes[0]).to_string());
    assert_eq!(*answers[1].as_ref().unwrap(), "\"0x1\"");
    assert_eq!(*answers[2].as_ref().unwrap(), json!(hashes[1]).to_string());
    let denied = answers[3].as_ref().unwrap_err();
    assert_eq!(denied.kind, HostErrorKind::Denied);
    assert_eq!(host.exchanges(), 1);
}

#[test]
fn what_the_manifest_does_not_name_is_denied() {
    let host = MockHost::of(&manifest("").replace(", \"send-transaction\"", ""));
    let _ = host.add_account();
    let error = host.enter(|| block_on(send(1))).unwrap_err();
    assert_eq!(
        (error.domain.as_str(), error.kind),
        ("identity", HostErrorKind::Denied)
    );
    assert!(error.message.contains("\"send-transaction\""), "{error}");

    let without = manifest("").replace("\"identity\", ", "");
    let section = "[capabilities.identity]\nmethods = [\"accounts\", \"sign\", \"sign-typed-data\", \"send-transaction\"]\n";
    let host = MockHost::of(&without.replace(section, ""));
    let error = host.enter(|| ask("eth_accounts", &json!([]))).unwrap_err();
    assert_eq!(
        (error.domain.as_str(), error.kind),
        ("chain", HostErrorKind::Denied)
    );
}
