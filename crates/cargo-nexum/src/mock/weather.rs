//! Whether an engine can come to know how a chain is, with its endpoints as the fixture has made
//! them. Where it cannot, nobody waits for it.

use nexum_testkit::{Action, EndpointChange};

/// What stands between an engine and a chain.
#[derive(Debug)]
pub(super) struct Weather {
    endpoints: Vec<Faults>,
    /// Blocks were taken off, and nothing has come in their place yet, of which a node tells.
    is_rolled_back: bool,
}

/// What keeps one endpoint from telling the chain as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Faults {
    is_down: bool,
    is_half_open: bool,
    is_another_chain: bool,
    lags: bool,
    lacks_newest: bool,
    lacks_logs: bool,
    fails: bool,
}

impl Weather {
    /// Good endpoints, so many.
    pub(super) fn fair(endpoints: usize) -> Self {
        Self {
            endpoints: vec![Faults::default(); endpoints],
            is_rolled_back: false,
        }
    }

    /// True while no endpoint tells the chain as it is.
    pub(super) fn is_foul(&self) -> bool {
        self.is_rolled_back
            || self
                .endpoints
                .iter()
                .all(|faults| *faults != Faults::default())
    }

    /// Something has happened on the chain or to its endpoints.
    pub(super) fn turns(&mut self, action: &Action) {
        match action {
            Action::Rollback(_) => self.is_rolled_back = true,
            Action::Mine(1..)
            | Action::Reorg(_)
            | Action::Replay { .. }
            | Action::Branch { .. } => {
                self.is_rolled_back = false;
            }
            Action::Endpoint(which, change) => {
                for (index, faults) in self.endpoints.iter_mut().enumerate() {
                    if which.is_none_or(|which| which == index + 1) {
                        faults.change(change);
                    }
                }
            }
            _ => {}
        }
    }
}

impl Faults {
    fn change(&mut self, change: &EndpointChange) {
        match change {
            EndpointChange::Down(down) => self.is_down = *down,
            EndpointChange::HalfOpen(half_open) => self.is_half_open = *half_open,
            EndpointChange::ChainId(id) => self.is_another_chain = id.is_some(),
            EndpointChange::Lag(blocks) => self.lags = *blocks > 0,
            EndpointChange::UnknownNewest(blocks) => self.lacks_newest = *blocks > 0,
            EndpointChange::LogsMissingNewest(blocks) => self.lacks_logs = *blocks > 0,
            EndpointChange::LogsMissingIn(_) => self.lacks_logs = true,
            // What passes by itself is waited for, and so is what the feed does not ask.
            EndpointChange::Fail(injection) => {
                let concerns_feed = injection.method.as_deref().is_none_or(is_of_feed);
                self.fails |= injection.times.is_none() && concerns_feed;
            }
            EndpointChange::Heal => *self = Self::default(),
            // The engine copes with these, sooner or later.
            _ => {}
        }
    }
}

/// True for what the engine itself asks to follow a chain.
fn is_of_feed(method: &str) -> bool {
    method.starts_with("eth_getBlock")
        || matches!(
            method,
            "eth_blockNumber" | "eth_chainId" | "eth_getLogs" | "eth_subscribe"
        )
}

#[cfg(test)]
mod tests {
    use nexum_testkit::{Act, Fixture};

    use super::*;

    /// Whether the weather is foul after these lines, with two endpoints.
    fn is_foul(lines: &str) -> bool {
        let fixture: Fixture = format!("chain 1\n{lines}").parse().unwrap();
        let mut weather = Weather::fair(2);
        for step in &fixture.steps {
            let Act::Chain(_, action) = &step.act else {
                continue;
            };
            weather.turns(action);
        }
        weather.is_foul()
    }

    #[test]
    fn an_engine_is_waited_for_where_one_endpoint_tells_the_truth() {
        assert!(!is_foul("mine"));
        assert!(is_foul("down"));
        assert!(!is_foul("down\nup"));
        assert!(!is_foul("endpoint 1 down"));
        assert!(is_foul("endpoint 1 down\nendpoint 2 lag 3"));
        assert!(!is_foul("endpoint 1 down\nendpoint 2 lag 3\nheal"));
        assert!(is_foul("fail garbage"));
        assert!(is_foul("fail null on eth_getBlockByNumber"));
        assert!(!is_foul("fail garbage times 3"));
        assert!(!is_foul("fail status 503 on eth_call"));
        assert!(!is_foul("latency 5ms\nrate 100\nmute on"));
        assert!(is_foul("mine 3\nrollback 1"));
        assert!(!is_foul("mine 3\nrollback 1\nmine"));
        assert!(is_foul("mine 3\nrollback 1\nmine 0"));
    }
}
