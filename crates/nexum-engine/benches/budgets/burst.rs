//! A thousand blocks that a real node mines as fast as it can.

use std::{
    fmt,
    time::{Duration, Instant},
};

use nexum_testkit::Anvil;

use crate::{
    place::wait_until,
    rig::{self, Launched},
};

const BLOCKS: u64 = 1_000;
/// Blocks of one request: one for each would take the node longer to answer than to mine.
const AT_ONCE: u64 = 50;
const WITHIN: Duration = Duration::from_secs(2);

/// What was measured.
pub(crate) struct Burst {
    mined: Duration,
    handled: Duration,
    delivered: u64,
}

/// Announced over WebSocket, to one module.
pub(crate) fn of_a_thousand_blocks() -> Burst {
    let node = rig::runtime(Some(1));
    let chain_id = rig::CHAIN.to_string();
    let anvil = node.block_on(Anvil::start(["--chain-id", &chain_id]));
    let anvil = anvil.unwrap();
    let every = Duration::from_secs(1);
    let runtime = rig::runtime(None);
    let engine = Launched::start(&anvil.ws_url(), every, "noop", 1, r#""event""#, runtime);

    let before = engine.delivered();
    let begun = Instant::now();
    for _ in 0..BLOCKS / AT_ONCE {
        node.block_on(anvil.mine(AT_ONCE)).unwrap();
    }
    let mined = begun.elapsed();
    wait_until("all are handled", || engine.delivered() >= before + BLOCKS);
    let handled = begun.elapsed();
    Burst {
        mined,
        handled,
        delivered: engine.delivered() - before,
    }
}

impl fmt::Display for Burst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        writeln!(
            f,
            "1,000 blocks, as fast as anvil mines them, 50 for each request"
        )?;
        writeln!(
            f,
            "  {:<50}{:>9.0} ms",
            "raw: anvil has mined all",
            ms(self.mined)
        )?;
        write!(
            f,
            "  {:<50}{:>9.0} ms  delivered {} of {BLOCKS}",
            "engine: one module has handled all",
            ms(self.handled),
            self.delivered
        )?;
        let is_burst = self.mined < WITHIN;
        let verdict = match (is_burst, self.delivered == BLOCKS) {
            (true, true) => "kept",
            (true, false) => "NOT KEPT",
            (false, _) => "the node took more than 2 s",
        };
        write!(f, "  budget 1,000 of 1,000 mined in under 2 s: {verdict}")
    }
}
