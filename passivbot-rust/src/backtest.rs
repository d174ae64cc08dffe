//! The minute loop: replays candles through the planner and keeps the account (`backtest_engine.md` 5).
//!
//! One simulated minute: match the orders planned a minute before, absorb the candle (EMAs, account, trailing extremes),
//! plan afresh, sample equity. EMAs are computed a stretch of minutes ahead (`tape`), and minutes in which nothing can happen
//! are passed over (`outlook`). All state is dense by coin index; iteration is always in ascending index.

pub mod account;
pub mod book;
pub mod concern;
pub mod contest;
pub mod dataset;
pub mod indicators;
pub mod outlook;
pub mod record;
pub mod schedule;
pub mod specs;
pub mod tape;
pub mod view;
pub mod watch;

use crate::errors::CoreError;
use crate::limits::shared_exposure_limit;
use crate::num::{EPS, unstuck_allowance};
use crate::orchestrator::input::{Ask, PlanInput};
use crate::orchestrator::{Workspace, emit, plan, plan_part};
use crate::side::{Long, Short, Side};
use crate::types::{BotParams, FillLog, PerSide, Position, Pside, Samples, TrailingBundle};
use account::Account;
use book::{Books, Positions, Reach, Realised};
use concern::Scene;
use contest::ContestKind;
use dataset::{Candles, ValidRange};
use indicators::{Indicators, Readers, has_odd_span};
use outlook::Outlook;
use schedule::{edges, first_planned_row, forced_coins, global_params, needs_ranking, status_changes};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use tape::{LONGEST, Tape};
use view::RowState;

pub use specs::{CoinSpec, RunError, RunOutput, RunParams};

/// Milliseconds in a minute.
pub const MINUTE_MS: i64 = 60_000;
/// Milliseconds in an hour.
pub const HOUR_MS: i64 = 3_600_000;

/// A run that fills more often must find room for its log anew.
const ROWS_A_FILL: usize = 8;

/// State of a run between two minutes.
struct Engine<'a, C: Candles> {
    coins: &'a [CoinSpec],
    run: &'a RunParams,
    candles: &'a C,
    btc_usd: &'a [f64],
    ranges: Vec<ValidRange>,
    /// Coins that are forced into a mode on some side.
    forced: Vec<usize>,
    globals: PerSide<BotParams>,
    enabled: PerSide<bool>,
    trails: PerSide<Vec<bool>>,
    indicators: Indicators,
    tape: Tape,
    account: Account,
    positions: Positions,
    trailing: PerSide<Vec<TrailingBundle>>,
    /// First row that the trailing extremes have not absorbed yet.
    trailed_to: PerSide<Vec<usize>>,
    realised: Realised,
    effective_n_positions: PerSide<usize>,
    input: PlanInput,
    planner: Workspace,
    reach: Vec<Reach>,
    /// Orders are resting; false after a skipped planning pass.
    resting: bool,
    outlook: Outlook,
    may_skip: bool,
    /// First row that is planned.
    plan_from: usize,
    /// First row without a sample.
    sampled_to: usize,
    /// Somebody asked for the equity in BTC.
    samples_btc: bool,
    /// Net exposure; without collateral it changes with fills only.
    twe_net: f64,
    /// Rows, ascending, at which something about a coin other than its prices changes.
    edges: Vec<usize>,
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

/// The state after a row, borrowed field by field so that outlook and planner stay free.
macro_rules! state_after {
    ($engine:expr, $row:expr) => {
        RowState {
            row: $row,
            at: $row - $engine.tape.first,
            coins: $engine.coins,
            ranges: &$engine.ranges,
            forced: &$engine.forced,
            tape: &$engine.tape,
            indicators: &$engine.indicators,
            positions: &$engine.positions,
            trailing: &$engine.trailing,
            trailed_to: &$engine.trailed_to,
            raw_balance: $engine.account.usd_total,
        }
    };
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
        let indicators = Indicators::new(coins, &ranges, candles, &globals, readers, run.first_timestamp_ms);
        let contest = match (ranking, run.filter_by_min_effective_cost) {
            (false, _) => ContestKind::None,
            (true, false) => ContestKind::Ranking,
            (true, true) => ContestKind::Filtered,
        };
        let odd = coins.iter().zip(&ranges).any(|(coin, range)| {
            !candles.at(range.first, coin.column).is_ordinary() || coin.params.iter().any(has_odd_span)
        });
        Self {
            tape: indicators.new_tape(odd),
            indicators,
            enabled: PerSide::from_fn(|p| limited(p) && globals[p].n_positions > 0),
            trails: PerSide::from_fn(|p| coins.iter().map(|coin| trails(&coin.params[p])).collect()),
            account: Account::new(run.starting_balance, run.collateral, btc_usd[0]),
            positions: Positions::new(n),
            trailing: PerSide::from_fn(|_| vec![TrailingBundle::default(); n]),
            trailed_to: PerSide::from_fn(|_| vec![0; n]),
            realised: Realised::default(),
            effective_n_positions: PerSide::from_fn(|p| globals[p].n_positions),
            input: view::new_input(coins, &globals, run),
            planner: Workspace::default(),
            reach: vec![Reach::NONE; n],
            resting: false,
            outlook: Outlook::new(n, contest),
            may_skip: !run.plan_every_row,
            plan_from: first_planned_row(run, coins),
            sampled_to: 0,
            samples_btc: run.collateral.cap > 0.0 || !run.metrics_only,
            twe_net: 0.0,
            edges: edges(&ranges),
            forced: forced_coins(coins),
            allowances_of: None,
            status_changes: status_changes(&ranges),
            limits_known: false,
            can_trade: false,
            log: FillLog::with_room(candles.rows() / ROWS_A_FILL),
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
        let end = self.candles.rows().saturating_sub(1);
        let mut row = 1;
        while row < end {
            if cancel.load(Ordering::Relaxed) {
                return Err(RunError::Cancelled);
            }
            let rows = row..self.stretch_end(row).min(end);
            row = rows.end;
            self.indicators.absorb_stretch(&rows, self.coins, &self.ranges, self.candles, &mut self.tape);
            self.outlook.turn_page();
            self.play(rows)?;
        }
        Ok(())
    }

    /// End of the longest stretch that begins at a row.
    fn stretch_end(&self, row: usize) -> usize {
        let edge = self.edges.get(self.edges.partition_point(|edge| *edge <= row)).copied().unwrap_or(usize::MAX);
        let plan = if row < self.plan_from { self.plan_from } else { usize::MAX };
        (row + LONGEST).min(self.indicators.next_hour(row)).min(edge).min(plan)
    }

    /// Plays the rows on the tape.
    fn play(&mut self, rows: Range<usize>) -> Result<(), RunError> {
        let planning = rows.start >= self.plan_from;
        if planning && self.refresh_limits(rows.start) && self.samples.is_none() {
            self.samples = Some(record::samples_from(rows.start, self.candles.rows()));
            self.sampled_to = rows.start;
        }
        let mut row = rows.start;
        while row < rows.end {
            self.match_row(row);
            if self.account.holds_btc() {
                self.account.value_at(self.btc_usd[row]);
            }
            if planning {
                self.plan_row(row).map_err(|e| RunError::Planner(e.at_row(row)))?;
            }
            if self.account.holds_btc() {
                self.measure_exposure();
                self.sample_to(row + 1);
                row += 1;
            } else {
                row = self.next_row(row, planning, rows.end);
            }
        }
        self.sample_to(rows.end);
        self.trail_open::<Long>(rows.end, |_, _| true);
        self.trail_open::<Short>(rows.end, |_, _| true);
        Ok(())
    }

    /// The next row in which anything can happen.
    fn next_row(&self, row: usize, planning: bool, end: usize) -> usize {
        let next = row + 1 - self.tape.first;
        if self.resting {
            row + 1
        } else if !planning {
            end
        } else if self.is_open_to_conclusions(next) {
            self.tape.first + self.outlook.next_row(next, self.tape.len).min(self.tape.odd_from)
        } else {
            row + 1
        }
    }

    /// Rows from this place on the tape may be passed over if nothing can fill.
    fn is_open_to_conclusions(&self, at: usize) -> bool {
        self.may_skip && at < self.tape.odd_from && self.account.sizing.is_finite()
    }

    /// Fills what the candle of the row reaches: longs first, coins ascending.
    fn match_row(&mut self, row: usize) {
        if !self.resting {
            return;
        }
        let hit = |coin: usize| {
            let candle = self.tape.coins[coin].candle(row - self.tape.first);
            self.ranges[coin].tradable(row) && self.reach[coin].hit(candle.high, candle.low)
        };
        if self.planner.coins.iter().copied().any(hit) {
            self.sample_to(row);
            self.match_side::<Long>(row);
            self.match_side::<Short>(row);
        }
    }

    /// Matches one side; every fill is an event for the outlook and resets the trailing extremes (9).
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
            twe_net: self.twe_net,
        };
        for &coin in &self.planner.coins {
            let orders = S::of(&self.planner.orders[coin]);
            if !self.ranges[coin].tradable(row) || (orders.closes.is_empty() && orders.entries.is_empty()) {
                continue;
            }
            let candle = self.tape.coins[coin].candle(row - self.tape.first);
            let range = (candle.high, candle.low);
            let booked = books.match_orders::<S>(coin, &orders.closes, &orders.entries, range);
            if !booked {
                continue;
            }
            self.outlook.forget_position::<S>(coin);
            S::of_mut(&mut self.input.symbols[coin].sides).position = S::of(&books.positions.held)[coin];
            if S::of(&self.trails)[coin] {
                S::of_mut(&mut self.trailing)[coin] = TrailingBundle::default();
                S::of_mut(&mut self.trailed_to)[coin] = row + 1;
            }
        }
        self.twe_net = books.twe_net;
    }

    /// Moves the trailing extremes of an open position up to a row.
    fn trail<S: Side>(&mut self, coin: usize, end: usize) {
        let (tape, first) = (&self.tape.coins[coin], self.tape.first);
        let from = std::mem::replace(&mut S::of_mut(&mut self.trailed_to)[coin], end);
        let rows = from.max(first) - first..end - first;
        if !tape.valid || rows.is_empty() {
            return;
        }
        let bundle = &mut S::of_mut(&mut self.trailing)[coin];
        if tape.ordinary {
            let extremes = (rows.len() == self.tape.len).then_some(tape.extremes);
            bundle.absorb_all(&tape.high[rows.clone()], &tape.low[rows.clone()], &tape.close[rows], extremes);
        } else {
            rows.for_each(|at| bundle.absorb(tape.high[at], tape.low[at], tape.close[at]));
        }
    }

    /// Moves the trailing extremes of open positions that somebody asks for up to a row, without that row.
    fn trail_open<S: Side>(&mut self, end: usize, asked: impl Fn(&Outlook, usize) -> bool) {
        for i in 0..S::of(&self.positions.open).len() {
            let coin = S::of(&self.positions.open)[i];
            if S::of(&self.trails)[coin] && asked(&self.outlook, coin) {
                self.trail::<S>(coin, end);
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
        self.outlook.forget();
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
            let global = &self.globals[pside];
            let limit = shared_exposure_limit(global.total_wallet_exposure_limit, global.n_positions, tradable, 0);
            for (coin, symbol) in self.input.symbols.iter_mut().enumerate() {
                if self.coins[coin].params[pside].wallet_exposure_limit < 0.0 && self.ranges[coin].tradable(row) {
                    symbol.sides[pside].params.wallet_exposure_limit = limit;
                }
            }
        }
        true
    }

    /// Replaces all orders by those planned from the state after the row (11), as far as they might fill.
    fn plan_row(&mut self, row: usize) -> Result<(), CoreError> {
        self.input.balance = self.account.sizing;
        self.refresh_allowances();
        let selective = self.is_open_to_conclusions(row - self.tape.first);
        self.resting = !selective || self.look_ahead(row);
        if !self.resting {
            return Ok(());
        }
        if selective && !self.outlook.whole {
            self.plan_part(row)?;
        } else {
            self.plan_whole(row)?;
        }
        emit::sort_per_coin(&self.input, &mut self.planner);
        for &coin in &self.planner.coins {
            let mut reach = Reach::NONE;
            for side in self.planner.orders[coin].iter() {
                side.closes.iter().chain(&side.entries).for_each(|order| reach.include(order));
            }
            self.reach[coin] = reach;
        }
        Ok(())
    }

    fn plan_whole(&mut self, row: usize) -> Result<(), CoreError> {
        self.trail_open::<Long>(row + 1, |_, _| true);
        self.trail_open::<Short>(row + 1, |_, _| true);
        let state = state_after!(self, row);
        for (coin, symbol) in self.input.symbols.iter_mut().enumerate() {
            state.refill(coin, symbol, self.run.filter_by_min_effective_cost);
            symbol.sides.long.ask = Ask::ALL;
            symbol.sides.short.ask = Ask::ALL;
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
        Ok(())
    }

    /// Plans what the outlook has marked.
    fn plan_part(&mut self, row: usize) -> Result<(), CoreError> {
        self.trail_open::<Long>(row + 1, Outlook::plans_trailing::<Long>);
        self.trail_open::<Short>(row + 1, Outlook::plans_trailing::<Short>);
        let state = state_after!(self, row);
        let filter = self.run.filter_by_min_effective_cost;
        let part = &self.outlook.part;
        if part.unstuck {
            for coin in self.positions.open.long.iter().chain(&self.positions.open.short).copied() {
                state.refill(coin, &mut self.input.symbols[coin], filter);
            }
        }
        for &coin in &part.coins {
            let symbol = &mut self.input.symbols[coin];
            if !part.unstuck || !state.is_open(coin) {
                state.refill(coin, symbol, filter);
            }
            for pside in Pside::BOTH {
                symbol.sides[pside].ask = self.outlook.asks[pside][coin];
            }
        }
        for pside in Pside::BOTH {
            self.input.globals[pside].ladder_depth = self.outlook.depth[pside];
        }
        plan_part(&self.input, part, &mut self.planner)?;
        if self.planner.saw_dust { self.plan_whole(row) } else { Ok(()) }
    }

    /// Finds out what of a pass at the row might fill; false if nothing.
    fn look_ahead(&mut self, row: usize) -> bool {
        let at = row - self.tape.first;
        if self.outlook.needs_renewal(self.input.balance) {
            let state = state_after!(self, row);
            Scene { state: &state, input: &self.input }.renew(&mut self.outlook);
        }
        if !self.outlook.concerned(at) {
            return false;
        }
        if self.outlook.asks_for_extremes::<Long>(at) {
            self.trail_open::<Long>(row + 1, Outlook::trails::<Long>);
        }
        if self.outlook.asks_for_extremes::<Short>(at) {
            self.trail_open::<Short>(row + 1, Outlook::trails::<Short>);
        }
        let state = state_after!(self, row);
        Scene { state: &state, input: &self.input }.may_fill(&mut self.outlook)
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

    fn measure_exposure(&mut self) {
        let twe = self.positions.exposure(self.account.usd_total);
        self.twe_net = twe.long + twe.short;
    }

    /// Samples equity and exposure of the rows up to `end`, once tracking is on (12). Nothing has changed in them but prices.
    fn sample_to(&mut self, end: usize) {
        let Some(mut samples) = self.samples.take() else { return };
        let rows = self.sampled_to..end;
        self.sampled_to = end;
        let filled = samples.equity_usd.len();
        samples.twe_net.resize(filled + rows.len(), self.twe_net);
        samples.equity_usd.resize(filled + rows.len(), self.account.usd_total);
        if self.samples_btc {
            samples.equity_btc.resize(filled + rows.len(), self.account.btc_total);
        }
        let btc = if self.samples_btc { &mut samples.equity_btc[filled..] } else { &mut [] };
        let mut equity = (&mut samples.equity_usd[filled..], btc);
        self.add_unrealised::<Long>(&rows, &mut equity);
        self.add_unrealised::<Short>(&rows, &mut equity);
        self.samples = Some(samples);
    }

    fn add_unrealised<S: Side>(&self, rows: &Range<usize>, equity: &mut (&mut [f64], &mut [f64])) {
        for &coin in S::of(&self.positions.open) {
            let tape = &self.tape.coins[coin];
            if !tape.valid {
                continue;
            }
            let Position { size, price } = S::of(&self.positions.held)[coin];
            let c_mult = self.coins[coin].exchange.c_mult;
            let closes = &tape.close[rows.start - self.tape.first..rows.end - self.tape.first];
            let unrealised = |close: f64| S::pnl(price, close, size, c_mult);
            if tape.ordinary && !self.samples_btc {
                for (equity, close) in equity.0.iter_mut().zip(closes) {
                    *equity += unrealised(*close);
                }
                continue;
            }
            for (i, close) in closes.iter().enumerate().filter(|(_, close)| close.is_finite()) {
                equity.0[i] += unrealised(*close);
                if self.samples_btc {
                    equity.1[i] += unrealised(*close) / self.btc_usd[rows.start + i].max(EPS);
                }
            }
        }
    }
}
