//! Many candidates over one dataset, in threads, metrics only.

pub mod queue;

use crate::analysis::{Analysis, AnalysisInput, analyse, entry_initial_balance_pct};
use crate::backtest::dataset::DenseCandles;
use crate::backtest::{CoinSpec, RunError, RunOutput, RunParams, run};
use crate::types::PerSide;
use ndarray::{ArrayView1, ArrayView3, Axis, Slice};
use rayon::prelude::*;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicBool;

/// One run: coins, parameters and the rows of the dataset it sees.
#[derive(Clone, Debug)]
pub struct Job {
    /// Coins with their parameters.
    pub coins: Vec<CoinSpec>,
    /// Run parameters; rows and times refer to `rows`.
    pub run: RunParams,
    /// Half-open row range of the dataset.
    pub rows: std::ops::Range<usize>,
}

/// Candles and BTC prices, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct Cube<'a> {
    /// `[rows, columns, 4]`: high, low, close, volume.
    pub hlcvs: ArrayView3<'a, f64>,
    /// BTC price of each row.
    pub btc_usd: ArrayView1<'a, f64>,
}

/// Runs one job; the cube is read in place where it is contiguous.
///
/// # Errors
/// The planner refuses a row, or the run was cancelled.
pub fn run_job(job: &Job, cube: &Cube<'_>, cancel: &AtomicBool) -> Result<RunOutput, RunError> {
    let Cube { mut hlcvs, mut btc_usd } = *cube;
    hlcvs.slice_axis_inplace(Axis(0), Slice::from(job.rows.clone()));
    btc_usd.slice_axis_inplace(Axis(0), Slice::from(job.rows.clone()));
    let gathered;
    let btc_usd = if let Some(prices) = btc_usd.as_slice() {
        prices
    } else {
        gathered = btc_usd.to_vec();
        &gathered
    };
    match DenseCandles::new(&hlcvs) {
        Some(candles) => run(&job.coins, &job.run, &candles, btc_usd, cancel),
        None => run(&job.coins, &job.run, &hlcvs, btc_usd, cancel),
    }
}

/// All metrics of a finished run.
pub fn metrics(output: &RunOutput) -> Analysis {
    analyse(&AnalysisInput {
        fills: &output.fills,
        samples: &output.samples,
        collateral: output.collateral,
        entry_initial_balance_pct: PerSide::from_fn(|pside| {
            entry_initial_balance_pct(&output.globals[pside], output.effective_n_positions[pside])
        }),
    })
}

/// Runs one job to its metrics. A panic of the engine is, like an error, the failure of one run, not of its caller.
///
/// # Errors
/// The text of whatever kept the run from its end.
pub fn run_to_metrics(job: &Job, cube: &Cube<'_>, cancel: &AtomicBool) -> Result<Analysis, String> {
    let run = AssertUnwindSafe(|| run_job(job, cube, cancel).map(|output| metrics(&output)));
    match catch_unwind(run) {
        Ok(result) => result.map_err(|e| e.to_string()),
        Err(panic) => Err(format!("the engine panicked: {}", panic_text(&*panic))),
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no text".to_owned())
}

/// Runs every job on `threads` threads (0: one a core); results stand in the order of the jobs.
///
/// A job that could not be read, and one that fails, becomes its error text; the others go on. `cancel` stops all.
///
/// # Errors
/// The threads cannot be started.
pub fn run_batch(
    jobs: &[Result<Job, String>],
    cube: &Cube<'_>,
    threads: usize,
    cancel: &AtomicBool,
) -> Result<Vec<Result<Analysis, String>>, rayon::ThreadPoolBuildError> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    let one = |job: &Result<Job, String>| run_to_metrics(job.as_ref().map_err(Clone::clone)?, cube, cancel);
    Ok(pool.install(|| jobs.par_iter().with_max_len(1).map(one).collect()))
}
