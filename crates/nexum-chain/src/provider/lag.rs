//! Which endpoints are behind. Pure.
//!
//! The endpoints are asked for their heads at the same time, so that a fast chain does not make
//! the one look late that was asked first. What one of them claims alone moves nothing by itself:
//! an endpoint that makes up a head far ahead would otherwise take all honest ones out.

use nexum_types::Block;

/// More blocks a second than any chain makes; beyond it, a distance between two heads is not
/// believed.
const FASTEST: u64 = 20;

/// How far each endpoint is behind the best head that is believed, and whether it is left for
/// that.
///
/// `heads` are the answers, one for each endpoint that gave one, with whether it lags already. An
/// endpoint is left above `max_lag`, and comes back when it is within half of it.
pub(super) fn compare(heads: &[(Block, bool)], max_lag: u64) -> Vec<(u64, bool)> {
    let best = best_believed(heads).unwrap_or_default();
    let judge = |(head, lagging): &(Block, bool)| {
        let lag = best.saturating_sub(head.number.0);
        let most = if *lagging { max_lag / 2 } else { max_lag };
        (lag, lag > most)
    };
    heads.iter().map(judge).collect()
}

/// Of three or more, the highest head that two endpoints have reached. Of two, the higher one,
/// if its timestamp allows that many blocks since the other's.
fn best_believed(heads: &[(Block, bool)]) -> Option<u64> {
    let mut sorted: Vec<&Block> = heads.iter().map(|(head, _)| head).collect();
    sorted.sort_by_key(|head| std::cmp::Reverse(head.number));
    match *sorted {
        [higher, lower] => {
            let blocks = higher.number.0 - lower.number.0;
            let ms = higher.timestamp_ms.saturating_sub(lower.timestamp_ms);
            // Timestamps count in seconds: two in the same one may be almost a second apart.
            let most = (ms / 1000 + 1).saturating_mul(FASTEST);
            let believed = if blocks <= most { higher } else { lower };
            Some(believed.number.0)
        }
        [_, second, ..] => Some(second.number.0),
        [only] => Some(only.number.0),
        [] => None,
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::B256;
    use nexum_types::{BlockNumber, ChainId};

    use super::*;

    /// A head of a chain that makes a block every 12 seconds.
    fn head(number: u64) -> Block {
        Block {
            chain_id: ChainId(1),
            number: BlockNumber(number),
            hash: B256::ZERO,
            parent_hash: B256::ZERO,
            timestamp_ms: number * 12_000,
        }
    }

    fn left(heads: &[(Block, bool)]) -> Vec<bool> {
        let judged = compare(heads, 8);
        judged.into_iter().map(|(_, lagging)| lagging).collect()
    }

    fn fresh<const N: usize>(numbers: [u64; N]) -> Vec<(Block, bool)> {
        numbers.map(|number| (head(number), false)).to_vec()
    }

    #[test]
    fn one_that_is_far_behind_is_left() {
        assert_eq!(left(&fresh([100, 1000])), [true, false]);
        assert_eq!(left(&fresh([1000, 100, 1000])), [false, true, false]);
        assert_eq!(left(&fresh([992, 1000])), [false, false]);
        assert_eq!(left(&fresh([991, 1000])), [true, false]);
        assert_eq!(compare(&fresh([991, 1000]), 8), [(9, true), (0, false)]);
    }

    #[test]
    fn one_that_claims_to_be_far_ahead_alone_takes_nobody_out() {
        assert_eq!(left(&fresh([100, 101, 1_000_000])), [false; 3]);
        let mut liar = head(1_000_000);
        liar.timestamp_ms = head(101).timestamp_ms;
        assert_eq!(left(&[(head(100), false), (liar, false)]), [false; 2]);
        assert_eq!(left(&fresh([5])), [false]);
        assert_eq!(left(&[]), [false; 0]);
    }

    #[test]
    fn one_that_was_left_comes_back_when_it_is_close() {
        for (number, stays_out) in [(995, true), (996, false), (1000, false)] {
            let heads = [(head(number), true), (head(1000), false)];
            assert_eq!(left(&heads), [stays_out, false], "{number}");
        }
    }
}
