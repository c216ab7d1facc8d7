//! What a module was given of recent blocks, and what is pending: the part of a step that is
//! not on the disk yet.

use std::collections::{BTreeMap, BTreeSet};

use nexum_types::{BlockNumber, Cursor, Delivered, Source};

/// One step of a source: its cursor moves, and what the module was given is remembered, or
/// forgotten, with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The source.
    pub source: Source,
    /// Its cursor from now on.
    pub cursor: Cursor,
    /// What becomes of the source's history.
    pub history: History,
}

/// What becomes of a source's history in one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum History {
    /// Nothing: the step cannot be taken back.
    Unchanged,
    /// The module was given this. It replaces what was remembered of the same block number;
    /// what is older than `keep_from` is forgotten.
    Remember {
        /// What it was given of the block, all in all.
        delivered: Delivered,
        /// The oldest block that can still leave the chain.
        keep_from: BlockNumber,
    },
    /// Everything from this number on was taken back.
    Forget {
        /// The first number.
        from: BlockNumber,
    },
}

impl From<(Source, Cursor)> for Step {
    fn from((source, cursor): (Source, Cursor)) -> Self {
        Self {
            source,
            cursor,
            history: History::Unchanged,
        }
    }
}

/// A row of the history: one block of one source.
pub(crate) type Row = (Source, BlockNumber);

/// Steps that have been taken and not committed, merged into what they change in the end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Pending {
    pub(crate) cursors: BTreeMap<Source, Cursor>,
    /// `None`: the row goes.
    pub(crate) rows: BTreeMap<Row, Option<Delivered>>,
}

impl Pending {
    pub(crate) fn is_empty(&self) -> bool {
        self.cursors.is_empty() && self.rows.is_empty()
    }

    /// Adds a step. `remembered` are the rows there are, committed or pending; it is kept up.
    pub(crate) fn add(&mut self, step: Step, remembered: &mut BTreeSet<Row>) {
        let Step {
            source,
            cursor,
            history,
        } = step;
        self.cursors.insert(source, cursor);
        let gone = match history {
            History::Unchanged => return,
            History::Remember {
                delivered,
                keep_from,
            } => {
                let row = (source, delivered.block.number);
                remembered.insert(row);
                self.rows.insert(row, Some(delivered));
                (source, BlockNumber(0))..(source, keep_from)
            }
            History::Forget { from } => (source, from)..(source, BlockNumber(u64::MAX)),
        };
        let gone: Vec<Row> = remembered.range(gone).copied().collect();
        for row in gone {
            remembered.remove(&row);
            self.rows.insert(row, None);
        }
    }

    /// Leaves out what has been committed of it; what has changed since stays.
    pub(crate) fn settle(&mut self, committed: &Self) {
        self.cursors
            .retain(|source, cursor| committed.cursors.get(source) != Some(cursor));
        self.rows
            .retain(|row, delivered| committed.rows.get(row) != Some(delivered));
    }
}

#[cfg(test)]
mod tests {
    use nexum_types::{B256, BlockRef, ChainId, Depth};

    use super::*;

    const SOURCE: Source = Source::Chain(ChainId(1), Depth::Head);
    const OTHER: Source = Source::Chain(ChainId(2), Depth::Head);

    fn block(number: u64) -> BlockRef {
        BlockRef {
            number: BlockNumber(number),
            hash: B256::with_last_byte(number as u8),
        }
    }

    fn remember(source: Source, number: u64, keep_from: u64) -> Step {
        Step {
            source,
            cursor: Cursor::Block(block(number)),
            history: History::Remember {
                delivered: Delivered {
                    block: block(number),
                    parent_hash: B256::ZERO,
                    logs: Vec::new(),
                },
                keep_from: BlockNumber(keep_from),
            },
        }
    }

    fn numbers(remembered: &BTreeSet<Row>) -> Vec<(Source, u64)> {
        remembered
            .iter()
            .map(|(source, number)| (*source, number.0))
            .collect()
    }

    #[test]
    fn only_the_window_of_each_source_is_remembered() {
        let (mut pending, mut remembered) = (Pending::default(), BTreeSet::new());
        pending.add(remember(OTHER, 1, 0), &mut remembered);
        for number in 1..=4 {
            pending.add(remember(SOURCE, number, number - 1), &mut remembered);
        }
        assert_eq!(numbers(&remembered), [(SOURCE, 3), (SOURCE, 4), (OTHER, 1)]);
        assert_eq!(pending.rows[&(SOURCE, BlockNumber(1))], None);
        assert_eq!(pending.cursors[&SOURCE], Cursor::Block(block(4)));
    }

    #[test]
    fn what_was_taken_back_is_forgotten() {
        let (mut pending, mut remembered) = (Pending::default(), BTreeSet::new());
        for number in 1..=4 {
            pending.add(remember(SOURCE, number, 0), &mut remembered);
        }
        let step = Step {
            source: SOURCE,
            cursor: Cursor::Before(BlockNumber(3)),
            history: History::Forget {
                from: BlockNumber(3),
            },
        };
        pending.add(step, &mut remembered);
        assert_eq!(numbers(&remembered), [(SOURCE, 1), (SOURCE, 2)]);
    }

    #[test]
    fn what_changed_while_a_commit_ran_stays_pending() {
        let (mut pending, mut remembered) = (Pending::default(), BTreeSet::new());
        pending.add(remember(SOURCE, 1, 0), &mut remembered);
        let committed = pending.clone();
        pending.add(remember(SOURCE, 2, 0), &mut remembered);
        pending.settle(&committed);
        assert_eq!(pending.cursors[&SOURCE], Cursor::Block(block(2)));
        assert_eq!(
            pending.rows.keys().map(|row| row.1.0).collect::<Vec<_>>(),
            [2]
        );
    }
}
