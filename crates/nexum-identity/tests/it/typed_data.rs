//! Typed data: the example of EIP-712, and what a module might try.

use nexum_identity::{MAX_TYPED_DATA_BYTES, TypedData, TypedDataError};
use nexum_types::ChainId;
use serde_json::{Value, json};

/// The example of EIP-712.
pub(crate) const MAIL: &str = include_str!("../vectors/eip712-mail.json");

fn mail() -> Value {
    serde_json::from_str(MAIL).unwrap()
}

fn refused(data: &Value) -> TypedDataError {
    TypedData::parse(&data.to_string()).unwrap_err()
}

/// Types with the message's fields, signed as the first of them.
fn typed(types: impl Into<Value>, message: impl Into<Value>) -> Value {
    let (types, message) = (types.into(), message.into());
    json!({ "types": types, "primaryType": "A", "domain": {}, "message": message })
}

fn field(of: &str, name: &str) -> Value {
    json!({ "name": name, "type": of })
}

#[test]
fn the_example_of_eip_712_has_its_digest() {
    let data = TypedData::parse(MAIL).unwrap();
    let digest = "0xbe609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2";
    assert_eq!(data.digest().to_string(), digest);
    assert_eq!(data.chain(), Some(ChainId(1)));
}

/// The digests are those that `eth-sig-util` has for the same data (its version 4): another
/// implementation than the one here.
#[test]
fn bytes_arrays_and_arrays_of_arrays_have_the_digests_of_wallets() {
    let mut with_bytes = mail();
    let fields = with_bytes["types"]["Mail"].as_array_mut().unwrap();
    fields.push(field("bytes", "payload"));
    let payload = "0x25192142931f380985072cdd991e37f65cf8253ba7a0e675b54163a1d133b8ca";
    with_bytes["message"]["payload"] = payload.into();

    let mut with_arrays = mail();
    with_arrays["types"]["Person"][1] = field("address[]", "wallets");
    with_arrays["types"]["Mail"][1] = field("Person[]", "to");
    with_arrays["types"]["Group"] = json!([field("string", "name"), field("Person[]", "members")]);
    with_arrays["message"]["from"] = json!({ "name": "Cow", "wallets": [
        "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826",
        "0xDeaDbeefdEAdbeefdEadbEEFdeadbeEFdEaDbeeF",
    ] });
    with_arrays["message"]["to"] = json!([{ "name": "Bob", "wallets": [
        "0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB",
        "0xB0BdaBea57B0BDABeA57b0bdABEA57b0BDabEa57",
        "0xB0B0b0b0b0b0B000000000000000000000000000",
    ] }]);

    let mut with_matrices = with_arrays.clone();
    let fields = with_matrices["types"]["Person"].as_array_mut().unwrap();
    fields.push(field("int[][]", "logo_matrix"));
    with_matrices["message"]["from"]["logo_matrix"] = json!([[0, 255], [-255, -1]]);
    with_matrices["message"]["to"][0]["logo_matrix"] = json!([[0, 0], [0, 0]]);

    for (data, digest) in [
        (
            with_bytes,
            "0xb4aaf457227fec401db772ec22d2095d1235ee5d0833f56f59108c9ffc90fb4b",
        ),
        (
            with_arrays,
            "0xa85c2e2b118698e88db68a8105b794a8cc7cec074e89ef991cb4f5f533819cc2",
        ),
        (
            with_matrices,
            "0x5370bb332dbe5d922832f1654d01b5d42cbbfd7bb999e939836f4a40a12a8bd4",
        ),
    ] {
        let parsed = TypedData::parse(&data.to_string()).unwrap();
        assert_eq!(parsed.digest().to_string(), digest, "{data}");
    }
}

#[test]
fn the_domains_type_may_be_left_out_and_is_added() {
    let mut data = mail();
    data["types"]
        .as_object_mut()
        .unwrap()
        .remove("EIP712Domain");
    let without = TypedData::parse(&data.to_string()).unwrap();
    assert_eq!(without.digest(), TypedData::parse(MAIL).unwrap().digest());
    let added: Value = serde_json::from_str(without.json()).unwrap();
    assert_eq!(
        added["types"]["EIP712Domain"],
        mail()["types"]["EIP712Domain"]
    );
}

#[test]
fn a_domains_type_that_says_otherwise_is_refused() {
    let mut data = mail();
    data["types"]["EIP712Domain"]
        .as_array_mut()
        .unwrap()
        .swap(0, 1);
    assert!(matches!(refused(&data), TypedDataError::DomainType(_)));
    let mut data = mail();
    data["types"]["EIP712Domain"]
        .as_array_mut()
        .unwrap()
        .remove(2);
    assert!(
        matches!(refused(&data), TypedDataError::DomainType(_)),
        "its chain would not be signed"
    );
    let mut data = mail();
    data["domain"]["chainid"] = 5.into();
    assert_eq!(
        refused(&data),
        TypedDataError::DomainField("chainid".into())
    );
    let mut data = mail();
    data["domain"]["chainId"] = Value::Null;
    assert!(matches!(refused(&data), TypedDataError::DomainType(_)));
}

#[test]
fn a_chain_is_found_in_whatever_form_it_is_written() {
    for (id, chain) in [(json!(100), 100), (json!("0x64"), 100), (json!("100"), 100)] {
        let mut data = mail();
        data["domain"]["chainId"] = id;
        let data = TypedData::parse(&data.to_string()).unwrap();
        assert_eq!(data.chain(), Some(ChainId(chain)));
    }
    let mut data = mail();
    data["domain"]["chainId"] = json!("0x10000000000000001");
    assert_eq!(refused(&data), TypedDataError::ChainId);
}

#[test]
fn values_of_another_type_are_refused() {
    for (pointer, value) in [
        ("/message/from/wallet", json!("0x1234")),
        ("/message/from/wallet", json!(7)),
        ("/message/contents", json!(["Hello"])),
        ("/message/to", json!("Bob")),
        ("/message/to", json!({ "name": "Bob" })),
        ("/message/from/wallet", Value::Null),
        ("/domain/verifyingContract", json!("nobody")),
    ] {
        let mut data = mail();
        *data.pointer_mut(pointer).unwrap() = value;
        let error = refused(&data);
        assert!(
            matches!(error, TypedDataError::Value(_)),
            "{pointer}: {error}"
        );
        assert!(error.to_string().chars().count() <= 300, "{error}");
    }
    for (of, value) in [
        ("uint8", json!(256)),
        ("uint256", json!(-1)),
        ("uint256", json!(1.5)),
        ("int8", json!(128)),
        ("bytes4", json!("0x0102")),
        ("bool", json!("maybe")),
        ("uint256[2]", json!([1])),
    ] {
        let data = typed(json!({ "A": [field(of, "a")] }), json!({ "a": value }));
        assert!(matches!(refused(&data), TypedDataError::Value(_)), "{of}");
    }
}

#[test]
fn cyclic_types_are_refused_also_within_arrays() {
    let itself = typed(json!({ "A": [field("A[]", "a")] }), json!({ "a": [] }));
    assert_eq!(refused(&itself), TypedDataError::Cyclic("A".into()));
    let types =
        json!({ "A": [field("B", "b")], "B": [field("C[2]", "c")], "C": [field("A", "a")] });
    let around = typed(types, json!({}));
    assert_eq!(refused(&around), TypedDataError::Cyclic("A".into()));
}

#[test]
fn types_that_grow_without_end_where_they_are_used_are_refused() {
    // Each has the next one twice: two lines more are four times as much.
    let types: serde_json::Map<_, _> = (0..40)
        .map(|n| {
            let next = format!("T{}[]", n + 1);
            let name = if n == 0 { "A".into() } else { format!("T{n}") };
            let fields = match n {
                39 => json!([field("uint256", "x")]),
                _ => json!([field(&next, "a"), field(&next, "b")]),
            };
            (name, fields)
        })
        .collect();
    let data = typed(types, json!({ "a": [], "b": [] }));
    assert!(matches!(refused(&data), TypedDataError::TooLarge(_)));
}

#[test]
fn what_is_huge_is_refused() {
    let long = typed(
        json!({ "A": [field("string", "a")] }),
        json!({ "a": "x".repeat(MAX_TYPED_DATA_BYTES) }),
    );
    assert!(matches!(refused(&long), TypedDataError::TooLong(_)));
    let fields: Vec<_> = (0..1_000)
        .map(|n| field("uint256", &format!("f{n}")))
        .collect();
    let wide = typed(json!({ "A": fields }), json!({}));
    assert_eq!(refused(&wide), TypedDataError::TooManyTypes);
    let deep = format!("uint256{}", "[]".repeat(1_000));
    let deep = typed(json!({ "A": [field(&deep, "a")] }), json!({ "a": [] }));
    assert!(matches!(refused(&deep), TypedDataError::Type(_)));
    let nested = "[".repeat(30_000);
    let nested = TypedData::parse(&nested).unwrap_err();
    assert!(matches!(nested, TypedDataError::Json(_)));
}

#[test]
fn types_that_are_none_are_refused() {
    for of in [
        "",
        "uint7x[",
        "uint256[-1]",
        "(uint256,bool)",
        "a b",
        "uint256)",
        "uint256][",
    ] {
        let data = typed(json!({ "A": [field(of, "a")] }), json!({ "a": 1 }));
        let error = refused(&data);
        assert!(matches!(error, TypedDataError::Type(_)), "{of}: {error}");
    }
    let undefined = typed(json!({ "A": [field("Nothing", "a")] }), json!({ "a": 1 }));
    assert_eq!(
        refused(&undefined),
        TypedDataError::Undefined("Nothing".into())
    );
    let twice = typed(
        json!({ "A": [field("bool", "a"), field("uint8", "a")] }),
        json!({ "a": 1 }),
    );
    assert!(matches!(refused(&twice), TypedDataError::FieldTwice { .. }));
    let shadowing = typed(json!({ "A": [], "uint256": [] }), json!({}));
    assert_eq!(refused(&shadowing), TypedDataError::Type("uint256".into()));
    let mut primary = mail();
    for name in ["EIP712Domain", "Nothing", "address"] {
        primary["primaryType"] = name.into();
        assert_eq!(refused(&primary), TypedDataError::Primary(name.into()));
    }
}
