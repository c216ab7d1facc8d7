//! What has been fetched lately of the past, and what is being fetched: each stretch is asked
//! for once, however many readers want it, and kept within a bounded memory. Pure but for the
//! futures that it hands on.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::{FutureExt, future::Shared as SharedFuture};
use tokio::sync::oneshot;

use crate::failure::Failure;

/// A stretch of blocks, as it is fetched and shared.
pub(super) trait Stretch {
    fn first(&self) -> u64;
    fn last(&self) -> u64;
    /// About how much memory it takes.
    fn bytes(&self) -> usize;
}

/// Answers when the stretch is there. An error of the channel: whoever fetched it was stopped.
pub(super) type Coming<T> = SharedFuture<oneshot::Receiver<Result<Arc<T>, Failure>>>;

/// What whoever is told to fetch has to answer.
pub(super) struct Order<T> {
    id: u64,
    answer: oneshot::Sender<Result<Arc<T>, Failure>>,
}

pub(super) struct Shelf<T> {
    slots: Mutex<Slots<T>>,
    max_bytes: usize,
}

struct Slots<T> {
    slots: Vec<Slot<T>>,
    /// Grows with each use.
    clock: u64,
}

struct Slot<T> {
    id: u64,
    first: u64,
    last: u64,
    /// Of the plan that it is asked for with. `None` as long as that has not begun: the plan is
    /// taken then, and holds whoever waits by that time.
    generation: Option<u64>,
    used: u64,
    /// 0 while it is being fetched: what is on its way is never put away.
    bytes: usize,
    coming: Coming<T>,
}

/// A stretch that is there or on its way, or the order to fetch it.
pub(super) enum Found<T> {
    Coming(Coming<T>),
    Fetch(Coming<T>, Order<T>, u64),
}

impl<T: Stretch> Shelf<T> {
    /// The least that a slot counts for.
    const SLOT_BYTES: usize = 16 * 1024;

    pub(super) fn new(max_bytes: usize) -> Self {
        let slots = Slots {
            slots: Vec::new(),
            clock: 0,
        };
        Self {
            slots: Mutex::new(slots),
            max_bytes,
        }
    }

    /// The stretch that has block `number`, asked for with a plan of the generation `needs` or a
    /// later one. Where there is none, the caller has to fetch one, from `number` up to `last` or
    /// less: the number with the order says how far, so that stretches do not overlap.
    pub(super) fn find(&self, number: u64, last: u64, needs: u64) -> Found<T> {
        let mut slots = self.lock();
        slots.clock += 1;
        let clock = slots.clock;
        let serves = |slot: &Slot<T>| slot.generation.is_none_or(|of| of >= needs);
        let found = slots
            .slots
            .iter_mut()
            .find(|slot| (slot.first..=slot.last).contains(&number) && serves(slot));
        if let Some(slot) = found {
            slot.used = clock;
            return Found::Coming(slot.coming.clone());
        }
        let following = slots
            .slots
            .iter()
            .filter(|slot| serves(slot) && slot.first > number);
        let last = following.map(|slot| slot.first - 1).fold(last, u64::min);
        let (answer, coming) = oneshot::channel();
        let coming = coming.shared();
        let order = Order { id: clock, answer };
        slots.slots.push(Slot {
            id: clock,
            first: number,
            last,
            generation: None,
            used: clock,
            bytes: 0,
            coming: coming.clone(),
        });
        Found::Fetch(coming, order, last)
    }

    /// Says that an order is being fetched from now on. The plan is taken here, under the lock:
    /// whoever found the order before is in it, and whoever comes after sees its generation.
    pub(super) fn begin<P>(&self, order: &Order<T>, take: impl FnOnce() -> (u64, P)) -> P {
        let mut slots = self.lock();
        let (generation, plan) = take();
        let ordered = slots.slots.iter_mut().find(|slot| slot.id == order.id);
        if let Some(slot) = ordered {
            slot.generation = Some(generation);
        }
        plan
    }

    /// Answers an order: the stretch may be shorter than what was ordered.
    pub(super) fn put(&self, order: Order<T>, fetched: Result<T, Failure>) {
        let fetched = fetched.map(Arc::new);
        {
            let mut slots = self.lock();
            let ordered = slots.slots.iter().position(|slot| slot.id == order.id);
            match (&fetched, ordered) {
                (Ok(stretch), Some(index)) => {
                    let slot = &mut slots.slots[index];
                    slot.last = stretch.last();
                    slot.bytes = stretch.bytes().max(Self::SLOT_BYTES);
                    slots.make_room(self.max_bytes);
                }
                (Err(_), Some(index)) => drop(slots.slots.swap_remove(index)),
                (_, None) => {}
            }
        }
        // Those who waited may have gone.
        let _ = order.answer.send(fetched);
    }

    /// Forgets what has this block: it was wrong.
    pub(super) fn forget(&self, number: u64) {
        self.lock()
            .slots
            .retain(|slot| slot.bytes == 0 || !(slot.first..=slot.last).contains(&number));
    }

    /// Forgets everything, also what is on its way.
    pub(super) fn clear(&self) {
        self.lock().slots.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Slots<T>> {
        // No change panics half-way.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Slots<T> {
    fn make_room(&mut self, max_bytes: usize) {
        let mut total: usize = self.slots.iter().map(|slot| slot.bytes).sum();
        while total > max_bytes {
            let fetched = self.slots.iter().enumerate();
            let oldest = fetched
                .filter(|(_, slot)| slot.bytes > 0)
                .min_by_key(|(_, slot)| slot.used)
                .map(|(index, _)| index);
            let Some(index) = oldest else { return };
            total -= self.slots.swap_remove(index).bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Blocks(u64, u64, usize);

    impl Stretch for Blocks {
        fn first(&self) -> u64 {
            self.0
        }
        fn last(&self) -> u64 {
            self.1
        }
        fn bytes(&self) -> usize {
            self.2
        }
    }

    fn order(
        shelf: &Shelf<Blocks>,
        number: u64,
        last: u64,
    ) -> (Coming<Blocks>, Order<Blocks>, u64) {
        match shelf.find(number, last, 1) {
            Found::Fetch(coming, order, last) => (coming, order, last),
            Found::Coming(_) => panic!("block {number} is there already"),
        }
    }

    fn fetch(shelf: &Shelf<Blocks>, first: u64, last: u64, bytes: usize) {
        let (_, order, last) = order(shelf, first, last);
        shelf.begin(&order, || (1, ()));
        shelf.put(order, Ok(Blocks(first, last, bytes)));
    }

    fn has(shelf: &Shelf<Blocks>, number: u64) -> bool {
        shelf
            .lock()
            .slots
            .iter()
            .any(|slot| slot.bytes > 0 && (slot.first..=slot.last).contains(&number))
    }

    #[tokio::test]
    async fn who_comes_while_it_is_fetched_waits_for_the_same() {
        let shelf = Shelf::new(1 << 20);
        let (first, order, _) = order(&shelf, 10, 19);
        let Found::Coming(second) = shelf.find(15, 30, 1) else {
            panic!("fetched twice");
        };
        shelf.put(order, Ok(Blocks(10, 19, 1)));
        let (first, second) = (first.await.unwrap(), second.await.unwrap());
        assert_eq!(
            (first.as_deref(), second.as_deref()),
            (Ok(&Blocks(10, 19, 1)), Ok(&Blocks(10, 19, 1)))
        );
    }

    #[test]
    fn stretches_end_where_the_next_begins_and_may_be_shorter_than_ordered() {
        let shelf = Shelf::new(1 << 20);
        fetch(&shelf, 100, 199, 1);
        assert_eq!(order(&shelf, 50, 1000).2, 99);
        let (_, given, _) = order(&shelf, 200, 299);
        shelf.put(given, Ok(Blocks(200, 249, 1)));
        assert_eq!(order(&shelf, 250, 299).2, 299);
    }

    #[test]
    fn a_failure_leaves_nothing_behind() {
        let shelf = Shelf::new(1 << 20);
        let (_, given, _) = order(&shelf, 1, 9);
        shelf.put(given, Err(Failure::Behind));
        drop(order(&shelf, 1, 9));
    }

    #[test]
    fn another_generation_is_fetched_anew() {
        let shelf = Shelf::new(1 << 20);
        fetch(&shelf, 1, 9, 1);
        assert!(matches!(shelf.find(1, 9, 2), Found::Fetch(..)));
        assert!(matches!(shelf.find(1, 9, 1), Found::Coming(_)));
    }

    #[test]
    fn what_has_not_begun_serves_all_who_come_until_then() {
        let shelf = Shelf::new(1 << 20);
        let (_, given, _) = order(&shelf, 1, 9);
        assert!(matches!(shelf.find(5, 9, 7), Found::Coming(_)));
        // Nobody can find the order between the taking of the plan and its generation.
        let is_locked = shelf.begin(&given, || (7, shelf.slots.try_lock().is_err()));
        assert!(is_locked);
        assert!(matches!(shelf.find(5, 9, 7), Found::Coming(_)));
        assert!(matches!(shelf.find(5, 9, 8), Found::Fetch(..)));
        shelf.put(given, Ok(Blocks(1, 9, 1)));
    }

    #[test]
    fn what_was_not_used_for_longest_makes_room() {
        let shelf = Shelf::new(250_000);
        fetch(&shelf, 0, 9, 100_000);
        fetch(&shelf, 10, 19, 100_000);
        assert!(matches!(shelf.find(5, 9, 1), Found::Coming(_)));
        fetch(&shelf, 20, 29, 100_000);
        assert!(has(&shelf, 5) && !has(&shelf, 15) && has(&shelf, 25));
        shelf.forget(25);
        assert!(!has(&shelf, 25));
    }
}
