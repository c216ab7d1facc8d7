//! The limits that hold for every module, and the one on memory, which each module has its own.

use std::sync::Arc;

use wasmtime::ResourceLimiter;

use crate::usage::Usage;

/// The longest line a module logs, in bytes; what is longer is cut.
pub const MAX_LOG_LINE_BYTES: usize = 8 * 1024;
/// The most bytes that one `random::fill` gives; a call for more traps.
pub const MAX_RANDOM_BYTES: u32 = 64 * 1024;
/// The most bytes that the arguments of one call of a host function take. They are counted before
/// they are copied; more trap.
pub const MAX_ARGUMENT_BYTES: usize = 32 * 1024 * 1024;
/// The most host handles (streams, pollables, errors) that a guest holds at once.
pub(crate) const MAX_HANDLES: usize = 1024;
/// Fibers on which guests run: their stack, and the part of it that wasm may use.
pub(crate) const FIBER_STACK_BYTES: usize = 1024 * 1024;
pub(crate) const WASM_STACK_BYTES: usize = 512 * 1024;

/// Core instances, memories and tables of one component; adapters need a few of each.
const MAX_PARTS: usize = 64;
const TABLE_ELEMENT_BYTES: usize = size_of::<usize>();

/// Holds all linear memories and tables of one instance under one limit.
#[derive(Debug)]
pub(crate) struct MemoryLimit {
    limit: usize,
    used: usize,
    usage: Arc<Usage>,
}

impl MemoryLimit {
    pub(crate) fn new(limit_bytes: u64, usage: Arc<Usage>) -> Self {
        Self {
            limit: usize::try_from(limit_bytes).unwrap_or(usize::MAX),
            used: 0,
            usage,
        }
    }

    fn grow(&mut self, current: usize, desired: usize) -> bool {
        let more = desired.saturating_sub(current);
        let used = self.used.saturating_add(more);
        let granted = used <= self.limit;
        if granted {
            self.used = used;
            self.usage.memory_taken(more as u64);
        }
        granted
    }

    fn decide(&self, granted: bool) -> bool {
        if !granted {
            self.usage.growth_denied();
        }
        granted
    }
}

impl Drop for MemoryLimit {
    fn drop(&mut self) {
        self.usage.memory_given_back(self.used as u64);
    }
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let granted =
            maximum.is_none_or(|maximum| desired <= maximum) && self.grow(current, desired);
        Ok(self.decide(granted))
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let bytes = |elements: usize| elements.saturating_mul(TABLE_ELEMENT_BYTES);
        let granted = maximum.is_none_or(|maximum| desired <= maximum)
            && self.grow(bytes(current), bytes(desired));
        Ok(self.decide(granted))
    }

    fn instances(&self) -> usize {
        MAX_PARTS
    }

    fn tables(&self) -> usize {
        MAX_PARTS
    }

    fn memories(&self) -> usize {
        MAX_PARTS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_and_tables_share_one_limit() {
        let mut limit = MemoryLimit::new(100, Arc::default());
        assert!(limit.memory_growing(0, 60, None).unwrap());
        assert!(limit.table_growing(0, 5, None).unwrap());
        assert!(
            !limit.memory_growing(60, 61, None).unwrap(),
            "60 + 5 * 8 is the limit"
        );
        assert!(!limit.table_growing(5, 6, None).unwrap());
    }

    #[test]
    fn a_denied_growth_takes_nothing() {
        let usage = Arc::<Usage>::default();
        let mut limit = MemoryLimit::new(100, Arc::clone(&usage));
        assert!(!limit.memory_growing(0, 101, None).unwrap());
        assert!(!limit.memory_growing(0, 50, Some(40)).unwrap());
        assert!(limit.memory_growing(0, 100, None).unwrap());
        let read = usage.read();
        assert_eq!((read.denied_growths, read.memory_bytes), (2, 100));
        drop(limit);
        let read = usage.read();
        assert_eq!((read.highest_memory_bytes, read.memory_bytes), (100, 0));
    }

    #[test]
    fn the_contract_states_the_same_limits() {
        let contract = |file: &str| {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit/nexum-host/");
            std::fs::read_to_string(format!("{folder}{file}")).unwrap()
        };
        let rate = crate::LogRate::default();
        let logging = contract("logging.wit");
        assert!(logging.contains(&format!("({MAX_LOG_LINE_BYTES} bytes)")));
        assert!(logging.contains(&format!("{} lines a second", rate.per_second)));
        assert!(logging.contains(&format!("{}", rate.burst)));
        let megabytes = format!("{} MiB", MAX_ARGUMENT_BYTES / 1024 / 1024);
        assert!(contract("worlds.wit").contains(&megabytes));
        assert!(contract("random.wit").contains(&format!("at most {MAX_RANDOM_BYTES} of them")));
    }
}
