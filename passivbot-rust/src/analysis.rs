//! Metrics of a run from its fills and per-minute samples (`backtest_engine.md` 15).
//!
//! The table below is the only list of metrics: Python, documents and dashboards read it through the boundary. The
//! families that compute them: `equity` (minutes), `daily` (days), `fills`, `exposure`; `weighted` evaluates a tail of
//! the run and averages ten of them.
//!
//! Samples count from the first tracked row, fills from row 0 of the dataset, and the two are compared as they are
//! (15.1): that is fixed by the golden data.

mod daily;
mod equity;
mod exposure;
mod fills;
mod stats;
mod weighted;

use crate::types::{BotParams, FillLog, PerSide, Samples};
use equity::Equity;
use fills::FillColumns;

/// One row of the metric table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Key in the dictionaries of a run.
    pub name: &'static str,
    /// True if USD and BTC values differ in meaning, so that both are reported.
    pub denominated: bool,
    /// True for the mean over ten tails of the run, which weighs recent results more (15.5).
    pub weighted: bool,
    /// What the optimizer wants: `max`, `min`, or `none` where nobody said.
    pub direction: &'static str,
    /// Unit of the value; `fraction` is a share of one.
    pub unit: &'static str,
    /// What it measures, in one line.
    pub doc: &'static str,
}

/// Number of metrics.
pub const N_METRICS: usize = METRICS.len();

/// Declares the table and an index type with one name a row.
macro_rules! metrics {
    ($($id:ident $name:literal $scope:ident $direction:literal $unit:literal $doc:literal;)*) => {
        /// Place of a metric in `METRICS`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        enum Id { $($id),* }

        /// All metrics, in the order of `backtest_engine.md` 20; directions as in `config_cli_suite.md` 13.2.
        pub const METRICS: [Metric; 53] = [$(Metric {
            name: $name,
            denominated: matches!(Scope::$scope, Scope::Currency),
            weighted: is_weighted($name),
            direction: $direction,
            unit: $unit,
            doc: $doc,
        }),*];
    };
}

/// Whether a metric is reported once or in each currency.
enum Scope {
    Currency,
    Shared,
}

const fn is_weighted(name: &str) -> bool {
    matches!(name.as_bytes(), [.., b'_', b'w'])
}

metrics! {
    Adg "adg" Currency "max" "fraction/day" "average daily gain: smoothed final over first daily equity, per day";
    Mdg "mdg" Currency "max" "fraction/day" "median daily change of equity";
    Gain "gain" Currency "max" "factor" "smoothed final equity over the equity of the first day";
    AdgPnl "adg_pnl" Shared "max" "fraction/day" "mean over days with fills of net realised profit over balance";
    MdgPnl "mdg_pnl" Shared "max" "fraction/day" "median over days with fills of net realised profit over balance";
    SharpeRatioPnl "sharpe_ratio_pnl" Shared "max" "ratio" "adg_pnl over the standard deviation of daily realised profit";
    SortinoRatioPnl "sortino_ratio_pnl" Shared "max" "ratio" "adg_pnl over the root mean square of the losing days";
    SharpeRatio "sharpe_ratio" Currency "max" "ratio" "adg over the spread around it of changes of daily lowest equity";
    SortinoRatio "sortino_ratio" Currency "max" "ratio" "adg over the root mean square of falls of daily lowest equity";
    OmegaRatio "omega_ratio" Currency "max" "ratio" "sum of daily equity gains over sum of daily equity losses";
    ExpectedShortfall "expected_shortfall_1pct" Currency "min" "fraction" "mean size of the worst 1 % of changes of daily lowest equity";
    CalmarRatio "calmar_ratio" Currency "max" "ratio" "adg over drawdown_worst";
    SterlingRatio "sterling_ratio" Currency "max" "ratio" "adg over drawdown_worst_mean_1pct";
    DrawdownWorst "drawdown_worst" Currency "min" "fraction" "largest fall of equity from its running peak, by minute";
    DrawdownWorstMean "drawdown_worst_mean_1pct" Currency "min" "fraction" "mean of the worst 1 % of drawdowns of daily lowest equity";
    DiffNegMax "equity_balance_diff_neg_max" Currency "min" "fraction" "largest shortfall of equity below balance, over balance";
    DiffNegMean "equity_balance_diff_neg_mean" Currency "min" "fraction" "mean shortfall of equity below balance, over balance";
    DiffPosMax "equity_balance_diff_pos_max" Currency "min" "fraction" "largest excess of equity above balance, over balance";
    DiffPosMean "equity_balance_diff_pos_mean" Currency "min" "fraction" "mean excess of equity above balance, over balance";
    LossProfitRatio "loss_profit_ratio" Shared "min" "ratio" "sum of realised losses over sum of realised profits";
    PeakRecoveryEquity "peak_recovery_hours_equity" Currency "min" "hours" "longest recovered time between two highs of equity";
    PeakRecoveryPnl "peak_recovery_hours_pnl" Shared "none" "hours" "longest recovered time between two highs of net realised profit";
    Choppiness "equity_choppiness" Currency "min" "ratio" "path length of daily equity over its net change";
    Jerkiness "equity_jerkiness" Currency "min" "fraction" "mean size of the second difference of daily equity, relative";
    ExponentialFitError "exponential_fit_error" Currency "min" "log^2" "mean squared residual of log daily equity around its line";
    ChoppinessW "equity_choppiness_w" Currency "min" "ratio" "equity_choppiness, mean over ten tails of the run";
    JerkinessW "equity_jerkiness_w" Currency "min" "fraction" "equity_jerkiness, mean over ten tails of the run";
    ExponentialFitErrorW "exponential_fit_error_w" Currency "min" "log^2" "exponential_fit_error, mean over ten tails of the run";
    PositionsPerDay "positions_held_per_day" Shared "min" "1/day" "positions opened per day";
    PositionsPerDayW "positions_held_per_day_w" Shared "min" "1/day" "positions_held_per_day, mean over ten tails of the run";
    HeldMean "position_held_hours_mean" Shared "min" "hours" "mean time a position is held";
    HeldMax "position_held_hours_max" Shared "min" "hours" "longest time a position is held";
    HeldMedian "position_held_hours_median" Shared "min" "hours" "median time a position is held";
    UnchangedMax "position_unchanged_hours_max" Shared "min" "hours" "longest time between two fills of one position";
    AdgW "adg_w" Currency "max" "fraction/day" "adg, mean over ten tails of the run";
    AdgPnlW "adg_pnl_w" Shared "max" "fraction/day" "adg_pnl, mean over ten tails of the run";
    MdgPnlW "mdg_pnl_w" Shared "max" "fraction/day" "mdg_pnl, mean over ten tails of the run";
    SharpeRatioPnlW "sharpe_ratio_pnl_w" Shared "max" "ratio" "sharpe_ratio_pnl, mean over ten tails of the run";
    SortinoRatioPnlW "sortino_ratio_pnl_w" Shared "max" "ratio" "sortino_ratio_pnl, mean over ten tails of the run";
    MdgW "mdg_w" Currency "max" "fraction/day" "mdg, mean over ten tails of the run";
    SharpeRatioW "sharpe_ratio_w" Currency "max" "ratio" "sharpe_ratio, mean over ten tails of the run";
    SortinoRatioW "sortino_ratio_w" Currency "max" "ratio" "sortino_ratio, mean over ten tails of the run";
    OmegaRatioW "omega_ratio_w" Currency "max" "ratio" "omega_ratio, mean over ten tails of the run";
    CalmarRatioW "calmar_ratio_w" Currency "max" "ratio" "calmar_ratio, mean over ten tails of the run";
    SterlingRatioW "sterling_ratio_w" Currency "max" "ratio" "sterling_ratio, mean over ten tails of the run";
    LossProfitRatioW "loss_profit_ratio_w" Shared "min" "ratio" "loss_profit_ratio, mean over ten tails of the run";
    VolumePerDay "volume_pct_per_day_avg" Shared "max" "fraction/day" "traded value over balance, mean over days with fills";
    VolumePerDayW "volume_pct_per_day_avg_w" Shared "max" "fraction/day" "volume_pct_per_day_avg, mean over ten tails of the run";
    ExposureMax "total_wallet_exposure_max" Shared "min" "fraction" "largest net exposure: long minus short, over balance";
    ExposureMean "total_wallet_exposure_mean" Shared "min" "fraction" "mean net exposure";
    ExposureMedian "total_wallet_exposure_median" Shared "min" "fraction" "median net exposure";
    InitialEntryLong "entry_initial_balance_pct_long" Shared "max" "fraction" "cost of a long's first order over balance";
    InitialEntryShort "entry_initial_balance_pct_short" Shared "max" "fraction" "cost of a short's first order over balance";
}

/// One value for each metric.
#[derive(Clone, Copy, Debug)]
struct Values([f64; N_METRICS]);

impl Values {
    /// The values of a run with at most one fill (15.3).
    fn of_an_idle_run() -> Self {
        let mut values = Self([0.0; N_METRICS]);
        for id in [
            Id::DrawdownWorst,
            Id::DrawdownWorstMean,
            Id::DiffNegMax,
            Id::DiffNegMean,
            Id::DiffPosMax,
            Id::DiffPosMean,
            Id::LossProfitRatio,
            Id::LossProfitRatioW,
            Id::Choppiness,
            Id::ChoppinessW,
            Id::Jerkiness,
            Id::JerkinessW,
            Id::ExponentialFitError,
            Id::ExponentialFitErrorW,
        ] {
            values[id] = 1.0;
        }
        values
    }
}

impl std::ops::Index<Id> for Values {
    type Output = f64;
    fn index(&self, id: Id) -> &f64 {
        &self.0[id as usize]
    }
}

impl std::ops::IndexMut<Id> for Values {
    fn index_mut(&mut self, id: Id) -> &mut f64 {
        &mut self.0[id as usize]
    }
}

/// What the metrics are computed from.
#[derive(Clone, Copy, Debug)]
pub struct AnalysisInput<'a> {
    /// Fills in booking order.
    pub fills: &'a FillLog,
    /// Samples of the tracked rows.
    pub samples: &'a Samples,
    /// True if part of the balance is held in BTC; otherwise both currencies have the same metrics.
    pub collateral: bool,
    /// Cost of a first order over balance, see `entry_initial_balance_pct`.
    pub entry_initial_balance_pct: PerSide<f64>,
}

/// The metrics in both currencies, in the order of `METRICS`; a ratio without a denominator is infinite or NaN.
#[derive(Clone, Copy, Debug)]
pub struct Analysis {
    /// Values in USD.
    pub usd: [f64; N_METRICS],
    /// Values in BTC.
    pub btc: [f64; N_METRICS],
}

/// All metrics of a run.
pub fn analyse(input: &AnalysisInput<'_>) -> Analysis {
    let slots = fills::slots(input.fills);
    let fills = FillColumns::in_usd(input.fills, &slots);
    let mut shared = Values::of_an_idle_run();
    if fills.len() > 1 {
        set_exposure(&mut shared, input);
    }
    shared[Id::InitialEntryLong] = input.entry_initial_balance_pct.long;
    shared[Id::InitialEntryShort] = input.entry_initial_balance_pct.short;
    let usd = analyse_currency(&shared, &input.samples.equity_usd, &fills);
    let btc = if input.collateral {
        analyse_currency(&shared, &input.samples.equity_btc, &FillColumns::in_btc(input.fills, &slots))
    } else {
        usd
    };
    Analysis { usd: usd.0, btc: btc.0 }
}

/// Exposure metrics: of the samples, without samples of the fills.
fn set_exposure(values: &mut Values, input: &AnalysisInput<'_>) {
    let summary = exposure::summary(&input.samples.twe_net)
        .or_else(|| exposure::summary(&input.fills.twe_net))
        .unwrap_or_default();
    values[Id::ExposureMax] = summary.max;
    values[Id::ExposureMean] = summary.mean;
    values[Id::ExposureMedian] = summary.median;
}

/// Metrics of one currency on top of those that both share.
fn analyse_currency(shared: &Values, equity: &[f64], columns: &FillColumns<'_>) -> Values {
    let mut values = *shared;
    if columns.len() <= 1 {
        return values;
    }
    let equity = Equity::new(equity);
    let fills = columns.all();
    weighted::set_evaluations(&mut values, &equity, fills);

    let diff = equity.balance_differences(fills.index, fills.balance);
    values[Id::DiffNegMax] = diff.below.max;
    values[Id::DiffNegMean] = diff.below.mean();
    values[Id::DiffPosMax] = diff.above.max;
    values[Id::DiffPosMean] = diff.above.mean();
    values[Id::PeakRecoveryEquity] = hours(equity.peak_recovery() as f64);
    values[Id::PeakRecoveryPnl] = hours(fills.peak_recovery(equity.len()) as f64);

    let mut holding = fills.holding();
    values[Id::HeldMean] = holding.minutes.iter().sum::<f64>() / (60.0 * holding.minutes.len() as f64);
    values[Id::HeldMax] = hours(holding.minutes.iter().copied().fold(0.0, f64::max));
    values[Id::HeldMedian] = hours(stats::median(&mut holding.minutes));
    values[Id::UnchangedMax] = hours(holding.unchanged_max);
    values
}

fn hours(minutes: f64) -> f64 {
    minutes / 60.0
}

/// Cost of a side's first order over balance, from the global parameters and the number of slots in use (15.4).
pub fn entry_initial_balance_pct(params: &BotParams, n_eff: usize) -> f64 {
    if n_eff == 0 {
        return 0.0;
    }
    let allowance = 1.0 + params.risk_we_excess_allowance_pct.max(0.0);
    params.total_wallet_exposure_limit * params.entry_initial_qty_pct * allowance / n_eff as f64
}

#[cfg(test)]
mod reference;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_weighted_metric_has_a_plain_one_of_the_same_kind() {
        for metric in METRICS.iter().filter(|m| m.weighted) {
            let plain = METRICS.iter().find(|m| Some(m.name) == metric.name.strip_suffix("_w")).unwrap();
            assert_eq!(
                (plain.denominated, plain.direction, plain.unit),
                (metric.denominated, metric.direction, metric.unit)
            );
        }
        assert_eq!(METRICS.iter().filter(|m| m.weighted).count(), 17);
        assert_eq!(METRICS.iter().filter(|m| m.denominated).count(), 29);
    }

    #[test]
    fn indices_name_their_rows() {
        let rows = [
            (Id::Adg, "adg"),
            (Id::Choppiness, "equity_choppiness"),
            (Id::ExponentialFitErrorW, "exponential_fit_error_w"),
            (Id::UnchangedMax, "position_unchanged_hours_max"),
            (Id::VolumePerDayW, "volume_pct_per_day_avg_w"),
            (Id::InitialEntryShort, "entry_initial_balance_pct_short"),
        ];
        for (id, name) in rows {
            assert_eq!(METRICS[id as usize].name, name);
        }
    }

    #[test]
    fn a_run_with_one_fill_has_the_defaults() {
        let fills =
            FillLog { index: vec![3], coin: vec![0], order_type: vec![crate::types::OrderType::EMPTY], ..one_fill() };
        let samples = Samples { equity_usd: vec![1.0, 2.0], twe_net: vec![0.5; 2], ..Samples::default() };
        let entry_initial_balance_pct = PerSide { long: 0.1, short: 0.2 };
        let input = AnalysisInput { fills: &fills, samples: &samples, collateral: false, entry_initial_balance_pct };
        let of = |name: &str| analyse(&input).usd[METRICS.iter().position(|m| m.name == name).unwrap()];
        assert_eq!([of("drawdown_worst"), of("loss_profit_ratio"), of("equity_jerkiness_w")], [1.0; 3]);
        assert_eq!([of("adg"), of("total_wallet_exposure_max"), of("positions_held_per_day")], [0.0; 3]);
        assert_eq!([of("entry_initial_balance_pct_long"), of("entry_initial_balance_pct_short")], [0.1, 0.2]);
    }

    fn one_fill() -> FillLog {
        let one = vec![1.0];
        FillLog {
            pnl: one.clone(),
            fee_paid: one.clone(),
            usd_total_balance: one.clone(),
            qty: one.clone(),
            price: one.clone(),
            psize: one.clone(),
            twe_net: one,
            ..FillLog::default()
        }
    }

    #[test]
    fn first_orders_share_the_limit() {
        let params = BotParams {
            total_wallet_exposure_limit: 1.0,
            entry_initial_qty_pct: 0.1,
            risk_we_excess_allowance_pct: 0.1,
            ..BotParams::default()
        };
        assert_eq!(entry_initial_balance_pct(&params, 1), 0.110_000_000_000_000_01);
        assert_eq!(entry_initial_balance_pct(&params, 0), 0.0);
        assert_eq!(entry_initial_balance_pct(&BotParams { risk_we_excess_allowance_pct: -1.0, ..params }, 2), 0.05);
    }
}
