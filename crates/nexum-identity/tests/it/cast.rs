//! Files that foundry writes are read, and foundry reads what is written here.

use std::{env, path::PathBuf, process::Command};

use nexum_identity::{Key, KeyFile, KeyFolder, Password, Save, TypedData, WriteCost};
use tempfile::TempDir;

const KEY: &str = "0x2a871d0798f97d79848a013d4936a73bf4cc922c825d33c1cf7073dff6d409c6";
const PASSWORD: &str = "correct horse, ß and 馬";

/// Foundry's program. It is named in `NEXUM_CAST`, or on the PATH.
fn cast(args: &[&str]) -> String {
    let program = env::var_os("NEXUM_CAST").map_or_else(|| PathBuf::from("cast"), PathBuf::from);
    // Nothing of a configuration of whoever runs the tests.
    let home = TempDir::new().unwrap();
    let output = Command::new(&program)
        .args(args)
        .env("HOME", home.path())
        .env("FOUNDRY_DISABLE_NIGHTLY_WARNING", "1")
        .output()
        .unwrap_or_else(|error| {
            panic!(
                "cast is not to be had ({error}): run the tests with `cargo xtask test`, which \
                 fetches it, or install it with `npm install @foundry-rs/cast` and name it in \
                 NEXUM_CAST or on PATH"
            )
        });
    let told = String::from_utf8(output.stdout).unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cast {args:?}: {told} {error}");
    told.trim().to_owned()
}

#[test]
fn a_file_of_cast_opens_here() {
    let dir = TempDir::new().unwrap();
    let folder = dir.path().to_str().unwrap();
    let args = ["wallet", "import", "main", "--keystore-dir", folder];
    cast(
        &[
            &args[..],
            &["--private-key", KEY, "--unsafe-password", PASSWORD],
        ]
        .concat(),
    );

    let file = KeyFile::read(&dir.path().join("main")).unwrap();
    let key = file.open(&Password::new(PASSWORD.into())).unwrap();
    assert_eq!(key.address(), Key::from_hex(KEY).unwrap().address());
    file.open(&Password::new("wrong".into())).unwrap_err();
}

#[test]
fn cast_opens_a_file_of_ours() {
    let dir = TempDir::new().unwrap();
    let folder = KeyFolder::new(dir.path().to_owned());
    let key = Key::from_hex(KEY).unwrap();
    for (name, cost) in [
        ("standard", WriteCost::Standard),
        ("light", WriteCost::Light),
    ] {
        let text = KeyFile::write(&key, &Password::new(PASSWORD.into()), cost).unwrap();
        // The other's account is known, too: each in a folder of its own.
        let folder = KeyFolder::new(folder.path().join(name));
        let path = folder.save(key.address(), &text, Save::As(name)).unwrap();
        let path = path.to_str().unwrap();
        let address = cast(&[
            "wallet",
            "address",
            "--keystore",
            path,
            "--password",
            PASSWORD,
        ]);
        assert_eq!(address, key.address().to_string());
    }
}

#[test]
fn cast_verifies_what_is_signed_of_typed_data() {
    let data = TypedData::parse(crate::typed_data::MAIL).unwrap();
    let signed = cast(&[
        "wallet",
        "sign",
        "--private-key",
        KEY,
        "--data",
        data.json(),
    ]);
    let signature: alloy_primitives::Signature = signed.parse().unwrap();
    let account = signature.recover_address_from_prehash(&data.digest());
    assert_eq!(account.unwrap(), Key::from_hex(KEY).unwrap().address());
}
