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
//!   needs a market price below `EntryInputs::partial_below` and rests where a first order would. Ladders exist only behind
//!   an order that fills.
//! - *Closes* rest at the touch or at such a level (`CloseInputs::exit`); the enforcer of the position rests at the touch.
//! - *Unstucking* needs an allowance, a stuck exposure and a touch beyond the far band; its order rests at the touch.
//! - *The side enforcer* acts only above the side's limit; while it might, nothing is skipped.
//! - *Trimming* and *gating* change quantities and remove orders, never prices, so they add no fill. Entries that the gate
//!   must remove, because the side has no room for the smallest order, are not looked at. That holds for prices on the
//!   venue's step: a ladder rounds others once more, after which the smallest order may be cheaper, or the entry too small
//!   for the gate to examine.
//! - *Panic* orders need an open position, which a coin that is forced to panic never gets.
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

use super::concern::{Page, SLACK, Scene, SideOutlook, toward_entries};
use super::contest::ContestKind;
use super::tape::{RowSet, rows_from};
use super::watch::{GATE_SLACK, Watch};
use crate::entries::EntryInputs;
use crate::num::{new_position, quantize, round_step, wallet_exposure};
use crate::orchestrator::Part;
use crate::orchestrator::input::Ask;
use crate::risk::TINY;
use crate::side::{Long, Short, Side};
use crate::types::{Order, PerSide, Position};

/// Slack of distances from the touch, far above their rounding and far below what matters.
const DEPTH_SLACK: f64 = 1e-12;

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
    page: Page,
    /// The side's enforcer might act: nothing is skipped.
    restless: bool,
    /// Row sets must be renewed before they are used again.
    stale: bool,
    /// Sizing balance the row sets were made with.
    sizing: f64,
}

impl Outlook {
    /// An outlook on `n` coins that knows nothing yet.
    pub fn new(n: usize, contest: ContestKind) -> Self {
        Self {
            sides: PerSide::from_fn(|_| SideOutlook::new(n)),
            asks: PerSide::from_fn(|_| vec![Ask::NONE; n]),
            page: Page { is_new: true, contest, smallest_costs: vec![0.0; n], ample_room: 0.0 },
            stale: true,
            ..Self::default()
        }
    }

    /// A fill has changed the position and its trailing extremes.
    #[inline]
    pub fn forget_position<S: Side>(&mut self, coin: usize) {
        self.stale = true;
        let side = S::of_mut(&mut self.sides);
        side.watches[coin] = Watch::NONE;
        side.touched = true;
    }

    /// The tape holds other rows.
    pub fn turn_page(&mut self) {
        (self.stale, self.page.is_new) = (true, true);
    }

    /// Coins that may trade, and limits, have changed: no level holds any more.
    pub fn forget(&mut self) {
        self.stale = true;
        for side in [&mut self.sides.long, &mut self.sides.short] {
            side.watches.fill(Watch::NONE);
            side.touched = true;
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

    /// Entries that may depend on trailing extremes will be looked at for the row.
    #[inline]
    pub fn asks_for_extremes<S: Side>(&self, at: usize) -> bool {
        S::of(&self.sides).trail_rows >> at & 1 == 1
    }

    /// The next orders of the position may depend on its trailing extremes.
    #[inline]
    pub fn trails<S: Side>(&self, coin: usize) -> bool {
        S::of(&self.sides).watches[coin].trails()
    }

    /// The position is marked for planning, and its orders may depend on its trailing extremes.
    #[inline]
    pub fn plans_trailing<S: Side>(&self, coin: usize) -> bool {
        S::of(&self.asks)[coin].anything() && self.trails::<S>(coin)
    }
}

impl Scene<'_> {
    /// Takes levels and row sets anew where they no longer hold.
    pub fn renew(&self, outlook: &mut Outlook) {
        outlook.stale = false;
        outlook.sizing = self.input.balance;
        outlook.restless = false;
        let Outlook { sides, page, restless, .. } = outlook;
        if page.is_new {
            page.read(self.state);
        }
        *restless |= self.renew_side::<Long>(sides, page);
        *restless |= self.renew_side::<Short>(sides, page);
        page.is_new = false;
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
            if unstuck || self.here(rows.close) {
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
        let (side, page) = (S::of_mut(&mut outlook.sides), &outlook.page);
        let open = S::of(&self.state.positions.open);
        for &coin in open.iter().filter(|coin| self.here(side.open[**coin].entry)) {
            depth = depth.max(self.reach::<S>(coin));
            fills = fills || self.entry_fills::<S>(coin, side.headroom);
        }
        if self.here(side.flat_rows) {
            self.drop_idle::<S>(side, page);
            let (mut lost, room) = (false, self.room(side));
            for coin in 0..self.state.coins.len() {
                if !self.here(self.opening_rows::<S>(side, page, coin, room)) {
                    continue;
                }
                if self.may_open::<S>(side, page.contest, coin) {
                    depth = depth.max(self.reach::<S>(coin));
                    fills = fills || self.entry_fills::<S>(coin, side.headroom);
                } else {
                    lost = true;
                }
            }
            if lost {
                side.flat_rows = self.flat_rows::<S>(side, page);
            }
        }
        if fills {
            *S::of_mut(&mut outlook.depth) = depth;
            outlook.whole |= outlook.page.contest == ContestKind::Filtered;
            self.mark_near_entries::<S>(outlook, depth);
        }
        fills
    }

    /// Marks all coins whose next entry might stand no farther from the touch than `depth`.
    fn mark_near_entries<S: Side>(&self, outlook: &mut Outlook, depth: f64) {
        let Outlook { sides, asks, page, .. } = outlook;
        let (side, asks) = (S::of_mut(sides), S::of_mut(asks));
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
        self.drop_idle::<S>(side, page);
        for coin in 0..self.state.coins.len() {
            let has_a_chance = !self.here(side.contest.hopeless_rows(coin));
            if has_a_chance & !self.is_open::<S>(coin) && stands_near(coin, self.first_price::<S>(coin)) {
                asks[coin].entries = self.may_open::<S>(side, page.contest, coin);
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
    fn drop_idle<S: Side>(&self, side: &mut SideOutlook, page: &Page) {
        if page.contest == ContestKind::Ranking && side.contest.drop_idle::<S>(self.state, &side.rules) {
            side.flat_rows = self.flat_rows::<S>(side, page);
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
    /// venue's minimum passes unexamined where the others fit; one off the venue's step may end below it.
    fn fits(&self, coin: usize, position: Position, order: &Order, headroom: f64) -> bool {
        let ex = &self.state.coins[coin].exchange;
        let part = ex.min_entry_qty(order.price);
        if order.qty.abs() + TINY < part || quantize(order.price, ex.price_step) != order.price {
            return true;
        }
        let (size, price) = new_position(position.size.abs(), position.price, part, order.price, ex.qty_step);
        let exposure = |size, price| wallet_exposure(ex.c_mult, self.input.balance, size, price);
        let added = exposure(size, price) - exposure(position.size, position.price);
        added < headroom + GATE_SLACK
    }
}
