//! Files of others: the vectors of the Web3 Secret Storage definition, and what is wrong with
//! those that are.

use nexum_identity::{KdfError, Key, KeyFile, KeyFileError, Password, WriteCost};
use serde_json::{Value, json};

const SCRYPT: &str = include_str!("../vectors/web3-scrypt.json");
const PBKDF2: &str = include_str!("../vectors/web3-pbkdf2.json");
/// Of the definition: whose key is 7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d.
const KEY: &str = "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d";

fn password() -> Password {
    Password::new("testpassword".into())
}

/// A vector with one value of it changed.
fn changed(text: &str, pointer: &str, value: Value) -> String {
    let mut file: Value = serde_json::from_str(text).unwrap();
    *file.pointer_mut(pointer).unwrap() = value;
    file.to_string()
}

fn refused(text: &str) -> KeyFileError {
    KeyFile::parse(text).unwrap_err()
}

#[test]
fn the_vectors_of_the_definition_open() {
    let address = Key::from_hex(KEY).unwrap().address();
    assert_eq!(
        hex::encode(address),
        "008aeeda4d805471df9b2a5b0f38a0c3bcba786b"
    );
    for text in [SCRYPT, PBKDF2] {
        let file = KeyFile::parse(text).unwrap();
        assert_eq!((file.version(), file.address()), (3, None));
        assert_eq!(file.open(&password()).unwrap().address(), address);
    }
}

#[test]
fn a_wrong_password_opens_nothing() {
    let file = KeyFile::parse(PBKDF2).unwrap();
    for wrong in ["", "testpassword ", "Testpassword"] {
        let refused = file.open(&Password::new(wrong.into())).unwrap_err();
        assert!(matches!(refused, KeyFileError::WrongPassword), "{refused}");
    }
}

#[test]
fn what_is_written_is_read() {
    let key = Key::random().unwrap();
    for cost in [WriteCost::Standard, WriteCost::Light] {
        let text = KeyFile::write(&key, &password(), cost).unwrap();
        let file = KeyFile::parse(&text).unwrap();
        assert_eq!(file.address(), Some(key.address()));
        assert_eq!(file.open(&password()).unwrap().address(), key.address());
        assert_ne!(text, KeyFile::write(&key, &password(), cost).unwrap());
    }
}

#[test]
fn the_old_spelling_of_crypto_and_an_address_in_any_form_are_read() {
    let old = PBKDF2.replace("\"crypto\"", "\"Crypto\"");
    assert!(KeyFile::parse(&old).is_ok());
    let address = "008AEEDA4d805471df9b2a5b0f38a0c3bcba786b";
    for told in [address.to_owned(), format!("0x{address}")] {
        let mut file: Value = serde_json::from_str(PBKDF2).unwrap();
        file["address"] = told.into();
        let file = KeyFile::parse(&file.to_string()).unwrap();
        assert!(file.address().is_some());
        file.open(&password()).unwrap();
    }
}

#[test]
fn a_file_that_names_another_account_is_refused_once_it_is_open() {
    let mut file: Value = serde_json::from_str(PBKDF2).unwrap();
    file["address"] = "f39fd6e51aad88f6f4ce6ab8827279cfffb92266".into();
    let file = KeyFile::parse(&file.to_string()).unwrap();
    let refused = file.open(&password()).unwrap_err();
    assert!(
        matches!(refused, KeyFileError::OtherAccount { .. }),
        "{refused}"
    );
}

#[test]
fn an_absurd_cost_is_refused_before_anything_is_derived() {
    let scrypt = |name: &str, value: u64| {
        changed(SCRYPT, &format!("/crypto/kdfparams/{name}"), value.into())
    };
    let kdf = |text: String| match refused(&text) {
        KeyFileError::Kdf(error) => error,
        other => panic!("{other}"),
    };
    assert!(matches!(kdf(scrypt("n", 1 << 40)), KdfError::Memory { .. }));
    assert!(matches!(kdf(scrypt("n", 262_145)), KdfError::Scrypt { .. }));
    assert!(matches!(kdf(scrypt("r", 1 << 50)), KdfError::Memory { .. }));
    assert!(matches!(kdf(scrypt("p", 200)), KdfError::Time { .. }));
    assert!(matches!(
        kdf(scrypt("p", u64::MAX)),
        KdfError::Memory { .. }
    ));
    assert!(matches!(kdf(scrypt("r", 0)), KdfError::Scrypt { .. }));
    assert_eq!(kdf(scrypt("dklen", 1 << 40)), KdfError::Length(1 << 40));
    let c = |c: u64| kdf(changed(PBKDF2, "/crypto/kdfparams/c", c.into()));
    assert!(matches!(c(u64::MAX), KdfError::Time { .. }));
    assert_eq!(c(0), KdfError::NoIteration);
}

#[test]
fn what_is_not_known_is_named() {
    for (pointer, name, what) in [
        ("/crypto/kdf", "argon2id", "key derivation"),
        ("/crypto/cipher", "aes-256-gcm", "cipher"),
        (
            "/crypto/kdfparams/prf",
            "hmac-sha512",
            "pseudorandom function",
        ),
    ] {
        let error = refused(&changed(PBKDF2, pointer, name.into()));
        let told = error.to_string();
        assert!(matches!(error, KeyFileError::Unknown { .. }), "{told}");
        assert!(told.contains(name) && told.contains(what), "{told}");
    }
    let version = refused(&changed(PBKDF2, "/version", 5.into()));
    assert!(matches!(version, KeyFileError::Version(5)));
}

#[test]
fn a_file_that_is_cut_off_says_so_wherever_it_ends() {
    for end in (0..PBKDF2.trim_end().len()).step_by(7) {
        let error = refused(&PBKDF2[..end]);
        assert!(matches!(error, KeyFileError::Truncated), "{end}: {error}");
    }
}

#[test]
fn values_of_the_wrong_form_are_refused_and_not_repeated() {
    for (pointer, value) in [
        ("/crypto/ciphertext", json!("5318b4d5")),
        ("/crypto/ciphertext", json!(KEY.replace('7', "g"))),
        ("/crypto/mac", json!("")),
        (
            "/crypto/cipherparams/iv",
            json!("6087dab2f9fdbbfaddc31a909735c1e6ff"),
        ),
        ("/crypto/kdfparams", json!({ "c": "many" })),
    ] {
        let error = refused(&changed(PBKDF2, pointer, value.clone()));
        assert!(
            matches!(error, KeyFileError::Value(_)),
            "{pointer}: {error}"
        );
        assert!(!error.to_string().contains(value.as_str().unwrap_or("many")) || value == "");
    }
    // A bare key where a keystore should be.
    for text in [
        KEY,
        &format!("\"{KEY}\""),
        &format!("{{\"version\": \"{KEY}\"}}"),
    ] {
        let error = refused(text);
        assert!(matches!(error, KeyFileError::Malformed { .. }), "{error}");
        assert!(!format!("{error} {error:?}").contains(&KEY[2..8]));
    }
    let huge = format!("{}{}", PBKDF2.trim_end(), " ".repeat(1 << 17));
    assert!(matches!(refused(&huge), KeyFileError::TooLarge));
}
