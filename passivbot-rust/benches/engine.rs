//! Speed of the engine, metrics only: the run and its metrics, on a market made here.
//!
//! Throughput is in coin-minutes. The figures that count are those of `make bench`, on the sample market and against the
//! floor; these are for comparing two states of the sources.

mod common;

use common::{EXCHANGE, template_params};
use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput};
use ndarray::{Array1, Array3};
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
/// Rows before trading starts.
const WARMUP: usize = 2 * 1440;

/// The finaliser of splitmix64: a hash that looks random.
fn hash(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// Between -1 and 1, by number and use.
fn noise(k: u64, stream: u64) -> f64 {
    (hash(k.wrapping_mul(31).wrapping_add(stream << 40)) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

/// Random walks that are pulled back to 100, on ticks of 0.01.
fn market(coins: usize) -> Array3<f64> {
    let mut cube = Array3::zeros((ROWS, coins, 4));
    for coin in 0..coins {
        let stream = 8 * coin as u64;
        let mut close = 100.0_f64;
        for row in 0..ROWS {
            let (k, before) = (row as u64, close);
            close += close * 0.002 * noise(k, stream) - 0.0002 * (close - 100.0);
            close = (close * 100.0).round() / 100.0;
            let high = close.max(before) + (4.0 * noise(k, stream + 1).abs()).floor() / 100.0;
            let low = close.min(before) - (4.0 * noise(k, stream + 2).abs()).floor() / 100.0;
            let volume = 1000.0 * (1.5 + noise(k, stream + 3));
            for (field, value) in [high, low, close, volume].into_iter().enumerate() {
                cube[[row, coin, field]] = value;
            }
        }
    }
    cube
}

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
        let candles = market(coins);
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
