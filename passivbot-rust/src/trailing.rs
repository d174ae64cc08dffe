//! The trailing price bundle and the trigger that entries and closes share (`orders.md` 7, 8.8, 9.4).

use crate::side::Side;
use crate::types::TrailingBundle;

impl Default for TrailingBundle {
    fn default() -> Self {
        Self { min_since_open: f64::MAX, max_since_min: 0.0, max_since_open: 0.0, min_since_max: f64::MAX }
    }
}

impl TrailingBundle {
    /// Absorbs one candle; a candle with a non-finite price is skipped. A new extreme seeds its counter-extreme with
    /// the close of the candle that made it.
    #[inline]
    pub fn absorb(&mut self, high: f64, low: f64, close: f64) {
        if !(high.is_finite() && low.is_finite() && close.is_finite()) {
            return;
        }
        if low < self.min_since_open {
            self.min_since_open = low;
            self.max_since_min = close;
        } else {
            self.max_since_min = self.max_since_min.max(high);
        }
        if high > self.max_since_open {
            self.max_since_open = high;
            self.min_since_max = close;
        } else {
            self.min_since_max = self.min_since_max.min(low);
        }
    }
}

/// Price of a trailing order that moves *in* the direction of `S`'s entries, if it is triggered.
///
/// A long's entry waits for a fall and a bounce; a short's close does the same, so closes call this with the opposite
/// side. `threshold` and `retracement` are fractions; `round_in` rounds to the price step.
#[inline]
pub fn trigger_price<S: Side>(
    bundle: &TrailingBundle,
    pprice: f64,
    (threshold, retracement): (f64, f64),
    touch: f64,
    price_step: f64,
) -> Option<f64> {
    let (extreme, bounce) = S::adverse(bundle);
    let excursion = || S::deeper(extreme, pprice * (1.0 - S::SIGN * threshold));
    let retraced = || S::deeper(extreme * (1.0 + S::SIGN * retracement), bounce);
    let resting = |factor: f64| S::pass_in(touch, S::round_in(pprice * factor, price_step));
    match (threshold > 0.0, retracement > 0.0) {
        (false, false) => None,
        (false, true) => retraced().then_some(touch),
        (true, false) => Some(resting(1.0 - S::SIGN * threshold)),
        (true, true) => {
            (excursion() && retraced()).then(|| resting((1.0 - S::SIGN * threshold) + S::SIGN * retracement))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bundle_follows_the_candles() {
        let mut bundle = TrailingBundle::default();
        let mut seen = Vec::new();
        for (high, low, close) in
            [(101.0, 99.0, 100.0), (103.0, 100.0, 102.0), (f64::NAN, 1.0, 1.0), (102.0, 97.0, 98.0)]
        {
            bundle.absorb(high, low, close);
            seen.push([bundle.min_since_open, bundle.max_since_min, bundle.max_since_open, bundle.min_since_max]);
        }
        let want = [
            [99.0, 100.0, 101.0, 100.0],
            [99.0, 103.0, 103.0, 102.0],
            [99.0, 103.0, 103.0, 102.0],
            [97.0, 98.0, 103.0, 97.0],
        ];
        assert_eq!(seen, want);
    }
}
