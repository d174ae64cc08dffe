//! The tape: candles and indicators of a few consecutive minutes, coin by coin, as columns over time.
//!
//! The minute loop works stretch by stretch. Within one, no hour ends and no coin is listed, warmed up or delisted, so that
//! everything about a coin but prices and EMAs is constant. Questions about all rows of a stretch have one bit a row as
//! their answer, and the loops that answer them run over plain columns.

use super::CoinSpec;
use super::dataset::{Candle, Candles, ValidRange};
use crate::num::EPS;
use crate::types::PerSide;
use std::ops::Range;

/// Values a column can hold: an hour and the row behind it, rounded up to the bits of a `RowSet`.
pub const CAPACITY: usize = 64;
/// Rows of a stretch at most: an hour.
pub const LONGEST: usize = 60;

/// Rows of the tape, one bit each.
pub type RowSet = u64;
/// One number a row.
pub type Column = [f64; CAPACITY];

/// The rows for which a test holds; the test may look at the row behind each.
#[inline]
pub fn rows_where(test: impl Fn(usize) -> bool) -> RowSet {
    (0..CAPACITY - 1).fold(0, |rows, at| rows | (RowSet::from(test(at)) << at))
}

/// All rows from `at` on.
#[inline]
pub fn rows_from(at: usize) -> RowSet {
    if at < CAPACITY { RowSet::MAX << at } else { 0 }
}

/// One coin on the tape. Columns reach one row behind the stretch; what is there of a coin without data is meaningless.
#[derive(Clone, Debug)]
pub struct CoinTape {
    /// Highest prices.
    pub high: Column,
    /// Lowest prices.
    pub low: Column,
    /// Last prices.
    pub close: Column,
    /// Base units traded.
    pub traded: Column,
    /// Nearest price that a coin without data in the stretch has.
    nearest: f64,
    /// Smallest price EMAs by the side that keeps them.
    pub lower: PerSide<Column>,
    /// Largest price EMAs.
    pub upper: PerSide<Column>,
    /// Quote-volume EMAs.
    pub volume: PerSide<Column>,
    /// 1-minute log-range EMAs.
    pub log_range: PerSide<Column>,
    /// The coin has data in the stretch.
    pub valid: bool,
    /// Rows whose orders can fill in the next row, as far as the coin is tradable there.
    pub fillable: RowSet,
    /// All candles of the stretch are ordinary.
    pub ordinary: bool,
    /// Highest and lowest price of the stretch.
    pub extremes: (f64, f64),
    /// No price of the stretch or of the row behind it is above or below these.
    pub bounds: (f64, f64),
}

impl CoinTape {
    const EMPTY: Self = Self {
        high: [0.0; CAPACITY],
        low: [0.0; CAPACITY],
        close: [0.0; CAPACITY],
        traded: [0.0; CAPACITY],
        nearest: 0.0,
        lower: PerSide { long: [0.0; CAPACITY], short: [0.0; CAPACITY] },
        upper: PerSide { long: [0.0; CAPACITY], short: [0.0; CAPACITY] },
        volume: PerSide { long: [0.0; CAPACITY], short: [0.0; CAPACITY] },
        log_range: PerSide { long: [0.0; CAPACITY], short: [0.0; CAPACITY] },
        valid: false,
        fillable: 0,
        ordinary: false,
        extremes: (0.0, 0.0),
        bounds: (f64::INFINITY, 0.0),
    };

    /// Price that the planner sees as bid and ask.
    #[inline]
    pub fn touch(&self, at: usize) -> f64 {
        if self.valid { self.close[at].max(EPS) } else { self.nearest }
    }

    /// Candle of a row.
    #[inline]
    pub fn candle(&self, at: usize) -> Candle {
        Candle { high: self.high[at], low: self.low[at], close: self.close[at], volume: self.traded[at] }
    }

    /// Finds out what holds for the whole stretch.
    fn look_over(&mut self, range: &ValidRange, first: usize, len: usize) {
        self.valid = range.valid(first);
        let last_row = RowSet::from(range.tradable(first + len)) << (len - 1);
        let rows_before = if range.tradable(first) { !rows_from(len - 1) } else { 0 };
        self.fillable = rows_before | last_row;
        let (highest, lowest, fine) = survey(&self.high[..len], &self.low[..len], &self.close[..len]);
        self.ordinary = fine || (0..len).all(|at| self.candle(at).is_ordinary());
        self.extremes = (highest, lowest);
        let behind = self.candle(len);
        self.bounds = if fine && behind.is_ordinary() {
            (highest.max(behind.high), lowest.min(behind.low))
        } else {
            (f64::INFINITY, 0.0)
        };
    }
}

/// Prices at a time, so that the compiler may compare them together.
const LANES: usize = 4;

/// What a part of every fourth candle, one lane each, has been like so far.
struct Survey {
    highest: [f64; LANES],
    lowest: [f64; LANES],
    /// Other than 0 where a close was outside of its high and low, or a price was no number.
    faults: [f64; LANES],
}

impl Survey {
    #[inline]
    fn add(&mut self, lane: usize, high: f64, low: f64, close: f64) {
        let Self { highest, lowest, faults } = self;
        highest[lane] = if high > highest[lane] { high } else { highest[lane] };
        lowest[lane] = if low < lowest[lane] { low } else { lowest[lane] };
        let inside = (low <= close) & (close <= high);
        faults[lane] = if inside { faults[lane] } else { 1.0 };
    }
}

/// Highest high, lowest low, and whether every close is between its high and low and all prices are ordinary.
fn survey(high: &[f64], low: &[f64], close: &[f64]) -> (f64, f64, bool) {
    let mut seen = Survey { highest: [f64::NEG_INFINITY; LANES], lowest: [f64::INFINITY; LANES], faults: [0.0; LANES] };
    let (highs, last_highs) = high.as_chunks::<LANES>();
    let (lows, last_lows) = low.as_chunks::<LANES>();
    let (closes, last_closes) = close.as_chunks::<LANES>();
    for ((high, low), close) in highs.iter().zip(lows).zip(closes) {
        for lane in 0..LANES {
            seen.add(lane, high[lane], low[lane], close[lane]);
        }
    }
    for ((high, low), close) in last_highs.iter().zip(last_lows).zip(last_closes) {
        seen.add(0, *high, *low, *close);
    }
    let highest = seen.highest.into_iter().fold(f64::NEG_INFINITY, f64::max);
    let lowest = seen.lowest.into_iter().fold(f64::INFINITY, f64::min);
    (highest, lowest, seen.faults == [0.0; LANES] && lowest > EPS && highest < f64::INFINITY)
}

/// A stretch of rows.
#[derive(Clone, Debug)]
pub struct Tape {
    /// Row of the run that stands first.
    pub first: usize,
    /// Number of rows.
    pub len: usize,
    /// All coins.
    pub coins: Vec<CoinTape>,
    /// From this place on, nothing may be concluded about rows: a candle was out of the ordinary.
    pub odd_from: usize,
}

impl Tape {
    /// A tape for `n` coins with nothing on it; `odd`: nothing may be concluded at all.
    pub fn new(n: usize, odd: bool) -> Self {
        Self { first: 0, len: 0, coins: vec![CoinTape::EMPTY; n], odd_from: if odd { 0 } else { CAPACITY } }
    }

    /// Moves on to other rows.
    pub fn start(&mut self, rows: &Range<usize>) {
        (self.first, self.len) = (rows.start, rows.len());
        if self.odd_from < CAPACITY {
            self.odd_from = 0;
        }
    }

    /// Copies the candles of all coins onto the tape, in the order in which they lie in memory, and looks them over.
    pub fn load(&mut self, specs: &[CoinSpec], ranges: &[ValidRange], candles: &impl Candles) {
        candles.fetch(self.first..self.first + self.len + 1);
        for at in 0..=self.len {
            for (tape, spec) in self.coins.iter_mut().zip(specs) {
                let candle = candles.at(self.first + at, spec.column);
                (tape.high[at], tape.low[at], tape.close[at]) = (candle.high, candle.low, candle.close);
                tape.traded[at] = candle.volume;
            }
        }
        for ((tape, spec), range) in self.coins.iter_mut().zip(specs).zip(ranges) {
            tape.look_over(range, self.first, self.len);
            if !tape.valid {
                tape.nearest = range.touch(self.first, spec.column, candles);
            } else if !tape.ordinary {
                let odd = (0..self.len).find(|at| !tape.candle(*at).is_ordinary());
                self.odd_from = self.odd_from.min(odd.unwrap_or(self.len));
            }
        }
    }
}
