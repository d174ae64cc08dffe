//! Primitive arithmetic: step rounding, quantity and cost, exposure, averaging, interpolation, EMA step, distances.
//!
//! Everything is plain `f64` in the order written (`orders.md` 2, 4, 14): results are compared bit by bit.

/// Machine epsilon, the threshold of the "has a position" tests in the enforcers and in unstucking.
pub const EPS: f64 = f64::EPSILON;

/// Removes binary noise beyond ten decimal places.
#[inline]
fn clean(v: f64) -> f64 {
    (v * 1e10).round() / 1e10
}

/// `x` to the nearest multiple of `step`, half away from zero.
#[inline]
pub fn round_step(x: f64, step: f64) -> f64 {
    clean((x / step).round() * step)
}

/// `x` up to a multiple of `step`; no tolerance, so `round_up(0.07, 0.01)` is 0.08.
#[inline]
pub fn round_up(x: f64, step: f64) -> f64 {
    clean((x / step).ceil() * step)
}

/// `x` down to a multiple of `step`; no tolerance, so `round_dn(0.3, 0.1)` is 0.2.
#[inline]
pub fn round_dn(x: f64, step: f64) -> f64 {
    clean((x / step).floor() * step)
}

/// `round_step` where that has a meaning, else `x` itself.
#[inline]
pub fn quantize(x: f64, step: f64) -> f64 {
    if step <= 0.0 || !x.is_finite() { x } else { round_step(x, step) }
}

/// Integer power of ten by squaring; for negative exponents the reciprocal (`orders.md` 4.2).
fn pow10(exponent: i32) -> f64 {
    let (mut base, mut result, mut left) = (10.0_f64, 1.0_f64, exponent.unsigned_abs());
    while left > 0 {
        if left & 1 == 1 {
            result *= base;
        }
        base *= base;
        left >>= 1;
    }
    if exponent < 0 { 1.0 / result } else { result }
}

/// `x` to `digits` significant digits with the given rounding function; 0 stays 0.
fn round_dynamic_with(x: f64, digits: i32, rounding: impl Fn(f64) -> f64) -> f64 {
    if x == 0.0 {
        return 0.0;
    }
    let magnitude = x.abs().log10().floor() as i32;
    let m = pow10(digits.saturating_sub(magnitude).saturating_sub(1));
    clean(rounding(x * m) / m)
}

/// `x` to the nearest number of `digits` significant digits.
pub fn round_dynamic(x: f64, digits: i32) -> f64 {
    round_dynamic_with(x, digits, f64::round)
}

/// `x` up to `digits` significant digits.
pub fn round_dynamic_up(x: f64, digits: i32) -> f64 {
    round_dynamic_with(x, digits, f64::ceil)
}

/// `x` down to `digits` significant digits.
pub fn round_dynamic_dn(x: f64, digits: i32) -> f64 {
    round_dynamic_with(x, digits, f64::floor)
}

/// Quantity that costs `cost` at `price`; 0 without a positive price.
#[inline]
pub fn cost_to_qty(cost: f64, price: f64, c_mult: f64) -> f64 {
    if price > 0.0 { (cost.abs() / price) / c_mult } else { 0.0 }
}

/// Cost of `qty` at `price`, never negative.
#[inline]
pub fn qty_to_cost(qty: f64, price: f64, c_mult: f64) -> f64 {
    (qty.abs() * price) * c_mult
}

/// Cost of a position over the balance; 0 without balance or position.
#[inline]
pub fn wallet_exposure(c_mult: f64, balance: f64, size: f64, price: f64) -> f64 {
    if balance <= 0.0 || size == 0.0 {
        return 0.0;
    }
    qty_to_cost(size, price, c_mult) / balance
}

/// Position after adding `qty` at `price`: size on the step, volume-weighted price (`orders.md` 4.4).
#[inline]
pub fn new_position(size: f64, pprice: f64, qty: f64, price: f64, qty_step: f64) -> (f64, f64) {
    if qty == 0.0 {
        return (size, pprice);
    }
    if size == 0.0 {
        return (qty, price);
    }
    let n = round_step(size + qty, qty_step);
    if n == 0.0 {
        return (0.0, 0.0);
    }
    let held = if pprice.is_nan() { 0.0 } else { pprice };
    (n, held * (size / n) + price * (qty / n))
}

/// The line through `(x0, y0)` and `(x1, y1)` at `x`, in the two-term form.
#[inline]
pub fn lerp(x: f64, (x0, y0): (f64, f64), (x1, y1): (f64, f64)) -> f64 {
    y0 * ((x - x1) / (x0 - x1)) + y1 * ((x - x0) / (x1 - x0))
}

/// Relative difference of `x` from `y`; infinite where only `y` is 0.
pub fn relative_difference(x: f64, y: f64) -> f64 {
    if y == 0.0 {
        return if x == 0.0 { 0.0 } else { f64::INFINITY };
    }
    (x - y).abs() / y.abs()
}

/// Keeps `prev` until `val` has moved by more than `pct` of it.
#[inline]
pub fn hysteresis(val: f64, prev: f64, pct: f64) -> f64 {
    if !(val.is_finite() && prev.is_finite() && pct.is_finite()) {
        prev
    } else if prev == 0.0 || (val - prev).abs() / prev.abs() > pct.max(0.0) {
        val
    } else {
        prev
    }
}

/// Loss that unstucking may realise: what is left of `pct` of the balance at the realised-profit peak (`orders.md` 10.1).
pub fn unstuck_allowance(balance: f64, pct: f64, pnl_max: f64, pnl_last: f64) -> f64 {
    let peak = balance + (pnl_max - pnl_last);
    let drop = balance / peak - 1.0;
    (peak * (pct + drop)).max(0.0)
}

/// Smoothing factor of an EMA of the given span; spans are never rounded.
#[inline]
pub fn ema_alpha(span: f64) -> f64 {
    2.0 / (span + 1.0)
}

/// True if `alpha` moves an EMA at all (`backtest_engine.md` 8.2).
#[inline]
pub fn ema_moves(alpha: f64) -> bool {
    alpha.is_finite() && alpha > 0.0
}

/// Bias-corrected EMA of each value, as the live bot shows it (`candles.md` 10.1): the first value is the seed, a value
/// that is not finite changes nothing. The weight `den` is 1 up to rounding, and carried for the last digits' sake.
pub fn ema_series(values: &[f64], span: f64, out: &mut Vec<f64>) {
    let alpha = ema_alpha(span);
    let (mut num, mut den) = (values.first().copied().unwrap_or(0.0), 1.0);
    out.clear();
    out.extend(values.iter().enumerate().map(|(i, &x)| {
        if i > 0 && x.is_finite() {
            num = alpha * x + (1.0 - alpha) * num;
            den = alpha + (1.0 - alpha) * den;
            if den <= f64::MIN_POSITIVE {
                (num, den) = (alpha * x, alpha);
            }
        }
        if num.is_finite() { num / den } else { f64::NAN }
    }));
}

/// Two spans mean the same EMA (`orchestrator.md` 4.3).
#[inline]
pub fn same_span(key: f64, wanted: f64) -> bool {
    (key - wanted).abs() <= (wanted.abs() * 1e-12).max(1e-9)
}

/// Total order of doubles for sorting, with both zeros equal.
#[inline]
pub fn compare(a: f64, b: f64) -> std::cmp::Ordering {
    (a + 0.0).total_cmp(&(b + 0.0))
}

/// Distance of an order from its own touch, as a fraction: positive away from the market (`orchestrator.md` 7.3).
#[inline]
pub fn order_distance(qty: f64, price: f64, bid: f64, ask: f64) -> f64 {
    if qty >= 0.0 { 1.0 - price / bid } else { price / ask - 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn step_rounding_has_no_tolerance() {
        let cases = [
            (round_step(2.5, 1.0), 3.0),
            (round_step(-2.5, 1.0), -3.0),
            (round_step(0.15, 0.1), 0.1),
            (round_step(1.005, 0.01), 1.0),
            (round_step(1e-12, 3e-12), 0.0),
            (round_dn(0.3, 0.1), 0.2),
            (round_dn(0.58, 0.01), 0.57),
            (round_dn(0.29, 0.01), 0.28),
            (round_up(0.07, 0.01), 0.08),
            (round_up(0.14, 0.01), 0.15),
            (round_up(1.11, 0.01), 1.12),
            (round_up(1.1, 0.1), 1.1),
            (round_up(1.000_000_000_1, 1.0), 2.0),
            (round_up(0.300_000_000_000_000_04, 0.1), 0.4),
        ];
        for (got, want) in cases {
            assert_eq!(got, want);
        }
    }

    #[test]
    fn dynamic_rounding_keeps_significant_digits() {
        assert_eq!(round_dynamic(123_456.0, 3), 123_000.0);
        assert_eq!(round_dynamic(0.001_234_56, 3), 0.001_23);
        assert_eq!(round_dynamic_up(0.001_234_56, 3), 0.001_24);
        assert_eq!(round_dynamic_dn(-987.654, 2), -990.0);
        assert_eq!(round_dynamic(1e-11, 3), 0.0);
        assert_eq!(round_dynamic(0.0, 3), 0.0);
    }

    #[test]
    fn averaging_follows_the_specification() {
        assert_eq!(new_position(2.0, 100.0, 1.0, 94.0, 0.1), (3.0, 97.999_999_999_999_99));
        assert_eq!(new_position(-2.0, 100.0, -1.0, 106.0, 0.1), (-3.0, 101.999_999_999_999_99));
        assert_eq!(new_position(2.0, 100.0, -2.0, 94.0, 0.1), (0.0, 0.0));
        assert_eq!(new_position(2.0, f64::NAN, 1.0, 94.0, 0.1), (3.0, 31.333_333_333_333_332));
        assert_eq!(new_position(1.087, 101.15, 1.304, 100.19, 0.001), (2.391, 100.626_436_637_390_21));
        assert_eq!(new_position(0.0, 0.0, 1.234_56, 10.0, 0.1), (1.234_56, 10.0));
    }

    #[test]
    fn hysteresis_holds_small_moves() {
        assert_eq!(hysteresis(1020.0, 1000.0, 0.02), 1000.0);
        assert_eq!(hysteresis(1021.0, 1000.0, 0.02), 1021.0);
        assert_eq!(hysteresis(5.0, 0.0, 0.02), 5.0);
        assert_eq!(hysteresis(1001.0, 1000.0, -1.0), 1001.0);
        assert_eq!(hysteresis(f64::NAN, 7.0, 0.02), 7.0);
    }

    #[test]
    fn allowance_shrinks_with_the_drop_from_the_peak() {
        assert_eq!(unstuck_allowance(10_000.0, 0.03, 500.0, 500.0), 300.0);
        assert_eq!(unstuck_allowance(9_800.0, 0.03, 500.0, 300.0), 99.999_999_999_999_82);
        assert_eq!(unstuck_allowance(9_000.0, 0.03, 1_500.0, 500.0), 0.0);
        assert_eq!(unstuck_allowance(1_000.0, 0.01, 50.0, 45.0), 5.050_000_000_000_023);
    }
}
