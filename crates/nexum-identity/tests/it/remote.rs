//! A remote signer: a small server that speaks web3signer's JSON-RPC, well and badly.

use std::sync::{Arc, Mutex};

use alloy_consensus::{TxEip1559, transaction::RlpEcdsaEncodableTx as _};
use alloy_primitives::{Bytes, Signature, TxKind, U256, hex};
use axum::{Router, extract::State, routing::post};
use nexum_identity::{
    Key, LocalSigner, RemoteSigner, SignError, Signer as _, ToSign, Transaction, TypedData, Unlock,
};
use serde_json::{Value, json};

use crate::keystores::{folder_of, password};

/// What a server answers to a request.
type Script = Box<dyn Fn(&Value) -> String + Send + Sync>;

struct Server {
    script: Script,
    asked: Mutex<Vec<Value>>,
}

/// A signer at a server that answers by a script, and what the server was asked.
pub(crate) async fn signer(
    script: impl Fn(&Value) -> String + Send + Sync + 'static,
) -> (RemoteSigner, impl Fn() -> Vec<Value>) {
    let server = Arc::new(Server {
        script: Box::new(script),
        asked: Mutex::default(),
    });
    let answer = |State(server): State<Arc<Server>>, body: String| async move {
        let request: Value = serde_json::from_str(&body).unwrap();
        let answer = (server.script)(&request);
        server.asked.lock().unwrap().push(request);
        answer
    };
    let app = Router::new()
        .fallback(post(answer))
        .with_state(Arc::clone(&server));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://user:t0ken@{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let asked = move || server.asked.lock().unwrap().clone();
    (
        RemoteSigner::new(url.parse().unwrap(), None).unwrap(),
        asked,
    )
}

fn result(value: &Value) -> String {
    json!({ "jsonrpc": "2.0", "id": 1, "result": value }).to_string()
}

/// The key of the vector of web3.js, and its signature of "Some data".
const KEY: &str = "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318";
const SIGNED: &str = "0xb91467e570a6466aa9e9876cbcd013baba02900b8979d43fe208a4a4f339f5fd6007e74cd82e037b800186422fc2da167c747ef045e5d18a5f5d4300f8e1a0291c";

#[tokio::test]
async fn it_is_asked_as_web3signer_takes_it() {
    let account = Key::from_hex(KEY).unwrap().address();
    let told = account.to_string();
    let (signer, asked) = signer(move |request| match request["method"].as_str() {
        Some("eth_accounts") => result(&json!([told])),
        _ => result(&json!(SIGNED)),
    })
    .await;
    assert!(signer.accounts().await.unwrap().contains(&account));
    let expected: Signature = SIGNED.parse().unwrap();
    let signed = signer.sign(account, ToSign::Message(b"Some data")).await;
    assert_eq!(signed, Ok(expected));
    let data = TypedData::parse(crate::typed_data::MAIL).unwrap();
    signer
        .sign(account, ToSign::TypedData(&data))
        .await
        .unwrap();

    let asked = asked();
    let lower = account.to_string().to_lowercase();
    assert_eq!(asked[1]["method"], "eth_sign");
    assert_eq!(asked[1]["params"], json!([lower, "0x536f6d652064617461"]));
    assert_eq!(asked[2]["method"], "eth_signTypedData");
    let sent: Value = serde_json::from_str(asked[2]["params"][1].as_str().unwrap()).unwrap();
    assert_eq!(
        sent,
        serde_json::from_str::<Value>(crate::typed_data::MAIL).unwrap()
    );
}

/// A transaction to the account itself.
fn transaction(nonce: u64) -> TxEip1559 {
    TxEip1559 {
        chain_id: 31337,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: 30,
        max_priority_fee_per_gas: 2,
        to: TxKind::Call(Key::from_hex(KEY).unwrap().address()),
        value: U256::from(7),
        access_list: Default::default(),
        input: Bytes::from_static(&[1, 2]),
    }
}

/// The bytes of a transaction that the key has signed, as web3signer answers them.
async fn signed(transaction: TxEip1559) -> String {
    let key = Key::from_hex(KEY).unwrap();
    let account = key.address();
    let (_dir, folder) = folder_of(&[&key]);
    let opened = LocalSigner::open(&folder, password(), [account], Unlock::AtStart);
    let what = Transaction::from(transaction.clone());
    let signature = opened
        .unwrap()
        .0
        .sign(account, ToSign::Transaction(&what))
        .await
        .unwrap();
    let mut raw = Vec::new();
    transaction.eip2718_encode(&signature, &mut raw);
    hex::encode_prefixed(raw)
}

#[tokio::test]
async fn it_signs_transactions_and_no_other_than_it_was_given() {
    let account = Key::from_hex(KEY).unwrap().address();
    let given = Transaction::from(transaction(1));
    let what = ToSign::Transaction(&given);
    let raw = signed(transaction(1)).await;
    let (signer, asked) = remote_signing(raw.clone()).await;
    let signature = signer.sign(account, what).await.unwrap();
    let recovered = signature.recover_address_from_prehash(&given.digest());
    assert_eq!(recovered.unwrap(), account);
    let lower = account.to_string().to_lowercase();
    assert_eq!(asked()[0]["method"], "eth_signTransaction");
    assert_eq!(
        asked()[0]["params"],
        json!([{
            "type": "0x2", "chainId": "0x7a69", "from": lower, "to": lower, "nonce": "0x1",
            "gas": "0x5208", "maxFeePerGas": "0x1e", "maxPriorityFeePerGas": "0x2",
            "value": "0x7", "data": "0x0102",
        }])
    );

    // What is of another nonce, has something behind it, or is a mere signature.
    let another = signed(transaction(2)).await;
    for answer in [another, raw + "00", SIGNED.to_owned()] {
        let (signer, _) = remote_signing(answer).await;
        let error = signer.sign(account, what).await.unwrap_err();
        assert_eq!(error, SignError::NotItsSignature(account));
    }
}

async fn remote_signing(answer: String) -> (RemoteSigner, impl Fn() -> Vec<Value>) {
    signer(move |_| result(&json!(answer))).await
}

#[tokio::test]
async fn what_goes_wrong_with_it_is_told_without_a_word_of_its_own() {
    let account = Key::from_hex(KEY).unwrap().address();
    let refusal = json!({ "error": { "code": -32000, "message": "s3cret" } }).to_string();
    for (answer, error) in [
        (refusal, SignError::Refused(-32000)),
        (
            "s3cret".into(),
            SignError::Unreachable("it answers something else than JSON-RPC"),
        ),
        (
            result(&Value::Null),
            SignError::Unreachable("it answers something else than JSON-RPC"),
        ),
        (result(&json!("0x00")), SignError::NotItsSignature(account)),
        (
            " ".repeat(2 << 20),
            SignError::Unreachable("its answer is too long"),
        ),
    ] {
        let (signer, _) = signer(move |_| answer.clone()).await;
        let found = signer
            .sign(account, ToSign::Message(b"x"))
            .await
            .unwrap_err();
        assert_eq!(found, error);
        let told = format!("{found} {found:?} {signer:?}");
        assert!(
            !told.contains("s3cret") && !told.contains("t0ken"),
            "{told}"
        );
    }
}

#[tokio::test]
async fn one_that_is_not_there_is_out_of_reach() {
    // Nobody listens there.
    let signer = RemoteSigner::new("http://127.0.0.1:1/".parse().unwrap(), None).unwrap();
    let error = signer.accounts().await.unwrap_err();
    assert_eq!(
        error,
        SignError::Unreachable("there is no connection to it")
    );
}

#[test]
fn what_goes_to_another_machine_in_the_clear_is_known() {
    for (url, is_in_the_clear) in [
        ("http://signer.example.org/", true),
        ("http://10.0.0.5:9000/", true),
        ("http://[fd00::5]/", true),
        ("http://localhost:9000/", false),
        ("http://127.0.0.1:9000/", false),
        ("http://[::1]:9000/", false),
        ("https://signer.example.org/", false),
    ] {
        let signer = RemoteSigner::new(url.parse().unwrap(), None).unwrap();
        assert_eq!(signer.is_in_the_clear(), is_in_the_clear, "{url}");
    }
}
