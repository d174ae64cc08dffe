//! What benches and the allocation test start from: the shipped template's parameters, one set of market rules, a market.
#![allow(dead_code, reason = "nobody uses all of it")]

use ndarray::Array3;
use passivbot_rust::types::{BotParams, ExchangeParams};
use serde_json::Value;

/// The shipped template.
const TEMPLATE: &str = include_str!("../../../configs/template.json");

/// Market rules of every coin.
pub const EXCHANGE: ExchangeParams =
    ExchangeParams { qty_step: 0.001, price_step: 0.01, min_qty: 0.001, min_cost: 5.0, c_mult: 1.0 };

/// The template's parameters of its long side, as JSON.
pub fn template_json() -> Value {
    let template: Value = serde_json::from_str(TEMPLATE).expect("the template is JSON");
    template["bot"]["long"].clone()
}

/// The same as the engine takes them; the engine sets the exposure limit of a position.
pub fn template_params() -> BotParams {
    let json = template_json();
    let mut params = BotParams::default();
    for (at, name) in BotParams::FLOAT_FIELDS.iter().enumerate() {
        let value = json[*name].as_f64().unwrap_or(-1.0);
        *params.float_field_mut(at).expect("the field is listed") = value;
    }
    params.n_positions = json["n_positions"].as_u64().expect("a whole number") as usize;
    params
}

/// How a market moves.
pub struct Walk {
    /// Largest move of a minute, as a fraction.
    pub step: f64,
    /// Part of the distance from 100 that a minute takes back.
    pub pull: f64,
    /// Most ticks that high and low are away from the closes.
    pub ticks: f64,
}

/// The finaliser of splitmix64, as a number between -1 and 1.
fn noise(row: usize, stream: usize) -> f64 {
    let mut x = (row as u64).wrapping_mul(31).wrapping_add((stream as u64) << 40).wrapping_add(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((x ^ (x >> 31)) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

/// Random walks that are pulled back to 100, on ticks of 0.01.
pub fn market(rows: usize, coins: usize, walk: &Walk) -> Array3<f64> {
    let mut cube = Array3::zeros((rows, coins, 4));
    for coin in 0..coins {
        let (mut close, stream) = (100.0_f64, 8 * coin);
        for row in 0..rows {
            let before = close;
            close += close * walk.step * noise(row, stream) - walk.pull * (close - 100.0);
            close = (close * 100.0).round() / 100.0;
            let away = |stream| (walk.ticks * noise(row, stream).abs()).floor() / 100.0;
            let (high, low) = (close.max(before) + away(stream + 1), close.min(before) - away(stream + 2));
            let volume = 1000.0 * (1.5 + noise(row, stream + 3));
            for (field, value) in [high, low, close, volume].into_iter().enumerate() {
                cube[[row, coin, field]] = value;
            }
        }
    }
    cube
}
