//! How long it takes from a block on anvil, a real node, to a module that has handled it.

use std::{
    fmt,
    time::{Duration, Instant},
};

use nexum_testkit::Anvil;

use crate::{
    report::Samples,
    rig::{self, Launched},
};

const BLOCKS: u32 = 300;

/// Times of one kind each, none of which has a budget.
pub(crate) struct Latency {
    title: String,
    rows: Vec<(&'static str, Samples)>,
}

/// Heads announced over WebSocket.
pub(crate) fn announced() -> Latency {
    measure("announced over WebSocket", Anvil::ws_url, None)
}

/// Heads polled over HTTP, as often as suits a node of one's own.
pub(crate) fn polled() -> Latency {
    let poll = Duration::from_millis(100);
    measure("polled over HTTP each 100 ms", Anvil::http_url, Some(poll))
}

fn measure(heads: &str, url: fn(&Anvil) -> String, poll: Option<Duration>) -> Latency {
    let node = rig::runtime(Some(1));
    let chain_id = rig::CHAIN.to_string();
    let anvil = node.block_on(Anvil::start(["--chain-id", &chain_id]));
    let anvil = anvil.unwrap();
    let every = poll.unwrap_or(Duration::from_secs(1));
    let runtime = rig::runtime(None);
    let engine = Launched::start(&url(&anvil), every, "noop", 1, r#""event""#, runtime);

    let (mut raw, mut mined, mut asked) =
        (Samples::default(), Samples::default(), Samples::default());
    let pause = poll.unwrap_or(Duration::from_millis(20));
    for block in 0..BLOCKS {
        // At any moment of a poll's interval, not always right after one.
        std::thread::sleep(pause * (block * 37 % 100) / 100);
        let before = engine.delivered();
        let begun = Instant::now();
        node.block_on(anvil.mine(1)).unwrap();
        let answered = Instant::now();
        engine.wait_for(before + 1);
        raw.push(answered - begun, 1);
        mined.push(answered.elapsed(), 1);
        asked.push(begun.elapsed(), 1);
    }
    Latency {
        title: format!("a block on anvil to the module that has handled it, {heads}"),
        rows: vec![
            ("raw: anvil's answer to the request to mine", raw),
            ("engine: from that answer", mined),
            ("engine: from the request to mine", asked),
        ],
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |seconds: f64| seconds * 1e3;
        write!(f, "{}\n  {:<50}{:>12}{:>12}", self.title, "", "p50", "p99")?;
        for (label, times) in &self.rows {
            let (p50, p99) = (ms(times.at(0.5)), ms(times.at(0.99)));
            write!(f, "\n  {label:<50}{p50:>9.2} ms{p99:>9.2} ms")?;
        }
        Ok(())
    }
}
