//! Smallest sensible order: the effective minimum quantity and cost of a market (`orders.md` 5.3, 5.4).

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
