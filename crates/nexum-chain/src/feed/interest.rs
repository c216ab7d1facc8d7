//! What the readers of a feed want of its logs, put together so that the node is asked once for
//! all of them. Pure.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use alloy_primitives::Bloom;
use nexum_types::{BlockNumber, Depth, LogFilter};
use tokio::sync::watch;

/// What is asked of the node: everything that any reader wants, and little more.
#[derive(Debug)]
pub(super) struct Plan {
    /// Grows with each change. What was asked for with a plan serves every reader that has been
    /// there since an earlier or the same generation.
    pub(super) generation: u64,
    /// One `eth_getLogs` each. Only filters that restrict the same positions are put together:
    /// one contract's transfers and another event of any contract would make the transfers of
    /// every contract.
    pub(super) filters: Vec<LogFilter>,
    /// The readers' own, each once: sharper than `filters` where a bloom is asked.
    wanted: Vec<Wanted>,
}

/// A filter of a reader, or of several.
#[derive(Debug)]
struct Wanted {
    filter: LogFilter,
    /// Every plan of this generation or a later one holds it.
    since: u64,
}

impl Plan {
    /// The plan without readers.
    fn empty() -> Self {
        Self {
            generation: 0,
            filters: Vec::new(),
            wanted: Vec::new(),
        }
    }

    /// The plan that follows this one, where others are wanted.
    fn next<'a>(&self, wanted: impl Iterator<Item = &'a LogFilter>) -> Option<Self> {
        let mut distinct: Vec<&LogFilter> = Vec::new();
        for filter in wanted {
            if !distinct.contains(&filter) {
                distinct.push(filter);
            }
        }
        let is_same = distinct.len() == self.wanted.len();
        if is_same && distinct.iter().all(|filter| self.since(filter).is_some()) {
            return None;
        }
        let generation = self.generation + 1;
        let wanted = distinct.iter().map(|filter| Wanted {
            filter: (*filter).clone(),
            since: self.since(filter).unwrap_or(generation),
        });
        Some(Self {
            generation,
            wanted: wanted.collect(),
            filters: by_shape(distinct),
        })
    }

    /// The generation from which on every plan has held this filter. `None`: this one does not.
    fn since(&self, filter: &LogFilter) -> Option<u64> {
        let known = self.wanted.iter().find(|wanted| wanted.filter == *filter);
        known.map(|wanted| wanted.since)
    }

    /// False where the bloom proves that no reader wants any log of the block.
    pub(super) fn may_match(&self, bloom: &Bloom) -> bool {
        self.wanted
            .iter()
            .any(|wanted| wanted.filter.may_match(bloom))
    }
}

/// One filter for all of those that restrict the same positions.
fn by_shape<'a>(filters: impl IntoIterator<Item = &'a LogFilter>) -> Vec<LogFilter> {
    let mut shapes: BTreeMap<[bool; 5], Vec<&LogFilter>> = BTreeMap::new();
    for filter in filters {
        shapes.entry(shape(filter)).or_default().push(filter);
    }
    shapes.into_values().filter_map(LogFilter::union).collect()
}

/// Which positions a filter restricts: the address, then the topics.
fn shape(filter: &LogFilter) -> [bool; 5] {
    let [a, b, c, d] = filter.topics.each_ref().map(|wanted| !wanted.is_empty());
    [!filter.addresses.is_empty(), a, b, c, d]
}

/// The readers there are.
pub(super) struct Registry {
    readers: Mutex<Readers>,
    /// What nodes are asked to push: one subscription each.
    pushed: watch::Sender<Arc<[LogFilter]>>,
}

struct Readers {
    next_id: u64,
    readers: BTreeMap<u64, Registered>,
    plan: Arc<Plan>,
}

struct Registered {
    filters: Arc<[LogFilter]>,
    pushed: Arc<[LogFilter]>,
    depth: Depth,
    needs: u64,
    wants: Arc<AtomicU64>,
}

/// One reader's entry; gone when dropped.
pub(super) struct Registration {
    registry: Arc<Registry>,
    id: u64,
    /// The generation from which on a plan holds this reader's filters.
    pub(super) needs: u64,
    /// The number of the block in the ring whose logs the reader needs next.
    wants: Arc<AtomicU64>,
}

/// No block of the ring.
const NOTHING: u64 = u64::MAX;

impl Registry {
    pub(super) fn new() -> Self {
        Self {
            readers: Mutex::new(Readers {
                next_id: 0,
                readers: BTreeMap::new(),
                plan: Arc::new(Plan::empty()),
            }),
            pushed: watch::Sender::new(Arc::default()),
        }
    }

    /// A reader of the logs that match any of `filters`; those that match any of `pushed` as soon
    /// as a node pushes them.
    pub(super) fn register(
        self: &Arc<Self>,
        filters: Arc<[LogFilter]>,
        pushed: Arc<[LogFilter]>,
        depth: Depth,
    ) -> Registration {
        let mut readers = self.lock();
        let id = readers.next_id;
        readers.next_id += 1;
        // A filter that is not there yet is from the next plan on.
        let since = |filter| readers.plan.since(filter);
        let since = |filter| since(filter).unwrap_or(readers.plan.generation + 1);
        let needs = filters.iter().map(since).max().unwrap_or(0);
        let wants = Arc::new(AtomicU64::new(NOTHING));
        let is_covered = needs <= readers.plan.generation;
        let has_pushed = !pushed.is_empty();
        let registered = Registered {
            filters,
            pushed,
            depth,
            needs,
            wants: Arc::clone(&wants),
        };
        readers.readers.insert(id, registered);
        if !is_covered {
            readers.plan_anew();
        }
        if has_pushed {
            self.push_anew(&readers);
        }
        drop(readers);
        Registration {
            registry: Arc::clone(self),
            id,
            needs,
            wants,
        }
    }

    pub(super) fn plan(&self) -> Arc<Plan> {
        Arc::clone(&self.lock().plan)
    }

    pub(super) fn count(&self) -> usize {
        self.lock().readers.len()
    }

    /// The plan; and for readers in the ring, the number of the block from which on they need
    /// logs, with the generation that they need.
    pub(super) fn needs(&self) -> (Arc<Plan>, Vec<(BlockNumber, u64)>) {
        let readers = self.lock();
        let needs = readers.readers.values().filter_map(|reader| {
            let wants = reader.wants.load(Ordering::Acquire);
            (wants != NOTHING).then_some((BlockNumber(wants), reader.needs))
        });
        (Arc::clone(&readers.plan), needs.collect())
    }

    /// True where some reader waits for blocks to become as sure as that.
    pub(super) fn has_depth(&self, depth: Depth) -> bool {
        self.lock()
            .readers
            .values()
            .any(|reader| reader.depth == depth)
    }

    /// What nodes are asked to push, as it changes.
    pub(super) fn pushed(&self) -> watch::Receiver<Arc<[LogFilter]>> {
        self.pushed.subscribe()
    }

    fn push_anew(&self, readers: &Readers) {
        let wanted = readers.readers.values();
        let wanted = by_shape(wanted.flat_map(|reader| reader.pushed.iter()));
        self.pushed.send_if_modified(|pushed| {
            let differs = **pushed != *wanted;
            if differs {
                *pushed = wanted.into();
            }
            differs
        });
    }

    fn lock(&self) -> MutexGuard<'_, Readers> {
        // No change panics half-way.
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Readers {
    fn plan_anew(&mut self) {
        let wanted = self
            .readers
            .values()
            .flat_map(|reader| reader.filters.iter());
        if let Some(plan) = self.plan.next(wanted) {
            self.plan = Arc::new(plan);
        }
    }
}

impl Registration {
    /// Says that the logs of this block of the ring, and of those after it, are needed.
    pub(super) fn want(&self, number: BlockNumber) {
        self.wants.store(number.0, Ordering::Release);
    }

    /// Says that no block of the ring is needed for now.
    pub(super) fn want_nothing(&self) {
        self.wants.store(NOTHING, Ordering::Release);
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut readers = self.registry.lock();
        let Some(gone) = readers.readers.remove(&self.id) else {
            return;
        };
        if !gone.filters.is_empty() {
            readers.plan_anew();
        }
        if !gone.pushed.is_empty() {
            self.registry.push_anew(&readers);
        }
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Address, B256};

    use super::*;

    fn filter(addresses: &[u8], topic: &[u8]) -> LogFilter {
        let mut filter = LogFilter {
            addresses: addresses
                .iter()
                .copied()
                .map(Address::repeat_byte)
                .collect(),
            ..LogFilter::default()
        };
        filter.topics[0] = topic.iter().copied().map(B256::repeat_byte).collect();
        filter
    }

    fn register(registry: &Arc<Registry>, filters: &[LogFilter]) -> Registration {
        registry.register(filters.into(), Arc::default(), Depth::Head)
    }

    #[test]
    fn filters_of_one_shape_are_one_question_and_others_their_own() {
        let registry = Arc::new(Registry::new());
        let _one = register(&registry, &[filter(&[1], &[7])]);
        let _two = register(&registry, &[filter(&[2], &[8]), filter(&[], &[9])]);
        let plan = registry.plan();
        assert_eq!(plan.filters, [filter(&[], &[9]), filter(&[1, 2], &[7, 8])]);
    }

    #[test]
    fn a_reader_needs_a_plan_that_was_made_with_it() {
        let registry = Arc::new(Registry::new());
        let one = register(&registry, &[filter(&[1], &[7])]);
        let before = registry.plan().generation;
        assert!(before >= one.needs);
        let other = register(&registry, &[filter(&[3], &[7])]);
        assert!(before < other.needs && other.needs <= registry.plan().generation);
        let same = register(&registry, &[filter(&[1], &[7])]);
        assert_eq!(same.needs, one.needs, "every plan since has held it");
        drop(other);
        assert_eq!(registry.plan().filters, [filter(&[1], &[7])]);
        let again = register(&registry, &[filter(&[3], &[7])]);
        assert!(
            again.needs > before + 1,
            "the plan without it does not serve it"
        );
    }

    #[test]
    fn a_reader_in_the_place_of_another_changes_nothing() {
        let registry = Arc::new(Registry::new());
        let old = register(&registry, &[filter(&[1], &[7]), filter(&[2], &[7])]);
        let plan = registry.plan();
        let new = register(&registry, &[filter(&[2], &[7]), filter(&[1], &[7])]);
        assert_eq!(new.needs, old.needs);
        drop(old);
        assert!(Arc::ptr_eq(&plan, &registry.plan()));
    }

    #[test]
    fn readers_in_the_ring_say_from_where_on_they_need_logs() {
        let registry = Arc::new(Registry::new());
        let one = register(&registry, &[filter(&[1], &[7])]);
        assert!(registry.needs().1.is_empty());
        one.want(BlockNumber(5));
        assert_eq!(registry.needs().1, [(BlockNumber(5), one.needs)]);
        one.want_nothing();
        assert!(registry.needs().1.is_empty());
    }
}
