//! Planner and order generators: the planner through JSON, next orders and ladders of one coin and side.

use super::failures::{bad_value, plan_failure};
use super::scalars::to_bundle;
use crate::closes::CloseInputs;
use crate::entries::EntryInputs;
use crate::orchestrator::request::plan_json;
use crate::side::{Long, Short, Side};
use crate::types::{BotParams, ExchangeParams, Order, Position, TrailingBundle};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

const MARKET: [&str; 5] = ["qty_step", "price_step", "min_qty", "min_cost", "c_mult"];
const ENTRY_PARAMS: [&str; 16] = [
    "entry_grid_double_down_factor",
    "entry_grid_spacing_volatility_weight",
    "entry_grid_spacing_we_weight",
    "entry_grid_spacing_pct",
    "entry_initial_ema_dist",
    "entry_initial_qty_pct",
    "entry_trailing_double_down_factor",
    "entry_trailing_grid_ratio",
    "entry_trailing_retracement_pct",
    "entry_trailing_retracement_we_weight",
    "entry_trailing_retracement_volatility_weight",
    "entry_trailing_threshold_pct",
    "entry_trailing_threshold_we_weight",
    "entry_trailing_threshold_volatility_weight",
    "wallet_exposure_limit",
    "risk_we_excess_allowance_pct",
];
const CLOSE_PARAMS: [&str; 10] = [
    "close_grid_markup_end",
    "close_grid_markup_start",
    "close_grid_qty_pct",
    "close_trailing_grid_ratio",
    "close_trailing_qty_pct",
    "close_trailing_retracement_pct",
    "close_trailing_threshold_pct",
    "wallet_exposure_limit",
    "risk_we_excess_allowance_pct",
    "risk_wel_enforcer_threshold",
];
const STATE: [&str; 7] = [
    "balance",
    "position_size",
    "position_price",
    "min_since_open",
    "max_since_min",
    "max_since_open",
    "min_since_max",
];

/// Plain arguments, in the order in which a function takes them; positional or by keyword.
struct Arguments {
    names: Vec<&'static str>,
    values: Vec<f64>,
    taken: usize,
}

impl Arguments {
    fn bind(names: Vec<&'static str>, args: &Bound<'_, PyTuple>, kwargs: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        if args.len() > names.len() {
            return Err(PyTypeError::new_err(format!("takes {} arguments, got {}", names.len(), args.len())));
        }
        let mut values = args.iter().map(|v| v.extract()).collect::<PyResult<Vec<f64>>>()?;
        let mut by_keyword = 0;
        for name in &names[values.len()..] {
            let value = kwargs.map(|k| k.get_item(name)).transpose()?.flatten();
            let value = value.ok_or_else(|| PyTypeError::new_err(format!("missing argument '{name}'")))?;
            values.push(value.extract().map_err(|_| PyTypeError::new_err(format!("'{name}' must be a number")))?);
            by_keyword += 1;
        }
        if kwargs.is_some_and(|k| k.len() > by_keyword) {
            return Err(PyTypeError::new_err("an unknown argument, or one given twice"));
        }
        match values.iter().position(|v| !v.is_finite()) {
            Some(at) => Err(bad_value(format!("{} must be finite, got {}", names[at], values[at]))),
            None => Ok(Self { names, values, taken: 0 }),
        }
    }

    fn take<const N: usize>(&mut self) -> [f64; N] {
        let at = self.taken;
        self.taken += N;
        std::array::from_fn(|i| self.values[at + i])
    }

    fn positive<const N: usize>(&mut self) -> PyResult<[f64; N]> {
        let values = self.take::<N>();
        match values.iter().position(|v| *v <= 0.0) {
            Some(i) => Err(bad_value(format!("{} must be > 0, got {}", self.names[self.taken - N + i], values[i]))),
            None => Ok(values),
        }
    }

    fn market(&mut self) -> PyResult<ExchangeParams> {
        let [qty_step, price_step] = self.positive()?;
        let [min_qty, min_cost] = self.take();
        if min_qty < 0.0 || min_cost < 0.0 {
            return Err(bad_value(format!("min_qty and min_cost must be >= 0, got {min_qty} and {min_cost}")));
        }
        let [c_mult] = self.positive()?;
        Ok(ExchangeParams { qty_step, price_step, min_qty, min_cost, c_mult })
    }

    fn params<const N: usize>(&mut self, names: [&str; N]) -> BotParams {
        let values = self.take::<N>();
        let mut params = BotParams::default();
        for (name, value) in names.iter().zip(values) {
            let at = BotParams::FLOAT_FIELDS.iter().position(|field| field == name);
            if let Some(field) = at.and_then(|at| params.float_field_mut(at)) {
                *field = value;
            }
        }
        params
    }

    fn state(&mut self) -> (f64, Position, TrailingBundle) {
        let [balance, size, price] = self.take();
        let [a, b, c, d] = self.take();
        (balance, Position { size, price }, to_bundle((a, b, c, d)))
    }
}

/// Names of the side's own arguments: band and touch of entries, touch of closes.
fn side_names<S: Side>() -> (&'static str, &'static str, &'static str) {
    if S::SIGN > 0.0 {
        ("ema_bands_lower", "order_book_bid", "order_book_ask")
    } else {
        ("ema_bands_upper", "order_book_ask", "order_book_bid")
    }
}

/// Calls `f` with the entry inputs, the position and the touch.
fn with_entry<S: Side, T>(
    args: &Bound<'_, PyTuple>,
    kwargs: Option<&Bound<'_, PyDict>>,
    f: impl FnOnce(&EntryInputs<'_>, Position, f64) -> T,
) -> PyResult<T> {
    let (band, touch, _) = side_names::<S>();
    let own = [band, "entry_volatility_logrange_ema_1h", touch];
    let names = [&MARKET[..], &ENTRY_PARAMS[..], &STATE[..], &own[..]].concat();
    let mut a = Arguments::bind(names, args, kwargs)?;
    let (exchange, params) = (a.market()?, a.params(ENTRY_PARAMS));
    let (balance, position, trailing) = a.state();
    let [band_in] = a.positive()?;
    let [volatility] = a.take();
    let [touch] = a.positive()?;
    let inputs =
        EntryInputs { exchange: &exchange, params: &params, trailing: &trailing, balance, band_in, volatility };
    Ok(f(&inputs, position, touch))
}

/// Calls `f` with the close inputs and the position.
fn with_close<S: Side, T>(
    args: &Bound<'_, PyTuple>,
    kwargs: Option<&Bound<'_, PyDict>>,
    f: impl FnOnce(&CloseInputs<'_>, Position) -> T,
) -> PyResult<T> {
    let (_, _, touch) = side_names::<S>();
    let names = [&MARKET[..], &CLOSE_PARAMS[..], &STATE[..], &[touch][..]].concat();
    let mut a = Arguments::bind(names, args, kwargs)?;
    let (exchange, params) = (a.market()?, a.params(CLOSE_PARAMS));
    let (balance, position, trailing) = a.state();
    let [touch_out] = a.take();
    let inputs = CloseInputs { exchange: &exchange, params: &params, trailing: &trailing, balance, touch_out };
    Ok(f(&inputs, position))
}

type NamedOrder = (f64, f64, &'static str);
type NumberedOrder = (f64, f64, u16);

fn named(order: Order) -> NamedOrder {
    (order.qty, order.price, order.order_type.name())
}

fn numbered(orders: &[Order]) -> Vec<NumberedOrder> {
    orders.iter().map(|o| (o.qty, o.price, o.order_type.id())).collect()
}

/// Declares the four generators of a side; the texts are the signatures that `help()` shows.
macro_rules! generators {
    ($side:ty, $entry_text:literal, $next_entry:ident, $entries:ident, $close_text:literal, $next_close:ident, $closes:ident) => {
        #[pyfunction]
        #[pyo3(signature = (*args, **kwargs), text_signature = $entry_text)]
        fn $next_entry(args: &Bound<'_, PyTuple>, kwargs: Option<&Bound<'_, PyDict>>) -> PyResult<NamedOrder> {
            with_entry::<$side, _>(args, kwargs, |inputs, position, touch| named(inputs.next::<$side>(position, touch)))
        }

        #[pyfunction]
        #[pyo3(signature = (*args, **kwargs), text_signature = $entry_text)]
        fn $entries(args: &Bound<'_, PyTuple>, kwargs: Option<&Bound<'_, PyDict>>) -> PyResult<Vec<NumberedOrder>> {
            with_entry::<$side, _>(args, kwargs, |inputs, position, touch| {
                let mut orders = Vec::new();
                inputs.ladder::<$side>(position, touch, &mut orders);
                numbered(&orders)
            })
        }

        #[pyfunction]
        #[pyo3(signature = (*args, **kwargs), text_signature = $close_text)]
        fn $next_close(args: &Bound<'_, PyTuple>, kwargs: Option<&Bound<'_, PyDict>>) -> PyResult<NamedOrder> {
            with_close::<$side, _>(args, kwargs, |inputs, position| named(inputs.next::<$side>(position)))
        }

        #[pyfunction]
        #[pyo3(signature = (*args, **kwargs), text_signature = $close_text)]
        fn $closes(args: &Bound<'_, PyTuple>, kwargs: Option<&Bound<'_, PyDict>>) -> PyResult<Vec<NumberedOrder>> {
            with_close::<$side, _>(args, kwargs, |inputs, position| {
                let mut orders = Vec::new();
                inputs.ladder::<$side>(position, &mut orders);
                numbered(&orders)
            })
        }
    };
}

generators!(
    Long,
    "(qty_step, price_step, min_qty, min_cost, c_mult, entry_grid_double_down_factor, \
     entry_grid_spacing_volatility_weight, entry_grid_spacing_we_weight, entry_grid_spacing_pct, \
     entry_initial_ema_dist, entry_initial_qty_pct, entry_trailing_double_down_factor, \
     entry_trailing_grid_ratio, entry_trailing_retracement_pct, entry_trailing_retracement_we_weight, \
     entry_trailing_retracement_volatility_weight, entry_trailing_threshold_pct, \
     entry_trailing_threshold_we_weight, entry_trailing_threshold_volatility_weight, \
     wallet_exposure_limit, risk_we_excess_allowance_pct, balance, position_size, position_price, \
     min_since_open, max_since_min, max_since_open, min_since_max, ema_bands_lower, \
     entry_volatility_logrange_ema_1h, order_book_bid)",
    calc_next_entry_long_py,
    calc_entries_long_py,
    "(qty_step, price_step, min_qty, min_cost, c_mult, close_grid_markup_end, close_grid_markup_start, \
     close_grid_qty_pct, close_trailing_grid_ratio, close_trailing_qty_pct, \
     close_trailing_retracement_pct, close_trailing_threshold_pct, wallet_exposure_limit, \
     risk_we_excess_allowance_pct, risk_wel_enforcer_threshold, balance, position_size, position_price, \
     min_since_open, max_since_min, max_since_open, min_since_max, order_book_ask)",
    calc_next_close_long_py,
    calc_closes_long_py
);
generators!(
    Short,
    "(qty_step, price_step, min_qty, min_cost, c_mult, entry_grid_double_down_factor, \
     entry_grid_spacing_volatility_weight, entry_grid_spacing_we_weight, entry_grid_spacing_pct, \
     entry_initial_ema_dist, entry_initial_qty_pct, entry_trailing_double_down_factor, \
     entry_trailing_grid_ratio, entry_trailing_retracement_pct, entry_trailing_retracement_we_weight, \
     entry_trailing_retracement_volatility_weight, entry_trailing_threshold_pct, \
     entry_trailing_threshold_we_weight, entry_trailing_threshold_volatility_weight, \
     wallet_exposure_limit, risk_we_excess_allowance_pct, balance, position_size, position_price, \
     min_since_open, max_since_min, max_since_open, min_since_max, ema_bands_upper, \
     entry_volatility_logrange_ema_1h, order_book_ask)",
    calc_next_entry_short_py,
    calc_entries_short_py,
    "(qty_step, price_step, min_qty, min_cost, c_mult, close_grid_markup_end, close_grid_markup_start, \
     close_grid_qty_pct, close_trailing_grid_ratio, close_trailing_qty_pct, \
     close_trailing_retracement_pct, close_trailing_threshold_pct, wallet_exposure_limit, \
     risk_we_excess_allowance_pct, risk_wel_enforcer_threshold, balance, position_size, position_price, \
     min_since_open, max_since_min, max_since_open, min_since_max, order_book_bid)",
    calc_next_close_short_py,
    calc_closes_short_py
);

#[pyfunction]
fn calc_ideal_orders_orchestrator(py: Python<'_>, input_json: &str) -> PyResult<String> {
    py.detach(|| plan_json(input_json)).map_err(|failure| plan_failure(py, failure))
}

#[pyfunction]
fn calc_min_entry_qty_py(price: f64, c_mult: f64, qty_step: f64, min_qty: f64, min_cost: f64) -> f64 {
    ExchangeParams { qty_step, price_step: qty_step, min_qty, min_cost, c_mult }.min_entry_qty(price)
}

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    let plan = wrap_pyfunction!(calc_ideal_orders_orchestrator, m)?;
    m.add("calc_ideal_orders_orchestrator", &plan)?;
    m.add("compute_ideal_orders_json", &plan)?;
    m.add_function(wrap_pyfunction!(calc_min_entry_qty_py, m)?)?;
    m.add_function(wrap_pyfunction!(calc_next_entry_long_py, m)?)?;
    m.add_function(wrap_pyfunction!(calc_next_entry_short_py, m)?)?;
    m.add_function(wrap_pyfunction!(calc_entries_long_py, m)?)?;
    m.add_function(wrap_pyfunction!(calc_entries_short_py, m)?)?;
    m.add_function(wrap_pyfunction!(calc_next_close_long_py, m)?)?;
    m.add_function(wrap_pyfunction!(calc_next_close_short_py, m)?)?;
    m.add_function(wrap_pyfunction!(calc_closes_long_py, m)?)?;
    m.add_function(wrap_pyfunction!(calc_closes_short_py, m)?)
}
