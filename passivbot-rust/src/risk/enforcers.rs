//! The enforcer of a side's total exposure: trims positions above their base limit until the side is below its own
//! (`orders.md` 10.3, `orchestrator.md` 13.2). The enforcer of a single position is part of `closes`.

use crate::num::{EPS, quantize, round_dn, round_up, wallet_exposure};
use crate::side::Side;
use crate::types::{ExchangeParams, Order, OrderKind, OrderType, Position};

/// Tolerance of exposures and quantities.
const TOLERANCE: f64 = 1e-9;
/// Distance of the order price beyond the touch, as a fraction.
const PRICE_OFFSET: f64 = 0.0005;

/// A position of the side that is being trimmed.
#[derive(Clone, Copy, Debug)]
pub struct TwelPosition {
    /// Index of the coin.
    pub idx: usize,
    /// Size and price.
    pub position: Position,
    /// Touch on the entry side; the position price stands in where it is not positive.
    pub market_price: f64,
    /// Exposure limit without allowance, below which nothing is trimmed.
    pub base_limit: f64,
    /// Market rules.
    pub exchange: ExchangeParams,
}

/// When and how far the side is trimmed.
#[derive(Clone, Copy, Debug)]
pub struct TwelLimits {
    /// Balance used for sizing.
    pub balance: f64,
    /// Total exposure limit of the side.
    pub total_limit: f64,
    /// Share of it at which trimming starts; negative switches it off.
    pub threshold: f64,
    /// Slots of the side; 0 switches it off.
    pub effective_n_positions: usize,
}

/// A position while it is being reduced.
#[derive(Clone, Copy, Debug)]
pub struct Reducible {
    at: usize,
    market_price: f64,
    distance: f64,
    floor: f64,
    floor_size: f64,
    initial_size: f64,
    size: f64,
    exposure: f64,
    closed: f64,
    dropped: bool,
}

fn positive(x: f64) -> bool {
    x.is_finite() && x > 0.0
}

fn not_negative(x: f64) -> bool {
    x.is_finite() && x >= 0.0
}

fn is_sound(p: &TwelPosition) -> bool {
    let ex = &p.exchange;
    [p.position.price, ex.c_mult, ex.qty_step, ex.price_step].into_iter().all(positive)
        && [ex.min_qty, ex.min_cost].into_iter().all(not_negative)
        && p.position.size.abs() > EPS
}

/// Lifts a quantity below the venue's minimum to it, or to all there is.
fn at_least_min_qty(qty: f64, available: f64, min_qty: f64) -> f64 {
    if qty >= min_qty {
        qty
    } else if available <= min_qty + TOLERANCE {
        available
    } else {
        min_qty
    }
}

impl Reducible {
    fn can_give(&self) -> bool {
        !self.dropped && self.size > TOLERANCE && self.exposure > self.floor + TOLERANCE
    }

    /// The next reduction of this position as (new size, new exposure); `None` drops the position.
    fn step(&self, p: &TwelPosition, balance: f64, excess: f64) -> Option<(f64, f64, f64)> {
        let ex = &p.exchange;
        let real = |q: f64| (q > TOLERANCE).then_some(q);
        let cut = (self.exposure - self.floor).min(excess);
        let mut qty = real(cut * balance / (p.position.price * ex.c_mult))?;
        qty = real(round_up(qty, ex.qty_step).min(self.size))?;
        if (self.size - qty) + TOLERANCE < self.floor_size {
            let to_floor = (self.size - self.floor_size.min(self.size)).max(0.0);
            qty = real(round_dn(to_floor, ex.qty_step))?.min(self.size);
        }
        qty = at_least_min_qty(qty, self.size, ex.min_qty);
        qty = real(round_dn(qty, ex.qty_step))?.min(self.size);
        let size = (self.size - qty).max(0.0);
        let exposure = wallet_exposure(ex.c_mult, balance, size, p.position.price);
        let reduced = (self.exposure - exposure).max(0.0);
        (exposure >= self.floor - TOLERANCE && reduced > TOLERANCE).then_some((qty, size, exposure))
    }

    /// The order that carries out what was booked.
    fn order<S: Side>(&self, p: &TwelPosition) -> Option<Order> {
        let ex = &p.exchange;
        let available = (self.initial_size - self.size).max(0.0);
        if self.closed <= TOLERANCE || available <= TOLERANCE {
            return None;
        }
        let qty = at_least_min_qty(self.closed.min(available), available, ex.min_qty);
        let qty = round_dn(qty, ex.qty_step);
        if qty <= TOLERANCE {
            return None;
        }
        let mut price = S::round_in(self.market_price * (1.0 - S::SIGN * PRICE_OFFSET), ex.price_step);
        if price <= 0.0 {
            price = ex.price_step;
        }
        let min_qty = ex.min_entry_qty(price);
        let qty = round_up(qty.max(min_qty).min(self.initial_size), ex.qty_step);
        if qty < min_qty - TOLERANCE {
            return None;
        }
        Some(Order {
            qty: quantize(-S::SIGN * qty, ex.qty_step),
            price: quantize(price, ex.price_step),
            order_type: OrderType::new(OrderKind::CloseAutoReduceTwel, S::PSIDE),
        })
    }
}

/// Fills `candidates` with what may be reduced and returns the exposure of the whole list.
fn collect<S: Side>(
    balance: f64,
    positions: &[TwelPosition],
    skip_idx: Option<usize>,
    candidates: &mut Vec<Reducible>,
) -> f64 {
    candidates.clear();
    let mut total = 0.0;
    for (at, p) in positions.iter().enumerate() {
        if !is_sound(p) {
            continue;
        }
        let (size, price, c_mult) = (p.position.size.abs(), p.position.price, p.exchange.c_mult);
        let exposure = wallet_exposure(c_mult, balance, size, price);
        total += exposure;
        let floor = p.base_limit.max(0.0);
        if skip_idx == Some(p.idx) || floor == 0.0 || exposure <= floor + TOLERANCE {
            continue;
        }
        let market_price = if positive(p.market_price) { p.market_price } else { price };
        candidates.push(Reducible {
            at,
            market_price,
            distance: S::distance(price, market_price),
            floor,
            floor_size: floor * balance / (price * c_mult),
            initial_size: size,
            size,
            exposure,
            closed: 0.0,
            dropped: false,
        });
    }
    total
}

/// Orders that bring the side's exposure back to its limit, as (coin index, order) in input order.
///
/// The coin `skip_idx` counts in the total but is not reduced. Positions without usable data are left out.
pub fn twel_enforcer<S: Side>(
    limits: &TwelLimits,
    positions: &[TwelPosition],
    skip_idx: Option<usize>,
    candidates: &mut Vec<Reducible>,
    mut emit: impl FnMut(usize, Order),
) {
    let limit = limits.total_limit * limits.threshold;
    let off = limits.threshold < 0.0
        || limits.total_limit <= 0.0
        || limits.balance <= 0.0
        || limits.effective_n_positions == 0
        || limit <= 0.0;
    if off {
        return;
    }
    let mut total = collect::<S>(limits.balance, positions, skip_idx, candidates);
    while total > limit + TOLERANCE {
        let least_underwater = candidates
            .iter_mut()
            .filter(|c| c.can_give())
            .reduce(|best, c| if c.distance < best.distance { c } else { best });
        let Some(c) = least_underwater else { break };
        match c.step(&positions[c.at], limits.balance, total - limit) {
            None => c.dropped = true,
            Some((qty, size, exposure)) => {
                total -= c.exposure - exposure;
                (c.size, c.exposure) = (size, exposure);
                c.closed += qty;
            }
        }
    }
    for c in candidates.iter() {
        if let Some(order) = c.order::<S>(&positions[c.at]) {
            emit(positions[c.at].idx, order);
        }
    }
}
