//! What is kept, found and removed, in a real folder. Whole engines over it are in `tests/it`.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use tempfile::TempDir;

use super::*;

fn key(component: u8, build: u8) -> CodeKey {
    CodeKey {
        component: Sha256([component; 32]),
        build: Sha256([build; 32]),
    }
}

/// A `state_dir` with a cache in it, bounded to these many bytes.
struct Kept {
    cache: CodeCache,
    folder: Folder,
    dir: TempDir,
}

impl Kept {
    fn bounded(max_code_bytes: u64, max_cache_bytes: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self {
            cache: CodeCache {
                max_code_bytes,
                max_cache_bytes,
                ..CodeCache::new(dir.path())
            },
            folder: Folder::make(dir.path()).unwrap(),
            dir,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("code").join(name)
    }

    /// Writes code, last used this many seconds ago.
    fn write(&self, key: CodeKey, bytes: &[u8], ago: u64) {
        let name = file_name(key);
        self.folder.write(&name, bytes).unwrap();
        let used = std::time::SystemTime::now() - std::time::Duration::from_secs(ago);
        let file = fs::File::open(self.path(&name)).unwrap();
        file.set_modified(used).unwrap();
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.path(""))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

#[test]
fn what_is_written_is_read() {
    let kept = Kept::bounded(10, 100);
    assert_eq!(kept.cache.read(key(1, 1)), None);
    kept.write(key(1, 1), b"0123456789", 0);
    assert_eq!(kept.cache.read(key(1, 1)).unwrap(), b"0123456789");
    assert_eq!(kept.cache.read(key(1, 2)), None);
    assert_eq!(kept.cache.read(key(2, 1)), None);

    kept.write(key(1, 1), b"another", 0);
    assert_eq!(kept.cache.read(key(1, 1)).unwrap(), b"another");
    assert_eq!(kept.names(), [file_name(key(1, 1))]);
    let mode = |name: &str| {
        let metadata = fs::metadata(kept.path(name)).unwrap();
        metadata.permissions().mode() & 0o777
    };
    assert_eq!((mode(""), mode(&file_name(key(1, 1)))), (0o700, 0o600));
}

#[test]
fn what_is_too_large_is_not_read() {
    let kept = Kept::bounded(10, 100);
    kept.write(key(1, 1), b"01234567890", 0);
    assert_eq!(kept.cache.read(key(1, 1)), None);
}

#[test]
fn a_state_dir_that_is_not_there_keeps_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let cache = CodeCache::new(&dir.path().join("state"));
    assert_eq!(cache.read(key(1, 1)), None);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn code_of_other_builds_and_torn_files_are_removed() {
    let kept = Kept::bounded(10, 100);
    let own = [file_name(key(1, 1)), file_name(key(2, 1))];
    kept.write(key(1, 1), b"own", 0);
    kept.write(key(2, 1), b"own", 0);
    kept.write(key(1, 2), b"other", 0);
    fs::write(kept.path(&format!("{}.new", own[0])), b"torn").unwrap();
    let strange = ["README", "notes.code"];
    for name in strange {
        fs::write(kept.path(name), b"not ours").unwrap();
    }

    kept.cache
        .remove_useless(&kept.folder, key(1, 1).build)
        .unwrap();

    let mut expected = own.to_vec();
    expected.extend(strange.map(str::to_owned));
    expected.sort();
    assert_eq!(kept.names(), expected);
}

#[test]
fn what_was_not_used_for_longest_goes_first() {
    let kept = Kept::bounded(10, 10);
    kept.write(key(1, 1), b"0123", 10);
    kept.write(key(2, 1), b"0123", 30);
    kept.write(key(3, 1), b"0123", 20);
    fs::write(kept.path("README"), b"is not counted").unwrap();
    kept.cache.remove_oldest(&kept.folder).unwrap();
    let left = [
        file_name(key(1, 1)),
        file_name(key(3, 1)),
        "README".to_owned(),
    ];
    assert_eq!(kept.names(), left);

    kept.folder.touch(&left[1]).unwrap();
    kept.write(key(4, 1), b"0123", 5);
    kept.cache.remove_oldest(&kept.folder).unwrap();
    let left = [
        file_name(key(3, 1)),
        file_name(key(4, 1)),
        "README".to_owned(),
    ];
    assert_eq!(kept.names(), left, "what was touched is used");
}
