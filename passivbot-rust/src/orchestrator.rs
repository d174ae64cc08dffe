//! The planner: from a snapshot of account, markets and parameters to every order that should rest (`orchestrator.md` 8).
//!
//! A pure function of its input: no state survives between calls, the workspace only saves allocations.

pub mod emit;
pub mod generate;
pub mod input;
pub mod modes;
pub mod request;

use crate::coin_selection::Selector;
use crate::errors::{CoreError, ErrorKind};
use crate::risk::enforcers::{Reducible, TwelLimits, TwelPosition, twel_enforcer};
use crate::risk::gate::{GateEntry, GateScratch, gate_entries, is_dust};
use crate::risk::trim::trim_closes;
use crate::risk::unstuck::{Stuck, UnstuckPosition, unstuck_close};
use crate::side::{Long, Short, Side};
use crate::types::{Order, OrderKind, OrderType, PerSide, Pside};
use input::{PlanInput, Warning};

/// Closes and entries of one coin and side.
#[derive(Clone, Debug, Default)]
pub struct SideOrders {
    /// Orders that reduce the position.
    pub closes: Vec<Order>,
    /// Orders that open or add.
    pub entries: Vec<Order>,
}

/// Memory of the planner, reused between calls, and the result of the last one.
#[derive(Clone, Debug, Default)]
pub struct Workspace {
    /// Orders of each coin and side.
    pub orders: Vec<PerSide<SideOrders>>,
    /// Coins that were planned, ascending; the others have no orders.
    pub coins: Vec<usize>,
    /// What the user should know.
    pub warnings: Vec<Warning>,
    /// Some entry is too small for its venue. The gate keeps it only while it touches no other entry, so ladders that were
    /// cut short do not tell whether it stays.
    pub saw_dust: bool,
    slots: PerSide<usize>,
    active: PerSide<Vec<bool>>,
    selector: PerSide<Selector>,
    unstuck: Vec<UnstuckPosition>,
    stuck: Vec<Stuck>,
    twel: Vec<TwelPosition>,
    reducible: Vec<Reducible>,
    gate: Vec<GateEntry>,
    gate_scratch: GateScratch,
}

impl Workspace {
    /// Makes room for `n` coins, drops the last plan, and takes up the coins of the next one.
    fn reset(&mut self, n: usize, coins: impl Iterator<Item = usize>) {
        for coin in self.coins.drain(..) {
            let PerSide { long, short } = &mut self.orders[coin];
            for side in [long, short] {
                side.closes.clear();
                side.entries.clear();
            }
        }
        self.orders.resize_with(n, PerSide::default);
        self.coins.extend(coins);
        self.warnings.clear();
        self.saw_dust = false;
    }
}

/// Plans all orders; they stand in `ws.orders`, unsorted (see `emit`).
///
/// # Errors
/// The first violation found, in the order of `orchestrator.md` 6.
pub fn plan(input: &PlanInput, ws: &mut Workspace) -> Result<(), CoreError> {
    validate(input)?;
    let n = input.symbols.len();
    ws.reset(n, 0..n);
    modes::assign_slots::<Long>(input, ws);
    modes::assign_slots::<Short>(input, ws);
    generate(input, ws)?;
    add_unstuck_close(input, ws);
    enforce_total_limit::<Long>(input, ws);
    enforce_total_limit::<Short>(input, ws);
    finish(input, ws);
    Ok(())
}

/// A part of a plan that does not depend on the rest of it.
#[derive(Clone, Debug, Default)]
pub struct Part {
    /// Coins to plan, ascending. Those of them that are flat have their slots already: what is asked for may open.
    pub coins: Vec<usize>,
    /// The account's unstuck close might be one of theirs.
    pub unstuck: bool,
}

/// Plans a part. The side enforcer must be known to stay quiet; positions must be true of all coins, the rest of the input of
/// the coins of the part, and of all that are open if `part.unstuck`.
///
/// # Errors
/// As those of `plan`, for the coins of the part.
pub fn plan_part(input: &PlanInput, part: &Part, ws: &mut Workspace) -> Result<(), CoreError> {
    let n = input.symbols.len();
    ws.reset(n, part.coins.iter().copied());
    for pside in Pside::BOTH {
        ws.active[pside].clear();
        ws.active[pside].resize(n, true);
    }
    generate(input, ws)?;
    if part.unstuck {
        add_unstuck_close(input, ws);
    }
    finish(input, ws);
    Ok(())
}

fn generate(input: &PlanInput, ws: &mut Workspace) -> Result<(), CoreError> {
    for i in 0..ws.coins.len() {
        let idx = ws.coins[i];
        let blocked = modes::block_one_way(input, &input.symbols[idx]);
        generate::side_orders::<Long>(input, idx, blocked.long, ws)?;
        generate::side_orders::<Short>(input, idx, blocked.short, ws)?;
    }
    Ok(())
}

/// The stages that cut orders down.
fn finish(input: &PlanInput, ws: &mut Workspace) {
    trim::<Long>(input, ws);
    trim::<Short>(input, ws);
    gate::<Long>(input, ws);
    gate::<Short>(input, ws);
}

fn validate(input: &PlanInput) -> Result<(), CoreError> {
    if !input.balance.is_finite() {
        let kind = ErrorKind::NonFiniteInput;
        return Err(CoreError { kind, field: Some("balance"), symbol_idx: None, row: None });
    }
    let positive = |x: f64| x.is_finite() && x > 0.0;
    for (pos, symbol) in input.symbols.iter().enumerate() {
        let idx = symbol.symbol_idx;
        if !positive(symbol.order_book.bid) || !positive(symbol.order_book.ask) {
            return Err(CoreError::of_coin(ErrorKind::InvalidOrderBook, "order_book", idx));
        }
        if idx != pos {
            return Err(CoreError::of_coin(ErrorKind::NonContiguousSymbolIdx { pos }, "symbol_idx", idx));
        }
    }
    Ok(())
}

fn list_unstuck_positions<S: Side>(input: &PlanInput, ws: &mut Workspace) {
    let enabled = S::of(&input.globals).enabled();
    for (idx, symbol) in input.symbols.iter().enumerate() {
        let side = S::of(&symbol.sides);
        let p = &side.params;
        let unstucks = p.unstuck_loss_allowance_pct > 0.0 && p.unstuck_close_pct > 0.0 && p.unstuck_threshold > 0.0;
        let Some(bands) = side.bands else { continue };
        if !unstucks || !modes::is_managed(side, enabled) {
            continue;
        }
        ws.unstuck.push(UnstuckPosition {
            idx,
            pside: S::PSIDE,
            position: side.position,
            allowed_limit: p.allowed_limit(),
            threshold: p.unstuck_threshold,
            close_pct: p.unstuck_close_pct,
            ema_dist: p.unstuck_ema_dist,
            bands,
            current_price: <S::Opposite as Side>::touch_in(symbol.order_book),
            exchange: symbol.exchange,
        });
    }
}

/// One close of the least underwater stuck position of the account, beside its other closes.
fn add_unstuck_close(input: &PlanInput, ws: &mut Workspace) {
    let allowances = PerSide::from_fn(|p| input.globals[p].unstuck_allowance);
    ws.unstuck.clear();
    if !(allowances.long > 0.0 || allowances.short > 0.0) {
        return;
    }
    list_unstuck_positions::<Long>(input, ws);
    list_unstuck_positions::<Short>(input, ws);
    if let Some((at, order)) = unstuck_close(input.balance, &allowances, &ws.unstuck, &mut ws.stuck) {
        let UnstuckPosition { idx, pside, .. } = ws.unstuck[at];
        if ws.coins.binary_search(&idx).is_ok() {
            ws.orders[idx][pside].closes.push(order);
        }
    }
}

/// Closes that bring an enabled side back to its total limit; a coin that is already reducing itself is left out.
fn enforce_total_limit<S: Side>(input: &PlanInput, ws: &mut Workspace) {
    let globals = S::of(&input.globals);
    if !globals.enabled() {
        return;
    }
    let own_reduction = OrderType::new(OrderKind::CloseAutoReduceWel, S::PSIDE);
    ws.twel.clear();
    for (idx, symbol) in input.symbols.iter().enumerate() {
        let side = S::of(&symbol.sides);
        let reduces_itself = || S::of(&ws.orders[idx]).closes.iter().any(|o| o.order_type == own_reduction);
        if modes::is_managed(side, true) && !reduces_itself() {
            ws.twel.push(TwelPosition {
                idx,
                position: side.position,
                market_price: S::touch_in(symbol.order_book),
                base_limit: side.params.wallet_exposure_limit,
                exchange: symbol.exchange,
            });
        }
    }
    let limits = TwelLimits {
        balance: input.balance,
        total_limit: globals.total_limit,
        threshold: globals.twel_threshold,
        effective_n_positions: *S::of(&ws.slots),
    };
    let orders = &mut ws.orders;
    twel_enforcer::<S>(&limits, &ws.twel, None, &mut ws.reducible, |idx, order| {
        S::of_mut(&mut orders[idx]).closes.push(order);
    });
}

fn trim<S: Side>(input: &PlanInput, ws: &mut Workspace) {
    for &idx in &ws.coins {
        let symbol = &input.symbols[idx];
        let closes = &mut S::of_mut(&mut ws.orders[idx]).closes;
        trim_closes::<S>(closes, S::of(&symbol.sides).position.size, symbol.order_book, &symbol.exchange);
    }
}

/// Entries of an enabled side within its total limit; a disabled side has none.
fn gate<S: Side>(input: &PlanInput, ws: &mut Workspace) {
    let globals = S::of(&input.globals);
    ws.gate.clear();
    for &idx in &ws.coins {
        let symbol = &input.symbols[idx];
        let entries = &mut S::of_mut(&mut ws.orders[idx]).entries;
        if globals.enabled() {
            let touch = S::touch_in(symbol.order_book);
            ws.gate.extend(entries.iter().map(|&order| GateEntry { idx, order, touch, exchange: symbol.exchange }));
        }
        entries.clear();
    }
    if ws.gate.is_empty() {
        return;
    }
    ws.saw_dust |= ws.gate.iter().any(|entry| is_dust(entry, entry.order.qty));
    let positions = input
        .symbols
        .iter()
        .enumerate()
        .map(|(idx, symbol)| (idx, S::of(&symbol.sides).position, symbol.exchange.c_mult));
    let n = input.symbols.len();
    gate_entries::<S>(input.balance, globals.total_limit, n, positions, &mut ws.gate, &mut ws.gate_scratch);
    for entry in &ws.gate {
        S::of_mut(&mut ws.orders[entry.idx]).entries.push(entry.order);
    }
}
