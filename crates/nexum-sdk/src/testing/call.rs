//! The names of calls: each attempt of a call has the same, and so it finds what the one before it
//! has sent.

use alloy_primitives::B256;
use nexum_types::{BlockRef, CallKey, ChainId, Depth, EventId, EventKind, ScheduleId, Source};

use crate::Event;

/// The call with that event. None for a message: the engine does not deliver any.
pub(super) fn of(event: &Event) -> Option<CallKey> {
    match event {
        Event::Block(block) => {
            let place = (block.number, block.hash);
            Some(on_chain(block.chain_id, place, EventKind::Block))
        }
        Event::Logs(logs) => {
            let first = logs.first()?;
            let kind = match first.removed {
                true => EventKind::Removed(first.log_index),
                false => EventKind::Logs(first.log_index),
            };
            let place = (first.block_number, first.block_hash);
            Some(on_chain(first.chain_id, place, kind))
        }
        Event::Tick(tick) => Some(tick_of(&tick.schedule, tick.fired_at)),
        Event::Message(_) => None,
    }
}

/// What a test does outside of a handler: no schedule is written like this.
pub(super) fn outside() -> CallKey {
    tick_of("", 0)
}

fn on_chain(chain_id: u64, (number, hash): (u64, B256), kind: EventKind) -> CallKey {
    let chain_id = ChainId(chain_id);
    let number = number.into();
    CallKey::Event {
        source: Source::Chain(chain_id, Depth::Head),
        event: EventId::Chain {
            chain_id,
            block: BlockRef { number, hash },
            kind,
        },
    }
}

fn tick_of(schedule: &str, fired_at_ms: u64) -> CallKey {
    let schedule = ScheduleId::of(schedule);
    CallKey::Event {
        source: Source::Schedule(schedule),
        event: EventId::Tick {
            schedule,
            fired_at_ms,
        },
    }
}
