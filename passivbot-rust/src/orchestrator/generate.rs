//! Entries and closes of one coin and side, by its mode (`orchestrator.md` 11).

use super::Workspace;
use super::input::{Expansion, Mode, PlanInput, SideInput, SymbolInput, Warning, WarningKind};
use super::modes::{effective_mode, passes_min_cost};
use crate::closes::CloseInputs;
use crate::entries::EntryInputs;
use crate::errors::{CoreError, ErrorKind};
use crate::num::round_step;
use crate::side::Side;
use crate::types::{EmaBands, Order, OrderKind, OrderType};

/// Bands and volatility, checked; asked for only where orders depend on them.
fn needed_emas(symbol: &SymbolInput, side: &SideInput) -> Result<(EmaBands, f64), CoreError> {
    let idx = symbol.symbol_idx;
    let missing = |field| CoreError::of_coin(ErrorKind::MissingEma, field, idx);
    let bands = side.bands.ok_or(missing("ema_bands"))?;
    if ![bands.lower, bands.upper].into_iter().all(|edge| edge.is_finite() && edge > 0.0) {
        return Err(CoreError::of_coin(ErrorKind::NonFiniteInput, "ema_bands", idx));
    }
    let field = "entry_volatility_logrange_ema_1h";
    let volatility = side.volatility.ok_or(missing(field))?;
    if !(volatility.is_finite() && volatility >= 0.0) {
        return Err(CoreError::of_coin(ErrorKind::NonFiniteInput, field, idx));
    }
    Ok((bands, volatility))
}

/// True if the order would fill in a candle of that range; strict on both ends.
fn would_fill(order: &Order, low: f64, high: f64) -> bool {
    (order.qty > 0.0 && low < order.price) || (order.qty < 0.0 && high > order.price)
}

/// Sizes on the step make the side's exposure grow with every entry, so the entry gate, which removes the farthest first,
/// treats the orders that fill alike whether or not farther ones stand behind them (dust apart: `Workspace::saw_dust`).
fn is_on_step(size: f64, step: f64) -> bool {
    round_step(size, step) == size
}

/// Collects the single next order or the whole ladder (11.5), without empty or non-finite orders.
fn expand(
    expansion: &Expansion,
    hinted: impl Fn(&Expansion) -> bool,
    orders: &mut Vec<Order>,
    next: Order,
    ladder: impl FnOnce(Order, &mut Vec<Order>),
) {
    let expands = match expansion {
        Expansion::Full => true,
        Expansion::Hints { .. } => hinted(expansion),
        Expansion::NextCandle { low, high, tradable, .. } => *tradable && would_fill(&next, *low, *high),
    };
    if expands {
        ladder(next, orders);
    } else {
        orders.push(next);
    }
    orders.retain(|o| o.qty != 0.0 && o.qty.is_finite() && o.price.is_finite());
}

/// One order for everything, just beyond the touch, unrounded (11.4).
fn panic_close<S: Side>(symbol: &SymbolInput, side: &SideInput) -> Option<Order> {
    let touch = <S::Opposite as Side>::touch_in(symbol.order_book);
    let price = touch - S::SIGN * symbol.exchange.price_step;
    let order_type = OrderType::new(OrderKind::ClosePanic, S::PSIDE);
    (price.is_finite() && price > 0.0).then_some(Order { qty: -side.position.size, price, order_type })
}

/// Plans one coin and side; the later stages of the pipeline look at all coins together.
///
/// # Errors
/// A needed EMA is missing or unusable.
pub fn side_orders<S: Side>(input: &PlanInput, idx: usize, blocked: bool, ws: &mut Workspace) -> Result<(), CoreError> {
    let symbol = &input.symbols[idx];
    let side = S::of(&symbol.sides);
    let enabled = S::of(&input.globals).enabled();
    let open = side.position.is_open();
    if open {
        let warn = |kind| Warning { kind, symbol_idx: idx, pside: S::PSIDE };
        ws.warnings.extend((!enabled).then(|| warn(WarningKind::DisabledPsideHasPosition)));
        ws.warnings.extend((!symbol.tradable).then(|| warn(WarningKind::NonTradableHasPosition)));
    }
    let mode = effective_mode(side, enabled);
    let orders = S::of_mut(&mut ws.orders[idx]);
    if mode == Mode::Panic {
        orders.closes.extend(open.then(|| panic_close::<S>(symbol, side)).flatten());
        return Ok(());
    }
    let may_open = || S::of(&ws.active)[idx] && !blocked && passes_min_cost(input, symbol, side);
    let wants_entries = side.ask.entries && mode == Mode::Normal && (open || may_open());
    let wants_closes = side.ask.closes && open && matches!(mode, Mode::Normal | Mode::TpOnly);
    if !(wants_entries || wants_closes) {
        return Ok(());
    }
    let (bands, volatility) = needed_emas(symbol, side)?;
    if wants_entries {
        let entries = EntryInputs {
            exchange: &symbol.exchange,
            params: &side.params,
            trailing: &side.trailing,
            balance: input.balance,
            band_in: S::band_in(bands),
            volatility,
        };
        let touch = S::touch_in(symbol.order_book);
        expand(
            &symbol.expansion,
            |e| matches!(e, Expansion::Hints { entries, .. } if *S::of(entries)),
            &mut orders.entries,
            entries.next::<S>(side.position, touch),
            |first, list| {
                let depth = S::of(&input.globals).ladder_depth;
                let may_cut = is_on_step(side.position.size, symbol.exchange.qty_step);
                let go_on = |order: &Order| !may_cut || S::distance(touch, order.price) <= depth;
                entries.ladder_while::<S>(first, side.position, touch, go_on, list);
            },
        );
    }
    if wants_closes {
        let closes = CloseInputs {
            exchange: &symbol.exchange,
            params: &side.params,
            trailing: &side.trailing,
            balance: input.balance,
            touch_out: <S::Opposite as Side>::touch_in(symbol.order_book),
        };
        expand(
            &symbol.expansion,
            |e| matches!(e, Expansion::Hints { closes, .. } if *S::of(closes)),
            &mut orders.closes,
            closes.next::<S>(side.position),
            |first, list| closes.ladder_from::<S>(first, side.position, list),
        );
    }
    Ok(())
}
