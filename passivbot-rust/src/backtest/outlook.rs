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
//! Of a pass that is made, only that part is planned which might fill: all entries of a side, since the gate weighs them
//! against each other, or none; the closes of a coin or none. The closes left out bear on no other order: trimming looks at
//! one coin, and the side enforcer, which looks at all, does not act.
//!
//! Levels are kept for each open position and renewed after every event that can move them: a fill, a new sizing balance,
//! a new limit, a new hourly EMA.

use super::dataset::{Candle, Candles};
use super::view::RowState;
use crate::closes::CloseInputs;
use crate::coin_selection::{Coins, Rules, Selector};
use crate::entries::{EntryInputs, Reentry};
use crate::num::{new_position, round_step, wallet_exposure};
use crate::orchestrator::input::{Mode, PlanInput};
use crate::risk::TINY;
use crate::side::{Long, Short, Side};
use crate::trailing::TrailingDistances;
use crate::types::{Order, PerSide, Position};
use std::marker::PhantomData;

/// Relative and absolute slack that covers step rounding and its cleanup to ten decimals.
const SLACK: (f64, f64) = (1e-12, 1e-9);

/// Slack of the entry gate's test.
const GATE_SLACK: f64 = 1e-9;

/// An order that would take a position to this multiple of its limit is cropped, rounding included.
const CROPPED_SURELY: f64 = 1.02;
/// An order that would take a position to this multiple of its limit ends below it, rounding included.
const CALM_SURELY: f64 = 0.999;
/// A re-entry is no smaller than a first order, which is at most this multiple of the position (8.3).
const FIRST_OVER_SIZE: f64 = 1.25;

/// What one open position waits for, constant between events.
#[derive(Clone, Copy, Debug)]
pub struct Watch {
    /// Re-entries rest here or farther from the market.
    entry_level: f64,
    /// Below this market price a first order might be completed.
    partial_below: f64,
    /// Distances of a re-entry that must have fired.
    entry_trailing: Option<TrailingDistances>,
    /// When re-entries are too large for the side whatever their quantity.
    barrier: Barrier,
    /// Closes rest here or farther from the market.
    close_level: f64,
    /// The position counts as stuck as far as exposure goes.
    may_unstick: bool,
}

impl Watch {
    /// A position that waits for nothing.
    pub const IDLE: Self = Self {
        entry_level: f64::NAN,
        partial_below: f64::NEG_INFINITY,
        entry_trailing: None,
        barrier: Barrier::NONE,
        close_level: f64::NAN,
        may_unstick: false,
    };
}

/// Prices at which the entry gate turns every re-entry of a position away, without computing the re-entry.
///
/// The gate admits no part below the venue's minimum, which costs at least `min_cost` and `min_qty` times the price. It does
/// not examine orders below that minimum; those come from inflation alone, and only where the uninflated order would end
/// between the limit and 1.01 times it, or is the minimum itself and overshoots.
#[derive(Clone, Copy, Debug)]
struct Barrier {
    /// The smallest order is too large at every price.
    always: bool,
    /// The smallest order is too large from this price on.
    too_large_from: f64,
    /// Below this price the re-entry ends below the limit.
    calm_below: f64,
    /// From this price on it is larger than the minimum and is cropped.
    cropped_from: f64,
}

impl Barrier {
    /// Nothing is turned away.
    const NONE: Self = Self {
        always: false,
        too_large_from: f64::INFINITY,
        calm_below: f64::NEG_INFINITY,
        cropped_from: f64::INFINITY,
    };

    /// `headroom`: exposure that the side may still add.
    fn new(inputs: &EntryInputs<'_>, position: Position, exposure: f64, reentry: &Reentry, headroom: f64) -> Self {
        let (ex, params, balance) = (inputs.exchange, inputs.params, inputs.balance);
        if balance <= 0.0 || round_step(position.size, ex.qty_step) != position.size {
            return Self::NONE;
        }
        let room = (headroom + 2.0 * GATE_SLACK) * balance;
        let size = position.size.abs();
        let price_of = |cost: f64, qty: f64| if cost > 0.0 { cost / (qty * ex.c_mult) } else { 0.0 };
        let at_least = (size * params.entry_grid_double_down_factor - ex.qty_step).max(0.0);
        let at_most = size * params.entry_grid_double_down_factor.max(FIRST_OVER_SIZE) + ex.min_qty + 2.0 * ex.qty_step;
        let at_most_cost = (params.effective_limit() * params.entry_initial_qty_pct).max(0.0) * balance + ex.min_cost;
        let above_minimum = at_least - ex.min_qty - ex.qty_step;
        let above_minimum_from = if above_minimum > 0.0 { price_of(ex.min_cost, above_minimum) } else { f64::INFINITY };
        let overshoots_from = price_of((reentry.limit * CROPPED_SURELY - exposure) * balance, at_least);
        let calm_cost = (reentry.limit * CALM_SURELY - exposure) * balance - at_most_cost;
        Self {
            always: ex.min_cost > room,
            too_large_from: price_of(room, ex.min_qty),
            calm_below: if reentry.trailing.is_none() { price_of(calm_cost, at_most) } else { f64::INFINITY },
            cropped_from: overshoots_from.max(above_minimum_from),
        }
    }

    #[inline]
    fn turns_away(&self, price: f64) -> bool {
        (self.always || price >= self.too_large_from) && (price < self.calm_below || price >= self.cropped_from)
    }
}

/// The next candle as one side sees it.
#[derive(Clone, Copy)]
struct Ahead {
    close: f64,
    /// Extreme toward entries: low | high.
    toward_entries: f64,
    /// Extreme toward closes: high | low.
    toward_closes: f64,
    lowest: f64,
}

impl Ahead {
    #[inline]
    fn new<S: Side>(close: f64, next: Candle) -> Self {
        let (toward_entries, toward_closes) = if S::SIGN > 0.0 { (next.low, next.high) } else { (next.high, next.low) };
        Self { close, toward_entries, toward_closes, lowest: next.low.min(close) }
    }

    /// An entry at the touch, at `level` or farther might fill.
    #[inline]
    fn reaches_entry<S: Side>(&self, level: f64) -> bool {
        S::deeper(self.toward_entries, self.close) && S::deeper(self.toward_entries, level)
    }

    /// A close at the touch, at `level` or farther might fill.
    #[inline]
    fn reaches_close<S: Side>(&self, level: f64) -> bool {
        S::Opposite::deeper(self.toward_closes, self.close) && S::Opposite::deeper(self.toward_closes, level)
    }
}

/// What the proof rests on between two events.
#[derive(Clone, Debug, Default)]
pub struct Outlook {
    watches: PerSide<Vec<Watch>>,
    /// Entries of the side might fill.
    pub entries: PerSide<bool>,
    /// Closes of the coin might fill; up to date for open positions of enabled sides.
    pub closes: PerSide<Vec<bool>>,
    /// The ranking decides between flat coins, and nothing but the ranking: no minimum-cost filter.
    ranks: bool,
    selector: PerSide<Selector>,
    rules: PerSide<Rules>,
    active: Vec<bool>,
    /// A flat coin of the side might get a slot.
    free_slot: PerSide<bool>,
    /// Exposure that the side may still add.
    headroom: PerSide<f64>,
    /// The side's enforcer might act, or a forced panic is on: nothing is skipped.
    restless: bool,
    /// Levels must be renewed before they are used again.
    stale: bool,
    /// Sizing balance the levels were made with.
    sizing: f64,
}

impl Outlook {
    /// An outlook on `n` coins that knows nothing yet; `ranks`: flat coins compete for slots by their ranking alone.
    pub fn new(n: usize, ranks: bool) -> Self {
        Self {
            watches: PerSide::from_fn(|_| vec![Watch::IDLE; n]),
            closes: PerSide::from_fn(|_| vec![false; n]),
            ranks,
            stale: true,
            ..Self::default()
        }
    }

    /// An event moved what levels depend on.
    #[inline]
    pub fn expire(&mut self) {
        self.stale = true;
    }
}

/// What an outlook looks at: the state after a row, and the planner's input with limits, balance and allowances in place.
pub struct Scene<'a, C: Candles> {
    /// State after the row that might be planned.
    pub state: &'a RowState<'a, C>,
    /// Side-wide parameters, current limits, sizing balance.
    pub input: &'a PlanInput,
}

/// One side of all coins as coin selection sees it, before the planner's input is refilled.
struct Contenders<'a, C: Candles, S: Side> {
    scene: &'a Scene<'a, C>,
    side: PhantomData<S>,
}

impl<C: Candles, S: Side> Coins for Contenders<'_, C, S> {
    fn len(&self) -> usize {
        self.scene.state.coins.len()
    }
    fn is_open(&self, coin: usize) -> bool {
        S::of(&self.scene.state.positions.held)[coin].is_open()
    }
    fn is_forced(&self, coin: usize) -> bool {
        *S::of(&self.scene.state.coins[coin].forced_modes) == Some(Mode::Normal)
    }
    fn is_eligible(&self, coin: usize) -> bool {
        let state = &self.scene.state;
        let (range, mode) = (&state.ranges[coin], *S::of(&state.coins[coin].forced_modes));
        let panics = self.is_open(coin) && range.past_end(state.row);
        range.tradable(state.row) && !panics && matches!(mode, None | Some(Mode::Normal))
    }
    fn volume(&self, coin: usize) -> f64 {
        self.scene.state.indicators.volume_score(coin, S::PSIDE)
    }
    fn volatility(&self, coin: usize) -> f64 {
        self.scene.state.indicators.volatility_score(coin, S::PSIDE)
    }
}

impl<C: Candles> Scene<'_, C> {
    fn renew(&self, outlook: &mut Outlook) {
        outlook.stale = false;
        outlook.sizing = self.input.balance;
        outlook.restless = self.has_forced_panic();
        self.renew_side::<Long>(outlook);
        self.renew_side::<Short>(outlook);
    }

    fn has_forced_panic(&self) -> bool {
        self.state.coins.iter().any(|coin| coin.forced_modes.iter().any(|mode| *mode == Some(Mode::Panic)))
    }

    fn renew_side<S: Side>(&self, outlook: &mut Outlook) {
        let globals = S::of(&self.input.globals);
        let tradable = self.state.ranges.iter().filter(|range| range.tradable(self.state.row)).count();
        let forced = self.state.coins.iter().filter(|coin| *S::of(&coin.forced_modes) == Some(Mode::Normal)).count();
        let open = S::of(&self.state.positions.open);
        let rules = globals.rules(tradable, forced);
        *S::of_mut(&mut outlook.rules) = rules;
        *S::of_mut(&mut outlook.free_slot) = globals.enabled() && open.len() < rules.slots;
        let exposure = |coin: usize| {
            let Position { size, price } = S::of(&self.state.positions.held)[coin];
            wallet_exposure(self.state.coins[coin].exchange.c_mult, self.input.balance, size, price)
        };
        let total = open.iter().fold(0.0, |sum, coin| sum + exposure(*coin));
        let headroom = globals.total_limit.max(0.0) - total;
        *S::of_mut(&mut outlook.headroom) = headroom;
        let mut reducible = false;
        for &coin in open {
            let (position, exposure) = (S::of(&self.state.positions.held)[coin], exposure(coin));
            let floor = S::of(&self.input.symbols[coin].sides).params.wallet_exposure_limit;
            reducible |= floor > 0.0 && exposure > floor;
            S::of_mut(&mut outlook.watches)[coin] = self.watch::<S>(coin, position, exposure, headroom);
        }
        let enforced = globals.total_limit * globals.twel_threshold;
        outlook.restless |= globals.enabled() && globals.twel_threshold >= 0.0 && reducible && total > enforced;
    }

    fn entry_inputs<S: Side>(&self, coin: usize, band_in: f64) -> EntryInputs<'_> {
        let symbol = &self.input.symbols[coin];
        EntryInputs {
            exchange: &symbol.exchange,
            params: &S::of(&symbol.sides).params,
            trailing: &S::of(self.state.trailing)[coin],
            balance: self.input.balance,
            band_in,
            volatility: self.state.indicators.volatility(coin, S::PSIDE),
        }
    }

    fn close_inputs<S: Side>(&self, coin: usize, touch_out: f64) -> CloseInputs<'_> {
        let symbol = &self.input.symbols[coin];
        CloseInputs {
            exchange: &symbol.exchange,
            params: &S::of(&symbol.sides).params,
            trailing: &S::of(self.state.trailing)[coin],
            balance: self.input.balance,
            touch_out,
        }
    }

    fn watch<S: Side>(&self, coin: usize, position: Position, exposure: f64, headroom: f64) -> Watch {
        let params = &S::of(&self.input.symbols[coin].sides).params;
        let entries = self.entry_inputs::<S>(coin, position.price);
        let closes = self.close_inputs::<S>(coin, position.price);
        let limit = params.allowed_limit();
        let unstucks = params.unstuck_loss_allowance_pct > 0.0
            && params.unstuck_close_pct > 0.0
            && params.unstuck_threshold > 0.0
            && S::of(&self.input.globals).unstuck_allowance > 0.0;
        let reentry = entries.reentry::<S>(position);
        let barrier = |reentry: &Reentry| Barrier::new(&entries, position, exposure, reentry, headroom);
        Watch {
            entry_level: reentry.map_or(f64::NAN, |reentry| reentry.level),
            partial_below: entries.partial_below::<S>(position),
            entry_trailing: reentry.and_then(|reentry| reentry.trailing),
            barrier: reentry.as_ref().map_or(Barrier::NONE, barrier),
            close_level: closes.level::<S>(position).unwrap_or(f64::NAN),
            may_unstick: unstucks && (limit <= 0.0 || exposure / limit > params.unstuck_threshold),
        }
    }

    /// Finds out which orders planned at this row might fill in the next one; false if none.
    pub fn may_fill(&self, outlook: &mut Outlook) -> bool {
        if outlook.stale || outlook.sizing != self.input.balance {
            self.renew(outlook);
        }
        if outlook.restless {
            outlook.entries = PerSide { long: true, short: true };
            outlook.closes.long.fill(true);
            outlook.closes.short.fill(true);
            return true;
        }
        let long = self.look_at_side::<Long>(outlook);
        let short = self.look_at_side::<Short>(outlook);
        long || short
    }

    /// Marks what of a side might fill: entries as one, because the gate weighs all of them, closes coin by coin.
    fn look_at_side<S: Side>(&self, outlook: &mut Outlook) -> bool {
        if !S::of(&self.input.globals).enabled() {
            return false;
        }
        let held = S::of(&self.state.positions.held);
        let (mut entries, mut any_close) = (false, false);
        for &coin in S::of(&self.state.positions.open) {
            let reachable = self.state.ranges[coin].tradable(self.state.row + 1);
            let ahead = self.ahead::<S>(coin);
            let closes = reachable && self.close_may_fill::<S>(coin, held[coin], outlook, ahead);
            S::of_mut(&mut outlook.closes)[coin] = closes;
            any_close |= closes;
            entries |= !entries && reachable && self.reentry_may_fill::<S>(coin, held[coin], outlook, ahead);
        }
        entries = entries || (*S::of(&outlook.free_slot) && self.flat_coins_may_fill::<S>(outlook));
        *S::of_mut(&mut outlook.entries) = entries;
        entries || any_close
    }

    #[inline]
    fn ahead<S: Side>(&self, coin: usize) -> Ahead {
        let column = self.state.coins[coin].column;
        let next = self.state.candles.at(self.state.row + 1, column);
        Ahead::new::<S>(self.state.ranges[coin].touch(self.state.row, column, self.state.candles), next)
    }

    /// Some flat coin with a slot might open.
    fn flat_coins_may_fill<S: Side>(&self, outlook: &mut Outlook) -> bool {
        let held = S::of(&self.state.positions.held);
        let mut ranked = false;
        for (coin, position) in held.iter().enumerate() {
            if position.is_open() || !self.state.ranges[coin].tradable(self.state.row + 1) {
                continue;
            }
            let ahead = self.ahead::<S>(coin);
            if !self.flat_may_fill::<S>(coin, ahead) {
                continue;
            }
            if outlook.ranks && !ranked {
                ranked = true;
                self.assign_slots::<S>(outlook);
            }
            let may_open = !outlook.ranks || outlook.active[coin];
            if may_open && self.entry_fills::<S>(coin, *position, outlook, ahead) {
                return true;
            }
        }
        false
    }

    fn assign_slots<S: Side>(&self, outlook: &mut Outlook) {
        let contenders = Contenders::<C, S> { scene: self, side: PhantomData };
        let selector = S::of_mut(&mut outlook.selector);
        selector.assign(&contenders, S::of(&outlook.rules), true, &mut outlook.active);
    }

    /// The first entry of a flat coin against the next candle.
    fn flat_may_fill<S: Side>(&self, coin: usize, ahead: Ahead) -> bool {
        let params = &S::of(&self.input.symbols[coin].sides).params;
        let Some(bands) = self.state.indicators.bands(coin, S::PSIDE) else { return true };
        let level = S::band_in(bands) * (1.0 - S::SIGN * params.entry_initial_ema_dist);
        ahead.reaches_entry::<S>(level * (1.0 + S::SIGN * SLACK.0) + S::SIGN * SLACK.1)
    }

    fn reentry_may_fill<S: Side>(&self, coin: usize, position: Position, outlook: &Outlook, ahead: Ahead) -> bool {
        let watch = &S::of(&outlook.watches)[coin];
        let fired =
            |distances: &TrailingDistances| distances.fired::<S>(&S::of(self.state.trailing)[coin], position.price);
        let near = (ahead.reaches_entry::<S>(watch.entry_level)
            && watch.entry_trailing.as_ref().is_none_or(fired)
            && !watch.barrier.turns_away(S::pass_in(ahead.close, watch.entry_level)))
            || (ahead.lowest < watch.partial_below && self.flat_may_fill::<S>(coin, ahead));
        near && self.entry_fills::<S>(coin, position, outlook, ahead)
    }

    fn close_may_fill<S: Side>(&self, coin: usize, position: Position, outlook: &Outlook, ahead: Ahead) -> bool {
        let watch = &S::of(&outlook.watches)[coin];
        (ahead.reaches_close::<S>(watch.close_level) && self.close_fills::<S>(coin, position, ahead))
            || (watch.may_unstick
                && ahead.reaches_close::<S>(-S::SIGN * f64::INFINITY)
                && self.unsticks::<S>(coin, ahead))
    }

    /// The next entry itself against the next candle.
    fn entry_fills<S: Side>(&self, coin: usize, position: Position, outlook: &Outlook, ahead: Ahead) -> bool {
        let Some(bands) = self.state.indicators.bands(coin, S::PSIDE) else { return true };
        let order = self.entry_inputs::<S>(coin, S::band_in(bands)).next::<S>(position, ahead.close);
        order.qty != 0.0
            && S::deeper(ahead.toward_entries, order.price)
            && self.fits(coin, position, &order, *S::of(&outlook.headroom))
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
    fn close_fills<S: Side>(&self, coin: usize, position: Position, ahead: Ahead) -> bool {
        let order = self.close_inputs::<S>(coin, ahead.close).next::<S>(position);
        order.qty != 0.0 && S::Opposite::deeper(ahead.toward_closes, order.price)
    }

    /// The touch is beyond the far band, as far as that can be said without rounding.
    fn unsticks<S: Side>(&self, coin: usize, ahead: Ahead) -> bool {
        let params = &S::of(&self.input.symbols[coin].sides).params;
        let Some(bands) = self.state.indicators.bands(coin, S::PSIDE) else { return true };
        let level = <S::Opposite as Side>::band_in(bands) * (1.0 + S::SIGN * params.unstuck_ema_dist);
        !S::deeper(ahead.close, level * (1.0 - S::SIGN * SLACK.0) - S::SIGN * SLACK.1)
    }
}
