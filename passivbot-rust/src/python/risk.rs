//! Risk helpers and coin selection over lists of dicts (`orders.md` 12, `orchestrator.md` 19).

use super::failures::bad_value;
use crate::coin_selection::{CoinFeatures, Rules, rank_features};
use crate::risk::enforcers::{TwelLimits, TwelPosition, twel_enforcer};
use crate::risk::gate::{HelperEntry, HelperPosition, gate_entries_helper};
use crate::risk::unstuck::{UnstuckPosition, unstuck_close};
use crate::types::{EmaBands, ExchangeParams, OrderType, PerSide, Position, Pside};
use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;

/// (coin index, quantity, price, order-type id)
type IndexedOrder = (usize, f64, f64, u16);

/// (coin index, pside 0 or 1, quantity, price, order-type id)
type UnstuckOrder = (usize, u8, f64, f64, u16);

/// A dict-like object with a name for its error messages.
struct Fields<'a, 'py> {
    what: &'a str,
    item: &'a Bound<'py, PyAny>,
}

impl<'py> Fields<'_, 'py> {
    fn get<T: for<'a> FromPyObject<'a, 'py>>(&self, key: &str) -> PyResult<T> {
        let value = self.item.get_item(key).map_err(|_| bad_value(format!("{} missing '{key}'", self.what)))?;
        value.extract().map_err(|_| {
            pyo3::exceptions::PyTypeError::new_err(format!("{} has a '{key}' of the wrong type", self.what))
        })
    }

    fn position(&self) -> PyResult<Position> {
        Ok(Position { size: self.get("position_size")?, price: self.get("position_price")? })
    }

    fn market(&self, price_step: f64) -> PyResult<ExchangeParams> {
        Ok(ExchangeParams {
            qty_step: self.get("qty_step")?,
            price_step,
            min_qty: self.get("min_qty")?,
            min_cost: self.get("min_cost")?,
            c_mult: self.get("c_mult")?,
        })
    }
}

fn parse_side(side: &str) -> PyResult<Pside> {
    Pside::from_name(side).ok_or_else(|| bad_value("side must be either 'long' or 'short'"))
}

fn unstuck_position(item: &Bound<'_, PyAny>) -> PyResult<UnstuckPosition> {
    let f = Fields { what: "position", item };
    let idx = f.get("idx")?;
    let limit: f64 = f.get("wallet_exposure_limit")?;
    let allowance: f64 = f.get("risk_we_excess_allowance_pct")?;
    Ok(UnstuckPosition {
        idx,
        pside: parse_side(&f.get::<String>("side")?)?,
        position: f.position()?,
        allowed_limit: limit * (1.0 + allowance.max(0.0)),
        threshold: f.get("unstuck_threshold")?,
        close_pct: f.get("unstuck_close_pct")?,
        ema_dist: f.get("unstuck_ema_dist")?,
        bands: EmaBands { lower: f.get("ema_band_lower")?, upper: f.get("ema_band_upper")? },
        current_price: f.get("current_price")?,
        exchange: f.market(f.get("price_step")?)?,
    })
}

#[pyfunction]
fn calc_unstucking_close_py(
    balance: f64,
    allowance_long: f64,
    allowance_short: f64,
    positions: Vec<Bound<'_, PyAny>>,
) -> PyResult<Option<UnstuckOrder>> {
    let positions = positions.iter().map(unstuck_position).collect::<PyResult<Vec<_>>>()?;
    let allowances = PerSide { long: allowance_long, short: allowance_short };
    Ok(unstuck_close(balance, &allowances, &positions, &mut Vec::new()).map(|(at, order)| {
        let p = &positions[at];
        (p.idx, p.pside as u8, order.qty, order.price, order.order_type.id())
    }))
}

fn twel_position(item: &Bound<'_, PyAny>) -> PyResult<TwelPosition> {
    let f = Fields { what: "twel enforcer position", item };
    Ok(TwelPosition {
        idx: f.get("idx")?,
        position: f.position()?,
        market_price: f.get("market_price")?,
        base_limit: f.get("base_wallet_exposure_limit")?,
        exchange: f.market(f.get("price_step")?)?,
    })
}

#[pyfunction]
#[pyo3(signature = (side, threshold, total_wallet_exposure_limit, effective_n_positions, balance, positions, skip_idx=None))]
fn calc_twel_enforcer_orders_py(
    side: &str,
    threshold: f64,
    total_wallet_exposure_limit: f64,
    effective_n_positions: usize,
    balance: f64,
    positions: Vec<Bound<'_, PyAny>>,
    skip_idx: Option<usize>,
) -> PyResult<Vec<IndexedOrder>> {
    let pside = parse_side(side)?;
    let positions = positions.iter().map(twel_position).collect::<PyResult<Vec<_>>>()?;
    let limits = TwelLimits { balance, total_limit: total_wallet_exposure_limit, threshold, effective_n_positions };
    let mut orders = Vec::new();
    crate::for_side!(pside, S => twel_enforcer::<S>(&limits, &positions, skip_idx, &mut Vec::new(), |idx, o| {
        orders.push((idx, o.qty, o.price, o.order_type.id()));
    }));
    Ok(orders)
}

fn gate_position(item: &Bound<'_, PyAny>) -> PyResult<HelperPosition> {
    let f = Fields { what: "gate position", item };
    Ok(HelperPosition { idx: f.get("idx")?, position: f.position()?, c_mult: f.get("c_mult")? })
}

fn gate_entry(item: &Bound<'_, PyAny>) -> PyResult<HelperEntry> {
    let f = Fields { what: "gate entry", item };
    let id: u16 = f.get("order_type_id")?;
    Ok(HelperEntry {
        idx: f.get("idx")?,
        qty: f.get("qty")?,
        price: f.get("price")?,
        market_price: f.get("market_price")?,
        exchange: f.market(1.0)?,
        order_type: OrderType::from_id(id).ok_or_else(|| bad_value(format!("unknown order type id {id}")))?,
    })
}

#[pyfunction]
fn gate_entries_by_twel_py(
    side: &str,
    balance: f64,
    total_wallet_exposure_limit: f64,
    positions: Vec<Bound<'_, PyAny>>,
    entries: Vec<Bound<'_, PyAny>>,
) -> PyResult<Vec<IndexedOrder>> {
    let pside = parse_side(side)?;
    let positions = positions.iter().map(gate_position).collect::<PyResult<Vec<_>>>()?;
    let entries = entries.iter().map(gate_entry).collect::<PyResult<Vec<_>>>()?;
    let kept = crate::for_side!(pside, S => {
        gate_entries_helper::<S>(balance, total_wallet_exposure_limit, &positions, &entries)
    });
    Ok(kept.iter().map(|e| (e.idx, e.qty, e.price, e.order_type.id())).collect())
}

fn coin_features(item: &Bound<'_, PyAny>) -> PyResult<CoinFeatures> {
    let get = |key: &str| item.get_item(key).map_err(|_| PyKeyError::new_err(key.to_owned()));
    Ok(CoinFeatures {
        index: get("index")?.extract()?,
        enabled: get("enabled")?.extract()?,
        volume: get("volume_score")?.extract()?,
        volatility: get("volatility_score")?.extract()?,
    })
}

#[pyfunction]
fn select_coin_indices_py(
    features: Vec<Bound<'_, PyAny>>,
    max_positions: usize,
    volume_drop_pct: f64,
    volatility_drop_pct: f64,
    require_forager: bool,
) -> PyResult<Vec<usize>> {
    let features = features.iter().map(coin_features).collect::<PyResult<Vec<_>>>()?;
    if require_forager {
        let rules = Rules { slots: max_positions, volume_drop: volume_drop_pct, volatility_drop: volatility_drop_pct };
        return Ok(rank_features(features, &rules));
    }
    Ok(features.iter().filter(|f| f.enabled).map(|f| f.index).collect())
}

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(calc_unstucking_close_py, m)?)?;
    m.add_function(wrap_pyfunction!(calc_twel_enforcer_orders_py, m)?)?;
    m.add_function(wrap_pyfunction!(gate_entries_by_twel_py, m)?)?;
    m.add_function(wrap_pyfunction!(select_coin_indices_py, m)?)
}
