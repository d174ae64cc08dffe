//! Speed of the engine, metrics only: the run and its metrics, on a market made here.
//!
//! Throughput is in coin-minutes. The figures that count are those of `make bench`, on the sample market and against the
//! floor; these are for comparing two states of the sources.

mod common;

use common::{EXCHANGE, Walk, market, template_params};
use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput};
use ndarray::Array1;
use passivbot_rust::backtest::{CoinSpec, MINUTE_MS, RunParams};
use passivbot_rust::batch::{Cube, Job, metrics, run_job};
use passivbot_rust::types::{BotParams, PerSide};
use std::hint::black_box;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// As in the extension.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Sixty days.
const ROWS: usize = 60 * 1440;
/// A calm market.
const WALK: Walk = Walk { step: 0.002, pull: 0.0002, ticks: 4.0 };
/// Rows before trading starts.
const WARMUP: usize = 2 * 1440;

/// A run of all coins, with the template's long parameters on one side or on both.
fn job(coins: usize, short: bool) -> Job {
    let params = template_params();
    let off = BotParams { total_wallet_exposure_limit: 0.0, n_positions: 0, ..params };
    let spec = |column| CoinSpec {
        column,
        first_valid: 0,
        last_valid: ROWS - 1,
        warmup_minutes: WARMUP,
        exchange: EXCHANGE,
        maker_fee: 0.0002,
        params: PerSide { long: params, short: if short { params } else { off } },
        forced_modes: PerSide::default(),
    };
    let run = RunParams {
        starting_balance: 100_000.0,
        requested_start_timestamp_ms: WARMUP as i64 * MINUTE_MS,
        global_warmup_bars: WARMUP,
        hedge_mode: true,
        metrics_only: true,
        ..RunParams::default()
    };
    Job { coins: (0..coins).map(spec).collect(), run, rows: 0..ROWS }
}

fn bench_engine(c: &mut Criterion) {
    let mut group = c.benchmark_group("engine");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
    let btc_usd = Array1::from_elem(ROWS, 50_000.0);
    for coins in [1, 5, 20] {
        let candles = market(ROWS, coins, &WALK);
        let cube = Cube { hlcvs: candles.view(), btc_usd: btc_usd.view() };
        group.throughput(Throughput::Elements((coins * (ROWS - WARMUP)) as u64));
        for (sides, short) in [("long", false), ("long and short", true)] {
            let job = job(coins, short);
            let run = || run_job(black_box(&job), &cube, &AtomicBool::new(false)).expect("the market is sound");
            assert!(!run().fills.is_empty(), "a bench without a fill measures nothing");
            group.bench_function(BenchmarkId::new(sides, coins), |b| b.iter(|| metrics(&run())));
        }
    }
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    bench_engine(&mut criterion);
    criterion.final_summary();
}
