//! The planner's request and response as JSON (`orchestrator.md` 3-6).

#![allow(clippy::struct_field_names, reason = "the field names are the names in the JSON")]

use super::input::{Ask, Expansion, Mode, PlanInput, SideGlobals, SideInput, SymbolInput, Warning, WarningKind};
use super::{Workspace, emit, plan};
use crate::errors::{CoreError, ErrorKind};
use crate::num::same_span;
use crate::types::{BotParams, EmaBands, ExchangeParams, OrderBook, PerSide, Position, Pside, TrailingBundle};
use serde::{Deserialize, Serialize};

const PARSE_FAILED: &str = "failed to parse OrchestratorInput JSON: ";
const PLAN_FAILED: &str = "orchestrator compute_ideal_orders failed: ";

/// Pairs of span and value.
type EmaPairs = Vec<(f64, f64)>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    balance: f64,
    global: Global,
    symbols: Vec<Symbol>,
    #[serde(default)]
    peek_hints: Option<PeekHints>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Global {
    filter_by_min_effective_cost: bool,
    unstuck_allowance_long: f64,
    unstuck_allowance_short: f64,
    sort_global: bool,
    global_bot_params: Sides<BotParams>,
    #[serde(default = "default_hedge_mode")]
    hedge_mode: bool,
}

fn default_hedge_mode() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sides<T> {
    long: T,
    short: T,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Symbol {
    symbol_idx: usize,
    order_book: OrderBook,
    exchange: ExchangeParams,
    tradable: bool,
    #[serde(default)]
    next_candle: Option<NextCandle>,
    effective_min_cost: f64,
    emas: Emas,
    long: Side,
    short: Side,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NextCandle {
    low: f64,
    high: f64,
    tradable: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Emas {
    m1: Timeframe,
    h1: Timeframe,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Timeframe {
    #[allow(dead_code, reason = "h1.close is part of the format but never read")]
    close: EmaPairs,
    log_range: EmaPairs,
    #[allow(dead_code, reason = "h1.volume is part of the format but never read")]
    volume: EmaPairs,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ModeName {
    Normal,
    Panic,
    GracefulStop,
    TpOnly,
    Manual,
}

impl From<ModeName> for Mode {
    fn from(name: ModeName) -> Self {
        match name {
            ModeName::Normal => Self::Normal,
            ModeName::Panic => Self::Panic,
            ModeName::GracefulStop => Self::GracefulStop,
            ModeName::TpOnly => Self::TpOnly,
            ModeName::Manual => Self::Manual,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Side {
    #[serde(default)]
    mode: Option<ModeName>,
    position: Position,
    trailing: TrailingBundle,
    bot_params: BotParams,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PeekHints {
    expand_grid_long: Vec<usize>,
    expand_grid_short: Vec<usize>,
    expand_close_long: Vec<usize>,
    expand_close_short: Vec<usize>,
}

/// The first pair whose span means the wanted one.
fn look_up(pairs: &EmaPairs, wanted: f64) -> Option<f64> {
    pairs.iter().find(|(span, _)| wanted.is_finite() && same_span(*span, wanted)).map(|(_, value)| *value)
}

fn bands(emas: &Emas, params: &BotParams) -> Option<EmaBands> {
    let middle = (params.ema_span_0 * params.ema_span_1).sqrt();
    let first = look_up(&emas.m1.close, params.ema_span_0)?;
    let second = look_up(&emas.m1.close, params.ema_span_1)?;
    let third = look_up(&emas.m1.close, middle)?;
    Some(EmaBands { lower: first.min(second).min(third), upper: first.max(second).max(third) })
}

impl Side {
    fn into_input(self, emas: &Emas, global: &BotParams) -> SideInput {
        let params = self.bot_params;
        let hours = params.entry_volatility_ema_span_hours;
        SideInput {
            mode: self.mode.map(Mode::from),
            position: self.position,
            trailing: self.trailing,
            bands: bands(emas, &params),
            volatility: if hours <= 0.0 { Some(0.0) } else { look_up(&emas.h1.log_range, hours) },
            volume_score: look_up(&emas.m1.volume, global.filter_volume_ema_span).unwrap_or(0.0),
            volatility_score: look_up(&emas.m1.log_range, global.filter_volatility_ema_span).unwrap_or(0.0),
            ask: Ask::ALL,
            params,
        }
    }
}

impl Symbol {
    fn expansion(&self, pos: usize, hints: Option<&PeekHints>) -> Expansion {
        match (hints, &self.next_candle) {
            (Some(hints), _) => Expansion::Hints {
                entries: PerSide {
                    long: hints.expand_grid_long.contains(&pos),
                    short: hints.expand_grid_short.contains(&pos),
                },
                closes: PerSide {
                    long: hints.expand_close_long.contains(&pos),
                    short: hints.expand_close_short.contains(&pos),
                },
            },
            (None, Some(candle)) => {
                Expansion::NextCandle { low: candle.low, high: candle.high, tradable: candle.tradable }
            }
            (None, None) => Expansion::Full,
        }
    }

    fn into_input(self, pos: usize, global: &Sides<BotParams>, hints: Option<&PeekHints>) -> SymbolInput {
        SymbolInput {
            symbol_idx: self.symbol_idx,
            order_book: self.order_book,
            exchange: self.exchange,
            tradable: self.tradable,
            expansion: self.expansion(pos, hints),
            effective_min_cost: self.effective_min_cost,
            sides: PerSide {
                long: self.long.into_input(&self.emas, &global.long),
                short: self.short.into_input(&self.emas, &global.short),
            },
        }
    }
}

impl Request {
    fn into_input(self) -> (PlanInput, bool) {
        let Global { global_bot_params, sort_global, .. } = self.global;
        let globals = PerSide {
            long: SideGlobals::new(&global_bot_params.long, self.global.unstuck_allowance_long),
            short: SideGlobals::new(&global_bot_params.short, self.global.unstuck_allowance_short),
        };
        let hints = self.peek_hints.as_ref();
        let symbols = self
            .symbols
            .into_iter()
            .enumerate()
            .map(|(pos, symbol)| symbol.into_input(pos, &global_bot_params, hints))
            .collect();
        let input = PlanInput {
            balance: self.balance,
            filter_by_min_effective_cost: self.global.filter_by_min_effective_cost,
            hedge_mode: self.global.hedge_mode,
            globals,
            symbols,
        };
        (input, sort_global)
    }
}

/// Instrument data that no order can be made from (`additions.md` 11); checked after the planner's own checks.
fn check_markets(input: &PlanInput) -> Result<(), CoreError> {
    let positive = |x: f64| x.is_finite() && x > 0.0;
    for symbol in &input.symbols {
        let (ex, idx) = (&symbol.exchange, symbol.symbol_idx);
        for (field, value) in [("qty_step", ex.qty_step), ("price_step", ex.price_step), ("c_mult", ex.c_mult)] {
            if !positive(value) {
                return Err(CoreError::of_coin(ErrorKind::InvalidMarket, field, idx));
            }
        }
        let unpriced = |pside: Pside| {
            let position = symbol.sides[pside].position;
            position.is_open() && !positive(position.price)
        };
        if Pside::BOTH.into_iter().any(unpriced) {
            return Err(CoreError::of_coin(ErrorKind::InvalidPosition, "position.price", idx));
        }
    }
    Ok(())
}

#[derive(Serialize)]
struct Response {
    orders: Vec<OrderOut>,
    diagnostics: Diagnostics,
}

#[derive(Serialize)]
struct OrderOut {
    symbol_idx: usize,
    pside: &'static str,
    qty: f64,
    price: f64,
    order_type: &'static str,
}

#[derive(Serialize)]
struct Diagnostics {
    warnings: Vec<WarningOut>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum WarningOut {
    DisabledPsideHasPosition(Place),
    NonTradableHasPosition(Place),
}

#[derive(Serialize)]
struct Place {
    symbol_idx: usize,
    pside: &'static str,
}

impl From<&Warning> for WarningOut {
    fn from(warning: &Warning) -> Self {
        let place = Place { symbol_idx: warning.symbol_idx, pside: warning.pside.name() };
        match warning.kind {
            WarningKind::DisabledPsideHasPosition => Self::DisabledPsideHasPosition(place),
            WarningKind::NonTradableHasPosition => Self::NonTradableHasPosition(place),
        }
    }
}

/// Why a request got no answer: the text for the user and, beyond parsing, the planner's own error.
#[derive(Clone, Debug)]
pub struct PlanFailure {
    /// Text with its prefix.
    pub text: String,
    /// `None` for malformed JSON.
    pub error: Option<CoreError>,
}

impl From<CoreError> for PlanFailure {
    fn from(error: CoreError) -> Self {
        Self { text: format!("{PLAN_FAILED}{error}"), error: Some(error) }
    }
}

impl From<serde_json::Error> for PlanFailure {
    fn from(error: serde_json::Error) -> Self {
        Self { text: format!("{PARSE_FAILED}{error}"), error: None }
    }
}

/// Plans a request given as JSON and answers in JSON.
///
/// # Errors
/// The text of `orchestrator.md` 6, with its prefix.
pub fn plan_json(text: &str) -> Result<String, PlanFailure> {
    let request: Request = serde_json::from_str(text)?;
    let (input, sort_global) = request.into_input();
    let mut ws = Workspace::default();
    super::validate(&input)?;
    check_markets(&input)?;
    plan(&input, &mut ws)?;
    let orders = emit::assemble(&input, &mut ws, sort_global)
        .into_iter()
        .map(|o| OrderOut {
            symbol_idx: o.symbol_idx,
            pside: o.pside.name(),
            qty: o.order.qty,
            price: o.order.price,
            order_type: o.order.order_type.name(),
        })
        .collect();
    let diagnostics = Diagnostics { warnings: ws.warnings.iter().map(WarningOut::from).collect() };
    Ok(serde_json::to_string(&Response { orders, diagnostics })?)
}
