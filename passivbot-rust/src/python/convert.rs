//! Dicts to structs; every failure names its path, such as `bot_params[3].long.ema_span_0`.

use super::failures::bad_value;
use crate::backtest::account::Collateral;
use crate::backtest::{CoinSpec, RunParams};
use crate::batch::Job;
use crate::orchestrator::input::Mode;
use crate::types::{BotParams, ExchangeParams, PerSide, Pside};
use pyo3::exceptions::{PyKeyError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};

/// Older names that a key may have.
const OLDER_NAMES: [(&str, &str); 2] = [
    ("entry_volatility_ema_span_hours", "entry_log_range_ema_span_hours"),
    ("filter_volatility_ema_span", "filter_log_range_ema_span"),
];
/// Keys that count as 1 when absent.
const DEFAULT_ONE: [&str; 2] = ["risk_wel_enforcer_threshold", "risk_twel_enforcer_threshold"];

/// A dict with the path that leads to it.
#[derive(Clone)]
pub struct Node<'py> {
    dict: Bound<'py, PyDict>,
    path: String,
}

impl<'py> Node<'py> {
    /// A dict at a path; `ValueError` for anything else.
    pub fn new(value: &Bound<'py, PyAny>, path: impl Into<String>) -> PyResult<Self> {
        let path = path.into();
        let dict = value.cast::<PyDict>().map_err(|_| bad_value(format!("{path} must be a dict")))?.clone();
        Ok(Self { dict, path })
    }

    fn path_of(&self, key: &str) -> String {
        format!("{}.{key}", self.path)
    }

    fn raw(&self, key: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.dict.get_item(key)
    }

    fn missing(&self, key: &str) -> PyErr {
        bad_value(format!("{} is missing", self.path_of(key)))
    }

    /// A value of the given type; `None` if the key is absent, `TypeError` if the type is wrong.
    fn optional<T: for<'a> FromPyObject<'a, 'py>>(&self, key: &str, kind: &str) -> PyResult<Option<T>> {
        let wrong = |value: &Bound<'py, PyAny>| {
            PyTypeError::new_err(format!("{} must be {kind}, got {}", self.path_of(key), describe(value)))
        };
        self.raw(key)?.map(|value| value.extract().map_err(|_| wrong(&value))).transpose()
    }

    fn required<T: for<'a> FromPyObject<'a, 'py>>(&self, key: &str, kind: &str) -> PyResult<T> {
        self.optional(key, kind)?.ok_or_else(|| self.missing(key))
    }

    fn finite(&self, key: &str) -> PyResult<f64> {
        self.check_finite(key, self.required(key, "a number")?)
    }

    fn finite_or(&self, key: &str, default: f64) -> PyResult<f64> {
        self.check_finite(key, self.optional(key, "a number")?.unwrap_or(default))
    }

    fn check_finite(&self, key: &str, value: f64) -> PyResult<f64> {
        if value.is_finite() { Ok(value) } else { Err(bad_value(format!("{} is {value}", self.path_of(key)))) }
    }

    fn child(&self, key: &str) -> PyResult<Self> {
        let value = self.raw(key)?.ok_or_else(|| self.missing(key))?;
        Self::new(&value, self.path_of(key))
    }

    fn dicts(&self, key: &str) -> PyResult<Vec<Self>> {
        let value = self.raw(key)?.ok_or_else(|| self.missing(key))?;
        nodes(&value, &self.path_of(key))
    }
}

fn describe(value: &Bound<'_, PyAny>) -> String {
    value.repr().map_or_else(|_| "something else".to_owned(), |text| text.to_string())
}

/// A list of dicts, each with its path.
pub fn nodes<'py>(value: &Bound<'py, PyAny>, path: &str) -> PyResult<Vec<Node<'py>>> {
    let list = value.cast::<PyList>().map_err(|_| bad_value(format!("{path} must be a list of dicts")))?;
    list.iter().enumerate().map(|(i, item)| Node::new(&item, format!("{path}[{i}]"))).collect()
}

/// A float parameter under its name or its older one.
fn bot_param(node: &Node<'_>, name: &str) -> PyResult<f64> {
    if let Some((_, older)) = OLDER_NAMES.iter().find(|(newer, _)| *newer == name) {
        let key = if node.raw(name)?.is_some() { name } else { older };
        if node.raw(key)?.is_none() {
            return Err(PyKeyError::new_err(format!("{} (or {older}) is missing", node.path_of(name))));
        }
        return node.finite(key);
    }
    if DEFAULT_ONE.contains(&name) { node.finite_or(name, 1.0) } else { node.finite(name) }
}

/// Parameters of one side; a limit of exactly 0 becomes the side's limit over its slots (`backtest_engine.md` 2.4).
fn bot_params(node: &Node<'_>) -> PyResult<BotParams> {
    let mut params = BotParams::default();
    for (at, name) in BotParams::FLOAT_FIELDS.iter().enumerate() {
        let value = bot_param(node, name)?;
        if let Some(field) = params.float_field_mut(at) {
            *field = value;
        }
    }
    params.n_positions = node.finite("n_positions")?.round().max(0.0) as usize;
    if params.wallet_exposure_limit == 0.0 {
        let (total, slots) = (params.total_wallet_exposure_limit, params.n_positions);
        params.wallet_exposure_limit = if slots == 0 { 0.0 } else { total / slots as f64 };
    }
    Ok(params)
}

fn exchange_params(node: &Node<'_>) -> PyResult<ExchangeParams> {
    let positive = |key: &str| match node.finite(key)? {
        value if value > 0.0 => Ok(value),
        value => Err(bad_value(format!("{} must be > 0, got {value}", node.path_of(key)))),
    };
    let not_negative = |key: &str| match node.finite(key)? {
        value if value >= 0.0 => Ok(value),
        value => Err(bad_value(format!("{} must be >= 0, got {value}", node.path_of(key)))),
    };
    Ok(ExchangeParams {
        qty_step: positive("qty_step")?,
        price_step: positive("price_step")?,
        min_qty: not_negative("min_qty")?,
        min_cost: not_negative("min_cost")?,
        c_mult: positive("c_mult")?,
    })
}

fn mode(node: &Node<'_>, pside: Pside) -> PyResult<Option<Mode>> {
    let Some(value) = node.raw(pside.name())?.filter(|v| !v.is_none()) else { return Ok(None) };
    let text = value.cast::<PyString>().ok().map(ToString::to_string).unwrap_or_default();
    Ok(Some(match text.as_str() {
        "normal" => Mode::Normal,
        "graceful_stop" => Mode::GracefulStop,
        "tp_only" => Mode::TpOnly,
        "manual" => Mode::Manual,
        "panic" => Mode::Panic,
        _ => {
            let path = node.path_of(pside.name());
            let known = "normal, graceful_stop, tp_only, manual, panic or None";
            return Err(bad_value(format!("{path} must be {known}, got {}", describe(&value))));
        }
    }))
}

/// A list of row numbers with one entry a coin; any other length counts as absent.
fn per_coin(node: &Node<'_>, key: &str, n: usize) -> PyResult<Option<Vec<usize>>> {
    let list: Option<Vec<usize>> = node.optional(key, "a list of non-negative integers")?;
    Ok(list.filter(|list| list.len() == n))
}

fn run_params(node: &Node<'_>) -> PyResult<RunParams> {
    Ok(RunParams {
        starting_balance: node.finite_or("starting_balance", 0.0)?,
        first_timestamp_ms: node.optional("first_timestamp_ms", "an integer")?.unwrap_or(0),
        requested_start_timestamp_ms: node.optional("requested_start_timestamp_ms", "an integer")?.unwrap_or(0),
        global_warmup_bars: node.optional("global_warmup_bars", "a non-negative integer")?.unwrap_or(0),
        collateral: Collateral {
            cap: node.finite_or("btc_collateral_cap", 0.0)?,
            ltv_cap: node.optional::<Option<f64>>("btc_collateral_ltv_cap", "a number or None")?.flatten(),
        },
        filter_by_min_effective_cost: node.optional("filter_by_min_effective_cost", "a bool")?.unwrap_or(false),
        hedge_mode: node.optional("hedge_mode", "a bool")?.unwrap_or(true),
        metrics_only: node.optional("metrics_only", "a bool")?.unwrap_or(false),
        plan_every_row: node.optional("plan_every_row", "a bool")?.unwrap_or(false),
    })
}

/// A run as Python describes it, with what only Python needs.
#[derive(Debug)]
pub struct Run {
    /// What the engine needs.
    pub job: Job,
    /// Names of the coins.
    pub names: Vec<String>,
}

fn coin_specs(
    bot: &[Node<'_>],
    exchange: &[Node<'_>],
    run: &Node<'_>,
    (rows, columns): (usize, usize),
) -> PyResult<Vec<CoinSpec>> {
    let n = bot.len();
    let column = per_coin(run, "active_coin_indices", n)?;
    let first_valid = per_coin(run, "first_valid_indices", n)?;
    let last_valid = per_coin(run, "last_valid_indices", n)?;
    let warmup = per_coin(run, "warmup_minutes", n)?;
    let forced =
        if run.raw("forced_modes")?.is_none_or(|v| v.is_none()) { None } else { Some(run.dicts("forced_modes")?) };
    if forced.as_ref().is_some_and(|f| f.len() != n) {
        return Err(bad_value(format!("{} needs one entry a coin ({n})", run.path_of("forced_modes"))));
    }
    let maker_fee = run.finite_or("maker_fee", 0.0)?;
    let at = |list: &Option<Vec<usize>>, i: usize, default: usize| list.as_ref().map_or(default, |list| list[i]);
    let spec = |i: usize| {
        let column = at(&column, i, i);
        if column >= columns {
            let path = run.path_of("active_coin_indices");
            return Err(bad_value(format!("{path}[{i}] is {column}, but the cube has {columns} columns")));
        }
        let forced_mode = |pside| forced.as_ref().map_or(Ok(None), |f| mode(&f[i], pside));
        Ok(CoinSpec {
            column,
            first_valid: at(&first_valid, i, 0),
            last_valid: at(&last_valid, i, rows - 1),
            warmup_minutes: at(&warmup, i, 0),
            exchange: exchange_params(&exchange[i])?,
            maker_fee: exchange[i].finite_or("maker_fee", maker_fee)?,
            params: PerSide { long: bot_params(&bot[i].child("long")?)?, short: bot_params(&bot[i].child("short")?)? },
            forced_modes: PerSide { long: forced_mode(Pside::Long)?, short: forced_mode(Pside::Short)? },
        })
    };
    (0..n).map(spec).collect()
}

/// Checks and converts one run on a cube of `rows` rows and `columns` columns; `offset` is its first row in the bundle.
pub fn run(
    bot: &Bound<'_, PyAny>,
    exchange: &Bound<'_, PyAny>,
    run: &Bound<'_, PyAny>,
    rows: std::ops::Range<usize>,
    columns: usize,
) -> PyResult<Run> {
    let (bot, exchange) = (nodes(bot, "bot_params")?, nodes(exchange, "exchange_params")?);
    let node = Node::new(run, "backtest_params")?;
    let names: Vec<String> = node.optional("coins", "a list of strings")?.unwrap_or_default();
    let n = bot.len();
    if n == 0 || rows.is_empty() {
        return Err(bad_value(format!("a run needs at least one coin and one row, got {n} and {}", rows.len())));
    }
    if exchange.len() < n || names.len() < n {
        let (e, c) = (exchange.len(), names.len());
        return Err(bad_value(format!("bot_params has {n} coins, exchange_params {e}, backtest_params.coins {c}")));
    }
    let coins = coin_specs(&bot, &exchange, &node, (rows.len(), columns))?;
    Ok(Run { job: Job { coins, run: run_params(&node)?, rows }, names })
}

/// One candidate of a batch: the parts of a run and, optionally, its rows.
pub fn batch_spec(spec: &Bound<'_, PyAny>, at: usize, rows: usize, columns: usize) -> PyResult<Run> {
    let node = Node::new(spec, format!("specs[{at}]"))?;
    let part = |key: &str| node.raw(key)?.ok_or_else(|| node.missing(key));
    let range: Option<Vec<usize>> = node.optional("rows", "a list of two row numbers")?;
    let range = match range.as_deref() {
        None => 0..rows,
        Some([start, end]) if start <= end && *end <= rows => *start..*end,
        Some(other) => {
            let path = node.path_of("rows");
            return Err(bad_value(format!("{path} must be two ascending rows of {rows}, got {other:?}")));
        }
    };
    let mut run =
        run(&part("bot_params")?, &part("exchange_params_list")?, &part("backtest_params_dict")?, range, columns)?;
    run.job.run.metrics_only = true;
    Ok(run)
}
