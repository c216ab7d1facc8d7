//! Typed values over `local-store`.

use nexum_sdk::{
    HostError, HostErrorKind, TypedMap, TypedState, TypedStateError,
    alloy::primitives::{Address, U256},
    local_store,
};
use serde::{Deserialize, Serialize};

use crate::bare;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Old {
    total: u64,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct New {
    total: U256,
    count: u32,
}

const OLD: TypedState<Old> = TypedState::new("totals");
const NEW: TypedState<New> =
    TypedState::new("totals").versioned(2, |stored| match stored.version() {
        1 => stored.decode::<Old>().map(|old| New {
            total: U256::from(old.total),
            count: 0,
        }),
        _ => Err(stored.unknown()),
    });

#[test]
fn a_value_is_read_back_as_it_was_stored() {
    bare().enter(|| {
        assert_eq!(OLD.load().unwrap(), None);
        OLD.store(&Old { total: 7 }).unwrap();
        assert_eq!(OLD.load().unwrap(), Some(Old { total: 7 }));
        OLD.delete().unwrap();
        assert_eq!(OLD.load().unwrap(), None);
        assert_eq!(NEW.load_or_default().unwrap(), New::default());
    });
}

#[test]
fn another_version_is_migrated_on_read_and_stored_anew_on_write() {
    let host = bare();
    host.enter(|| OLD.store(&Old { total: 7 }).unwrap());
    let before = host.state("totals").unwrap();
    let mut value = host.enter(|| NEW.load().unwrap().unwrap());
    assert_eq!(value.total, U256::from(7));
    assert_eq!(
        host.state("totals").unwrap(),
        before,
        "reading writes nothing"
    );
    value.count = 1;
    host.enter(|| NEW.store(&value).unwrap());
    host.enter(|| {
        assert_eq!(NEW.load().unwrap(), Some(value));
        let error = OLD.load().unwrap_err();
        let TypedStateError::Version {
            found: 2,
            wanted: 1,
            ..
        } = &error
        else {
            panic!("{error}");
        };
    });
}

#[test]
fn what_does_not_decode_is_an_error_with_its_key_and_never_a_default() {
    bare().enter(|| {
        for (bytes, wanted) in [
            (&b""[..], "0 bytes that no typed state wrote"),
            (b"7", "1 bytes that no typed state wrote"),
            (&[1], "1 bytes that no typed state wrote"),
            (&[1, 1], "version 1, does not decode"),
            (&[1, 1, 7, 7], "1 bytes are left over"),
            (
                &[1, 9, 7],
                "is of version 9, and this module reads version 1",
            ),
        ] {
            local_store::set("totals", bytes).unwrap();
            let error = OLD.load().unwrap_err().to_string();
            assert!(
                error.contains("`totals`") && error.contains(wanted),
                "{error}"
            );
        }
        let error: HostError = OLD.load().unwrap_err().into();
        assert_eq!(
            (error.domain.as_str(), error.kind),
            ("local-store", HostErrorKind::Internal)
        );
    });
}

#[test]
fn the_quota_is_told_with_the_key() {
    bare().enter(|| {
        const TEXT: TypedState<String> = TypedState::new("text");
        let error: HostError = TEXT.store(&"x".repeat(200)).unwrap_err().into();
        assert_eq!(
            (error.domain.as_str(), error.kind),
            ("local-store", HostErrorKind::Denied)
        );
        assert!(
            error
                .message
                .starts_with("state `text`: the state would have"),
            "{error}"
        );
        assert_eq!(TEXT.load().unwrap(), None);
    });
}

#[test]
fn a_map_has_keys_of_its_own_type() {
    const TOTALS: TypedMap<Address, u64> = TypedMap::new("total/");
    let (one, two) = (Address::with_last_byte(1), Address::with_last_byte(2));
    let host = bare();
    host.enter(|| {
        TOTALS.insert(&two, &20).unwrap();
        TOTALS.insert(&one, &10).unwrap();
        assert_eq!(TOTALS.get(&one).unwrap(), Some(10));
        assert_eq!(TOTALS.keys().unwrap(), [one, two]);
        TOTALS.remove(&one).unwrap();
        assert_eq!(TOTALS.get(&one).unwrap(), None);
        local_store::set("total/nobody", b"").unwrap();
        let error = TOTALS.keys().unwrap_err();
        assert!(error.to_string().contains("`total/nobody`"), "{error}");
    });
}
