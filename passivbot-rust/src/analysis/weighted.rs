//! One evaluation of a tail of the run, and the mean of ten of them (`backtest_engine.md` 15.4, 15.5).

use super::equity::{DAY, Equity};
use super::fills::Fills;
use super::stats::{TINY, mean, median, over_downside, ratio_or_zero, standard_deviation};
use super::{Id, Values};

/// Evaluations of a weighted metric: the whole run and nine tails.
const EVALUATIONS: u32 = 10;

/// Metrics with a weighted form.
const WEIGHTED: [(Id, Id); 17] = [
    (Id::Adg, Id::AdgW),
    (Id::Mdg, Id::MdgW),
    (Id::AdgPnl, Id::AdgPnlW),
    (Id::MdgPnl, Id::MdgPnlW),
    (Id::SharpeRatio, Id::SharpeRatioW),
    (Id::SortinoRatio, Id::SortinoRatioW),
    (Id::SharpeRatioPnl, Id::SharpeRatioPnlW),
    (Id::SortinoRatioPnl, Id::SortinoRatioPnlW),
    (Id::OmegaRatio, Id::OmegaRatioW),
    (Id::CalmarRatio, Id::CalmarRatioW),
    (Id::SterlingRatio, Id::SterlingRatioW),
    (Id::LossProfitRatio, Id::LossProfitRatioW),
    (Id::Choppiness, Id::ChoppinessW),
    (Id::Jerkiness, Id::JerkinessW),
    (Id::ExponentialFitError, Id::ExponentialFitErrorW),
    (Id::VolumePerDay, Id::VolumePerDayW),
    (Id::PositionsPerDay, Id::PositionsPerDayW),
];

/// Sets what is evaluated on the run, and the weighted forms from the run and its tails.
pub fn set_evaluations(values: &mut Values, equity: &Equity<'_>, fills: Fills<'_>) {
    set_tail(values, equity, 0, fills);
    let mut sums = WEIGHTED.map(|(plain, _)| values[plain]);
    for start in tail_starts(equity.len()) {
        let fills = fills.starting_at(start);
        if start >= equity.len() || fills.len() == 0 {
            break;
        }
        let mut tail = Values::of_an_idle_run();
        if fills.len() > 1 {
            set_tail(&mut tail, equity, start, fills);
        }
        for (sum, (plain, _)) in sums.iter_mut().zip(WEIGHTED) {
            *sum += tail[plain];
        }
    }
    for (sum, (_, weighted)) in sums.into_iter().zip(WEIGHTED) {
        values[weighted] = sum / f64::from(EVALUATIONS);
    }
}

/// First sample of each tail: the last half, third, ... tenth of the run.
fn tail_starts(n: usize) -> impl Iterator<Item = usize> {
    let n = n as f64;
    (2..=EVALUATIONS).map(move |parts| (n - (1.0 / f64::from(parts)) * n).round() as usize)
}

/// The metrics of the tail from `start` on, which needs at least two fills.
fn set_tail(values: &mut Values, equity: &Equity<'_>, start: usize, fills: Fills<'_>) {
    let daily = equity.daily(start);
    let growth = daily.growth();
    let ratios = daily.ratios(growth.per_day);
    let (worst, mean_worst) = (equity.worst_drawdown(start), daily.mean_worst_drawdown());
    values[Id::Gain] = growth.gain;
    values[Id::Adg] = growth.per_day;
    values[Id::Mdg] = ratios.median_change;
    values[Id::SharpeRatio] = ratios.sharpe;
    values[Id::SortinoRatio] = ratios.sortino;
    values[Id::OmegaRatio] = ratios.omega;
    values[Id::ExpectedShortfall] = ratios.expected_shortfall;
    values[Id::DrawdownWorst] = worst;
    values[Id::DrawdownWorstMean] = mean_worst;
    values[Id::CalmarRatio] = growth.per_day / worst.abs().max(TINY);
    values[Id::SterlingRatio] = growth.per_day / mean_worst.abs().max(TINY);
    values[Id::Choppiness] = daily.choppiness();
    values[Id::Jerkiness] = daily.jerkiness();
    values[Id::ExponentialFitError] = daily.exponential_fit_error();

    let mut returns = fills.daily_returns();
    let mean_return = mean(&returns);
    values[Id::AdgPnl] = mean_return;
    values[Id::SharpeRatioPnl] = ratio_or_zero(mean_return, standard_deviation(&returns));
    values[Id::SortinoRatioPnl] = over_downside(mean_return, &returns);
    values[Id::MdgPnl] = median(&mut returns);
    values[Id::LossProfitRatio] = fills.loss_profit_ratio();
    values[Id::VolumePerDay] = fills.volume_per_day();
    let days = (equity.len() - start) as f64 / DAY as f64;
    values[Id::PositionsPerDay] = fills.holding().minutes.len() as f64 / days;
}
