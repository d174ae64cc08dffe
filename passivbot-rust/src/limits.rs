//! Smallest sensible order (`orders.md` 5.3, 5.4) and the share of a side's exposure that one position may have.

use crate::num::{cost_to_qty, qty_to_cost, round_up};
use crate::types::{BotParams, ExchangeParams};

impl ExchangeParams {
    /// Smallest quantity an entry may have at `price`; closes keep to it unless the whole position is smaller.
    #[inline]
    pub fn min_entry_qty(&self, price: f64) -> f64 {
        self.min_qty.max(round_up(cost_to_qty(self.min_cost, price, self.c_mult), self.qty_step))
    }

    /// Smallest cost of an order near `price`.
    #[inline]
    pub fn effective_min_cost(&self, price: f64) -> f64 {
        qty_to_cost(self.min_qty, price, self.c_mult).max(self.min_cost)
    }
}

/// Limit of one position where the coins share their side's total: as many shares as slots, but no more slots than coins
/// to trade, and one share for each position held where those are more (`backtest_engine.md` 10, `additions.md` 13).
///
/// The backtester passes no held positions: there they cannot outnumber the slots while their coins are traded.
#[inline]
pub fn shared_exposure_limit(total: f64, n_positions: usize, tradable: usize, held: usize) -> f64 {
    let shares = n_positions.min(tradable).max(held);
    if shares == 0 { 0.0 } else { total / shares as f64 }
}

/// True if the first order of a flat coin would reach `effective_min_cost` (`orchestrator.md` 9.4).
#[inline]
pub fn initial_entry_is_large_enough(balance: f64, params: &BotParams, effective_min_cost: f64) -> bool {
    let usable = |x: f64| x.is_finite() && x > 0.0;
    let limit = params.allowed_limit();
    usable(balance)
        && usable(effective_min_cost)
        && usable(limit)
        && (balance * limit) * params.entry_initial_qty_pct >= effective_min_cost
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_side_is_shared_by_slots_coins_or_positions() {
        assert_eq!(shared_exposure_limit(1.5, 4, 12, 0), 0.375);
        assert_eq!(shared_exposure_limit(1.5, 4, 3, 0), 0.5);
        assert_eq!(shared_exposure_limit(1.5, 2, 4, 3), 0.5);
        assert_eq!(shared_exposure_limit(1.5, 0, 4, 0), 0.0);
    }
}
