//! The entry gate: a side's entries together stay below its total exposure limit (`orders.md` 10.4, 10.5).
//!
//! The farthest entries are removed first; the one removed last comes back with as much as still fits. The planner's
//! gate and the stand-alone helper for Python differ in details that the golden data fix; both are here.

use super::TINY;
use crate::num::{compare, new_position, qty_to_cost, round_dn, wallet_exposure};
use crate::side::Side;
use crate::types::{ExchangeParams, Order, OrderType, Position};
use std::cmp::Ordering;

/// Halvings of the planner's search for the quantity that still fits.
const ROUNDS: usize = 50;
/// The same for the stand-alone helper.
const HELPER_ROUNDS: usize = 64;

/// An entry order of the side, as it is offered to the gate.
#[derive(Clone, Copy, Debug)]
pub struct GateEntry {
    /// Coin index.
    pub idx: usize,
    /// The order, quantity signed.
    pub order: Order,
    /// Touch on the entry side.
    pub touch: f64,
    /// Market rules of the coin.
    pub exchange: ExchangeParams,
}

/// What a coin holds while entries are being added to it: absolute size, price, exposure.
#[derive(Clone, Copy, Debug, Default)]
pub struct Running {
    size: f64,
    price: f64,
    exposure: f64,
}

/// An entry that counts, with its distance from the market.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    /// Position in the list of entries.
    at: usize,
    qty: f64,
    distance: f64,
    kept: bool,
}

/// Reusable memory of the gate.
#[derive(Clone, Debug, Default)]
pub struct GateScratch {
    base: Vec<Running>,
    running: Vec<Running>,
    candidates: Vec<Candidate>,
    removal: Vec<usize>,
    rest: Vec<(usize, f64)>,
}

fn positive(x: f64) -> bool {
    x.is_finite() && x > 0.0
}

/// Too small for the venue.
pub fn is_dust(entry: &GateEntry, qty: f64) -> bool {
    let min_qty = entry.exchange.min_entry_qty(entry.order.price);
    min_qty > TINY && qty.abs() + TINY < min_qty
}

/// What a coin holds after one more entry.
#[inline]
fn after(balance: f64, held: &Running, entry: &GateEntry, qty: f64) -> Running {
    let GateEntry { order, exchange, .. } = entry;
    let (size, price) = new_position(held.size, held.price, qty, order.price, exchange.qty_step);
    let exposure =
        if size <= TINY || !positive(price) { 0.0 } else { wallet_exposure(exchange.c_mult, balance, size, price) };
    Running { size, price, exposure }
}

/// Exposure of the side if the given entries fill in this order; `running` is then what the coins hold.
fn exposure_with(
    balance: f64,
    current: f64,
    base: &[Running],
    running: &mut Vec<Running>,
    entries: &[GateEntry],
    selection: impl Iterator<Item = (usize, f64)>,
) -> f64 {
    running.clear();
    running.extend_from_slice(base);
    let mut total = current;
    for (at, qty) in selection {
        let held = &mut running[entries[at].idx];
        let filled = after(balance, held, &entries[at], qty);
        total += filled.exposure - held.exposure;
        *held = filled;
    }
    total
}

/// Farthest first; ties by coin, type, price, absolute quantity, list position.
fn removal_order(entries: &[GateEntry], a: &Candidate, b: &Candidate) -> Ordering {
    let (ea, eb) = (&entries[a.at], &entries[b.at]);
    compare(b.distance, a.distance)
        .then(ea.idx.cmp(&eb.idx))
        .then(ea.order.order_type.cmp(&eb.order.order_type))
        .then(compare(ea.order.price, eb.order.price))
        .then(compare(a.qty, b.qty))
        .then(a.at.cmp(&b.at))
}

/// Fills the base state and returns the side's exposure; positions without usable data are ignored.
fn hold(
    balance: f64,
    n_coins: usize,
    positions: impl Iterator<Item = (usize, Position, f64)>,
    base: &mut Vec<Running>,
) -> f64 {
    base.clear();
    base.resize(n_coins, Running::default());
    let mut total = 0.0;
    for (idx, position, c_mult) in positions {
        if !position.is_open() || !position.size.is_finite() || !positive(position.price) {
            continue;
        }
        let exposure = wallet_exposure(c_mult, balance, position.size, position.price);
        base[idx] = Running { size: position.size.abs(), price: position.price, exposure };
        total += exposure;
    }
    total
}

/// The planner's gate: removes or shortens `entries` in place. `positions` yields (coin, position, contract multiplier)
/// of the side in ascending coin order; coins are `0..n_coins`.
pub fn gate_entries<S: Side>(
    balance: f64,
    total_limit: f64,
    n_coins: usize,
    positions: impl Iterator<Item = (usize, Position, f64)>,
    entries: &mut Vec<GateEntry>,
    scratch: &mut GateScratch,
) {
    if entries.is_empty() {
        return;
    }
    let limit = total_limit.max(0.0) - TINY;
    if balance <= 0.0 || total_limit <= 0.0 {
        entries.clear();
        return;
    }
    let GateScratch { base, running, candidates, removal, rest } = scratch;
    let current = hold(balance, n_coins, positions, base);
    if current >= limit {
        entries.clear();
        return;
    }
    candidates.clear();
    for (at, entry) in entries.iter().enumerate() {
        let Order { qty, price, .. } = entry.order;
        let real = qty.is_finite() && qty.abs() > TINY && positive(price) && positive(entry.touch);
        if real && !is_dust(entry, qty) {
            let distance = S::distance(entry.touch, price);
            candidates.push(Candidate { at, qty: qty.abs(), distance, kept: true });
        }
    }
    if candidates.is_empty() {
        entries.clear();
        return;
    }
    let all = candidates.iter().map(|c| (c.at, c.qty));
    if exposure_with(balance, current, base, running, entries, all) < limit {
        return;
    }
    removal.clear();
    removal.extend(0..candidates.len());
    removal.sort_by(|a, b| removal_order(entries, &candidates[*a], &candidates[*b]));
    let mut last_removed = None;
    for &at in removal.iter() {
        candidates[at].kept = false;
        last_removed = Some(at);
        rest.clear();
        rest.extend(candidates.iter().filter(|c| c.kept).map(|c| (c.at, c.qty)));
        if exposure_with(balance, current, base, running, entries, rest.iter().copied()) < limit {
            break;
        }
    }
    let with_rest = exposure_with(balance, current, base, running, entries, rest.iter().copied());
    if with_rest >= limit {
        entries.clear();
        return;
    }
    if let Some(at) = last_removed {
        let Candidate { at: entry_at, qty: full, .. } = candidates[at];
        let held = running[entries[entry_at].idx];
        let fits = |qty: f64| {
            let filled = after(balance, &held, &entries[entry_at], qty);
            with_rest + (filled.exposure - held.exposure) < limit
        };
        let (mut lo, mut hi) = (0.0, full);
        for _ in 0..ROUNDS {
            let mid = f64::midpoint(lo, hi);
            if fits(mid) { lo = mid } else { hi = mid }
        }
        let entry = &entries[entry_at];
        let qty = round_dn(lo, entry.exchange.qty_step);
        if qty > TINY && !is_dust(entry, qty) {
            candidates[at].qty = qty;
            candidates[at].kept = true;
        }
    }
    let mut survivors = candidates.iter().filter(|c| c.kept).peekable();
    let mut at = 0;
    entries.retain_mut(|entry| {
        let survives = survivors.next_if(|c| c.at == at).map(|c| c.qty);
        at += 1;
        let Some(qty) = survives else { return false };
        entry.order.qty = S::SIGN * qty;
        !is_dust(entry, qty)
    });
}

/// An entry for the stand-alone helper: quantities positive, market price its own.
#[derive(Clone, Copy, Debug)]
pub struct HelperEntry {
    /// Coin index.
    pub idx: usize,
    /// Contracts, positive.
    pub qty: f64,
    /// Limit price.
    pub price: f64,
    /// Market price from which the distance counts.
    pub market_price: f64,
    /// Market rules; `price_step` is not looked at.
    pub exchange: ExchangeParams,
    /// Order type, handed through.
    pub order_type: OrderType,
}

/// A position for the stand-alone helper.
#[derive(Clone, Copy, Debug)]
pub struct HelperPosition {
    /// Coin index.
    pub idx: usize,
    /// Size and price.
    pub position: Position,
    /// Contract multiplier.
    pub c_mult: f64,
}

/// Exposure of the side as a full sum over coins in ascending index, after adding the selection.
fn helper_exposure(
    balance: f64,
    positions: &[HelperPosition],
    selection: impl Iterator<Item = (HelperEntry, f64)>,
) -> f64 {
    let mut held: std::collections::BTreeMap<usize, (f64, f64, f64)> = std::collections::BTreeMap::new();
    for p in positions {
        if p.position.size.is_finite() && positive(p.position.price) && p.position.is_open() {
            held.insert(p.idx, (p.position.size.abs(), p.position.price, p.c_mult));
        }
    }
    for (entry, qty) in selection {
        let (size, price, c_mult) = held.get(&entry.idx).copied().unwrap_or((0.0, entry.price, entry.exchange.c_mult));
        let (size, price) = new_position(size, price, qty, entry.price, entry.exchange.qty_step);
        held.insert(entry.idx, (size, price, c_mult));
    }
    held.values()
        .filter(|(size, price, _)| *size > TINY && positive(*price))
        .map(|(size, price, c_mult)| wallet_exposure(*c_mult, balance, *size, *price))
        .sum()
}

/// The stand-alone gate of `orders.md` 10.5: (coin, quantity, price, type) of what may rest, in input order.
pub fn gate_entries_helper<S: Side>(
    balance: f64,
    total_limit: f64,
    positions: &[HelperPosition],
    entries: &[HelperEntry],
) -> Vec<HelperEntry> {
    let limit = total_limit - TINY;
    if balance <= 0.0 || total_limit <= 0.0 || helper_exposure(balance, positions, std::iter::empty()) >= limit {
        return Vec::new();
    }
    let min_qty = |e: &HelperEntry| e.exchange.min_entry_qty(e.price);
    let real = |e: &HelperEntry| {
        let m = min_qty(e);
        e.qty.is_finite()
            && e.qty > TINY
            && positive(e.price)
            && positive(e.market_price)
            && !(m > TINY && e.qty + TINY < m)
    };
    let candidates: Vec<HelperEntry> = entries.iter().copied().filter(real).collect();
    let exposure =
        |selection: &mut dyn Iterator<Item = (HelperEntry, f64)>| helper_exposure(balance, positions, selection);
    if exposure(&mut candidates.iter().map(|e| (*e, e.qty))) < limit {
        return candidates;
    }
    let mut kept = vec![true; candidates.len()];
    let mut removal: Vec<usize> = (0..candidates.len()).collect();
    let distance = |at: usize| S::distance(candidates[at].market_price, candidates[at].price);
    removal.sort_by(|a, b| compare(distance(*b), distance(*a)));
    let select = |kept: &[bool]| -> Vec<(HelperEntry, f64)> {
        candidates.iter().zip(kept).filter(|(_, kept)| **kept).map(|(e, _)| (*e, e.qty)).collect()
    };
    for at in removal {
        kept[at] = false;
        let rest = select(&kept);
        if exposure(&mut rest.iter().copied()) >= limit {
            continue;
        }
        let entry = candidates[at];
        let fits = |qty: f64| exposure(&mut rest.iter().copied().chain([(entry, qty)])) < limit;
        let (mut lo, mut hi, mut best) = (0.0, entry.qty, 0.0);
        for _ in 0..HELPER_ROUNDS {
            let mid = f64::midpoint(lo, hi);
            let qty = round_dn(mid, entry.exchange.qty_step);
            if qty > TINY && fits(qty) {
                (best, lo) = (qty, mid);
            } else {
                hi = mid;
            }
        }
        let (ex, m) = (&entry.exchange, min_qty(&entry));
        let large_enough = (m <= TINY || best >= m - TINY)
            && (ex.min_cost <= TINY || qty_to_cost(best, entry.price, ex.c_mult) >= ex.min_cost - 1e-9);
        let mut result = candidates.clone();
        if best > TINY && large_enough && fits(best) {
            result[at].qty = best;
            kept[at] = true;
        }
        let mut flags = kept.iter();
        result.retain(|_| *flags.next().unwrap_or(&false));
        return result;
    }
    Vec::new()
}
