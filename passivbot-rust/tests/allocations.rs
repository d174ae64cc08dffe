//! The minute loop works in memory it already has: a run twice as long allocates no more, its growing logs apart.

#[path = "../benches/common/mod.rs"]
mod common;

use allocation_counter::measure;
use common::{EXCHANGE, Walk, market, template_params};
use ndarray::Array1;
use passivbot_rust::backtest::{CoinSpec, MINUTE_MS, RunOutput, RunParams};
use passivbot_rust::batch::{Cube, Job, run_job};
use passivbot_rust::types::{BotParams, FillLog, OrderKind, OrderType, PerSide, Pside};
use std::sync::atomic::AtomicBool;

const COINS: usize = 5;
/// A lively market.
const WALK: Walk = Walk { step: 0.003, pull: 0.0005, ticks: 8.0 };
/// Rows of the shorter run; the longer one has twice as many.
const ROWS: usize = 10 * 1440;
const WARMUP: usize = 1440;
/// Columns of the log of fills.
const LOG_COLUMNS: u64 = 17;
/// How often each of them may double its room while the number of fills about doubles.
const DOUBLINGS: u64 = 2;
/// Lists of the planner that may meet their longest content in the second half only.
const LATE_LISTS: u64 = 12;

/// The template, quick enough for a few days, with grids and trailing orders, unstucking and both enforcers.
fn params(slots: usize) -> BotParams {
    BotParams {
        close_grid_markup_start: 0.006,
        close_grid_markup_end: 0.003,
        close_grid_qty_pct: 0.4,
        close_trailing_grid_ratio: 0.5,
        close_trailing_qty_pct: 0.4,
        close_trailing_threshold_pct: 0.004,
        close_trailing_retracement_pct: 0.002,
        ema_span_0: 60.0,
        ema_span_1: 240.0,
        entry_grid_spacing_pct: 0.004,
        entry_grid_spacing_volatility_weight: 5.0,
        entry_grid_spacing_we_weight: 1.0,
        entry_initial_ema_dist: -0.001,
        entry_grid_double_down_factor: 0.8,
        entry_initial_qty_pct: 0.03,
        entry_trailing_double_down_factor: 0.8,
        entry_trailing_grid_ratio: -0.5,
        entry_trailing_threshold_pct: 0.005,
        entry_trailing_threshold_volatility_weight: 5.0,
        entry_trailing_retracement_pct: 0.002,
        entry_trailing_retracement_volatility_weight: 5.0,
        entry_volatility_ema_span_hours: 12.0,
        filter_volatility_drop_pct: 0.2,
        filter_volume_drop_pct: 0.2,
        filter_volume_ema_span: 120.0,
        risk_twel_enforcer_threshold: 0.9,
        risk_we_excess_allowance_pct: 1.0,
        risk_wel_enforcer_threshold: 0.9,
        total_wallet_exposure_limit: 1.5,
        unstuck_close_pct: 0.05,
        unstuck_ema_dist: -0.005,
        unstuck_loss_allowance_pct: 0.1,
        unstuck_threshold: 0.8,
        n_positions: slots,
        ..template_params()
    }
}

/// How a run comes to its slots and what of it is planned.
#[derive(Clone, Copy, Debug)]
struct Variant {
    slots: usize,
    filter_by_min_effective_cost: bool,
    plan_every_row: bool,
}

fn job(rows: usize, variant: Variant) -> Job {
    let Variant { slots, filter_by_min_effective_cost, plan_every_row } = variant;
    let coin = |column| CoinSpec {
        column,
        first_valid: 0,
        last_valid: rows - 1,
        warmup_minutes: WARMUP,
        exchange: EXCHANGE,
        maker_fee: 0.0002,
        params: PerSide::from_fn(|_| params(slots)),
        forced_modes: PerSide::default(),
    };
    let run = RunParams {
        starting_balance: 100_000.0,
        requested_start_timestamp_ms: WARMUP as i64 * MINUTE_MS,
        global_warmup_bars: WARMUP,
        hedge_mode: true,
        metrics_only: true,
        filter_by_min_effective_cost,
        plan_every_row,
        ..RunParams::default()
    };
    Job { coins: (0..COINS).map(coin).collect(), run, rows: 0..rows }
}

/// What a run of that many rows leaves behind, and how often it asked for memory.
fn count(cube: &Cube<'_>, rows: usize, variant: Variant) -> (RunOutput, u64) {
    let job = job(rows, variant);
    let mut output = None;
    let info = measure(|| output = run_job(&job, cube, &AtomicBool::new(false)).ok());
    (output.expect("the market is sound"), info.count_total)
}

/// Everything that plans differently has been planned, not only in theory.
fn assert_lively(fills: &FillLog) {
    let kinds = [
        OrderKind::EntryInitialNormal,
        OrderKind::EntryGridNormal,
        OrderKind::EntryTrailingNormal,
        OrderKind::CloseGrid,
        OrderKind::CloseTrailing,
        OrderKind::CloseUnstuck,
        OrderKind::CloseAutoReduceWel,
        OrderKind::CloseAutoReduceTwel,
    ];
    for kind in kinds {
        let filled = Pside::BOTH.iter().any(|p| fills.order_type.contains(&OrderType::new(kind, *p)));
        assert!(filled, "the market never filled {kind:?}");
    }
    assert!(fills.len() > 500, "only {} fills", fills.len());
}

#[test]
fn minutes_do_not_allocate() {
    let candles = market(2 * ROWS, COINS, &WALK);
    let btc_usd = Array1::from_elem(2 * ROWS, 50_000.0);
    let cube = Cube { hlcvs: candles.view(), btc_usd: btc_usd.view() };
    for (slots, filter_by_min_effective_cost) in [(2, false), (2, true), (COINS, false)] {
        for plan_every_row in [false, true] {
            let variant = Variant { slots, filter_by_min_effective_cost, plan_every_row };
            let (short, few) = count(&cube, ROWS, variant);
            let (long, many) = count(&cube, 2 * ROWS, variant);
            assert_lively(&short.fills);
            assert!(long.fills.len() < 4 * short.fills.len(), "the bound below covers two doublings");
            let bound = few + LOG_COLUMNS * DOUBLINGS + LATE_LISTS;
            assert!(many <= bound, "{variant:?}: {few} allocations, then {many}");
        }
    }
}
