//! Coin selection: which flat coins deserve a slot (`orchestrator.md` 9.3).

use crate::num::compare;

/// What the ranking knows of a coin.
#[derive(Clone, Copy, Debug)]
pub struct CoinFeatures {
    /// Coin index; breaks ties.
    pub index: usize,
    /// May hold a slot at all.
    pub enabled: bool,
    /// Quote-volume EMA; more is better.
    pub volume: f64,
    /// Log-range EMA; more is better, but the most volatile are dropped.
    pub volatility: f64,
}

/// How many of `n` coins survive dropping a fraction, never fewer than the slots.
fn survivors(n: usize, drop_fraction: f64, slots: usize) -> usize {
    let clipped = if drop_fraction.is_finite() { drop_fraction.clamp(0.0, 1.0) } else { 0.0 };
    let keep = (n as f64 * (1.0 - clipped)).round() as usize;
    n.min(slots.max(keep.max(1)))
}

fn sort_descending(coins: &mut [CoinFeatures], score: impl Fn(&CoinFeatures) -> f64) {
    coins.sort_by(|a, b| compare(score(b), score(a)).then(a.index.cmp(&b.index)));
}

/// Ranks the enabled coins for `slots` slots: `ranking` holds the chosen ones, best first.
///
/// The least traded fraction is dropped, then the most volatile one; the most volatile of the rest come first.
pub fn rank(
    features: impl Iterator<Item = CoinFeatures>,
    slots: usize,
    volume_drop: f64,
    volatility_drop: f64,
    ranking: &mut Vec<CoinFeatures>,
) {
    ranking.clear();
    ranking.extend(features.filter(|f| f.enabled));
    if ranking.is_empty() {
        return;
    }
    let slots = slots.max(1);
    sort_descending(ranking, |f| f.volume);
    ranking.truncate(survivors(ranking.len(), volume_drop, slots));
    sort_descending(ranking, |f| f.volatility);
    let dropped = ranking.len() - survivors(ranking.len(), volatility_drop, slots);
    ranking.drain(..dropped);
    ranking.truncate(slots);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranked(scores: &[(f64, f64)], slots: usize, volume_drop: f64, volatility_drop: f64) -> Vec<usize> {
        let features = scores.iter().enumerate().map(|(index, &(volume, volatility))| CoinFeatures {
            index,
            enabled: true,
            volume,
            volatility,
        });
        let mut ranking = Vec::new();
        rank(features, slots, volume_drop, volatility_drop, &mut ranking);
        ranking.iter().map(|f| f.index).collect()
    }

    #[test]
    fn examples_of_the_specification() {
        let five = [(5.0, 1.0), (4.0, 4.0), (3.0, 3.0), (2.0, 2.0), (1.0, 9.0)];
        let three = [(5.0, 1.0), (4.0, 2.0), (3.0, 3.0)];
        let equal = [(1.0, 1.0); 4];
        assert_eq!(ranked(&five, 2, 0.2, 0.25), [2, 3]);
        assert_eq!(ranked(&three, 1, 0.5, 0.0), [1]);
        assert_eq!(ranked(&three, 1, 1.5, 0.0), [0]);
        assert_eq!(ranked(&equal, 2, 0.5, 0.0), [0, 1]);
        assert_eq!(ranked(&equal, 1, 0.0, 0.5), [2]);
    }
}
