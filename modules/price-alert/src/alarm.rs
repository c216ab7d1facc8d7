//! When to alert: a threshold with hysteresis. Pure.

use std::{fmt, str::FromStr};

use nexum_sdk::alloy::primitives::I256;
use serde::{Deserialize, Serialize};

/// On which side of the threshold to alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// Where the price is more than the threshold.
    Above,
    /// Where the price is less than the threshold.
    Below,
}

impl FromStr for Side {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "above" => Ok(Self::Above),
            "below" => Ok(Self::Below),
            _ => Err("\"above\" or \"below\""),
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Above => "above",
            Self::Below => "below",
        })
    }
}

/// Where to alert, in the feed's units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) side: Side,
    pub(crate) threshold: I256,
    /// Not negative.
    pub(crate) hysteresis: I256,
}

/// Whether the next crossing is alerted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Alarm {
    /// It is.
    #[default]
    Armed,
    /// It has been: the price must go back first.
    Told,
}

impl Alarm {
    /// What becomes of the alarm with this price, and whether to alert.
    pub(crate) fn step(self, price: I256, bounds: &Bounds) -> (Self, bool) {
        let Bounds {
            side,
            threshold,
            hysteresis,
        } = *bounds;
        let (is_beyond, is_back) = match side {
            Side::Above => (
                price > threshold,
                price <= threshold.saturating_sub(hysteresis),
            ),
            Side::Below => (
                price < threshold,
                price >= threshold.saturating_add(hysteresis),
            ),
        };
        match self {
            Self::Armed if is_beyond => (Self::Told, true),
            Self::Told if is_back => (Self::Armed, false),
            unchanged => (unchanged, false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alerts(side: Side, prices: &[i32]) -> Vec<i32> {
        let bounds = Bounds {
            side,
            threshold: I256::try_from(100).unwrap(),
            hysteresis: I256::try_from(10).unwrap(),
        };
        let mut alarm = Alarm::default();
        let mut alerts = Vec::new();
        for price in prices {
            let (next, alert) = alarm.step(I256::try_from(*price).unwrap(), &bounds);
            alarm = next;
            alerts.extend(alert.then_some(*price));
        }
        alerts
    }

    #[test]
    fn a_crossing_is_alerted_once_until_the_price_has_gone_back_by_the_hysteresis() {
        let prices = [100, 101, 150, 95, 102, 91, 103, 90, 104, 105];
        assert_eq!(alerts(Side::Above, &prices), [101, 104]);
        let prices = [100, 99, 50, 105, 98, 109, 97, 110, 96, 95];
        assert_eq!(alerts(Side::Below, &prices), [99, 96]);
    }

    #[test]
    fn the_first_price_of_all_can_be_a_crossing() {
        assert_eq!(alerts(Side::Above, &[200, 201]), [200]);
        assert_eq!(alerts(Side::Below, &[200, 201]), [0; 0]);
    }
}
