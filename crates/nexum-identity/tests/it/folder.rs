//! The folder of an operator's keystores.

use std::{fs, os::unix::fs::PermissionsExt as _};

use nexum_identity::{Key, KeyFile, KeyFileError, KeyFolder, Password, Save, SaveError, WriteCost};
use tempfile::TempDir;

fn folder() -> (TempDir, KeyFolder) {
    let dir = TempDir::new().unwrap();
    let folder = KeyFolder::new(dir.path().join("keys"));
    (dir, folder)
}

fn written(key: &Key) -> String {
    KeyFile::write(key, &Password::new("pw".into()), WriteCost::Light).unwrap()
}

#[test]
fn a_new_file_is_its_owners_alone_and_found_again() {
    let (_dir, folder) = folder();
    let key = Key::random().unwrap();
    let account = key.address();
    let path = folder
        .save(account, &written(&key), Save::ByAddress)
        .unwrap();
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(path.as_path()), 0o600);
    assert_eq!(mode(folder.path()), 0o700);
    let entries = folder.entries().unwrap();
    let [entry] = &entries[..] else {
        panic!("{entries:?}")
    };
    assert!(!entry.is_readable_by_others);
    let file = entry.file.as_ref().unwrap();
    assert_eq!(file.address(), Some(account));
    assert_eq!(entry.path, path);
}

#[test]
fn nothing_is_overwritten_and_no_account_is_saved_twice() {
    let (_dir, folder) = folder();
    let (one, two) = (Key::random().unwrap(), Key::random().unwrap());
    let text = written(&one);
    let path = folder.save(one.address(), &text, Save::As("main")).unwrap();
    let again = folder.save(one.address(), &text, Save::As("other"));
    assert!(matches!(again, Err(SaveError::Twice { .. })), "{again:?}");
    let over = folder.save(two.address(), &written(&two), Save::As("main"));
    assert!(matches!(over, Err(SaveError::Exists(_))), "{over:?}");
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        1,
        "nothing is left behind"
    );
}

#[test]
fn a_name_does_not_leave_the_folder() {
    let (_dir, folder) = folder();
    let key = Key::random().unwrap();
    for name in [
        "",
        "..",
        ".hidden",
        "a/b",
        "../up",
        "a\0b",
        &"a".repeat(200),
    ] {
        let saved = folder.save(key.address(), "x", Save::As(name));
        assert!(matches!(saved, Err(SaveError::Name(_))), "{name:?}");
    }
}

#[test]
fn what_is_no_keystore_is_told_and_hides_no_other() {
    let (dir, folder) = folder();
    let key = Key::random().unwrap();
    folder
        .save(key.address(), &written(&key), Save::As("b"))
        .unwrap();
    let inside = |name: &str| folder.path().join(name);
    fs::write(inside("a"), "no keystore").unwrap();
    fs::write(inside("c"), [0xff, 0xfe]).unwrap();
    fs::write(inside(".hidden"), "x").unwrap();
    fs::create_dir(inside("d")).unwrap();
    std::os::unix::fs::symlink(dir.path().join("nowhere"), inside("e")).unwrap();
    fs::set_permissions(inside("b"), fs::Permissions::from_mode(0o644)).unwrap();

    let entries = folder.entries().unwrap();
    let names: Vec<_> = entries
        .iter()
        .map(|entry| entry.path.file_name().unwrap().to_str().unwrap())
        .collect();
    assert_eq!(names, ["a", "b", "c", "e"]);
    let errors: Vec<_> = entries
        .iter()
        .map(|entry| entry.file.as_ref().err())
        .collect();
    assert!(matches!(errors[0], Some(KeyFileError::Malformed { .. })));
    assert!(errors[1].is_none());
    assert!(entries[1].is_readable_by_others, "which is told");
    assert!(matches!(errors[2], Some(KeyFileError::Malformed { .. })));
    assert!(matches!(errors[3], Some(KeyFileError::Read(_))));
}
