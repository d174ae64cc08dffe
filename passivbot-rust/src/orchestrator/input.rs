//! What one planning pass reads and what it returns, as plain structs.
//!
//! EMAs stand here by meaning, already looked up; the JSON reader and the backtest fill them in, each in its own way.

use crate::coin_selection::Rules;
use crate::types::{BotParams, EmaBands, ExchangeParams, Order, OrderBook, PerSide, Position, Pside, TrailingBundle};

/// What a side of a coin is asked to do; no mode means ordinary trading if coin selection grants a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Ordinary trading; as a request it claims a slot.
    Normal,
    /// Close everything now.
    Panic,
    /// No first entries.
    GracefulStop,
    /// Closes only.
    TpOnly,
    /// Hands off.
    Manual,
}

/// How far the orders of a coin are expanded (`orchestrator.md` 11.5).
#[derive(Clone, Copy, Debug)]
pub enum Expansion {
    /// Whole ladders.
    Full,
    /// A ladder only where the next candle would fill its first order.
    NextCandle {
        /// Low of the candle.
        low: f64,
        /// High of the candle.
        high: f64,
        /// Whether anything can fill in it.
        tradable: bool,
    },
    /// Whole ladders where hinted, single orders elsewhere.
    Hints {
        /// Expand entries of the side.
        entries: PerSide<bool>,
        /// Expand closes of the side.
        closes: PerSide<bool>,
    },
}

/// The orders of a coin and side that a caller asks for.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// Entries; of a flat coin only if it has a slot.
    pub entries: bool,
    /// Closes.
    pub closes: bool,
}

impl Ask {
    /// Everything.
    pub const ALL: Self = Self { entries: true, closes: true };
    /// Nothing.
    pub const NONE: Self = Self { entries: false, closes: false };

    /// Not nothing.
    #[inline]
    pub fn anything(self) -> bool {
        self.entries || self.closes
    }
}

/// One side of one coin.
#[derive(Clone, Copy, Debug)]
pub struct SideInput {
    /// Requested mode.
    pub mode: Option<Mode>,
    /// Signed size and price; (0, 0) when flat.
    pub position: Position,
    /// Extremes since the last fill.
    pub trailing: TrailingBundle,
    /// Parameters after overrides.
    pub params: BotParams,
    /// Price EMA bands; `None` if an EMA is missing.
    pub bands: Option<EmaBands>,
    /// Hourly log-range EMA; 0 if switched off, `None` if missing.
    pub volatility: Option<f64>,
    /// Quote-volume EMA of coin selection; 0 if missing.
    pub volume_score: f64,
    /// 1-minute log-range EMA of coin selection; 0 if missing.
    pub volatility_score: f64,
    /// What the caller asks for.
    pub ask: Ask,
}

/// One coin.
#[derive(Clone, Copy, Debug)]
pub struct SymbolInput {
    /// Its index as the request states it; must equal its position.
    pub symbol_idx: usize,
    /// Best bid and ask.
    pub order_book: OrderBook,
    /// Market rules.
    pub exchange: ExchangeParams,
    /// The market is active.
    pub tradable: bool,
    /// Single orders or ladders.
    pub expansion: Expansion,
    /// Smallest order value, quote currency.
    pub effective_min_cost: f64,
    /// Both sides.
    pub sides: PerSide<SideInput>,
}

/// Side-wide parameters: those marked G in `orchestrator.md` 4.5.
#[derive(Clone, Copy, Debug, Default)]
pub struct SideGlobals {
    /// Total exposure limit of the side.
    pub total_limit: f64,
    /// Configured slots.
    pub n_positions: usize,
    /// Share of the least traded coins to drop.
    pub volume_drop: f64,
    /// Share of the most volatile coins to drop.
    pub volatility_drop: f64,
    /// Level of the side's enforcer.
    pub twel_threshold: f64,
    /// Loss that unstucking may realise, quote currency.
    pub unstuck_allowance: f64,
    /// Nothing farther from its touch than this fills in the next candle: entry ladders may end behind their first order
    /// beyond it. Infinite for whole ladders.
    pub ladder_depth: f64,
}

impl SideGlobals {
    /// The parameters of a side that hold for all coins.
    pub fn new(params: &BotParams, unstuck_allowance: f64) -> Self {
        Self {
            total_limit: params.total_wallet_exposure_limit,
            n_positions: params.n_positions,
            volume_drop: params.filter_volume_drop_pct,
            volatility_drop: params.filter_volatility_drop_pct,
            twel_threshold: params.risk_twel_enforcer_threshold,
            unstuck_allowance,
            ladder_depth: f64::INFINITY,
        }
    }

    /// How flat coins compete for slots, given the number of active markets and of coins that are forced to trade.
    pub fn rules(&self, eligible: usize, forced: usize) -> Rules {
        Rules {
            slots: self.n_positions.min(eligible).max(forced),
            volume_drop: self.volume_drop,
            volatility_drop: self.volatility_drop,
        }
    }

    /// The side trades at all.
    #[inline]
    pub fn enabled(&self) -> bool {
        self.total_limit > 0.0 && self.n_positions > 0
    }
}

/// Everything one planning pass depends on.
#[derive(Clone, Debug)]
pub struct PlanInput {
    /// Balance used for sizing.
    pub balance: f64,
    /// Apply the minimum-cost test.
    pub filter_by_min_effective_cost: bool,
    /// Both sides of one coin may be open.
    pub hedge_mode: bool,
    /// Side-wide parameters.
    pub globals: PerSide<SideGlobals>,
    /// All coins.
    pub symbols: Vec<SymbolInput>,
}

/// Something the user should know although orders were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WarningKind {
    /// A position on a side that is switched off gets no orders.
    DisabledPsideHasPosition,
    /// A position on a market that is not active.
    NonTradableHasPosition,
}

/// A warning about one coin and side.
#[derive(Clone, Copy, Debug)]
pub struct Warning {
    /// What.
    pub kind: WarningKind,
    /// Coin index.
    pub symbol_idx: usize,
    /// Side.
    pub pside: Pside,
}

/// An order that should rest.
#[derive(Clone, Copy, Debug)]
pub struct IdealOrder {
    /// Coin index.
    pub symbol_idx: usize,
    /// Side of the position.
    pub pside: Pside,
    /// Quantity, price, type.
    pub order: Order,
}
