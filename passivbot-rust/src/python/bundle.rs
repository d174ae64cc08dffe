//! `HlcvsBundle`: the arrays of a dataset and what is known about its coins (`backtest_engine.md` 16).

use super::failures::bad_value;
use numpy::{PyArray1, PyArray3, PyArrayMethods, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};

const RUN_INTS: [&str; 4] = [
    "requested_start_timestamp_ms",
    "effective_start_timestamp_ms",
    "warmup_minutes_requested",
    "warmup_minutes_provided",
];
const COIN_STRINGS: [&str; 4] = ["symbol", "exchange", "quote", "base"];
const COIN_FLOATS: [&str; 7] = ["qty_step", "price_step", "min_qty", "min_cost", "c_mult", "maker_fee", "taker_fee"];
const COIN_INTS: [&str; 4] = ["first_valid_index", "last_valid_index", "warmup_minutes", "trade_start_index"];

/// The arrays of a dataset with its meta data; keeps the arrays alive, copies nothing.
#[pyclass(frozen, module = "passivbot_rust")]
pub struct HlcvsBundle {
    /// float64 [rows, coins, 4]: high, low, close, volume.
    #[pyo3(get)]
    pub hlcvs: Py<PyArray3<f64>>,
    /// float64 [rows]: BTC price in USD.
    #[pyo3(get)]
    pub btc_usd: Py<PyArray1<f64>>,
    /// int64 [rows]: ms.
    #[pyo3(get)]
    pub timestamps: Py<PyArray1<i64>>,
    /// What is known about run and coins.
    #[pyo3(get)]
    pub meta: Py<PyDict>,
}

fn need<'py, T: for<'a> FromPyObject<'a, 'py>>(dict: &Bound<'py, PyDict>, key: &str, path: &str) -> PyResult<T> {
    let value = dict.get_item(key)?.ok_or_else(|| bad_value(format!("{path}{key} is missing")))?;
    value.extract().map_err(|_| bad_value(format!("{path}{key} has the wrong type")))
}

/// Checks the entry of one coin and fills in what may be left out.
fn complete_coin(coin: &Bound<'_, PyDict>, at: usize) -> PyResult<()> {
    let path = format!("meta.coins[{at}].");
    for key in COIN_STRINGS {
        need::<String>(coin, key, &path)?;
    }
    for key in COIN_FLOATS {
        need::<f64>(coin, key, &path)?;
    }
    for key in COIN_INTS {
        need::<i64>(coin, key, &path)?;
    }
    if !coin.contains("index")? {
        coin.set_item("index", at)?;
    }
    if !coin.contains("coin")? {
        coin.set_item("coin", coin.get_item("symbol")?)?;
    }
    need::<i64>(coin, "index", &path)?;
    need::<String>(coin, "coin", &path).map(drop)
}

/// A copy of the meta dict with every coin checked and completed.
fn complete_meta<'py>(meta: &Bound<'py, PyDict>) -> PyResult<Bound<'py, PyDict>> {
    let meta = meta.copy()?;
    for key in RUN_INTS {
        need::<i64>(&meta, key, "meta.")?;
    }
    let coins = PyList::empty(meta.py());
    for (at, coin) in need::<Vec<Bound<'py, PyDict>>>(&meta, "coins", "meta.")?.into_iter().enumerate() {
        let coin = coin.copy()?;
        complete_coin(&coin, at)?;
        coins.append(coin)?;
    }
    meta.set_item("coins", coins)?;
    Ok(meta)
}

#[pymethods]
impl HlcvsBundle {
    #[new]
    fn new(
        hlcvs: Bound<'_, PyArray3<f64>>,
        btc_usd: Bound<'_, PyArray1<f64>>,
        timestamps: Bound<'_, PyArray1<i64>>,
        meta: &Bound<'_, PyDict>,
    ) -> PyResult<Self> {
        let meta = complete_meta(meta)?;
        let coins = need::<Bound<'_, PyList>>(&meta, "coins", "meta.")?.len();
        let (rows, columns, fields) = (hlcvs.dims()[0], hlcvs.dims()[1], hlcvs.dims()[2]);
        if fields != 4 {
            return Err(bad_value(format!("hlcvs must have 4 fields a candle, got {fields}")));
        }
        if columns != coins {
            return Err(bad_value(format!("hlcvs has {columns} columns, meta.coins {coins} entries")));
        }
        for (name, n) in [("btc_usd", btc_usd.len()), ("timestamps", timestamps.len())] {
            if n != rows {
                return Err(bad_value(format!("{name} has {n} rows, hlcvs {rows}")));
            }
        }
        Ok(Self {
            hlcvs: hlcvs.unbind(),
            btc_usd: btc_usd.unbind(),
            timestamps: timestamps.unbind(),
            meta: meta.unbind(),
        })
    }

    /// The meta entry of a coin, found by symbol or coin name; None if there is none.
    fn coin_meta<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        let wanted = PyString::new(py, name);
        for coin in need::<Vec<Bound<'py, PyAny>>>(self.meta.bind(py), "coins", "meta.")? {
            if coin.get_item("symbol")?.eq(&wanted)? || coin.get_item("coin")?.eq(&wanted)? {
                return Ok(Some(coin));
            }
        }
        Ok(None)
    }

    /// Number of coins.
    fn coins_len(&self, py: Python<'_>) -> usize {
        self.hlcvs.bind(py).dims()[1]
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let shape = self.hlcvs.bind(py).dims();
        format!("HlcvsBundle(rows={}, coins={})", shape[0], shape[1])
    }
}
