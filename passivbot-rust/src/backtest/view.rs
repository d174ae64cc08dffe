//! Refills the planner's input in place for a row (`backtest_engine.md` 11.1-11.3).

use super::book::Positions;
use super::dataset::{Candles, ValidRange};
use super::indicators::Indicators;
use super::{CoinSpec, RunParams};
use crate::orchestrator::input::{Expansion, Mode, PlanInput, SideGlobals, SideInput, SymbolInput};
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
        without_closes: false,
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
pub struct RowState<'a, C: Candles> {
    /// Row being planned.
    pub row: usize,
    /// All coins.
    pub coins: &'a [CoinSpec],
    /// Their valid rows.
    pub ranges: &'a [ValidRange],
    /// The cube.
    pub candles: &'a C,
    /// EMA states after the row.
    pub indicators: &'a Indicators,
    /// Positions after the row.
    pub positions: &'a Positions,
    /// Trailing extremes after the row.
    pub trailing: &'a PerSide<Vec<TrailingBundle>>,
    /// Account total without hysteresis.
    pub raw_balance: f64,
}

impl<C: Candles> RowState<'_, C> {
    /// Refills one coin.
    pub fn refill(&self, coin: usize, symbol: &mut SymbolInput, filter_by_min_cost: bool) {
        let (spec, range, row) = (&self.coins[coin], &self.ranges[coin], self.row);
        let close = range.touch(row, spec.column, self.candles);
        symbol.order_book = OrderBook { bid: close, ask: close };
        symbol.tradable = range.tradable(row);
        symbol.expansion = self.next_candle(coin);
        if filter_by_min_cost {
            symbol.effective_min_cost = spec.exchange.effective_min_cost(close);
        }
        for pside in Pside::BOTH {
            let side = &mut symbol.sides[pside];
            side.position = self.positions.held[pside][coin];
            side.trailing = self.trailing[pside][coin];
            side.bands = self.indicators.bands(coin, pside);
            side.volatility = Some(self.indicators.volatility(coin, pside));
            side.volume_score = self.indicators.volume_score(coin, pside);
            side.volatility_score = self.indicators.volatility_score(coin, pside);
            side.mode = self.mode(coin, pside, side, filter_by_min_cost);
        }
    }

    /// Farthest that any coin goes from its touch toward the side's entries in the next candle, as a fraction: nothing
    /// beyond fills, and the entry gate removes what is farther first.
    pub fn ladder_depth<S: Side>(&self) -> f64 {
        let tradable = self.coins.iter().zip(self.ranges).filter(|(_, range)| range.tradable(self.row + 1));
        let depth = tradable.map(|(coin, range)| {
            let next = self.candles.at(self.row + 1, coin.column);
            let extreme = if S::SIGN > 0.0 { next.low } else { next.high };
            S::distance(range.touch(self.row, coin.column, self.candles), extreme)
        });
        depth.fold(0.0, f64::max)
    }

    fn next_candle(&self, coin: usize) -> Expansion {
        let next = self.row + 1;
        if self.ranges[coin].tradable(next) {
            let candle = self.candles.at(next, self.coins[coin].column);
            Expansion::NextCandle { low: candle.low, high: candle.high, tradable: true }
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
        let spec = &self.coins[coin];
        let price = self.candles.at(self.row, spec.column).close;
        let p = &side.params;
        price.is_finite()
            && price > 0.0
            && p.entry_initial_qty_pct > 0.0
            && p.wallet_exposure_limit > 0.0
            && self.raw_balance * p.allowed_limit() * p.entry_initial_qty_pct >= spec.exchange.effective_min_cost(price)
    }
}
