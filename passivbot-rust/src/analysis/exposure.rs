//! Net exposure over the run (`backtest_engine.md` 15.4).

use super::stats::median;

/// Maximum, mean and median.
#[derive(Clone, Copy, Default)]
pub struct Summary {
    /// Largest value.
    pub max: f64,
    /// Mean.
    pub mean: f64,
    /// Median.
    pub median: f64,
}

/// Summary of the finite values; none without any.
pub fn summary(values: &[f64]) -> Option<Summary> {
    let sum: f64 = values.iter().sum();
    if sum.is_finite() {
        return (!values.is_empty()).then(|| of_finite(values, sum));
    }
    let finite: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    (!finite.is_empty()).then(|| of_finite(&finite, finite.iter().sum()))
}

fn of_finite(values: &[f64], sum: f64) -> Summary {
    let (median, max) = match runs(values) {
        Some(mut runs) => {
            runs.sort_unstable_by(|a, b| a.value.total_cmp(&b.value));
            (median_of_runs(&runs, values.len()), runs[runs.len() - 1].value)
        }
        None => (median(&mut values.to_vec()), values.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
    };
    Summary { max, mean: sum / values.len() as f64, median }
}

/// A value and how often it follows itself.
struct Run {
    value: f64,
    count: usize,
}

/// Without BTC collateral exposure changes at fills only: then there are few runs, and sorting them is quick.
fn runs(values: &[f64]) -> Option<Vec<Run>> {
    let few = values.len() / 16 + 1;
    let mut chunks = values.chunk_by(|a, b| a == b).map(|run| Run { value: run[0], count: run.len() });
    let runs = chunks.by_ref().take(few).collect();
    chunks.next().is_none().then_some(runs)
}

/// Median of `n` values from their sorted runs.
fn median_of_runs(runs: &[Run], n: usize) -> f64 {
    let at = |wanted: usize| {
        let mut seen = 0;
        let run = runs.iter().find(|run| {
            seen += run.count;
            seen > wanted
        });
        run.map_or(0.0, |run| run.value)
    };
    if n % 2 == 1 { at(n / 2) } else { f64::midpoint(at(n / 2 - 1), at(n / 2)) }
}
