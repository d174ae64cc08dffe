//! The next close order and the close ladder, with the exposure enforcer of one position (`orders.md` 9).

use crate::entries::LADDER_ROUNDS;
use crate::num::{EPS, compare, cost_to_qty, quantize, round_step, round_up, wallet_exposure};
use crate::side::Side;
use crate::trailing::TrailingDistances;
use crate::types::{BotParams, ExchangeParams, Order, OrderKind, OrderType, Position, TrailingBundle};

/// How far below its target the enforcer must bring the exposure.
const ENFORCER_STRICTNESS: f64 = 1e-12;
/// Extra steps the enforcer may add to its first guess.
const ENFORCER_STEPS: usize = 10_001;
/// Slack of the share that the second kind of close may take.
const SHARE_SLACK: f64 = 1.01;

/// What the closes of one coin and side depend on, apart from the position.
#[derive(Clone, Copy, Debug)]
pub struct CloseInputs<'a> {
    /// Market rules.
    pub exchange: &'a ExchangeParams,
    /// Parameters of the coin and side.
    pub params: &'a BotParams,
    /// Trailing extremes since the last fill.
    pub trailing: &'a TrailingBundle,
    /// Balance used for sizing.
    pub balance: f64,
    /// Touch on the close side.
    pub touch_out: f64,
}

/// The next close of a position, as far as it does not depend on the touch.
#[derive(Clone, Copy, Debug)]
pub struct Exit {
    /// It rests here or farther from the market; infinitely near the market if it rests at the touch itself.
    pub level: f64,
    /// Distances of a trailing one.
    pub trailing: Option<TrailingDistances>,
}

/// How the next close finds its price.
#[derive(Clone, Copy)]
enum CloseMethod {
    Grid,
    Trailing,
}

fn order<S: Side>(qty: f64, price: f64, kind: OrderKind) -> Order {
    Order { qty: -S::SIGN * qty, price, order_type: OrderType::new(kind, S::PSIDE) }
}

/// Rounds a close price away from the market.
fn round_out<S: Side>(price: f64, step: f64) -> f64 {
    <S::Opposite as Side>::round_in(price, step)
}

/// The close price farther from the market.
fn pass_out<S: Side>(a: f64, b: f64) -> f64 {
    <S::Opposite as Side>::pass_in(a, b)
}

impl CloseInputs<'_> {
    fn exposure(&self, size: f64, price: f64) -> f64 {
        wallet_exposure(self.exchange.c_mult, self.balance, size, price)
    }

    /// Quantity of a close of `pct` of the full size, with the excess above it and without leaving dust (9.1).
    fn close_qty(&self, size: f64, pprice: f64, pct: f64, price: f64) -> f64 {
        let ex = self.exchange;
        let full = cost_to_qty(self.balance * self.params.effective_limit(), pprice, ex.c_mult);
        let leftover = (size - full).max(0.0);
        let min_qty = ex.min_entry_qty(price);
        let slice = min_qty.max(round_up(full * pct + leftover, ex.qty_step));
        let qty = round_step(size, ex.qty_step).min(slice);
        if qty > 0.0 && qty < size && size - qty < min_qty { size } else { qty }
    }

    /// Smallest reduction that brings the position below its enforced exposure (9.2).
    fn enforcer<S: Side>(&self, size: f64, pprice: f64) -> Option<Order> {
        let (ex, limit) = (self.exchange, self.params.effective_limit());
        let threshold = self.params.risk_wel_enforcer_threshold;
        if threshold <= 0.0 || self.balance <= 0.0 || pprice <= 0.0 || limit <= 0.0 {
            return None;
        }
        let target = limit * threshold;
        if self.exposure(size, pprice) <= target || size <= EPS {
            return None;
        }
        let price = if self.touch_out > 0.0 { self.touch_out } else { pprice };
        let min_qty = ex.min_entry_qty(price);
        let mut reduction = (size - (target * self.balance) / (pprice * ex.c_mult)).max(0.0);
        if reduction <= EPS {
            reduction = ex.qty_step;
        }
        let mut qty = 0.0;
        for _ in 0..ENFORCER_STEPS {
            qty = size.min(min_qty.max(round_up(reduction, ex.qty_step).min(size)));
            if qty <= EPS {
                return None;
            }
            let left = (size - qty).max(0.0);
            if self.exposure(left, pprice) < target - ENFORCER_STRICTNESS || left <= EPS {
                break;
            }
            reduction += ex.qty_step;
        }
        Some(order::<S>(qty, price, OrderKind::CloseAutoReduceWel))
    }

    /// Take-profit price for how full the position is, before it yields to the touch, and the slice (9.3);
    /// a slice of `None` is the whole position.
    fn grid_level<S: Side>(&self, size: f64, pprice: f64) -> (f64, Option<f64>) {
        let (p, step) = (self.params, self.exchange.price_step);
        let start = round_out::<S>(pprice * (1.0 + S::SIGN * p.close_grid_markup_start), step);
        let end = round_out::<S>(pprice * (1.0 + S::SIGN * p.close_grid_markup_end), step);
        if p.close_grid_qty_pct < 0.0 || p.close_grid_qty_pct >= 1.0 || start == end {
            return (start, None);
        }
        let rungs = ((end - start).abs() / step).ceil();
        let filled = self.exposure(size, pprice) / p.effective_limit();
        let price = if filled > 1.0 {
            S::pass_in(start, end)
        } else {
            round_out::<S>(start + (end - start) * filled.min(1.0), step)
        };
        (price, Some(p.close_grid_qty_pct.max(1.0 / rungs)))
    }

    /// Take-profit order (9.3).
    fn grid<S: Side>(&self, size: f64, pprice: f64) -> Order {
        if size == 0.0 {
            return Order::EMPTY;
        }
        let (level, slice) = self.grid_level::<S>(size, pprice);
        let price = pass_out::<S>(self.touch_out, level);
        let qty = match slice {
            None => round_step(size, self.exchange.qty_step),
            Some(pct) => self.close_qty(size, pprice, pct, price),
        };
        order::<S>(qty, price, OrderKind::CloseGrid)
    }

    fn trailing_distances(&self) -> TrailingDistances {
        TrailingDistances {
            threshold: self.params.close_trailing_threshold_pct,
            retracement: self.params.close_trailing_retracement_pct,
        }
    }

    /// Trailing close (9.4): the trigger is that of the opposite side's entries.
    fn trailing<S: Side>(&self, size: f64, pprice: f64) -> Order {
        if size == 0.0 {
            return Order::EMPTY;
        }
        let step = self.exchange.price_step;
        match self.trailing_distances().price::<S::Opposite>(self.trailing, pprice, self.touch_out, step) {
            None => order::<S>(0.0, 0.0, OrderKind::CloseTrailing),
            Some(price) => {
                let qty = self.close_qty(size, pprice, self.params.close_trailing_qty_pct, price);
                order::<S>(qty, price, OrderKind::CloseTrailing)
            }
        }
    }

    /// Part of the position that the second kind of close may take (9.5 step 6).
    fn beyond_share(&self, size: f64, pprice: f64, share: f64) -> f64 {
        let ex = self.exchange;
        let min_qty = ex.min_entry_qty(pprice);
        let mut reserved = cost_to_qty((self.balance * self.params.effective_limit()) * share, pprice, ex.c_mult);
        if reserved < min_qty {
            reserved = 0.0;
        }
        let rest = round_step((size - reserved) * SHARE_SLACK, ex.qty_step);
        size.min(rest.max(min_qty))
    }

    /// Kind of the next close and the part of the position it works on, by the share held (9.5).
    fn select<S: Side>(&self, size: f64, pprice: f64) -> (CloseMethod, f64) {
        let ratio = self.params.close_trailing_grid_ratio;
        if ratio >= 1.0 || ratio <= -1.0 {
            return (CloseMethod::Trailing, size);
        }
        if ratio == 0.0 {
            return (CloseMethod::Grid, size);
        }
        let limit = self.params.effective_limit();
        let filled = match S::RATIO_WITHOUT_LIMIT {
            Some(ratio) if limit <= 0.0 => ratio,
            _ => self.exposure(size, pprice) / limit,
        };
        let (first, second, share) = if ratio > 0.0 {
            (CloseMethod::Trailing, CloseMethod::Grid, ratio)
        } else {
            (CloseMethod::Grid, CloseMethod::Trailing, 1.0 + ratio)
        };
        if filled < share { (first, size) } else { (second, self.beyond_share(size, pprice, share)) }
    }

    /// The next close: enforcer first, then trailing or grid (9.5).
    pub fn next<S: Side>(&self, position: Position) -> Order {
        let (size, pprice) = (S::magnitude(position.size), position.price);
        if size == 0.0 {
            return Order::EMPTY;
        }
        if let Some(reduction) = self.enforcer::<S>(size, pprice) {
            return reduction;
        }
        match self.select::<S>(size, pprice) {
            (CloseMethod::Trailing, part) => self.trailing::<S>(part, pprice),
            (CloseMethod::Grid, part) => self.grid::<S>(part, pprice),
        }
    }

    /// What is known of the next close of an open position whatever the touch; `None`: no close.
    pub fn exit<S: Side>(&self, position: Position) -> Option<Exit> {
        let (size, pprice) = (S::magnitude(position.size), position.price);
        if size == 0.0 {
            return None;
        }
        if self.enforcer::<S>(size, pprice).is_some() {
            return Some(Exit { level: -S::SIGN * f64::INFINITY, trailing: None });
        }
        match self.select::<S>(size, pprice) {
            (CloseMethod::Trailing, _) => {
                let distances = self.trailing_distances();
                let level = distances.level::<S::Opposite>(pprice, self.exchange.price_step)?;
                Some(Exit { level, trailing: Some(distances) })
            }
            (CloseMethod::Grid, part) => Some(Exit { level: self.grid_level::<S>(part, pprice).0, trailing: None }),
        }
    }

    /// Appends the ladder: every close until the position is gone, sorted away from the market (9.6).
    pub fn ladder<S: Side>(&self, position: Position, orders: &mut Vec<Order>) {
        self.ladder_from::<S>(self.next::<S>(position), position, orders);
    }

    /// Appends the ladder that begins with the next close.
    pub fn ladder_from<S: Side>(&self, next: Order, position: Position, orders: &mut Vec<Order>) {
        let first = orders.len();
        let step = self.exchange.qty_step;
        let trailing = OrderType::new(OrderKind::CloseTrailing, S::PSIDE);
        let (mut next, mut held) = (Some(next), position);
        for _ in 0..LADDER_ROUNDS {
            let mut o = next.take().unwrap_or_else(|| self.next::<S>(held));
            o.price = quantize(o.price, self.exchange.price_step);
            o.qty = quantize(o.qty, step);
            if o.qty == 0.0 {
                break;
            }
            held.size = round_step(held.size + o.qty, step);
            if orders.len() > first {
                if o.order_type == trailing {
                    break;
                }
                if let Some(previous) = orders.last_mut()
                    && previous.price == o.price
                {
                    *previous = Order { qty: round_step(previous.qty + o.qty, step), ..o };
                    continue;
                }
            }
            orders.push(o);
        }
        orders[first..].sort_by(|a, b| compare(S::SIGN * a.price, S::SIGN * b.price));
    }
}
