//! Rows of a stretch that concern a side: when something of its open positions, or of a flat coin, might fill.
//!
//! Part of the proof in `outlook`: every set may hold rows too many, never too few.

use super::contest::{Contest, ContestKind, is_forced};
use super::tape::{Column, RowSet, rows_from, rows_where};
use super::view::RowState;
use super::watch::{Basis, GATE_SLACK, Level, Watch};
use crate::coin_selection::Rules;
use crate::num::quantize;
use crate::orchestrator::input::PlanInput;
use crate::side::Side;
use crate::types::{PerSide, TrailingBundle};

/// Relative and absolute slack that covers step rounding and its cleanup to ten decimals.
pub const SLACK: (f64, f64) = (1e-12, 1e-9);

/// Rows of the stretch in which orders of an open position might fill in the next row.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenRows {
    /// Entries.
    pub entry: RowSet,
    /// Closes, the unstuck close apart.
    pub close: RowSet,
    /// The unstuck close, whatever the allowance.
    pub unstuck: RowSet,
    /// Some entry rows were left out because the side has no room for them.
    pub barred: bool,
}

/// What both sides know of a stretch.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Nothing of the stretch has been looked at yet.
    pub is_new: bool,
    /// How flat coins come to slots.
    pub contest: ContestKind,
    /// No order of a coin costs less, quote currency; infinite where nothing can fill.
    pub smallest_costs: Vec<f64>,
    /// Cost that does for the smallest order of any coin.
    pub ample_room: f64,
}

impl Page {
    /// Looks at a new stretch.
    pub fn read(&mut self, state: &RowState<'_>) {
        self.ample_room = 0.0;
        for ((smallest, coin), tape) in self.smallest_costs.iter_mut().zip(state.coins).zip(&state.tape.coins) {
            let ex = &coin.exchange;
            let cost = ex.min_cost.max(tape.bounds.1 * ex.min_qty * ex.c_mult);
            self.ample_room = self.ample_room.max(cost);
            *smallest = if tape.fillable == 0 { f64::INFINITY } else { cost };
        }
    }
}

/// What is known of one side.
#[derive(Clone, Debug, Default)]
pub struct SideOutlook {
    /// What open positions wait for, by coin.
    pub watches: Vec<Watch>,
    /// Rows that concern them.
    pub open: Vec<OpenRows>,
    /// Exposure limits of positions, by coin.
    limits: Vec<f64>,
    /// Rows in which the first entry of a coin might fill, if asked for in this stretch, else none.
    firsts: Vec<RowSet>,
    asked: Vec<bool>,
    /// Those of them in which it might although the side has no room for it, if asked for.
    cramped: Vec<RowSet>,
    asked_cramped: Vec<bool>,
    /// The contest of flat coins for slots.
    pub contest: Contest,
    /// Its rules in the stretch.
    pub rules: Rules,
    /// A flat coin might get a slot.
    pub free_slot: bool,
    /// Open positions when the flat coins were last looked at in the stretch, if they were, and whether there was ample room.
    seen_open: Vec<usize>,
    seen: bool,
    had_room: bool,
    /// Coins that may trade, and limits, are those of the stretch before.
    pub same_coins: bool,
    /// Exposure that the side may still add.
    pub headroom: f64,
    /// Rows in which something of an open position might fill.
    pub open_rows: RowSet,
    /// Those of them in which an entry must be looked at that may depend on trailing extremes.
    pub trail_rows: RowSet,
    /// What `open_rows` is made of: unstuck closes apart, which count only with an allowance.
    entry_and_close_rows: RowSet,
    unstuck_rows: RowSet,
    /// Balances for which the levels of all open positions hold.
    covered: (f64, f64),
    /// A position has changed, or entries were left out for lack of room: positions must be looked at one by one.
    pub touched: bool,
    /// Rows in which the first entry of a flat coin might fill.
    pub flat_rows: RowSet,
}

impl SideOutlook {
    /// Of `n` coins.
    pub fn new(n: usize) -> Self {
        Self {
            watches: vec![Watch::NONE; n],
            open: vec![OpenRows::default(); n],
            limits: vec![0.0; n],
            firsts: vec![0; n],
            asked: vec![false; n],
            cramped: vec![0; n],
            asked_cramped: vec![false; n],
            contest: Contest::new(n),
            touched: true,
            ..Self::default()
        }
    }
}

/// All rows if it is true.
#[inline]
fn all_rows_if(holds: bool) -> RowSet {
    RowSet::from(holds).wrapping_neg()
}

/// What an outlook looks at: the state after a row, and the planner's input with limits, balance and allowances in place.
pub struct Scene<'a> {
    /// State after the row that might be planned.
    pub state: &'a RowState<'a>,
    /// Side-wide parameters, current limits, sizing balance.
    pub input: &'a PlanInput,
}

impl Scene<'_> {
    /// Takes levels and row sets of a side anew where they no longer hold. True if the side's enforcer might act.
    pub fn renew_side<S: Side>(&self, sides: &mut PerSide<SideOutlook>, page: &Page) -> bool {
        let (state, input) = (self.state, self.input);
        let (globals, side) = (S::of(&input.globals), S::of_mut(sides));
        if !globals.enabled() {
            return false;
        }
        if page.is_new {
            self.turn_page::<S>(side);
        }
        let open = S::of(&state.positions.open);
        side.free_slot = open.len() < side.rules.slots;
        let (mut total, mut reducible) = (0.0, false);
        for (coin, exposure) in open.iter().zip(state.positions.exposures::<S>(input.balance)) {
            let limit = side.limits[*coin];
            reducible |= (limit > 0.0) & (exposure > limit);
            total += exposure;
        }
        side.headroom = globals.total_limit.max(0.0) - total;
        let covered = side.covered.0 <= input.balance && input.balance <= side.covered.1;
        if page.is_new || side.touched || !covered {
            self.renew_all_open::<S>(side, page);
        }
        let may_unstick = all_rows_if(globals.unstuck_allowance > 0.0);
        side.open_rows = side.entry_and_close_rows | (side.unstuck_rows & may_unstick);
        self.renew_flat_rows::<S>(side, page);
        globals.twel_threshold >= 0.0 && reducible && total > globals.total_limit * globals.twel_threshold
    }

    /// Forgets what was known of the rows of another stretch.
    fn turn_page<S: Side>(&self, side: &mut SideOutlook) {
        let state = self.state;
        side.firsts.fill(0);
        side.asked.fill(false);
        side.cramped.fill(0);
        side.asked_cramped.fill(false);
        side.seen = false;
        side.contest.turn_page(side.same_coins);
        side.same_coins = true;
        let tradable = state.ranges.iter().filter(|range| range.tradable(state.row)).count();
        let forced = state.forced.iter().filter(|coin| is_forced::<S>(state, **coin)).count();
        side.rules = S::of(&self.input.globals).rules(tradable, forced);
        for (limit, symbol) in side.limits.iter_mut().zip(&self.input.symbols) {
            *limit = S::of(&symbol.sides).params.wallet_exposure_limit;
        }
    }

    /// Takes levels and rows of all open positions anew where they no longer hold.
    fn renew_all_open<S: Side>(&self, side: &mut SideOutlook, page: &Page) {
        let room = side.headroom * self.input.balance;
        (side.entry_and_close_rows, side.unstuck_rows, side.trail_rows) = (0, 0, 0);
        side.covered = (f64::NEG_INFINITY, f64::INFINITY);
        side.touched = false;
        for &coin in S::of(&self.state.positions.open) {
            self.renew_open::<S>(side, page, coin, room);
            let (OpenRows { entry, close, unstuck, barred }, watch) = (side.open[coin], &side.watches[coin]);
            side.entry_and_close_rows |= entry | close;
            side.unstuck_rows |= unstuck;
            side.trail_rows |= entry & all_rows_if(watch.trailing_entry);
            side.covered = (side.covered.0.max(watch.balances.0), side.covered.1.min(watch.balances.1));
            side.touched |= barred;
        }
    }

    /// Takes levels and rows of an open position anew where they no longer hold.
    #[inline]
    fn renew_open<S: Side>(&self, side: &mut SideOutlook, page: &Page, coin: usize, room: f64) {
        let balance = self.input.balance;
        let (watch, barred) = (&side.watches[coin], side.open[coin].barred);
        let more_room = (barred | page.is_new) & (room + 2.0 * GATE_SLACK * balance > watch.barrier.room);
        let volatility = self.state.indicators.volatility(coin, S::PSIDE);
        if more_room || !watch.covers(balance) {
            side.watches[coin] = Watch::new::<S>(&self.basis::<S>(coin, room), balance);
        } else if !page.is_new {
            return;
        } else if watch.volatility != volatility {
            let basis = self.basis::<S>(coin, room);
            if !side.watches[coin].watch_entries::<S>(&basis) {
                side.watches[coin] = Watch::new::<S>(&basis, balance);
            }
        }
        self.find_rows::<S>(coin, side);
    }

    fn basis<S: Side>(&self, coin: usize, room: f64) -> Basis<'_> {
        let (state, symbol) = (self.state, &self.input.symbols[coin]);
        Basis {
            exchange: &symbol.exchange,
            params: &S::of(&symbol.sides).params,
            position: S::of(&state.positions.held)[coin],
            volatility: state.indicators.volatility(coin, S::PSIDE),
            room,
            market: state.tape.coins[coin].touch(state.at),
        }
    }

    /// Rows in which the coin's candle goes to a side of its touch and of `level` in the next row, as entries ask for it.
    fn rows_reaching<S: Side>(&self, coin: usize, level: f64) -> RowSet {
        let tape = &self.state.tape.coins[coin];
        let (highest, lowest) = tape.bounds;
        if !S::deeper(if S::SIGN > 0.0 { lowest } else { highest }, level) {
            return 0;
        }
        let extreme = toward_entries::<S>(&tape.low, &tape.high);
        let close = &tape.close;
        tape.fillable & rows_where(|at| S::deeper(extreme[at + 1], close[at]) & S::deeper(extreme[at + 1], level))
    }

    /// Rows that concern an open position, from its levels.
    fn find_rows<S: Side>(&self, coin: usize, side: &mut SideOutlook) {
        let watch = &side.watches[coin];
        let mut rows = OpenRows::default();
        if let Some(level) = &watch.entry {
            rows.entry = self.rows_reaching::<S>(coin, level.price);
            if rows.entry != 0 {
                rows.entry &= self.fired_rows::<S, S>(coin, level);
            }
            if watch.barrier.stands() && rows.entry != 0 {
                let close = &self.state.tape.coins[coin].close;
                let turned = rows_where(|at| watch.barrier.turns_away(S::pass_in(close[at], level.price)));
                let turned = rows.entry & turned;
                let turned = turned & !self.rows_off_step(coin, turned);
                rows.barred = turned != 0;
                rows.entry &= !turned;
            }
        }
        let tape = &self.state.tape.coins[coin];
        if tape.bounds.1 < watch.partial_below {
            let low =
                rows_where(|at| (tape.low[at + 1] < watch.partial_below) | (tape.close[at] < watch.partial_below));
            rows.entry |= low & self.first_rows::<S>(coin);
        }
        if let Some(level) = &watch.close {
            rows.close = self.rows_reaching::<S::Opposite>(coin, level.price);
            if rows.close != 0 {
                rows.close &= self.fired_rows::<S, S::Opposite>(coin, level);
            }
        }
        if watch.may_unstick && self.unsticks::<S>(coin) {
            rows.unstuck = self.unstuck_rows::<S>(coin);
        }
        side.open[coin] = rows;
    }

    /// Rows in which an order of the position that waits for this level has fired. `T` is the side whose entries fire alike.
    fn fired_rows<S: Side, T: Side>(&self, coin: usize, level: &Level) -> RowSet {
        let Some(distances) = &level.fires else { return RowSet::MAX };
        let (state, tape) = (self.state, &self.state.tape.coins[coin]);
        let (highest, lowest) = tape.bounds;
        let (price, mut bundle) = (S::of(&state.positions.held)[coin].price, S::of(state.trailing)[coin]);
        let widest = TrailingBundle {
            min_since_open: bundle.min_since_open.min(lowest),
            max_since_min: bundle.max_since_min.max(highest),
            max_since_open: bundle.max_since_open.max(highest),
            min_since_max: bundle.min_since_max.min(lowest),
        };
        if !distances.fired::<T>(&widest, price) {
            return 0;
        }
        let from = S::of(state.trailed_to)[coin].saturating_sub(state.tape.first);
        let mut rows = 0;
        if from > 0 && distances.fired::<T>(&bundle, price) {
            rows |= 1 << (from - 1);
        }
        for at in from..state.tape.len {
            bundle.absorb(tape.high[at], tape.low[at], tape.close[at]);
            rows |= RowSet::from(distances.fired::<T>(&bundle, price)) << at;
        }
        rows
    }

    fn unsticks<S: Side>(&self, coin: usize) -> bool {
        let p = &S::of(&self.input.symbols[coin].sides).params;
        p.unstuck_loss_allowance_pct > 0.0 && p.unstuck_close_pct > 0.0 && p.unstuck_threshold > 0.0
    }

    /// Rows in which the first entry of a coin might fill.
    fn first_rows<S: Side>(&self, coin: usize) -> RowSet {
        let (tape, params) = (&self.state.tape.coins[coin], &S::of(&self.input.symbols[coin].sides).params);
        let Some((lower, upper)) = self.state.indicators.band_columns(self.state.tape, coin, S::PSIDE) else {
            return tape.fillable;
        };
        let (band, extreme, close) =
            (toward_entries::<S>(lower, upper), toward_entries::<S>(&tape.low, &tape.high), &tape.close);
        let factor = 1.0 - S::SIGN * params.entry_initial_ema_dist;
        let (scale, shift) = (1.0 + S::SIGN * SLACK.0, S::SIGN * SLACK.1);
        tape.fillable
            & rows_where(|at| {
                let level = band[at] * factor * scale + shift;
                S::deeper(extreme[at + 1], close[at]) & S::deeper(extreme[at + 1], level)
            })
    }

    /// Rows in which the touch is beyond the far band, as far as that can be said without rounding, and may be left.
    fn unstuck_rows<S: Side>(&self, coin: usize) -> RowSet {
        let (tape, params) = (&self.state.tape.coins[coin], &S::of(&self.input.symbols[coin].sides).params);
        let Some((lower, upper)) = self.state.indicators.band_columns(self.state.tape, coin, S::PSIDE) else {
            return tape.fillable;
        };
        let (band, extreme, close) =
            (toward_entries::<S>(upper, lower), toward_entries::<S>(&tape.high, &tape.low), &tape.close);
        let factor = 1.0 + S::SIGN * params.unstuck_ema_dist;
        let (scale, shift) = (1.0 - S::SIGN * SLACK.0, -S::SIGN * SLACK.1);
        tape.fillable
            & rows_where(|at| {
                let level = band[at] * factor * scale + shift;
                S::Opposite::deeper(extreme[at + 1], close[at]) & !S::deeper(close[at], level)
            })
    }

    /// Rows in which flat coins might open, where positions, the tape or a lack of room have changed them.
    fn renew_flat_rows<S: Side>(&self, side: &mut SideOutlook, page: &Page) {
        if !side.free_slot {
            side.flat_rows = 0;
            side.had_room = false;
            return;
        }
        let open = S::of(&self.state.positions.open);
        let has_room = self.room(side) >= page.ample_room;
        let moved = !side.seen || side.seen_open != *open;
        if moved || !has_room || !side.had_room {
            if moved {
                side.contest.count_slots::<S>(self.state, &side.rules);
                side.seen_open.clone_from(open);
                side.seen = true;
            }
            side.had_room = has_room;
            if page.contest == ContestKind::Ranking {
                side.contest.drop_idle::<S>(self.state, &side.rules);
            }
            self.find_first_rows::<S>(side, page);
            side.flat_rows = self.flat_rows::<S>(side, page);
        }
    }

    /// Cost that the side may still add, as far as the gate's slack tells.
    pub fn room(&self, side: &SideOutlook) -> f64 {
        (side.headroom + 2.0 * GATE_SLACK) * self.input.balance
    }

    /// Rows in which the first entries of flat coins might fill, as far as the side has room for them.
    ///
    /// Where it has none, an entry off the venue's step remains: a ladder rounds its price once more, which can make it
    /// cheaper than the smallest order.
    fn find_first_rows<S: Side>(&self, side: &mut SideOutlook, page: &Page) {
        let (room, held) = (self.room(side), S::of(&self.state.positions.held));
        let rows_left = rows_from(self.state.at) & !rows_from(self.state.tape.len);
        for (coin, smallest) in page.smallest_costs.iter().enumerate() {
            let has_a_chance = (rows_left & !side.contest.hopeless_rows(coin) != 0) & smallest.is_finite();
            let asks = !side.asked[coin] | (!side.asked_cramped[coin] & (*smallest > room));
            if !(has_a_chance & asks & !held[coin].is_open()) {
                continue;
            }
            if !std::mem::replace(&mut side.asked[coin], true) {
                side.firsts[coin] = self.first_rows::<S>(coin);
            }
            if *smallest > room {
                side.asked_cramped[coin] = true;
                side.cramped[coin] = self.rows_off_step(coin, side.firsts[coin]);
            }
        }
    }

    /// Those of the rows in which the last price is not on the venue's step.
    fn rows_off_step(&self, coin: usize, rows: RowSet) -> RowSet {
        let (close, step) = (&self.state.tape.coins[coin].close, self.state.coins[coin].exchange.price_step);
        let (mut left, mut off) = (rows, 0);
        while left != 0 {
            let at = left.trailing_zeros() as usize;
            left &= left - 1;
            off |= RowSet::from(quantize(close[at], step) != close[at]) << at;
        }
        off
    }

    /// Rows in which a flat coin that may win a slot might open.
    pub fn flat_rows<S: Side>(&self, side: &SideOutlook, page: &Page) -> RowSet {
        let room = self.room(side);
        (0..self.state.coins.len()).fold(0, |rows, coin| rows | self.opening_rows::<S>(side, page, coin, room))
    }

    /// Rows in which a coin might open, none if it is open already; `room` is that of the side.
    #[inline]
    pub fn opening_rows<S: Side>(&self, side: &SideOutlook, page: &Page, coin: usize, room: f64) -> RowSet {
        let flat = !S::of(&self.state.positions.held)[coin].is_open();
        let fits = all_rows_if(page.smallest_costs[coin] <= room);
        let firsts = (side.firsts[coin] & fits) | (side.cramped[coin] & !fits);
        firsts & !side.contest.hopeless_rows(coin) & all_rows_if(flat)
    }
}

/// Of a low and a high column the one toward the side's entries.
#[inline]
pub fn toward_entries<'c, S: Side>(low: &'c Column, high: &'c Column) -> &'c Column {
    if S::SIGN > 0.0 { low } else { high }
}
