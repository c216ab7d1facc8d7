//! The transactions that were signed: kept over restarts, and never mistaken for others.

use std::fs;

use nexum_store::{StateDir, StoreError, inspect_transactions};
use nexum_types::{
    Address, B256, Bytes, CallId, ChainId, Fate, SentTransaction, TransactionLedger as _, U256,
};
use redb::{Database, TableDefinition};

fn sent(id: u64) -> SentTransaction {
    SentTransaction {
        id,
        module: "pays".parse().unwrap(),
        call: CallId([7; 16]),
        index: 1,
        asked: B256::repeat_byte(1),
        event: "init".into(),
        chain: ChainId(1),
        account: Address::repeat_byte(2),
        nonce: id,
        hash: B256::repeat_byte(3),
        raw: Bytes::from_static(&[2, 0xc0]),
        value: U256::MAX,
        fees: U256::from(5),
        signed_ms: 6,
        fate: Fate::Pending,
        is_final: false,
        is_settled: false,
    }
}

#[test]
fn what_was_signed_is_there_after_a_restart() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("state");
    let dir = StateDir::open(&path).unwrap();
    assert!(!dir.has_ledger());
    let ledger = dir.open_ledger().unwrap();
    assert!(dir.has_ledger());
    ledger.change(&[sent(1), sent(2), sent(3)], &[]).unwrap();
    let landed = SentTransaction {
        fate: Fate::Landed {
            block: 9,
            reverted: true,
        },
        is_final: true,
        ..sent(2)
    };
    ledger.change(std::slice::from_ref(&landed), &[1]).unwrap();
    // It keeps the folder, as a module's state does.
    drop(dir);
    assert!(matches!(
        StateDir::open(&path),
        Err(StoreError::Locked { .. })
    ));
    drop(ledger);
    let ledger = StateDir::open(&path).unwrap().open_ledger().unwrap();
    assert_eq!(ledger.load().unwrap(), [landed, sent(3)]);
}

#[test]
fn a_file_that_is_damaged_or_newer_is_refused_and_left_alone() {
    const HOST: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("host");
    let parent = tempfile::tempdir().unwrap();
    let dir = StateDir::open(parent.path().join("state")).unwrap();
    drop(dir.open_ledger().unwrap());
    let file = dir.path().join("transactions.redb");

    let db = Database::create(&file).unwrap();
    let transaction = db.begin_write().unwrap();
    let mut host = transaction.open_table(HOST).unwrap();
    host.insert("format", 2_u32.to_le_bytes().as_slice())
        .unwrap();
    drop(host);
    transaction.commit().unwrap();
    drop(db);
    let error = dir.open_ledger().unwrap_err();
    assert!(
        matches!(error, StoreError::NewerFormat { found: 2, .. }),
        "{error}"
    );

    for text in ["", "no database"] {
        fs::write(&file, text).unwrap();
        let error = dir.open_ledger().unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
    }
}

#[test]
fn looking_reads_what_is_there_and_writes_nothing() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("state");
    let error = inspect_transactions(&path).unwrap_err();
    assert!(
        matches!(error, StoreError::MissingStateDir { .. }),
        "{error}"
    );
    let dir = StateDir::open(&path).unwrap();
    let ledger = dir.open_ledger().unwrap();
    ledger.change(&[sent(1), sent(2)], &[]).unwrap();
    let error = inspect_transactions(&path).unwrap_err();
    assert!(matches!(error, StoreError::Locked { .. }), "{error}");

    // As a crash leaves it: open, and not closed.
    let copy = parent.path().join("copy");
    fs::create_dir(&copy).unwrap();
    assert_eq!(inspect_transactions(&copy).unwrap(), []);
    let file = copy.join("transactions.redb");
    fs::copy(path.join("transactions.redb"), &file).unwrap();
    let before = fs::read(&file).unwrap();
    assert_eq!(inspect_transactions(&copy).unwrap(), [sent(1), sent(2)]);
    assert_eq!(fs::read(&file).unwrap(), before);

    for text in ["", "no database"] {
        fs::write(&file, text).unwrap();
        let error = inspect_transactions(&copy).unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
    }
}
