//! What is known of a run before its first minute: when planning starts, when coins come and go, whether ranking matters.

use super::MINUTE_MS;
use super::dataset::ValidRange;
use super::specs::{CoinSpec, RunParams};
use crate::orchestrator::input::Mode;
use crate::types::{BotParams, PerSide};

/// Parameters that hold for all coins: those of coin 0, with no more slots than coins (3.2).
pub fn global_params(coins: &[CoinSpec]) -> PerSide<BotParams> {
    PerSide::from_fn(|pside| {
        let first = coins[0].params[pside];
        BotParams { n_positions: first.n_positions.min(coins.len()), ..first }
    })
}

/// Rows before planning starts (3.4).
fn warmup_rows(configured: usize, coins: &[CoinSpec]) -> usize {
    if configured > 0 {
        return configured;
    }
    let spans = coins.iter().flat_map(|coin| coin.params.iter()).flat_map(|p| {
        [
            p.ema_span_0,
            p.ema_span_1,
            p.filter_volume_ema_span,
            p.filter_volatility_ema_span,
            60.0 * p.entry_volatility_ema_span_hours,
        ]
    });
    let longest = spans.filter(|span| span.is_finite()).fold(0.0, f64::max);
    (longest.ceil() as usize).max(1)
}

/// True unless every tradable coin always gets a slot, whatever its rank: there are as many slots as coins, and nobody
/// takes one without being tradable, be it as a position that outlived its data or as a coin that is forced to trade.
pub fn needs_ranking(coins: &[CoinSpec], ranges: &[ValidRange], globals: &PerSide<BotParams>, rows: usize) -> bool {
    let enough_slots = globals.iter().all(|p| p.n_positions == 0 || p.n_positions >= coins.len());
    let forced = coins.iter().flat_map(|coin| coin.forced_modes.iter()).any(|mode| *mode == Some(Mode::Normal));
    !enough_slots || forced || ranges.iter().any(|range| range.last + 1 < rows)
}

/// Rows in which a coin becomes tradable or ceases to be, or its position might have outlived it, ascending.
pub fn status_changes(ranges: &[ValidRange]) -> Vec<usize> {
    let mut rows: Vec<usize> =
        ranges.iter().flat_map(|range| [range.trade_start, range.last, range.last + 1]).collect();
    rows.sort_unstable();
    rows
}

/// Rows in which a coin is listed, becomes tradable, or ceases to be either, ascending.
pub fn edges(ranges: &[ValidRange]) -> Vec<usize> {
    let all = ranges.iter().flat_map(|range| [range.first, range.trade_start, range.last, range.last + 1]);
    let mut rows: Vec<usize> = all.collect();
    rows.sort_unstable();
    rows.dedup();
    rows
}

/// First row that is planned (5).
pub fn first_planned_row(run: &RunParams, coins: &[CoinSpec]) -> usize {
    let wait_ms = (run.requested_start_timestamp_ms - run.first_timestamp_ms).max(0);
    let requested = (wait_ms as u64).div_ceil(MINUTE_MS as u64) as usize;
    requested.max(warmup_rows(run.global_warmup_bars, coins) + 1)
}

/// Coins that are forced into a mode on some side, ascending.
pub fn forced_coins(coins: &[CoinSpec]) -> Vec<usize> {
    (0..coins.len()).filter(|coin| coins[*coin].forced_modes.iter().any(Option::is_some)).collect()
}
