//! Candles as the engine reads them, and the rows in which each coin is valid and tradable (`backtest_engine.md` 3.1).

use super::CoinSpec;
use crate::num::EPS;
use ndarray::ArrayView3;

/// High, low, close, volume of one coin and minute.
#[derive(Clone, Copy, Debug)]
pub struct Candle {
    /// Highest price.
    pub high: f64,
    /// Lowest price.
    pub low: f64,
    /// Last price.
    pub close: f64,
    /// Base units traded.
    pub volume: f64,
}

impl Candle {
    /// Nothing about the prices can lead the planner to an error.
    #[inline]
    pub fn is_ordinary(&self) -> bool {
        (self.low > EPS)
            & (self.high >= self.low)
            & (self.high < f64::INFINITY)
            & (self.close > EPS)
            & (self.close < f64::INFINITY)
    }

    /// Value traded, at the typical price of the minute.
    #[inline]
    pub fn quote_volume(&self) -> f64 {
        let volume = if self.volume.is_finite() { self.volume.max(0.0) } else { 0.0 };
        volume * ((self.high + self.low + self.close) / 3.0)
    }

    /// All three prices are numbers.
    #[inline]
    pub fn has_prices(&self) -> bool {
        self.high.is_finite() && self.low.is_finite() && self.close.is_finite()
    }
}

/// Random access to the candle cube `[rows, columns, 4]`.
pub trait Candles {
    /// Number of rows.
    fn rows(&self) -> usize;
    /// The candle of a column in a row.
    fn at(&self, row: usize, column: usize) -> Candle;
    /// Brings rows into the caches, at the pace of plain reading. Changes nothing.
    fn fetch(&self, _rows: std::ops::Range<usize>) {}
}

/// The fast path: a cube in C order.
#[derive(Clone, Copy, Debug)]
pub struct DenseCandles<'a> {
    cells: &'a [[f64; 4]],
    columns: usize,
}

impl<'a> DenseCandles<'a> {
    /// The cells of a cube if it is contiguous in C order.
    pub fn new(cube: &ArrayView3<'a, f64>) -> Option<Self> {
        let (cells, rest) = cube.to_slice()?.as_chunks::<4>();
        (rest.is_empty() && cube.shape()[2] == 4).then_some(Self { cells, columns: cube.shape()[1] })
    }
}

impl Candles for DenseCandles<'_> {
    #[inline]
    fn rows(&self) -> usize {
        self.cells.len() / self.columns
    }
    #[inline]
    fn at(&self, row: usize, column: usize) -> Candle {
        let [high, low, close, volume] = self.cells[row * self.columns + column];
        Candle { high, low, close, volume }
    }
    /// Sorting candles into columns keeps the memory system from reading ahead; a plain pass before it takes a third of
    /// the time that is lost otherwise.
    fn fetch(&self, rows: std::ops::Range<usize>) {
        let cells = &self.cells[rows.start * self.columns..rows.end * self.columns];
        std::hint::black_box(cells.iter().fold([0.0; 4], |sum, cell| std::array::from_fn(|i| sum[i] + cell[i])));
    }
}

impl Candles for ArrayView3<'_, f64> {
    fn rows(&self) -> usize {
        self.shape()[0]
    }
    fn at(&self, row: usize, column: usize) -> Candle {
        let cell = |field| self[[row, column, field]];
        Candle { high: cell(0), low: cell(1), close: cell(2), volume: cell(3) }
    }
}

/// Inclusive rows of a coin.
#[derive(Clone, Copy, Debug)]
pub struct ValidRange {
    /// First row with data.
    pub first: usize,
    /// Last row with data.
    pub last: usize,
    /// First row in which the coin may trade.
    pub trade_start: usize,
    /// The data end well before the run does: the coin was delisted.
    pub delisted: bool,
}

/// Rows between the end of a coin's data and the end of the run from which the coin counts as delisted.
const DELIST_MARGIN: usize = 1400;

impl ValidRange {
    /// Cuts a coin's range to a dataset of `rows` rows.
    pub fn new(coin: &CoinSpec, rows: usize) -> Self {
        let end = rows - 1;
        let first = coin.first_valid.min(end);
        let last = coin.last_valid.min(end).max(first);
        let trade_start = first.saturating_add(coin.warmup_minutes).min(last);
        Self { first, last, trade_start, delisted: last.saturating_add(DELIST_MARGIN) < rows }
    }

    /// Price that the planner sees as bid and ask: the close of the row, or of the nearest valid one.
    #[inline]
    pub fn touch(&self, row: usize, column: usize, candles: &impl Candles) -> f64 {
        candles.at(row.clamp(self.first, self.last), column).close.max(EPS)
    }

    /// The coin has data in the row.
    #[inline]
    pub fn valid(&self, row: usize) -> bool {
        self.first <= row && row <= self.last
    }

    /// The coin has data and is past its warm-up.
    #[inline]
    pub fn tradable(&self, row: usize) -> bool {
        self.trade_start <= row && row <= self.last
    }

    /// A position can no longer be closed in the ordinary way.
    #[inline]
    pub fn past_end(&self, row: usize) -> bool {
        if self.delisted { row >= self.last } else { !self.valid(row) }
    }
}
