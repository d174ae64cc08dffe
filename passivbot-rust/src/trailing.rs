//! The trailing price bundle and the trigger that entries and closes share (`orders.md` 7, 8.8, 9.4).

use crate::side::Side;
use crate::types::TrailingBundle;

impl Default for TrailingBundle {
    fn default() -> Self {
        Self::NONE
    }
}

impl TrailingBundle {
    /// Before the first candle.
    pub const NONE: Self =
        Self { min_since_open: f64::MAX, max_since_min: 0.0, max_since_open: 0.0, min_since_max: f64::MAX };

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

    /// Absorbs many candles at once, all of whose prices are numbers. `extremes` are their highest and lowest price, if known.
    pub fn absorb_all(&mut self, high: &[f64], low: &[f64], close: &[f64], extremes: Option<(f64, f64)>) {
        let (highest, lowest) = extremes.unwrap_or_else(|| (highest_of(high), lowest_of(low)));
        if lowest < self.min_since_open {
            let at = low.iter().position(|price| *price == lowest).unwrap_or(0);
            (self.min_since_open, self.max_since_min) = (lowest, close[at].max(highest_of(&high[at + 1..])));
        } else {
            self.max_since_min = self.max_since_min.max(highest);
        }
        if highest > self.max_since_open {
            let at = high.iter().position(|price| *price == highest).unwrap_or(0);
            (self.max_since_open, self.min_since_max) = (highest, close[at].min(lowest_of(&low[at + 1..])));
        } else {
            self.min_since_max = self.min_since_max.min(lowest);
        }
    }
}

/// Lanes of a running extreme, so that the compiler may compare several prices at once.
const LANES: usize = 4;

fn lowest_of(prices: &[f64]) -> f64 {
    let mut lowest = [f64::INFINITY; LANES];
    let (chunks, rest) = prices.as_chunks::<LANES>();
    for chunk in chunks {
        for (lowest, price) in lowest.iter_mut().zip(chunk) {
            *lowest = if *price < *lowest { *price } else { *lowest };
        }
    }
    lowest.iter().chain(rest).copied().fold(f64::INFINITY, f64::min)
}

fn highest_of(prices: &[f64]) -> f64 {
    let mut highest = [f64::NEG_INFINITY; LANES];
    let (chunks, rest) = prices.as_chunks::<LANES>();
    for chunk in chunks {
        for (highest, price) in highest.iter_mut().zip(chunk) {
            *highest = if *price > *highest { *price } else { *highest };
        }
    }
    highest.iter().chain(rest).copied().fold(f64::NEG_INFINITY, f64::max)
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
    fn many_candles_at_once_are_the_same_as_one_by_one() {
        let mut seed = 7_u64;
        let mut random = |n: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % n
        };
        for _ in 0..3000 {
            let n = random(13) as usize;
            let low: Vec<f64> = (0..n).map(|_| 90.0 + random(6) as f64).collect();
            let high: Vec<f64> = low.iter().map(|low| low + random(5) as f64).collect();
            let close: Vec<f64> = low.iter().map(|low| low + random(3) as f64).collect();
            let mut one_by_one = TrailingBundle::default();
            if random(2) == 1 {
                one_by_one.absorb(94.0, 92.0, 93.0);
            }
            let mut at_once = one_by_one;
            (0..n).for_each(|at| one_by_one.absorb(high[at], low[at], close[at]));
            let known = (highest_of(&high), lowest_of(&low));
            at_once.absorb_all(&high, &low, &close, (random(2) == 1).then_some(known));
            assert_eq!(at_once, one_by_one, "{high:?} {low:?} {close:?}");
        }
    }

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
