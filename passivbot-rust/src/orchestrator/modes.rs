//! Who may trade: effective modes, slots, active coins, one-way blocks (`orchestrator.md` 9, 10, 11.1).

use super::Workspace;
use super::input::{Mode, PlanInput, SideInput, SymbolInput};
use crate::coin_selection::{Coins, Rules, Selector};
use crate::limits::initial_entry_is_large_enough;
use crate::side::{Long, Short, Side};
use crate::types::{EmaBands, PerSide};
use std::marker::PhantomData;

/// The mode in force. A disabled side is left alone whatever was asked.
pub fn effective_mode(side: &SideInput, enabled: bool) -> Mode {
    match side.mode {
        _ if !enabled => Mode::Manual,
        None => Mode::Normal,
        Some(Mode::GracefulStop) if side.position.is_open() => Mode::Normal,
        Some(mode) => mode,
    }
}

/// The minimum-cost test, where it is asked for.
pub fn passes_min_cost(input: &PlanInput, symbol: &SymbolInput, side: &SideInput) -> bool {
    !input.filter_by_min_effective_cost
        || initial_entry_is_large_enough(input.balance, &side.params, symbol.effective_min_cost)
}

/// One side of all coins, as coin selection sees it.
struct SideView<'a, S: Side> {
    input: &'a PlanInput,
    side: PhantomData<S>,
}

impl<'a, S: Side> SideView<'a, S> {
    fn of(&self, coin: usize) -> &'a SideInput {
        S::of(&self.input.symbols[coin].sides)
    }
}

impl<S: Side> Coins for SideView<'_, S> {
    fn len(&self) -> usize {
        self.input.symbols.len()
    }
    fn is_open(&self, coin: usize) -> bool {
        self.of(coin).position.is_open()
    }
    fn is_forced(&self, coin: usize) -> bool {
        self.of(coin).mode == Some(Mode::Normal)
    }
    fn is_eligible(&self, coin: usize) -> bool {
        let (symbol, side) = (&self.input.symbols[coin], self.of(coin));
        symbol.tradable && matches!(side.mode, None | Some(Mode::Normal)) && passes_min_cost(self.input, symbol, side)
    }
    fn volume(&self, coin: usize) -> f64 {
        self.of(coin).volume_score
    }
    fn volatility(&self, coin: usize) -> f64 {
        self.of(coin).volatility_score
    }
}

/// Counts the slots of a side and decides which coins hold them.
pub fn assign_slots<S: Side>(input: &PlanInput, ws: &mut Workspace) {
    let globals = S::of(&input.globals);
    let view = SideView::<S> { input, side: PhantomData };
    let eligible = input.symbols.iter().filter(|symbol| symbol.tradable).count();
    let forced = (0..view.len()).filter(|coin| view.is_forced(*coin)).count();
    let rules = globals.rules(eligible, forced);
    *S::of_mut(&mut ws.slots) = rules.slots;
    let selector = S::of_mut(&mut ws.selector);
    if globals.enabled() {
        selector.assign(&view, &rules, S::of_mut(&mut ws.active));
    } else {
        Selector::claim_slots(&view, &Rules { slots: 0, ..rules }, S::of_mut(&mut ws.active));
    }
}

/// Managed positions: open, and neither left alone nor panicking.
pub fn is_managed(side: &SideInput, enabled: bool) -> bool {
    side.position.is_open() && !matches!(effective_mode(side, enabled), Mode::Manual | Mode::Panic)
}

/// A band pair that can be used; one-way mode decides without complaint where it cannot.
fn usable(bands: Option<EmaBands>) -> Option<EmaBands> {
    bands.filter(|b| b.lower.is_finite() && b.lower > 0.0 && b.upper.is_finite() && b.upper > 0.0)
}

/// Sides of a flat coin by their distance from the first entry: true blocks the side.
fn block_farther(symbol: &SymbolInput) -> PerSide<bool> {
    let (long, short) = (&symbol.sides.long, &symbol.sides.short);
    let (Some(long_bands), Some(short_bands)) = (usable(long.bands), usable(short.bands)) else {
        return PerSide::default();
    };
    let book = symbol.order_book;
    let to_long = (Long::band_in(long_bands) * (1.0 - long.params.entry_initial_ema_dist)) / book.bid - 1.0;
    let to_short = 1.0 - (Short::band_in(short_bands) * (1.0 + short.params.entry_initial_ema_dist)) / book.ask;
    let long_is_nearer = to_long >= to_short;
    PerSide { long: !long_is_nearer, short: long_is_nearer }
}

/// Sides that may not open a coin in one-way mode.
pub fn block_one_way(input: &PlanInput, symbol: &SymbolInput) -> PerSide<bool> {
    if input.hedge_mode {
        return PerSide::default();
    }
    let open = PerSide::from_fn(|p| symbol.sides[p].position.is_open());
    let may_open =
        PerSide::from_fn(|p| input.globals[p].enabled() && matches!(symbol.sides[p].mode, None | Some(Mode::Normal)));
    match (open.long || open.short, may_open.long, may_open.short) {
        (true, ..) => PerSide { long: open.short, short: open.long },
        (false, true, true) => block_farther(symbol),
        (false, long, short) => PerSide { long: !long, short: !short },
    }
}
