//! The minute loop: replays candles through the planner and keeps the account (`backtest_engine.md` 5).
//!
//! One simulated minute: match the orders planned a minute before, absorb the candle (EMAs, account, trailing extremes),
//! plan afresh, sample equity. All state is dense by coin index; iteration is always in ascending index.

pub mod account;
pub mod book;
pub mod dataset;
pub mod indicators;
pub mod outlook;
pub mod record;
pub mod view;

use crate::errors::CoreError;
use crate::num::{EPS, unstuck_allowance};
use crate::orchestrator::input::{Mode, PlanInput};
use crate::orchestrator::{Workspace, emit, plan};
use crate::side::{Long, Short, Side};
use crate::types::{BotParams, ExchangeParams, FillLog, PerSide, Pside, Samples, TrailingBundle};
use account::{Account, Collateral};
use book::{Books, Positions, Reach};
use dataset::{Candles, ValidRange};
use indicators::{Indicators, Readers};
use outlook::{Outlook, Scene};
use std::sync::atomic::{AtomicBool, Ordering};
use view::RowState;

/// Milliseconds in a minute.
pub const MINUTE_MS: i64 = 60_000;
/// Rows a run may go on after it was cancelled.
const ROWS_BETWEEN_CANCEL_CHECKS: usize = 1024;
/// Milliseconds in an hour.
pub const HOUR_MS: i64 = 3_600_000;

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

/// Realised profit of all coins and sides, gross of fees.
#[derive(Clone, Copy, Debug, Default)]
pub struct Realised {
    /// Sum so far.
    pub sum: f64,
    /// Highest sum so far, at least 0.
    pub max: f64,
}

impl Realised {
    fn add(&mut self, pnl: f64) {
        self.sum += pnl;
        self.max = self.max.max(self.sum);
    }
}

/// Parameters that hold for all coins: those of coin 0, with no more slots than coins (3.2).
fn global_params(coins: &[CoinSpec]) -> PerSide<BotParams> {
    PerSide::from_fn(|pside| {
        let first = coins[0].params[pside];
        BotParams { n_positions: first.n_positions.min(coins.len()), ..first }
    })
}

/// Rows before planning starts (3.4).
fn warmup_rows(configured: usize, coins: &[CoinSpec]) -> usize {
    if configured > 0 {
        return configured;
    }
    let spans = coins.iter().flat_map(|coin| coin.params.iter()).flat_map(|p| {
        [
            p.ema_span_0,
            p.ema_span_1,
            p.filter_volume_ema_span,
            p.filter_volatility_ema_span,
            60.0 * p.entry_volatility_ema_span_hours,
        ]
    });
    let longest = spans.filter(|span| span.is_finite()).fold(0.0, f64::max);
    (longest.ceil() as usize).max(1)
}

/// True unless every tradable coin always gets a slot, whatever its rank: there are as many slots as coins, and nobody
/// takes one without being tradable, be it as a position that outlived its data or as a coin that is forced to trade.
fn needs_ranking(coins: &[CoinSpec], ranges: &[ValidRange], globals: &PerSide<BotParams>, rows: usize) -> bool {
    let enough_slots = globals.iter().all(|p| p.n_positions == 0 || p.n_positions >= coins.len());
    let forced = coins.iter().flat_map(|coin| coin.forced_modes.iter()).any(|mode| *mode == Some(Mode::Normal));
    !enough_slots || forced || ranges.iter().any(|range| range.last + 1 < rows)
}

/// Rows in which a coin becomes tradable or ceases to be, ascending.
fn status_changes(ranges: &[ValidRange]) -> Vec<usize> {
    let mut rows: Vec<usize> = ranges.iter().flat_map(|range| [range.trade_start, range.last + 1]).collect();
    rows.sort_unstable();
    rows
}

/// State of a run between two minutes.
struct Engine<'a, C: Candles> {
    coins: &'a [CoinSpec],
    run: &'a RunParams,
    candles: &'a C,
    btc_usd: &'a [f64],
    ranges: Vec<ValidRange>,
    globals: PerSide<BotParams>,
    enabled: PerSide<bool>,
    trails: PerSide<Vec<bool>>,
    indicators: Indicators,
    account: Account,
    positions: Positions,
    trailing: PerSide<Vec<TrailingBundle>>,
    filled: PerSide<Vec<bool>>,
    realised: Realised,
    effective_n_positions: PerSide<usize>,
    input: PlanInput,
    planner: Workspace,
    reach: Vec<Reach>,
    /// Orders are resting; false after a skipped planning pass.
    resting: bool,
    outlook: Outlook,
    may_skip: bool,
    any_filled: bool,
    /// Somebody asked for the equity in BTC.
    samples_btc: bool,
    /// Net exposure; without collateral it changes with fills only.
    twe_net: f64,
    /// Sizing balance and realised profit that the allowances were computed from.
    allowances_of: Option<(f64, f64, f64)>,
    /// Rows, ascending, from which on some coin is or is no longer tradable.
    status_changes: Vec<usize>,
    limits_known: bool,
    can_trade: bool,
    log: FillLog,
    samples: Option<Samples>,
}

/// Replays all rows of a dataset. `btc_usd` has one price a row.
///
/// # Errors
/// The planner refuses the state of a row, or `cancel` was set.
///
/// # Panics
/// Never for specs checked by the boundary: at least one coin and one row, columns inside the cube.
pub fn run(
    coins: &[CoinSpec],
    run: &RunParams,
    candles: &impl Candles,
    btc_usd: &[f64],
    cancel: &AtomicBool,
) -> Result<RunOutput, RunError> {
    let mut engine = Engine::new(coins, run, candles, btc_usd);
    engine.replay(cancel)?;
    Ok(RunOutput {
        fills: engine.log,
        samples: engine.samples.unwrap_or_default(),
        collateral: engine.account.holds_btc(),
        globals: engine.globals,
        effective_n_positions: engine.effective_n_positions,
    })
}

impl<'a, C: Candles> Engine<'a, C> {
    fn new(coins: &'a [CoinSpec], run: &'a RunParams, candles: &'a C, btc_usd: &'a [f64]) -> Self {
        let n = coins.len();
        let ranges: Vec<_> = coins.iter().map(|coin| ValidRange::new(coin, candles.rows())).collect();
        let globals = global_params(coins);
        let trails = |p: &BotParams| p.close_trailing_grid_ratio != 0.0 || p.entry_trailing_grid_ratio != 0.0;
        let limited = |pside: Pside| coins.iter().any(|coin| coin.params[pside].wallet_exposure_limit != 0.0);
        let ranking = run.plan_every_row || needs_ranking(coins, &ranges, &globals, candles.rows());
        let plans = |p: &BotParams| p.total_wallet_exposure_limit > 0.0 && p.n_positions > 0;
        let sides = if run.plan_every_row {
            PerSide { long: true, short: true }
        } else {
            PerSide::from_fn(|p| plans(&globals[p]))
        };
        let readers = Readers { sides, ranking };
        Self {
            indicators: Indicators::new(coins, &ranges, candles, &globals, readers, run.first_timestamp_ms),
            enabled: PerSide::from_fn(|p| limited(p) && globals[p].n_positions > 0),
            trails: PerSide::from_fn(|p| coins.iter().map(|coin| trails(&coin.params[p])).collect()),
            account: Account::new(run.starting_balance, run.collateral, btc_usd[0]),
            positions: Positions::new(n),
            trailing: PerSide::from_fn(|_| vec![TrailingBundle::default(); n]),
            filled: PerSide::from_fn(|_| vec![false; n]),
            realised: Realised::default(),
            effective_n_positions: PerSide::from_fn(|p| globals[p].n_positions),
            input: view::new_input(coins, &globals, run),
            planner: Workspace::default(),
            reach: vec![Reach::NONE; n],
            resting: false,
            outlook: Outlook::new(n, !run.filter_by_min_effective_cost && ranking),
            may_skip: !run.plan_every_row,
            any_filled: false,
            samples_btc: run.collateral.cap > 0.0 || !run.metrics_only,
            twe_net: 0.0,
            allowances_of: None,
            status_changes: status_changes(&ranges),
            limits_known: false,
            can_trade: false,
            log: FillLog::default(),
            samples: None,
            coins,
            run,
            candles,
            btc_usd,
            ranges,
            globals,
        }
    }

    fn replay(&mut self, cancel: &AtomicBool) -> Result<(), RunError> {
        let warmup = warmup_rows(self.run.global_warmup_bars, self.coins);
        let start_ms = self.run.requested_start_timestamp_ms.max(self.run.first_timestamp_ms);
        for row in 1..self.candles.rows().saturating_sub(1) {
            if row.is_multiple_of(ROWS_BETWEEN_CANCEL_CHECKS) && cancel.load(Ordering::Relaxed) {
                return Err(RunError::Cancelled);
            }
            self.match_row(row);
            if self.indicators.absorb_row(row, self.coins, &self.ranges, self.candles) {
                self.outlook.expire();
            }
            if self.account.holds_btc() {
                self.account.value_at(self.btc_usd[row]);
            }
            self.trail::<Long>(row);
            self.trail::<Short>(row);
            let now_ms = self.run.first_timestamp_ms + MINUTE_MS * row as i64;
            if row > warmup && now_ms >= start_ms {
                if self.refresh_limits(row) && self.samples.is_none() {
                    self.samples = Some(record::samples_from(row, self.candles.rows()));
                }
                self.plan_row(row).map_err(|e| RunError::Planner(e.at_row(row)))?;
            }
            self.sample(row);
        }
        Ok(())
    }

    /// Fills what the candle of the row reaches: longs first, coins ascending.
    fn match_row(&mut self, row: usize) {
        if self.any_filled {
            self.any_filled = false;
            for pside in Pside::BOTH {
                self.filled[pside].fill(false);
            }
        }
        if !self.resting {
            return;
        }
        let hit = |coin: usize| {
            let candle = self.candles.at(row, self.coins[coin].column);
            self.ranges[coin].tradable(row) && self.reach[coin].hit(candle.high, candle.low)
        };
        if (0..self.coins.len()).any(hit) {
            self.any_filled = true;
            self.outlook.expire();
            self.match_side::<Long>(row);
            self.match_side::<Short>(row);
        }
    }

    /// Matches one side; every fill is an event for the outlook.
    fn match_side<S: Side>(&mut self, row: usize) {
        if !*S::of(&self.enabled) {
            return;
        }
        let mut books = Books {
            coins: self.coins,
            account: &mut self.account,
            positions: &mut self.positions,
            realised: &mut self.realised,
            log: &mut self.log,
            row,
            btc_price: self.btc_usd[row],
        };
        for (coin, orders) in self.planner.orders.iter().enumerate() {
            let orders = S::of(orders);
            if self.ranges[coin].tradable(row) {
                let candle = self.candles.at(row, self.coins[coin].column);
                let range = (candle.high, candle.low);
                S::of_mut(&mut self.filled)[coin] =
                    books.match_orders::<S>(coin, &orders.closes, &orders.entries, range);
            }
        }
    }

    /// Trailing extremes of the open positions: reset by a fill, else moved by the candle (9).
    fn trail<S: Side>(&mut self, row: usize) {
        if !*S::of(&self.enabled) {
            return;
        }
        for &coin in S::of(&self.positions.open) {
            if !S::of(&self.trails)[coin] || !self.ranges[coin].valid(row) {
                continue;
            }
            let bundle = &mut S::of_mut(&mut self.trailing)[coin];
            if S::of(&self.filled)[coin] {
                *bundle = TrailingBundle::default();
            } else {
                let candle = self.candles.at(row, self.coins[coin].column);
                bundle.absorb(candle.high, candle.low, candle.close);
            }
        }
    }

    /// Counts slots and shares the side's limit among the tradable coins (10), where that set has changed. False if there
    /// is nothing to trade.
    fn refresh_limits(&mut self, row: usize) -> bool {
        let changed = self.status_changes.iter().position(|change| *change > row).unwrap_or(self.status_changes.len());
        if changed == 0 && self.limits_known {
            return self.can_trade;
        }
        self.status_changes.drain(..changed);
        self.limits_known = true;
        self.outlook.expire();
        self.can_trade = self.share_limits(row);
        self.can_trade
    }

    fn share_limits(&mut self, row: usize) -> bool {
        let tradable = self.ranges.iter().filter(|range| range.tradable(row)).count();
        if tradable == 0 {
            return false;
        }
        let slots = PerSide::from_fn(|p| self.globals[p].n_positions.min(tradable));
        self.effective_n_positions = slots;
        if slots.long == 0 && slots.short == 0 {
            return false;
        }
        for pside in Pside::BOTH {
            let n = slots[pside];
            let limit = if n == 0 { 0.0 } else { self.globals[pside].total_wallet_exposure_limit / n as f64 };
            for (coin, symbol) in self.input.symbols.iter_mut().enumerate() {
                if self.coins[coin].params[pside].wallet_exposure_limit < 0.0 && self.ranges[coin].tradable(row) {
                    symbol.sides[pside].params.wallet_exposure_limit = limit;
                }
            }
        }
        true
    }

    /// Replaces all orders by those planned from the state after the row (11).
    fn plan_row(&mut self, row: usize) -> Result<(), CoreError> {
        self.input.balance = self.account.sizing;
        self.refresh_allowances();
        let state = RowState {
            row,
            coins: self.coins,
            ranges: &self.ranges,
            candles: self.candles,
            indicators: &self.indicators,
            positions: &self.positions,
            trailing: &self.trailing,
            raw_balance: self.account.usd_total,
        };
        let selective = self.may_skip && !self.indicators.odd && self.account.sizing.is_finite();
        if selective && !(Scene { state: &state, input: &self.input }).may_fill(&mut self.outlook) {
            self.resting = false;
            return Ok(());
        }
        self.resting = true;
        let filter = self.run.filter_by_min_effective_cost;
        for (coin, symbol) in self.input.symbols.iter_mut().enumerate() {
            state.refill(coin, symbol, filter);
            for pside in Pside::BOTH {
                symbol.sides[pside].without_closes = selective && !self.outlook.closes[pside][coin];
            }
        }
        for pside in Pside::BOTH {
            self.input.globals[pside].without_entries = selective && !self.outlook.entries[pside];
        }
        if self.may_skip {
            self.input.globals.long.ladder_depth = state.ladder_depth::<Long>();
            self.input.globals.short.ladder_depth = state.ladder_depth::<Short>();
        }
        plan(&self.input, &mut self.planner)?;
        if self.may_skip && self.planner.saw_dust {
            self.input.globals.long.ladder_depth = f64::INFINITY;
            self.input.globals.short.ladder_depth = f64::INFINITY;
            plan(&self.input, &mut self.planner)?;
        }
        emit::sort_per_coin(&self.input, &mut self.planner);
        for (reach, orders) in self.reach.iter_mut().zip(&self.planner.orders) {
            *reach = Reach::NONE;
            for order in orders.iter().flat_map(|side| side.closes.iter().chain(&side.entries)) {
                reach.include(order);
            }
        }
        Ok(())
    }

    /// Loss that unstucking may realise, renewed when balance or realised profit have moved (11.1).
    fn refresh_allowances(&mut self) {
        let basis = (self.account.sizing, self.realised.sum, self.realised.max);
        if self.allowances_of == Some(basis) {
            return;
        }
        self.allowances_of = Some(basis);
        for pside in Pside::BOTH {
            let global = &self.globals[pside];
            let pct = global.unstuck_loss_allowance_pct;
            self.input.globals[pside].unstuck_allowance = if pct > 0.0 {
                let pct = pct * global.total_wallet_exposure_limit;
                unstuck_allowance(self.account.sizing, pct, self.realised.max, self.realised.sum)
            } else {
                0.0
            };
        }
    }

    /// Samples equity and exposure once tracking is on (12).
    fn sample(&mut self, row: usize) {
        if self.samples.is_none() {
            return;
        }
        let mut equity = (self.account.usd_total, self.account.btc_total);
        self.add_unrealised::<Long>(row, &mut equity);
        self.add_unrealised::<Short>(row, &mut equity);
        if self.any_filled || self.account.holds_btc() {
            let twe = self.positions.exposure(self.coins, self.account.usd_total);
            self.twe_net = twe.long + twe.short;
        }
        if let Some(samples) = &mut self.samples {
            samples.equity_usd.push(equity.0);
            samples.twe_net.push(self.twe_net);
            if self.samples_btc {
                samples.equity_btc.push(equity.1);
            }
        }
    }

    #[inline]
    fn add_unrealised<S: Side>(&self, row: usize, equity: &mut (f64, f64)) {
        for &coin in S::of(&self.positions.open) {
            let spec = &self.coins[coin];
            let close = self.candles.at(row, spec.column).close;
            if self.ranges[coin].valid(row) && close.is_finite() {
                let held = S::of(&self.positions.held)[coin];
                let unrealised = S::pnl(held.price, close, held.size, spec.exchange.c_mult);
                equity.0 += unrealised;
                if self.samples_btc {
                    equity.1 += unrealised / self.btc_usd[row].max(EPS);
                }
            }
        }
    }
}
