//! Coin selection: which flat coins deserve a slot (`orchestrator.md` 9.2, 9.3).

use crate::num::compare;
use std::cmp::Ordering;

/// What selection knows of the coins of one side.
pub trait Coins {
    /// Number of coins.
    fn len(&self) -> usize;
    /// True without coins.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The coin holds a position on the side.
    fn is_open(&self, coin: usize) -> bool;
    /// The coin claims a slot before any ranking.
    fn is_forced(&self, coin: usize) -> bool;
    /// All that do, ascending.
    fn forced(&self) -> impl Iterator<Item = usize> {
        (0..self.len()).filter(|coin| self.is_forced(*coin))
    }
    /// The coin may be ranked.
    fn is_eligible(&self, coin: usize) -> bool;
    /// Quote-volume EMA; more is better.
    fn volume(&self, coin: usize) -> f64;
    /// Log-range EMA; more is better, but the most volatile are dropped.
    fn volatility(&self, coin: usize) -> f64;
}

/// How coins are ranked on a side.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rules {
    /// Slots of the side, those of open positions included.
    pub slots: usize,
    /// Fraction of the least traded coins to drop.
    pub volume_drop: f64,
    /// Fraction of the most volatile coins to drop.
    pub volatility_drop: f64,
}

/// Memory of the selection. What it holds from the last time makes sorting faster, never different.
#[derive(Clone, Debug, Default)]
pub struct Selector {
    by_volume: Vec<usize>,
    /// Eligible coins by volume, the traded ones first.
    eligible: Vec<usize>,
    /// The traded ones by volatility.
    traded: Vec<usize>,
}

/// How many of `n` coins survive dropping a fraction, never fewer than the slots.
fn survivors(n: usize, drop_fraction: f64, slots: usize) -> usize {
    let clipped = if drop_fraction.is_finite() { drop_fraction.clamp(0.0, 1.0) } else { 0.0 };
    let keep = (n as f64 * (1.0 - clipped)).round() as usize;
    n.min(slots.max(keep.max(1)))
}

/// Sorts a short list that is nearly in order.
fn insertion_sort(coins: &mut [usize], order: impl Fn(usize, usize) -> Ordering) {
    for end in 1..coins.len() {
        let coin = coins[end];
        let mut at = end;
        while at > 0 && order(coin, coins[at - 1]).is_lt() {
            coins[at] = coins[at - 1];
            at -= 1;
        }
        coins[at] = coin;
    }
}

fn descending(score: impl Fn(usize) -> f64 + Copy) -> impl Fn(usize, usize) -> Ordering + Copy {
    move |a, b| compare(score(b), score(a)).then(a.cmp(&b))
}

impl Selector {
    /// Drops the least traded fraction of the eligible coins: the first step of a ranking for `rules.slots` slots.
    pub fn drop_idle(&mut self, coins: &impl Coins, rules: &Rules) {
        let Self { by_volume, eligible, traded } = self;
        if by_volume.len() != coins.len() {
            by_volume.clear();
            by_volume.extend(0..coins.len());
        }
        insertion_sort(by_volume, descending(|coin| coins.volume(coin)));
        eligible.clear();
        eligible.extend(by_volume.iter().copied().filter(|coin| coins.is_eligible(*coin)));
        traded.clear();
        traded.extend_from_slice(&eligible[..survivors(eligible.len(), rules.volume_drop, rules.slots.max(1))]);
    }

    /// Coins that the last first step kept, and those that it dropped; every one of the former is ahead by volume.
    pub fn traded_and_idle(&self) -> (&[usize], &[usize]) {
        self.eligible.split_at(self.traded.len())
    }

    /// Splits the traded coins of the last first step: the most volatile fraction, which is dropped, and the rest, the most
    /// volatile first.
    pub fn wild_and_calm(&mut self, coins: &impl Coins, rules: &Rules) -> (&[usize], &[usize]) {
        let traded = &mut self.traded;
        insertion_sort(traded, descending(|coin| coins.volatility(coin)));
        let wild = traded.len() - survivors(traded.len(), rules.volatility_drop, rules.slots.max(1));
        traded.split_at(wild)
    }

    /// Ranks the eligible coins, best first, for `rules.slots` slots.
    pub fn rank(&mut self, coins: &impl Coins, rules: &Rules) -> &[usize] {
        self.drop_idle(coins, rules);
        let (_, calm) = self.wild_and_calm(coins, rules);
        &calm[..calm.len().min(rules.slots.max(1))]
    }

    /// Coins that hold a slot before any ranking: open positions always, then forced coins while slots last. Returns the
    /// number of slots that are left.
    pub fn claim_slots(coins: &impl Coins, rules: &Rules, active: &mut Vec<bool>) -> usize {
        active.clear();
        active.extend((0..coins.len()).map(|coin| coins.is_open(coin)));
        let mut free = rules.slots.saturating_sub(active.iter().filter(|a| **a).count());
        for coin in coins.forced() {
            if free > 0 && !active[coin] {
                active[coin] = true;
                free -= 1;
            }
        }
        free
    }

    /// Splits the calm coins without a slot: those to which `assign` would give one of `slots.free`, and those it would not.
    /// The first step of the ranking must be up to date.
    ///
    /// The ranking has as many places as there are slots, and coins that hold a slot take no more places than slots, so
    /// that the first ones without a slot all have a place.
    pub fn split(&mut self, coins: &impl Coins, rules: &Rules, slots: Slots<'_>, outcome: &mut Outcome) {
        outcome.winners.clear();
        outcome.losers.clear();
        let (_, calm) = self.wild_and_calm(coins, rules);
        for &coin in calm.iter().filter(|coin| !slots.held[**coin]) {
            let wins = outcome.winners.len() < slots.free;
            if wins { &mut outcome.winners } else { &mut outcome.losers }.push(coin);
        }
    }

    /// Marks the coins that hold a slot: those that claim one, then the ranking, while slots last.
    pub fn assign(&mut self, coins: &impl Coins, rules: &Rules, active: &mut Vec<bool>) {
        let mut free = Self::claim_slots(coins, rules, active);
        if free == 0 {
            return;
        }
        for &coin in self.rank(coins, rules) {
            if free > 0 && !active[coin] {
                active[coin] = true;
                free -= 1;
            }
        }
    }
}

/// Slots before the ranking.
#[derive(Clone, Copy, Debug)]
pub struct Slots<'a> {
    /// Coins that hold one.
    pub held: &'a [bool],
    /// Number left for the ranking.
    pub free: usize,
}

/// Coins that the ranking gives a slot, and coins that come too late, the most volatile first.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// With a slot.
    pub winners: Vec<usize>,
    /// Without.
    pub losers: Vec<usize>,
}

/// What the ranking knows of a coin that stands alone.
#[derive(Clone, Copy, Debug)]
pub struct CoinFeatures {
    /// Name of the coin in the answer; breaks ties.
    pub index: usize,
    /// May hold a slot at all.
    pub enabled: bool,
    /// Quote-volume EMA.
    pub volume: f64,
    /// Log-range EMA.
    pub volatility: f64,
}

/// Indices of the chosen ones among features in any order, best first.
pub fn rank_features(mut features: Vec<CoinFeatures>, rules: &Rules) -> Vec<usize> {
    features.sort_by_key(|f| f.index);
    let mut selector = Selector::default();
    selector.rank(&RefCoins(&features), rules).iter().map(|at| features[*at].index).collect()
}

/// Features as a side without positions.
struct RefCoins<'a>(&'a [CoinFeatures]);

impl Coins for RefCoins<'_> {
    fn len(&self) -> usize {
        self.0.len()
    }
    fn is_open(&self, _: usize) -> bool {
        false
    }
    fn is_forced(&self, _: usize) -> bool {
        false
    }
    fn is_eligible(&self, coin: usize) -> bool {
        self.0[coin].enabled
    }
    fn volume(&self, coin: usize) -> f64 {
        self.0[coin].volume
    }
    fn volatility(&self, coin: usize) -> f64 {
        self.0[coin].volatility
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranked(scores: &[(f64, f64)], slots: usize, volume_drop: f64, volatility_drop: f64) -> Vec<usize> {
        let features = scores
            .iter()
            .enumerate()
            .map(|(index, &(volume, volatility))| CoinFeatures { index, enabled: true, volume, volatility })
            .collect();
        rank_features(features, &Rules { slots, volume_drop, volatility_drop })
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
