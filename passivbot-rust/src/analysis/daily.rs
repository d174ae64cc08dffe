//! Metrics of the daily equity: its last and its lowest value of each day (`backtest_engine.md` 15.2, 15.4).

use super::stats::{
    TINY, deviation_around, mean_of, mean_of_smallest, median, one_percent, over_downside, ratio_or_infinity,
    ratio_or_zero,
};

/// Daily series of one stretch of equity; a partial last day counts as a day.
pub struct Daily {
    /// Equity at the end of each day.
    pub last: Vec<f64>,
    /// Lowest equity of each day.
    pub min: Vec<f64>,
}

impl Daily {
    /// Factor of growth and growth per day, the end smoothed by half each day.
    pub fn growth(&self) -> Growth {
        let [first, rest @ ..] = self.last.as_slice() else { return Growth::default() };
        if rest.is_empty() {
            return Growth::default();
        }
        if *first <= 0.0 {
            return Growth { gain: f64::INFINITY, per_day: f64::INFINITY };
        }
        let smoothed = rest.iter().fold(*first, |s, v| 0.5 * v + 0.5 * s);
        if smoothed <= 0.0 {
            return Growth { gain: -1.0, per_day: -1.0 };
        }
        let gain = smoothed / first;
        Growth { gain, per_day: gain.powf(1.0 / self.last.len() as f64) - 1.0 }
    }

    /// Ratios of the relative daily changes to their spread.
    pub fn ratios(&self, adg: f64) -> Ratios {
        let mut changes = relative_changes(&self.last);
        let mut lowest = relative_changes(&self.min);
        let gains: f64 = changes.iter().filter(|r| **r >= 0.0).sum();
        let losses: f64 = changes.iter().filter(|r| **r < 0.0).map(|r| r.abs()).sum();
        let count = one_percent(lowest.len());
        Ratios {
            sharpe: ratio_or_zero(adg, deviation_around(&lowest, adg)),
            sortino: over_downside(adg, &lowest),
            omega: ratio_or_infinity(gains, losses),
            median_change: median(&mut changes),
            expected_shortfall: mean_of_smallest(&mut lowest, count),
        }
    }

    /// Mean of the worst hundredth of the drawdowns of the daily lows.
    pub fn mean_worst_drawdown(&self) -> f64 {
        let mut drawdowns = drawdowns(&self.min);
        let count = one_percent(drawdowns.len());
        mean_of_smallest(&mut drawdowns, count)
    }

    /// Path length over net change; infinite without a net change.
    pub fn choppiness(&self) -> f64 {
        let [first, .., last] = self.last.as_slice() else { return 0.0 };
        let path: f64 = self.last.windows(2).map(|w| (w[1] - w[0]).abs()).sum();
        let net = (last - first).abs();
        if net < f64::EPSILON { f64::INFINITY } else { path / net }
    }

    /// Mean relative second difference.
    pub fn jerkiness(&self) -> f64 {
        mean_of(self.last.windows(3).map(|w| {
            let level = ((w[0] + w[1] + w[2]) / 3.0).abs();
            if level < f64::EPSILON { 0.0 } else { (w[2] - 2.0 * w[1] + w[0]).abs() / level }
        }))
    }

    /// Mean squared residual of the logarithm around its least-squares line.
    pub fn exponential_fit_error(&self) -> f64 {
        if self.last.len() < 2 || self.last.iter().any(|v| *v <= 0.0) {
            return f64::INFINITY;
        }
        let logs: Vec<f64> = self.last.iter().map(|v| v.ln()).collect();
        let m = logs.len() as f64;
        let points = || logs.iter().enumerate().map(|(d, y)| (d as f64, *y));
        let (mut sx, mut sy, mut sxx, mut sxy) = (0.0, 0.0, 0.0, 0.0);
        for (d, y) in points() {
            sx += d;
            sy += y;
            sxx += d * d;
            sxy += d * y;
        }
        let den = m * sxx - sx * sx;
        if den == 0.0 {
            return f64::INFINITY;
        }
        let slope = (m * sxy - sx * sy) / den;
        let intercept = (sy - slope * sx) / m;
        mean_of(points().map(|(d, y)| {
            let residual = (slope * d + intercept) - y;
            residual * residual
        }))
    }
}

/// Growth of equity.
#[derive(Default)]
pub struct Growth {
    /// Smoothed end over start.
    pub gain: f64,
    /// The same per day, as a fraction.
    pub per_day: f64,
}

/// See `Daily::ratios`.
pub struct Ratios {
    /// Growth over the spread of the daily lows' changes around it.
    pub sharpe: f64,
    /// Growth over the root mean square of the daily lows' falls.
    pub sortino: f64,
    /// Sum of gains over sum of losses.
    pub omega: f64,
    /// Median daily change.
    pub median_change: f64,
    /// Mean of the worst hundredth of the daily lows' changes.
    pub expected_shortfall: f64,
}

fn relative_changes(values: &[f64]) -> Vec<f64> {
    values.windows(2).map(|w| (w[1] - w[0]) / w[0].abs().max(TINY)).collect()
}

/// Relative distance of each value below the peak so far, zero or negative.
fn drawdowns(values: &[f64]) -> Vec<f64> {
    let Some(&first) = values.first() else { return Vec::new() };
    let mut peak = first_peak(first);
    values
        .iter()
        .map(|&v| {
            if v > peak {
                peak = v.max(TINY);
            }
            (v - peak) / peak.abs().max(TINY)
        })
        .collect()
}

/// The peak before the first value.
pub fn first_peak(first: f64) -> f64 {
    if first.abs() < TINY { TINY } else { first }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_days_of_ten_percent() {
        let days = vec![100.0, 110.0, 121.0];
        let daily = Daily { last: days.clone(), min: days };
        let growth = daily.growth();
        assert_eq!(growth.gain, 1.13);
        assert_eq!(growth.per_day, 0.041_580_437_306_558_915);
        let ratios = daily.ratios(growth.per_day);
        assert!((ratios.median_change - 0.1).abs() < 1e-15);
        assert_eq!((ratios.sortino, ratios.omega), (0.0, f64::INFINITY));
        assert_eq!(daily.jerkiness(), 0.009_063_444_108_761_33);
        assert_eq!(daily.choppiness(), 1.0);
        assert!(daily.exponential_fit_error() < 1e-25);
    }

    #[test]
    fn growth_from_or_to_nothing() {
        let gain = |last: &[f64]| Daily { last: last.to_vec(), min: vec![] }.growth().gain;
        assert_eq!([gain(&[]), gain(&[5.0])], [0.0, 0.0]);
        assert_eq!(gain(&[0.0, 1.0]), f64::INFINITY);
        assert_eq!(gain(&[1.0, -1.0]), -1.0);
    }

    #[test]
    fn drawdowns_follow_the_peak() {
        assert_eq!(drawdowns(&[100.0, 110.0, 99.0, 121.0, 60.5]), [0.0, 0.0, -0.1, 0.0, -0.5]);
        assert_eq!(drawdowns(&[0.0, -1e-12]), [-1.0, -2.0]);
    }
}
