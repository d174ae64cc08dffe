//! The floor of the speed measure: the least that a simulated minute of one coin can cost.
//!
//! It reads the candle and updates the eight moving averages that a strategy looks at (six of the close, one of the
//! quote volume, one of the log range), and decides nothing. `make bench` divides the engine's rate by this one. The
//! benches are built for the processor level of `.cargo/config.toml`; most of the time goes into the logarithm, so the
//! rate is the same, within measuring error, as that of the same work built for the plainest x86-64.
//!
//! Prints a line `coins rate` for each count of coins given (default 1, 5 and 20), the rate being coin-minutes a second
//! in the fastest of five years.

#![expect(clippy::disallowed_methods, reason = "taking the time is what this program is for")]

use std::hint::black_box;
use std::time::Instant;

/// Minutes of a year.
const MINUTES: usize = 525_600;
/// Rounds of which the fastest counts.
const ROUNDS: usize = 5;
/// Averages of the close.
const OF_CLOSE: usize = 6;
/// Weight of the newest value: six averages of the close, then quote volume and log range.
const WEIGHTS: [f64; 8] = [0.003, 0.002, 0.0015, 0.0009, 0.01, 0.004, 0.0031, 0.0022];

/// Fields of a candle: high, low, close, volume; one after the other, as in the engine's cube.
const FIELDS: usize = 4;

/// The averages of one coin.
#[derive(Clone)]
struct Averages([f64; 8]);

impl Averages {
    /// Moves every average toward the candle.
    #[inline]
    fn absorb(&mut self, candle: &[f64]) {
        for (average, weight) in self.0.iter_mut().zip(WEIGHTS).take(OF_CLOSE) {
            *average = *average * (1.0 - weight) + candle[2] * weight;
        }
        let newest = [candle[3] * (candle[0] + candle[1] + candle[2]) / 3.0, (candle[0] / candle[1]).ln()];
        for (at, value) in newest.into_iter().enumerate() {
            let at = at + OF_CLOSE;
            self.0[at] = self.0[at] * (1.0 - WEIGHTS[at]) + value * WEIGHTS[at];
        }
    }
}

/// A year of random walks, minute by minute, coins beside each other.
fn year_of(coins: usize) -> Vec<f64> {
    let mut state = 1_u64;
    let mut closes = vec![100.0; coins];
    let mut candles = Vec::with_capacity(MINUTES * coins * FIELDS);
    for _ in 0..MINUTES {
        for close in &mut closes {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let uniform = (state >> 33) as f64 / (1_u64 << 31) as f64;
            *close *= 1.0 + 0.002 * (uniform - 0.5);
            candles.extend([*close * 1.0005, *close * 0.9995, *close, 10.0]);
        }
    }
    candles
}

/// Coin-minutes a second over a year of candles.
fn rate(candles: &[f64], coins: usize) -> f64 {
    let mut averages = vec![Averages([1.0; 8]); coins];
    let started = Instant::now();
    for minute in candles.chunks_exact(coins * FIELDS) {
        for (averages, candle) in averages.iter_mut().zip(minute.chunks_exact(FIELDS)) {
            averages.absorb(candle);
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    for coin in &averages {
        black_box(coin.0);
    }
    (candles.len() / FIELDS) as f64 / seconds
}

fn main() {
    // cargo passes `--bench`; whatever is no number is not ours
    let mut counts: Vec<usize> =
        std::env::args().skip(1).filter_map(|word| word.parse().ok()).filter(|coins| *coins > 0).collect();
    if counts.is_empty() {
        counts = vec![1, 5, 20];
    }
    for coins in counts {
        let candles = year_of(coins);
        let fastest = (0..ROUNDS).map(|_| rate(&candles, coins)).fold(0.0, f64::max);
        println!("{coins} {fastest:.0}");
    }
}
