//! Dead letters: events that a module has failed too often, parked in its own file until an
//! operator decides. They count in no quota; their number and their size are bounded here.
//!
//! The table `letters` holds them by number, each in postcard. It is made with the first one, and
//! with it the host's row `next_letter`, eight bytes, little-endian: a number is never given twice.

use std::collections::BTreeMap;

use nexum_types::{BlockNumber, ChainId, Event, Source};
use redb::{
    Database, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition, TableError,
    WriteTransaction,
};
use serde::{Deserialize, Serialize};

use crate::{
    error::Fault,
    format::{HOST, copy_table},
};

/// The most dead letters that one module keeps.
pub const MAX_LETTERS: usize = 1_000;
/// The most bytes that the dead letters of one module take.
pub const MAX_LETTERS_BYTES: u64 = 16 * 1024 * 1024;

const LETTERS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("letters");
const NEXT_ROW: &str = "next_letter";

/// An event that was parked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Where it came from.
    pub source: Source,
    /// Its turn among the events of its block.
    pub turn: u32,
    /// The event.
    pub event: Event,
    /// How its last attempt ended.
    pub error: String,
    /// When it was parked, or failed again, in milliseconds since the Unix epoch, UTC.
    pub time_ms: u64,
    /// How often it has failed.
    pub attempts: u32,
    /// Whether the operator wants it given once more.
    pub retry: bool,
}

impl DeadLetter {
    /// Whether its event is of this chain, and of this block or a later one.
    #[must_use]
    pub fn is_from(&self, chain: ChainId, at: BlockNumber) -> bool {
        let block = self.event.block_ref();
        self.source.chain() == Some(chain) && block.is_none_or(|block| block.number >= at)
    }
}

/// What becomes of dead letters in one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LetterChange {
    /// A new one is parked.
    Park(DeadLetter),
    /// The one of this number is another from now on.
    Replace(u64, DeadLetter),
    /// The one of this number is gone.
    Remove(u64),
}

impl LetterChange {
    /// What an operator's order makes of a dead letter: it is given once more, or it is gone.
    #[must_use]
    pub fn ordered(id: u64, letter: &DeadLetter, retry: bool) -> Self {
        if !retry {
            return Self::Remove(id);
        }
        let letter = letter.clone();
        Self::Replace(id, DeadLetter { retry, ..letter })
    }
}

/// The dead letters that there are: their numbers and sizes, and the next number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Shelf {
    sizes: BTreeMap<u64, u64>,
    next: u64,
}

/// A change with what it writes.
pub(crate) type Row = (u64, Option<Vec<u8>>);

impl Shelf {
    /// What there is in `db`.
    pub(crate) fn load(db: &Database) -> Result<Self, Fault> {
        let transaction = db.begin_read()?;
        let mut shelf = Self::default();
        let Some(letters) = table(&transaction)? else {
            return Ok(shelf);
        };
        for row in letters.range::<u64>(..)? {
            let (id, letter) = row?;
            shelf.sizes.insert(id.value(), letter.value().len() as u64);
        }
        let host = transaction.open_table(HOST)?;
        let next = host.get(NEXT_ROW)?;
        shelf.next = next
            .and_then(|next| next.value().try_into().ok())
            .map(u64::from_le_bytes)
            .ok_or_else(|| Fault::Damaged(format!("the host's row {NEXT_ROW:?}")))?;
        Ok(shelf)
    }

    pub(crate) fn len(&self) -> usize {
        self.sizes.len()
    }

    /// The rows to write for `changes`, and the shelf after them; `None` where there is no room.
    pub(crate) fn plan(&self, changes: &[LetterChange]) -> Result<Option<(Self, Vec<Row>)>, Fault> {
        let mut after = self.clone();
        let mut rows = Vec::with_capacity(changes.len());
        for (id, change) in self.numbered(changes) {
            let letter = match change {
                LetterChange::Park(letter) => {
                    after.next = id + 1;
                    Some(letter)
                }
                LetterChange::Replace(_, letter) => Some(letter),
                LetterChange::Remove(_) => None,
            };
            let bytes = letter.map(encode).transpose()?;
            match &bytes {
                Some(bytes) => after.sizes.insert(id, bytes.len() as u64),
                None => after.sizes.remove(&id),
            };
            rows.push((id, bytes));
        }
        let grows = after.len() > self.len();
        let fits = after.len() <= MAX_LETTERS && after.bytes() <= MAX_LETTERS_BYTES;
        Ok((fits || !grows).then_some((after, rows)))
    }

    /// The changes, each with the number of its letter.
    pub(crate) fn numbered<'a>(
        &self,
        changes: &'a [LetterChange],
    ) -> impl Iterator<Item = (u64, &'a LetterChange)> + use<'a> {
        let mut next = self.next;
        changes.iter().map(move |change| match change {
            LetterChange::Park(_) => {
                next += 1;
                (next - 1, change)
            }
            LetterChange::Replace(id, _) | LetterChange::Remove(id) => (*id, change),
        })
    }

    fn bytes(&self) -> u64 {
        self.sizes.values().sum()
    }
}

/// Writes the rows of a plan, within the transaction of a commit.
pub(crate) fn write(
    transaction: &WriteTransaction,
    after: &Shelf,
    rows: &[Row],
) -> Result<(), Fault> {
    let mut letters = transaction.open_table(LETTERS)?;
    for (id, bytes) in rows {
        match bytes {
            Some(bytes) => drop(letters.insert(id, bytes.as_slice())?),
            None => drop(letters.remove(id)?),
        }
    }
    let mut host = transaction.open_table(HOST)?;
    host.insert(NEXT_ROW, after.next.to_le_bytes().as_slice())?;
    Ok(())
}

/// Copies the table, where it is there.
pub(crate) fn copy(snapshot: &ReadTransaction, to: &WriteTransaction) -> Result<(), Fault> {
    copy_table(snapshot, to, LETTERS)
}

/// All dead letters, by number.
pub(crate) fn read_all(db: &Database) -> Result<Vec<(u64, DeadLetter)>, Fault> {
    let transaction = db.begin_read()?;
    let Some(letters) = table(&transaction)? else {
        return Ok(Vec::new());
    };
    letters
        .range::<u64>(..)?
        .map(|row| {
            let (id, letter) = row?;
            Ok((id.value(), decode(letter.value())?))
        })
        .collect()
}

/// The last `most` dead letters, by number, newest first.
pub(crate) fn read_newest(db: &Database, most: usize) -> Result<Vec<(u64, DeadLetter)>, Fault> {
    let transaction = db.begin_read()?;
    let Some(letters) = table(&transaction)? else {
        return Ok(Vec::new());
    };
    letters
        .range::<u64>(..)?
        .rev()
        .take(most)
        .map(|row| {
            let (id, letter) = row?;
            Ok((id.value(), decode(letter.value())?))
        })
        .collect()
}

/// One dead letter.
pub(crate) fn read(db: &Database, id: u64) -> Result<Option<DeadLetter>, Fault> {
    let transaction = db.begin_read()?;
    let Some(letters) = table(&transaction)? else {
        return Ok(None);
    };
    let letter = letters.get(id)?;
    letter.map(|letter| decode(letter.value())).transpose()
}

fn table(
    transaction: &ReadTransaction,
) -> Result<Option<impl ReadableTable<u64, &'static [u8]> + use<>>, Fault> {
    match transaction.open_table(LETTERS) {
        Ok(table) => Ok(Some(table)),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn encode(letter: &DeadLetter) -> Result<Vec<u8>, Fault> {
    postcard::to_stdvec(letter)
        .map_err(|error| Fault::Damaged(format!("encoding a dead letter: {error}")))
}

fn decode(bytes: &[u8]) -> Result<DeadLetter, Fault> {
    postcard::from_bytes(bytes).map_err(|error| Fault::Damaged(format!("a dead letter: {error}")))
}
