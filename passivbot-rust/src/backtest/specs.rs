//! What a run is asked to do, what it gives back, and why it may end early.

use super::account::Collateral;
use crate::errors::CoreError;
use crate::orchestrator::input::Mode;
use crate::types::{BotParams, ExchangeParams, FillLog, PerSide, Samples};

/// One coin of a run.
#[derive(Clone, Debug)]
pub struct CoinSpec {
    /// Column of the cube.
    pub column: usize,
    /// First row with data.
    pub first_valid: usize,
    /// Last row with data.
    pub last_valid: usize,
    /// Rows after the first before the coin may trade.
    pub warmup_minutes: usize,
    /// Market rules.
    pub exchange: ExchangeParams,
    /// Fee of every fill, as a fraction of its cost.
    pub maker_fee: f64,
    /// Parameters; a negative `wallet_exposure_limit` is set by the engine.
    pub params: PerSide<BotParams>,
    /// Base modes.
    pub forced_modes: PerSide<Option<Mode>>,
}

/// What a run does not take from its coins (`backtest_engine.md` 2.2).
#[derive(Clone, Debug, Default)]
pub struct RunParams {
    /// USD at the start.
    pub starting_balance: f64,
    /// Time of row 0, ms.
    pub first_timestamp_ms: i64,
    /// Nothing is planned before this time, ms.
    pub requested_start_timestamp_ms: i64,
    /// Rows before planning starts; 0 derives them from the spans.
    pub global_warmup_bars: usize,
    /// BTC collateral.
    pub collateral: Collateral,
    /// Skip coins whose first order would be too small.
    pub filter_by_min_effective_cost: bool,
    /// Both sides of a coin may be open.
    pub hedge_mode: bool,
    /// Nobody will look at fills and equity: the equity in BTC is sampled only where metrics need it.
    pub metrics_only: bool,
    /// Plans even where provably nothing can fill: the plain path that skipping is tested against.
    pub plan_every_row: bool,
}

/// Result of a run.
#[derive(Clone, Debug)]
pub struct RunOutput {
    /// Every fill.
    pub fills: FillLog,
    /// Every tracked minute.
    pub samples: Samples,
    /// Whether part of the equity was kept in BTC.
    pub collateral: bool,
    /// Side-wide parameters of the run.
    pub globals: PerSide<BotParams>,
    /// Slots of each side when last counted.
    pub effective_n_positions: PerSide<usize>,
}

/// Why a run ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunError {
    /// The planner refused the state of a row.
    Planner(CoreError),
    /// Somebody asked the run to stop.
    Cancelled,
}

impl std::fmt::Display for RunError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Planner(error) => write!(f, "backtest failed: {error}"),
            Self::Cancelled => f.write_str("backtest cancelled"),
        }
    }
}

impl std::error::Error for RunError {}
