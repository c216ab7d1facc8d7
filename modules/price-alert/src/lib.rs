//! Alerts when the price of a Chainlink-style feed crosses a threshold: at most once per crossing,
//! also after restarts, reorgs and redelivered blocks.
//!
//! The alarm is armed until the price is beyond the threshold; it then alerts and is armed again
//! only once the price has gone back by the hysteresis. Whether it is armed is the module's
//! state. That it has told is committed before it tells, since an alert cannot be taken back and
//! a block whose call fails comes again: an engine that dies between the two loses that alert.

mod alarm;

use alarm::{Alarm, Bounds, Side};
use nexum_sdk::{
    alloy::primitives::{
        I256,
        utils::{ParseUnits, format_units, parse_units},
    },
    local_store,
    prelude::*,
};
use std::time::Duration;

sol! {
    #[sol(rpc)]
    interface AggregatorV3 {
        function decimals() external view returns (uint8);
        function latestRoundData() external view returns (
            uint80 roundId, int256 answer, uint256 startedAt, uint256 updatedAt, uint80 answeredInRound
        );
    }
}

const ALARM: TypedState<Alarm> = TypedState::new("alarm");

#[derive(Debug, Clone, NexumConfig)]
struct Settings {
    /// The feed's contract.
    feed: Address,
    /// What the feed is of, for the alert's text.
    pair: String,
    /// On which side of the threshold to alert: "above" or "below".
    #[config(parse)]
    when: Side,
    /// In units of the feed, such as "2500.5".
    threshold: String,
    /// How far the price must go back before there can be another alert.
    #[config(default = "0".to_owned())]
    hysteresis: String,
    /// An answer older than this is not acted on.
    #[config(default = Duration::from_secs(7200))]
    max_age: Duration,
}

struct PriceAlert {
    settings: Settings,
    /// The feed's decimals and the bounds in its units, once the feed was asked.
    scale: Option<(u8, Bounds)>,
}

#[nexum::module]
impl PriceAlert {
    #[init]
    fn init(settings: Settings) -> Result<Self> {
        // A feed has at most 18 decimals: what parses with these parses with fewer or is refused
        // with the feed's own.
        settings.bounds(18)?;
        log::info!(
            "alerting where {} goes {} {}",
            settings.pair,
            settings.when,
            settings.threshold
        );
        Ok(Self {
            settings,
            scale: None,
        })
    }

    #[on_block]
    async fn on_block(&mut self, block: Block, provider: &Provider) -> Result<()> {
        let feed = AggregatorV3::new(self.settings.feed, provider);
        let (decimals, bounds) = match self.scale {
            Some(scale) => scale,
            None => {
                let decimals = feed.decimals().block(block.id()).call().await;
                let decimals = decimals.context("the feed's decimals")?;
                *self
                    .scale
                    .insert((decimals, self.settings.bounds(decimals)?))
            }
        };
        let round = feed.latestRoundData().block(block.id()).call().await;
        let round = round.context("the feed's latest round")?;
        if self.settings.is_stale(&round, &block) {
            log::debug!("the feed's answer is older than the block by more than max_age");
            return Ok(());
        }

        let alarm = ALARM.load_or_default()?;
        let (next, alerts) = alarm.step(round.answer, &bounds);
        if next != alarm {
            ALARM.store(&next)?;
        }
        if alerts {
            local_store::checkpoint()?;
            log::warn!(
                "{} is at {}, {} {} at block {}",
                self.settings.pair,
                shown(round.answer, decimals),
                self.settings.when,
                self.settings.threshold,
                block.number
            );
        }
        Ok(())
    }
}

impl Settings {
    /// The bounds in the feed's own units.
    fn bounds(&self, decimals: u8) -> Result<Bounds> {
        let threshold = units("threshold", &self.threshold, decimals)?;
        let hysteresis = units("hysteresis", &self.hysteresis, decimals)?;
        if hysteresis.is_negative() {
            return Err(HostError::invalid_input(
                "config `hysteresis` cannot be negative",
            ));
        }
        Ok(Bounds {
            side: self.when,
            threshold,
            hysteresis,
        })
    }

    fn is_stale(&self, round: &AggregatorV3::latestRoundDataReturn, block: &Block) -> bool {
        let block_seconds = U256::from(block.timestamp / 1000);
        let age = block_seconds.saturating_sub(round.updatedAt);
        age > U256::from(self.max_age.as_secs())
    }
}

/// A decimal amount in units of 10^-decimals.
fn units(key: &str, text: &str, decimals: u8) -> Result<I256> {
    let parsed = parse_units(text, decimals)
        .ok()
        .and_then(|units| match units {
            ParseUnits::I256(value) => Some(value),
            ParseUnits::U256(value) => I256::try_from(value).ok(),
        });
    parsed.ok_or_else(|| {
        HostError::invalid_input(format!(
            "config `{key}`: {text:?} is no amount with at most {decimals} decimals, such as \"2500.5\""
        ))
    })
}

/// An amount in units of 10^-decimals, without zeros at the end.
fn shown(value: I256, decimals: u8) -> String {
    match format_units(value, decimals) {
        Ok(text) if text.contains('.') => {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        Ok(text) => text,
        Err(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests;
