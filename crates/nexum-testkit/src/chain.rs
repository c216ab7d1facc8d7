//! A chain in memory: blocks, balances, reorgs. Pure: the same operations make the same hashes.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use alloy_primitives::{Address, B256, U256, keccak256};
use tokio::sync::watch;

/// The timestamp of block 0, in seconds since the Unix epoch.
const GENESIS_TIME: u64 = 1_700_000_000;
/// Seconds between two blocks, in the chain's own time.
const BLOCK_TIME: u64 = 12;
/// How far `safe` is behind the head.
const SAFE_DEPTH: u64 = 32;
/// How far `finalized` is behind the head.
const FINALIZED_DEPTH: u64 = 64;

/// One block with the state after it.
#[derive(Debug, PartialEq, Eq)]
pub struct ChainBlock {
    /// Its height.
    pub number: u64,
    /// Its hash: keccak256 of chain id, number, parent hash and the branch's salt.
    pub hash: B256,
    /// The hash of the block before it.
    pub parent_hash: B256,
    /// Seconds since the Unix epoch.
    pub timestamp: u64,
    balances: Arc<BTreeMap<Address, U256>>,
}

impl ChainBlock {
    /// The balance of `address` in wei after this block.
    #[must_use]
    pub fn balance(&self, address: &Address) -> U256 {
        self.balances.get(address).copied().unwrap_or_default()
    }
}

/// Why an operation is impossible on the chain as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainOpError {
    /// The genesis block cannot be replaced.
    #[error("cannot take {depth} blocks off a chain whose head is block {head}")]
    TooDeep {
        /// Blocks asked to go.
        depth: u64,
        /// The head's number.
        head: u64,
    },
    /// A balance would leave the range of wei.
    #[error("the balance of {address} is {balance} wei and cannot change by that much")]
    Balance {
        /// Whose balance.
        address: Address,
        /// What it is.
        balance: U256,
    },
}

/// A chain that does what a test says. Clones share it.
#[derive(Debug, Clone)]
pub struct ScriptedChain {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    chain_id: u64,
    model: Mutex<Model>,
    /// How many heads have been announced; see [`Model::announced`].
    announced: watch::Sender<usize>,
}

#[derive(Debug)]
struct Model {
    /// The canonical branch; the index is the number. Never empty.
    canonical: Vec<Arc<ChainBlock>>,
    /// Every block there ever was, orphans included.
    by_hash: HashMap<B256, Arc<ChainBlock>>,
    /// Every block in the order in which a node would have announced it as its head.
    announced: Vec<Arc<ChainBlock>>,
    /// The balances the next block has.
    next_balances: Arc<BTreeMap<Address, U256>>,
    /// Counts the branches, so that no two have the same hashes.
    salt: u64,
}

impl ScriptedChain {
    /// A chain with its genesis block alone.
    #[must_use]
    pub fn new(chain_id: u64) -> Self {
        let balances = Arc::new(BTreeMap::new());
        let genesis = Arc::new(ChainBlock {
            number: 0,
            hash: block_hash(chain_id, 0, B256::ZERO, 0),
            parent_hash: B256::ZERO,
            timestamp: GENESIS_TIME,
            balances: Arc::clone(&balances),
        });
        let model = Model {
            by_hash: HashMap::from([(genesis.hash, Arc::clone(&genesis))]),
            canonical: vec![genesis],
            announced: Vec::new(),
            next_balances: balances,
            salt: 0,
        };
        let announced = watch::Sender::new(0);
        Self {
            shared: Arc::new(Shared {
                chain_id,
                model: Mutex::new(model),
                announced,
            }),
        }
    }

    /// The chain's id.
    #[must_use]
    pub fn chain_id(&self) -> u64 {
        self.shared.chain_id
    }

    /// Mines `count` blocks. The first takes the balances set since the last one.
    pub fn mine(&self, count: u64) {
        self.change(|model, chain_id| (0..count).for_each(|_| model.mine(chain_id)));
    }

    /// Sets a balance from the next block on.
    pub fn set_balance(&self, address: Address, wei: U256) {
        self.change(|model, _| {
            Arc::make_mut(&mut model.next_balances).insert(address, wei);
        });
    }

    /// Adds to a balance from the next block on.
    pub fn credit(&self, address: Address, wei: U256) -> Result<(), ChainOpError> {
        self.adjust(address, |balance| balance.checked_add(wei))
    }

    /// Takes from a balance from the next block on.
    pub fn debit(&self, address: Address, wei: U256) -> Result<(), ChainOpError> {
        self.adjust(address, |balance| balance.checked_sub(wei))
    }

    fn adjust(
        &self,
        address: Address,
        by: impl FnOnce(U256) -> Option<U256>,
    ) -> Result<(), ChainOpError> {
        self.change(|model, _| {
            let balance = model
                .next_balances
                .get(&address)
                .copied()
                .unwrap_or_default();
            let changed = by(balance).ok_or(ChainOpError::Balance { address, balance })?;
            Arc::make_mut(&mut model.next_balances).insert(address, changed);
            Ok(())
        })
    }

    /// Replaces the last `depth` blocks by as many others, so that the head keeps its height.
    /// What changed in the blocks that go is undone.
    pub fn reorg(&self, depth: u64) -> Result<(), ChainOpError> {
        self.change(|model, chain_id| {
            model.take_off(depth)?;
            (0..depth).for_each(|_| model.mine(chain_id));
            Ok(())
        })
    }

    /// Takes the last `depth` blocks off and puts nothing in their place: the head goes back, and
    /// nothing is announced until the next block is mined on the new branch.
    pub fn rollback(&self, depth: u64) -> Result<(), ChainOpError> {
        self.change(|model, _| model.take_off(depth))
    }

    /// The head.
    #[must_use]
    pub fn head(&self) -> Arc<ChainBlock> {
        Arc::clone(self.lock().head())
    }

    /// The canonical block of that number.
    #[must_use]
    pub fn block(&self, number: u64) -> Option<Arc<ChainBlock>> {
        self.lock()
            .canonical
            .get(usize::try_from(number).ok()?)
            .cloned()
    }

    /// The block of that hash, canonical or orphaned.
    #[must_use]
    pub fn block_by_hash(&self, hash: &B256) -> Option<Arc<ChainBlock>> {
        self.lock().by_hash.get(hash).cloned()
    }

    /// The newest block that a node would call safe.
    #[must_use]
    pub fn safe(&self) -> Arc<ChainBlock> {
        self.behind_head(SAFE_DEPTH)
    }

    /// The newest block that a node would call final.
    #[must_use]
    pub fn finalized(&self) -> Arc<ChainBlock> {
        self.behind_head(FINALIZED_DEPTH)
    }

    fn behind_head(&self, depth: u64) -> Arc<ChainBlock> {
        let model = self.lock();
        let number = model.head().number.saturating_sub(depth);
        model
            .canonical
            .get(number as usize)
            .unwrap_or_else(|| model.head())
            .clone()
    }

    /// Every head from now on, each once, however slowly they are taken.
    #[must_use]
    pub fn heads(&self) -> Heads {
        let count = self.shared.announced.subscribe();
        let taken = self.lock().announced.len();
        Heads {
            chain: self.clone(),
            count,
            taken,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Model> {
        // No operation panics half-way through a change.
        self.shared
            .model
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Model, u64) -> T) -> T {
        let (result, announced) = {
            let mut model = self.lock();
            let result = change(&mut model, self.shared.chain_id);
            (result, model.announced.len())
        };
        // Two changes may end in either order; the count never goes back.
        self.shared.announced.send_if_modified(|count| {
            let more = announced > *count;
            *count = announced.max(*count);
            more
        });
        result
    }
}

impl Model {
    fn head(&self) -> &Arc<ChainBlock> {
        &self.canonical[self.canonical.len() - 1]
    }

    fn mine(&mut self, chain_id: u64) {
        let parent = self.head();
        let number = parent.number + 1;
        let block = Arc::new(ChainBlock {
            number,
            hash: block_hash(chain_id, number, parent.hash, self.salt),
            parent_hash: parent.hash,
            timestamp: GENESIS_TIME + number * BLOCK_TIME,
            balances: Arc::clone(&self.next_balances),
        });
        self.by_hash.insert(block.hash, Arc::clone(&block));
        self.announced.push(Arc::clone(&block));
        self.canonical.push(block);
    }

    fn take_off(&mut self, depth: u64) -> Result<(), ChainOpError> {
        let head = self.head().number;
        if depth > head {
            return Err(ChainOpError::TooDeep { depth, head });
        }
        self.salt += 1;
        self.canonical.truncate((head - depth) as usize + 1);
        self.next_balances = Arc::clone(&self.head().balances);
        Ok(())
    }
}

/// The heads of a chain as a node would announce them.
#[derive(Debug)]
pub struct Heads {
    chain: ScriptedChain,
    count: watch::Receiver<usize>,
    taken: usize,
}

impl Heads {
    /// The next head. Cancel-safe.
    pub async fn next(&mut self) -> Arc<ChainBlock> {
        loop {
            self.count.borrow_and_update();
            let announced = self.chain.lock().announced.get(self.taken).cloned();
            if let Some(block) = announced {
                self.taken += 1;
                return block;
            }
            if self.count.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

fn block_hash(chain_id: u64, number: u64, parent: B256, salt: u64) -> B256 {
    let mut preimage = [0; 56];
    preimage[..8].copy_from_slice(&chain_id.to_be_bytes());
    preimage[8..16].copy_from_slice(&number.to_be_bytes());
    preimage[16..48].copy_from_slice(parent.as_slice());
    preimage[48..].copy_from_slice(&salt.to_be_bytes());
    keccak256(preimage)
}
