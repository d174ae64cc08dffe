//! The contest of flat coins for free slots, row by row of the tape.
//!
//! Which coins are traded enough changes slowly: in the rows in which every coin that was kept is strictly ahead of every
//! coin that was dropped, the first step of the ranking need not be repeated, and the coins that were dropped need not be
//! looked at.

use super::tape::{CAPACITY, Column, RowSet, rows_where};
use super::view::RowState;
use crate::coin_selection::{Coins, Rules, Selector, Slots};
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
    /// Rows of the tape in which the coins dropped for their volume are the same, and those coins.
    idle_rows: RowSet,
    idle: Vec<bool>,
    /// Rows in which a coin is known to lose.
    lost: Vec<RowSet>,
    rivals: Vec<usize>,
}

impl Contest {
    /// The tape holds other rows; `same_coins`: those that may be ranked are the same.
    pub fn turn_page(&mut self, same_coins: bool) {
        if !same_coins {
            self.idle.clear();
        }
        self.idle_rows = 0;
        self.lost.fill(0);
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
        self.lost.clear();
        self.lost.resize(self.held.len(), 0);
        true
    }

    /// Rows in which a coin is known to be traded too little.
    pub fn idle_rows(&self, coin: usize) -> RowSet {
        if self.idle_rows != 0 && self.idle[coin] && !self.held[coin] { self.idle_rows } else { 0 }
    }

    /// Rows in which a coin is known to have no chance.
    pub fn hopeless_rows(&self, coin: usize) -> RowSet {
        self.lost[coin] | self.idle_rows(coin)
    }

    /// Sorts out for the row which coins are traded enough. False if that was known.
    pub fn drop_idle<S: Side>(&mut self, state: &RowState<'_>, rules: &Rules) -> bool {
        if self.idle_rows >> state.at & 1 == 1 {
            return false;
        }
        let volume = |coin| state.indicators.volumes(state.tape, coin, S::PSIDE);
        if !self.idle.is_empty() && self.idle_rows == 0 {
            // the last stretch's outcome may simply go on
            let (traded, idle) = self.selector.traded_and_idle();
            self.idle_rows = ahead(traded, idle, volume);
            if self.idle_rows >> state.at & 1 == 1 {
                return true;
            }
        }
        let contenders = Contenders::<S> { state, side: PhantomData };
        self.selector.drop_idle(&contenders, rules);
        let (traded, idle) = self.selector.traded_and_idle();
        self.idle_rows = ahead(traded, idle, volume) | 1 << state.at;
        self.idle.clear();
        self.idle.resize(contenders.len(), true);
        for coin in traded {
            self.idle[*coin] = false;
        }
        true
    }

    /// True if the coin holds or wins a slot in the row; idle coins must have been dropped for it.
    pub fn grants_slot<S: Side>(&mut self, state: &RowState<'_>, rules: &Rules, coin: usize) -> bool {
        if self.held[coin] || self.idle[coin] {
            return self.held[coin];
        }
        let contenders = Contenders::<S> { state, side: PhantomData };
        let slots = Slots { held: &self.held, free: self.free };
        let wins = self.selector.wins(&contenders, rules, coin, slots, &mut self.rivals);
        if !wins {
            let log_range = |coin| state.indicators.log_ranges(state.tape, coin, S::PSIDE);
            let for_long = if self.rivals.is_empty() { 0 } else { ahead(&self.rivals, &[coin], log_range) };
            self.lost[coin] |= (for_long & self.idle_rows) | 1 << state.at;
        }
        wins
    }
}
