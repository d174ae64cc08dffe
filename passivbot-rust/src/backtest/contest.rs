//! The contest of flat coins for free slots, row by row of the tape.
//!
//! The ranking changes slowly: in the rows in which every coin that was kept is strictly ahead of every coin that was
//! dropped, the outcome of a step is the same and need not be found again, and the coins that were dropped need not be
//! looked at. The first step goes by volume, the second by volatility.

use super::tape::{CAPACITY, Column, RowSet, rows_where};
use super::view::RowState;
use crate::coin_selection::{Coins, Outcome, Rules, Selector, Slots};
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
        is_forced::<S>(self.state, coin)
    }
    fn forced(&self) -> impl Iterator<Item = usize> {
        self.state.forced.iter().copied().filter(|coin| self.is_forced(*coin))
    }
    fn is_eligible(&self, coin: usize) -> bool {
        let state = self.state;
        let mode = *S::of(&state.coins[coin].forced_modes);
        state.ranges[coin].tradable(state.row) && !panics::<S>(state, coin) && matches!(mode, None | Some(Mode::Normal))
    }
    fn volume(&self, coin: usize) -> f64 {
        self.state.indicators.volume_score(self.state.tape, coin, S::PSIDE, self.state.at)
    }
    fn volatility(&self, coin: usize) -> f64 {
        self.state.indicators.volatility_score(self.state.tape, coin, S::PSIDE, self.state.at)
    }
}

/// A position that outlived its coin is closed, whatever mode the coin was forced into.
fn panics<S: Side>(state: &RowState<'_>, coin: usize) -> bool {
    S::of(&state.positions.held)[coin].is_open() && state.ranges[coin].past_end(state.row)
}

/// The coin claims a slot before any ranking.
pub fn is_forced<S: Side>(state: &RowState<'_>, coin: usize) -> bool {
    *S::of(&state.coins[coin].forced_modes) == Some(Mode::Normal) && !panics::<S>(state, coin)
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

/// How flat coins come to slots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ContestKind {
    /// There are as many slots as coins.
    #[default]
    None,
    /// The ranking decides.
    Ranking,
    /// The ranking decides, but the minimum-cost filter takes part.
    Filtered,
}

/// The contest on one side.
#[derive(Clone, Debug, Default)]
pub struct Contest {
    selector: Selector,
    /// Coins that hold a slot whatever the ranking, and slots that are left.
    held: Vec<bool>,
    free: usize,
    counting: Vec<bool>,
    /// Coins that the first step dropped, or that may not be ranked, and the rows of the tape in which they are the same.
    idle: Vec<bool>,
    idle_rows: RowSet,
    /// There has been a first step among the coins of this stretch.
    ranked: bool,
    /// Coins that win a slot, and the rows in which they do.
    wins: Vec<bool>,
    settled_rows: RowSet,
    /// Rows in which a coin is known to have no chance.
    hopeless: Vec<RowSet>,
    outcome: Outcome,
}

impl Contest {
    /// A contest of `n` coins.
    pub fn new(n: usize) -> Self {
        Self {
            held: vec![false; n],
            idle: vec![true; n],
            wins: vec![false; n],
            hopeless: vec![0; n],
            ..Self::default()
        }
    }

    /// The tape holds other rows; `same_coins`: those that may be ranked are the same.
    pub fn turn_page(&mut self, same_coins: bool) {
        self.ranked &= same_coins;
        (self.idle_rows, self.settled_rows) = (0, 0);
        self.hopeless.fill(0);
    }

    /// Takes stock of positions and forced coins. False if nothing has changed since the last time.
    pub fn count_slots<S: Side>(&mut self, state: &RowState<'_>, rules: &Rules) -> bool {
        let contenders = Contenders::<S> { state, side: PhantomData };
        let free = Selector::claim_slots(&contenders, rules, &mut self.counting);
        if free == self.free && self.counting == self.held {
            return false;
        }
        self.free = free;
        std::mem::swap(&mut self.counting, &mut self.held);
        self.settled_rows = 0;
        self.find_hopeless();
        true
    }

    /// Rows in which a coin is known to have no chance.
    #[inline]
    pub fn hopeless_rows(&self, coin: usize) -> RowSet {
        self.hopeless[coin]
    }

    fn find_hopeless(&mut self) {
        for (coin, hopeless) in self.hopeless.iter_mut().enumerate() {
            let rows = if self.idle[coin] { self.idle_rows } else { self.settled_rows };
            *hopeless = if self.held[coin] || (!self.idle[coin] && self.wins[coin]) { 0 } else { rows };
        }
    }

    /// Sorts out for the row which coins are traded enough. False if that was known.
    pub fn drop_idle<S: Side>(&mut self, state: &RowState<'_>, rules: &Rules) -> bool {
        if self.idle_rows >> state.at & 1 == 1 {
            return false;
        }
        let volume = |coin| state.indicators.volumes(state.tape, coin, S::PSIDE);
        if self.ranked && self.idle_rows == 0 {
            // the outcome of an earlier stretch may simply go on
            let (traded, idle) = self.selector.traded_and_idle();
            self.idle_rows = ahead(traded, idle, volume);
        }
        if self.idle_rows >> state.at & 1 == 0 {
            self.ranked = true;
            let contenders = Contenders::<S> { state, side: PhantomData };
            self.selector.drop_idle(&contenders, rules);
            let (traded, idle) = self.selector.traded_and_idle();
            self.idle_rows = ahead(traded, idle, volume) | 1 << state.at;
            self.idle.fill(true);
            for coin in traded {
                self.idle[*coin] = false;
            }
        }
        self.settled_rows = 0;
        self.find_hopeless();
        true
    }

    /// True if the coin holds or wins a slot in the row; idle coins must have been dropped for it.
    pub fn grants_slot<S: Side>(&mut self, state: &RowState<'_>, rules: &Rules, coin: usize) -> bool {
        if self.held[coin] || self.idle[coin] {
            return self.held[coin];
        }
        if self.settled_rows >> state.at & 1 == 0 {
            self.settle::<S>(state, rules);
        }
        self.wins[coin]
    }

    /// Finds out who gets the slots that are left.
    fn settle<S: Side>(&mut self, state: &RowState<'_>, rules: &Rules) {
        let contenders = Contenders::<S> { state, side: PhantomData };
        let slots = Slots { held: &self.held, free: self.free };
        self.selector.split(&contenders, rules, slots, &mut self.outcome);
        let (wild, calm) = self.selector.wild_and_calm(&contenders, rules);
        let Outcome { winners, losers } = &self.outcome;
        let log_range = |coin| state.indicators.log_ranges(state.tape, coin, S::PSIDE);
        let same = ahead(wild, calm, log_range) & ahead(winners, losers, log_range);
        self.settled_rows = (same & self.idle_rows) | 1 << state.at;
        self.wins.fill(false);
        for coin in winners {
            self.wins[*coin] = true;
        }
        self.find_hopeless();
    }
}
