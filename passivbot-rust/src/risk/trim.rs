//! Trimming of closes: together they never exceed the position and leave no dust (`orchestrator.md` 14).

use super::{TINY, distance_to_touch, nearest_first};
use crate::num::{compare, round_step};
use crate::side::Side;
use crate::types::{ExchangeParams, Order, OrderBook};

/// Trims the closes of one coin and side to a position of signed size `size`, in place.
pub fn trim_closes<S: Side>(orders: &mut Vec<Order>, size: f64, book: OrderBook, exchange: &ExchangeParams) {
    let held = size.abs();
    if orders.is_empty() {
        return;
    }
    if held <= TINY {
        orders.clear();
        return;
    }
    let min_qty = exchange.min_entry_qty(<S::Opposite as Side>::touch_in(book));
    if held < min_qty - TINY {
        keep_nearest_for_all::<S>(orders, held, book);
        return;
    }
    if min_qty > TINY {
        orders.retain(|o| o.qty.abs() + TINY >= min_qty);
    }
    if orders.is_empty() {
        return;
    }
    cut_excess::<S>(orders, held, book, exchange.qty_step, min_qty);
    absorb_dust::<S>(orders, held, book, exchange);
}

/// A position below the minimum order is closed whole, by its nearest close.
fn keep_nearest_for_all<S: Side>(orders: &mut Vec<Order>, held: f64, book: OrderBook) {
    let nearest = orders.iter().copied().reduce(|a, b| if nearest_first(&b, &a, book).is_lt() { b } else { a });
    orders.clear();
    orders.extend(nearest.map(|o| Order { qty: -S::SIGN * held, ..o }));
}

/// Takes what is more than the position away from the furthest closes.
fn cut_excess<S: Side>(orders: &mut Vec<Order>, held: f64, book: OrderBook, qty_step: f64, min_qty: f64) {
    let total: f64 = orders.iter().filter(|o| S::SIGN * o.qty < 0.0).map(|o| o.qty.abs()).sum();
    if total <= held + TINY {
        return;
    }
    orders.sort_by(|a, b| {
        compare(distance_to_touch(b, book), distance_to_touch(a, book))
            .then(a.order_type.cmp(&b.order_type))
            .then(compare(a.price, b.price))
            .then(compare(a.qty, b.qty))
    });
    let mut excess = total - held;
    orders.retain_mut(|o| {
        let qty = o.qty.abs();
        if excess <= TINY {
            return true;
        }
        if qty <= TINY {
            return false;
        }
        if qty <= excess + TINY {
            excess -= qty;
            return false;
        }
        let rest = round_step(qty - excess, qty_step);
        if rest <= TINY {
            return false;
        }
        excess = 0.0;
        o.qty = -S::SIGN * rest;
        rest >= min_qty
    });
}

/// If what would be left of the position is too small to close later, the furthest close takes it along.
fn absorb_dust<S: Side>(orders: &mut [Order], held: f64, book: OrderBook, exchange: &ExchangeParams) {
    let real = |o: &&Order| o.qty.abs() > TINY;
    let total: f64 = orders.iter().filter(real).map(|o| o.qty.abs()).sum();
    let smallest = orders
        .iter()
        .filter(real)
        .map(|o| exchange.min_entry_qty(o.price))
        .filter(|q| q.is_finite() && *q > 0.0)
        .reduce(f64::min);
    let Some(smallest) = smallest else { return };
    let left = held - total;
    if !(left > TINY && left + TINY < smallest) {
        return;
    }
    orders.sort_by(|a, b| nearest_first(a, b, book));
    if let Some((last, others)) = orders.split_last_mut() {
        let sum_of_others: f64 = others.iter().map(|o| o.qty.abs()).sum();
        let step = exchange.qty_step;
        let qty = round_step((held - sum_of_others).max(0.0), step).min(round_step(held, step));
        last.qty = -S::SIGN * qty;
    }
}
