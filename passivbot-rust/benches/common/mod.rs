//! What both engine and planner benches start from: the shipped template's parameters, and one set of market rules.

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
