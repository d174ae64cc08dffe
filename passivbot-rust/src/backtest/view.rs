//! Refills the planner's input in place for a row (`backtest_engine.md` 11.1-11.3).

use super::book::Positions;
use super::dataset::{Candle, ValidRange};
use super::indicators::Indicators;
use super::tape::Tape;
use super::{CoinSpec, RunParams};
use crate::orchestrator::input::{Ask, Expansion, Mode, PlanInput, SideGlobals, SideInput, SymbolInput};
use crate::side::Side;
use crate::types::{BotParams, OrderBook, PerSide, Position, Pside, TrailingBundle};

/// The planner's input before the first row: everything that does not change is in place.
pub fn new_input(coins: &[CoinSpec], globals: &PerSide<BotParams>, run: &RunParams) -> PlanInput {
    let side = |coin: &CoinSpec, pside: Pside| SideInput {
        mode: coin.forced_modes[pside],
        position: Position::default(),
        trailing: TrailingBundle::default(),
        params: coin.params[pside],
        bands: None,
        volatility: Some(0.0),
        volume_score: 0.0,
        volatility_score: 0.0,
        ask: Ask::ALL,
    };
    let symbols = coins.iter().enumerate().map(|(symbol_idx, coin)| SymbolInput {
        symbol_idx,
        order_book: OrderBook::default(),
        exchange: coin.exchange,
        tradable: false,
        expansion: Expansion::Full,
        effective_min_cost: 0.0,
        sides: PerSide::from_fn(|pside| side(coin, pside)),
    });
    PlanInput {
        balance: 0.0,
        filter_by_min_effective_cost: run.filter_by_min_effective_cost,
        hedge_mode: run.hedge_mode,
        globals: PerSide::from_fn(|p| SideGlobals::new(&globals[p], 0.0)),
        symbols: symbols.collect(),
    }
}

/// What the view of a row is taken from.
#[derive(Clone, Copy, Debug)]
pub struct RowState<'a> {
    /// Row being planned.
    pub row: usize,
    /// Its place on the tape.
    pub at: usize,
    /// All coins.
    pub coins: &'a [CoinSpec],
    /// Their valid rows.
    pub ranges: &'a [ValidRange],
    /// Those that are forced into a mode on some side.
    pub forced: &'a [usize],
    /// Candles and EMAs.
    pub tape: &'a Tape,
    /// EMAs that move by the hour, and which of those on the tape belong to which side.
    pub indicators: &'a Indicators,
    /// Positions after the row.
    pub positions: &'a Positions,
    /// Trailing extremes after the row, of coins that somebody asks for; of others, after an earlier one.
    pub trailing: &'a PerSide<Vec<TrailingBundle>>,
    /// First row that they have not absorbed.
    pub trailed_to: &'a PerSide<Vec<usize>>,
    /// Account total without hysteresis.
    pub raw_balance: f64,
}

impl RowState<'_> {
    /// Refills one coin.
    pub fn refill(&self, coin: usize, symbol: &mut SymbolInput, filter_by_min_cost: bool) {
        let (tape, at) = (&self.tape.coins[coin], self.at);
        let close = tape.touch(at);
        symbol.order_book = OrderBook { bid: close, ask: close };
        symbol.tradable = self.ranges[coin].tradable(self.row);
        symbol.expansion = self.next_candle(coin);
        if filter_by_min_cost {
            symbol.effective_min_cost = symbol.exchange.effective_min_cost(close);
        }
        for pside in Pside::BOTH {
            let side = &mut symbol.sides[pside];
            side.position = self.positions.held[pside][coin];
            side.trailing = self.trailing[pside][coin];
            side.bands = self.indicators.bands(self.tape, coin, pside, at);
            side.volatility = Some(self.indicators.volatility(coin, pside));
            side.volume_score = self.indicators.volume_score(self.tape, coin, pside, at);
            side.volatility_score = self.indicators.volatility_score(self.tape, coin, pside, at);
            side.mode = self.mode(coin, pside, side, filter_by_min_cost);
        }
    }

    /// The coin has a position on either side.
    #[inline]
    pub fn is_open(&self, coin: usize) -> bool {
        self.positions.held.iter().any(|held| held[coin].is_open())
    }

    /// Orders of the coin can fill in the next row.
    #[inline]
    pub fn can_fill(&self, coin: usize) -> bool {
        self.tape.coins[coin].fillable >> self.at & 1 == 1
    }

    /// Farthest that any coin goes from its touch toward the side's entries in the next candle, as a fraction: nothing
    /// beyond fills, and the entry gate removes what is farther first.
    pub fn ladder_depth<S: Side>(&self) -> f64 {
        let fillable = (0..self.coins.len()).filter(|coin| self.can_fill(*coin));
        let depth = fillable.map(|coin| {
            let tape = &self.tape.coins[coin];
            let extreme = if S::SIGN > 0.0 { tape.low[self.at + 1] } else { tape.high[self.at + 1] };
            S::distance(tape.touch(self.at), extreme)
        });
        depth.fold(0.0, f64::max)
    }

    fn next_candle(&self, coin: usize) -> Expansion {
        if self.can_fill(coin) {
            let Candle { low, high, .. } = self.tape.coins[coin].candle(self.at + 1);
            Expansion::NextCandle { low, high, tradable: true }
        } else {
            Expansion::NextCandle { low: 0.0, high: 0.0, tradable: false }
        }
    }

    fn mode(&self, coin: usize, pside: Pside, side: &SideInput, filter_by_min_cost: bool) -> Option<Mode> {
        if side.position.is_open() {
            if self.ranges[coin].past_end(self.row) {
                return Some(Mode::Panic);
            }
        } else if filter_by_min_cost && !self.first_order_is_large_enough(coin, side) {
            return Some(Mode::GracefulStop);
        }
        self.coins[coin].forced_modes[pside]
    }

    /// The engine's own minimum-cost test, on the raw balance and the close of the very row (11.3).
    fn first_order_is_large_enough(&self, coin: usize, side: &SideInput) -> bool {
        let price = self.tape.coins[coin].close[self.at];
        let p = &side.params;
        price.is_finite()
            && price > 0.0
            && p.entry_initial_qty_pct > 0.0
            && p.wallet_exposure_limit > 0.0
            && self.raw_balance * p.allowed_limit() * p.entry_initial_qty_pct
                >= self.coins[coin].exchange.effective_min_cost(price)
    }
}
