//! Sorting and assembly of the planned orders (`orchestrator.md` 16).

use super::Workspace;
use super::input::{IdealOrder, PlanInput};
use crate::num::compare;
use crate::risk::{distance_to_touch, emission_order};
use crate::types::Pside;
use std::cmp::Ordering;

/// Sorts closes and entries of every coin and side by their distance from the market.
pub fn sort_per_coin(input: &PlanInput, ws: &mut Workspace) {
    for &idx in &ws.coins {
        let (symbol, orders) = (&input.symbols[idx], &mut ws.orders[idx]);
        for side in [&mut orders.long, &mut orders.short] {
            for list in [&mut side.closes, &mut side.entries] {
                if list.len() > 1 {
                    list.sort_by(|a, b| emission_order(a, b, symbol.order_book));
                }
            }
        }
    }
}

fn collect(ws: &Workspace) -> Vec<IdealOrder> {
    let mut all = Vec::new();
    for pside in Pside::BOTH {
        for (symbol_idx, orders) in ws.orders.iter().enumerate() {
            let side = &orders[pside];
            all.extend(side.closes.iter().chain(&side.entries).map(|&order| IdealOrder { symbol_idx, pside, order }));
        }
    }
    all
}

/// The global key: distance, coin, long before short, closes before entries, type, price, quantity.
fn canonical(input: &PlanInput, a: &IdealOrder, b: &IdealOrder) -> Ordering {
    let distance = |o: &IdealOrder| distance_to_touch(&o.order, input.symbols[o.symbol_idx].order_book);
    compare(distance(a), distance(b))
        .then(a.symbol_idx.cmp(&b.symbol_idx))
        .then(a.pside.cmp(&b.pside))
        .then(b.order.order_type.is_close().cmp(&a.order.order_type.is_close()))
        .then(a.order.order_type.cmp(&b.order.order_type))
        .then(compare(a.order.price, b.order.price))
        .then(compare(a.order.qty, b.order.qty))
}

/// All orders as one list: by the global key, or per coin and side.
pub fn assemble(input: &PlanInput, ws: &mut Workspace, sort_global: bool) -> Vec<IdealOrder> {
    if sort_global {
        let mut all = collect(ws);
        all.sort_by(|a, b| canonical(input, a, b));
        return all;
    }
    sort_per_coin(input, ws);
    collect(ws)
}
