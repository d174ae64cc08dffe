//! Coin selection step by step agrees with coin selection at once, whatever the ties.

use passivbot_rust::coin_selection::{Coins, Outcome, Rules, Selector, Slots};
use proptest::prelude::*;

/// One coin of a side.
#[derive(Clone, Copy, Debug)]
struct Coin {
    open: bool,
    forced: bool,
    eligible: bool,
    volume: f64,
    volatility: f64,
}

#[derive(Clone, Debug)]
struct Market(Vec<Coin>);

impl Coins for Market {
    fn len(&self) -> usize {
        self.0.len()
    }
    fn is_open(&self, coin: usize) -> bool {
        self.0[coin].open
    }
    fn is_forced(&self, coin: usize) -> bool {
        self.0[coin].forced
    }
    fn is_eligible(&self, coin: usize) -> bool {
        self.0[coin].eligible
    }
    fn volume(&self, coin: usize) -> f64 {
        self.0[coin].volume
    }
    fn volatility(&self, coin: usize) -> f64 {
        self.0[coin].volatility
    }
}

/// Few values, so that many are equal.
fn score() -> impl Strategy<Value = f64> {
    (0..5_u8).prop_map(f64::from)
}

fn coin() -> impl Strategy<Value = Coin> {
    let flags = (prop::bool::weighted(0.25), prop::bool::weighted(0.15), prop::bool::weighted(0.85));
    (flags, score(), score()).prop_map(|((open, forced, eligible), volume, volatility)| Coin {
        open,
        forced,
        eligible,
        volume,
        volatility,
    })
}

fn drop_fraction() -> impl Strategy<Value = f64> {
    prop_oneof![
        2 => Just(0.0),
        4 => 0.0..1.0,
        1 => prop::sample::select(vec![0.5, 1.0, 1.5, -0.5, f64::NAN]),
    ]
}

fn rules() -> impl Strategy<Value = Rules> {
    (0..6_usize, drop_fraction(), drop_fraction()).prop_map(|(slots, volume_drop, volatility_drop)| Rules {
        slots,
        volume_drop,
        volatility_drop,
    })
}

/// A market, and other scores for its coins.
fn market() -> impl Strategy<Value = (Market, Vec<(f64, f64)>)> {
    prop::collection::vec((coin(), (score(), score())), 1..12).prop_map(|drawn| {
        let (coins, others) = drawn.into_iter().unzip();
        (Market(coins), others)
    })
}

/// Coins with a slot by the definition: sorting, with a memory that knows nothing.
fn active(market: &Market, rules: &Rules) -> Vec<bool> {
    let mut active = Vec::new();
    Selector::default().assign(market, rules, &mut active);
    active
}

/// The market with other volatilities, in which the first group is ahead of the second, and that of the third.
fn reshuffled(market: &Market, others: &[(f64, f64)], groups: [&[usize]; 3]) -> Market {
    let mut market = market.clone();
    for (group, ahead) in groups.into_iter().zip([20.0, 10.0, 0.0]) {
        for at in group {
            market.0[*at].volatility = others[*at].1 + ahead;
        }
    }
    market
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Of the coins that hold no slot yet, `assign` activates the winners of `split`, and goes on doing so as long as the wild
    /// ones are ahead of the rest and the winners of the losers, wherever the coins with a slot stand among the rest.
    #[test]
    fn splitting_agrees_with_assigning((market, others) in market(), rules in rules()) {
        let (mut selector, mut held, mut outcome) = (Selector::default(), Vec::new(), Outcome::default());
        let free = Selector::claim_slots(&market, &rules, &mut held);
        selector.drop_idle(&market, &rules);
        selector.split(&market, &rules, Slots { held: &held, free }, &mut outcome);
        let expected: Vec<bool> = (0..market.len()).map(|coin| held[coin] || outcome.winners.contains(&coin)).collect();
        prop_assert_eq!(&active(&market, &rules), &expected);
        let (wild, calm) = selector.wild_and_calm(&market, &rules);
        let (wild, calm) = (wild.to_vec(), calm.to_vec());
        prop_assert!(outcome.losers.iter().all(|coin| calm.contains(coin) && !outcome.winners.contains(coin)));
        let mut later = reshuffled(&market, &others, [&wild, &outcome.winners, &outcome.losers]);
        for coin in calm.iter().filter(|coin| held[**coin]) {
            later.0[*coin].volatility = 3.0 * others[*coin].1;
        }
        prop_assert_eq!(active(&later, &rules), expected);
    }

    /// The first step splits the eligible coins, and splits them alike as long as all it kept are ahead of all it dropped.
    #[test]
    fn the_first_step_depends_on_who_is_ahead((market, others) in market(), rules in rules()) {
        let mut selector = Selector::default();
        selector.drop_idle(&market, &rules);
        let split = |selector: &Selector| {
            let (traded, idle) = selector.traded_and_idle();
            let sorted = |coins: &[usize]| {
                let mut coins = coins.to_vec();
                coins.sort_unstable();
                coins
            };
            (sorted(traded), sorted(idle))
        };
        let (traded, idle) = split(&selector);
        let mut both: Vec<usize> = traded.iter().chain(&idle).copied().collect();
        both.sort_unstable();
        prop_assert_eq!(both, (0..market.len()).filter(|coin| market.is_eligible(*coin)).collect::<Vec<_>>());
        for kept in &traded {
            prop_assert!(idle.iter().all(|dropped| market.volume(*kept) >= market.volume(*dropped)));
        }
        let mut later = market;
        for (at, (volume, _)) in others.iter().enumerate() {
            later.0[at].volume = volume + if idle.contains(&at) { 0.0 } else { 10.0 };
        }
        selector.drop_idle(&later, &rules);
        prop_assert_eq!(split(&selector), (traded, idle));
    }

    /// What a selector remembers of other scores does not show.
    #[test]
    fn memory_does_not_show((market, others) in market(), rules in rules()) {
        let (mut selector, mut active) = (Selector::default(), Vec::new());
        selector.assign(&market, &rules, &mut active);
        let mut later = market;
        for (coin, (volume, volatility)) in later.0.iter_mut().zip(&others) {
            (coin.volume, coin.volatility) = (*volume, *volatility);
        }
        selector.assign(&later, &rules, &mut active);
        prop_assert_eq!(active, self::active(&later, &rules));
    }
}
