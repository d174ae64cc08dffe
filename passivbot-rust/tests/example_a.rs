//! The indicator states of worked example A (`backtest_engine.md` 19.1), to the last bit.

use ndarray::Array3;
use passivbot_rust::backtest::CoinSpec;
use passivbot_rust::backtest::dataset::{DenseCandles, ValidRange};
use passivbot_rust::backtest::indicators::{Indicators, Readers};
use passivbot_rust::types::{BotParams, ExchangeParams, PerSide, Pside};

const FIRST_MS: i64 = 1_704_067_200_000;
const ROWS: usize = 130;

fn tri(k: i64, period: i64) -> i64 {
    (k % period - period / 2).abs()
}

fn ticks(k: i64) -> i64 {
    10_000 + 14 * tri(k, 70) - 9 * tri(k, 22) + 7919 * k % 23
}

fn cube() -> Array3<f64> {
    Array3::from_shape_fn((ROWS, 1, 4), |(row, _, field)| {
        let k = row as i64;
        let (now, before) = (ticks(k), ticks((k - 1).max(0)));
        match field {
            0 => (now.max(before) + 31 * k % 7) as f64 / 100.0,
            1 => (now.min(before) - 17 * k % 5) as f64 / 100.0,
            2 => now as f64 / 100.0,
            _ => (100 + 5 * (k % 10)) as f64,
        }
    })
}

fn long_params() -> BotParams {
    BotParams {
        ema_span_0: 5.0,
        ema_span_1: 12.0,
        entry_volatility_ema_span_hours: 2.0,
        entry_grid_spacing_volatility_weight: 4.0,
        filter_volatility_ema_span: 10.0,
        filter_volume_ema_span: 10.0,
        n_positions: 1,
        total_wallet_exposure_limit: 1.0,
        wallet_exposure_limit: -1.0,
        ..BotParams::default()
    }
}

fn coin() -> CoinSpec {
    CoinSpec {
        column: 0,
        first_valid: 0,
        last_valid: ROWS - 1,
        warmup_minutes: 20,
        exchange: ExchangeParams { qty_step: 0.001, price_step: 0.01, min_qty: 0.001, min_cost: 1.0, c_mult: 1.0 },
        maker_fee: 0.0002,
        params: PerSide {
            long: long_params(),
            short: BotParams { ema_span_0: 8.0, ema_span_1: 20.0, ..long_params() },
        },
        forced_modes: PerSide::default(),
    }
}

/// What the specification prints of a row.
struct State {
    row: usize,
    bands: (f64, f64),
    hourly: f64,
    log_range: Option<f64>,
}

#[test]
fn indicator_states_along_the_way() {
    let cube = cube();
    let view = cube.view();
    let candles = DenseCandles::new(&view).expect("the cube is contiguous");
    let coins = [coin()];
    let ranges = [ValidRange::new(&coins[0], ROWS)];
    let globals = coins[0].params;
    let readers = Readers { sides: PerSide { long: true, short: true }, ranking: true };
    let mut indicators = Indicators::new(&coins, &ranges, &candles, &globals, readers, FIRST_MS);
    let mut tape = indicators.new_tape(false);
    let states = [
        (1, (103.913_076_923_076_93, 103.916_666_666_666_67), 0.0, Some(0.000_122_465_943_790_760_56)),
        (2, (f64::NAN, f64::NAN), 0.0, Some(0.000_310_090_550_847_251_8)),
        (21, (101.607_703_156_664_64, 102.233_033_745_696_32), 0.0, Some(0.002_492_533_291_341_903)),
        (59, (102.437_548_497_430_63, 102.973_733_555_990_95), 0.0, None),
        (60, (102.541_002_574_749, 103.019_155_703_993_96), 0.026_675_454_952_578_34, None),
        (120, (101.139_444_005_550_33, 101.668_291_624_696_14), 0.040_994_243_366_163_4, None),
    ]
    .map(|(row, bands, hourly, log_range)| State { row, bands, hourly, log_range });
    let mut expected = states.iter();
    let mut next = expected.next();
    for row in 1..ROWS - 1 {
        indicators.absorb_stretch(&(row..row + 1), &coins, &ranges, &candles, &mut tape);
        let Some(state) = next.filter(|state| state.row == row) else { continue };
        let bands = indicators.bands(&tape, 0, Pside::Long, 0).expect("spans are numbers");
        if !state.bands.0.is_nan() {
            assert_eq!((bands.lower, bands.upper), state.bands, "row {row}");
        }
        assert_eq!(indicators.volatility(0, Pside::Long), state.hourly, "row {row}");
        if let Some(log_range) = state.log_range {
            assert_eq!(indicators.volatility_score(&tape, 0, Pside::Long, 0), log_range, "row {row}");
        }
        // without a volume filter the volume EMA keeps its initial value
        assert_eq!(indicators.volume_score(&tape, 0, Pside::Long, 0), 10_391.000_000_000_002);
        next = expected.next();
    }
    assert!(next.is_none(), "every state was reached");
}
