//! What a commit costs beside that of redb alone.

use std::time::{Duration, Instant};

use nexum_manifest::Durability;
use nexum_types::{Event, StateBackend as _, WriteSet};

use crate::{
    raw,
    report::{Budget, Row, Samples},
    rig::{self, Module},
};

const COMMITS: u64 = 300;
const VALUE_BYTES: usize = 32;
/// How long sustained writing is watched, in flushes.
const FLUSHES: usize = 3;
const FLUSH_INTERVAL: Duration = Duration::from_secs(1);

/// A commit of one key and the cursor, on the disk when it returns.
pub(crate) fn durable() -> Row {
    let table = raw::Table::new(rig::folder());
    let state = rig::Store::new(Durability::Event);
    let (mut bare, mut ours) = (Samples::default(), Samples::default());
    for number in 0..COMMITS {
        let (key, value) = (format!("balance/{:03}", number % 100), value(number));
        let writes = [(key, value)];
        bare.time(|| table.commit(&writes, redb::Durability::Immediate));

        let [(key, value)] = writes;
        let mut writes = WriteSet::over(state.store.used_bytes());
        let committed = (number >= 100).then_some(VALUE_BYTES);
        writes.set(&key, value, committed);
        ours.time(|| state.commit(&writes, number));
    }
    Row::new(
        "a durable commit of one key",
        "raw: redb's commit of the key",
        bare,
    )
    .budget(
        "nexum-store's commit of the key and the cursor",
        ours,
        Budget::Ratio(1.15),
    )
}

/// Events one after another to a module that writes one key for each; flushes are included.
pub(crate) fn interval() -> Row {
    let local = rig::runtime(Some(1));
    let table = raw::Table::new(rig::folder());
    let durability = Durability::Interval(FLUSH_INTERVAL);
    let mut module = local.block_on(Module::new("slow", durability));
    let (mut bare, mut ours) = (Samples::default(), Samples::default());
    let mut number = 0;
    for _ in 0..FLUSHES {
        let (begun, first) = (Instant::now(), number);
        while begun.elapsed() < FLUSH_INTERVAL {
            table.commit(&[("count".into(), value(number))], redb::Durability::None);
            number += 1;
        }
        table.commit(
            &[("count".into(), value(number))],
            redb::Durability::Immediate,
        );
        bare.push(begun.elapsed(), number - first);

        let (begun, first) = (Instant::now(), number);
        local.block_on(async {
            while begun.elapsed() < FLUSH_INTERVAL {
                let writes = module.call(&Event::Block(rig::block(number))).await;
                module.state.commit(&writes, number);
                number += 1;
            }
        });
        module.state.store.flush().unwrap();
        ours.push(begun.elapsed(), number - first);
    }
    Row::new(
        "one key for each event, interval durability, sustained, a flush each second",
        "raw: redb's commit of the key",
        bare,
    )
    .budget(
        "nexum-host's call and nexum-store's commit",
        ours,
        Budget::PerSecond(30_000.0),
    )
}

fn value(number: u64) -> Vec<u8> {
    let mut value = vec![0; VALUE_BYTES];
    value[..8].copy_from_slice(&number.to_le_bytes());
    value
}
