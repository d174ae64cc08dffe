//! The contest of flat coins for free slots: who wins it at a row, and for how many rows of the tape that stays so.
//!
//! The ranking changes slowly. Its outcome is decided by a few comparisons between groups of coins; in the rows in which
//! every coin of a group is strictly ahead of every coin of the next, the winners are the same without ranking again.

use super::tape::{CAPACITY, Column, RowSet, rows_where};
use super::view::RowState;
use crate::coin_selection::{Coins, Rules, Selector, Tiers};
use crate::orchestrator::input::Mode;
use crate::side::Side;
use std::marker::PhantomData;

/// One side of all coins as coin selection sees it, straight from the tape.
struct Contenders<'a, S: Side> {
    state: &'a RowState<'a>,
    side: PhantomData<S>,
}

impl<S: Side> Coins for Contenders<'_, S> {
    fn len(&self) -> usize {
        self.state.coins.len()
    }
    fn is_open(&self, coin: usize) -> bool {
        S::of(&self.state.positions.held)[coin].is_open()
    }
    fn is_forced(&self, coin: usize) -> bool {
        *S::of(&self.state.coins[coin].forced_modes) == Some(Mode::Normal)
    }
    fn is_eligible(&self, coin: usize) -> bool {
        let state = self.state;
        let (range, mode) = (&state.ranges[coin], *S::of(&state.coins[coin].forced_modes));
        let panics = self.is_open(coin) && range.past_end(state.row);
        range.tradable(state.row) && !panics && matches!(mode, None | Some(Mode::Normal))
    }
    fn volume(&self, coin: usize) -> f64 {
        self.state.indicators.volume_score(self.state.tape, coin, S::PSIDE, self.state.at)
    }
    fn volatility(&self, coin: usize) -> f64 {
        self.state.indicators.volatility_score(self.state.tape, coin, S::PSIDE, self.state.at)
    }
}

/// Rows in which every coin of the first group is strictly ahead of every coin of the second.
fn ahead<'t>(first: &[usize], second: &[usize], column: impl Fn(usize) -> Option<&'t Column>) -> RowSet {
    if first.is_empty() || second.is_empty() {
        return RowSet::MAX;
    }
    let mut least = [f64::INFINITY; CAPACITY];
    let mut most = [f64::NEG_INFINITY; CAPACITY];
    for coin in first {
        let Some(values) = column(*coin) else { return 0 };
        for (least, value) in least.iter_mut().zip(values) {
            *least = if *value < *least { *value } else { *least };
        }
    }
    for coin in second {
        let Some(values) = column(*coin) else { return 0 };
        for (most, value) in most.iter_mut().zip(values) {
            *most = if *value > *most { *value } else { *most };
        }
    }
    rows_where(|at| least[at] > most[at])
}

/// The last outcome on one side.
#[derive(Clone, Debug, Default)]
pub struct Contest {
    selector: Selector,
    /// Coins that hold a slot or win one.
    pub active: Vec<bool>,
    /// Rows of the tape in which `active` is right.
    pub lasts: RowSet,
    /// Chosen coins that are flat: winners and losers.
    winners: Vec<usize>,
    losers: Vec<usize>,
}

impl Contest {
    /// Something that the outcome depends on has changed.
    pub fn expire(&mut self) {
        self.lasts = 0;
    }

    /// Makes sure that the outcome is that of the row.
    pub fn settle<S: Side>(&mut self, state: &RowState<'_>, rules: &Rules) {
        if self.lasts >> state.at & 1 == 1 {
            return;
        }
        let contenders = Contenders::<S> { state, side: PhantomData };
        self.selector.assign(&contenders, rules, true, &mut self.active);
        let Tiers { traded, idle, wild, chosen, tame } = self.selector.tiers();
        self.winners.clear();
        self.losers.clear();
        for &coin in chosen.iter().filter(|coin| !contenders.is_open(**coin)) {
            (if self.active[coin] { &mut self.winners } else { &mut self.losers }).push(coin);
        }
        let volume = |coin| state.indicators.volumes(state.tape, coin, S::PSIDE);
        let log_range = |coin| state.indicators.log_ranges(state.tape, coin, S::PSIDE);
        self.lasts = ahead(traded, idle, volume)
            & ahead(wild, chosen, log_range)
            & ahead(chosen, tame, log_range)
            & ahead(&self.winners, &self.losers, log_range)
            | 1 << state.at;
    }
}
