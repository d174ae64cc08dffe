//! The side of a position as a type: long and short are mirror images, so every formula is written once over `Side`.
//!
//! "In" rules are those of entries (bid, lower band, round down for a long). "Out" rules, those of closes, are the
//! opposite side's "in" rules. Where the two sides are *not* mirror images, the difference is a named constant here.

use crate::num::{round_dn, round_up};
use crate::types::{EmaBands, OrderBook, PerSide, Pside, TrailingBundle};

/// What distinguishes a long from a short.
pub trait Side: Copy + 'static {
    /// The mirror image.
    type Opposite: Side<Opposite = Self>;
    /// The side as a value.
    const PSIDE: Pside;
    /// +1 for long, -1 for short; multiplying by it is exact.
    const SIGN: f64;
    /// Exposure ratio that the close selector assumes without a positive limit; `None`: the plain quotient (`orders.md` 9.5).
    const RATIO_WITHOUT_LIMIT: Option<f64>;
    /// True if a position of the wrong sign yields no unstuck order (`orchestrator.md` 12).
    const UNSTUCK_NEEDS_OWN_SIGN: bool;

    /// Touch at which an entry would rest: bid | ask.
    fn touch_in(book: OrderBook) -> f64;
    /// EMA band that guides the first entry: lower | upper.
    fn band_in(bands: EmaBands) -> f64;
    /// Rounds an entry price away from the market: down | up.
    fn round_in(price: f64, step: f64) -> f64;
    /// The price farther from the market for an entry: min | max; ignores NaN.
    fn pass_in(a: f64, b: f64) -> f64;
    /// Extreme against the position and the bounce after it.
    fn adverse(trailing: &TrailingBundle) -> (f64, f64);
    /// Size of a position of this side as the formulas see it.
    fn magnitude(size: f64) -> f64;

    /// True if `a` is farther from the market than `b` on the entry side: below | above.
    #[inline]
    fn deeper(a: f64, b: f64) -> bool {
        Self::SIGN * a < Self::SIGN * b
    }

    /// Distance of `price` from `reference`, positive against the position; 0 without a positive reference.
    #[inline]
    fn distance(reference: f64, price: f64) -> f64 {
        if reference <= 0.0 {
            0.0
        } else if Self::SIGN > 0.0 {
            1.0 - price / reference
        } else {
            price / reference - 1.0
        }
    }

    /// Profit of closing `qty` (any sign) of a position entered at `entry`.
    #[inline]
    fn pnl(entry: f64, close: f64, qty: f64, c_mult: f64) -> f64 {
        if Self::SIGN > 0.0 { qty.abs() * c_mult * (close - entry) } else { qty.abs() * c_mult * (entry - close) }
    }

    /// This side's part of a pair.
    #[inline]
    fn of<T>(pair: &PerSide<T>) -> &T {
        &pair[Self::PSIDE]
    }

    /// This side's part of a pair, to change.
    #[inline]
    fn of_mut<T>(pair: &mut PerSide<T>) -> &mut T {
        &mut pair[Self::PSIDE]
    }
}

/// The long side.
#[derive(Clone, Copy, Debug)]
pub struct Long;

/// The short side.
#[derive(Clone, Copy, Debug)]
pub struct Short;

impl Side for Long {
    type Opposite = Short;
    const PSIDE: Pside = Pside::Long;
    const SIGN: f64 = 1.0;
    const RATIO_WITHOUT_LIMIT: Option<f64> = Some(10.0);
    const UNSTUCK_NEEDS_OWN_SIGN: bool = true;

    #[inline]
    fn touch_in(book: OrderBook) -> f64 {
        book.bid
    }
    #[inline]
    fn band_in(bands: EmaBands) -> f64 {
        bands.lower
    }
    #[inline]
    fn round_in(price: f64, step: f64) -> f64 {
        round_dn(price, step)
    }
    #[inline]
    fn pass_in(a: f64, b: f64) -> f64 {
        a.min(b)
    }
    #[inline]
    fn adverse(trailing: &TrailingBundle) -> (f64, f64) {
        (trailing.min_since_open, trailing.max_since_min)
    }
    #[inline]
    fn magnitude(size: f64) -> f64 {
        size
    }
}

impl Side for Short {
    type Opposite = Long;
    const PSIDE: Pside = Pside::Short;
    const SIGN: f64 = -1.0;
    const RATIO_WITHOUT_LIMIT: Option<f64> = None;
    const UNSTUCK_NEEDS_OWN_SIGN: bool = false;

    #[inline]
    fn touch_in(book: OrderBook) -> f64 {
        book.ask
    }
    #[inline]
    fn band_in(bands: EmaBands) -> f64 {
        bands.upper
    }
    #[inline]
    fn round_in(price: f64, step: f64) -> f64 {
        round_up(price, step)
    }
    #[inline]
    fn pass_in(a: f64, b: f64) -> f64 {
        a.max(b)
    }
    #[inline]
    fn adverse(trailing: &TrailingBundle) -> (f64, f64) {
        (trailing.max_since_open, trailing.min_since_max)
    }
    #[inline]
    fn magnitude(size: f64) -> f64 {
        size.abs()
    }
}

/// Runs an expression generic over the side for a side known at run time.
#[macro_export]
macro_rules! for_side {
    ($pside:expr, $side:ident => $body:expr) => {
        match $pside {
            $crate::types::Pside::Long => {
                type $side = $crate::side::Long;
                $body
            }
            $crate::types::Pside::Short => {
                type $side = $crate::side::Short;
                $body
            }
        }
    };
}
