//! The keystores of a folder as a signer: which file is whose, and when it is opened.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use alloy_primitives::keccak256;
use nexum_identity::{
    Key, KeyFile, KeyFolder, KeyWarning, KeystoreError, LocalSigner, Password, Save, SignError,
    Signer as _, ToSign, Unlock, WriteCost,
};
use nexum_types::Address;
use serde_json::Value;
use tempfile::TempDir;

pub(crate) fn password() -> Password {
    Password::new("pw".into())
}

/// A folder with a keystore for each of those keys.
pub(crate) fn folder_of(keys: &[&Key]) -> (TempDir, KeyFolder) {
    let dir = TempDir::new().unwrap();
    let folder = KeyFolder::new(dir.path().to_owned());
    for key in keys {
        let text = KeyFile::write(key, &password(), WriteCost::Light).unwrap();
        folder.save(key.address(), &text, Save::ByAddress).unwrap();
    }
    (dir, folder)
}

/// A file that does not say its account, as foundry writes it.
fn save_unnamed(folder: &KeyFolder, key: &Key, password: &Password, name: &str) -> PathBuf {
    let text = KeyFile::write(key, password, WriteCost::Light).unwrap();
    let mut file: Value = serde_json::from_str(&text).unwrap();
    file.as_object_mut().unwrap().remove("address");
    let path = folder.path().join(name);
    fs::write(&path, file.to_string()).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

async fn sign(signer: &LocalSigner, account: Address) -> Result<Address, SignError> {
    let what = ToSign::Message(b"hello");
    let signature = signer.sign(account, what).await?;
    Ok(signature
        .recover_address_from_prehash(&what.digest())
        .unwrap())
}

#[tokio::test]
async fn keys_sign_whether_they_were_opened_at_the_start_or_are_opened_now() {
    let key = Key::random().unwrap();
    let (_dir, folder) = folder_of(&[&key]);
    for unlock in [Unlock::AtStart, Unlock::OnFirstUse] {
        let (signer, warnings) =
            LocalSigner::open(&folder, password(), [key.address()], unlock).unwrap();
        assert!(warnings.is_empty(), "{warnings:?}");
        assert_eq!(sign(&signer, key.address()).await, Ok(key.address()));
        let other = Address::ZERO;
        assert_eq!(sign(&signer, other).await, Err(SignError::NoAccount(other)));
    }
}

#[tokio::test]
async fn a_wrong_password_is_told_at_the_start_or_by_the_first_signature() {
    let key = Key::random().unwrap();
    let (dir, folder) = folder_of(&[&key]);
    let account = key.address();
    let open = |unlock| LocalSigner::open(&folder, Password::new("no".into()), [account], unlock);
    let refused = open(Unlock::AtStart).unwrap_err();
    assert!(matches!(refused, KeystoreError::Locked { .. }), "{refused}");
    let (signer, _) = open(Unlock::OnFirstUse).unwrap();
    for _ in 0..2 {
        let error = sign(&signer, account).await.unwrap_err();
        assert_eq!(error, SignError::Locked(account));
        let path = dir.path().to_str().unwrap();
        assert!(!error.to_string().contains(path), "a module reads this");
    }
}

#[tokio::test]
async fn files_that_do_not_say_their_account_are_found_by_opening_them() {
    let (named, unnamed) = (Key::random().unwrap(), Key::random().unwrap());
    let (_dir, folder) = folder_of(&[&named]);
    save_unnamed(&folder, &unnamed, &password(), "main");
    let stranger = Password::new("a stranger's".into());
    let others = save_unnamed(&folder, &Key::random().unwrap(), &stranger, "a-stranger");
    let wanted = [named.address(), unnamed.address()];
    let (signer, warnings) =
        LocalSigner::open(&folder, password(), wanted, Unlock::OnFirstUse).unwrap();
    for account in wanted {
        assert_eq!(sign(&signer, account).await, Ok(account));
    }
    let [KeyWarning::Unnamed { path, .. }] = &warnings[..] else {
        panic!("{warnings:?}")
    };
    assert_eq!(*path, others);
}

#[test]
fn two_files_of_one_account_are_refused_and_both_named() {
    let key = Key::random().unwrap();
    let (_dir, folder) = folder_of(&[&key]);
    let entry = folder.entries().unwrap().remove(0).path;
    fs::copy(&entry, folder.path().join("copy")).unwrap();
    let opened = LocalSigner::open(&folder, password(), [key.address()], Unlock::AtStart);
    let told = opened.unwrap_err().to_string();
    assert!(
        told.contains("copy") && told.contains(entry.to_str().unwrap()),
        "{told}"
    );
    // Nobody asks for that account.
    LocalSigner::open(&folder, password(), [], Unlock::AtStart).unwrap();
}

#[test]
fn a_file_that_others_may_read_is_warned_of() {
    let key = Key::random().unwrap();
    let (_dir, folder) = folder_of(&[&key]);
    let path = folder.entries().unwrap().remove(0).path;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    fs::write(folder.path().join("junk"), "junk").unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o770)).unwrap();
    let (_, warnings) =
        LocalSigner::open(&folder, password(), [key.address()], Unlock::AtStart).unwrap();
    let open = |warning: &KeyWarning| matches!(warning, KeyWarning::OpenToOthers(_));
    assert!(warnings.iter().any(open), "{warnings:?}");
    let readable =
        |warning: &KeyWarning| matches!(warning, KeyWarning::ReadableByOthers(it) if *it == path);
    let junk = |warning: &KeyWarning| matches!(warning, KeyWarning::NoKeystore { .. });
    assert!(
        warnings.iter().any(readable) && warnings.iter().any(junk),
        "{warnings:?}"
    );
}

#[tokio::test]
async fn the_example_of_eip_712_is_signed_as_the_eip_has_it() {
    let key = Key::from_hex(&hex::encode(keccak256("cow"))).unwrap();
    assert_eq!(
        key.address().to_string(),
        "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"
    );
    let (_dir, folder) = folder_of(&[&key]);
    let (signer, _) =
        LocalSigner::open(&folder, password(), [key.address()], Unlock::AtStart).unwrap();
    let data = nexum_identity::TypedData::parse(crate::typed_data::MAIL).unwrap();
    let signature = signer
        .sign(key.address(), ToSign::TypedData(&data))
        .await
        .unwrap();
    let bytes = signature.as_bytes();
    assert_eq!(bytes[64], 28);
    let s = "07299936d304c153f6443dfa05f40ff007d72911b6f72307f996231605b91562";
    assert_eq!(hex::encode(&bytes[32..64]), s);
}

#[tokio::test]
async fn a_message_is_signed_as_web3_js_documents_it() {
    let key = "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318";
    let key = Key::from_hex(key).unwrap();
    let (_dir, folder) = folder_of(&[&key]);
    let (signer, _) =
        LocalSigner::open(&folder, password(), [key.address()], Unlock::AtStart).unwrap();
    let what = ToSign::Message(b"Some data");
    let digest = "0x1da44b586eb0729ff70a73c326926f6ed5a25f5b056e7f47fbc6e58d86871655";
    assert_eq!(what.digest().to_string(), digest);
    let signature = signer.sign(key.address(), what).await.unwrap();
    assert_eq!(
        hex::encode(signature.as_bytes()),
        "b91467e570a6466aa9e9876cbcd013baba02900b8979d43fe208a4a4f339f5fd\
         6007e74cd82e037b800186422fc2da167c747ef045e5d18a5f5d4300f8e1a0291c"
    );
}
