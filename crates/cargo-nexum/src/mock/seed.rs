//! What the state of a module holds before anything happens.

use std::{fs, path::Path, sync::Arc};

use nexum_engine::wire::StateReport;
use nexum_store::{ModuleStore, Step};
use nexum_testkit::StateEntry;
use nexum_types::{CallState, StateError};

use crate::exit::{Code, Failure};

/// A key and its value.
pub(super) type Entry = (String, Vec<u8>);

/// Reads what `nexum state inspect --json` has printed.
pub(super) fn read(path: &Path) -> Result<Vec<Entry>, Failure> {
    let refused = |what: String| {
        Failure::told(
            Code::Refused,
            format!("{}: {what}", path.display()),
            "make it with `nexum state inspect <module> --limit 0 --json`",
        )
    };
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::other(&format!("reading {}", path.display()), error))?;
    let report: StateReport = serde_json::from_str(&text)
        .map_err(|error| refused(format!("this is no state as JSON: {error}")))?;
    if report.more > 0 {
        return Err(refused(format!("{} entries were left out", report.more)));
    }
    let entry = |entry: nexum_engine::wire::EntryReport| {
        let bytes = entry
            .value
            .strip_prefix("0x")
            .and_then(|digits| hex::decode(digits).ok());
        let bytes =
            bytes.ok_or_else(|| refused(format!("the value of {:?} is no hex", entry.key)))?;
        Ok((entry.key, bytes))
    };
    report.entries.into_iter().map(entry).collect()
}

/// Puts the entries into an empty state, and those of the fixture over them. `steps`: where the
/// module has come to. An error names the line of the fixture, where it is one's.
pub(super) fn plant(
    store: &ModuleStore,
    quota: u64,
    given: &[Entry],
    lines: &[StateEntry],
    steps: Vec<Step>,
) -> Result<(), (Option<usize>, Failure)> {
    let mut state = CallState::new(Arc::new(store.clone()), quota);
    let refused = |key: &str, error: StateError| {
        let what = format!("the state cannot begin with {key:?}: {error}");
        Failure::told(
            Code::Refused,
            what,
            "a module's own call could not set it either",
        )
    };
    for (key, value) in given {
        let set = state.set(key, value.clone());
        set.map_err(|error| (None, refused(key, error)))?;
    }
    for entry in lines {
        let set = state.set(&entry.key, entry.value.clone());
        set.map_err(|error| (Some(entry.line), refused(&entry.key, error)))?;
    }
    let writes = state.into_writes();
    let planted = store.commit(&writes, None).and_then(|_| {
        steps.into_iter().try_for_each(|step| {
            store
                .commit(&nexum_types::WriteSet::default(), Some(step))
                .map(drop)
        })?;
        store.flush()
    });
    planted.map_err(|error| (None, Failure::other("the state", error)))
}
