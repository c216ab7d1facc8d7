//! Commits: the writes of a call, the step of its source, dead letters and the ids of calls, in one
//! transaction or not at all.

use std::sync::{PoisonError, atomic::Ordering};

use nexum_manifest::Durability;
use nexum_types::{BlockNumber, CallId, CallKey, ChainId, Cursor, Source, WriteSet};

use super::{Committed, ModuleStore, Resynced};
use crate::{
    StoreError,
    calls::CallChange,
    error::guarded,
    format::{self, Changes},
    history::{History, Step},
    letters::{self, LetterChange, Shelf},
};

impl ModuleStore {
    /// Commits `writes` and takes one step of one source, in one transaction; steps noted before
    /// go with it. On the disk when it returns, or with the next flush, as the module's
    /// durability says.
    ///
    /// `writes` must have been made over the state as it is now. Where nothing changes, nothing
    /// is written.
    pub fn commit(&self, writes: &WriteSet, step: Option<Step>) -> Result<Committed, StoreError> {
        let durability = match *self.durability() {
            Durability::Event => redb::Durability::Immediate,
            Durability::Interval(_) => redb::Durability::None,
        };
        self.apply(writes, step, &[], None, durability)
    }

    /// The same with changes of the module's dead letters in the same transaction, which is on the
    /// disk when this returns.
    ///
    /// # Errors
    /// [`StoreError::LettersFull`], with nothing done, where they would be more than a module may
    /// have.
    pub fn commit_letters(
        &self,
        writes: &WriteSet,
        step: Option<Step>,
        changes: &[LetterChange],
    ) -> Result<Committed, StoreError> {
        self.apply(writes, step, changes, None, redb::Durability::Immediate)
    }

    /// Puts the cursors of a chain, at every depth, before a block, forgets what was delivered of
    /// it, and removes the dead letters from that block on, whose events are delivered again or are
    /// of another branch; in one transaction that is on the disk when this returns.
    pub fn resync(&self, chain: ChainId, at: BlockNumber) -> Result<Resynced, StoreError> {
        let letters = self.letters()?;
        let gone = letters
            .iter()
            .filter(|(_, letter)| letter.is_from(chain, at));
        let gone: Vec<_> = gone.map(|(id, _)| LetterChange::Remove(*id)).collect();
        let of_chain = |(source, _): &(Source, Cursor)| source.chain() == Some(chain);
        let before: Vec<_> = self.cursors().into_iter().filter(of_chain).collect();
        for (source, _) in &before {
            self.note(Step {
                source: *source,
                cursor: Cursor::Before(at),
                history: History::Forget {
                    from: BlockNumber(0),
                },
            });
        }
        self.commit_letters(&WriteSet::default(), None, &gone)?;
        Ok(Resynced {
            before,
            letters: gone.len(),
        })
    }

    /// Everything that changes the state comes here: one transaction, and what is known of the state
    /// after it.
    pub(super) fn apply(
        &self,
        writes: &WriteSet,
        step: Option<Step>,
        changes: &[LetterChange],
        opens: Option<String>,
        durability: redb::Durability,
    ) -> Result<Committed, StoreError> {
        let inner = &*self.0;
        let _turn = inner.writer.lock().unwrap_or_else(PoisonError::into_inner);
        self.check_running()?;

        let calls = self.plan_calls(writes, changes, opens);
        let durable = matches!(durability, redb::Durability::Immediate);
        let letters = self.plan_letters(changes)?;
        let (before, noted, pending, volatile) = {
            let mut view = self.view();
            let noted = view.noted.clone();
            let mut pending = noted.clone();
            if let Some(step) = step {
                pending.add(step, &mut view.remembered);
            }
            (view.committed.clone(), noted, pending, view.volatile)
        };
        let mut after = before.clone();
        after.cursors.extend(&pending.cursors);
        let moves = after != before || !pending.rows.is_empty();
        if !writes.changes_keys()
            && !moves
            && letters.is_none()
            && calls.is_empty()
            && !(durable && volatile)
        {
            return Ok(Committed {
                used_bytes: before.used_bytes,
                durable: !volatile,
                settled: Vec::new(),
            });
        }

        let after = self
            .release()
            .and_then(|()| {
                guarded(&inner.path, || {
                    let changes = Changes {
                        writes,
                        pending: &pending,
                        letters: letters.as_ref(),
                        calls: &calls,
                    };
                    format::apply(&inner.db, &changes, &before, after, durability)
                })
            })
            .inspect_err(|_| inner.stopped.store(true, Ordering::Release))?;

        let used_bytes = after.used_bytes;
        debug_assert!(
            !writes.changes_keys() || writes.used_bytes() == used_bytes,
            "the write-set was made over another state"
        );
        let mut view = self.view();
        // What was noted while the commit ran is ahead of it, and stays.
        view.noted.settle(&noted);
        view.committed = after;
        if let Some((shelf, _)) = letters {
            view.shelf = shelf;
        }
        let applied = calls.into_iter();
        let settled = applied
            .filter_map(|call| call.apply(&mut view.calls))
            .collect();
        view.volatile = !durable;
        inner.used_bytes.store(used_bytes, Ordering::Release);
        Ok(Committed {
            used_bytes,
            durable,
            settled,
        })
    }

    /// What becomes of calls with `writes` and with the changes of letters, and where `opens` is to
    /// get an id. A call keeps its id where its event is parked, under the letter's number. The turn
    /// at the writer is the caller's.
    fn plan_calls(
        &self,
        writes: &WriteSet,
        changes: &[LetterChange],
        opens: Option<String>,
    ) -> Vec<CallChange> {
        let view = self.view();
        let has = |name: &String| view.calls.contains_key(name);
        let mut plan = Vec::new();
        if let Some(name) = opens.filter(|name| !has(name)) {
            plan.push(CallChange::Open(name, CallId(rand::random())));
        }
        if view.calls.is_empty() {
            return plan;
        }
        let settles = writes.settles().map(|call| call.to_string());
        plan.extend(settles.filter(has).map(CallChange::Settle));
        for (id, change) in view.shelf.numbered(changes) {
            let letter = CallKey::Letter(id).to_string();
            match change {
                LetterChange::Park(parked) => {
                    let name = CallKey::of(parked.source, &parked.event);
                    let name = name.map(|name| name.to_string()).filter(has);
                    plan.extend(name.map(|name| CallChange::Rename(name, letter)));
                }
                LetterChange::Remove(_) if has(&letter) => plan.push(CallChange::Settle(letter)),
                LetterChange::Remove(_) | LetterChange::Replace(..) => {}
            }
        }
        plan
    }

    /// The id of a call, which is on the disk when this returns.
    pub(super) fn open_call(&self, name: &str) -> Result<CallId, StoreError> {
        let known = || self.view().calls.get(name).copied();
        if let Some(id) = known() {
            return Ok(id);
        }
        let (nothing, opens) = (WriteSet::default(), Some(name.to_owned()));
        self.apply(&nothing, None, &[], opens, redb::Durability::Immediate)?;
        known().ok_or_else(|| StoreError::NeedsReopen {
            path: self.0.path.clone(),
        })
    }

    /// What `changes` write; `None` where there are none.
    fn plan_letters(
        &self,
        changes: &[LetterChange],
    ) -> Result<Option<(Shelf, Vec<letters::Row>)>, StoreError> {
        if changes.is_empty() {
            return Ok(None);
        }
        let shelf = self.view().shelf.clone();
        let plan = guarded(&self.0.path, || shelf.plan(changes))?;
        plan.map(Some).ok_or_else(|| StoreError::LettersFull {
            path: self.0.path.clone(),
        })
    }

    fn release(&self) -> Result<(), StoreError> {
        let Some(staging) = &self.0.staging else {
            return Ok(());
        };
        staging
            .release()
            .map_err(|error| StoreError::io("write", &self.0.path, error))
    }
}
