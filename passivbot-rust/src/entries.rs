//! The next entry order and the entry ladder (`orders.md` 8).

use crate::num::{cost_to_qty, lerp, new_position, quantize, round_dn, round_step, wallet_exposure};
use crate::side::Side;
use crate::trailing::TrailingDistances;
use crate::types::{BotParams, ExchangeParams, Order, OrderKind, OrderType, Position, TrailingBundle};

/// Longest entry or close ladder, in rounds.
pub const LADDER_ROUNDS: usize = 500;
/// A position this close to its limit takes no further entries.
const FULL_POSITION: f64 = 0.999;
/// An entry may overshoot the limit by this factor before it is cropped; also the slack of the ratio cap.
const OVERSHOOT: f64 = 1.01;
/// A first order filled to this share counts as complete enough to re-enter from.
const PARTIAL_INITIAL: f64 = 0.8;
/// A follow-up smaller than this share of a full double-down is swallowed by the order before it.
const CRUMB: f64 = 0.25;

/// What the entries of one coin and side depend on, apart from the position and the touch.
#[derive(Clone, Copy, Debug)]
pub struct EntryInputs<'a> {
    /// Market rules.
    pub exchange: &'a ExchangeParams,
    /// Parameters of the coin and side.
    pub params: &'a BotParams,
    /// Trailing extremes since the last fill.
    pub trailing: &'a TrailingBundle,
    /// Balance used for sizing.
    pub balance: f64,
    /// EMA band on the entry side.
    pub band_in: f64,
    /// Hourly log-range EMA, >= 0.
    pub volatility: f64,
}

/// A position as the entry formulas see it: absolute size, price and exposure, under the limit in force.
#[derive(Clone, Copy)]
struct Holding {
    size: f64,
    price: f64,
    exposure: f64,
    /// Exposure limit in force: the cap of the selector or the effective limit.
    limit: f64,
}

/// A candidate re-entry: what it would lead to and what is left of it after cropping.
#[derive(Clone, Copy)]
struct Cropped {
    exposure_if_filled: f64,
    qty: f64,
}

/// The next re-entry of a position, as far as it does not depend on the touch.
#[derive(Clone, Copy, Debug)]
pub struct Reentry {
    /// It rests here or farther from the market.
    pub level: f64,
    /// Exposure limit it works under.
    pub limit: f64,
    /// Of a trailing one: the distances; a grid one may be enlarged or, close to the limit, shortened to swallow the
    /// crumb behind it.
    pub trailing: Option<TrailingDistances>,
}

/// How the next re-entry finds its price.
#[derive(Clone, Copy)]
enum EntryMethod {
    Grid,
    Trailing,
}

enum InitialStage {
    /// The first order is not complete: place this.
    Place(Order),
    /// Re-enter, with orders at least this large.
    Passed(f64),
}

fn order<S: Side>(qty: f64, price: f64, kind: OrderKind) -> Order {
    Order { qty: S::SIGN * qty, price, order_type: OrderType::new(kind, S::PSIDE) }
}

impl EntryInputs<'_> {
    fn exposure(&self, size: f64, price: f64) -> f64 {
        wallet_exposure(self.exchange.c_mult, self.balance, size, price)
    }

    /// Price of the first order (8.1).
    fn initial_price<S: Side>(&self, touch_in: f64) -> f64 {
        let price = self.band_in * (1.0 - S::SIGN * self.params.entry_initial_ema_dist);
        S::pass_in(touch_in, S::round_in(price, self.exchange.price_step))
    }

    /// Quantity of the first order (8.2); sized by the effective limit, not by the cap.
    fn initial_qty(&self, price: f64) -> f64 {
        let cost = (self.balance * self.params.effective_limit()) * self.params.entry_initial_qty_pct;
        let qty = round_step(cost_to_qty(cost, price, self.exchange.c_mult), self.exchange.qty_step);
        self.exchange.min_entry_qty(price).max(qty)
    }

    /// First order, its completion, or the smallest re-entry that follows from it (8.3).
    fn initial_stage<S: Side>(&self, size: f64, touch_in: f64) -> InitialStage {
        let price = self.initial_price::<S>(touch_in);
        if price <= self.exchange.price_step {
            return InitialStage::Place(Order::EMPTY);
        }
        let full = self.initial_qty(price);
        if size == 0.0 {
            InitialStage::Place(order::<S>(full, price, OrderKind::EntryInitialNormal))
        } else if size < full * PARTIAL_INITIAL {
            let missing = round_dn(full - size, self.exchange.qty_step);
            let qty = self.exchange.min_entry_qty(price).max(missing);
            InitialStage::Place(order::<S>(qty, price, OrderKind::EntryInitialPartial))
        } else if size < full {
            let held = round_step(size, self.exchange.qty_step);
            InitialStage::Passed(held.max(self.exchange.min_entry_qty(price)))
        } else {
            InitialStage::Passed(full)
        }
    }

    /// `1 + exposure term + volatility term`, summed in this order (8.4, 8.8).
    fn multiplier(&self, held: &Holding, we_weight: f64, volatility_weight: f64) -> f64 {
        let we_term = if held.limit <= 0.0 { 0.0 } else { (held.exposure / held.limit) * we_weight };
        1.0 + we_term + self.volatility * volatility_weight
    }

    /// Price of a grid re-entry (8.4); 0 where the grid would leave the market.
    fn grid_price<S: Side>(&self, held: &Holding, touch_in: f64) -> f64 {
        let p = self.params;
        let multiplier = self.multiplier(held, p.entry_grid_spacing_we_weight, p.entry_grid_spacing_volatility_weight);
        let spacing = p.entry_grid_spacing_pct * multiplier.max(0.0);
        let price = held.price * (1.0 - S::SIGN * spacing);
        let price = S::pass_in(S::round_in(price, self.exchange.price_step), touch_in);
        if price <= self.exchange.price_step { 0.0 } else { price }
    }

    /// Quantity of a re-entry before cropping (8.5).
    fn reentry_qty(&self, held: &Holding, price: f64, double_down: f64, at_least: f64) -> f64 {
        let ex = self.exchange;
        let affordable = cost_to_qty(self.balance, price, ex.c_mult) * held.limit;
        let wanted = (held.size * double_down).max(affordable * self.params.entry_initial_qty_pct);
        ex.min_entry_qty(price).max(round_step(wanted, ex.qty_step)).max(at_least)
    }

    /// Exposure after adding `qty` at `price`, with both sizes on the step (4.4).
    fn exposure_if_filled(&self, held: &Holding, qty: f64, price: f64) -> f64 {
        let step = self.exchange.qty_step;
        let (size, pprice) =
            new_position(round_step(held.size.abs(), step), held.price, round_step(qty.abs(), step), price, step);
        self.exposure(size, pprice)
    }

    /// Size at which exposure reaches the limit, on the line from the position to the filled order.
    fn size_at_limit(held: &Holding, qty: f64, exposure_if_filled: f64) -> f64 {
        lerp(held.limit, (held.exposure, held.size), (exposure_if_filled, held.size + qty))
    }

    /// Cuts an order that would overshoot the limit (8.6).
    fn crop(&self, held: &Holding, qty: f64, price: f64) -> Cropped {
        let exposure_if_filled = self.exposure_if_filled(held, qty, price);
        let min_qty = self.exchange.min_entry_qty(price);
        let qty = if exposure_if_filled > held.limit * OVERSHOOT {
            let size = Self::size_at_limit(held, qty, exposure_if_filled);
            round_step(size - held.size, self.exchange.qty_step).max(min_qty)
        } else {
            qty.max(min_qty)
        };
        Cropped { exposure_if_filled, qty }
    }

    fn hold(&self, size: f64, price: f64, cap: f64) -> Holding {
        let limit = cap.min(self.params.effective_limit());
        Holding { size, price, exposure: self.exposure(size, price), limit }
    }

    /// Share of the position that the order after this one could still add (8.7 step 6).
    fn followup_share<S: Side>(
        &self,
        held: &Holding,
        filled: Cropped,
        price: f64,
        touch_in: f64,
        at_least: f64,
    ) -> f64 {
        let (size, pprice) = new_position(held.size, held.price, filled.qty, price, self.exchange.qty_step);
        let next = Holding { size, price: pprice, exposure: filled.exposure_if_filled, limit: held.limit };
        let next_price = self.grid_price::<S>(&next, touch_in);
        let next_qty = self.reentry_qty(&next, next_price, self.params.entry_grid_double_down_factor, at_least);
        self.crop(&next, next_qty, next_price).qty / size
    }

    /// Grid entry under a cap (8.7).
    fn grid<S: Side>(&self, size: f64, pprice: f64, touch_in: f64, cap: f64) -> Order {
        let at_least = match self.initial_stage::<S>(size, touch_in) {
            InitialStage::Place(first) => return first,
            InitialStage::Passed(at_least) => at_least,
        };
        let held = self.hold(size, pprice, cap);
        if held.exposure >= held.limit * FULL_POSITION {
            return Order::EMPTY;
        }
        let price = self.grid_price::<S>(&held, touch_in);
        if price <= 0.0 {
            return Order::EMPTY;
        }
        let double_down = self.params.entry_grid_double_down_factor;
        let qty = self.reentry_qty(&held, price, double_down, at_least);
        let cropped = self.crop(&held, qty, price);
        if cropped.qty < qty {
            return order::<S>(cropped.qty, price, OrderKind::EntryGridCropped);
        }
        let filled = Cropped { qty, ..cropped };
        if self.followup_share::<S>(&held, filled, price, touch_in, at_least) < double_down * CRUMB {
            let inflated = Self::size_at_limit(&held, qty, cropped.exposure_if_filled) - size;
            return order::<S>(round_step(inflated, self.exchange.qty_step), price, OrderKind::EntryGridInflated);
        }
        order::<S>(qty, price, OrderKind::EntryGridNormal)
    }

    /// Threshold and retracement of a trailing entry (8.8 step 3).
    fn trailing_distances(&self, held: &Holding) -> TrailingDistances {
        let p = self.params;
        let scale = |we, volatility| self.multiplier(held, we, volatility).max(0.0);
        TrailingDistances {
            threshold: p.entry_trailing_threshold_pct
                * scale(p.entry_trailing_threshold_we_weight, p.entry_trailing_threshold_volatility_weight),
            retracement: p.entry_trailing_retracement_pct
                * scale(p.entry_trailing_retracement_we_weight, p.entry_trailing_retracement_volatility_weight),
        }
    }

    /// Trailing entry under a cap (8.8).
    fn trailing<S: Side>(&self, size: f64, pprice: f64, touch_in: f64, cap: f64) -> Order {
        let at_least = match self.initial_stage::<S>(size, touch_in) {
            InitialStage::Place(first) => return first,
            InitialStage::Passed(at_least) => at_least,
        };
        let held = self.hold(size, pprice, cap);
        if held.exposure > held.limit * FULL_POSITION {
            return Order::EMPTY;
        }
        let distances = self.trailing_distances(&held);
        let Some(price) = distances.price::<S>(self.trailing, pprice, touch_in, self.exchange.price_step) else {
            return order::<S>(0.0, 0.0, OrderKind::EntryTrailingNormal);
        };
        let qty = self.reentry_qty(&held, price, self.params.entry_trailing_double_down_factor, at_least);
        let cropped = self.crop(&held, qty, price);
        if cropped.qty < qty {
            order::<S>(cropped.qty, price, OrderKind::EntryTrailingCropped)
        } else {
            order::<S>(qty, price, OrderKind::EntryTrailingNormal)
        }
    }

    /// Kind of the next entry and the cap it works under, by the share already filled (8.9); `None`: no entries.
    fn select(&self, size: f64, pprice: f64) -> Option<(EntryMethod, f64)> {
        let limit = self.params.effective_limit();
        if limit == 0.0 || self.balance <= 0.0 {
            return None;
        }
        let ratio = self.params.entry_trailing_grid_ratio;
        if ratio >= 1.0 || ratio <= -1.0 {
            return Some((EntryMethod::Trailing, limit));
        }
        if ratio == 0.0 {
            return Some((EntryMethod::Grid, limit));
        }
        let exposure = self.exposure(size, pprice);
        let filled = if limit <= 0.0 { 0.0 } else { exposure / limit };
        let (first, second, share) = if ratio > 0.0 {
            (EntryMethod::Trailing, EntryMethod::Grid, ratio)
        } else {
            (EntryMethod::Grid, EntryMethod::Trailing, 1.0 + ratio)
        };
        Some(if filled < share {
            let cap = if exposure == 0.0 { limit } else { ((limit * share) * OVERSHOOT).min(limit) };
            (first, cap)
        } else {
            (second, limit)
        })
    }

    /// The entry nearest to the market: trailing or grid (8.9).
    pub fn next<S: Side>(&self, position: Position, touch_in: f64) -> Order {
        let (size, pprice) = (S::magnitude(position.size), position.price);
        match self.select(size, pprice) {
            None => Order::EMPTY,
            Some((EntryMethod::Trailing, cap)) => self.trailing::<S>(size, pprice, touch_in, cap),
            Some((EntryMethod::Grid, cap)) => self.grid::<S>(size, pprice, touch_in, cap),
        }
    }

    /// What is known of the re-entry of an open position whatever the touch; `None`: no re-entry.
    ///
    /// The completion of a first order is not covered: see `partial_below`.
    pub fn reentry<S: Side>(&self, position: Position) -> Option<Reentry> {
        let (size, pprice) = (S::magnitude(position.size), position.price);
        let (method, cap) = self.select(size, pprice)?;
        let held = self.hold(size, pprice, cap);
        match method {
            EntryMethod::Grid if held.exposure >= held.limit * FULL_POSITION => None,
            EntryMethod::Grid => {
                let level = self.grid_price::<S>(&held, S::SIGN * f64::INFINITY);
                Some(Reentry { level, limit: held.limit, trailing: None })
            }
            EntryMethod::Trailing if held.exposure > held.limit * FULL_POSITION => None,
            EntryMethod::Trailing => {
                let distances = self.trailing_distances(&held);
                let level = distances.level::<S>(pprice, self.exchange.price_step)?;
                Some(Reentry { level, limit: held.limit, trailing: Some(distances) })
            }
        }
    }

    /// Market price below which the position might count as an incomplete first order (8.3 step 3).
    ///
    /// At price p a first order is the venue's minimum, or what `min_cost` buys rounded up, or what its cost buys rounded;
    /// the latter two are multiples of the step.
    pub fn partial_below<S: Side>(&self, position: Position) -> f64 {
        let (ex, size) = (self.exchange, S::magnitude(position.size));
        let cost = ((self.balance * self.params.effective_limit()) * self.params.entry_initial_qty_pct).abs();
        let least = ((size / PARTIAL_INITIAL / ex.qty_step) * (1.0 - 1e-9)).floor() + 1.0;
        let below = |cost: f64, rounding: f64| {
            let bought = (least - rounding) * ex.qty_step - 1e-9;
            if bought > 0.0 { cost / (ex.c_mult * bought) * (1.0 + 1e-9) } else { f64::INFINITY }
        };
        if size <= PARTIAL_INITIAL * ex.min_qty * (1.0 + 1e-9) {
            return f64::INFINITY;
        }
        below(cost, 0.5 + 1e-6).max(below(ex.min_cost, 1.0 + 1e-6))
    }

    /// Appends the ladder: every entry that follows if the ones before it fill (8.10).
    pub fn ladder<S: Side>(&self, position: Position, touch_in: f64, orders: &mut Vec<Order>) {
        let first = self.next::<S>(position, touch_in);
        self.ladder_while::<S>(first, position, touch_in, |_| true, orders);
    }

    /// Appends the ladder that begins with the next entry, up to and including the first order for which `go_on` is false.
    pub fn ladder_while<S: Side>(
        &self,
        first: Order,
        position: Position,
        touch_in: f64,
        go_on: impl Fn(&Order) -> bool,
        orders: &mut Vec<Order>,
    ) {
        let mut first = Some(first);
        let (mut held, mut touch) = (position, touch_in);
        let trailing = [OrderKind::EntryTrailingNormal, OrderKind::EntryTrailingCropped]
            .map(|kind| OrderType::new(kind, S::PSIDE));
        let mut previous_price = None;
        for _ in 0..LADDER_ROUNDS {
            let mut o = first.take().unwrap_or_else(|| self.next::<S>(held, touch));
            o.price = quantize(o.price, self.exchange.price_step);
            o.qty = quantize(o.qty, self.exchange.qty_step);
            if o.qty == 0.0 {
                break;
            }
            if previous_price.is_some_and(|price| trailing.contains(&o.order_type) || o.price == price) {
                break;
            }
            let (size, price) = new_position(held.size, held.price, o.qty, o.price, self.exchange.qty_step);
            held = Position { size, price };
            touch = S::pass_in(touch, o.price);
            previous_price = Some(o.price);
            orders.push(o);
            if !go_on(&o) {
                break;
            }
        }
    }
}
