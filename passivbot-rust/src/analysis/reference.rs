//! The metrics once more, word by word after `backtest_engine.md` 15 and without a thought for speed; random runs are
//! compared with it.

use std::collections::HashMap;

use proptest::prelude::*;

use super::{Analysis, AnalysisInput, METRICS, analyse};
use crate::types::{FillLog, OrderKind, OrderType, PerSide, Pside, Samples};

#[derive(Clone)]
struct Fill {
    index: usize,
    key: (u32, Pside),
    pnl: f64,
    fee: f64,
    balance: f64,
    qty: f64,
    price: f64,
    psize: f64,
}

fn mean(v: &[f64]) -> f64 {
    if v.is_empty() { 0.0 } else { v.iter().fold(0.0, |s, x| s + x) / v.len() as f64 }
}

fn sorted(v: &[f64]) -> Vec<f64> {
    let mut v = v.to_vec();
    v.sort_by(f64::total_cmp);
    v
}

fn median(v: &[f64]) -> f64 {
    let (v, n) = (sorted(v), v.len());
    match n {
        0 => 0.0,
        _ if n % 2 == 1 => v[n / 2],
        _ => f64::midpoint(v[n / 2 - 1], v[n / 2]),
    }
}

fn max(v: &[f64]) -> f64 {
    v.iter().copied().fold(0.0, f64::max)
}

fn rms(v: &[f64]) -> f64 {
    mean(&v.iter().map(|x| x * x).collect::<Vec<_>>()).sqrt()
}

fn picked(v: &[f64], keep: impl Fn(f64) -> bool) -> Vec<f64> {
    v.iter().copied().filter(|x| keep(*x)).collect()
}

fn mean_abs_of_lowest(v: &[f64], m: usize) -> f64 {
    mean(&sorted(v).into_iter().take(m).map(f64::abs).collect::<Vec<_>>())
}

fn changes(v: &[f64]) -> Vec<f64> {
    v.windows(2).map(|w| (w[1] - w[0]) / w[0].abs().max(1e-12)).collect()
}

fn drawdowns(s: &[f64]) -> Vec<f64> {
    let Some(&first) = s.first() else { return vec![] };
    let mut peak = if first.abs() < 1e-12 { 1e-12 } else { first };
    let mut out = vec![];
    for &v in s {
        if v > peak {
            peak = v.max(1e-12);
        }
        out.push((v - peak) / peak.abs().max(1e-12));
    }
    out
}

fn recovery(s: &[f64]) -> f64 {
    let (mut peak, mut peak_i, mut best) = (f64::NEG_INFINITY, 0, 0);
    for (i, &v) in s.iter().enumerate() {
        if v >= peak {
            best = best.max(i - peak_i);
            (peak, peak_i) = (v, i);
        }
    }
    best as f64 / 60.0
}

fn fit_error(last: &[f64]) -> f64 {
    if last.len() < 2 || last.iter().any(|v| *v <= 0.0) {
        return f64::INFINITY;
    }
    let m = last.len() as f64;
    let d: Vec<f64> = (0..last.len()).map(|d| d as f64).collect();
    let y: Vec<f64> = last.iter().map(|v| v.ln()).collect();
    let sum = |f: &dyn Fn(usize) -> f64| (0..last.len()).fold(0.0, |s, i| s + f(i));
    let (sx, sy) = (sum(&|i| d[i]), sum(&|i| y[i]));
    let (sxx, sxy) = (sum(&|i| d[i] * d[i]), sum(&|i| d[i] * y[i]));
    let slope = (m * sxy - sx * sy) / (m * sxx - sx * sx);
    let icpt = (sy - slope * sx) / m;
    sum(&|i| ((slope * d[i] + icpt) - y[i]) * ((slope * d[i] + icpt) - y[i])) / m
}

/// Metrics by name.
type Named = HashMap<&'static str, f64>;

/// 15.4 for a stretch of equity and its fills.
fn evaluate(e: &[f64], fills: &[Fill]) -> Named {
    let mut out: Named = METRICS.iter().map(|m| (m.name, 0.0)).collect();
    if fills.len() <= 1 {
        for name in "drawdown_worst drawdown_worst_mean_1pct equity_balance_diff_neg_max equity_balance_diff_neg_mean \
            equity_balance_diff_pos_max equity_balance_diff_pos_mean loss_profit_ratio equity_choppiness \
            equity_jerkiness exponential_fit_error loss_profit_ratio_w equity_choppiness_w equity_jerkiness_w \
            exponential_fit_error_w"
            .split_whitespace()
        {
            out.insert(METRICS.iter().find(|m| m.name == name).unwrap().name, 1.0);
        }
        return out;
    }
    let last: Vec<f64> = e.chunks(1440).map(|day| day[day.len() - 1]).collect();
    let lows: Vec<f64> = e.chunks(1440).map(|day| day.iter().copied().fold(f64::INFINITY, f64::min)).collect();
    let (r_last, r_min) = (changes(&last), changes(&lows));
    let days = last.len();

    let (gain, adg) = if days < 2 {
        (0.0, 0.0)
    } else if last[0] <= 0.0 {
        (f64::INFINITY, f64::INFINITY)
    } else {
        let s = last[1..].iter().fold(last[0], |s, v| 0.5 * v + 0.5 * s);
        if s <= 0.0 { (-1.0, -1.0) } else { (s / last[0], (s / last[0]).powf(1.0 / days as f64) - 1.0) }
    };
    let spread = rms(&r_min.iter().map(|r| r - adg).collect::<Vec<_>>());
    let losses: f64 = picked(&r_last, |r| r < 0.0).iter().map(|r| r.abs()).sum();
    out.insert("gain", gain);
    out.insert("adg", adg);
    out.insert("mdg", median(&r_last));
    out.insert("sharpe_ratio", if spread == 0.0 { 0.0 } else { adg / spread });
    out.insert("sortino_ratio", over(adg, &picked(&r_min, |r| r < 0.0)));
    let gains: f64 = picked(&r_last, |r| r >= 0.0).iter().sum();
    out.insert("omega_ratio", if losses == 0.0 { f64::INFINITY } else { gains / losses });
    let m = r_min.len().min((0.01 * r_min.len() as f64).max(1.0) as usize);
    out.insert("expected_shortfall_1pct", mean_abs_of_lowest(&r_min, m));
    let worst = max(&drawdowns(e).iter().map(|d| d.abs()).collect::<Vec<_>>());
    let dd = drawdowns(&lows);
    let mean_worst = mean_abs_of_lowest(&dd, ((0.01 * dd.len() as f64) as usize).max(1));
    out.insert("drawdown_worst", worst);
    out.insert("drawdown_worst_mean_1pct", mean_worst);
    out.insert("calmar_ratio", adg / worst.max(1e-12));
    out.insert("sterling_ratio", adg / mean_worst.max(1e-12));
    let net = last.last().map_or(0.0, |l| (l - last[0]).abs());
    let path = last.windows(2).fold(0.0, |s, w| s + (w[1] - w[0]).abs());
    let choppiness = if net < f64::EPSILON { f64::INFINITY } else { path / net };
    out.insert("equity_choppiness", if days < 2 { 0.0 } else { choppiness });
    let jerk = last.windows(3).map(|w| {
        let level = ((w[0] + w[1] + w[2]) / 3.0).abs();
        if level < f64::EPSILON { 0.0 } else { (w[2] - 2.0 * w[1] + w[0]).abs() / level }
    });
    out.insert("equity_jerkiness", mean(&jerk.collect::<Vec<_>>()));
    out.insert("exponential_fit_error", fit_error(&last));

    of_fills(fills, &mut out);
    of_both(e, fills, &mut out);
    of_positions(e, fills, &mut out);
    out
}

fn over(a: f64, losses: &[f64]) -> f64 {
    if losses.is_empty() { 0.0 } else { a / rms(losses) }
}

fn of_fills(fills: &[Fill], out: &mut Named) {
    let mut by_day: Vec<Vec<&Fill>> = vec![];
    for f in fills {
        match by_day.last_mut() {
            Some(day) if day[0].index / 1440 == f.index / 1440 => day.push(f),
            _ => by_day.push(vec![f]),
        }
    }
    let f_day: Vec<f64> = by_day
        .iter()
        .map(|day| (day.iter().fold(0.0, |s, f| s + (f.pnl + f.fee)), day[day.len() - 1].balance))
        .filter(|(sum, b)| sum.is_finite() && b.is_finite())
        .map(|(sum, b)| sum / b.abs().max(1e-12))
        .collect();
    let adg_pnl = mean(&f_day);
    let std = rms(&f_day.iter().map(|f| f - adg_pnl).collect::<Vec<_>>());
    out.insert("adg_pnl", adg_pnl);
    out.insert("mdg_pnl", median(&f_day));
    out.insert("sharpe_ratio_pnl", if std == 0.0 { 0.0 } else { adg_pnl / std });
    out.insert("sortino_ratio_pnl", over(adg_pnl, &picked(&f_day, |f| f < 0.0)));
    let volumes: Vec<f64> =
        by_day.iter().map(|day| day.iter().fold(0.0, |s, f| s + f.qty.abs() * f.price / f.balance)).collect();
    out.insert("volume_pct_per_day_avg", mean(&volumes));
    let profit = fills.iter().filter(|f| f.pnl > 0.0).fold(0.0, |s, f| s + f.pnl);
    let loss = fills.iter().filter(|f| f.pnl <= 0.0 || f.pnl.is_nan()).fold(0.0, |s, f| s + f.pnl.abs());
    out.insert("loss_profit_ratio", if profit == 0.0 { f64::INFINITY } else { loss / profit });
}

fn of_both(e: &[f64], fills: &[Fill], out: &mut Named) {
    let mut xs = vec![];
    for (i, v) in e.iter().enumerate() {
        let b = fills.iter().rev().find(|f| f.index <= i).unwrap_or(&fills[0]).balance;
        xs.push((v - b) / b);
    }
    let (above, below) = (picked(&xs, |x| x > 0.0), picked(&xs, |x| x < 0.0));
    let below: Vec<f64> = below.iter().map(|x| x.abs()).collect();
    out.insert("equity_balance_diff_pos_max", max(&above));
    out.insert("equity_balance_diff_pos_mean", mean(&above));
    out.insert("equity_balance_diff_neg_max", max(&below));
    out.insert("equity_balance_diff_neg_mean", mean(&below));
    out.insert("peak_recovery_hours_equity", recovery(e));
    let (mut total, mut sums) = (0.0, vec![]);
    for i in 0..e.len() {
        fills.iter().filter(|f| f.index == i).for_each(|f| total += f.pnl + f.fee);
        sums.push(total);
    }
    out.insert("peak_recovery_hours_pnl", recovery(&sums));
}

fn of_positions(e: &[f64], fills: &[Fill], out: &mut Named) {
    let (mut open, mut held, mut unchanged) = (HashMap::<_, (usize, usize)>::new(), vec![], vec![]);
    for f in fills {
        let (opened, changed) = *open.entry(f.key).or_insert((f.index, f.index));
        unchanged.push((f.index - changed) as f64);
        open.insert(f.key, (opened, f.index));
        if f.psize == 0.0 {
            held.push((f.index - opened) as f64);
            open.remove(&f.key);
        }
    }
    let end = fills[fills.len() - 1].index;
    for (opened, changed) in open.values() {
        held.push((end - opened) as f64);
        unchanged.push((end - changed) as f64);
    }
    out.insert("positions_held_per_day", held.len() as f64 / (e.len() as f64 / 1440.0));
    out.insert("position_held_hours_mean", mean(&held) / 60.0);
    out.insert("position_held_hours_max", max(&held) / 60.0);
    out.insert("position_held_hours_median", median(&held) / 60.0);
    out.insert("position_unchanged_hours_max", max(&unchanged) / 60.0);
}

/// 15.5, the rest of 15.4 and the order of the table.
fn whole(e: &[f64], fills: &[Fill], input: &AnalysisInput<'_>) -> [f64; 53] {
    let mut out = evaluate(e, fills);
    if fills.len() > 1 {
        let (n, mut runs) = (e.len() as f64, vec![out.clone()]);
        for j in 1..=9 {
            let start = (n - (1.0 / f64::from(1 + j)) * n).round() as usize;
            let tail: Vec<Fill> = fills.iter().filter(|f| f.index >= start).cloned().collect();
            if start >= e.len() || tail.is_empty() {
                break;
            }
            runs.push(evaluate(&e[start..], &tail));
        }
        for m in METRICS.iter().filter(|m| m.weighted) {
            let plain = m.name.strip_suffix("_w").unwrap();
            out.insert(m.name, runs.iter().fold(0.0, |s, run| s + run[plain]) / 10.0);
        }
        let finite = |v: &[f64]| picked(v, f64::is_finite);
        let samples = finite(&input.samples.twe_net);
        let twe = if samples.is_empty() { finite(&input.fills.twe_net) } else { samples };
        out.insert("total_wallet_exposure_max", sorted(&twe).last().copied().unwrap_or(0.0));
        out.insert("total_wallet_exposure_mean", mean(&twe));
        out.insert("total_wallet_exposure_median", median(&twe));
    }
    out.insert("entry_initial_balance_pct_long", input.entry_initial_balance_pct.long);
    out.insert("entry_initial_balance_pct_short", input.entry_initial_balance_pct.short);
    METRICS.map(|m| out[m.name])
}

fn reference(input: &AnalysisInput<'_>) -> Analysis {
    let log = input.fills;
    let fills = |btc: bool| -> Vec<Fill> {
        (0..log.len())
            .map(|i| {
                let rate = if btc && log.btc_price[i] > 0.0 { log.btc_price[i] } else { 1.0 };
                Fill {
                    index: log.index[i] as usize,
                    key: (log.coin[i], log.order_type[i].pside()),
                    pnl: log.pnl[i] / rate,
                    fee: log.fee_paid[i] / rate,
                    balance: log.usd_total_balance[i] / rate,
                    qty: log.qty[i],
                    price: log.price[i] / rate,
                    psize: log.psize[i],
                }
            })
            .collect()
    };
    let usd = whole(&input.samples.equity_usd, &fills(false), input);
    let btc = if input.collateral { whole(&input.samples.equity_btc, &fills(true), input) } else { usd };
    Analysis { usd, btc }
}

/// What a random run looks like.
#[derive(Clone, Copy, Debug)]
struct Shape {
    rows: usize,
    fills: usize,
    /// Fill rows may lie this far behind the last sample (15.1).
    late_rows: usize,
    /// Equity at the start.
    start: f64,
    /// Largest change of equity in a minute.
    step: f64,
    /// Share of minutes at which equity does not move.
    still: f64,
    /// Share of values that are NaN, infinite or zero.
    odd: f64,
    seed: u64,
}

fn shapes() -> impl Strategy<Value = Shape> {
    let rows = prop_oneof![1..40_usize, 1..4_000_usize, Just(1440), Just(2880), 1..14_000_usize];
    let odd = prop_oneof![3 => Just(0.0), 1 => Just(0.01)];
    let start = prop_oneof![4 => Just(1000.0), 1 => -5.0..5.0];
    let step = prop_oneof![Just(0.1), Just(1.0), Just(50.0)];
    (rows, 0..60_usize, 0..3_000_usize, start, step, prop_oneof![Just(0.0), Just(0.9)], odd, any::<u64>()).prop_map(
        |(rows, fills, late_rows, start, step, still, odd, seed)| Shape {
            rows,
            fills,
            late_rows,
            start,
            step,
            still,
            odd,
            seed,
        },
    )
}

/// Uniform numbers in 0..1 from a seed.
fn uniform(seed: u64) -> impl FnMut() -> f64 {
    let mut x = seed | 1;
    move || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        (x >> 11) as f64 / (1_u64 << 53) as f64
    }
}

fn random_run(shape: Shape) -> (FillLog, Samples) {
    let mut u = uniform(shape.seed);
    let mut odd_one = uniform(shape.seed ^ 0x9e37_79b9_7f4a_7c15);
    let mut odd = move |v: f64| {
        if odd_one() >= shape.odd {
            return v;
        }
        [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -v][(odd_one() * 5.0) as usize]
    };
    let (mut samples, mut equity, mut exposure) = (Samples::default(), shape.start, 0.5);
    for _ in 0..shape.rows {
        if u() >= shape.still {
            equity += shape.step * (u() - 0.5);
            exposure = u() - 0.3;
        }
        samples.equity_usd.push(odd(equity));
        samples.equity_btc.push(odd(equity / (40_000.0 + u())));
        samples.twe_net.push(odd(exposure));
    }
    let mut rows: Vec<u32> = (0..shape.fills).map(|_| (u() * (shape.rows + shape.late_rows) as f64) as u32).collect();
    rows.sort_unstable();
    let mut log = FillLog { index: rows, ..FillLog::default() };
    for _ in 0..shape.fills {
        let pside = if u() < 0.5 { Pside::Long } else { Pside::Short };
        log.coin.push((u() * 3.0) as u32);
        log.order_type.push(OrderType::new(OrderKind::EntryGridNormal, pside));
        log.pnl.push(odd(if u() < 0.4 { 0.0 } else { 20.0 * (u() - 0.45) }));
        log.fee_paid.push(-u());
        log.usd_total_balance.push(odd(1000.0 + 100.0 * (u() - 0.5)));
        log.btc_price.push(odd(40_000.0 * (0.9 + 0.2 * u())));
        log.qty.push(u() - 0.5);
        log.price.push(100.0 * u());
        log.psize.push(if u() < 0.4 { 0.0 } else { u() });
        log.twe_net.push(u());
    }
    (log, samples)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// The fast analysis gives the numbers of the plain one, whatever the run.
    #[test]
    fn agrees_with_the_plain_definition(shape in shapes(), collateral in any::<bool>(), sampled in 0..8) {
        let (log, mut samples) = random_run(shape);
        if sampled == 0 {
            samples.twe_net.clear();
        }
        let entry_initial_balance_pct = PerSide { long: 0.1, short: 0.2 };
        let input = AnalysisInput { fills: &log, samples: &samples, collateral, entry_initial_balance_pct };
        let (got, want) = (analyse(&input), reference(&input));
        for (currency, got, want) in [("usd", got.usd, want.usd), ("btc", got.btc, want.btc)] {
            for (i, metric) in METRICS.iter().enumerate() {
                let (g, w) = (got[i], want[i]);
                let equal = g == w || (g.is_nan() && w.is_nan()) || (g - w).abs() <= 1e-13 * w.abs();
                prop_assert!(equal, "{} {}: {} instead of {}", metric.name, currency, g, w);
            }
        }
    }
}
