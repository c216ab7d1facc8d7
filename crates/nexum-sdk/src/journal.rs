//! Effects that must happen once: a note of the intent survives before the effect takes place.
//!
//! An event can come again after its effect outside of the state took place and before the call
//! was committed. The journal notes *about to do X* and checkpoints it before X, so that the
//! module then asks whether X took place instead of doing it twice.

use serde::{Serialize, de::DeserializeOwned};

use crate::{Result, Stored, TypedState, TypedStateError, local_store};

/// Effects by an id of the module's own. `I` is what the module notes of what it is about to do,
/// `O` of what became of it.
///
/// ```
/// # use nexum_sdk::{Attempt, Journal, Result};
/// # fn submit(_order: u64) -> Result<String> { Ok(String::new()) }
/// # fn find(_order: u64) -> Result<Option<String>> { Ok(None) }
/// const ORDERS: Journal<u64, String> = Journal::new("orders/");
///
/// fn order(id: u64) -> Result<String> {
///     match ORDERS.begin(&id.to_string(), &id)? {
///         Attempt::Done(reference) => Ok(reference),
///         Attempt::New(intent) => intent.done(submit(id)?),
///         // Perhaps it was submitted: ask, and submit only what is not there.
///         Attempt::Unknown(intent) => match find(id)? {
///             Some(reference) => intent.done(reference),
///             None => intent.done(submit(id)?),
///         },
///     }
/// }
/// ```
pub struct Journal<I, O> {
    prefix: &'static str,
    /// The version of the types, and what reads entries of other ones.
    version: Option<(u32, Migrate<I, O>)>,
}

/// Makes an entry of today out of one of another version.
type Migrate<I, O> = fn(&Stored<'_>) -> Result<JournalEntry<I, O>, TypedStateError>;

/// What is known of an effect when it is about to take place.
#[derive(Debug)]
#[must_use = "it says whether the effect is to take place"]
pub enum Attempt<I, O> {
    /// Nobody has tried it: do it now. The intent has been noted, durably.
    New(Intent<I, O>),
    /// It was about to take place, and the call then failed: find out whether it did.
    Unknown(Intent<I, O>),
    /// It took place, with this outcome.
    Done(O),
}

/// The note of an effect that is about to take place.
#[derive(Debug)]
#[must_use = "an effect whose outcome is not noted is unknown when the event comes again"]
pub struct Intent<I, O> {
    key: String,
    noted: I,
    version: Option<(u32, Migrate<I, O>)>,
}

/// What stands in the journal of one effect.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum JournalEntry<I, O> {
    /// It was about to take place.
    Intent(I),
    /// It took place, with this outcome.
    Done(O),
}

impl<I, O> JournalEntry<I, O> {
    /// The same entry of other types.
    pub fn map<J, P>(
        self,
        intent: impl FnOnce(I) -> J,
        outcome: impl FnOnce(O) -> P,
    ) -> JournalEntry<J, P> {
        match self {
            Self::Intent(noted) => JournalEntry::Intent(intent(noted)),
            Self::Done(of) => JournalEntry::Done(outcome(of)),
        }
    }
}

impl<I, O> Journal<I, O>
where
    I: Serialize + DeserializeOwned + Clone,
    O: Serialize + DeserializeOwned + Clone,
{
    /// The journal whose keys begin with `prefix`.
    #[must_use]
    pub const fn new(prefix: &'static str) -> Self {
        Self {
            prefix,
            version: None,
        }
    }

    /// The same journal in another version of its types; without this it is of version 1. What was
    /// noted with another version, perhaps by the module that ran before an upgrade, is given to
    /// `migrate`, which decodes it as the types of then:
    ///
    /// ```
    /// # use nexum_sdk::{Journal, JournalEntry};
    /// # #[derive(Clone, serde::Serialize, serde::Deserialize)]
    /// # struct Order { id: u64, limit: Option<u64> }
    /// // Version 1 was a `Journal<u64, String>`.
    /// const ORDERS: Journal<Order, String> = Journal::new("orders/").versioned(2, |stored| {
    ///     match stored.version() {
    ///         1 => Ok(stored
    ///             .decode::<JournalEntry<u64, String>>()?
    ///             .map(|id| Order { id, limit: None }, |reference| reference)),
    ///         _ => Err(stored.unknown()),
    ///     }
    /// });
    /// ```
    #[must_use]
    pub const fn versioned(mut self, version: u32, migrate: Migrate<I, O>) -> Self {
        self.version = Some((version, migrate));
        self
    }

    /// Begins the effect of that id, and answers what is known of it.
    ///
    /// Where nobody has tried it, `intent` is noted and **everything that the call has written so
    /// far is committed** with it: begin before the call's other writes, or mean them to stay.
    pub fn begin(&self, id: &str, intent: &I) -> Result<Attempt<I, O>> {
        let key = self.key(id);
        let entry = entry(key.clone(), self.version);
        let noted = match entry.load()? {
            Some(JournalEntry::Done(outcome)) => return Ok(Attempt::Done(outcome)),
            Some(JournalEntry::Intent(noted)) => Some(noted),
            None => None,
        };
        let intent_of = |noted| Intent {
            key,
            noted,
            version: self.version,
        };
        match noted {
            Some(noted) => Ok(Attempt::Unknown(intent_of(noted))),
            None => {
                entry.store(&JournalEntry::Intent(intent.clone()))?;
                local_store::checkpoint()?;
                Ok(Attempt::New(intent_of(intent.clone())))
            }
        }
    }

    /// Forgets the effect of that id, such as once its event can no longer come again. Beginning
    /// it later is new.
    pub fn forget(&self, id: &str) -> Result<()> {
        local_store::delete(&self.key(id))
    }

    /// The ids of all effects that were begun and not forgotten, in the order of their text.
    pub fn ids(&self) -> Result<Vec<String>> {
        let keys = local_store::list_keys(self.prefix)?;
        Ok(keys
            .into_iter()
            .map(|key| key[self.prefix.len()..].to_owned())
            .collect())
    }

    fn key(&self, id: &str) -> String {
        format!("{}{id}", self.prefix)
    }
}

impl<I, O> Intent<I, O>
where
    I: Serialize + DeserializeOwned + Clone,
    O: Serialize + DeserializeOwned + Clone,
{
    /// What was noted when the effect was begun for the first time.
    #[must_use]
    pub fn noted(&self) -> &I {
        &self.noted
    }

    /// Notes that the effect took place, and answers the outcome. It is committed with the call.
    pub fn done(self, outcome: O) -> Result<O> {
        entry(self.key, self.version).store(&JournalEntry::<I, O>::Done(outcome.clone()))?;
        Ok(outcome)
    }

    /// Notes that the effect did not take place and will not: beginning it later is new.
    pub fn abandon(self) -> Result<()> {
        local_store::delete(&self.key)
    }
}

fn entry<I, O>(
    key: String,
    version: Option<(u32, Migrate<I, O>)>,
) -> TypedState<JournalEntry<I, O>> {
    let entry = TypedState::under(key);
    match version {
        Some((version, migrate)) => entry.versioned(version, migrate),
        None => entry,
    }
}
