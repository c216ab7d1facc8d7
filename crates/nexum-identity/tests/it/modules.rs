//! What a module may do with accounts, and the audit of it.

use std::{
    io,
    sync::{Arc, Mutex},
};

use alloy_primitives::{Signature, U256, eip191_hash_message};
use nexum_identity::{
    Accounts, Grant, Key, LocalSigner, MAX_MESSAGE_BYTES, ModuleAccounts, SignError, Signer,
    ToSign, Unlock,
};
use nexum_manifest::{IdentityMethod as Method, Rate};
use nexum_types::{Address, BoxFuture, ChainId, HostErrorKind, IdentityAccess as _};
use serde_json::Value;

use crate::{
    keystores::{folder_of, password},
    typed_data::MAIL,
};

fn everything(accounts: &[Address]) -> Grant {
    Grant {
        accounts: accounts.to_vec(),
        asked: [Method::Accounts, Method::Sign, Method::SignTypedData].into(),
        allowed: None,
        chains: [ChainId(1)].into(),
        transactions: Vec::new(),
        rate: Rate {
            per_second: 1,
            burst: 20,
        },
    }
}

fn accounts_of(keys: &[&Key]) -> Accounts {
    let (_dir, folder) = folder_of(keys);
    let all: Vec<_> = keys.iter().map(|key| key.address()).collect();
    let (signer, _) = LocalSigner::open(&folder, password(), all.clone(), Unlock::AtStart).unwrap();
    let signer: Arc<dyn Signer> = Arc::new(signer);
    Accounts::new(
        all.into_iter()
            .map(|account| (account, Arc::clone(&signer))),
    )
}

fn module(accounts: &Accounts, grant: Grant) -> ModuleAccounts {
    accounts.of_module("alice".parse().unwrap(), grant)
}

#[tokio::test]
async fn a_module_signs_with_its_accounts_and_sees_no_other() {
    let (its, other) = (Key::random().unwrap(), Key::random().unwrap());
    let accounts = accounts_of(&[&its, &other]);
    let module = module(&accounts, everything(&[its.address()]));
    assert_eq!(module.accounts().unwrap(), [its.address()]);

    let signed = module.sign(its.address(), b"hello", None).await.unwrap();
    let signature = Signature::from_raw(&signed).unwrap();
    let hash = eip191_hash_message(b"hello");
    assert_eq!(
        signature.recover_address_from_prehash(&hash).unwrap(),
        its.address()
    );
    assert!(signed.len() == 65 && matches!(signed[64], 27 | 28));

    for account in [other.address(), Address::ZERO] {
        let denied = module.sign(account, b"hello", None).await.unwrap_err();
        assert_eq!(
            (denied.kind, &*denied.domain),
            (HostErrorKind::Denied, "identity")
        );
        let denied = module
            .sign_typed_data(account, MAIL, None)
            .await
            .unwrap_err();
        assert_eq!(denied.kind, HostErrorKind::Denied);
    }
}

#[tokio::test]
async fn a_method_needs_the_manifest_and_the_operator() {
    let key = Key::random().unwrap();
    let account = key.address();
    let accounts = accounts_of(&[&key]);
    for method in [Method::Accounts, Method::Sign, Method::SignTypedData] {
        let mut unasked = everything(&[account]);
        unasked.asked.remove(&method);
        let mut disallowed = everything(&[account]);
        disallowed.allowed = Some(&disallowed.asked - &[method].into());
        for grant in [unasked, disallowed] {
            let module = module(&accounts, grant);
            let answers = [
                (Method::Accounts, module.accounts().map(drop)),
                (
                    Method::Sign,
                    module.sign(account, b"x", None).await.map(drop),
                ),
                (
                    Method::SignTypedData,
                    module.sign_typed_data(account, MAIL, None).await.map(drop),
                ),
            ];
            for (asked, answer) in answers {
                let denied = answer.err().map(|error| error.kind);
                let expected = (asked == method).then_some(HostErrorKind::Denied);
                assert_eq!(denied, expected, "{asked} without {method}");
            }
        }
    }
}

#[tokio::test]
async fn typed_data_for_another_chain_is_denied_and_what_is_bad_is_invalid() {
    let key = Key::random().unwrap();
    let accounts = accounts_of(&[&key]);
    let module = module(&accounts, everything(&[key.address()]));
    let kind = async |json: &str| {
        let signed = module.sign_typed_data(key.address(), json, None).await;
        signed.err().map(|error| error.kind)
    };
    let mut data: Value = serde_json::from_str(MAIL).unwrap();
    assert_eq!(kind(&data.to_string()).await, None);
    data["domain"]["chainId"] = "0x64".into();
    assert_eq!(kind(&data.to_string()).await, Some(HostErrorKind::Denied));
    data["domain"].as_object_mut().unwrap().remove("chainId");
    data["types"]
        .as_object_mut()
        .unwrap()
        .remove("EIP712Domain");
    assert_eq!(kind(&data.to_string()).await, None, "a domain of no chain");
    assert_eq!(kind("{}").await, Some(HostErrorKind::InvalidInput));
    let long = vec![0; MAX_MESSAGE_BYTES + 1];
    let long = module.sign(key.address(), &long, None).await.unwrap_err();
    assert_eq!(long.kind, HostErrorKind::InvalidInput);
}

/// A signer that answers what it has, whatever it is asked.
struct Scripted(Signature);

impl Signer for Scripted {
    fn sign<'a>(
        &'a self,
        _: Address,
        _: ToSign<'a>,
    ) -> BoxFuture<'a, Result<Signature, SignError>> {
        Box::pin(async { Ok(self.0) })
    }
}

#[tokio::test]
async fn no_signature_is_handed_out_but_the_accounts_own_in_its_one_form() {
    let key = Key::random().unwrap();
    let account = key.address();
    let good = accounts_of(&[&key]);
    let good = module(&good, everything(&[account]));
    let signed = good.sign(account, b"x", None).await.unwrap();
    let signature = Signature::from_raw(&signed).unwrap();

    let by = |signature| {
        let signer: Arc<dyn Signer> = Arc::new(Scripted(signature));
        module(&Accounts::new([(account, signer)]), everything(&[account]))
    };
    // The other form of the same signature: s in the upper half, the other parity.
    let order: U256 = "0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"
        .parse()
        .unwrap();
    let malleable = Signature::new(signature.r(), order - signature.s(), !signature.v());
    assert_eq!(
        by(malleable).sign(account, b"x", None).await.unwrap(),
        signed
    );
    // A signature of something else, as one with a wrong prefix is.
    let other = by(signature).sign(account, b"y", None).await.unwrap_err();
    assert_eq!(other.kind, HostErrorKind::Internal);
}

/// What all tests of this process log. A subscriber of one thread's own would miss lines whose
/// place another thread was the first to come by.
static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Log;

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn every_signature_leaves_a_line_with_who_what_and_when_and_no_key() {
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_writer(|| Log)
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let text = "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318";
    let key = Key::from_hex(text).unwrap();
    let account = key.address();
    let accounts = accounts_of(&[&key]);
    let module = accounts.of_module("audited".parse().unwrap(), everything(&[account]));
    module.sign(account, b"Some data", None).await.unwrap();
    module.sign_typed_data(account, MAIL, None).await.unwrap();
    // A call that ends before the signer has answered.
    let silent: Arc<dyn Signer> = Arc::new(Silent);
    let module = Accounts::new([(account, silent)])
        .of_module("audited".parse().unwrap(), everything(&[account]));
    tokio::select! {
        biased;
        signed = module.sign(account, b"Some data", None) => panic!("{signed:?}"),
        () = std::future::ready(()) => {}
    }

    let written = String::from_utf8(LOG.lock().unwrap().clone()).unwrap();
    let lines: Vec<Value> = written
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|line: &Value| line["fields"]["module"] == "audited")
        .collect();
    let [message, typed, cut_off] = &lines[..] else {
        panic!("{written}")
    };
    let digest = "0x1da44b586eb0729ff70a73c326926f6ed5a25f5b056e7f47fbc6e58d86871655";
    for (line, method, digest) in [
        (message, "sign", digest),
        (
            typed,
            "sign-typed-data",
            "0xbe609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2",
        ),
        (cut_off, "sign", digest),
    ] {
        let fields = &line["fields"];
        assert_eq!(fields["account"], account.to_string());
        assert_eq!(fields["method"], method);
        assert_eq!(fields["digest"], digest);
        assert_eq!(fields["event"], "init");
    }
    let told = cut_off["fields"]["message"].as_str().unwrap();
    assert!(told.starts_with("not signed"), "{told}");
    assert!(!written.contains(text));
}

/// A signer that does not answer.
struct Silent;

impl Signer for Silent {
    fn sign<'a>(
        &'a self,
        _: Address,
        _: ToSign<'a>,
    ) -> BoxFuture<'a, Result<Signature, SignError>> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test(start_paused = true)]
async fn a_module_that_signs_too_often_waits_and_then_is_refused() {
    let key = Key::random().unwrap();
    let account = key.address();
    let grant = Grant {
        rate: Rate {
            per_second: 1,
            burst: 1,
        },
        ..everything(&[account])
    };
    let module = module(&accounts_of(&[&key]), grant);
    // The second turn is in a second, which is waited for; that of the last is in half a minute.
    let signed = (0..30).map(|_| async { module.sign(account, b"a", None).await.map(drop) });
    let typed = async { module.sign_typed_data(account, MAIL, None).await.map(drop) };
    let (signed, typed) = tokio::join!(futures::future::join_all(signed), typed);
    assert_eq!(signed[0], Ok(()));
    for over in [&signed[29], &typed] {
        let kind = over.as_ref().map_err(|error| error.kind);
        assert_eq!(kind, Err(HostErrorKind::RateLimited));
    }
}
