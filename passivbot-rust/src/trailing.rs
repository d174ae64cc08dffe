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

    /// Absorbs many candles at once, given their highest and lowest price, if none of them makes a new extreme; else false.
    #[inline]
    pub fn absorb_calm(&mut self, (highest, lowest): (f64, f64)) -> bool {
        let calm = lowest >= self.min_since_open && highest <= self.max_since_open;
        if calm {
            self.max_since_min = self.max_since_min.max(highest);
            self.min_since_max = self.min_since_max.min(lowest);
        }
        calm
    }
}

/// Distances of a trailing order as fractions of the position price.
#[derive(Clone, Copy, Debug)]
pub struct TrailingDistances {
    /// Excursion that arms the order; 0 or less: always armed.
    pub threshold: f64,
    /// Turn after the extreme that fires it; 0 or less: fires at once.
    pub retracement: f64,
}

impl TrailingDistances {
    /// Price at which the order rests once it has fired, before it yields to the touch: `None` if it never fires,
    /// infinitely near the market if it rests at the touch itself.
    #[inline]
    pub fn level<S: Side>(&self, pprice: f64, price_step: f64) -> Option<f64> {
        let Self { threshold, retracement } = *self;
        let resting = |factor: f64| S::round_in(pprice * factor, price_step);
        match (threshold > 0.0, retracement > 0.0) {
            (false, false) => None,
            (false, true) => Some(S::SIGN * f64::INFINITY),
            (true, false) => Some(resting(1.0 - S::SIGN * threshold)),
            (true, true) => Some(resting((1.0 - S::SIGN * threshold) + S::SIGN * retracement)),
        }
    }

    /// True if the extremes have armed and fired the order.
    #[inline]
    pub fn fired<S: Side>(&self, bundle: &TrailingBundle, pprice: f64) -> bool {
        let Self { threshold, retracement } = *self;
        let (extreme, bounce) = S::adverse(bundle);
        let armed = || if threshold > 0.0 { S::deeper(extreme, pprice * (1.0 - S::SIGN * threshold)) } else { true };
        let turned = || S::deeper(extreme * (1.0 + S::SIGN * retracement), bounce);
        if retracement > 0.0 { armed() && turned() } else { threshold > 0.0 }
    }

    /// Price of the order, if it has fired.
    ///
    /// A long's entry waits for a fall and a bounce; a short's close does the same, so closes call this with the
    /// opposite side.
    #[inline]
    pub fn price<S: Side>(&self, bundle: &TrailingBundle, pprice: f64, touch: f64, price_step: f64) -> Option<f64> {
        let level = self.level::<S>(pprice, price_step)?;
        self.fired::<S>(bundle, pprice).then(|| S::pass_in(touch, level))
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
