//! Speed of the planner through JSON, as the live bot calls it, and of the order functions beneath it.

mod common;

use common::{EXCHANGE, template_json, template_params};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use passivbot_rust::closes::CloseInputs;
use passivbot_rust::entries::EntryInputs;
use passivbot_rust::orchestrator::request::plan_json;
use passivbot_rust::risk::gate::{GateEntry, GateScratch, gate_entries};
use passivbot_rust::side::Long;
use passivbot_rust::types::{BotParams, Order, OrderKind, OrderType, Position, Pside, TrailingBundle};
use serde_json::{Value, json};
use std::hint::black_box;
use std::time::Duration;

const BALANCE: f64 = 100_000.0;
/// Exposure limit of a position in the order functions.
const LIMIT: f64 = 0.25;

/// Extremes of a position that has seen some movement.
const TRAILING: TrailingBundle =
    TrailingBundle { min_since_open: 97.0, max_since_min: 100.5, max_since_open: 102.0, min_since_max: 97.0 };

/// One side of a coin: open or flat.
fn side(params: &Value, size: f64, price: f64) -> Value {
    json!({
        "mode": null,
        "position": {"size": size, "price": if size == 0.0 { 0.0 } else { price }},
        "trailing": {
            "min_since_open": 0.97 * price, "max_since_min": 1.005 * price,
            "max_since_open": 1.02 * price, "min_since_max": 0.97 * price,
        },
        "bot_params": params,
    })
}

/// A coin around 100; every second one is held long, every third one short.
fn symbol(at: usize, coins: usize, params: &Value) -> Value {
    let price = 100.0 + at as f64;
    let size = (0.3 * BALANCE / coins as f64 / price * 1000.0).round() / 1000.0;
    let span = |name: &str| params[name].as_f64().expect("a span");
    let (first, second) = (span("ema_span_0"), span("ema_span_1"));
    let closes = [[first, price], [(first * second).sqrt(), 1.001 * price], [second, 0.999 * price]];
    json!({
        "symbol_idx": at,
        "order_book": {"bid": price, "ask": price + 0.01},
        "exchange": {"qty_step": 0.001, "price_step": 0.01, "min_qty": 0.001, "min_cost": 5.0, "c_mult": 1.0},
        "tradable": true,
        "next_candle": null,
        "effective_min_cost": 5.0,
        "emas": {
            "m1": {
                "close": closes,
                "log_range": [[span("filter_volatility_ema_span"), 0.001 + 1e-5 * at as f64]],
                "volume": [[span("filter_volume_ema_span"), 1e6 + at as f64]],
            },
            "h1": {"close": [], "log_range": [[span("entry_volatility_ema_span_hours"), 0.004]], "volume": []},
        },
        "long": side(params, if at.is_multiple_of(2) { size } else { 0.0 }, 1.01 * price),
        "short": side(params, if at.is_multiple_of(3) { -size } else { 0.0 }, 0.99 * price),
    })
}

/// A request in which every coin has a slot on both sides.
fn request(coins: usize) -> String {
    let mut params = template_json();
    params["n_positions"] = json!(coins);
    params["wallet_exposure_limit"] =
        json!(params["total_wallet_exposure_limit"].as_f64().expect("a limit") / coins as f64);
    let symbols: Vec<Value> = (0..coins).map(|at| symbol(at, coins, &params)).collect();
    json!({
        "balance": BALANCE,
        "global": {
            "filter_by_min_effective_cost": false,
            "unstuck_allowance_long": 100.0,
            "unstuck_allowance_short": 100.0,
            "sort_global": true,
            "global_bot_params": {"long": params, "short": params},
            "hedge_mode": true,
        },
        "symbols": symbols,
        "peek_hints": null,
    })
    .to_string()
}

fn bench_planner(c: &mut Criterion) {
    let mut group = c.benchmark_group("planner through JSON");
    group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(2));
    for coins in [1, 5, 20, 100] {
        let request = request(coins);
        plan_json(&request).expect("the request is sound");
        group.throughput(Throughput::Elements(coins as u64));
        group.bench_function(BenchmarkId::from_parameter(coins), |b| b.iter(|| plan_json(black_box(&request))));
    }
    group.finish();
}

fn bench_ladders(c: &mut Criterion) {
    let params = BotParams { wallet_exposure_limit: LIMIT, ..template_params() };
    let entry = EntryInputs {
        exchange: &EXCHANGE,
        params: &params,
        trailing: &TRAILING,
        balance: BALANCE,
        band_in: 99.5,
        volatility: 0.004,
    };
    let close =
        CloseInputs { exchange: &EXCHANGE, params: &params, trailing: &TRAILING, balance: BALANCE, touch_out: 100.0 };
    let held = Position { size: 50.0, price: 101.0 };
    let mut orders = Vec::new();
    let mut group = c.benchmark_group("orders");
    group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(2));
    group.bench_function("next entry", |b| b.iter(|| black_box(&entry).next::<Long>(black_box(held), 100.0)));
    group.bench_function("entry ladder", |b| {
        b.iter(|| {
            orders.clear();
            black_box(&entry).ladder::<Long>(black_box(held), 100.0, &mut orders);
            orders.len()
        });
    });
    group.bench_function("next close", |b| b.iter(|| black_box(&close).next::<Long>(black_box(held))));
    group.bench_function("close ladder", |b| {
        b.iter(|| {
            orders.clear();
            black_box(&close).ladder::<Long>(black_box(held), &mut orders);
            orders.len()
        });
    });
    group.finish();
}

/// Four entries of each of ten coins, of which the side's limit leaves about half.
fn bench_gate(c: &mut Criterion) {
    let order_type = OrderType::new(OrderKind::EntryGridNormal, Pside::Long);
    let entries: Vec<GateEntry> = (0..40)
        .map(|at| GateEntry {
            idx: at / 4,
            order: Order { qty: 20.0 + at as f64, price: 99.0 - (at % 4) as f64, order_type },
            touch: 100.0,
            exchange: EXCHANGE,
        })
        .collect();
    let held = Position { size: 20.0, price: 101.0 };
    let mut scratch = GateScratch::default();
    let mut gate = |mut entries: Vec<GateEntry>| {
        let positions = (0..10).map(|idx| (idx, held, EXCHANGE.c_mult));
        gate_entries::<Long>(BALANCE, 1.0, 10, positions, &mut entries, &mut scratch);
        entries
    };
    let kept = gate(entries.clone()).len();
    assert!(0 < kept && kept < entries.len(), "the limit cuts some entries, not all: {kept}");
    c.bench_function("orders/gate of 40 entries", |b| {
        b.iter_batched(|| entries.clone(), &mut gate, BatchSize::SmallInput);
    });
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    bench_planner(&mut criterion);
    bench_ladders(&mut criterion);
    bench_gate(&mut criterion);
    criterion.final_summary();
}
