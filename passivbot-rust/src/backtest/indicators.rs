//! EMA states: close, quote volume and log range by minute, log range by hour (`backtest_engine.md` 8).
//!
//! A coin keeps its close EMAs in lanes, one lane for each span that somebody looks up; long and short share a lane
//! where their spans agree. A lane that must not move has the weights (0, 1), so the update needs no branch.

use super::dataset::{Candle, Candles, ValidRange};
use super::{CoinSpec, HOUR_MS, MINUTE_MS};
use crate::num::{ema_alpha, ema_moves, same_span};
use crate::types::{BotParams, EmaBands, PerSide, Pside};

/// Close EMAs of a coin: three spans for each side.
const LANES: usize = 6;

/// One EMA: value and weights of the new and of the old value.
#[derive(Clone, Copy, Debug, Default)]
struct Ema {
    value: f64,
    new_weight: f64,
    old_weight: f64,
}

impl Ema {
    fn new(span: f64, value: f64) -> Self {
        let alpha = ema_alpha(span);
        let (new_weight, old_weight) = if ema_moves(alpha) { (alpha, 1.0 - alpha) } else { (0.0, 1.0) };
        Self { value, new_weight, old_weight }
    }

    #[inline]
    fn absorb(&mut self, x: f64) {
        self.value = self.new_weight * x + self.old_weight * self.value;
    }
}

/// EMAs of one coin.
#[derive(Clone, Debug)]
struct CoinEmas {
    /// Lanes in use; those behind them are not kept up to date.
    lanes: usize,
    values: [f64; LANES],
    new_weights: [f64; LANES],
    old_weights: [f64; LANES],
    /// Lanes of the three spans of a side; `None` if a span is not a number.
    bands: PerSide<Option<[usize; 3]>>,
    volume: PerSide<Ema>,
    log_range: PerSide<Ema>,
    hourly: PerSide<Ema>,
    /// Side whose hourly EMA a side reads; `None` if its own span is switched off.
    hourly_source: PerSide<Option<Pside>>,
    /// High and low of the last finished hour.
    bucket: (f64, f64),
}

/// Which of the optional EMAs move (`backtest_engine.md` 3.3).
#[derive(Clone, Copy, Debug, Default)]
struct Needs {
    volume: bool,
    log_range: bool,
    hourly: bool,
}

impl Needs {
    fn new<'a>(mut params: impl Iterator<Item = &'a BotParams> + Clone) -> Self {
        let weighs_range = |p: &BotParams| {
            [
                p.entry_grid_spacing_volatility_weight,
                p.entry_trailing_threshold_volatility_weight,
                p.entry_trailing_retracement_volatility_weight,
                p.entry_trailing_grid_ratio,
            ]
            .into_iter()
            .any(|weight| weight != 0.0)
        };
        Self {
            volume: params.clone().any(|p| p.filter_volume_drop_pct != 0.0),
            log_range: params.clone().any(weighs_range),
            hourly: params.any(|p| p.entry_volatility_ema_span_hours > 0.0),
        }
    }
}

/// What of the states somebody will look at; the rest is not kept up to date.
#[derive(Clone, Copy, Debug)]
pub struct Readers {
    /// Sides that plan at all.
    pub sides: PerSide<bool>,
    /// Coins compete for slots by their volume and volatility.
    pub ranking: bool,
}

/// All EMA states of a run.
#[derive(Clone, Debug)]
pub struct Indicators {
    coins: Vec<CoinEmas>,
    needs: PerSide<Needs>,
    /// Side whose forager EMA a side reads, by the global spans.
    volume_source: PerSide<Option<Pside>>,
    log_range_source: PerSide<Option<Pside>>,
    first_timestamp_ms: i64,
    last_hour_ms: i64,
    /// Some band or volatility might be no positive number: a candle or a span was out of the ordinary.
    pub odd: bool,
}

/// The first of the sides whose span means the side's own; planner and engine look spans up in this order.
fn sources(spans: PerSide<Option<f64>>) -> PerSide<Option<Pside>> {
    PerSide::from_fn(|pside| {
        let wanted = spans[pside]?;
        Pside::BOTH.into_iter().find(|other| spans[*other].is_some_and(|span| same_span(span, wanted)))
    })
}

/// An EMA of these spans can leave the range of its input, or does not exist.
fn has_odd_span(p: &BotParams) -> bool {
    let hours = p.entry_volatility_ema_span_hours;
    p.ema_span_0 < 1.0 || p.ema_span_1 < 1.0 || (hours > 0.0 && hours < 1.0)
}

fn middle_span(p: &BotParams) -> f64 {
    (p.ema_span_0 * p.ema_span_1).sqrt()
}

fn sorted_spans(p: &BotParams) -> [f64; 3] {
    let mut spans = [p.ema_span_0, p.ema_span_1, middle_span(p)];
    spans.sort_by(f64::total_cmp);
    spans
}

/// Initial quote volume of a coin (8.3).
fn initial_volume(c: Candle) -> f64 {
    let volume = if c.volume.is_finite() { c.volume.max(0.0) } else { 0.0 };
    let has_price = c.high.is_finite() && c.low.is_finite() && c.close > 0.0;
    let typical = if has_price { (c.high + c.low + c.close) / 3.0 } else { c.close.max(1.0) };
    volume * typical
}

impl CoinEmas {
    fn new(coin: &CoinSpec, sides: PerSide<bool>, first: Candle) -> Self {
        let params = &coin.params;
        let spans: Vec<f64> = Pside::BOTH.into_iter().flat_map(|p| sorted_spans(&params[p])).collect();
        let seed = if first.close.is_finite() { first.close } else { 0.0 };
        let mut emas = Self {
            lanes: 0,
            values: [seed; LANES],
            new_weights: [0.0; LANES],
            old_weights: [1.0; LANES],
            bands: PerSide::default(),
            volume: PerSide::from_fn(|p| Ema::new(params[p].filter_volume_ema_span, initial_volume(first))),
            log_range: PerSide::from_fn(|p| Ema::new(params[p].filter_volatility_ema_span, 0.0)),
            hourly: PerSide::from_fn(|p| Ema::new(params[p].entry_volatility_ema_span_hours, 0.0)),
            hourly_source: sources(PerSide::from_fn(|p| {
                Some(params[p].entry_volatility_ema_span_hours).filter(|hours| *hours > 0.0)
            })),
            bucket: (0.0, 0.0),
        };
        emas.bands = PerSide::from_fn(|p| {
            let lane = |wanted: f64| spans.iter().position(|span| wanted.is_finite() && same_span(*span, wanted));
            let p = &params[p];
            Some([lane(p.ema_span_0)?, lane(p.ema_span_1)?, lane(middle_span(p))?])
        });
        let read = Pside::BOTH.into_iter().filter(|p| sides[*p]).filter_map(|p| emas.bands[p]);
        for lane in read.flatten().collect::<Vec<_>>() {
            let ema = Ema::new(spans[lane], seed);
            (emas.new_weights[lane], emas.old_weights[lane]) = (ema.new_weight, ema.old_weight);
            emas.lanes = emas.lanes.max(lane + 1);
        }
        emas
    }

    #[inline]
    fn absorb_close<const N: usize>(&mut self, close: f64) {
        for lane in 0..N {
            self.values[lane] = self.new_weights[lane] * close + self.old_weights[lane] * self.values[lane];
        }
    }

    #[inline]
    fn absorb(&mut self, c: Candle, needs: PerSide<Needs>) {
        if self.lanes <= LANES / 2 {
            self.absorb_close::<{ LANES / 2 }>(c.close);
        } else {
            self.absorb_close::<LANES>(c.close);
        }
        if needs.long.volume || needs.short.volume {
            let volume = if c.volume.is_finite() { c.volume.max(0.0) } else { 0.0 };
            let quote = volume * ((c.high + c.low + c.close) / 3.0);
            for pside in Pside::BOTH {
                if needs[pside].volume {
                    self.volume[pside].absorb(quote);
                }
            }
        }
        if needs.long.log_range || needs.short.log_range {
            let range = if c.high > 0.0 && c.low > 0.0 { (c.high / c.low).ln() } else { 0.0 };
            for pside in Pside::BOTH {
                if needs[pside].log_range {
                    self.log_range[pside].absorb(range);
                }
            }
        }
    }

    fn absorb_hour(&mut self) {
        let (high, low) = self.bucket;
        let usable = |x: f64| x.is_finite() && x > 0.0;
        if !usable(high) || !usable(low) {
            return;
        }
        let range = (high / low).ln();
        for pside in Pside::BOTH {
            self.hourly[pside].absorb(range);
        }
    }
}

impl Indicators {
    /// States before row 1: seeded by each coin's first valid candle.
    pub fn new(
        coins: &[CoinSpec],
        ranges: &[ValidRange],
        candles: &impl Candles,
        globals: &PerSide<BotParams>,
        readers: Readers,
        first_timestamp_ms: i64,
    ) -> Self {
        let finite = |span: f64| Some(span).filter(|span| span.is_finite());
        let volume_source = sources(PerSide::from_fn(|p| finite(globals[p].filter_volume_ema_span)));
        let log_range_source = sources(PerSide::from_fn(|p| finite(globals[p].filter_volatility_ema_span)));
        let read = |source: &PerSide<Option<Pside>>, pside: Pside| {
            readers.ranking && Pside::BOTH.into_iter().any(|p| readers.sides[p] && source[p] == Some(pside))
        };
        let needs = PerSide::from_fn(|p| {
            let needs = Needs::new(coins.iter().map(|coin| &coin.params[p]));
            Needs {
                volume: needs.volume && read(&volume_source, p),
                log_range: needs.log_range && read(&log_range_source, p),
                hourly: needs.hourly,
            }
        });
        Self {
            coins: coins
                .iter()
                .zip(ranges)
                .map(|(coin, range)| CoinEmas::new(coin, readers.sides, candles.at(range.first, coin.column)))
                .collect(),
            needs,
            volume_source,
            log_range_source,
            first_timestamp_ms,
            last_hour_ms: first_timestamp_ms.div_euclid(HOUR_MS) * HOUR_MS,
            odd: coins.iter().zip(ranges).any(|(coin, range)| {
                !candles.at(range.first, coin.column).is_ordinary() || coin.params.iter().any(has_odd_span)
            }),
        }
    }

    /// Absorbs row `row`: the hour that it ends, if any, then the candle of every valid coin. True if an hour ended.
    pub fn absorb_row(
        &mut self,
        row: usize,
        coins: &[CoinSpec],
        ranges: &[ValidRange],
        candles: &impl Candles,
    ) -> bool {
        let hourly = self.needs.long.hourly || self.needs.short.hourly;
        let hour_ended = hourly && self.absorb_hour_before(row, coins, ranges, candles);
        for ((emas, coin), range) in self.coins.iter_mut().zip(coins).zip(ranges) {
            if range.valid(row) {
                let candle = candles.at(row, coin.column);
                self.odd |= !candle.is_ordinary();
                if candle.has_prices() {
                    emas.absorb(candle, self.needs);
                }
            }
        }
        hour_ended
    }

    fn absorb_hour_before(
        &mut self,
        row: usize,
        coins: &[CoinSpec],
        ranges: &[ValidRange],
        candles: &impl Candles,
    ) -> bool {
        let now = self.first_timestamp_ms + MINUTE_MS * row as i64;
        let hour = now.div_euclid(HOUR_MS) * HOUR_MS;
        if hour <= self.last_hour_ms {
            return false;
        }
        let window = self.first_timestamp_ms.max(self.last_hour_ms);
        let start = ((window - self.first_timestamp_ms) / MINUTE_MS) as usize;
        let refresh = now > window + MINUTE_MS;
        self.last_hour_ms = hour;
        for ((emas, coin), range) in self.coins.iter_mut().zip(coins).zip(ranges) {
            if refresh {
                let rows = start.max(range.first)..row.min(range.last + 1);
                emas.bucket = hour_range(rows, coin.column, candles).unwrap_or(emas.bucket);
            }
            emas.absorb_hour();
        }
        true
    }

    /// Smallest and largest price EMA of a coin and side; `None` if a span is not a number.
    #[inline]
    pub fn bands(&self, coin: usize, pside: Pside) -> Option<EmaBands> {
        let emas = &self.coins[coin];
        let [a, b, c] = emas.bands[pside]?.map(|lane| emas.values[lane]);
        Some(EmaBands { lower: a.min(b).min(c), upper: a.max(b).max(c) })
    }

    /// Hourly log-range EMA; 0 where the span switches it off.
    #[inline]
    pub fn volatility(&self, coin: usize, pside: Pside) -> f64 {
        let emas = &self.coins[coin];
        emas.hourly_source[pside].map_or(0.0, |source| emas.hourly[source].value)
    }

    /// Quote-volume EMA as coin selection reads it.
    #[inline]
    pub fn volume_score(&self, coin: usize, pside: Pside) -> f64 {
        self.volume_source[pside].map_or(0.0, |source| self.coins[coin].volume[source].value)
    }

    /// 1-minute log-range EMA as coin selection reads it.
    #[inline]
    pub fn volatility_score(&self, coin: usize, pside: Pside) -> f64 {
        self.log_range_source[pside].map_or(0.0, |source| self.coins[coin].log_range[source].value)
    }
}

/// Highest high and lowest low of the rows that have both.
fn hour_range(rows: std::ops::Range<usize>, column: usize, candles: &impl Candles) -> Option<(f64, f64)> {
    rows.map(|row| candles.at(row, column))
        .filter(|c| c.high.is_finite() && c.low.is_finite())
        .map(|c| (c.high, c.low))
        .reduce(|(high, low), (h, l)| (high.max(h), low.min(l)))
}
