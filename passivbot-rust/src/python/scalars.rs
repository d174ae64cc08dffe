//! Scalar helpers: rounding, exposure, distances, order-type names, trailing bundles, tables.

use super::failures::bad_value;
use crate::analysis::METRICS;
use crate::limits;
use crate::logarithm::log_ranges;
use crate::num;
use crate::side::{Long, Short, Side};
use crate::types::{BotParams, ExchangeParams, OrderType, TrailingBundle};
use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

/// (`min_since_open`, `max_since_min`, `max_since_open`, `min_since_max`)
pub type BundleTuple = (f64, f64, f64, f64);

pub fn to_bundle((min_since_open, max_since_min, max_since_open, min_since_max): BundleTuple) -> TrailingBundle {
    TrailingBundle { min_since_open, max_since_min, max_since_open, min_since_max }
}

fn to_tuple(b: TrailingBundle) -> BundleTuple {
    (b.min_since_open, b.max_since_min, b.max_since_open, b.min_since_max)
}

#[pyfunction]
fn round_(n: f64, step: f64) -> f64 {
    num::round_step(n, step)
}

#[pyfunction]
fn round_up(n: f64, step: f64) -> f64 {
    num::round_up(n, step)
}

#[pyfunction]
fn round_dn(n: f64, step: f64) -> f64 {
    num::round_dn(n, step)
}

#[pyfunction]
fn round_dynamic(n: f64, d: i32) -> f64 {
    num::round_dynamic(n, d)
}

#[pyfunction]
fn round_dynamic_up(n: f64, d: i32) -> f64 {
    num::round_dynamic_up(n, d)
}

#[pyfunction]
fn round_dynamic_dn(n: f64, d: i32) -> f64 {
    num::round_dynamic_dn(n, d)
}

#[pyfunction]
fn calc_diff(x: f64, y: f64) -> f64 {
    num::relative_difference(x, y)
}

#[pyfunction]
fn hysteresis(val: f64, prev_val: f64, pct: f64) -> f64 {
    num::hysteresis(val, prev_val, pct)
}

#[pyfunction]
fn cost_to_qty(cost: f64, price: f64, c_mult: f64) -> f64 {
    num::cost_to_qty(cost, price, c_mult)
}

#[pyfunction]
fn qty_to_cost(qty: f64, price: f64, c_mult: f64) -> f64 {
    num::qty_to_cost(qty, price, c_mult)
}

#[pyfunction]
fn calc_effective_min_cost(min_qty: f64, min_cost: f64, price: f64, c_mult: f64) -> f64 {
    ExchangeParams { qty_step: min_qty, price_step: 0.0, min_qty, min_cost, c_mult }.effective_min_cost(price)
}

#[pyfunction]
fn shared_exposure_limit(
    total_wallet_exposure_limit: f64,
    n_positions: usize,
    n_tradable: usize,
    n_held: usize,
) -> f64 {
    limits::shared_exposure_limit(total_wallet_exposure_limit, n_positions, n_tradable, n_held)
}

#[pyfunction]
fn initial_entry_is_large_enough(
    balance: f64,
    wallet_exposure_limit: f64,
    risk_we_excess_allowance_pct: f64,
    entry_initial_qty_pct: f64,
    effective_min_cost: f64,
) -> bool {
    let params = BotParams {
        entry_initial_qty_pct,
        risk_we_excess_allowance_pct,
        wallet_exposure_limit,
        ..BotParams::default()
    };
    limits::initial_entry_is_large_enough(balance, &params, effective_min_cost)
}

#[pyfunction]
fn calc_ema_series<'py>(py: Python<'py>, values: PyReadonlyArray1<'py, f64>, span: f64) -> Bound<'py, PyArray1<f64>> {
    let owned = values.as_array().to_vec();
    py.detach(|| {
        let mut out = Vec::with_capacity(owned.len());
        num::ema_series(&owned, span, &mut out);
        out
    })
    .into_pyarray(py)
}

#[pyfunction]
fn calc_log_ranges<'py>(
    py: Python<'py>,
    highs: PyReadonlyArray1<'py, f64>,
    lows: PyReadonlyArray1<'py, f64>,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let (highs, lows) = (highs.as_array().to_vec(), lows.as_array().to_vec());
    if highs.len() != lows.len() {
        return Err(bad_value(format!("highs has {} values, lows {}", highs.len(), lows.len())));
    }
    let mut ranges = vec![0.0; highs.len()];
    log_ranges(&highs, &lows, &mut ranges);
    Ok(ranges.into_pyarray(py))
}

#[pyfunction]
fn calc_wallet_exposure(c_mult: f64, balance: f64, position_size: f64, position_price: f64) -> f64 {
    num::wallet_exposure(c_mult, balance, position_size, position_price)
}

#[pyfunction]
fn calc_new_psize_pprice(psize: f64, pprice: f64, qty: f64, price: f64, qty_step: f64) -> (f64, f64) {
    num::new_position(psize, pprice, qty, price, qty_step)
}

#[pyfunction]
fn calc_pnl_long(entry_price: f64, close_price: f64, qty: f64, c_mult: f64) -> f64 {
    Long::pnl(entry_price, close_price, qty, c_mult)
}

#[pyfunction]
fn calc_pnl_short(entry_price: f64, close_price: f64, qty: f64, c_mult: f64) -> f64 {
    Short::pnl(entry_price, close_price, qty, c_mult)
}

#[pyfunction]
fn calc_pprice_diff_int(pside: i64, pprice: f64, price: f64) -> PyResult<f64> {
    match pside {
        0 => Ok(Long::distance(pprice, price)),
        1 => Ok(Short::distance(pprice, price)),
        other => Err(bad_value(format!("pside must be 0 (long) or 1 (short), got {other}"))),
    }
}

#[pyfunction]
fn calc_order_price_diff(side: &str, order_price: f64, market_price: f64) -> PyResult<f64> {
    let diff: fn(f64, f64) -> f64 = match side.trim().to_ascii_lowercase().as_str() {
        "buy" => Long::distance,
        "sell" => Short::distance,
        _ => return Err(bad_value(format!("side must be 'buy' or 'sell', got '{side}'"))),
    };
    let usable = order_price.is_finite() && market_price.is_finite();
    Ok(if usable { diff(market_price, order_price) } else { 0.0 })
}

#[pyfunction]
fn calc_auto_unstuck_allowance(
    balance: f64,
    loss_allowance_pct: f64,
    pnl_cumsum_max: f64,
    pnl_cumsum_last: f64,
) -> f64 {
    num::unstuck_allowance(balance, loss_allowance_pct, pnl_cumsum_max, pnl_cumsum_last)
}

#[pyfunction]
fn trailing_bundle_default_py() -> BundleTuple {
    to_tuple(TrailingBundle::default())
}

#[pyfunction]
#[pyo3(signature = (highs, lows, closes, bundle=None))]
fn update_trailing_bundle_py(
    highs: PyReadonlyArray1<'_, f64>,
    lows: PyReadonlyArray1<'_, f64>,
    closes: PyReadonlyArray1<'_, f64>,
    bundle: Option<BundleTuple>,
) -> PyResult<BundleTuple> {
    let (highs, lows, closes) = (highs.as_array(), lows.as_array(), closes.as_array());
    if highs.len() != lows.len() || highs.len() != closes.len() {
        let lengths = (highs.len(), lows.len(), closes.len());
        return Err(bad_value(format!("highs, lows and closes must have one length, got {lengths:?}")));
    }
    let mut bundle = bundle.map_or_else(TrailingBundle::default, to_bundle);
    for ((high, low), close) in highs.iter().zip(lows).zip(closes) {
        bundle.absorb(*high, *low, *close);
    }
    Ok(to_tuple(bundle))
}

#[pyfunction]
fn order_type_id_to_snake(id: u16) -> PyResult<&'static str> {
    OrderType::from_id(id).map(OrderType::name).ok_or_else(|| bad_value("unknown order type id"))
}

#[pyfunction]
fn order_type_snake_to_id(name: &str) -> PyResult<u16> {
    OrderType::from_name(name).map(OrderType::id).ok_or_else(|| bad_value("unknown order type name"))
}

#[pyfunction]
fn all_order_types_ids(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let names = PyDict::new(py);
    for order_type in OrderType::all() {
        names.set_item(order_type.id(), order_type.name())?;
    }
    Ok(names)
}

#[pyfunction]
fn metric_table(py: Python<'_>) -> PyResult<Bound<'_, PyList>> {
    PyList::new(py, METRICS.iter().map(|m| (m.name, m.denominated, m.weighted, m.direction, m.unit, m.doc)))
}

#[pyfunction]
fn bot_param_names() -> Vec<&'static str> {
    let after_filters = BotParams::FLOAT_FIELDS.iter().position(|name| *name == "risk_we_excess_allowance_pct");
    let mut names = BotParams::FLOAT_FIELDS.to_vec();
    names.insert(after_filters.unwrap_or(names.len()), "n_positions");
    names
}

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(round_, m)?)?;
    m.add_function(wrap_pyfunction!(round_up, m)?)?;
    m.add_function(wrap_pyfunction!(round_dn, m)?)?;
    m.add_function(wrap_pyfunction!(round_dynamic, m)?)?;
    m.add_function(wrap_pyfunction!(round_dynamic_up, m)?)?;
    m.add_function(wrap_pyfunction!(round_dynamic_dn, m)?)?;
    m.add_function(wrap_pyfunction!(calc_diff, m)?)?;
    m.add_function(wrap_pyfunction!(hysteresis, m)?)?;
    m.add_function(wrap_pyfunction!(cost_to_qty, m)?)?;
    m.add_function(wrap_pyfunction!(qty_to_cost, m)?)?;
    m.add_function(wrap_pyfunction!(calc_effective_min_cost, m)?)?;
    m.add_function(wrap_pyfunction!(shared_exposure_limit, m)?)?;
    m.add_function(wrap_pyfunction!(initial_entry_is_large_enough, m)?)?;
    m.add_function(wrap_pyfunction!(calc_ema_series, m)?)?;
    m.add_function(wrap_pyfunction!(calc_log_ranges, m)?)?;
    m.add_function(wrap_pyfunction!(calc_wallet_exposure, m)?)?;
    m.add_function(wrap_pyfunction!(calc_new_psize_pprice, m)?)?;
    m.add_function(wrap_pyfunction!(calc_pnl_long, m)?)?;
    m.add_function(wrap_pyfunction!(calc_pnl_short, m)?)?;
    m.add_function(wrap_pyfunction!(calc_order_price_diff, m)?)?;
    m.add_function(wrap_pyfunction!(calc_auto_unstuck_allowance, m)?)?;
    m.add_function(wrap_pyfunction!(trailing_bundle_default_py, m)?)?;
    m.add_function(wrap_pyfunction!(update_trailing_bundle_py, m)?)?;
    m.add_function(wrap_pyfunction!(order_type_id_to_snake, m)?)?;
    m.add_function(wrap_pyfunction!(all_order_types_ids, m)?)?;
    m.add_function(wrap_pyfunction!(metric_table, m)?)?;
    m.add_function(wrap_pyfunction!(bot_param_names, m)?)?;
    let diff = wrap_pyfunction!(calc_pprice_diff_int, m)?;
    for name in ["calc_pprice_diff_int", "calc_pside_price_diff_int", "calc_price_diff_pside_int"] {
        m.add(name, &diff)?;
    }
    let to_id = wrap_pyfunction!(order_type_snake_to_id, m)?;
    m.add("order_type_snake_to_id", &to_id)?;
    m.add("get_order_id_type_from_string", &to_id)
}
