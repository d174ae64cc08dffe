//! Means, medians and deviations; sums run left to right (`backtest_engine.md` 15.2).

/// Smallest denominator of a relative change or a ratio.
pub const TINY: f64 = 1e-12;

/// Mean; 0 of nothing.
pub fn mean(values: &[f64]) -> f64 {
    mean_of(values.iter().copied())
}

/// Mean of an iterator; 0 of nothing.
pub fn mean_of(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, n) = values.fold((0.0, 0_usize), |(sum, n), v| (sum + v, n + 1));
    if n == 0 { 0.0 } else { sum / n as f64 }
}

/// Median, of an even count the mean of the middle two; 0 of nothing. Reorders the values.
pub fn median(values: &mut [f64]) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    let (odd, middle) = (values.len() % 2 == 1, values.len() / 2);
    let (lower, &mut upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    if odd {
        return upper;
    }
    let below = lower.iter().copied().max_by(f64::total_cmp).unwrap_or(upper);
    f64::midpoint(below, upper)
}

/// Population standard deviation; 0 of nothing.
pub fn standard_deviation(values: &[f64]) -> f64 {
    deviation_around(values, mean(values))
}

/// Root of the mean squared distance from `center`; 0 of nothing.
pub fn deviation_around(values: &[f64], center: f64) -> f64 {
    mean_of(values.iter().map(|v| (v - center) * (v - center))).sqrt()
}

/// `numerator` over the root mean square of the negative values; 0 without any.
pub fn over_downside(numerator: f64, values: &[f64]) -> f64 {
    if values.iter().any(|v| *v < 0.0) {
        numerator / mean_of(values.iter().filter(|v| **v < 0.0).map(|v| v * v)).sqrt()
    } else {
        0.0
    }
}

/// `numerator / denominator`; 0 if the denominator is 0.
pub fn ratio_or_zero(numerator: f64, denominator: f64) -> f64 {
    if denominator == 0.0 { 0.0 } else { numerator / denominator }
}

/// `numerator / denominator`; infinite if the denominator is 0.
pub fn ratio_or_infinity(numerator: f64, denominator: f64) -> f64 {
    if denominator == 0.0 { f64::INFINITY } else { numerator / denominator }
}

/// Mean size of the `count` smallest values; 0 of nothing. Reorders the values.
pub fn mean_of_smallest(values: &mut [f64], count: usize) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    mean_of(values.iter().take(count).map(|v| v.abs()))
}

/// One hundredth of the values, at least one.
pub fn one_percent(len: usize) -> usize {
    (0.01 * len as f64).max(1.0) as usize
}
