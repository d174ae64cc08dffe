//! EMA states: close, quote volume and log range by minute, log range by hour (`backtest_engine.md` 8).
//!
//! They depend on candles and spans alone and are computed a stretch at a time, coin by coin, onto the tape. A coin keeps
//! only the EMAs that somebody looks up; long and short share them where their spans agree.

use super::dataset::{Candle, Candles, ValidRange};
use super::tape::{CAPACITY, CoinTape, Column, Tape};
use super::{CoinSpec, HOUR_MS, MINUTE_MS};
use crate::logarithm;
use crate::num::{ema_alpha, ema_moves, same_span};
use crate::types::{BotParams, EmaBands, PerSide, Pside};
use std::ops::Range;

/// Close EMAs of a side.
const BAND: usize = 3;
/// Quote-volume and log-range EMA of a side.
const SCORES: usize = 2;

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

/// Which sides' close EMAs a coin keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    /// Those of one side, read by it alone or by both.
    One(Pside),
    Both,
}

/// EMAs of one coin.
#[derive(Clone, Debug)]
struct CoinEmas {
    closes: PerSide<[Ema; BAND]>,
    kept: Kept,
    /// Side whose close EMAs a side reads; `None` if a span is not a number.
    band_source: PerSide<Option<Pside>>,
    /// Quote volume, log range.
    scores: PerSide<[Ema; SCORES]>,
    hourly: PerSide<Ema>,
    /// Side whose hourly EMA a side reads; `None` if its own span is switched off.
    hourly_source: PerSide<Option<Pside>>,
    /// High and low of the last finished hour.
    bucket: (f64, f64),
    /// High and low of the running hour so far; infinite before its first price.
    running: (f64, f64),
}

/// No price yet.
const NO_RANGE: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);

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

    fn scores(self) -> bool {
        self.volume || self.log_range
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
    /// Quote volume and log range of the coin at work.
    inputs: [Column; SCORES],
}

/// The first of the sides whose span means the side's own; planner and engine look spans up in this order.
fn sources(spans: PerSide<Option<f64>>) -> PerSide<Option<Pside>> {
    PerSide::from_fn(|pside| {
        let wanted = spans[pside]?;
        Pside::BOTH.into_iter().find(|other| spans[*other].is_some_and(|span| same_span(span, wanted)))
    })
}

/// An EMA of these spans can leave the range of its input, or does not exist.
pub fn has_odd_span(p: &BotParams) -> bool {
    let hours = p.entry_volatility_ema_span_hours;
    p.ema_span_0 < 1.0 || p.ema_span_1 < 1.0 || !middle_span(p).is_finite() || (hours > 0.0 && hours < 1.0)
}

fn middle_span(p: &BotParams) -> f64 {
    (p.ema_span_0 * p.ema_span_1).sqrt()
}

fn sorted_spans(p: &BotParams) -> [f64; BAND] {
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

/// The smaller or larger of two numbers, of which one may be no number only where candles are `odd`.
#[inline]
fn smaller<const ODD: bool>(a: f64, b: f64) -> f64 {
    if ODD {
        a.min(b)
    } else if a < b {
        a
    } else {
        b
    }
}

#[inline]
fn larger<const ODD: bool>(a: f64, b: f64) -> f64 {
    -smaller::<ODD>(-a, -b)
}

/// Spans that the look-ups of a side find, in the order of the side's parameters; `None` if one is not a number.
fn found_spans(p: &BotParams, kept: &[f64]) -> Option<[f64; BAND]> {
    let find = |wanted: f64| kept.iter().copied().find(|span| wanted.is_finite() && same_span(*span, wanted));
    Some([find(p.ema_span_0)?, find(p.ema_span_1)?, find(middle_span(p))?])
}

impl CoinEmas {
    fn new(coin: &CoinSpec, sides: PerSide<bool>, first: Candle) -> Self {
        let params = &coin.params;
        let kept_spans: Vec<f64> = Pside::BOTH.into_iter().flat_map(|p| sorted_spans(&params[p])).collect();
        let seed = if first.close.is_finite() { first.close } else { 0.0 };
        let spans = PerSide::from_fn(|p| found_spans(&params[p], &kept_spans));
        let mut band_source = PerSide::from_fn(|p| spans[p].map(|_| p));
        if spans.long == spans.short {
            band_source.short = band_source.long;
        }
        let kept = match (sides.long, sides.short) {
            (true, true) if spans.long != spans.short => Kept::Both,
            (false, true) => {
                band_source = PerSide::from_fn(|p| spans[p].map(|_| Pside::Short));
                Kept::One(Pside::Short)
            }
            _ => Kept::One(Pside::Long),
        };
        Self {
            closes: PerSide::from_fn(|p| spans[p].unwrap_or([f64::NAN; BAND]).map(|span| Ema::new(span, seed))),
            kept,
            band_source,
            scores: PerSide::from_fn(|p| {
                let volume = Ema::new(params[p].filter_volume_ema_span, initial_volume(first));
                [volume, Ema::new(params[p].filter_volatility_ema_span, 0.0)]
            }),
            hourly: PerSide::from_fn(|p| Ema::new(params[p].entry_volatility_ema_span_hours, 0.0)),
            hourly_source: sources(PerSide::from_fn(|p| {
                Some(params[p].entry_volatility_ema_span_hours).filter(|hours| *hours > 0.0)
            })),
            bucket: (0.0, 0.0),
            running: NO_RANGE,
        }
    }

    /// Keeps the score EMAs that nobody needs where they are.
    fn freeze(&mut self, needs: PerSide<Needs>) {
        for pside in Pside::BOTH {
            let [volume, log_range] = &mut self.scores[pside];
            for (ema, needed) in [(volume, needs[pside].volume), (log_range, needs[pside].log_range)] {
                if !needed {
                    *ema = Ema { new_weight: 0.0, old_weight: 1.0, ..*ema };
                }
            }
        }
    }

    /// The EMAs of a stretch: `SIDES` bands, from `first` on, and the scores of the first `SCORED` sides.
    #[inline]
    fn run<const SIDES: usize, const SCORED: usize, const ODD: bool>(
        &mut self,
        sides: [Pside; SIDES],
        inputs: [&Column; SCORES],
        tape: &mut CoinTape,
        len: usize,
    ) {
        let mut bands = sides.map(|side| self.closes[side]);
        let mut scores: [[Ema; SCORES]; SCORED] = std::array::from_fn(|side| self.scores[Pside::BOTH[side]]);
        for at in 0..len {
            if !ODD || tape.candle(at).has_prices() {
                let close = tape.close[at];
                bands.iter_mut().flatten().for_each(|ema| ema.absorb(close));
                for [volume, log_range] in &mut scores {
                    volume.absorb(inputs[0][at]);
                    log_range.absorb(inputs[1][at]);
                }
            }
            for (side, band) in sides.into_iter().zip(&bands) {
                let [a, b, c] = band.map(|ema| ema.value);
                tape.lower[side][at] = smaller::<ODD>(smaller::<ODD>(a, b), c);
                tape.upper[side][at] = larger::<ODD>(larger::<ODD>(a, b), c);
            }
            for (side, [volume, log_range]) in Pside::BOTH.into_iter().zip(&scores) {
                tape.volume[side][at] = volume.value;
                tape.log_range[side][at] = log_range.value;
            }
        }
        for (side, band) in sides.into_iter().zip(bands) {
            self.closes[side] = band;
        }
        for (side, kept) in Pside::BOTH.into_iter().zip(scores) {
            self.scores[side] = kept;
        }
    }

    fn run_with<const SCORED: usize, const ODD: bool>(
        &mut self,
        inputs: [&Column; SCORES],
        tape: &mut CoinTape,
        len: usize,
    ) {
        match self.kept {
            Kept::One(pside) => self.run::<1, SCORED, ODD>([pside], inputs, tape, len),
            Kept::Both => self.run::<2, SCORED, ODD>(Pside::BOTH, inputs, tape, len),
        }
    }

    fn absorb<const ODD: bool>(
        &mut self,
        needs: PerSide<Needs>,
        inputs: [&Column; SCORES],
        tape: &mut CoinTape,
        len: usize,
    ) {
        if needs.short.scores() {
            self.run_with::<2, ODD>(inputs, tape, len);
        } else if needs.long.scores() {
            self.run_with::<1, ODD>(inputs, tape, len);
        } else {
            self.run_with::<0, ODD>(inputs, tape, len);
        }
    }

    /// Writes the values as they stand to all rows.
    fn hold(&self, tape: &mut CoinTape) {
        for pside in Pside::BOTH {
            let values = self.closes[pside].map(|ema| ema.value);
            tape.lower[pside].fill(values.into_iter().fold(f64::INFINITY, f64::min));
            tape.upper[pside].fill(values.into_iter().fold(f64::NEG_INFINITY, f64::max));
            tape.volume[pside].fill(self.scores[pside][0].value);
            tape.log_range[pside].fill(self.scores[pside][1].value);
        }
    }

    fn extend_hour(&mut self, high: f64, low: f64) {
        self.running = (self.running.0.max(high), self.running.1.min(low));
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
        let emas = |(coin, range): (&CoinSpec, &ValidRange)| {
            let mut emas = CoinEmas::new(coin, readers.sides, candles.at(range.first, coin.column));
            emas.freeze(needs);
            if range.valid(0) {
                let c = candles.at(0, coin.column);
                if c.high.is_finite() && c.low.is_finite() {
                    emas.extend_hour(c.high, c.low);
                }
            }
            emas
        };
        Self {
            coins: coins.iter().zip(ranges).map(emas).collect(),
            needs,
            volume_source,
            log_range_source,
            first_timestamp_ms,
            last_hour_ms: first_timestamp_ms.div_euclid(HOUR_MS) * HOUR_MS,
            inputs: [[0.0; CAPACITY]; SCORES],
        }
    }

    /// A tape with the values before row 1, some of which never move.
    pub fn new_tape(&self, odd: bool) -> Tape {
        let mut tape = Tape::new(self.coins.len(), odd);
        for (emas, columns) in self.coins.iter().zip(&mut tape.coins) {
            emas.hold(columns);
        }
        tape
    }

    /// First row after `row` that begins an hour.
    pub fn next_hour(&self, row: usize) -> usize {
        let now = self.first_timestamp_ms + MINUTE_MS * row as i64;
        let hour = (now.div_euclid(HOUR_MS) + 1) * HOUR_MS;
        ((hour - self.first_timestamp_ms) as u64).div_ceil(MINUTE_MS as u64) as usize
    }

    /// Absorbs a stretch of rows onto the tape: the hour that ends before it, if any, then the candles of every valid coin.
    pub fn absorb_stretch(
        &mut self,
        rows: &Range<usize>,
        coins: &[CoinSpec],
        ranges: &[ValidRange],
        candles: &impl Candles,
        tape: &mut Tape,
    ) {
        tape.start(rows);
        tape.load(coins, ranges, candles);
        if self.needs.long.hourly || self.needs.short.hourly {
            self.absorb_hour_before(rows.start);
        }
        let len = tape.len;
        let volume = self.needs.long.volume || self.needs.short.volume;
        let log_range = self.needs.long.log_range || self.needs.short.log_range;
        let [volumes, log_ranges] = &mut self.inputs;
        for (emas, column) in self.coins.iter_mut().zip(&mut tape.coins) {
            if !column.valid {
                emas.hold(column);
                continue;
            }
            if volume {
                for at in 0..len {
                    volumes[at] = column.candle(at).quote_volume();
                }
            }
            if log_range {
                logarithm::log_ranges(&column.high[..len], &column.low[..len], &mut log_ranges[..len]);
            }
            if column.ordinary {
                emas.absorb::<false>(self.needs, [&*volumes, &*log_ranges], column, len);
                emas.extend_hour(column.extremes.0, column.extremes.1);
            } else {
                emas.absorb::<true>(self.needs, [&*volumes, &*log_ranges], column, len);
                let known = |c: &Candle| c.high.is_finite() && c.low.is_finite();
                for candle in (0..len).map(|at| column.candle(at)).filter(known) {
                    emas.extend_hour(candle.high, candle.low);
                }
            }
        }
    }

    fn absorb_hour_before(&mut self, row: usize) {
        let now = self.first_timestamp_ms + MINUTE_MS * row as i64;
        let hour = now.div_euclid(HOUR_MS) * HOUR_MS;
        if hour <= self.last_hour_ms {
            return;
        }
        let window = self.first_timestamp_ms.max(self.last_hour_ms);
        let refresh = now > window + MINUTE_MS;
        self.last_hour_ms = hour;
        for emas in &mut self.coins {
            if refresh && emas.running != NO_RANGE {
                emas.bucket = emas.running;
            }
            emas.running = NO_RANGE;
            emas.absorb_hour();
        }
    }

    /// Smallest and largest price EMA of a coin and side; `None` if a span is not a number.
    #[inline]
    pub fn bands(&self, tape: &Tape, coin: usize, pside: Pside, at: usize) -> Option<EmaBands> {
        let source = self.coins[coin].band_source[pside]?;
        let columns = &tape.coins[coin];
        Some(EmaBands { lower: columns.lower[source][at], upper: columns.upper[source][at] })
    }

    /// Columns of the smallest and the largest price EMA.
    #[inline]
    pub fn band_columns<'t>(&self, tape: &'t Tape, coin: usize, pside: Pside) -> Option<(&'t Column, &'t Column)> {
        let source = self.coins[coin].band_source[pside]?;
        let columns = &tape.coins[coin];
        Some((&columns.lower[source], &columns.upper[source]))
    }

    /// Hourly log-range EMA; 0 where the span switches it off.
    #[inline]
    pub fn volatility(&self, coin: usize, pside: Pside) -> f64 {
        let emas = &self.coins[coin];
        emas.hourly_source[pside].map_or(0.0, |source| emas.hourly[source].value)
    }

    /// Quote-volume EMAs as coin selection reads them; `None` stands for 0.
    #[inline]
    pub fn volumes<'t>(&self, tape: &'t Tape, coin: usize, pside: Pside) -> Option<&'t Column> {
        Some(&tape.coins[coin].volume[self.volume_source[pside]?])
    }

    /// 1-minute log-range EMAs as coin selection reads them; `None` stands for 0.
    #[inline]
    pub fn log_ranges<'t>(&self, tape: &'t Tape, coin: usize, pside: Pside) -> Option<&'t Column> {
        Some(&tape.coins[coin].log_range[self.log_range_source[pside]?])
    }

    /// Quote-volume EMA of a row.
    #[inline]
    pub fn volume_score(&self, tape: &Tape, coin: usize, pside: Pside, at: usize) -> f64 {
        self.volumes(tape, coin, pside).map_or(0.0, |column| column[at])
    }

    /// 1-minute log-range EMA of a row.
    #[inline]
    pub fn volatility_score(&self, tape: &Tape, coin: usize, pside: Pside, at: usize) -> f64 {
        self.log_ranges(tape, coin, pside).map_or(0.0, |column| column[at])
    }
}
