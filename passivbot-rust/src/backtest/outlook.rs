//! What could fill in the next candle: the proof that a planning pass may be skipped.
//!
//! Orders planned at row k are seen only through their fills at k + 1 (`backtest_engine.md` 18). A pass is skipped when
//! none of its orders can fill there, and none can be refused. The obligations, one by one:
//!
//! - *No fill at all* for a coin that is not tradable at k + 1, and on a side that is not enabled.
//! - *First entries* exist only for flat coins while their side has a free slot. Their price is the touch or the rounded
//!   band, whichever is farther from the market. Ranking, one-way blocks, modes and the minimum-cost test can only take
//!   such an order away.
//! - *Re-entries* rest at the touch or at a level that depends on the position, the balance, the limit and the hourly
//!   volatility alone (`EntryInputs::reentry`); a trailing one must also have fired. The completion of a first order
//!   needs a market price below `EntryInputs::partial_below` and rests where a first order would. Ladders exist only behind an order that fills.
//! - *Closes* rest at the touch or at such a level (`CloseInputs::level`); the enforcer of the position rests at the touch.
//! - *Unstucking* needs an allowance, a stuck exposure and a touch beyond the far band; its order rests at the touch.
//! - *The side enforcer* acts only above the side's limit; while it might, nothing is skipped.
//! - *Trimming* and *gating* change quantities and remove orders, never prices, so they add no fill.
//! - *Panic* orders on tradable coins (forced modes): nothing is skipped.
//! - *Errors*: the planner refuses a balance, price, band or volatility that is not a positive number. Once a candle has
//!   a price that could lead to one, or a span an EMA weight outside (0, 1], nothing is skipped any more (`odd`).
//!
//! Of a pass that is made, only the part is planned that might fill, and what bears on it:
//!
//! - Closes coin by coin. Trimming looks at one coin; the side enforcer, which looks at all, does not act; the account's
//!   unstuck close is looked for only where it could fill.
//! - Entries of a side up to the distance that the next candle reaches on any coin whose entry might fill. The gate removes
//!   the farthest first, so it treats what stands nearer alike whether or not anything stands behind it, as long as every
//!   entry makes the side's exposure grow (sizes on the step) and none is dust (`Workspace::saw_dust`).
//!
//! The questions are asked for all rows of a stretch at once, with levels that hold for a range of balances (`watch`); a row
//! that remains is looked at more closely, with the orders themselves. Row sets are renewed after every event that can move
//! levels: a fill, a new sizing balance, a new limit, a new stretch.

use super::contest::{Contest, is_forced};
use super::tape::{Column, RowSet, rows_from, rows_where};
use super::view::RowState;
use super::watch::{Basis, GATE_SLACK, Level, Watch};
use crate::closes::CloseInputs;
use crate::coin_selection::Rules;
use crate::entries::EntryInputs;
use crate::num::{new_position, round_step, wallet_exposure};
use crate::orchestrator::Part;
use crate::orchestrator::input::{Ask, Mode, PlanInput};
use crate::risk::TINY;
use crate::side::{Long, Short, Side};
use crate::types::{Order, PerSide, Position, TrailingBundle};

/// Slack of distances from the touch, far above their rounding and far below what matters.
const DEPTH_SLACK: f64 = 1e-12;
/// Relative and absolute slack that covers step rounding and its cleanup to ten decimals.
const SLACK: (f64, f64) = (1e-12, 1e-9);

/// Rows of the stretch in which orders of an open position might fill in the next row.
#[derive(Clone, Copy, Debug, Default)]
struct OpenRows {
    entry: RowSet,
    close: RowSet,
    unstuck: RowSet,
    /// Some entry rows were left out because the side has no room for them.
    barred: bool,
}

/// What is known of one side.
#[derive(Clone, Debug, Default)]
struct SideOutlook {
    watches: Vec<Watch>,
    open: Vec<OpenRows>,
    /// Rows in which the first entry of a coin might fill, if asked for in this stretch.
    firsts: Vec<Option<RowSet>>,
    contest: Contest,
    rules: Rules,
    /// Coins that may trade in the stretch.
    tradable: usize,
    /// A flat coin might get a slot.
    free_slot: bool,
    /// Cost that does for the smallest order of any coin; the side had as much when the flat coins were last looked at.
    ample_room: f64,
    had_room: bool,
    /// Open positions at that time.
    seen_open: Vec<usize>,
    /// Coins that may trade, and limits, are those of the stretch before.
    same_coins: bool,
    /// Exposure that the side may still add.
    headroom: f64,
    /// Rows in which something of an open position, or of a flat coin, might fill.
    open_rows: RowSet,
    flat_rows: RowSet,
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

/// What the proof rests on between two events.
#[derive(Clone, Debug, Default)]
pub struct Outlook {
    sides: PerSide<SideOutlook>,
    /// What of the row last looked at must be planned, coin by coin.
    pub part: Part,
    /// The same by side.
    pub asks: PerSide<Vec<Ask>>,
    /// No entry of the side farther from its touch fills.
    pub depth: PerSide<f64>,
    /// The parts cannot be told apart: everything must be planned.
    pub whole: bool,
    contest: ContestKind,
    /// The side's enforcer might act, or a forced panic is on: nothing is skipped.
    restless: bool,
    /// Row sets must be renewed before they are used again.
    stale: bool,
    /// The tape has moved on since the row sets were made.
    new_stretch: bool,
    /// Sizing balance the row sets were made with.
    sizing: f64,
}

impl Outlook {
    /// An outlook on `n` coins that knows nothing yet.
    pub fn new(n: usize, contest: ContestKind) -> Self {
        let side = SideOutlook {
            watches: vec![Watch::NONE; n],
            open: vec![OpenRows::default(); n],
            firsts: vec![None; n],
            ..SideOutlook::default()
        };
        Self {
            sides: PerSide::from_fn(|_| side.clone()),
            asks: PerSide::from_fn(|_| vec![Ask::NONE; n]),
            contest,
            stale: true,
            new_stretch: true,
            ..Self::default()
        }
    }

    /// A fill has changed the position and its trailing extremes.
    #[inline]
    pub fn forget_position<S: Side>(&mut self, coin: usize) {
        self.stale = true;
        S::of_mut(&mut self.sides).watches[coin] = Watch::NONE;
    }

    /// The tape holds other rows.
    pub fn turn_page(&mut self) {
        (self.stale, self.new_stretch) = (true, true);
    }

    /// Coins that may trade, and limits, have changed: no level holds any more.
    pub fn forget(&mut self) {
        self.stale = true;
        for side in [&mut self.sides.long, &mut self.sides.short] {
            side.watches.fill(Watch::NONE);
            side.same_coins = false;
        }
    }

    /// First row from `at` on that must be looked at, `len` at most.
    pub fn next_row(&self, at: usize, len: usize) -> usize {
        if self.stale || self.restless {
            return at;
        }
        let rows = self.rows() & rows_from(at);
        len.min(rows.trailing_zeros() as usize)
    }

    /// Row sets are out of date.
    #[inline]
    pub fn needs_renewal(&self, balance: f64) -> bool {
        self.stale || self.sizing != balance
    }

    /// Something planned at the row might fill, as far as row sets tell.
    #[inline]
    pub fn concerned(&self, at: usize) -> bool {
        self.restless || self.rows() >> at & 1 == 1
    }

    fn rows(&self) -> RowSet {
        self.sides.iter().fold(0, |rows, side| rows | side.open_rows | side.flat_rows)
    }

    /// The next orders of the position will be looked at for the row.
    pub fn concerns<S: Side>(&self, coin: usize, at: usize) -> bool {
        let rows = &S::of(&self.sides).open[coin];
        (rows.entry | rows.close) >> at & 1 == 1
    }
}

/// What an outlook looks at: the state after a row, and the planner's input with limits, balance and allowances in place.
pub struct Scene<'a> {
    /// State after the row that might be planned.
    pub state: &'a RowState<'a>,
    /// Side-wide parameters, current limits, sizing balance.
    pub input: &'a PlanInput,
}

impl Scene<'_> {
    /// Takes levels and row sets anew where they no longer hold.
    pub fn renew(&self, outlook: &mut Outlook) {
        outlook.stale = false;
        outlook.sizing = self.input.balance;
        outlook.restless = self.has_forced_panic();
        let (new_stretch, contest) = (outlook.new_stretch, outlook.contest);
        outlook.new_stretch = false;
        outlook.restless |= self.renew_side::<Long>(&mut outlook.sides, new_stretch, contest);
        outlook.restless |= self.renew_side::<Short>(&mut outlook.sides, new_stretch, contest);
    }

    fn has_forced_panic(&self) -> bool {
        let panics = |coin: &usize| self.state.coins[*coin].forced_modes.iter().any(|mode| *mode == Some(Mode::Panic));
        self.state.forced.iter().any(panics)
    }

    /// True if the side's enforcer might act.
    fn renew_side<S: Side>(&self, sides: &mut PerSide<SideOutlook>, new_stretch: bool, contest: ContestKind) -> bool {
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
    fn flat_rows<S: Side>(&self, side: &SideOutlook) -> RowSet {
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

    /// Finds out which orders planned at this row, which is one of concern, might fill in the next one; false if none.
    pub fn may_fill(&self, outlook: &mut Outlook) -> bool {
        outlook.whole = outlook.restless;
        if outlook.whole {
            return true;
        }
        for &coin in &outlook.part.coins {
            outlook.asks.long[coin] = Ask::NONE;
            outlook.asks.short[coin] = Ask::NONE;
        }
        outlook.part.coins.clear();
        outlook.part.unstuck = false;
        let long = self.mark_closes::<Long>(outlook) | self.mark_entries::<Long>(outlook);
        let short = self.mark_closes::<Short>(outlook) | self.mark_entries::<Short>(outlook);
        let Outlook { asks, part, .. } = outlook;
        let asked = |coin: &usize| asks.long[*coin].anything() || asks.short[*coin].anything();
        part.coins.extend((0..self.state.coins.len()).filter(asked));
        long || short
    }

    #[inline]
    fn here(&self, rows: RowSet) -> bool {
        rows >> self.state.at & 1 == 1
    }

    /// Marks the coins whose closes might fill.
    fn mark_closes<S: Side>(&self, outlook: &mut Outlook) -> bool {
        let side = S::of(&outlook.sides);
        if !self.here(side.open_rows) {
            return false;
        }
        let may_unstick = S::of(&self.input.globals).unstuck_allowance > 0.0;
        let mut any = false;
        for &coin in S::of(&self.state.positions.open) {
            let rows = &side.open[coin];
            let unstuck = may_unstick && self.here(rows.unstuck);
            if unstuck || (self.here(rows.close) && self.close_fills::<S>(coin)) {
                S::of_mut(&mut outlook.asks)[coin].closes = true;
                outlook.part.unstuck |= unstuck;
                any = true;
            }
        }
        any
    }

    /// Marks the coins with entries that might fill or stand before one that might.
    fn mark_entries<S: Side>(&self, outlook: &mut Outlook) -> bool {
        let (mut fills, mut depth) = (false, 0.0_f64);
        let side = S::of_mut(&mut outlook.sides);
        let open = S::of(&self.state.positions.open);
        for &coin in open.iter().filter(|coin| self.here(side.open[**coin].entry)) {
            depth = depth.max(self.reach::<S>(coin));
            fills = fills || self.entry_fills::<S>(coin, side.headroom);
        }
        if self.here(side.flat_rows) {
            self.drop_idle::<S>(side, outlook.contest);
            let mut lost = false;
            for coin in 0..self.state.coins.len() {
                if self.is_open::<S>(coin)
                    || !self.here(side.firsts[coin].unwrap_or(0) & !side.contest.hopeless_rows(coin))
                {
                    continue;
                }
                if self.may_open::<S>(side, outlook.contest, coin) {
                    depth = depth.max(self.reach::<S>(coin));
                    fills = fills || self.entry_fills::<S>(coin, side.headroom);
                } else {
                    lost = true;
                }
            }
            if lost {
                side.flat_rows = self.flat_rows::<S>(side);
            }
        }
        if fills {
            *S::of_mut(&mut outlook.depth) = depth;
            outlook.whole |= outlook.contest == ContestKind::Filtered;
            self.mark_near_entries::<S>(outlook, depth);
        }
        fills
    }

    /// Marks all coins whose next entry might stand no farther from the touch than `depth`.
    fn mark_near_entries<S: Side>(&self, outlook: &mut Outlook, depth: f64) {
        let (side, asks) = (S::of_mut(&mut outlook.sides), S::of_mut(&mut outlook.asks));
        let stands_near = |coin: usize, price: f64| {
            let touch = self.state.tape.coins[coin].touch(self.state.at);
            S::distance(touch, S::pass_in(touch, price)) <= depth + DEPTH_SLACK
        };
        for &coin in S::of(&self.state.positions.open) {
            let (watch, tape) = (&side.watches[coin], &self.state.tape.coins[coin]);
            let Position { size, .. } = S::of(&self.state.positions.held)[coin];
            let off_step = round_step(size, self.state.coins[coin].exchange.qty_step) != size;
            let incomplete = tape.touch(self.state.at) * (1.0 - depth - DEPTH_SLACK) < watch.partial_below;
            asks[coin].entries =
                off_step || incomplete || watch.entry.is_some_and(|level| stands_near(coin, level.price));
        }
        if !side.free_slot {
            return;
        }
        self.drop_idle::<S>(side, outlook.contest);
        for coin in 0..self.state.coins.len() {
            if !self.is_open::<S>(coin) && stands_near(coin, self.first_price::<S>(coin)) {
                asks[coin].entries = self.may_open::<S>(side, outlook.contest, coin);
            }
        }
    }

    fn is_open<S: Side>(&self, coin: usize) -> bool {
        S::of(&self.state.positions.held)[coin].is_open()
    }

    /// Distance from the touch that the next candle reaches.
    fn reach<S: Side>(&self, coin: usize) -> f64 {
        let tape = &self.state.tape.coins[coin];
        let extreme = toward_entries::<S>(&tape.low, &tape.high)[self.state.at + 1];
        S::distance(tape.touch(self.state.at), extreme)
    }

    /// Price that the first entry of a coin does not pass toward the market.
    fn first_price<S: Side>(&self, coin: usize) -> f64 {
        let params = &S::of(&self.input.symbols[coin].sides).params;
        let bands = self.state.indicators.bands(self.state.tape, coin, S::PSIDE, self.state.at);
        let level = bands.map_or(S::SIGN * f64::INFINITY, S::band_in) * (1.0 - S::SIGN * params.entry_initial_ema_dist);
        level * (1.0 + S::SIGN * SLACK.0) + S::SIGN * SLACK.1
    }

    /// Brings the first step of the ranking up to the row.
    fn drop_idle<S: Side>(&self, side: &mut SideOutlook, contest: ContestKind) {
        if contest == ContestKind::Ranking && side.contest.drop_idle::<S>(self.state, &side.rules) {
            side.flat_rows = self.flat_rows::<S>(side);
        }
    }

    /// A flat coin might have a slot.
    fn may_open<S: Side>(&self, side: &mut SideOutlook, contest: ContestKind, coin: usize) -> bool {
        match contest {
            ContestKind::Ranking => side.contest.grants_slot::<S>(self.state, &side.rules, coin),
            ContestKind::None | ContestKind::Filtered => self.state.ranges[coin].tradable(self.state.row),
        }
    }

    /// The next entry itself against the next candle.
    fn entry_fills<S: Side>(&self, coin: usize, headroom: f64) -> bool {
        let (state, symbol) = (self.state, &self.input.symbols[coin]);
        let Some(bands) = state.indicators.bands(state.tape, coin, S::PSIDE, state.at) else { return true };
        let position = S::of(&state.positions.held)[coin];
        let entries = EntryInputs {
            exchange: &symbol.exchange,
            params: &S::of(&symbol.sides).params,
            trailing: &S::of(state.trailing)[coin],
            balance: self.input.balance,
            band_in: S::band_in(bands),
            volatility: state.indicators.volatility(coin, S::PSIDE),
        };
        let tape = &state.tape.coins[coin];
        let order = entries.next::<S>(position, tape.touch(state.at));
        let extreme = toward_entries::<S>(&tape.low, &tape.high)[state.at + 1];
        order.qty != 0.0 && S::deeper(extreme, order.price) && self.fits(coin, position, &order, headroom)
    }

    /// The gate might let the entry or a part of it pass: the smallest part fits the side's limit. An entry below the
    /// venue's minimum passes unexamined where the others fit.
    fn fits(&self, coin: usize, position: Position, order: &Order, headroom: f64) -> bool {
        let ex = &self.state.coins[coin].exchange;
        let part = ex.min_entry_qty(order.price);
        if order.qty.abs() + TINY < part {
            return true;
        }
        let (size, price) = new_position(position.size.abs(), position.price, part, order.price, ex.qty_step);
        let exposure = |size, price| wallet_exposure(ex.c_mult, self.input.balance, size, price);
        let added = exposure(size, price) - exposure(position.size, position.price);
        added < headroom + GATE_SLACK
    }

    /// The next close itself against the next candle.
    fn close_fills<S: Side>(&self, coin: usize) -> bool {
        let (state, symbol) = (self.state, &self.input.symbols[coin]);
        let tape = &state.tape.coins[coin];
        let closes = CloseInputs {
            exchange: &symbol.exchange,
            params: &S::of(&symbol.sides).params,
            trailing: &S::of(state.trailing)[coin],
            balance: self.input.balance,
            touch_out: tape.touch(state.at),
        };
        let order = closes.next::<S>(S::of(&state.positions.held)[coin]);
        let extreme = toward_entries::<S>(&tape.high, &tape.low)[state.at + 1];
        order.qty != 0.0 && S::Opposite::deeper(extreme, order.price)
    }
}

/// Of a low and a high column the one toward the side's entries.
#[inline]
fn toward_entries<'c, S: Side>(low: &'c Column, high: &'c Column) -> &'c Column {
    if S::SIGN > 0.0 { low } else { high }
}
