//! Rules that look beyond one order: unstucking, the side enforcer, the entry gate, trimming of closes.
//!
//! One rule a file, each a function over plain inputs; what they share stands here.

pub mod enforcers;
pub mod gate;
pub mod trim;
pub mod unstuck;

use crate::num::{compare, order_distance};
use crate::types::{Order, OrderBook};
use std::cmp::Ordering;

/// Tolerance of exposure and quantity comparisons in gating and trimming.
pub const TINY: f64 = 1e-12;

/// Distance of an order from its own touch.
#[inline]
pub fn distance_to_touch(order: &Order, book: OrderBook) -> f64 {
    order_distance(order.qty, order.price, book.bid, book.ask)
}

/// Nearest to the market first; ties by type, then price (`orchestrator.md` 14).
#[inline]
pub fn nearest_first(a: &Order, b: &Order, book: OrderBook) -> Ordering {
    compare(distance_to_touch(a, book), distance_to_touch(b, book))
        .then(a.order_type.cmp(&b.order_type))
        .then(compare(a.price, b.price))
}

/// Order of emission within one coin and side: `nearest_first`, further ties by signed quantity (`orchestrator.md` 16).
#[inline]
pub fn emission_order(a: &Order, b: &Order, book: OrderBook) -> Ordering {
    nearest_first(a, b, book).then(compare(a.qty, b.qty))
}
