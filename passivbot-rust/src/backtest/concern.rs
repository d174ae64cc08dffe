//! Rows of a stretch that concern a side: when something of its open positions, or of a flat coin, might fill.
//!
//! Part of the proof in `outlook`: every set may hold rows too many, never too few.

use super::contest::{Contest, ContestKind, is_forced};
use super::tape::{Column, RowSet, rows_from, rows_where};
use super::view::RowState;
use super::watch::{Basis, GATE_SLACK, Level, Watch};
use crate::coin_selection::Rules;
use crate::num::wallet_exposure;
use crate::orchestrator::input::PlanInput;
use crate::side::Side;
use crate::types::{PerSide, Position, TrailingBundle};

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

/// What is known of one side.
#[derive(Clone, Debug, Default)]
pub struct SideOutlook {
    /// What open positions wait for, by coin.
    pub watches: Vec<Watch>,
    /// Rows that concern them.
    pub open: Vec<OpenRows>,
    /// Rows in which the first entry of a coin might fill, if asked for in this stretch.
    pub firsts: Vec<Option<RowSet>>,
    /// The contest of flat coins for slots.
    pub contest: Contest,
    /// Its rules in the stretch.
    pub rules: Rules,
    /// Coins that may trade in the stretch.
    pub tradable: usize,
    /// A flat coin might get a slot.
    pub free_slot: bool,
    /// Cost that does for the smallest order of any coin.
    pub ample_room: f64,
    /// The side had as much room when the flat coins were last looked at.
    pub had_room: bool,
    /// Open positions at that time.
    pub seen_open: Vec<usize>,
    /// Coins that may trade, and limits, are those of the stretch before.
    pub same_coins: bool,
    /// Exposure that the side may still add.
    pub headroom: f64,
    /// Rows in which something of an open position might fill.
    pub open_rows: RowSet,
    /// Rows in which the first entry of a flat coin might fill.
    pub flat_rows: RowSet,
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
    pub fn renew_side<S: Side>(
        &self,
        sides: &mut PerSide<SideOutlook>,
        new_stretch: bool,
        contest: ContestKind,
    ) -> bool {
        let (state, input) = (self.state, self.input);
        let (globals, side) = (S::of(&input.globals), S::of_mut(sides));
        side.open_rows = 0;
        if !globals.enabled() {
            return false;
        }
        if new_stretch {
            side.firsts.fill(None);
            side.contest.turn_page(side.same_coins);
            side.same_coins = true;
        }
        let open = S::of(&state.positions.open);
        if new_stretch {
            side.tradable = state.ranges.iter().filter(|range| range.tradable(state.row)).count();
        }
        let forced = state.forced.iter().filter(|coin| is_forced::<S>(state, **coin)).count();
        side.rules = globals.rules(side.tradable, forced);
        side.free_slot = open.len() < side.rules.slots;
        let (mut total, mut reducible) = (0.0, false);
        for &coin in open {
            let Position { size, price } = S::of(&state.positions.held)[coin];
            let exposure = wallet_exposure(state.coins[coin].exchange.c_mult, input.balance, size, price);
            let limit = S::of(&input.symbols[coin].sides).params.wallet_exposure_limit;
            reducible |= limit > 0.0 && exposure > limit;
            total += exposure;
        }
        side.headroom = globals.total_limit.max(0.0) - total;
        let may_unstick = globals.unstuck_allowance > 0.0;
        for &coin in open {
            let symbol = &input.symbols[coin];
            let params = &S::of(&symbol.sides).params;
            let basis = Basis {
                exchange: &symbol.exchange,
                params,
                position: S::of(&state.positions.held)[coin],
                volatility: state.indicators.volatility(coin, S::PSIDE),
                room: side.headroom * input.balance,
                market: state.tape.coins[coin].touch(state.at),
            };
            let (watch, rows) = (side.watches[coin], side.open[coin]);
            let asked = rows.barred || new_stretch;
            let more_room = asked && basis.room + 2.0 * GATE_SLACK * input.balance > watch.barrier.room;
            if more_room || !watch.holds(&basis, input.balance) {
                side.watches[coin] = Watch::new::<S>(&basis, input.balance);
                self.find_rows::<S>(coin, side);
            } else if new_stretch {
                self.find_rows::<S>(coin, side);
            }
            let OpenRows { entry, close, unstuck, .. } = side.open[coin];
            side.open_rows |= entry | close | if may_unstick { unstuck } else { 0 };
        }
        self.renew_flat_rows::<S>(side, new_stretch, contest);
        globals.twel_threshold >= 0.0 && reducible && total > globals.total_limit * globals.twel_threshold
    }

    /// Rows in which the coin's candle goes to a side of its touch and of `level` in the next row, as entries ask for it.
    fn rows_reaching<S: Side>(&self, coin: usize, level: f64) -> RowSet {
        let tape = &self.state.tape.coins[coin];
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
                rows.barred = rows.entry & turned != 0;
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
    fn renew_flat_rows<S: Side>(&self, side: &mut SideOutlook, new_stretch: bool, contest: ContestKind) {
        if !side.free_slot {
            side.flat_rows = 0;
            side.had_room = false;
            return;
        }
        let open = S::of(&self.state.positions.open);
        let moved = side.contest.count_slots::<S>(self.state, &side.rules) || side.seen_open != *open;
        let room = (side.headroom + 2.0 * GATE_SLACK) * self.input.balance;
        let has_room = room >= side.ample_room;
        if moved || new_stretch || !has_room || !side.had_room {
            side.had_room = has_room && !new_stretch;
            side.seen_open.clone_from(open);
            if contest == ContestKind::Ranking {
                side.contest.drop_idle::<S>(self.state, &side.rules);
            }
            self.find_first_rows::<S>(side, room);
            side.flat_rows = self.flat_rows::<S>(side);
        }
    }

    /// Rows in which the first entries of flat coins might fill, as far as the side has room for them.
    fn find_first_rows<S: Side>(&self, side: &mut SideOutlook, room: f64) {
        side.ample_room = 0.0;
        for coin in 0..self.state.coins.len() {
            side.ample_room = side.ample_room.max(self.smallest_cost(coin));
            let flat = !S::of(&self.state.positions.held)[coin].is_open();
            let rows_left = self.state.tape.coins[coin].fillable & rows_from(self.state.at);
            let hopeless = rows_left & !side.contest.idle_rows(coin) == 0;
            if flat && !hopeless && side.firsts[coin].is_none() && self.has_room(coin, room) {
                side.firsts[coin] = Some(self.first_rows::<S>(coin));
            }
        }
    }

    /// Rows in which a flat coin that may win a slot might open.
    pub fn flat_rows<S: Side>(&self, side: &SideOutlook) -> RowSet {
        let room = (side.headroom + 2.0 * GATE_SLACK) * self.input.balance;
        let held = S::of(&self.state.positions.held);
        let flat = (0..held.len()).filter(|coin| !held[*coin].is_open() && self.has_room(*coin, room));
        flat.fold(0, |rows, coin| rows | side.firsts[coin].unwrap_or(0) & !side.contest.hopeless_rows(coin))
    }

    /// The smallest order of a flat coin fits the side.
    fn has_room(&self, coin: usize, room: f64) -> bool {
        self.state.tape.coins[coin].fillable != 0 && self.smallest_cost(coin) <= room
    }

    /// No order of the coin costs less in the stretch.
    fn smallest_cost(&self, coin: usize) -> f64 {
        let ex = &self.state.coins[coin].exchange;
        ex.min_cost.max(self.state.tape.coins[coin].bounds.1 * ex.min_qty * ex.c_mult)
    }
}

/// Of a low and a high column the one toward the side's entries.
#[inline]
pub fn toward_entries<'c, S: Side>(low: &'c Column, high: &'c Column) -> &'c Column {
    if S::SIGN > 0.0 { low } else { high }
}
