//! What goes outside: HTTP, signatures, messages, content.

use nexum_sdk::{
    HostErrorKind, Messaging, RemoteStore, Signer,
    alloy::primitives::{B256, eip191_hash_message},
    http::{self, Header, Response},
    testing::{MockHost, Published, SignedMessage},
};
use serde_json::json;

use crate::{bare, manifest};

fn response(status: u16, body: &str) -> Response {
    Response {
        status,
        headers: vec![Header {
            name: "content-type".into(),
            value: "application/json".into(),
        }],
        body: body.into(),
    }
}

#[test]
fn json_goes_out_and_comes_in() {
    let url = "https://api.example.org/v1/price";
    let host = bare().on_http("POST", url, Ok(response(200, r#"{"price":7}"#)));
    host.enter(|| {
        let answer = http::post(url)
            .json(&json!({ "of": "ETH" }))
            .unwrap()
            .send()
            .unwrap();
        let answer: serde_json::Value = answer.error_for_status().unwrap().json().unwrap();
        assert_eq!(answer, json!({ "price": 7 }));
    });
    let sent = &host.http_requests()[0];
    assert_eq!(sent.body.as_deref(), Some(&br#"{"of":"ETH"}"#[..]));
    assert_eq!(sent.headers[0].value, "application/json");
}

#[test]
fn a_status_is_an_error_only_where_the_module_says_so() {
    for (status, kind) in [
        (404, HostErrorKind::InvalidInput),
        (403, HostErrorKind::Denied),
        (429, HostErrorKind::RateLimited),
        (503, HostErrorKind::Unavailable),
    ] {
        let host = bare().on_http("GET", "https://a.example", Ok(response(status, "no")));
        let answer = host.enter(|| http::get("https://a.example").send().unwrap());
        assert_eq!((answer.status, answer.text().unwrap()), (status, "no"));
        let error = answer.error_for_status().unwrap_err();
        assert_eq!((error.domain.as_str(), error.kind), ("http", kind));
        assert_eq!(error.code, i32::from(status));
    }
}

#[test]
fn a_request_that_nothing_answers_is_unavailable_and_says_how_to_answer_it() {
    let error = bare().enter(|| http::get("https://b.example").send().unwrap_err());
    assert_eq!(error.kind, HostErrorKind::Unavailable);
    assert!(error.message.contains("on_http"), "{error}");
}

#[test]
fn a_server_that_the_manifest_does_not_list_is_denied() {
    let url = "https://c.example/path";
    let host = bare().on_http("GET", url, Ok(response(200, "")));
    let error = host.enter(|| http::get(url).send().unwrap_err());
    assert_eq!(
        (error.domain.as_str(), error.kind),
        ("http", HostErrorKind::Denied)
    );
    assert!(error.message.contains("[capabilities.http]"), "{error}");
    assert!(host.http_requests().is_empty());
}

#[test]
fn a_signature_is_the_accounts_own() {
    let host = bare();
    let account = host.add_account();
    // EIP-712's own example, which its reference implementation signs with another key.
    let mail = json!({
        "types": {
            "EIP712Domain": [{ "name": "name", "type": "string" }],
            "Mail": [{ "name": "contents", "type": "string" }],
        },
        "primaryType": "Mail",
        "domain": { "name": "Ether Mail" },
        "message": { "contents": "Hello, Bob!" },
    });
    host.enter(|| {
        let signer = Signer::first().unwrap();
        assert_eq!(signer.address(), account);
        let signature = signer.sign_message("hello").unwrap();
        let recovered = signature.recover_address_from_prehash(&eip191_hash_message("hello"));
        assert_eq!(recovered.unwrap(), account);
        signer.sign_typed_data(&mail).unwrap();
        let stranger = Signer::of(Default::default());
        assert_eq!(
            stranger.sign_message("hello").unwrap_err().kind,
            HostErrorKind::Denied
        );
    });
    let signed = host.signatures();
    assert_eq!(signed[0].message, SignedMessage::Text("hello".into()));
    assert_eq!(signed[1].message, SignedMessage::TypedData(mail));
    assert_eq!(signed.len(), 2);
}

#[test]
fn without_an_account_the_signer_says_whose_matter_it_is() {
    let error = bare().enter(|| Signer::first().unwrap_err());
    assert_eq!(
        error.message,
        "the operator gave this module no account to sign with"
    );
}

#[test]
fn messages_and_content_are_found_again() {
    let host = bare();
    let owner = host.add_account();
    host.enter(|| {
        let topic = Messaging::on("/nexum/1/test/json");
        topic.publish("one").unwrap();
        assert_eq!(
            topic.query(None, None, None).unwrap()[0].payload,
            b"one"[..]
        );
        assert_eq!(topic.query(None, Some(0), None).unwrap(), []);

        let reference = RemoteStore.upload("content").unwrap();
        assert_eq!(RemoteStore.download(&reference).unwrap(), b"content");
        assert!(RemoteStore.download("bzz:00").unwrap_err().may_pass());
        RemoteStore.write_feed(B256::ZERO, "latest").unwrap();
        assert_eq!(
            RemoteStore.read_feed(owner, B256::ZERO).unwrap().unwrap(),
            b"latest"
        );
    });
    let published = Published {
        content_topic: "/nexum/1/test/json".into(),
        payload: "one".into(),
    };
    assert_eq!(host.published(), [published]);
}

#[test]
fn what_the_manifest_does_not_name_of_identity_is_denied() {
    let whole = manifest("");
    let host = MockHost::of(&whole.replace("\"sign\", ", ""));
    let _ = host.add_account();
    host.enter(|| {
        let denied = Signer::first().unwrap().sign_message("hello").unwrap_err();
        assert_eq!(denied.kind, HostErrorKind::Denied);
        assert_eq!(
            denied.message,
            "add \"sign\" to `methods` under [capabilities.identity] in nexum.toml to use it"
        );
    });
}

#[test]
fn a_method_that_does_more_than_read_is_denied_whatever_the_test_answers() {
    let host = MockHost::of(&manifest("")).on_request(1, "eth_sendRawTransaction", |_| {
        Ok(serde_json::json!("0x00"))
    });
    let denied = host.enter(|| nexum_sdk::chain::request(1, "eth_sendRawTransaction", "[]"));
    assert_eq!(denied.unwrap_err().kind, HostErrorKind::Denied);
}
