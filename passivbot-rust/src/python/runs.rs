//! Backtests from Python: one run, one coin, many candidates. The interpreter lock is free while the engine works;
//! Ctrl-C and a cancel flag stop it.

use super::bundle::HlcvsBundle;
use super::convert::{self, Run};
use super::failures::{bad_value, run_error};
use crate::analysis::{Analysis, METRICS};
use crate::backtest::{MINUTE_MS, RunOutput};
use crate::batch::{Cube, metrics, run_batch, run_job};
use crate::types::FillLog;
use ndarray::{Array2, Axis};
use numpy::{IntoPyArray, PyArray2, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2, PyReadonlyArray3};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFloat, PyInt, PyList, PyString};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// Time between looks at Ctrl-C and the cancel flag.
const POLL: Duration = Duration::from_millis(50);

/// Runs `work` without the interpreter lock; an interrupt or a non-zero `flag` sets `cancel`.
fn interruptibly<T: Send>(
    py: Python<'_>,
    flag: Option<&PyReadonlyArray1<'_, u8>>,
    work: impl FnOnce(&AtomicBool) -> T + Send,
) -> PyResult<T> {
    let cancel = AtomicBool::new(false);
    let (done, mut result) = channel();
    std::thread::scope(|scope| {
        let stop = &cancel;
        // the thread owns its end of the channel, so that a panic hangs up
        scope.spawn(move || done.send(work(stop)));
        let mut interrupt = None;
        loop {
            let (received, receiver) = py.detach(move || (result.recv_timeout(POLL), result));
            result = receiver;
            match received {
                Ok(value) => return interrupt.map_or(Ok(value), Err),
                Err(RecvTimeoutError::Disconnected) => return Err(bad_value("the engine stopped without a result")),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if let Err(signal) = py.check_signals() {
                interrupt = Some(signal);
            }
            let flagged = flag.is_some_and(|flag| flag.as_array().first().is_some_and(|v| *v != 0));
            if interrupt.is_some() || flagged {
                cancel.store(true, Ordering::Relaxed);
            }
        }
    })
}

/// Fills as objects `[n, 18]` with Python ints, strings and floats (`backtest_engine.md` 14.1).
fn fills_array<'py>(py: Python<'py>, log: &FillLog, run: &Run) -> PyResult<Bound<'py, PyArray2<Py<PyAny>>>> {
    let names: Vec<Py<PyAny>> = run.names.iter().map(|name| PyString::new(py, name).into_any().unbind()).collect();
    let mut cells: Vec<Py<PyAny>> = Vec::with_capacity(log.len() * 18);
    let float = |x: f64| PyFloat::new(py, x).into_any().unbind();
    let int = |x: i64| PyInt::new(py, x).into_any().unbind();
    for i in 0..log.len() {
        cells.push(int(i64::from(log.index[i])));
        cells.push(int(run.job.run.first_timestamp_ms + MINUTE_MS * i64::from(log.index[i])));
        cells.push(names[log.coin[i] as usize].clone_ref(py));
        let before_type = [
            &log.pnl,
            &log.fee_paid,
            &log.usd_total_balance,
            &log.btc_cash_wallet,
            &log.usd_cash_wallet,
            &log.btc_price,
            &log.qty,
            &log.price,
            &log.psize,
            &log.pprice,
        ];
        cells.extend(before_type.iter().map(|column| float(column[i])));
        cells.push(PyString::intern(py, log.order_type[i].name()).into_any().unbind());
        let after_type = [&log.wallet_exposure, &log.twe_long, &log.twe_short, &log.twe_net];
        cells.extend(after_type.iter().map(|column| float(column[i])));
    }
    let cells = Array2::from_shape_vec((log.len(), 18), cells).map_err(|e| bad_value(e.to_string()))?;
    Ok(PyArray2::from_owned_object_array(py, cells))
}

/// Fills as one array a column, in the order of `fills_array`; coin and order type as numbers.
fn fill_columns<'py>(py: Python<'py>, log: FillLog, run: &Run) -> PyResult<Bound<'py, PyDict>> {
    let time = |row: &u32| run.job.run.first_timestamp_ms + MINUTE_MS * i64::from(*row);
    let timestamps: Vec<i64> = log.index.iter().map(time).collect();
    let types: Vec<u16> = log.order_type.iter().map(|t| t.id()).collect();
    let columns = PyDict::new(py);
    columns.set_item("index", log.index.into_pyarray(py))?;
    columns.set_item("timestamp", timestamps.into_pyarray(py))?;
    columns.set_item("coin_index", log.coin.into_pyarray(py))?;
    columns.set_item("pnl", log.pnl.into_pyarray(py))?;
    columns.set_item("fee_paid", log.fee_paid.into_pyarray(py))?;
    columns.set_item("usd_total_balance", log.usd_total_balance.into_pyarray(py))?;
    columns.set_item("btc_cash_wallet", log.btc_cash_wallet.into_pyarray(py))?;
    columns.set_item("usd_cash_wallet", log.usd_cash_wallet.into_pyarray(py))?;
    columns.set_item("btc_price", log.btc_price.into_pyarray(py))?;
    columns.set_item("qty", log.qty.into_pyarray(py))?;
    columns.set_item("price", log.price.into_pyarray(py))?;
    columns.set_item("psize", log.psize.into_pyarray(py))?;
    columns.set_item("pprice", log.pprice.into_pyarray(py))?;
    columns.set_item("order_type_id", types.into_pyarray(py))?;
    columns.set_item("wallet_exposure", log.wallet_exposure.into_pyarray(py))?;
    columns.set_item("twe_long", log.twe_long.into_pyarray(py))?;
    columns.set_item("twe_short", log.twe_short.into_pyarray(py))?;
    columns.set_item("twe_net", log.twe_net.into_pyarray(py))?;
    Ok(columns)
}

/// Equity `[n, 3]`: ms, USD, BTC.
fn equity_array<'py>(py: Python<'py>, output: &RunOutput, run: &Run) -> PyResult<Bound<'py, PyArray2<f64>>> {
    let samples = &output.samples;
    let n = samples.equity_usd.len();
    let mut cells = Vec::with_capacity(n * 3);
    for i in 0..n {
        let ms = run.job.run.first_timestamp_ms + MINUTE_MS * (samples.first_row + i) as i64;
        cells.extend([ms as f64, samples.equity_usd[i], samples.equity_btc[i]]);
    }
    let cells = Array2::from_shape_vec((n, 3), cells).map_err(|e| bad_value(e.to_string()))?;
    Ok(cells.into_pyarray(py))
}

/// Metrics by name; None where a value is not finite.
fn metrics_dict<'py>(py: Python<'py>, values: &[f64]) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (metric, value) in METRICS.iter().zip(values) {
        dict.set_item(metric.name, value.is_finite().then_some(*value))?;
    }
    Ok(dict)
}

type FillsAndEquity<'py> = (Option<Bound<'py, PyArray2<Py<PyAny>>>>, Option<Bound<'py, PyArray2<f64>>>);
type FullResult<'py> = (
    Option<Bound<'py, PyArray2<Py<PyAny>>>>,
    Option<Bound<'py, PyArray2<f64>>>,
    Bound<'py, PyDict>,
    Bound<'py, PyDict>,
);

type Columns<'py> = (Bound<'py, PyDict>, Bound<'py, PyArray2<f64>>, Bound<'py, PyDict>, Bound<'py, PyDict>);

/// The run and its metrics, without the interpreter lock.
fn compute(py: Python<'_>, run: &Run, cube: &Cube<'_>) -> PyResult<(RunOutput, Analysis)> {
    let work = |cancel: &AtomicBool| {
        run_job(&run.job, cube, cancel).map(|output| {
            let analysis = metrics(&output);
            (output, analysis)
        })
    };
    interruptibly(py, None, work)?.map_err(|e| run_error(py, &e))
}

fn execute<'py>(py: Python<'py>, run: &Run, cube: &Cube<'_>) -> PyResult<FullResult<'py>> {
    let (output, analysis) = compute(py, run, cube)?;
    let (fills, equities): FillsAndEquity<'py> = if run.job.run.metrics_only {
        (None, None)
    } else {
        (Some(fills_array(py, &output.fills, run)?), Some(equity_array(py, &output, run)?))
    };
    Ok((fills, equities, metrics_dict(py, &analysis.usd)?, metrics_dict(py, &analysis.btc)?))
}

fn check_lengths(rows: usize, prices: usize) -> PyResult<()> {
    if rows == prices { Ok(()) } else { Err(bad_value(format!("btc_usd has {prices} rows, hlcvs {rows}"))) }
}

fn checked_cube<'a>(
    hlcvs: &'a PyReadonlyArray3<'_, f64>,
    btc_usd: &'a PyReadonlyArray1<'_, f64>,
) -> PyResult<Cube<'a>> {
    let cube = Cube { hlcvs: hlcvs.as_array(), btc_usd: btc_usd.as_array() };
    let (rows, _, fields) = cube.hlcvs.dim();
    check_lengths(rows, cube.btc_usd.len())?;
    if fields == 4 { Ok(cube) } else { Err(bad_value(format!("hlcvs must have 4 fields a candle, got {fields}"))) }
}

/// A run over all rows of a cube.
fn whole_run(
    cube: &Cube<'_>,
    bot_params: &Bound<'_, PyAny>,
    exchange_params_list: &Bound<'_, PyAny>,
    backtest_params_dict: &Bound<'_, PyAny>,
) -> PyResult<Run> {
    let (rows, columns, _) = cube.hlcvs.dim();
    convert::run(bot_params, exchange_params_list, backtest_params_dict, 0..rows, columns)
}

#[pyfunction]
fn run_backtest<'py>(
    py: Python<'py>,
    hlcvs: PyReadonlyArray3<'py, f64>,
    btc_usd: PyReadonlyArray1<'py, f64>,
    bot_params: &Bound<'py, PyAny>,
    exchange_params_list: &Bound<'py, PyAny>,
    backtest_params_dict: &Bound<'py, PyAny>,
) -> PyResult<FullResult<'py>> {
    let cube = checked_cube(&hlcvs, &btc_usd)?;
    let run = whole_run(&cube, bot_params, exchange_params_list, backtest_params_dict)?;
    execute(py, &run, &cube)
}

#[pyfunction]
fn run_backtest_columns<'py>(
    py: Python<'py>,
    hlcvs: PyReadonlyArray3<'py, f64>,
    btc_usd: PyReadonlyArray1<'py, f64>,
    bot_params: &Bound<'py, PyAny>,
    exchange_params_list: &Bound<'py, PyAny>,
    backtest_params_dict: &Bound<'py, PyAny>,
) -> PyResult<Columns<'py>> {
    let cube = checked_cube(&hlcvs, &btc_usd)?;
    let mut run = whole_run(&cube, bot_params, exchange_params_list, backtest_params_dict)?;
    run.job.run.metrics_only = false;
    let (output, analysis) = compute(py, &run, &cube)?;
    let equities = equity_array(py, &output, &run)?;
    let fills = fill_columns(py, output.fills, &run)?;
    Ok((fills, equities, metrics_dict(py, &analysis.usd)?, metrics_dict(py, &analysis.btc)?))
}

#[pyfunction]
fn backtest_multi_coin<'py>(
    py: Python<'py>,
    bundle: &HlcvsBundle,
    bot_params: &Bound<'py, PyAny>,
    exchange_params_list: &Bound<'py, PyAny>,
    backtest_params_dict: &Bound<'py, PyAny>,
) -> PyResult<FullResult<'py>> {
    let (hlcvs, btc_usd) = (bundle.hlcvs.bind(py).try_readonly()?, bundle.btc_usd.bind(py).try_readonly()?);
    run_backtest(py, hlcvs, btc_usd, bot_params, exchange_params_list, backtest_params_dict)
}

#[pyfunction]
fn backtest_single_coin<'py>(
    py: Python<'py>,
    hlcv: PyReadonlyArray2<'py, f64>,
    btc_usd: PyReadonlyArray1<'py, f64>,
    bot_params: &Bound<'py, PyAny>,
    exchange_params: &Bound<'py, PyAny>,
    backtest_params_dict: &Bound<'py, PyAny>,
) -> PyResult<FullResult<'py>> {
    let cube = Cube { hlcvs: hlcv.as_array().insert_axis(Axis(1)), btc_usd: btc_usd.as_array() };
    let (rows, _, fields) = cube.hlcvs.dim();
    check_lengths(rows, cube.btc_usd.len())?;
    if fields != 4 {
        return Err(bad_value(format!("hlcv must have 4 fields a candle, got {fields}")));
    }
    let (bot, exchange) = (PyList::new(py, [bot_params])?, PyList::new(py, [exchange_params])?);
    let run = whole_run(&cube, bot.as_any(), exchange.as_any(), backtest_params_dict)?;
    execute(py, &run, &cube)
}

/// Metrics in USD, then in BTC; NaN where a value is not finite or the run failed.
pub fn metric_values(result: &Result<Analysis, String>) -> impl Iterator<Item = f64> {
    let finite = |value: f64| if value.is_finite() { value } else { f64::NAN };
    let all = result.iter().flat_map(|a| a.usd.iter().chain(&a.btc)).map(move |value| finite(*value));
    all.chain(std::iter::repeat(f64::NAN)).take(2 * METRICS.len())
}

/// The values of all results, `[specs, 106]`.
fn batch_values(results: &[Result<Analysis, String>]) -> Array2<f64> {
    let mut cells = results.iter().flat_map(metric_values);
    Array2::from_shape_simple_fn((results.len(), 2 * METRICS.len()), || cells.next().unwrap_or(f64::NAN))
}

/// Values and, for each spec, None or the error text.
type BatchResult<'py> = (Bound<'py, PyArray2<f64>>, Vec<Option<String>>);

#[pyfunction]
#[pyo3(signature = (bundle, specs, n_threads=0, cancel=None))]
fn backtest_batch<'py>(
    py: Python<'py>,
    bundle: &HlcvsBundle,
    specs: Vec<Bound<'py, PyAny>>,
    n_threads: usize,
    cancel: Option<PyReadonlyArray1<'py, u8>>,
) -> PyResult<BatchResult<'py>> {
    let (hlcvs, btc_usd) = (bundle.hlcvs.bind(py).try_readonly()?, bundle.btc_usd.bind(py).try_readonly()?);
    let cube = Cube { hlcvs: hlcvs.as_array(), btc_usd: btc_usd.as_array() };
    let (rows, columns, _) = cube.hlcvs.dim();
    let read = |(at, spec)| convert::batch_spec(spec, at, rows, columns).map(|run| run.job);
    let jobs: Vec<_> = specs.iter().enumerate().map(|s| read(s).map_err(|e| e.value(py).to_string())).collect();
    let results = interruptibly(py, cancel.as_ref(), |stop| run_batch(&jobs, &cube, n_threads, stop))?;
    let results = results.map_err(|e| bad_value(e.to_string()))?;
    let values = batch_values(&results).into_pyarray(py);
    Ok((values, results.into_iter().map(Result::err).collect()))
}

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(run_backtest, m)?)?;
    m.add_function(wrap_pyfunction!(run_backtest_columns, m)?)?;
    m.add_function(wrap_pyfunction!(backtest_single_coin, m)?)?;
    m.add_function(wrap_pyfunction!(backtest_batch, m)?)?;
    let multi = wrap_pyfunction!(backtest_multi_coin, m)?;
    m.add("backtest_multi_coin", &multi)?;
    m.add("run_backtest_bundle", &multi)
}
