//! Unstucking: at most one close per call for the whole account, at a loss inside the allowance (`orders.md` 10.2).

use crate::for_side;
use crate::num::{EPS, compare, cost_to_qty, round_dn, wallet_exposure};
use crate::side::Side;
use crate::types::{EmaBands, ExchangeParams, Order, OrderKind, OrderType, PerSide, Position, Pside};

/// A position that may be stuck.
#[derive(Clone, Copy, Debug)]
pub struct UnstuckPosition {
    /// Index of the coin.
    pub idx: usize,
    /// Side of the position.
    pub pside: Pside,
    /// Size and price.
    pub position: Position,
    /// Exposure limit with the excess allowance.
    pub allowed_limit: f64,
    /// Exposure ratio above which the position counts as stuck.
    pub threshold: f64,
    /// Order size as a fraction of the allowed limit.
    pub close_pct: f64,
    /// Offset of the trigger from the far EMA band.
    pub ema_dist: f64,
    /// EMA bands of the coin and side.
    pub bands: EmaBands,
    /// Price at which the close would rest: the touch on the close side.
    pub current_price: f64,
    /// Market rules; a `price_step` of 0 or less leaves the trigger unrounded.
    pub exchange: ExchangeParams,
}

/// A stuck position and how far under water it is.
#[derive(Clone, Copy, Debug)]
pub struct Stuck {
    distance: f64,
    at: usize,
}

fn usable(x: f64) -> bool {
    x.is_finite() && x > 0.0
}

/// Price beyond which a stuck position is reduced.
fn trigger<S: Side>(p: &UnstuckPosition) -> f64 {
    let band = <S::Opposite as Side>::band_in(p.bands);
    if !usable(band) {
        return f64::NAN;
    }
    let level = band * (1.0 + S::SIGN * p.ema_dist);
    let step = p.exchange.price_step;
    if step <= 0.0 { level } else { <S::Opposite as Side>::round_in(level, step) }
}

fn is_stuck<S: Side>(p: &UnstuckPosition, balance: f64) -> bool {
    let (size, price) = (p.position.size, p.position.price);
    let has_threshold = p.threshold >= 0.0;
    if !usable(price) || size.abs() <= EPS || !has_threshold || !usable(p.current_price) {
        return false;
    }
    if p.allowed_limit > 0.0 {
        let exposure = wallet_exposure(p.exchange.c_mult, balance, size, price);
        if exposure / p.allowed_limit <= p.threshold {
            return false;
        }
    }
    let level = trigger::<S>(p);
    usable(level) && !S::deeper(p.current_price, level)
}

fn reduction<S: Side>(p: &UnstuckPosition, balance: f64, allowance: f64) -> Option<Order> {
    if S::UNSTUCK_NEEDS_OWN_SIGN && S::SIGN * p.position.size < 0.0 {
        return None;
    }
    let (ex, price) = (&p.exchange, p.current_price);
    let size = p.position.size.abs();
    let min_qty = ex.min_entry_qty(price);
    let wanted = cost_to_qty((balance * p.allowed_limit) * p.close_pct, price, ex.c_mult);
    let mut qty = size.min(min_qty.max(round_dn(wanted, ex.qty_step).max(0.0)));
    if qty == 0.0 {
        return None;
    }
    let pnl = S::pnl(p.position.price, price, qty, ex.c_mult);
    if pnl < 0.0 && pnl.abs() > allowance {
        qty = min_qty.max(round_dn(size.min(qty * (allowance / pnl.abs())), ex.qty_step));
    }
    let order_type = OrderType::new(OrderKind::CloseUnstuck, S::PSIDE);
    (qty != 0.0).then_some(Order { qty: -S::SIGN * qty, price, order_type })
}

/// The unstuck close of the least underwater stuck position, if there is one: position in the list and order.
///
/// `allowances` is the loss each side may realise, quote currency. `scratch` is overwritten.
pub fn unstuck_close(
    balance: f64,
    allowances: &PerSide<f64>,
    positions: &[UnstuckPosition],
    scratch: &mut Vec<Stuck>,
) -> Option<(usize, Order)> {
    scratch.clear();
    if balance <= 0.0 {
        return None;
    }
    for (at, p) in positions.iter().enumerate() {
        let distance = for_side!(p.pside, S => {
            (allowances[p.pside] > 0.0 && is_stuck::<S>(p, balance)).then(|| S::distance(p.position.price, p.current_price))
        });
        scratch.extend(distance.map(|distance| Stuck { distance, at }));
    }
    scratch.sort_by(|a, b| compare(a.distance, b.distance).then_with(|| positions[a.at].idx.cmp(&positions[b.at].idx)));
    scratch.iter().find_map(|stuck| {
        let p = &positions[stuck.at];
        for_side!(p.pside, S => reduction::<S>(p, balance, allowances[p.pside])).map(|order| (stuck.at, order))
    })
}
