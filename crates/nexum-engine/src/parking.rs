//! What a worker does with dead letters: it parks an event, gives one once more, and lets those
//! go whose block has left the chain.

use nexum_store::{DeadLetter, LetterChange, StoreError};
use nexum_types::{BlockNumber, CallKey, Source, WriteSet};

use crate::{
    committing::{Accepted, accepted, blocking},
    failure::{Failure, FailureKind, with_causes},
    letters,
    lifecycle::Happened,
    meters::{EventKind, EventOutcome},
    status::Letters,
    worker::{Held, Running, Worker},
};

impl Worker {
    /// Parks the event that has failed too often, and moves the cursor behind it, in one
    /// transaction.
    pub(crate) async fn park(&mut self, held: &mut Held) -> Happened {
        let Some((letter, step)) = self.failing.letter() else {
            // Nothing stands in the way any more.
            return Happened::Parked;
        };
        let (source, cursor) = (step.source, step.cursor);
        let block = letter.event.block_ref().map(|block| block.number.0);
        let (turn, attempts) = (letter.turn, letter.attempts);
        let kind = EventKind::of(&letter.event);
        let parked = async {
            let store = self.store(held).await?;
            let writing = store;
            let park = [LetterChange::Park(letter)];
            blocking(move || {
                writing.commit_letters(&WriteSet::default(), Some(step), &park)?;
                Ok(Letters::of(&writing))
            })
            .await
        };
        match parked.await {
            Ok(letters) => {
                self.failing.passed(source);
                self.status.has_come(source, cursor);
                self.status.meters.event(kind, EventOutcome::Parked);
                self.status.has_letters(letters);
                tracing::warn!(
                    module = %self.name, %source, block, turn, attempts,
                    "an event has failed too often and is parked: see `nexum module dead-letters {} list`",
                    self.name
                );
                Happened::Parked
            }
            Err(Failure::Store(full @ StoreError::LettersFull { .. })) => {
                self.tell(FailureKind::LettersFull, &full.to_string(), "");
                Happened::NoRoom
            }
            Err(failure) => self.failed(&failure, held, Happened::NoRoom),
        }
    }

    /// Gives the event of a dead letter once more. Where it fails again, the letter says so, and
    /// the module goes on with a fresh instance; its next events are not held up by it.
    pub(crate) async fn give_letter(
        &mut self,
        module: &mut Running,
        id: u64,
    ) -> Result<Happened, Failure> {
        let store = module.store.clone();
        let Some(letter) = blocking(move || store.letter(id)).await? else {
            return Ok(Happened::Delivered);
        };
        self.about = letter.event.id();
        self.watch_call(&module.store, Some(&letter.event));
        let report = self
            .call(module, Some(CallKey::Letter(id)), &letter.event)
            .await;
        let kind = EventKind::of(&letter.event);
        let accepted = accepted(report);
        if accepted.is_err() {
            self.watched(&module.store, &accepted);
        }
        match accepted {
            Ok(handled) => {
                let settled = self.settle(module, id, letter, handled).await;
                self.watched(&module.store, &settled);
                settled?;
                self.status.meters.event(kind, EventOutcome::Handled);
                tracing::info!(module = %self.name, letter = id, "a dead letter was given once more and handled");
                Ok(Happened::Delivered)
            }
            Err(failure) if failure.is_of_store() => Err(failure),
            Err(failure) => {
                let error = with_causes(&failure);
                self.status.meters.event(kind, EventOutcome::Failed);
                self.tell(failure.kind(), &error, failure.backtrace());
                let again = letters::failed_again(letter, &error);
                self.change(module, vec![LetterChange::Replace(id, again)])
                    .await?;
                tracing::warn!(module = %self.name, letter = id, "a dead letter was given once more and failed again");
                Ok(Happened::RetryFailed)
            }
        }
    }

    /// Commits what the module made of a letter, which goes with it.
    async fn settle(
        &mut self,
        module: &mut Running,
        id: u64,
        letter: DeadLetter,
        handled: Accepted,
    ) -> Result<(), Failure> {
        let store = module.store.clone();
        let settled = blocking(move || {
            let source = letter.source;
            let number = letter.event.block_ref().map(|block| block.number);
            let remembered = match number {
                Some(number) => store.delivered(source, number)?,
                None => None,
            };
            let cursor = store.cursor(&source);
            let step = cursor.and_then(|cursor| letters::settled(&letter, cursor, remembered));
            let gone = [LetterChange::Remove(id)];
            let committed = store.commit_letters(&handled.writes, step, &gone)?;
            Ok((Letters::of(&store), committed.settled))
        });
        let (letters, calls) = settled.await?;
        self.status.has_letters(letters);
        self.settled(calls);
        Ok(())
    }

    /// Lets the letters go whose block has left the chain.
    pub(crate) async fn retract(
        &mut self,
        module: &mut Running,
        source: Source,
        number: BlockNumber,
    ) -> Result<(), Failure> {
        if module.store.letter_count() == 0 {
            return Ok(());
        }
        let store = module.store.clone();
        let all = blocking(move || store.letters()).await?;
        let gone = letters::of_block(&all, source, number);
        if gone.is_empty() {
            return Ok(());
        }
        tracing::warn!(
            module = %self.name, %source, block = %number, letters = ?gone,
            "the block of dead letters has left the chain, and they with it"
        );
        let gone = gone.into_iter().map(LetterChange::Remove).collect();
        self.change(module, gone).await
    }

    async fn change(
        &mut self,
        module: &mut Running,
        changes: Vec<LetterChange>,
    ) -> Result<(), Failure> {
        let store = module.store.clone();
        let changed = blocking(move || {
            let committed = store.commit_letters(&WriteSet::default(), None, &changes)?;
            Ok((Letters::of(&store), committed.settled))
        });
        let (letters, settled) = changed.await?;
        self.status.has_letters(letters);
        self.settled(settled);
        Ok(())
    }
}
