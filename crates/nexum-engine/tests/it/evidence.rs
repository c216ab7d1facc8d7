//! What a module has left behind, read from its file while no engine runs.

use std::{collections::BTreeMap, ops::RangeInclusive, path::Path};

use nexum_store::{Inspection, StoreError, inspect};
use nexum_testkit::{B256, ChainLog, ScriptedChain};
use nexum_types::{BlockRef, ChainId, Cursor, Depth, ModuleName, Source};

use crate::world::CHAIN;

/// The committed state of one module.
#[derive(Debug)]
pub(crate) struct State(Inspection);

impl State {
    pub(crate) fn read(state_dir: &Path, module: &ModuleName) -> Result<Self, StoreError> {
        inspect(state_dir, module).map(Self)
    }

    pub(crate) fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.0.get(key).unwrap()
    }

    /// A number as the fixtures write them.
    pub(crate) fn number(&self, key: &str) -> Option<u64> {
        let bytes = self.get(key)?;
        Some(u64::from_le_bytes(bytes.try_into().unwrap()))
    }

    pub(crate) fn text(&self, key: &str) -> Option<String> {
        self.get(key).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    pub(crate) fn keys(&self, prefix: &str) -> Vec<String> {
        let entries = self.0.entries(prefix).unwrap();
        entries.map(|entry| entry.unwrap().0).collect()
    }

    pub(crate) fn used_bytes(&self) -> u64 {
        self.0.used_bytes()
    }

    pub(crate) fn cursor_of(&self, chain: u64) -> Option<BlockRef> {
        let source = Source::Chain(ChainId(chain), Depth::Head);
        match self.0.cursors().get(&source)? {
            Cursor::Block(block) => Some(*block),
            open => panic!("the cursor is {open}"),
        }
    }

    /// The number of the last block of [`CHAIN`] that is committed.
    pub(crate) fn cursor(&self) -> Option<u64> {
        self.cursor_of(CHAIN).map(|block| block.number.0)
    }

    /// The evidence of `counter`: each of these blocks took effect exactly once and in order, no
    /// other did, and the cursor stands at the last of them.
    pub(crate) fn assert_counted(&self, chain: &ScriptedChain, numbers: RangeInclusive<u64>) {
        let key = |number| format!("block/{number:020}");
        let expected: Vec<_> = numbers.clone().map(key).collect();
        assert_eq!(self.keys("block/"), expected);
        for number in numbers.clone() {
            let hash = chain.block(number).unwrap().hash;
            assert_eq!(self.get(&key(number)).unwrap(), hash.as_slice());
        }
        assert_eq!(self.number("count"), Some(expected.len() as u64));
        assert_eq!(self.number("violations"), None);
        let last = chain.block(*numbers.end()).unwrap();
        let cursor = self.cursor_of(chain.chain_id()).unwrap();
        assert_eq!((cursor.number.0, cursor.hash), (last.number, last.hash));
    }

    /// The evidence of `log-fold`: of the logs in these blocks, each is folded as often as
    /// `copies` says of it and its block's number, and nothing else is. What has left the chain
    /// was taken back, and all came in order.
    pub(crate) fn assert_folded(
        &self,
        chain: &ScriptedChain,
        numbers: RangeInclusive<u64>,
        copies: impl Fn(u64, &ChainLog) -> usize,
    ) {
        let mut expected = BTreeMap::new();
        for block in chain.blocks_with_logs(numbers) {
            for (log, index) in block.logs.iter().zip(0..) {
                let copies = copies(block.number, log);
                if copies > 0 {
                    let key = log_key(block.number, index, log.topics.first());
                    expected.insert(key, block.hash.repeat(copies));
                }
            }
        }
        self.assert_fold_is(&expected);
    }

    /// The same of a chain that is known otherwise: the block's hash for each log, by
    /// [`log_key`].
    pub(crate) fn assert_fold_is(&self, expected: &BTreeMap<String, Vec<u8>>) {
        assert_eq!(self.text("violation"), None);
        assert_eq!(self.number("violations"), None);
        let folded = self.0.entries("log/").unwrap();
        let folded: BTreeMap<_, _> = folded.map(Result::unwrap).collect();
        let keys = |fold: &BTreeMap<String, _>| fold.keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&folded), keys(expected));
        assert_eq!(&folded, expected, "a log of another block");
        let given = self.number("given").unwrap_or(0);
        let removed = self.number("removed").unwrap_or(0);
        let hashes: usize = expected.values().map(|hashes| hashes.len() / 32).sum();
        assert_eq!(given, removed + hashes as u64, "{removed} are taken back");
    }

    /// The evidence of `tally`: as that of `counter`, in a few numbers.
    pub(crate) fn assert_tallied(&self, numbers: RangeInclusive<u64>) {
        assert_eq!(self.number("first"), Some(*numbers.start()));
        assert_eq!(self.number("last"), Some(*numbers.end()));
        assert_eq!(self.number("gaps"), None);
        assert_eq!(self.number("repeats"), None);
        assert_eq!(self.number("count"), Some(numbers.clone().count() as u64));
        assert_eq!(self.number("sum"), Some(numbers.clone().sum()));
        assert_eq!(self.cursor(), Some(*numbers.end()));
    }
}

/// Where `log-fold` keeps a log.
pub(crate) fn log_key(block: u64, index: u32, topic: Option<&B256>) -> String {
    let topic = topic.map(|topic| format!("{topic:x}")).unwrap_or_default();
    format!("log/{block:020}/{index:010}/{topic}")
}
